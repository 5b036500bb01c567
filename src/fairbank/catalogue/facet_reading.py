"""The index of facets, read from SQL and kept in the process for as long as it says what SQL says.

Each question first asks SQL for its state: one text that names each version of each dataset and says whether it is
hidden. What one version says never changes, so while the state is the same what is kept is right; where it differs, the
versions are listed, and those that are not kept are read, in the same transaction. Nothing has to be told to a process
when something is published, hidden or withdrawn. Which hidden datasets a caller sees all the same is asked each time:
committees and roles change by themselves.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from sqlalchemy import JSON, ColumnElement, String, bindparam, cast, func, select
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import Pool

from fairbank.catalogue.accounts import Account
from fairbank.catalogue.criteria import AXES, OF_DATASETS
from fairbank.catalogue.facet_index import (
    MEASURES,
    Cell,
    Entry,
    FacetIndex,
    Flags,
    Key,
    Labels,
    Listed,
    entry,
    put_together,
    with_broader,
)
from fairbank.catalogue.records import Visibility
from fairbank.catalogue.store import DatasetRow, DescribedRow, DistributionRow, StratumRow
from fairbank.catalogue.visibility import hidden_but_seen
from fairbank.database import reading
from fairbank.ontology.counts import CountKind
from fairbank.ontology.profiles.fdp_described import Kind

_BELOW = CountKind.BELOW_K.value
# In place of the digest of a record: what people described has none, and another revision with every change.
_DESCRIBED = "described"
_IS_PUBLIC = DatasetRow.visibility == Visibility.PUBLIC.value
_THERE = (
    select(DatasetRow.iri, DatasetRow.version, DatasetRow.digest, _IS_PUBLIC)
    .where(DatasetRow.withdrawn.is_(None))
    .order_by(DatasetRow.title, DatasetRow.iri)
)
_SHOWN = (
    select(DescribedRow.iri, DescribedRow.revision)
    .where(DescribedRow.shown, DescribedRow.kind == Kind.DATASET.value)
    .order_by(DescribedRow.title, DescribedRow.iri)
)


# A digest is of one version of one dataset. The order in these texts may differ from one time to the next: then the
# index is read again, and nothing is wrong.
_STATE = select(
    select(func.aggregate_strings(DatasetRow.digest + DatasetRow.visibility, " "))
    .where(DatasetRow.withdrawn.is_(None))
    .scalar_subquery(),
    select(func.aggregate_strings(DescribedRow.iri + " " + cast(DescribedRow.revision, String), " "))
    .where(DescribedRow.shown, DescribedRow.kind == Kind.DATASET.value)
    .scalar_subquery(),
)
_KEPT: WeakKeyDictionary[Pool, _Kept] = WeakKeyDictionary()
_KEPT_LOCK = Lock()


def read_index(session: Session, who: Account | None) -> tuple[FacetIndex, Flags]:
    """Return the index of all datasets that were not withdrawn, and which of them a caller may see."""
    found = _kept(session).in_state(session, tuple(session.execute(_STATE).one()))
    hidden = hidden_but_seen(session, who)
    if not hidden:
        return found.index, found.public
    shown = found.public.copy()
    place_of = found.index.place_of
    shown[[place_of[iri] for iri in hidden if iri in place_of]] = True
    return found.index, shown


def read_ahead(engine: Engine) -> None:
    """Read the index before anybody asks for it."""
    with reading(engine) as session:
        read_index(session, None)


@dataclass(frozen=True, slots=True)
class _Read:
    """What was read of one state, and which of the datasets everybody sees."""

    state: tuple[str | None, ...]
    index: FacetIndex
    public: Flags


class _Kept:
    """What one process keeps of one database."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._labels = Labels()
        self._entries: dict[Key, Entry] = {}
        nothing = put_together(self._labels, {})
        self._read = _Read((None, None), nothing, np.zeros(0, np.bool_))

    def in_state(self, session: Session, state: tuple[str | None, ...]) -> _Read:
        """Return what is to be known in the state that the session sees."""
        kept = self._read
        if kept.state == state:
            return kept
        with self._lock:
            if self._read.state != state:
                self._read = self._now(session, state)
            return self._read

    def _now(self, session: Session, state: tuple[str | None, ...]) -> _Read:
        rows = session.execute(_THERE).all()
        # What has no counts comes after what has some, unless words say which is better.
        of_people = [(iri, revision, _DESCRIBED) for iri, revision in session.execute(_SHOWN)]
        keys = (*((iri, version, digest) for iri, version, digest, _ in rows), *of_people)
        public = np.ones(len(keys), np.bool_)
        public[: len(rows)] = [is_public for *_, is_public in rows]
        # Everybody gets the same one.
        public.flags.writeable = False
        index = self._read.index
        if index.keys != keys:
            missing = [key for key in keys if key not in self._entries]
            self._entries |= _read(session, self._labels, missing)
            self._entries = {key: self._entries[key] for key in keys}
            index = put_together(self._labels, self._entries)
        return _Read(state, index, public)


