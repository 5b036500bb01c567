"""Put the series of a job where the job, and nobody else, can read them.

    inputs/<unit>/000001.dcm …      world-readable files below a folder that only the node may enter
    inputs/<unit>/a01/000001.dcm …  annotations of these images, where the job's tool reads them
    inputs/manifest.json            units, subjects (both opaque), files in order

The job's uid reaches the files through the bind mount of `inputs`, other users of the machine do not reach them.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from fairbank.federated_jobs.node.errors import StagingRefused
from fairbank.federated_jobs.node.sandbox_policy import JobFolder
from fairbank.signing import Digest

OPAQUE = re.compile(r"[A-Za-z0-9_-]{1,80}")
MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class AnnotationToStage:
    """One series that describes images, as the node hands it to a job with them.

    Args:
        kind: its modality.
        files: the de-identified files.
    """

    kind: str
    files: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class SeriesToStage:
    """One series as the node hands it to a job.

    Args:
        unit: opaque pseudonym of the series, of this job only.
        subject: opaque pseudonym of its subject, of this job only.
        files: the de-identified files, in the order of the local index.
        facts: what the node knows beside the files, as coded words that tell of the image only.
        annotations: what describes it.
        asked: what the node knows of its subject and the job asks for, such as a label.
    """

    unit: str
    subject: str
    files: tuple[Path, ...]
    facts: Mapping[str, str] = field(default_factory=dict)
    annotations: tuple[AnnotationToStage, ...] = ()
    asked: Mapping[str, str] = field(default_factory=dict)


def stage_series(series: Sequence[SeriesToStage], folder: JobFolder) -> int:
    """Stage all series of a job, replacing what was staged before; return the number of bytes.

    Raises:
        StagingRefused: if a pseudonym is not opaque or occurs twice, or a file is missing.
    """
    _check_names(series)
    folder.create()
    _empty(folder.inputs)
    total = 0
    for one in series:
        total += _place_all(one.files, folder.inputs / one.unit)
        for number, annotation in enumerate(one.annotations, start=1):
            total += _place_all(annotation.files, folder.inputs / _annotation_folder(one.unit, number))
    entries = [
        {
            "unit": s.unit,
            "subject": s.subject,
            "files": [_file_name(i + 1) for i in range(len(s.files))],
            **({"facts": dict(sorted(s.facts.items()))} if s.facts else {}),
            **({"asked": dict(sorted(s.asked.items()))} if s.asked else {}),
            **({"annotations": _annotation_entries(s)} if s.annotations else {}),
        }
        for s in sorted(series, key=lambda s: s.unit)
    ]
    manifest = folder.inputs / MANIFEST
    manifest.write_text(json.dumps({"schema": "staged/1", "units": entries}))
    manifest.chmod(0o444)
    return total


def hand_over(source: Path, folder: JobFolder, *, name: str) -> Path:
    """Put one file into the job's incoming folder under a name, replacing an older one."""
    if not OPAQUE.fullmatch(name.replace(".", "_")):
        raise StagingRefused("A file for a job has an unusable name.", todo="This is an error in fairbank.")
    target = folder.incoming / name
    partial = folder.incoming / f".{name}.part"
    # A leftover may be a link to an older file, which must not be written through.
    partial.unlink(missing_ok=True)
    _place(source, partial)
    partial.replace(target)
    return target


def give_scratch_to(folder: JobFolder, uid: int) -> None:
    """Make a uid the owner of the scratch folder and of all that an earlier worker left in it."""
    os.chown(folder.scratch, uid, uid, follow_symlinks=False)
    for parent, folders, files, parent_fd in os.fwalk(folder.scratch, follow_symlinks=False):
        del parent
        for name in (*folders, *files):
            os.chown(name, uid, uid, dir_fd=parent_fd, follow_symlinks=False)


@dataclass(frozen=True, slots=True)
class Taken:
    """A file as it was read from a job's scratch folder."""

    digest: Digest
    size_bytes: int


