"""A hub that can be run in a test: it checks signatures, keeps uploads by offset, and fails when told to."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from fairbank.clock import FixedClock
from fairbank.errors import FairbankError
from fairbank.http_signatures import verify_request
from fairbank.ontology.counts import Count
from fairbank.ontology.record import (
    CollectionKind,
    DatasetRecord,
    Distribution,
    HowKnown,
    Stratum,
    Totals,
)
from fairbank.ontology.wire import moment
from fairbank.release.hub_client import HubClient, Retries
from fairbank.release.node import Enrolment, Node, init_node
from fairbank.release.outbox import Outbox
from fairbank.settings import Settings
from fairbank.signing import SigningKey, sha256_digest

Fault = Callable[[httpx.Request], httpx.Response | None]
BASE = "http://hub.test"


@dataclass
class Upload:
    headers: dict[str, str]
    content: bytearray = field(default_factory=bytearray)
    complete: bool = False


class FakeHub:
    """The routes of a hub that a node's door speaks to."""

    def __init__(self, clock: FixedClock) -> None:
        self.key = SigningKey.generate()
        self.clock = clock
        self.known: set[str] = set()
        self.nonces: set[str] = set()
        self.uploads: dict[str, Upload] = {}
        self.unique: dict[tuple[str, str, str], str] = {}
        self.blobs: dict[str, bytes] = {}
        self.bodies: list[tuple[str, str, bytes]] = []
        self.requests: list[httpx.Request] = []
        self.faults: list[Fault] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self.faults:
            answer = self.faults.pop(0)(request)
            if answer is not None:
                return answer
        try:
            return self.answer(request)
        except FairbankError as err:
            return self.problem(err.kind.http_status, err.code, err.what)

    def answer(self, request: httpx.Request) -> httpx.Response:
        body = request.read()
        path = request.url.path
        signed = verify_request(
            request.method, str(request.url), request.headers, body=body, clock=self.clock
        )
        assert signed.nonce not in self.nonces, "a nonce was used twice"
        self.nonces.add(signed.nonce)
        if body:
            self.bodies.append((request.method, path, body))
        if path == "/v1/hub":
            return httpx.Response(200, json={"schema": "hub/1", "key": self.key.key_id, "base_iri": BASE})
        if path == "/v1/enrolments":
            self.known.add(signed.key_id)
            node = json.loads(body)["node"]
            return httpx.Response(200, json={
                "schema": "enrolled/1", "node": node, "hub_key": self.key.key_id, "base_iri": BASE})  # fmt: skip
        if signed.key_id not in self.known:
            return self.problem(403, "FB-CAT-012", "The request is signed with a key that no node has.")
        if path.startswith("/v1/releases/"):
            return self.release(request, path.rsplit("/", 1)[1], body)
        if path.startswith("/v1/blobs/"):
            return self.blob(request, path.rsplit("/", 1)[1])
        return httpx.Response(204) if path.endswith("/claim") else httpx.Response(200, json={"ok": True})

    def release(self, request: httpx.Request, release_id: str, body: bytes) -> httpx.Response:
        found = self.uploads.get(release_id)
        if request.method == "HEAD":
            if found is None:
                return httpx.Response(404, headers={"Content-Type": "application/problem+json"})
            state = "complete" if found.complete else "partial"
            offset = str(len(found.content))
            return httpx.Response(200, headers={"Upload-Offset": offset, "Upload-State": state})
        headers = request.headers
        place = (headers.get("Fairbank-Job", ""), headers["Fairbank-Round"], headers["Fairbank-Output"])
        digest = headers["Fairbank-Digest"]
        if self.unique.setdefault(place, digest) != digest:
            return self.problem(409, "FB-CAT-031", "Another release was announced.")
        first, last, total = map(int, re.findall(r"\d+", headers["Content-Range"]))
        found = self.uploads.setdefault(release_id, Upload(dict(headers)))
        if first > len(found.content):
            return self.problem(409, "FB-CAT-031", "The piece leaves a gap.")
        found.content[first : last + 1] = body
        if len(found.content) < total:
            return httpx.Response(202, json={}, headers={"Upload-Offset": str(len(found.content))})
        assert sha256_digest(bytes(found.content)) == digest
        found.complete = True
        return httpx.Response(200, json={"state": "complete"}, headers={"Upload-Offset": str(total)})

    def blob(self, request: httpx.Request, digest: str) -> httpx.Response:
        content = self.blobs[digest]
        begin = int(re.sub(r"\D", "", request.headers.get("Range", "0")))
        return httpx.Response(206 if begin else 200, content=content[begin:])

    @staticmethod
    def problem(status: int, code: str, title: str) -> httpx.Response:
        body = {"status": status, "code": code, "title": title, "detail": ""}
        return httpx.Response(status, json=body, headers={"Content-Type": "application/problem+json"})

    # -- ways to fail ----------------------------------------------------------------------------------------------

    @staticmethod
    def refuse_connection(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    def lose_answer(self, request: httpx.Request) -> httpx.Response:
        self.answer(request)
        raise httpx.ReadError("reset", request=request)

    @staticmethod
    def lose_request(request: httpx.Request) -> httpx.Response:
        raise httpx.WriteError("reset", request=request)

    @staticmethod
    def status(code: int, **headers: str) -> Fault:
        return lambda request: httpx.Response(
            code, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )


@pytest.fixture
def hub(clock: FixedClock) -> FakeHub:
    return FakeHub(clock)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        home=tmp_path / "home", release_minimum_count=5, jobs_chunk_bytes=65_536, hub_allow_plain_http="yes"
    )


