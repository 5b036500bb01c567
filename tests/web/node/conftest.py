"""A node with its pages open: real jobs, outputs and persons, made by the functions that make them elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.federated_jobs.conftest import start  # noqa: F401  a fixture

from fairbank.release.people import add_person, unlock
from fairbank.web.node.app import create_app
from fairbank.web.node.desk import Desk

PHRASE = "correct horse"
PORT = 8765
HTML = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"


@dataclass
class AtTheDesk:
    """Somebody's browser at a node."""

    fed: Any
    site: Any
    desk: Desk
    app: Any

    def client(self, *, fresh: bool = False) -> TestClient:
        """Return a client without a session."""
        client = TestClient(self.app, base_url=f"http://127.0.0.1:{PORT}", follow_redirects=False)
        client.headers.update({"Accept": HTML, "Sec-Fetch-Site": "same-origin"})
        return client

    def seated(self, who: str = "ada") -> TestClient:
        """Return a client in a session of a person, or of this machine's user where nobody is named."""
        client = self.client()
        answer = client.post(
            f"/start/{self.desk.link()}", data={"open-person": who, "open-passphrase": PHRASE}
        )
        assert answer.status_code == 303, answer.text
        # The cookie is for TLS; browsers take this machine for as safe, the client does not.
        client.headers["Cookie"] = answer.headers["set-cookie"].split(";")[0]
        return client

    def send(self, client: TestClient, address: str, **fields: Any) -> Any:
        """Fill in the form of a page, as it is shown now, and send it."""
        return client.post(address, data={**hidden(client.get(address).text), **fields})

    def waiting_job(self, **options: Any) -> str:
        """Return a job that waits for this site."""
        job: str = self.fed.submit(self.fed.manifest(self.fed.visa(), **options))
        self.fed.settle()
        return job

    def held_job(self, who: Any = None) -> str:
        """Return a job whose output waits to leave."""
        from fairbank.federated_jobs.node.approval import Consent, approve

        job = self.waiting_job()
        approve(self.site.node, job, Consent("-", hold_outputs=True, signer=who), source=self.site.index)
        self.fed.settle()
        return job


def hidden(text: str) -> dict[str, str]:
    """Return the hidden fields of the decision form of a page."""
    form = next(one for one in re.findall(r"<form.*?</form>", text, flags=re.S) if 'name="once"' in one)
    return dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form))


@pytest.fixture
def bare(start: Any) -> Iterator[AtTheDesk]:  # noqa: F811
    """A node at which nobody is named."""
    fed = start("east")
    site = fed.sites["east"]
    desk = Desk(site.node, source=site.index, user="curator")
    yield AtTheDesk(fed, site, desk, create_app(desk, port=PORT))


@pytest.fixture
def at(bare: AtTheDesk) -> AtTheDesk:
    """A node with two persons, ada and ben."""
    add_person(bare.site.node, "ben", PHRASE, by=bare.site.person("ada"))
    return bare


@pytest.fixture
def ada(at: AtTheDesk) -> Any:
    return unlock(at.site.node, "ada", PHRASE)
