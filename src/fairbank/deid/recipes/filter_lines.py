"""The `%filter` sections of a recipe, line by line, as pixel rules."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from pydicom._dicom_dict import RepeatersDictionary
from pydicom.datadict import tag_for_keyword

from fairbank.deid.errors import BadRecipe
from fairbank.deid.recipes.pixel_rules import Area, Comparison, Condition, PixelRule, Term

_COMPARISON = "|".join(sorted((word.value for word in Comparison), key=len, reverse=True))
_TERM = re.compile(rf"({_COMPARISON})\s+(\S+)(?:\s+(.*))?", re.IGNORECASE)
_JOINT = re.compile(rf"\s*(\|\||\+)\s*(?=(?:{_COMPARISON})\s)", re.IGNORECASE)
_AREA = re.compile(r"(ctp)?(keep)?coordinates\s+(.+)", re.IGNORECASE)
_VALUED = (Comparison.CONTAINS, Comparison.NOT_CONTAINS, Comparison.EQUALS, Comparison.NOT_EQUALS)
# Slips of the pen in the rules that the `deid` library ships (deid.dicom, 0.4.13).
_SLIPS = {"Manfacturer": "Manufacturer", "Manufacture": "Manufacturer"}
_FROM_REGIONS = "from:SequenceOfUltrasoundRegions"
_LARGEST = 65536


def read_pixel_rules(path: Path) -> tuple[PixelRule, ...]:
    """Return the pixel rules of a recipe file, such as `deid`'s own deid.dicom; other sections are not looked at.

    Raises:
        BadRecipe: if a line of a `%filter` section is not understood, or the file cannot be read.
    """
    rules: list[PixelRule] = []
    group: str | None = None
    pending: list[tuple[int, str]] = []
    for number, line in lines_of(path):
        if line.startswith("%"):
            rules += pixel_rules(group or "", pending)
            pending, words = [], line.split()
            group = words[1] if words[0].lower() == "%filter" and len(words) > 1 else None
        elif group is not None:
            pending.append((number, line))
    return (*rules, *pixel_rules(group or "", pending))


def lines_of(path: Path) -> list[tuple[int, str]]:
    """Return a recipe's lines with their numbers, without comments and empty lines.

    Raises:
        BadRecipe: if the file cannot be read as text.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as err:
        raise BadRecipe(
            "The recipe cannot be read.",
            why="It is missing, unreadable or not UTF-8 text.",
            todo="Give the path of a recipe file (FORMAT dicom).",
        ) from err
    numbered = [
        (number, line.split(" #")[0].strip()) for number, line in enumerate(text.splitlines(), start=1)
    ]
    return [(number, line) for number, line in numbered if line and not line.startswith("#")]


def pixel_rules(group: str, lines: Iterable[tuple[int, str]]) -> list[PixelRule]:
    """Return the rules of one section.

    Args:
        group: the section's name.
        lines: (number, text) of its lines, without comments.

    Raises:
        BadRecipe: if a line is not understood; it names the line.
    """
    blocks: list[tuple[str, list[Condition], list[Area]]] = []
    for number, line in lines:
        if line.upper().startswith("LABEL"):
            blocks.append((line[5:].strip(), [], []))
            continue
        if not blocks:
            raise _bad(number, "a line of a %filter section stands before its first LABEL")
        area = _AREA.fullmatch(line)
        if area is not None:
            blocks[-1][2].append(_area(number, area))
        else:
            blocks[-1][1].append(_condition(number, line))
    return [PixelRule(name, group, tuple(conditions), tuple(areas)) for name, conditions, areas in blocks]


def _condition(number: int, line: str) -> Condition:
    joined = re.match(r"(\|\||\+)\s*", line)
    rest = line if joined is None else line[joined.end() :]
    pieces = _JOINT.split(rest)
    terms = [_term(number, pieces[0], alternative=False)]
    for joint, text in zip(pieces[1::2], pieces[2::2], strict=True):
        terms.append(_term(number, text, alternative=joint == "||"))
    return Condition(tuple(terms), alternative=joined is not None and joined[1] == "||")


def _term(number: int, text: str, *, alternative: bool) -> Term:
    match = _TERM.fullmatch(text.strip())
    if match is None:
        raise _bad(number, "it is no condition, no coordinates and no LABEL")
    comparison = Comparison(match[1].lower())
    value = (match[3] or "").strip()
    if bool(value) is not (comparison in _VALUED):
        raise _bad(
            number, f"{comparison} takes {'a field and a value' if comparison in _VALUED else 'one field'}"
        )
    if comparison in (Comparison.CONTAINS, Comparison.NOT_CONTAINS):
        _check_expression(number, value)
    return Term(_tag(number, match[2]), comparison, value, alternative)


def _check_expression(number: int, value: str) -> None:
    try:
        re.compile(value)
    except re.error as err:
        raise _bad(number, "the value is no regular expression") from err
    if re.search(r"[*+}]\)?[*+{]", value):
        raise _bad(number, "the value repeats a repetition, which could take forever")


def _tag(number: int, field: str) -> int:
    field = _SLIPS.get(field, field)
    if re.fullmatch(r"(0x)?[0-9A-Fa-f]{8}", field):
        return int(field, 16)
    tag = tag_for_keyword(field) or _repeating_tag(field)
    if tag is None:
        raise _bad(number, "it names a field that DICOM does not know")
    return tag


def _repeating_tag(field: str) -> int | None:
    """Return the tag of an overlay's attribute in the first of its groups (DICOM PS3.5, section 7.6)."""
    mask = next((mask for mask, entry in RepeatersDictionary.items() if entry[4] == field), "")
    return int(mask.replace("x", "0"), 16) if mask.startswith("60xx") else None


def _area(number: int, match: re.Match[str]) -> Area:
    keep, place = match[2] is not None, match[3].strip()
    if place.lower() == "all":
        return Area(keep)
    if place.startswith("from:"):
        if place != _FROM_REGIONS:
            raise _bad(number, f"coordinates can come {_FROM_REGIONS} only")
        return Area(keep, of_ultrasound_regions=True)
    numbers = [part.strip() for part in place.split(",")]
    if len(numbers) != 4 or not all(part.isascii() and part.isdigit() for part in numbers):
        raise _bad(number, "coordinates are four whole numbers")
    left, top, third, fourth = (int(part) for part in numbers)
    width, height = (third, fourth) if match[1] else (third - left, fourth - top)
    if not 0 < width <= _LARGEST or not 0 < height <= _LARGEST or max(left, top) > _LARGEST:
        raise _bad(number, "the coordinates span no area of an image")
    return Area(keep, left, top, width, height)


def _bad(number: int, why: str) -> BadRecipe:
    return BadRecipe(
        f"Line {number} of the recipe is not understood.",
        why=f"Reason: {why}.",
        todo="Mend the line; docs/how-to/recipes.md lists what a recipe may say.",
    )
