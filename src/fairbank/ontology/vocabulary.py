"""Vocabularies of the imaging cube: what a header says, turned into the few words that a catalogue counts by.

A value that is missing or not understood becomes `unknown`, never a guess and never the raw text: free text of a header
may identify a person, so only words from the lists here leave a node.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

from fairbank.ontology._body_parts import BODY_PARTS, SPELLINGS
from fairbank.ontology.record import UNKNOWN

# DICOM PS3.16, CID 29 (acquisition) and CID 32 (derived objects): code and meaning; those that biobanks hold.
MODALITIES: Final[dict[str, str]] = {
    "BI": "Biomagnetic Imaging",
    "BMD": "Bone Mineral Densitometry",
    "CFM": "Confocal Microscopy",
    "CR": "Computed Radiography",
    "CT": "Computed Tomography",
    "DG": "Diaphanography",
    "DMS": "Dermoscopy",
    "DX": "Digital Radiography",
    "ECG": "Electrocardiography",
    "EEG": "Electroencephalography",
    "ES": "Endoscopy",
    "GM": "General Microscopy",
    "IO": "Intra-oral Radiography",
    "IVOCT": "Intravascular Optical Coherence Tomography",
    "IVUS": "Intravascular Ultrasound",
    "LS": "Laser Scan",
    "MG": "Mammography",
    "MR": "Magnetic Resonance",
    "NM": "Nuclear Medicine",
    "OCT": "Optical Coherence Tomography",
    "OP": "Ophthalmic Photography",
    "OPT": "Ophthalmic Tomography",
    "OT": "Other Modality",
    "PA": "Photoacoustic",
    "PT": "Positron emission tomography",
    "PX": "Panoramic X-Ray",
    "RF": "Radiofluoroscopy",
    "RG": "Radiographic imaging",
    "RTIMAGE": "RT Image",
    "SM": "Slide Microscopy",
    "TG": "Thermography",
    "US": "Ultrasound",
    "XA": "X-Ray Angiography",
    "XC": "External-camera Photography",
    "ANN": "Annotation",
    "KO": "Key Object Selection",
    "PR": "Presentation State",
    "REG": "Registration",
    "RTDOSE": "RT Dose",
    "RTPLAN": "RT Plan",
    "RTRECORD": "RT Treatment Record",
    "RTSTRUCT": "RT Structure Set",
    "RWV": "Real World Value Map",
    "SEG": "Segmentation",
    "SR": "Structured Report Document",
}

# DICOM PS3.3, C.7.3.1.1.1, retired terms and what stands for them today.
_RETIRED_MODALITIES: Final = {
    "DS": "XA",
    "DF": "RF",
    "CF": "RF",
    "CD": "US",
    "DD": "US",
    "ST": "NM",
    "PET": "PT",
}

# Half-open bands of slice thickness: (upper bound in mm, exclusive; name).
_THICKNESS_BANDS: Final = ((1.0, "<1"), (1.5, "1-1.5"), (3.0, "1.5-3"), (5.0, "3-5"))
THICKNESS_BANDS: Final[tuple[str, ...]] = ("<1", "1-1.5", "1.5-3", "3-5", ">=5", UNKNOWN)

# The first pattern that a lower-case name (letters and digits, single spaces) begins with or holds decides.
_MANUFACTURERS: Final[tuple[tuple[str, str], ...]] = (
    (r"^siemens", "Siemens"),
    (r"^(ge|g e)\b|^general electric", "GE"),
    (r"^(philips|marconi|picker|adac)\b", "Philips"),
    (r"^(canon|toshiba)", "Canon"),
    (r"^(hitachi|aloka)", "Hitachi"),
    (r"^(fuji|sonosite)", "Fujifilm"),
    (r"^agfa", "Agfa"),
    (r"^(carestream|kodak|eastman kodak)", "Carestream"),
    (r"^konica|^minolta", "Konica Minolta"),
    (r"^hologic|^lorad", "Hologic"),
    (r"^shimadzu", "Shimadzu"),
    (r"^samsung|^medison", "Samsung"),
    (r"^(united imaging|uih)\b", "United Imaging"),
    (r"^mindray", "Mindray"),
    (r"^neusoft", "Neusoft"),
    (r"^varian", "Varian"),
    (r"^elekta|^cms\b", "Elekta"),
    (r"^accuray|^tomotherapy", "Accuray"),
    (r"^bruker", "Bruker"),
    (r"^agilent", "Agilent"),
    (r"^esaote", "Esaote"),
    (r"^hamamatsu", "Hamamatsu"),
    (r"^leica|^aperio", "Leica"),
    (r"^(3dhistech)", "3DHISTECH"),
    (r"^(heidelberg engineering)", "Heidelberg Engineering"),
    (r"^(carl )?zeiss", "Zeiss"),
    (r"^topcon", "Topcon"),
    (r"^mortara", "Mortara"),
    (r"^(imatron)", "Imatron"),
)
MANUFACTURERS: Final[tuple[str, ...]] = tuple(sorted({name for _, name in _MANUFACTURERS}))
OTHER_MANUFACTURER: Final = "other"

_NOT_STATED: Final = frozenset(
    {
        "",
        "none",
        "unknown",
        "unspecified",
        "anonymous",
        "anonymized",
        "removed",
        "na",
        "n a",
        "null",
        "default",
    }
)


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
    word = _RETIRED_MODALITIES.get(word, word)
    return word if word in MODALITIES else UNKNOWN


def body_part(text: str | None) -> str:
    """Return the defined term that (0018,0015) means, or `unknown`.

    >>> body_part("Thorax"), body_part("WHOLE BODY"), body_part("C-SPINE"), body_part("Jane Doe")
    ('CHEST', 'WHOLEBODY', 'CSPINE', 'unknown')
    """
    word = re.sub(r"[^A-Z]", "", (text or "").upper())
    word = SPELLINGS.get(word, word)
    return word if word in BODY_PARTS else UNKNOWN


def coded_body_part(term: str) -> Coded | None:
    """Return the code of a defined term (CID 4031), or None for `unknown` and words that are no defined term."""
    found = BODY_PARTS.get(term)
    return Coded(term, *found) if found else None


def normalise_manufacturer(text: str | None) -> str:
    """Return one name per manufacturer for the spellings of (0008,0070): a known name, `other`, or `unknown`.

    A name that is not in the list becomes `other` and is not repeated: what stands there may be a person's or a site's.

    >>> [normalise_manufacturer(n) for n in ("G.E. Medical Systems", "TOSHIBA_MEC", "Dr. Doe's lab", "")]
    ['GE', 'Canon', 'other', 'unknown']
    """
    words = " ".join(re.sub(r"[^a-z0-9]+", " ", (text or "").lower()).split())
    if words in _NOT_STATED:
        return UNKNOWN
    for pattern, name in _MANUFACTURERS:
        if re.search(pattern, words):
            return name
    return OTHER_MANUFACTURER


def thickness_band(mm: float | None) -> str:
    """Return the band that a slice thickness in millimetres falls into; lower bounds belong to their band.

    >>> [thickness_band(mm) for mm in (0.625, 1, 1.5, 4.99, 5, None, -1)]
    ['<1', '1-1.5', '1.5-3', '3-5', '>=5', 'unknown', 'unknown']
    """
    if mm is None or not math.isfinite(mm) or mm <= 0:
        return UNKNOWN
    for below, name in _THICKNESS_BANDS:
        if mm < below:
            return name
    return ">=5"
