"""Each dataset of a request is decided about on its own; what is granted is sealed in a visa that ends by itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient
from tests.catalogue.granting import (
    Someone,
    a_committee,
    a_request,
    account_of,
    grant_all,
    history,
    legs_by_name,
    propose_and_vote,
    state,
    submit,
    the_next,
)

from fairbank import audit, events
from fairbank.catalogue.accounts import Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance import expiry, grants
from fairbank.catalogue.governance.store import CommitteeRow, GrantRow, RequestRow, SubstituteRow
from fairbank.clock import FixedClock, iso
from fairbank.database import reading, writing
from fairbank.ontology.outputs import OutputClass
from fairbank.ontology.signed_objects import Request, Visa
from fairbank.signing import SigningKey

Make = Callable[..., Any]
LUNGS, BRAINS, HEARTS = (f"http://hub.test/datasets/alpha/{name}" for name in ("lungs", "brains", "hearts"))


@pytest.fixture
def rita(person_named: Make) -> Any:
    return person_named("rita", Role.RESEARCHER)


@pytest.fixture
def carla(hub: Hub, person_named: Make, released: Make) -> Any:
    """Presides, alone, the committee of the node alpha, which has published three datasets."""
    for name in ("lungs", "brains", "hearts"):
        released(name)
    made = person_named("carla", Role.COMMITTEE)
    a_committee(hub, ["alpha"], ["carla"])
    return made


@pytest.fixture
def anna(person_named: Make) -> Any:
    return person_named("anna", Role.ADMIN)


@pytest.fixture
def granted(hub: Hub, rita: Any, carla: Any) -> str:
    """The id of rita's request for lungs and brains, both granted."""
    request_id = submit(hub, rita, a_request(hub, rita, [LUNGS, BRAINS]))
    grant_all(hub, account_of(hub, carla), request_id, conditions=(), tool_families=("measure",))
    return request_id


def visas(hub: Hub, request_id: str) -> list[grants.Grant]:
    with reading(hub.engine) as session:
        row = session.get_one(RequestRow, request_id)
        return list(reversed(grants.grants_of(session, row, now=hub.clock.now())))


def command(client: TestClient, who: Any, path: str, **body: Any) -> Any:
    sent = json.dumps({"schema": "command/1"} | body)
    return client.post(f"/v1/requests/{path}", content=sent, headers=who.headers)


def kinds(hub: Hub) -> list[str]:
    with reading(hub.engine) as session:
        return list(session.scalars(select(events.HubEvent.kind).order_by(events.HubEvent.seq)))


def test_a_submitted_request_is_before_the_committee_at_once(hub: Hub, rita: Any, carla: Any) -> None:
    request_id = submit(hub, rita, a_request(hub, rita, [LUNGS]))
    leg = legs_by_name(hub, request_id)["lungs"]
    assert (leg.state, leg.stage, leg.verdict) == ("in_review", "data", "compatible")
    assert leg.due == hub.clock.now() + timedelta(days=14)


def test_a_dataset_that_has_no_committee_waits_for_one(hub: Hub, rita: Any, released: Make) -> None:
    released("lungs")
    request_id = submit(hub, rita, a_request(hub, rita, [LUNGS]))
    assert legs_by_name(hub, request_id)["lungs"].state == "triage"
    Someone(hub, "late", Role.COMMITTEE)
    a_committee(hub, ["alpha"], ["late"])
    assert expiry.sweep(hub) == 1
    assert legs_by_name(hub, request_id)["lungs"].state == "in_review"


def test_the_visa_says_what_was_asked_and_on_which_terms(hub: Hub, granted: str, rita: Any) -> None:
    newest = visas(hub, granted)[-1]
    visa, _ = Visa.open(newest.envelope, trusted=[hub.key.key_id])
    request, sealed = Request.open(newest.request_envelope, trusted=[rita.key.key_id])
    assert (visa.request, visa.purpose, visa.requester_key) == (
        sealed.digest,
        request.purpose,
        rita.key.key_id,
    )
    assert [each.iri for each in visa.datasets] == [BRAINS, LUNGS]
    assert {each.tool_families for each in visa.datasets} == {("measure",)}
    assert {each.output_classes for each in visa.datasets} == {(OutputClass.MEASUREMENTS,)}
    assert visa.expires == iso(hub.clock.now() + timedelta(days=30))


