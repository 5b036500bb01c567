"""The tree of a structured report: items that go are taken out, and references between items stay right.

An item can point at another by its place in the tree (DICOM PS3.3, C.17.3.2.5), so taking one out moves others.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from fairbank.deid.elements import items_of
from fairbank.deid.rules import Option
from fairbank.deid.structured.content_rules import Fate, fate_of

CONTENT = 0x0040A730
# Who verified a document: Verifying Organization, Verification DateTime, Verifying Observer Name and its Identification
# Code Sequence. Each has a rule of its own; nothing else of an observer stays.
OF_AN_OBSERVER = frozenset({0x0040A027, 0x0040A030, 0x0040A075, 0x0040A088})
_REFERENCED_ITEM = 0x0040DB73
_Place = tuple[int, ...]
_ROOT: _Place = (1,)


@dataclass(frozen=True)
class _Node:
    place: _Place
    item: Dataset
    target: _Place | None


def prune(dataset: Dataset, options: Set[Option]) -> None:
    """Take out of a document's tree, in place, the items that must go; references to them go as well.

    Args:
        dataset: the document, before it is cleaned.
        options: the options that run.
    """
    nodes = list(_nodes(dataset, _ROOT))
    gone = {
        node.place for node in nodes if node.target is None and fate_of(node.item, options) is Fate.REMOVED
    }
    places = {_ROOT, *(node.place for node in nodes)}
    while True:
        more = {
            node.place
            for node in nodes
            if node.place not in gone and (_is_under(node.place, gone) or _points_nowhere(node, places, gone))
        }
        if not more:
            break
        gone |= more
    moved = {_ROOT: _ROOT}
    _rebuild(dataset, _ROOT, _ROOT, gone, moved)
    for node in nodes:
        if node.place not in gone and node.target is not None:
            new = list(moved[node.target])
            node.item[BaseTag(_REFERENCED_ITEM)] = DataElement(_REFERENCED_ITEM, "UL", new)


def stays(item: Dataset, options: Set[Option]) -> bool:
    """Return whether an item stays, as far as it alone tells; one that points at another stays if that one does."""
    return BaseTag(_REFERENCED_ITEM) in item or fate_of(item, options) is not Fate.REMOVED


def _nodes(parent: Dataset, place: _Place) -> Iterator[_Node]:
    for number, item in enumerate(items_of(parent, CONTENT), start=1):
        here = (*place, number)
        yield _Node(here, item, _target(item))
        yield from _nodes(item, here)


def _target(item: Dataset) -> _Place | None:
    if BaseTag(_REFERENCED_ITEM) not in item:
        return None
    value = item[BaseTag(_REFERENCED_ITEM)].value
    values = [value] if isinstance(value, int) else list(value or ())
    return tuple(int(one) for one in values)


def _is_under(place: _Place, gone: Set[_Place]) -> bool:
    return any(place[:length] in gone for length in range(2, len(place)))


def _points_nowhere(node: _Node, places: Set[_Place], gone: Set[_Place]) -> bool:
    return node.target is not None and (node.target not in places or node.target in gone)


def _rebuild(
    parent: Dataset, old: _Place, new: _Place, gone: Set[_Place], moved: dict[_Place, _Place]
) -> None:
    staying = []
    for number, item in enumerate(items_of(parent, CONTENT), start=1):
        was = (*old, number)
        if was in gone:
            continue
        staying.append(item)
        moved[was] = (*new, len(staying))
        _rebuild(item, was, moved[was], gone, moved)
    if len(staying) < len(items_of(parent, CONTENT)):
        _replace(parent, staying)


def _replace(parent: Dataset, staying: list[Dataset]) -> None:
    if staying:
        parent[BaseTag(CONTENT)] = DataElement(CONTENT, "SQ", Sequence(staying))
    else:
        del parent[BaseTag(CONTENT)]
