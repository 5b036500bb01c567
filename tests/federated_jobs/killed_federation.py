"""A hub and two nodes as processes on loopback, put back to one state again and again, of which one is killed."""

from __future__ import annotations

import random
import secrets
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from fairbank import audit, audit_alarms
from fairbank.catalogue import nodes
from fairbank.catalogue.accounts import Role, create_account
from fairbank.catalogue.context import init_hub, open_hub
from fairbank.catalogue.governance import membership
from fairbank.clock import SystemClock, iso
from fairbank.database import connect, reading, writing
from fairbank.demo.processes import Processes, free_port
from fairbank.demo.small_cohorts import allow_small_trainings
from fairbank.errors import FairbankError
from fairbank.federated_jobs.code import tool_named
from fairbank.federated_jobs.hub.store import JobRow, LeaseRow, OutputRow, SiteRow, UpdateRow, UsageRow
from fairbank.federated_jobs.manifest import draft
from fairbank.federated_jobs.node.rules import Rule, add_rule
from fairbank.federated_jobs.node.site_keys import cohort_secret, site_key
from fairbank.federated_jobs.node.store import ReviewRow
from fairbank.harvest.consent import LegalBasis
from fairbank.harvest.datasets import Description, define_dataset
from fairbank.harvest.index import index_store
from fairbank.harvest.legal_basis import record_basis
from fairbank.harvest.publishing import publish
from fairbank.harvest.runs import PullOrder, pull
from fairbank.harvest.sources.opening import add_source
from fairbank.harvest.sources.protocol import SourceKind
from fairbank.ontology.record import CollectionKind
from fairbank.ontology.signed_objects import PlanName
from fairbank.release.hub_client import HubClient
from fairbank.release.node import enrol, init_node, open_node
from fairbank.release.outbox import Outbox
from fairbank.release.outbox_review import Decision, decide
from fairbank.release.store import LedgerRow, ReleaseRow
from fairbank.settings import FILE_NAME, Settings, load
from fairbank.web.acts import Wish, grant, request_access
from fairbank.web.api_client import HubApi

