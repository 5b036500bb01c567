"""What belongs to one person is shown to no other over any route, and changed by none; hidden datasets neither."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from starlette.routing import Route
from starlette.testclient import TestClient
from tests.catalogue.granting import a_committee, a_request, account_of, grant_all, legs_by_name, submit

from fairbank.catalogue.accounts import Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance import grants
from fairbank.catalogue.governance.store import CommitteeRow
from fairbank.catalogue.identity import roles
from fairbank.catalogue.records import Visibility, set_visibility
from fairbank.clock import FixedClock, iso
from fairbank.database import reading, writing
from fairbank.federated_jobs.hub.store import JobRow, ModelRow
from fairbank.ontology.count_questions import CountQuestion
from fairbank.ontology.signed_objects import Selector, VisaDataset

Make = Callable[..., Any]
CANARY = "Canary of rita"
LUNGS, BRAINS = (f"http://hub.test/datasets/alpha/{name}" for name in ("lungs", "brains"))
STRANGERS = ("otto", "nora", "carl", "kurt")
DIGEST = "sha256:" + "5" * 64
# What routes are told by that belongs to no person: the public catalogue, and what nodes sign for.
OF_NOBODY = {
    "name",
    "node",
    "dataset",
    "resource",
    "version",
    "command",
    "lease_id",
    "release_id",
    "overlap",
    "peer",
}
COMMANDS = ("withdraw", "vote", "revoke")


@pytest.fixture
def web(hub: Hub, app_of: Callable[[Hub], Any]) -> Iterator[tuple[TestClient, list[Route]]]:
    app = app_of(hub)
    yield (
        TestClient(app, base_url="http://hub.test"),
        [each for each in app.routes if isinstance(each, Route)],
    )


@pytest.fixture
def people(hub: Hub, person_named: Make, released: Make) -> dict[str, Any]:
    """Rita, who asks; carla, who decides; and four who have nothing to do with it."""
    released("lungs", "brains")
    released("hearts", node="beta")
    found = {
        "rita": person_named("rita", Role.RESEARCHER),
        "carla": person_named("carla", Role.COMMITTEE),
        "otto": person_named("otto", Role.RESEARCHER),
        "nora": person_named("nora"),
        "carl": person_named("carl", Role.CURATOR),
        "kurt": person_named("kurt", Role.COMMITTEE),
    }
    with writing(hub.engine) as session:
        roles.give(session, hub, account="carl", role=Role.CURATOR, node="beta", actor="operator")
    hers = a_committee(hub, ["alpha"], ["carla"])
    a_committee(hub, ["beta"], ["kurt"])
    with writing(hub.engine) as session:
        session.get_one(CommitteeRow, hers).title = CANARY
    return found


@pytest.fixture
def hers(hub: Hub, web: Any, people: dict[str, Any]) -> dict[str, str]:
    """The ids of what is rita's, by the name of the parameter that routes take them as."""
    client, _ = web
    rita = people["rita"]
    asked = submit(hub, rita, a_request(hub, rita, [LUNGS], title=CANARY))
    grant_all(hub, account_of(hub, people["carla"]), asked)
    with reading(hub.engine) as session:
        (grant,), _ = grants.grants(session, account_of(hub, rita), now=hub.clock.now())
    body = json.dumps({"schema": "new-token/1", "name": CANARY, "scopes": ["read"]})
    token = client.post("/v1/account/tokens", content=body, headers=rita.headers).json()["id"]
    job = hub.clock.new_id()
    with writing(hub.engine) as session:
        session.add(a_job(hub, job))
        session.flush()
        session.add(
            ModelRow(
                digest=DIGEST,
                job=job,
                round=1,
                size_bytes=1,
                provenance={"datasets": [LUNGS]},
                created=hub.clock.now(),
            )
        )
    (leg,) = legs_by_name(hub, asked).values()
    comment = json.dumps({"schema": "comment/1", "text": CANARY})
    told = client.post(f"/v1/requests/{asked}/comments", content=comment, headers=rita.headers)
    assert told.status_code == 201, told.text
    wish = json.dumps({"schema": "request-draft/1", "title": CANARY})
    draft = client.post("/v1/requests/drafts", content=wish, headers=rita.headers).json()["id"]
    paper = client.post(
        f"/v1/requests/{draft}/documents",
        params={"name": "plan.pdf"},
        content=f"%PDF-1.7 {CANARY}".encode(),
        headers=rita.headers,
    )
    assert paper.status_code == 201, paper.text
    question = CountQuestion(
        id=hub.clock.new_id(),
        requester_key=rita.key.key_id,
        requester_account="rita",
        datasets=(VisaDataset(iri=LUNGS, selector=Selector(manufacturer=(CANARY,))),),
        created=iso(hub.clock.now()),
    )
    counted = client.post("/v1/counts", content=question.seal(rita.key), headers=rita.headers)
    assert counted.status_code == 201, counted.text
    with reading(hub.engine) as session:
        committee = session.scalars(select(CommitteeRow.id).where(CommitteeRow.title == CANARY)).one()
    return {
        "draft": draft,
        "paper": paper.json()["digest"],
        "committee": committee,
        "request_id": asked,
        "leg_id": leg.id,
        "leg": leg.id,
        "visa_id": str(grant.visa_id),
        "token_id": token,
        "job_id": job,
        "question": question.id,
        "digest": DIGEST,
        "account": "rita",
    }


