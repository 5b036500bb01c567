"""What a header's elements say, as text: read from the bytes as they are in the file, without a value object each.

An index reads millions of headers. Making pydicom's values of fifty elements costs twice what reading them costs, and
nearly all are plain ASCII; only what is not goes the long way through the character sets.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Any

from pydicom.charset import convert_encodings, decode_bytes
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag
from pydicom.valuerep import TEXT_VR_DELIMS

# Value representations that are binary numbers: how `struct` unpacks one (DICOM PS3.5, table 6.2-1).
_BINARY = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d"}
_PADDING = " \0"


class Wanted:
    """The elements that somebody wants to read, by keyword.

    Args:
        keywords: keywords of the standard's dictionary (DICOM PS3.6).
    """

    def __init__(self, keywords: Iterable[str]) -> None:
        self._keywords: dict[int, str] = {}
        self._vrs: dict[int, str] = {}
        for keyword in keywords:
            tag = tag_for_keyword(keyword)
            if tag is None:
                raise KeyError(keyword)
            self._keywords[int(tag)] = keyword
            self._vrs[int(tag)] = dictionary_VR(tag)
        # As tags, so that pydicom need not look each keyword up for each file.
        self.tags = [BaseTag(tag) for tag in self._keywords]

    def texts(self, dataset: Dataset) -> dict[str, str]:
        """Return what is there, by keyword; several values with backslashes between, sequences as `""`."""
        said = {}
        for element in dataset.values():
            tag = int(element.tag)
            keyword = self._keywords.get(tag)
            if keyword is not None:
                said[keyword] = self._text(dataset, element, tag)
        return said

    def _text(self, dataset: Dataset, element: DataElement | RawDataElement, tag: int) -> str:
        if not isinstance(element, RawDataElement):
            return _of_value(element)
        content = element.value
        if not content:
            return ""
        vr = element.VR
        if vr is None or vr == "UN":
            vr = self._vrs[tag]
        if vr in _BINARY:
            return _numbers(content, _BINARY[vr], little=element.is_little_endian)
        if vr == "SQ":
            return ""
        # An escape starts another character set (ISO 2022), though each byte of it may look like ASCII.
        if content.isascii() and b"\x1b" not in content:
            return content.decode("ascii").strip(_PADDING)
        return _decoded(content, dataset)


def parts(text: str) -> list[str]:
    r"""Return the values of an element, without padding.

    >>> parts(r"ORIGINAL\PRIMARY \AXIAL"), parts("")
    (['ORIGINAL', 'PRIMARY', 'AXIAL'], [])
    """
    return [part.strip(_PADDING) for part in text.split("\\")] if text else []


def said_of(texts: Mapping[str, str], *keywords: str) -> str:
    """Return the first text that is not empty."""
    return next((texts[keyword] for keyword in keywords if texts.get(keyword)), "")


def _of_value(element: DataElement) -> str:
    """Return the text of an element whose value was made already, as in a dataset from JSON."""
    value: Any = element.value
    if value is None or element.VR == "SQ":
        return ""
    if isinstance(value, MultiValue | list):
        return "\\".join(str(part).strip(_PADDING) for part in value)
    if isinstance(value, bytes):
        return value.decode("latin-1").strip(_PADDING)
    return str(value).strip(_PADDING)


def _numbers(content: bytes, form: str, *, little: bool) -> str:
    count = len(content) // struct.calcsize(form)
    if count == 0:
        return ""
    order = "<" if little else ">"
    values = struct.unpack_from(f"{order}{count}{form}", content)
    return "\\".join(map(str, values))


def _decoded(content: bytes, dataset: Dataset) -> str:
    """Return text in the file's own character set; what cannot be decoded is taken byte for byte."""
    try:
        names = dataset.get("SpecificCharacterSet")
        encodings = convert_encodings(names) if names else ["iso8859"]
        text: str = decode_bytes(content, encodings, TEXT_VR_DELIMS)
    except Exception:  # noqa: BLE001 - a misspelt character set or broken bytes; each spoils this one text only
        text = content.decode("latin-1")
    return text.strip(_PADDING)