def test_what_is_granted_first_is_usable_at_once_and_a_later_visa_names_the_first(
    hub: Hub, granted: str
) -> None:
    first, second = visas(hub, granted)
    assert [each.iri for each in Visa.open(first.envelope, trusted=None)[0].datasets] == [BRAINS]
    assert Visa.open(second.envelope, trusted=None)[0].supersedes == first.digest
    assert (first.state, first.datasets, first.still_granted) == ("superseded", frozenset(), {BRAINS})
    assert (second.state, second.datasets) == ("holds", {BRAINS, LUNGS})
    assert "grant.revoked" not in kinds(hub)


def test_one_dataset_declined_does_not_stop_the_other(hub: Hub, rita: Any, carla: Any) -> None:
    request_id = submit(hub, rita, a_request(hub, rita, [LUNGS, BRAINS]))
    found, who = legs_by_name(hub, request_id), account_of(hub, carla)
    propose_and_vote(hub, who, found["lungs"].id, "decline")
    propose_and_vote(hub, who, found["brains"].id)
    assert {name: leg.state for name, leg in legs_by_name(hub, request_id).items()} == {
        "lungs": "declined",
        "brains": "active",
    }
    assert state(hub, request_id) == "open"
    assert visas(hub, request_id)[-1].datasets == {BRAINS}


def test_a_request_all_of_whose_datasets_are_declined_is_closed(hub: Hub, rita: Any, carla: Any) -> None:
    request_id = submit(hub, rita, a_request(hub, rita, [LUNGS]))
    propose_and_vote(hub, account_of(hub, carla), legs_by_name(hub, request_id)["lungs"].id, "decline")
    assert state(hub, request_id) == "closed"


def test_conditions_are_accepted_before_anything_is_granted(
    hub: Hub, client: TestClient, rita: Any, carla: Any
) -> None:
    request_id = submit(hub, rita, a_request(hub, rita, [LUNGS]))
    grant_all(hub, account_of(hub, carla), request_id, conditions=("Cite the biobank.",))
    leg = legs_by_name(hub, request_id)["lungs"]
    assert leg.state == "approved_with_conditions" and visas(hub, request_id) == []
    path = f"{request_id}/legs/{leg.id}/commands/accept-conditions"
    assert command(client, carla, path).json()["code"] == "FB-CAT-023"
    assert command(client, rita, path).json()["state"] == "active"
    assert Visa.open(visas(hub, request_id)[0].envelope, trusted=None)[0].datasets[0].conditions == (
        "Cite the biobank.",
    )


def test_conditions_that_are_refused_end_it(hub: Hub, client: TestClient, rita: Any, carla: Any) -> None:
    request_id = submit(hub, rita, a_request(hub, rita, [LUNGS]))
    grant_all(hub, account_of(hub, carla), request_id, conditions=("Cite the biobank.",))
    leg = legs_by_name(hub, request_id)["lungs"]
    answer = command(client, rita, f"{request_id}/legs/{leg.id}/commands/refuse-conditions")
    assert (answer.json()["state"], state(hub, request_id)) == ("withdrawn", "closed")


def test_terms_of_all_stages_bind(hub: Hub, rita: Any, carla: Any, person_named: Make) -> None:
    ethel = account_of(hub, person_named("ethel", Role.COMMITTEE))
    a_committee(hub, ["alpha"], ["ethel"], stage="ethics")
    request_id = submit(hub, rita, a_request(hub, rita, [LUNGS]))
    leg = legs_by_name(hub, request_id)["lungs"]
    assert leg.stage == "ethics"
    soon = iso(hub.clock.now() + timedelta(days=10))
    propose_and_vote(hub, ethel, leg.id, until=soon, maximum_runs=3)
    assert legs_by_name(hub, request_id)["lungs"].stage == "data"
    propose_and_vote(hub, account_of(hub, carla), leg.id, maximum_runs=50, tool_families=("measure",))
    terms = Visa.open(visas(hub, request_id)[0].envelope, trusted=None)[0].datasets[0]
    assert (terms.expires, terms.maximum_runs, terms.tool_families) == (soon, 3, ("measure",))


