"""Second factors: one-time codes of an app (TOTP, RFC 6238), each good once, and recovery codes for a lost app."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import TooManyLogins
from fairbank.catalogue.identity import hub_secrets, tries
from fairbank.catalogue.identity.errors import SecondFactorRefused
from fairbank.catalogue.identity.model import Role
from fairbank.catalogue.identity.store import RecoveryCodeRow, SecondFactorRow
from fairbank.catalogue.store import AccountRow, LoginFailureRow
from fairbank.database import writing
from fairbank.errors import told

if TYPE_CHECKING:
    from pyotp import TOTP

# RFC 6238, section 5.2: one step back and one ahead, for clocks that differ.
STEP_S: Final = 30
_STEPS: Final = (0, -1, 1)
RECOVERY_CODES: Final = 10
_MARK: Final = "#code"
MUST_HAVE: Final = frozenset({Role.ADMIN, Role.COMMITTEE, Role.CURATOR})


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What an app needs to know, shown once.

    Attributes:
        secret: in base 32, to type in.
        uri: `otpauth://…`, for a QR code.
    """

    secret: str
    uri: str

    def svg(self) -> str:
        """Return the QR code as an SVG image."""
        import io

        import segno

        written = io.BytesIO()
        segno.make(self.uri, error="m").save(
            written, kind="svg", scale=5, border=4, light="#fff", dark="#000", xmldecl=False
        )
        return written.getvalue().decode()

    def terminal(self) -> str:
        """Return the QR code in characters."""
        import io

        import segno

        written = io.StringIO()
        segno.make(self.uri, error="m").terminal(out=written, compact=True)
        return written.getvalue()


def begin(session: Session, hub: Hub, name: str) -> Enrolment:
    """Make a secret for an account; it counts once `confirm` was shown a code of it.

    Raises:
        SecondFactorRefused: if the account has a second factor already.
    """
    import pyotp

    row = session.get(SecondFactorRow, name)
    if row is not None and row.confirmed is not None:
        raise SecondFactorRefused(
            "The account has a second factor already.",
            why="A second one would make the first worthless.",
            todo="Ask the hub's operator to remove it: fairbank hub reset-second-factor NAME.",
        )
    secret = pyotp.random_base32(32)
    kept = hub_secrets.hidden(hub, secret.encode(), name=name)
    if row is None:
        session.add(SecondFactorRow(account=name, secret=kept, created=hub.clock.now(), last_step=0))
    else:
        row.secret, row.created = kept, hub.clock.now()
    session.flush()
    return Enrolment(secret, pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=_issuer(hub)))


def begun(session: Session, hub: Hub, name: str) -> Enrolment | None:
    """Return an enrolment that was begun and not confirmed, None if there is none."""
    row = session.get(SecondFactorRow, name)
    if row is None or row.confirmed is not None:
        return None
    totp = _totp(hub, row)
    return Enrolment(totp.secret, totp.provisioning_uri(name=name, issuer_name=_issuer(hub)))


def confirm(hub: Hub, name: str, code: str) -> list[str]:
    """Let a second factor count from now on, and return the recovery codes, which are shown once.

    Raises:
        SecondFactorRefused: if the code is wrong, or nothing was begun.
    """
    _count_try(hub, name)
    with writing(hub.engine) as session:
        row = session.get(SecondFactorRow, name, with_for_update=True)
        if row is None or row.confirmed is not None or not _take_code(hub, row, code):
            raise _refused(told("It is wrong, or there is nothing to confirm."))
        row.confirmed = hub.clock.now()
        codes = [_recovery_code() for _ in range(RECOVERY_CODES)]
        session.execute(delete(RecoveryCodeRow).where(RecoveryCodeRow.account == name))
        session.add_all(RecoveryCodeRow(account=name, code_hash=_recovery_hash(each)) for each in codes)
        tries.forget(session, name, _MARK)
        audit.record(
            session, audit.HubAudit, clock=hub.clock, actor=name, act="account.second-factor", target=name
        )
    return codes


def has_one(session: Session, name: str) -> bool:
    """Tell whether an account has a second factor that counts."""
    row = session.get(SecondFactorRow, name)
    return row is not None and row.confirmed is not None


