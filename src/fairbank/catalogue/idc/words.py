"""What a cell of the index means: its raw text turned into the words that a catalogue counts by.

What is missing or not understood becomes `unknown`, never a guess. The index is of public data, so model names and
licences are kept as they stand there.
"""

from __future__ import annotations

import re
from typing import Final

from fairbank.ontology import sex_and_side
from fairbank.ontology.record import UNKNOWN

_CONTROL = re.compile(r"[\x00-\x1f\x7f\s]+")
# DICOM PS3.5, section 6.2, AS: three digits and days, weeks, months or years.
_AGE: Final = re.compile(r"(\d{3})([DWMY])")
_DAYS_OF: Final = {"D": 1.0, "W": 7.0, "M": 30.4375, "Y": 365.25}
_BAND_YEARS, _OLDEST_YEARS = 5, 90
_UID: Final = re.compile(r"[0-9.]{1,64}")
_DOI: Final = re.compile(r"10\.\d{4,9}/\S{1,180}")
_CREATIVE_COMMONS: Final = re.compile(r"CC (BY(?:-NC)?(?:-ND|-SA)?) (\d\.\d)")
_LONGEST_SUBJECT, _LONGEST_WORD = 200, 200


def plain(text: object) -> str:
    r"""Return a text on one line, without control characters; empty for what is no text.

    >>> plain(" CT\x00 of the\nlung "), plain(None)
    ('CT of the lung', '')
    """
    return _CONTROL.sub(" ", text).strip() if isinstance(text, str) else ""


def word(text: str | None) -> str:
    """Return a name as it stands, or `unknown`."""
    return plain(text)[:_LONGEST_WORD] or UNKNOWN


def sex(text: str | None) -> str:
    """Return the sex that (0010,0040) names, or `unknown`.

    >>> sex("m"), sex("0000")
    ('M', 'unknown')
    """
    return sex_and_side.sex(plain(text)).value


def age_band(text: str | None) -> str:
    """Return the five-year band of (0010,1010), or `unknown`; an age of nothing stands for one that was removed.

    >>> age_band("062Y"), age_band("018M"), age_band("093Y"), age_band("000Y"), age_band("62")
    ('60-64', '0-4', '90+', 'unknown', 'unknown')
    """
    match = _AGE.fullmatch(plain(text))
    if match is None or int(match[1]) == 0:
        return UNKNOWN
    years = int(match[1]) * _DAYS_OF[match[2]] / _DAYS_OF["Y"]
    if years >= _OLDEST_YEARS:
        return f"{_OLDEST_YEARS}+"
    low = int(years // _BAND_YEARS) * _BAND_YEARS
    return f"{low}-{low + _BAND_YEARS - 1}"


def doi(text: str | None) -> str:
    """Return a DOI in small letters, or `unknown`.

    >>> doi("10.7937/K9/TCIA.2016"), doi("see the paper")
    ('10.7937/k9/tcia.2016', 'unknown')
    """
    found = plain(text).lower().removeprefix("https://doi.org/")
    return found if _DOI.fullmatch(found) else UNKNOWN


def uid(text: str | None) -> str | None:
    r"""Return a DICOM unique identifier without its padding, or None.

    >>> uid("1.2.840\x00"), uid("n/a")
    ('1.2.840', None)
    """
    found = (text or "").strip(" \x00")
    return found if _UID.fullmatch(found) else None


def subject(text: str | None) -> str | None:
    """Return the pseudonym of a subject, or None."""
    found = plain(text)
    return found if 0 < len(found) <= _LONGEST_SUBJECT else None


def collection(text: str | None) -> str | None:
    """Return a collection's id, or None."""
    return plain(text).lower() or None


def licence_address(name: str) -> str | None:
    """Return the address of a Creative Commons licence by its short name, None for other licences.

    >>> licence_address("CC BY-NC 4.0"), licence_address("as agreed")
    ('https://creativecommons.org/licenses/by-nc/4.0/', None)

    Source: creativecommons.org/licenses, the address of each deed.
    """
    if name == "CC0 1.0":
        return "https://creativecommons.org/publicdomain/zero/1.0/"
    match = _CREATIVE_COMMONS.fullmatch(name)
    return f"https://creativecommons.org/licenses/{match[1].lower()}/{match[2]}/" if match else None
