"""Lists of requests, one request, and asking for access."""

from __future__ import annotations

import re
from html import unescape

import pytest
from tests.web.filled_hub import LUNGS, Filled
from tests.web.pages.asking import client_of, fields_of, told
from tests.web.pages.clicks import Clicks
from tests.web.pages.conftest import Bed

from fairbank.catalogue.governance import drafts
from fairbank.web import file_forms

expect = pytest.importorskip("playwright.sync_api").expect


def test_what_waits_for_a_vote_comes_before_one_s_own_requests(filled: Filled) -> None:
    of_dora = told(filled, "dora", "/requests")
    assert of_dora["shown"] == "decide" and of_dora["rows"][0]["yours"]
    assert all(row["states"][0][1] in ("triage", "in_review") for row in of_dora["rows"])
    of_rita = told(filled, "rita", "/requests")
    assert of_rita["shown"] == "mine" and not of_rita["decides"]
    ages = [row["since"] for row in of_rita["rows"] if row["states"][0][0] == "leg"]
    assert ages == sorted(ages), "the oldest comes first"
    decided = told(filled, "dora", "/requests?show=decided")["rows"]
    assert {row["states"][0][1] for row in decided} >= {"declined", "active", "revoked"}


def a_request(filled: Filled, title: str) -> tuple[str, str]:
    """Let rita ask for the lungs; return the ids of the request and of its leg."""
    rita = filled.people["rita"]
    wish = {"schema": "request-draft/1", "title": title, "datasets": [LUNGS], "data_use": ["DUO:0000006"]}
    wish |= {"statement": "Nodules.", "output_classes": ["measurements"], "until": "2027-01-01T00:00:00.000Z"}
    made = filled.call("rita", "POST", "/v1/requests/drafts", wish)["id"]
    filled.call("rita", "POST", "/v1/requests", sealed(filled, made))
    (leg,) = filled.call("rita", "GET", f"/v1/requests/{made}")["legs"]
    assert rita.key is not None
    return made, leg["id"]


def sealed(filled: Filled, request: str) -> bytes:
    """Return what the program on rita's computer makes of her draft."""
    rita = filled.people["rita"]
    draft = drafts.Draft.parse(filled.call("rita", "GET", f"/v1/requests/{request}/draft")["draft"])
    made = drafts.as_request(
        draft,
        request_id=request,
        account="rita",
        organisation="University",
        key=rita.key.key_id,
        version=1,
        amends=None,
        created=filled.hub.clock.now(),
    )
    return made.seal(rita.key)


def test_a_request_is_written_checked_and_sent_once(kept: Filled) -> None:
    browser = client_of(kept, "rita")
    shown = browser.get("/requests/new?c=alpha/lungs&c=alpha/brains")
    assert shown.status_code == 200 and shown.text.count('name="c"') == 2
    form = fields_of(shown.text, act="save")
    typed = {"c": [LUNGS], "title": "Nodules", "until": "no day", "act": "save"}
    refused = browser.post("/requests/new", data={**form, **typed})
    assert refused.status_code == 422 and 'href="#until"' in refused.text
    assert 'value="Nodules"' in refused.text, "what was typed is still there"
    form = fields_of(refused.text, act="save")
    saved = browser.post("/requests/new", data={**form, **typed, "until": "2027-01-01", "act": "check"})
    assert saved.status_code == 303, saved.text
    again = browser.post("/requests/new", data={**form, **typed, "until": "2027-01-01", "act": "check"})
    assert again.headers["location"] == saved.headers["location"], "the same form makes one draft"
    lacking = browser.get(saved.headers["location"]).text
    assert "#statement" in lacking and "fairbank request submit" not in lacking
    draft = re.search(r"draft=([0-9a-f-]+)", saved.headers["location"]).group(1)
    more = {"schema": "request-draft/1", "statement": "To find nodules.", "data_use": ["DUO:0000006"]}
    kept.call("rita", "POST", f"/v1/requests/{draft}/draft", more | {"output_classes": ["measurements"]})
    ready = browser.get(f"/requests/new?draft={draft}&step=check").text
    form = fields_of(ready, act="send") if 'type="hidden" name="act"' in ready else _sending(ready)
    wrong = browser.post(
        f"/requests/new?draft={draft}&step=check", data={**form, "act": "send", "sealed": "{}"}
    )
    assert wrong.status_code == 422 and "FB-WEB-037" not in wrong.text
    sent = {**form, "act": "send", "sealed": sealed(kept, draft).decode()}
    for _ in range(2):
        answer = browser.post(f"/requests/new?draft={draft}&step=check", data=sent)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/requests/{draft}")
    assert "Nodules" in browser.get("/").text, "its state is on the first page"


def _sending(text: str) -> dict[str, str]:
    form = next(
        each for each in re.findall(r"<form\b.*?</form>", text, flags=re.S) if 'name="sealed"' in each
    )
    return {
        n: unescape(v) for n, v in re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form)
    }


