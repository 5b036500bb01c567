"""The file in which a curator says what no machine can find out: TOML, one line per field of `Stewardship`."""

from __future__ import annotations

import difflib
import json
import re
import textwrap
import tomllib
from collections.abc import Callable, Iterable
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from fairbank.ontology.biomarkers import BIOMARKERS
from fairbank.ontology.conditions import CONDITIONS, condition
from fairbank.ontology.errors import MalformedObject, UnknownTerm
from fairbank.ontology.profiles.listing import PROFILES
from fairbank.ontology.profiles.rows import Profile, Severity
from fairbank.ontology.profiles.values import FIELDS, field_of
from fairbank.ontology.record import UNKNOWN
from fairbank.ontology.stewardship import Stewardship
from fairbank.ontology.wire import Part

_HEAD: Final = """\
# What no machine can find out about the dataset; everything here is optional.
# Take the '#' off a line and fill it in. Then: fairbank dataset describe NAME --from THIS-FILE
# Texts leave the site with the record, so they may name no patient. Dates and DICOM identifiers are refused.
# 'M' names the profiles that need a field, 'R' those that recommend it, 'O' those for which it is optional.
"""
# What other resources need is asked for only where the curator names them.
_ALWAYS_THERE: Final = ("Dataset", "Distribution", "Publisher")
# Closed lists: their words, and what turns a text into one of them.
_CHOICES: Final = {"conditions": tuple(CONDITIONS), "biomarkers": tuple(BIOMARKERS)}
_LISTS: Final[dict[str, Callable[[str], str]]] = {
    "conditions": condition,
    "biomarkers": lambda text: text if text in BIOMARKERS else UNKNOWN,
}
_UNASKED: Final = {
    True: "Asked for by no profile; it takes the place of what the hub would write.",
    False: "Asked for by no profile; it is written in all of them.",
}
_LETTERS: Final = {Severity.VIOLATION: "M", Severity.WARNING: "R", Severity.INFO: "O"}


def template() -> str:
    """Return a commented file with every field, what it is, and which profiles want it."""
    lines = [_HEAD]
    tables = []
    for name, field in Stewardship.model_fields.items():
        remarks = [f"# {field.description}", *_choices(name), f"# {wanted(name)}"]
        part = part_of(field)
        if part is not None:
            keys = (f"# {key} = {_blank(key, inner)}" for key, inner in part.model_fields.items())
            tables += [*remarks, f"# [{name}]", *keys, ""]
        else:
            lines += [*remarks, f"# {name} = {_blank(name, field)}", ""]
    # A TOML table ends where the next begins, so tables come last.
    return "\n".join([*lines, *tables])


def read(text: str) -> Stewardship:
    """Return what a file says.

    Raises:
        MalformedObject: if it is not TOML, names a field that there is not, or a value has the wrong form.
        UnknownTerm: if a condition or biomarker is not in its list.
    """
    try:
        said = tomllib.loads(text)
    except tomllib.TOMLDecodeError as err:
        raise MalformedObject(
            f"The file is not TOML: {err}.",
            why='Fields are written as name = "text", lists as name = ["one", "two"].',
            todo="Begin with 'fairbank dataset describe --template'.",
        ) from err
    return checked(said)


def checked(said: dict[str, Any]) -> Stewardship:
    """Return what the fields of a curator say, in TOML's or JSON's terms.

    Raises:
        MalformedObject: if there is no such field, or a value has the wrong form.
        UnknownTerm: if a condition or biomarker is not in its list.
    """
    for name, known in _LISTS.items():
        # Whatever is no list of texts is refused below, by its form.
        if isinstance(said.get(name), list):
            said[name] = [_word(f"{name}.{place}", text, known) for place, text in enumerate(said[name])]
    limits = said.get("data_use_limits")
    if isinstance(limits, dict) and isinstance(limits.get("diseases"), list):
        limits["diseases"] = [_disease(text) for text in limits["diseases"]]
    try:
        # As JSON, so that lists are taken for tuples; a date of TOML becomes a text, which no field takes.
        return Stewardship.model_validate_json(json.dumps(said, default=str))
    except ValidationError as err:
        raise MalformedObject.from_validation("description", err.errors()) from err


def _word(place: str, text: Any, known: Callable[[str], str]) -> Any:
    if not isinstance(text, str):
        return text
    word = known(text)
    if word != UNKNOWN:
        return word
    words = _CHOICES[place.partition(".")[0]]
    near = difflib.get_close_matches(text.lower().replace(" ", "-"), words, n=3, cutoff=0.5)
    raise UnknownTerm(
        f"{place} is not in the list.",
        why=f"Nothing is guessed. Nearest to it: {', '.join(near) or 'none'}.",
        todo="Take a word of the list: 'fairbank dataset describe --template' shows it.",
    )


def _disease(text: Any) -> Any:
    """Return the MONDO id of a disease that the list knows; any other MONDO id stays, and is compared as it is."""
    if not isinstance(text, str) or re.fullmatch(r"MONDO:\d{7}", text):
        return text
    return CONDITIONS[_word("conditions", text, condition)].curie


def strictest(name: str, profiles: Iterable[Profile]) -> Severity | None:
    """Return how much some profiles want a field, by the one that wants it most; None if none does."""
    severities = {
        row.severity
        for profile in profiles
        for table, row in profile.rows()
        if table.name in _ALWAYS_THERE and name in field_of(table, row).split(", ")
    }
    return next((severity for severity in Severity if severity in severities), None)


def wanted(name: str) -> str:
    """Return which profiles want a field, and how much, in a line."""
    by_severity: dict[Severity, set[str]] = {severity: set() for severity in Severity}
    for profile in PROFILES.values():
        severity = strictest(name, [profile])
        if severity is not None:
            by_severity[severity].add(profile.name)
    parts = [
        f"{_LETTERS[severity]}: {', '.join(sorted(names))}"
        for severity, names in by_severity.items()
        if names
    ]
    return "; ".join(parts) or _UNASKED[name == FIELDS["page"]]


def _choices(name: str) -> list[str]:
    words = _CHOICES.get(name, ())
    return [f"#   {line}" for line in textwrap.wrap(", ".join(words), 110, break_on_hyphens=False)]


def part_of(field: FieldInfo) -> type[BaseModel] | None:
    """Return the kind of part that a field holds; None for a plain field."""
    kinds = (field.annotation, *get_args(field.annotation))
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Part)), None)


def _blank(name: str, field: FieldInfo) -> str:
    if field.default == ():
        return '[""]'
    kinds = str(field.annotation)
    if "int" in kinds:
        return "2000" if name.startswith("retained") else "2"
    return "true" if "bool" in kinds else '""'
