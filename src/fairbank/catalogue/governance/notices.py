"""Notices: what people are told, written once per cause, and only to those who are awaited.

A notice is a row; `mail` sends it. One cause (a request before a committee, a reminder, a quorum out of reach) is one
notice per person, however many datasets it is about.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank.catalogue.accounts import Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance import committees, stages, voting
from fairbank.catalogue.governance.counting import OutcomeWord
from fairbank.catalogue.governance.store import CommitteeRow, LegRow, NoticeRow, RequestRow, SubstituteRow
from fairbank.catalogue.governance.workflow import LegState
from fairbank.catalogue.store import AccountRow
from fairbank.database import one_writer_at_a_time


def write(
    session: Session,
    hub: Hub,
    *,
    key: str,
    account: str,
    subject: str,
    text: str,
    request: str | None = None,
) -> bool:
    """Write a notice unless its key was used before, and return whether it was written."""
    # Two who write the same notice at the same moment would otherwise undo what the second did besides.
    one_writer_at_a_time(session)
    if session.scalar(select(NoticeRow.id).where(NoticeRow.key == key)) is not None:
        return False
    session.add(
        NoticeRow(
            id=hub.clock.new_id(),
            key=key,
            account=account,
            request=request,
            subject=subject,
            text=text,
            made=hub.clock.now(),
        )
    )
    session.flush()
    return True


def of_account(session: Session, account: str, *, limit: int = 200) -> list[NoticeRow]:
    """Return somebody's notices, newest first."""
    statement = select(NoticeRow).where(NoticeRow.account == account)
    return list(session.scalars(statement.order_by(NoticeRow.made.desc(), NoticeRow.id.desc()).limit(limit)))


def announce(session: Session, hub: Hub, leg: LegRow) -> None:
    """Tell those whom a leg waits for now: its voters, or chair and administrators if no decision can be reached."""
    state = leg.pending_state or leg.state
    if state not in (LegState.TRIAGE.value, LegState.IN_REVIEW.value):
        return
    now = hub.clock.now()
    outcome = voting.outcome(session, leg, now)
    if outcome.word is OutcomeWord.UNREACHABLE:
        _out_of_reach(session, hub, leg)
        return
    if state != LegState.IN_REVIEW.value or outcome.word is not OutcomeWord.OPEN:
        return
    request = session.get_one(RequestRow, leg.request)
    for account in voting.awaited(session, leg, now):
        write(
            session,
            hub,
            key=f"awaited:{cause(leg)}:{account}",
            account=account,
            subject=f"Your vote is awaited: {request.title}",
            text=f"The request “{request.title}” waits for your committee in the stage {leg.stage}.\n"
            f"{_until(leg)}\n\nfairbank review list\nfairbank review show {leg.id}\n",
            request=request.id,
        )


def tell_delegate(session: Session, hub: Hub, delegation: SubstituteRow) -> None:
    """Tell who stands in for a member by her own delegation that it begins, and until when it lasts."""
    title = session.get_one(CommitteeRow, delegation.committee).title
    until = f" until {delegation.until:%Y-%m-%d %H:%M} UTC" if delegation.until is not None else ""
    write(
        session,
        hub,
        key=f"stands-in:{delegation.id}",
        account=delegation.account,
        subject=f"You stand in for {delegation.stands_for}",
        text=f"{delegation.stands_for} has delegated her vote in the committee “{title}” to you{until}. You read what "
        "it reads, and vote where she has not.\n\nfairbank review list --mine\n",
    )


def write_test(session: Session, hub: Hub, committee: str, *, actor: str) -> list[str]:
    """Write a notice to each member of a committee that only tries the way to her, and return their keys."""
    keys = []
    for member in committees.members(session, committee):
        key = f"test:{hub.clock.new_id()}"
        write(
            session,
            hub,
            key=key,
            account=member.account,
            subject="A test: notices reach you",
            text=f"{actor} tries whether notices of the committee reach you. Nothing has to be done.\n",
        )
        keys.append(key)
    return keys


def how_sent(session: Session, keys: list[str]) -> list[dict[str, str | None]]:
    """Return for notices by their keys to whom they went, and what kept those back that were not sent."""
    rows = session.scalars(select(NoticeRow).where(NoticeRow.key.in_(keys)).order_by(NoticeRow.account))
    return [
        {"account": row.account, "status": "ok" if row.sent is not None else "error", "problem": row.problem}
        for row in rows
    ]


def cause(leg: LegRow) -> str:
    """Return what all datasets of a request that are before one committee have in common."""
    return f"{leg.request}:{stages.under_review(leg)}:{leg.committee or 'nobody'}"


def responsible(session: Session, leg: LegRow) -> list[str]:
    """Return who has to see to it that a leg is decided: the chair of its committee and the administrators."""
    committee = committees.deciding(session, leg)
    chairs = (
        [row.account for row in committees.members(session, committee.id) if row.chair]
        if committee is not None
        else []
    )
    return list(dict.fromkeys([*chairs, *administrators(session)]))


def administrators(session: Session) -> list[str]:
    """Return the hub's administrators."""
    rows = session.scalars(select(AccountRow).where(AccountRow.disabled.is_(None)).order_by(AccountRow.name))
    return [row.name for row in rows if Role.ADMIN.value in row.roles]


def _out_of_reach(session: Session, hub: Hub, leg: LegRow) -> None:
    seats = committees.can_decide(session, leg, hub.clock.now())
    request = session.get_one(RequestRow, leg.request)
    committee = committees.deciding(session, leg)
    if committee is None:
        happened = "No committee decides about one of its datasets."
        todo = f"Set one up: fairbank committee create, then fairbank committee scope ID {leg.node}"
    else:
        happened = f"The committee “{committee.title}” needs {seats.needed} votes, and {len(seats.able)} can be cast."
        todo = f"Appoint a substitute: fairbank review appoint {leg.id} ACCOUNT"
    # Told again only when who could vote is different.
    state = _mark(f"{seat.holder}/{','.join(seat.voters)}/{seat.barred}" for seat in seats.seats)
    for account in responsible(session, leg):
        write(
            session,
            hub,
            key=f"unreachable:{cause(leg)}:{leg.stage}:{state}:{account}",
            account=account,
            subject=f"Nobody can decide: {request.title}",
            text=f"The request “{request.title}” cannot be decided at present. {happened}\n\n{todo}\n",
            request=request.id,
        )


def _until(leg: LegRow) -> str:
    return f"A decision is due by {leg.due:%Y-%m-%d}." if leg.due is not None else ""


def _mark(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()[:12]
