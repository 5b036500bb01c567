"""How complete a dataset's description is by a profile, worked out from the tables; SHACL would say the same.

A resource that the dataset does not have is not asked for its properties: what is missing then is the link to it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum

from fairbank.ontology.profiles.document import triples
from fairbank.ontology.profiles.facts import SUBJECTS, Facts, Iri, Term
from fairbank.ontology.profiles.namespaces import compact
from fairbank.ontology.profiles.rows import Origin, Profile, Row, Severity, Table
from fairbank.ontology.profiles.values import AGENT_FIELDS, FIELDS, withheld
from fairbank.ontology.stewardship import Stewardship


class State(StrEnum):
    """Whether a property is there; `unfit`: it is, but its value is not one that the profile allows."""

    MET = "met"
    MISSING = "missing"
    UNFIT = "unfit"


@dataclass(frozen=True, slots=True)
class Score:
    """One property of one resource, judged.

    Attributes:
        subject: IRI of the resource.
        severity: how the profile minds if it is not met.
        filler: who can supply it.
        field: what the curator would fill in; empty where the curator cannot.
        note: why it is missing, where that is known.
    """

    subject: str
    table: Table
    row: Row
    state: State
    severity: Severity
    field: str = ""
    note: str = ""

    @property
    def name(self) -> str:
        """Return the property as readers know it."""
        return " or ".join(compact(path) for path in self.row.paths)

    @property
    def filler(self) -> Origin:
        """Return who can supply the value."""
        return self.row.origin


def scorecard(profile: Profile, facts: Facts) -> tuple[Score, ...]:
    """Return every property that the profile asks for or that does not fit, in the order of the tables."""
    found: defaultdict[tuple[str, str], list[Term]] = defaultdict(list)
    for subject, path, value in triples(profile, facts):
        found[subject, path].append(value)
    return tuple(_scores(profile, facts, found))


def left(scores: Collection[Score], severity: Severity) -> int:
    """Return how many properties of a severity are not met."""
    return sum(score.severity is severity and score.state is not State.MET for score in scores)


def field_of(table: Table, row: Row) -> str:
    """Return what the curator would fill in for a row; empty where the curator cannot."""
    if row.origin is not Origin.CURATOR:
        return ""
    if table.name in AGENT_FIELDS:
        return (
            "publisher"
            if (table.name, row.value) == ("Publisher", "agent_name")
            else AGENT_FIELDS[table.name]
        )
    return row.value if row.value in Stewardship.model_fields else FIELDS.get(row.value, row.value)


def _scores(profile: Profile, facts: Facts, found: dict[tuple[str, str], list[Term]]) -> Iterator[Score]:
    for table in profile.tables:
        for subject in SUBJECTS[table.subjects](facts):
            for row in table.rows:
                values = [value for path in row.paths for value in found[subject, path]]
                if values and not row.only_checks and not _fits(row, values):
                    yield Score(
                        subject,
                        table,
                        row,
                        State.UNFIT,
                        Severity.VIOLATION,
                        field_of(table, row),
                        _allowed(row),
                    )
                elif row.severity is not None:
                    state = State.MET if values else State.MISSING
                    note = "" if values else _reason(row, facts)
                    yield Score(subject, table, row, state, row.severity, field_of(table, row), note)


def _fits(row: Row, values: list[Term]) -> bool:
    if row.most is not None and len(values) > row.most:
        return False
    return not row.range.words or all(
        isinstance(each, Iri) and each.value in row.range.words for each in values
    )


def _allowed(row: Row) -> str:
    return "allowed: " + ", ".join(row.range.words) if row.range.words else f"at most {row.most}"


def _reason(row: Row, facts: Facts) -> str:
    count = withheld(row.value, facts)
    return f"withheld: fewer than {count.k}, or kept back to protect such a number" if count else row.note
