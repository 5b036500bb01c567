"""The hub's audit log as a page for administrators and auditors: the newest first, by act and day, page by page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from html import escape
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query
from starlette.responses import HTMLResponse

from fairbank import audit, audit_alarms
from fairbank.audit import HubAudit
from fairbank.audit_alarms import Alarm
from fairbank.catalogue import accounts, plain_page
from fairbank.catalogue.accounts import Account
from fairbank.catalogue.audit_routes import NO_NUL, readers
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import LogPageRefused
from fairbank.clock import iso
from fairbank.database import reading

PAGE_ENTRIES: Final = 100
_LAST_DAY: Final = date(9999, 12, 30)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the form of the page says; days are UTC, and the last one is within."""

    act: str = ""
    actor: str = ""
    target: str = ""
    since: str = ""
    until: str = ""

    def wanted(self) -> audit.Wanted:
        """Return which entries these are.

        Raises:
            LogPageRefused: if a day is none.
        """
        since, until = (_day(text) for text in (self.since, self.until))
        return audit.Wanted(
            act=self.act,
            actor=self.actor,
            target=self.target,
            since=since,
            until=until + timedelta(days=1) if until is not None else None,
        )

    def kept(self) -> dict[str, str | None]:
        """Return the fields for the address of another page."""
        return {
            "act": self.act,
            "actor": self.actor,
            "target": self.target,
            "since": self.since,
            "until": self.until,
        }


def router(hub: Hub) -> APIRouter:
    """Return the route of the page."""
    routes = APIRouter(tags=["pages"])
    reader: Account = Depends(accounts.account(hub, *readers()))

    @routes.get("/audit", response_class=HTMLResponse)
    def page(
        act: Annotated[str, Query(max_length=100, pattern=NO_NUL)] = "",
        actor: Annotated[str, Query(max_length=200, pattern=NO_NUL)] = "",
        target: Annotated[str, Query(max_length=600, pattern=NO_NUL)] = "",
        since: Annotated[str, Query(max_length=10)] = "",
        until: Annotated[str, Query(max_length=10)] = "",
        after: Annotated[int | None, Query(ge=1, le=2**53)] = None,
        who: Account = reader,
    ) -> HTMLResponse:
        asked = Asked(*(text.strip() for text in (act, actor, target, since, until)))
        wanted = asked.wanted()
        with reading(hub.engine) as session:
            # One more than is shown tells whether there are earlier ones.
            found = audit.entries(
                session, HubAudit, wanted, before=after, limit=PAGE_ENTRIES + 1, newest=True
            )
            standing = [each for each in audit_alarms.alarms(session, HubAudit) if each.cleared is None]
            head = audit.head(session, HubAudit)
        return plain_page.answer("Audit log", _page(asked, found[::-1], standing, head))

    return routes


def _page(asked: Asked, rows: Sequence[Any], standing: Sequence[Alarm], head: audit.Head) -> Iterator[str]:
    yield plain_page.MENU
    yield "<h1>Audit log</h1>\n"
    yield f"<p>{head.seq} entries; the newest one's hash is <code>{escape(head.hash)}</code>.</p>\n"
    for alarm in standing:
        yield (
            f'<p role="alert"><strong>Alarm</strong>, {plain_page.time(iso(alarm.raised))}: the log of '
            f"{escape(alarm.log)} is {escape(alarm.kind.value)}. See 'fairbank audit alarms'.</p>\n"
        )
    yield _form(asked)
    shown = rows[:PAGE_ENTRIES]
    yield plain_page.table(
        ("Entry", "When", "Who", "Act", "On what", "Details"),
        [_cells(row) for row in shown],
        "Entries, newest first",
    )
    mark = str(shown[-1].seq) if len(rows) > PAGE_ENTRIES else None
    yield plain_page.following(mark, "/audit", asked.kept(), "Earlier entries")


def _form(asked: Asked) -> str:
    fields = (
        ("act", "Act", "text", "request.approve, or request. for all of them"),
        ("actor", "Who", "text", ""),
        ("target", "On what", "text", ""),
        ("since", "From", "date", ""),
        ("until", "Until", "date", ""),
    )
    inputs = " ".join(
        f'<label>{label} <input type="{kind}" name="{name}" value="{escape(str(getattr(asked, name)))}"'
        f'{f""" placeholder="{escape(hint)}" """ if hint else ""}></label>'
        for name, label, kind, hint in fields
    )
    return f'<form method="get" action="/audit">{inputs} <button>Show</button></form>\n'


def _cells(row: Any) -> list[str]:
    return [
        str(row.seq),
        plain_page.time(iso(row.at)),
        escape(row.actor),
        escape(row.act),
        escape(row.target),
        f"<code>{escape(json.dumps(row.detail, sort_keys=True, ensure_ascii=False))}</code>"
        if row.detail
        else "",
    ]


def _day(text: str) -> datetime | None:
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError as err:
        raise _refused(f"{text!r} is no day") from err
    if day > _LAST_DAY:
        raise _refused(f"{text!r} is after the last day there is")
    return datetime.combine(day, time.min, UTC)


def _refused(reason: str) -> LogPageRefused:
    return LogPageRefused(
        f"The page of the audit log cannot be shown: {reason}.",
        why="Entries are looked up by acts, names and days such as 2026-01-31.",
        todo="Correct it, or leave it empty.",
    )