# -- revoking, pausing, ending -------------------------------------------------------------------------------------


def test_one_dataset_can_be_revoked_and_the_other_stays(
    hub: Hub, client: TestClient, granted: str, carla: Any
) -> None:
    leg = legs_by_name(hub, granted)["lungs"]
    answer = command(client, carla, f"{granted}/legs/{leg.id}/commands/revoke", note="Consent withdrawn.")
    assert answer.json()["state"] == "revoked"
    newest = visas(hub, granted)[-1]
    assert (newest.holds, newest.datasets, newest.still_granted) == (True, {BRAINS}, {BRAINS})
    with reading(hub.engine) as session:
        told = session.scalars(select(events.HubEvent).where(events.HubEvent.kind == "grant.revoked")).one()
    assert (told.subject, told.detail["datasets"], told.detail["request"]) == (
        newest.visa_id,
        [LUNGS],
        granted,
    )


def test_a_revoked_grant_ends_at_once_and_says_so(
    hub: Hub, client: TestClient, granted: str, rita: Any, carla: Any, person_named: Make
) -> None:
    path = f"/v1/grants/{visas(hub, granted)[-1].visa_id}/revoke"
    body = b'{"schema":"revocation/1","reason":"Consent withdrawn."}'
    other = person_named("otto", Role.COMMITTEE)
    assert client.post(path, content=body, headers=rita.headers).status_code == 403
    assert client.post(path, content=body, headers=other.headers).json()["code"] == "FB-CAT-064"
    assert client.post(path, content=body, headers=carla.headers).json()["datasets"] == [BRAINS, LUNGS]
    assert client.post(path, content=body, headers=carla.headers).json()["code"] == "FB-CAT-062"
    mine = client.get("/v1/grants", headers=rita.headers).json()["grants"]
    assert [each["state"] for each in mine] == ["revoked", "superseded"]
    assert state(hub, granted) == "closed"


def test_a_grant_ends_by_the_clock_and_can_be_renewed_for_a_while(
    hub: Hub, clock: FixedClock, granted: str, rita: Any, carla: Any
) -> None:
    clock.advance(31 * 86_400)
    assert visas(hub, granted)[-1].state == "expired"
    assert (expiry.sweep(hub), expiry.sweep(hub)) == (2, 0)
    assert kinds(hub).count("grant.expired") == 2
    assert state(hub, granted) == "open"
    submit(hub, rita, the_next(hub, granted, until=iso(clock.now() + timedelta(days=200))))
    assert {leg.pending_state for leg in legs_by_name(hub, granted).values()} == {"in_review"}
    grant_all(hub, account_of(hub, carla), granted)
    assert visas(hub, granted)[-1].datasets == {BRAINS, LUNGS}
    clock.advance(31 * 86_400)
    expiry.sweep(hub)
    clock.advance(91 * 86_400)
    expiry.sweep(hub)
    assert state(hub, granted) == "closed"


def test_while_a_request_is_paused_nothing_holds(
    hub: Hub, client: TestClient, granted: str, rita: Any, anna: Any
) -> None:
    assert command(client, rita, f"{granted}/commands/pause").json()["state"] == "paused"
    assert (visas(hub, granted)[-1].holds, visas(hub, granted)[-1].state) == (False, "paused")
    assert command(client, rita, f"{granted}/commands/resume").json()["state"] == "open"
    assert visas(hub, granted)[-1].holds
    assert (kinds(hub).count("grant.paused"), kinds(hub).count("grant.resumed")) == (2, 2)


def test_what_an_administrator_paused_only_one_resumes(
    client: TestClient, granted: str, rita: Any, anna: Any
) -> None:
    command(client, anna, f"{granted}/commands/pause")
    assert command(client, rita, f"{granted}/commands/resume").json()["code"] == "FB-CAT-120"
    assert command(client, anna, f"{granted}/commands/resume").json()["state"] == "open"


