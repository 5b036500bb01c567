"""Sending notices: by a mail server if one is set, else appended to a file in the home folder.

A server that fails stops nothing: what could not be sent is tried again, later each time. Nothing but the account's own
address, subject and text is in a message.
"""

from __future__ import annotations

import logging
import smtplib
import ssl
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.errors import MessageError
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path

from sqlalchemy import or_, select

from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance.committee_errors import MailMisconfigured
from fairbank.catalogue.governance.store import NoticeRow
from fairbank.catalogue.store import AccountRow
from fairbank.database import reading, writing
from fairbank.settings import Settings

log = logging.getLogger("fairbank.catalogue.mail")
TIMEOUT_S = 20
BATCH = 200
NO_ADDRESS = "no-address"
FAILED = "failed"
# After the first failure, the second, …; then the last one again and again.
PAUSES_MINUTES = (1, 5, 30, 120, 720, 1440)
_PRIVATE = 0o077
_LONGEST_SUBJECT = 200


@dataclass(frozen=True, slots=True)
class _Letter:
    notice: str
    account: str
    address: str | None
    subject: str
    text: str
    made: datetime


Send = Callable[[EmailMessage], None]


def send_waiting(hub: Hub) -> int:
    """Send the notices that were not sent yet and whose next try has come; return how many were sent.

    Raises:
        MailMisconfigured: if a server is set, and its settings do not fit together.
    """
    now = hub.clock.now()
    with reading(hub.engine) as session:
        rows = session.execute(
            select(NoticeRow, AccountRow.email)
            .join(AccountRow, AccountRow.name == NoticeRow.account)
            .where(
                NoticeRow.sent.is_(None),
                or_(NoticeRow.next_try.is_(None), NoticeRow.next_try <= now),
            )
            .order_by(NoticeRow.made, NoticeRow.id)
            .limit(BATCH)
        )
        waiting = [
            _Letter(row.id, row.account, email, row.subject, row.text, row.made) for row, email in rows
        ]
    if not waiting:
        return 0
    problems = _sent(hub.settings, waiting)
    with writing(hub.engine) as session:
        for letter in waiting:
            notice = session.get_one(NoticeRow, letter.notice)
            _note(notice, problems.get(letter.notice), now)
    return sum(1 for letter in waiting if letter.notice not in problems)


def check(settings: Settings) -> None:
    """Refuse settings of a mail server that cannot work.

    Raises:
        MailMisconfigured: naming the setting.
    """
    if not settings.mail_smtp_host:
        return
    if not settings.mail_from:
        raise _misconfigured("mail_from is empty", "Name the address that messages come from.")
    if settings.mail_smtp_user:
        _password(settings)
        if settings.mail_smtp_tls == "none":
            raise _misconfigured(
                "a password would travel without TLS", "Set mail_smtp_tls to starttls or tls."
            )


def _sent(settings: Settings, letters: list[_Letter]) -> dict[str, str]:
    """Send letters and return a word for each that could not be sent."""
    if not settings.mail_smtp_host:
        return _appended(settings, letters)
    check(settings)
    problems = {letter.notice: NO_ADDRESS if not letter.address else FAILED for letter in letters}
    addressed = [letter for letter in letters if letter.address]
    if not addressed:
        return problems
    try:
        with _connected(settings) as send:
            for letter in addressed:
                try:
                    send(_message(settings, letter))
                except (smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError, MessageError, ValueError):
                    continue
                del problems[letter.notice]
    except (OSError, smtplib.SMTPException) as err:
        # By its class only: a server's words may hold addresses.
        log.warning("the mail server could not be used (%s); notices are tried again", type(err).__name__)
    return problems


@contextmanager
def _connected(settings: Settings) -> Iterator[Send]:
    host, port = settings.mail_smtp_host, settings.mail_smtp_port
    server: smtplib.SMTP
    if settings.mail_smtp_tls == "tls":
        server = smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_S, context=ssl.create_default_context())
    else:
        server = smtplib.SMTP(host, port, timeout=TIMEOUT_S)
    with server:
        if settings.mail_smtp_tls == "starttls":
            server.starttls(context=ssl.create_default_context())
        if settings.mail_smtp_user:
            server.login(settings.mail_smtp_user, _password(settings))

        def send(message: EmailMessage) -> None:
            server.send_message(message)

        yield send


def _message(settings: Settings, letter: _Letter) -> EmailMessage:
    message = EmailMessage()
    message["From"] = settings.mail_from
    message["To"] = letter.address or ""
    message["Subject"] = _one_line(letter.subject)
    message["Date"] = format_datetime(letter.made)
    # So that a second try after a lost answer is known for the same message.
    message["Message-ID"] = f"<{letter.notice}@fairbank>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text)
    return message


def _appended(settings: Settings, letters: list[_Letter]) -> dict[str, str]:
    path = Path(settings.mail_file) if settings.mail_file else settings.home / "mail.txt"
    said = "".join(
        f"Date: {letter.made:%Y-%m-%d %H:%M} UTC\nTo: {_one_line(letter.address or letter.account)}\n"
        f"Subject: {_one_line(letter.subject)}\n\n{letter.text.rstrip()}\n\n"
        for letter in letters
    )
    try:
        path.touch(mode=0o600)
        with path.open("a", encoding="utf-8") as file:
            file.write(said)
    except OSError as err:
        log.warning("notices could not be written to a file (%s); this is tried again", type(err).__name__)
        return {letter.notice: FAILED for letter in letters}
    return {}


def _note(notice: NoticeRow, problem: str | None, now: datetime) -> None:
    if problem is None:
        notice.sent, notice.problem, notice.next_try = now, None, None
        return
    pause = PAUSES_MINUTES[min(notice.attempts, len(PAUSES_MINUTES) - 1)]
    notice.attempts += 1
    notice.problem = problem
    # An address is found by people, not by trying.
    notice.next_try = now + timedelta(minutes=PAUSES_MINUTES[-1] if problem == NO_ADDRESS else pause)


def _one_line(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)[:_LONGEST_SUBJECT]


def _password(settings: Settings) -> str:
    path = Path(settings.mail_smtp_password_file)
    try:
        if stat.S_IMODE(path.stat().st_mode) & _PRIVATE:
            raise _misconfigured("others may read the password's file", "Give it mode 0600.")
        return path.read_text(encoding="utf-8").strip()
    except OSError as err:
        raise _misconfigured(
            "the password's file cannot be read", "Set mail_smtp_password_file to a file of mode 0600."
        ) from err


def _misconfigured(reason: str, todo: str) -> MailMisconfigured:
    return MailMisconfigured(
        f"The mail server cannot be used: {reason}.",
        why="Notices go to a file unless a mail server is set, and then all of its settings have to fit.",
        todo=todo,
    )
