"""The parent's side of the SPARQL workers: hand out a question, wait, kill what runs too long, start another.

No query has more than `sparql_timeout_s` from its arrival to its answer, waiting included.

Workers are started as separate programs (never forked), so no lock or connection of the hub exists in them. What comes
back is read as JSON and bytes, never unpickled: a worker that was taken over by a query cannot reach further.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeAlias

from fairbank.catalogue.errors import (
    CatalogueError,
    NotAcceptable,
    QueryBusy,
    QueryForbidden,
    QueryMalformed,
    QueryNotIsolated,
    QueryOutOfMemory,
    QueryTimeout,
    QueryTooBig,
)
from fairbank.catalogue.query_turns import Places
from fairbank.ontology.terms import PREFIXES
from fairbank.settings import Settings

log = logging.getLogger("fairbank.catalogue")
CURRENT = "current"
SCRIPT = Path(__file__).with_name("sparql_worker.py")
LARGEST_ANSWER = 64 * 2**20
_START_S, _END_S = 20.0, 0.3
_UNDER_WAY_PER_WORKER = 8
# How long a query may keep a worker from the next one; nearly all are answered in a fiftieth of it.
_MOMENT_S = 0.1
_LOWEST_PRIORITY = 19
_Reply: TypeAlias = tuple[dict[str, Any], bytes]


@dataclass(frozen=True, slots=True)
class Question:
    """A query and what may be seen of the answer.

    Attributes:
        visible: the graphs that the caller may see.
        default_graphs, named_graphs: the RDF dataset that the caller asked for; None leaves it to the view.
        default_is_union: whether the view's default graph is the union of all visible graphs, or one of its own.
        row_format, graph_format: media types for SELECT/ASK and for CONSTRUCT/DESCRIBE; None: not acceptable.
    """

    query: str
    visible: Sequence[str]
    default_graphs: Sequence[str] | None = None
    named_graphs: Sequence[str] | None = None
    default_is_union: bool = True
    row_format: str | None = "application/sparql-results+json"
    graph_format: str | None = "text/turtle"


@dataclass(frozen=True, slots=True)
class Answer:
    """The bytes of an answer, their media type, and how many rows or triples they hold."""

    content: bytes
    media_type: str
    rows: int


class QueryPool:
    """Query workers: some are kept ready for all, and a few at the lowest priority go on with what takes long.

    A query begins in a worker that is ready. If it is not done after a moment, a new worker takes that place, and the
    query goes on where long ones may, as long as there is room; so queries that take no time never wait for others.
    """

    def __init__(self, settings: Settings, rdf: Path) -> None:
        self._settings = settings
        self._rdf = rdf
        ready = settings.sparql_workers
        most = ready * _UNDER_WAY_PER_WORKER
        self._under_way = Places(most, each=max(1, most // 4))
        self._ready = Places(ready, each=max(1, ready // 2))
        self._long = Places(max(1, ready - 1), each=max(1, (ready - 1) // 2))
        self._lock = threading.Lock()
        self._spare: list[_Worker] = []
        self._workers: set[_Worker] = set()

    def ask(self, question: Question, *, caller: str = "") -> Answer:
        """Answer a query from the newest snapshot.

        Args:
            caller: who asks; each caller has a share of the workers only.

        Raises:
            QueryForbidden: if it names SERVICE or LOAD, or is an update.
            QueryMalformed: with the parser's message.
            QueryTimeout: if it was not answered in `sparql_timeout_s`; its worker was killed.
            QueryTooBig: if its answer is too long.
            QueryOutOfMemory: if it needs too much memory.
            QueryBusy: if no worker was free in time, or there is no snapshot yet.
            QueryNotIsolated: if this machine cannot keep a worker from the network.
            NotAcceptable: if the caller accepts no format for this kind of query.
        """
        deadline = time.monotonic() + self._settings.sparql_timeout_s
        with self._under_way.held(caller, timeout_s=0) as admitted:
            if not admitted:
                raise _busy("Too many queries are under way, of everybody or of yours.")
            head, content = self._answer(question, caller, deadline)
            if head["status"] == "no-snapshot":
                # Replaced between its name being read and its being opened.
                head, content = self._answer(question, caller, deadline)
        return _judged(head, content, self._settings)

    def close(self) -> None:
        """End all workers; a question after that starts a new one."""
        with self._lock:
            workers, self._workers, self._spare = self._workers, set(), []
        for worker in workers:
            worker.kill()

    def _answer(self, question: Question, caller: str, deadline: float) -> _Reply:
        with self._ready.held(caller, timeout_s=deadline - time.monotonic()) as mine:
            if not mine:
                raise _busy("All query workers are busy.")
            message = self._message(question)
            worker = self._take(message["snapshot"])
            running: _Worker | None = worker
            try:
                reply = worker.exchange(message, timeout_s=_MOMENT_S)
            except TimeoutError:
                pass
            except (EOFError, OSError):
                self._discard(worker)
                # Why it ended is seen in a new one, where nobody asked before.
                running = None
            except BaseException:
                self._discard(worker)
                raise
            else:
                with self._lock:
                    self._spare.append(worker)
                return reply
            # In this query's time, not in that of the next one.
            self._refill(message["snapshot"])
        return self._answer_in_the_end(running, message, caller, deadline)

    def _answer_in_the_end(
        self, worker: _Worker | None, message: dict[str, Any], caller: str, deadline: float
    ) -> _Reply:
        with self._long.held(caller, timeout_s=0) as at_once:
            if at_once:
                return self._go_on(worker, message, deadline)
        # What waits holds no memory; it begins anew when its turn comes.
        if worker is not None:
            self._discard(worker)
        with self._long.held(caller, timeout_s=deadline - time.monotonic()) as mine:
            if mine:
                with contextlib.suppress(QueryTimeout):
                    return self._go_on(None, message, deadline)
        raise _busy("Other queries that take long are under way, of everybody or of yours.")

    def _go_on(self, worker: _Worker | None, message: dict[str, Any], deadline: float) -> _Reply:
        try:
            if worker is None:
                worker = self._start(message["snapshot"])
                worker.send(message)
            worker.step_back()
            return worker.receive(deadline - time.monotonic())
        except TimeoutError as err:
            raise QueryTimeout(
                f"The query ran longer than {self._settings.sparql_timeout_s} s and was stopped.",
                why="One query must not keep others waiting.",
                todo="Ask for less: bind more terms, or add a LIMIT.",
            ) from err
        except (EOFError, OSError) as err:
            raise QueryOutOfMemory(
                "The query needed more memory than it may have, and was stopped.",
                why=f"A query may use {self._settings.sparql_memory_bytes // 2**20} MiB.",
                todo="Ask for less: avoid products of unrelated patterns, and sorting large results.",
            ) from err
        finally:
            # Its priority cannot be raised again.
            if worker is not None:
                self._discard(worker)

    def _take(self, snapshot: str) -> _Worker:
        with self._lock:
            worker = self._spare.pop() if self._spare else None
        if worker is not None and worker.alive():
            return worker
        if worker is not None:
            self._discard(worker)
        return self._start(snapshot)

    def _refill(self, snapshot: str) -> None:
        try:
            worker = self._start(snapshot)
        except CatalogueError:
            # Whoever comes next tries again, and is told if that fails too.
            log.exception("a query worker could not be replaced")
            return
        with self._lock:
            self._spare.append(worker)

    def _start(self, snapshot: str) -> _Worker:
        worker = _Worker(self._settings.sparql_memory_bytes, snapshot)
        if not worker.isolated:
            worker.kill()
            raise QueryNotIsolated(
                "No query is answered on this machine.",
                why="It permits neither a network namespace nor a filter on system calls, so a query could reach out.",
                todo="Run the hub on Linux 4.14 or newer, on x86-64 or ARM64.",
            )
        with self._lock:
            self._workers.add(worker)
        return worker

    def _discard(self, worker: _Worker) -> None:
        with self._lock:
            self._workers.discard(worker)
        worker.kill()

    def _message(self, question: Question) -> dict[str, Any]:
        try:
            snapshot = (self._rdf / CURRENT).readlink()
        except FileNotFoundError as err:
            raise _busy("The RDF view is not ready yet.") from err
        return {
            "snapshot": str(self._rdf / snapshot),
            "query": question.query,
            "prefixes": PREFIXES,
            "visible": list(question.visible),
            "default_graphs": question.default_graphs,
            "named_graphs": question.named_graphs,
            "default_is_union": question.default_is_union,
            "row_format": question.row_format,
            "graph_format": question.graph_format,
            "maximum_rows": self._settings.sparql_maximum_rows,
            "maximum_bytes": LARGEST_ANSWER,
            "timeout_s": self._settings.sparql_timeout_s,
        }


class _Worker:
    """One worker process and the socket to it."""

    def __init__(self, memory_bytes: int, snapshot: str) -> None:
        ours, theirs = socket.socketpair()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", str(SCRIPT), str(theirs.fileno()), str(memory_bytes), snapshot],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                # Few arenas keep the address space near what is used, so that its limit means memory.
                env={"MALLOC_ARENA_MAX": "2", "PATH": os.defpath},
            )
        except OSError as err:
            ours.close()
            raise _not_started() from err
        finally:
            theirs.close()
        self._connection = Connection(ours.detach())
        try:
            self.isolated = bool(self._head(_START_S)["isolated"])
        except (TimeoutError, EOFError, OSError) as err:
            self.kill()
            raise _not_started() from err

    def alive(self) -> bool:
        return self._process.poll() is None

    def exchange(self, message: dict[str, Any], *, timeout_s: float) -> _Reply:
        self.send(message)
        return self.receive(timeout_s)

    def send(self, message: dict[str, Any]) -> None:
        self._connection.send_bytes(json.dumps(message).encode())

    def receive(self, timeout_s: float) -> _Reply:
        return self._head(timeout_s), self._connection.recv_bytes()

    def step_back(self) -> None:
        """Let all others have the processors first."""
        # Where a machine forbids it, the number of long queries is bounded still.
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, self._process.pid, _LOWEST_PRIORITY)

    def kill(self) -> None:
        self._process.kill()
        self._connection.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            # At the lowest priority even ending takes its time on a busy machine; nobody's answer waits for that.
            threading.Thread(target=self._process.wait, daemon=True).start()

    def _head(self, timeout_s: float) -> dict[str, Any]:
        if not self._connection.poll(max(timeout_s, 0)):
            raise TimeoutError
        received: dict[str, Any] = json.loads(self._connection.recv_bytes())
        return received


def _judged(head: dict[str, Any], content: bytes, settings: Settings) -> Answer:
    match head["status"]:
        case "ok":
            return Answer(content, head["media_type"], head["rows"])
        case "too-many-rows":
            raise QueryTooBig(
                f"The answer has more than {settings.sparql_maximum_rows} rows.",
                why="An answer is given whole or not at all, so that none is cut short unseen.",
                todo="Add a LIMIT, or ask for an aggregate.",
            )
        case "too-many-bytes":
            raise QueryTooBig(
                f"The answer has more than {LARGEST_ANSWER // 2**20} MiB.",
                why="An answer is given whole or not at all, so that none is cut short unseen.",
                todo="Add a LIMIT, or ask for less of each.",
            )
        case "no-snapshot":
            raise _busy("The RDF view cannot be opened.")
        case "not-acceptable":
            raise NotAcceptable(
                "This kind of query has no answer in a format that you accept.",
                why="SELECT and ASK give rows, CONSTRUCT and DESCRIBE give a graph.",
                todo="Accept application/sparql-results+json for rows, or text/turtle for graphs.",
            )
        case "not-for-xml":
            raise NotAcceptable(
                "The answer cannot be written as XML.",
                why="It has a control character, or a property whose IRI ends in no XML name.",
                todo="Accept application/sparql-results+json for rows, or text/turtle for graphs.",
            )
        case "forbidden":
            raise QueryForbidden(str(head["what"]), why=str(head["why"]), todo=str(head["todo"]))
        case _:
            raise QueryMalformed(
                str(head.get("what", "The query cannot be read.")),
                why=str(head.get("why", "")),
                todo=str(head.get("todo", "Correct it at the place that is named.")),
            )


def _not_started() -> QueryBusy:
    return _busy("A query worker did not start.")


def _busy(what: str) -> QueryBusy:
    return QueryBusy(what, why="The number of query workers is limited.", todo="Try again in a few seconds.")
