"""The audit log as provenance: SPARQL answers who touched what, under which grant; only for those who may read it."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pyoxigraph as ox
import pytest
from starlette.testclient import TestClient

from fairbank import audit, events
from fairbank.audit import HubAudit
from fairbank.catalogue import audit_graph
from fairbank.catalogue.accounts import Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance.provenance import visas
from fairbank.catalogue.governance.store import GrantRow, RequestRow, VersionRow
from fairbank.catalogue.projector import Projector
from fairbank.clock import iso
from fairbank.database import reading, writing
from fairbank.ontology import audit_provenance
from fairbank.ontology.outputs import OutputClass
from fairbank.ontology.signed_objects import GrantedDataset, Purpose, Request, Selector, Visa

BASE = "http://hub.test"
DIGEST = "sha256:" + "1" * 64
DATASET = f"{BASE}/datasets/alpha/lungs"
WHO_ALLOWED = f"""
PREFIX prov: <http://www.w3.org/ns/prov#>
PREFIX dct: <http://purl.org/dc/terms/>
SELECT DISTINCT ?job ?visa ?request ?member ?leg WHERE {{
  ?submission dct:type "job.submit" .
  ?job prov:wasGeneratedBy ?submission ; prov:wasDerivedFrom ?visa .
  ?visa prov:wasDerivedFrom ?request ; dct:references <{DATASET}> .
  ?vote dct:type "vote.cast" ; prov:used ?leg ; prov:wasAssociatedWith ?member .
  ?decision dct:type "leg.approve" ; prov:used ?leg, ?request, <{DATASET}> .
  FILTER(CONTAINS(STR(?leg), "/legs/"))
}}"""
ANY_ENTRY = "SELECT ?a WHERE { ?a <http://purl.org/dc/terms/type> 'job.submit' }"
WHOLE_LOG = "SELECT * { GRAPH ?g { ?s ?p ?o } FILTER(CONTAINS(STR(?g), '/audit/')) }"


@pytest.fixture
def story(hub: Hub, person_named: Callable[..., Any]) -> dict[str, str]:
    """A request that a committee granted, and the job that ran under it, as the rooms log them."""
    ada = person_named("ada", Role.RESEARCHER)
    new_id, now = hub.clock.new_id, hub.clock.now()
    request = Request(
        id=new_id(), requester_key=ada.key.key_id, requester_account="ada", organisation="University",
        title="A question", datasets=(DATASET,),
        purpose=Purpose(data_use=("DUO:0000042",), statement="Research."),
        output_classes=(OutputClass.MEASUREMENTS,), until=iso(now + timedelta(days=30)), created=iso(now),
    )  # fmt: skip
    sealed_request = request.seal(ada.key)
    _, opened = Request.open(sealed_request, trusted=[ada.key.key_id])
    visa = Visa(
        id=new_id(), hub=BASE, request=opened.digest, requester_key=ada.key.key_id,
        datasets=(
            GrantedDataset(
                iri=DATASET, selector=Selector(), output_classes=(OutputClass.MEASUREMENTS,),
                tool_families=("measurements",), expires=iso(now + timedelta(days=20)), maximum_runs=5,
            ),
        ),
        purpose=request.purpose, not_before=iso(now), created=iso(now),
    )  # fmt: skip
    sealed_visa = visa.seal(hub.key)
    _, opened_visa = Visa.open(sealed_visa, trusted=[hub.key.key_id])
    row, leg, job = new_id(), new_id(), new_id()
    with writing(hub.engine) as session:
        session.add(
            RequestRow(
                id=row, account="ada", title="A question", state="open", version=1, draft={}, minimum_datasets=1,
                paused_by=None, created=now, submitted=now, changed=now,
            )
        )  # fmt: skip
        session.flush()
        session.add(
            VersionRow(
                request=row, version=1, digest=opened.digest, envelope=sealed_request,
                until=now + timedelta(days=30), received=now,
            )
        )  # fmt: skip
        session.add(
            GrantRow(
                id=visa.id, digest=opened_visa.digest, envelope=sealed_visa, request=row, version=1, account="ada",
                supersedes=None, granted=now, expires=now + timedelta(days=20), ended=None, ended_because=None,
            )
        )  # fmt: skip
        session.flush()
        about = {"request": row, "dataset": DATASET, "version": 1}
        for actor, act, target, detail in (
            ("ada", "request.submit", row, {"request": row, "version": 1}),
            ("grace", "vote.cast", leg, {"leg": leg, "request": row, "word": "yes"}),
            ("hub", "leg.approve", leg, about),
            ("ada", "job.submit", job, {"visa": opened_visa.digest, "manifest": DIGEST, "nodes": ["alpha"]}),
        ):  # fmt: skip
            audit.record(
                session, HubAudit, clock=hub.clock, actor=actor, act=act, target=target, detail=detail
            )
        events.append(session, events.HubEvent, clock=hub.clock, kind="job.submitted", subject=job)
    return {"job": job, "visa": opened_visa.digest, "request": row, "leg": leg}


def asked(client: TestClient, query: str, who: Any = None) -> list[dict[str, str]]:
    answer = client.post(
        "/sparql", content=query, params={},
        headers={"Content-Type": "application/sparql-query", "Accept": "application/sparql-results+json",
                 **(who.headers if who is not None else {})},
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    return [
        {name: value["value"] for name, value in row.items()} for row in answer.json()["results"]["bindings"]
    ]


def test_a_question_goes_from_a_job_over_its_visa_to_who_voted_for_it(
    hub: Hub,
    client: TestClient,
    projector: Projector,
    person_named: Callable[..., Any],
    story: dict[str, str],
) -> None:
    projector.project()
    found = asked(client, WHO_ALLOWED, person_named("root", Role.ADMIN))
    assert found == [
        {
            "job": f"{BASE}/jobs/{story['job']}",
            "visa": f"{BASE}/visas/{story['visa']}",
            "request": f"{BASE}/requests/{story['request']}",
            "member": f"{BASE}/agents/grace",
            "leg": f"{BASE}/legs/{story['leg']}",
        }
    ]


@pytest.mark.parametrize("role", [None, Role.RESEARCHER, Role.COMMITTEE])
def test_nobody_else_is_shown_the_log(
    role: Role | None,
    client: TestClient,
    projector: Projector,
    person_named: Callable[..., Any],
    story: dict[str, str],
) -> None:
    projector.project()
    assert asked(client, ANY_ENTRY, person_named("eve", role) if role else None) == []


def test_entries_are_added_as_they_come_and_a_rebuilt_view_has_the_same(
    hub: Hub,
    client: TestClient,
    projector: Projector,
    person_named: Callable[..., Any],
    story: dict[str, str],
) -> None:
    root = person_named("root", Role.ADMIN)
    projector.project()
    with writing(hub.engine) as session:
        audit.record(
            session, HubAudit, clock=hub.clock, actor="ada", act="job.submit", target=hub.clock.new_id()
        )
        events.append(session, events.HubEvent, clock=hub.clock, kind="job.submitted", subject="x")
    projector.project()
    before = sorted(
        map(
            str,
            asked(client, WHOLE_LOG, root),
        )
    )
    assert len(asked(client, ANY_ENTRY, root)) == 2
    projector.rebuild()
    after = sorted(
        map(
            str,
            asked(client, WHOLE_LOG, root),
        )
    )
    assert before == after


def test_the_turtle_of_a_log_says_the_same_as_its_graph(hub: Hub, story: dict[str, str]) -> None:
    with reading(hub.engine) as session:
        quads, last = audit_graph.quads(session, BASE, after=0)
        lines = [
            line
            for row in audit.entries(session, HubAudit, audit.Wanted(), limit=1000)
            for line in audit_provenance.turtle(
                audit_provenance.triples(audit_graph._entry(row), base_iri=BASE, log_iri=f"{BASE}/audit")
            )
        ] + list(audit_provenance.turtle(visas(session, [story["visa"]], base_iri=BASE)))
    read = {quad.triple for quad in ox.parse(io.BytesIO("".join(lines).encode()), format=ox.RdfFormat.TURTLE)}
    assert last == len(
        [quad for quad in quads if quad.object == ox.NamedNode("http://www.w3.org/ns/prov#Activity")]
    )
    # In the view, what things are stands in their own graphs only.
    of_things = {
        each
        for each in read
        if each.predicate.value.endswith("#type") and not each.object.value.endswith("#Activity")
    }
    assert of_things and read - of_things == {quad.triple for quad in quads}


def test_no_statement_of_the_log_stands_in_two_graphs(hub: Hub, story: dict[str, str]) -> None:
    with reading(hub.engine) as session:
        quads, _ = audit_graph.quads(session, BASE, after=0)
    graphs_of: dict[ox.Triple, set[str]] = {}
    for quad in quads:
        graphs_of.setdefault(quad.triple, set()).add(str(quad.graph_name))
    assert [each for each, graphs in graphs_of.items() if len(graphs) > 1] == []


@pytest.mark.parametrize(
    "odd", ['a "quote"', "back\\slash", "line\nend", "<angle>", "é", "tab\there", "{}|^`"]
)
def test_odd_names_stay_within_their_term(odd: str) -> None:
    entry = audit_provenance.Entry(
        1, "2026-01-31T12:00:00.000Z", odd, odd, odd, {"dataset": "http://a/" + odd}, "h"
    )
    lines = "".join(
        audit_provenance.turtle(audit_provenance.triples(entry, base_iri=BASE, log_iri=f"{BASE}/audit"))
    )
    read = [quad.triple for quad in ox.parse(io.BytesIO(lines.encode()), format=ox.RdfFormat.TURTLE)]
    acts = [each.object.value for each in read if each.predicate.value == "http://purl.org/dc/terms/type"]
    assert acts == [odd]
