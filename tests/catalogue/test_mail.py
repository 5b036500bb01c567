"""Notices are sent by a mail server or appended to a file; a server that fails stops nothing."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from email import message_from_string, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from sqlalchemy import select

from fairbank.catalogue.accounts import Role, create_account
from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance import mail, notices
from fairbank.catalogue.governance.addresses import Address, set_email
from fairbank.catalogue.governance.committee_errors import MailMisconfigured
from fairbank.catalogue.governance.store import NoticeRow
from fairbank.clock import FixedClock
from fairbank.database import reading, writing
from fairbank.ontology.errors import MalformedObject


class Mailbox:
    """What a mail server has taken; addresses in `refused` are not taken."""

    def __init__(self) -> None:
        self.taken: list[tuple[list[str], str]] = []
        self.refused: set[str] = set()

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if address in self.refused:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.taken.append((list(envelope.rcpt_tos), envelope.content.decode()))
        return "250 OK"


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@contextmanager
def serving(mailbox: Mailbox, port: int) -> Iterator[None]:
    controller = Controller(mailbox, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield
    finally:
        controller.stop()


@pytest.fixture
def unserved(hub: Hub, free_port: int) -> Hub:
    """A hub whose mail server does not run."""
    return replace(
        hub,
        settings=replace(
            hub.settings,
            mail_smtp_host="127.0.0.1",
            mail_smtp_port=free_port,
            mail_smtp_tls="none",
            mail_from="hub@hub.test",
        ),
    )


@pytest.fixture
def mailing(unserved: Hub, mailbox: Mailbox) -> Iterator[Hub]:
    with serving(mailbox, unserved.settings.mail_smtp_port):
        yield unserved


def _tell(hub: Hub, name: str, *, email: str | None, subject: str = "Hello") -> None:
    with writing(hub.engine) as session:
        create_account(session, hub, name=name, password="a long password", roles=(Role.COMMITTEE,))
        if email is not None:
            set_email(session, hub, name=name, address=Address(email=email), actor=name)
        notices.write(session, hub, key=f"k:{name}", account=name, subject=subject, text="A vote waits.\n")


def _notice(hub: Hub, name: str) -> NoticeRow:
    with reading(hub.engine) as session:
        return session.scalars(select(NoticeRow).where(NoticeRow.account == name)).one()


def test_a_notice_is_sent_once_to_the_address_of_its_account(mailing: Hub, mailbox: Mailbox) -> None:
    _tell(mailing, "carla", email="carla@biobank.test")
    assert (mail.send_waiting(mailing), mail.send_waiting(mailing)) == (1, 0)
    [(to, content)] = mailbox.taken
    assert to == ["carla@biobank.test"]
    assert "Subject: Hello" in content and "A vote waits." in content
    assert "Auto-Submitted: auto-generated" in content


def test_a_subject_cannot_add_lines_to_the_head(mailing: Hub, mailbox: Mailbox) -> None:
    _tell(mailing, "carla", email="carla@biobank.test", subject="Hello\r\nBcc: eve@evil.test\r\n\r\n<b>")
    mail.send_waiting(mailing)
    [(to, content)] = mailbox.taken
    head = content.replace("\r\n", "\n").partition("\n\n")[0]
    assert to == ["carla@biobank.test"]
    assert not any(line.lower().startswith("bcc:") for line in head.splitlines())


@pytest.mark.parametrize("bad", ["no-at", "a@b\nBcc: c@d", "a b@c.test", "<a@b.test>", "a@b.test, c@d.test"])
def test_what_is_no_address_is_refused(bad: str) -> None:
    with pytest.raises(MalformedObject):
        Address.parse({"schema": "address/1", "email": bad})


def test_a_server_that_is_down_is_tried_again_later(
    unserved: Hub, mailbox: Mailbox, clock: FixedClock
) -> None:
    _tell(unserved, "carla", email="carla@biobank.test")
    assert mail.send_waiting(unserved) == 0
    waiting = _notice(unserved, "carla")
    assert (waiting.sent, waiting.problem, waiting.attempts) == (None, mail.FAILED, 1)
    with serving(mailbox, unserved.settings.mail_smtp_port):
        assert mail.send_waiting(unserved) == 0, "not before its time"
        clock.advance(61)
        assert mail.send_waiting(unserved) == 1
    assert _notice(unserved, "carla").problem is None


def test_one_mailbox_that_refuses_does_not_keep_the_others_from_theirs(
    mailing: Hub, mailbox: Mailbox
) -> None:
    mailbox.refused.add("carl@biobank.test")
    _tell(mailing, "carl", email="carl@biobank.test")
    _tell(mailing, "carla", email="carla@biobank.test")
    assert mail.send_waiting(mailing) == 1
    assert [to for to, _ in mailbox.taken] == [["carla@biobank.test"]]
    assert _notice(mailing, "carl").problem == mail.FAILED


def test_without_an_address_a_notice_is_kept_and_says_so(mailing: Hub, mailbox: Mailbox) -> None:
    _tell(mailing, "carla", email=None)
    assert mail.send_waiting(mailing) == 0
    assert (mailbox.taken, _notice(mailing, "carla").problem) == ([], mail.NO_ADDRESS)


def test_without_a_server_notices_are_appended_to_a_private_file(hub: Hub) -> None:
    _tell(hub, "carla", email=None)
    _tell(hub, "carl", email="carl@biobank.test")
    assert mail.send_waiting(hub) == 2
    file = hub.settings.home / "mail.txt"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "To: carla\n" in file.read_text() and "To: carl@biobank.test\n" in file.read_text()


def test_a_file_that_cannot_be_written_is_tried_again(hub: Hub, tmp_path: Path) -> None:
    nowhere = replace(hub, settings=replace(hub.settings, mail_file=str(tmp_path / "none" / "mail.txt")))
    _tell(nowhere, "carla", email=None)
    assert mail.send_waiting(nowhere) == 0
    assert _notice(nowhere, "carla").problem == mail.FAILED


@pytest.mark.parametrize(
    "changes",
    [
        {"mail_from": ""},
        {"mail_smtp_user": "hub", "mail_smtp_password_file": "missing"},
        {"mail_smtp_user": "hub", "mail_smtp_password_file": "open", "mail_smtp_tls": "starttls"},
        {"mail_smtp_user": "hub", "mail_smtp_password_file": "private", "mail_smtp_tls": "none"},
    ],
    ids=["no sender", "no password", "password for all to read", "password without TLS"],
)
def test_settings_that_do_not_fit_are_refused(hub: Hub, tmp_path: Path, changes: dict[str, str]) -> None:
    for name, mode in (("open", 0o644), ("private", 0o600)):
        (tmp_path / name).write_text("secret")
        (tmp_path / name).chmod(mode)
    if "mail_smtp_password_file" in changes:
        changes = changes | {"mail_smtp_password_file": str(tmp_path / changes["mail_smtp_password_file"])}
    base = replace(hub.settings, mail_smtp_host="127.0.0.1", mail_from="hub@hub.test")
    with pytest.raises(MailMisconfigured):
        mail.check(replace(base, **changes))  # type: ignore[arg-type]  # all of them are text


def test_a_message_is_plain_text(mailing: Hub, mailbox: Mailbox) -> None:
    _tell(mailing, "carla", email="carla@biobank.test", subject="Ä <script>")
    mail.send_waiting(mailing)
    parsed = message_from_string(mailbox.taken[0][1], policy=policy.default)
    assert isinstance(parsed, EmailMessage)
    assert (parsed.get_content_type(), parsed["Subject"]) == ("text/plain", "Ä <script>")