def a_job(hub: Hub, job: str) -> JobRow:
    now = hub.clock.now()
    return JobRow(
        id=job, account="rita", requester_key="k", title=CANARY, manifest_digest="m", visa_id="v", visa_digest="d",
        request_id="r", manifest=b"{}", visa=b"{}", request=b"{}", tool="t", state="running", reason="none", rounds=1,
        quorum=1, approval_deadline=now + timedelta(days=1), expires=now + timedelta(days=1), created=now,
    )  # fmt: skip


def addresses(routes: list[Route], hers: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield method and address of each route that names something of hers."""
    for route in routes:
        names = set(re.findall(r"\{(\w+)", route.path))
        if not names & hers.keys():
            continue
        usual = {**hers, "node": "alpha", "dataset": "lungs"}
        of_the_draft = {**usual, "request_id": hers["draft"], "digest": hers["paper"]}
        paths = {
            filled(route.path, {**given, "command": command})
            for given in (usual, of_the_draft)
            for command in COMMANDS
        }
        yield from itertools.product(sorted(route.methods or ()), sorted(paths))


def filled(path: str, given: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)[^}]*\}", lambda part: given.get(part.group(1), "none"), path)


def test_every_route_with_an_id_is_tried(web: Any, hers: dict[str, str]) -> None:
    _, routes = web
    named = {name for route in routes for name in re.findall(r"\{(\w+)", route.path)}
    assert named - OF_NOBODY <= hers.keys()


@pytest.mark.parametrize("stranger", STRANGERS)
def test_what_is_hers_is_shown_to_no_other_and_changed_by_none(
    web: Any, people: dict[str, Any], hers: dict[str, str], stranger: str
) -> None:
    client, routes = web
    before = shown_to_her(client, people["rita"], hers)
    bodies = (None, b'{"schema":"command/1","note":""}', b'{"schema":"revocation/1","reason":"no longer"}')
    let_in, tried = [], 0
    for method, path in addresses(routes, hers):
        safe = method in ("GET", "HEAD", "DELETE")
        for body in bodies[:1] if safe else bodies:
            answer = client.request(method, path, content=body, headers=people[stranger].headers)
            tried += 1
            # A body that cannot be read may be said before it is looked whose it is.
            refused = (401, 403, 404) if safe else (400, 401, 403, 404, 422)
            if answer.status_code not in refused or CANARY in answer.text:
                let_in.append((method, path, answer.status_code, answer.text[:200]))
    assert let_in == []
    assert tried > 100
    assert shown_to_her(client, people["rita"], hers) == before


@pytest.mark.parametrize("stranger", STRANGERS)
def test_what_is_hers_is_in_no_list_of_another(
    web: Any, people: dict[str, Any], hers: dict[str, str], stranger: str
) -> None:
    client, routes = web
    told = []
    for route in routes:
        if "{" in route.path or "GET" not in (route.methods or ()):
            continue
        answer = client.get(route.path, headers=people[stranger].headers)
        if CANARY in answer.text or any(
            hers[name] in answer.text
            for name in ("request_id", "visa_id", "job_id", "draft", "committee", "token_id")
        ):
            told.append(route.path)
    assert told == []


def test_she_sees_what_is_hers(web: Any, people: dict[str, Any], hers: dict[str, str]) -> None:
    client, _ = web
    shown = shown_to_her(client, people["rita"], hers)
    assert all(status == 200 for status, _ in shown.values()), shown
    assert any(CANARY in text for _, text in shown.values())


def shown_to_her(client: TestClient, rita: Any, hers: dict[str, str]) -> dict[str, tuple[int, str]]:
    paths = (
        f"/v1/requests/{hers['request_id']}",
        f"/v1/requests/{hers['request_id']}/progress",
        f"/v1/requests/{hers['draft']}/draft",
        f"/v1/requests/{hers['draft']}/documents/{hers['paper']}",
        "/v1/requests",
        "/v1/grants",
        "/v1/account/tokens",
        "/v1/jobs",
    )
    found = {path: client.get(path, headers=rita.headers) for path in paths}
    return {path: (answer.status_code, answer.text) for path, answer in found.items()}


# -- hidden datasets -----------------------------------------------------------------------------------------------


@pytest.fixture
def hidden(hub: Hub, people: dict[str, Any], person_named: Make) -> dict[str, Any]:
    with writing(hub.engine) as session:
        set_visibility(session, hub, iri=BRAINS, visibility=Visibility.HIDDEN, actor="operator")
    for name, role in (("anna", Role.ADMIN), ("ursula", Role.AUDITOR), ("cora", Role.CURATOR)):
        people[name] = person_named(name, role)
    with writing(hub.engine) as session:
        roles.give(session, hub, account="cora", role=Role.CURATOR, node="alpha", actor="operator")
    return people


@pytest.mark.parametrize(
    ("name", "sees"),
    [
        ("anna", True), ("ursula", True), ("cora", True), ("carla", True),
        ("rita", False), ("nora", False), ("carl", False), ("kurt", False),
    ],
)  # fmt: skip
def test_a_hidden_dataset_is_seen_by_those_who_answer_for_it(
    web: Any, hidden: dict[str, Any], name: str, sees: bool
) -> None:
    client, _ = web
    headers = hidden[name].headers
    assert (client.get("/datasets/alpha/brains", headers=headers).status_code == 200) is sees
    listed = [each["iri"] for each in client.get("/datasets", headers=headers).json()["datasets"]]
    assert (BRAINS in listed) is sees
    found = [each["iri"] for each in client.get("/search", headers=headers).json()["datasets"]]
    assert (BRAINS in found) is sees


def test_who_left_the_committee_or_lost_the_role_sees_it_no_longer(
    hub: Hub, web: Any, hidden: dict[str, Any], clock: FixedClock
) -> None:
    from fairbank.catalogue.governance.store import MemberRow

    client, _ = web
    with writing(hub.engine) as session:
        roles.take(session, hub, account="cora", role=Role.CURATOR, node="alpha", actor="operator")
        for row in session.query(MemberRow).filter(MemberRow.account == "carla"):
            row.until = clock.now()
    for name in ("cora", "carla"):
        assert client.get("/datasets/alpha/brains", headers=hidden[name].headers).status_code == 404


def test_a_curator_shows_and_hides_datasets_of_her_node_only(web: Any, hidden: dict[str, Any]) -> None:
    client, _ = web
    path = "/v1/datasets/alpha/brains/visibility"
    body = b'{"schema":"visibility/1","visibility":"public"}'
    assert client.put(path, content=body, headers=hidden["carl"].headers).status_code == 403
    assert client.put(path, content=body, headers=hidden["cora"].headers).status_code == 200
    assert client.get("/datasets/alpha/brains").status_code == 200