HUB, SITES = "hub", ("east", "north")
RESEARCHER, MEMBER, DATASET = "ada", "grace", "tiny-ct"
SUBJECTS = 12  # more than the default k of 10, so that nothing about the site's settings is special
ROUNDS = 5
# The tool, and its parameters.
JOBS: tuple[tuple[str, dict[str, Any]], ...] = (("intensity-geometry", {}), ("noop", {"weights": 4096}))
# The plan of the training, with what it is drafted with. With two sites and a buffer of two it is the same to the byte
# who came first, so the plan that waits for nobody can be compared as well.
PLANS: dict[PlanName, dict[str, Any]] = {
    PlanName.AGGREGATION: {"rounds": ROUNDS},
    PlanName.CYCLIC_WEIGHT_TRANSFER: {"plan_options": {"cycles": 3}},
    PlanName.BUFFERED: {"rounds": ROUNDS, "plan_options": {"buffer": 2}},
}
PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class Moment:
    """When which process is killed.

    Attributes:
        victim: the hub or a node.
        counted: what is waited for: `time`, lines of the victim's audit log (`log`), or rows about the jobs in its
            database (`rows`: of a node's ledger; of the hub's leases, uploads and outputs).
        share: how much of what the undisturbed run had of it, from 0 to 1.
        delay_s: how long after that.
    """

    victim: str
    counted: str
    share: float
    delay_s: float

    @classmethod
    def drawn(cls, seed: int) -> Moment:
        """Draw a moment; seeds that follow one another cover each victim and each way of counting."""
        draw = random.Random(seed)
        return cls(
            victim=(HUB, *SITES)[seed % 3],
            counted=("time", "log", "rows")[(seed + seed // 3) % 3],
            share=draw.random(),
            delay_s=draw.uniform(0, 0.03),
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that a run left behind which must not depend on whether somebody was killed.

    Attributes:
        outputs: digest by job, round and name, of all that came of merging: table, plot, models, metrics.
        uploads: digest by job, round, node and output, of all that the hub has taken.
        released: digest by job, round, site and output, of what each node's outbox has sent.
        ledger: how often each release stands in the ledger of its node, by job, round, site, name and state.
        bytes: bytes up and down by job, node and round, as the hub's ledger of usage has them.
        leases: the kind by job, node and round.
        acts: how often each act about one of the jobs stands in an audit log, by log, act and job.
    """

    outputs: dict[tuple[str, int, str], str]
    uploads: dict[tuple[str, int, str, str], str]
    released: dict[tuple[str, int, str, str], str]
    ledger: Counter[tuple[str, int, str, str, str]]
    bytes: dict[tuple[str, str, int], tuple[int, int]]
    leases: dict[tuple[str, str, int], str]
    acts: Counter[tuple[str, str, str]]


class KilledFederation:
    """Two jobs that are the same to the byte in every run: sealed once, and sent to a federation put back as it was."""

    def __init__(self, home: Path, processes: Processes) -> None:
        self._home, self._kept, self._processes = home / "now", home / "kept", processes
        self._images = home / "images"
        self._clock = SystemClock()
        self._url = f"http://127.0.0.1:{free_port()}"
        self._home.mkdir()
        self._researcher = self._set_up()
        self._manifests = {
            plan: [self._sealed(*JOBS[0]), self._sealed(*JOBS[1], plan_name=plan, **drafted)]
            for plan, drafted in PLANS.items()
        }
        self._undisturbed: dict[PlanName, Outcome] = {}
        self._stop()
        shutil.copytree(self._home, self._kept)
        # Of what each process counts, what the undisturbed run has of it at its end, from what it has at its begin.
        self._spans: dict[tuple[PlanName, str, str], tuple[int, int]] = {}
        self._lasted_s: dict[PlanName, float] = {}

    @contextmanager
    def fresh(self) -> Iterator[None]:
        """Put hub and nodes back to where no job was sent yet, and let them run."""
        shutil.rmtree(self._home)
        shutil.copytree(self._kept, self._home)
        for name in (HUB, *SITES):
            self._start(name)
        self._processes.wait_until(HUB, self._hub_answers)
        try:
            yield
        finally:
            self._stop()

    def undisturbed(self, plan: PlanName) -> Outcome:
        """Return what both jobs come to with nobody killed; they are run once, to learn what there is to count."""
        if plan not in self._undisturbed:
            self._undisturbed[plan] = self._run(plan)
        return self._undisturbed[plan]

    def _run(self, plan: PlanName) -> Outcome:
        with self.fresh():
            kinds = [(name, counted) for name in (HUB, *SITES) for counted in ("log", "rows")]
            first = {kind: self._count(*kind) for kind in kinds}
            begun = time.monotonic()
            jobs = self._submit(plan)
            self._await(jobs)
            self._lasted_s[plan] = time.monotonic() - begun
            self._spans |= {(plan, *kind): (first[kind], self._count(*kind)) for kind in kinds}
            return self._outcome(jobs)

    def killed_at(self, moment: Moment, plan: PlanName) -> Outcome:
        """Run both jobs, kill one process and all below it at a moment, start it anew, and see the jobs through."""
        with self.fresh():
            begun = time.monotonic()
            jobs = self._submit(plan)
            self._wait_for(moment, plan, begun)
            self._kill(moment.victim)
            self._start(moment.victim)
            self._await(jobs)
            return self._outcome(jobs)

    def _wait_for(self, moment: Moment, plan: PlanName, begun: float) -> None:
        if moment.counted == "time":
            time.sleep(max(0.0, begun + moment.share * self._lasted_s[plan] - time.monotonic()))
        else:
            first, last = self._spans[plan, moment.victim, moment.counted]
            # At least one new line, so that it is met while the jobs are under way.
            wanted = first + 1 + int(moment.share * (last - first))
            # How often a node asks for work depends on the time: where there are fewer lines, it is killed at the end.
            over = begun + 2 * self._lasted_s[plan]
            while self._count(moment.victim, moment.counted) < wanted and time.monotonic() < over:
                time.sleep(0.002)
        time.sleep(moment.delay_s)

    def _kill(self, name: str) -> None:
        top = psutil.Process(self._processes.pid(name))
        # It stands still while its children are listed, so that none is missed.
        top.suspend()
        doomed = [top, *top.children(recursive=True)]
        self._processes.kill(name)
        for process in doomed:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        _, alive = psutil.wait_procs(doomed, timeout=30)
        assert not alive, f"something of {name} outlived it"

    def _submit(self, plan: PlanName) -> list[str]:
        bodies = self._manifests[plan]
        return [self._researcher.post("/v1/jobs", body, signed_in=True)["id"] for body in bodies]

    def _await(self, jobs: list[str]) -> None:
        """Wait until all jobs are over at the hub, and every node has heard of it; the hub may be away for a while."""

        def over() -> bool:
            try:
                views = [self._researcher.get(f"/v1/jobs/{job}", signed_in=True) for job in jobs]
            except FairbankError:
                return False
            return all(view["state"] not in ("running", "degraded") for view in views)

        def heard(name: str) -> bool:
            with self._of(name) as session:
                return sorted(session.scalars(select(ReviewRow.job).where(ReviewRow.ended))) == sorted(jobs)

        _until(over, "the jobs to end")
        for name in SITES:
            _until(lambda name=name: heard(name), f"{name} to hear of it")

    def _outcome(self, jobs: list[str]) -> Outcome:
        tools = {job: tool for job, (tool, _) in zip(jobs, JOBS, strict=True)}
        released, ledger, acts = {}, Counter[Any](), Counter[Any]()
        with self._of(HUB) as session:
            audit.verify(session, audit.HubAudit)
            assert audit_alarms.alarms(session, audit.HubAudit) == []
            states = {row.id: (row.state, row.reason) for row in session.scalars(select(JobRow))}
            assert states == dict.fromkeys(jobs, ("completed", "none")), states
            sites = {(row.job, row.node): (row.state, row.reason) for row in session.scalars(select(SiteRow))}
            assert sites == {(job, site): ("released", "none") for job in jobs for site in SITES}, sites
            leases = list(session.scalars(select(LeaseRow)))
            assert not [row.id for row in leases if row.open], "a lease is left open"
            # One process was killed once, so no work was given out more often than twice.
            assert max(row.attempt for row in leases) <= 2
            outputs = {
                (tools[row.job], row.round, row.name): row.digest
                for row in session.scalars(select(OutputRow))
            }
            uploads = {
                (tools[row.job], row.round, row.node, row.output): row.digest
                for row in session.scalars(select(UpdateRow))
            }
            moved = {
                (tools[row.job], row.node, row.round): (row.bytes_up, row.bytes_down)
                for row in session.scalars(select(UsageRow))
            }
            acts.update(_acts(HUB, session, audit.HubAudit, tools))
        for name in SITES:
            with self._of(name) as session:
                audit.verify(session, audit.NodeAudit)
                assert audit_alarms.alarms(session, audit.NodeAudit) == []
                acts.update(_acts(name, session, audit.NodeAudit, tools))
                for row in session.scalars(select(ReleaseRow).where(ReleaseRow.job.in_(jobs))):
                    key = (tools[row.job], row.round, row.site, row.output)
                    assert row.state == "sent", (key, row.state)
                    assert key not in released, f"{key} was released twice"
                    released[key] = row.digest
                for line in session.scalars(select(LedgerRow).where(LedgerRow.release.is_not(None))):
                    if line.job in tools:
                        ledger[tools[line.job], line.round, name, line.name, line.state] += 1
        return Outcome(
            outputs,
            uploads,
            released,
            ledger,
            moved,
            {(tools[row.job], row.node, row.round): row.kind for row in leases},
            acts,
        )

    def _count(self, name: str, counted: str) -> int:
        """Count what a process has written so far."""
        tables: tuple[Any, ...]
        if counted == "log":
            tables = (audit.HubAudit,) if name == HUB else (audit.NodeAudit,)
        else:
            tables = (LeaseRow, UpdateRow, OutputRow) if name == HUB else (LedgerRow,)
        with self._of(name) as session:
            return sum(session.scalar(select(func.count()).select_from(table)) or 0 for table in tables)

    @contextmanager
    def _of(self, name: str) -> Iterator[Session]:
        engine = self._engine(name)
        try:
            with reading(engine) as session:
                yield session
        finally:
            engine.dispose()

    def _engine(self, name: str) -> Engine:
        return connect(f"sqlite:///{self._home / name / ('hub.db' if name == HUB else 'node.db')}")

    def _start(self, name: str) -> None:
        role = "hub" if name == HUB else "node"
        self._processes.start(name, ["fairbank", "--home", str(self._home / name), role, "run"])

    def _stop(self) -> None:
        """End all at once: what was compared has been read, and they are to bear it anyhow."""
        for name in self._processes.names():
            if self._processes.is_running(name):
                self._kill(name)

    def _hub_answers(self) -> bool:
        try:
            return httpx.get(self._url + "/healthz", timeout=2, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def _set_up(self) -> HubApi:
        passwords = {name: secrets.token_urlsafe(12) for name in (RESEARCHER, MEMBER)}
        self._make_hub(passwords)
        for name in SITES:
            self._make_site(name)
        self._set_up_committee()
        researcher, member = (self._person(name, password) for name, password in passwords.items())
        _until(lambda: researcher.get("/search")["count"] >= len(SITES), "the datasets to appear")
        self._visa = self._granted(researcher, member)
        end = self._clock.now() + timedelta(days=5)
        for name in SITES:
            node = open_node(self._settings(name), self._clock)
            for tool, _ in JOBS:
                digest = tool_named(tool).digest
                rule = Rule(researcher.key().key_id, DATASET, end, code_digest=digest)
                add_rule(node, rule, by="curator")
            node.engine.dispose()
        return researcher

    def _make_hub(self, passwords: dict[str, str]) -> None:
        settings = self._settings(HUB, port=int(self._url.rpartition(":")[2]))
        hub = init_hub(settings, self._clock, public_base_iri=self._url)
        with writing(hub.engine) as session:
            for name, role in ((RESEARCHER, Role.RESEARCHER), (MEMBER, Role.COMMITTEE)):
                create_account(
                    session, hub, name=name, password=passwords[name], roles=[role], organisation="Example"
                )
            self._tokens = {name: nodes.invite(session, hub, actor="operator", node=name) for name in SITES}
        hub.queries.close()
        hub.engine.dispose()
        self._start(HUB)
        self._processes.wait_until(HUB, self._hub_answers)

    def _set_up_committee(self) -> None:
        hub = open_hub(self._settings(HUB), self._clock)
        with writing(hub.engine) as session:
            wish = membership.NewCommittee(title="Committee")
            committee = membership.create(session, hub, wish, actor="operator").id
            for name in SITES:
                membership.add_scope(session, hub, committee, membership.Scope(node=name), actor="operator")
            membership.add_member(session, hub, committee, MEMBER, chair=True, actor="operator")
        hub.queries.close()
        hub.engine.dispose()

    def _make_site(self, name: str) -> None:
        settings = self._settings(name)
        enrol(init_node(settings, self._clock, name=name), hub_url=self._url, token=self._tokens[name])
        node = open_node(settings, self._clock)
        allow_small_trainings(node)
        images = self._images / name
        _make_images(images / "all", patients_of=name)
        add_source(node, "images", kind=SourceKind.FOLDER, location=str(images))
        record_basis(node, "all", LegalBasis.ANONYMOUS_DATA, note="made for a test", by="curator")
        pull(node, PullOrder(source="images", container="all", project="all", agent="curator"))
        about = Description(DATASET, "Twelve tiny images.", CollectionKind.TEST, data_use=("DUO:0000042",))
        define_dataset(node, DATASET, project="all", description=about)
        index_store(node, DATASET)
        release = publish(node, DATASET).release
        assert release is not None
        decide(node, release, Decision.APPROVE, by="curator", why="made-up images")
        Outbox(node, HubClient.of(node)).send(release.id)
        # They are made at the first use, and what rows are called depends on them.
        site_key(settings)
        cohort_secret(settings)
        node.engine.dispose()

    def _person(self, name: str, password: str) -> HubApi:
        api = HubApi.from_home(self._settings(name), self._clock)
        api.login(name, password)
        api.register_key()
        return api

    def _granted(self, researcher: HubApi, member: HubApi) -> Any:
        now = self._clock.now()
        wish = Wish(
            title="Kill and compare",
            datasets=[f"{self._url}/datasets/{name}/{DATASET}" for name in SITES],
            data_use=["DUO:0000006"],
            statement="Does a kill change a result?",
            output_classes=["measurements", "model-update"],
            until=now + timedelta(days=6),
        )
        asked = request_access(researcher, wish)["id"]
        # As many runs as there are jobs: a job that counted twice would find none left.
        terms = {"until": iso(now + timedelta(days=5)), "maximum_runs": len(JOBS)}
        approval = {"schema": "approval/1", "request": asked, "terms": terms, "comment": ""}
        member.post("/v1/reviews/approvals", approval, signed_in=True)
        return grant(researcher, asked)

    def _sealed(self, tool: str, parameters: dict[str, Any], **drafted: Any) -> bytes:
        made = draft(
            self._visa, tool_named(tool), parameters, clock=self._clock, title=tool, seed="7", **drafted
        )
        return made.seal(self._researcher.key())

    def _settings(self, name: str, **of_hub: int) -> Settings:
        home = self._home / name
        home.mkdir(exist_ok=True, mode=0o700)
        if not (home / FILE_NAME).exists():
            lines = ["[hub]", f'url = "{self._url}"', *(f"{key} = {value}" for key, value in of_hub.items())]
            # No lease lapses while a test runs: whoever comes back has to get its work again without that.
            lines += ["[jobs]", "lease_s = 600"]
            (home / FILE_NAME).write_text("\n".join(lines) + "\n")
        return load(flags={"home": home}, environ={})[0]


def _acts(
    log: str, session: Session, table: audit.AuditTable, tools: dict[str, str]
) -> Iterator[tuple[str, str, str]]:
    for act, target in session.execute(select(table.act, table.target)):
        if target in tools:
            yield log, act, tools[target]


def _make_images(folder: Path, *, patients_of: str) -> None:
    """Write one small CT image for each of the subjects, no two with the same values."""
    from pydicom import dcmread
    from pydicom.data import get_testdata_file
    from pydicom.uid import generate_uid

    folder.mkdir(parents=True)
    image = dcmread(get_testdata_file("CT_small.dcm", download=False))
    pixels = image.pixel_array.copy()
    for number in range(SUBJECTS):
        image.PatientID = f"{patients_of}-{number}"
        image.PixelData = (pixels + 10 * number + SITES.index(patients_of)).astype(pixels.dtype).tobytes()
        for uid in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
            setattr(image, uid, generate_uid(entropy_srcs=[patients_of, uid, str(number)]))
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        image.save_as(folder / f"{number:02}.dcm")


def _until(look: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not look():
        assert time.monotonic() < deadline, f"waited {PATIENCE_S:.0f} s for {what}"
        time.sleep(0.05)
