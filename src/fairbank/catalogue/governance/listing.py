"""Pages of requests, of what waits for committees, and of grants: by key, filtered, with a few queries per page.

A page ends with a mark (`next`) that says where the following one begins, so that what is added meanwhile neither
repeats nor hides a row. No row's envelope is read, but the visas of a page of grants, which say for what they are.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, exists, func, or_, select, tuple_
from sqlalchemy.orm import Session, undefer

from fairbank.catalogue.accounts import Account, Role
from fairbank.catalogue.governance.grant_names import purpose_told, titles
from fairbank.catalogue.governance.next_steps import minimum
from fairbank.catalogue.governance.parts import appointed_for, committees_of, curated, sees_all
from fairbank.catalogue.governance.request_errors import PageRefused
from fairbank.catalogue.governance.store import AgreementRow, CommitteeRow, GrantRow, LegRow, RequestRow
from fairbank.catalogue.governance.workflow import LegState, RequestState
from fairbank.catalogue.run_counts import RunCounts
from fairbank.catalogue.store import AccountRow
from fairbank.clock import iso, parse_iso
from fairbank.ontology.signed_objects import Visa
from fairbank.signing import open_sealed

USUAL_PAGE: Final = 50
LARGEST_PAGE: Final = 200


@dataclass(frozen=True, slots=True)
class Filter:
    """What a page of requests or legs is about; None leaves a thing open.

    Attributes:
        state: of a request (`open`), or of some leg of it (`active`, `in_review`).
        dataset: IRI that a leg is about.
        committee: id of the committee that a leg is with.
        mine: only what the caller asked for herself.
        text: what stands in the title, in any case.
    """

    state: str | None = None
    dataset: str | None = None
    committee: str | None = None
    mine: bool = False
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows, and the mark of the page after them; None at the end."""

    rows: list[dict[str, Any]]
    following: str | None


def requests(
    session: Session, who: Account, wanted: Filter, *, mark: str | None = None, limit: int = USUAL_PAGE
) -> Page:
    """Return a page of the requests that somebody may see, what changed last first.

    Raises:
        PageRefused: if the mark or a filter is none that this hub gave or knows.
    """
    place = (RequestRow.changed, RequestRow.id)
    keys = select(*place).where(*_of_requests(session, who, wanted))
    if mark is not None:
        keys = keys.where(tuple_(*place) < tuple_(*read_mark(mark)))
    keys = keys.order_by(RequestRow.changed.desc(), RequestRow.id.desc()).limit(limit + 1)
    found = [key[1] for key in session.execute(keys)]
    kept = session.scalars(select(RequestRow).where(RequestRow.id.in_(found[:limit])))
    by_id = {row.id: row for row in kept}
    page = [by_id[each] for each in found[:limit]]
    states = _states(session, [row.id for row in page])
    rows = [_request(row, states[row.id]) for row in page]
    return Page(rows, mark_of(page[-1].changed, page[-1].id) if len(found) > limit else None)


def legs(
    session: Session, who: Account, wanted: Filter, *, mark: str | None = None, limit: int = USUAL_PAGE
) -> Page:
    """Return a page of legs that somebody may see, what is due first comes first, what is not due last.

    Raises:
        PageRefused: if the mark or a filter is none that this hub gave or knows.
    """
    # Where nothing is due, the end of time stands for it, so that one comparison orders all.
    due = func.coalesce(LegRow.due, _NEVER)
    keys = select(LegRow.id).where(*_of_legs(session, who, wanted))
    if mark is not None:
        at, last = read_mark(mark)
        keys = keys.where(or_(due > at, and_(due == at, LegRow.id > last)))
    ids = list(session.scalars(keys.order_by(due, LegRow.id).limit(limit + 1)))
    statement = (
        select(LegRow, RequestRow.title, RequestRow.account, CommitteeRow.title)
        .join(RequestRow, RequestRow.id == LegRow.request)
        .join(CommitteeRow, CommitteeRow.id == LegRow.committee, isouter=True)
        .where(LegRow.id.in_(ids))
    )
    by_id = {each[0].id: each for each in session.execute(statement)}
    found = [by_id[each] for each in ids]
    rows = [_leg(*each) for each in found[:limit]]
    last_one = found[limit - 1][0] if len(found) > limit else None
    return Page(rows, mark_of(last_one.due or _NEVER, last_one.id) if last_one is not None else None)


