"""Datasets as bytes (DICOM PS3.5, chapter 7): elements that were never decoded are copied, sequences get plain lengths.

pydicom's own writer does the same at a third of the speed; it still writes what this cannot copy.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element, write_dataset
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32

from fairbank.deid.elements import UNDEFINED_LENGTH, stored
from fairbank.deid.outcomes import Reason, Refused

_ITEM = (0xFFFE, 0xE000)
_SEQUENCE_END = (0xFFFE, 0xE0DD)
_LONGEST_SHORT = 0xFFFF
# By byte order: how tag and length are packed in implicit VR, with a short length, and with a long one.
_HEADS = {
    little: tuple(struct.Struct(("<" if little else ">") + form).pack for form in ("HHL", "HH2sH", "HH2sHL"))
    for little in (True, False)
}


@dataclass(frozen=True, slots=True)
class Encoding:
    """How elements are written: explicit or implicit VR, little or big endian."""

    implicit: bool
    little: bool

    def dataset(self, dataset: Dataset) -> bytes:
        """Return the elements of a dataset in the order of their tags.

        Raises:
            Refused: if an element has no VR that could be written.
        """
        return b"".join(self.parts(dataset))

    def parts(self, dataset: Dataset) -> list[bytes]:
        """Return the same in parts, among them the long values of the dataset itself: they are not copied.

        Raises:
            Refused: as `dataset` does.
        """
        original = dataset.original_encoding
        if None not in original and original != (self.implicit, self.little):
            return [self._converted(dataset)]
        elements = stored(dataset)
        parts: list[bytes] = []
        for tag in sorted(elements, key=int):
            element = elements[tag]
            if isinstance(element, RawDataElement):
                parts += self._raw(element)
            else:
                parts.append(self._element(element))
        return parts

    def items(self, items: Iterable[Dataset]) -> bytes:
        """Return the value of a sequence.

        Raises:
            Refused: as `dataset` does.
        """
        return b"".join(self._item(item) for item in items)

    def chunks(self, dataset: Dataset, *, size: int) -> Iterator[tuple[bytes, bool]]:
        """Yield a dataset's bytes in pieces, and whether a piece is of a value that is mapped from a file.

        Only values of `large_files.opened` are mapped; they come in pieces of `size` bytes.

        Raises:
            Refused: as `dataset` does.
        """
        original = dataset.original_encoding
        if None not in original and original != (self.implicit, self.little):
            yield self._converted(dataset), False
            return
        elements = stored(dataset)
        for tag in sorted(elements, key=int):
            element = elements[tag]
            if not isinstance(element, RawDataElement) or not isinstance(element.value, memoryview):
                yield self._element(element), False
                continue
            whole, undefined = element.value, element.length == UNDEFINED_LENGTH
            length = UNDEFINED_LENGTH if undefined else len(whole)
            yield self._head(int(tag), element.VR, length), False
            for start in range(0, len(whole), size):
                yield bytes(whole[start : start + size]), True
            if undefined:
                yield self._pack("HHL", *_SEQUENCE_END, 0), False

    def _element(self, element: DataElement | RawDataElement) -> bytes:
        if isinstance(element, RawDataElement):
            return b"".join(self._raw(element))
        if element.VR == "SQ":
            items = self.items(element.value or ())
            return self._head(int(element.tag), "SQ", len(items)) + items
        buffer = self._buffer()
        write_data_element(buffer, element)
        return buffer.getvalue()

    def _raw(self, element: RawDataElement) -> tuple[bytes, ...]:
        value = element.value or b""
        if element.length != UNDEFINED_LENGTH:
            return self._head(int(element.tag), element.VR, len(value)), value
        head = self._head(int(element.tag), element.VR, UNDEFINED_LENGTH)
        return head, value, self._pack("HHL", *_SEQUENCE_END, 0)

    def _item(self, item: Dataset) -> bytes:
        content = self.dataset(item)
        return self._pack("HHL", *_ITEM, len(content)) + content

    def _head(self, tag: int, vr: str | None, length: int) -> bytes:
        plain, short, long = _HEADS[self.little]
        if self.implicit:
            return plain(tag >> 16, tag & 0xFFFF, length)
        if vr is None or len(vr) != 2:
            raise Refused(Reason.UNDECODABLE)
        if vr in EXPLICIT_VR_LENGTH_32:
            return long(tag >> 16, tag & 0xFFFF, vr.encode("ascii"), 0, length)
        if length > _LONGEST_SHORT:
            raise Refused(Reason.UNDECODABLE)
        return short(tag >> 16, tag & 0xFFFF, vr.encode("ascii"), length)

    def _converted(self, dataset: Dataset) -> bytes:
        buffer = self._buffer()
        write_dataset(buffer, dataset)
        return buffer.getvalue()

    def _buffer(self) -> DicomBytesIO:
        buffer = DicomBytesIO()
        buffer.is_implicit_VR, buffer.is_little_endian = self.implicit, self.little
        return buffer

    def _pack(self, form: str, *values: int | bytes) -> bytes:
        return struct.pack(("<" if self.little else ">") + form, *values)
