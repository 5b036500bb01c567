"""A federation that can be run in a test: a hub on a loopback port, nodes with their agents, one requester.

Everything is real but the worker: a fake runner computes without a sandbox.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI
from safetensors.numpy import load_file, save_file
from sqlalchemy.orm import Session

from fairbank.catalogue import accounts, audit_routes, nodes, uploads
from fairbank.catalogue.context import Hub, init_hub, open_hub
from fairbank.catalogue.route_parts import join
from fairbank.clock import FixedClock, iso
from fairbank.database import reading, writing
from fairbank.demo.small_cohorts import allow_small_trainings
from fairbank.errors import FairbankError
from fairbank.federated_jobs.code import UPDATE, Tool, WorkerKind, tool_named
from fairbank.federated_jobs.hub import routes
from fairbank.federated_jobs.hub.grants import Grant
from fairbank.federated_jobs.hub.rounds import close_ready
from fairbank.federated_jobs.hub.store import JobRow, SiteRow
from fairbank.federated_jobs.hub.sweep import sweep
from fairbank.federated_jobs.manifest import dataset_iri, draft
from fairbank.federated_jobs.node.agent import Agent
from fairbank.federated_jobs.node.approval import Consent, approve
from fairbank.federated_jobs.node.policy_file import accept
from fairbank.federated_jobs.node.reporting import report_decisions
from fairbank.federated_jobs.node.runner import Product, RoundTask
from fairbank.federated_jobs.update_notes import annotate
from fairbank.ontology.outputs import OutputClass
from fairbank.ontology.signed_objects import GrantedDataset, Manifest, Purpose, Request, Selector, Visa
from fairbank.release.hub_client import HubClient, Retries
from fairbank.release.node import Enrolment, Node, init_node
from fairbank.release.outbox import Outbox
from fairbank.release.people import Signer, add_person, unlock
from fairbank.release.store import EnrolmentRow
from fairbank.settings import Settings
from fairbank.signing import Sealed, SigningKey
from fairbank.web.problems import add_handlers

BASE = "http://hub.test"
PASSWORD = "correct horse battery"
PHRASE = "correct horse"
DATASET = "collection"


@dataclass(frozen=True)
class FakeSeries:
    series_uid: str
    subject: str
    content_digest: str
    directory: Path


@dataclass
class FakeIndex:
    """The series of one site, by dataset."""

    series: dict[str, list[FakeSeries]]

    def __call__(
        self, session: Session, dataset: str, selector: Selector, /, *, at: datetime
    ) -> list[FakeSeries]:
        return list(self.series[dataset])


@dataclass
class FakeRunner:
    """Computes in this process what a worker would: the model plus a step that depends on site and round."""

    step: float = 1.0
    calls: list[tuple[str, int]] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    live: set[str] = field(default_factory=set)
    before: Callable[[RoundTask], None] = lambda task: None
    notes: Callable[[RoundTask], dict[str, float]] = lambda task: {"after_loss": 0.5}
    shape: tuple[int, ...] = (4,)

    def run(self, task: RoundTask) -> list[Product]:
        self.calls.append((task.manifest.id, task.round))
        self.live.add(task.manifest.id)
        self.before(task)
        task.folder.mkdir(parents=True, exist_ok=True)
        if task.tool.worker is WorkerKind.ANALYSIS:
            return [self._rows(task)]
        model = (
            load_file(task.global_model)["w"] if task.global_model else np.zeros(self.shape, dtype=np.float32)
        )
        raw, target = task.folder / "raw", task.folder / "update.safetensors"
        save_file({"w": (model + np.float32(self.step * task.round)).astype(np.float32)}, raw)
        annotate(raw, {"n_train": len(task.series()), **self.notes(task)}, to=target)
        return [Product(UPDATE, target)]

    def _rows(self, task: RoundTask) -> Product:
        from fairbank.analysis.tool import tool_named as analysis_tool
        from fairbank.analysis.tool import tool_parameters
        from fairbank.release.candidates import Column, ColumnKind

        name = task.manifest.code.name
        contract = analysis_tool(name).contract(tool_parameters(name, task.manifest.parameters))
        columns = tuple(Column(c.name, ColumnKind(c.type.value), c.words) for c in contract.columns)
        rows = [_row(columns, one.unit, one.subject) for one in task.series()]
        target = task.folder / "measurements.json"
        body = {"schema": "rows/1", "tool": name, "version": task.tool.version, "rows": rows}
        target.write_text(json.dumps(body))
        return Product("measurements", target, columns)

    def jobs(self) -> list[str]:
        return sorted(self.live)

    def cancel(self, job: str) -> None:
        self.forgotten.append(job)

    def forget(self, job: str) -> None:
        self.live.discard(job)
        self.forgotten.append(job)

    def rest(self) -> None: ...

    def close(self) -> None:
        self.live.clear()


def _row(columns: Any, unit: str, subject: str) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for column in columns:
        match column.kind.value:
            case "row_id":
                row[column.name] = subject if "subject" in column.name else unit
            case "word":
                row[column.name] = (
                    "ok" if column.name == "status" else (column.words[0] if column.words else None)
                )
            case "integer":
                row[column.name] = 3
            case _:
                row[column.name] = 1.5
    if "reason" in row:
        row["reason"] = None
    return row


class Site:
    """One node with its agent."""

    def __init__(
        self, fed: Federation, name: str, *, subjects: int, step: float, **settings_of_node: Any
    ) -> None:
        self.fed, self.name = fed, name
        self.clients: list[HubClient] = []
        settings = replace(
            Settings(),
            home=fed.folder / name,
            jobs_long_poll_s=1,
            jobs_lease_s=60,
            **{"release_minimum_count": 2, **settings_of_node},
        )
        self.node = self._enrolled(settings)
        self.index = FakeIndex(
            {
                DATASET: [
                    FakeSeries(f"9.{i}.{j}", f"subject-{i}", f"sha256:{i * 10 + j:064x}", fed.folder / "none")
                    for i in range(subjects)
                    for j in range(2)
                ]
            }
        )
        self.runner = FakeRunner(step=step)
        self.agent = self.restart()

    def restart(self) -> Agent:
        """Start the agent anew, as after kill -9: only what is on disk is known."""
        self.agent = Agent(
            self.node,
            client=self.client(),
            runner=self.runner,
            source=self.index,
            intact=lambda member: True,
        )
        return self.agent

    def client(self) -> HubClient:
        opened = HubClient(
            self.fed.url,
            key=self.node.key,
            clock=self.node.clock,
            retries=Retries(attempts=1),
            # The hub is on this machine, without TLS: to read the authorities takes longer than all else in a client.
            transport=httpx.HTTPTransport(verify=False),
        )
        self.clients.append(opened)
        return opened

    def close(self) -> None:
        """Give back connections and files: a process may not have any number of them."""
        for opened in self.clients:
            opened.close()
        self.node.engine.dispose()

    @property
    def outbox(self) -> Outbox:
        return Outbox(self.node, self.client())

    def approve(self, job: str, **consent: Any) -> None:
        approve(self.node, job, Consent(by="curator", **consent), source=self.index)
        report_decisions(self.node, self.outbox)

    def _enrolled(self, settings: Settings) -> Node:
        fed = self.fed
        node = init_node(settings, fed.clock, name=self.name)
        with writing(fed.hub.engine) as session:
            token = nodes.invite(session, fed.hub, actor="admin")
        nodes.enrol(
            fed.hub,
            nodes.Enrolment(node=self.name, key=node.key.key_id, token=token, title=self.name),
        )
        enrolment = Enrolment(fed.url, fed.hub.key.key_id, BASE, self.name)
        with writing(node.engine) as session:
            session.merge(
                EnrolmentRow(
                    one=1,
                    hub_url=fed.url,
                    hub_key=enrolment.hub_key,
                    public_base_iri=BASE,
                    node=self.name,
                    enrolled=fed.clock.now(),
                )
            )
        enrolled = replace(node, enrolment=enrolment)
        # Fixtures have a handful of made-up subjects, fewer than any site with patients would train on.
        allow_small_trainings(enrolled)
        return enrolled

    def person(self, name: str, *, by: Signer | None = None, **options: Any) -> Signer:
        """Name a person at the node who stands behind the policy of this site as it is."""
        add_person(self.node, name, PHRASE, by=by, **options)
        signer = unlock(self.node, name, PHRASE)
        if by is None:
            accept(self.node, by=name, signer=signer)
        return signer


class Federation:
    """A hub, its nodes and a requester with a visa."""

    def __init__(
        self, folder: Path, clock: FixedClock, *, with_background: bool = False, **settings_of_hub: Any
    ) -> None:
        self.folder, self.clock = folder, clock
        self.grants: dict[str, Grant] = {}
        settings = replace(
            Settings(), home=folder / "hub", jobs_lease_s=60, **{"jobs_retries": 0, **settings_of_hub}
        )
        self.hub: Hub = init_hub(settings, clock, public_base_iri=BASE)
        self.requester = SigningKey.generate()
        with writing(self.hub.engine) as session:
            accounts.create_account(
                session, self.hub, name="ada", password=PASSWORD, roles=[accounts.Role.RESEARCHER]
            )
            self.token = accounts.issue_token(session, self.hub, name="ada", hours=24 * 365).token
        who = accounts.by_token(self.hub, self.token)
        assert who is not None
        proof = accounts.AccountKey(
            account="ada", key=self.requester.key_id, hub=BASE, created=iso(clock.now())
        )
        accounts.register_key(self.hub, who, proof.seal(self.requester))
        self.background = with_background
        self._serve()
        self.sites: dict[str, Site] = {}
        self.others: list[SecondHub] = []

    # -- the hub's process ---------------------------------------------------------------------------------------

    def _serve(self) -> None:
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._start(port)

    def _start(self, port: int) -> None:
        self.server, self.thread = serve(self.app(self.hub), port)

    def second(self) -> SecondHub:
        """Start another process's worth of this hub: on the same database, at an address of its own."""
        made = SecondHub(self, open_hub(self.hub.settings, self.clock), _free_port())
        self.others.append(made)
        return made

    def app(self, hub: Hub) -> FastAPI:
        tasks = [hub.notifier.poll, *routes.background(hub)] if self.background else []

        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncIterator[None]:
            running = [asyncio.create_task(task()) for task in tasks]
            yield
            for task in running:
                task.cancel()

        app = FastAPI(lifespan=lifespan)
        add_handlers(app)
        join(
            app.router,
            uploads.router(hub, receivers=routes.receivers(hub), may_read=routes.may_read(hub)),
            routes.router(hub, grants=lambda session, digest: self.grants.get(digest)),
            audit_routes.router(hub),
        )
        return app

    def restart_hub(self) -> None:
        """Stop the hub and open it anew on what is on disk, at the same address."""
        port = int(self.url.rpartition(":")[2])
        self.close(forget=False)
        self.hub = open_hub(self.hub.settings, self.clock)
        self._start(port)

    def close(self, *, forget: bool = True) -> None:
        for site in self.sites.values() if forget else ():
            site.close()
        for other in self.others:
            stop(other.hub, other.server, other.thread)
        self.others.clear()
        stop(self.hub, self.server, self.thread)

    # -- people --------------------------------------------------------------------------------------------------

    def add(self, name: str, *, subjects: int = 3, step: float = 1.0, **settings: Any) -> Site:
        self.sites[name] = Site(self, name, subjects=subjects, step=step, **settings)
        return self.sites[name]

    def request(self, **changes: Any) -> tuple[Request, bytes]:
        request = Request(
            id=self.clock.new_id(),
            requester_key=self.requester.key_id,
            requester_account="ada",
            organisation="University",
            title="A question",
            datasets=tuple(dataset_iri(BASE, name, DATASET) for name in sorted(self.sites)),
            purpose=Purpose(data_use=("DUO:0000042",), statement="Research."),
            output_classes=(OutputClass.MEASUREMENTS, OutputClass.MODEL_UPDATE),
            until=iso(self.clock.now() + timedelta(days=30)),
            created=iso(self.clock.now()),
        )
        request = request.model_copy(update=changes)
        return request, request.seal(self.requester)

    def visa(
        self,
        *,
        key: SigningKey | None = None,
        selector: Selector | None = None,
        terms: Any = None,
        **changes: Any,
    ) -> Sealed:
        """Grant a visa over all sites; changes, and those of each dataset's terms, are made before it is sealed."""
        request, envelope = self.request()
        _, sealed_request = Request.open(envelope, trusted=[self.requester.key_id])
        visa = Visa(
            id=self.clock.new_id(),
            hub=BASE,
            request=sealed_request.digest,
            requester_key=self.requester.key_id,
            datasets=tuple(
                GrantedDataset(
                    iri=iri,
                    selector=selector or Selector(),
                    output_classes=request.output_classes,
                    tool_families=("benchmark", "measurements", "training"),
                    expires=iso(self.clock.now() + timedelta(days=20)),
                    maximum_runs=5,
                ).model_copy(update=terms or {})
                for iri in request.datasets
            ),
            purpose=request.purpose,
            not_before=iso(self.clock.now()),
            created=iso(self.clock.now()),
        ).model_copy(update=changes)
        sealed_envelope = visa.seal(key or self.hub.key)
        _, sealed = Visa.open(sealed_envelope, trusted=None)
        self.grants[sealed.digest] = Grant(visa.id, sealed_envelope, request.id, envelope, ended=False)
        return sealed

    def manifest(self, visa: Sealed, tool: Tool | str = "noop", **options: Any) -> Manifest:
        chosen = tool_named(tool) if isinstance(tool, str) else tool
        parameters = options.pop("parameters", {})
        return draft(visa, chosen, parameters, clock=self.clock, title="A job", **options)

    def post(self, path: str, content: bytes = b"") -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        return httpx.post(self.url + path, content=content, headers=headers, timeout=30, verify=False)

    def get(self, path: str, **parameters: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.get(self.url + path, headers=headers, params=parameters, timeout=30, verify=False)

    def submit(self, manifest: Manifest) -> str:
        answer = self.post("/v1/jobs", manifest.seal(self.requester))
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def smuggle(self, job_manifest: Manifest, /, **envelopes: bytes) -> str:
        """Put a job into the hub's database past all its checks, as a hub that was taken over could."""
        grant = self.grants[job_manifest.visa]
        sealed = {
            "manifest": job_manifest.seal(self.requester),
            "visa": grant.visa,
            "request": grant.request,
            **envelopes,
        }
        now = self.clock.now()
        with writing(self.hub.engine) as session:
            session.add(
                JobRow(
                    id=job_manifest.id,
                    account="ada",
                    requester_key=job_manifest.requester_key,
                    title=job_manifest.title,
                    manifest_digest=f"sha256:{len(sealed['manifest']):064x}{job_manifest.id[-4:]}",
                    visa_id=grant.visa_id,
                    visa_digest=job_manifest.visa,
                    request_id=grant.request_id,
                    **sealed,
                    tool=job_manifest.code.name,
                    state="running",
                    reason="none",
                    rounds=job_manifest.plan.rounds,
                    quorum=job_manifest.plan.quorum,
                    approval_deadline=now + timedelta(days=7),
                    expires=now + timedelta(days=20),
                    created=now,
                )
            )
            session.flush()
            for name in self.sites:
                session.add(
                    SiteRow(job=job_manifest.id, node=name, state="pending_review", reason="none", since=now)
                )
        return job_manifest.id

    def job(self, job: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"/v1/jobs/{job}").json()
        return found

    def state(self, job: str) -> str:
        with reading(self.hub.engine) as session:
            return session.get_one(JobRow, job).state

    def site_state(self, job: str, name: str) -> tuple[str, str]:
        with reading(self.hub.engine) as session:
            row = session.get_one(SiteRow, (job, name))
            return row.state, row.reason

    # -- time passes ---------------------------------------------------------------------------------------------

    def settle(self, *names: str) -> None:
        """Let agents and hub work until nobody has anything to do."""
        while True:
            moved = sum(self.sites[name].agent.step() for name in names or self.sites) > 0
            moved |= self.close_rounds()
            if not moved:
                return

    def close_rounds(self) -> bool:
        return sweep(self.hub) | bool(close_ready(self.hub))

    def run(self, tool: str = "noop", *, rounds: int = 1, **options: Any) -> str:
        """Submit, approve everywhere and run a job to its end."""
        job = self.submit(self.manifest(self.visa(), tool, rounds=rounds, **options))
        self.settle()
        for site in self.sites.values():
            site.approve(job)
        self.settle()
        return job

    def model(self, job: str) -> str:
        files = self.get(f"/v1/jobs/{job}/results").json()["files"]
        return str([file["digest"] for file in files if file["name"] == "model"][-1])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def serve(app: FastAPI, port: int) -> tuple[uvicorn.Server, threading.Thread]:
    """Serve an application in a thread of its own, and return when it answers."""
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=port, log_level="critical", lifespan="on")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    ready = threading.Event()
    while not server.started and thread.is_alive():
        ready.wait(0.01)
    return server, thread


