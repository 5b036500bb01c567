"""Setting committees up: their rules, their scope, their members, and who stands in for whom.

The hub's administrators set committees up and name members; a member delegates for a period; the chair (or an
administrator, where there is none who may) appoints a substitute for one leg. What changes who may vote is looked at
for each open leg in the same transaction: what can now be decided is, and a quorum out of reach is announced.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.catalogue.accounts import Account, Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import NotAllowed
from fairbank.catalogue.governance import committees, conflicts, legs, notices, parts
from fairbank.catalogue.governance.committee_errors import (
    CommitteeNotFound,
    CommitteeRefused,
    SubstituteRefused,
)
from fairbank.catalogue.governance.committees import OPEN_STATES
from fairbank.catalogue.governance.store import (
    CommitteeRow,
    LegRow,
    MemberRow,
    RequestRow,
    ScopeRow,
    SubstituteRow,
)
from fairbank.catalogue.store import DatasetRow, NodeRow
from fairbank.clock import iso, parse_iso
from fairbank.ontology.wire import Iri, Moment, ShortText, Slug, Text, Wire

DUE_DAYS = 28
# A reminder a week and two days before a decision is due, then one and two weeks after.
REMIND_DAYS = (-7, -2, 7, 14)
LONGEST_DELEGATION_DAYS = 366
_Day = Annotated[int, Field(ge=-365, le=365)]


class NewCommittee(Wire):
    """A committee to be set up, with the rules by which it decides."""

    schema_name = "committee/1"

    title: ShortText
    stage: Annotated[str, Field(pattern="^(ethics|technical|data)$")] = "data"
    quorum: Annotated[int, Field(ge=1, le=100)] = 1
    four_eyes: bool = False
    due_days: Annotated[int, Field(ge=1, le=365)] = DUE_DAYS
    remind_days: Annotated[tuple[_Day, ...], Field(max_length=10)] = REMIND_DAYS
    names_voters: bool = False


class Scope(Wire):
    """What a committee decides about: one dataset of a node, or all of the node's."""

    schema_name = "committee-scope/1"

    node: Slug
    dataset: Iri | None = None


class Membership(Wire):
    """How somebody sits on a committee."""

    schema_name = "committee-member/1"

    chair: bool = False


class Delegation(Wire):
    """A member lets somebody vote for her, from now or a moment until another."""

    schema_name = "committee-delegation/1"

    account: Slug
    since: Moment | None = None
    until: Moment


class Substitution(Wire):
    """The chair appoints somebody for one leg, in the place of a member or beside them."""

    schema_name = "committee-substitute/1"

    account: Slug
    stands_for: Slug | None = None


class ConflictDeclared(Wire):
    """Why somebody does not take part."""

    schema_name = "conflict/1"

    reason: Text


def create(session: Session, hub: Hub, wish: NewCommittee, *, actor: str) -> CommitteeRow:
    """Set a committee up; it has no members and decides about nothing yet."""
    row = CommitteeRow(
        id=hub.clock.new_id(),
        title=wish.title,
        stage=wish.stage,
        quorum=wish.quorum,
        four_eyes=wish.four_eyes,
        due_days=wish.due_days,
        remind_days=sorted(set(wish.remind_days)),
        names_voters=wish.names_voters,
        created=hub.clock.now(),
    )
    session.add(row)
    session.flush()
    rules = {"stage": row.stage, "quorum": row.quorum, "four_eyes": row.four_eyes}
    _record(session, hub, row, "committee.create", actor, **rules)
    return row


def find(session: Session, committee: str) -> CommitteeRow:
    """Return a committee that was not dissolved.

    Raises:
        CommitteeNotFound: if there is none.
    """
    row = session.get(CommitteeRow, committee)
    if row is None or row.dissolved is not None:
        raise not_found()
    return row


def dissolve(session: Session, hub: Hub, committee: str, *, actor: str) -> None:
    """End a committee; legs that wait for it go to whoever decides about their stage now, or wait for somebody."""
    row = find(session, committee)
    row.dissolved = hub.clock.now()
    waiting = _open_legs(session, row.id)
    session.flush()
    _record(session, hub, row, "committee.dissolve", actor)
    for leg in waiting:
        if leg.stage is not None:
            successor = committees.committee_for(session, leg.node, leg.dataset, leg.stage)
            if successor is not None:
                _hand_over(leg, successor, hub.clock.now())
    session.flush()
    _look_again(session, hub, waiting)


