"""Whether somebody may do to a request what does not move it: write, attach, comment, read.

What moves a request or a leg is `requests.give` and `legs.give`; the table is the same.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.catalogue.accounts import Account
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import NotAllowed, RequestNotFound, WrongState
from fairbank.catalogue.governance.parts import parts_of
from fairbank.catalogue.governance.store import LegRow, RequestHistoryRow, RequestRow
from fairbank.catalogue.governance.workflow import REQUEST, Part, RequestState


def request_seen(session: Session, who: Account, request_id: str) -> tuple[RequestRow, frozenset[Part]]:
    """Return a request that somebody may see, and who she is to it.

    Raises:
        RequestNotFound: if there is none, or she has no part in it; a draft is seen by its author only.
    """
    # PostgreSQL holds no NUL, so there is none of such a name.
    row = session.get(RequestRow, request_id) if "\0" not in request_id else None
    if row is None:
        raise _not_found()
    parts = parts_of(session, who, row, None)
    unsealed = row.state == RequestState.DRAFT.value or row.version == 0
    if not parts or (unsealed and Part.REQUESTER not in parts):
        raise _not_found()
    return row, parts


def request_for(session: Session, who: Account, request_id: str, command: str) -> RequestRow:
    """Return a request to which somebody may now give a command.

    Raises:
        RequestNotFound: if there is none, or she has no part in it.
        NotAllowed: if it is not hers to give.
        WrongState: if it cannot be given in the request's present state.
    """
    row, parts = request_seen(session, who, request_id)
    check(row, parts, command)
    return row


def check(row: RequestRow, parts: frozenset[Part], command: str) -> None:
    """Refuse a command that the table does not allow to these parts in this state.

    Raises:
        NotAllowed: if it is not theirs to give in any state.
        WrongState: if it cannot be given in the request's present state.
    """
    if any(REQUEST.step(row.state, part.value, command) for part in parts):
        return
    if not any(REQUEST.step(state, part.value, command) for state in REQUEST.states for part in parts):
        raise NotAllowed(
            f"'{command}' is not yours to give.",
            why="Who may do what to a request is one table, and what is not in it is refused.",
            todo="Ask the requester, or the committee.",
        )
    raise WrongState(
        f"The request is {row.state}; '{command}' cannot be given now.",
        why="What may follow what is one table, and what is not in it is refused.",
        todo=f"See 'fairbank request show {row.id}' for what can be done next.",
    )


def leg_of(session: Session, row: RequestRow, dataset_or_id: str) -> LegRow:
    """Return a leg of a request by its id or by the IRI of its dataset.

    Raises:
        RequestNotFound: if the request has none such.
    """
    found = session.scalar(
        select(LegRow).where(
            LegRow.request == row.id, or_(LegRow.id == dataset_or_id, LegRow.dataset == dataset_or_id)
        )
    )
    if found is None:
        raise _not_found()
    return found


def note(session: Session, hub: Hub, row: RequestRow, who: Account, command: str, **detail: Any) -> None:
    """Write to history and audit what the requester did to her own draft."""
    now = hub.clock.now()
    session.add(
        RequestHistoryRow(
            id=hub.clock.new_id(),
            request=row.id,
            command=command,
            actor=who.name,
            role=Part.REQUESTER.value,
            state=row.state,
            note="",
            at=now,
        )
    )
    audit.record(
        session,
        audit.HubAudit,
        clock=hub.clock,
        actor=who.name,
        act=f"request.{command}",
        target=row.id,
        detail=detail,
    )


def _not_found() -> RequestNotFound:
    return RequestNotFound(
        "There is no such request.",
        why="It was never made, or you have no part in it.",
        todo="See 'fairbank request list'.",
    )
