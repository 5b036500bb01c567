"""Which files may be cleaned at all: everything that this engine cannot vouch for is held back, with a reason.

The default is to refuse: a SOP class must be on the list, its pixels must be there and whole, and a kind of image that
usually carries burned-in text must say that it carries none.
"""

from __future__ import annotations

from enum import StrEnum

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.encaps import parse_fragments
from pydicom.tag import BaseTag
from pydicom.uid import UID

from fairbank.deid.elements import UNDEFINED_LENGTH, raw_bytes, short_of, text_of, whole_of, words_of
from fairbank.deid.engine import PIXEL_TAGS
from fairbank.deid.outcomes import Reason

_PIXEL_DATA = 0x7FE00010
_BITS_ALLOCATED = 0x00280100


class PixelTrust(StrEnum):
    """What is believed of pixels that say nothing about burned-in text (0028,0301).

    STRICT holds ultrasound and secondary captures. ULTRASOUND admits ultrasound, REVIEWED both: for collections
    at whose pixels a person has looked. A file that says YES is held in any case; no output says NO on this ground.
    """

    STRICT = "strict"
    ULTRASOUND = "ultrasound"
    REVIEWED = "reviewed"


# SOP classes beside those named "… Image Storage" (DICOM PS3.4, Table B.5-1) that hold geometry, masks or signals.
_OTHER_CLASSES = frozenset(
    f"1.2.840.10008.5.1.4.1.1.{leaf}"
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
        "66.7",  # Label Map Segmentation
        "67",  # Real World Value Mapping
        "30",  # Parametric Map
        "9.1.1",  # 12-lead ECG Waveform
        "9.1.2",  # General ECG Waveform
    )
)
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_ENCAPSULATED = "1.2.840.10008.5.1.4.1.1.104"
_REPORTS = "1.2.840.10008.5.1.4.1.1.88"
_MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"
# Conversion Type (0008,0064): digitized film, workstation, scanned document, drawing (DICOM PS3.3, C.8.6.1).
_CAPTURED = frozenset({"DF", "WSD", "SD", "DRW", "DI", "DV", "SI", "SYN"})
# Photographs and their films: they show faces, labels and name badges.
_PHOTOGRAPHS = frozenset(f"1.2.840.10008.5.1.4.1.1.77.1.{leaf}" for leaf in ("1", "1.1", "2.1", "4", "4.1"))
# Image Type (0008,0008) of screens that were saved as images, and of the label of a slide.
_SCREENS = frozenset({"SCREEN SAVE", "SCREENSAVE", "SCREENSHOT", "DOSE_INFO", "LABEL", "OVERVIEW"})


def refusal(dataset: Dataset, *, trust: PixelTrust) -> Reason | None:
    """Return why a file is held back, or None if it may be cleaned."""
    sop_class = text_of(dataset, 0x00080016)
    by_class = _class_refusal(sop_class)
    if by_class is not None:
        return by_class
    if any(not text_of(dataset, tag) for tag in (0x0020000D, 0x0020000E, 0x00080018)):
        return Reason.UIDS_MISSING
    burned_in = words_of(dataset, 0x00280301)
    if burned_in == "YES":
        return Reason.BURNED_IN
    if burned_in != "NO" and _carries_text(dataset, sop_class, trust):
        return Reason.PIXELS_UNVERIFIED
    if _hides_overlay(dataset):
        return Reason.OVERLAY_IN_PIXELS
    return _pixel_refusal(dataset, sop_class)


def trim_pixels(dataset: Dataset) -> None:
    """Cut native pixel data to the length that the image has: surplus bytes could hold anything."""
    expected = _expected_length(dataset)
    element = _pixel_element(dataset)
    if expected is None or element is None or _is_encapsulated(element):
        return
    value = raw_bytes(element)
    even = expected + expected % 2
    if len(value) > even:
        dataset[BaseTag(_PIXEL_DATA)] = element._replace(value=value[:even], length=even)


def _class_refusal(sop_class: str) -> Reason | None:
    if sop_class == _MEDIA_DIRECTORY:
        return Reason.MEDIA_DIRECTORY
    if sop_class.startswith(f"{_ENCAPSULATED}."):
        return Reason.ENCAPSULATED_DOCUMENT
    if sop_class.startswith(f"{_REPORTS}."):
        return Reason.STRUCTURED_REPORT
    uid = UID(sop_class)
    is_image = uid.type == "SOP Class" and "Image Storage" in uid.name
    return None if is_image or sop_class in _OTHER_CLASSES else Reason.UNKNOWN_SOP_CLASS


def _carries_text(dataset: Dataset, sop_class: str, trust: PixelTrust) -> bool:
    if trust is PixelTrust.REVIEWED:
        return False
    captured = sop_class == _SECONDARY_CAPTURE or sop_class.startswith(f"{_SECONDARY_CAPTURE}.")
    if captured or sop_class in _PHOTOGRAPHS or words_of(dataset, 0x00080064) in _CAPTURED:
        return True
    if not _SCREENS.isdisjoint(words_of(dataset, 0x00080008).split("\\")):
        return True
    is_ultrasound = words_of(dataset, 0x00080060) in ("US", "IVUS") or "Ultrasound" in UID(sop_class).name
    return is_ultrasound and trust is PixelTrust.STRICT


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
        count, _ = parse_fragments(value)
    except ValueError:
        return Reason.UNDECODABLE
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
