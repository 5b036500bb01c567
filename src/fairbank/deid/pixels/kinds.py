"""Which files are looked at, judged by tags alone."""

from __future__ import annotations

import hashlib
from enum import Enum

from pydicom.dataset import Dataset
from pydicom.uid import UID

from fairbank.deid.elements import short_of, text_of, words_of
from fairbank.deid.method import Method
from fairbank.deid.policies import PixelTrust

_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
# Conversion Type (0008,0064): digitized film, workstation, scanned document, drawing (DICOM PS3.3, C.8.6.1).
_CAPTURED = frozenset({"DF", "WSD", "SD", "DRW", "DI", "DV", "SI", "SYN"})
# Photographs and their films: they show faces, labels and name badges.
_PHOTOGRAPHS = frozenset(f"1.2.840.10008.5.1.4.1.1.77.1.{leaf}" for leaf in ("1", "1.1", "2.1", "4", "4.1"))
# Image Type (0008,0008) of screens that were saved as images, and of the label of a slide.
_SCREENS = frozenset({"SCREEN SAVE", "SCREENSAVE", "SCREENSHOT", "DOSE_INFO", "LABEL", "OVERVIEW"})
# Modalities whose devices print text into images often enough that each image is looked at.
_PRINTING = frozenset(
    {"US", "IVUS", "SC", "XC", "OT", "ES", "GM", "RF", "XA", "MG", "CR", "DX", "PX", "IO", "RG", "HC"}
)
_LOCALIZERS = frozenset({"LOCALIZER", "LOCAL", "SCOUT"})
_SERIAL = frozenset({"CT", "MR", "PT", "NM"})
_BITS_OF_SCREENS = 8
# No picture to look at: masks, maps and doses, whose pixels no device prints on.
_WITHOUT_TEXT = frozenset({"SEG", "RTDOSE", "RTSTRUCT", "RTPLAN", "REG", "RWV", "ECG"})


class Look(Enum):
    """How closely a file is looked at: SAMPLE and LIGHT alike, but one is a spot check and the other is needed."""

    NOT = "not"
    SAMPLE = "sample"
    LIGHT = "light"
    FULL = "full"


def look_at(dataset: Dataset, method: Method) -> Look:
    """Return how closely the pixels of a file have to be looked at; decodes nothing."""
    burned_in = words_of(dataset, 0x00280301)
    modality = words_of(dataset, 0x00080060)
    if burned_in == "YES":
        return Look.FULL
    if modality in _WITHOUT_TEXT:
        return Look.NOT
    if carries_text(dataset, method.trust):  # a flag that says NO spares such a file a person, not a look
        return Look.FULL
    if burned_in == "NO" or method.trust is PixelTrust.REVIEWED:
        return _sampled(dataset, method)
    if _is_ultrasound(dataset):
        return _sampled(dataset, method)
    kind = set(words_of(dataset, 0x00080008).split("\\"))
    if modality in _SERIAL:
        if _is_screen(dataset):
            return Look.FULL
        plain = "DERIVED" not in kind and _LOCALIZERS.isdisjoint(kind)
        return _sampled(dataset, method) if plain else Look.LIGHT
    return Look.FULL if modality in _PRINTING or "DERIVED" in kind else _sampled(dataset, method)


def _is_screen(dataset: Dataset) -> bool:
    """Tell whether a slice has the pixels of a screen: 8 bits, or colours. Scanners write 12 to 16 bits of grey."""
    samples, bits = short_of(dataset, 0x00280002) or 1, short_of(dataset, 0x00280101) or 16
    return samples > 1 or bits <= _BITS_OF_SCREENS or words_of(dataset, 0x00280004) == "PALETTE COLOR"


def carries_text(dataset: Dataset, trust: PixelTrust) -> bool:
    """Tell whether files of this kind carry text so often that finding none is no proof."""
    if trust is PixelTrust.REVIEWED:
        return False
    sop_class = text_of(dataset, 0x00080016)
    captured = sop_class == _SECONDARY_CAPTURE or sop_class.startswith(f"{_SECONDARY_CAPTURE}.")
    if captured or sop_class in _PHOTOGRAPHS or words_of(dataset, 0x00080064) in _CAPTURED:
        return True
    if not _SCREENS.isdisjoint(words_of(dataset, 0x00080008).split("\\")):
        return True
    return trust is PixelTrust.STRICT and _is_ultrasound(dataset)


def _sampled(dataset: Dataset, method: Method) -> Look:
    """Pick one file in so many, always the same ones."""
    if not method.look_at_one_in:
        return Look.NOT
    digest = hashlib.sha256(text_of(dataset, 0x00080018).encode("latin-1")).digest()
    return Look.SAMPLE if int.from_bytes(digest[:8], "big") % method.look_at_one_in == 0 else Look.NOT


def _is_ultrasound(dataset: Dataset) -> bool:
    is_named = "Ultrasound" in UID(text_of(dataset, 0x00080016)).name
    return is_named or words_of(dataset, 0x00080060) in ("US", "IVUS")
