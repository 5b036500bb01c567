"""A node's pages in a browser: served at a port of this machine, opened with a link."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from html import unescape
from typing import Any

import uvicorn
from starlette.routing import compile_path
from starlette.testclient import TestClient
from tests.web.node.conftest import PHRASE, AtTheDesk

from fairbank.web.node.app import create_app
from fairbank.web.node.page import NodePage, pages

# Notes what runs and what the browser refuses by the content security policy.
WATCH = """
window.happened = [];
window.ran = (which) => window.happened.push('ran ' + which);
document.addEventListener('securitypolicyviolation', (event) =>
  window.happened.push(event.violatedDirective + ' ' + event.blockedURI));
"""
_PATHS = {page.name: (page, compile_path(page.path)[0]) for page in pages()}


@dataclass
class NodeBed:
    """A node that is served, and who sits at it."""

    at: AtTheDesk
    browser: Any
    base: str
    complaints: list[str] = field(default_factory=list)
    state: Any = None

    @contextmanager
    def opened(self, **options: Any) -> Iterator[Any]:
        """Open a tab in the session of ada, or of this machine's user where nobody is named."""
        if self.state is None:
            self.state = self._seat()
        context = self.browser.new_context(base_url=self.base, storage_state=self.state, **options)
        context.add_init_script(WATCH)
        tab = context.new_page()
        tab.on(
            "console", lambda said: said.type in ("error", "warning") and self._note(f"{tab.url} {said.text}")
        )
        tab.on("pageerror", lambda error: self._note(f"{tab.url} {error}"))
        tab.on("dialog", lambda dialog: (self._note(f"{tab.url} dialog"), dialog.dismiss()))
        try:
            yield tab
        finally:
            context.close()

    def _note(self, complaint: str) -> None:
        self.complaints.append(complaint)

    def _seat(self) -> Any:
        context = self.browser.new_context(base_url=self.base)
        tab = context.new_page()
        tab.goto(f"/start/{self.at.desk.link()}")
        if self.at.desk.has_people():
            tab.fill("#open-person", "ada")
            tab.fill("#open-passphrase", PHRASE)
        tab.click("main button")
        tab.wait_for_url(f"{self.base}/")
        state = context.storage_state()
        context.close()
        return state


def serve(at: AtTheDesk, browser: Any, stack: ExitStack) -> NodeBed:
    """Serve a node's pages until the stack is closed."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    port = int(listening.getsockname()[1])
    config = uvicorn.Config(create_app(at.desk, port=port), log_level="critical", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()

    def stop() -> None:
        server.should_exit = True
        thread.join(timeout=10)
        listening.close()

    stack.callback(stop)
    return NodeBed(at, browser, f"http://127.0.0.1:{port}")


def page_at(address: str) -> NodePage | None:
    """Return the page that an address is of; None for pictures and what else is no page with a template."""
    path = address.partition("?")[0].partition("#")[0]
    return next((page for page, pattern in _PATHS.values() if pattern.match(path)), None)


def links(text: str) -> list[str]:
    """Return the addresses of the node that a page leads to, in its order, but for language and looks."""
    found = [unescape(each) for each in re.findall(r'(?:href|src)="(/[^"#]*)', text)]
    return [each for each in dict.fromkeys(found) if not re.search(r"[?&](lang|theme)=", each)]


def crawl(client: TestClient, most: int = 2) -> list[str]:
    """Return the addresses that can be reached from the first page, at most so many of each page."""
    waiting, seen, found = ["/"], {"/"}, []
    count: dict[str, int] = {}
    while waiting:
        address = waiting.pop(0)
        page = page_at(address)
        if page is None or address.startswith("/static/"):
            continue
        count[page.name] = count.get(page.name, 0) + 1
        if count[page.name] > most:
            continue
        answer = client.get(address)
        assert answer.status_code == 200, (address, answer.status_code)
        if not answer.headers["content-type"].startswith("text/html"):
            continue
        found.append(address)
        new = [each for each in links(answer.text) if each not in seen]
        seen.update(new)
        waiting += new
    return found
