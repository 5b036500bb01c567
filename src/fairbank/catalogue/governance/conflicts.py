"""Conflicts of interest: who may not take part in a decision, and who may but is shown to be close to it.

Barred is she who asked, who is named among the people of the request, who declared a conflict, or who has a project of
the same name herself. To work at an institution that takes part is shown and noted, and bars nobody: in a small country
it would leave nobody.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import Protocol

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance.remembering import remembered, tell
from fairbank.catalogue.governance.store import ConflictRow, RequestRow, VersionRow
from fairbank.catalogue.store import AccountRow
from fairbank.ontology.signed_objects import Request

_UNSTATED = frozenset({"", "not stated"})
# Fewer than any database takes in one statement.
_AT_ONCE = 500


def sealed_request(session: Session, request: str, version: int) -> Request | None:
    """Return a version of a request as its requester sealed it, None before the first."""
    kept = _kept(session)
    if (request, version) not in kept:
        row = session.get(VersionRow, (request, version))
        if row is None:
            return None
        kept[request, version] = _opened(row.envelope)
    return kept[request, version]


class Named(Protocol):
    """Whatever has the name of an account: the account, or its row."""

    @property
    def name(self) -> str:
        """Return the account's name."""
        ...


def barred(session: Session, request: RequestRow, account: str | Named) -> str | None:
    """Return why somebody may not take part in what concerns a request, None if she may."""
    name = account if isinstance(account, str) else account.name
    return barred_among(session, request, (name,)).get(name)


def barred_among(session: Session, request: RequestRow, accounts: Collection[str]) -> dict[str, str]:
    """Return those of some people who may not take part in what concerns a request, each with the reason."""
    names = sorted(accounts)
    return remembered(session, ("barred", request.id, *names), lambda: _barred_among(session, request, names))


def look_up(session: Session, requests: Collection[RequestRow]) -> None:
    """Ask at once, for a list, what `barred_among` would ask for each request; for a session that only reads."""
    versions = {(row.id, row.version) for row in requests if row.version > 0}
    _open(session, versions)
    declared: dict[str, set[str]] = {row.id: set() for row in requests}
    statement = select(ConflictRow.request, ConflictRow.account).where(
        ConflictRow.request.in_(list(declared))
    )
    for request, account in session.execute(statement):
        declared[request].add(account)
    tell(session, {("declared", request): accounts for request, accounts in declared.items()})


def _barred_among(session: Session, request: RequestRow, accounts: Collection[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    sealed = sealed_request(session, request.id, request.version)
    named = {person.account for person in sealed.people if person.account} if sealed is not None else set()
    declared = remembered(session, ("declared", request.id), lambda: _declared(session, request.id))
    fellows = _of_the_same_project(session, request, sealed, accounts)
    for account in accounts:
        if account == request.account:
            found[account] = "it is her own request"
        elif account in named:
            found[account] = "she is named among the people of the request"
        elif account in declared:
            found[account] = "she declared a conflict of interest"
        elif account in fellows:
            found[account] = "she has asked for data for the same project"
    return found


def close_among(session: Session, request: RequestRow, accounts: Collection[str]) -> dict[str, str]:
    """Return those of some people whose institution takes part in a request, each with the institution's name.

    They may vote; who reads the votes is told.
    """
    sealed = sealed_request(session, request.id, request.version)
    if sealed is None or not accounts:
        return {}
    taking_part = {_plain(sealed.organisation), *(_plain(each.organisation) for each in sealed.people)}
    rows = session.execute(
        select(AccountRow.name, AccountRow.organisation).where(AccountRow.name.in_(sorted(accounts)))
    )
    return {
        name: organisation for name, organisation in rows if _plain(organisation) in taking_part - _UNSTATED
    }


def declare(session: Session, hub: Hub, *, request: RequestRow, account: str, reason: str) -> None:
    """Note that somebody declares a conflict; a second declaration changes nothing."""
    if session.get(ConflictRow, (request.id, account)) is not None:
        return
    session.add(ConflictRow(request=request.id, account=account, reason=reason, at=hub.clock.now()))
    session.flush()
    audit.record(
        session,
        audit.HubAudit,
        clock=hub.clock,
        actor=account,
        act="conflict.declare",
        target=request.id,
    )


def _of_the_same_project(
    session: Session, request: RequestRow, sealed: Request | None, accounts: Collection[str]
) -> set[str]:
    if sealed is None or sealed.project is None or not accounts:
        return set()
    names = sorted(accounts)
    others = remembered(session, ("asked", *names), lambda: _asked_by(session, names))
    _open(session, {(other, version) for _, other, version in others if other != request.id})
    return {
        account
        for account, other, version in others
        if other != request.id
        and (theirs := sealed_request(session, other, version)) is not None
        and theirs.project is not None
        and _plain(theirs.project) == _plain(sealed.project)
    }


def _declared(session: Session, request: str) -> set[str]:
    return set(session.scalars(select(ConflictRow.account).where(ConflictRow.request == request)))


def _asked_by(session: Session, accounts: Collection[str]) -> list[tuple[str, str, int]]:
    """Return the sealed requests of some people: whose, which, and its newest version."""
    rows = session.execute(
        select(RequestRow.account, RequestRow.id, RequestRow.version).where(
            RequestRow.account.in_(accounts), RequestRow.version > 0
        )
    )
    return [(row.account, row.id, row.version) for row in rows]


def _open(session: Session, versions: Collection[tuple[str, int]]) -> None:
    """Open, by few queries, those of some versions of requests that this session has not opened yet."""
    kept = _kept(session)
    wanted = sorted(set(versions) - kept.keys())
    for at in range(0, len(wanted), _AT_ONCE):
        some = set(wanted[at : at + _AT_ONCE])
        rows = session.execute(
            select(VersionRow.request, VersionRow.version, VersionRow.envelope).where(
                VersionRow.request.in_({request for request, _ in some})
            )
        )
        for request, version, envelope in rows:
            if (request, version) in some:
                kept[request, version] = _opened(envelope)


def _kept(session: Session) -> dict[tuple[str, int], Request]:
    # A version never changes, and one question about a vote asks for it several times.
    kept: dict[tuple[str, int], Request] = session.info.setdefault("sealed_requests", {})
    return kept


@lru_cache(maxsize=1024)
def _opened(envelope: bytes) -> Request:
    # The answer depends on these bytes alone, and a list shows the same ones again and again.
    return Request.open(envelope, trusted=None)[0]


def _plain(name: str) -> str:
    return " ".join(name.split()).casefold()
