"""A hub with its whole application, a person with an account, and a browser that keeps cookies."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from fairbank.catalogue import accounts
from fairbank.catalogue.accounts import Role
from fairbank.catalogue.context import Hub, init_hub
from fairbank.clock import FixedClock
from fairbank.database import writing
from fairbank.settings import Settings
from fairbank.web.hub_app import create_app

BASE = "https://hub.test"
COOKIE = f"__Host-fairbank-{hashlib.sha256(BASE.encode()).hexdigest()[:8]}"
PASSWORD = "correct horse battery"


class Browser:
    """Follows no redirects, keeps cookies, and sends the forms of the pages that it was shown."""

    def __init__(self, hub: Hub, base: str = BASE) -> None:
        self.client = TestClient(create_app(hub), base_url=base, follow_redirects=False)
        # As browsers say of their own requests.
        self.client.headers["Sec-Fetch-Site"] = "same-origin"
        self.shown: Any = None

    def look(self, path: str, **more: Any) -> Any:
        self.shown = self.client.get(path, headers={"Accept": "text/html"}, **more)
        return self.shown

    def send(self, path: str, **fields: str) -> Any:
        """Send the form of the page that is shown, with its hidden proof."""
        found = re.search(r'name="csrf" value="([^"]*)"', self.shown.text)
        form = {"csrf": found.group(1) if found else "", **fields}
        return self.client.post(path, data=form, headers={"Accept": "text/html"})

    def log_in(self, name: str = "rita", password: str = PASSWORD) -> Any:
        self.look("/login")
        return self.send("/login", name=name, password=password)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., Hub]]:
    """Return what opens a hub with settings; its clock stands still at a moment near the machine's own."""
    made: list[Hub] = []

    def open_with(base: str = BASE, **changes: Any) -> Hub:
        settings = replace(Settings(home=tmp_path / f"hub-{len(made)}"), **changes)
        clock = FixedClock(datetime.now(UTC))
        made.append(init_hub(settings, clock, public_base_iri=base))
        return made[-1]

    yield open_with
    for each in made:
        each.queries.close()
        each.engine.dispose()


def cookies_set(answer: Any) -> dict[str, set[str]]:
    """Return the cookies that an answer sets, each with what it says of it beside the value."""
    return {
        each.partition("=")[0]: {part.strip().lower() for part in each.split(";")[1:]}
        for each in answer.headers.get_list("set-cookie")
    }


def make_account(hub: Hub, name: str, *roles: Role) -> str:
    """Make an account and return a token of it."""
    with writing(hub.engine) as session:
        accounts.create_account(session, hub, name=name, password=PASSWORD, roles=roles)
        return accounts.issue_token(session, hub, name=name).token