@pytest.fixture
def node(settings: Settings, clock: FixedClock, hub: FakeHub) -> Iterator[Node]:
    made = init_node(settings, clock, name="biobank-a")
    hub.known.add(made.key.key_id)
    enrolled = Node(
        made.settings, made.engine, clock, made.key, made.name,
        Enrolment(BASE, hub.key.key_id, BASE, made.name),
    )  # fmt: skip
    yield enrolled
    made.engine.dispose()


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def connect(hub: FakeHub, pauses: list[float]) -> Callable[[Node], HubClient]:
    def connected(node: Node) -> HubClient:
        return HubClient(
            BASE, key=node.key, clock=node.clock, retries=Retries(attempts=4),
            transport=httpx.MockTransport(hub), sleep=pauses.append,
        )  # fmt: skip

    return connected


@pytest.fixture
def outbox(node: Node, connect: Callable[[Node], HubClient]) -> Outbox:
    return Outbox(node, connect(node))


@pytest.fixture
def make_record(clock: FixedClock) -> Callable[..., DatasetRecord]:
    """Make a record with exact counts: cells as (modality, body part, series, studies, subjects)."""

    def made(
        cells: list[tuple[str, str, int, int, int]],
        *,
        subjects: int,
        sex: dict[str, int] | None = None,
        node: str = "biobank-a",
        version: int = 1,
        **more: Any,
    ) -> DatasetRecord:
        exact = Count.exact
        return DatasetRecord(
            node=node, dataset="lungs", version=version, title="Lungs", description="A collection.",
            publisher="Biobank A", collection_kind=CollectionKind.CLINICAL, minimum_count=1,
            totals=Totals(
                subjects=exact(subjects), studies=exact(sum(cell[3] for cell in cells)),
                series=exact(sum(cell[2] for cell in cells)),
                instances=exact(100 * sum(cell[2] for cell in cells)),
            ),
            cube=tuple(
                Stratum(
                    modality=modality, body_part=part, manufacturer="Siemens", slice_thickness="1-1.5",
                    series=exact(series), studies=exact(studies), subjects=exact(people),
                )
                for modality, part, series, studies, people in cells
            ),
            distributions=tuple(
                Distribution(attribute="sex", value=value, how_known=HowKnown.HEADER, subjects=exact(people))
                for value, people in (sex or {}).items()
            ),
            provenance=(), created=moment(clock.now()), **more,
        )  # fmt: skip

    return made
