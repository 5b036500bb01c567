"""Search over what records publish: facets, body parts and their parts, enough subjects, and words that do no harm."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as given_settings
from hypothesis import strategies as st
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from fairbank.catalogue.context import Hub
from fairbank.catalogue.criteria import FACETS, OF_DISTRIBUTIONS, Criteria, OfDistribution
from fairbank.catalogue.record_rows import distributions_of, fill, strata_of
from fairbank.catalogue.records import Visibility, set_visibility
from fairbank.catalogue.search import search
from fairbank.catalogue.store import DatasetRow
from fairbank.clock import FixedClock
from fairbank.database import HubBase, writing
from fairbank.ontology.body_part_tree import BROADER, broader
from fairbank.ontology.counts import Count, CountKind
from fairbank.ontology.record import (
    AccessRights,
    CollectionKind,
    DatasetRecord,
    Distribution,
    HowKnown,
    Quality,
    Totals,
)
from fairbank.ontology.stewardship import Stewardship
from fairbank.ontology.vocabulary import BODY_PARTS
from fairbank.release.disclosure import suppress_record

Make = Callable[..., Any]


def row(attribute: str, value: str, count: Count) -> Distribution:
    return Distribution(attribute=attribute, value=value, how_known=HowKnown.HEADER, subjects=count)


def values(answer: dict[str, Any], facet: str) -> dict[str, int]:
    return {each["value"]: each["datasets"] for each in answer["facets"][facet]}


def asking(client: TestClient) -> Make:
    def get(**params: Any) -> dict[str, Any]:
        answer = client.get("/search", params=params)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    return get


@pytest.fixture
def ask(client: TestClient) -> Make:
    return asking(client)


def publish_three(released: Make, cell_of: Make) -> None:
    """Publish three datasets of two nodes that differ in every facet."""
    released("lungs", stewardship=Stewardship(conditions=("small-cell-lung-cancer",)))
    released(
        "hearts",
        licence="CC0",
        collection_kind=CollectionKind.TRIAL,
        access_rights=AccessRights.PUBLIC,
        data_use=("DUO:0000042", "DUO:0000018"),
        cube=(cell_of("CT", "HEART"),),
        distributions=(
            row("sex", "F", Count.exact(30)),
            row("sex", "M", Count.below(10)),
            row("sex", "O", Count(kind=CountKind.NOT_COUNTABLE)),
            row("age-band", "60-64", Count.exact(25)),
            row("acquisition-year", "2019", Count.exact(25)),
        ),
        quality=(
            Quality(aspect="motion", assessed=True, how_known=HowKnown.COMPUTED),
            Quality(aspect="burned-in-text", assessed=False),
        ),
    )
    released(
        "feet",
        node="beta",
        licence=None,
        cube=(cell_of("MR", "TOE"),),
        distributions=(),
        stewardship=Stewardship(conditions=("sarcoma",)),
    )


@pytest.fixture(scope="module")
def ask_three(shared_hub: Make, cell_of: Make) -> Make:
    """Ask the hub that has those three."""
    shared = shared_hub()
    publish_three(shared.publish, cell_of)
    return asking(shared.client)


@pytest.fixture(scope="module")
def ask_one(shared_hub: Make) -> Make:
    """Ask a hub that has the lungs only."""
    shared = shared_hub()
    shared.publish("lungs")
    return asking(shared.client)


@pytest.fixture(scope="module")
def ask_foreign(shared_hub: Make) -> Make:
    """Ask a hub whose datasets have a title in several scripts."""
    shared = shared_hub()
    shared.publish("lungs", title="Zbierka plúca 肺部 CT")
    shared.publish("capitals", title="ZBIERKA PLÚCA 肺部 CT")
    return asking(shared.client)


@pytest.fixture(scope="module")
def empty_client(shared_hub: Make) -> TestClient:
    """Ask a hub that has nothing."""
    client: TestClient = shared_hub().client
    return client


def found(answer: dict[str, Any]) -> set[str]:
    return {each["dataset"] for each in answer["datasets"]}


@pytest.mark.parametrize(
    ("facet", "counts"),
    [
        ("licence", {"CC BY 4.0": 1, "CC0": 1}),
        ("data_use", {"DUO:0000006": 2, "DUO:0000042": 1, "DUO:0000018": 1}),
        ("collection_kind", {"screening": 2, "trial": 1}),
        ("access_rights", {"NON_PUBLIC": 2, "PUBLIC": 1}),
        ("quality", {"motion": 1}),
        ("node", {"alpha": 2, "beta": 1}),
        (
            "condition",
            {
                "lung-cancer": 1,
                "small-cell-lung-cancer": 1,
                "carcinoma": 1,
                "cancer": 2,
                "lung-disease": 1,
                "respiratory-disease": 1,
                "sarcoma": 1,
            },
        ),
        ("sex", {"F": 2, "M": 1}),
        ("age_band", {"60-64": 1}),
        ("holds", {"acquisition-year=2019": 1}),
    ],
)
def test_each_facet_says_how_many_datasets_have_a_value(
    ask_three: Make, facet: str, counts: dict[str, int]
) -> None:
    assert values(ask_three(), facet) == counts


@pytest.mark.parametrize(
    ("chosen", "datasets"),
    [
        ({"licence": "CC0"}, {"hearts"}),
        ({"licence": ["CC0", "CC BY 4.0"]}, {"hearts", "lungs"}),
        ({"data_use": "DUO:0000006"}, {"lungs", "feet"}),
        ({"collection_kind": "trial", "access_rights": "PUBLIC"}, {"hearts"}),
        ({"quality": "motion"}, {"hearts"}),
        ({"quality": "burned-in-text"}, set()),
        ({"holds": "sex=M"}, {"hearts"}),
        ({"holds": ["sex=M", "sex=F"]}, {"hearts", "lungs"}),
        ({"holds": ["sex=F", "age-band=60-64"]}, {"hearts"}),
        ({"holds": "sex=O"}, set()),
        ({"sex": "M"}, {"hearts"}),
        ({"sex": ["M", "F"]}, {"hearts", "lungs"}),
        ({"sex": "F", "holds": "sex=M"}, {"hearts", "lungs"}),
        ({"sex": "F", "age_band": "60-64", "holds": "acquisition-year=2019"}, {"hearts"}),
        ({"sex": "O"}, set()),
        ({"node": "beta", "modality": "CT"}, set()),
        ({"condition": "cancer"}, {"lungs", "feet"}),
        ({"condition": "lung-cancer"}, {"lungs"}),
        ({"condition": "Lungenkrebs"}, {"lungs"}),
        ({"condition": "MONDO:0008433"}, {"lungs"}),
        ({"condition": ["sarcoma", "lung-cancer"]}, {"lungs", "feet"}),
        ({"condition": "lung-cancer", "exact": "true"}, set()),
        ({"condition": "small-cell-lung-cancer", "exact": "true"}, {"lungs"}),
        ({"condition": "house fire"}, set()),
    ],
)
def test_a_chosen_value_keeps_the_datasets_that_have_it(
    ask_three: Make, chosen: dict[str, Any], datasets: set[str]
) -> None:
    assert found(ask_three(**chosen)) == datasets


def test_every_value_of_every_facet_finds_as_many_datasets_as_it_says(ask_three: Make) -> None:
    for facet, entries in ask_three()["facets"].items():
        for entry in entries:
            assert ask_three(**{facet: entry["value"]})["count"] == entry["datasets"], (facet, entry)


@pytest.mark.parametrize(
    ("facet", "value", "others"),
    [
        ("licence", "CC0", {"CC0", "CC BY 4.0"}),
        ("sex", "M", {"M", "F"}),
        ("holds", "acquisition-year=2019", {"acquisition-year=2019"}),
        ("modality", "MR", {"CT", "MR"}),
        ("node", "beta", {"alpha", "beta"}),
    ],
)
def test_a_choice_leaves_its_own_alternatives_on_offer(
    ask_three: Make, facet: str, value: str, others: set[str]
) -> None:
    assert set(values(ask_three(**{facet: value}), facet)) == others


def test_a_choice_narrows_the_other_facets(ask_three: Make) -> None:
    answer = ask_three(licence="CC0")
    assert values(answer, "body_part") == {"HEART": 1, "CHEST": 1}
    assert values(answer, "node") == {"alpha": 1}


def test_a_data_use_code_comes_with_its_label(ask_three: Make) -> None:
    labels = {each["value"]: each["label"] for each in ask_three()["facets"]["data_use"]}
    assert labels["DUO:0000042"] == "general research use"


def test_a_value_held_back_is_neither_counted_nor_found(ask_three: Make) -> None:
    """The record lists `sex=O` without saying how many: whether there is anybody must not be told by a facet."""
    assert "O" not in values(ask_three(), "sex")
    assert "O" not in values(ask_three(sex="O"), "sex")


def test_a_choice_in_a_distribution_does_not_narrow_a_count(ask_three: Make) -> None:
    """The overlap of two published numbers is not published."""
    whole = next(each for each in ask_three()["datasets"] if each["dataset"] == "hearts")
    assert next(each for each in ask_three(holds="sex=M")["datasets"]) == whole


def test_a_hidden_dataset_is_in_no_facet(ask: Make, released: Make, cell_of: Make, hub: Hub) -> None:
    publish_three(released, cell_of)
    with writing(hub.engine) as session:
        iri = f"{hub.base_iri}/datasets/alpha/hearts"
        set_visibility(session, hub, iri=iri, visibility=Visibility.HIDDEN, actor="admin")
    answer = ask(holds="sex=M", licence="CC0", modality="CT")
    told = str(answer["facets"])
    assert answer["count"] == 0
    assert not {word for word in ("CC0", "trial", "HEART", "motion", "60-64", "2019") if word in told}


@pytest.mark.parametrize("wrong", ["sex", "=F", "sex=", "="])
def test_a_pair_that_is_none_is_refused_in_words(empty_client: TestClient, wrong: str) -> None:
    answer = empty_client.get("/search", params={"holds": wrong})
    assert (answer.status_code, answer.json()["code"]) == (400, "FB-CAT-071")


@pytest.mark.parametrize("facet", OF_DISTRIBUTIONS, ids=lambda facet: facet.name)
def test_each_named_distribution_is_a_facet_of_its_own(
    ask: Make, released: Make, facet: OfDistribution
) -> None:
    released("lungs", distributions=(row(facet.attribute, "so", Count.exact(30)),))
    released("hearts", distributions=(row(facet.attribute, "or so", Count.below(10)),))
    assert values(ask(), facet.name) == {"so": 1, "or so": 1}
    assert values(ask(), "holds") == {}
    assert found(ask(**{facet.name: "so"})) == found(ask(holds=f"{facet.attribute}=so")) == {"lungs"}


def test_a_bound_of_slice_thickness_stands_for_the_bands_within_it(
    ask: Make, released: Make, cell_of: Make
) -> None:
    for name, band in (("thin", "<1"), ("old", "1.5-3"), ("thick", "3-5"), ("any", "unknown")):
        released(name, cube=(cell_of(slice_thickness=band),))
    assert found(ask(slice_thickness_max=1)) == found(ask(slice_thickness_max="2.9")) == {"thin"}
    assert found(ask(slice_thickness_max=3)) == {"thin", "old"}
    assert found(ask(slice_thickness_max=1, slice_thickness="unknown")) == {"thin", "any"}
    assert found(ask(slice_thickness_max=5)) == {"thin", "old", "thick"}


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("modalty", "CT", "no parameter 'modalty'"),
        ("slice_thickness_max", "0.5", "no band lies wholly within"),
        ("slice_thickness_max", "-1", "number of millimetres"),
        ("slice_thickness_max", "nan", "number of millimetres"),
        ("slice_thickness_max", "1e3", "number of millimetres"),
        ("exact", "perhaps", "true or false"),
        ("min_subjects", "-1", "whole number from 0"),
        ("min_sites", "2147483648", "whole number from 0"),
        ("limit", "501", "from 0 to 500"),
        ("offset", "two", "in digits"),
        ("exact", ["true", "true"], "once only"),
        ("q", "x" * 501, "500 characters"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_refused_in_words(
    empty_client: TestClient, name: str, value: Any, word: str
) -> None:
    answer = empty_client.get("/search", params={name: value})
    assert (answer.status_code, answer.json()["code"]) == (422, "FB-CAT-073")
    assert word in answer.json()["title"] + answer.json()["why"]


def test_the_description_of_the_interface_names_each_parameter(empty_client: TestClient) -> None:
    described = empty_client.get("/openapi.json").json()["paths"]["/search"]["get"]["parameters"]
    names = {each["name"] for each in described if each["in"] == "query"}
    assert {facet.name for facet in FACETS} < names
    assert {"q", "holds", "slice_thickness_max", "exact", "min_subjects", "min_sites", "limit"} < names


# -- body parts ------------------------------------------------------------------------------------------------------


def test_a_body_part_finds_its_parts(ask_three: Make) -> None:
    assert found(ask_three(body_part="CHEST")) == {"lungs", "hearts"}
    assert found(ask_three(body_part="LOWERLIMB")) == {"feet"}
    assert found(ask_three(body_part="HEART")) == {"hearts"}


def test_exact_finds_the_body_part_itself_only(ask_three: Make) -> None:
    assert found(ask_three(body_part="CHEST", exact=True)) == {"lungs"}
    assert values(ask_three(exact=True), "body_part") == {"CHEST": 1, "HEART": 1, "TOE": 1}


def test_a_dataset_with_a_part_and_its_whole_counts_once(ask: Make, released: Make, cell_of: Make) -> None:
    released("both", cube=(cell_of("CT", "HEART"), cell_of("CT", "CHEST")))
    assert values(ask(), "body_part") == {"CHEST": 1, "HEART": 1}


def test_the_tree_of_body_parts_has_known_terms_and_no_circle() -> None:
    assert set(BROADER) | set(BROADER.values()) <= set(BODY_PARTS)
    assert all(term not in broader(term) for term in BROADER)


# -- words -----------------------------------------------------------------------------------------------------------

STRANGE = (
    "肺部 CT",
    "Ωμέγα",
    "ľudské pľúca",
    "poumon é",
    "e\u0301",
    "صدر",
    "\0",
    "lung\0CT",
    "' OR 1=1 --",
    '"""',
    "a AND OR NOT NEAR(x, 2)",
    "title:x ^y {z}",
    "& | ! <-> :* ( )",
    "_",
    "%",
    "\\",
    "🫁",
    "x" * 500,
    "a " * 250,
)


