"""An archive tried: whether it answers, what it is, and what it shows to the node's user there."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

from fairbank.harvest.sources.opening import open_source
from fairbank.release.node import Node

# A clock that is off by more makes "changed since" unsure, in seconds.
MOST_CLOCK_OFFSET_S = 60.0


@dataclass(frozen=True, slots=True)
class Tried:
    """An archive that answered.

    Attributes:
        version: what it says that it is.
        can: what it is able to, in words of the source.
        clock_offset_s: by how many seconds its clock differs, where that is more than a minute; else None.
        containers: id and title of what it shows.
    """

    version: str
    can: tuple[str, ...]
    clock_offset_s: float | None
    containers: tuple[tuple[str, str], ...]


def try_source(node: Node, name: str) -> Tried:
    """Reach an archive, and list what it shows.

    Raises:
        UnknownSource: if none has this name.
        FairbankError: if it does not answer, or refuses.
    """
    with closing(open_source(node, name)) as opened:
        checked = opened.check()
        shown = tuple((found.id, found.title) for found in opened.list_containers())
        can = tuple(sorted(word.value for word in opened.capabilities))
    offset = checked.clock_offset_s
    is_off = offset is not None and abs(offset) > MOST_CLOCK_OFFSET_S
    return Tried(checked.version, can, offset if is_off else None, shown)
