"""Which files may be cleaned at all: everything that this engine cannot vouch for is held back, with a reason.

The default is to refuse: a SOP class must be on the list, and its pixels must be there and whole. What the pixels show
is judged in `pixels/`.
"""

from __future__ import annotations

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag
from pydicom.uid import UID

from fairbank.deid.elements import (
    UNDEFINED_LENGTH,
    put,
    raw_bytes,
    short_of,
    stored,
    text_of,
    whole_of,
    words_of,
)
from fairbank.deid.engine import PIXEL_TAGS
from fairbank.deid.fragments import drop_offset_tables, items_of, strip_frames
from fairbank.deid.method import Method
from fairbank.deid.outcomes import Reason, Refused
from fairbank.deid.rules import Option
from fairbank.deid.standard.iods import iod_of

_PIXEL_DATA = 0x7FE00010
_BITS_ALLOCATED = 0x00280100
_STORAGE = "1.2.840.10008.5.1.4.1.1."

# SOP classes beside those named "… Image Storage" (DICOM PS3.4, Table B.5-1) that hold geometry, masks or signals.
# Voice recordings, raw data, treatment records and documents are not among them.
_OTHER_CLASSES = frozenset(
    f"{_STORAGE}{leaf}"
    for leaf in (
        "481.2",  # RT Dose
        "481.3",  # RT Structure Set
        "481.5",  # RT Plan
        "481.8",  # RT Ion Plan
        "66.1",  # Spatial Registration
        "66.2",  # Spatial Fiducials
        "66.3",  # Deformable Spatial Registration
        "66.4",  # Segmentation
        "66.5",  # Surface Segmentation
        "66.6",  # Tractography Results
        "66.7",  # Label Map Segmentation
        "66.8",  # Height Map Segmentation
        "67",  # Real World Value Mapping
        "30",  # Parametric Map
        "91.1",  # Microscopy Bulk Simple Annotations
        "4.2",  # MR Spectroscopy
        "6.2",  # Enhanced US Volume
        "9.1.1",  # 12-lead ECG Waveform
        "9.1.2",  # General ECG Waveform
        "9.1.3",  # Ambulatory ECG Waveform
        "9.1.4",  # General 32-bit ECG Waveform
        "9.2.1",  # Hemodynamic Waveform
        "9.3.1",  # Basic Cardiac Electrophysiology Waveform
        "9.5.1",  # Arterial Pulse Waveform
        "9.6.1",  # Respiratory Waveform
        "9.6.2",  # Multi-channel Respiratory Waveform
        "9.7.1",  # Routine Scalp Electroencephalogram Waveform
        "9.7.2",  # Electromyogram Waveform
        "9.7.3",  # Electrooculogram Waveform
        "9.7.4",  # Sleep Electroencephalogram Waveform
    )
)
_ENCAPSULATED = f"{_STORAGE}104"
_REPORTS = f"{_STORAGE}88"
_PRESENTATION_STATES = f"{_STORAGE}11."
_MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"


def refusal(dataset: Dataset, method: Method | None = None) -> Reason | None:
    """Return why a file is held back, or None if it may be cleaned.

    Args:
        dataset: the file as it came in.
        method: how it would be cleaned; without it, nothing that needs an option beyond the profiles is admitted.
    """
    sop_class = text_of(dataset, 0x00080016)
    by_class = admits(sop_class, method)
    if by_class is not None:
        return by_class
    if any(not text_of(dataset, tag) for tag in (0x0020000D, 0x0020000E, 0x00080018)):
        return Reason.UIDS_MISSING
    if _hides_overlay(dataset):
        return Reason.OVERLAY_IN_PIXELS
    return _pixel_refusal(dataset, sop_class)


def trim_pixels(dataset: Dataset) -> None:
    """Leave nothing in the pixel data that no pixel is made of: bytes beyond the image, comments inside of frames.

    Raises:
        Refused: if compressed frames cannot be walked.
    """
    expected = _expected_length(dataset)
    element = _pixel_element(dataset)
    if element is not None and _is_encapsulated(element):
        strip_frames(dataset)
        return
    drop_offset_tables(dataset)
    if expected is None:
        return
    even = expected + expected % 2
    for tag in PIXEL_TAGS:
        native = stored(dataset).get(BaseTag(tag))
        if isinstance(native, RawDataElement) and len(raw_bytes(native)) > even:
            put(dataset, native._replace(value=raw_bytes(native)[:even], length=even))


