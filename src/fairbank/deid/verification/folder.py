"""A folder of de-identified files, verified by many processes: ours, or what another tool has made."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from multiprocessing import get_context
from pathlib import Path
from typing import Protocol, TypeVar

from fairbank.deid.errors import NothingToVerify, ValidatorMissing
from fairbank.deid.identifiers import Identifiers
from fairbank.deid.method import Method
from fairbank.deid.pseudonyms import SubjectPseudonyms
from fairbank.deid.source_files import files_under
from fairbank.deid.verification.dciodvfy import PROGRAM, is_installed
from fairbank.deid.verification.one_file import (
    Original,
    Task,
    Verdict,
    original_at,
    sop_uid_of,
    standard_errors,
    verify_one,
)
from fairbank.deid.verification.problem import Fault, Problem
from fairbank.deid.verification.uid_graph import UidGraph

QUARANTINE = "quarantine"
_CHUNK = 8
_KEY_BYTES = 32

T = TypeVar("T")
R = TypeVar("R")
Progress = Callable[[int, int], None]


class Conformance(StrEnum):
    """Of which files `dciodvfy` is asked: all, the first of each series, or none."""

    ALL = "all"
    SAMPLE = "sample"
    NONE = "none"


class KnownSubjects(Protocol):
    """Who knows by which pseudonyms a subject goes."""

    def pseudonyms(self, value: str) -> SubjectPseudonyms | None:
        """Return a subject's pseudonyms; None if it has none here."""
        ...


@dataclass(frozen=True, slots=True)
class Originals:
    """The files before cleaning, and who can tell what they became; None if nobody can."""

    folder: Path
    subjects: KnownSubjects | None


@dataclass
class FolderVerdict:
    """What was found in a folder. Files are called by their numbers, in the order of their names.

    Attributes:
        verdicts: one per file that was looked at.
        quarantined: files left out because they lie in quarantine.
        originals: how many files before cleaning were read, how many could not be, and how many outputs they explain.
        graph: the UID graph; None where no original was matched.
        standard: errors of `dciodvfy`, by kind, with how many files; None if it was not asked.
        standard_files: of how many files it was asked.
    """

    verdicts: list[Verdict] = field(default_factory=list)
    quarantined: int = 0
    originals: Counter[str] = field(default_factory=Counter)
    unmatched_because: str = ""
    graph: UidGraph | None = None
    standard: Counter[str] | None = None
    standard_files: int = 0
    standard_compared: bool = False

    @property
    def problems(self) -> Counter[Problem]:
        """Return how many files have which problem; those of the run as a whole count as often as they occur."""
        found: Counter[Problem] = Counter()
        for verdict in self.verdicts:
            found.update(verdict.problems or ())
        if self.graph is not None:
            found.update({Problem(fault.value): count for fault, count in self.graph.faults().items()})
        if self.standard and self.standard_compared:
            found[Problem(Fault.NEW_STANDARD_ERROR.value)] += sum(self.standard.values())
        return found


def verify_folder(
    folder: Path,
    *,
    method: Method | None = None,
    originals: Originals | None = None,
    conformance: Conformance = Conformance.SAMPLE,
    workers: int = 1,
    progress: Progress = lambda done, total: None,
) -> FolderVerdict:
    """Return what is wrong with the files of a folder.

    Args:
        folder: of DICOM files; what lies under `quarantine` in it is left out.
        method: how they were cleaned; None believes what each file says of itself.
        originals: the files before cleaning: with them identifiers, days and the UID graph are checked, too.
        conformance: of which files `dciodvfy` is asked.
        workers: processes.
        progress: told how many of how many files are done.

    Raises:
        NothingToVerify: if there is no file.
        ValidatorMissing: if `dciodvfy` is to look at all files and is not installed.
    """
    if conformance is Conformance.ALL and not is_installed():
        raise ValidatorMissing(
            f"{PROGRAM} is not installed.",
            why="Every file was to be held against the standard by it.",
            todo="Install dicom3tools, or ask with `--dciodvfy sample` or `none`.",
        )
    paths, quarantined = _outputs(folder)
    if not paths:
        raise NothingToVerify(
            "There is no file to verify.",
            why="The folder is empty, or holds nothing but quarantine.",
            todo="Name the folder into which the cleaned files were written.",
        )
    found = FolderVerdict(quarantined=quarantined)
    with _workers(workers) as spread:
        tasks = _tasks(paths, method, originals, found, spread)
        for done, verdict in enumerate(spread(verify_one, tasks), 1):
            found.verdicts.append(replace(verdict, links=None))
            if verdict.links is not None:
                found.graph = found.graph or UidGraph()
                found.graph.add(verdict.links)
            progress(done, len(tasks))
        if conformance is not Conformance.NONE and is_installed():
            _ask_validator(found, tasks, conformance, spread)
    return found