@pytest.mark.parametrize("words", STRANGE)
def test_no_words_do_harm_wherever_they_stand(ask_one: Make, words: str) -> None:
    assert ask_one(q=words)["count"] in {0, 1}
    chosen = dict.fromkeys(("modality", "licence", "data_use", "quality", "node"), words)
    assert ask_one(**chosen, holds=f"sex={words}")["count"] == 0
    assert ask_one()["count"] == 1


@pytest.mark.parametrize("words", ["plúca", "肺部", "PLÚCA", "plú"])
def test_words_of_other_languages_are_found(ask_foreign: Make, words: str) -> None:
    assert ask_foreign(q=words)["count"] == 2


# -- enough subjects ------------------------------------------------------------------------------------------------


def test_enough_subjects_and_sites_are_told_in_words(ask: Make, released: Make) -> None:
    released("lungs")
    released("lungs", node="beta")
    answer = ask(modality="CT", min_subjects=60, min_sites=2)["feasibility"]
    assert (answer["enough"], answer["subjects_at_least"], answer["sites"]) == ("true", 60, 2)
    assert answer["why"].endswith("at least 60; 0 cells suppressed; not de-duplicated across sites")
    assert ask(modality="CT", min_sites=3)["feasibility"]["enough"] == "false"
    assert ask(modality="CT", min_subjects=101)["feasibility"]["enough"] == "false"
    # 30 in the largest cell are certain, 50 is the sum: one person may be in both.
    assert ask(modality="CT", min_subjects=90)["feasibility"]["enough"] == "unknown"
    assert ask(modality="MR", min_subjects=20)["feasibility"]["enough"] == "unknown"
    assert "feasibility" not in ask(modality="CT")


