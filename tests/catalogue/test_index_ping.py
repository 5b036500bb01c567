"""Indexes of FAIR Data Points are told that the hub is there; that they cannot be reached does no harm."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from starlette.testclient import TestClient

from fairbank.catalogue import index_ping
from fairbank.catalogue.context import Hub
from fairbank.settings import Settings, SettingsError
from fairbank.web.hub_app import create_app


class Index:
    """An index that writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, Any]] = []
        self.status = 204
        self.heard = threading.Event()
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                index.told.append((self.path, self.headers["content-type"], json.loads(body)))
                self.send_response(index.status)
                self.send_header("Location", "/elsewhere")
                self.end_headers()
                index.heard.set()

            def log_message(self, *words: object) -> None:
                return None

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"


@pytest.fixture
def index() -> Iterator[Index]:
    opened = Index()
    thread = threading.Thread(target=opened.server.serve_forever, daemon=True)
    thread.start()
    yield opened
    opened.server.shutdown()
    opened.server.server_close()
    thread.join(10)


def with_indexes(hub: Hub, urls: str) -> Hub:
    return replace(hub, settings=replace(hub.settings, fdp_index_urls=urls))


def test_an_index_is_told_the_address_of_the_root(hub: Hub, index: Index) -> None:
    (told,) = index_ping.tell_all(with_indexes(hub, index.url))
    assert (told.status, told.problem) == (204, "")
    assert index.told == [("/", "application/json", {"clientUrl": f"{hub.base_iri}/"})]


@pytest.mark.parametrize("status", [302, 400, 429, 500])
def test_an_answer_that_says_no_is_logged(
    hub: Hub, index: Index, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    index.status = status
    (told,) = index_ping.tell_all(with_indexes(hub, index.url))
    assert told.problem == f"it answered {status}" and len(index.told) == 1, "no redirect is followed"
    assert str(status) in caplog.text


def test_one_that_cannot_be_reached_keeps_no_other_from_being_told(
    hub: Hub, index: Index, free_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    gone = f"http://127.0.0.1:{free_port}/"
    first, second = index_ping.tell_all(with_indexes(hub, f"{gone}, {index.url} {gone}"))
    assert (first.status, second.status) == (None, 204)
    assert "cannot be reached" in first.problem and gone in caplog.text


def test_a_running_hub_tells_them_at_the_start_and_again(hub: Hub, index: Index) -> None:
    async def some_days() -> None:
        task = asyncio.create_task(index_ping.run(with_indexes(hub, index.url), first_s=0, every_s=0.05))
        while len(index.told) < 3:
            await asyncio.sleep(0.01)
        task.cancel()

    asyncio.run(asyncio.wait_for(some_days(), 30))
    assert len(index.told) >= 3


def test_the_application_starts_it(hub: Hub, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    run = index_ping.run
    monkeypatch.setattr(index_ping, "run", lambda opened: run(opened, first_s=0))
    with TestClient(create_app(with_indexes(hub, index.url))) as web:
        assert index.heard.wait(30)
        assert web.get("/healthz").status_code == 200


def test_a_fault_of_one_day_does_not_end_it(
    hub: Hub, index: Index, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    days: list[int] = []

    def broken(opened: Hub) -> None:
        days.append(1)
        raise RuntimeError("a fault")

    monkeypatch.setattr(index_ping, "tell_all", broken)

    async def some_days() -> None:
        task = asyncio.create_task(index_ping.run(with_indexes(hub, index.url), first_s=0, every_s=0))
        while len(days) < 3:
            await asyncio.sleep(0.01)
        assert not task.done()
        task.cancel()

    asyncio.run(asyncio.wait_for(some_days(), 30))
    assert "could not be told" in caplog.text


def test_nobody_is_told_by_default(hub: Hub) -> None:
    assert index_ping.index_urls(Settings()) == ()
    asyncio.run(asyncio.wait_for(index_ping.run(hub), 1))


@pytest.mark.parametrize(
    "url", ["index.example.org", "ftp://index.example.org/", "https://", "file:///etc/hosts"]
)
def test_what_is_no_address_is_refused(hub: Hub, url: str) -> None:
    with pytest.raises(SettingsError):
        index_ping.tell_all(with_indexes(hub, url))


def test_the_command_shows_the_answers(fairbank: Callable[..., Any], index: Index, free_port: int) -> None:
    fairbank("hub", "init", "--public-base-iri", "http://hub.test").ok()
    assert "No index" in (ran := fairbank("hub", "announce").ok()).out + ran.err
    told = fairbank("--set", f"fdp_index_urls={index.url}", "hub", "announce", "--format", "json").ok()
    assert json.loads(told.out) == [{"index": index.url, "answer": "told (204)"}]
    gone = fairbank("--set", f"fdp_index_urls=http://127.0.0.1:{free_port}/", "hub", "announce")
    assert gone.code == 1 and "cannot be reached" in gone.out
    assert len(index.told) == 1
