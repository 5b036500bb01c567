"""Tell the site's people that a job waits for them: once, again while it waits, and when its time is over.

A notice is a line of `notices.jsonl` in the node's home, and, where the site names a program, that program is started
with the same line on its standard input. It holds ids and times: no title, no name, nothing about a subject.
"""

from __future__ import annotations

import json
import logging
import os
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Final

from sqlalchemy import select

from fairbank import audit
from fairbank.clock import iso, parse_iso
from fairbank.database import reading, writing
from fairbank.federated_jobs.node import model_files
from fairbank.federated_jobs.node.store import ReviewRow
from fairbank.federated_jobs.reasons import Reason
from fairbank.federated_jobs.states import SiteState
from fairbank.ontology.signed_objects import Manifest
from fairbank.release.node import Node

log = logging.getLogger(__name__)

FILE_NAME: Final = "notices.jsonl"
PROGRAM_TIMEOUT_S: Final = 30
# Asked before each claim, so it is put together once.
_WAITING = (
    select(ReviewRow)
    .where(ReviewRow.state == SiteState.PENDING_REVIEW.value, ReviewRow.ended.is_(False))
    .order_by(ReviewRow.received, ReviewRow.job)
)


class NoticeKind(StrEnum):
    """What is told."""

    WAITING = "waiting"
    REMINDER = "reminder"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Notice:
    """One notice.

    Attributes:
        since: when the job came.
        deadline: until when it can be approved.
        do: the command that shows it.
    """

    kind: NoticeKind
    job: str
    tool: str
    since: str
    deadline: str
    do: str


def look(node: Node) -> list[Notice]:
    """Tell what is due, end what can no longer be approved, and return what was told.

    A notice is written before it is marked as told: cut off between the two, it is told twice.
    """
    with reading(node.engine) as session:
        rows = list(session.scalars(_WAITING))
    if not rows:
        return []
    now = node.clock.now()
    due = [one for row in rows if (one := _due(node, row, now)) is not None]
    # What cannot be written is tried again; a job that is over is over all the same.
    told = [notice for notice in due if _told(node, notice) or notice.kind is NoticeKind.EXPIRED]
    if told:
        _mark(node, {notice.job: notice.kind for notice in told})
    return told


def _due(node: Node, row: ReviewRow, now: datetime) -> Notice | None:
    deadline = _deadline(row.manifest)
    remind_days = node.settings.node_remind_days
    if now >= parse_iso(deadline):
        kind = NoticeKind.EXPIRED
    elif row.noticed is None:
        kind = NoticeKind.WAITING
    elif remind_days and now >= row.noticed + timedelta(days=remind_days):
        kind = NoticeKind.REMINDER
    else:
        return None
    return Notice(kind, row.job, row.tool, iso(row.received), deadline, f"fairbank node jobs show {row.job}")


@lru_cache(maxsize=256)
def _deadline(manifest: bytes) -> str:
    # It was judged when it came; here only its deadline is wanted.
    return Manifest.open(manifest, trusted=None)[0].plan.approval_deadline


def _told(node: Node, notice: Notice) -> bool:
    line = json.dumps({"schema": "notice/1", "node": node.name, **asdict(notice)}) + "\n"
    path = node.settings.home / FILE_NAME
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as opened:
            opened.write(line)
    except OSError as err:
        log.warning("a notice cannot be written to %s: %s", FILE_NAME, err.strerror)
        return False
    if node.settings.node_notice_program:
        _start(node.settings.node_notice_program, line)
    return True


def _start(program: str, line: str) -> None:
    try:
        done = subprocess.run(
            shlex.split(program),
            input=line.encode(),
            capture_output=True,
            timeout=PROGRAM_TIMEOUT_S,
            check=False,
        )
    except (OSError, ValueError, subprocess.SubprocessError) as err:
        log.warning("the program for notices cannot be run: %s", type(err).__name__)
        return
    if done.returncode:
        log.warning("the program for notices ended with %d", done.returncode)


def _mark(node: Node, told: Mapping[str, NoticeKind]) -> None:
    now = node.clock.now()
    with writing(node.engine) as session:
        for row in session.scalars(_WAITING):
            kind = told.get(row.job)
            if kind is None:
                continue
            row.noticed = now
            if kind is NoticeKind.EXPIRED:
                row.state, row.reason = SiteState.EXPIRED.value, Reason.APPROVAL_DEADLINE.value
                row.decided, row.decided_by = now, "the deadline"
                # The hub knows the deadline as well, and has let the job lapse here by its own clock.
                row.ended, row.reported = True, True
                model_files.drop(node, row.job)
            audit.record(
                session,
                audit.NodeAudit,
                clock=node.clock,
                actor=node.key.key_id,
                act="review.notice",
                target=row.job,
                detail={"kind": kind.value},
            )
