"""How a model stands today, beside the card that was sealed when it was registered; every function only reads.

What it was made from may have changed since, its files may be damaged, a subject may have been withdrawn, and other
models may have been made from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session, defer

from fairbank.catalogue import blobs, hub_keys
from fairbank.catalogue.accounts import Account, Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.store import DatasetRow
from fairbank.catalogue.visibility import unhidden
from fairbank.errors import FairbankError
from fairbank.federated_jobs.hub.model_registry import KEPT_BACK, model_of
from fairbank.federated_jobs.hub.store import JobRow, ModelRow, OutputRow, UpdateRow
from fairbank.federated_jobs.hub.withdrawals import days_of
from fairbank.ontology.model_cards import MODEL_MOVES, ModelCard, ModelState
from fairbank.signing import file_digest

# Files up to this size are hashed whenever somebody looks; larger ones (a second a gigabyte and more) when asked for.
HASHED_AT_ONCE: Final = 64 * 2**20
_HASHES_KEPT: Final = 10_000
_hashes: dict[tuple[str, int, int], str] = {}


class FileCheck(StrEnum):
    """Whether a file is the one that the card names."""

    WHOLE = "whole"
    DAMAGED = "damaged"
    GONE = "gone"
    # Too large to be hashed whenever somebody looks.
    UNCHECKED = "unchecked"


@dataclass(frozen=True, slots=True)
class ModelLine:
    """A model in a line; `withdrawn` is the day on which the hub learned of a withdrawn subject, if there was one."""

    digest: str
    job: str
    title: str
    account: str
    state: ModelState
    version: int
    rounds: int
    size_bytes: int
    nodes: tuple[str, ...]
    created: datetime
    withdrawn: date | None


@dataclass(frozen=True, slots=True)
class MadeFrom:
    """A collection that a model was trained on.

    Attributes:
        then: its version when the model was registered; None where the card does not say.
        now: its newest version; None where it is not in the catalogue, or not for who asks.
        withdrawn: when the whole collection was withdrawn.
    """

    iri: str
    node: str
    title: str
    then: int | None
    now: int | None
    withdrawn: datetime | None


@dataclass(frozen=True, slots=True)
class Before:
    """What was there on the day on which the hub learned of a withdrawn subject, and may have been used."""

    updates: int
    files: int
    last: datetime | None


@dataclass(frozen=True, slots=True)
class Relative:
    """Another version of a model's line."""

    digest: str
    version: int
    title: str
    state: ModelState
    created: datetime


def oversees(who: Account) -> bool:
    """Tell whether somebody sees the models of everybody; what belongs to them is handed to their owners only."""
    return who.has(Role.AUDITOR, Role.ADMIN)


def model_seen(session: Session, digest: str, who: Account) -> tuple[ModelRow, JobRow]:
    """Return a model and its job, for the eyes of its owner or of who oversees all.

    Raises:
        NotYetMerged: if there is none for these eyes.
    """
    return model_of(session, digest, None if oversees(who) else who.name)


def listed(session: Session, account: str | None, *, limit: int = 200) -> tuple[ModelLine, ...]:
    """Return the models that came of an account's jobs, or of everybody's if None, the newest first."""
    query = (
        select(ModelRow, JobRow.title, JobRow.account)
        .join(JobRow, JobRow.id == ModelRow.job)
        .order_by(ModelRow.created.desc(), ModelRow.digest)
        .limit(limit)
        .options(defer(ModelRow.card))
    )
    rows = session.execute(query if account is None else query.where(JobRow.account == account)).all()
    days = days_of(session, {row.job for row, _, _ in rows})
    return tuple(
        ModelLine(
            row.digest,
            row.job,
            title,
            owner,
            ModelState(row.state),
            row.version,
            row.round,
            row.size_bytes,
            tuple(row.provenance["nodes"]),
            row.created,
            date.fromisoformat(days[row.job]) if row.job in days else None,
        )
        for row, title, owner in rows
    )


