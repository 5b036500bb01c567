"""What the clock does for reviews: reminders before and after a decision is due, and a word to those responsible.

It also tells requesters what has become of their datasets, from the events of their legs. Each is told once; a hub that
was off for long sends the newest reminder only.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from fairbank import events
from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance import agreements, mail, notices, voting
from fairbank.catalogue.governance.store import CommitteeRow, LegRow, RequestRow
from fairbank.catalogue.governance.workflow import LegState, Part
from fairbank.catalogue.store import DatasetRow
from fairbank.database import reading, writing

CONSUMER = "notices"
EVENT = "leg.changed"
# By command, not by state: what is granted stays so through every vote about a later version.
_TOLD = {
    "return": "was returned to you for correction",
    "send-back": "was returned to you for correction",
    "approve-with-conditions": "was approved on conditions that you have to accept",
    "activate": "was granted",
    "decline": "was declined",
    "expire": "has expired",
    "run-out": "keeps its earlier terms: those of the later version ended before they were accepted",
    "revoke": "was taken back",
    "lapse": "was withdrawn by its biobank",
}


class Reminders:
    """Does what is due, and remembers what it has seen to: an overdue leg costs nothing until its next day."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._seen_to: set[tuple[str, datetime, int]] = set()

    def sweep(self) -> int:
        """Write the notices that are due, send what was not sent, and return how many were sent."""
        hub = self._hub
        with reading(hub.engine) as session:
            changed = events.any_pending(session, events.HubEvent, CONSUMER)
        if changed:
            with writing(hub.engine) as session:
                _hear(session, hub)
        with reading(hub.engine) as session:
            due = [each for each in _due(session, hub.clock.now()) if each not in self._seen_to]
        if due:
            with writing(hub.engine) as session:
                for leg, _, day in due:
                    _remind(session, hub, session.get_one(LegRow, leg), day)
            self._seen_to.update(due)
        return mail.send_waiting(hub)


def _hear(session: Session, hub: Hub) -> None:
    """Take the events since the last sweep: tell committees who is awaited, and requesters what was decided."""
    moved: dict[str, dict[str, str | None]] = defaultdict(dict)
    newest = 0
    for event in events.pending(session, events.HubEvent, CONSUMER):
        newest = event.seq
        leg = session.get(LegRow, event.subject) if event.kind == EVENT else None
        if leg is not None:
            told = _TOLD.get(str(event.detail.get("command")))
            # What she has answered meanwhile she need not be told.
            before = None if event.detail.get("role") == Part.REQUESTER else moved[leg.request].get(leg.id)
            moved[leg.request][leg.id] = told or before
    for request, changed in moved.items():
        for leg_id in changed:
            leg = session.get_one(LegRow, leg_id)
            notices.announce(session, hub, leg)
            _ask_to_countersign(session, hub, leg)
        _tell_requester(session, hub, session.get_one(RequestRow, request), changed, newest)
    if newest:
        events.taken(session, events.HubEvent, CONSUMER, newest)


def _tell_requester(
    session: Session, hub: Hub, request: RequestRow, changed: dict[str, str | None], newest: int
) -> None:
    lines = [
        f"- {_title(session, session.get_one(LegRow, leg))} {told}"
        for leg, told in changed.items()
        if told is not None
    ]
    if lines:
        notices.write(
            session,
            hub,
            key=f"moved:{request.id}:{newest}",
            account=request.account,
            subject=f"Your request: {request.title}",
            text="\n".join([*lines, "", f"fairbank request show {request.id}", ""]),
            request=request.id,
        )


def _ask_to_countersign(session: Session, hub: Hub, leg: LegRow) -> None:
    agreement = agreements.required(leg)
    state = leg.pending_state or leg.state
    if agreement is None or state != LegState.CONDITIONS_ACCEPTED.value or not agreements.due(session, leg):
        return
    request = session.get_one(RequestRow, leg.request)
    notices.write(
        session,
        hub,
        key=f"countersign:{leg.id}:{agreements.version(leg)}",
        account=agreement.countersigner,
        subject=f"An agreement waits for you: {request.title}",
        text=f"The agreement “{agreement.title}” has to be checked and countersigned by you before "
        f"{_title(session, leg)} can be used.\n\nfairbank request show {request.id}\n",
        request=request.id,
    )


def _due(session: Session, now: datetime) -> list[tuple[str, datetime, int]]:
    """Return the legs in review for which the time of a reminder has come, each with its day; 0 is the due date."""
    rows = session.execute(
        select(LegRow.id, LegRow.due, CommitteeRow.remind_days)
        .join(CommitteeRow, CommitteeRow.id == LegRow.committee)
        .where(
            or_(LegRow.state == LegState.IN_REVIEW.value, LegRow.pending_state == LegState.IN_REVIEW.value),
            LegRow.due <= now + timedelta(days=366),
        )
        .order_by(LegRow.due, LegRow.id)
    )
    found: list[tuple[str, datetime, int]] = []
    for leg, due, remind_days in rows:
        come = [day for day in {0, *remind_days} if due + timedelta(days=day) <= now]
        found += [(leg, due, max(come))] if come else []
        # Who is responsible hears of a date that has passed even if a later reminder has come meanwhile.
        found += [(leg, due, 0)] if come and max(come) > 0 else []
    return found


def _remind(session: Session, hub: Hub, leg: LegRow, day: int) -> None:
    request = session.get_one(RequestRow, leg.request)
    now = hub.clock.now()
    when = f"{leg.due:%Y-%m-%d}"
    if day == 0:
        for account in notices.responsible(session, leg):
            notices.write(
                session,
                hub,
                key=f"overdue:{notices.cause(leg)}:{leg.stage}:{account}",
                account=account,
                subject=f"Overdue: {request.title}",
                text=f"A decision about “{request.title}” was due by {when}.\n\nfairbank review show {leg.id}\n",
                request=request.id,
            )
        return
    for account in voting.awaited(session, leg, now):
        notices.write(
            session,
            hub,
            key=f"remind:{notices.cause(leg)}:{leg.stage}:{day}:{account}",
            account=account,
            subject=f"{'Reminder' if day < 0 else 'Overdue'}: {request.title}",
            text=f"Your vote on “{request.title}” is awaited; a decision "
            f"{'is' if day < 0 else 'was'} due by {when}.\n\nfairbank review show {leg.id}\n",
            request=request.id,
        )


def _title(session: Session, leg: LegRow) -> str:
    dataset = session.get(DatasetRow, leg.dataset)
    return f"“{dataset.title}”" if dataset is not None else leg.dataset