PARTS = ("CHEST", "BRAIN")
People = list[tuple[str, str, int]]


@st.composite
def federations(draw: st.DrawFn) -> list[tuple[str, People]]:
    """Datasets as (node, people); a person is (sex, age band, which of the two body parts: 1, 2 or 3 for both)."""
    person = st.tuples(st.sampled_from("FM"), st.sampled_from(("60-64", "65-69")), st.integers(1, 3))
    people = st.lists(person, min_size=1, max_size=30)
    return draw(st.lists(st.tuples(st.sampled_from(("alpha", "beta")), people), min_size=1, max_size=4))


def exact_record(record: DatasetRecord, people: People, cell_of: Make) -> DatasetRecord:
    n = len(people)
    groups = {
        part: sum(1 for _, _, parts in people if parts & (1 << place)) for place, part in enumerate(PARTS)
    }
    series = sum(groups.values())
    rows = [
        row(attribute, value, Count.exact(number))
        for attribute, place in (("sex", 0), ("age-band", 1))
        for value in sorted({one[place] for one in people})
        if (number := sum(1 for one in people if one[place] == value))
    ]
    return record.model_copy(
        update={
            "cube": tuple(
                cell_of("CT", part, subjects=number, studies=number, series=number)
                for part, number in groups.items()
                if number
            ),
            "distributions": tuple(rows),
            "totals": Totals(
                subjects=Count.exact(n),
                studies=Count.exact(n),
                series=Count.exact(series),
                instances=Count.exact(series),
            ),
        }
    )


