"""Requests are sealed, decided once by somebody else, and what was granted ends by itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from fairbank import audit, events
from fairbank.catalogue import access
from fairbank.catalogue.access import TRANSITIONS, Act, RequestState
from fairbank.catalogue.accounts import Role
from fairbank.catalogue.context import Hub
from fairbank.clock import FixedClock, iso
from fairbank.database import reading
from fairbank.ontology.outputs import OutputClass
from fairbank.ontology.signed_objects import Purpose, Request, Visa
from fairbank.signing import SigningKey

Make = Callable[..., Any]
LUNGS = "http://hub.test/datasets/alpha/lungs"


@pytest.fixture
def rita(person_named: Make) -> Any:
    return person_named("rita", Role.RESEARCHER)


@pytest.fixture
def carla(person_named: Make) -> Any:
    return person_named("carla", Role.COMMITTEE)


def a_request(hub: Hub, who: Any, **changes: Any) -> Request:
    now = hub.clock.now()
    given: dict[str, Any] = {
        "id": hub.clock.new_id(),
        "requester_key": who.key.key_id,
        "requester_account": who.name,
        "organisation": "University",
        "title": "Nodules",
        "datasets": (LUNGS,),
        "purpose": Purpose(data_use=("DUO:0000006",), statement="Nodule detection."),
        "output_classes": (OutputClass.MEASUREMENTS,),
        "until": iso(now + timedelta(days=90)),
        "created": iso(now),
    }
    return Request(**(given | changes))


def submit(client: TestClient, hub: Hub, who: Any, *, key: SigningKey | None = None, **changes: Any) -> Any:
    envelope = a_request(hub, who, **changes).seal(key or who.key)
    return client.post("/v1/requests", content=envelope, headers=who.headers)


def decide(
    client: TestClient, hub: Hub, who: Any, request_id: str, word: str = "approve", **changes: Any
) -> Any:
    body = {"schema": "decision/1", "decision": word, "until": iso(hub.clock.now() + timedelta(days=30))}
    path = f"/v1/requests/{request_id}/decision"
    return client.post(path, content=json.dumps(body | changes), headers=who.headers)


@pytest.fixture
def granted(client: TestClient, hub: Hub, released: Make, rita: Any, carla: Any) -> dict[str, Any]:
    """What the committee sees after it approved rita's request."""
    released("lungs")
    request_id = submit(client, hub, rita).json()["id"]
    answer = decide(
        client, hub, carla, request_id, conditions=["Cite the biobank."], tool_families=["measure"]
    )
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_an_approval_makes_a_visa_that_the_hub_s_key_sealed(hub: Hub, granted: dict[str, Any]) -> None:
    assert granted["state"] == "granted"
    visa, _ = Visa.open(json.dumps(granted["grant"]["envelope"]).encode(), trusted=[hub.key.key_id])
    assert visa.request == granted["digest"]
    assert [dataset.iri for dataset in visa.datasets] == [LUNGS]
    assert (visa.conditions, visa.tool_families) == (("Cite the biobank.",), ("measure",))
    assert visa.expires == iso(hub.clock.now() + timedelta(days=30))


def test_the_grant_is_the_requester_s(
    client: TestClient, granted: dict[str, Any], rita: Any, person_named: Make
) -> None:
    mine = client.get("/v1/grants", headers=rita.headers).json()["grants"]
    assert [each["state"] for each in mine] == ["holds"]
    others = client.get("/v1/grants", headers=person_named("otto").headers).json()["grants"]
    assert others == []


def test_the_envelope_is_given_back_as_it_was_sealed(
    hub: Hub, client: TestClient, released: Make, rita: Any
) -> None:
    released("lungs")
    request = a_request(hub, rita)
    client.post("/v1/requests", content=request.seal(rita.key), headers=rita.headers)
    seen = client.get(f"/v1/requests/{request.id}", headers=rita.headers).json()
    again, _ = Request.open(json.dumps(seen["envelope"]).encode(), trusted=[rita.key.key_id])
    assert again == request


def test_the_committee_sees_how_the_purpose_fits(client: TestClient, granted: dict[str, Any]) -> None:
    match = granted["matches"][0]
    assert (match["dataset"], match["verdict"]) == (LUNGS, "compatible")
    assert match["explanations"][0]["reason"]


def test_the_history_says_who_did_what(granted: dict[str, Any]) -> None:
    assert [(each["act"], each["actor"]) for each in granted["history"]] == [
        ("submit", "rita"),
        ("take-up", "carla"),
        ("approve", "carla"),
    ]


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
    client: TestClient, hub: Hub, released: Make, rita: Any, changes: dict[str, Any]
) -> None:
    released("lungs")
    answer = submit(client, hub, rita, **changes)
    assert (answer.status_code, answer.json()["code"]) == (422, "FB-CAT-060")


def test_a_request_sealed_with_another_key_is_refused(
    client: TestClient, hub: Hub, released: Make, rita: Any
) -> None:
    released("lungs")
    assert submit(client, hub, rita, key=SigningKey.generate()).json()["code"] == "FB-CORE-013"