def test_a_withdrawn_request_takes_its_grants_along(
    hub: Hub, client: TestClient, granted: str, rita: Any, carla: Any
) -> None:
    assert command(client, carla, f"{granted}/commands/withdraw").status_code == 403
    assert (
        client.post(f"/v1/requests/{granted}/withdraw", headers=rita.headers).json()["state"] == "withdrawn"
    )
    assert visas(hub, granted)[-1].state == "withdrawn"
    assert {leg.state for leg in legs_by_name(hub, granted).values()} == {"withdrawn"}
    assert "grant.revoked" in kinds(hub)


# -- further versions ----------------------------------------------------------------------------------------------


def test_a_further_dataset_is_decided_and_the_others_pass_as_they_are(
    hub: Hub, granted: str, rita: Any, carla: Any
) -> None:
    submit(hub, rita, the_next(hub, granted, datasets=(LUNGS, BRAINS, HEARTS)))
    found = legs_by_name(hub, granted)
    assert {name: (leg.state, leg.version, leg.pending_version) for name, leg in found.items()} == {
        "lungs": ("active", 2, None),
        "brains": ("active", 2, None),
        "hearts": ("in_review", 2, None),
    }
    before = visas(hub, granted)[-1]
    assert before.datasets == {BRAINS, LUNGS}
    assert Request.open(before.request_envelope, trusted=None)[0].version == 2
    grant_all(hub, account_of(hub, carla), granted)
    assert visas(hub, granted)[-1].datasets == {BRAINS, HEARTS, LUNGS}


def test_what_is_granted_stays_while_more_is_asked_for(hub: Hub, granted: str, rita: Any, carla: Any) -> None:
    more = (OutputClass.MEASUREMENTS, OutputClass.MODEL_UPDATE)
    submit(hub, rita, the_next(hub, granted, output_classes=more))
    leg = legs_by_name(hub, granted)["lungs"]
    assert (leg.state, leg.version, leg.pending_version, leg.pending_state) == ("active", 1, 2, "in_review")
    assert visas(hub, granted)[-1].datasets == {BRAINS, LUNGS}
    propose_and_vote(hub, account_of(hub, carla), leg.id)
    old, new = visas(hub, granted)[-2:]
    assert (old.datasets, new.datasets) == ({BRAINS}, {LUNGS})
    assert Visa.open(new.envelope, trusted=None)[0].datasets[0].output_classes == more
    propose_and_vote(hub, account_of(hub, carla), legs_by_name(hub, granted)["brains"].id, "decline")
    brains = legs_by_name(hub, granted)["brains"]
    assert (brains.state, brains.version, brains.pending_version) == ("active", 1, None)
    assert visas(hub, granted)[-2].datasets == {BRAINS}


def test_asking_for_less_needs_no_vote(hub: Hub, clock: FixedClock, granted: str, rita: Any) -> None:
    soon = iso(clock.now() + timedelta(days=5))
    submit(hub, rita, the_next(hub, granted, until=soon, datasets=(LUNGS,)))
    found = legs_by_name(hub, granted)
    assert (found["lungs"].version, found["brains"].state) == (2, "withdrawn")
    assert [
        each.expires for each in Visa.open(visas(hub, granted)[-1].envelope, trusted=None)[0].datasets
    ] == [soon]


def test_what_was_returned_is_submitted_again(hub: Hub, client: TestClient, rita: Any, carla: Any) -> None:
    request_id = submit(hub, rita, a_request(hub, rita, [LUNGS]))
    leg = legs_by_name(hub, request_id)["lungs"]
    path = f"{request_id}/legs/{leg.id}/commands/return"
    assert command(client, carla, path, note="Which nodules?").json()["state"] == "returned"
    seen = client.get(f"/v1/requests/{request_id}", headers=rita.headers).json()
    assert (seen["history"][-1]["note"], seen["standing"]) == ("Which nodules?", "returned")
    submit(hub, rita, the_next(hub, request_id, title="Nodules of the lung"))
    again = legs_by_name(hub, request_id)["lungs"]
    assert (again.state, again.version, again.proposal) == ("in_review", 2, None)