def lacks_one(session: Session, hub: Hub, row: AccountRow) -> bool:
    """Tell whether an account has to set up a second factor before it may do anything else."""
    if hub.settings.accounts_totp_required != "yes" or has_one(session, row.name):
        return False
    return bool(MUST_HAVE.intersection(Role(role) for role in row.roles))


def check(hub: Hub, name: str, code: str) -> None:
    """Check a code of the app, or a recovery code, and use it up.

    Raises:
        SecondFactorRefused: if it is wrong or was used before.
        TooManyLogins: if there were too many wrong ones in the last hour.
    """
    _count_try(hub, name)
    with writing(hub.engine) as session:
        row = session.get(SecondFactorRow, name, with_for_update=True)
        if row is None or row.confirmed is None:
            raise _refused(told("The account has no second factor."))
        if not _take_code(hub, row, code) and not _take_recovery_code(session, hub, name, code):
            raise _refused(told("It is wrong, too old, or was used before; each works once."))
        tries.forget(session, name, _MARK)


def remove(session: Session, hub: Hub, name: str, *, actor: str) -> None:
    """Take the second factor of an account away, with its recovery codes."""
    session.execute(delete(RecoveryCodeRow).where(RecoveryCodeRow.account == name))
    session.execute(delete(SecondFactorRow).where(SecondFactorRow.account == name))
    audit.record(
        session,
        audit.HubAudit,
        clock=hub.clock,
        actor=actor,
        act="account.second-factor-removed",
        target=name,
    )


def recovery_codes_left(session: Session, name: str) -> int:
    """Return how many recovery codes have not been used."""
    statement = select(func.count()).select_from(RecoveryCodeRow)
    return (
        session.scalar(statement.where(RecoveryCodeRow.account == name, RecoveryCodeRow.used.is_(None))) or 0
    )


def _take_code(hub: Hub, row: SecondFactorRow, code: str) -> bool:
    """Tell whether a code is right for this moment and none was taken for its step or a later one."""
    text = "".join(code.split())
    if not (text.isascii() and text.isdecimal()):
        return False
    totp, now = _totp(hub, row), hub.clock.now()
    step = int(now.timestamp()) // STEP_S
    for each in _STEPS:
        if secrets.compare_digest(totp.at(int(now.timestamp()) + each * STEP_S), text):
            if step + each <= row.last_step:
                return False
            row.last_step = step + each
            return True
    return False


def _take_recovery_code(session: Session, hub: Hub, name: str, code: str) -> bool:
    row = session.get(RecoveryCodeRow, (name, _recovery_hash(code)), with_for_update=True)
    if row is None or row.used is not None:
        return False
    row.used = hub.clock.now()
    audit.record(
        session, audit.HubAudit, clock=hub.clock, actor=name, act="account.recovery-code", target=name
    )
    return True


def _count_try(hub: Hub, name: str) -> None:
    refused = TooManyLogins(
        "There were too many wrong codes for this account.",
        why=told(
            "After %(tries)s wrong ones in an hour, codes wait, so that guessing is useless.",
            tries=tries.WRONG,
        ),
        todo="Wait an hour; if it was not you, change your password then.",
    )
    tries.count(hub, name, _MARK, refused=refused)


def forget_old(session: Session, now: datetime) -> None:
    """Forget wrong passwords and codes that count no longer."""
    session.execute(
        delete(LoginFailureRow).where(LoginFailureRow.at < now - timedelta(seconds=tries.WINDOW_S))
    )


def _totp(hub: Hub, row: SecondFactorRow) -> TOTP:
    import pyotp

    return pyotp.TOTP(hub_secrets.shown(hub, row.secret, name=row.account).decode())


def _issuer(hub: Hub) -> str:
    return "fairbank " + hub.base_iri.partition("//")[2].partition("/")[0]


def _recovery_code() -> str:
    # 80 bits: enough that a plain hash hides it.
    text = secrets.token_hex(10)
    return "-".join(text[place : place + 5] for place in range(0, len(text), 5))


def _recovery_hash(code: str) -> str:
    return hub_secrets.digest("".join(code.split()).replace("-", "").lower())


def _refused(why: str) -> SecondFactorRefused:
    return SecondFactorRefused(
        "The code was not accepted.",
        why=why,
        todo="Wait for the app's next code, and check that the clock of your phone is right.",
    )
