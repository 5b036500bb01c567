"""Waking those who wait: one notifier per process, so that a long-poll holds neither a thread nor a connection.

`notify()` after a commit wakes this process at once. Commits of other processes are seen by the poller: SQLite's
`PRAGMA data_version` (https://www.sqlite.org/pragma.html#pragma_data_version), or LISTEN on PostgreSQL.

Most commits of a busy hub change nothing that anybody waits for: every signed request leaves a nonce. What matters to
others leaves a line in the audit log or the events, so the poller wakes people only for those, and not again for what
`notify` has told already. Of a thousand nodes that wait for work those are woken that a change concerns; another
process tells which by PostgreSQL's NOTIFY, and on SQLite, where a commit shows without words, all of them look.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from typing import Any, TypeAlias

from sqlalchemy import text
from sqlalchemy.engine import Engine

POLL_S = 0.04
_OWN_NEWS_S = 0.01
_CHANNEL = "fairbank_hub"
# PostgreSQL takes payloads of less than 8000 bytes (https://www.postgresql.org/docs/current/sql-notify.html).
_LONGEST_PAYLOAD = 7900


class Concern(Enum):
    """What somebody waits for who need not hear of every change.

    Work for nodes, questions for nodes, or lines of the events table.
    """

    WORK = "work"
    QUESTIONS = "questions"
    EVENTS = "events"


class Notifier:
    """A counter of changes that coroutines can wait for."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._seen = 0
        self._closed = False
        self._lock = threading.Lock()
        self._newest = dict.fromkeys(Concern, 0)
        self._newest_of: dict[str, int] = {}
        self._name = secrets.token_hex(8)
        self._waiting: set[_Waiting] = set()
        self._watching = threading.Lock()
        self._cursor: Any = None
        self._told: tuple[int, int] | None = None

    @property
    def seen(self) -> int:
        """Return the number of the newest change; read it before the look at the database that may find nothing."""
        return self._seen

    @property
    def closed(self) -> bool:
        """Tell whether the process is about to end, so that nobody should go on waiting."""
        return self._closed

    def close(self) -> None:
        """Send home everyone who waits: the process is about to end."""
        self._closed = True
        self._wake()

    def notify(self, *, work: bool | Collection[str] = False, questions: bool = False) -> None:
        """Say that something was committed; callable from any thread.

        Args:
            work: the nodes that there may be something new to give to; True for every node, whichever it is.
            questions: somebody has asked nodes for a live count.
        """
        concerns = {Concern.EVENTS}
        nodes = frozenset(() if isinstance(work, bool) else work)
        if work is True:
            concerns.add(Concern.WORK)
        if questions:
            concerns.add(Concern.QUESTIONS)
        with self._watching:
            if self._cursor is not None:
                # Looked up before those who wait are woken: they see all of it, and perhaps more.
                before, self._told = self._told, _newest(self._cursor)
                if before is not None and before[1] == self._told[1]:
                    concerns.discard(Concern.EVENTS)
        self._wake(concerns, nodes)
        if self._engine.dialect.name == "postgresql":
            told = {"channel": _CHANNEL, "payload": _payload(self._name, concerns, nodes)}
            with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("SELECT pg_notify(:channel, :payload)"), told)

    async def wait(
        self, seen: int, timeout_s: float, concern: Concern | None = None, *, node: str | None = None
    ) -> int:
        """Wait until there is a change after `seen`, at most `timeout_s` seconds; return the newest number.

        Args:
            concern: wait for a change of this kind; None for any.
            node: who waits for work: of what concerns other nodes alone it is not told.
        """
        if self._closed:
            await asyncio.sleep(min(timeout_s, POLL_S))
            return self._seen
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        entry = (loop, future, concern, node)
        with self._lock:
            newest = self._seen if concern is None else self._newest[concern]
            if node is not None:
                newest = max(newest, self._newest_of.get(node, 0))
            if newest > seen or timeout_s <= 0:
                return self._seen
            self._waiting.add(entry)
        try:
            await asyncio.wait_for(future, timeout_s)
        except TimeoutError:
            pass
        finally:
            with self._lock:
                self._waiting.discard(entry)
        return self._seen

    async def poll(self) -> None:
        """Watch for commits of other processes until cancelled; the application's lifespan starts this."""
        watch = self._watch_postgresql if self._engine.dialect.name == "postgresql" else self._watch_sqlite
        stop = threading.Event()
        executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="notifier")
        try:
            await asyncio.get_running_loop().run_in_executor(executor, watch, stop)
        finally:
            stop.set()
            executor.shutdown(wait=True)

    def _wake(
        self, concerns: Iterable[Concern] = tuple(Concern), nodes: frozenset[str] = frozenset()
    ) -> None:
        concerns = frozenset(concerns)
        with self._lock:
            self._seen += 1
            self._newest.update(dict.fromkeys(concerns, self._seen))
            self._newest_of.update(dict.fromkeys(nodes, self._seen))
            waiting = {
                entry
                for entry in self._waiting
                if entry[2] is None or entry[2] in concerns or (entry[3] is not None and entry[3] in nodes)
            }
            self._waiting -= waiting
        for loop, future, *_ in waiting:
            if not loop.is_closed():
                loop.call_soon_threadsafe(_finish, future)

    def _watch_sqlite(self, stop: threading.Event) -> None:
        # A connection of its own: data_version shows only what *other* connections have committed.
        connection = self._engine.raw_connection()
        try:
            cursor = connection.cursor()
            last = _data_version(cursor)
            with self._watching:
                self._cursor, self._told = cursor, _newest(cursor)
            while not stop.wait(POLL_S):
                # One cursor serves this thread and all that notify, in turn: SQLite's driver refuses two at once.
                with self._watching:
                    unchanged = _data_version(cursor) == last
                if unchanged:
                    continue
                # Of a commit of this process `notify` is about to tell, and knows better who should hear of it.
                stop.wait(_OWN_NEWS_S)
                with self._watching:
                    last, newest = _data_version(cursor), _newest(cursor)
                    told, self._told = self._told, newest
                if newest != told:
                    lines = told is None or newest[1] != told[1]
                    self._wake(Concern if lines else set(Concern) - {Concern.EVENTS})
        finally:
            with self._watching:
                self._cursor = None
            connection.close()

    def _hear(self, payload: str) -> None:
        """Wake whom another process of the hub tells of; this process has woken them before it told."""
        try:
            sender, words, nodes = json.loads(payload)
            concerns, concerned = {Concern(word) for word in words}, frozenset(map(str, nodes))
        except (ValueError, TypeError):
            # A process of the version before says nothing but that there is something.
            self._wake()
            return
        if sender != self._name:
            self._wake(concerns, concerned)

    def _watch_postgresql(self, stop: threading.Event) -> None:
        connection = self._engine.raw_connection()
        try:
            driver: Any = connection.driver_connection
            driver.autocommit = True
            driver.execute(f"LISTEN {_CHANNEL}")
            while not stop.is_set():
                for heard in driver.notifies(timeout=0.5, stop_after=1):
                    self._hear(heard.payload)
        finally:
            connection.invalidate()
            connection.close()


_Waiting: TypeAlias = tuple[asyncio.AbstractEventLoop, "asyncio.Future[None]", Concern | None, str | None]


def _payload(sender: str, concerns: Iterable[Concern], nodes: Collection[str]) -> str:
    """Return what other processes are told; where it would be too long, that every node is concerned."""
    words = {concern.value for concern in concerns}
    written = json.dumps([sender, sorted(words), sorted(nodes)])
    if len(written) <= _LONGEST_PAYLOAD:
        return written
    return json.dumps([sender, sorted(words | {Concern.WORK.value}), []])


def _data_version(cursor: Any) -> int:
    cursor.execute("PRAGMA data_version")
    return int(cursor.fetchone()[0])


def _newest(cursor: Any) -> tuple[int, int]:
    cursor.execute("SELECT (SELECT max(seq) FROM audit), (SELECT max(seq) FROM events)")
    audited, happened = cursor.fetchone()
    return int(audited or 0), int(happened or 0)


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
