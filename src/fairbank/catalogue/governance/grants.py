"""Visas: what the hub seals when a dataset is granted, which datasets hold under it, and when it ends.

A visa is over all active legs of one version of a request. When one more is granted the hub seals another that names
the one before it; a visa under which no leg is granted any more has ended.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, select, tuple_
from sqlalchemy.orm import Session, undefer

from fairbank import audit, events
from fairbank.catalogue import hub_keys
from fairbank.catalogue.accounts import Account
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import DecisionRefused, GrantNotFound, WrongState
from fairbank.catalogue.governance import parts
from fairbank.catalogue.governance.granted_terms import granted_dataset
from fairbank.catalogue.governance.listing import LARGEST_PAGE, mark_of, read_mark
from fairbank.catalogue.governance.store import GrantRow, LegRow, RequestRow, VersionRow
from fairbank.catalogue.governance.terms import Terms
from fairbank.catalogue.governance.workflow import LegState, RequestState
from fairbank.catalogue.withdrawal import withdrawn_among
from fairbank.clock import iso, parse_iso
from fairbank.ontology.signed_objects import Request, Visa
from fairbank.signing import open_sealed

# A node whose clock is a little behind can use the visa at once.
BACKDATED_S = 60
SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class Grant:
    """A visa, and what holds under it now.

    Attributes:
        request_envelope: the version of the request that the visa answers.
        datasets: IRIs that are granted under this very visa; a new job may use these.
        still_granted: its datasets that are granted under this visa or a later one of the request; a job that was
            accepted under this visa may go on with these.
        paused: the request is paused; nothing runs until it is resumed.
    """

    visa_id: str
    digest: str
    envelope: bytes
    request_id: str
    request_envelope: bytes
    account: str
    expires: datetime
    ended: datetime | None
    ended_because: str | None
    datasets: frozenset[str]
    still_granted: frozenset[str]
    paused: bool

    @property
    def holds(self) -> bool:
        """Tell whether a new job may name it."""
        return self.ended is None and not self.paused and bool(self.datasets)

    @property
    def state(self) -> str:
        """Return `holds`, `paused`, or why it ended."""
        if self.ended is not None:
            return self.ended_because or "ended"
        return "paused" if self.paused else "holds"


def seal(hub: Hub, session: Session, request: RequestRow, *, version: int | None = None) -> GrantRow:
    """Seal a visa over all active legs of one version, by default the newest, in the caller's transaction.

    Raises:
        DecisionRefused: if there is no such leg, or a dataset of them was withdrawn.
    """
    now = hub.clock.now()
    at = version if version is not None else request.version
    session.flush()
    legs = _legs(session, LegRow.request == request.id, LegRow.version == at)
    if gone := withdrawn_among(session, {leg.dataset for leg in legs}):
        raise _cannot(f"{len(gone)} of the datasets were withdrawn, the first is {gone[0]}")
    if not legs:
        raise _cannot("none of its datasets is granted")
    sealed_request = session.get_one(VersionRow, (request.id, at))
    asked, _ = Request.open(sealed_request.envelope, trusted=None)
    newest = _newest(session, request.id)
    visa = Visa(
        id=hub.clock.new_id(),
        hub=hub.base_iri,
        request=sealed_request.digest,
        requester_key=asked.requester_key,
        datasets=tuple(
            granted_dataset(leg.dataset, Terms.model_validate_json(_json(leg)), asked) for leg in legs
        ),
        purpose=asked.purpose,
        supersedes=newest.digest if newest is not None else None,
        not_before=iso(now - timedelta(seconds=BACKDATED_S)),
        created=iso(now),
    )
    key = hub_keys.sealing_key(session, hub, lasting=True)
    envelope = visa.seal(key)
    opened, sealed = Visa.open(envelope, trusted=[key.key_id])
    row = GrantRow(
        id=opened.id,
        digest=sealed.digest,
        envelope=envelope,
        request=request.id,
        version=at,
        account=request.account,
        supersedes=visa.supersedes,
        granted=now,
        expires=parse_iso(opened.expires),
    )
    session.add(row)
    before = {leg.visa for leg in legs} - {None}
    for leg in legs:
        leg.visa = row.id
    session.flush()
    audit.record(
        session,
        audit.HubAudit,
        clock=hub.clock,
        actor="hub",
        act="grant.make",
        target=row.id,
        detail={
            "request": request.id,
            "version": at,
            "digest": row.digest,
            "supersedes": row.supersedes,
            "datasets": [leg.dataset for leg in legs],
        },
    )
    _tell(hub, session, row, "made", [leg.dataset for leg in legs], because="granted")
    for visa_id in sorted(each for each in before if each is not None):
        end_if_unnamed(hub, session, session.get_one(GrantRow, visa_id), because=SUPERSEDED)
    return row


def end(hub: Hub, session: Session, leg: LegRow, *, because: str) -> None:
    """Take a leg from under its visa, and tell those who run jobs; the visa ends when no leg names it any more.

    Args:
        because: revoked, withdrawn, completed or expired.
    """
    if leg.visa is None:
        return
    row = session.get_one(GrantRow, leg.visa)
    leg.visa = None
    session.flush()
    end_if_unnamed(hub, session, row, because=because)
    _tell(hub, session, row, "expired" if because == "expired" else "revoked", [leg.dataset], because=because)


def end_if_unnamed(hub: Hub, session: Session, row: GrantRow, *, because: str) -> None:
    """End a visa that no leg names."""
    named = session.scalar(select(LegRow.id).where(LegRow.visa == row.id).limit(1))
    if named is not None or row.ended is not None:
        return
    row.ended, row.ended_because = hub.clock.now(), because
    audit.record(
        session,
        audit.HubAudit,
        clock=hub.clock,
        actor="hub",
        act="grant.end",
        target=row.id,
        detail={"because": because, "digest": row.digest},
    )


def tell_pause(hub: Hub, session: Session, leg: LegRow, *, paused: bool) -> None:
    """Tell those who run jobs that a leg's grant is paused, or goes on."""
    if leg.visa is not None:
        row = session.get_one(GrantRow, leg.visa)
        _tell(hub, session, row, "paused" if paused else "resumed", [leg.dataset], because="pause")


