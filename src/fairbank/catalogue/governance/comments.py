"""Comments on a request: to everybody of it, or to the committee only.

What is said to the committee is read by its members, administrators and auditors, and never by the requester, whatever
else she may be: this is asked here, and nowhere else.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank import audit, events
from fairbank.catalogue.accounts import Account
from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance import conflicts, permitted
from fairbank.catalogue.governance.parts import parts_of
from fairbank.catalogue.governance.request_errors import CommentRefused
from fairbank.catalogue.governance.store import CommentRow, LegRow, RequestRow
from fairbank.catalogue.governance.workflow import Part
from fairbank.clock import iso
from fairbank.database import writing
from fairbank.ontology.wire import ShortText, Text, Wire


class Audience(StrEnum):
    """Who reads a comment."""

    EVERYBODY = "everybody"
    COMMITTEE = "committee"


class Comment(Wire):
    """A comment on a request, or on what is asked about one of its datasets (`leg`: its id or the dataset's IRI)."""

    schema_name = "comment/1"

    text: Text
    audience: Audience = Audience.EVERYBODY
    leg: ShortText | None = None


_READERS = frozenset({Part.MEMBER, Part.CHAIR, Part.ADMIN, Part.AUDITOR})


def add(hub: Hub, who: Account, request_id: str, comment: Comment) -> CommentRow:
    """Add a comment.

    Raises:
        RequestNotFound: if she has no part in the request, or it has no such leg.
        NotAllowed, WrongState: if it is not hers to comment, or not now.
        CommentRefused: if it is to the committee, and she could not read it herself.
    """
    with writing(hub.engine) as session:
        row, parts = permitted.request_seen(session, who, request_id)
        permitted.check(row, parts, "comment")
        leg = permitted.leg_of(session, row, comment.leg) if comment.leg is not None else None
        if comment.audience is Audience.COMMITTEE and not _reads(session, who, row, leg):
            raise CommentRefused(
                "Only the committee writes to the committee.",
                why="A comment is read by those to whom its author belongs, or by everybody of the request.",
                todo="Write it to everybody: leave '--to committee' out.",
            )
        added = CommentRow(
            id=hub.clock.new_id(),
            request=row.id,
            leg=leg.id if leg else None,
            account=who.name,
            audience=comment.audience.value,
            text=comment.text,
            at=hub.clock.now(),
        )
        session.add(added)
        detail = {"comment": added.id, "audience": added.audience}
        audit.record(
            session,
            audit.HubAudit,
            clock=hub.clock,
            actor=who.name,
            act="request.comment",
            target=row.id,
            detail=detail,
        )
        events.append(
            session, events.HubEvent, clock=hub.clock, kind="request.commented", subject=row.id, detail=detail
        )
    hub.notifier.notify()
    return added


def seen(session: Session, who: Account, row: RequestRow) -> list[dict[str, Any]]:
    """Return the comments that somebody of a request may read, oldest first."""
    rows = list(
        session.scalars(
            select(CommentRow).where(CommentRow.request == row.id).order_by(CommentRow.at, CommentRow.id)
        )
    )
    legs = {leg.id: leg for leg in session.scalars(select(LegRow).where(LegRow.request == row.id))}
    held_back = {each.leg for each in rows if each.audience != Audience.EVERYBODY.value}
    readable = {leg for leg in held_back if _reads(session, who, row, legs[leg] if leg else None)}
    return [
        {
            "id": each.id,
            "dataset": legs[each.leg].dataset if each.leg else None,
            "account": each.account,
            "audience": each.audience,
            "text": each.text,
            "at": iso(each.at),
        }
        for each in rows
        if each.audience == Audience.EVERYBODY.value or each.leg in readable
    ]


def _reads(session: Session, who: Account, row: RequestRow, leg: LegRow | None) -> bool:
    """Tell whether somebody reads what is said to the committee, of one leg or of the whole request."""
    parts = parts_of(session, who, row, leg)
    # Who has a conflict of interest takes no part in what the committee says among itself either.
    if Part.REQUESTER in parts or not parts & _READERS:
        return False
    return conflicts.barred(session, row, who.name) is None