def test_a_version_begins_a_vote_anew(hub: Hub, rita: Any, carla: Any, person_named: Make) -> None:
    person_named("cora", Role.COMMITTEE)
    a_committee(hub, ["alpha"], ["carla", "cora"], quorum=2, dataset=LUNGS)
    request_id = submit(hub, rita, a_request(hub, rita, [LUNGS, BRAINS]))
    found, who = legs_by_name(hub, request_id), account_of(hub, carla)
    propose_and_vote(hub, who, found["lungs"].id)
    propose_and_vote(hub, who, found["brains"].id)
    assert legs_by_name(hub, request_id)["lungs"].proposal is not None
    submit(hub, rita, the_next(hub, request_id, organisation="Another university"))
    lungs = legs_by_name(hub, request_id)["lungs"]
    assert (lungs.state, lungs.version, lungs.proposal) == ("in_review", 2, None)


@pytest.mark.parametrize(
    "changes", [{"version": 3}, {"amends": "sha256:" + "0" * 64}, {"version": 1, "amends": None}]
)
def test_a_version_that_does_not_follow_is_refused(
    hub: Hub, client: TestClient, granted: str, rita: Any, changes: dict[str, Any]
) -> None:
    envelope = the_next(hub, granted, **changes).seal(rita.key)
    answer = client.post("/v1/requests", content=envelope, headers=rita.headers)
    assert (answer.status_code, answer.json()["code"]) == (409, "FB-CAT-123")


def test_nothing_can_be_amended_before_anything_is_granted(
    hub: Hub, client: TestClient, rita: Any, carla: Any
) -> None:
    request_id = submit(hub, rita, a_request(hub, rita, [LUNGS]))
    envelope = the_next(hub, request_id, title="Other").seal(rita.key)
    answer = client.post("/v1/requests", content=envelope, headers=rita.headers)
    assert (answer.status_code, answer.json()["code"]) == (409, "FB-CAT-120")


# -- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"datasets": ("http://hub.test/datasets/alpha/nothing",)},
        {"requester_account": "otto"},
        {"until": "2020-01-01T00:00:00.000Z"},
        {"until": "2099-01-01T00:00:00.000Z"},
        {"created": "2025-01-01T00:00:00.000Z"},
    ],
    ids=["unknown dataset", "another account", "past", "too long", "old"],
)
def test_a_request_that_cannot_be_is_refused(
    client: TestClient, hub: Hub, rita: Any, carla: Any, changes: dict[str, Any]
) -> None:
    envelope = a_request(hub, rita, **({"datasets": [LUNGS]} | changes)).seal(rita.key)
    answer = client.post("/v1/requests", content=envelope, headers=rita.headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "FB-CAT-060")
    assert client.get("/v1/requests", headers=rita.headers).json()["requests"] == []


def test_a_request_sealed_with_another_key_is_refused(
    client: TestClient, hub: Hub, rita: Any, carla: Any
) -> None:
    envelope = a_request(hub, rita, [LUNGS]).seal(SigningKey.generate())
    answer = client.post("/v1/requests", content=envelope, headers=rita.headers)
    assert answer.json()["code"] == "FB-CORE-013"


