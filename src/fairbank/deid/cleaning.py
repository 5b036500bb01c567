"""One file, from bytes to bytes: admitted, its facts recorded, cleaned, written, and swept for identifiers."""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from fairbank import __version__
from fairbank.deid import large_files, part10
from fairbank.deid.actions import ElementActions, actions_between, nested
from fairbank.deid.admission import refusal, trim_pixels
from fairbank.deid.admitted import EVERYBODY, Admitted
from fairbank.deid.annotators import KnownAs
from fairbank.deid.decisions import NO_DECISIONS, Decisions, Verdict
from fairbank.deid.elements import raw_bytes, text_of
from fairbank.deid.engine import PIXEL_TAGS, Engine
from fairbank.deid.errors import SubjectForgotten
from fairbank.deid.facts import FactSheet, Recorder, fact_sheet
from fairbank.deid.groups import group_of, may_be_discarded, may_be_released
from fairbank.deid.identifiers import NOTHING_STATED, Identifiers, identifiers_of
from fairbank.deid.identities import Identities
from fairbank.deid.method import Method
from fairbank.deid.outcomes import Reason, Refused
from fairbank.deid.pixels.stage import treat
from fairbank.deid.pixels.work import UNTOUCHED, PixelWork
from fairbank.deid.pseudonyms import SubjectPseudonyms, study_value, subject_value
from fairbank.deid.rules import Option
from fairbank.deid.verification.check import problems, reason_of
from fairbank.deid.verification.problem import Problem

TOOL = f"fairbank {__version__}"


@dataclass(frozen=True, slots=True)
class Order:
    """How files are to be cleaned."""

    project: str
    method: Method


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A de-identified file: its bytes, its pseudonyms, and the facts of its series.

    Attributes:
        content: empty where the file was written to its place; `sha256` is its digest in any case.
        subject_value: the subject's value, under which the node files what it may have to forget.
        stated: what the source says of the person, to be sought in the other files of the subject.
    """

    content: bytes = field(repr=False)
    sha256: bytes
    subject: str
    study_uid: str
    series_uid: str
    sop_uid: str
    key_epoch: int
    key_id: str
    facts: FactSheet
    work: PixelWork
    actions: ElementActions = field(default_factory=dict)
    subject_value: str = field(default="", repr=False)
    stated: Identifiers = field(default=NOTHING_STATED, repr=False)


@dataclass(frozen=True, slots=True)
class Held:
    """A file that was not cleaned, and why.

    `subject` is its subject's value, if it could be read; `group` is under which name a curator decides of such files;
    `stated` is as in `Cleaned`, as far as it could be read.
    """

    reason: Reason
    subject: str | None = field(default=None, repr=False)
    group: str | None = None
    stated: Identifiers = field(default=NOTHING_STATED, repr=False)


class TargetNotWritten(OSError):
    """The file that a large one is cleaned into cannot be written; carries the system's number, and no path."""


# Writes a cleaned dataset; returns its bytes if it holds them, their SHA-256, and what is wrong with them.
_Write = Callable[[Dataset, Identifiers, PixelWork], tuple[bytes, bytes, tuple[Problem, ...]]]


def clean_file(
    content: bytes,
    order: Order,
    *,
    identity: Identities,
    recorder: Recorder,
    admitted: Admitted = EVERYBODY,
    decisions: Decisions = NO_DECISIONS,
) -> Cleaned | Held:
    """Return the de-identified file, or why there is none.

    Of a subject who is not admitted nothing is noted, not even a pseudonym.

    The bytes depend on the content, the subject's keys, the project, the profile and the tool's version only.
    """
    with part10.quiet_pydicom():
        try:
            dataset = part10.read(content)
        except Refused as refused:
            return Held(refused.reason)
        except Exception:  # noqa: BLE001 - pydicom answers malformed bytes with any exception; each means the same
            return Held(Reason.UNDECODABLE)
        return _clean_dataset(
            dataset,
            order,
            _in_memory(order.method),
            identity=identity,
            recorder=recorder,
            admitted=admitted,
            decisions=decisions,
        )


