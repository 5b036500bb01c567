"""Which values a coded string (CS) may have: the terms of its attribute, or words that say nothing of a person.

Where an attribute's terms are closed or makers keep to them, only they pass. Attributes that makers add words to (the
third value of Image Type, Scan Options), and those whose terms are not known, also pass words of any term of the
standard and of the clinical list, short numbers, and the shorthand of techniques.
"""

from __future__ import annotations

import re
from collections.abc import Set
from functools import lru_cache

from pydicom.datadict import dictionary_VR

from fairbank.deid import descriptor_words
from fairbank.deid.standard import makers
from fairbank.deid.standard._terms import TERMS

# Attributes that have listed terms, and others besides in most makers' files.
_OPEN = frozenset(
    {
        0x00080008,  # Image Type
        0x00089007,  # Frame Type
        0x00080064,  # Conversion Type
        0x00180015,  # Body Part Examined
        0x00180020,  # Scanning Sequence
        0x00180021,  # Sequence Variant
        0x00180022,  # Scan Options
        0x00181160,  # Filter Type
        0x00181261,  # Phosphor Type
        0x00185101,  # View Position
        0x00187004,  # Detector Type
        0x00187050,  # Filter Material
        0x00280051,  # Corrected Image
        0x00540222,  # View Modifier
        0x00541000,  # Series Type
        0x300600A4,  # RT ROI Interpreted Type
    }
)
# Terms that the table lacks: older editions, modalities of later ones, and what archives write.
_MORE: dict[int, str] = {
    0x00080060: "ANN|AR|ASMT|AU|BDUS|BI|BMD|CD|CFM|CP|CR|CS|CT|CTPROTOCOL|DD|DF|DG|DM|DMS|DOC|DS|DX|EC|ECG|EEG|EMG|"
    "EOG|EPS|ES|FA|FID|FS|GM|HC|HD|IO|IOL|IVOCT|IVUS|KER|KO|LEN|LP|LS|M3D|MA|MG|MR|MS|NM|OAM|OCT|OP|OPM|OPR|OPT|OPTBSV|OPTENF|"
    "OPV|OSS|OT|PA|PLAN|POS|PR|PT|PX|REG|RESP|RF|RG|RTDOSE|RTIMAGE|RTINTENT|RTPLAN|RTRAD|RTRECORD|RTSEGANN|RTSTRUCT|RWV|"
    "SEG|SM|SMR|SR|SRF|ST|STAIN|TEXTUREMAP|TG|US|VA|VF|XA|XAPROTOCOL|XC",
    0x00281040: "LIN|LOG|DISP|SQRT",
}
_SPLIT = re.compile(r"[ _/.+-]+")
_SHORTHAND = re.compile(r"[A-Z]?|[A-Z]?\d{1,3}[A-Z]?")
_LONGEST_VALUE = 40
# Terms called after their inventors: the attribute's own list still has them.
_NAMES = frozenset(
    {"SYED", "FLYNN", "WALTZ", "TUKEY", "FERMI", "RIESZ", "LORENTZ", "NEUMANN", "STEWART", "CARTER"}
)


def is_term(tag: int, value: str, own_words: Set[str]) -> bool:
    """Return whether a value of a coded string may stay.

    Args:
        tag: the attribute.
        value: one value, without padding.
        own_words: lower-case parts of the subject's own names and numbers; they never pass as words.

    >>> [is_term(0x00185100, value, set()) for value in ("HFS", "ffs", "QUARZFELD")]
    [True, True, False]
    >>> [is_term(0x00080008, value, set()) for value in ("AXIAL", "CT_SOM5 SPI", "QUARZFELD")]
    [True, True, False]
    """
    upper = value.upper()
    if not upper or upper in terms_of(tag):
        return True
    if (tag in TERMS and tag not in _OPEN) or len(upper) > _LONGEST_VALUE:
        return False
    return all(_is_word(word) and word.lower() not in own_words for word in _SPLIT.split(upper))


@lru_cache(maxsize=1024)
def terms_of(tag: int) -> frozenset[str]:
    """Return the terms of an attribute in upper case; nothing if they are not known."""
    listed = f"{TERMS.get(tag, '')}|{_MORE.get(tag, '')}".upper()
    return frozenset(listed.split("|")) - {""}


@lru_cache(maxsize=1)
def known_words() -> frozenset[str]:
    """Return the words of all terms of coded strings, in upper case, but those that are names of people."""
    terms = (terms for tag, terms in TERMS.items() if dictionary_VR(tag) == "CS")
    return frozenset(word for text in terms for word in _SPLIT.split(text.upper().replace("|", " "))) - _NAMES


def _is_word(word: str) -> bool:
    if word in known_words() or word.lower() in descriptor_words.WORDS or word.lower() in makers.WORDS:
        return True
    return _SHORTHAND.fullmatch(word) is not None