def test_a_vote_counts_once_and_not_on_what_has_changed(kept: Filled) -> None:
    request, leg = a_request(kept, "Lungs once more")
    carla, dora = client_of(kept, "carla"), client_of(kept, "dora")
    of_carla = fields_of(carla.get(f"/requests/{request}").text, act="decide")
    of_dora = fields_of(dora.get(f"/requests/{request}").text, act="decide")
    vote = {"word": "approve", "reason": "fits", "until": "2026-12-31", "runs": "5", "why": "Good."}
    assert carla.post(f"/requests/{request}", data={**of_carla, **vote}).status_code == 303
    assert carla.post(f"/requests/{request}", data={**of_carla, **vote}).status_code == 303
    seats = kept.call("carla", "GET", f"/v1/reviews/{leg}")["seats"]
    assert [seat["vote"]["word"] for seat in seats if seat["vote"]] == ["approve"]
    # Terms are proposed since dora opened her page, so she is shown them before she votes.
    late = dora.post(f"/requests/{request}", data={**of_dora, **vote, "word": "decline", "why": "Too wide."})
    assert late.status_code == 409
    assert "Too wide." in late.text and "Decline" in late.text, "what she was about to send is not lost"
    now = fields_of(late.text, act="decide")
    assert dora.post(f"/requests/{request}", data={**now, "word": "approve"}).status_code == 303
    assert kept.call("rita", "GET", f"/v1/requests/{request}")["legs"][0]["state"] == "active"


def test_who_declines_says_why_and_who_does_not_belong_sees_nothing(kept: Filled) -> None:
    request, _ = a_request(kept, "Lungs again")
    carla = client_of(kept, "carla")
    form = fields_of(carla.get(f"/requests/{request}").text, act="decide")
    assert carla.post(f"/requests/{request}", data={**form, "word": "decline"}).status_code == 422
    stranger = client_of(kept, "otto").get(f"/requests/{request}")
    assert stranger.status_code == 404
    assert 'value="decide"' not in client_of(kept, "rita").get(f"/requests/{request}").text


def test_a_message_to_the_committee_is_not_for_the_requester(kept: Filled) -> None:
    request, _ = a_request(kept, "<script>alert(1)</script>")
    carla = client_of(kept, "carla")
    form = fields_of(carla.get(f"/requests/{request}").text, act="comment")
    said = {**form, "text": "Between us <b>", "audience": "committee"}
    for _ in range(2):
        assert carla.post(f"/requests/{request}", data=said).status_code == 303
    shown = carla.get(f"/requests/{request}").text
    assert shown.count("Between us &lt;b&gt;") == 1 and "<script>alert" not in shown
    assert "Between us" not in client_of(kept, "rita").get(f"/requests/{request}").text


@pytest.mark.browser
def test_a_committee_decides_in_four_clicks(kept_bed: Bed) -> None:
    request, _ = a_request(kept_bed.filled, "A study of lungs")
    with kept_bed.opened("carla") as tab:
        tab.goto("/")
        clicks = Clicks(tab)
        clicks.click(tab.locator(f'a[href="/requests/{request}"]').first)
        clicks.click(tab.get_by_label("Approve", exact=True))
        tab.get_by_label("Reason").select_option("fits")
        clicks.number += 1
        clicks.click(tab.get_by_role("button", name="Send my vote"))
        expect(tab.get_by_role("cell", name="Approve")).to_be_visible()
        assert clicks.number <= 4


@pytest.mark.browser
def test_an_auditor_sees_what_left_in_a_month_who_signed_and_whether_the_chain_is_whole(bed: Bed) -> None:
    month = bed.hub.clock.now().strftime("%Y-%m")
    with bed.opened("ursula") as tab:
        tab.goto("/")
        clicks = Clicks(tab)
        clicks.click(tab.get_by_role("link", name="Audit log").first)
        tab.get_by_label("Biobank", exact=True).select_option("alpha")
        clicks.number += 1
        clicks.click(tab.get_by_role("button", name="Show"))
        clicks.click(tab.get_by_role("link", name=month).first)
        row = tab.get_by_role("row", name=month).first
        assert "alpha" in row.inner_text() and "ed25519:" in row.inner_text()
        clicks.click(tab.get_by_role("link", name="Check the whole log now").first)
        expect(tab.get_by_text("The log holds together.")).to_be_visible()
        assert clicks.number <= 5


def test_the_last_administrator_stays(kept: Filled) -> None:
    anna = client_of(kept, "anna")
    assert kept.people["robin"] and "robin" in anna.get("/people").text
    form = fields_of(anna.get("/people?name=robin").text, act="take", holding='value="admin"')
    assert anna.post("/people?name=robin", data={**form, "act": "take"}).status_code == 303
    form = fields_of(anna.get("/people?name=anna").text, act="take", holding='value="admin"')
    refused = anna.post("/people?name=anna", data={**form, "act": "take"})
    assert refused.status_code == 422 and "last administrator" in refused.text
    assert client_of(kept, "rita").get("/people").status_code == 404


