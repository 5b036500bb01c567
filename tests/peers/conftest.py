"""A live hub on loopback, and foreign clients that run in an environment of their own, unmodified."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from fairbank.catalogue import accounts, nodes, records
from fairbank.catalogue.accounts import Role
from fairbank.catalogue.context import Hub, init_hub
from fairbank.clock import SystemClock, iso
from fairbank.database import writing
from fairbank.ontology.counts import Count
from fairbank.ontology.record import (
    Activity,
    ActivityKind,
    CollectionKind,
    DatasetRecord,
    Stratum,
    Totals,
)
from fairbank.ontology.stewardship import Stewardship
from fairbank.settings import Settings
from fairbank.signing import SigningKey
from fairbank.web.hub_app import create_app

DRIVERS = Path(__file__).parent / "drivers"
ADMIN, PASSWORD = "anna", "correct horse battery"
TITLES = {
    ("alpha", "brains"): "Gehirne – 脑 – 🧠",
    ("alpha", "lungs"): "Poumons de l'Hôpital",
    ("beta", "hearts"): "Hearts",
}


@contextlib.contextmanager
def served(app: Any, listener: socket.socket) -> Iterator[None]:
    """Serve an application on a socket that is bound already."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = server.force_exit = True
        thread.join(20)
        listener.close()


def listening() -> tuple[socket.socket, str]:
    """Return a socket bound to a free port on loopback, and the address of what listens there."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    return listener, f"http://127.0.0.1:{listener.getsockname()[1]}"


@dataclass(frozen=True)
class Live:
    """A hub that answers at its own address, with an administrator."""

    hub: Hub
    url: str


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A hub with three datasets of two biobanks, for a module of tests."""
    listener, url = listening()
    settings = replace(Settings(), home=tmp_path_factory.mktemp("live") / "hub")
    hub = init_hub(settings, SystemClock(), public_base_iri=url)
    keys = {node: enrolled(hub, node) for node in ("alpha", "beta")}
    with writing(hub.engine) as session:
        accounts.create_account(session, hub, name=ADMIN, password=PASSWORD, roles=[Role.ADMIN])
        for (node, dataset), title in TITLES.items():
            sealed = record(node, dataset, title).seal(keys[node])
            records.publish(session, hub, *DatasetRecord.open(sealed, trusted=[keys[node].key_id]))
    with served(create_app(hub), listener):
        yield Live(hub, url)
        hub.notifier.close()
    hub.queries.close()
    hub.engine.dispose()


def wait_for_endpoint(url: str, iri: str) -> None:
    """Wait until SPARQL knows a resource, which is moments after it is published."""
    query = {"query": f"ASK {{ <{iri}> ?p ?o }}"}
    for _ in range(100):
        if httpx.get(f"{url}/sparql", params=query).json()["boolean"]:
            return
        time.sleep(0.1)
    raise AssertionError(f"{iri} does not reach the endpoint")


def enrolled(hub: Hub, node: str) -> SigningKey:
    """Enrol a node and return its key."""
    key = SigningKey.generate()
    with writing(hub.engine) as session:
        token = nodes.invite(session, hub, actor=ADMIN)
    nodes.enrol(hub, nodes.Enrolment(node=node, key=key.key_id, token=token, title=node.title()))
    return key


def record(node: str, dataset: str, title: str) -> DatasetRecord:
    """Return a small record with samples and statistics to read."""
    now = iso(SystemClock().now())
    counted = {"series": Count.exact(160), "studies": Count.exact(70), "subjects": Count.exact(60)}
    return DatasetRecord(
        node=node,
        dataset=dataset,
        version=1,
        title=title,
        description=f"{title}, in full",
        keywords=("imagerie médicale",),
        publisher=f"{node.title()} Biobank",
        contact="data access office",
        licence="CC BY 4.0",
        collection_kind=CollectionKind.SCREENING,
        data_use=("DUO:0000006",),
        minimum_count=10,
        totals=Totals(instances=Count.exact(9000), **counted),
        cube=(
            Stratum(
                modality="CT",
                body_part="CHEST",
                manufacturer="Siemens",
                slice_thickness="1-1.5",
                **counted,
            ),
        ),
        acquired_from=2015,
        acquired_to=2019,
        provenance=(
            Activity(
                kind=ActivityKind.HARVEST,
                tool="fairbank harvest",
                tool_version="0.1.0",
                source_system="research store",
                agent="curator",
                started=now,
                ended=now,
            ),
        ),
        stewardship=Stewardship(samples=("https://alpha.test/sample",)),
        created=now,
    )


@pytest.fixture(scope="session")
def driver(peers: Path) -> Callable[..., Any]:
    """Run a script of `drivers/` in the clients' environment and return what it printed last, as JSON."""

    def run(name: str, *words: str) -> Any:
        ran = subprocess.run(
            [peers / "python", DRIVERS / f"{name}.py", *words],
            capture_output=True, text=True, timeout=120, env={"PYTHONUTF8": "1"},
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr[-3000:] + ran.stdout[-2000:]
        return json.loads(ran.stdout.splitlines()[-1])

    return run
