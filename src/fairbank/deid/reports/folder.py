"""The summary of an output folder, read from its journal."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fairbank.deid.cleaning import TOOL
from fairbank.deid.decisions import Verdict
from fairbank.deid.outcomes import Status
from fairbank.deid.reports.summary import (
    HeldLine,
    Summary,
    Thumbnail,
    decision_lines,
    face_counts,
    pixel_counts,
    tag_lines,
    told_method,
    verification_of,
)
from fairbank.deid.reports.thumbnails import MOST_OF_A_GROUP, of_blanked, of_held
from fairbank.deid.running.accounts import FILES
from fairbank.deid.running.journal import Journal
from fairbank.deid.running.place import Place
from fairbank.deid.running.samples import sampling_of
from fairbank.deid.running.verdicts import all_decisions, held_groups
from fairbank.deid.verification.safe_harbor import coverage


def folder_summary(place: Place, journal: Journal, report: Path) -> Summary:
    """Return what is to be told of an output folder.

    Args:
        report: the folder of `files.json`.
    """
    making = journal.making()
    if making is None:
        raise ValueError("a journal without a making is not a run's")
    method = told_method(making.told)
    counted = journal.counted()
    by_state: dict[str, int] = {}
    for row in counted:
        word = row["state"] if row["reason"] is None else f"{row['state']}: {row['reason']}"
        by_state[word] = by_state.get(word, 0) + row["files"]
    runs = journal.runs()
    return Summary(
        project=making.project,
        tool=TOOL,
        key_id=making.key_id,
        method=making.told,
        runs=runs,
        came_in={
            "files": runs[-1]["told"].get("files", 0) if runs else 0,
            "different contents": sum(row["files"] for row in counted),
            "bytes": sum(row["size"] for row in counted),
            "not read": (runs[-1]["told"].get("left") or {}) if runs else {},
        },
        went_out=journal.things(),
        by_state=by_state,
        held=[
            HeldLine(one.group, one.reason, one.files, one.size, one.verdict, one.why, one.agent, one.at)
            for one in held_groups(journal)
        ],
        tags=tag_lines(journal.actions(), method),
        pixels=pixel_counts(_works(journal), _released(journal)),
        faces=face_counts(journal.faces()),
        decisions=decision_lines(all_decisions(journal)),
        verification=verification_of(
            sum(row["files"] for row in counted if row["state"] == Status.OK.value),
            by_state,
            standard=journal.standard(),
            graph=runs[-1]["told"].get("uids") if runs else None,
        ),
        thumbnails=list(_thumbnails(place, journal)),
        sampling=sampling_of(journal),
        safe_harbor=coverage(method),
        digests=_digests(report),
    )


def _works(journal: Journal) -> Iterator[dict[str, Any]]:
    for row in journal.cleaned():
        if row.work is not None:
            yield json.loads(row.work)


def _released(journal: Journal) -> int:
    query = "select count(*) as files from files where state = ? and verdict = ?"
    return int(journal.select(query, Status.OK.value, Verdict.RELEASE.value)[0]["files"])


def _thumbnails(place: Place, journal: Journal) -> Iterator[Thumbnail]:
    """Yield pictures of files with blanked boxes, then of those that wait for a person's word."""
    yield from of_blanked(
        (row.grp or "", place.root / str(row.output), row.work) for row in journal.cleaned()
    )
    waiting = [one.group for one in held_groups(journal) if Verdict.RELEASE in one.may]
    yield from of_held(
        (group, str(row.quarantine).rpartition("/")[2], place.root / str(row.quarantine))
        for group in waiting
        for row in journal.of_group(group)[:MOST_OF_A_GROUP]
    )


def _digests(report: Path) -> dict[str, str]:
    path = report / FILES
    if not path.is_file():
        return {}
    with path.open("rb") as file:
        return {FILES: f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"}