def test_the_audit_log_is_searched_checked_and_says_what_left(filled: Filled) -> None:
    whole = told(filled, "ursula", "/audit?check=chain&node=alpha")
    assert whole["checked"]["fault"] == "" and whole["checked"]["entries"] == whole["head_seq"]
    assert {row["node"] for row in whole["left"]} == {"alpha"}
    assert all(key.startswith("ed25519:") for row in whole["left"] for key in row["signers"])
    found = told(filled, "ursula", "/audit?act=release.&since=2999-01-01")
    assert found["entries"] == [] and found["left"] == []
    assert told(filled, "ursula", "/audit?since=nonsense")["ignored"] == ["nonsense"]


def test_a_document_is_attached_with_the_text_and_taken_out_again(kept: Filled) -> None:
    rita, incoming = client_of(kept, "rita"), kept.hub.blobs / "incoming"
    before = set(incoming.iterdir())
    form = fields_of(rita.get("/requests/new?c=alpha/lungs").text, act="save") | {"act": "attach", "c": LUNGS}
    typed = {**form, "title": "Nodules", "kind": "ethics-approval"}
    content = b"%PDF-1.7\r\n--not-the-end\r\n\x00\xff%%EOF\n"
    unfit = rita.post("/requests/new", data=typed, files={"file": ("vote.pdf", b"\x7fELF\x02 no document")})
    assert unfit.status_code == 415 and 'value="Nodules"' in unfit.text
    empty = rita.post("/requests/new", data=typed, files={"file": ("vote.pdf", b"")})
    assert empty.status_code == 422 and "no file was chosen" in empty.text
    sent = rita.post("/requests/new", data=typed, files={"file": ("Votum für Lunge.pdf", content)})
    assert sent.status_code == 303, sent.text
    address = sent.headers["location"].removesuffix("#documents")
    again = rita.post("/requests/new", data=typed, files={"file": ("Votum für Lunge.pdf", content)})
    assert again.headers["location"] == sent.headers["location"], "the same form makes one draft"
    shown = told(kept, "rita", address)
    assert shown["fields"]["title"] == "Nodules"
    ((document, evidence),) = zip(shown["documents"], shown["evidence"], strict=True)
    assert document["name"] == "Votum für Lunge.pdf" and evidence["kind"] == "ethics-approval"
    draft = address.partition("draft=")[2]
    kept_as = rita.get(f"/v1/requests/{draft}/documents/{document['digest']}")
    assert kept_as.content == content
    form = fields_of(rita.get(address).text, act="save") | {
        "act": "detach",
        "c": LUNGS,
        "title": "Nodules now",
    }
    assert rita.post(f"{address}&document={document['digest']}", data=form).status_code == 303
    shown = told(kept, "rita", address)
    assert (shown["documents"], shown["evidence"], shown["fields"]["title"]) == ([], [], "Nodules now")
    assert set(incoming.iterdir()) == before, "nothing is left of what was sent"


def test_a_document_of_nobody_is_not_read_and_one_that_is_too_large_not_kept(
    kept: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    rita = client_of(kept, "rita")
    form = fields_of(rita.get("/requests/new?c=alpha/lungs").text, act="save") | {"act": "attach", "c": LUNGS}
    typed = {**form, "title": "Nodules", "kind": "other"}
    monkeypatch.setattr(file_forms, "FORM_BYTES", 20_000)
    small = {"file": ("vote.pdf", b"%PDF-1.7\n" + b"x" * 1_000)}
    large = {"file": ("vote.pdf", b"%PDF-1.7\n" + b"x" * 30_000)}
    nobody = client_of(kept, "rita")
    nobody.cookies.clear()
    lost = nobody.post("/requests/new", data=typed, files=small)
    assert lost.status_code == 401 and "Nodules" in lost.text
    assert nobody.post("/requests/new", data=typed, files=large).status_code == 401
    object.__setattr__(kept.hub.settings, "catalogue_attachment_bytes", 25_000)
    try:
        refused = rita.post("/requests/new", data=typed, files=large)
    finally:
        object.__setattr__(kept.hub.settings, "catalogue_attachment_bytes", 20_000_000)
    assert refused.status_code == 413 and 'value="Nodules"' in refused.text


@pytest.mark.browser
def test_a_purpose_is_compared_anew_while_one_chooses_and_nothing_is_kept(bed: Bed) -> None:
    with bed.opened("rita") as tab:
        tab.goto("/requests/new?c=alpha/lungs&c=beta/hearts")
        before = tab.locator("#verdicts .tag").first.inner_text()
        tab.locator('input[name="c"]').nth(1).uncheck()
        tab.get_by_label("Health, medical").check()
        expect(tab.locator("#verdicts .tag").first).not_to_have_text(before)
        ticks = tab.locator('input[name="c"]')
        assert [ticks.nth(each).is_checked() for each in range(2)] == [True, False], "nothing vanished"
        assert tab.evaluate("document.activeElement.name") == "data_use"
        assert not bed.complaints and tab.url.endswith("c=beta/hearts")
