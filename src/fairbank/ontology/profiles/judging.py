"""Triples judged by a profile's tables: what its SHACL shapes would find, without a SHACL engine.

It knows no record, so it judges a document from anywhere. A test compares it with an independent engine over every row
and every fault. A resource that nothing in the document is or links to is not asked for its properties.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from fairbank.ontology import terms
from fairbank.ontology.profiles.facts import Iri, Literal, Term, Triple
from fairbank.ontology.profiles.lexical import is_of_type
from fairbank.ontology.profiles.namespaces import compact
from fairbank.ontology.profiles.rows import NodeKind, Origin, Profile, Row, Severity, Table
from fairbank.ontology.profiles.values import field_of

# How a resource without a name is written; no IRI begins like this.
BLANK = "_:"


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
        note: what is wrong with a value, or why one is missing, where that is known.
    """

    subject: str
    table: Table
    row: Row
    state: State
    severity: Severity
    note: str = ""

    @property
    def name(self) -> str:
        """Return the property as readers know it."""
        return " or ".join(compact(path) for path in self.row.paths)

    @property
    def filler(self) -> Origin:
        """Return who can supply the value."""
        return self.row.origin

    @property
    def field(self) -> str:
        """Return what the curator would fill in; empty where the curator cannot."""
        return field_of(self.table, self.row)


class Said:
    """What a document says, by resource and property."""

    def __init__(self, triples: Iterable[Triple]) -> None:
        self._values: defaultdict[str, defaultdict[str, list[Term]]] = defaultdict(lambda: defaultdict(list))
        for subject, path, value in dict.fromkeys(triples):
            self._values[subject][path].append(value)

    def values(self, subject: str, path: str) -> Sequence[Term]:
        """Return the values of a property."""
        found = self._values.get(subject)
        return found.get(path, ()) if found is not None else ()

    def targets(self, table: Table) -> list[str]:
        """Return the resources that a table is about: what has its class, or what its properties point to."""
        if not table.linked_by:
            of_class = Iri(table.types[0])
            return sorted(each for each in self._values if of_class in self.values(each, terms.TYPE))
        linked = {
            value.value
            for subject in self._values
            for path in table.linked_by
            for value in self.values(subject, path)
            if isinstance(value, Iri)
        }
        return sorted(linked)


def judge(profile: Profile, said: Said) -> Iterator[Score]:
    """Yield every property that the profile asks for or that does not fit, in the order of the tables."""
    for table in profile.tables:
        for subject in said.targets(table):
            yield from judge_resource(table, subject, said)


def judge_resource(table: Table, subject: str, said: Said) -> Iterator[Score]:
    """Yield the properties of one resource."""
    for row in table.rows:
        values = [value for path in row.paths for value in said.values(subject, path)]
        note = "" if row.only_checks else _fault(row, values, said)
        if note:
            yield Score(subject, table, row, State.UNFIT, Severity.VIOLATION, note)
        elif row.severity is not None:
            yield Score(subject, table, row, State.MET if values else State.MISSING, row.severity)


def _fault(row: Row, values: Sequence[Term], said: Said) -> str:
    """Return what is wrong with the values of a property; empty if nothing is."""
    if row.range.words and any(
        not (isinstance(each, Iri) and each.value in row.range.words) for each in values
    ):
        return "allowed: " + ", ".join(row.range.words)
    if row.most is not None and len(values) > row.most:
        return f"at most {row.most}"
    return next((fault for value in values if (fault := _misfit(row, value, said))), "")


def _misfit(row: Row, value: Term, said: Said) -> str:
    if row.range.kind is NodeKind.IRI and (isinstance(value, Literal) or value.value.startswith(BLANK)):
        return "has to be an IRI"
    if row.range.kind is NodeKind.LITERAL and isinstance(value, Iri):
        return "has to be a text or number, not an IRI"
    datatype = row.range.datatype
    if datatype and isinstance(value, Literal):
        if value.datatype != datatype:
            return f"has to be of the type {compact(datatype)}"
        if not is_of_type(value.value, datatype):
            return f"is not a value of the type {compact(datatype)}"
    of_class = row.range.of_class
    if of_class and Iri(of_class) not in said.values(value.value, terms.TYPE):
        return f"has to be described in the document as a {compact(of_class)}"
    return ""
