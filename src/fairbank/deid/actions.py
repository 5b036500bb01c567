"""What became of the elements of one file, counted by tag: for the report, at the price of one look at each tag."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import TypeVar

PRIVATE = "private"


class Action(StrEnum):
    """What became of an element; a sequence whose items were looked at counts as replaced, and they are counted too."""

    REMOVED = "removed"
    REPLACED = "replaced"
    KEPT = "kept"
    ADDED = "added"


_Tag = TypeVar("_Tag", bound=int)
TagAndAction = tuple[str, Action]
ElementActions = dict[TagAndAction, int]
# The same of elements in items of sequences, by number.
NestedActions = dict[tuple[int, Action], int]
# What stands before the tag of an element in an item, as DICOM's own tables write it.
NESTED = ">"


def actions_between(before: Mapping[_Tag, object], after: Mapping[_Tag, object]) -> ElementActions:
    """Return what became of each element, by tag (eight hexadecimal digits; all private ones are one).

    An element that the engine left alone is still the same object, so no value is compared or even read.

    >>> untouched = object()
    >>> actions_between({0x00080060: untouched, 0x00100010: 1}, {0x00080060: untouched, 0x00100010: 2})
    {('00080060', <Action.KEPT: 'kept'>): 1, ('00100010', <Action.REPLACED: 'replaced'>): 1}
    """
    counted: ElementActions = {}
    for tag, element in before.items():
        found = after.get(tag)
        action = Action.REMOVED if found is None else Action.KEPT if found is element else Action.REPLACED
        key = (_name(tag), action)
        counted[key] = counted.get(key, 0) + 1
    for tag in after.keys() - before.keys():
        key = (_name(tag), Action.ADDED)
        counted[key] = counted.get(key, 0) + 1
    return counted


def count_nested(total: NestedActions, before: Mapping[_Tag, object], after: Mapping[_Tag, object]) -> None:
    """Add what became of the elements of one item; at the price of one look at each, none is decoded.

    >>> total, kept = {}, object()
    >>> count_nested(total, {0x00080100: kept, 0x00080104: 1}, {0x00080100: kept})
    >>> nested(total)
    {('>00080100', <Action.KEPT: 'kept'>): 1, ('>00080104', <Action.REMOVED: 'removed'>): 1}
    """
    found = after.get
    for tag, element in before.items():
        now = found(tag)
        key = (tag, Action.KEPT if now is element else Action.REMOVED if now is None else Action.REPLACED)
        total[key] = total.get(key, 0) + 1
    for tag in after.keys() - before.keys():
        key = (tag, Action.ADDED)
        total[key] = total.get(key, 0) + 1


def nested(total: NestedActions) -> ElementActions:
    """Return counts of elements in items under their names."""
    counted: ElementActions = {}
    for (tag, action), count in total.items():
        key = (NESTED + _name(tag), action)
        counted[key] = counted.get(key, 0) + count
    return counted


def added_up(several: Iterable[ElementActions]) -> ElementActions:
    """Return the sum of several counts."""
    total: Counter[TagAndAction] = Counter()
    for one in several:
        total.update(one)
    return dict(total)


def _name(tag: int) -> str:
    return PRIVATE if tag >> 16 & 1 else f"{tag:08X}"
