"""How archives are asked: rate, retries, Retry-After, circuit breaker, pages in the place of answers."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from fairbank.clock import FixedClock
from fairbank.harvest.errors import (
    AnswerTooLarge,
    BadDefinition,
    NotInSource,
    SourceFailed,
    SourceForbidden,
    SourceGivenUp,
    SourceLoginRefused,
    SourceUnreachable,
)
from fairbank.harvest.sources.pace import Machine, Politeness, back_off_s
from fairbank.harvest.sources.polite import PoliteClient

START = datetime(2026, 11, 29, 12, tzinfo=UTC)
Handler = Callable[[httpx.Request], httpx.Response]


class Time:
    """A clock that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.clock = FixedClock(START)
        self.slept: list[float] = []
        self.now_s = 0.0

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.pass_by(seconds)

    def pass_by(self, seconds: float) -> None:
        self.now_s += seconds
        self.clock.advance(seconds)

    def machine(self) -> Machine:
        return Machine(self.sleep, lambda: self.now_s, self.clock, random.Random(1))


@pytest.fixture
def time() -> Time:
    return Time()


def client_of(time: Time, handler: Handler, **more: object) -> PoliteClient:
    manners = more.pop("manners", Politeness(requests_per_s=1000))
    return PoliteClient(
        "https://archive.invalid/base",
        name="archive",
        manners=manners,  # type: ignore[arg-type]
        transport=httpx.MockTransport(handler),
        machine=time.machine(),
        **more,  # type: ignore[arg-type]
    )


def answers(*given: httpx.Response | Exception) -> tuple[Handler, list[httpx.Request]]:
    """Return a handler that gives these answers in turn, the last one for ever, and what it was asked."""
    asked: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        answer = given[min(len(asked), len(given)) - 1]
        if isinstance(answer, Exception):
            raise answer
        # A response can be read once only.
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    return handler, asked


def test_an_answer_is_given_whole(time: Time) -> None:
    handler, asked = answers(httpx.Response(200, json={"rows": [1]}))
    client = client_of(time, handler)
    assert client.json("/rows", params={"a": "1"}) == {"rows": [1]}
    assert str(asked[0].url) == "https://archive.invalid/base/rows?a=1"


def test_nothing_is_what_an_empty_answer_says(time: Time) -> None:
    handler, _ = answers(httpx.Response(204))
    assert client_of(time, handler).json("/rows") is None


def test_requests_keep_to_the_rate(time: Time) -> None:
    handler, _ = answers(httpx.Response(200))
    client = client_of(time, handler, manners=Politeness(requests_per_s=4))
    for _ in range(9):
        client.get("/")
    assert time.now_s == pytest.approx(2.0)


def test_no_more_requests_are_under_way_than_allowed(time: Time) -> None:
    pair, lock = threading.Barrier(2), threading.Lock()
    under_way: list[int] = []
    most: list[int] = []

    def handler(request: httpx.Request) -> httpx.Response:
        with lock:
            under_way.append(1)
            most.append(len(under_way))
        # Two are let in together, so that others would be seen if they were.
        pair.wait(timeout=20)
        with lock:
            under_way.pop()
        return httpx.Response(200)

    client = client_of(time, handler, manners=Politeness(1000, concurrency=2))
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: client.get("/").status, range(8)))
    assert (answers, max(most)) == ([200] * 8, 2)


def test_an_archive_slower_than_the_rate_is_not_made_to_wait(time: Time) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        time.pass_by(1)
        return httpx.Response(200)

    client = client_of(time, handler, manners=Politeness(requests_per_s=4))
    for _ in range(3):
        client.get("/")
    assert time.slept == []


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_busy_archive_is_asked_again(time: Time, status: int) -> None:
    handler, asked = answers(httpx.Response(status), httpx.Response(200, content=b"here"))
    assert client_of(time, handler).get("/").text == "here"
    assert len(asked) == 2


def test_a_lost_connection_is_made_again(time: Time) -> None:
    handler, _ = answers(httpx.ConnectError("gone"), httpx.ReadTimeout("slow"), httpx.Response(200))
    assert client_of(time, handler).get("/").status == 200


