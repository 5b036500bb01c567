"""A small federation for measuring: one hub with TLS, three nodes with images, one researcher, real processes."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import trustme

from fairbank.catalogue import nodes
from fairbank.catalogue.accounts import Role, create_account
from fairbank.catalogue.context import init_hub, open_hub
from fairbank.catalogue.governance import membership
from fairbank.clock import SystemClock, iso
from fairbank.database import writing
from fairbank.deid.policies import PixelTrust
from fairbank.demo.processes import Processes, free_port
from fairbank.demo.small_cohorts import allow_small_trainings
from fairbank.federated_jobs.code import tool_named
from fairbank.federated_jobs.node.rules import Rule, add_rule
from fairbank.harvest.clinical.importing import import_variables
from fairbank.harvest.clinical.mapping import read_mapping
from fairbank.harvest.clinical.opening import open_rows
from fairbank.harvest.consent import LegalBasis
from fairbank.harvest.datasets import Description, define_dataset
from fairbank.harvest.index import index_store
from fairbank.harvest.legal_basis import record_basis
from fairbank.harvest.publishing import publish
from fairbank.harvest.runs import PullOrder, pull
from fairbank.harvest.sources.opening import add_source
from fairbank.harvest.sources.protocol import SourceKind
from fairbank.ontology.record import CollectionKind
from fairbank.release.hub_client import HubClient
from fairbank.release.node import Node, enrol, init_node, open_node
from fairbank.release.outbox import Outbox
from fairbank.release.outbox_review import Decision, decide
from fairbank.settings import FILE_NAME, Settings, load
from fairbank.signing import Sealed
from fairbank.web.acts import Wish, grant, request_access
from fairbank.web.api_client import HubApi

SITES = ("east", "north", "west")
SUBJECTS = 12  # more than the default k of 10, so that nothing about the site's settings is special
DATASET = "tiny-ct"
RESEARCHER, MEMBER = "ada", "grace"
OBSERVED_NODE = Path(__file__).with_name("observed_node.py")
WAIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Interval:
    """One site trained one round; seconds of the monotonic clock."""

    round: int
    begun: float
    ended: float


@dataclass(frozen=True, slots=True)
class Site:
    """One node, what its process notes, and how many seconds its images took to come in."""

    node: Node
    notes: Path
    import_s: float = 0.0

    def observed(self) -> list[dict[str, Any]]:
        """Return all that the node's process has noted so far."""
        return (
            [json.loads(line) for line in self.notes.read_text().splitlines()] if self.notes.exists() else []
        )

    def trained(self, since: int) -> list[Interval]:
        """Return when it trained, by what was noted after so many lines."""
        noted = self.observed()[since:]
        return [Interval(one["train"], one["begun"], one["ended"]) for one in noted if "train" in one]

    def wire_bytes(self) -> int:
        """Return how many bytes its connections have carried."""
        # The newest line of a connection says what it has carried in all.
        newest = {one["port"]: one["sent"] + one["received"] for one in self.observed() if "port" in one}
        return sum(newest.values())


@dataclass(frozen=True, slots=True)
class Holding:
    """What the sites of a federation have, and what a rule lets run on it.

    Attributes:
        write: writes a site's DICOM files below a folder; where it leaves `labels.csv` and `mapping.toml` beside that
            folder, they become clinical variables.
        trust: what is believed of their pixels.
    """

    dataset: str
    tool: str
    write: Callable[[Path, str], None]
    trust: PixelTrust = PixelTrust.STRICT