def clean_large_file(
    path: Path,
    target: Path,
    order: Order,
    *,
    identity: Identities,
    recorder: Recorder,
    admitted: Admitted = EVERYBODY,
    decisions: Decisions = NO_DECISIONS,
) -> Cleaned | Held:
    """De-identify a file into another without holding its pixels; to the same bytes as `clean_file`.

    What is at `target` after a file was held is of no use, and has to be removed.

    Raises:
        TargetNotWritten: if the disk is full or the target may not be written.
    """
    with part10.quiet_pydicom():
        try:
            with large_files.opened(path) as dataset:
                return _clean_dataset(
                    dataset,
                    order,
                    _into_file(target, order.method),
                    identity=identity,
                    recorder=recorder,
                    admitted=admitted,
                    decisions=decisions,
                )
        except Refused as refused:
            return Held(refused.reason)
        except TargetNotWritten:
            raise
        except OSError:
            return Held(Reason.UNREADABLE)
        except Exception:  # noqa: BLE001 - as above
            return Held(Reason.UNDECODABLE)


def _in_memory(method: Method) -> _Write:
    def write(
        dataset: Dataset, identifiers: Identifiers, work: PixelWork
    ) -> tuple[bytes, bytes, tuple[Problem, ...]]:
        written = part10.write(dataset)
        found = problems(
            written, identifiers=identifiers, method=method, pixel_bytes=_pixel_bytes(dataset), work=work
        )
        return written.content, hashlib.sha256(written.content).digest(), found

    return write