class _Spread(Protocol):
    def __call__(self, work: Callable[[T], R], tasks: Sequence[T], /) -> Iterable[R]: ...


@contextmanager
def _workers(count: int) -> Iterator[_Spread]:
    if count <= 1:
        yield _here
        return
    with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool:

        def spread(work: Callable[[T], R], tasks: Sequence[T], /) -> Iterable[R]:
            return pool.map(work, tasks, chunksize=_CHUNK)

        yield spread


def _here(work: Callable[[T], R], tasks: Sequence[T], /) -> Iterable[R]:
    return map(work, tasks)


def _outputs(folder: Path) -> tuple[list[Path], int]:
    every = [one.path for one in files_under(folder)]
    kept = [path for path in every if path == folder or path.relative_to(folder).parts[0] != QUARANTINE]
    return kept, len(every) - len(kept)


def _tasks(
    paths: list[Path],
    method: Method | None,
    originals: Originals | None,
    found: FolderVerdict,
    spread: _Spread,
) -> list[Task]:
    tasks = [Task(number, path, method) for number, path in enumerate(paths, 1)]
    if originals is None:
        found.unmatched_because = "no originals were given"
        return tasks
    if originals.subjects is None:
        found.unmatched_because = (
            "originals can be matched with outputs only by the key; the order of files says nothing"
        )
        return tasks
    made = _by_output(originals, found, spread)
    key = secrets.token_bytes(_KEY_BYTES)
    uids = spread(sop_uid_of, paths)
    matched = [
        replace(task, original=made.get(uid or ""), key=key) for task, uid in zip(tasks, uids, strict=True)
    ]
    found.originals["matched"] = sum(task.original is not None for task in matched)
    return matched


def _by_output(originals: Originals, found: FolderVerdict, spread: _Spread) -> Mapping[str, Original]:
    """Return the originals by the instance UID of what became of them, each with all that its subject is known by."""
    paths = [one.path for one in files_under(originals.folder)]
    made: dict[str, Original] = {}
    pools: dict[str, Identifiers] = {}
    for original in spread(original_at, paths):
        found.originals["read" if original is not None else "unreadable"] += 1
        if original is None:
            continue
        pools[original.subject] = pools.get(original.subject, Identifiers()).merged(original.identifiers)
        subject = originals.subjects.pseudonyms(original.subject) if originals.subjects else None
        if subject is not None:
            made[subject.uid(original.sop_uid)] = original
    return {uid: replace(one, identifiers=pools[one.subject]) for uid, one in made.items()}


def _ask_validator(
    found: FolderVerdict, tasks: list[Task], conformance: Conformance, spread: _Spread
) -> None:
    first: dict[str, Task] = {}
    for task, verdict in zip(tasks, found.verdicts, strict=True):
        if verdict.problems is not None:
            first.setdefault(verdict.series if conformance is Conformance.SAMPLE else str(task.number), task)
    chosen = list(first.values())
    found.standard = Counter()
    found.standard_compared = any(task.original for task in chosen)
    for task, errors in zip(chosen, spread(_asked, chosen), strict=True):
        if errors is not None:
            found.standard_files += 1
            if task.original is not None or not found.standard_compared:
                found.standard.update(dict.fromkeys(errors, 1))


def _asked(task: Task) -> Counter[str] | None:
    return standard_errors(task.path, None if task.original is None else task.original.path)
