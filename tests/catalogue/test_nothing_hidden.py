"""What is hidden or withdrawn is on no surface: words that occur in such records only are looked for everywhere.

The routes come from the application's own table, so a new one is looked at without a line here. What a route answers
must moreover be the same, byte for byte, as if the hidden record had never been published.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import product
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from fastapi import FastAPI
from starlette.routing import Route
from starlette.testclient import TestClient

from fairbank import events
from fairbank.catalogue import accounts, negotiation, nodes, records, withdrawal
from fairbank.catalogue.accounts import Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.projector import Projector
from fairbank.catalogue.query_examples import EXAMPLES
from fairbank.database import writing
from fairbank.ontology.counts import Count
from fairbank.ontology.record import DatasetRecord, Distribution, HowKnown
from fairbank.ontology.withdrawal import WithdrawalReason
from fairbank.signing import SigningKey
from fairbank.web.hub_app import create_app

BASE = "http://hub.test"
HIDDEN, GONE = "umbra-set", "exitus-set"
WORD = "canarybird"
NUMBER = 7_654_321
# What the audit log counts is what the hub did, not what it holds.
COUNTS_ACTS = {
    f"/v1/audit/{name}" for name in ("head", "checkpoint", "checkpoints", "consistency", "inclusion")
}
ACCEPTS = ("*/*", "text/html", negotiation.JSON, "text/turtle")
UNORDERED = f"{negotiation.ROW_FORMATS[0]}, {negotiation.GRAPH_FORMATS[1]}"
VALUES = {
    "node": ("alpha", "gamma"),
    "dataset": ("lungs", HIDDEN, GONE),
    "name": ("in-situ", "fdp-1.2", "fdp-1.2-root"),
}
QUERY_STRINGS = (
    "profile=schema.org", "version=1", "limit=5", "profile=healthdcat-ap-r8-public",
)  # fmt: skip
SEARCHES = (
    f"q={WORD}", f"manufacturer={WORD}", f"licence={WORD}", f"holds=sex={WORD}", "q=lung", "node=gamma", "limit=0",
    "min_subjects=1&min_sites=1", "modality=CT&exact=true", "quality=burned-in-text", "access_rights=RESTRICTED",
)  # fmt: skip
QUERIES = (
    "SELECT * { ?s ?p ?o }",
    "SELECT * { GRAPH ?g { ?s ?p ?o } }",
    "SELECT DISTINCT ?g { GRAPH ?g {} }",
    "SELECT (COUNT(*) AS ?n) { ?s ?p ?o }",
    f"ASK {{ ?s ?p ?o FILTER CONTAINS(STR(?o), '{WORD}') }}",
    f"CONSTRUCT {{ ?s ?p ?o }} {{ ?s ?p ?o FILTER (CONTAINS(STR(?s), '{HIDDEN}') || CONTAINS(STR(?s), '{GONE}')) }}",
    f"DESCRIBE <{BASE}/datasets/gamma/{HIDDEN}> <{BASE}/datasets/gamma/{GONE}>",
    "DESCRIBE ?m { ?m a fb:Model }",
    f"SELECT * FROM <{BASE}/graphs/datasets/gamma/{HIDDEN}> FROM <{BASE}/graphs/datasets/gamma/{GONE}> {{ ?s ?p ?o }}",
    f"SELECT * FROM NAMED <{BASE}/graphs/datasets/gamma/{HIDDEN}> {{ GRAPH ?g {{ ?s ?p ?o }} }}",
    f"SELECT * {{ GRAPH <{BASE}/graphs/datasets/gamma/{HIDDEN}> {{ ?s ?p ?o }} }}",
    "SELECT (MAX(?n) AS ?most) { ?s ?p ?n FILTER isNumeric(?n) }",
    *(example.query for example in EXAMPLES),
)  # fmt: skip


class Surface:
    """All answers of a hub to somebody, by what was asked."""

    def __init__(self, hub: Hub, headers: dict[str, str]) -> None:
        self._headers = headers
        self.answers: dict[str, tuple[int, bytes, str]] = {}
        asyncio.run(self._ask_everything(create_app(hub)))

    async def _ask_everything(self, app: FastAPI) -> None:
        # In the loop that answers: Starlette's client goes eight times from thread to thread for one request.
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(
            transport=transport, base_url=BASE, follow_redirects=True
        ) as self._client:
            for route in _leaves(app.routes):
                for address in _addresses(route.path):
                    await self._ask_all(route, address)
            for query in QUERIES:
                await self._ask("POST", "/sparql", UNORDERED, data={"query": query})
            for accept in (*negotiation.ROW_FORMATS, *negotiation.GRAPH_FORMATS):
                for query in (QUERIES[0], "CONSTRUCT WHERE { ?s ?p ?o }"):
                    await self._ask("POST", "/sparql", accept, data={"query": query})
            for graph in (HIDDEN, GONE):
                address = quote(f"{BASE}/graphs/datasets/gamma/{graph}", safe="")
                query = quote(QUERIES[0], safe="")
                for field in ("default-graph-uri", "named-graph-uri"):
                    await self._ask("GET", f"/sparql?query={query}&{field}={address}", "*/*")

    async def _ask_all(self, route: Route, address: str) -> None:
        for method in sorted(route.methods or {"GET"}):
            if method != "GET":
                # Whoever has logged in would log out by one of these.
                if method == "HEAD" or not self._headers:
                    await self._ask(method, address, "*/*")
                continue
            for accept in ACCEPTS:
                await self._ask(method, address, accept)
            for query in SEARCHES if address == "/search" else QUERY_STRINGS:
                await self._ask(method, f"{address}?{query}", "*/*")

    async def _ask(self, method: str, address: str, accept: str, **more: Any) -> None:
        answer = await self._client.request(
            method, address, headers={**self._headers, "Accept": accept}, **more
        )
        # Of the answer of a moment only.
        kept = {name: value for name, value in answer.headers.items() if name not in ("date",)}
        key = f"{method} {address} as {accept} {more.get('data', '')}"
        self.answers[key] = (answer.status_code, answer.content, repr(sorted(kept.items())))


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return SigningKey.generate()


@pytest.fixture(scope="module")
def callers(two_datasets: Hub, key: SigningKey) -> dict[str, dict[str, str]]:
    with writing(two_datasets.engine) as session:
        token = nodes.invite(session, two_datasets, actor="admin")
        accounts.create_account(
            session, two_datasets, name="rita", password="correct horse battery", roles=[Role.RESEARCHER]
        )
        accounts.create_account(
            session, two_datasets, name="carla", password="correct horse battery", roles=[Role.ADMIN]
        )
        tokens = {
            name: accounts.issue_token(session, two_datasets, name=name).token for name in ("rita", "carla")
        }
    nodes.enrol(two_datasets, nodes.Enrolment(node="gamma", key=key.key_id, token=token, title="Gamma"))
    project(two_datasets)
    return {"stranger": {}, **{name: {"Authorization": f"Bearer {tokens[name]}"} for name in tokens}}  # fmt: skip


@pytest.fixture(scope="module")
def surfaces(
    two_datasets: Hub,
    key: SigningKey,
    callers: dict[str, dict[str, str]],
    record_of: Callable[..., DatasetRecord],
    cell_of: Callable[..., Any],
) -> dict[str, tuple[Surface, Surface]]:
    """What a stranger and a researcher are answered, before and after records that nobody may see."""
    before = {name: Surface(two_datasets, callers[name]) for name in ("stranger", "rita")}
    for dataset, version in ((HIDDEN, 1), (HIDDEN, 2), (GONE, 1)):
        record, sealed = DatasetRecord.open(
            canary(record_of, cell_of, dataset, version).seal(key), trusted=[key.key_id]
        )
        with writing(two_datasets.engine) as session:
            records.publish(session, two_datasets, record, sealed)
            # Hidden with the first commit, and shown by no snapshot that was made in between.
            hidden = records.Visibility.HIDDEN
            records.set_visibility(
                session,
                two_datasets,
                iri=f"{BASE}/datasets/gamma/{dataset}",
                visibility=hidden,
                actor="admin",
            )
    with writing(two_datasets.engine) as session:
        events.append(
            session,
            events.HubEvent,
            clock=two_datasets.clock,
            kind="model.registered",
            subject="sha256:" + "c" * 64,
            detail={
                "datasets": [f"{BASE}/datasets/{name}" for name in ("alpha/lungs", f"gamma/{HIDDEN}")],
                "nodes": ["gamma"],
                "title": f"A model of {WORD}",
            },
        )
    project(two_datasets)
    with writing(two_datasets.engine) as session:
        gone = f"{BASE}/datasets/gamma/{GONE}"
        withdrawal.withdraw(session, two_datasets, iri=gone, reason=WithdrawalReason.MOVED, actor="admin")
    # The view is left as it was: what is withdrawn is gone at once.
    after = {name: Surface(two_datasets, callers[name]) for name in ("stranger", "rita")}
    return {name: (before[name], after[name]) for name in before}


def canary(
    record_of: Callable[..., DatasetRecord], cell_of: Callable[..., Any], dataset: str, version: int
) -> DatasetRecord:
    return record_of(
        "gamma",
        dataset,
        version=version,
        title=f"Title {WORD} {version}",
        description=f"Description {WORD}",
        keywords=(f"keyword-{WORD}",),
        publisher=f"Publisher {WORD}",
        contact=f"Contact {WORD}",
        licence=f"https://licences.test/{WORD}",
        acquired_from=1977,
        cube=(cell_of(manufacturer=f"Maker {WORD}", subjects=NUMBER, studies=NUMBER, series=NUMBER),),
        distributions=(
            Distribution(
                attribute="sex", value=f"V{WORD}", how_known=HowKnown.HEADER, subjects=Count.exact(NUMBER)
            ),
        ),
    )


def project(hub: Hub) -> None:
    projector = Projector(hub)
    assert projector.open()
    projector.project()
    projector.close()


@pytest.mark.parametrize("who", ["stranger", "rita"])
def test_no_word_of_a_hidden_record_is_answered_to_anybody(
    surfaces: dict[str, tuple[Surface, Surface]], who: str
) -> None:
    found = []
    for asked, (_, content, headers) in surfaces[who][1].answers.items():
        said = content.decode("utf-8", "replace") + headers
        for word in (WORD, str(NUMBER), "1977", HIDDEN, GONE):
            # Whoever names it may hear the name again.
            if word in said and word not in asked:
                found.append((asked, word))
    assert found == []


@pytest.mark.parametrize("who", ["stranger", "rita"])
def test_all_answers_are_as_if_there_were_no_hidden_record(
    surfaces: dict[str, tuple[Surface, Surface]], who: str
) -> None:
    before, after = (surface.answers for surface in surfaces[who])
    assert before.keys() == after.keys()
    changed = [asked for asked in before if comparable(asked, before) != comparable(asked, after)]
    assert [asked for asked in changed if re.split(r"[ ?]", asked)[1] not in COUNTS_ACTS] == []


def test_no_answer_is_a_fault_of_the_hub(surfaces: dict[str, tuple[Surface, Surface]]) -> None:
    faults = [
        asked
        for _, after in surfaces.values()
        for asked, (status, _, _) in after.answers.items()
        if status >= 500
    ]
    assert faults == []


def test_the_committee_finds_every_canary(
    surfaces: dict[str, tuple[Surface, Surface]], two_datasets: Hub, callers: dict[str, dict[str, str]]
) -> None:
    # Or the words above would be looked for in vain.
    client = TestClient(create_app(two_datasets), base_url=BASE)
    headers = callers["carla"]
    assert WORD in client.get("/datasets", headers=headers).text
    assert WORD in client.get("/search", params={"q": WORD}, headers=headers).text
    assert str(NUMBER) in client.get(f"/datasets/gamma/{HIDDEN}", headers=headers).text
    rows = client.post("/sparql", data={"query": QUERIES[0]}, headers=headers).text
    assert all(word in rows for word in (WORD, str(NUMBER), "1977", HIDDEN))
    # What was withdrawn is named by the audit log alone.
    quads = client.post("/sparql", data={"query": QUERIES[1]}, headers=headers).json()["results"]["bindings"]
    graphs = {row["g"]["value"] for row in quads if GONE in str(row)}
    assert graphs and {graph.rpartition("/")[0] for graph in graphs} == {f"{BASE}/graphs/audit"}


def test_the_surfaces_are_all_there(surfaces: dict[str, tuple[Surface, Surface]]) -> None:
    asked = surfaces["stranger"][1].answers
    assert len(asked) > 500
    answered = [key for key, (status, content, _) in asked.items() if status == 200 and content]
    for part in ("/search?", "/datasets ", "/catalog/gamma ", "/expanded", "/meta", "/quality", "/versions", "/sparql ",
                 "/profiles/", "/spec", "/distributions"):  # fmt: skip
        assert any(part in key for key in answered), part


def comparable(asked: str, answers: dict[str, tuple[int, bytes, str]]) -> object:
    status, content, headers = answers[asked]
    # A log-in form is another one each time.
    content = re.sub(rb'(name="(?:csrf|once)" value=)"[^"]*"', rb"\1", content)
    headers = re.sub(r"(fairbank-guest[\w-]*=)[^;]*", r"\1", headers)
    if not asked.startswith("POST /sparql"):
        return status, content, headers
    if f" as {UNORDERED} " not in asked:
        return status
    # Rows have no order; sorted by bytes they are the same if there are the same.
    return status, sorted(content), headers


def _addresses(path: str) -> Iterator[str]:
    names = re.findall(r"\{(\w+)[^}]*\}", path)
    for chosen in product(*(VALUES.get(name, ("1",)) for name in names)):
        address = path
        for value in chosen:
            address = re.sub(r"\{[^}]*\}", value, address, count=1)
        yield address


def _leaves(routes: Iterable[object]) -> Iterator[Route]:
    for route in routes:
        if isinstance(route, Route):
            yield route
        else:
            yield from _leaves(getattr(route, "original_router", route).routes)  # type: ignore[attr-defined]
