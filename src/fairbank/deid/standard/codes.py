"""Codes: which stand in a vocabulary that everybody can look up, and what they mean.

A code of a known vocabulary stays if it has that vocabulary's form. Its meaning stays if it is the one that the DICOM
standard gives, or made of listed words. A code of a private vocabulary could be anything: it and its scheme are
replaced.
"""

from __future__ import annotations

import re
from collections.abc import Set
from functools import lru_cache
from typing import cast

from fairbank.deid import descriptors
from fairbank.deid.standard import texts

CODE_VALUE, SCHEME, MEANING = 0x00080100, 0x00080102, 0x00080104
_SNOMED_RT = re.compile(r"[A-Z][A-Z0-9]?-[0-9A-F]{3,5}")
_DIGITS = re.compile(r"\d{1,7}")
# Units of UCUM: atoms with prefixes and exponents, and what the standard puts in braces.
_UNIT = re.compile(
    r"1|%|(\{[a-z .0-9/*-]{0,12}\}|\[(hnsf'U|degF|in_i|ft_i|lb_av|pH|iU|arb'U|ppm)\]|10\*\d|"
    r"[YZEPTGMkhdcmunpfa]?(m|g|s|l|L|Hz|Bq|Gy|Sv|V|A|W|J|N|Pa|T|K|C|F|S|H|eV|mol|cd|lm|lx|rad|sr|bar|B|bit|By|Ci)|"
    r"min|h|d|wk|mo|a|deg|Cel|mm\[Hg\]|B\[SPL\]|m\[H2O\]|ar|gon|st)-?\d?([./]|$)"
    r"(\{[a-z .0-9/*-]{0,12}\}-?\d?|10\*\d|[A-Za-z]{1,4}(\[Hg\])?-?\d?[./]?){0,3}"
)
_UNIT_LIST = """
no units unit unity arbitrary hounsfield percent per square cubic of and the standardized uptake value body
weight meter metre meters millimeter millimetre millimeters centimeter centimetre centimeters micrometer liter
litre milliliter gram milligram kilogram second seconds millisecond milliseconds microsecond minute minutes
hour hours day days week weeks month months year years hertz kilohertz megahertz volt millivolt microvolt
kilovolt ampere milliampere gray milligray centigray sievert millisievert becquerel kilobecquerel
megabecquerel counts degree degrees celsius fahrenheit pascal mercury millimole mole newton joule watt tesla
ppm ratio radian beats count events pixel
"""
_UNIT_WORDS = frozenset(_UNIT_LIST.split())
# The form of a code value per coding scheme (DICOM PS3.16, section 8 and table 8-1). All other schemes are private.
_FORMS: dict[str, re.Pattern[str]] = {
    "SCT": re.compile(r"\d{6,18}"),
    "SRT": _SNOMED_RT,
    "SNM3": _SNOMED_RT,
    "99SDM": _SNOMED_RT,
    "SNM": _SNOMED_RT,
    "DCM": re.compile(r"\d{5,6}|[A-Z]{2,4}"),
    "LN": re.compile(r"\d{1,5}-\d"),
    "UCUM": _UNIT,
    "FMA": _DIGITS,
    "RADLEX": re.compile(r"(RID)?\d{1,6}"),
    "NCIt": re.compile(r"C\d{4,7}"),
    "UMLS": re.compile(r"C\d{7}"),
    "MSH": re.compile(r"D\d{6,9}"),
    "IBSI": re.compile(r"(?=.*\d)[0-9A-Z]{4}"),
    "MDC": re.compile(r"\d{1,6}|MDC_[A-Z0-9_]{2,40}"),
    "SCPECG": re.compile(r"\d{1,5}|\d{1,2}(\.\d{1,2}){1,3}(-\d{1,3}){0,2}"),
    "RFC3066": re.compile(r"[a-z]{2}(-[A-Z]{2})?"),
    "RFC5646": re.compile(r"[a-z]{2}(-[A-Z]{2})?"),
    "ISO639_1": re.compile(r"[a-z]{2}"),
    "ISO639_2": re.compile(r"[a-z]{3}"),
    "ISO3166_1": re.compile(r"[A-Z]{2,3}"),
    "NDC": re.compile(r"\d{4,5}-\d{3,4}-\d\d"),
    "ITIS_TSN": _DIGITS,
    "PUBCHEM_CID": re.compile(r"\d{1,9}"),
    "RXNORM": _DIGITS,
    "NEU": _DIGITS,
    "BARI": re.compile(r"[A-Za-z0-9]{1,8}"),
    "I9": re.compile(r"\d{3}(\.\d{1,2})?"),
    "I9C": re.compile(r"\d{3}(\.\d{1,2})?"),
    "I10": re.compile(r"[A-Z]\d\d(\.\d{1,4})?"),
    "C4": re.compile(r"\d{5}"),
    "CPT4": re.compile(r"\d{5}"),
    "ACR": re.compile(r"\d{1,2}(\.\d{1,4})?"),
    "99_OFFIS_DCMTK": re.compile(r"[A-Za-z_]{0,3}\d{1,6}|[A-Z]{2,3}\.\d{1,3}"),
    "99QIICR": re.compile(r"\d{3,6}"),
    "99PMP": re.compile(r"\d{5,6}"),
    "DICOM_UID_REGISTRY": re.compile(r"1\.2\.840\.10008(\.\d+)+"),
}
_SCHEMES = {scheme.upper(): scheme for scheme in _FORMS}
# Codes with meanings that passed, which are made of listed words or the standard's own: nobody's name is among them.
_passed: set[tuple[str, str, str]] = set()
_MOST_REMEMBERED = 10_000
_WITH_WORDS = frozenset({"BARI", "DCM", "MDC"})