def test_a_request_is_submitted_once(client: TestClient, hub: Hub, rita: Any, carla: Any) -> None:
    envelope = a_request(hub, rita, [LUNGS]).seal(rita.key)
    answers = [client.post("/v1/requests", content=envelope, headers=rita.headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 409]


def test_an_id_of_somebody_else_s_request_cannot_be_taken(
    client: TestClient, hub: Hub, granted: str, person_named: Make
) -> None:
    otto = person_named("otto", Role.RESEARCHER)
    envelope = a_request(hub, otto, [LUNGS], id=granted).seal(otto.key)
    assert client.post("/v1/requests", content=envelope, headers=otto.headers).json()["code"] == "FB-CAT-060"


def test_requests_are_seen_by_those_who_have_a_part_in_them(
    client: TestClient, hub: Hub, granted: str, rita: Any, carla: Any, anna: Any, person_named: Make
) -> None:
    person_named("otto", Role.RESEARCHER)
    strangers = [person_named("olga", Role.RESEARCHER), person_named("oscar", Role.COMMITTEE)]
    for who in strangers:
        answer = client.get(f"/v1/requests/{granted}", headers=who.headers)
        assert answer.json()["code"] == "FB-CAT-061"
        assert client.get("/v1/requests", headers=who.headers).json()["requests"] == []
        assert client.get("/v1/grants", headers=who.headers).json()["grants"] == []
    for who in (rita, carla, anna):
        assert client.get(f"/v1/requests/{granted}", headers=who.headers).status_code == 200
        assert len(client.get("/v1/requests", headers=who.headers).json()["requests"]) == 1


def test_a_delegate_sees_requests_no_longer_than_she_stands_in(
    client: TestClient, hub: Hub, clock: FixedClock, granted: str, person_named: Make
) -> None:
    dora = person_named("dora", Role.COMMITTEE)
    path = f"/v1/requests/{granted}"
    assert client.get(path, headers=dora.headers).status_code == 404
    with writing(hub.engine) as session:
        session.add(
            SubstituteRow(
                id=hub.clock.new_id(),
                committee=session.scalar(select(CommitteeRow.id)),
                stands_for="carla",
                account="dora",
                appointed_by="carla",
                since=clock.now(),
                until=clock.now() + timedelta(hours=1),
                begun=True,
            )
        )
    assert client.get(path, headers=dora.headers).status_code == 200
    clock.advance(3600)
    expiry.sweep(hub)
    assert client.get(path, headers=dora.headers).status_code == 404
    assert client.get("/v1/requests", headers=dora.headers).json()["requests"] == []


def test_nobody_decides_on_her_own_request(client: TestClient, hub: Hub, carla: Any) -> None:
    request_id = submit(hub, carla, a_request(hub, carla, [LUNGS]))
    leg = legs_by_name(hub, request_id)["lungs"]
    assert leg.state == "triage"  # Nobody is left on the committee who may decide.
    answer = command(client, carla, f"{request_id}/legs/{leg.id}/commands/take-up")
    assert answer.json()["code"] == "FB-CAT-023"


@pytest.mark.parametrize(
    ("word", "code"), [("vote", "FB-CAT-023"), ("approve", "FB-CAT-023"), ("bless", "FB-CAT-121")]
)
def test_only_commands_that_need_no_more_than_a_word_are_given_by_one(
    client: TestClient, hub: Hub, rita: Any, carla: Any, word: str, code: str
) -> None:
    request_id = submit(hub, rita, a_request(hub, rita, [LUNGS]))
    leg = legs_by_name(hub, request_id)["lungs"]
    answer = command(client, carla, f"{request_id}/legs/{leg.id}/commands/{word}")
    assert answer.json()["code"] == code


def test_the_dataset_of_another_request_is_not_found(
    client: TestClient, hub: Hub, granted: str, rita: Any, carla: Any
) -> None:
    other = submit(hub, rita, a_request(hub, rita, [HEARTS]))
    leg = legs_by_name(hub, other)["hearts"]
    answer = command(client, carla, f"{granted}/legs/{leg.id}/commands/return")
    assert answer.json()["code"] == "FB-CAT-122"


# -- what is written down ------------------------------------------------------------------------------------------


def test_the_history_says_who_did_what(hub: Hub, granted: str) -> None:
    with reading(hub.engine) as session:
        assert history(session, granted)[:5] == ["submit", "submit", "submit", "triage", "assign"]
        assert history(session, granted)[-2:] == ["approve", "activate"]


def test_everything_done_to_a_request_is_in_the_log(hub: Hub, granted: str) -> None:
    with reading(hub.engine) as session:
        audit.verify(session, audit.HubAudit)
        acts = list(session.scalars(select(audit.HubAudit.act).order_by(audit.HubAudit.seq)))
    assert [act for act in acts if act.startswith(("leg.", "request."))].count("leg.activate") == 2
    assert "request.submit" in acts


def test_the_envelope_is_given_back_as_it_was_sealed(
    hub: Hub, client: TestClient, rita: Any, carla: Any
) -> None:
    request = a_request(hub, rita, [LUNGS])
    submit(hub, rita, request)
    seen = client.get(f"/v1/requests/{request.id}", headers=rita.headers).json()
    again, _ = Request.open(json.dumps(seen["envelope"]).encode(), trusted=[rita.key.key_id])
    assert again == request


def test_each_visa_is_kept(hub: Hub, granted: str) -> None:
    with reading(hub.engine) as session:
        kept = session.scalars(select(GrantRow).order_by(GrantRow.id)).all()
    assert [row.ended_because for row in kept] == ["superseded", None]