def test_pauses_double_with_jitter_up_to_a_minute() -> None:
    chance = random.Random(7)
    for attempt, most in ((1, 1), (2, 2), (3, 4), (5, 16), (20, 60)):
        pauses = [back_off_s(attempt, chance) for _ in range(200)]
        assert most / 2 <= min(pauses) < most * 0.55
        assert most * 0.95 < max(pauses) <= most


def test_retry_after_in_seconds_is_kept(time: Time) -> None:
    handler, _ = answers(httpx.Response(429, headers={"retry-after": "17"}), httpx.Response(200))
    client_of(time, handler).get("/")
    assert time.slept == [17.0]


def test_retry_after_as_a_date_is_measured_by_the_clock_of_the_archive(time: Time) -> None:
    headers = {"date": "Sun, 29 Nov 2026 15:00:00 GMT", "retry-after": "Sun, 29 Nov 2026 15:00:40 GMT"}
    handler, _ = answers(httpx.Response(503, headers=headers), httpx.Response(200))
    client_of(time, handler).get("/")
    assert time.slept == [40.0]


def test_an_archive_that_asks_for_hours_is_left_alone(time: Time) -> None:
    handler, asked = answers(httpx.Response(503, headers={"retry-after": "86400"}))
    with pytest.raises(SourceFailed, match="86400"):
        client_of(time, handler).get("/")
    assert (len(asked), time.slept) == (1, [])


def test_after_four_tries_the_request_has_failed(time: Time) -> None:
    handler, asked = answers(httpx.Response(502))
    with pytest.raises(SourceFailed, match="502, 4 times"):
        client_of(time, handler).get("/")
    assert len(asked) == 4
    handler, asked = answers(httpx.ConnectError("no"))
    with pytest.raises(SourceUnreachable):
        client_of(time, handler).get("/")
    assert len(asked) == 4


def test_after_failures_in_a_row_nothing_more_is_asked(time: Time) -> None:
    handler, asked = answers(httpx.Response(500))
    client = client_of(time, handler, manners=Politeness(1000, tries=1, failures_in_a_row=3))
    for _ in range(3):
        with pytest.raises(SourceFailed):
            client.get("/")
    with pytest.raises(SourceGivenUp, match="3 requests in a row"):
        client.get("/")
    assert len(asked) == 3


def test_an_answer_in_between_forgets_the_failures(time: Time) -> None:
    bad, good = httpx.Response(500), httpx.Response(404)
    handler, asked = answers(bad, bad, good, bad, bad, good)
    client = client_of(time, handler, manners=Politeness(1000, tries=1, failures_in_a_row=3))
    for _ in range(6):
        with pytest.raises((SourceFailed, NotInSource)):
            client.get("/")
    assert len(asked) == 6


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, SourceLoginRefused),
        (302, SourceLoginRefused),
        (403, SourceForbidden),
        (404, NotInSource),
        (410, NotInSource),
        (400, SourceFailed),
        (501, SourceFailed),
    ],
)
def test_what_a_status_means(time: Time, status: int, error: type[Exception]) -> None:
    handler, asked = answers(httpx.Response(status))
    with pytest.raises(error):
        client_of(time, handler).get("/")
    assert len(asked) == 1


@pytest.mark.parametrize(
    "page",
    [
        httpx.Response(200, html="<p>Please log in</p>"),
        httpx.Response(200, content=b"\n <!DOCTYPE html><p>x", headers={"content-type": "application/json"}),
        httpx.Response(200, content=b"<HTML>", headers={"content-type": "text/plain"}),
    ],
)
def test_a_page_sent_as_200_is_a_refused_login(time: Time, page: httpx.Response, tmp_path: Path) -> None:
    handler, _ = answers(page)
    with pytest.raises(SourceLoginRefused):
        client_of(time, handler).get("/")
    assert client_of(time, handler).get("/", pages_allowed=True).status == 200


