"""Sex and side of the body: what a header says, turned into the few words that are counted or compared.

A value that is missing or not understood becomes `unknown`, never a guess.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Sex(StrEnum):
    """Patient's Sex (0010,0040), DICOM PS3.3, section C.7.1.1."""

    FEMALE = "F"
    MALE = "M"
    OTHER = "O"
    UNKNOWN = "unknown"


class Side(StrEnum):
    """Side of a paired body part: Laterality (0020,0060), Image Laterality (0020,0062) and CID 244 in one list."""

    RIGHT = "right"
    LEFT = "left"
    BOTH = "both"
    UNILATERAL = "unilateral"
    UNPAIRED = "unpaired"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Code:
    """A code of SNOMED CT or of DICOM, with the meaning that the standard prints."""

    scheme: str
    value: str
    meaning: str


# DICOM PS3.16, CID 7455 "Sex".
SEX_CODES: Final[dict[Sex, Code]] = {
    Sex.FEMALE: Code("DCM", "F", "Female"),
    Sex.MALE: Code("DCM", "M", "Male"),
    Sex.OTHER: Code("DCM", "121102", "Other sex"),
    Sex.UNKNOWN: Code("DCM", "U", "Unknown sex"),
}
# DICOM PS3.16, CID 244 "Laterality". It has no code for a body part that there is once only.
SIDE_CODES: Final[dict[Side, Code]] = {
    Side.RIGHT: Code("SCT", "24028007", "Right"),
    Side.LEFT: Code("SCT", "7771000", "Left"),
    Side.BOTH: Code("SCT", "51440002", "Bilateral"),
    Side.UNILATERAL: Code("SCT", "66459002", "Unilateral"),
}
_SEXES: Final = {
    **{each.value: each for each in Sex},
    **{code.value: each for each, code in SEX_CODES.items()},
    "FEMALE": Sex.FEMALE,
    "MALE": Sex.MALE,
    "OTHER": Sex.OTHER,
}
# Letters of (0020,0062), PS3.3, section C.8.11.2.1: U is unpaired, B both.
_SIDES: Final = {
    "R": Side.RIGHT,
    "L": Side.LEFT,
    "B": Side.BOTH,
    "U": Side.UNPAIRED,
    "BILATERAL": Side.BOTH,
    **{each.value.upper(): each for each in Side},
    **{code.value: each for each, code in SIDE_CODES.items()},
}


def sex(text: str | None) -> Sex:
    """Return the sex that (0010,0040), a code of CID 7455 or an English word means.

    >>> sex("F"), sex("male"), sex("0000")
    (<Sex.FEMALE: 'F'>, <Sex.MALE: 'M'>, <Sex.UNKNOWN: 'unknown'>)
    """
    return _SEXES.get((text or "").strip().upper(), Sex.UNKNOWN)


def side(text: str | None) -> Side:
    """Return the side that (0020,0060), (0020,0062), a code of CID 244 or an English word means.

    >>> side("L"), side("51440002"), side("U").value, side(None).value
    (<Side.LEFT: 'left'>, <Side.BOTH: 'both'>, 'unpaired', 'unknown')
    """
    return _SIDES.get((text or "").strip().upper(), Side.UNKNOWN)
