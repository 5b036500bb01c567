"""Logging in: the password, the limits on guessing, the second factor, and new passwords.

A try is counted before the password is looked at, so that many at once are no way around the limit. Strangers' wrong
passwords never keep an account out where it has logged in from before.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import AccountRefused, TooManyLogins, WrongPassword
from fairbank.catalogue.identity import hub_secrets, passwords, second_factors, sessions, tokens
from fairbank.catalogue.identity.errors import ResetRefused, SecondFactorNeeded
from fairbank.catalogue.identity.sessions import Stage
from fairbank.catalogue.identity.store import KnownOriginRow, LoginFlowRow, ResetCodeRow
from fairbank.catalogue.store import AccountRow, LoginFailureRow, TokenRow
from fairbank.database import one_writer_at_a_time, reading, writing
from fairbank.errors import told

FAILURES_PER_ORIGIN: Final = 5
FAILURES_PER_ACCOUNT: Final = 50
FAILURES_OF_ORIGIN: Final = 100
FAILURE_WINDOW_S: Final = 300
KNOWN_FOR: Final = timedelta(days=30)
RESET_CODE_HOURS: Final = 24


@dataclass(frozen=True, slots=True)
class Proven:
    """An account whose password, or provider of identities, was right, and what it still has to do."""

    name: str
    stage: Stage


@dataclass(frozen=True, slots=True)
class Ended:
    """How many log-ins of an account ended: of browsers, of command lines, and tokens of programs."""

    sessions: int
    command_lines: int
    tokens: int


def prove(hub: Hub, *, name: str, password: str, origin: str, code: str | None = None) -> Proven:
    """Check a password, and the code of the second factor where one is given.

    Args:
        origin: where the attempt comes from; wrong passwords are limited per account and origin.

    Raises:
        WrongPassword: if name and password do not belong together.
        TooManyLogins: if there were too many wrong ones.
        SecondFactorRefused: if the code is wrong.
    """
    with _counted(hub, name, origin):
        with reading(hub.engine) as session:
            row = session.get(AccountRow, name)
        usable = row is not None and row.disabled is None
        right = passwords.matches(row.password_hash if row is not None and usable else None, password)
        if row is None or not right:
            raise WrongPassword(
                "The account name and password do not belong together.",
                why="Which of the two is wrong is not told.",
                todo="Try again, or ask the hub's administrator for a new password.",
            )
    _renew(hub, name, stored=row.password_hash, password=password)
    return after_first(hub, name, origin=origin, code=code)


def after_first(
    hub: Hub, name: str, *, origin: str, code: str | None = None, has_second: bool = False
) -> Proven:
    """Return what an account that has shown its first factor still has to do.

    Args:
        has_second: the first factor was two already, as a provider of identities said.

    Raises:
        SecondFactorRefused: if a code is given and wrong.
    """
    with reading(hub.engine) as session:
        row = session.get_one(AccountRow, name)
        holds, lacks = second_factors.has_one(session, name), second_factors.lacks_one(session, hub, row)
    if holds and not has_second:
        if code is None:
            return Proven(name, Stage.SECOND_FACTOR)
        second_factors.check(hub, name, code)
    with writing(hub.engine) as session:
        _know(session, name, origin, hub.clock.now())
    return Proven(name, Stage.ENROL if lacks and not has_second else Stage.COMPLETE)


def need_complete(proven: Proven) -> None:
    """Ask for the code of the second factor where it is awaited.

    Raises:
        SecondFactorNeeded: if so.
    """
    if proven.stage is Stage.SECOND_FACTOR:
        raise SecondFactorNeeded(
            "The account also needs the code of its second factor.",
            why="The password alone is not enough for it.",
            todo="Send the code that the app shows, or a recovery code.",
        )


def change_password(hub: Hub, *, name: str, old: str, new: str, origin: str) -> None:
    """Change one's own password; all log-ins of the account end.

    Raises:
        WrongPassword: if the old one is wrong.
        TooManyLogins: if there were too many wrong ones.
        AccountRefused: if the new one is too weak.
    """
    prove(hub, name=name, password=old, origin=origin)
    with writing(hub.engine) as session:
        set_password(session, hub, name=name, password=new, actor=name)


def set_password(session: Session, hub: Hub, *, name: str, password: str, actor: str) -> None:
    """Give an account a password and end all its log-ins.

    Raises:
        AccountRefused: if there is no such account, or the password is too weak.
    """
    row = find(session, name)
    row.password_hash = passwords.hashed(password, name=name)
    end_log_ins(session, name)
    session.execute(delete(ResetCodeRow).where(ResetCodeRow.account == name))
    audit.record(session, audit.HubAudit, clock=hub.clock, actor=actor, act="account.password", target=name)


def reset_code(session: Session, hub: Hub, *, name: str, actor: str) -> str:
    """Return a code with which the person sets a new password, once; the old one and all log-ins end now.

    Raises:
        AccountRefused: if there is no such account.
    """
    row = find(session, name)
    code, now = "fbr_" + secrets.token_urlsafe(18), hub.clock.now()
    row.password_hash = passwords.NO_PASSWORD
    end_log_ins(session, name)
    session.execute(delete(ResetCodeRow).where(ResetCodeRow.account == name))
    session.add(
        ResetCodeRow(
            code_hash=hub_secrets.digest(code),
            account=name,
            made_by=actor,
            expires=now + timedelta(hours=RESET_CODE_HOURS),
        )
    )
    audit.record(session, audit.HubAudit, clock=hub.clock, actor=actor, act="account.reset", target=name)
    return code


def use_reset_code(hub: Hub, *, name: str, code: str, new: str, origin: str) -> None:
    """Set a new password with a one-time code.

    Raises:
        ResetRefused: if the code is unknown, used, too old, or another account's.
        TooManyLogins: if there were too many wrong ones.
        AccountRefused: if the password is too weak; the code works on then.
    """
    with _counted(hub, name, origin), writing(hub.engine) as session:
        row = session.get(ResetCodeRow, hub_secrets.digest(code), with_for_update=True)
        shut = session.get(AccountRow, name)
        if (
            row is None
            or row.account != name
            or hub.clock.now() >= row.expires
            or shut is None
            or shut.disabled is not None
        ):
            raise ResetRefused(
                "The code does not work.",
                why=told(
                    "It is for another account, was used, or is older than %(hours)s hours.",
                    hours=RESET_CODE_HOURS,
                ),
                todo="Ask the hub's administrator for a new one.",
            )
        set_password(session, hub, name=name, password=new, actor=name)


def end_log_ins(session: Session, name: str) -> None:
    """End all log-ins, sessions and tokens of an account."""
    _end_log_ins(session, name, of_programs=True)


def log_out_everywhere(
    session: Session, hub: Hub, *, name: str, actor: str, of_programs: bool = False
) -> Ended:
    """End all log-ins of an account, wherever they are, and say how many there were.

    Args:
        of_programs: also the API tokens that the account made for programs.

    Raises:
        AccountRefused: if there is no such account.
    """
    find(session, name)
    ended = _end_log_ins(session, name, of_programs=of_programs)
    audit.record(
        session,
        audit.HubAudit,
        clock=hub.clock,
        actor=actor,
        act="account.log-out",
        target=name,
        detail={
            "sessions": ended.sessions,
            "command_lines": ended.command_lines,
            "tokens": ended.tokens,
        },
    )
    return ended


def _end_log_ins(session: Session, name: str, *, of_programs: bool) -> Ended:
    # A log-in whose result the command line has yet to fetch is one too; there are few, for minutes.
    for waiting in session.scalars(select(LoginFlowRow)):
        if waiting.detail.get("account") == name:
            session.delete(waiting)
    of_lines = delete(TokenRow).where(TokenRow.account == name).returning(TokenRow.token_hash)
    return Ended(
        sessions=sessions.end_all(session, name),
        command_lines=len(session.scalars(of_lines).all()),
        tokens=tokens.end_all(session, name) if of_programs else 0,
    )


def find(session: Session, name: str) -> AccountRow:
    """Return the row of an account.

    Raises:
        AccountRefused: if there is none.
    """
    row = session.get(AccountRow, name)
    if row is None:
        raise AccountRefused(f"There is no account {name!r}.", why="", todo="Check the name.")
    return row


def _renew(hub: Hub, name: str, *, stored: str, password: str) -> None:
    """Keep a hash at the cost that passwords have now; only at a log-in is there the password to make it of."""
    if not passwords.is_outdated(stored):
        return
    renewed = passwords.hashed_again(password)
    with writing(hub.engine) as session:
        # A password that was set meanwhile stays.
        session.execute(
            update(AccountRow)
            .where(AccountRow.name == name, AccountRow.password_hash == stored)
            .values(password_hash=renewed)
        )


@contextmanager
def _counted(hub: Hub, name: str, origin: str) -> Iterator[None]:
    """Count a try as wrong, and take that back if the block ends well."""
    now = hub.clock.now()
    with writing(hub.engine) as session:
        # Two who count at the same moment would each not see the other's try.
        one_writer_at_a_time(session)
        second_factors.forget_old(session, now)
        _refuse_flood(session, name, origin, now)
        row = LoginFailureRow(account=name, origin=origin, at=now)
        session.add(row)
        session.flush()
        counted = row.id
    try:
        yield
    except AccountRefused:
        # The secret was right, only what was to follow was not.
        _take_back(hub, counted)
        raise
    _take_back(hub, counted)


def _take_back(hub: Hub, counted: int) -> None:
    with writing(hub.engine, lasting=False) as session:
        session.execute(delete(LoginFailureRow).where(LoginFailureRow.id == counted))


def _refuse_flood(session: Session, name: str, origin: str, now: datetime) -> None:
    since = now - timedelta(seconds=FAILURE_WINDOW_S)
    recent = select(func.count()).select_from(LoginFailureRow).where(LoginFailureRow.at >= since)
    of_account = recent.where(LoginFailureRow.account == name)
    known = session.get(KnownOriginRow, (name, origin))
    is_known = known is not None and known.seen >= now - KNOWN_FOR
    if (
        (session.scalar(of_account.where(LoginFailureRow.origin == origin)) or 0) >= FAILURES_PER_ORIGIN
        or (session.scalar(recent.where(LoginFailureRow.origin == origin)) or 0) >= FAILURES_OF_ORIGIN
        or (not is_known and (session.scalar(of_account) or 0) >= FAILURES_PER_ACCOUNT)
    ):
        raise TooManyLogins(
            "There were too many wrong passwords for this account.",
            why=told(
                "After %(tries)s wrong ones, log-ins wait, so that guessing is useless.",
                tries=FAILURES_PER_ORIGIN,
            ),
            todo=told("Wait %(count)s minutes, then try again.", count=FAILURE_WINDOW_S // 60),
        )


def _know(session: Session, name: str, origin: str, now: datetime) -> None:
    row = session.get(KnownOriginRow, (name, origin))
    if row is None:
        session.execute(delete(KnownOriginRow).where(KnownOriginRow.seen < now - KNOWN_FOR))
        session.add(KnownOriginRow(account=name, origin=origin, seen=now))
    else:
        row.seen = now