def test_a_page_is_never_written_to_a_file(time: Time, tmp_path: Path) -> None:
    handler, _ = answers(httpx.Response(200, html="<p>Please log in</p>"))
    with pytest.raises(SourceLoginRefused):
        client_of(time, handler).download("/file", to=tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_an_ended_session_is_renewed_once(time: Time) -> None:
    logins: list[int] = []
    handler, asked = answers(httpx.Response(401), httpx.Response(200, content=b"in"))
    client = client_of(time, handler, renew=lambda: logins.append(1))
    assert client.get("/").text == "in"
    assert (logins, len(asked)) == ([1], 2)
    handler, asked = answers(httpx.Response(401))
    with pytest.raises(SourceLoginRefused):
        client_of(time, handler, renew=lambda: logins.append(1)).get("/")
    assert (logins, len(asked)) == ([1, 1], 2)


def test_a_login_that_is_refused_itself_is_not_renewed(time: Time) -> None:
    handler, asked = answers(httpx.Response(401))
    found: list[PoliteClient] = []
    client = client_of(time, handler, renew=lambda: found[0].get("/login"))
    found.append(client)
    with pytest.raises(SourceLoginRefused):
        client.get("/")
    assert [request.url.path for request in asked] == ["/base/", "/base/login"]


def test_cut_off_json_is_asked_for_again(time: Time) -> None:
    handler, _ = answers(httpx.Response(200, content=b'{"rows": ['), httpx.Response(200, json=[]))
    assert client_of(time, handler).json("/") == []
    handler, asked = answers(httpx.Response(200, content=b'{"rows": ['))
    with pytest.raises(SourceFailed, match="cut off"):
        client_of(time, handler).json("/")
    assert len(asked) == 4


def test_too_large_an_answer_is_cut_off(time: Time) -> None:
    handler, asked = answers(httpx.Response(200, content=b"x" * 200_000))
    with pytest.raises(AnswerTooLarge):
        client_of(time, handler).get("/", largest_bytes=100_000)
    assert len(asked) == 1


def test_an_answer_that_trickles_has_failed(time: Time) -> None:
    class Trickle(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            for _ in range(1000):
                time.pass_by(20)
                yield b"x" * 65_536 if len(trickles) > 1 else b"x"

    trickles: list[int] = []

    def handler(request: httpx.Request) -> httpx.Response:
        trickles.append(1)
        return httpx.Response(200, stream=Trickle())

    client = client_of(time, handler, manners=Politeness(1000, timeout_s=60))
    # The first try gives a byte every 20 seconds, the second is quick enough.
    assert len(client.get("/").content) == 65_536_000
    assert len(trickles) == 2
    assert time.now_s < 4 * 20 + 2 + 1000 * 20


def test_a_download_that_breaks_off_starts_anew(time: Time, tmp_path: Path) -> None:
    class Broken(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield b"first half"
            raise httpx.RemoteProtocolError("cut off")

    tries: list[int] = []

    def handler(request: httpx.Request) -> httpx.Response:
        tries.append(1)
        return (
            httpx.Response(200, stream=Broken()) if len(tries) == 1 else httpx.Response(200, content=b"whole")
        )

    client_of(time, handler).download("/file", to=tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"whole"


def test_the_clock_of_the_archive_is_estimated_from_its_quickest_answer(time: Time) -> None:
    ahead = [(4, 3600), (0, 3600), (8, 3600)]

    def handler(request: httpx.Request) -> httpx.Response:
        took_s, ahead_s = ahead.pop(0)
        theirs = time.clock.now() + timedelta(seconds=ahead_s)
        time.pass_by(took_s)
        return httpx.Response(200, headers={"date": theirs.strftime("%a, %d %b %Y %H:%M:%S GMT")})

    client = client_of(time, handler)
    assert client.clock_offset_s is None
    for _ in range(3):
        client.get("/")
    assert client.clock_offset_s == pytest.approx(3600.5, abs=0.6)


def test_errors_do_not_name_the_host_or_what_was_asked(time: Time) -> None:
    for answer in (*map(httpx.Response, (401, 403, 404, 500, 302)), httpx.ConnectError("archive.invalid")):
        handler, _ = answers(answer)
        with pytest.raises(Exception) as caught:
            client_of(time, handler).get("/data/subjects/SMITH", params={"name": "SMITH"})
        for word in ("SMITH", "invalid", "https"):
            assert word not in str(caught.value) + repr(caught.value)


def test_no_address_is_logged(time: Time, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    handler, _ = answers(httpx.Response(200))
    client_of(time, handler).get("/data/subjects/SMITH")
    assert "SMITH" not in caplog.text


def test_an_address_that_is_none_is_refused(time: Time) -> None:
    with pytest.raises(BadDefinition):
        PoliteClient("https://[", name="archive")
