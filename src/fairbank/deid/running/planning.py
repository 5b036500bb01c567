"""What a run would do: what there is, how long it takes on this machine, how much disk, and what would be held.

Headers are read of every file. Of each kind of file a few series are cleaned for real into a folder that is thrown
away, with a key that is of no use: so the estimate knows this machine, and the cost of text and faces.
"""

from __future__ import annotations

import math
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from pydicom.uid import UID

from fairbank.clock import Clock, iso
from fairbank.deid.cleaning import Order
from fairbank.deid.decisions import NO_DECISIONS
from fairbank.deid.identities import Identities
from fairbank.deid.key_file import KeyFile
from fairbank.deid.outcomes import Reason, Status
from fairbank.deid.running.index import Index, Unit
from fairbank.deid.running.inputs import NO_HEAD, Head, heads_of, keyed_digest
from fairbank.deid.running.series_work import Job, Task, UnitResult, clean_unit, status_of
from fairbank.deid.running.workers import Workers

SERIES_PER_KIND = 3
FILES_PER_SERIES = 400
BUDGET_S = 60.0
_ADVICE = {
    Reason.PIXELS_UNVERIFIED: "look at held pixels with `fairbank deid review`; one decision releases a group",
    Reason.BURNED_IN: "files that say that they show text are held until their pixels are cleaned",
    Reason.STRUCTURED_REPORT: "reports are held; see the option clean_structured_content",
    Reason.OVERLAY_IN_PIXELS: "overlays are held; see the option clean_graphics",
    Reason.MIXED_SUBJECTS: "series that name two patients are held: mend them in the archive",
    Reason.ALREADY_DEIDENTIFIED: "files that this software has cleaned are left out",
}
_ADVICE_ON_HEADS = "heads were found: choose with --faces what becomes of them (hold, deface, in-situ)"


@dataclass(frozen=True, slots=True)
class PlanKey:
    """A key for trying out; what is made with it is thrown away."""

    def open(self) -> Identities:
        """Return pseudonyms that mean nothing."""
        return KeyFile(bytes(32))


