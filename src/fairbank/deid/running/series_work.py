"""The unit of work: the files of one series, cleaned, checked, and written where nobody reads them yet."""

from __future__ import annotations

import json
import mmap
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache, reduce
from pathlib import Path
from typing import BinaryIO, Protocol

from fairbank.clock import parse_iso
from fairbank.deid import part10
from fairbank.deid.actions import ElementActions, added_up
from fairbank.deid.admitted import EVERYBODY, Admitted
from fairbank.deid.cleaning import TOOL, Cleaned, Held, Order, clean_file, clean_large_file
from fairbank.deid.decisions import DecisionTable, Verdict
from fairbank.deid.faces.stage import NO_HEAD, FaceWork, treat_series
from fairbank.deid.facts import FactSheet, Recorder
from fairbank.deid.groups import may_be_discarded, reason_of
from fairbank.deid.identifiers import NOTHING_STATED, Identifiers
from fairbank.deid.identities import Identities
from fairbank.deid.outcomes import Reason, Refused, Status
from fairbank.deid.pixels.work import PixelWork
from fairbank.deid.rules import Option
from fairbank.deid.running.index import Unit
from fairbank.deid.running.inputs import digest_of, heads_of, is_marked_as_ours
from fairbank.deid.running.place import WRITTEN_NS
from fairbank.deid.sweep.walk import Buffer, Malformed
from fairbank.deid.verification.check import holds
from fairbank.deid.verification.dciodvfy import is_installed, new_errors
from fairbank.deid.verification.output import Output
from fairbank.deid.verification.uid_graph import Links, links_of

# Above this a file's pixels are not held in memory.
LARGE_BYTES = 64 << 20
_NOTHING_NOTED = (Reason.NO_CONSENT, Reason.WITHDRAWN)


class NotWritten(Exception):
    """A worker could not write; carries the operating system's number of the error, and no path."""

    def __init__(self, number: int | None) -> None:
        super().__init__(number)
        self.number = number


