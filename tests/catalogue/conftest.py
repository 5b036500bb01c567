"""A hub on a database of its own, nodes that sign, people who log in; no server, no network."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request
from sqlalchemy.orm import Session
from starlette.responses import JSONResponse
from starlette.testclient import TestClient

from fairbank import audit, events
from fairbank.catalogue import accounts, nodes, query_pool, records, routes, uploads
from fairbank.catalogue.accounts import AccountKey, Role
from fairbank.catalogue.context import Hub, init_hub
from fairbank.catalogue.projector import Projector
from fairbank.catalogue.route_parts import join
from fairbank.clock import FixedClock, iso
from fairbank.database import reading, writing
from fairbank.errors import FairbankError
from fairbank.http_signatures import signature_headers
from fairbank.ontology.counts import Count
from fairbank.ontology.outputs import DoorClass
from fairbank.ontology.record import (
    Activity,
    ActivityKind,
    CollectionKind,
    DatasetRecord,
    Distribution,
    HowKnown,
    Quality,
    Stratum,
    Totals,
)
from fairbank.ontology.variables import CodeSystem, Variable, VariableKind, VariableValue
from fairbank.settings import Settings
from fairbank.signing import SigningKey
from fairbank.web.hub_app import create_app

BASE = "http://hub.test"
PASSWORD = "correct horse battery"


def small_settings(home: Path, database: str) -> Settings:
    return replace(
        Settings(),
        home=home,
        hub_database=database,
        jobs_chunk_bytes=65_536,
        sparql_timeout_s=2,
        sparql_memory_bytes=268_435_456,
    )


@contextmanager
def opened_hub(settings: Settings, clock: FixedClock) -> Iterator[Hub]:
    opened = init_hub(settings, clock, public_base_iri=BASE)
    yield opened
    opened.queries.close()
    opened.engine.dispose()


@pytest.fixture
def settings(tmp_path: Path, hub_database: str) -> Settings:
    return small_settings(tmp_path / "hub", hub_database)


@pytest.fixture
def hub(settings: Settings, clock: FixedClock) -> Iterator[Hub]:
    with opened_hub(settings, clock) as opened:
        yield opened


class Everything:
    """Takes every release, and says what it took."""

    def __init__(self) -> None:
        self.taken: list[uploads.ReleaseMeta] = []

    def check(self, session: Session, meta: uploads.ReleaseMeta) -> None:
        return None

    def complete(self, session: Session, meta: uploads.ReleaseMeta, path: Path) -> None:
        assert path.stat().st_size == meta.total_bytes
        self.taken.append(meta)


@pytest.fixture
def taker() -> Everything:
    return Everything()


class Late:
    """Stands for a part of whatever is served at the moment, and looks it up each time that something is asked of it.

    To read 140 routes costs 0.1 s, and all hubs of these tests have the same: so the routes are read once, for a hub
    that is named with each request.
    """

    def __init__(self, part: Callable[[], Any]) -> None:
        self._part = part

    def __getattr__(self, name: str) -> Any:
        return getattr(self._part(), name)


class LateHub(Late):
    @property
    def queries(self) -> Late:
        # The one part that the routes take hold of when they are made.
        return Late(lambda: self._part().queries)


class ServedHub:
    """The application of one hub, with the routes that it shares with all others."""

    _now: ContextVar[tuple[Hub, Any]] = ContextVar("what is served")
    _apps: dict[tuple[Callable[..., FastAPI], str], FastAPI] = {}

    def __init__(self, make: Callable[..., FastAPI], hub: Hub, *others: Any) -> None:
        self._served = (hub, *others)
        key = (make, hub.base_iri)
        if key not in self._apps:
            with self._serving():
                late = [
                    Late(lambda place=place: self._now.get()[place]) for place in range(1, 1 + len(others))
                ]
                self._apps[key] = make(LateHub(lambda: self._now.get()[0]), *late)
        self._app = self._apps[key]
        self.routes = self._app.routes

    @contextmanager
    def _serving(self) -> Iterator[None]:
        token = self._now.set(self._served)
        try:
            yield
        finally:
            self._now.reset(token)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        with self._serving():
            await self._app(scope, receive, send)


@pytest.fixture(scope="session")
def app_of() -> Callable[[Hub], ServedHub]:
    """Return the application of a hub, as `create_app` does, without making its routes anew."""
    return lambda hub: ServedHub(create_app, hub)


def _small_app(hub: Hub, taker: Everything) -> FastAPI:
    receivers: dict[DoorClass, uploads.Receiver] = {
        DoorClass.RECORD: records.RecordReceiver(hub),
        DoorClass.RESULT: taker,
    }
    app = FastAPI()
    may_read = [lambda session, reader, digest: getattr(reader, "name", "") in {"alpha", "rita"}]
    join(app.router, routes.router(hub), uploads.router(hub, receivers=receivers, may_read=may_read))

    @app.exception_handler(FairbankError)
    async def problem(request: Request, error: FairbankError) -> JSONResponse:
        return JSONResponse(error.problem(), error.kind.http_status, media_type="application/problem+json")

    return app


@contextmanager
def opened_client(hub: Hub, taker: Everything) -> Iterator[TestClient]:
    with TestClient(ServedHub(_small_app, hub, taker), base_url=BASE) as opened:
        yield opened


@contextmanager
def opened_projector(hub: Hub) -> Iterator[Projector]:
    opened = Projector(hub)
    assert opened.open()
    yield opened
    opened.close()


@pytest.fixture
def client(hub: Hub, taker: Everything) -> Iterator[TestClient]:
    with opened_client(hub, taker) as opened:
        yield opened


@pytest.fixture
def projector(hub: Hub) -> Iterator[Projector]:
    with opened_projector(hub) as opened:
        yield opened


class TestNode:
    """A node that signs what it sends."""

    __test__ = False

    def __init__(self, hub: Hub, client: TestClient, name: str, *, key: SigningKey | None = None) -> None:
        self.hub, self.client, self.name = hub, client, name
        self.key = key or SigningKey.generate()
        self.clock = FixedClock(hub.clock.now())

    def enrol(self) -> TestNode:
        with writing(self.hub.engine) as session:
            token = nodes.invite(session, self.hub, actor="admin")
        nodes.enrol(
            self.hub,
            nodes.Enrolment(node=self.name, key=self.key.key_id, token=token, title=self.name.title()),
        )
        return self

    def signed(self, method: str, path: str, body: bytes = b"", **headers: str) -> dict[str, str]:
        content_type = headers.pop("content_type", "application/json")
        extra = {name.replace("_", "-"): value for name, value in headers.items()}
        return signature_headers(
            method,
            BASE + path,
            body=body,
            key=self.key,
            clock=self.clock,
            content_type=content_type,
            headers=extra,
        )

    def send(self, method: str, path: str, body: bytes = b"", **headers: str):
        return self.client.request(
            method, path, content=body or None, headers=self.signed(method, path, body, **headers)
        )

    def release(
        self,
        content: bytes,
        *,
        door_class: str,
        output: str = "out",
        release_id: str | None = None,
        job: str | None = None,
        digest: str | None = None,
        first: int = 0,
        piece: bytes | None = None,
    ):
        release_id = release_id or self.hub.clock.new_id()
        body = content if piece is None else piece
        headers = {
            "Fairbank_Class": door_class,
            "Fairbank_Digest": digest or "sha256:" + hashlib.sha256(content).hexdigest(),
            "Fairbank_Output": output,
            "Content_Range": f"bytes {first}-{first + len(body) - 1}/{len(content)}",
            "content_type": "application/octet-stream",
        }
        if job is not None:
            headers |= {"Fairbank_Job": job, "Fairbank_Round": "1"}
        return self.send("PUT", f"/v1/releases/{release_id}", body, **headers)


@pytest.fixture
def node_named(hub: Hub, client: TestClient) -> Callable[..., TestNode]:
    def make(name: str, *, enrolled: bool = True) -> TestNode:
        node = TestNode(hub, client, name)
        return node.enrol() if enrolled else node

    return make


@pytest.fixture
def person_named(hub: Hub) -> Callable[..., Person]:
    return lambda name, *roles: Person(hub, name, *roles)


class Person:
    """An account with a token and a key."""

    def __init__(self, hub: Hub, name: str, *roles: Role) -> None:
        self.name, self.key = name, SigningKey.generate()
        with writing(hub.engine) as session:
            accounts.create_account(session, hub, name=name, password=PASSWORD, roles=roles)
            self.token = accounts.issue_token(session, hub, name=name).token
        proof = AccountKey(account=name, key=self.key.key_id, hub=hub.base_iri, created=iso(hub.clock.now()))
        found = accounts.by_token(hub, self.token)
        assert found is not None
        accounts.register_key(hub, found, proof.seal(self.key))

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


def cell(
    modality: str = "CT",
    body_part: str = "CHEST",
    manufacturer: str = "Siemens",
    slice_thickness: str = "1-1.5",
    *,
    subjects: int | None = 20,
    studies: int = 22,
    series: int = 40,
    k: int = 10,
) -> Stratum:
    numbers = [
        Count.below(k) if subjects is None else Count.exact(n) for n in (series, studies, subjects or 0)
    ]
    return Stratum(
        modality=modality,
        body_part=body_part,
        manufacturer=manufacturer,
        slice_thickness=slice_thickness,
        series=numbers[0],
        studies=numbers[1],
        subjects=numbers[2],
    )


CREATININE = Variable(
    name="creatinine",
    label="Creatinine in serum",
    system=CodeSystem.LOINC,
    code="2160-0",
    kind=VariableKind.QUANTITY,
    unit="mg/dL",
    values=tuple(VariableValue(code=code) for code in ("<0.7", "0.7-1.2", ">=1.2")),
    subjects=Count.exact(40),
)


@pytest.fixture(scope="session")
def record_of() -> Callable[..., DatasetRecord]:
    return make_record


@pytest.fixture(scope="session")
def cell_of() -> Callable[..., Stratum]:
    return cell


def make_record(node: str, dataset: str = "lungs", **changes: object) -> DatasetRecord:
    values: dict[str, object] = {
        "node": node,
        "dataset": dataset,
        "version": 1,
        "title": "Lung screening CT",
        "description": "Low-dose chest CT of a screening programme.",
        "keywords": ("lung", "screening"),
        "publisher": "Alpha Biobank",
        "contact": "data access office",
        "licence": "CC BY 4.0",
        "collection_kind": CollectionKind.SCREENING,
        "data_use": ("DUO:0000006",),
        "minimum_count": 10,
        "totals": Totals(
            subjects=Count.exact(60),
            studies=Count.exact(70),
            series=Count.exact(160),
            instances=Count.exact(9000),
        ),
        "cube": (
            cell(),
            cell(manufacturer="GE", subjects=30, studies=35, series=80),
            cell("MR", subjects=None),
        ),
        "distributions": (
            Distribution(attribute="sex", value="F", how_known=HowKnown.HEADER, subjects=Count.exact(31)),
        ),
        "acquired_from": 2015,
        "acquired_to": 2019,
        "provenance": (
            Activity(
                kind=ActivityKind.DEIDENTIFICATION,
                tool="fairbank deid",
                tool_version="0.1.0",
                profile="basic",
                profile_digest="sha256:" + "0" * 64,
                agent="curator",
                started="2026-01-01T10:00:00.000Z",
                ended="2026-01-01T11:00:00.000Z",
            ),
            Activity(
                kind=ActivityKind.HARVEST,
                tool="fairbank harvest",
                tool_version="0.1.0",
                source_system="research store",
                agent="curator",
                started="2026-01-01T11:00:00.000Z",
                ended="2026-01-01T12:00:00.000Z",
            ),
        ),
        "quality": (Quality(aspect="burned-in-text", assessed=False),),
        "created": "2026-01-01T12:00:00.000Z",
    }
    return DatasetRecord(**(values | changes))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def two_datasets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A hub that a whole module of tests may ask: lungs and brains of the node alpha, and a model trained on both."""
    home = tmp_path_factory.mktemp("two_datasets") / "hub"
    # Whoever asks by the thousand is answered by the route, and not by the limit of requests a minute.
    unlimited = {"limits_account_requests": 0, "limits_origin_requests": 0, "limits_node_requests": 0}
    settings = replace(Settings(), home=home, sparql_timeout_s=5, **unlimited)
    opened = init_hub(settings, FixedClock(), public_base_iri=BASE)
    sender = TestNode(opened, TestClient(ServedHub(create_app, opened), base_url=BASE), "alpha").enrol()
    for dataset in ("lungs", "brains"):
        sealed = make_record("alpha", dataset, variables=(CREATININE,)).seal(sender.key)
        answer = sender.release(sealed, door_class="record", output=f"record-{dataset}")
        assert answer.status_code == 200, answer.text
    with writing(opened.engine) as session:
        events.append(
            session,
            events.HubEvent,
            clock=opened.clock,
            kind="model.registered",
            subject="sha256:" + "a" * 64,
            detail={
                "datasets": [f"{BASE}/datasets/alpha/{name}" for name in ("brains", "lungs")],
                "nodes": ["alpha"],
                "rounds": 3,
                "title": "Denoising autoencoder",
                "training": {
                    "plan": "aggregation",
                    "aggregator": "fedavg",
                    "local_step": "plain",
                    "filters": [],
                    "objective": "mean",
                    "seed": "7",
                    "parameters": {"learning_rate": "0.003", "width": 8},
                    "settings": {"alpha": "sha256:" + "c" * 64},
                    "rounds": [{"round": 1, "updates": {"alpha": "sha256:" + "d" * 64}}],
                },
                "code": {"name": "slice-autoencoder", "version": "1", "digest": "sha256:" + "b" * 64},
            },
        )
    projector = Projector(opened)
    assert projector.open()
    projector.project()
    projector.close()
    yield opened
    opened.queries.close()
    opened.engine.dispose()


