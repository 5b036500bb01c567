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
from tests.web.filled_hub import BASE, Filled, Kept, fill
from tests.web.pages.asking import HTML
from tests.web.pages.browsers import BROWSER
from tests.web.pages.page_checks import WIDE

from fairbank.catalogue.context import Hub
from fairbank.catalogue.identity import sessions
from fairbank.catalogue.identity.sessions import Stage
from fairbank.database import writing

HERE = Path(__file__).parent
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
    browser: Any
    complaints: list[tuple[str, str]] = field(default_factory=list)
    _secrets: dict[str, str] = field(default_factory=dict)
    _looking: dict[str | None, Any] = field(default_factory=dict)

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
        client.headers.update({**HTML, "Sec-Fetch-Site": "same-origin"})
        if who is not None:
            client.cookies.set(*self.cookie(who))
        return client

    @contextmanager
    def opened(self, who: str | None = None, **options: Any) -> Iterator[Any]:
        """Open a tab for somebody, or for nobody; `options` are those of a browser context."""
        tab = self._open(**options)
        self._sign_in(tab, who)
        try:
            yield tab
        finally:
            tab.context.close()

    @contextmanager
    def looking(self, who: str | None) -> Iterator[Any]:
        """Give the one wide, light tab in which somebody looks at page after page; each time it has forgotten all.

        What the browser has loaded and compiled stays: a new tab takes longer than a page.
        """
        if who not in self._looking:
            self._looking[who] = self._open(color_scheme="light", viewport=WIDE)
        tab = self._looking[who]
        tab.context.clear_cookies()
        self._sign_in(tab, who)
        yield tab
        tab.evaluate("localStorage.clear(), sessionStorage.clear()")
        tab.emulate_media(color_scheme="light")
        tab.set_viewport_size(WIDE)

    def _open(self, **options: Any) -> Any:
        context = self.browser.new_context(base_url=BASE, **options)
        context.add_init_script(_NOTE_REFUSALS)
        tab = context.new_page()
        tab.on("console", lambda said: self._note(tab, said))
        tab.on("pageerror", lambda error: self.complaints.append((tab.url, str(error))))
        return tab

    def _sign_in(self, tab: Any, who: str | None) -> None:
        if who is not None:
            name, value = self.cookie(who)
            tab.context.add_cookies([{"name": name, "value": value, "url": BASE}])

    def _note(self, tab: Any, said: Any) -> None:
        if said.type in ("error", "warning"):
            self.complaints.append((tab.url, said.text))


class _Open:
    """The bed while it stands."""

    stack: ExitStack | None = None
    browser: Any = None
    listening: Any = None
    bed: Bed | None = None


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    """The hub of all tests of this folder."""
    made = fill(tmp_path_factory.mktemp("pages") / "hub")
    yield made
    made.hub.queries.close()
    made.hub.engine.dispose()


@pytest.fixture
def browser() -> Any:
    """A browser without a hub, opened when a test first asks for it."""
    if _Open.stack is None:
        _Open.stack = ExitStack()
        _Open.browser = _launch(_Open.stack)
    return _Open.browser


@pytest.fixture
def bed(filled: Filled, browser: Any) -> Bed:
    """The hub and a browser."""
    if _Open.bed is None:
        assert _Open.stack is not None
        _serve(filled.app, _Open.stack)
        _Open.bed = Bed(filled, browser)
    _Open.bed.complaints.clear()
    return _Open.bed


@pytest.fixture
def kept(filled: Filled) -> Iterator[Filled]:
    """The hub, put back as it was after the test."""
    was = Kept(filled)
    yield filled
    was.put_back()
    was.close()


@pytest.fixture
def kept_bed(bed: Bed) -> Iterator[Bed]:
    """The hub with a browser, put back as it was after the test; who signed in meanwhile is not any more."""
    was = Kept(bed.filled)
    yield bed
    was.put_back()
    was.close()
    bed._secrets.clear()


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Close the bed after the last test of this folder."""
    if nextitem is None or HERE not in nextitem.path.parents:
        stack, _Open.stack, _Open.browser, _Open.bed = _Open.stack, None, None, None
        if stack is not None:
            stack.close()


def _launch(stack: ExitStack) -> Any:
    from playwright.sync_api import sync_playwright

    driver = stack.enter_context(sync_playwright())
    browser = driver.chromium.launch(
        executable_path=BROWSER,
        args=[
            f"--host-resolver-rules=MAP hub.test:80 127.0.0.1:{_port(stack)}",
            # As an address with TLS would be.
            f"--unsafely-treat-insecure-origin-as-secure={BASE}",
        ],
    )
    stack.callback(browser.close)
    return browser


def _port(stack: ExitStack) -> int:
    """Take the port at which the hub will be served."""
    listening = _Open.listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    stack.callback(listening.close)
    return int(listening.getsockname()[1])


def _serve(app: Any, stack: ExitStack) -> None:
    listening = _Open.listening
    # Without what runs in the background: what is in the hub stands still.
    config = uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()

    def stop() -> None:
        server.should_exit = True
        thread.join(timeout=10)

    stack.callback(stop)
