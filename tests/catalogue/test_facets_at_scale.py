"""The facets that are worked out in memory say what counting each dataset by hand says, whatever happened before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as given_settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, delete
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from fairbank.catalogue import facet_reading, facets, search_parameters
from fairbank.catalogue.accounts import Account, Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.criteria import AXES, FACETS, OF_DATASETS, OF_DISTRIBUTIONS, Criteria, OfDataset
from fairbank.catalogue.record_rows import distributions_of, fill, strata_of
from fairbank.catalogue.records import Visibility, set_visibility
from fairbank.catalogue.search import search
from fairbank.catalogue.store import DatasetRow, DistributionRow, StratumRow
from fairbank.catalogue.withdrawal import withdraw
from fairbank.clock import FixedClock
from fairbank.database import HubBase, writing
from fairbank.ontology import conditions
from fairbank.ontology.body_part_tree import broader
from fairbank.ontology.counts import Count, CountKind
from fairbank.ontology.record import (
    AccessRights,
    CollectionKind,
    DatasetRecord,
    Distribution,
    HowKnown,
    Quality,
    Stratum,
    Totals,
)
from fairbank.ontology.stewardship import Stewardship
from fairbank.ontology.withdrawal import WithdrawalReason

Make = Callable[..., Any]
MEASURES = ("subjects", "studies", "series")
COMMITTEE = Account(name="carla", roles=frozenset({Role.ADMIN}), key_id=None)


# -- a slow search, by hand -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Standing:
    """A dataset as it stands: its record, and what the hub says of it."""

    record: DatasetRecord
    hidden: bool = False
    withdrawn: bool = False


def slow_search(catalogue: Sequence[Standing], criteria: Criteria, who: Account | None) -> dict[str, Any]:
    """Answer a search by looking at each record for each value: the definition, not the implementation."""
    seen = [one.record for one in catalogue if not one.withdrawn and (who is not None or not one.hidden)]
    found = [record for record in seen if passes(record, criteria)]
    facets: dict[str, Counter[str]] = {facet.name: Counter() for facet in FACETS}
    facets["holds"] = Counter()
    for name in facets:
        for record in seen:
            facets[name].update(offered(record, criteria, name))
    return {
        "found": sorted((record.node, record.dataset) for record in found),
        "facets": {name: dict(counts) for name, counts in facets.items()},
        "totals": totals(found, criteria),
        "sites": len({record.node for record in found}),
        "bounds": bounds(found, criteria),
    }


def passes(record: DatasetRecord, criteria: Criteria, *, without: str = "") -> bool:
    for name, values in criteria.facets.items():
        if values and name != without and not of_dataset(record, criteria, name) & set(values):
            return False
    for attribute, values in criteria.holds.items():
        if f"holds:{attribute}" != without and not openly(record, attribute) & set(values):
            return False
    return without == "cells" or not criteria.of_cells or bool(cells_of(record, criteria))


def offered(record: DatasetRecord, criteria: Criteria, facet: str) -> set[str]:
    """Return the values of a facet that a record is counted for."""
    if facet in AXES:
        if not passes(record, criteria, without="cells"):
            return set()
        values = {getattr(cell, facet) for cell in cells_of(record, criteria, without=facet)}
        wide = facet == "body_part" and not criteria.exact
        return values | {part for value in values for part in broader(value)} if wide else values
    named = {each.name: each.attribute for each in OF_DISTRIBUTIONS}
    if facet in named:
        attribute = named[facet]
        ok = passes(record, criteria, without=f"holds:{attribute}")
        return openly(record, attribute) if ok else set()
    if facet == "holds":
        others = {row.attribute for row in record.distributions} - set(named.values())
        return {
            f"{attribute}={value}"
            for attribute in others
            if passes(record, criteria, without=f"holds:{attribute}")
            for value in openly(record, attribute)
        }
    return of_dataset(record, criteria, facet) if passes(record, criteria, without=facet) else set()


def of_dataset(record: DatasetRecord, criteria: Criteria, facet: str) -> set[str]:
    about = set(record.stewardship.conditions) if record.stewardship else set()
    wide = set() if criteria.exact else {wider for word in about for wider in conditions.broader(word)}
    return {
        "node": {record.node},
        "licence": {record.licence} if record.licence else set(),
        "data_use": set(record.data_use),
        "collection_kind": {record.collection_kind.value},
        "access_rights": {record.access_rights.value},
        "quality": {each.aspect for each in record.quality if each.assessed},
        "condition": about | wide,
    }[facet]


def openly(record: DatasetRecord, attribute: str) -> set[str]:
    return {
        row.value
        for row in record.distributions
        if row.attribute == attribute
        and ((row.subjects.value or 0) > 0 or row.subjects.kind is CountKind.BELOW_K)
    }


def cells_of(record: DatasetRecord, criteria: Criteria, *, without: str = "") -> list[Stratum]:
    def matches(cell: Stratum, axis: str, wanted: tuple[str, ...]) -> bool:
        value = getattr(cell, axis)
        wide = axis == "body_part" and not criteria.exact
        return value in wanted or (wide and bool(set(broader(value)) & set(wanted)))

    chosen = [(axis, values) for axis, values in criteria.axes.items() if values and axis != without]
    return [cell for cell in record.cube if all(matches(cell, axis, values) for axis, values in chosen)]


def totals(found: Sequence[DatasetRecord], criteria: Criteria) -> dict[str, tuple[int, int]]:
    """Return, by measure, what is certain and how many numbers are below k."""
    sums = {}
    for measure in MEASURES:
        certain = suppressed = 0
        for record in found:
            counts = [getattr(record.totals, measure)]
            if criteria.of_cells:
                counts = [getattr(cell, measure) for cell in cells_of(record, criteria)]
            numbers = [count.value or 0 for count in counts]
            certain += sum(numbers) if measure == "series" else max(numbers)
            suppressed += sum(1 for count in counts if count.kind is CountKind.BELOW_K)
        sums[measure] = (certain, suppressed)
    return sums


def bounds(found: Sequence[DatasetRecord], criteria: Criteria) -> tuple[int, int | None, int]:
    """Return how many subjects match at least and at most, and how many numbers are withheld."""
    every = [bounds_of(record, criteria) for record in found]
    upper = [most for _, most, _ in every]
    most = None if None in upper else sum(number for number in upper if number is not None)
    return sum(least for least, _, _ in every), most, sum(withheld for _, _, withheld in every)


def bounds_of(record: DatasetRecord, criteria: Criteria) -> tuple[int, int | None, int]:
    total = record.totals.subjects.value
    lists = [[cell.subjects.value for cell in cells_of(record, criteria)]] if criteria.of_cells else []
    lists += [
        [row.subjects.value for row in record.distributions if row.attribute == name and row.value in values]
        for name, values in criteria.holds.items()
    ]
    lists = [numbers for numbers in lists if numbers] or [[total]]
    withheld = sum(numbers.count(None) for numbers in lists)
    limits = [sum(number or 0 for number in numbers) for numbers in lists if None not in numbers]
    most = min([*limits, *([] if total is None else [total])], default=None)
    largest = [max(number or 0 for number in numbers) for numbers in lists]
    if len(largest) == 1:
        return largest[0], most, withheld
    if total is None:
        return 0, most, withheld
    return max(0, sum(largest) - (len(largest) - 1) * total), most, withheld


# -- random catalogues ----------------------------------------------------------------------------------------------

NODES = ("alpha", "beta")
VALUES = {
    "modality": ("CT", "MR"),
    "body_part": ("CHEST", "HEART", "CORONARYARTERY", "BRAIN", "unknown"),
    "manufacturer": ("Siemens", "GE"),
    "slice_thickness": ("<1", "1-1.5", "1.5-3"),
}
LISTED = {"sex": ("F", "M"), "age-band": ("60-64", "65-69"), "acquisition-year": ("2019",), "node": ("x",)}
CHOOSABLE = {
    "node": NODES,
    "licence": ("CC0", "CC BY 4.0", "none such"),
    "data_use": ("DUO:0000006", "DUO:0000042"),
    "quality": ("motion", "burned-in-text"),
    "access_rights": ("PUBLIC", "NON_PUBLIC"),
    "condition": ("lung-cancer", "small-cell-lung-cancer", "cancer"),
}
COUNTS = st.one_of(
    st.integers(0, 90).map(Count.exact),
    st.just(Count.below(10)),
    st.just(Count(kind=CountKind.NOT_COUNTABLE)),
)


@st.composite
def datasets(draw: st.DrawFn) -> dict[str, Any]:
    """What makes one record differ from another."""
    keys = draw(
        st.lists(st.tuples(*(st.sampled_from(VALUES[axis]) for axis in AXES)), max_size=6, unique=True)
    )
    cube = tuple(
        Stratum(**dict(zip(AXES, key, strict=True)), **{measure: draw(COUNTS) for measure in MEASURES})
        for key in keys
    )
    rows = draw(
        st.lists(
            st.sampled_from([(name, value) for name in LISTED for value in LISTED[name]]),
            max_size=5,
            unique=True,
        )
    )
    return {
        "node": draw(st.sampled_from(NODES)),
        "licence": draw(st.sampled_from((None, "CC0", "CC BY 4.0"))),
        "data_use": tuple(draw(st.lists(st.sampled_from(CHOOSABLE["data_use"]), max_size=3))),
        "collection_kind": draw(st.sampled_from(list(CollectionKind))),
        "access_rights": draw(st.sampled_from(list(AccessRights))),
        "quality": tuple(
            Quality(aspect=aspect, assessed=draw(st.booleans()), how_known=HowKnown.COMPUTED)
            for aspect in draw(st.lists(st.sampled_from(CHOOSABLE["quality"]), unique=True))
        ),
        "stewardship": Stewardship(
            conditions=draw(some(("lung-cancer", "small-cell-lung-cancer", "sarcoma")))
        ),
        "cube": cube,
        "distributions": tuple(
            Distribution(attribute=name, value=value, how_known=HowKnown.HEADER, subjects=draw(COUNTS))
            for name, value in rows
        ),
        "totals": Totals(**{name: draw(COUNTS) for name in (*MEASURES, "instances")}),
    }


def some(values: Sequence[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), max_size=2, unique=True).map(tuple)


@st.composite
def questions(draw: st.DrawFn) -> Criteria:
    holds = {
        name: draw(some((*values, "none such"))) for name, values in LISTED.items() if draw(st.booleans())
    }
    return Criteria(
        axes={axis: draw(some(values)) for axis, values in VALUES.items()},
        facets={name: draw(some(values)) for name, values in CHOOSABLE.items()},
        holds={name: values for name, values in holds.items() if values},
        exact=draw(st.booleans()),
        min_subjects=draw(st.integers(0, 60)),
        min_sites=draw(st.integers(0, 2)),
        limit=500,
    )


ACTS = st.lists(
    st.tuples(st.sampled_from(("hide", "show", "withdraw", "replace")), st.integers(0, 5), datasets()),
    max_size=4,
)


@given_settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    first=st.lists(st.tuples(datasets(), st.booleans()), max_size=6),
    acts=ACTS,
    asked=st.lists(questions(), min_size=1, max_size=3),
)
def test_a_search_says_what_counting_by_hand_says(
    record_of: Make, first: list[tuple[dict[str, Any], bool]], acts: list[Any], asked: list[Criteria]
) -> None:
    """Over random catalogues that change between the questions, for a stranger and for the committee."""
    engine = create_engine("sqlite://")
    HubBase.metadata.create_all(engine)
    with Session(engine) as session:
        standing: list[Standing] = []
        for number, (changes, hidden) in enumerate(first):
            standing.append(Standing(record_of(changes["node"], f"d{number}", **rest(changes)), hidden))
            write(session, number, standing[number])
        compare(session, standing, asked)
        for act, number, changes in acts:
            if number < len(standing) and not standing[number].withdrawn:
                standing[number] = after(standing[number], act, changes)
                write(session, number, standing[number])
                compare(session, standing, asked)
    engine.dispose()


def rest(changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in changes.items() if name != "node"}


def after(one: Standing, act: str, changes: dict[str, Any]) -> Standing:
    if act == "replace":
        newer = {**rest(changes), "version": one.record.version + 1}
        return replace(one, record=one.record.model_copy(update=newer))
    return replace(one, hidden=act == "hide", withdrawn=act == "withdraw")


def write(session: Session, number: int, one: Standing) -> None:
    """Let the tables say how a dataset stands, as publication does."""
    iri, now = f"http://hub.test/{number}", FixedClock().now()
    row = session.get(DatasetRow, iri)
    if row is None:
        row = DatasetRow(
            iri=iri,
            graph=iri + "#graph",
            node=one.record.node,
            dataset=one.record.dataset,
            first_published=now,
            published=now,
        )
        session.add(row)
    fill(row, one.record, digest=f"sha256:{number}-{one.record.version}")
    row.visibility = (Visibility.HIDDEN if one.hidden else Visibility.PUBLIC).value
    row.withdrawn = now if one.withdrawn else None
    session.flush()
    for table in (StratumRow, DistributionRow):
        session.execute(delete(table).where(table.iri == iri))
    session.add_all([*strata_of(iri, one.record), *distributions_of(iri, one.record)])
    session.flush()


def compare(session: Session, standing: Sequence[Standing], asked: Sequence[Criteria]) -> None:
    for criteria in asked:
        for who in (None, COMMITTEE):
            wanted = slow_search(standing, criteria, who)
            answer = search(session, criteria, who)
            assert sorted((one["node"], one["dataset"]) for one in answer["datasets"]) == wanted["found"]
            for name, counts in wanted["facets"].items():
                listed = [(each["value"], each["datasets"]) for each in answer["facets"][name]]
                assert dict(listed) == counts, name
                assert listed == sorted(listed, key=lambda each: (-each[1], each[0]))
            assert {
                name: (said["at_least"], said["suppressed_cells"]) for name, said in answer["totals"].items()
            } == wanted["totals"]
            if criteria.asks_feasibility:
                agrees(answer["feasibility"], wanted, criteria)


def agrees(told: dict[str, Any], wanted: dict[str, Any], criteria: Criteria) -> None:
    least, most, withheld = wanted["bounds"]
    assert (told["sites"], told["subjects_at_least"], told["suppressed_cells"]) == (
        wanted["sites"],
        least,
        withheld,
    )
    if wanted["sites"] < criteria.min_sites:
        enough = "false"
    elif least >= criteria.min_subjects:
        enough = "true"
    else:
        enough = "false" if most is not None and most < criteria.min_subjects else "unknown"
    assert told["enough"] == enough


# -- through the hub ------------------------------------------------------------------------------------------------


@pytest.fixture
def ask(client: TestClient) -> Iterator[Make]:
    def get(**params: Any) -> dict[str, Any]:
        answer = client.get("/search", params=params)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    yield get


def test_what_is_published_hidden_shown_and_withdrawn_is_so_in_the_next_search(
    ask: Make, released: Make, hub: Hub, cell_of: Make
) -> None:
    iri = f"{hub.base_iri}/datasets/alpha/lungs"
    released("lungs")
    assert ask()["count"] == 1
    released("lungs", version=2, cube=(cell_of("MR", "BRAIN"),), licence="CC0")
    answer = ask()
    assert answer["facets"]["modality"] == [{"value": "MR", "datasets": 1}]
    assert answer["facets"]["licence"] == [{"value": "CC0", "datasets": 1}]
    for visibility, count in ((Visibility.HIDDEN, 0), (Visibility.PUBLIC, 1)):
        with writing(hub.engine) as session:
            set_visibility(session, hub, iri=iri, visibility=visibility, actor="admin")
        assert (ask()["count"], len(ask()["facets"]["modality"])) == (count, count)
    with writing(hub.engine) as session:
        withdraw(session, hub, iri=iri, reason=WithdrawalReason.ERROR, actor="admin")
    assert (ask()["count"], ask()["facets"]["modality"]) == (0, [])


def test_two_processes_of_a_hub_agree(client: TestClient, released: Make, hub: Hub) -> None:
    """The other process is another engine: it shares nothing but the database."""
    from fairbank.database import connect, reading

    other = connect(hub.settings.hub_database_url)
    released("lungs")
    for version, licence in ((2, "CC0"), (3, "CC BY 4.0")):
        released("lungs", version=version, licence=licence)
        for engine in (hub.engine, other):
            with reading(engine) as session:
                assert [each["value"] for each in search(session, Criteria(), None)["facets"]["licence"]] == [
                    licence
                ]
    other.dispose()


def test_a_number_beyond_all_collections_breaks_no_search(ask: Make, released: Make, cell_of: Make) -> None:
    huge = Count.exact(2**53 - 1)
    released("huge", totals=Totals(subjects=huge, studies=huge, series=huge, instances=huge))
    assert ask(min_subjects=5)["feasibility"]["enough"] == "true"


def test_a_new_facet_of_datasets_is_one_line(
    ask: Make, released: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what is broader, a label, and a word for what a person asks."""
    kinds = {"lung": ("organ", "body"), "heart": ("organ", "body")}
    facet = OfDataset(
        "keyword",
        "Keyword.",
        kept_in="keywords",
        broader=lambda value: kinds.get(value, ()),
        label=str.upper,
        word=str.lower,
    )
    for module in (facets, facet_reading, search_parameters):
        monkeypatch.setattr(module, "OF_DATASETS", (*OF_DATASETS, facet))
    monkeypatch.setitem(search_parameters._SEVERAL, facet.name, facet.help)
    released("lungs", keywords=("lung", "lung", "other"))
    released("hearts", keywords=("heart",))
    answer = ask(keyword="ORGAN")
    assert answer["count"] == 2
    assert answer["facets"]["keyword"] == [
        {"value": value, "datasets": number, "label": value.upper()}
        for value, number in (("body", 2), ("organ", 2), ("heart", 1), ("lung", 1), ("other", 1))
    ]
    assert ask(keyword="Heart")["count"] == 1
    assert ask(keyword="organ", exact=True)["count"] == 0
    assert {each["value"] for each in ask(exact=True)["facets"]["keyword"]} == {"lung", "heart", "other"}
