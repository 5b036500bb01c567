"""The researcher's client: what it does when no connection comes about."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from fairbank.clock import FixedClock
from fairbank.demo.processes import free_port
from fairbank.web import api_client
from fairbank.web.api_client import HubApi, HubUnreachable, all_rows


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def api(port: int, tmp_path: Path) -> Iterator[HubApi]:
    client = HubApi(f"http://127.0.0.1:{port}", clock=FixedClock(), home=tmp_path)
    yield client
    client.close()


def test_a_hub_that_comes_back_within_the_pauses_is_reached(
    api: HubApi, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[HTTPServer] = []

    def restart(_: float) -> None:
        if not started:
            started.append(HTTPServer(("127.0.0.1", port), Answers))
            threading.Thread(target=started[0].serve_forever, daemon=True).start()

    monkeypatch.setattr(api_client.time, "sleep", restart)
    try:
        assert api.get("/healthz") == {}
    finally:
        started[0].shutdown()
        started[0].server_close()


def test_a_hub_that_stays_away_is_said_to_be_away(api: HubApi, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(api_client.time, "sleep", pauses.append)
    with pytest.raises(HubUnreachable, match="does not answer"):
        api.get("/healthz")
    assert len(pauses) == 2


class Pages:
    """Answers like a hub, three rows on two pages; `whole` like one of before there were pages."""

    def __init__(self, *, whole: bool = False) -> None:
        self._whole, self.asked = whole, list[object]()

    def get(self, path: str, *, signed_in: bool, after: object) -> dict[str, object]:
        self.asked.append(after)
        rows = [{"id": each} for each in "abc"]
        if self._whole:
            return {"grants": rows}
        return {"grants": rows[2:], "next": None} if after else {"grants": rows[:2], "next": "mark"}


@pytest.mark.parametrize("whole", [False, True])
def test_the_rows_of_a_list_are_read_to_the_end(whole: bool) -> None:
    pages: Any = Pages(whole=whole)
    assert [row["id"] for row in all_rows(pages, "/v1/grants", "grants")] == ["a", "b", "c"]
    assert pages.asked == ([None] if whole else [None, "mark"])


def test_the_pages_after_the_row_that_was_looked_for_are_not_asked_for() -> None:
    pages: Any = Pages()
    assert next(all_rows(pages, "/v1/grants", "grants")) == {"id": "a"}
    assert pages.asked == [None]
