"""A hub on a database of its own, nodes that sign, people who log in; no server, no network."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi import FastAPI, Request
from starlette.responses import JSONResponse
from starlette.testclient import TestClient

from fairbank.catalogue import accounts, nodes
from fairbank.catalogue.accounts import AccountKey, Role
from fairbank.catalogue.context import Hub, init_hub
from fairbank.clock import FixedClock, iso
from fairbank.database import writing
from fairbank.errors import FairbankError
from fairbank.http_signatures import signature_headers
from fairbank.settings import Settings
from fairbank.signing import SigningKey

BASE = "http://hub.test"
PASSWORD = "correct horse battery"


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return replace(
        Settings(),
        home=tmp_path / "hub",
        jobs_chunk_bytes=65_536,
        sparql_timeout_s=2,
        sparql_memory_bytes=268_435_456,
    )


@pytest.fixture
def hub(settings: Settings, clock: FixedClock) -> Iterator[Hub]:
    opened = init_hub(settings, clock, public_base_iri=BASE)
    yield opened
    opened.queries.close()
    opened.engine.dispose()


def application(*routers: object) -> TestClient:
    app = FastAPI()

    @app.exception_handler(FairbankError)
    async def problem(request: Request, error: FairbankError) -> JSONResponse:
        return JSONResponse(
            error.problem(), error.kind.http_status, media_type="application/problem+json"
        )

    for router in routers:
        app.include_router(router)  # type: ignore[arg-type]
    return TestClient(app, base_url=BASE)


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
        return extra | signature_headers(
            method, BASE + path, body=body, key=self.key, clock=self.clock, content_type=content_type
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
        release_id = release_id or self.clock.new_id()
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


class Person:
    """An account with a token and a key."""

    def __init__(self, hub: Hub, name: str, *roles: Role) -> None:
        self.name, self.key = name, SigningKey.generate()
        with writing(hub.engine) as session:
            accounts.create_account(session, hub, name=name, password=PASSWORD, roles=roles)
            self.token = accounts.issue_token(session, hub, name=name).token
        proof = AccountKey(
            account=name, key=self.key.key_id, hub=hub.base_iri, created=iso(hub.clock.now())
        )
        found = accounts.by_token(hub, self.token)
        assert found is not None
        accounts.register_key(hub, found, proof.seal(self.key))

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}