def opened_card(session: Session, model: ModelRow) -> tuple[ModelCard | None, str]:
    """Return a model's card and why there is none that can be trusted; one of the two is empty."""
    if model.card is None:
        return None, "It was registered before models had cards, or without the hub's key."
    try:
        card, _ = ModelCard.open(model.card, trusted=[*hub_keys.keys(session)])
    except FairbankError as error:
        return None, f"{error.what} {error.why} ({error.code})"
    if card.model != model.digest:
        return None, "The card that is kept is that of another model."
    return card, ""


def made_from(session: Session, card: ModelCard, who: Account) -> tuple[MadeFrom, ...]:
    """Return the collections that a model was trained on, as they were and as they are."""
    iris = [each.iri for each in card.datasets]
    rows = session.scalars(select(DatasetRow).where(DatasetRow.iri.in_(iris), unhidden(who)))
    now = {row.iri: row for row in rows}
    return tuple(
        MadeFrom(
            each.iri,
            each.node,
            each.title or each.iri.rpartition("/")[2],
            each.version,
            now[each.iri].version if each.iri in now else None,
            now[each.iri].withdrawn if each.iri in now else None,
        )
        for each in card.datasets
    )


def file_state(hub: Hub, digest: str, size_bytes: int, *, large_too: bool = False) -> FileCheck:
    """Return whether a file that is kept is the one that its digest names.

    Args:
        large_too: hash it however large it is.
    """
    path = blobs.path_of(hub, digest)
    try:
        found = path.stat()
    except FileNotFoundError:
        return FileCheck.GONE
    if found.st_size != size_bytes:
        return FileCheck.DAMAGED
    key = (str(path), found.st_mtime_ns, found.st_ino)
    if key not in _hashes:
        if found.st_size > HASHED_AT_ONCE and not large_too:
            return FileCheck.UNCHECKED
        if len(_hashes) >= _HASHES_KEPT:
            _hashes.clear()
        _hashes[key] = file_digest(path)
    return FileCheck.WHOLE if _hashes[key] == digest else FileCheck.DAMAGED


def before(session: Session, job: str, day: date) -> Before:
    """Return what of a job the sites had released and the hub had made up to a day."""
    ends = datetime(day.year, day.month, day.day, 23, 59, 59, 999_999, tzinfo=UTC)
    updates = session.scalar(
        select(func.count()).select_from(UpdateRow).where(UpdateRow.job == job, UpdateRow.received <= ends)
    )
    files, last = session.execute(
        select(func.count(), func.max(OutputRow.created)).where(
            OutputRow.job == job, OutputRow.created <= ends
        )
    ).one()
    return Before(updates or 0, files, last)


def line_of(session: Session, model: ModelRow, account: str) -> tuple[Relative, ...]:
    """Return the other versions of a model's line that an account may see, the newest first."""
    if model.line is None:
        return ()
    rows: Sequence[tuple[ModelRow, str]] = [
        (row, title)
        for row, title in session.execute(
            select(ModelRow, JobRow.title)
            .join(JobRow, JobRow.id == ModelRow.job)
            .where(ModelRow.line == model.line, ModelRow.digest != model.digest, JobRow.account == account)
            .order_by(ModelRow.version.desc())
            .limit(100)
        )
    ]
    return tuple(
        Relative(row.digest, row.version, title, ModelState(row.state), row.created) for row, title in rows
    )


def open_moves(state: ModelState, who: Account) -> tuple[ModelState, ...]:
    """Return to which states somebody may move a model of theirs; `model_registry.move` decides."""
    allowed = MODEL_MOVES[state] - {ModelState.RELEASED}
    if not who.has(Role.ADMIN):
        allowed &= {ModelState.WITHDRAWN}
    return tuple(sorted(allowed))


def is_handed_out(state: ModelState) -> bool:
    """Tell whether the files of a model in a state are given to its owner."""
    return state.value not in KEPT_BACK
