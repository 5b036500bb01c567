"""What has left the nodes, as the hub's audit log has it: by node, month and class, and in all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.audit import HubAudit, Wanted
from fairbank.catalogue.store import NodeKeyRow, NodeRow

RECEIVED: Final = "release.receive"
# So many entries are looked at; what came before them is said to be more.
MOST: Final = 50_000


@dataclass(frozen=True, slots=True)
class Left:
    """What left one node in one month in one class.

    Attributes:
        month: `2026-06`, in UTC.
        door_class: a word of `DoorClass`.
        size_bytes: of all of it together.
        signers: keys that signed it.
    """

    node: str
    month: str
    door_class: str
    releases: int
    size_bytes: int
    signers: tuple[str, ...]


def names_of_keys(session: Session) -> dict[str, str]:
    """Return the nodes by all keys that they have or had."""
    now = session.execute(select(NodeRow.key_id, NodeRow.name))
    earlier = session.execute(select(NodeKeyRow.key_id, NodeKeyRow.node))
    return {key: node for rows in (earlier, now) for key, node in rows}


def left(session: Session, wanted: Wanted, *, actors: Collection[str] = ()) -> tuple[list[Left], bool]:
    """Return what left, the newest month first, and whether there was more than is looked at.

    Args:
        wanted: its days and nothing else of it.
        actors: keys of the node that is asked about; empty for all.
    """
    asked = Wanted(act=RECEIVED, since=wanted.since, until=wanted.until, actors=tuple(actors))
    rows = audit.entries(session, HubAudit, asked, limit=MOST, newest=True)
    names = names_of_keys(session)
    sums: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0])
    signers: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for row in rows:
        place = (f"{row.at:%Y-%m}", names.get(row.actor, row.actor), str(row.detail.get("class", "")))
        sums[place][0] += 1
        sums[place][1] += int(row.detail.get("bytes", "0"))
        signers[place].add(row.actor)
    found = [
        Left(node, month, kind, number, size, tuple(sorted(signers[month, node, kind])))
        for (month, node, kind), (number, size) in sums.items()
    ]
    # Newest month first, then by node and class.
    found.sort(key=lambda each: (each.node, each.door_class))
    found.sort(key=lambda each: each.month, reverse=True)
    return found, len(rows) == MOST