def stop(hub: Hub, server: uvicorn.Server, thread: threading.Thread) -> None:
    """Stop serving a hub and close it."""
    server.should_exit = True
    server.force_exit = True
    hub.notifier.close()
    thread.join(timeout=20)
    hub.queries.close()
    hub.engine.dispose()


class SecondHub:
    """One more process of a federation's hub."""

    def __init__(self, fed: Federation, hub: Hub, port: int) -> None:
        self.hub, self.url = hub, f"http://127.0.0.1:{port}"
        self.server, self.thread = serve(fed.app(hub), port)


@pytest.fixture
def start(tmp_path: Path, clock: FixedClock) -> Iterator[Callable[..., Federation]]:
    started: list[Federation] = []

    def make(*names: str, folder: str = "fed", **options: Any) -> Federation:
        fed = Federation(tmp_path / folder, clock, **options)
        started.append(fed)
        for place, name in enumerate(names, 1):
            fed.add(name, step=float(place))
        return fed

    yield make
    for fed in started:
        fed.close()


@pytest.fixture
def fed(start: Callable[..., Federation]) -> Federation:
    """A hub with three sites."""
    return start("east", "north", "west")


def refusal(call: Callable[[], object]) -> FairbankError:
    with pytest.raises(FairbankError) as caught:
        call()
    return caught.value
