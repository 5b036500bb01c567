"""The parent's side of the SPARQL workers: hand out a question, wait, kill what runs too long, start another.

Workers are started as separate programs (never forked), so no lock or connection of the hub exists in them. What comes
back is read as JSON and bytes, never unpickled: a worker that was taken over by a query cannot reach further.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from fairbank.catalogue.errors import NotAcceptable, QueryBusy, QueryMalformed, QueryTimeout, QueryTooBig
from fairbank.ontology.terms import PREFIXES
from fairbank.settings import Settings

log = logging.getLogger("fairbank.catalogue")
CURRENT = "current"
_START_S = 20.0
_QUEUE_PER_WORKER = 8


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
    """A fixed number of query workers, started when first needed."""

    def __init__(self, settings: Settings, rdf: Path) -> None:
        self._settings = settings
        self._rdf = rdf
        self._idle: queue.LifoQueue[_Worker | None] = queue.LifoQueue()
        self._places = threading.BoundedSemaphore(settings.sparql_workers * _QUEUE_PER_WORKER)
        self._lock = threading.Lock()
        self._workers: set[_Worker] = set()
        for _ in range(settings.sparql_workers):
            self._idle.put(None)

    def ask(self, question: Question) -> Answer:
        """Answer a query from the newest snapshot.

        Raises:
            QueryMalformed: with the parser's message.
            QueryTimeout: if it ran longer than `sparql_timeout_s`; its worker was killed.
            QueryTooBig: if it has too many rows or needs too much memory.
            QueryBusy: if no worker was free in time, or there is no snapshot yet.
            NotAcceptable: if the caller accepts no format for this kind of query.
        """
        if not self._places.acquire(blocking=False):
            raise _busy("All query workers are busy, and many queries wait.")
        try:
            return self._ask(question)
        finally:
            self._places.release()

    def close(self) -> None:
        """End all workers; a question after that starts a new one."""
        with self._lock:
            workers, self._workers = self._workers, set()
        for worker in workers:
            worker.kill()

    def _ask(self, question: Question) -> Answer:
        try:
            worker = self._idle.get(timeout=self._settings.sparql_timeout_s)
        except queue.Empty as err:
            raise _busy("All query workers are busy.") from err
        message = None
        try:
            message = self._message(question)
            worker, head, content = self._exchange(worker, message)
        except BaseException:
            # After a failure of any kind a new worker takes the place; before any, the old one goes back to it.
            self._idle.put(worker if message is None else None)
            raise
        self._idle.put(worker)
        return _judged(head, content, self._settings)

    def _exchange(
        self, worker: _Worker | None, message: dict[str, Any]
    ) -> tuple[_Worker, dict[str, Any], bytes]:
        used = worker is not None
        worker = self._checked(worker)
        try:
            return worker, *worker.exchange(message, timeout_s=self._settings.sparql_timeout_s)
        except TimeoutError as err:
            self._discard(worker)
            raise QueryTimeout(
                f"The query ran longer than {self._settings.sparql_timeout_s} s and was stopped.",
                why="One query must not keep others waiting.",
                todo="Ask for less: bind more terms, or add a LIMIT.",
            ) from err
        except (EOFError, OSError) as err:
            self._discard(worker)
            if used:
                # The memory may have been taken by earlier queries; in a new worker it is this one's alone.
                return self._exchange(None, message)
            raise QueryTooBig(
                "The query needed more memory than it may have, and was stopped.",
                why=f"A query may use {self._settings.sparql_memory_bytes // 2**20} MiB.",
                todo="Ask for less: avoid products of unrelated patterns, and sorting large results.",
            ) from err
        except BaseException:
            self._discard(worker)
            raise

    def _checked(self, worker: _Worker | None) -> _Worker:
        if worker is not None and worker.alive():
            return worker
        if worker is not None:
            self._discard(worker)
        fresh = _Worker(self._settings.sparql_memory_bytes)
        with self._lock:
            self._workers.add(fresh)
        if not fresh.isolated:
            log.warning("query workers share the hub's network: this machine permits no network namespace")
        return fresh

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
            "timeout_s": self._settings.sparql_timeout_s,
        }


class _Worker:
    """One worker process and the socket to it."""

    def __init__(self, memory_bytes: int) -> None:
        ours, theirs = socket.socketpair()
        script = Path(__file__).with_name("sparql_worker.py")
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", str(script), str(theirs.fileno()), str(memory_bytes)],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                # Few arenas keep the address space near what is used, so that its limit means memory.
                env={"MALLOC_ARENA_MAX": "2", "PATH": os.defpath},
            )
        finally:
            theirs.close()
        self._connection = Connection(ours.detach())
        try:
            self.isolated = bool(self._receive(_START_S)["isolated"])
        except (TimeoutError, EOFError, OSError) as err:
            self.kill()
            raise _busy("A query worker did not start.") from err

    def alive(self) -> bool:
        return self._process.poll() is None

    def exchange(self, message: dict[str, Any], *, timeout_s: float) -> tuple[dict[str, Any], bytes]:
        self._connection.send_bytes(json.dumps(message).encode())
        head = self._receive(timeout_s)
        return head, self._connection.recv_bytes()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._connection.close()

    def _receive(self, timeout_s: float) -> dict[str, Any]:
        if not self._connection.poll(timeout_s):
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
        case _:
            raise QueryMalformed(
                "The query cannot be read.",
                why=str(head.get("message", "")),
                todo="Correct it at the place that is named.",
            )


def _busy(what: str) -> QueryBusy:
    return QueryBusy(what, why="The number of query workers is limited.", todo="Try again in a few seconds.")
