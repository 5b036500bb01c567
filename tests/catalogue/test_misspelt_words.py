"""A word that nothing has, and the word that was probably meant: offered openly, and never from what is hidden."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from starlette.testclient import TestClient

from fairbank.catalogue.accounts import Role
from fairbank.catalogue.context import Hub, init_hub
from fairbank.catalogue.records import Visibility, set_visibility
from fairbank.catalogue.search_index import prepare_index
from fairbank.clock import FixedClock
from fairbank.database import connect, writing
from fairbank.settings import Settings

Make = Callable[..., Any]


def asking(client: TestClient) -> Make:
    def get(words: str, headers: dict[str, str] | None = None, **params: Any) -> dict[str, Any]:
        answer = client.get("/search", params={"q": words, **params}, headers=headers)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    return get


@pytest.fixture
def ask(client: TestClient) -> Make:
    return asking(client)


def release_three(released: Make) -> Make:
    released("lungs", title="Lung screening CT", description="Chest CT of one manufacturer.", keywords=())
    released("livers", title="Pancreas and liver", description="From Žilina: pľúca a pečeň.", keywords=())
    released("eyes", title="Retinal photographs", description="Diabetic retinopathy.", keywords=())
    return released


@pytest.fixture
def three(released: Make) -> Make:
    return release_three(released)


@pytest.fixture(scope="module")
def ask_three(shared_hub: Make) -> Make:
    """Ask a hub with those three, which no test may change."""
    shared = shared_hub()
    release_three(shared.publish)
    return asking(shared.client)


def found(answer: dict[str, Any]) -> list[str]:
    return sorted(each["dataset"] for each in answer["datasets"])


@pytest.mark.parametrize(
    ("asked", "showing", "datasets"),
    [
        ("manufcturer", "manufacturer", ["lungs"]),
        ("Lungen", "lung", ["lungs"]),
        ("pancraes", "pancreas", ["livers"]),
        ("screning lung", "screening lung", ["lungs"]),
        ("retinopaty diabetc", "retinopathy diabetic", ["eyes"]),
        ("pľúcaa", "pľúca", ["livers"]),
    ],
)
def test_a_misspelt_word_finds_what_was_meant_and_says_so(
    ask_three: Make, asked: str, showing: str, datasets: list[str]
) -> None:
    answer = ask_three(asked)
    assert answer["spelling"] == {"no_result_for": asked, "showing": showing}
    assert found(answer) == datasets
    assert answer["count"] == len(datasets)
    assert sum(each["datasets"] for each in answer["facets"]["node"]) == len(datasets)


@pytest.mark.parametrize("asked", ["lung", "lungs", "manuf", "manufacturers"])
def test_a_word_that_is_found_is_not_replaced(ask_three: Make, asked: str) -> None:
    answer = ask_three(asked)
    assert (found(answer), "spelling" in answer) == (["lungs"], False)


@pytest.mark.parametrize(
    "asked", ["xylophone", "lung xylophone", "lug", "2018", "pancraes retinal", "%%%%", "____"]
)
def test_what_is_like_nothing_finds_nothing(ask_three: Make, asked: str) -> None:
    """Also what would be found word by word, but never together."""
    answer = ask_three(asked)
    assert (answer["count"], "spelling" in answer) == (0, False)


def test_a_choice_that_leaves_nothing_makes_no_second_try(ask_three: Make) -> None:
    answer = ask_three("lung", modality="US")
    assert (answer["count"], "spelling" in answer) == (0, False)


def test_a_word_of_a_hidden_dataset_is_not_offered(
    ask: Make, three: Make, hub: Hub, person_named: Make
) -> None:
    three("secret", title="Neuroblastoma", description="Lungen", keywords=())
    with writing(hub.engine) as session:
        iri = f"{hub.base_iri}/datasets/alpha/secret"
        set_visibility(session, hub, iri=iri, visibility=Visibility.HIDDEN, actor="admin")
    assert ask("neuroblastma") | {"totals": 0, "facets": 0} == {
        "schema": "search/1",
        "count": 0,
        "offset": 0,
        "datasets": [],
        "totals": 0,
        "facets": 0,
    }
    # That the hidden one has the word does not show in that the second try is left out.
    assert ask("lungen")["spelling"]["showing"] == "lung"
    committee = person_named("carla", Role.ADMIN).headers
    assert found(ask("neuroblastma", committee)) == ["secret"]
    assert (found(ask("lungen", committee)), "spelling" in ask("lungen", committee)) == (["secret"], False)


@pytest.fixture
def without_trigrams(hub: Hub) -> Hub:
    if hub.engine.dialect.name == "postgresql":
        with hub.engine.begin() as connection:
            connection.execute(text("DROP EXTENSION pg_trgm CASCADE"))
    return hub


def test_without_pg_trgm_it_is_found_too(without_trigrams: Hub, ask: Make, three: Make) -> None:
    assert found(ask("manufcturer")) == ["lungs"]


@pytest.fixture
def postgres_hub(postgres_url: str, tmp_path: Path, clock: FixedClock) -> Iterator[Hub]:
    settings = replace(Settings(), home=tmp_path / "postgres", hub_database=postgres_url)
    opened = init_hub(settings, clock, public_base_iri="http://hub.test")
    yield opened
    opened.queries.close()
    opened.engine.dispose()


@pytest.mark.postgres
def test_a_role_that_may_not_have_pg_trgm_is_told(
    postgres_hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    with postgres_hub.engine.begin() as connection:
        connection.execute(text("DROP EXTENSION pg_trgm CASCADE"))
        connection.execute(text("DROP ROLE IF EXISTS fairbank_narrow"))
        connection.execute(text("CREATE ROLE fairbank_narrow LOGIN"))
    url = make_url(postgres_hub.settings.hub_database_url).set(username="fairbank_narrow")
    narrow = connect(url.render_as_string(hide_password=False))
    with caplog.at_level(logging.WARNING, logger="fairbank.catalogue"):
        prepare_index(narrow)
    narrow.dispose()
    with postgres_hub.engine.begin() as connection:
        connection.execute(text("DROP ROLE fairbank_narrow"))
    assert "CREATE EXTENSION pg_trgm" in caplog.text


@pytest.mark.postgres
def test_the_indexes_are_made_and_left_alone(postgres_hub: Hub) -> None:
    prepare_index(postgres_hub.engine)
    with postgres_hub.engine.connect() as connection:
        names = connection.execute(text("SELECT indexname FROM pg_indexes WHERE indexname LIKE '%fts%'"))
        assert sorted(names.scalars()) == [
            "ix_catalogue_datasets_fts_trigrams",
            "ix_catalogue_datasets_fts_words",
        ]