def grants(
    session: Session,
    who: Account,
    *,
    now: datetime,
    runs: RunCounts | None = None,
    mark: str | None = None,
    limit: int = USUAL_PAGE,
) -> Page:
    """Return a page of the grants that somebody may see, newest first, each with the datasets that it still opens.

    Args:
        runs: whom to ask how many runs were used; without it, what is left of them is not said (None).

    Raises:
        PageRefused: if the mark is none that this hub gave.
    """
    statement = (
        select(GrantRow, RequestRow.title, RequestRow.state, AccountRow.organisation)
        .join(RequestRow, RequestRow.id == GrantRow.request)
        .join(AccountRow, AccountRow.name == GrantRow.account)
        .options(undefer(GrantRow.envelope))
        .where(_seen(session, who, GrantRow.account == who.name))
    )
    if mark is not None:
        statement = statement.where(tuple_(GrantRow.granted, GrantRow.id) < tuple_(*read_mark(mark)))
    found = list(
        session.execute(statement.order_by(GrantRow.granted.desc(), GrantRow.id.desc()).limit(limit + 1))
    )
    page = found[:limit]
    used = runs.used(session, {each[0].request for each in page}) if runs is not None else None
    opened = _opened(session, [each[0].id for each in page], used)
    visas = {each[0].id: _visa(each[0].envelope) for each in page}
    named = titles(session, (one["iri"] for visa in visas.values() for one in visa["datasets"]))
    rows = [
        {**_grant(grant, title, state, opened[grant.id], now), **_named(visas[grant.id], organisation, named)}
        for grant, title, state, organisation in page
    ]
    for row in rows:
        row["datasets"] = [
            {**one, "title": named.get(one["dataset"], one["dataset"])} for one in row["datasets"]
        ]
    return Page(rows, mark_of(page[-1][0].granted, page[-1][0].id) if len(found) > limit else None)


def counts(session: Session, who: Account, wanted: Filter) -> dict[str, int]:
    """Return how many requests somebody may see, by state."""
    statement = select(RequestRow.state, func.count()).where(*_of_requests(session, who, wanted))
    return {row[0]: row[1] for row in session.execute(statement.group_by(RequestRow.state))}


def mark_of(at: datetime, last: str) -> str:
    """Return the mark of the page after a row, by its moment and id."""
    return base64.urlsafe_b64encode(json.dumps([at.isoformat(), last]).encode()).decode().rstrip("=")


def read_mark(mark: str) -> tuple[datetime, str]:
    """Return the moment and the id that a mark names.

    Raises:
        PageRefused: if it is none that this hub gave.
    """
    try:
        at, last = json.loads(base64.urlsafe_b64decode(mark + "=" * (-len(mark) % 4)))
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None or not isinstance(last, str) or "\0" in last:
            raise ValueError("no moment or no id")
    except (ValueError, TypeError, binascii.Error, UnicodeDecodeError, RecursionError) as err:
        raise _refused("the mark 'after' is none that this hub gave") from err
    return moment, last


def _of_requests(session: Session, who: Account, wanted: Filter) -> list[ColumnElement[bool]]:
    _check(wanted)
    own = RequestRow.account == who.name
    conditions = [own if wanted.mine else _seen(session, who, own), *_with_text(wanted)]
    about = _about_legs(wanted)
    if wanted.state in set(RequestState):
        # Some words are states of both; of a list of requests, the request's is meant.
        conditions.append(RequestRow.state == wanted.state)
    elif wanted.state is not None:
        about.append(_in_state(wanted.state))
    if wanted.dataset is not None or wanted.committee is not None:
        conditions.append(RequestRow.id.in_(select(LegRow.request).where(*about)))
    elif about:
        # Of a state there are many: looked for where they are listed, until a page is full.
        conditions.append(exists().where(LegRow.request == RequestRow.id, *about))
    return conditions


def _of_legs(session: Session, who: Account, wanted: Filter) -> list[ColumnElement[bool]]:
    _check(wanted)
    own = RequestRow.account == who.name
    conditions = _about_legs(wanted)
    if wanted.mine or wanted.text:
        asked = [*_with_text(wanted), *([own] if wanted.mine else [])]
        conditions.append(LegRow.request.in_(select(RequestRow.id).where(*asked)))
    if not wanted.mine and not sees_all(who):
        # Who decides or signs sees that; everybody else what she asked for herself.
        concerned = _concerned(session, who)
        mine = LegRow.request.in_(select(RequestRow.id).where(own))
        conditions.append(or_(*concerned) if concerned else mine)
    return conditions if wanted.state is None else [*conditions, _in_state(wanted.state)]


