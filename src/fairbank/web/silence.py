"""Which nodes are called silent."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from fairbank.catalogue.nodes import NodeEntry

# A node asks the hub for work all the time; one that was not heard of for so long is called silent.
SILENT_AFTER: Final = timedelta(hours=1)


def silent_nodes(listed: Iterable[NodeEntry], now: datetime) -> dict[str, datetime]:
    """Return the nodes that have not been heard of for too long, each with when it last was."""
    return {each.name: each.last_seen for each in listed if now - each.last_seen > SILENT_AFTER}
