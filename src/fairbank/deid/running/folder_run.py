"""A run: from a folder of DICOM files into a folder of cleaned ones, with an account of every file."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from fairbank.clock import Clock, iso
from fairbank.deid._e1_1 import EDITION, TABLE_SHA256
from fairbank.deid.cleaning import TOOL, Order
from fairbank.deid.decisions import DecisionTable
from fairbank.deid.errors import NotInAFolder
from fairbank.deid.identity import checked_project
from fairbank.deid.key_file import KeyFile
from fairbank.deid.method import Method
from fairbank.deid.outcomes import Status
from fairbank.deid.policies import FacePolicy
from fairbank.deid.running.accounts import Accounts
from fairbank.deid.running.committing import Committer
from fairbank.deid.running.index import Index, Unit
from fairbank.deid.running.inputs import NO_HEAD, Head, heads_of, keyed_digest, links_key
from fairbank.deid.running.journal import FileRow, Journal, Making
from fairbank.deid.running.place import Place, check_apart, not_writable, writing_errors
from fairbank.deid.running.series_work import (
    Job,
    NotWritten,
    Task,
    UnitResult,
    clean_unit,
    is_withheld,
    lost_unit,
)
from fairbank.deid.running.verdicts import current_decisions
from fairbank.deid.running.workers import Workers
from fairbank.deid.verification.uid_graph import UidGraph

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KeyPath:
    """Where the key file is: what is handed to other processes in the place of the key."""

    path: Path

    def open(self) -> KeyFile:
        """Return the key's pseudonyms; see `KeyFile.read` for what it raises."""
        return KeyFile.read(self.path)


@dataclass(frozen=True, slots=True)
class FolderOrder:
    """What to clean, how, and where to.

    Attributes:
        agent: who runs this, as a name of the site's own.
        report: where the account of the run goes.
    """

    source: Path
    target: Path
    keys: KeyPath
    order: Order
    agent: str
    report: Path


