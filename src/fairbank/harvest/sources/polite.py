"""Asking an archive over HTTP without being a burden to it, and without believing what is no answer.

    client = PoliteClient(url, name="archive", manners=Politeness(requests_per_s=5))
    rows = client.json("/data/projects", params={"format": "json"})
    client.download("/data/…/files", to=path)

Each request waits for its turn, is sent again where the archive is only busy, and ends in a `HarvestError` or in an
answer of status 2xx that is whole, not too large and not a page for browsers. What is asked must be safe to ask twice.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx

from fairbank.harvest.errors import (
    AnswerTooLarge,
    BadDefinition,
    NotInSource,
    QueryRefused,
    SourceFailed,
    SourceForbidden,
    SourceGivenUp,
    SourceLoginRefused,
    SourceUnreachable,
)
from fairbank.harvest.sources.pace import (
    BUSY,
    CircuitBreaker,
    Machine,
    Politeness,
    TokenBucket,
    back_off_s,
    http_date,
    retry_after_s,
)
from fairbank.release.hub_client import on_this_machine

LARGEST_ANSWER_BYTES = 512 * 2**20
LARGEST_DOWNLOAD_BYTES = 64 * 2**30
_PAGE_STARTS = (b"<!doctype html", b"<html")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """A whole answer of status 2xx; it has no repr, because what an archive says may identify."""

    status: int
    headers: httpx.Headers
    content: bytes

    @property
    def text(self) -> str:
        """Return the content as UTF-8; what is not becomes a replacement character."""
        return self.content.decode(errors="replace")


class PoliteClient:
    """A connection to one archive; threads may share it. Close it after use.

    Args:
        base_url: the archive's address; the paths of requests are appended to it.
        name: what messages call the archive: its name at the node, never its host.
        auth: user and password, or another scheme of httpx.
        renew: logs in again; called once when a request is answered by a refused login or a login page, after which
            the request is sent again. It may itself send requests, which are never renewed.
    """

    def __init__(
        self,
        base_url: str,
        *,
        name: str,
        manners: Politeness | None = None,
        headers: Mapping[str, str] | None = None,
        auth: httpx.Auth | tuple[str, str] | None = None,
        renew: Callable[[], None] | None = None,
        transport: httpx.BaseTransport | None = None,
        machine: Machine | None = None,
    ) -> None:
        self._name = name
        self._manners = manners or Politeness()
        self._machine = machine or Machine()
        self._renew = renew
        self._renewing = threading.local()
        self._logins = 0
        self._login_turn = threading.Lock()
        self._bucket = TokenBucket(self._manners.requests_per_s, self._machine.monotonic)
        self._breaker = CircuitBreaker(self._manners.failures_in_a_row)
        self._places = threading.BoundedSemaphore(self._manners.concurrency)
        self._offset: tuple[float, float] | None = None
        _quiet_logs()
        self._client = httpx.Client(
            base_url=_address(base_url, name),
            headers=headers,
            auth=auth,
            timeout=httpx.Timeout(self._manners.timeout_s, connect=self._manners.connect_timeout_s),
            transport=transport,
            # A redirect would take the password elsewhere, and mostly means a login page.
            follow_redirects=False,
            trust_env=not on_this_machine(base_url),
        )

    @property
    def cookies(self) -> httpx.Cookies:
        """Return the cookies of the session at the archive."""
        return self._client.cookies

    @property
    def clock_offset_s(self) -> float | None:
        """Return how far the archive's clock is ahead of this machine's, None until an answer has told.

        It is good to about half a second and half the time of the quickest answer: the Date header has whole seconds.
        """
        return None if self._offset is None else self._offset[1]

    def get(self, path: str, *, params: Mapping[str, str] | None = None, **more: Any) -> Answer:
        """Return the whole answer to a GET request; see `request`."""
        answer: Answer = self.request("GET", path, params=params, **more)
        return answer

    def json(
        self,
        path: str,
        *,
        method: str = "GET",
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> Any:
        """Return the JSON of an answer, None if it is empty; cut-off JSON counts as a failed try. See `request`."""
        headers = {"Accept": "application/json"} | dict(headers or {})
        return self.request(method, path, params=params, headers=headers, read=_json, **more)

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        body: Callable[[], Iterable[bytes]] | None = None,
        auth: httpx.Auth | tuple[str, str] | None = None,
        pages_allowed: bool = False,
        largest_bytes: int = LARGEST_ANSWER_BYTES,
        read: Callable[[Answer], Any] | None = None,
    ) -> Any:
        """Return the whole answer to a request, or what `read` makes of it.

        Args:
            auth: in the place of the client's own.
            form: sent as the body, form-encoded.
            body: gives the body anew for each try; the headers name its length and type.
            pages_allowed: take an HTML page for an answer; otherwise it is a refused login.
            largest_bytes: most bytes of the answer, after decompression.
            read: reads the answer; a ValueError, KeyError or TypeError of it counts as a failed try.

        Raises:
            SourceUnreachable: if no answer comes, or none in time.
            SourceGivenUp: if too many requests in a row have failed.
            SourceLoginRefused: if it is 401, a redirect, or a page for browsers in the place of an answer.
            SourceForbidden: if it is 403.
            NotInSource: if it is 404 or 410.
            AnswerTooLarge: if it is larger than `largest_bytes`.
            SourceFailed: if it is another error, or cannot be read.
        """

        def take(answer: httpx.Response) -> Any:
            content = b"".join(self._pieces(answer, largest_bytes))
            if not pages_allowed and _is_page(answer, content):
                raise self._login_refused("it answered with a page for browsers, such as its login page")
            whole = Answer(answer.status_code, answer.headers, content)
            return whole if read is None else read(whole)

        build = self._builder(method, path, params=params, headers=headers, form=form, body=body)
        return self._renewed(lambda: self._tried(build, take, auth))

    def download(
        self,
        path: str,
        *,
        to: Path,
        method: str = "GET",
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        largest_bytes: int = LARGEST_DOWNLOAD_BYTES,
    ) -> httpx.Headers:
        """Write an answer to a file, from its start again if it breaks off, and return its headers; see `request`."""

        def take(answer: httpx.Response) -> httpx.Headers:
            if _says_html(answer):
                raise self._login_refused("it answered with a page for browsers, such as its login page")
            with to.open("wb") as copied:
                for piece in self._pieces(answer, largest_bytes):
                    copied.write(piece)
            return answer.headers

        build = self._builder(method, path, params=params, headers=headers)
        return self._renewed(lambda: self._tried(build, take, None))

    def close(self) -> None:
        """Close the connections; a closed client may be closed again."""
        self._client.close()

    @property
    def is_closed(self) -> bool:
        """Tell whether the client was closed."""
        return self._client.is_closed

    def _builder(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
        form: Mapping[str, str] | None = None,
        body: Callable[[], Iterable[bytes]] | None = None,
    ) -> Callable[[], httpx.Request]:
        # Built anew for each try: the cookies may be those of a new session by then.
        return lambda: self._client.build_request(
            method,
            path,
            params=params,
            headers=headers,
            data=form,
            content=body() if body is not None else None,
        )

    def _renewed(self, ask: Callable[[], T]) -> T:
        """Ask, and once more after a new login if the session has ended."""
        logins = self._logins
        try:
            return ask()
        except SourceLoginRefused:
            if self._renew is None or getattr(self._renewing, "now", False):
                raise
        with self._login_turn:
            # Another thread may have logged in meanwhile; archives limit how many sessions a user has.
            if self._logins == logins:
                self._renewing.now = True
                try:
                    self._renew()
                finally:
                    self._renewing.now = False
                self._logins += 1
        return ask()

    def _tried(
        self,
        build: Callable[[], httpx.Request],
        take: Callable[[httpx.Response], T],
        auth: httpx.Auth | tuple[str, str] | None,
    ) -> T:
        if self._breaker.is_open:
            raise self._given_up()
        for attempt in range(1, self._manners.tries + 1):
            last = attempt == self._manners.tries
            pause_s: float | None = None
            try:
                with self._sent(build, auth) as answer:
                    if answer.status_code not in BUSY or last:
                        self._judge(answer)
                        taken = take(answer)
                        self._breaker.worked()
                        return taken
                    pause_s = self._asked_pause_s(answer)
            except httpx.HTTPError as err:
                if last:
                    self._breaker.failed()
                    raise self._unreachable() from err
            except (ValueError, KeyError, TypeError) as err:
                if last:
                    self._breaker.failed()
                    raise self._broken("its answer is cut off, or not what was asked for") from err
            except SourceFailed:
                self._breaker.failed()
                raise
            self._machine.sleep(back_off_s(attempt, self._machine.random) if pause_s is None else pause_s)
        raise AssertionError("the last try either returns or raises")

    @contextmanager
    def _sent(
        self, build: Callable[[], httpx.Request], auth: httpx.Auth | tuple[str, str] | None
    ) -> Iterator[httpx.Response]:
        """Send one request when its turn has come; the answer is open for reading."""
        with self._places:
            if (wait_s := self._bucket.wait_s()) > 0:
                self._machine.sleep(wait_s)
            sent = self._machine.clock.now()
            answer = (
                self._client.send(build(), stream=True)
                if auth is None
                else self._client.send(build(), auth=auth, stream=True)
            )
            try:
                self._note_clock(answer, sent, self._machine.clock.now())
                yield answer
            finally:
                answer.close()

    def _pieces(self, answer: httpx.Response, largest_bytes: int) -> Iterator[bytes]:
        """Yield the body, unless it is too large or trickles so slowly that it would never end."""
        started, came = self._machine.monotonic(), 0
        # Pieces as they come: gathered into larger ones, a trickle would not be seen for hours.
        for piece in answer.iter_bytes():
            came += len(piece)
            if came > largest_bytes:
                raise AnswerTooLarge(
                    f"The archive {self._name} sends an answer of more than {largest_bytes} bytes.",
                    why="Nothing that was asked for should be so large; nothing of it was kept.",
                    todo="Look at the archive's own log; harvest a smaller part if it truly holds so much.",
                )
            took_s = self._machine.monotonic() - started
            if took_s > self._manners.timeout_s and came < took_s * self._manners.slowest_bytes_per_s:
                raise httpx.ReadTimeout("the answer trickles", request=answer.request)
            yield piece

    def _judge(self, answer: httpx.Response) -> None:
        """Raise what an answer that is not a success means."""
        status = answer.status_code
        if 200 <= status < 300:
            return
        if status == 401:
            raise self._login_refused("it did not accept the user name and password")
        if 300 <= status < 400:
            raise self._login_refused("it sends the reader to another address, mostly that of its login page")
        # An archive that answers in words of its own is alive.
        if status < 500 and status not in BUSY:
            self._breaker.worked()
        if status == 403:
            raise SourceForbidden(
                f"The archive {self._name} does not let its user read this.",
                why="It answered 403: the user exists but has no right to this project.",
                todo="Ask the archive's administrator for read access to the project.",
            )
        if status in (404, 410):
            raise NotInSource(
                f"The archive {self._name} has no such project, study or series.",
                why=f"It answered {status}; a project that its user may not see looks the same.",
                todo="List its projects and check the spelling; if an image has gone, run the harvest again.",
            )
        if status in BUSY:
            raise self._broken(f"it answered {status}, {self._manners.tries} times")
        if 400 <= status < 500:
            raise QueryRefused(
                f"The archive {self._name} does not answer what it was asked: {status}.",
                why="It does not understand the request, or something in front of it does not let it through.",
                todo="Compare its version with those that fairbank was tried with, and look at its log.",
            )
        raise self._broken(f"it answered {status}")

    def _asked_pause_s(self, answer: httpx.Response) -> float | None:
        now = http_date(answer.headers.get("date", "")) or self._machine.clock.now()
        pause_s = retry_after_s(answer.headers.get("retry-after", ""), now=now)
        if pause_s is not None and pause_s > self._manners.longest_wait_s:
            raise self._broken(f"it is busy, and asks to come back in {pause_s:.0f} seconds only")
        return pause_s

    def _note_clock(self, answer: httpx.Response, sent: datetime, came: datetime) -> None:
        """Work out how far the archive's clock is ahead; of several answers the quickest tells best."""
        theirs = http_date(answer.headers.get("date", ""))
        if theirs is None:
            return
        took_s = (came - sent).total_seconds()
        if self._offset is None or took_s < self._offset[0]:
            middle = sent + (came - sent) / 2
            ahead = theirs + timedelta(seconds=0.5) - middle
            self._offset = (took_s, ahead.total_seconds())

    def _broken(self, reason: str) -> SourceFailed:
        return SourceFailed(
            f"The archive {self._name} failed: {reason}.",
            why="Nothing of this answer was used, and nothing was lost.",
            todo="Look at the archive's own log, and run the harvest again: it goes on where it stopped.",
        )

    def _unreachable(self) -> SourceUnreachable:
        return SourceUnreachable(
            f"The archive {self._name} does not answer.",
            why="No connection could be made, or no whole answer came in time.",
            todo="Check its address and that it runs; 'harvest_timeout_s' sets how long to wait.",
        )

    def _given_up(self) -> SourceGivenUp:
        return SourceGivenUp(
            f"The archive {self._name} is left alone: {self._manners.failures_in_a_row} requests in a row failed.",
            why="It is down or overloaded, and asking on would not help it. What was done before stays done.",
            todo="Look at the archive, and run the harvest again later: it goes on where it stopped.",
        )

    def _login_refused(self, reason: str) -> SourceLoginRefused:
        return SourceLoginRefused(
            f"The archive {self._name} refused the login: {reason}.",
            why="The user, the password file, the user's rights or the archive's address have changed.",
            todo="Log in with a browser to check, then correct the password file (mode 0600).",
        )


def _quiet_logs() -> None:
    """Keep the HTTP library's own lines out of every log: they name addresses, and in them ids."""
    for library in ("httpx", "httpcore"):
        logging.getLogger(library).setLevel(logging.WARNING)


def _address(url: str, name: str) -> httpx.URL:
    try:
        urlsplit(url)
        return httpx.URL(url.rstrip("/"))
    except (httpx.InvalidURL, ValueError) as err:
        raise BadDefinition(
            f"The address of the archive {name} cannot be understood.",
            why="It is not an HTTP address.",
            todo="Add the source again with its whole address, such as https://xnat.example.org.",
        ) from err


def _json(answer: Answer) -> Any:
    """Return JSON; no content, as a 204 has, is None."""
    return json.loads(answer.content) if answer.content.strip() else None


def _says_html(answer: httpx.Response) -> bool:
    return "html" in answer.headers.get("content-type", "").lower()


def _is_page(answer: httpx.Response, content: bytes) -> bool:
    """Tell whether an answer is a page for browsers, whatever its status and its stated type."""
    return _says_html(answer) or content[:200].lstrip().lower().startswith(_PAGE_STARTS)
