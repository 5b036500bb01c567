"""Write docs/reference/profiles.md from the tables of the export profiles.

    .venv/bin/python tools/build_profiles_page.py

A test compares the page with what this would write.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fairbank.ontology.biomarkers import BIOMARKERS
from fairbank.ontology.conditions import CONDITIONS
from fairbank.ontology.profiles.listing import PROFILES
from fairbank.ontology.profiles.namespaces import compact
from fairbank.ontology.profiles.rows import Profile, Row, Severity, Table
from fairbank.ontology.profiles.values import field_of
from fairbank.ontology.stewardship import Stewardship

TARGET = Path(__file__).resolve().parent.parent / "docs" / "reference" / "profiles.md"

_HEAD = """\
# Export profiles

Generated from the code by `tools/build_profiles_page.py`; change it there.

A dataset has one description at the hub and several documents, one per profile: `GET
/datasets/{node}/{dataset}?profile=NAME`. Document, SHACL shapes (`GET /profiles/NAME`) and scorecard (`GET
/datasets/{node}/{dataset}/quality`, `fairbank catalogue validate`) are made from the tables below, so they cannot
disagree. The version is part of a profile's name; documents of different versions are not exchangeable.

How a missing property is judged: *mandatory* is a SHACL violation, *recommended* a warning, *optional* an info; `–`
is written where it is known and not asked for. A value of the wrong form is always a violation. Where a value comes
from: *computed* from the record, *source*: read from the images, *curator*: said with `fairbank dataset define` or
`fairbank dataset describe`, *constant* of the profile.

Counts that are withheld are left out, and `fb:subjectCountBelow` or `fb:studyCountBelow` says below which number they
are (or that they are kept back to protect such a number). Documents hold no blank nodes and are the same whenever
they are made from the same record.

"""
_WORDS = {
    Severity.VIOLATION: "mandatory",
    Severity.WARNING: "recommended",
    Severity.INFO: "optional",
    None: "–",
}


def profiles_page() -> str:
    """Return the Markdown of the page."""
    parts = [_HEAD, "| profile | mandatory | recommended | optional |\n|---|---|---|---|\n"]
    parts += [_summary(profile) for profile in PROFILES.values()]
    parts += _fields()
    parts += _lists()
    for profile in PROFILES.values():
        parts += _profile(profile)
    return "".join(parts)


def _summary(profile: Profile) -> str:
    numbers = (sum(row.severity is severity for _, row in profile.rows()) for severity in Severity)
    return f"| [`{profile.name}`](#{profile.name.replace('.', '')}) | {' | '.join(map(str, numbers))} |\n"


def _fields() -> Iterator[str]:
    yield "\n## What only a curator can say\n\n"
    yield "`fairbank dataset describe --template` prints these as a file to fill in.\n\n"
    yield "| field | what it is |\n|---|---|\n"
    for name, field in Stewardship.model_fields.items():
        yield f"| `{name}` | {field.description} |\n"


def _lists() -> Iterator[str]:
    yield "\n## Conditions\n\n"
    yield "A curator gives a word, a name in one of six languages, or a MONDO id; a record has the word.\n\n"
    yield "| word | name | MONDO | a kind of |\n|---|---|---|---|\n"
    for each in CONDITIONS.values():
        kinds = ", ".join(f"`{word}`" for word in each.broader) or "–"
        yield f"| `{each.word}` | {each.label} | {each.mondo} | {kinds} |\n"
    yield "\n## Biomarkers\n\nCodes are those of DICOM (DCM, SCT) and of the IBSI's families of features.\n\n"
    yield "| name | what it is | code |\n|---|---|---|\n"
    for marker in BIOMARKERS.values():
        yield f"| `{marker.name}` | {marker.label} | {marker.notation} |\n"


def _profile(profile: Profile) -> Iterator[str]:
    yield f"\n## {profile.name}\n\n{profile.title}. {profile.covers} Source: {profile.source}.\n"
    for table in profile.tables:
        classes = ", ".join(f"`{compact(each)}`" for each in table.types)
        linked = (
            f", linked by {', '.join(f'`{compact(path)}`' for path in table.linked_by)}"
            if table.linked_by
            else ""
        )
        yield f"\n### {profile.name}: {table.name}\n\n{classes}{linked}\n\n"
        yield "| property | asked for | most | value | from |\n|---|---|---|---|---|\n"
        for row in table.rows:
            yield _row(table, row)


def _row(table: Table, row: Row) -> str:
    name = " or ".join(f"`{compact(path)}`" for path in row.paths)
    field = field_of(table, row)
    filler = f"{row.origin.value}: {field}" if field else row.origin.value
    note = f" ({row.note})" if row.note else ""
    return f"| {name} | {_WORDS[row.severity]} | {row.most or 'any'} | {_range(row)}{note} | {filler} |\n"


def _range(row: Row) -> str:
    if row.only_checks:
        return "at least one"
    if row.range.words:
        return "one of " + ", ".join(f"`{compact(word)}`" for word in row.range.words)
    if row.range.of_class:
        return f"a `{compact(row.range.of_class)}` in the document"
    return f"`{compact(row.range.datatype)}`" if row.range.datatype else row.range.kind.value


def main() -> None:
    """Write the page."""
    TARGET.write_text(profiles_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
