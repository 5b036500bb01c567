"""What the tests of pages ask without a browser: the twin of a page in JSON, a page itself, and a form on it."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from starlette.testclient import TestClient
from tests.web.filled_hub import BASE, Filled

from fairbank.catalogue.identity import sessions
from fairbank.catalogue.identity.sessions import Stage
from fairbank.database import writing

HTML = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}
JSON = {"Accept": "application/json"}


def told(filled: Filled, who: str, address: str) -> Any:
    """Return what a page says to somebody, as JSON."""
    answer = filled.client.get(
        address, headers={**filled.people[who].headers, **JSON}, follow_redirects=False
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def client_of(filled: Filled, who: str) -> TestClient:
    """Return a browser without a screen, in which somebody is signed in."""
    name = sessions.cookie_name(filled.hub, secure=False)
    with writing(filled.hub.engine) as session:
        secret = sessions.begin(session, filled.hub, account=who, stage=Stage.COMPLETE)
    client = TestClient(filled.app, base_url=BASE, follow_redirects=False)
    client.headers.update({**HTML, "Sec-Fetch-Site": "same-origin"})
    client.cookies.set(name, secret)
    return client


def fields_of(text: str, *, act: str, holding: str = "") -> dict[str, str]:
    """Return the hidden fields of the form on a page that does something, and whose text holds something."""
    for form in re.findall(r"<form\b.*?</form>", text, flags=re.S):
        if f'value="{act}"' in form and holding in form:
            found = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form))
            return {name: unescape(value) for name, value in found.items()}
    raise AssertionError(f"no form does {act}")


def form_of(text: str, act: str) -> dict[str, str]:
    """Return what the form on a page that does something sends if nothing is typed."""
    return {**fields_of(text, act=act), "act": act}