def admits(sop_class: str, method: Method | None = None) -> Reason | None:
    """Return why no object of a SOP class may be cleaned with a method; None if it may.

    Reports and key object notes need Clean Structured Content, presentation states Clean Graphics: nothing else knows
    how to clean them.
    """
    options = frozenset[Option]() if method is None else method.options
    if sop_class == _MEDIA_DIRECTORY:
        return Reason.MEDIA_DIRECTORY
    if sop_class.startswith(f"{_ENCAPSULATED}."):
        return Reason.ENCAPSULATED_DOCUMENT
    if iod_of(sop_class) is None:
        return Reason.UNKNOWN_SOP_CLASS
    if sop_class.startswith(f"{_REPORTS}."):
        return None if Option.CLEAN_STRUCTURED_CONTENT in options else Reason.STRUCTURED_REPORT
    if sop_class.startswith(_PRESENTATION_STATES):
        return None if Option.CLEAN_GRAPHICS in options else Reason.UNKNOWN_SOP_CLASS
    is_image = "Image Storage" in UID(sop_class).name
    return None if is_image or sop_class in _OTHER_CLASSES else Reason.UNKNOWN_SOP_CLASS


def _hides_overlay(dataset: Dataset) -> bool:
    """Return whether an overlay is kept in the unused bits of the pixel data (retired in DICOM 2004)."""
    pixel_bits = short_of(dataset, _BITS_ALLOCATED)
    for group in range(0x6000, 0x6020, 2):
        bits = short_of(dataset, group << 16 | 0x0100)
        has_plane = BaseTag(group << 16 | 0x3000) in dataset
        if bits is not None and bits > 1 and bits == pixel_bits and not has_plane:
            return True
    return False


def _pixel_refusal(dataset: Dataset, sop_class: str) -> Reason | None:
    element = _pixel_element(dataset)
    if element is None:
        needs_pixels = "Image Storage" in UID(sop_class).name or sop_class.endswith(".66.4")
        present = any(BaseTag(tag) in dataset for tag in PIXEL_TAGS)
        return Reason.PIXELS_MISSING if needs_pixels and not present else None
    value = raw_bytes(element)
    if element.length != UNDEFINED_LENGTH and len(value) != element.length:
        return Reason.TRUNCATED
    if _is_encapsulated(element):
        return _fragment_refusal(dataset, value)
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        return Reason.UNDECODABLE
    expected = _expected_length(dataset)
    if expected is None:
        return Reason.UNDECODABLE
    return Reason.TRUNCATED if len(value) < expected else None


def _fragment_refusal(dataset: Dataset, value: bytes) -> Reason | None:
    try:
        count = len(items_of(value))
    except Refused as refused:
        return refused.reason
    frames = whole_of(dataset, 0x00280008) or 1
    # The first item is the offset table; every frame has one fragment or more (DICOM PS3.5, Annex A.4).
    return None if count - 1 >= frames else Reason.TRUNCATED


def _expected_length(dataset: Dataset) -> int | None:
    """Return the length of native pixel data in bytes (DICOM PS3.5, section 8.1); None if the header does not say."""
    rows, columns = short_of(dataset, 0x00280010), short_of(dataset, 0x00280011)
    bits = short_of(dataset, _BITS_ALLOCATED)
    if not rows or not columns or not bits:
        return None
    samples = short_of(dataset, 0x00280002) or 1
    frames = whole_of(dataset, 0x00280008) or 1
    if words_of(dataset, 0x00280004) == "YBR_FULL_422":
        samples = 2
    return (rows * columns * samples * frames * bits + 7) // 8


def _is_encapsulated(element: RawDataElement) -> bool:
    return bool(element.length == UNDEFINED_LENGTH)


def _pixel_element(dataset: Dataset) -> RawDataElement | None:
    tag = BaseTag(_PIXEL_DATA)
    element = dataset.get_item(tag) if tag in dataset else None
    return element if isinstance(element, RawDataElement) else None