@pytest.fixture
def change_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Have the SPARQL workers that are started from now on differ in one more place."""
    original = query_pool.SCRIPT
    folder = tmp_path / "worker"
    folder.mkdir()
    for name in (original.name, "query_text.py"):
        (folder / name).write_bytes((original.parent / name).read_bytes())
    changed = folder / original.name
    monkeypatch.setattr(query_pool, "SCRIPT", changed)

    def change(old: str, new: str) -> None:
        source = changed.read_text(encoding="utf-8")
        assert old in source
        changed.write_text(source.replace(old, new), encoding="utf-8")

    return change


def publisher(hub: Hub, client: TestClient, projector: Projector | None) -> Callable[..., TestNode]:
    nodes_by_name: dict[str, TestNode] = {}

    def publish(*datasets: str, node: str = "alpha", **changes: object) -> TestNode:
        sender = nodes_by_name.get(node) or nodes_by_name.setdefault(
            node, TestNode(hub, client, node).enrol()
        )
        for dataset in datasets:
            record = make_record(node, dataset, **changes)
            answer = sender.release(record.seal(sender.key), door_class="record", output=f"record-{dataset}")
            assert answer.status_code == 200, answer.text
        if projector is not None:
            projector.project()
        return sender

    return publish


@pytest.fixture
def published(hub: Hub, client: TestClient, projector: Projector) -> Callable[..., TestNode]:
    """Publish datasets of the node alpha, the first time enrolling it; the RDF view is up to date afterwards."""
    return publisher(hub, client, projector)


@pytest.fixture
def released(hub: Hub, client: TestClient) -> Callable[..., TestNode]:
    """Publish as `published` does, for tests that ask nothing by SPARQL: there is no RDF view, which costs 0.1 s."""
    return publisher(hub, client, None)


@dataclass(frozen=True)
class SharedHub:
    """A hub that all tests of a module ask and none changes; what a test changes, it changes on a hub of its own."""

    hub: Hub
    client: TestClient
    publish: Callable[..., TestNode]


@pytest.fixture(scope="module")
def shared_hub(shared_homes: Callable[[], tuple[Path, str]]) -> Iterator[Callable[..., SharedHub]]:
    """Open a hub for a fixture that fills it once for the tests of a module; with a view if they ask by SPARQL."""
    with ExitStack() as opened:

        def make(*, view: bool = False) -> SharedHub:
            clock = FixedClock(datetime(2026, 1, 15, 12, tzinfo=UTC))
            hub = opened.enter_context(opened_hub(small_settings(*shared_homes()), clock))
            client = opened.enter_context(opened_client(hub, Everything()))
            projector = opened.enter_context(opened_projector(hub)) if view else None
            publish, filled = publisher(hub, client, projector), [_changes(hub)]

            def fill(*datasets: str, **changes: object) -> TestNode:
                sender = publish(*datasets, **changes)
                filled.append(_changes(hub))
                return sender

            def check() -> None:
                assert _changes(hub) == filled[-1], "a test has changed a hub that it shares with others"

            opened.callback(check)
            return SharedHub(hub, client, fill)

        yield make


def _changes(hub: Hub) -> int:
    with reading(hub.engine) as session:
        return audit.head(session, audit.HubAudit).seq