def add_scope(session: Session, hub: Hub, committee: str, wish: Scope, *, actor: str) -> None:
    """Let a committee decide about a dataset, or about all of a node's.

    Raises:
        CommitteeRefused: if there is no such node or dataset, or another committee of the same stage decides about it.
    """
    row = find(session, committee)
    if session.get(NodeRow, wish.node) is None:
        raise _refused(f"there is no node {wish.node!r}", "See 'fairbank hub nodes'.")
    if wish.dataset is not None:
        dataset = session.get(DatasetRow, wish.dataset)
        if dataset is None or dataset.node != wish.node:
            raise _refused("the node has published no such dataset", "Check its IRI with 'fairbank search'.")
    of_dataset = wish.dataset or ""
    other = session.scalar(
        select(CommitteeRow.id)
        .join(ScopeRow, ScopeRow.committee == CommitteeRow.id)
        .where(
            CommitteeRow.dissolved.is_(None),
            CommitteeRow.stage == row.stage,
            CommitteeRow.id != row.id,
            ScopeRow.node == wish.node,
            ScopeRow.dataset == of_dataset,
        )
    )
    if other is not None:
        raise _refused(
            f"another committee of the stage {row.stage} decides about this",
            "Take it from the other one first: a dataset has at most one committee per stage.",
        )
    if session.get(ScopeRow, (row.id, wish.node, of_dataset)) is None:
        session.add(ScopeRow(committee=row.id, node=wish.node, dataset=of_dataset))
        session.flush()
        _record(session, hub, row, "committee.scope", actor, node=wish.node, dataset=of_dataset)
    _look_again(session, hub, _taken_over(session, row, wish, hub.clock.now()))


def remove_scope(session: Session, hub: Hub, committee: str, wish: Scope, *, actor: str) -> None:
    """Let a committee no longer decide about something; what is before it stays with it."""
    row = find(session, committee)
    scope = session.get(ScopeRow, (row.id, wish.node, wish.dataset or ""))
    if scope is None:
        raise _refused("the committee does not decide about this", "See 'fairbank committee show'.")
    session.delete(scope)
    session.flush()
    _record(session, hub, row, "committee.unscope", actor, node=wish.node, dataset=wish.dataset or "")


def add_member(
    session: Session, hub: Hub, committee: str, account: str, *, chair: bool, actor: str
) -> MemberRow:
    """Let somebody sit on a committee; a new chair takes the place of the one before, who stays a member.

    Raises:
        CommitteeRefused: if the account does not exist, is shut, or has not the role `committee`.
    """
    row = find(session, committee)
    if not committees.eligible(session, (account,)):
        raise _refused(
            f"{account!r} is no open account with the role committee",
            "Make one with 'fairbank hub add-account NAME --role committee'.",
        )
    sitting = committees.members(session, row.id)
    if chair:
        for other in sitting:
            other.chair = False
    member = next((each for each in sitting if each.account == account), None)
    if member is None:
        member = MemberRow(
            id=hub.clock.new_id(), committee=row.id, account=account, chair=chair, since=hub.clock.now()
        )
        session.add(member)
    else:
        member.chair = chair
    session.flush()
    _record(session, hub, row, "committee.member", actor, account=account, chair=chair)
    _look_again(session, hub, _open_legs(session, row.id))
    return member


def remove_member(session: Session, hub: Hub, committee: str, account: str, *, actor: str) -> None:
    """Let somebody leave a committee: her votes on what is open are no longer counted.

    Raises:
        CommitteeRefused: if she does not sit on it.
    """
    row = find(session, committee)
    member = next((each for each in committees.members(session, row.id) if each.account == account), None)
    if member is None:
        raise _refused(f"{account!r} does not sit on it", "See 'fairbank committee show'.")
    now = hub.clock.now()
    member.until = now
    own = select(SubstituteRow).where(
        SubstituteRow.committee == row.id, SubstituteRow.stands_for == account, SubstituteRow.leg.is_(None)
    )
    for delegation in session.scalars(own):
        if delegation.until is None or delegation.until > now:
            delegation.until = now
    session.flush()
    _record(session, hub, row, "committee.leave", actor, account=account)
    _look_again(session, hub, _open_legs(session, row.id))


def account_changed(session: Session, hub: Hub, account: str) -> None:
    """Look again at what waits for the committees of somebody whose account was shut, or whose roles have changed.

    Her votes count no longer, or again; a quorum that is out of reach now is announced.
    """
    session.flush()
    now = hub.clock.now()
    for committee in sorted(committees.committees_of(session, account, now)):
        _look_again(session, hub, _open_legs(session, committee))