def take_from_scratch(
    folder: JobFolder,
    name: str,
    *,
    to: Path,
    max_bytes: int,
    head: Callable[[Callable[[int], bytes]], bytes] | None = None,
    below: str = "",
) -> Taken:
    """Copy a file that the job wrote out of its scratch folder; return what was read.

    The job owns that folder, so nothing in it is trusted: links, pipes and oversized files are refused.

    Args:
        head: reads the beginning of the file by the function that it is given, and returns what is written instead.
        below: the folder in the scratch folder that it lies in, if it is in one.

    Raises:
        StagingRefused: if it is not a plain file of at most `max_bytes`.
    """
    if not OPAQUE.fullmatch(name.replace(".", "_")) or name.startswith("."):
        raise StagingRefused(
            "The job named an output that may not be read.", why="It is not a plain file name."
        )
    try:
        handle = _opened(folder.scratch / below, name)
    except OSError as err:
        raise StagingRefused("An output that the job named cannot be read.", why=str(err.strerror)) from err
    with os.fdopen(handle, "rb") as reading:
        found = os.fstat(reading.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            raise StagingRefused(
                "An output of the job is not a plain file.", why="Links and devices are refused."
            )
        source = _AtMost(reading, max_bytes)
        with to.open("wb") as writing:
            os.fchmod(writing.fileno(), 0o600)
            try:
                if head is not None:
                    writing.write(head(source.read))
                while block := source.read(1 << 20):
                    writing.write(block)
            except BaseException:
                to.unlink()
                raise
    return Taken(source.digest, source.size_bytes)


def _opened(folder: Path, name: str) -> int:
    """Return a file of a folder that a job owns, opened; neither it nor the folder may be a link."""
    place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=place)
    finally:
        os.close(place)


class _AtMost:
    """Reads a file of a job once, up to a limit, and knows the digest of what it has read."""

    def __init__(self, opened: BinaryIO, max_bytes: int) -> None:
        self._opened = opened
        self._max_bytes = max_bytes
        self._hash = hashlib.sha256()
        self.size_bytes = 0

    @property
    def digest(self) -> Digest:
        return Digest(f"sha256:{self._hash.hexdigest()}")

    def read(self, size: int) -> bytes:
        block = self._opened.read(size)
        self.size_bytes += len(block)
        if self.size_bytes > self._max_bytes:
            raise StagingRefused(
                f"An output of the job is larger than {self._max_bytes} bytes.",
                why="The manifest limits each output.",
                todo="Ask for a larger limit, or for less output.",
            )
        self._hash.update(block)
        return block


def _annotation_entries(series: SeriesToStage) -> list[dict[str, object]]:
    return [
        {
            "kind": annotation.kind,
            "folder": _annotation_folder(series.unit, number),
            "files": [_file_name(i + 1) for i in range(len(annotation.files))],
        }
        for number, annotation in enumerate(series.annotations, start=1)
    ]


def _annotation_folder(unit: str, number: int) -> str:
    return f"{unit}/a{number:02d}"


def _check_names(series: Sequence[SeriesToStage]) -> None:
    for one in series:
        if not OPAQUE.fullmatch(one.unit) or not OPAQUE.fullmatch(one.subject):
            raise StagingRefused(
                "A series or its subject has a name that is not opaque.",
                why="A job sees pseudonyms of letters, digits, '-' and '_' only.",
                todo="Pass the job's own pseudonyms.",
            )
    if not all(one.files for one in series):
        raise StagingRefused(
            "A series of a job has no files.",
            why="Its folder was removed or emptied after the index saw it.",
            todo="Bring the index up to date: fairbank harvest index.",
        )
    if len({one.unit for one in series}) != len(series):
        raise StagingRefused("Two series of a job have the same name.", todo="Pass one pseudonym per series.")


def _place_all(files: Sequence[Path], target: Path) -> int:
    target.mkdir(mode=0o755)
    target.chmod(0o755)
    return sum(_place(source, target / _file_name(number)) for number, source in enumerate(files, start=1))


def _place(source: Path, target: Path) -> int:
    try:
        found = source.stat()
        readable_by_all = stat.S_ISREG(found.st_mode) and found.st_mode & 0o004
        if readable_by_all:
            with suppress(OSError):
                os.link(source, target)
                return found.st_size
        shutil.copyfile(source, target)
    except OSError as err:
        raise StagingRefused(
            "A file of a staged series cannot be read.",
            why=f"The system says: {err.strerror}.",
            todo="Check the node's research store.",
        ) from err
    target.chmod(0o444)
    return found.st_size


def _empty(folder: Path) -> None:
    for entry in _entries(folder):
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _entries(folder: Path) -> Iterator[Path]:
    yield from list(folder.iterdir())


def _file_name(number: int) -> str:
    return f"{number:06d}.dcm"
