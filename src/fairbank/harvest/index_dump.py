"""The index of a project as canonical JSON: two indexes that say the same give the same bytes.

Run ids, row numbers and moments are left out, because a repeated run has others. It names what the archive calls its
items, so it stays at the node.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from fairbank.database import reading
from fairbank.harvest.bookkeeping import ITEMS, SERIES
from fairbank.harvest.rows import without_marks
from fairbank.release.node import Node

_LEFT_OUT = frozenset({"id", "run", "seen", "stat_token", "directory"})


def index_dump(node: Node, project: str) -> bytes:
    """Return all series and items of a project, without what differs between two runs over the same archive."""
    with reading(node.engine) as session:
        series = [
            _series(row)
            for row in session.execute(select(SERIES).where(SERIES.c.project == project)).mappings()
        ]
        items = [
            _item(row) for row in session.execute(select(ITEMS).where(ITEMS.c.project == project)).mappings()
        ]
    series.sort(key=lambda row: row["series_uid"])
    items.sort(key=lambda row: (row["source"], row["container"], row["local_id"]))
    return json.dumps(
        {"series": series, "items": items}, sort_keys=True, ensure_ascii=True, indent=1
    ).encode()


def _series(row: Mapping[Any, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = without_marks(
        {name: value for name, value in row.items() if name not in _LEFT_OUT}
    )
    return kept


def _item(row: Mapping[Any, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in row.items() if name not in ("run", "gone")}
    # The stamp ends with when the full look began.
    kept["version"] = row["version"].rpartition("\x1f")[0] or row["version"]
    return kept
