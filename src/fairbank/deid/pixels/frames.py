"""The frames of one file: shown one at a time, blanked in place, and put back so that nothing else changes.

Native pixels are overwritten where they lie. Of compressed ones only frames that were blanked are encoded again, in the
file's own transfer syntax if it can hold them without loss; otherwise all frames become RLE Lossless. Every frame that
was encoded is decoded again and compared before it is used.
"""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.encoders.base import get_encoder
from pydicom.tag import BaseTag
from pydicom.uid import (
    JPEG2000,
    UID,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from fairbank.deid.elements import UNDEFINED_LENGTH, made, raw_bytes
from fairbank.deid.fragments import IN_MEMORY_BYTES
from fairbank.deid.outcomes import Reason, Refused
from fairbank.deid.pixels.image_pixels import (
    PIXEL_DATA,
    PixelFormat,
    coloured,
    decoded,
    format_of,
    is_lossy_by_name,
    palette_of,
)
from fairbank.deid.pixels.work import Box

# Transfer syntaxes in which a frame can be stored without loss beside frames that were stored with loss.
_WRITABLE = frozenset({RLELossless, JPEG2000Lossless, JPEG2000, JPEGLSLossless, JPEGLSNearLossless})
# One proven encoder each: GDCM's can bring the process down.
_ENCODED_BY = {
    RLELossless: "pylibjpeg",
    JPEG2000Lossless: "pylibjpeg",
    JPEG2000: "pylibjpeg",
    JPEGLSLossless: "pyjpegls",
    JPEGLSNearLossless: "pyjpegls",
}
_PIECE_BYTES = 4 << 20
_OFFSET_TABLES = (0x7FE00001, 0x7FE00002)


class Frames(Protocol):
    """The frames of one file."""

    form: PixelFormat

    def shown(self, number: int) -> NDArray[np.generic]:
        """Return a frame as it is shown: (rows, columns), or (rows, columns, 3) in RGB; not windowed, not inverted."""
        ...

    def blank(self, number: int, boxes: Iterable[Box]) -> None:
        """Fill boxes of a frame with what shows as black."""
        ...

    def put_back(self, dataset: Dataset) -> None:
        """Replace the pixel data of a dataset, and whatever says how it is stored, if a frame was blanked."""
        ...


def frames_of(dataset: Dataset) -> Frames:
    """Return the frames of a dataset that was just read; the dataset stays as it is.

    Raises:
        Refused: if the pixels cannot be decoded.
    """
    if BaseTag(PIXEL_DATA) not in dataset:
        raise Refused(Reason.PIXELS_UNREADABLE)
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    return CompressedFrames(dataset, syntax) if syntax.is_encapsulated else NativeFrames(dataset, syntax)


class NativeFrames:
    """Frames that are stored as plain numbers."""

    def __init__(self, dataset: Dataset, syntax: UID) -> None:
        self.form = format_of(dataset)
        self._palette = palette_of(dataset)
        element = dataset.get_item(BaseTag(PIXEL_DATA))
        value: bytes | memoryview = raw_bytes(element)
        mapped = isinstance(value, memoryview) and syntax.is_little_endian
        # What is mapped from a file is copied only when it has to be changed.
        self._content: bytearray | mmap.mmap | memoryview = value if mapped else _own_copy(value)  # type: ignore[assignment]  # one of the two
        self._words = 2 if element.VR == "OW" and self.form.bits <= 8 else max(1, self.form.bits // 8)
        self._big = not syntax.is_little_endian
        self._bits_each = _bits_per_frame(self.form)
        self._changed = False
        if self._big:
            self._swap()

    def shown(self, number: int) -> NDArray[np.generic]:
        """Return a frame as it is shown."""
        if self.form.bits == 1:
            return self._single_bits(number) * np.uint8(255)
        start, stop = self._span(number)
        frame = bytes(memoryview(self._content)[start:stop])
        array = decoded(frame, self.form.of_one_frame, ExplicitVRLittleEndian, raw=False)
        return _as_shown(array, self.form, self._palette)

    def blank(self, number: int, boxes: Iterable[Box]) -> None:
        """Fill boxes of a frame with what shows as black."""
        self._changed = True
        if isinstance(self._content, memoryview):
            self._content = _own_copy(self._content)
        if self.form.bits == 1:
            array = self._single_bits(number)
            for box in boxes:
                array[_rectangle(box)] = 0
            self._put_bits(number, array)
            return
        view = self._stored(number)
        fill = _fill(view, self.form, self._palette)
        for box in boxes:
            self._fill_box(view, box, fill)

    def put_back(self, dataset: Dataset) -> None:
        """Replace the pixel data of a dataset if a frame was blanked."""
        if not self._changed:
            return
        if self._big:
            self._swap()
        content = self._content
        # pydicom stores what it is given; a file's mapping is written piece by piece.
        value = bytes(content) if isinstance(content, bytearray) else cast("bytes", memoryview(content))
        _replace_pixels(dataset, value)
        if self._big and isinstance(content, bytearray):
            self._swap()

    def _stored(self, number: int) -> NDArray[np.generic]:
        form = self.form
        start, stop = self._span(number)
        kind = np.dtype(f"<{'i' if form.signed else 'u'}{form.bits // 8}")
        flat = np.frombuffer(memoryview(self._content)[start:stop], kind)
        if form.photometric == "YBR_FULL_422":
            return flat.reshape(form.rows, form.columns // 2, 4)
        if form.samples == 1:
            return flat.reshape(form.rows, form.columns)
        if form.planar == 1:
            return flat.reshape(form.samples, form.rows, form.columns).transpose(1, 2, 0)
        return flat.reshape(form.rows, form.columns, form.samples)

    def _fill_box(self, view: NDArray[np.generic], box: Box, fill: NDArray[np.generic]) -> None:
        if self.form.photometric == "YBR_FULL_422":  # two pixels share their colours: whole pairs are blanked
            pair = slice(box.left // 2, (box.left + box.width + 1) // 2)
            view[box.top : box.top + box.height, pair] = np.array([fill[0], fill[0], fill[1], fill[2]])
            return
        view[_rectangle(box)] = fill

    def _single_bits(self, number: int) -> NDArray[np.uint8]:
        form = self.form
        bits = np.unpackbits(np.frombuffer(self._content, np.uint8), bitorder="little")
        start = number * self._bits_each
        return bits[start : start + self._bits_each].reshape(form.rows, form.columns).copy()

    def _put_bits(self, number: int, array: NDArray[np.uint8]) -> None:
        bits = np.unpackbits(np.frombuffer(self._content, np.uint8), bitorder="little")
        start = number * self._bits_each
        bits[start : start + self._bits_each] = array.ravel()
        changed = np.packbits(bits, bitorder="little").tobytes()[: len(self._content)]
        memoryview(self._content)[:] = changed

    def _span(self, number: int) -> tuple[int, int]:
        size = self._bits_each // 8
        if (number + 1) * size > len(self._content):
            raise Refused(Reason.TRUNCATED)
        return number * size, (number + 1) * size

    def _swap(self) -> None:
        size = self._words
        if size > 1:
            whole = len(self._content) // size * size
            view = np.frombuffer(memoryview(self._content)[:whole], f"<u{size}")
            view.byteswap(inplace=True)


def _own_copy(value: bytes | memoryview) -> bytearray | mmap.mmap:
    """Return a copy that may be changed; a large one lies in a file without a name, not in memory."""
    if len(value) <= IN_MEMORY_BYTES:
        return bytearray(value)
    with tempfile.TemporaryFile() as file:
        for start in range(0, len(value), _PIECE_BYTES):
            file.write(value[start : start + _PIECE_BYTES])
        file.flush()
        return mmap.mmap(file.fileno(), 0)


class CompressedFrames:
    """Frames that are stored compressed."""

    def __init__(self, dataset: Dataset, syntax: UID) -> None:
        self.form = format_of(dataset)
        self._syntax = syntax
        self._palette = palette_of(dataset)
        value = bytes(raw_bytes(dataset.get_item(BaseTag(PIXEL_DATA))))
        try:
            self._frames = list(generate_frames(value, number_of_frames=self.form.frames))
        except ValueError as err:
            raise Refused(Reason.PIXELS_UNREADABLE) from err
        if len(self._frames) != self.form.frames:
            raise Refused(Reason.TRUNCATED)
        self._boxes: dict[int, list[Box]] = {}

    def shown(self, number: int) -> NDArray[np.generic]:
        """Return a frame as it is shown."""
        return _as_shown(self._array(number, raw=False), self.form, self._palette)

    def blank(self, number: int, boxes: Iterable[Box]) -> None:
        """Fill boxes of a frame with what shows as black."""
        self._boxes.setdefault(number, []).extend(boxes)

    def put_back(self, dataset: Dataset) -> None:
        """Replace the pixel data of a dataset, and whatever says how it is stored, if a frame was blanked."""
        if not self._boxes:
            return
        try:
            self._put_back(dataset, self._syntax, self._in_place())
        except _CannotHold:
            self._put_back(dataset, RLELossless, self._as_rle())
            self._describe_rle(dataset)

    def _array(self, number: int, *, raw: bool) -> NDArray[np.generic]:
        array = decoded(self._frames[number], self.form.of_one_frame, self._syntax, raw=raw)
        boxes = self._boxes.get(number)
        if not boxes:
            return array
        array = array.copy()
        form = self.form if raw else _shown_form(self.form)
        fill = _fill(array, form, self._palette)
        for box in boxes:
            array[_rectangle(box)] = fill
        return array

    def _in_place(self) -> list[bytes]:
        if self._syntax not in _WRITABLE or self.form.photometric in ("YBR_ICT", "YBR_FULL_422"):
            raise _CannotHold
        frames = list(self._frames)
        for number in self._boxes:
            frames[number] = _encoded(self._array(number, raw=True), self.form.of_one_frame, self._syntax)
        return frames

    def _as_rle(self) -> list[bytes]:
        form = _shown_form(self.form).of_one_frame
        try:
            return [
                _encoded(self._array(number, raw=False), form, RLELossless)
                for number in range(len(self._frames))
            ]
        except _CannotHold as err:
            raise Refused(Reason.PIXELS_UNREADABLE) from err

    def _put_back(self, dataset: Dataset, syntax: UID, frames: list[bytes]) -> None:
        _replace_pixels(dataset, encapsulate(frames, has_bot=sum(map(len, frames)) < 2**31))
        dataset.file_meta.TransferSyntaxUID = syntax
        for tag in _OFFSET_TABLES:
            if BaseTag(tag) in dataset:
                del dataset[BaseTag(tag)]

    def _describe_rle(self, dataset: Dataset) -> None:
        form = _shown_form(self.form)
        dataset[0x00280004] = made(0x00280004, "CS", form.photometric, like=dataset)
        if form.samples > 1:
            dataset[0x00280006] = made(0x00280006, "US", b"\1\0", like=dataset)
        if is_lossy_by_name(self._syntax):  # the new transfer syntax no longer tells
            dataset[0x00282110] = made(0x00282110, "CS", "01", like=dataset)


def _replace_pixels(dataset: Dataset, value: bytes) -> None:
    """Put a value in the place of pixel data that was just read, so that it still counts as the end of the file."""
    element = dataset.get_item(BaseTag(PIXEL_DATA))
    if not isinstance(element, RawDataElement):
        raise Refused(Reason.PIXELS_UNREADABLE)
    length = element.length if element.length == UNDEFINED_LENGTH else len(value)
    dataset[BaseTag(PIXEL_DATA)] = element._replace(value=value, length=length)


class _CannotHold(Exception):
    """The transfer syntax cannot hold this frame without loss."""


def _encoded(array: NDArray[np.generic], form: PixelFormat, syntax: UID) -> bytes:
    """Return a frame compressed without loss, and proven to be so."""
    try:
        frame = get_encoder(syntax).encode(
            np.ascontiguousarray(array),
            rows=form.rows,
            columns=form.columns,
            number_of_frames=1,
            samples_per_pixel=form.samples,
            bits_allocated=form.bits,
            bits_stored=form.stored,
            pixel_representation=int(form.signed),
            photometric_interpretation=form.photometric,
            planar_configuration=0,
            encoding_plugin=_ENCODED_BY[syntax],
        )
        back = decoded(frame, form, syntax, raw=True)
    except Exception as err:
        raise _CannotHold from err
    if back.shape != array.shape or not np.array_equal(back, array):
        raise _CannotHold
    return frame


def _shown_form(form: PixelFormat) -> PixelFormat:
    return replace(form, photometric="RGB") if form.photometric.startswith("YBR") else form


def _as_shown(array: NDArray[np.generic], form: PixelFormat, palette: Dataset | None) -> NDArray[np.generic]:
    if form.photometric == "PALETTE COLOR" and palette is not None:
        return coloured(array, palette)
    return array


def _fill(view: NDArray[np.generic], form: PixelFormat, palette: Dataset | None) -> NDArray[np.generic]:
    """Return what shows as black: a number, or three."""
    if form.photometric == "PALETTE COLOR" and palette is not None:
        used = np.unique(view)
        darkest = int(np.argmin(coloured(used[None, :], palette).astype(np.int64).sum(axis=-1)[0]))
        return np.asarray(used[darkest])
    if form.photometric.startswith("YBR") and form.photometric != "YBR_RCT":
        return np.array([0, 1 << form.stored - 1, 1 << form.stored - 1]).astype(view.dtype)
    if form.samples > 1:
        return np.zeros(form.samples, view.dtype)
    return np.asarray(view.max() if form.photometric == "MONOCHROME1" else view.min())


def _rectangle(box: Box) -> tuple[slice, slice]:
    return slice(box.top, box.top + box.height), slice(box.left, box.left + box.width)


def _bits_per_frame(form: PixelFormat) -> int:
    samples = 2 if form.photometric == "YBR_FULL_422" else form.samples
    return form.rows * form.columns * samples * form.bits
