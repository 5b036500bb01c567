"""One session at an XNAT: opened with a login, renewed when it has ended, closed after use. Only a push writes."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from fairbank.errors import Sensitive
from fairbank.harvest.errors import (
    HarvestError,
    NotInSource,
    SourceFailed,
    SourceForbidden,
    SourceLoginRefused,
)
from fairbank.harvest.sources.polite import Answer, PoliteClient
from fairbank.harvest.sources.xnat_tables import Query, Table, read_table

T = TypeVar("T")


class XnatSession:
    """Asks an XNAT as one user; threads may share it.

    Args:
        connect: makes the client, given what logs in again.
        user: name of the user, or the alias of a token.
        password: the user's password, or the secret of the token.
        archive: what messages call the archive.
    """

    def __init__(
        self,
        connect: Callable[[Callable[[], None]], PoliteClient],
        *,
        user: str,
        password: Sensitive[str],
        archive: str,
    ) -> None:
        self._login = (user, password)
        self._archive = archive
        self._id = ""
        self._turn = threading.Lock()
        self._client = connect(self._renew)

    @property
    def clock_offset_s(self) -> float | None:
        """Return how far the archive's clock is ahead of this machine's, None if that is not known yet."""
        return self._client.clock_offset_s

    def ask(self, path: str, query: dict[str, str], read: Callable[[Answer], T]) -> T:
        """Send a GET and read its answer; an answer of another form counts as a failed try."""

        def guarded(answer: Answer) -> T:
            try:
                return read(answer)
            except (IndexError, AttributeError) as err:
                raise ValueError("not of the form that was asked for") from err

        # An empty query would take away the one that a path already has.
        found: T = self._inside(lambda: self._client.request("GET", path, params=query or None, read=guarded))
        return found

    def get(self, path: str, query: dict[str, str] | None = None) -> Answer:
        """Return the answer to a GET."""
        return self.ask(path, query or {}, lambda answer: answer)

    def content(self, path: str) -> bytes | None:
        """Return the content of an address, None if the user may not read it or it is not there."""
        try:
            return self.get(path).content
        except (NotInSource, SourceForbidden, SourceFailed):
            return None

    def table(self, query: Query) -> Table:
        """Return a whole table."""
        return read_table(self.ask, query, archive=self._archive)

    def download(self, path: str, query: dict[str, str], *, to: Path) -> None:
        """Write an answer to a file."""
        self._inside(lambda: self._client.download(path, to=to, params=query))

    def send(
        self,
        path: str,
        query: dict[str, str],
        *,
        headers: Mapping[str, str],
        body: Callable[[], Iterable[bytes]],
    ) -> Answer:
        """Return the answer to a POST; what is sent must be safe to send twice."""

        def posted() -> Answer:
            answer: Answer = self._client.request("POST", path, params=query, headers=headers, body=body)
            return answer

        return self._inside(posted)

    def close(self) -> None:
        """End the session at the archive; a closed one may be closed again."""
        if self._client.is_closed:
            return
        try:
            if self._id:
                # The archive may be gone by now; its session then ends by itself.
                with contextlib.suppress(HarvestError):
                    self._client.request("DELETE", "/data/JSESSION", pages_allowed=True)
        finally:
            self._id = ""
            self._client.close()

    def _inside(self, ask: Callable[[], T]) -> T:
        """Ask inside a session, and again if the archive has put another in its place.

        An archive with guests answers a request whose session has ended as if a guest had sent it: with 200, and with
        what everybody may see. Only the cookie tells.
        """
        with self._turn:
            if not self._id:
                self._log_in()
        used = self._id
        answer = ask()
        if self._cookie() == self._id:
            return answer
        with self._turn:
            if used == self._id:
                self._log_in()
        return ask()

    def _renew(self) -> None:
        if not self._id:
            # The login itself was refused: to ask twice may lock the user out.
            raise SourceLoginRefused(
                f"The archive {self._archive} refused the login: it did not accept the user name and password.",
                why="The user, the password file, the user's rights or the archive's address have changed.",
                todo="Log in with a browser to check, then correct the password file (mode 0600).",
            )
        self._log_in()

    def _log_in(self) -> None:
        user, password = self._login
        self._client.cookies.clear()
        answer = self._client.get("/data/JSESSION", auth=(user, password.reveal()))
        if not self._cookie():
            self._client.cookies.set("JSESSIONID", answer.text.strip())
        self._id = self._cookie()

    def _cookie(self) -> str:
        """Return the session that the archive last named."""
        return next((each.value or "" for each in self._client.cookies.jar if each.name == "JSESSIONID"), "")
