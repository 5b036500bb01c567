"""Sequences opened without decoding their elements, several times faster than pydicom does.

Only plain ones: defined lengths throughout, known VRs. Whatever else there is pydicom reads.
"""

from __future__ import annotations

import struct

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32, VR

from fairbank.deid.elements import UNDEFINED_LENGTH, put

_ITEM = (0xFFFE, 0xE000)
_CHARSET = 0x00080005
_VRS = {vr.value.encode("ascii"): vr.value for vr in VR if len(vr.value) == 2}
_HEADS = {
    little: tuple(
        struct.Struct(("<" if little else ">") + form).unpack_from for form in ("HHL", "HH2sH", "L")
    )
    for little in (True, False)
}
# What a new dataset has; pydicom sets each attribute through checks that an item of a file does not need.
_FRESH = dict(vars(Dataset()))
_MUTABLE = tuple(name for name, value in _FRESH.items() if isinstance(value, dict) and name != "_dict")


class _NotPlain(Exception):
    """The sequence has something that this module leaves to pydicom."""


def opened(dataset: Dataset, element: DataElement | RawDataElement) -> Sequence | None:
    """Return the items of an element, which the dataset holds as a sequence from now on; None if it is none.

    Args:
        dataset: what the element is in.
        element: an element that the dictionary says is a sequence.
    """
    if (
        isinstance(element, RawDataElement)
        and element.VR in ("SQ", None)
        and element.length != UNDEFINED_LENGTH
    ):
        try:
            items = _items(element.value or b"", dataset, implicit=element.is_implicit_VR)
        except (_NotPlain, struct.error):
            pass
        else:
            sequence = Sequence(items)
            put(dataset, DataElement(element.tag, "SQ", sequence, already_converted=True))
            return sequence
    decoded = dataset[element.tag]
    if decoded.VR != "SQ":
        return None
    return Sequence() if decoded.value is None else decoded.value


def _items(value: bytes, parent: Dataset, *, implicit: bool) -> list[Dataset]:
    little = parent.original_encoding[1] is not False
    head, place, items = _HEADS[little][0], 0, []
    while place < len(value):
        group, number, length = head(value, place)
        end = place + 8 + length
        if (group, number) != _ITEM or end > len(value):
            raise _NotPlain
        elements = _elements(value, place + 8, end, implicit=implicit, little=little)
        items.append(_item(elements, parent, implicit=implicit, little=little))
        place = end
    return items


def _elements(
    value: bytes, place: int, end: int, *, implicit: bool, little: bool
) -> dict[BaseTag, RawDataElement]:
    """Return the elements of an item as they are in the file."""
    plain, short, long = _HEADS[little]
    found: dict[BaseTag, RawDataElement] = {}
    while place < end:
        vr: str | None = None
        if implicit:
            group, number, length = plain(value, place)
            place += 8
        else:
            group, number, word, length = short(value, place)
            vr = _VRS.get(word)
            place += 8
            if vr in EXPLICIT_VR_LENGTH_32:
                (length,) = long(value, place)
                place += 4
            elif vr is None:
                raise _NotPlain
        tag = BaseTag(group << 16 | number)
        if place + length > end or tag == _CHARSET:  # an undefined length is longer than any item
            raise _NotPlain
        found[tag] = RawDataElement(
            tag, vr, length, value[place : place + length], place, implicit, little, True
        )
        place += length
    return found


def _item(
    elements: dict[BaseTag, RawDataElement], parent: Dataset, *, implicit: bool, little: bool
) -> Dataset:
    """Return a dataset as pydicom makes it, without passing each attribute through its checks."""
    item = Dataset.__new__(Dataset)
    charset = parent.original_character_set
    attributes = vars(item)
    attributes.update(_FRESH)
    for name in _MUTABLE:
        attributes[name] = _FRESH[name].copy()
    attributes.update(_dict=elements, _parent_encoding=charset)
    attributes.update(_read_implicit=implicit, _read_little=little, _read_charset=charset)
    return item
