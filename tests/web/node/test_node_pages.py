"""The pages of a node: whom they listen to, what they show and to whom, and decisions that are signed there."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from sqlalchemy import select
from tests.web.node.conftest import HTML, PHRASE, PORT, hidden

from fairbank.audit import NodeAudit
from fairbank.database import reading
from fairbank.federated_jobs.code_differences import Part
from fairbank.federated_jobs.node import approved_code
from fairbank.federated_jobs.node.approval import Consent, approve
from fairbank.federated_jobs.node.output_review import held
from fairbank.federated_jobs.node.store import ApprovalRow, ReviewRow
from fairbank.ontology.signed_objects import KeyKeeper, Manifest

SIGNED = {"person": "ada", "passphrase": PHRASE}
APPROVED = {"statement": ["1", "2", "3"], "decision": "approve", **SIGNED}


def acts(at, act: str) -> list[tuple[str, str]]:
    with reading(at.site.node.engine) as session:
        rows = session.execute(select(NodeAudit.actor, NodeAudit.target).where(NodeAudit.act == act))
        return [(actor, target) for actor, target in rows]


# -- the desk ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["evil.test", f"evil.test:{PORT}", "127.0.0.1", f"127.0.0.1:{PORT + 1}"])
def test_other_names_of_this_machine_are_not_answered(bare, host) -> None:
    client = bare.seated()
    assert client.get("/").status_code == 200
    answer = client.get("/", headers={"Host": host})
    assert answer.status_code == 403
    assert "FB-WEB-040" in answer.text


def test_a_form_of_another_site_changes_nothing(at) -> None:
    job, client = at.waiting_job(), at.seated()
    fields = {**hidden(client.get(f"/jobs/{job}").text), **APPROVED}
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}):
        assert client.post(f"/jobs/{job}", data=fields, headers=headers).status_code == 403
    assert client.post(f"/jobs/{job}", data={**fields, "csrf": "of-another-session"}).status_code == 403
    with reading(at.site.node.engine) as session:
        assert session.get(ApprovalRow, job) is None


def test_answers_are_kept_nowhere_and_tell_no_address(bare) -> None:
    for answer in (bare.seated().get("/"), bare.client().get("/"), bare.client().get("/nothing")):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_the_link_works_once_and_only_when_it_is_sent(bare) -> None:
    link = bare.desk.link()
    for _ in range(2):
        assert bare.client().get(f"/start/{link}").status_code == 200
    answer = bare.client().post(f"/start/{link}")
    cookie = answer.headers["set-cookie"]
    assert answer.status_code == 303
    assert cookie.startswith("__Host-fairbank-node-east=")
    assert all(word in cookie for word in ("HttpOnly", "Secure", "SameSite=strict", "Path=/"))
    assert bare.client().post(f"/start/{link}").status_code == 403
    late = bare.desk.link()
    bare.fed.clock.advance(16 * 60)
    assert bare.client().post(f"/start/{late}").status_code == 403


def test_where_persons_are_named_one_of_them_sits_down(at) -> None:
    link = at.desk.link()
    for who, phrase in (("", ""), ("ada", "wrong"), ("eve", PHRASE)):
        answer = at.client().post(f"/start/{link}", data={"open-person": who, "open-passphrase": phrase})
        assert answer.status_code >= 400
        assert "set-cookie" not in answer.headers
    assert "ada" in at.seated("ada").get("/").text


def test_nobody_tries_passphrases_for_long(at) -> None:
    for _ in range(8):
        at.client().post(f"/start/{at.desk.link()}", data={"open-person": "ada", "open-passphrase": "wrong"})
    answer = at.client().post(
        f"/start/{at.desk.link()}", data={"open-person": "ada", "open-passphrase": PHRASE}
    )
    assert answer.status_code == 429
    at.fed.clock.advance(6 * 60)
    at.seated()


def test_who_decides_about_a_job_reads_whether_the_hub_keeps_the_requester_s_key(bare) -> None:
    said = "whoever runs the hub could have sealed this"
    assert said not in bare.seated().get(f"/jobs/{bare.waiting_job()}").text
    request = bare.fed.request
    bare.fed.request = lambda **changes: request(key_kept_by=KeyKeeper.HUB, **changes)
    assert said in bare.seated().get(f"/jobs/{bare.waiting_job()}").text


def test_without_a_session_nothing_is_shown(bare) -> None:
    job = bare.waiting_job()
    for address in ("/", f"/jobs/{job}", "/outbox"):
        answer = bare.client().get(address)
        assert answer.status_code == 401
        assert "A job" not in answer.text
        twin = bare.client().get(address, headers={"Accept": "application/json"})
        assert twin.status_code == 401
        assert twin.json()["code"] == "FB-WEB-042"


def test_after_five_minutes_a_page_is_blank_until_the_passphrase_is_given(at) -> None:
    job, client = at.waiting_job(), at.seated()
    page = client.get(f"/jobs/{job}")
    assert 'http-equiv="refresh" content="300;url=/unlock?next=%2Fjobs%2F' in page.text
    assert client.get("/here").headers["x-blank"] == "no"
    at.fed.clock.advance(5 * 60)
    assert client.get("/here").headers["x-blank"] == "yes"
    assert "A job" not in client.get(f"/jobs/{job}").text
    given = {"open-person": "ada", "next": f"/jobs/{job}"}
    assert client.post("/unlock", data={**given, "open-passphrase": "wrong"}).status_code == 403
    answer = client.post("/unlock", data={**given, "open-passphrase": PHRASE})
    assert answer.headers["location"] == f"/jobs/{job}"
    assert "A job" in client.get(f"/jobs/{job}").text


def test_what_was_typed_outlives_the_blank_page_and_decides_nothing(at) -> None:
    job, client = at.waiting_job(), at.seated()
    fields = {**hidden(client.get(f"/jobs/{job}").text), **APPROVED, "why": "my long reason"}
    at.fed.clock.advance(6 * 60)
    blank = client.post(f"/jobs/{job}", data=fields)
    assert blank.status_code == 401
    assert 'value="my long reason"' in blank.text
    assert PHRASE not in blank.text
    kept = {"why": "my long reason", "act": "decide", "resume": "yes", "next": f"/jobs/{job}"}
    opened = client.post("/unlock", data={**kept, "open-person": "ada", "open-passphrase": PHRASE})
    # A browser sends the same fields again to where it is led.
    assert (opened.status_code, opened.headers["location"]) == (307, f"/jobs/{job}")
    again = client.post(f"/jobs/{job}", data=kept)
    assert "my long reason" in again.text
    with reading(at.site.node.engine) as session:
        assert session.get_one(ReviewRow, job).state == "pending_review"


def test_signing_out_ends_the_session(bare) -> None:
    client = bare.seated()
    client.post("/logout")
    assert client.get("/").status_code == 401


# -- what waits ----------------------------------------------------------------------------------------------------


def test_the_first_page_says_what_waits_and_since_when(at) -> None:
    job, client = at.waiting_job(), at.seated()
    at.fed.clock.advance(60)
    told = at.client()
    told.headers["Cookie"] = client.headers["Cookie"]
    page = told.get("/", headers={"Accept": "application/json"}).json()
    queue = {one["name"]: one["queue"] for one in page["waiting"]}
    assert queue["jobs"]["count"] == 1
    assert queue["files"]["count"] == queue["outputs"]["count"] == 0
    assert f"/jobs/{job}" in client.get("/").text


def test_a_hub_that_is_silent_is_said_and_all_else_works(at) -> None:
    client = at.seated()
    at.waiting_job()
    at.fed.clock.advance(240)
    client.get("/")
    assert "cannot be reached" not in client.get("/").text
    for _ in range(20):
        at.fed.clock.advance(240)
        client.get("/")
    assert "cannot be reached" in client.get("/").text


# -- a job ---------------------------------------------------------------------------------------------------------


def test_a_job_is_approved_with_three_statements_and_a_signature(at) -> None:
    job, client = at.waiting_job(), at.seated()
    address = f"/jobs/{job}"
    missing = at.send(client, address, **{**APPROVED, "statement": ["1", "3"]})
    assert missing.status_code == 422
    assert "FB-WEB-044" in client.get(address, headers={"Accept": HTML}).text or "not ticked" in missing.text
    assert at.send(client, address, **{**APPROVED, "passphrase": "wrong"}).status_code >= 400
    assert at.send(client, address, **APPROVED, hold="yes").status_code == 303
    with reading(at.site.node.engine) as session:
        row = session.get_one(ReviewRow, job)
        assert (row.state, row.decided_by) == ("approved", "ada")
        assert session.get_one(ApprovalRow, job).hold_outputs


def test_a_refusal_has_a_reason_that_stays_here(at) -> None:
    job, client = at.waiting_job(), at.seated()
    no = {"decision": "refuse", **SIGNED}
    assert at.send(client, f"/jobs/{job}", **no).status_code == 422
    assert at.send(client, f"/jobs/{job}", **no, why="too much data").status_code == 303
    with reading(at.site.node.engine) as session:
        detail = session.scalar(select(NodeAudit.detail).where(NodeAudit.act == "job.reject"))
        assert detail["why"] == "too much data"
    at.fed.settle()
    assert at.fed.site_state(job, "east") == ("rejected", "curator_declined")


def test_the_code_of_a_job_is_compared_line_by_line_with_what_was_approved_last(at, monkeypatch) -> None:
    client, first = at.seated(), at.waiting_job()
    assert at.send(client, f"/jobs/{first}", **APPROVED).status_code == 303
    second = at.waiting_job()
    assert "same to the byte" in client.get(f"/jobs/{second}").text
    (file,) = (at.site.node.settings.home / approved_code.FOLDER).glob("*.json")
    parts = json.loads(file.read_bytes())
    # Of what somebody changed here nothing is believed.
    file.write_text(json.dumps([{**parts[0], "text": "import socket"}, *parts[1:]]))
    with reading(at.site.node.engine) as session:
        manifest = Manifest.open(session.get_one(ReviewRow, first).manifest, trusted=None)[0]
    assert approved_code.kept(at.site.node, manifest) == ()
    lines = parts[0]["text"].splitlines()
    older = "\n".join([*lines[:20], "an_older_line = '<b>'", *lines[22:]])
    before = [Part(parts[0]["name"], "sha256:old", len(older), older), *(Part(**one) for one in parts[1:])]
    monkeypatch.setattr(approved_code, "kept", lambda node, manifest: tuple(before))
    text = client.get(f"/jobs/{second}").text
    assert "an_older_line = &#39;&lt;b&gt;&#39;</del>" in text
    assert "2 lines added, 1 removed" in text
    assert "17 lines that are the same" in text


def test_a_job_that_changed_since_it_was_opened_is_decided_anew(at) -> None:
    job, client = at.waiting_job(), at.seated()
    address = f"/jobs/{job}"
    fields = {**hidden(client.get(address).text), **APPROVED, "why": "seen"}
    gone = at.site.index.series["collection"][0].subject
    at.site.index.series["collection"] = [
        one for one in at.site.index.series["collection"] if one.subject != gone
    ]
    answer = client.post(address, data=fields)
    assert answer.status_code == 409
    assert "seen" in answer.text
    with reading(at.site.node.engine) as session:
        assert session.get(ApprovalRow, job) is None


def test_the_same_form_twice_is_one_decision(at) -> None:
    job, client = at.waiting_job(), at.seated()
    fields = {**hidden(client.get(f"/jobs/{job}").text), **APPROVED}
    answers = [client.post(f"/jobs/{job}", data=fields) for _ in range(2)]
    assert [one.status_code for one in answers] == [303, 303]
    assert len(acts(at, "job.approve")) == 1


def test_code_is_compared_with_what_was_approved_last(at) -> None:
    client = at.seated()
    first = at.waiting_job()
    assert "has approved none before" in client.get(f"/jobs/{first}").text
    at.send(client, f"/jobs/{first}", **APPROVED)
    second = at.waiting_job(rounds=2)
    text = client.get(f"/jobs/{second}").text
    assert "plan rounds" in text


def test_too_few_subjects_leave_only_the_refusal(at) -> None:
    job, client = at.waiting_job(), at.seated()
    del at.site.index.series["collection"][2:]
    text = client.get(f"/jobs/{job}").text
    assert 'value="refuse"' in text
    assert 'value="approve"' not in text


def test_no_job_of_that_id_is_a_missing_page(at) -> None:
    assert at.seated().get("/jobs/01a1fdee-cff5-7f63-b5f0-d16d1d20c888").status_code == 404


# -- the outbox ----------------------------------------------------------------------------------------------------


def test_an_output_is_looked_at_and_let_go(at, ada) -> None:
    at.held_job(ada)
    (release,) = held(at.site.outbox)
    client = at.seated()
    assert f"/outbox/{release.id}" in client.get("/").text
    text = client.get(f"/outbox/{release.id}").text
    assert release.digest in text
    assert ("ada", release.digest) in acts(at, "output.view")
    assert at.send(client, f"/outbox/{release.id}", decision="release", **SIGNED).status_code == 303
    assert held(at.site.outbox) == []
    assert "It may leave" in client.get(f"/outbox/{release.id}").text


def test_an_update_is_shown_in_numbers_beside_the_round_before(at, ada) -> None:
    job = at.waiting_job(rounds=2)
    approve(at.site.node, job, Consent("-", hold_outputs=True, signer=ada), source=at.site.index)
    at.fed.settle()
    client = at.seated()
    (first,) = held(at.site.outbox)
    text = client.get(f"/outbox/{first.id}").text
    assert '<th scope="col">norm in the round before</th>' in text
    assert at.send(client, f"/outbox/{first.id}", decision="release", **SIGNED).status_code == 303
    at.fed.settle()
    (second,) = held(at.site.outbox)
    (table,) = client.get(f"/outbox/{second.id}", headers={"Accept": "application/json"}).json()["pieces"][0][
        "shown"
    ]["tables"]
    row = [cell["text"] for cell in table["rows"][0]]
    assert float(row[4]) > 0 and float(row[5]) > 0


def test_two_persons_look_each_for_herself(at, ada) -> None:
    at.held_job(ada)
    node = replace(at.site.node, settings=replace(at.site.node.settings, node_four_eyes="yes"))
    at.desk.node = node
    (release,) = held(at.site.outbox)
    first, second = at.seated("ada"), at.seated("ben")
    address = f"/outbox/{release.id}"
    assert at.send(first, address, decision="release", **SIGNED).status_code == 303
    assert "Another person has to look" in first.get(address).text
    assert "Signed by" not in second.get(address).text
    signed = {"person": "ben", "passphrase": PHRASE}
    assert at.send(second, address, decision="release", **signed).status_code == 303
    assert held(at.site.outbox) == []
    assert "ada, ben" in second.get(address).text


def test_what_is_kept_back_has_a_reason(at, ada) -> None:
    at.held_job(ada)
    (release,) = held(at.site.outbox)
    client = at.seated()
    assert at.send(client, f"/outbox/{release.id}", decision="keep", **SIGNED).status_code == 422
    answer = at.send(client, f"/outbox/{release.id}", decision="keep", why="too detailed", **SIGNED)
    assert answer.status_code == 303
    assert held(at.site.outbox) == []
