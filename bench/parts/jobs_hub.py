"""A hub in a process of its own, with nodes and approved-for jobs written straight into its database.

What a committee, a visa and enrolment would do is left out: it costs the same with one node as with hundreds, and is
measured elsewhere. Everything from the first claim on goes the way it goes in earnest.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import httpx

from fairbank.catalogue import nodes
from fairbank.catalogue.context import init_hub
from fairbank.clock import SystemClock, iso
from fairbank.database import writing
from fairbank.demo.processes import Processes, free_port
from fairbank.federated_jobs.code import tool_named
from fairbank.federated_jobs.hub.store import JobRow, SiteRow
from fairbank.federated_jobs.manifest import dataset_iri, draft
from fairbank.ontology.outputs import OutputClass
from fairbank.ontology.signed_objects import GrantedDataset, Purpose, Request, Selector, Visa
from fairbank.settings import FILE_NAME, Settings
from fairbank.signing import SigningKey, sha256_digest

_LARGEST_UPDATE = 2 * 2**30


@dataclass(frozen=True, slots=True)
class BenchHub:
    """A hub that runs, and what one needs to act as its nodes; no job asks those that are `idle`."""

    url: str
    home: Path
    pid: int
    clock: SystemClock
    keys: dict[str, SigningKey]
    jobs: tuple[str, ...]
    idle: tuple[str, ...] = ()

    def database_url(self) -> str:
        """Return the address of its database."""
        return f"sqlite:///{self.home / 'hub.db'}"

    def peak_memory_bytes(self) -> int:
        """Return the most memory that the hub's process and its children have had resident, each at its peak."""
        return sum(_peak_bytes(pid) for pid in (self.pid, *_children(self.pid)))

    def process_peak_bytes(self) -> int:
        """Return the most memory that the hub's own process has had resident."""
        return _peak_bytes(self.pid)

    def processor_s(self) -> float:
        """Return the processor time that the hub's own process has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def start_hub(folder: Path, processes: Processes, *, n_nodes: int, n_jobs: int, n_idle: int = 0) -> BenchHub:
    """Make a hub with nodes and jobs that ask all of them, start it, and return when it answers."""
    clock, port = SystemClock(), free_port()
    url = f"http://127.0.0.1:{port}"
    home = folder / "hub"
    home.mkdir(parents=True)
    (home / FILE_NAME).write_text(f"hub_port = {port}\nlimits_node_requests = 0\n")
    hub = init_hub(
        replace(Settings(), home=home, hub_port=port, limits_node_requests=0), clock, public_base_iri=url
    )
    keys = {f"node-{number:03}": SigningKey.generate() for number in range(n_nodes + n_idle)}
    at_work, idle = list(keys)[:n_nodes], list(keys)[n_nodes:]
    requester = SigningKey.generate()
    with writing(hub.engine) as session:
        for name, key in keys.items():
            nodes.enter(session, hub, name=name, key=key.key_id, title=name, actor="bench", detail={})
        jobs = tuple(_job(session, clock, url, at_work, requester, hub_key=hub.key) for _ in range(n_jobs))
    hub.queries.close()
    hub.engine.dispose()
    processes.start("hub", ["fairbank", "--home", str(home), "hub", "run"])
    processes.wait_until("hub", lambda: _answers(url))
    return BenchHub(url, home, processes.pid("hub"), clock, keys, jobs, tuple(idle))


def _job(session, clock: SystemClock, url: str, names: list[str], requester: SigningKey, *, hub_key) -> str:  # type: ignore[no-untyped-def]
    now = clock.now()
    iris = tuple(dataset_iri(url, name, "images") for name in names)
    purpose = Purpose(data_use=("DUO:0000042",), statement="To measure.")
    request = Request(
        id=clock.new_id(),
        requester_key=requester.key_id,
        requester_account="ada",
        organisation="bench",
        title="bench",
        datasets=iris,
        purpose=purpose,
        output_classes=(OutputClass.MODEL_UPDATE,),
        until=iso(now + timedelta(days=2)),
        created=iso(now),
    )
    sealed_request = request.seal(requester)
    _, request_seal = Request.open(sealed_request, trusted=None)
    terms = tuple(
        GrantedDataset(
            iri=iri,
            selector=Selector(),
            output_classes=request.output_classes,
            tool_families=("benchmark",),
            expires=iso(now + timedelta(days=1)),
            maximum_runs=1,
        )
        for iri in iris
    )
    visa = Visa(
        id=clock.new_id(),
        hub=url,
        request=request_seal.digest,
        requester_key=requester.key_id,
        datasets=terms,
        purpose=purpose,
        not_before=iso(now),
        created=iso(now),
    )
    sealed_visa = visa.seal(hub_key)
    _, visa_seal = Visa.open(sealed_visa, trusted=None)
    manifest = draft(visa_seal, tool_named("noop"), {"weights": 16}, clock=clock, title="bench")
    outputs = tuple(
        output.model_copy(update={"maximum_bytes": _LARGEST_UPDATE}) for output in manifest.outputs
    )
    manifest = manifest.model_copy(update={"outputs": outputs})
    envelope = manifest.seal(requester)
    session.add(
        JobRow(
            id=manifest.id,
            account="ada",
            requester_key=requester.key_id,
            title="bench",
            manifest_digest=sha256_digest(envelope),
            visa_id=visa.id,
            visa_digest=visa_seal.digest,
            request_id=request.id,
            manifest=envelope,
            visa=sealed_visa,
            request=sealed_request,
            tool="noop",
            state="running",
            reason="none",
            rounds=1,
            quorum=len(names),
            approval_deadline=now + timedelta(days=1),
            expires=now + timedelta(days=1),
            created=now,
        )
    )
    session.flush()
    session.add_all(
        SiteRow(job=manifest.id, node=name, state="pending_review", reason="none", since=now)
        for name in names
    )
    return manifest.id


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", timeout=2).status_code == 200
    except httpx.TransportError:
        time.sleep(0.1)
        return False


def _children(pid: int) -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == pid:
                found.append(int(folder.name))
    return found


def _peak_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
