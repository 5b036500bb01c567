"""What errors say on pages: in the language of the reader, or English that is marked as English."""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from fairbank.catalogue.context import init_hub
from fairbank.catalogue.errors import DatasetWithdrawn
from fairbank.clock import FixedClock
from fairbank.errors import FairbankError, Kind, told
from fairbank.settings import Settings
from fairbank.web.error_words import Sentence, error_words, sentence
from fairbank.web.hub_app import create_app
from fairbank.web.languages import Tongue
from fairbank.web.once import StaleForm

GERMAN = Tongue("de")


def stale() -> FairbankError:
    return StaleForm(
        "Somebody else has changed this meanwhile.", todo="Look at it as it is now, and decide again."
    )


def test_a_sentence_that_keeps_its_parts_is_text_like_any_other() -> None:
    made = told("Wait %(count)s minutes, then try again.", count=5)
    assert made == "Wait 5 minutes, then try again." and f"{made}" == made
    assert pickle.loads(pickle.dumps(made)).parts == {"count": 5}


def test_english_readers_get_what_was_raised() -> None:
    words = error_words(stale(), Tongue())
    assert words.what == Sentence(stale().what) and words.todo == Sentence(stale().todo)


def test_a_known_error_is_wholly_in_the_language_of_the_reader() -> None:
    words = error_words(stale(), GERMAN)
    assert "inzwischen" in words.what.text
    assert {each.lang for each in (words.what, *words.why, words.todo)} == {""}
    waiting = told("Wait %(count)s minutes, then try again.", count=5)
    assert sentence(waiting, GERMAN) == Sentence(
        "Warten Sie 5 Minuten und versuchen Sie es dann noch einmal."
    )
    short = told("The %(called)s is too short.", called=told("password"))
    assert sentence(short, GERMAN) == Sentence("Passwort zu kurz.")


@pytest.mark.parametrize("tongue", [GERMAN, Tongue("xx")], ids=["de", "xx"])
def test_an_error_that_no_language_knows_is_named_by_its_kind_and_its_english_is_marked(
    tongue: Tongue,
) -> None:
    words = error_words(DatasetWithdrawn("A is gone.", why="B took it.", todo="Look for C."), tongue)
    assert words.what.lang == "" and words.what.text != "A is gone."
    assert words.why == (Sentence("A is gone.", "en"), Sentence("B took it.", "en"))
    assert words.todo == Sentence("Look for C.", "en")


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_of_error_has_its_words(kind: Kind) -> None:
    made = type("Made", (FairbankError,), {"kind": kind})("Nobody translates this.")
    assert error_words(made, GERMAN).what.text != error_words(made, Tongue("xx")).what.text


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    home: Path = tmp_path_factory.mktemp("hub")
    hub = init_hub(Settings(home=home / "hub"), FixedClock(), public_base_iri="http://hub.test")
    with TestClient(create_app(hub)) as made:
        yield made


def test_a_page_of_an_error_marks_what_is_english(client: TestClient) -> None:
    headers = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin"}
    foreign = client.post("/login?lang=de", headers={**headers, "Sec-Fetch-Site": "cross-site"})
    main = re.sub("<[^>]*>", " ", foreign.text.partition("<main")[2].partition("</main>")[0])
    assert "Die Anfrage kommt von keiner Seite dieses Hubs." in main
    assert 'lang="en"' not in foreign.text.partition("<main")[2].partition("</main>")[0]
    plain = client.post("/login?lang=en", headers={**headers, "Sec-Fetch-Site": "cross-site"})
    assert "The request does not come from a page of this hub." in plain.text
