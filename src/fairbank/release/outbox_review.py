"""The curator's look at what waits to leave: exactly its bytes, what is new in it, and who decides what and why."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import select

from fairbank.database import reading, writing
from fairbank.errors import FairbankError
from fairbank.ontology.counts import Count
from fairbank.ontology.outputs import DoorClass
from fairbank.ontology.record import DatasetRecord
from fairbank.release.contributions import Key
from fairbank.release.errors import OutputOfAJob, ReleaseBytesLost, UnknownRelease
from fairbank.release.node import Node
from fairbank.release.outbox import Outbox
from fairbank.release.outbox_files import stored
from fairbank.release.people import Signer
from fairbank.release.person_decisions import Act, second_needed, second_person
from fairbank.release.person_decisions import decide as sign
from fairbank.release.published_counts import counts_of
from fairbank.release.published_counts import words_of as words_of_count
from fairbank.release.records_word import words_of
from fairbank.release.releases import Release, ReleaseState, release_of
from fairbank.release.store import ReleaseRow
from fairbank.signing import open_sealed

_COUNTED = frozenset({"totals", "cube", "distributions", "quality"})
MOST_CHANGES = 500
_MOST_COMPARED = 4 << 20
_ALWAYS_NEW = frozenset({"schema", "version", "created"})


class Decision(StrEnum):
    """What a curator decides about something that waits."""

    APPROVE = "approve"
    HOLD = "hold"
    WITHHOLD = "withhold"


_SIGNED = {
    Decision.APPROVE: Act.RECORD_APPROVE,
    Decision.HOLD: Act.RECORD_HOLD,
    Decision.WITHHOLD: Act.RECORD_WITHHOLD,
}


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that a record says otherwise than the one before; None where only one of them says it."""

    what: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is new in a record or a result.

    Attributes:
        version: of the record, or the round of the result; `before` is that which it is compared with, None for a
            dataset's first.
        job: of which the earlier result was; None of records.
        is_cut: whether there are more changes than these.
    """

    version: int
    before: int | None
    changes: tuple[Change, ...]
    job: str | None = None
    is_cut: bool = False


def waiting(node: Node) -> list[Release]:
    """Return what waits to leave: held for the curator first, then ready; each oldest first."""
    outbox = Outbox(node)
    return [one for state in (ReleaseState.HELD, ReleaseState.READY) for one in outbox.pending(state=state)]


def find(node: Node, named: str) -> Release:
    """Return a release by its id, or by the name of its output if one of that name waits.

    Raises:
        UnknownRelease: if there is none, or more than one of that name waits.
    """
    of_name = [one for one in waiting(node) if one.output == named]
    if len(of_name) > 1:
        raise UnknownRelease(
            f"{len(of_name)} releases of this name wait.",
            why="A name stands for a release only while one of it waits.",
            todo="Name it by its id: fairbank node outbox list.",
        )
    return of_name[0] if of_name else Outbox(node).release(named)


def content(node: Node, release: Release) -> bytes:
    """Return exactly the bytes that leave; of what leaves sealed to peers, what they can read.

    Raises:
        ReleaseBytesLost: if they are gone or were changed.
    """
    return path_of(node, release).read_bytes()


def path_of(node: Node, release: Release) -> Path:
    """Return the file with exactly the bytes that leave; of what leaves sealed to peers, what they can read.

    Raises:
        ReleaseBytesLost: if they are gone or were changed.
    """
    return stored(node.outbox_path, release.plain_digest or release.digest)


def earlier(node: Node, release: Release) -> Release | None:
    """Return what left last of the same kind and name: of the same job, if anything of it has; None if nothing did."""
    same = (
        ReleaseRow.output == release.output,
        ReleaseRow.door_class == release.door_class.value,
        ReleaseRow.state == ReleaseState.SENT.value,
        ReleaseRow.id != release.id,
    )
    own = (ReleaseRow.job == (release.job or ""), ReleaseRow.round < release.round)
    with reading(node.engine) as session:
        row = session.scalar(select(ReleaseRow).where(*same, *own).order_by(ReleaseRow.round.desc()).limit(1))
        if row is None and release.job is not None:
            others = (ReleaseRow.job != release.job, ReleaseRow.job != "")
            query = select(ReleaseRow).where(*same, *others).order_by(ReleaseRow.sent.desc()).limit(1)
            row = session.scalar(query)
        return release_of(row) if row is not None else None


def readable(node: Node, release: Release) -> str | None:
    """Return the content as text: the payload of a sealed object, or JSON; None if it is neither."""
    raw = content(node, release)
    try:
        if release.door_class is DoorClass.RECORD:
            parsed: Any = open_sealed(raw, DatasetRecord.kind, trusted=node.keys).payload
        else:
            parsed = json.loads(raw)
    except (FairbankError, ValueError):
        return None
    return json.dumps(parsed, indent=2, ensure_ascii=False)


def compare(node: Node, release: Release) -> Comparison | None:
    """Return what is new in a record or a result against the one before it; None for anything else."""
    if release.door_class is DoorClass.RESULT:
        return _of_result(node, release)
    if release.door_class is not DoorClass.RECORD:
        return None
    with reading(node.engine) as session:
        records = [record for _, record in Outbox(node).published(session, release.output)]
    (record,) = [each for each in records if each.version == release.round] or [_of(node, release)]
    earlier = [each for each in records if each.version < release.round]
    if not earlier:
        return Comparison(record.version, None, ())
    changes = (*_said(earlier[-1], record), *_counted(earlier[-1], record))
    return Comparison(record.version, earlier[-1].version, changes)


def _of_result(node: Node, release: Release) -> Comparison | None:
    """Return what is new in a result; None if nothing like it has left, or its bytes are not kept any more."""
    before = earlier(node, release)
    try:
        old = json.loads(content(node, before)) if before is not None and _is_small(before) else None
        new = json.loads(content(node, release)) if old is not None and _is_small(release) else None
    except (ReleaseBytesLost, ValueError):
        return None
    if before is None or old is None or new is None:
        return None
    changes = list(islice(_differing(dict(_flat(old)), dict(_flat(new))), MOST_CHANGES))
    return Comparison(release.round, before.round, tuple(changes), before.job, len(changes) == MOST_CHANGES)


def _is_small(release: Release) -> bool:
    return release.size_bytes <= _MOST_COMPARED


def _differing(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Change]:
    for name in dict.fromkeys((*old, *new)):
        if old.get(name) != new.get(name):
            yield Change(name, old.get(name), new.get(name))


def _flat(value: Any, at: str = "") -> Iterator[tuple[str, str]]:
    """Yield each plain member with the names and places that lead to it."""
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from _flat(each, f"{at} / {name}".replace("_", " ") if at else str(name).replace("_", " "))
    elif isinstance(value, list):
        for place, each in enumerate(value, start=1):
            yield from _flat(each, f"{at} / {place}" if at else str(place))
    else:
        yield at, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def decide(
    node: Node, release: Release, decision: Decision, *, by: str, why: str, signer: Signer | None = None
) -> Release:
    """Let a release leave, wait, or stay for good; who decided and why is in the audit log.

    Raises:
        OutputOfAJob: if a job made it.
        PersonNeeded: if persons are named here and none signs.
        SecondPersonNeeded: if the node asks for four eyes before something leaves, and this was the first pair.
        ReleaseStateError: if it is in no state that allows this.
    """
    if release.job is not None:
        raise OutputOfAJob(
            "This is an output of a job.",
            why="A job's outputs leave only while its approval holds, so they are decided with the job.",
            todo=f"Run 'fairbank node let-go {release.job}' or 'fairbank node keep-back {release.job}'.",
        )
    outbox = Outbox(node)
    act = {
        Decision.APPROVE: outbox.approve,
        Decision.HOLD: outbox.hold,
        Decision.WITHHOLD: outbox.withhold,
    }[decision]
    words = words_of(release)
    signed = _SIGNED[decision]
    with writing(node.engine) as session:
        enough = (
            signer is None
            or decision is not Decision.APPROVE
            or node.settings.node_four_eyes == "no"
            or second_person(session, node, signed, release.id, words, signer=signer)
        )
        sign(session, node, signed, release.id, words, signer=signer)
        if enough:
            return act(session, release.id, by=signer.name if signer else by, why=why)
    raise second_needed()


def _of(node: Node, release: Release) -> DatasetRecord:
    """Return the record of a release that was kept back."""
    return DatasetRecord.open(content(node, release), trusted=list(node.keys))[0]


def _said(before: DatasetRecord, after: DatasetRecord) -> Iterator[Change]:
    old, new = before.payload(), after.payload()
    for name in dict.fromkeys((*old, *new)):
        if name in _COUNTED | _ALWAYS_NEW or old.get(name) == new.get(name):
            continue
        if name == "provenance":
            yield Change(name, f"{len(old[name])} steps", f"{len(new[name])} steps, at other times")
            continue
        yield Change(name.replace("_", " "), _text(old.get(name)), _text(new.get(name)))


def _counted(before: DatasetRecord, after: DatasetRecord) -> Iterator[Change]:
    old: Mapping[Key, Count] = counts_of(before)
    new: Mapping[Key, Count] = counts_of(after)
    for key in dict.fromkeys((*old, *new)):
        if old.get(key) != new.get(key):
            yield Change(words_of_count(key), _text(old.get(key)), _text(new.get(key)))


def _text(value: object) -> str | None:
    if value is None:
        return None
    return value if isinstance(value, str) else str(value)