def _into_file(target: Path, method: Method) -> _Write:
    """Write to a file, and verify what is there then, mapped: only what is looked at is loaded."""

    def write(
        dataset: Dataset, identifiers: Identifiers, work: PixelWork
    ) -> tuple[bytes, bytes, tuple[Problem, ...]]:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file:
                done = large_files.write_to(dataset, file)
        except OSError as err:
            raise TargetNotWritten(err.errno, "the target cannot be written") from err
        with target.open("rb") as made, mmap.mmap(made.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            written = part10.Written(cast("bytes", mapped), done.body)
            found = problems(
                written, identifiers=identifiers, method=method, pixel_bytes=_pixel_bytes(dataset), work=work
            )
        return b"", bytes.fromhex(done.sha256), found

    return write


def _clean_dataset(
    dataset: Dataset,
    order: Order,
    write: _Write,
    *,
    identity: Identities,
    recorder: Recorder,
    admitted: Admitted,
    decisions: Decisions,
) -> Cleaned | Held:
    try:
        subject = subject_of(dataset)
        if not admitted.admits(identity.consent_key(subject)):
            return Held(Reason.WITHDRAWN if identity.is_forgotten(subject) else Reason.NO_CONSENT)
        if _was_forgotten(dataset, identity):
            return Held(Reason.WITHDRAWN)
        reason = refusal(dataset, order.method)
    except Exception:  # noqa: BLE001 - as above
        return Held(Reason.UNDECODABLE)
    stated = _stated(dataset)
    if reason is not None:
        return _held(dataset, reason, subject, decisions, stated)
    try:
        pseudonyms = identity.subject(order.project, subject)
    except SubjectForgotten:
        return Held(Reason.WITHDRAWN)
    if stated is None:
        return Held(Reason.UNDECODABLE, subject)
    try:
        return _cleaned(dataset, order, pseudonyms, recorder, decisions, stated, write)
    except Refused as refused:
        return _held(dataset, refused.reason, subject, decisions, stated, group=refused.group)
    except TargetNotWritten:
        raise
    except Exception:  # noqa: BLE001 - as above: fail closed, whatever a malformed element made pydicom raise
        return Held(Reason.UNDECODABLE, subject, stated=stated.of_person)


def _stated(dataset: Dataset) -> Identifiers | None:
    try:
        return identifiers_of(dataset)
    except Exception:  # noqa: BLE001 - as above
        return None


def _was_forgotten(dataset: Dataset, identity: Identities) -> bool:
    """Tell whether a study without a patient id was withdrawn under the name that an older fairbank gave to it."""
    if text_of(dataset, 0x00100020):
        return False
    return identity.is_forgotten(subject_value(text_of(dataset, 0x0020000D), "study"))


def _held(
    dataset: Dataset,
    reason: Reason,
    subject: str,
    decisions: Decisions,
    stated: Identifiers | None,
    *,
    group: str | None = None,
) -> Held:
    group = group or group_of(dataset, reason)
    person = NOTHING_STATED if stated is None else stated.of_person
    if may_be_discarded(reason) and decisions.of(group) is Verdict.DISCARD:
        return Held(Reason.DISCARDED, subject, group, person)
    return Held(reason, subject, group, person)


def subject_of(dataset: Dataset) -> str:
    """Return what names a file's subject: issuer and patient id; the study's UID where there is no id."""
    patient_id = text_of(dataset, 0x00100020)
    if patient_id:
        return subject_value(patient_id, text_of(dataset, 0x00100021))
    return study_value(text_of(dataset, 0x0020000D))


def _cleaned(
    dataset: Dataset,
    order: Order,
    pseudonyms: SubjectPseudonyms,
    recorder: Recorder,
    decisions: Decisions,
    identifiers: Identifiers,
    write: _Write,
) -> Cleaned:
    series_uid = text_of(dataset, 0x0020000E)
    if Option.RETAIN_UIDS not in order.method.options:
        series_uid = pseudonyms.uid(series_uid)
    facts = fact_sheet(
        dataset,
        series_uid=series_uid,
        subject=pseudonyms.subject,
        shift_days=pseudonyms.shift_days,
        recorder=recorder,
        known_as=KnownAs(pseudonyms.uid, pseudonyms.person),
    )
    trim_pixels(dataset)
    work = _treated(dataset, order.method, decisions, identifiers)
    before = dict(dataset.items())
    engine = Engine(order.method, pseudonyms, identifiers.own_words, TOOL, work)
    engine.clean(dataset)
    actions = actions_between(before, dict(dataset.items())) | nested(engine.nested)
    content, digest, found = write(dataset, identifiers, work)
    if found:
        raise Refused(reason_of(found))
    return Cleaned(
        content=content,
        sha256=digest,
        subject=pseudonyms.subject,
        study_uid=text_of(dataset, 0x0020000D),
        series_uid=text_of(dataset, 0x0020000E),
        sop_uid=text_of(dataset, 0x00080018),
        key_epoch=pseudonyms.keys.epoch,
        key_id=pseudonyms.keys.key_id,
        facts=facts,
        work=work,
        actions=actions,
        subject_value=pseudonyms.value,
        stated=identifiers.of_person,
    )


def _treated(dataset: Dataset, method: Method, decisions: Decisions, identifiers: Identifiers) -> PixelWork:
    """Treat the pixels; what would be held goes on if a person has decided so and may.

    A refusal that names its group has asked for the decision itself.
    """
    try:
        return treat(dataset, method=method, decisions=decisions, identifiers=identifiers)
    except Refused as refused:
        if refused.group is not None:
            raise
        group = group_of(dataset, refused.reason)
        if may_be_released(refused.reason) and decisions.of(group) is Verdict.RELEASE:
            return replace(UNTOUCHED, group=group)
        raise


def _pixel_bytes(dataset: Dataset) -> int:
    present = [BaseTag(tag) for tag in PIXEL_TAGS if BaseTag(tag) in dataset]
    return sum(len(raw_bytes(dataset.get_item(tag))) for tag in present)
