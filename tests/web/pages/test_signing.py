"""Keys that the hub keeps, on pages: made, used for a request, for live counts; a session that is lost says nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.web.filled_hub import Filled, Kept
from tests.web.pages.test_requests_page import client_of, fields_of

from fairbank.catalogue import accounts
from fairbank.catalogue.identity import page_keys
from fairbank.database import reading

PASSPHRASE = "nine quiet herons"


@pytest.fixture
def kept(filled: Filled) -> Iterator[Filled]:
    """The hub, put back as it was after the test."""
    was = Kept(filled)
    yield filled
    was.put_back()
    was.close()


def with_key(filled: Filled, who: str) -> None:
    """Let the hub keep a key for somebody, in place of her own."""
    with reading(filled.hub.engine) as session:
        account = accounts.find(session, who)
    page_keys.make(filled.hub, account, PASSPHRASE, replace=True)


def test_a_key_for_the_pages_is_made_on_one_s_own_page_and_leads_back(kept: Filled) -> None:
    rita = client_of(kept, "rita")
    form = fields_of(rita.get("/me?back=/counts%3Fmodality%3DCT").text, act="make-key")
    typed = {"passphrase": PASSPHRASE, "passphrase-again": PASSPHRASE}
    unsaid = rita.post("/me", data={**form, **typed})
    assert unsaid.status_code == 422 and "on your computer" in unsaid.text, "her own key stays"
    assert PASSPHRASE not in unsaid.text
    made = rita.post("/me", data={**form, **typed, "replace": "yes"})
    assert (made.status_code, made.headers["location"]) == (303, "/counts?modality=CT")
    again = rita.post("/me", data={**form, **typed, "replace": "yes"})
    assert again.headers["location"] == "/counts?modality=CT", "the same form makes one key"
    form = fields_of(rita.get("/me").text, act="change-key")
    new = {"passphrase-new": "four loud geese", "passphrase-again": "four loud geese"}
    wrong = rita.post("/me", data={**form, "passphrase": "not this one", **new})
    assert wrong.status_code == 403 and "does not open" in wrong.text
    assert rita.post("/me", data={**form, "passphrase": PASSPHRASE, **new}).status_code == 303
    assert page_keys.unlock(kept.hub, "rita", "four loud geese")
    form = fields_of(rita.get("/me").text, act="forget-key")
    assert rita.post("/me", data=form).status_code == 303
    assert "none yet" in rita.get("/me").text


def test_a_passphrase_travels_through_no_log_in(kept: Filled) -> None:
    rita = client_of(kept, "rita")
    form = fields_of(rita.get("/me").text, act="make-key")
    rita.cookies.clear()
    asked = rita.post("/me", data={**form, "passphrase": PASSPHRASE, "passphrase-again": PASSPHRASE})
    assert asked.status_code == 401 and "kept.act" in asked.text
    assert PASSPHRASE not in asked.text
