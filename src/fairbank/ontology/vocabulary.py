"""Vocabularies of the imaging cube: what a header says, turned into the few words that a catalogue counts by.

A value that is missing or not understood becomes `unknown`, never a guess and never the raw text: free text of a header
may identify a person, so only words from the lists here leave a node.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from fairbank.ontology._body_parts import BODY_PARTS, OTHER_REGIONS, SPELLINGS
from fairbank.ontology._manufacturers import MANUFACTURER_PATTERNS, NOT_STATED
from fairbank.ontology._modalities import (
    ACQUISITION_MODALITIES,
    NON_ACQUISITION_MODALITIES,
    RETIRED_MODALITIES,
)
from fairbank.ontology.record import UNKNOWN

# All codes that a catalogue counts by: DICOM PS3.16, CID 29 (acquisition) and CID 32 (derived objects).
MODALITIES: Final[dict[str, str]] = {**ACQUISITION_MODALITIES, **NON_ACQUISITION_MODALITIES}

# Of these, what is no image: marks, plans, doses, reports. Where a scanner or its settings are counted, these series
# are left out: such objects copy them from the images, or name the program that wrote them.
DERIVED_MODALITIES: Final = frozenset(NON_ACQUISITION_MODALITIES) - {"OT"}

# Half-open bands of slice thickness: (upper bound in mm, exclusive; name).
_THICKNESS_BANDS: Final = (
    (1.0, "<1"),
    (1.5, "1-1.5"),
    (2.0, "1.5-2"),
    (2.5, "2-2.5"),
    (3.0, "2.5-3"),
    (5.0, "3-5"),
)
THICKNESS_BANDS: Final[tuple[str, ...]] = (*(name for _, name in _THICKNESS_BANDS), ">=5", UNKNOWN)
# Records that were sealed before the bands became narrower have this one; they are still read and shown.
_FORMER_BANDS: Final = ((3.0, "1.5-3"),)
FORMER_THICKNESS_BANDS: Final[tuple[str, ...]] = tuple(name for _, name in _FORMER_BANDS)

MANUFACTURERS: Final[tuple[str, ...]] = tuple(sorted({name for _, name in MANUFACTURER_PATTERNS}))
OTHER_MANUFACTURER: Final = "other"
_PATTERNS: Final = tuple((re.compile(pattern), name) for pattern, name in MANUFACTURER_PATTERNS)


@dataclass(frozen=True, slots=True)
class Coded:
    """A body part with its code."""

    term: str
    code: str
    meaning: str

    @property
    def iri(self) -> str:
        """Return the SNOMED CT IRI of the code."""
        return f"http://snomed.info/id/{self.code}"


def modality(text: str | None) -> str:
    """Return the modality code that (0008,0060) names today, or `unknown`.

    >>> modality("ct "), modality("PET"), modality("Dr. Smith's scan"), modality(None)
    ('CT', 'PT', 'unknown', 'unknown')
    """
    word = (text or "").strip().upper()
    word = RETIRED_MODALITIES.get(word, word)
    return word if word in MODALITIES else UNKNOWN


def body_part(text: str | None) -> str:
    """Return the defined term that (0018,0015) means, or `unknown`.

    >>> body_part("Thorax"), body_part("WHOLE BODY"), body_part("C-SPINE"), body_part("Jane Doe")
    ('CHEST', 'WHOLEBODY', 'CSPINE', 'unknown')
    """
    word = re.sub(r"[^A-Z0-9]", "", (text or "").upper())
    # Some defined terms begin with a number; a number of the site's own behind a term says nothing.
    for spelt in (word, re.sub(r"[0-9]", "", word)):
        term = SPELLINGS.get(spelt, spelt)
        if term in BODY_PARTS:
            return term
    return UNKNOWN


def coded_body_part(term: str) -> Coded | None:
    """Return the code of a defined term (CID 4031), or None for `unknown` and words that are no defined term."""
    found = BODY_PARTS.get(term)
    return Coded(term, *found) if found else None


def body_part_of_code(code: str | None) -> str:
    """Return the defined term that a SNOMED CT code of an anatomic region is counted as, or `unknown`.

    Source: DICOM PS3.16, CID 4031.

    >>> body_part_of_code("39607008"), body_part_of_code("86598002"), body_part_of_code("110517009")
    ('CHEST', 'CHEST', 'unknown')
    """
    return _OF_CODE.get(code or "", UNKNOWN)


# Table L-1 has two terms for some codes; the first by the alphabet stands for both.
_OF_CODE: Final[dict[str, str]] = {
    **{code: term for code, (_, term) in OTHER_REGIONS.items() if term},
    **{code: term for term, (code, _) in sorted(BODY_PARTS.items(), reverse=True)},
    # What is called a lung is an image of the chest: see `SPELLINGS`.
    "39607008": "CHEST",
}


@lru_cache(maxsize=4096)
def normalise_manufacturer(text: str | None) -> str:
    """Return one name per manufacturer for the spellings of (0008,0070): a known name, `other`, or `unknown`.

    A name that is not in the list becomes `other` and is not repeated: what stands there may be a person's or a site's.

    >>> [normalise_manufacturer(n) for n in ("G.E. Medical Systems", "TOSHIBA_MEC", "Dr. Doe's lab", "")]
    ['GE', 'Canon', 'other', 'unknown']
    """
    words = stated_words(text)
    if words is None or words.replace(" ", "").isdigit():
        return UNKNOWN
    for pattern, name in _PATTERNS:
        if pattern.search(words):
            return name
    return OTHER_MANUFACTURER


def stated_words(text: str | None) -> str | None:
    """Return a text as small letters and digits with single spaces; None if it states nothing.

    >>> stated_words("G.E. Medical_Systems"), stated_words("N/A")
    ('g e medical systems', None)
    """
    words = " ".join(re.sub(r"[^a-z0-9]+", " ", (text or "").lower()).split())
    return None if words in NOT_STATED else words


def thickness_band(mm: float | None) -> str:
    """Return the band that a length in millimetres falls into; lower bounds belong to their band.

    >>> [thickness_band(mm) for mm in (0.625, 1, 1.5, 4.99, 5, None, -1)]
    ['<1', '1-1.5', '1.5-2', '3-5', '>=5', 'unknown', 'unknown']
    """
    if mm is None or not math.isfinite(mm) or mm <= 0:
        return UNKNOWN
    for below, name in _THICKNESS_BANDS:
        if mm < below:
            return name
    return ">=5"


def bands_up_to(mm: float) -> tuple[str, ...]:
    """Return the bands that hold nothing above a bound in millimetres, also the former one where it fits.

    Bands are half-open: `1-1.5` is 1 mm and more and less than 1.5 mm. So series of exactly 1.5 mm lie in `1.5-2`,
    which also holds thicker ones and is not among the bands up to 1.5: counts over these bands are of "less than
    1.5 mm", never of more than was asked for. A bound between two edges gives the bands below the lower of them.

    >>> bands_up_to(1.5), bands_up_to(1.9), bands_up_to(0.5)
    (('<1', '1-1.5'), ('<1', '1-1.5'), ())
    """
    return tuple(name for below, name in (*_THICKNESS_BANDS, *_FORMER_BANDS) if below <= mm)
