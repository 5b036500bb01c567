"""Every row of every profile against an independent validator: the complete conforms, and each fault is found alone.

A fault is made in a document of its own, whose resources all lie under one dataset. So one graph holds all documents of
a profile with all their faults, it is validated once, and what is found is told apart by the dataset that it is about.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rdflib import Graph, Namespace

from fairbank.ontology import terms
from fairbank.ontology.profiles import shapes
from fairbank.ontology.profiles.document import triples
from fairbank.ontology.profiles.facts import SUBJECTS, Facts, Iri, Literal, Term, Triple
from fairbank.ontology.profiles.judging import Said, State, judge
from fairbank.ontology.profiles.listing import PROFILES
from fairbank.ontology.profiles.rows import NodeKind, Profile, Row, Table

SH = Namespace("http://www.w3.org/ns/shacl#")
NAMES = list(PROFILES)
Make = Callable[..., Any]
ELSEWHERE = Iri("https://nowhere.test/thing")
# Focus node, shape, path and severity of a result; a shape for "one of several properties" has no single path.
Result = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class Place:
    """A row as it stands in one resource of one document."""

    profile: Profile
    table: Table
    row: Row
    subject: str

    def missing(self) -> Result | None:
        """Return what has to be found if the property is not there."""
        if self.row.severity is None:
            return None
        shape = shapes.presence_shape(self.profile, self.table, self.row)
        path = "" if self.row.only_checks else self.row.path
        return self.subject, shape, path, self.row.severity.value

    def unfit(self) -> Result:
        """Return what has to be found if a value has a wrong form."""
        shape = shapes.form_shape(self.profile, self.table, self.row)
        return self.subject, shape, self.row.path, "Violation"


def places(profile: Profile, facts: Facts) -> Iterator[Place]:
    """Yield each row in each resource that the dataset has."""
    for table, row in profile.rows():
        for subject in SUBJECTS[table.subjects](facts):
            yield Place(profile, table, row, subject)


def validated(data: Graph, shapes_graph: Graph) -> dict[str, set[Result]]:
    """Return the results of a validation by the dataset that they are about."""
    from pyshacl import validate

    _, report, _ = validate(data, shacl_graph=shapes_graph, advanced=False, inference="none")
    assert isinstance(report, Graph)
    found: dict[str, set[Result]] = defaultdict(set)
    for result in report.subjects(SH.resultSeverity, None):
        focus, path = str(report.value(result, SH.focusNode)), report.value(result, SH.resultPath)
        severity = str(report.value(result, SH.resultSeverity)).removeprefix(str(SH))
        shape = str(report.value(result, SH.sourceShape))
        several = "-or-" in shape
        found[focus.partition("#")[0]].add((focus, shape, "" if several else str(path), severity))
    return found


def judged(name: str, made: list[Triple]) -> set[tuple[str, str, str]]:
    """Return focus node, shape and severity of what the tables themselves find."""
    profile, found = PROFILES[name], set()
    for score in judge(profile, Said(made)):
        # What is described elsewhere lacks everything here; the validator's results about it are left out as well.
        if score.state is not State.MET and score.subject != ELSEWHERE.value:
            make = shapes.presence_shape if score.state is State.MISSING else shapes.form_shape
            found.add((score.subject, make(profile, score.table, score.row), score.severity.value))
    return found


# -- faults ----------------------------------------------------------------------------------------------------------


def without(made: list[Triple], subject: str, paths: tuple[str, ...]) -> list[Triple]:
    return [each for each in made if not (each[0] == subject and each[1] in paths)]


def linked(made: list[Triple], table: Table) -> set[str]:
    """Return the resources that the properties of a table's shape point to."""
    return {value.value for _, path, value in made if path in table.linked_by}


def copied(made: list[Triple], value: Term, copy: Term) -> list[Triple]:
    """Return the triples of a second resource that says the same as one of the document."""
    return [(copy.value, path, told) for subject, path, told in made if subject == value.value]


def too_many(made: list[Triple], place: Place) -> list[Triple] | None:
    """Return the document with more values than the row allows, each of them right by itself."""
    row, most = place.row, place.row.most
    if most is None:
        return None
    values = [told for subject, path, told in made if (subject, path) == (place.subject, row.path)]
    more = list(made)
    new = (value for value in right_values(place) if value not in values)
    for value in islice(new, most + 1 - len(values)):
        if row.range.of_class:
            more += copied(made, values[0], value)
        more.append((place.subject, row.path, value))
    return more


def right_values(place: Place) -> Iterator[Term]:
    """Yield values that a row allows; a closed list goes on with words that are not in it when it ends."""
    values = place.row.range
    yield from map(Iri, values.words)
    for number in range(10):
        if values.of_class:
            yield Iri(f"{place.subject.partition('#')[0]}#copy-{number}")
        elif values.kind is NodeKind.IRI:
            yield Iri(f"https://vocabulary.test/more-{number}")
        elif values.datatype is None:
            yield Literal(f"more {number}")
        else:
            yield Literal(_OF_TYPE[values.datatype.removeprefix(terms.XSD)][number % 2], values.datatype)


_OF_TYPE = {
    "dateTime": ("1999-12-31T00:00:00.000Z", "2001-12-31T00:00:00.000Z"),
    "nonNegativeInteger": ("7", "8"),
    "integer": ("7", "8"),
    "gYear": ("1999", "2001"),
    "boolean": ("true", "false"),
    "duration": ("P9Y", "P8Y"),
}


