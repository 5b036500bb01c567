"""Single data elements as the file has them: read without decoding, made without a round trip through Python values."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import cast

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

_NUL_PADDED = frozenset({"UI", "OB", "UN", "OW"})
UNDEFINED_LENGTH = 0xFFFFFFFF


def stored(dataset: Dataset) -> MutableMapping[BaseTag, DataElement | RawDataElement]:
    """Return the elements of a dataset as it holds them, to read and to change.

    pydicom's own access converts each tag and checks each value; that is most of the time that cleaning takes. Keys are
    best taken from the elements: looking for another object of the same number compares in Python.
    """
    return dataset._dict


def put(dataset: Dataset, element: DataElement | RawDataElement) -> None:
    """Set an element, as it is."""
    dataset._dict[element.tag] = element


def raw_bytes(element: DataElement | RawDataElement | None) -> bytes:
    """Return the value of an element as it is in the file; empty for sequences and missing elements."""
    if isinstance(element, RawDataElement):
        return element.value or b""
    if element is None or element.VR == "SQ" or element.is_empty:
        return b""
    if isinstance(element.value, bytes):
        return element.value
    values = element.value if element.VM > 1 else [element.value]
    return "\\".join(str(value) for value in values).encode("utf-8")


def text_of(dataset: Dataset, tag: int) -> str:
    """Return an element's characters, one per byte (Latin-1), without padding; empty if there is none."""
    return raw_bytes(_item(dataset, tag)).decode("latin-1").strip(" \0")


def words_of(dataset: Dataset, tag: int) -> str:
    """Return an element's characters in upper case: for coded strings, which some devices write in lower case."""
    return text_of(dataset, tag).upper()


def items_of(dataset: Dataset, tag: int) -> list[Dataset]:
    """Return the items of a sequence; none if the element is missing or no sequence."""
    if BaseTag(tag) not in dataset:
        return []
    element = dataset[BaseTag(tag)]
    return list(element.value) if element.VR == "SQ" and element.value else []


def short_of(dataset: Dataset, tag: int) -> int | None:
    """Return the first value of an unsigned short (US) element; None if there is none."""
    element = _item(dataset, tag)
    if isinstance(element, DataElement) and isinstance(element.value, int):
        return element.value
    value = raw_bytes(element)[:2]
    if len(value) != 2:
        return None
    little = dataset.original_encoding[1] is not False
    return int.from_bytes(value, "little" if little else "big")


def whole_of(dataset: Dataset, tag: int) -> int | None:
    """Return the value of an integer string (IS) element; None if there is none."""
    text = text_of(dataset, tag)
    return int(text) if text.isascii() and text.isdigit() else None


def made(tag: int, vr: str, value: str | bytes, *, like: Dataset) -> RawDataElement:
    """Return an element with an ASCII or binary value, padded to even length, in the encoding of `like`."""
    content = value.encode("ascii") if isinstance(value, str) else value
    if len(content) % 2:
        content += b"\0" if vr in _NUL_PADDED else b" "
    implicit, little = (
        like._read_implicit,
        like._read_little,
    )  # what `original_encoding` gives, at a tenth of the price
    # Elements are looked up by their tags: the very object is found at once, another of the same number in Python.
    own = tag if type(tag) is BaseTag else BaseTag(tag)
    return RawDataElement(own, vr, len(content), content, 0, bool(implicit), little is not False, True)


def _item(dataset: Dataset, tag: int) -> DataElement | RawDataElement | None:
    return dataset._dict.get(cast("BaseTag", tag))  # they are equal, and have one hash