def delegate(session: Session, hub: Hub, who: Account, committee: str, wish: Delegation) -> SubstituteRow:
    """Let somebody vote for a member for a period.

    Raises:
        CommitteeRefused: if the one who delegates does not sit on the committee.
        SubstituteRefused: if the other is not eligible or a member herself, or the period is none.
    """
    row = find(session, committee)
    if who.name not in {each.account for each in committees.members(session, row.id)}:
        raise _refused("you do not sit on it", "Only a member has a vote to delegate.")
    now = hub.clock.now()
    since = parse_iso(wish.since) if wish.since is not None else now
    until = parse_iso(wish.until)
    if not max(now, since) < until <= since + timedelta(days=LONGEST_DELEGATION_DAYS):
        raise _no_substitute(
            "the period ends before it begins, is over, or is longer than a year",
            "Name an end after the beginning and after now.",
        )
    substitute = _stand_in(
        session,
        hub,
        row,
        account=wish.account,
        stands_for=who.name,
        leg=None,
        by=who.name,
        since=since,
        until=until,
    )
    if substitute.begun:
        notices.tell_delegate(session, hub, substitute)
    _record(
        session, hub, row, "committee.delegate", who.name, to=wish.account, since=iso(since), until=iso(until)
    )
    _look_again(session, hub, _open_legs(session, row.id))
    return substitute


def end_delegations(session: Session, hub: Hub, who: Account, committee: str) -> int:
    """Take back what a member has delegated and return how many delegations that ended."""
    row = find(session, committee)
    now, ended = hub.clock.now(), 0
    own = select(SubstituteRow).where(
        SubstituteRow.committee == row.id, SubstituteRow.stands_for == who.name, SubstituteRow.leg.is_(None)
    )
    for delegation in session.scalars(own):
        if delegation.until is None or delegation.until > now:
            delegation.until, ended = now, ended + 1
    session.flush()
    _record(session, hub, row, "committee.undelegate", who.name)
    _look_again(session, hub, _open_legs(session, row.id))
    return ended


def appoint(session: Session, hub: Hub, who: Account, leg: LegRow, wish: Substitution) -> SubstituteRow:
    """Let somebody vote on one leg, in the place of a member or beside the members.

    Raises:
        SubstituteRefused: if she is not eligible, a member herself, barred, or stands in for somebody already.
    """
    committee = committees.deciding(session, leg)
    if committee is None:
        raise _refused("nobody decides about this dataset", "An administrator sets a committee up first.")
    request = session.get_one(RequestRow, leg.request)
    if (bar := conflicts.barred(session, request, wish.account)) is not None:
        raise _no_substitute(bar, "Appoint somebody else.")
    sitting = {each.account for each in committees.members(session, committee.id)}
    if wish.stands_for is not None and wish.stands_for not in sitting:
        raise _no_substitute(f"{wish.stands_for!r} is no member", "Name a member, or nobody.")
    legs.give(
        hub,
        session,
        leg,
        "appoint",
        actor=who.name,
        parts=parts.parts_of(session, who, request, leg),
        note=wish.account,
    )
    substitute = _stand_in(
        session,
        hub,
        committee,
        account=wish.account,
        stands_for=wish.stands_for,
        leg=leg.id,
        by=who.name,
        since=hub.clock.now(),
        until=None,
    )
    _record(session, hub, committee, "committee.substitute", who.name, account=wish.account, leg=leg.id)
    _look_again(session, hub, [leg])
    return substitute


def declare_conflict(session: Session, hub: Hub, who: Account, leg: LegRow, *, reason: str) -> None:
    """Note that a member does not take part in what concerns a request; her votes on it are no longer counted."""
    request = session.get_one(RequestRow, leg.request)
    legs.give(
        hub,
        session,
        leg,
        "declare-conflict",
        actor=who.name,
        parts=parts.parts_of(session, who, request, leg),
    )
    conflicts.declare(session, hub, request=request, account=who.name, reason=reason)
    open_legs = select(LegRow).where(LegRow.request == request.id, is_open())
    _look_again(session, hub, list(session.scalars(open_legs)))


def visible_committees(session: Session, who: Account, now: datetime) -> list[CommitteeRow]:
    """Return the committees that somebody may see: her own, for administrators all, the newest last."""
    statement = select(CommitteeRow).where(CommitteeRow.dissolved.is_(None))
    rows = session.scalars(statement.order_by(CommitteeRow.created, CommitteeRow.id))
    if may_see_all(who):
        return list(rows)
    own = committees.committees_of(session, who.name, now)
    return [row for row in rows if row.id in own]


