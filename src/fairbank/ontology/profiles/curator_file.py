"""The file in which a curator says what no machine can find out: TOML, one line per field of `Stewardship`."""

from __future__ import annotations

import json
import tomllib
from typing import Final

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from fairbank.ontology.errors import MalformedObject
from fairbank.ontology.profiles.listing import PROFILES
from fairbank.ontology.profiles.rows import Severity
from fairbank.ontology.profiles.scorecard import field_of
from fairbank.ontology.stewardship import Organisation, Stewardship

_HEAD: Final = """\
# What no machine can find out about the dataset; everything here is optional.
# Take the '#' off a line and fill it in. Then: fairbank dataset describe NAME --from THIS-FILE
# Texts leave the site with the record, so they may name no patient. Dates and DICOM identifiers are refused.
# 'M' names the profiles that need a field, 'R' those that recommend it, 'O' those for which it is optional.
"""
# What other resources need is asked for only where the curator names them.
_ALWAYS_THERE: Final = ("Dataset", "Distribution", "Publisher")
_LETTERS: Final = {Severity.VIOLATION: "M", Severity.WARNING: "R", Severity.INFO: "O"}


def template() -> str:
    """Return a commented file with every field, what it is, and which profiles want it."""
    lines = [_HEAD]
    tables = []
    for name, field in Stewardship.model_fields.items():
        remarks = [f"# {field.description}", f"# {_wanted(name)}"]
        if _is_organisation(field):
            keys = (f'# {key} = ""' for key in Organisation.model_fields)
            tables += [*remarks, f"# [{name}]", *keys, ""]
        else:
            lines += [*remarks, f"# {name} = {_blank(field)}", ""]
    # A TOML table ends where the next begins, so tables come last.
    return "\n".join([*lines, *tables])


def read(text: str) -> Stewardship:
    """Return what a file says.

    Raises:
        MalformedObject: if it is not TOML, names a field that there is not, or a value has the wrong form.
    """
    try:
        said = tomllib.loads(text)
    except tomllib.TOMLDecodeError as err:
        raise MalformedObject(
            f"The file is not TOML: {err}.",
            why='Fields are written as name = "text", lists as name = ["one", "two"].',
            todo="Begin with 'fairbank dataset describe --template'.",
        ) from err
    try:
        # As JSON, so that lists are taken for tuples; a date of TOML becomes a text, which no field takes.
        return Stewardship.model_validate_json(json.dumps(said, default=str))
    except ValidationError as err:
        raise MalformedObject.from_validation("description", err.errors()) from err


def _wanted(name: str) -> str:
    wanted: dict[Severity, set[str]] = {severity: set() for severity in Severity}
    for profile in PROFILES.values():
        severities = [
            row.severity
            for table, row in profile.rows()
            if table.name in _ALWAYS_THERE
            and name in field_of(table, row).split(", ")
            and row.severity is not None
        ]
        strictest = next((severity for severity in Severity if severity in severities), None)
        if strictest is not None:
            wanted[strictest].add(profile.name)
    parts = [
        f"{_LETTERS[severity]}: {', '.join(sorted(names))}" for severity, names in wanted.items() if names
    ]
    return "; ".join(parts) or "Asked for by no profile; it takes the place of what the hub would write."


def _is_organisation(field: FieldInfo) -> bool:
    return field.annotation == Organisation | None


def _blank(field: FieldInfo) -> str:
    if field.default == ():
        return '[""]'
    return "2000" if field.annotation is not None and "int" in str(field.annotation) else '""'