def _kept(session: Session) -> _Kept:
    pool = session.get_bind().engine.pool
    with _KEPT_LOCK:
        if pool not in _KEPT:
            _KEPT[pool] = _Kept()
        return _KEPT[pool]


def _read(session: Session, labels: Labels, keys: Sequence[Key]) -> dict[Key, Entry]:
    of_people = [iri for iri, _, digest in keys if digest == _DESCRIBED]
    iris = [iri for iri, _, digest in keys if digest != _DESCRIBED]
    entries = _published(session, labels, iris) if iris else {}
    entries |= _of_people(session, labels, of_people) if of_people else {}
    return {key: entries[key[0]] for key in keys}


def _published(session: Session, labels: Labels, iris: Sequence[str]) -> dict[str, Entry]:
    cells, listed = _cells(session, iris), _distributions(session, iris)
    columns = (getattr(DatasetRow, facet.column) for facet in OF_DATASETS)
    datasets = select(DatasetRow.iri, DatasetRow.totals, DatasetRow.published, *columns)
    return {
        iri: entry(
            labels,
            values=_values(each),
            totals=totals,
            cells=cells[iri],
            distributions=listed[iri],
            published=published,
        )
        for iri, totals, published, *each in session.execute(
            datasets.where(among(session, DatasetRow.iri, iris))
        )
    }


def _of_people(session: Session, labels: Labels, iris: Sequence[str]) -> dict[str, Entry]:
    """Return what people described without a node: it has a licence and access rights, and no counts."""
    columns = (
        DescribedRow.licence,
        DescribedRow.access_rights,
        DescribedRow.shown_since,
        DescribedRow.changed,
    )
    statement = select(DescribedRow.iri, *columns).where(among(session, DescribedRow.iri, iris))
    entries = {}
    for iri, licence, rights, shown_since, changed in session.execute(statement):
        values = {"licence": (licence,) if licence else (), "access_rights": (rights,) if rights else ()}
        since = shown_since or changed
        entries[iri] = entry(labels, values=values, totals={}, cells=(), distributions=(), published=since)
    return entries


def _values(said: Sequence[Any]) -> dict[str, tuple[str, ...]]:
    """Return the values of a dataset by facet, from what the columns of the facets hold."""
    values: dict[str, tuple[str, ...]] = {}
    for facet, column in zip(OF_DATASETS, said, strict=True):
        values[facet.name] = facet.values(column)
        if facet.broader is not None:
            wider = (term for value in values[facet.name] for term in (value, *facet.broader(value)))
            values[with_broader(facet.name)] = tuple(dict.fromkeys(wider))
    return values


def _cells(session: Session, iris: Sequence[str]) -> dict[str, list[Cell]]:
    columns = (
        *(getattr(StratumRow, axis) for axis in AXES),
        *(getattr(StratumRow, measure) for measure in MEASURES),
        *(getattr(StratumRow, f"{measure}_status") for measure in MEASURES),
    )
    statement = select(StratumRow.iri, *columns).where(among(session, StratumRow.iri, iris))
    found: dict[str, list[Cell]] = defaultdict(list)
    axes, numbers = len(AXES), len(AXES) + len(MEASURES)
    for iri, *said in session.execute(statement):
        below = tuple([status == _BELOW for status in said[numbers:]])
        found[iri].append(Cell(tuple(said[:axes]), tuple(said[axes:numbers]), below))
    return found


def _distributions(session: Session, iris: Sequence[str]) -> dict[str, list[Listed]]:
    statement = select(
        DistributionRow.iri,
        DistributionRow.attribute,
        DistributionRow.value,
        DistributionRow.subjects,
        DistributionRow.subjects_status,
    ).where(among(session, DistributionRow.iri, iris))
    found: dict[str, list[Listed]] = defaultdict(list)
    for iri, attribute, value, subjects, status in session.execute(statement):
        openly = bool(subjects) or status == _BELOW
        found[iri].append(Listed(attribute, value, subjects, openly))
    return found


def among(session: Session, column: Any, iris: Iterable[str]) -> ColumnElement[bool]:
    """Return the condition that a column is one of many IRIs: one parameter, however many there are."""
    if session.get_bind().dialect.name == "sqlite":
        each = func.json_each(json.dumps(list(iris))).table_valued("value").c.value
        condition: ColumnElement[bool] = column.in_(select(each))
        return condition
    listed = func.json_array_elements_text(bindparam(None, list(iris), type_=JSON)).column_valued("each")
    condition = column.in_(select(listed))
    return condition