@dataclass(frozen=True, slots=True)
class KindLine:
    """One kind of file.

    Attributes:
        tried: files that were cleaned to see; `seconds` is what one took, None if none was tried.
        held: of the files that were tried, how many were held, by reason.
    """

    name: str
    modality: str
    files: int
    series: int
    size: int
    frames: int
    tried: int
    seconds: float | None
    held: dict[str, int]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would do.

    Attributes:
        hours: estimated, with so many processes as were asked for.
        disk: bytes that the output folder will take, copies of what is held included; `free` is what it has.
        will_be_held: estimated number of files by reason.
        heads: series of the sample in which a head was found.
    """

    files: int
    series: int
    size: int
    left: dict[str, int]
    kinds: list[KindLine]
    hours: float
    disk: int
    free: int
    will_be_held: dict[str, int]
    heads: int
    advice: list[str] = field(default_factory=list)


def plan_folder(
    source: Path,
    order: Order,
    *,
    target: Path,
    clock: Clock,
    workers: Workers,
    processes: int,
    seen: Callable[[int], None] = lambda files: None,
) -> Plan:
    """Return what a run from `source` to `target` would do; nothing is written but for the trial, which is removed.

    Args:
        processes: how many the run would have.
        seen: is told how many headers were read.
    """
    keys = PlanKey()
    job = Job(keys, order, NO_DECISIONS, "plan", iso(clock.now()))
    with closing(Index(source, partial(keyed_digest, keys.open(), "path"))) as index:

        def look(batches: Iterable[Sequence[Path]]) -> Iterator[list[Head]]:
            return workers.in_order(_heads, batches, lost=_no_heads, stopped=lambda: False)

        index.fill(look, seen)
        with tempfile.TemporaryDirectory(prefix="fairbank-plan-") as folder:
            trial = _Trial(index, job, Path(folder))
            kinds = trial.kinds()
        return _plan(index, kinds, trial, target, processes)


def _plan(index: Index, kinds: list[KindLine], trial: _Trial, target: Path, processes: int) -> Plan:
    held = _will_be_held(kinds)
    series, files = index.mixed()
    if series:
        held[Reason.MIXED_SUBJECTS.value] = files
    known = [(line.seconds, line.tried) for line in kinds if line.seconds is not None]
    mean = sum(seconds * tried for seconds, tried in known) / max(1, sum(tried for _, tried in known))
    total = sum(line.files * (mean if line.seconds is None else line.seconds) for line in kinds)
    return Plan(
        files=index.files,
        series=index.series,
        size=index.size,
        left=dict(index.left),
        kinds=kinds,
        hours=total / max(1, processes) / 3600,
        disk=index.size,
        free=shutil.disk_usage(_existing(target)).free,
        will_be_held=dict(sorted(held.items(), key=lambda one: (-one[1], one[0]))),
        heads=trial.heads,
        advice=_advice(held, trial.heads),
    )


def _will_be_held(kinds: list[KindLine]) -> dict[str, int]:
    held: Counter[str] = Counter()
    for line in kinds:
        for reason, count in line.held.items():
            held[reason] += math.ceil(line.files * count / line.tried)
    return dict(held)


def _advice(held: dict[str, int], heads: int) -> list[str]:
    found = [text for reason, text in _ADVICE.items() if held.get(reason.value)]
    return [*found, _ADVICE_ON_HEADS] if heads else found


def _existing(folder: Path) -> Path:
    folder = folder.absolute()
    while not folder.exists():
        folder = folder.parent
    return folder


@dataclass(slots=True)
class _Tally:
    tried: int = 0
    seconds: float = 0.0
    held: Counter[str] = field(default_factory=Counter)


class _Trial:
    """Cleans a few series of each kind: one of each first, then more until the time for it is spent."""

    def __init__(self, index: Index, job: Job, folder: Path) -> None:
        self._index = index
        self._job = job
        self._folder = folder
        self._spent = 0.0
        self.heads = 0

    def kinds(self) -> list[KindLine]:
        rows = list(self._index.kinds())
        tallies = [_Tally() for _ in rows]
        samples = [
            list(self._index.sample((sop_class, modality), units=SERIES_PER_KIND, files=FILES_PER_SERIES))
            for sop_class, modality, *_ in rows
        ]
        for turn in range(SERIES_PER_KIND):
            for tally, units in zip(tallies, samples, strict=True):
                if turn < len(units) and self._spent <= BUDGET_S:
                    self._try(units[turn], tally)
        return [_line(row, tally) for row, tally in zip(rows, tallies, strict=True)]

    def _try(self, unit: Unit, tally: _Tally) -> None:
        place = self._folder / f"{self._spent:.6f}-{unit.number}"
        began = time.perf_counter()
        result = clean_unit(Task(self._job, unit, place))
        took = time.perf_counter() - began
        shutil.rmtree(place, ignore_errors=True)
        self._spent += took
        tally.seconds += took
        tally.tried += len(unit.paths)
        tally.held.update(_held(result))
        self.heads += result.face.head


def _line(row: tuple[str, str, int, int, int, int], tally: _Tally) -> KindLine:
    sop_class, modality, files, series, size, frames = row
    return KindLine(
        name=_class_name(sop_class),
        modality=modality,
        files=files,
        series=series,
        size=size,
        frames=frames,
        tried=tally.tried,
        seconds=tally.seconds / tally.tried if tally.tried else None,
        held=dict(tally.held),
    )


def _held(result: UnitResult) -> Iterator[str]:
    for file in result.files:
        # Found by the first look in all series, so not to be estimated from a few.
        if file.reason in (None, Reason.MIXED_SUBJECTS) or status_of(file.reason) is Status.OK:
            continue
        yield str(file.reason)


def _class_name(sop_class: str) -> str:
    if not sop_class:
        return "not DICOM, or no SOP class"
    uid = UID(sop_class)
    # A class of a manufacturer's own is told by none of its digits, which may be a serial number.
    return uid.name if uid.type == "SOP Class" else "class that is not of the standard"


def _heads(paths: Sequence[Path]) -> list[Head]:
    return heads_of(paths, PlanKey().open())


def _no_heads(paths: Sequence[Path]) -> list[Head]:
    return [NO_HEAD] * len(paths)
