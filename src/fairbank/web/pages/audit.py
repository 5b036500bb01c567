"""The audit log: what was done by whom, whether the chain is whole, and what has left which node in which month."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from sqlalchemy.orm import Session

from fairbank import audit, audit_alarms, audit_checkpoints
from fairbank.audit import AuditError, HubAudit, Wanted
from fairbank.catalogue import hub_keys, nodes, received
from fairbank.catalogue.accounts import Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.received import Left
from fairbank.charts.bars import Bar, bar_chart, counted
from fairbank.charts.figure import Figure
from fairbank.clock import iso
from fairbank.database import reading
from fairbank.federated_jobs.hub import node_logs
from fairbank.federated_jobs.hub.node_logs import NodeHead
from fairbank.web.languages import Tongue, mark
from fairbank.web.pages.page import Menu, Page
from fairbank.web.pages.visits import Visit

PAGE_ENTRIES: Final = 100
_LAST_DAY: Final = date(9999, 12, 30)
_FIELDS: Final = ("act", "actor", "target", "node", "since", "until")
_LONGEST: Final = 600
ALARMS: Final[dict[str, str]] = {
    "rewritten": mark("An entry that was shown once has another hash now."),
    "shortened": mark("It ends before an entry that was shown."),
    "unproven": mark("It was not shown to continue what was sealed before."),
    "forked": mark("Another side was shown another log."),
    "doubled": mark("Two programs speak as one node, each with a log of its own."),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the log; `who` is the node where a node's key acted."""

    seq: int
    at: datetime
    actor: str
    who: str
    act: str
    target: str
    detail: str


@dataclass(frozen=True, slots=True)
class Checked:
    """What checking the whole log has come to; `fault` is empty where it holds together."""

    entries: int
    checkpoints: int
    fault: str


@dataclass(frozen=True, slots=True)
class Alarm:
    """A log that does not fit what was seen of it before."""

    log: str
    sentence: str
    raised: datetime


@dataclass(frozen=True, slots=True)
class Audit:
    """`audit.html`; `months` are the last twelve, as links."""

    asked: dict[str, str]
    ignored: tuple[str, ...]
    nodes: tuple[str, ...]
    months: tuple[tuple[str, str], ...]
    entries: tuple[Entry, ...]
    following: str
    head_seq: int
    head_hash: str
    heads: tuple[NodeHead, ...]
    alarms: tuple[Alarm, ...]
    checked: Checked | None
    check: str
    left: tuple[Left, ...]
    left_more: bool
    figure: Figure | None
    export: str


def show(hub: Hub, visit: Visit) -> Audit:
    """Put the page together."""
    asked = {name: visit.asked.get(name, "").strip()[:_LONGEST].replace("\0", "") for name in _FIELDS}
    since, until, ignored = _days(asked)
    before = visit.asked.get("after", "")
    with reading(hub.engine) as session:
        named = tuple(sorted(each.name for each in nodes.listing(session)))
        keys = (asked["node"], *nodes.keys_of(session, asked["node"])) if asked["node"] in named else ()
        wanted = Wanted(asked["act"], asked["actor"], asked["target"], since, until, keys)
        last = int(before) if before.isdecimal() and len(before) < 16 else None
        # One more than is shown tells whether there are earlier ones.
        found = audit.entries(session, HubAudit, wanted, before=last, limit=PAGE_ENTRIES + 1, newest=True)
        head, names = audit.head(session, HubAudit), received.names_of_keys(session)
        left, more = received.left(session, wanted, actors=keys)
        return Audit(
            asked=asked,
            ignored=ignored,
            nodes=named,
            months=_months(visit.now, asked),
            entries=tuple(_entry(row, names) for row in found[::-1][:PAGE_ENTRIES]),
            following=_address(asked, after=str(found[1].seq)) if len(found) > PAGE_ENTRIES else "",
            head_seq=head.seq,
            head_hash=head.hash,
            heads=tuple(node_logs.heads(session)),
            alarms=tuple(
                Alarm(each.log, ALARMS[each.kind.value], each.raised)
                for each in audit_alarms.alarms(session, HubAudit, standing=True)
            ),
            checked=_check(session) if visit.asked.get("check") == "chain" else None,
            check=_address(asked, check="chain"),
            left=tuple(left),
            left_more=more,
            figure=_figure(visit.tongue, left),
            export=_export(asked, since),
        )


def _check(session: Session) -> Checked:
    trusted = audit_checkpoints.sealing_keys(session, HubAudit, now=hub_keys.named(session))
    try:
        whole = audit_checkpoints.verify_whole(session, HubAudit, trusted=trusted)
    except AuditError as err:
        return Checked(audit.head(session, HubAudit).seq, 0, f"{err.what} {err.why}")
    return Checked(whole.head.seq, whole.checkpoints, "")


def _days(asked: dict[str, str]) -> tuple[datetime | None, datetime | None, tuple[str, ...]]:
    """Return the first moment and the one after the last, and which of the two days was none and is left out."""
    found: dict[str, datetime | None] = {}
    ignored = []
    for name in ("since", "until"):
        text, found[name] = asked[name], None
        try:
            day = date.fromisoformat(text) if text else None
        except ValueError:
            day = _LAST_DAY + timedelta(days=1)
        if day is not None and day > _LAST_DAY:
            ignored.append(text)
            asked[name] = ""
        elif day is not None:
            found[name] = datetime.combine(day, time.min, UTC)
    until = found["until"] + timedelta(days=1) if found["until"] is not None else None
    return found["since"], until, tuple(ignored)


def _months(now: datetime, asked: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the last twelve months, each with the address that shows it and all else as it is."""
    found, first = [], now.date().replace(day=1)
    for _ in range(12):
        following = (first + timedelta(days=31)).replace(day=1)
        last = following - timedelta(days=1)
        address = _address({**asked, "since": first.isoformat(), "until": last.isoformat()})
        found.append((f"{first:%Y-%m}", f"{address}#left"))
        first = (first - timedelta(days=1)).replace(day=1)
    return tuple(found)


def _figure(tongue: Tongue, left: Sequence[Left]) -> Figure | None:
    if not left:
        return None
    bars: list[Bar] = []
    for month, node in dict.fromkeys((each.month, each.node) for each in left):
        number = sum(each.releases for each in left if (each.month, each.node) == (month, node))
        bars.append(counted(f"{month} {node}", number))
    title = tongue.say(_LEFT)
    head = (tongue.say(_PLACE), tongue.say(_RELEASES))
    return bar_chart(bars, title=title, name="left", head=head)


def _entry(row: Any, names: dict[str, str]) -> Entry:
    detail = json.dumps(row.detail, sort_keys=True, ensure_ascii=False) if row.detail else ""
    return Entry(row.seq, row.at, row.actor, names.get(row.actor, row.actor), row.act, row.target, detail)


def _address(asked: dict[str, str], **more: str) -> str:
    query = urlencode({name: value for name, value in {**asked, **more}.items() if value})
    return f"/audit?{query}" if query else "/audit"


def _export(asked: dict[str, str], since: datetime | None) -> str:
    told = {name: asked[name] for name in ("act", "actor", "target") if asked[name]}
    told |= {"limit": "1000"} | ({"since": iso(since)} if since is not None else {})
    return f"/v1/audit?{urlencode(told)}"


_LEFT: Final = mark("Releases, by month and biobank")
_PLACE: Final = mark("Month and biobank")
_RELEASES: Final = mark("Releases")

PAGE = Page(
    name="audit",
    path="/audit",
    context=Audit,
    show=show,
    menu=Menu(mark("Audit log"), 90, foremost=Role.AUDITOR),
)