def find_visible(session: Session, who: Account, committee: str, now: datetime) -> CommitteeRow:
    """Return a committee that somebody may see.

    Raises:
        CommitteeNotFound: if there is none, or she has nothing to do with it.
    """
    row = find(session, committee)
    if not may_see_all(who) and row.id not in committees.committees_of(session, who.name, now):
        raise not_found()
    return row


def is_open() -> ColumnElement[bool]:
    """Return the condition on `LegRow` that holds while something of it is to be decided."""
    return or_(LegRow.state.in_(OPEN_STATES), LegRow.pending_state.in_(OPEN_STATES))


def may_see_all(who: Account) -> bool:
    """Tell whether somebody sees every committee."""
    return who.has(Role.ADMIN, Role.AUDITOR)


def check_chair_or_admin(session: Session, who: Account, committee: str) -> None:
    """Refuse whoever neither presides a committee nor administers the hub.

    Raises:
        NotAllowed: if she does neither.
    """
    presides = any(each.chair and each.account == who.name for each in committees.members(session, committee))
    if not presides and not who.has(Role.ADMIN):
        raise NotAllowed(
            "You may not do this.",
            why="It is up to the committee's chair, or an administrator of the hub.",
            todo="Ask one of them.",
        )


def not_found() -> CommitteeNotFound:
    """Return the error of a committee that does not exist, or that the caller does not see."""
    return CommitteeNotFound(
        "There is no such committee.",
        why="Its id is unknown, it was dissolved, or you do not sit on it.",
        todo="See 'fairbank committee list'.",
    )


def _stand_in(
    session: Session,
    hub: Hub,
    committee: CommitteeRow,
    *,
    account: str,
    stands_for: str | None,
    leg: str | None,
    by: str,
    since: datetime,
    until: datetime | None,
) -> SubstituteRow:
    if account in {each.account for each in committees.members(session, committee.id)}:
        raise _no_substitute(
            "she sits on the committee herself", "A person has one vote; name somebody else."
        )
    if not committees.eligible(session, (account,)):
        raise _no_substitute(
            f"{account!r} is no open account with the role committee",
            "Have one made with 'fairbank hub add-account NAME --role committee'.",
        )
    row = SubstituteRow(
        id=hub.clock.new_id(),
        committee=committee.id,
        stands_for=stands_for,
        account=account,
        leg=leg,
        appointed_by=by,
        since=since,
        until=until,
        begun=since <= hub.clock.now(),
    )
    session.add(row)
    session.flush()
    return row


def _open_legs(session: Session, committee: str) -> list[LegRow]:
    statement = select(LegRow).where(LegRow.committee == committee, is_open())
    return list(session.scalars(statement.order_by(LegRow.id)))


def _taken_over(session: Session, committee: CommitteeRow, scope: Scope, now: datetime) -> list[LegRow]:
    """Return the legs that waited for somebody to decide, and have got this committee now."""
    statement = (
        select(LegRow)
        .outerjoin(CommitteeRow, CommitteeRow.id == LegRow.committee)
        .where(
            LegRow.node == scope.node,
            is_open(),
            or_(LegRow.committee.is_(None), CommitteeRow.dissolved.is_not(None)),
        )
    )
    if scope.dataset is not None:
        statement = statement.where(LegRow.dataset == scope.dataset)
    waiting = list(session.scalars(statement.order_by(LegRow.id)))
    for leg in waiting:
        if leg.stage == committee.stage:
            _hand_over(leg, committee, now)
    return waiting


def _hand_over(leg: LegRow, committee: CommitteeRow, now: datetime) -> None:
    # Whatever the committee before it said, this one reads and decides by itself.
    leg.committee, leg.proposal = committee.id, None
    leg.awaited_since, leg.due = now, now + timedelta(days=committee.due_days)


def _look_again(session: Session, hub: Hub, changed: list[LegRow]) -> None:
    for leg in changed:
        legs.settle(hub, session, leg)
        notices.announce(session, hub, leg)


def _record(session: Session, hub: Hub, committee: CommitteeRow, act: str, actor: str, **detail: Any) -> None:
    audit.record(
        session,
        audit.HubAudit,
        clock=hub.clock,
        actor=actor,
        act=act,
        target=committee.id,
        detail=detail,
    )


def _refused(reason: str, todo: str) -> CommitteeRefused:
    return CommitteeRefused(
        f"The committee cannot be changed like this: {reason}.",
        why="Who decides about what has to be beyond doubt.",
        todo=todo,
    )


def _no_substitute(reason: str, todo: str) -> SubstituteRefused:
    return SubstituteRefused(
        f"This person cannot stand in: {reason}.",
        why="Whoever stands in has one vote, may sit on a committee, and is not concerned herself.",
        todo=todo,
    )
