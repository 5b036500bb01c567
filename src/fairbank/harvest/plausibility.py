"""What headers say and cannot be: found as words of ours, never repeated.

Each check is for what archives were seen to hold: field strengths in gauss, ages of `000Y`, sexes of `0000`, ids longer
than the standard permits, dates in the wrong order.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from typing import Final

from fairbank.deid.dates import age_years, parse_da
from fairbank.harvest.header_texts import parts
from fairbank.harvest.headers import InstanceHeader
from fairbank.ontology.equipment import tesla

# DICOM PS3.5, section 9.1.
LONGEST_UID: Final = 64
_UID: Final = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+")
# Tube voltages of mammography and of the hardest CT lie well within.
_KVP: Final = (20.0, 180.0)
# The strongest magnets that animals are imaged in, and the weakest that people are.
_TESLA: Final = (0.001, 25.0)
_OLDEST_YEARS: Final = 130
_LARGEST_PIXEL_MM: Final = 100.0
# DICOM PS3.3, section C.7.1.1.
_SEXES: Final = frozenset({"F", "M", "O"})
_UNIT: Final = 0.01


def implausible_values(headers: Sequence[InstanceHeader], *, today: date | None = None) -> tuple[str, ...]:
    """Return what cannot be in the headers of a series, as words in order.

    Args:
        headers: all headers of the series.
        today: the day of the harvest; without it no date lies in the future.
    """
    found = set()
    for keyword, check in _CHECKS.items():
        for text in {header.said.get(keyword, "") for header in headers} - {""}:
            found |= {word for word in (check(text),) if word}
    for header in headers:
        found.update(_of_ids(header))
    directions = {header.orientation for header in headers if header.orientation}
    if not all(map(_is_rectangular, directions)):
        found.add("orientation")
    found.update(_of_dates(headers, today))
    return tuple(sorted(found))


def _field_strength(text: str) -> str:
    value = _first(text)
    if value is None or not _TESLA[0] <= tesla(value) <= _TESLA[1]:
        return "field-strength"
    return "field-strength-in-gauss" if tesla(value) != value else ""


def _tube_voltage(text: str) -> str:
    value = _first(text)
    return "" if value is not None and _KVP[0] <= value <= _KVP[1] else "tube-voltage"


def _age(text: str) -> str:
    """Return "age" for what is no age, and for nought years: of a newborn, days or weeks are said."""
    years = age_years(text)
    return "age" if years is None or years > _OLDEST_YEARS or text.strip().upper() == "000Y" else ""


def _sex(text: str) -> str:
    return "" if text.upper() in _SEXES else "sex"


def _length(word: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        try:
            good = all(0 < float(part) <= _LARGEST_PIXEL_MM for part in parts(text))
        except ValueError:
            good = False
        return "" if good else word

    return check


_CHECKS: Final[dict[str, Callable[[str], str]]] = {
    "MagneticFieldStrength": _field_strength,
    "KVP": _tube_voltage,
    "PatientAge": _age,
    "PatientSex": _sex,
    "PixelSpacing": _length("pixel-spacing"),
    "SliceThickness": _length("slice-thickness"),
}


def _of_ids(header: InstanceHeader) -> Iterator[str]:
    for uid in (header.sop_uid, header.series_uid, header.study_uid, header.sop_class):
        if len(uid) > LONGEST_UID:
            yield "uid-too-long"
        elif uid and not _UID.fullmatch(uid):
            yield "uid-malformed"


def _of_dates(headers: Sequence[InstanceHeader], today: date | None) -> Iterator[str]:
    """Yield what is wrong with dates: a study begins before its series and images, and none is yet to come."""
    texts = {
        tuple(header.said.get(keyword, "") for keyword in ("StudyDate", "SeriesDate", "AcquisitionDate"))
        for header in headers
    }
    for each in texts:
        days = [parse_da(text) for text in each if text]
        known = [day for day in days if day is not None]
        if len(known) < len(days):
            yield "date"
        if known != sorted(known):
            yield "date-order"
        if today is not None and any(day > today for day in known):
            yield "date-to-come"


def _is_rectangular(direction: tuple[float, ...]) -> bool:
    row, column = direction[:3], direction[3:]
    lengths = (sum(part * part for part in row), sum(part * part for part in column))
    across = sum(a * b for a, b in zip(row, column, strict=True))
    return abs(across) <= _UNIT and all(abs(length - 1) <= _UNIT for length in lengths)


def _first(text: str) -> float | None:
    try:
        return float(text.split("\\", 1)[0])
    except ValueError:
        return None