def wrong_values(place: Place) -> Iterator[tuple[str, Term]]:
    """Yield each way in which a single value of a row can be wrong."""
    values = place.row.range
    if values.kind is NodeKind.LITERAL:
        yield "an IRI for a text", ELSEWHERE
    else:
        yield "a text for an IRI", Literal("text")
    if values.datatype:
        yield "a text for a number or time", Literal("text")
        yield "another type", Literal("2.5", terms.XSD + "decimal")
        # The validator knows no year from a word: it cannot tell what is no gYear.
        if not values.datatype.endswith("#gYear"):
            yield "a text that is not of its type", Literal("soon", values.datatype)
    if values.of_class:
        yield "a resource that is not described", ELSEWHERE
    if values.words:
        yield "a word that is not in the list", ELSEWHERE


def faults(made: list[Triple], place: Place) -> Iterator[tuple[str, list[Triple], set[Result]]]:
    """Yield each fault of a row: what it is, the document with it, and what has to be found."""
    row = place.row
    lacking = {place.missing()} - {None}
    if row.only_checks:
        # Each property alone may be optional, and is then missed for itself as well.
        alone = (other for other in place.table.rows if other.path in row.paths and not other.only_checks)
        lacking |= {Place(place.profile, place.table, other, place.subject).missing() for other in alone}
    yield "left out", without(made, place.subject, row.paths), {each for each in lacking if each}
    if row.only_checks:
        return
    more = too_many(made, place)
    if more is not None:
        yield "too many", more, {place.unfit()}
    for words, value in wrong_values(place):
        replaced = [*without(made, place.subject, (row.path,)), (place.subject, row.path, value)]
        yield words, replaced, {place.unfit()}


# -- tests -----------------------------------------------------------------------------------------------------------


def moved(made: list[Triple], old: str, new: str) -> list[Triple]:
    """Return a document as that of another dataset."""

    def renamed(iri: str) -> str:
        return new + iri.removeprefix(old) if iri == old or iri.startswith(old + "#") else iri

    return [
        (renamed(subject), path, Iri(renamed(value.value)) if isinstance(value, Iri) else value)
        for subject, path, value in made
    ]


@pytest.mark.parametrize("name", NAMES)
def test_the_complete_dataset_has_something_for_every_row(name: str, facts: Make) -> None:
    profile, whole = PROFILES[name], facts(name)
    said = {(subject, path) for subject, path, _ in triples(profile, whole)}
    unseen = {
        row.path
        for table, row in profile.rows()
        if not any((each, path) in said for each in SUBJECTS[table.subjects](whole) for path in row.paths)
    }
    assert unseen == {terms.SUBJECT_BELOW, terms.STUDY_BELOW}, "nothing is withheld in it"


# The three levels of HealthDCAT-AP have most rows in common: one of them in each run, all in the long one.
LONG = ("healthdcat-ap-r8-restricted", "healthdcat-ap-r8-non-public")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.long) if name in LONG else name for name in NAMES]
)
def test_each_fault_of_each_row_is_found_alone(name: str, facts: Make, graph: Make, shapes_of: Make) -> None:
    profile, whole = PROFILES[name], facts(name)
    made = triples(profile, whole)
    data: Graph = graph(made)
    expected: dict[str, set[Result]] = {}
    told: dict[str, str] = {}
    for place in places(profile, whole):
        for words, document, results in faults(made, place):
            told_by_tables = {(focus, shape, severity) for focus, shape, _, severity in results}
            assert judged(name, document) == told_by_tables, (place.table.name, place.row.paths, words)
            iri = f"{whole.iri}-{len(expected)}"
            for triple in graph(moved(document, whole.iri, iri)):
                data.add(triple)
            expected[iri] = {(iri + focus.removeprefix(whole.iri), *rest) for focus, *rest in results}
            told[iri] = f"{place.table.name} {place.row.paths}: {words}"
    found = validated(data, shapes_of(name))
    assert found.pop(whole.iri, set()) == set()
    wrong = {
        told[iri]: (found.get(iri, set()), wanted)
        for iri, wanted in expected.items()
        if found.get(iri, set()) != wanted
    }
    assert wrong == {}
    assert len(expected) > 40


@pytest.mark.parametrize("name", NAMES)
@given(choice=st.data())
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_is_left_out_is_missed_and_nothing_else(
    name: str, facts: Make, graph: Make, shapes_of: Make, choice: st.DataObject
) -> None:
    profile, whole = PROFILES[name], facts(name)
    every = list(places(profile, whole))
    gone = choice.draw(st.lists(st.sampled_from(every), min_size=1, max_size=12, unique_by=id))
    made = triples(profile, whole)
    for place in gone:
        made = without(made, place.subject, place.row.paths)
    said = {(subject, path) for subject, path, _ in made}
    expected = {
        place.missing()
        for place in every
        if not any((place.subject, path) in said for path in place.row.paths)
        # A resource that nothing links to any more is not looked at.
        and (not place.table.linked_by or place.subject in linked(made, place.table))
    }
    assert validated(graph(made), shapes_of(name)).get(whole.iri, set()) == expected - {None}
    assert judged(name, made) == {(focus, shape, severity) for focus, shape, _, severity in expected - {None}}