@dataclass(frozen=True, slots=True)
class Step:
    """How far a run is."""

    looked_at: int
    files: int = 0
    done: int = 0
    held: int = 0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended.

    Attributes:
        complete: whether everything was looked at; else it was stopped and can go on.
        by_reason: how many inputs ended how, by status and reason.
        uids: how the UIDs of what was cleaned hang together; see `UidGraph.summary`.
    """

    run: str
    complete: bool
    files: int
    seconds: float
    by_reason: dict[tuple[str, str | None], int]
    left: dict[str, int]
    uids: dict[str, int] = field(default_factory=dict)

    @property
    def failed(self) -> int:
        """Return the number of files that could not be read or are damaged."""
        in_error = sum(count for (state, _), count in self.by_reason.items() if state == Status.ERROR.value)
        return in_error + self.left.get("unreadable", 0)


def run_folder(
    order: FolderOrder,
    *,
    clock: Clock,
    workers: Workers,
    stopped: Callable[[], bool] = lambda: False,
    step: Callable[[Step], None] = lambda step: None,
) -> Ended:
    """Clean a folder; what an earlier run has done under the same order is not done again.

    Raises:
        FoldersNested, NotARunFolder, FolderInUse: if the output folder cannot be used.
        NotInAFolder: if heads were to stay recognisable.
        NoIdentityStore, UnsafeIdentityStore: if there is no usable key.
        UidsTangled: if two originals became one, or one became two; the account is written all the same.
        AnotherMethod: if the output folder was made with another method, project or key.
        StoreNotWritable: if the disk is full; what is done stays done, nothing is half done.
    """
    checked_project(order.order.project)
    check_apart(order.source, order.target)
    check_apart(order.source, order.report)
    check_faces(order.order.method)
    identity = order.keys.open()
    place = Place(order.target.absolute())
    place.prepare()
    with place.alone(), closing(Journal(place.journal, create=True)) as journal:
        journal.check_making(making_of(order.order, identity))
        run = _Run(order, identity, place, journal, clock, workers, stopped, step)
        return run.all_units()


def check_faces(method: Method) -> None:
    """Check that no head stays recognisable in a folder, where nothing keeps files from being copied.

    Raises:
        NotInAFolder: if the method lets heads stay.
    """
    if method.faces is FacePolicy.IN_SITU:
        raise NotInAFolder(
            "Heads do not stay recognisable in a folder.",
            why="Nobody has signed for them there, and nothing keeps the files from being copied.",
            todo="Choose --faces hold or deface, or work at a node: 'fairbank deid faces set PROJECT in-situ'.",
        )


def making_of(order: Order, identity: KeyFile) -> Making:
    """Return what an output folder is made by."""
    return Making(order.project, order.method.digest, identity.key_id, method_told(order.method))


def method_told(method: Method) -> dict[str, Any]:
    """Return how files are de-identified, in words for a report."""
    return {
        "profile": method.profile.value,
        "options": sorted(option.value for option in method.options),
        "codes": [list(code) for code in method.codes],
        "recipe": None if method.recipe is None else method.recipe.name,
        "recipe_digest": None if method.recipe is None else method.recipe.digest,
        "pixel_trust": method.trust.value,
        "faces": method.faces.value,
        "dates": method.dates_modified,
        "edition": EDITION,
        "table_sha256": TABLE_SHA256,
        "digest": method.digest,
    }


class _Run:
    """One run under way."""

    def __init__(
        self,
        order: FolderOrder,
        identity: KeyFile,
        place: Place,
        journal: Journal,
        clock: Clock,
        workers: Workers,
        stopped: Callable[[], bool],
        step: Callable[[Step], None],
    ) -> None:
        self._order = order
        self._identity = identity
        self._place = place
        self._journal = journal
        self._clock = clock
        self._workers = workers
        self._stopped = stopped
        self._step = step
        self._id = clock.new_id()
        self._started = clock.now()
        self._decisions = current_decisions(journal)
        self._links_key = links_key(identity, self._id)
        self._looked_at = self._done = self._held = 0

    def all_units(self) -> Ended:
        committer = Committer(self._place, self._journal, self._id)
        committer.recover()
        self._journal.begin_run(self._id, started=iso(self._started), agent=self._order.agent, tool=TOOL)
        rank = partial(keyed_digest, self._identity, "path")
        with (
            closing(Index(self._order.source, rank)) as index,
            closing(Accounts()) as accounts,
            closing(UidGraph()) as graph,
        ):
            complete = self._look(index) and self._clean(index, committer, accounts, graph)
            accounts.unread.update(index.left)
            ended = self._ended(accounts, index, complete, graph)
            with writing_errors():
                if not complete:
                    accounts.carry_over(self._order.report)
                accounts.write(self._order.report)
            told = {
                "files": ended.files,
                "seconds": round(ended.seconds, 3),
                "left": ended.left,
                "uids": ended.uids,
            }
            state = "complete" if complete else "stopped"
            self._journal.end_run(self._id, ended=iso(self._clock.now()), state=state, told=told)
            graph.check()
        return ended

    def _look(self, index: Index) -> bool:
        """Look at all headers; tell whether it was not stopped meanwhile."""

        def look(batches: Iterable[Sequence[Path]]) -> Iterator[list[Head]]:
            return self._workers.in_order(
                partial(_heads, self._order.keys), batches, lost=_no_heads, stopped=self._stopped
            )

        def seen(files: int) -> None:
            self._looked_at = files
            self._step(Step(files))

        index.fill(look, seen)
        return not self._stopped()

    def _clean(self, index: Index, committer: Committer, accounts: Accounts, graph: UidGraph) -> bool:
        tasks = (self._task(unit) for unit in index.units())
        results = self._workers.in_order(clean_unit, tasks, lost=lost_unit, stopped=self._stopped)
        while True:
            try:
                result = next(results, None)
            except NotWritten as err:
                raise not_writable(err.number) from err
            if result is None:
                break
            rows = committer.commit(result)
            accounts.add(result, rows)
            for row in rows:
                if row.output is not None and row.item in result.links:
                    graph.add(result.links[row.item])
            self._count(result, rows)
        return self._done >= index.files

    def _count(self, result: UnitResult, rows: list[FileRow]) -> None:
        self._done += len(result.unit.paths)
        self._held += sum(row.state not in (Status.OK.value, Status.NOT_NEEDED.value) for row in rows)
        self._step(Step(self._looked_at, self._looked_at, self._done, self._held))

    def _task(self, unit: Unit) -> Task:
        known = [] if unit.series is None else self._journal.of_series(unit.series)
        return Task(
            job=Job(
                self._order.keys,
                self._order.order,
                self._decisions,
                self._order.agent,
                iso(self._started),
                links=self._links_key,
            ),
            unit=unit,
            folder=self._place.staging / f"{unit.number:09d}",
            settled=frozenset(row.item for row in known if self._is_settled(row)),
            earlier={row.item: row.output for row in known if row.output is not None},
            root=self._place.root,
            withheld={row.item: row.grp for row in known if row.grp is not None and is_withheld(row.grp)},
        )

    def _is_settled(self, row: FileRow) -> bool:
        """Tell whether an input need not be looked at again: same tool, same decision, and its file is there."""
        if row.tool != TOOL or row.verdict != _verdict(self._decisions, row.grp):
            return False
        where = row.output or row.quarantine
        return where is None or (self._place.root / where).is_file()

    def _ended(self, accounts: Accounts, index: Index, complete: bool, graph: UidGraph) -> Ended:
        return Ended(
            run=self._id,
            complete=complete,
            files=index.files,
            seconds=(self._clock.now() - self._started).total_seconds(),
            by_reason=accounts.by_reason(),
            left=dict(accounts.unread),
            uids=graph.summary(),
        )


def _heads(keys: KeyPath, paths: Sequence[Path]) -> list[Head]:
    return heads_of(paths, keys.open())


def _no_heads(paths: Sequence[Path]) -> list[Head]:
    return [NO_HEAD] * len(paths)


def _verdict(decisions: DecisionTable, group: str | None) -> str | None:
    decided = None if group is None else decisions.of(group)
    return None if decided is None else decided.value
