"""Keys that the hub keeps, on pages: made, used for a request, for live counts; a session that is lost says nothing."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.catalogue.conftest import PASSWORD
from tests.web.filled_hub import BRAINS, LUNGS, Filled
from tests.web.pages.asking import client_of, fields_of, told
from tests.web.pages.clicks import Clicks
from tests.web.pages.conftest import Bed

from fairbank.catalogue import accounts
from fairbank.catalogue.identity import page_keys
from fairbank.catalogue.store import DistributionRow
from fairbank.database import reading, writing
from fairbank.federated_jobs.count_protocol import CountReport, CountWord

expect = pytest.importorskip("playwright.sync_api").expect

PASSPHRASE = "nine quiet herons"


def with_key(filled: Filled, who: str) -> None:
    """Let the hub keep a key for somebody, in place of her own."""
    with reading(filled.hub.engine) as session:
        account = accounts.find(session, who)
    page_keys.make(filled.hub, account, PASSPHRASE, replace=True)


def test_a_key_for_the_pages_is_made_on_one_s_own_page_and_leads_back(kept: Filled) -> None:
    rita = client_of(kept, "rita")
    form = fields_of(rita.get("/me?back=/counts%3Fmodality%3DCT").text, act="make-key")
    typed = {"passphrase": PASSPHRASE, "passphrase-again": PASSPHRASE, "password": PASSWORD}
    found_open = rita.post("/me", data={**form, **typed, "password": "a guess", "replace": "yes"})
    assert found_open.status_code == 422 and "password is not" in found_open.text
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


def a_draft(filled: Filled, **more: Any) -> str:
    wish = {"schema": "request-draft/1", "title": "Nodules", "datasets": [LUNGS], "data_use": ["DUO:0000006"]}
    wish |= {"statement": "Nodules.", "output_classes": ["measurements"], "until": "2027-01-01T00:00:00.000Z"}
    return str(filled.call("rita", "POST", "/v1/requests/drafts", wish | more)["id"])


def test_a_request_that_a_page_signs_is_sent_once_and_says_who_keeps_the_key(kept: Filled) -> None:
    with_key(kept, "rita")
    draft = a_draft(kept)
    rita, address = client_of(kept, "rita"), f"/requests/new?draft={draft}&step=check"
    shown = rita.get(address).text
    assert "fairbank request submit" not in shown and "What happens next" in shown
    form = fields_of(shown, act="send") | {"act": "send"}
    wrong = rita.post(address, data={**form, "passphrase": "not this one"})
    assert wrong.status_code == 403 and "does not open" in wrong.text and "not this one" not in wrong.text
    for _ in range(2):
        sent = rita.post(address, data={**form, "passphrase": PASSPHRASE})
        assert (sent.status_code, sent.headers["location"]) == (303, f"/requests/{draft}")
    seen = told(kept, "rita", f"/requests/{draft}")
    assert (seen["version"], seen["asked"]["key_kept_by"]) == (1, "hub")
    assert (
        "whoever runs the hub could have signed this"
        in client_of(kept, "carla").get(f"/requests/{draft}").text
    )


def test_without_a_key_at_the_hub_the_page_shows_both_ways(filled: Filled) -> None:
    draft = filled.ids["request_id"][0]
    more = {
        "data_use": ["DUO:0000006"],
        "output_classes": ["measurements"],
        "until": "2027-01-01T00:00:00.000Z",
    }
    filled.call("rita", "POST", f"/v1/requests/{draft}/draft", {"schema": "request-draft/1", **more})
    shown = client_of(filled, "rita").get(f"/requests/new?draft={draft}&step=check").text
    assert "fairbank request submit" in shown and 'name="sealed"' in shown and "#page-key" in shown


@pytest.mark.browser
def test_asking_for_three_collections_takes_six_clicks(kept_bed: Bed) -> None:
    with_key(kept_bed.filled, "rita")
    with kept_bed.opened("rita") as tab:
        tab.goto("/collections")
        clicks = Clicks(tab)
        for name in ("alpha/lungs", "alpha/brains", "beta/hearts"):
            clicks.click(tab.locator(f'input[name="c"][value="{name}"]'))
        clicks.click(tab.get_by_role("button", name="Ask for access"))
        tab.get_by_label("Title").fill("Three collections")
        tab.get_by_label("The purpose in words").fill("To find nodules.")
        tab.get_by_label("Until when").fill("2026-12-31")
        # Which purpose and what may come back is chosen with the space bar: it is filling in, as typing is.
        for box in ("Health, medical", "Counts and statistics"):
            tab.get_by_label(box).press("Space")
        clicks.click(tab.get_by_role("button", name="Check and read everything"))
        tab.get_by_label("Passphrase of your key").fill(PASSPHRASE)
        clicks.click(tab.get_by_role("button", name="Send the request"))
        expect(tab.get_by_role("heading", name="What happens next")).to_be_visible()
        assert clicks.number == 6
        tab.goto("/")
        expect(tab.get_by_role("link", name="Three collections").first).to_be_visible()


def test_a_question_is_asked_once_from_its_page_of_those_collections_that_were_chosen(kept: Filled) -> None:
    with_key(kept, "rita")
    rita, address = client_of(kept, "rita"), "/counts?modality=CT&node=alpha&c=alpha/lungs&sort=title"
    shown = rita.get(address).text
    assert "fairbank search" not in shown and "1 collection is asked." in shown and "Biobank" in shown
    form = fields_of(shown, act="ask")
    assert rita.post(address, data={**form, "passphrase": "not this one"}).status_code == 403
    asked = [rita.post(address, data={**form, "passphrase": PASSPHRASE}) for _ in range(2)]
    assert [each.status_code for each in asked] == [303, 303]
    assert asked[0].headers["location"] == asked[1].headers["location"], "the same form asks once"
    page = told(kept, "rita", asked[0].headers["location"])
    assert [each["collection"] for each in page["shown"]["answers"]] == ["alpha/lungs"]
    nobody = fields_of(rita.get("/counts?modality=CT").text, act="ask")
    refused = rita.post("/counts?modality=XX", data={**nobody, "passphrase": PASSPHRASE})
    assert refused.status_code == 422 and "was not asked" in refused.text
    assert client_of(kept, "ursula").post(address, data=form).status_code in (403, 404)


@pytest.mark.browser
def test_asking_for_live_counts_by_three_criteria_takes_six_clicks(kept_bed: Bed) -> None:
    filled = kept_bed.filled
    with_key(filled, "rita")
    with kept_bed.opened("rita") as tab:
        tab.goto("/")
        clicks = Clicks(tab)
        clicks.click(tab.get_by_role("link", name="Live counts").first)
        for name in ("modality", "body_part", "sex"):
            clicks.click(tab.locator(f'input[name="{name}"]').first)
        clicks.click("#put")
        tab.get_by_label("Passphrase of your key").fill(PASSPHRASE)
        clicks.click(tab.get_by_role("button", name="Ask the biobanks"))
        assert clicks.number == 6
        table = tab.get_by_role("region", name="Answers of the biobanks")
        expect(table.get_by_text("no answer yet").first).to_be_visible()
        (question,) = parse_qs(urlsplit(tab.url).query)["id"]
        first = told(filled, "rita", f"/counts?id={question}")["shown"]["answers"][0]
        report = CountReport(place=0, word=CountWord.BELOW_K, k=10)
        path = f"/v1/counts/{question}/sites/{first['node']}"
        assert filled.nodes[first["node"]].send("POST", path, report.to_bytes()).status_code == 200
        # The page asks every second while a question is fresh.
        expect(table.get_by_text("fewer than 10")).to_be_visible(timeout=4000)


def test_conditions_are_accepted_and_their_agreement_countersigned_on_the_page(kept: Filled) -> None:
    request = next(name for name, of in kept.parts.items() if of.get("state") == ["waiting for conditions"])
    rita, lena, address = client_of(kept, "rita"), client_of(kept, "lena"), f"/requests/{request}"
    digest = kept.document("rita", request, frozenset({"rita", "lena"}), kind="agreement")
    accept = fields_of(rita.get(address).text, act="command", holding="accept-conditions")
    assert rita.post(address, data=accept).status_code == 303
    assert 'value="countersign"' not in rita.get(address).text
    form = fields_of(lena.get(address).text, act="countersign")
    assert lena.post(address, data=form).status_code == 422, "no document was chosen"
    for _ in range(2):
        assert lena.post(address, data={**form, "digest": digest}).status_code == 303
    (leg,) = told(kept, "rita", address)["legs"]
    assert leg["state"] == "active" and leg["agreement"]["countersigned"]


def test_published_ages_of_what_matches_are_drawn_and_what_is_withheld_stays_so(kept: Filled) -> None:
    with writing(kept.hub.engine) as session:
        for iri, band, subjects in ((LUNGS, "60-64", 40), (BRAINS, "60-64", None), (BRAINS, "65-69", 30)):
            status = "exact" if subjects else "below-k"
            session.add(
                DistributionRow(
                    iri=iri,
                    attribute="age-band",
                    value=band,
                    how_known="header",
                    subjects=subjects,
                    subjects_status=status,
                )
            )
    rows = told(kept, "rita", "/counts?node=alpha")["ages"]["rows"]
    assert [row[-1].partition(" (")[0] for row in rows] == ["at least 40", "30"]