def find_grant(session: Session, visa_digest: str, *, now: datetime) -> Grant | None:
    """Return the grant of a visa by the digest of its payload; None if this hub issued none such."""
    row = session.scalar(
        select(GrantRow).where(GrantRow.digest == visa_digest).options(undefer(GrantRow.envelope))
    )
    return _as_grant(session, row, now) if row is not None else None


def grant_named(session: Session, who: Account, visa_id: str, *, now: datetime) -> Grant | None:
    """Return a grant by its id; None if there is none, or it is not for this reader."""
    row = session.get(GrantRow, visa_id, options=[undefer(GrantRow.envelope)])
    if row is None or not parts.parts_of(session, who, session.get_one(RequestRow, row.request), None):
        return None
    return _as_grant(session, row, now)


def named_by(session: Session, who: Account, visa_id: str) -> tuple[RequestRow, list[LegRow]]:
    """Return the request of a visa and the legs that are granted under it.

    Raises:
        GrantNotFound: if there is none, or it is not for this reader.
        WrongState: if nothing is granted under it any more.
    """
    row = session.get(GrantRow, visa_id)
    request = session.get_one(RequestRow, row.request) if row is not None else None
    if row is None or request is None or not parts.parts_of(session, who, request, None):
        raise GrantNotFound(
            "There is no such grant, or you may not see it.",
            why="Which of the two is not told.",
            todo="See 'fairbank grant list'.",
        )
    named = _legs(session, LegRow.visa == visa_id)
    if not named:
        raise WrongState(
            f"This grant has ended: {row.ended_because}.",
            why="Nothing is granted under it any more.",
            todo="See 'fairbank grant list'.",
        )
    return request, named


def grants(
    session: Session, who: Account, *, now: datetime, mark: str | None = None, limit: int = LARGEST_PAGE
) -> tuple[list[Grant], str | None]:
    """Return a page of the grants of the requests that somebody may see, newest first, and the mark of the next.

    Raises:
        PageRefused: if the mark is none that this hub gave.
    """
    visible = select(RequestRow.id).where(parts.visible_to(session, who))
    statement = select(GrantRow).where(GrantRow.request.in_(visible)).options(undefer(GrantRow.envelope))
    if mark is not None:
        statement = statement.where(tuple_(GrantRow.granted, GrantRow.id) < tuple_(*read_mark(mark)))
    statement = statement.order_by(GrantRow.granted.desc(), GrantRow.id.desc())
    rows = list(session.scalars(statement.limit(limit + 1)))
    page = rows[:limit]
    following = mark_of(page[-1].granted, page[-1].id) if len(rows) > limit else None
    return [_as_grant(session, row, now) for row in page], following


