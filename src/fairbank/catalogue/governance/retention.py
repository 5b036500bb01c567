"""How long the hub keeps what people gave it, and the sweep that deletes it after that; the audit log stays whole.

What is deleted is content: sealed requests with names and statements, documents, comments, votes, notices, tokens,
uploads that broke off. The audit log keeps that there was a request, what became of it and when it was deleted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Table, delete, func, or_, select
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance import attachments
from fairbank.catalogue.governance.store import AttachmentRow, LegRow, NoticeRow, RequestRow
from fairbank.catalogue.governance.workflow import REQUEST, RequestState
from fairbank.catalogue.store import LoginFailureRow, TokenRow, UploadRow
from fairbank.database import HubBase, reading, writing

HUB_ACTOR: Final = "hub"
ACT: Final = "retention.sweep"
EVERY_S: Final = 6 * 3600.0
_AT_ONCE: Final = 200
_PREFIX: Final = "catalogue_"
_ENDED: Final = tuple(REQUEST.last)


@dataclass(frozen=True, slots=True)
class Kept:
    """One kind of content.

    Attributes:
        what: its name, as the audit log and the command say it.
        setting: the setting that says for how many days it is kept.
        after: what the days are counted from.
        due: returns how much is due, and up to some of what it is.
        forget: deletes some of it in the caller's transaction; what it returns is done when that is over.
    """

    what: str
    setting: str
    after: str
    due: Callable[[Session, datetime], tuple[int, Sequence[str]]]
    forget: Callable[[Hub, Session, Sequence[str]], Callable[[], None] | None]

    def before(self, hub: Hub) -> datetime:
        """Return before which moment it is due."""
        return hub.clock.now() - timedelta(days=int(getattr(hub.settings, self.setting)))


@dataclass(frozen=True, slots=True)
class Due:
    """How much of a kind is due, and for how long it is kept."""

    what: str
    setting: str
    days: int
    after: str
    due: int


class Sweeper:
    """Sweeps now and then; when the hub starts, and every few hours after that."""

    def __init__(self, hub: Hub) -> None:
        self._hub, self._next = hub, 0.0

    def sweep(self) -> dict[str, int]:
        """Sweep if it is time, and return what went."""
        if time.monotonic() < self._next:
            return {}
        self._next = time.monotonic() + EVERY_S
        return sweep(self._hub)


def sweep(hub: Hub) -> dict[str, int]:
    """Delete all that has been kept as long as it may, and return how much of what; each step can be cut off."""
    gone: dict[str, int] = {}
    for kept in KEPT:
        while count := _some(hub, kept):
            gone[kept.what] = gone.get(kept.what, 0) + count
    return gone


def listing(hub: Hub) -> list[Due]:
    """Return of each kind how long it is kept and how much is due, and change nothing."""
    with reading(hub.engine) as session:
        return [
            Due(
                each.what,
                each.setting,
                int(getattr(hub.settings, each.setting)),
                each.after,
                each.due(session, each.before(hub))[0],
            )
            for each in KEPT
        ]


def _some(hub: Hub, kept: Kept) -> int:
    with reading(hub.engine) as session:
        if not kept.due(session, kept.before(hub))[0]:
            return 0
    with writing(hub.engine) as session:
        _, some = kept.due(session, kept.before(hub))
        afterwards = kept.forget(hub, session, some)
        if some:
            audit.record(
                session,
                audit.HubAudit,
                clock=hub.clock,
                actor=HUB_ACTOR,
                act=ACT,
                target=kept.what,
                detail={"count": len(some), "days": int(getattr(hub.settings, kept.setting))},
            )
    if afterwards is not None:
        afterwards()
    return len(some)


# -- requests and their documents --------------------------------------------------------------------------------------


def _ended_requests(session: Session, before: datetime) -> tuple[int, Sequence[str]]:
    return _found(session, RequestRow.id, RequestRow.state.in_(_ENDED), RequestRow.changed < before)


def _old_drafts(session: Session, before: datetime) -> tuple[int, Sequence[str]]:
    state = RequestRow.state == RequestState.DRAFT.value
    return _found(session, RequestRow.id, state, RequestRow.changed < before)


def _with_documents(session: Session, before: datetime) -> tuple[int, Sequence[str]]:
    held = select(AttachmentRow.request)
    ended = RequestRow.state.in_(_ENDED)
    return _found(session, RequestRow.id, ended, RequestRow.changed < before, RequestRow.id.in_(held))


def _forget_documents(hub: Hub, session: Session, requests: Sequence[str]) -> Callable[[], None]:
    for request in requests:
        attachments.forget_all(session, request)

    def files() -> None:
        for request in requests:
            attachments.sweep(hub, request)

    return files


def _forget_requests(hub: Hub, session: Session, requests: Sequence[str]) -> Callable[[], None]:
    files = _forget_documents(hub, session, requests)
    legs = list(session.scalars(select(LegRow.id).where(LegRow.request.in_(requests))))
    for table in tables_of_requests():
        for column, values in (("leg", legs), ("request", list(requests))):
            if column in table.c and values:
                session.execute(delete(table).where(table.c[column].in_(values)))
    session.execute(delete(RequestRow).where(RequestRow.id.in_(requests)))
    return files


def tables_of_requests() -> list[Table]:
    """Return the tables of this room that hold something of a request or a leg, those that others point to last.

    They are found by their columns, so that a table that comes to know requests is emptied of them from its first day.
    """
    return [
        table
        for table in reversed(HubBase.metadata.sorted_tables)
        if table.name.startswith(_PREFIX) and {"request", "leg"} & set(table.c.keys())
    ]


# -- notices, tokens, uploads ------------------------------------------------------------------------------------------


def _old_notices(session: Session, before: datetime) -> tuple[int, Sequence[str]]:
    # A notice is written once per cause, so that of a request that goes on it is still needed.
    running = select(RequestRow.id).where(RequestRow.state.not_in(_ENDED))
    over = or_(NoticeRow.request.is_(None), NoticeRow.request.not_in(running))
    return _found(session, NoticeRow.id, NoticeRow.made < before, over)


def _forget_notices(hub: Hub, session: Session, notices: Sequence[str]) -> None:
    session.execute(delete(NoticeRow).where(NoticeRow.id.in_(notices)))


def _old_tokens(session: Session, before: datetime) -> tuple[int, Sequence[str]]:
    return _found(session, TokenRow.token_hash, TokenRow.expires < before)


def _forget_tokens(hub: Hub, session: Session, hashes: Sequence[str]) -> None:
    session.execute(delete(TokenRow).where(TokenRow.token_hash.in_(hashes)))


def _old_failures(session: Session, before: datetime) -> tuple[int, Sequence[str]]:
    count, some = _found(session, LoginFailureRow.id, LoginFailureRow.at < before)
    return count, [str(each) for each in some]


def _forget_failures(hub: Hub, session: Session, ids: Sequence[str]) -> None:
    session.execute(delete(LoginFailureRow).where(LoginFailureRow.id.in_([int(each) for each in ids])))


def _broken_uploads(session: Session, before: datetime) -> tuple[int, Sequence[str]]:
    return _found(session, UploadRow.release_id, UploadRow.completed.is_(None), UploadRow.begun < before)


def _forget_uploads(hub: Hub, session: Session, uploads: Sequence[str]) -> Callable[[], None]:
    session.execute(delete(UploadRow).where(UploadRow.release_id.in_(uploads)))

    def files() -> None:
        for upload in uploads:
            (hub.blobs / "incoming" / f"{upload}.part").unlink(missing_ok=True)

    return files


def _found(session: Session, column: object, *conditions: object) -> tuple[int, Sequence[str]]:
    query = select(column).where(*conditions)  # type: ignore[call-overload]  # columns and conditions of SQL
    count = session.execute(select(func.count()).select_from(query.subquery())).scalar_one()
    return count, list(session.scalars(query.order_by(column).limit(_AT_ONCE)))


KEPT: Final[tuple[Kept, ...]] = (
    Kept("documents of requests", "retention_documents_days", "its end", _with_documents, _forget_documents),
    Kept("requests", "retention_requests_days", "its end", _ended_requests, _forget_requests),
    Kept("drafts", "retention_drafts_days", "its last change", _old_drafts, _forget_requests),
    Kept("notices", "retention_notices_days", "it was written", _old_notices, _forget_notices),
    Kept("tokens", "retention_tokens_days", "its end", _old_tokens, _forget_tokens),
    Kept("failed log-ins", "retention_tokens_days", "it happened", _old_failures, _forget_failures),
    Kept("uploads that broke off", "retention_uploads_days", "it began", _broken_uploads, _forget_uploads),
)