class Keys(Protocol):
    """Where the keys are, in a form that can be handed to another process: never the keys themselves."""

    def open(self) -> Identities:
        """Return whoever gives out pseudonyms."""
        ...


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker has to know besides the files.

    Attributes:
        at: when the run began, as RFC 3339 text.
        believe_marks: whether files that say that this software has cleaned them are left out.
        links: the run's key for the digests of UIDs, 32 bytes; without one no links are told.
    """

    keys: Keys
    order: Order
    decisions: DecisionTable
    agent: str
    at: str
    admitted: Admitted = EVERYBODY
    believe_marks: bool = True
    links: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Task:
    """One unit, and what is known of it.

    Attributes:
        folder: where cleaned files are to be written; it is this unit's own.
        settled: keyed digests of inputs that need not be looked at again, if no other is there.
        earlier: outputs of the series from earlier runs, by the keyed digest of their inputs.
        root: the folder that outputs are relative to.
        digests: of the inputs, in the order of their paths, where they are known already.
        withheld: groups of the inputs in whose outputs a person has seen something identifying, by keyed digest.
    """

    job: Job
    unit: Unit
    folder: Path
    settled: frozenset[str] = frozenset()
    earlier: Mapping[str, str] = field(default_factory=dict)
    root: Path | None = None
    digests: tuple[bytes, ...] | None = None
    withheld: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FileResult:
    """What became of one input; UIDs and subject are pseudonyms, `staged` and `output` are relative.

    Attributes:
        place: which of the unit's paths it is.
        digest: `sha256:…` of the input.
    """

    place: int
    digest: str
    item: str
    size: int
    reason: Reason | None = None
    group: str | None = None
    verdict: str | None = None
    output: str | None = None
    subject: str | None = None
    study_uid: str | None = None
    series_uid: str | None = None
    sop: str | None = None
    made: str | None = None
    work: str | None = None
    key_epoch: int | None = None
    subject_value: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class UnitResult:
    """What became of a unit.

    Attributes:
        unchanged: nothing had to be done: all is as earlier runs left it.
        copies: how many more files have the same bytes, by the input's digest; `copied` is which they are, by place.
        unread: places of the files that the operating system did not give.
        faces: what became of the face of each series of the outputs, by its pseudonymous UID.
        remade: outputs of earlier runs that were written anew, by their inputs: keyed digests.
        refused: why the series is held as a whole.
        links: how the UIDs of each cleaned file hang together, by its item.
        standard: errors that dciodvfy finds in one output and not in its input; None if it was not asked.
    """

    unit: Unit
    folder: Path
    files: tuple[FileResult, ...] = ()
    copies: Mapping[str, int] = field(default_factory=dict)
    unread: tuple[int, ...] = ()
    unchanged: bool = False
    actions: ElementActions = field(default_factory=dict)
    faces: Mapping[str, FaceWork] = field(default_factory=dict)
    facts: tuple[FactSheet, ...] = ()
    remade: Mapping[str, str] = field(default_factory=dict)
    refused: Reason | None = None
    copied: Mapping[int, str] = field(default_factory=dict)
    links: Mapping[str, Links] = field(default_factory=dict)
    standard: Mapping[str, int] | None = None

    @property
    def face(self) -> FaceWork:
        """Return what became of the faces of all its series together."""
        return reduce(FaceWork.merged, self.faces.values(), NO_HEAD)


def clean_unit(task: Task) -> UnitResult:
    """Clean the files of a unit into its folder; see `UnitResult`.

    One bad file holds itself only, unless what is wrong concerns the series: two subjects, or a face.

    Raises:
        NotWritten: if the folder cannot be written, such as when the disk is full; nothing of the unit counts then.
    """
    identity = task.job.keys.open()
    found = _Found.of(task, identity)
    if found.items and set(found.items) <= task.settled:
        return UnitResult(
            task.unit,
            task.folder,
            tuple(found.files),
            found.copies,
            tuple(found.unread),
            unchanged=True,
            copied=found.copied,
        )
    if task.unit.mixed is True:
        held = [replace(one, reason=Reason.MIXED_SUBJECTS) for one in found.files]
        return UnitResult(
            task.unit,
            task.folder,
            tuple(held),
            found.copies,
            tuple(found.unread),
            refused=Reason.MIXED_SUBJECTS,
        )
    try:
        with part10.quiet_pydicom():  # once for all files
            return _Cleaning(task, identity).all_of(found)
    except OSError as err:
        raise NotWritten(err.errno) from err


def lost_unit(task: Task) -> UnitResult:
    """Return the result of a unit that ended its process twice: all its files are held."""
    found = _Found.of(task, task.job.keys.open())
    held = tuple(replace(one, reason=Reason.WORKER_LOST) for one in found.files)
    return UnitResult(task.unit, task.folder, held, found.copies, tuple(found.unread))


@dataclass(slots=True)
class _Found:
    """The files of a unit as they were found: each content once."""

    files: list[FileResult] = field(default_factory=list)
    items: list[str] = field(default_factory=list)
    copies: Counter[str] = field(default_factory=Counter)
    unread: list[int] = field(default_factory=list)
    copied: dict[int, str] = field(default_factory=dict)

    @classmethod
    def of(cls, task: Task, identity: Identities) -> _Found:
        found = cls()
        known: set[str] = set()
        for place, path in enumerate(task.unit.paths):
            try:
                digest = digest_of(path) if task.digests is None else task.digests[place]
                size = path.stat().st_size
            except OSError:
                found.unread.append(place)
                continue
            name = f"sha256:{digest.hex()}"
            if name in known:
                found.copies[name] += 1
                found.copied[place] = name
                continue
            known.add(name)
            found.items.append(identity.item_key(digest))
            found.files.append(FileResult(place, name, found.items[-1], size))
        return found


@dataclass(slots=True)
class _Cleaning:
    task: Task
    identity: Identities
    actions: dict[str, ElementActions] = field(default_factory=dict)
    instances: set[str] = field(default_factory=set)
    facts: dict[str, FactSheet] = field(default_factory=dict)
    stated: dict[str, tuple[str, Identifiers]] = field(default_factory=dict)
    links: dict[str, Links] = field(default_factory=dict)

    def all_of(self, found: _Found) -> UnitResult:
        # In the order of keyed digests: that in which files come to be tells nothing of the order of names.
        results = [self._one(file) for file in sorted(found.files, key=lambda file: file.item)]
        results.sort(key=lambda file: file.place)
        results = self._swept_for_all(results)
        if self.task.unit.mixed is None:
            results = self._without_mixed(results)
        staged = {one.output: self._stamp(one.output) for one in results if one.output is not None}
        earlier = self._earlier(found.items, set(staged)) if staged else {}
        stamps = {output: self._stamp(output) for output in earlier.values()}
        items = {str(one.output): one.item for one in results if one.output is not None}
        items |= {output: item for item, output in earlier.items()}
        faces, refused = self._faces(items)
        results = [self._as_judged(one, refused, staged, faces) for one in results]
        remade = {
            item: self._made(output)
            for item, output in earlier.items()
            if _folder(output) not in refused and self._stamp(output) != stamps[output]
        }
        self._settle()
        went_out = {one.series_uid for one in results if one.output is not None}
        return UnitResult(
            unit=self.task.unit,
            folder=self.task.folder,
            files=tuple(results),
            copies=dict(found.copies),
            unread=tuple(found.unread),
            actions=added_up(self.actions[one.item] for one in results if one.output is not None),
            faces=faces,
            facts=tuple(sheet for uid, sheet in self.facts.items() if uid in went_out),
            remade=remade,
            refused=next((one.reason for one in refused.values()), None) if not went_out else None,
            copied=found.copied,
            links={
                one.item: self.links[one.item] for one in results if one.output and one.item in self.links
            },
            standard=self._standard(results),
        )

    def _standard(self, results: list[FileResult]) -> Mapping[str, int] | None:
        """Ask dciodvfy about one output, where it is installed."""
        chosen = min(
            (one for one in results if one.output is not None), key=lambda one: one.item, default=None
        )
        if chosen is None or not _may_ask_dciodvfy():
            return None
        return new_errors(self.task.unit.paths[chosen.place], self.task.folder / str(chosen.output))

    def _one(self, file: FileResult) -> FileResult:
        path = self.task.unit.paths[file.place]
        if file.size > LARGE_BYTES:
            return self._large(file, path)
        try:
            content = path.read_bytes()
        except OSError:
            return replace(file, reason=Reason.UNREADABLE)
        if self.task.job.believe_marks and is_marked_as_ours(content, path):
            return replace(file, reason=Reason.ALREADY_DEIDENTIFIED)
        job = self.task.job
        result = clean_file(
            content,
            job.order,
            identity=self.identity,
            recorder=self._recorder(),
            admitted=job.admitted,
            decisions=job.decisions.for_item(file.item),
        )
        if isinstance(result, Held):
            return self._held(file, result)
        written = self._written(file, result)
        if written.output is None:
            return written
        (self.task.folder / written.output).write_bytes(result.content)
        return self._put(written, result, content, result.content)

    def _large(self, file: FileResult, path: Path) -> FileResult:
        """Clean a file that does not belong into memory: from file to file, and read again as it is mapped."""
        job, staged = self.task.job, self.task.folder / f"large-{file.place}"
        try:
            opened = path.open("rb")
        except OSError:
            return replace(file, reason=Reason.UNREADABLE)
        with opened, _mapped(opened) as content:
            if job.believe_marks and is_marked_as_ours(content, path):
                return replace(file, reason=Reason.ALREADY_DEIDENTIFIED)
            result = clean_large_file(
                path,
                staged,
                job.order,
                identity=self.identity,
                recorder=self._recorder(),
                admitted=job.admitted,
                decisions=job.decisions.for_item(file.item),
            )
            if isinstance(result, Held):
                staged.unlink(missing_ok=True)
                return self._held(file, result)
            written = self._written(file, result)
            if written.output is None:
                staged.unlink()
                return written
            target = staged.replace(self.task.folder / written.output)
            with target.open("rb") as reading, _mapped(reading) as made:
                return self._put(written, result, content, made)

    def _recorder(self) -> Recorder:
        job = self.task.job
        return Recorder(agent=job.agent, at=parse_iso(job.at), tool=TOOL)

    def _put(self, file: FileResult, cleaned: Cleaned, before: Buffer, after: Buffer) -> FileResult:
        """Note what there is to note of a file that was written."""
        _age(self.task.folder / str(file.output))
        job = self.task.job
        if not job.links:
            return file
        keeps = Option.RETAIN_UIDS in job.order.method.options
        with suppress(Malformed):  # what is read here, but not as strictly: its links are not known
            self.links[file.item] = links_of(
                Output.read(before),
                Output.read(after),
                method=job.order.method,
                # Where UIDs stay as they are, that of two subjects is one.
                subject="" if keeps else cleaned.subject,
                key=job.links,
            )
        return file

    def _withheld(self, file: FileResult) -> FileResult | None:
        """Return what becomes of a file in whose output a person has seen something; None if it may go."""
        group = self.task.withheld.get(file.item)
        verdict = self._verdict(group, file.item)
        if group is None or verdict == Verdict.RELEASE.value:
            return None
        reason = Reason.DISCARDED if verdict == Verdict.DISCARD.value else Reason.SEEN_IDENTIFYING
        return replace(file, reason=reason, group=group, verdict=verdict)

    def _held(self, file: FileResult, held: Held) -> FileResult:
        if held.subject is not None:
            self.stated[file.item] = (held.subject, held.stated)
        return replace(
            file,
            reason=held.reason,
            group=held.group,
            verdict=self._verdict(held.group, file.item),
            subject_value=held.subject,
        )

    def _written(self, file: FileResult, cleaned: Cleaned) -> FileResult:
        self.stated[file.item] = (cleaned.subject_value, cleaned.stated)
        if (held := self._withheld(file)) is not None:
            return replace(held, subject_value=cleaned.subject_value)
        if cleaned.sop_uid in self.instances:
            return replace(file, reason=Reason.DUPLICATE_INSTANCE)
        self.instances.add(cleaned.sop_uid)
        output = "/".join((cleaned.subject, cleaned.study_uid, cleaned.series_uid, f"{cleaned.sop_uid}.dcm"))
        (self.task.folder / output).parent.mkdir(parents=True, exist_ok=True)
        self.actions[file.item] = cleaned.actions
        known = self.facts.get(cleaned.facts.series_uid)
        self.facts[cleaned.facts.series_uid] = cleaned.facts if known is None else known.merged(cleaned.facts)
        return replace(
            file,
            output=output,
            group=cleaned.work.group,
            verdict=self._verdict(cleaned.work.group, file.item),
            subject=cleaned.subject,
            study_uid=cleaned.study_uid,
            series_uid=cleaned.series_uid,
            sop=cleaned.sop_uid,
            made=self.identity.item_key(cleaned.sha256),
            work=_work_told(cleaned.work),
            key_epoch=cleaned.key_epoch,
            subject_value=cleaned.subject_value,
        )

    def _swept_for_all(self, results: list[FileResult]) -> list[FileResult]:
        """Hold what has something of the person that only other files of the unit say: a name that one of them lacks.

        Where all files say the same, as they do as a rule, nothing is read again.
        """
        pools: dict[str, Identifiers] = {}
        for subject, stated in set(self.stated.values()):
            pools[subject] = pools.get(subject, NOTHING_STATED).merged(stated)
        checked = []
        for one in results:
            if one.output is not None:
                subject, own = self.stated[one.item]
                pool = pools[subject]
                if pool != own and self._holds(self.task.folder / one.output, pool):
                    one = self._taken_back(one, Reason.IDENTIFIER_FOUND, Reason.IDENTIFIER_FOUND.value)
            checked.append(one)
        return checked

    def _holds(self, path: Path, pool: Identifiers) -> bool:
        with path.open("rb") as file, _mapped(file) as content:
            return holds(content, pool, self.task.job.order.method)

    def _earlier(self, items: list[str], staged: set[str]) -> dict[str, str]:
        """Copy what earlier runs wrote of inputs that are no longer there: a face is judged by the whole series."""
        copied = {}
        for item, output in self.task.earlier.items():
            source = None if self.task.root is None else self.task.root / output
            if item in items or output in staged or source is None or not source.is_file():
                continue
            target = self.task.folder / output
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            _age(target)
            copied[item] = output
        return copied

    def _without_mixed(self, results: list[FileResult]) -> list[FileResult]:
        """Hold every series that names two subjects, but for files of which nothing may be noted."""
        heads = heads_of([self.task.unit.paths[one.place] for one in results], self.identity)
        subjects: dict[str | None, set[str | None]] = {}
        for head in heads:
            subjects.setdefault(head.series, set()).add(head.subject)
        mixed = {series for series, names in subjects.items() if series is not None and len(names) > 1}
        return [
            self._taken_back(one, Reason.MIXED_SUBJECTS)
            if head.series in mixed and one.reason not in _NOTHING_NOTED
            else one
            for one, head in zip(results, heads, strict=True)
        ]

    def _taken_back(self, one: FileResult, reason: Reason, group: str | None = None) -> FileResult:
        if one.output is not None:
            (self.task.folder / one.output).unlink(missing_ok=True)
        return FileResult(
            one.place,
            one.digest,
            one.item,
            one.size,
            reason=reason,
            group=group,
            verdict=self._verdict(group, one.item),
            subject_value=one.subject_value,
        )

    def _faces(self, outputs: Mapping[str, str]) -> tuple[dict[str, FaceWork], dict[str, Refused]]:
        """Judge the series of outputs, given with their items; return what was done, and which folders are held."""
        works: dict[str, FaceWork] = {}
        refused = {}
        for folder in sorted({_folder(output) for output in outputs}):
            here = sorted(output for output in outputs if _folder(output) == folder)
            files = [self.task.folder / output for output in here]
            decisions = self.task.job.decisions.for_series([outputs[output] for output in here])
            try:
                with part10.quiet_pydicom():
                    work = treat_series(files, method=self.task.job.order.method, decisions=decisions)
            except Refused as err:
                refused[folder] = err
                shutil.rmtree(self.task.folder / folder, ignore_errors=True)
                continue
            series_uid = _series_of(folder)
            works[series_uid] = work.merged(works[series_uid]) if series_uid in works else work
        return works, refused

    def _as_judged(
        self,
        one: FileResult,
        refused: Mapping[str, Refused],
        stamps: Mapping[str, tuple[int, int]],
        faces: Mapping[str, FaceWork],
    ) -> FileResult:
        if one.output is None:
            return one
        held = refused.get(_folder(one.output))
        output = one.output
        if held is None:
            released = faces[_series_of(_folder(one.output))].group
            if released is not None and one.group is None:
                one = replace(one, group=released, verdict=self._verdict(released, one.item))
            return one if self._stamp(output) == stamps[output] else replace(one, made=self._made(output))
        group = held.group or held.reason.value
        discarded = self._verdict(group, one.item) == Verdict.DISCARD.value and may_be_discarded(held.reason)
        return self._taken_back(one, Reason.DISCARDED if discarded else held.reason, group)

    def _verdict(self, group: str | None, item: str) -> str | None:
        decided = None if group is None else self.task.job.decisions.for_item(item).of(group)
        return None if decided is None else decided.value

    def _made(self, output: str) -> str:
        return self.identity.item_key(digest_of(self.task.folder / output))

    def _stamp(self, output: str) -> tuple[int, int]:
        found = (self.task.folder / output).stat()
        return found.st_mtime_ns, found.st_size

    def _settle(self) -> None:
        """Give everything the same time, and wait until all that was written is on the disk."""
        for place, _, names in os.walk(self.task.folder):
            for name in [*names, "."]:
                opened = os.open(Path(place) / name, os.O_RDONLY)
                try:
                    os.utime(opened, ns=(WRITTEN_NS, WRITTEN_NS))
                    os.fsync(opened)
                finally:
                    os.close(opened)


@contextmanager
def _mapped(file: BinaryIO) -> Iterator[mmap.mmap]:
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        yield content


def is_withheld(group: str) -> bool:
    """Tell whether a group is one of files in whose outputs a person has seen something identifying."""
    return reason_of(group) is Reason.SEEN_IDENTIFYING


def status_of(reason: Reason | None) -> Status:
    """Return the status that a reason stands for; without one, all is well."""
    return Status.OK if reason is None else reason.status


@lru_cache(maxsize=1)
def _may_ask_dciodvfy() -> bool:
    return is_installed()


def _folder(output: str) -> str:
    return output.rpartition("/")[0]


def _series_of(folder: str) -> str:
    return folder.rpartition("/")[2]


def _age(path: Path) -> None:
    """Give a file the time of all outputs: it tells nothing, and whoever writes to the file again is noticed."""
    os.utime(path, ns=(WRITTEN_NS, WRITTEN_NS))


def _work_told(work: PixelWork) -> str | None:
    if not work.boxes and not work.found_by and not work.cleaned:
        return None
    return json.dumps(asdict(work), sort_keys=True)