def _about_legs(wanted: Filter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.dataset is not None:
        conditions.append(LegRow.dataset == wanted.dataset)
    if wanted.committee is not None:
        conditions.append(LegRow.committee == wanted.committee)
    return conditions


def _in_state(state: str) -> ColumnElement[bool]:
    if state not in set(LegState):
        raise _refused(f"state={state[:40]!r} is no state of a request or of a dataset in it")
    return or_(LegRow.state == state, LegRow.pending_state == state)


def _with_text(wanted: Filter) -> list[ColumnElement[bool]]:
    if not wanted.text:
        return []
    return [func.lower(RequestRow.title).contains(wanted.text.lower(), autoescape=True)]


def _check(wanted: Filter) -> None:
    if any("\0" in (text or "") for text in (wanted.state, wanted.dataset, wanted.committee, wanted.text)):
        raise _refused("a filter holds the character NUL")


def _seen(session: Session, who: Account, own: ColumnElement[bool]) -> ColumnElement[bool]:
    # What was never sealed is its author's alone.
    if sees_all(who):
        return or_(own, RequestRow.version > 0)
    concerned = _concerned(session, who)
    if not concerned:
        return own
    # For each request in the order of the page, until the page is full; the whole would have to be put together first.
    return or_(own, exists().where(LegRow.request == RequestRow.id, or_(*concerned)))


def _concerned(session: Session, who: Account) -> list[ColumnElement[bool]]:
    """Return the conditions on `LegRow` under which somebody other than the requester has a part in it.

    What she sits on and signs is few, so it is looked up first: lists of ids let the database use its indexes.
    """
    seats = session.scalars(committees_of(who.name)).all() if who.has(Role.COMMITTEE) else []
    appointed = session.scalars(appointed_for(who.name)).all() if who.has(Role.COMMITTEE) else []
    named = session.scalars(select(AgreementRow.leg).where(AgreementRow.countersigner == who.name)).all()
    conditions: list[ColumnElement[bool]] = []
    if seats:
        conditions.append(LegRow.committee.in_(seats))
    if nodes := curated(who):
        conditions.append(LegRow.node.in_(nodes))
    if ids := [*appointed, *named]:
        conditions.append(LegRow.id.in_(ids))
    return conditions


def _states(session: Session, ids: Sequence[str]) -> dict[str, dict[str, int]]:
    statement = (
        select(LegRow.request, LegRow.state, func.count())
        .where(LegRow.request.in_(ids))
        .group_by(LegRow.request, LegRow.state)
    )
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for request, state, count in session.execute(statement):
        found[request][state] = count
    return found


def _opened(
    session: Session, ids: Sequence[str], used: Mapping[tuple[str, str], int] | None
) -> dict[str, list[dict[str, Any]]]:
    statement = (
        select(LegRow.visa, LegRow.request, LegRow.dataset, LegRow.state, LegRow.expires, LegRow.terms)
        .where(LegRow.visa.in_(ids))
        .order_by(LegRow.dataset)
    )
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for visa, request, dataset, state, expires, terms in session.execute(statement):
        most = (terms or {}).get("maximum_runs")
        # By request and dataset, as jobs are admitted: a visa that replaces another gives no runs again.
        gone = used.get((request, dataset), 0) if used is not None else None
        found[visa].append(
            {
                "dataset": dataset,
                "state": state,
                "expires": iso(expires) if expires else None,
                "maximum_runs": most,
                "runs_left": max(0, most - gone) if most is not None and gone is not None else None,
            }
        )
    return found


def _request(row: RequestRow, states: dict[str, int]) -> dict[str, Any]:
    listed = [LegState(state) for state, count in states.items() for _ in range(count)]
    return {
        "id": row.id,
        "state": row.state,
        "title": row.title,
        "account": row.account,
        "version": row.version,
        "datasets": sum(states.values()) or len(row.draft.get("datasets", [])),
        "legs": states,
        "minimum": minimum(row.minimum_datasets, listed).word.value if listed else None,
        "submitted": iso(row.submitted) if row.submitted else None,
        "changed": iso(row.changed),
    }


def _leg(leg: LegRow, title: str, account: str, committee: str | None) -> dict[str, Any]:
    return {
        "id": leg.id,
        "request": leg.request,
        "title": title,
        "account": account,
        "dataset": leg.dataset,
        "state": leg.state,
        "stage": leg.stage,
        "committee": committee,
        "verdict": leg.verdict,
        "since": iso(leg.awaited_since or leg.since),
        "due": iso(leg.due) if leg.due else None,
    }


def _grant(
    grant: GrantRow, title: str, request_state: str, opened: list[dict[str, Any]], now: datetime
) -> dict[str, Any]:
    if grant.ended is not None:
        state = grant.ended_because or "ended"
    elif grant.expires <= now:
        state = "expired"
    else:
        state = "paused" if request_state == RequestState.PAUSED.value else "holds"
    return {
        "id": grant.id,
        "digest": grant.digest,
        "request": grant.request,
        "title": title,
        "account": grant.account,
        "state": state,
        "version": grant.version,
        "supersedes": grant.supersedes,
        "datasets": opened,
        "granted": iso(grant.granted),
        "expires": iso(grant.expires),
        "ended": iso(grant.ended) if grant.ended else None,
    }


@lru_cache(maxsize=1024)
def _visa(envelope: bytes) -> Mapping[str, Any]:
    # The answer depends on these bytes alone, and lists show the same ones again and again. Read without its schema: an
    # older visa, of before datasets had terms of their own, is kept as evidence.
    return MappingProxyType(open_sealed(envelope, Visa.kind, trusted=None).payload)


def _named(visa: Mapping[str, Any], organisation: str, named: Mapping[str, str]) -> dict[str, Any]:
    return {
        "organisation": organisation,
        "purpose": purpose_told(visa["purpose"]),
        "not_before": visa["not_before"],
        # What it was sealed over; `datasets` is what it still opens.
        "sealed_over": [{"dataset": one["iri"], "title": named[one["iri"]]} for one in visa["datasets"]],
    }


def _refused(reason: str) -> PageRefused:
    return PageRefused(
        f"The list cannot be shown: {reason}.",
        why="A page begins where the one before it ended, and is filtered by what the hub knows.",
        todo="Begin again without it.",
    )


_NEVER: Final = parse_iso("9999-12-31T00:00:00.000Z")
