"""What a header says of whether a series shows a head: words and codes, and the size of what was scanned."""

from __future__ import annotations

import re
from enum import StrEnum

from pydicom.dataset import Dataset

from fairbank.deid.body_regions import region_of_term
from fairbank.deid.elements import items_of, text_of, words_of


class Said(StrEnum):
    """What a header says of the part of the body."""

    HEAD = "head"
    ELSEWHERE = "elsewhere"
    NOTHING = "nothing"


# SNOMED CT codes of DICOM PS3.16, CID 4031, that include or adjoin the face; and their older SNOMED RT forms.
_HEAD_CODES = frozenset(
    """
    12738006 69536005 774007 5366008 45048000 363654007 2095001 89546000 81745001 91609006 122494005 417437006
    416152001 416319003 T-A0100 T-D1100 T-D1000 T-A6700 T-D1600 T-D14AE T-22000 T-11100 T-AA000 T-11180 T-11501
    """.split()  # noqa: SIM905 - a list of codes is read more easily so
)
# Regions that may or may not include the head.
_OPEN_CODES = frozenset({"38266002", "421060004", "706342009", "66019005"})
# Accented letters are one byte or two, as the file's character set has them.
# Words of descriptors, in the languages of the archives that we know; `mprage`, `bold` and the like are brain scans.
_HEAD_WORDS = re.compile(
    r"\b(?:head|brain|skull|neuro|crani|cereb|enceph|hippocamp|pituit|hypophy|orbit|face|facial|maxill|mandib|dental"
    r"|sinus|petrous|iac\b|neck|mprage|bravo\b|fspgr|bold\b|dti\b|asl\b|tof\b|stroke|kopf|sch.{1,2}del|hirn|hals\b"
    r"|t(?:e|.{1,2})te\b|cr.{1,2}ne\b|cerveau|cabeza|cr.{1,2}neo|cerebro|testa\b|cervello|hoofd|hersen)",
    re.IGNORECASE,
)
_DESCRIPTORS = (0x0008103E, 0x00081030, 0x00181030, 0x00400254, 0x00400007, 0x00321060, 0x00180015)
_REGION_SEQUENCES = (0x00082218, 0x00082228, 0x00082229)
# Of a trunk; a head is 150-160 mm wide, and the field of a head scan 200-260 mm.
_WIDE_MM = 300.0
# From the lungs' base (300 mm) it reaches the chin at most; longer scans may go on to the eyes.
_SHORT_MM = 400.0
_AXIAL = 0.9
# X-Ray 3D Angiographic and X-Ray 3D Craniofacial Image Storage: volumes of modalities that else are projections.
_VOLUMES_OF_XRAYS = frozenset({"1.2.840.10008.5.1.4.1.1.13.1.1", "1.2.840.10008.5.1.4.1.1.13.1.2"})
_PLANAR = frozenset(
    {"CR", "DX", "MG", "US", "IVUS", "XA", "RF", "ES", "OP", "SM", "GM", "XC", "ECG", "IO", "PX", "OPT"}
)
_NO_IMAGES = frozenset(
    {"SEG", "RTSTRUCT", "RTDOSE", "RTPLAN", "SR", "PR", "KO", "REG", "RWV", "DOC", "FID", "M3D"}
)


def said_of(header: Dataset) -> Said:
    """Return what words and codes of a header say; what is missing says nothing."""
    text = " ".join(text_of(header, tag).replace("_", " ") for tag in _DESCRIPTORS)
    codes = {text_of(item, 0x00080100) for tag in _REGION_SEQUENCES for item in items_of(header, tag)}
    region = region_of_term(text_of(header, 0x00180015))
    if region is not None:
        codes.add(region.code)
    if _HEAD_WORDS.search(text) or codes & _HEAD_CODES:
        return Said.HEAD
    known = region is not None or any(code.isdigit() or code.startswith("T-") for code in codes)
    return Said.ELSEWHERE if known and codes - {""} and not codes & _OPEN_CODES else Said.NOTHING


def may_be_volume(header: Dataset) -> bool:
    """Return whether a file can be part of a volume of a body at all."""
    if text_of(header, 0x00080016) in _VOLUMES_OF_XRAYS:
        return True
    return words_of(header, 0x00080060) not in _PLANAR | _NO_IMAGES


def is_trunk(header: Dataset, frames: int) -> bool:
    """Return whether an axial series is as wide as a trunk and too short to reach from there to the head."""
    spacing, turned = header.get("PixelSpacing"), header.get("ImageOrientationPatient")
    between = header.get("SpacingBetweenSlices") or header.get("SliceThickness")
    if not spacing or not turned or not between:
        return False
    across = abs(float(turned[0]) * float(turned[4]))
    width = float(spacing[1]) * int(header.Columns)
    return across > _AXIAL and width >= _WIDE_MM and abs(float(between)) * frames <= _SHORT_MM
