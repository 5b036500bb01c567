"""The attributes that say how pixels are stored (DICOM PS3.3, C.7.6.3), and one frame decoded by them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut
from pydicom.tag import BaseTag
from pydicom.uid import UID

from fairbank.deid.elements import short_of, whole_of, words_of
from fairbank.deid.outcomes import Reason, Refused

PIXEL_DATA = 0x7FE00010
# Asked where no other decoder can: it reads 12-bit and lossless JPEG, and damaged input has brought it down.
_LAST = "gdcm"
_PALETTE = range(0x00281101, 0x00281224)


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """How the pixels of a file are stored.

    `planar` is Planar Configuration: 1 where each colour has a plane of its own.
    """

    rows: int
    columns: int
    frames: int
    samples: int
    bits: int
    stored: int
    high: int
    signed: bool
    photometric: str
    planar: int

    @property
    def of_one_frame(self) -> PixelFormat:
        """Return the same for a single frame."""
        return replace(self, frames=1)


def format_of(dataset: Dataset) -> PixelFormat:
    """Return how the pixels of a dataset are stored.

    Raises:
        Refused: if an attribute is missing or impossible.
    """
    rows, columns = short_of(dataset, 0x00280010), short_of(dataset, 0x00280011)
    bits = short_of(dataset, 0x00280100)
    if not rows or not columns or bits not in (1, 8, 16, 32):
        raise Refused(Reason.PIXELS_UNREADABLE)
    stored = short_of(dataset, 0x00280101) or bits
    high = short_of(dataset, 0x00280102)
    return PixelFormat(
        rows=rows,
        columns=columns,
        frames=whole_of(dataset, 0x00280008) or 1,
        samples=short_of(dataset, 0x00280002) or 1,
        bits=bits,
        stored=stored,
        high=stored - 1 if high is None else high,
        signed=short_of(dataset, 0x00280103) == 1,
        photometric=words_of(dataset, 0x00280004),
        planar=short_of(dataset, 0x00280006) or 0,
    )


def decoded(frame: bytes, form: PixelFormat, syntax: UID, *, raw: bool) -> NDArray[np.generic]:
    """Return one frame as an array: (rows, columns) or (rows, columns, samples).

    Args:
        frame: its bytes; of native pixel data little endian.
        form: how it is stored.
        syntax: its transfer syntax.
        raw: whether colours stay in their stored space; otherwise YBR becomes RGB.

    Raises:
        Refused: if there is no decoder, or the bytes do not fit.
    """
    source = _frame_dataset(frame, form, syntax)
    try:
        array, _ = get_decoder(syntax).as_array(source, raw=raw)
    except Exception as err:
        raise Refused(Reason.PIXELS_UNREADABLE) from err
    if array.shape[:2] != (form.rows, form.columns):
        raise Refused(Reason.PIXELS_UNREADABLE)
    return array


def palette_of(dataset: Dataset) -> Dataset | None:
    """Return a dataset with only the colour palette of another; None if it has none (DICOM PS3.3, C.7.9)."""
    if BaseTag(0x00281101) not in dataset:
        return None
    palette = Dataset()
    palette.set_original_encoding(*dataset.original_encoding)
    for tag in _PALETTE:
        if BaseTag(tag) in dataset:
            palette[tag] = dataset[tag]
    return palette


def coloured(indices: NDArray[np.generic], palette: Dataset) -> NDArray[np.generic]:
    """Return what a palette shows: (rows, columns, 3), 8 or 16 bit.

    Raises:
        Refused: if the palette is malformed.
    """
    try:
        return apply_color_lut(indices, palette)[..., :3]
    except Exception as err:
        raise Refused(Reason.PIXELS_UNREADABLE) from err


def is_lossy_by_name(syntax: UID) -> bool:
    """Tell whether a transfer syntax cannot hold losslessly compressed pixels: JPEG process 1, and 2 and 4."""
    return str(syntax) in ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51")


def _frame_dataset(frame: bytes, form: PixelFormat, syntax: UID) -> Dataset:
    source = Dataset()
    source.file_meta = FileMetaDataset()
    source.file_meta.TransferSyntaxUID = syntax
    source.set_original_encoding(syntax.is_implicit_VR, syntax.is_little_endian)
    source.Rows, source.Columns = form.rows, form.columns
    source.SamplesPerPixel, source.PhotometricInterpretation = form.samples, form.photometric
    source.BitsAllocated, source.BitsStored, source.HighBit = form.bits, form.stored, form.high
    source.PixelRepresentation = int(form.signed)
    if form.samples > 1:
        source.PlanarConfiguration = form.planar
    vr = "OB" if syntax.is_encapsulated or form.bits <= 8 else "OW"
    content = encapsulate([frame], has_bot=False) if syntax.is_encapsulated else frame
    source.add_new(PIXEL_DATA, vr, content)
    return source
