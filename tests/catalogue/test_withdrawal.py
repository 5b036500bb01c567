"""What is withdrawn is gone from every surface at once, says so at its address, and stays as evidence in SQL."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from typing import Any

import pyoxigraph as ox
import pytest
from sqlalchemy import select, text
from starlette.testclient import TestClient
from tests.catalogue.granting import a_committee, a_request, account_of, grant_all, legs_by_name, submit

from fairbank import audit, events, migrations
from fairbank.catalogue import wire
from fairbank.catalogue.accounts import Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.projector import Projector
from fairbank.catalogue.store import DatasetRow, VersionRow
from fairbank.clock import iso
from fairbank.database import reading, writing
from fairbank.harvest.withdrawal import Withdrawal
from fairbank.ontology.record import DatasetRecord
from fairbank.ontology.withdrawal import WithdrawalReason
from fairbank.web.hub_app import create_app

Make = Callable[..., Any]
LUNGS, BRAINS = (f"http://hub.test/datasets/alpha/{name}" for name in ("lungs", "brains"))
PATH = "/datasets/alpha/lungs"
ROUTE = "/v1/datasets/lungs/withdrawal"
ADMIN_ROUTE = "/v1/datasets/alpha/lungs/withdrawal"
SEALED = "application/vnd.fairbank.record.v1+json"
MODEL = "sha256:" + "a" * 64
EVERYBODY = (None, Role.RESEARCHER, Role.COMMITTEE, Role.ADMIN)


def body(reason: str = "consent_withdrawn") -> bytes:
    return json.dumps({"schema": "withdrawal/1", "reason": reason}).encode()


def publish_canary(hub: Hub, published: Make, cell_of: Make) -> Any:
    """Publish a dataset whose every word is found nowhere else, with a model made from it; and one that stays."""
    published("brains", title="Brain MR", keywords=(), cube=(cell_of("MR", "BRAIN"),))
    said = {"keywords": ("canary-keyword",), "cube": (cell_of(manufacturer="canary-maker"),)}
    published("lungs", title="canary-title one", **said)
    node = published("lungs", version=2, title="canary-title two", description="canary-description", **said)
    with writing(hub.engine) as session:
        events.append(
            session,
            events.HubEvent,
            clock=hub.clock,
            kind="model.registered",
            subject=MODEL,
            detail={"title": "canary-model", "datasets": [LUNGS], "nodes": ["alpha"]},
        )
    return node


@pytest.fixture
def canary(hub: Hub, published: Make, projector: Projector, cell_of: Make) -> Any:
    """That dataset, also in the RDF view."""
    node = publish_canary(hub, published, cell_of)
    projector.project()
    return node


@pytest.fixture
def released_canary(hub: Hub, released: Make, cell_of: Make) -> Any:
    """That dataset, for tests that do not ask the RDF view."""
    return publish_canary(hub, released, cell_of)


ADDRESSES = ("datasets/alpha/lungs", "collections/alpha/lungs")


def surfaces(client: TestClient, hub: Hub, headers: dict[str, str]) -> dict[str, str]:
    """Everything that the hub tells about datasets, by where it tells it."""
    # All but the ontology, which is larger than an answer may be, and which no dataset has a part in; and but the audit
    # log, which says to its readers that a dataset was withdrawn. The default graph holds the same as all named ones.
    everything = (
        "SELECT * WHERE { GRAPH ?g { ?s ?p ?o } FILTER(!CONTAINS(STR(?g), '/graphs/audit/')) "
        "FILTER(!STRSTARTS(STR(?s), 'https://w3id.org/fairbank/terms')) }"
    )
    asked: dict[str, tuple[str, dict[str, str], dict[str, str]]] = {
        "listing": ("/datasets", {}, {}),
        "search": ("/search", {}, {}),
        "words": ("/search", {"q": "canary"}, {}),
        "facet": ("/search", {"manufacturer": "canary-maker"}, {}),
        "node": ("/search", {"node": "alpha"}, {}),
        "nodes": ("/v1/nodes", {}, {}),
        "sparql": ("/sparql", {"query": everything}, {}),
        "graphs": ("/sparql", {"query": "SELECT DISTINCT ?g WHERE { GRAPH ?g { ?s ?p ?o } }"}, {}),
        "json": (PATH, {}, {}),
        "turtle": (PATH, {}, {"Accept": "text/turtle"}),
        "sealed": (PATH, {}, {"Accept": SEALED}),
        "old": (PATH, {"version": "1"}, {}),
        "old sealed": (PATH, {"version": "1"}, {"Accept": SEALED}),
        "versions": (f"{PATH}/versions", {}, {}),
    }
    told = {
        name: readable(client.get(path, params=parameters, headers={**headers, **more}).text)
        for name, (path, parameters, more) in asked.items()
    }
    # Pages belong to the whole application.
    pages = TestClient(create_app(hub), base_url=str(client.base_url))
    return {**told, "front page": pages.get("/", headers={**headers, "Accept": "text/html"}).text}


def readable(answer: str) -> str:
    """A sealed record with its payload decoded, anything else as it is."""
    found = re.search(r'"payload":\s*"([^"]+)"', answer)
    return base64.b64decode(found[1]).decode() if found else answer


@pytest.mark.parametrize("role", EVERYBODY)
def test_nothing_of_it_is_on_any_surface(
    hub: Hub, client: TestClient, canary: Any, projector: Projector, person_named: Make, role: Role | None
) -> None:
    headers = person_named("somebody", role).headers if role else {}
    before = surfaces(client, hub, headers)
    seen = {name for name, told in before.items() if any(word in told for word in ("canary", *ADDRESSES))}
    assert seen == set(before) - {"nodes"}, "the canary is looked for where it was"
    assert canary.send("PUT", ROUTE, body()).status_code == 200
    for _ in ("at once", "after the view was made again"):
        after = surfaces(client, hub, headers)
        assert [name for name, told in after.items() if "canary" in told] == []
        assert [name for name, told in after.items() if f'"{LUNGS}"' in told or f"{LUNGS}#" in told] == []
        assert json.loads(after["search"])["count"] == 1
        assert json.loads(after["search"])["totals"]["subjects"]["at_least"] == 60
        assert json.loads(after["nodes"])["nodes"][0]["datasets"] == 1
        projector.project()


@pytest.mark.parametrize("rebuilt", [False, True])
def test_the_written_view_holds_no_graph_of_it(
    hub: Hub, canary: Any, projector: Projector, rebuilt: bool
) -> None:
    canary.send("PUT", ROUTE, body())
    projector.rebuild() if rebuilt else projector.project()
    snapshot = ox.Store.read_only(str((hub.rdf / "current").resolve()))
    assert not [quad for quad in snapshot if quad.graph_name.value.endswith("datasets/alpha/lungs")]
    assert not [quad for quad in snapshot if "canary-title" in quad.object.value]
    assert [quad for quad in snapshot if quad.graph_name.value.endswith("datasets/alpha/brains")]


@pytest.mark.parametrize("address", [PATH, f"{PATH}?version=1", f"{PATH}?version=99", f"{PATH}/versions"])
@pytest.mark.parametrize("reason", list(WithdrawalReason))
def test_its_address_says_that_it_is_gone_and_why(
    hub: Hub, client: TestClient, released_canary: Any, address: str, reason: WithdrawalReason
) -> None:
    released_canary.send("PUT", ROUTE, body(reason.value))
    for accept in ("application/json", "text/turtle", SEALED, "image/png"):
        answer = client.get(address, headers={"Accept": accept, "If-None-Match": "*"})
        assert answer.status_code == 410
        assert answer.headers["content-type"].startswith("application/problem+json")
        problem = answer.json()
        assert (problem["code"], problem["status"]) == ("FB-CAT-072", 410)
        assert (problem["reason"], problem["withdrawn"]) == (reason.value, iso(hub.clock.now()))
        assert problem["title"] and problem["why"] and problem["todo"]


def test_what_was_hidden_before_is_not_said_to_be_gone(
    client: TestClient, released_canary: Any, person_named: Make
) -> None:
    released_canary.send(
        "PUT", "/v1/datasets/lungs/visibility", b'{"schema":"visibility/1","visibility":"hidden"}'
    )
    released_canary.send("PUT", ROUTE, body())
    assert client.get(PATH).json()["code"] == "FB-CAT-041"
    member = person_named("carla", Role.ADMIN)
    assert client.get(PATH, headers=member.headers).json()["code"] == "FB-CAT-072"


def test_the_evidence_stays(hub: Hub, released_canary: Any) -> None:
    released_canary.send("PUT", ROUTE, body("moved"))
    with reading(hub.engine) as session:
        kept = list(
            session.scalars(select(VersionRow).where(VersionRow.iri == LUNGS).order_by(VersionRow.version))
        )
        opened = [DatasetRecord.open(row.envelope, trusted=[released_canary.key.key_id])[0] for row in kept]
        assert [record.title for record in opened] == ["canary-title one", "canary-title two"]
        newest = session.scalars(select(audit.HubAudit).order_by(audit.HubAudit.seq.desc())).first()
        assert newest is not None and (newest.act, newest.target) == ("dataset.withdraw", LUNGS)
        assert newest.actor == released_canary.key.key_id
        assert newest.detail == {"reason": "moved", "version": 2, "digest": kept[1].digest}


def test_it_is_final(
    hub: Hub, client: TestClient, released_canary: Any, record_of: Make, person_named: Make
) -> None:
    released_canary.send("PUT", ROUTE, body("error"))
    newer = record_of("alpha", version=3).seal(released_canary.key)
    answer = released_canary.release(newer, door_class="record", output="record-lungs")
    assert (answer.status_code, answer.json()["code"]) == (410, "FB-CAT-072")
    shown = b'{"schema":"visibility/1","visibility":"public"}'
    assert released_canary.send("PUT", "/v1/datasets/lungs/visibility", shown).status_code == 410
    admin = person_named("root", Role.ADMIN)
    assert client.put(f"/v1{PATH}/visibility", content=shown, headers=admin.headers).status_code == 410
    assert client.get(PATH).status_code == 410
    with reading(hub.engine) as session:
        assert session.get_one(DatasetRow, LUNGS).version == 2


def test_the_same_withdrawal_again_changes_nothing_and_another_reason_is_refused(
    hub: Hub, released_canary: Any
) -> None:
    first = released_canary.send("PUT", ROUTE, body("moved"))
    hub.clock.advance(30)  # type: ignore[attr-defined]  # the clock of the tests
    again = released_canary.send("PUT", ROUTE, body("moved"))
    assert (again.status_code, again.json()) == (200, first.json())
    assert released_canary.send("PUT", ROUTE, body("error")).json()["reason"] == "moved"
    with reading(hub.engine) as session:
        acts = list(session.scalars(select(audit.HubAudit.act)))
    assert acts.count("dataset.withdraw") == 1


def test_only_its_node_and_administrators_withdraw(
    client: TestClient, released_canary: Any, node_named: Make, person_named: Make
) -> None:
    other = node_named("beta")
    assert other.send("PUT", ROUTE, body()).status_code == 404
    for role in (Role.RESEARCHER, Role.COMMITTEE):
        answer = client.put(ADMIN_ROUTE, content=body(), headers=person_named(role.value, role).headers)
        assert answer.status_code == 403
    assert client.put(ADMIN_ROUTE, content=body()).status_code == 401
    assert client.put(ROUTE, content=body()).status_code == 401
    assert client.get(PATH).status_code == 200
    admin = person_named("root", Role.ADMIN)
    answer = client.put(ADMIN_ROUTE, content=body("access_lost"), headers=admin.headers)
    assert (answer.status_code, answer.json()["reason"]) == (200, "access_lost")
    assert client.get(PATH).status_code == 410


@pytest.mark.parametrize(
    "content",
    [
        body("bored"),
        body("Consent_Withdrawn"),
        b'{"schema":"withdrawal/1"}',
        b'{"schema":"withdrawal/1","reason":"error","note":"patient Jane"}',
        b"no",
    ],
)
def test_a_reason_that_is_not_on_the_list_is_refused(
    client: TestClient, released_canary: Any, content: bytes
) -> None:
    answer = released_canary.send("PUT", ROUTE, content)
    assert answer.json()["code"].startswith("FB-ONT-") and 400 <= answer.status_code < 500
    assert client.get(PATH).status_code == 200


def test_node_and_hub_write_the_message_alike() -> None:
    for reason in WithdrawalReason:
        sent = Withdrawal(reason=reason).to_bytes()
        assert wire.Withdrawal.parse(sent).reason is reason


def test_what_was_granted_of_it_ends_and_nothing_more_is(
    hub: Hub, client: TestClient, released_canary: Any, person_named: Make
) -> None:
    rita, carla = person_named("rita", Role.RESEARCHER), person_named("carla", Role.COMMITTEE)
    a_committee(hub, ["alpha"], ["carla"])
    granted, asked = (submit(hub, rita, a_request(hub, rita, [LUNGS, BRAINS])) for _ in range(2))
    grant_all(hub, account_of(hub, carla), granted)
    released_canary.send("PUT", ROUTE, body())
    assert {name: leg.state for name, leg in legs_by_name(hub, granted).items()} == {
        "lungs": "revoked",
        "brains": "active",
    }
    assert legs_by_name(hub, asked)["lungs"].state == "withdrawn"
    held = client.get("/v1/grants", headers=rita.headers).json()["grants"][0]
    assert (held["state"], held["datasets"]) == ("holds", [BRAINS])
    late = client.post(
        "/v1/requests", content=a_request(hub, rita, [LUNGS]).seal(rita.key), headers=rita.headers
    )
    assert late.json()["code"] == "FB-CAT-060"


def test_an_older_hub_hides_what_was_withdrawn(hub: Hub, released_canary: Any) -> None:
    released_canary.send("PUT", ROUTE, body())
    while migrations.current(hub.engine) != "5d1c7e0b94a2":
        migrations.downgrade(hub.engine, "hub")
    with hub.engine.connect() as connection:
        shown = dict(connection.execute(text("SELECT dataset, visibility FROM catalogue_datasets")).all())
    assert shown == {"lungs": "hidden", "brains": "public"}
    migrations.upgrade(hub.engine, "hub")
