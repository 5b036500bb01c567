"""Which datasets match, and how many have each value that could be chosen.

What a facet may tell: it reads published rows only, and of those only what a row says openly. A dataset has a value of
a distribution if its record lists the value with a number of subjects, or openly as "fewer than k". A value that the
record does not list, or lists with no statement of subjects (not countable, waiting, declined), is not had, and
nothing is worked out from the rest of a total. A facet counts datasets, never subjects, and a value chosen of a
distribution selects datasets: it never narrows a count, because the overlap of two published numbers is not published.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import JSON, ColumnElement, bindparam, func, or_, select
from sqlalchemy.orm import Session

from fairbank.catalogue.accounts import Account
from fairbank.catalogue.criteria import AXES, OF_DATASETS, Criteria
from fairbank.catalogue.holdings import condition_label, condition_values
from fairbank.catalogue.store import DatasetRow, DistributionRow, StratumRow
from fairbank.catalogue.visibility import visible
from fairbank.ontology.body_part_tree import broader
from fairbank.ontology.counts import CountKind
from fairbank.ontology.data_use import TERMS

_CELLS = "cells"
_HELD_OPENLY = or_(DistributionRow.subjects > 0, DistributionRow.subjects_status == CountKind.BELOW_K.value)
_COLUMNS = (
    DatasetRow.iri,
    DatasetRow.node,
    DatasetRow.licence,
    DatasetRow.data_use,
    DatasetRow.collection_kind,
    DatasetRow.access_rights,
    DatasetRow.quality,
    DatasetRow.conditions,
    DatasetRow.totals,
)


@dataclass(frozen=True, slots=True)
class Line:
    """What a search looks at of a dataset.

    Attributes:
        values: its values by facet of the whole dataset.
        totals: its published totals, in wire form.
    """

    iri: str
    node: str
    values: dict[str, tuple[str, ...]]
    totals: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Selection:
    """The datasets that a caller may see and whose words match, and which of them pass each other choice.

    Attributes:
        lines: best first.
        everything: the IRIs of all datasets of the hub, also those that the caller may not see.
        passing: the IRIs that pass, by facet, attribute of a distribution (`holds:sex`), or `cells`.
    """

    lines: list[Line]
    everything: frozenset[str]
    passing: dict[str, Collection[str]]

    def matching(self, *, without: Collection[str] = ()) -> list[Line]:
        """Return the datasets that pass every choice, or every choice but some."""
        tests = [iris for name, iris in self.passing.items() if name not in without]
        return [line for line in self.lines if all(line.iri in iris for iris in tests)]

    def only(self, session: Session, column: Any, lines: Iterable[Line]) -> ColumnElement[bool]:
        """Return the condition that a column is the IRI of one of some datasets, by the shorter of the two lists."""
        iris = {line.iri for line in lines}
        others = self.everything - iris
        if len(others) < len(iris):
            return ~among(session, column, others)
        return among(session, column, iris)


def choose(session: Session, criteria: Criteria, who: Account | None, by_rank: list[str] | None) -> Selection:
    """Return what a caller may see, with what passes each choice; one statement per choice at most."""
    statement = select(*_COLUMNS).where(visible(who)).order_by(DatasetRow.title, DatasetRow.iri)
    lines = [_line(*row, exact=criteria.exact) for row in session.execute(statement)]
    if by_rank is not None:
        found = {line.iri: line for line in lines}
        lines = [found[iri] for iri in by_rank if iri in found]
    passing: dict[str, Collection[str]] = {
        name: {line.iri for line in lines if not set(values).isdisjoint(line.values[name])}
        for name, values in criteria.facets.items()
        if values
    }
    for attribute, values in criteria.holds.items():
        held = select(DistributionRow.iri).where(
            DistributionRow.attribute == attribute, DistributionRow.value.in_(values), _HELD_OPENLY
        )
        passing[f"holds:{attribute}"] = set(session.scalars(held))
    if criteria.of_cells:
        passing[_CELLS] = set(
            session.scalars(select(StratumRow.iri).where(*cell_conditions(criteria)).distinct())
        )
    return Selection(lines, frozenset(session.scalars(select(DatasetRow.iri))), passing)


def counted(session: Session, criteria: Criteria, selection: Selection) -> dict[str, list[dict[str, Any]]]:
    """Return the values of each facet with the number of datasets that have it, the most frequent first.

    A facet's own choice is left out when its values are counted, so that the alternatives to it stay on offer.
    """
    facets = {axis: _listed(_of_axis(session, criteria, selection, axis)) for axis in AXES}
    for name in OF_DATASETS:
        lines = selection.matching(without=(name,))
        facets[name] = _listed(Counter(value for line in lines for value in line.values[name]))
    for entry in facets["data_use"]:
        term = TERMS.get(entry["value"])
        entry["label"] = term.label if term else ""
    for entry in facets["condition"]:
        entry["label"] = condition_label(entry["value"])
    facets["holds"] = _listed(_of_distributions(session, criteria, selection))
    return facets


def cell_conditions(criteria: Criteria, *, without: str = "") -> list[ColumnElement[bool]]:
    """Return the conditions on a cell of the cube."""
    return [
        getattr(StratumRow, axis).in_(criteria.wanted(axis))
        for axis, values in criteria.axes.items()
        if values and axis != without
    ]


def among(session: Session, column: Any, iris: Iterable[str]) -> ColumnElement[bool]:
    """Return the condition that a column is one of many IRIs: one parameter, however many there are."""
    if session.get_bind().dialect.name == "sqlite":
        each = func.json_each(json.dumps(list(iris))).table_valued("value").c.value
        condition: ColumnElement[bool] = column.in_(select(each))
        return condition
    listed = func.json_array_elements_text(bindparam(None, list(iris), type_=JSON)).column_valued("each")
    condition = column.in_(select(listed))
    return condition


def _line(
    iri: str,
    node: str,
    licence: str | None,
    data_use: Sequence[str],
    kind: str,
    rights: str,
    quality: Sequence[dict[str, Any]],
    conditions: Sequence[str],
    totals: dict[str, Any],
    *,
    exact: bool,
) -> Line:
    values = {
        "node": (node,),
        "licence": (licence,) if licence else (),
        "data_use": tuple(dict.fromkeys(data_use)),
        "collection_kind": (kind,),
        "access_rights": (rights,),
        # Only what was assessed: "not assessed" says nothing about the images.
        "quality": tuple(dict.fromkeys(each["aspect"] for each in quality if each["assessed"])),
        "condition": condition_values(conditions, exact=exact),
    }
    return Line(iri, node, values, totals)


def _of_axis(session: Session, criteria: Criteria, selection: Selection, axis: str) -> Counter[str]:
    lines = selection.matching(without=(_CELLS,))
    column = getattr(StratumRow, axis)
    pairs = select(column.label("value"), StratumRow.iri).where(*cell_conditions(criteria, without=axis))
    once = pairs.distinct().subquery()
    shown = selection.only(session, once.c.iri, lines)
    if axis != "body_part" or criteria.exact:
        statement = select(once.c.value, func.count()).where(shown).group_by(once.c.value)
        counts: Counter[str] = Counter()
        for value, number in session.execute(statement):
            counts[value] = number
        return counts
    # A broader part finds the datasets of its parts, each once; so it is counted as it would be found.
    having: dict[str, set[str]] = defaultdict(set)
    for value, iri in session.execute(select(once.c.value, once.c.iri).where(shown)):
        having[value].add(iri)
    found: dict[str, set[str]] = defaultdict(set)
    for value, iris in having.items():
        for term in (value, *broader(value)):
            found[term] |= iris
    return Counter({term: len(iris) for term, iris in found.items()})


def _of_distributions(session: Session, criteria: Criteria, selection: Selection) -> Counter[str]:
    shown = selection.only(session, DistributionRow.iri, selection.matching())
    everything = _held(session, DistributionRow.attribute.not_in(criteria.holds), shown)
    for attribute in criteria.holds:
        lines = selection.matching(without=(f"holds:{attribute}",))
        shown = selection.only(session, DistributionRow.iri, lines)
        everything |= _held(session, DistributionRow.attribute == attribute, shown)
    return everything


def _held(session: Session, *conditions: ColumnElement[bool]) -> Counter[str]:
    # A dataset has one row per attribute and value (the table's own rule), so rows are datasets here.
    statement = (
        select(DistributionRow.attribute, DistributionRow.value, func.count())
        .where(_HELD_OPENLY, *conditions)
        .group_by(DistributionRow.attribute, DistributionRow.value)
    )
    return Counter(
        {f"{attribute}={value}": number for attribute, value, number in session.execute(statement)}
    )


def _listed(counts: Counter[str]) -> list[dict[str, Any]]:
    ordered = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    return [{"value": value, "datasets": number} for value, number in ordered if number]