class Federation:
    """Sets everything up to the point where a granted job can be submitted and is approved by rule.

    Args:
        idle_workers: whether nodes keep workers ready for jobs that are yet to come.
        holding: what the sites have; twelve tiny images each by default.
        told: is called with a line when a site has its images.
    """

    def __init__(
        self,
        home: Path,
        processes: Processes,
        *,
        idle_workers: str = "no",
        holding: Holding | None = None,
        told: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.home, self.holding, self._told = home, holding or tiny(), told
        self.clock = SystemClock()
        self.sites: list[Site] = []
        self._processes, self._idle_workers = processes, idle_workers
        self._url = f"https://127.0.0.1:{free_port()}"
        self._passwords = {name: secrets.token_urlsafe(12) for name in (RESEARCHER, MEMBER)}

    def start(self) -> tuple[HubApi, Sealed]:
        """Start all, and return the researcher's client with the visa that was granted to her."""
        self._make_certificates()
        self._start_hub()
        for name in SITES:
            self._make_site(name)
        researcher, member = self._person(RESEARCHER), self._person(MEMBER)
        _until(lambda: researcher.get("/search")["count"] >= len(SITES))
        self._set_up_committee()
        visa = self._granted(researcher, member)
        for site in self.sites:
            add_rule(
                site.node,
                Rule(
                    requester_key=researcher.key().key_id,
                    dataset=self.holding.dataset,
                    expires=self.clock.now() + timedelta(days=1),
                    code_digest=tool_named(self.holding.tool).digest,
                ),
                by="curator",
            )
            self._start_agent(site)
        return researcher, visa

    def _make_certificates(self) -> None:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.home / "authority.pem"))
        issued = authority.issue_cert("127.0.0.1", "localhost")
        issued.private_key_pem.write_to_path(str(self.home / "hub-key.pem"))
        for place, part in enumerate(issued.cert_chain_pems):
            part.write_to_path(str(self.home / "hub-certificate.pem"), append=place > 0)

    def _start_hub(self) -> None:
        settings = self._home(
            "hub",
            port=int(self._url.rpartition(":")[2]),
            certificate=str(self.home / "hub-certificate.pem"),
            private_key=str(self.home / "hub-key.pem"),
        )
        hub = init_hub(settings, self.clock, public_base_iri=self._url)
        with writing(hub.engine) as session:
            for name, role in ((RESEARCHER, Role.RESEARCHER), (MEMBER, Role.COMMITTEE)):
                create_account(
                    session,
                    hub,
                    name=name,
                    password=self._passwords[name],
                    roles=[role],
                    organisation="bench",
                )
            self._tokens = {name: nodes.invite(session, hub, actor="bench", node=name) for name in SITES}
        hub.queries.close()
        hub.engine.dispose()
        self._processes.start("hub", ["fairbank", "--home", str(settings.home), "hub", "run"])
        self._processes.wait_until("hub", self._hub_answers)

    def _make_site(self, name: str) -> None:
        settings = self._home(name)
        node = init_node(settings, self.clock, name=name)
        enrol(node, hub_url=self._url, token=self._tokens[name])
        node = open_node(settings, self.clock)
        # Published protocols normalise over batches.
        allow_small_trainings(node, batch_norm_buffers=True)
        images, dataset = self.home / "images" / name, self.holding.dataset
        self.holding.write(images / "all", name)
        begun = time.monotonic()
        add_source(node, "images", kind=SourceKind.FOLDER, location=str(images))
        record_basis(node, "all", LegalBasis.ANONYMOUS_DATA, note="made for the bench", by="bench")
        report = pull(
            node,
            PullOrder(
                source="images", container="all", project="all", agent="bench", trust=self.holding.trust
            ),
        )
        if set(report.items) != {"ok"}:
            raise RuntimeError(f"not all images came in: {report.items}, {report.results[:3]}")
        about = Description(dataset, "Images for measuring.", CollectionKind.TEST, data_use=("DUO:0000042",))
        define_dataset(node, dataset, project="all", description=about)
        self._import_labels(node, images)
        index_store(node, dataset)
        import_s = time.monotonic() - begun
        self._told(f"{name}: {report.items} in {import_s:.0f} s")
        release = publish(node, dataset).release
        assert release is not None
        decide(node, release, Decision.APPROVE, by="bench", why="made-up images")
        Outbox(node, HubClient.of(node)).send(release.id)
        self.sites.append(Site(node, self.home / f"{name}.notes", import_s))

    def _import_labels(self, node: Node, folder: Path) -> None:
        labels = folder / "labels.csv"
        if not labels.exists():
            return
        mapping = read_mapping((folder / "mapping.toml").read_text())
        rows = open_rows(node, "all", mapping, file=labels, beside=folder)
        found = import_variables(node, "all", mapping, rows)
        if found.left_out:
            raise RuntimeError(f"labels were left out: {found.counts()}")

    def _start_agent(self, site: Site) -> None:
        arguments = [str(site.notes), "--home", str(site.node.settings.home), "node", "run"]
        # Beside what the bench itself is run with: it may measure another tree than the installed one.
        paths = [str(OBSERVED_NODE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        environ = {"PYTHONPATH": os.pathsep.join(paths)}
        self._processes.start(f"node-{site.node.name}", [OBSERVED_NODE.stem, *arguments], environ=environ)

    def _person(self, name: str) -> HubApi:
        api = HubApi.from_home(self._home(name), self.clock)
        api.login(name, self._passwords[name])
        api.register_key()
        return api

    def _set_up_committee(self) -> None:
        hub = open_hub(load(flags={"home": self.home / "hub"}, environ={})[0], self.clock)
        with writing(hub.engine) as session:
            wish = membership.NewCommittee(title="Bench")
            committee = membership.create(session, hub, wish, actor="bench").id
            for name in SITES:
                membership.add_scope(session, hub, committee, membership.Scope(node=name), actor="bench")
            membership.add_member(session, hub, committee, MEMBER, chair=True, actor="bench")
        hub.queries.close()
        hub.engine.dispose()

    def _granted(self, researcher: HubApi, member: HubApi) -> Sealed:
        wish = Wish(
            title="What a round costs",
            datasets=[f"{self._url}/datasets/{name}/{self.holding.dataset}" for name in SITES],
            data_use=["DUO:0000006"],
            statement="Measure the framework.",
            output_classes=["model-update"],
            until=self.clock.now() + timedelta(days=2),
        )
        asked = request_access(researcher, wish)["id"]
        terms = {"until": iso(self.clock.now() + timedelta(days=1)), "maximum_runs": 5}
        approval = {"schema": "approval/1", "request": asked, "terms": terms, "comment": ""}
        member.post("/v1/reviews/approvals", approval, signed_in=True)
        return grant(researcher, asked)

    def _home(self, name: str, **of_hub: str | int) -> Settings:
        home = self.home / name
        home.mkdir(exist_ok=True, mode=0o700)
        given = {"url": self._url, "authority": str(self.home / "authority.pem"), **of_hub}
        (home / FILE_NAME).write_text(
            "[hub]\n"
            + "".join(f"{key} = {json.dumps(given[key])}\n" for key in given)
            + f'[jobs]\nidle_workers = "{self._idle_workers}"\n'
        )
        return load(flags={"home": home}, environ={})[0]

    def _hub_answers(self) -> bool:
        try:
            return httpx.get(self._url + "/healthz", verify=self._trust(), timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    def _trust(self) -> Any:
        import ssl

        return ssl.create_default_context(cafile=str(self.home / "authority.pem"))


def tiny() -> Holding:
    """Return what is held where images do not matter, and `noop` runs."""
    return Holding(DATASET, "noop", lambda folder, site: make_images(folder, patients_of=site))


def make_images(folder: Path, *, patients_of: str) -> None:
    """Write one small CT image for each of the subjects."""
    from pydicom import dcmread
    from pydicom.data import get_testdata_file
    from pydicom.uid import generate_uid

    folder.mkdir(parents=True)
    image = dcmread(get_testdata_file("CT_small.dcm", download=False))
    for number in range(SUBJECTS):
        image.PatientID = f"{patients_of}-{number}"
        for uid in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
            setattr(image, uid, generate_uid(entropy_srcs=[patients_of, uid, str(number)]))
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        image.save_as(folder / f"{number:02}.dcm")


def seconds_of_imports(code: str, *, together: int) -> float:
    """Return how long several bare interpreters take that run the same code at the same time."""
    begun = time.monotonic()
    running = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(together)]
    statuses = [process.wait() for process in running]
    if any(statuses):
        raise RuntimeError(f"{code!r} ended with {statuses}")
    return time.monotonic() - begun


def _until(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not look():
        if time.monotonic() > deadline:
            raise TimeoutError("the federation did not come up")
        time.sleep(0.05)