@pytest.fixture
def empty() -> Iterator[Session]:
    engine = create_engine("sqlite://")
    HubBase.metadata.create_all(engine)
    with Session(engine) as session:
        yield session
    engine.dispose()


@given_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    federation=federations(),
    k=st.integers(2, 6),
    parts=st.lists(st.sampled_from(PARTS), unique=True),
    sexes=st.lists(st.sampled_from("FM"), unique=True),
    need=st.integers(1, 60),
    sites=st.integers(0, 2),
)
def test_enough_is_never_said_wrongly(
    record_of: Make,
    cell_of: Make,
    federation: list[tuple[str, People]],
    k: int,
    parts: list[str],
    sexes: list[str],
    need: int,
    sites: int,
) -> None:
    """Whatever the people are: `true` and `false` agree with counting them, and only what is withheld is `unknown`."""
    criteria = Criteria(
        axes={"body_part": tuple(parts)},
        holds={"sex": tuple(sexes)} if sexes else {},
        min_subjects=need,
        min_sites=sites,
    )
    engine = create_engine("sqlite://")
    HubBase.metadata.create_all(engine)
    with Session(engine) as session:
        published: list[tuple[str, People]] = []
        for number, (node, people) in enumerate(federation):
            record = exact_record(record_of(node, f"d{number}"), people, cell_of)
            store(session, suppress_record(record, k), iri := f"http://hub.test/{number}")
            published.append((iri, people))
        answer = search(session, criteria, None)
    engine.dispose()
    shown = {each["iri"] for each in answer["datasets"]}
    wanted = sum(1 << PARTS.index(part) for part in parts) or 3
    true_number = sum(
        1 for iri, people in published if iri in shown for sex, _, has in people
        if has & wanted and (not sexes or sex in sexes)
    )  # fmt: skip
    block = answer["feasibility"]
    true_sites = len(
        {node for number, (node, _) in enumerate(federation) if f"http://hub.test/{number}" in shown}
    )
    assert block["sites"] == true_sites
    assert block["subjects_at_least"] <= true_number
    really = true_number >= need and true_sites >= sites
    assert block["enough"] in ({"true", "unknown"} if really else {"false", "unknown"})
    if block["enough"] == "unknown":
        assert true_sites >= sites and block["subjects_at_least"] < need


def store(session: Session, record: DatasetRecord, iri: str) -> None:
    now = FixedClock().now()
    dataset = DatasetRow(
        iri=iri,
        graph=iri + "#graph",
        node=record.node,
        dataset=record.dataset,
        visibility=Visibility.PUBLIC.value,
        first_published=now,
        published=now,
    )
    fill(dataset, record, digest="sha256:" + "0" * 64)
    session.add(dataset)
    session.add_all([*strata_of(iri, record), *distributions_of(iri, record)])
    session.flush()


def test_nothing_withheld_means_nothing_unknown_about_one_cell(
    empty: Session, record_of: Make, cell_of: Make
) -> None:
    store(empty, record_of("alpha", cube=(cell_of(subjects=20),)), "http://hub.test/1")
    for need in range(1, 40):
        criteria = Criteria(axes={"modality": ("CT",)}, min_subjects=need)
        told = search(empty, criteria, None)["feasibility"]["enough"]
        assert told == ("true" if need <= 20 else "false")