@dataclass(frozen=True, slots=True)
class Holding:
    """A visa under which its requester may start jobs, told without opening it."""

    visa_id: str
    title: str
    nodes: tuple[str, ...]


def holding(session: Session, account: str, *, now: datetime, limit: int = LARGEST_PAGE) -> list[Holding]:
    """Return the visas of somebody's own requests that hold, what was granted last first."""
    rows = session.execute(
        select(LegRow.visa, RequestRow.title, LegRow.node)
        .join(RequestRow, RequestRow.id == LegRow.request)
        .where(
            RequestRow.account == account,
            RequestRow.state != RequestState.PAUSED.value,
            LegRow.state == LegState.ACTIVE.value,
            LegRow.visa.is_not(None),
            or_(LegRow.expires.is_(None), LegRow.expires > now),
        )
        .order_by(LegRow.since.desc(), LegRow.visa.desc(), LegRow.node)
    )
    found: dict[str, Holding] = {}
    for visa, title, node in rows:
        assert visa is not None
        before = found.get(visa)
        nodes = tuple(dict.fromkeys((*before.nodes, node))) if before is not None else (node,)
        found[visa] = Holding(visa, title, nodes)
    return list(found.values())[:limit]


def grants_of(session: Session, request: RequestRow, *, now: datetime) -> list[Grant]:
    """Return all visas of a request, newest first."""
    rows = session.scalars(
        select(GrantRow)
        .where(GrantRow.request == request.id)
        .options(undefer(GrantRow.envelope))
        .order_by(GrantRow.granted.desc(), GrantRow.id.desc())
    )
    return [_as_grant(session, row, now) for row in rows]


def _as_grant(session: Session, row: GrantRow, now: datetime) -> Grant:
    request = session.get_one(RequestRow, row.request)
    version = session.get_one(VersionRow, (row.request, row.version), options=[undefer(VersionRow.envelope)])
    active = _legs(session, LegRow.request == row.request)
    # By the clock, whether or not the sweep has been round; and never what its biobank has withdrawn.
    gone = set(withdrawn_among(session, {leg.dataset for leg in active}))
    live = [leg for leg in active if (leg.expires is None or leg.expires > now) and leg.dataset not in gone]
    # Read without its schema: an older visa, of before datasets had terms of their own, is kept as evidence.
    visa: Any = open_sealed(row.envelope, Visa.kind, trusted=None).payload
    named = {each["iri"]: parse_iso(each.get("expires", iso(row.expires))) for each in visa["datasets"]}
    ended, because = row.ended, row.ended_because
    if ended is None and row.expires <= now:
        ended, because = row.expires, "expired"
    return Grant(
        visa_id=row.id,
        digest=row.digest,
        envelope=row.envelope,
        request_id=row.request,
        request_envelope=version.envelope,
        account=row.account,
        expires=row.expires,
        ended=ended,
        ended_because=because,
        datasets=frozenset(leg.dataset for leg in live if leg.visa == row.id and ended is None),
        still_granted=frozenset(
            leg.dataset for leg in live if leg.dataset in named and named[leg.dataset] > now
        ),
        paused=request.state == RequestState.PAUSED.value,
    )


def _legs(session: Session, *conditions: Any) -> list[LegRow]:
    active = select(LegRow).where(LegRow.state == LegState.ACTIVE.value, *conditions).order_by(LegRow.dataset)
    return list(session.scalars(active))


def _newest(session: Session, request_id: str) -> GrantRow | None:
    rows = select(GrantRow).where(GrantRow.request == request_id)
    return session.scalar(rows.order_by(GrantRow.granted.desc(), GrantRow.id.desc()).limit(1))


def _json(leg: LegRow) -> str:
    import json

    return json.dumps(leg.terms)


def _tell(
    hub: Hub, session: Session, row: GrantRow, word: str, datasets: Collection[str], *, because: str
) -> None:
    detail: dict[str, Any] = {
        "visa": row.digest,
        "request": row.request,
        "datasets": sorted(datasets),
        "because": because,
    }
    if word == "made":
        detail["supersedes"] = row.supersedes
    events.append(
        session, events.HubEvent, clock=hub.clock, kind=f"grant.{word}", subject=row.id, detail=detail
    )


def _cannot(reason: str) -> DecisionRefused:
    return DecisionRefused(
        f"No visa can be made: {reason}.",
        why="A visa opens what is granted now, and nothing that its biobank has withdrawn.",
        todo="Submit the request again without it.",
    )
