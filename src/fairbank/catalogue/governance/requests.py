"""Access requests as a whole: drafts, sealed versions, and the commands that reach all of their legs.

A sealed version is what its requester signed, byte for byte; each further one names the digest of the one before. What
a version does to a leg follows from how far the leg has come, and from what changes for it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from fairbank.catalogue.accounts import Account
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import (
    DatasetMirrored,
    RequestNotFound,
    RequestRefused,
)
from fairbank.catalogue.governance import attachments, grants, guards, legs, moves, notices
from fairbank.catalogue.governance.data_use_match import match_of
from fairbank.catalogue.governance.granted_terms import concerns
from fairbank.catalogue.governance.listing import LARGEST_PAGE, mark_of, read_mark
from fairbank.catalogue.governance.parts import parts_of, visible_to
from fairbank.catalogue.governance.store import LegRow, RequestHistoryRow, RequestRow, VersionRow
from fairbank.catalogue.governance.workflow import LEG, REQUEST, LegState, Part, RequestState
from fairbank.catalogue.governance.workflow_errors import LegNotFound, VersionRefused
from fairbank.catalogue.idc.mirror import is_mirrored
from fairbank.catalogue.store import DatasetRow
from fairbank.catalogue.visibility import visible
from fairbank.catalogue.withdrawal import withdrawn_among
from fairbank.clock import parse_iso
from fairbank.database import one_writer_at_a_time, writing
from fairbank.ontology.signed_objects import Request
from fairbank.signing import Sealed

LONGEST_DAYS = 5 * 366
CLOCK_SLACK_S = 24 * 3600
_REQUESTER = frozenset({Part.REQUESTER})
_SEALED = frozenset({"submit", "resubmit", "amend"})
# What of a leg is decided, or has ended: a further version leaves it as it is.
_TAKES_NO_VERSION = LEG.last - {LegState.EXPIRED.value} | {
    LegState.APPROVED.value,
    LegState.APPROVED_WITH_CONDITIONS.value,
    LegState.CONDITIONS_ACCEPTED.value,
}


def create(
    hub: Hub, session: Session, who: Account, *, title: str, draft: dict[str, Any] | None = None
) -> RequestRow:
    """Make a draft, which only its requester sees; the hub gives it its id."""
    return _new(hub, session, who, hub.clock.new_id(), title=title, draft=draft or {})


def submit(hub: Hub, who: Account, envelope: bytes) -> RequestRow:
    """Take a version of a request that its requester sealed with her registered key.

    The first opens the request; a further one resubmits what was returned, or amends what was granted.

    Raises:
        BadEnvelope: if it is not sealed with that key.
        RequestRefused: if she has no key, it is not hers, its time is wrong, or a dataset does not exist.
        VersionRefused: if it does not follow the newest version.
        DatasetMirrored: if it names a dataset of a mirror, behind which no biobank is.
        AttachmentNotFound: if it names a document that is not attached to it.
        WrongState, GuardFails: if the request takes no version now.
    """
    if who.key_id is None:
        raise _refused("your account has no registered key")
    request, sealed = Request.open(envelope, trusted=[who.key_id])
    _check_seal(request, who, hub.clock.now())
    with writing(hub.engine) as session:
        one_writer_at_a_time(session)
        row = session.get(RequestRow, request.id)
        if row is not None and row.account != who.name:
            raise _refused("a request with this id exists already")
        _check_follows(session, row, request)
        if row is None:
            row = _new(hub, session, who, request.id, title=request.title, draft={})
        _take_version(hub, session, who, row, request, (sealed, envelope))
    hub.notifier.notify()
    return row


def _take_version(
    hub: Hub, session: Session, who: Account, row: RequestRow, request: Request, sealed: tuple[Sealed, bytes]
) -> None:
    """Keep a sealed version and do to each leg what it means there."""
    existing = {leg.dataset: leg for leg in legs.legs_of(session, row)}
    datasets = sorted(set(request.datasets))
    _check_datasets(hub, session, who, datasets, known=set(existing))
    attachments.check_evidence(session, request)
    command = _version_command(session, hub, row)
    moves.move_request(hub, session, row, command, actor=row.account, parts=_REQUESTER)
    now = hub.clock.now()
    session.add(
        VersionRow(
            request=row.id,
            version=request.version,
            digest=sealed[0].digest,
            envelope=sealed[1],
            until=parse_iso(request.until),
            received=now,
        )
    )
    row.version, row.title = request.version, request.title
    row.minimum_datasets, row.submitted = request.minimum_datasets, now
    session.flush()
    passed = False
    for iri in datasets:
        leg = existing.get(iri)
        if leg is None:
            leg = _new_leg(hub, session, row, iri)
        passed |= _offer(hub, session, row, leg, request)
    for iri in sorted(set(existing) - set(datasets)):
        if LEG.step(existing[iri].state, Part.REQUESTER, "withdraw") is not None:
            _give(hub, session, existing[iri], "withdraw", note="No longer asked for.")
        elif existing[iri].pending_state is not None:
            legs.drop_review(existing[iri])
    if passed:
        grants.seal(hub, session, row)
    for leg in legs.legs_of(session, row):
        legs.settle(hub, session, leg)
        # Nobody waits for the clock to hear that she is awaited, or that nobody can decide.
        notices.announce(session, hub, leg)


def give(
    hub: Hub,
    session: Session,
    request: RequestRow,
    command: str,
    *,
    actor: str,
    parts: frozenset[Part],
    note: str = "",
) -> RequestRow:
    """Give a command to a request as a whole and, where the table says so, to each leg that can take it.

    Raises:
        UnknownCommand, NotAllowed, WrongState: if the table does not have it.
        GuardFails: if something that it needs is not so.
        VersionRefused: if it needs a sealed version, which `submit` takes.
    """
    if command in _SEALED:
        raise VersionRefused(
            f"This needs a sealed version of the request: {command}.",
            why="A committee decides about what its requester has signed.",
            todo="Seal the version with your key and submit it.",
        )
    session.flush()
    one_writer_at_a_time(session)
    session.refresh(request)
    step = moves.move_request(hub, session, request, command, actor=actor, parts=parts, note=note)
    if step.legs is not None:
        for leg in legs.legs_of(session, request):
            if _can(hub, session, request, leg, step.legs, actor=actor, parts=parts):
                legs.give(hub, session, leg, step.legs, actor=actor, parts=parts, note=note)
            elif step.to in REQUEST.last and leg.pending_state is not None:
                legs.drop_review(leg)
    moves.close_if_over(hub, session, request)
    return request


def command(hub: Hub, who: Account, request_id: str, word: str, *, note: str = "") -> RequestRow:
    """Give a command to a request in a transaction of its own.

    Raises:
        RequestNotFound: if there is none, or it is not for this reader.
        NotAllowed: if a version has to be sealed for it.
    """
    with writing(hub.engine) as session:
        row = find(session, who, request_id)
        give(hub, session, row, word, actor=who.name, parts=parts_of(session, who, row, None), note=note)
    hub.notifier.notify()
    return row


def leg_command(hub: Hub, who: Account, request_id: str, leg_id: str, word: str, *, note: str = "") -> LegRow:
    """Give a command to one leg in a transaction of its own, and let the hub do what follows.

    Raises:
        RequestNotFound, LegNotFound: if there is none, or it is not for this reader.
    """
    with writing(hub.engine) as session:
        row = find(session, who, request_id)
        leg = find_leg(session, row, leg_id)
        legs.give(hub, session, leg, word, actor=who.name, parts=parts_of(session, who, row, leg), note=note)
        legs.settle(hub, session, leg)
    hub.notifier.notify()
    return leg


def revoke_grant(hub: Hub, who: Account, visa_id: str, *, reason: str) -> list[LegRow]:
    """Revoke all that is granted under a visa and that one may revoke; return the legs.

    Raises:
        GrantNotFound: if there is none, or it is not for this reader.
        WrongState: if nothing is granted under it any more.
        NotAllowed: if none of it is hers to revoke.
    """
    with writing(hub.engine) as session:
        row, named = grants.named_by(session, who, visa_id)
        mine = [(leg, parts_of(session, who, row, leg)) for leg in named]
        able = [(leg, parts) for leg, parts in mine if _may_revoke(leg, parts)]
        # Nobody's: the first refuses, and says for whom it is.
        for leg, parts in able or mine[:1]:
            legs.give(hub, session, leg, "revoke", actor=who.name, parts=parts, note=reason)
        moves.close_if_over(hub, session, row)
    hub.notifier.notify()
    return [leg for leg, _ in able]


def find(session: Session, who: Account, request_id: str) -> RequestRow:
    """Return a request that one may see.

    Raises:
        RequestNotFound: if there is none, or it is not for this reader; a draft is its requester's alone.
    """
    row = session.get(RequestRow, request_id)
    if row is None or not parts_of(session, who, row, None):
        raise RequestNotFound(
            "There is no such request, or you may not see it.",
            why="Which of the two is not told.",
            todo="See 'fairbank request list'.",
        )
    return row


def find_leg(session: Session, request: RequestRow, leg_id: str) -> LegRow:
    """Return a leg of a request by its id or the IRI of its dataset.

    Raises:
        LegNotFound: if it has none such.
    """
    of_it = select(LegRow).where(LegRow.request == request.id)
    leg = session.scalar(of_it.where((LegRow.id == leg_id) | (LegRow.dataset == leg_id)))
    if leg is None:
        raise LegNotFound(
            "The request has no such dataset.",
            why="Each dataset of a request is decided about under an id of its own.",
            todo="See the ids with 'fairbank request show'.",
        )
    return leg


def listed(
    session: Session, who: Account, *, mark: str | None = None, limit: int = LARGEST_PAGE
) -> tuple[list[RequestRow], str | None]:
    """Return a page of the requests that one may see, newest first, and the mark of the next; None at the end.

    Raises:
        PageRefused: if the mark is none that this hub gave.
    """
    statement = select(RequestRow).where(visible_to(session, who))
    if mark is not None:
        statement = statement.where(tuple_(RequestRow.changed, RequestRow.id) < tuple_(*read_mark(mark)))
    statement = statement.order_by(RequestRow.changed.desc(), RequestRow.id.desc())
    rows = list(session.scalars(statement.limit(limit + 1)))
    page = rows[:limit]
    return page, mark_of(page[-1].changed, page[-1].id) if len(rows) > limit else None


def history(session: Session, request: RequestRow) -> list[RequestHistoryRow]:
    """Return what happened to a request and its legs, oldest first."""
    statement = select(RequestHistoryRow).where(RequestHistoryRow.request == request.id)
    return list(session.scalars(statement.order_by(RequestHistoryRow.at, RequestHistoryRow.id)))


def _new(
    hub: Hub, session: Session, who: Account, request_id: str, *, title: str, draft: dict[str, Any]
) -> RequestRow:
    now = hub.clock.now()
    row = RequestRow(
        id=request_id,
        account=who.name,
        title=title,
        state=RequestState.DRAFT.value,
        version=0,
        draft=draft,
        minimum_datasets=1,
        created=now,
        changed=now,
    )
    session.add(row)
    session.flush()
    return row


def _new_leg(hub: Hub, session: Session, row: RequestRow, iri: str) -> LegRow:
    leg = LegRow(
        id=hub.clock.new_id(),
        request=row.id,
        dataset=iri,
        node=session.get_one(DatasetRow, iri).node,
        state=LegState.DRAFT.value,
        version=row.version,
        since=hub.clock.now(),
        verdict="",
        match=[],
    )
    session.add(leg)
    session.flush()
    return leg


def _offer(hub: Hub, session: Session, row: RequestRow, leg: LegRow, request: Request) -> bool:
    """Do to a leg what the newest version means there; return whether it passed to it without a review."""
    if leg.state in _TAKES_NO_VERSION:
        return False
    if leg.state == LegState.ACTIVE.value and _passes(hub, session, row, leg):
        _give(hub, session, leg, "amend", note="Nothing changes for this dataset.")
        legs.drop_review(leg)
        legs.catch_up(session, row, leg)
        return True
    if leg.state in (LegState.ACTIVE.value, LegState.EXPIRED.value):
        _give(hub, session, leg, "amend")
        legs.start_review(leg, version=row.version)
        leg.awaited_since, leg.due = hub.clock.now(), None
    elif leg.state in (LegState.DRAFT.value, LegState.RETURNED.value):
        _give(hub, session, leg, "submit")
    else:
        _give(hub, session, leg, "restate")
    dataset = session.get_one(DatasetRow, leg.dataset)
    leg.verdict, leg.match = match_of(request, dataset)
    session.flush()
    return False


def _passes(hub: Hub, session: Session, row: RequestRow, leg: LegRow) -> bool:
    before = legs.request_of(session, row.id, leg.version)
    return not concerns(before, legs.request_of(session, row.id, row.version))


def _give(hub: Hub, session: Session, leg: LegRow, word: str, *, note: str = "") -> None:
    request = session.get_one(RequestRow, leg.request)
    legs.give(hub, session, leg, word, actor=request.account, parts=_REQUESTER, note=note)


def _can(
    hub: Hub, session: Session, row: RequestRow, leg: LegRow, word: str, *, actor: str, parts: frozenset[Part]
) -> bool:
    state = legs.standing(leg, word)
    steps = (LEG.step(state, part, word) for part in Part if part in parts)
    step = next((each for each in steps if each is not None), None)
    return step is not None and guards.hold(session, hub, row, leg, actor=actor, names=step.guards)


def _may_revoke(leg: LegRow, parts: frozenset[Part]) -> bool:
    return any(LEG.step(leg.state, part, "revoke") is not None for part in parts)


def _version_command(session: Session, hub: Hub, row: RequestRow) -> str:
    if row.state == RequestState.DRAFT.value:
        return "submit"
    returned = guards.GUARDS_BY_NAME["some-leg-returned"](session, hub, row, None, row.account)
    return "resubmit" if returned else "amend"


def _check_seal(request: Request, who: Account, now: datetime) -> None:
    if request.requester_account != who.name or request.requester_key != who.key_id:
        raise _refused("it names another account or key")
    if abs((now - parse_iso(request.created)).total_seconds()) > CLOCK_SLACK_S:
        raise _refused("it was made more than a day from now")
    until = parse_iso(request.until)
    if not now < until <= now + timedelta(days=LONGEST_DAYS):
        raise _refused("its end is past, or more than five years away")


def _check_follows(session: Session, row: RequestRow | None, request: Request) -> None:
    newest = row.version if row is not None else 0
    before = session.get(VersionRow, (request.id, newest)) if newest else None
    if request.version == newest + 1 and request.amends == (before.digest if before is not None else None):
        return
    raise VersionRefused(
        f"The request was not accepted: version {request.version} does not follow version {newest}."
        if request.version != newest + 1
        else "The request was not accepted: it does not name the version before it.",
        why="Each version has the next number and names the digest of the one before it.",
        todo="Read the request again, change its newest version, and submit that.",
    )


def _check_datasets(
    hub: Hub, session: Session, who: Account, datasets: list[str], *, known: set[str]
) -> None:
    if gone := withdrawn_among(session, datasets):
        raise _refused(f"{len(gone)} of its datasets were withdrawn, the first is {gone[0]}")
    new = [iri for iri in datasets if iri not in known]
    seen = set(session.scalars(select(DatasetRow.iri).where(DatasetRow.iri.in_(new), visible(who))))
    if missing := [iri for iri in new if iri not in seen]:
        raise _refused(f"{len(missing)} of its datasets cannot be found, the first is {missing[0]}")
    if mirrored := next((iri for iri in new if is_mirrored(hub, iri)), None):
        raise DatasetMirrored.of(mirrored)


def _refused(reason: str) -> RequestRefused:
    return RequestRefused(
        f"The request was not accepted: {reason}.",
        why="A request is sealed with its requester's registered key and names datasets of this catalogue.",
        todo="Correct it and submit it again.",
    )
