"""One hub with a few months of work in it, one server and one browser for all tests of the pages.

The browser is closed when the last test of this folder is over, not at the end of the session: its driver keeps an
event loop running in this thread, which other tests could not bear.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.testclient import TestClient
from tests.web.filled_hub import BASE, Filled, fill
from tests.web.pages.browsers import BROWSER, picture_folder

from fairbank.catalogue.context import Hub
from fairbank.catalogue.identity import sessions
from fairbank.catalogue.identity.sessions import Stage
from fairbank.database import writing

HERE = Path(__file__).parent
HTML = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"
# Notes what the browser refuses by the content security policy.
_NOTE_REFUSALS = """
window.refused = [];
document.addEventListener('securitypolicyviolation', (event) =>
  window.refused.push(event.violatedDirective + ' ' + event.blockedURI));
"""


@dataclass
class Bed:
    """What the tests lie on.

    Attributes:
        filled: the hub and the ids of what is in it, by the name of the parameter.
        complaints: what the console of any opened page said, as (address, text).
    """

    filled: Filled
    pictures: Path | None
    port: int = 0
    browser: Any = None
    complaints: list[tuple[str, str]] = field(default_factory=list)
    _secrets: dict[str, str] = field(default_factory=dict)

    @property
    def hub(self) -> Hub:
        return self.filled.hub

    def cookie(self, who: str) -> tuple[str, str]:
        """Return name and value of the cookie of somebody who is signed in."""
        if who not in self._secrets:
            with writing(self.hub.engine) as session:
                self._secrets[who] = sessions.begin(session, self.hub, account=who, stage=Stage.COMPLETE)
        return sessions.cookie_name(self.hub, secure=False), self._secrets[who]

    def client(self, who: str | None = None) -> TestClient:
        """Return a client without a browser, for somebody who is signed in or for nobody."""
        client = TestClient(self.filled.app, base_url=BASE, follow_redirects=False)
        client.headers.update({"Accept": HTML, "Sec-Fetch-Site": "same-origin"})
        if who is not None:
            client.cookies.set(*self.cookie(who))
        return client

    @contextmanager
    def opened(self, who: str | None = None, **options: Any) -> Iterator[Any]:
        """Open a tab for somebody, or for nobody; `options` are those of a browser context."""
        context = self.browser.new_context(base_url=BASE, **options)
        if who is not None:
            name, value = self.cookie(who)
            context.add_cookies([{"name": name, "value": value, "url": BASE}])
        context.add_init_script(_NOTE_REFUSALS)
        tab = context.new_page()
        tab.on("console", lambda said: self._note(tab, said))
        tab.on("pageerror", lambda error: self.complaints.append((tab.url, str(error))))
        try:
            yield tab
        finally:
            context.close()

    def take_picture(self, tab: Any, name: str) -> None:
        """Take a picture of a page if somebody wants them: they take longer than the page."""
        if self.pictures is not None:
            tab.screenshot(path=self.pictures / f"{name}.png", full_page=True)

    def _note(self, tab: Any, said: Any) -> None:
        if said.type in ("error", "warning"):
            self.complaints.append((tab.url, said.text))


class _Open:
    """The bed while it stands."""

    stack: ExitStack | None = None
    bed: Bed | None = None


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    """The hub of all tests of this folder."""
    made = fill(tmp_path_factory.mktemp("pages") / "hub")
    yield made
    made.hub.queries.close()
    made.hub.engine.dispose()


@pytest.fixture
def bed(filled: Filled) -> Bed:
    """The hub and a browser, opened when a test first asks for them."""
    if _Open.bed is None:
        _Open.stack = ExitStack()
        _Open.bed = _make(filled, _Open.stack)
    _Open.bed.complaints.clear()
    return _Open.bed


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Close the bed after the last test of this folder."""
    if nextitem is None or HERE not in nextitem.path.parents:
        stack, _Open.stack, _Open.bed = _Open.stack, None, None
        if stack is not None:
            stack.close()


def _make(filled: Filled, stack: ExitStack) -> Bed:
    bed = Bed(filled, picture_folder())
    bed.port = _serve(filled.app, stack)
    from playwright.sync_api import sync_playwright

    driver = stack.enter_context(sync_playwright())
    bed.browser = driver.chromium.launch(
        executable_path=BROWSER,
        args=[
            f"--host-resolver-rules=MAP hub.test:80 127.0.0.1:{bed.port}",
            # As an address with TLS would be.
            f"--unsafely-treat-insecure-origin-as-secure={BASE}",
        ],
    )
    stack.callback(bed.browser.close)
    return bed


def _serve(app: Any, stack: ExitStack) -> int:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    # Without what runs in the background: what is in the hub stands still.
    config = uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()

    def stop() -> None:
        server.should_exit = True
        thread.join(timeout=10)
        listening.close()

    stack.callback(stop)
    return int(listening.getsockname()[1])
