"""One file of a folder, verified: the work that a process of its own does."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from mmap import ACCESS_READ, mmap
from pathlib import Path

from fairbank.deid.identifiers import Identifiers, identifiers_in
from fairbank.deid.method import Method
from fairbank.deid.part10 import IMPLEMENTATION_CLASS_UID, quiet_pydicom
from fairbank.deid.profiles import Profile, codes_of
from fairbank.deid.pseudonyms import study_value, subject_value
from fairbank.deid.rules import Option
from fairbank.deid.sweep.walk import Buffer, Malformed
from fairbank.deid.verification.check import output_problems, source_problems
from fairbank.deid.verification.dciodvfy import errors_of, new_errors
from fairbank.deid.verification.marks import codes_in
from fairbank.deid.verification.output import PREAMBLE_BYTES, Output
from fairbank.deid.verification.problem import Fault, Problem, problem
from fairbank.deid.verification.uid_graph import Links, links_of

_PREFIX = b"DICM"
_LARGE_BYTES = 1 << 26


@dataclass(frozen=True, slots=True)
class Original:
    """A file before cleaning, as far as it has to be known to find what became of it. Never printed."""

    path: Path
    subject: str = field(repr=False)
    sop_uid: str = field(repr=False)
    identifiers: Identifiers = field(repr=False)


@dataclass(frozen=True, slots=True)
class Task:
    """An output to be verified.

    Attributes:
        number: by which the report calls it.
        path: where it is.
        method: how it was cleaned; None believes what the file says of itself.
        original: what it was made of, if that is known, and the identifiers of all files of its subject.
        key: of the UID graph.
    """

    number: int
    path: Path
    method: Method | None
    original: Original | None = None
    key: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found at one file.

    Attributes:
        number: by which the report calls it.
        problems: what is wrong; None if the file is no DICOM file.
        ours: made by this software.
        options_known: the file, or the caller, says how it was cleaned.
        series: the series' UID in the output.
        links: for the UID graph; None without an original.
    """

    number: int
    problems: tuple[Problem, ...] | None
    ours: bool = False
    options_known: bool = False
    series: str = ""
    links: Links | None = None


def sop_uid_of(path: Path) -> str | None:
    """Return the instance UID of a file; None if it cannot be read."""
    output = _read(path)
    return None if output is None else output.text(0x00080018)


def original_at(path: Path) -> Original | None:
    """Return a file before cleaning; None if it cannot be read."""
    output = _read(path)
    if output is None:
        return None
    patient = output.text(0x00100020)
    subject = (
        subject_value(patient, output.text(0x00100021)) if patient else study_value(output.text(0x0020000D))
    )
    own = replace(identifiers_in(output.walked), uids=frozenset(), device_uids=frozenset())
    return Original(path, subject, output.text(0x00080018), own)


def verify_one(task: Task) -> Verdict:
    """Return what is wrong with one output."""
    with quiet_pydicom():
        content = _content(task.path)
        if content[PREAMBLE_BYTES : PREAMBLE_BYTES + 4] != _PREFIX:
            return Verdict(task.number, None)
        try:
            output = Output.read(content)
        except Malformed:
            return Verdict(task.number, (problem(Fault.UNREADABLE),))
        return _verdict(task, output)


def standard_errors(output: Path, original: Path | None) -> Counter[str] | None:
    """Return the errors of `dciodvfy` that are new, or all of them where there is no original to compare with."""
    if original is None:
        return errors_of(output)
    return new_errors(original, output)


def method_said_by(output: Output) -> Method | None:
    """Return the method that a file's own codes state (DICOM PS3.16, CID 7050); None if it states none."""
    codes = codes_in(output)
    options = frozenset(option for option in Option if _code_of(option) in codes)
    if "113100" not in codes:
        return None
    if Profile.RESEARCH.options <= options:
        return Method(Profile.RESEARCH, options - Profile.RESEARCH.options)
    return Method(Profile.BASIC, options)


def _verdict(task: Task, output: Output) -> Verdict:
    said = method_said_by(output)
    method = task.method or said or Method(Profile.BASIC)
    ours = output.meta_text(0x00020012) == IMPLEMENTATION_CLASS_UID
    found = list(output_problems(output, method, ours=ours, stated=bool(task.method or said)))
    links = None
    if task.original is not None:
        original = _read(task.original.path)
        if original is not None:
            own = identifiers_in(original.walked).merged(task.original.identifiers)
            found += source_problems(output, own, method)
            links = links_of(original, output, method=method, subject=task.original.subject, key=task.key)
    return Verdict(
        task.number,
        tuple(dict.fromkeys(found)),
        ours=ours,
        options_known=task.method is not None or said is not None,
        series=output.text(0x0020000E),
        links=links,
    )


def _read(path: Path) -> Output | None:
    with quiet_pydicom():
        try:
            return Output.read(_content(path))
        except (Malformed, OSError):
            return None


def _content(path: Path) -> Buffer:
    """Return a file's bytes; those of a large one are loaded as they are looked at."""
    if path.stat().st_size < _LARGE_BYTES:
        return path.read_bytes()
    with path.open("rb") as file:
        return mmap(file.fileno(), 0, access=ACCESS_READ)


def _code_of(option: Option) -> str:
    try:
        codes = codes_of({option})
    except KeyError:
        return ""
    return next((value for value, _ in codes if value != "113100"), "")