def test_a_request_is_submitted_once(client: TestClient, hub: Hub, released: Make, rita: Any) -> None:
    released("lungs")
    envelope = a_request(hub, rita).seal(rita.key)
    answers = [client.post("/v1/requests", content=envelope, headers=rita.headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 422]


def test_requests_of_others_are_not_seen(
    client: TestClient, granted: dict[str, Any], person_named: Make
) -> None:
    otto = person_named("otto", Role.RESEARCHER)
    assert client.get(f"/v1/requests/{granted['id']}", headers=otto.headers).json()["code"] == "FB-CAT-061"
    assert client.get("/v1/requests", headers=otto.headers).json()["requests"] == []


def test_a_researcher_decides_nothing(client: TestClient, hub: Hub, released: Make, rita: Any) -> None:
    released("lungs")
    request_id = submit(client, hub, rita).json()["id"]
    assert decide(client, hub, rita, request_id).json()["code"] == "FB-CAT-023"


def test_nobody_decides_on_her_own_request(client: TestClient, hub: Hub, released: Make, carla: Any) -> None:
    released("lungs")
    request_id = submit(client, hub, carla).json()["id"]
    assert decide(client, hub, carla, request_id).json()["code"] == "FB-CAT-063"


def test_a_decision_is_final(client: TestClient, hub: Hub, granted: dict[str, Any], carla: Any) -> None:
    answer = decide(client, hub, carla, granted["id"], "decline")
    assert (answer.status_code, answer.json()["code"]) == (409, "FB-CAT-062")


@pytest.mark.parametrize("until", [None, "2020-01-01T00:00:00.000Z", "2026-12-01T00:00:00.000Z"])
def test_an_approval_ends_in_time(
    client: TestClient, hub: Hub, released: Make, rita: Any, carla: Any, until: Any
) -> None:
    released("lungs")
    request_id = submit(client, hub, rita).json()["id"]
    assert decide(client, hub, carla, request_id, until=until).json()["code"] == "FB-CAT-063"
    assert client.get(f"/v1/requests/{request_id}", headers=rita.headers).json()["state"] == "submitted"


@pytest.mark.parametrize(("word", "state"), [("decline", "declined"), ("return", "returned")])
def test_a_request_can_be_declined_or_returned(
    client: TestClient, hub: Hub, released: Make, rita: Any, carla: Any, word: str, state: str
) -> None:
    released("lungs")
    request_id = submit(client, hub, rita).json()["id"]
    assert decide(client, hub, carla, request_id, word, comment="Which nodules?").json()["state"] == state
    seen = client.get(f"/v1/requests/{request_id}", headers=rita.headers).json()
    assert (seen["history"][-1]["comment"], seen["grant"]) == ("Which nodules?", None)


def test_a_request_can_be_withdrawn_by_its_requester_only(
    client: TestClient, hub: Hub, released: Make, rita: Any, carla: Any
) -> None:
    released("lungs")
    path = f"/v1/requests/{submit(client, hub, rita).json()['id']}/withdraw"
    assert client.post(path, headers=carla.headers).status_code == 404
    assert client.post(path, headers=rita.headers).json()["state"] == "withdrawn"


def test_a_revoked_grant_ends_at_once_and_says_so(
    client: TestClient, hub: Hub, granted: dict[str, Any], rita: Any, carla: Any
) -> None:
    path = f"/v1/grants/{granted['grant']['id']}/revoke"
    body = b'{"schema":"revocation/1","reason":"Consent withdrawn."}'
    assert client.post(path, content=body, headers=rita.headers).status_code == 403
    assert client.post(path, content=body, headers=carla.headers).status_code == 200
    assert client.post(path, content=body, headers=carla.headers).json()["code"] == "FB-CAT-062"
    assert client.get("/v1/grants", headers=rita.headers).json()["grants"][0]["state"] == "revoked"
    with reading(hub.engine) as session:
        event = session.scalars(select(events.HubEvent).where(events.HubEvent.kind == "grant.revoked")).one()
        assert event.subject == granted["grant"]["id"]
        grant = access.find_grant(session, granted["grant"]["digest"], now=hub.clock.now())
        assert grant is not None and not grant.holds


def test_a_grant_ends_by_the_clock(
    client: TestClient, hub: Hub, clock: FixedClock, granted: dict[str, Any], rita: Any
) -> None:
    clock.advance(31 * 86_400)
    with reading(hub.engine) as session:
        grant = access.find_grant(session, granted["grant"]["digest"], now=clock.now())
        assert grant is not None and grant.ended_because == "expired"
    assert access.expire_due(hub) == 1
    assert access.expire_due(hub) == 0
    with reading(hub.engine) as session:
        kinds = list(session.scalars(select(events.HubEvent.kind)))
    assert kinds.count("grant.expired") == 1


def test_unknown_keys_of_a_decision_are_refused(
    client: TestClient, hub: Hub, released: Make, rita: Any, carla: Any
) -> None:
    released("lungs")
    request_id = submit(client, hub, rita).json()["id"]
    assert decide(client, hub, carla, request_id, vote="yes").json()["code"] == "FB-ONT-002"


def test_everything_done_to_a_request_is_in_the_log(
    hub: Hub, client: TestClient, granted: dict[str, Any], person_named: Make
) -> None:
    with reading(hub.engine) as session:
        audit.verify(session, audit.HubAudit)
    admin = person_named("anna", Role.ADMIN)
    entries = client.get("/v1/audit", headers=admin.headers, params={"limit": 1000}).json()["entries"]
    acts = [entry["act"] for entry in entries if entry["target"] == granted["id"]]
    assert acts == ["request.submit", "request.take-up", "request.approve"]


def test_the_table_ends_where_it_should() -> None:
    ends = {
        RequestState.DECLINED,
        RequestState.RETURNED,
        RequestState.WITHDRAWN,
        RequestState.EXPIRED,
        RequestState.REVOKED,
    }
    assert {before for before, _ in TRANSITIONS} == set(RequestState) - ends
    assert {act for _, act in TRANSITIONS} == set(Act) - {Act.SUBMIT}