def is_public_scheme(scheme: str) -> bool:
    """Return whether a coding scheme designator names a vocabulary that everybody can look up."""
    return scheme.upper() in _SCHEMES


def is_public_code(scheme: str, value: str, own_words: Set[str]) -> bool:
    """Return whether a code value has the form of its vocabulary, and is not the subject's own number.

    >>> is_public_code("SCT", "39607008", set()), is_public_code("99CLINIC", "39607008", set())
    (True, False)
    >>> is_public_code("UCUM", "mm2", set()), is_public_code("DCM", "QUARZFELD", set())
    (True, False)
    """
    name = _SCHEMES.get(scheme.upper())
    if name is None or value.lower() in own_words:
        return False
    # Words pass only where the vocabulary is known to have them.
    by_form = name not in _WITH_WORDS or value.isdigit()
    return (by_form and _FORMS[name].fullmatch(value) is not None) or meaning_of(name, value) is not None


def meaning(scheme: str, value: str, stated: str, own_words: Set[str]) -> str | None:
    """Return what may stand as a code's meaning: as stated, the standard's, or as stated with words masked.

    >>> meaning("DCM", "121320", "Made by Jane", set()), meaning("99X", "1", "Left lung of Jane", set())
    ('Uncompressed predecessor', 'Left lung of *')
    """
    key = (scheme, value, stated)
    if key in _passed and _apart(stated, own_words):
        return stated
    found = _meaning(scheme, value, stated, own_words)
    if found == stated and len(_passed) < _MOST_REMEMBERED:
        _passed.add(key)
    return found


def _apart(text: str, own_words: Set[str]) -> bool:
    return not any(word in text.lower() for word in own_words)


def _meaning(scheme: str, value: str, stated: str, own_words: Set[str]) -> str | None:
    if scheme.upper() == "UCUM" and _is_unit(stated, own_words):
        return stated
    masked, says_something = descriptors.cleaned(stated, own_words=own_words)
    if masked == stated and (says_something or not stated):
        return stated
    official = meaning_of(_SCHEMES.get(scheme.upper(), ""), value)
    if official is not None and official.casefold() == stated.casefold():
        return stated
    if official is not None and official.isascii() and not texts.names_subject(official, own_words):
        return official
    return masked if says_something else None


def _is_unit(stated: str, own_words: Set[str]) -> bool:
    words = re.split(r"[ /]+", stated.lower())
    return _UNIT_WORDS.issuperset(words) and own_words.isdisjoint(words)


def meaning_of(scheme: str, value: str) -> str | None:
    """Return the meaning that DICOM PS3.16 gives a code; None if the code is not in it."""
    return _meanings().get((scheme, value))


@lru_cache(maxsize=1)
def _meanings() -> dict[tuple[str, str], str]:
    from pydicom.sr._concepts_dict import concepts  # heavy: 18,000 codes, needed only where there is a code
    from pydicom.sr._snomed_dict import mapping

    found: dict[tuple[str, str], str] = {}
    tables = cast("dict[str, dict[str, dict[str, tuple[str, list[int]]]]]", concepts)
    for scheme, by_keyword in tables.items():
        for by_code in by_keyword.values():
            found |= {(scheme, code): text for code, (text, _) in by_code.items()}
    for former, code in mapping["SRT"].items():
        if ("SCT", code) in found:
            found |= {(scheme, former): found["SCT", code] for scheme in ("SRT", "SNM3", "99SDM")}
    return found
