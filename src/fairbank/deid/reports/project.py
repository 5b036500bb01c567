"""The summary of a project of the node's research store, read from the node's database."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.engine import Engine

from fairbank.clock import iso
from fairbank.database import reading
from fairbank.deid.actions import added_up
from fairbank.deid.cleaning import TOOL
from fairbank.deid.decisions import Verdict
from fairbank.deid.faces.store import FaceSeriesRow
from fairbank.deid.item_review import single_decisions
from fairbank.deid.method import Method
from fairbank.deid.outcomes import Status
from fairbank.deid.profiles import Profile
from fairbank.deid.project_review import project_decisions, project_groups
from fairbank.deid.project_samples import sampling_of_project
from fairbank.deid.reports.summary import (
    DecisionLine,
    HeldLine,
    Summary,
    decision_lines,
    face_counts,
    pixel_counts,
    tag_lines,
    told_method,
    verification_of,
)
from fairbank.deid.reports.thumbnails import of_blanked, of_held
from fairbank.deid.running.folder_run import method_told
from fairbank.deid.store import ItemRow
from fairbank.deid.verification.safe_harbor import coverage
from fairbank.deid.work_rows import MethodRow, series_work, unpacked

HeldFile = tuple[str, str, Path]


def project_summary(
    database: Engine, project: str, *, store: Path | None = None, held: Iterable[HeldFile] = ()
) -> Summary:
    """Return what is to be told of a project: how its files ended, by whom, when and how they were cleaned.

    Files that were cleaned by several methods are told of by the one that most were cleaned by; the others are named.

    Args:
        database: the node's.
        project: of the research store.
        store: the research store's folder, for pictures of what was blanked.
        held: a few held files of each group (group, neutral name, where it is), for pictures of what waits.
    """
    counts, size, runs = _counted(database, project)
    told = _method(database, project)
    method = told_method(told)
    works = list(_works(database, project))
    held_lines = project_groups(database, project)
    actions, standard, counted = _elements(database, project)
    out = _things(database, project)
    return Summary(
        project=project,
        tool=TOOL,
        key_id="the node's own",
        method=told | {"elements counted in files": counted},
        runs=runs,
        came_in={"files": sum(counts.values()), "bytes": size, "not read": {}},
        went_out=out,
        by_state=dict(counts),
        held=[
            HeldLine(one.group, one.reason, one.files, one.size, one.verdict, one.why, one.agent, one.at)
            for one in held_lines
        ],
        tags=tag_lines(actions, method),
        decisions=_decisions(database, project),
        pixels=pixel_counts((json.loads(work) for _, _, work in works), _released(database, project)),
        faces=face_counts(_faces(database, project)),
        verification=verification_of(out["files"], counts, standard=standard),
        thumbnails=[
            *(of_blanked((group, store / path, work) for group, path, work in works) if store else ()),
            *of_held(held),
        ],
        sampling=sampling_of_project(database, project),
        safe_harbor=coverage(method),
    )


def _counted(database: Engine, project: str) -> tuple[Counter[str], int, list[dict[str, Any]]]:
    query = (
        select(
            ItemRow.status,
            ItemRow.reason,
            ItemRow.agent,
            ItemRow.tool,
            func.count(),
            func.sum(ItemRow.size),
            func.min(ItemRow.finished_at),
            func.max(ItemRow.finished_at),
        )
        .where(ItemRow.project == project)
        .group_by(ItemRow.status, ItemRow.reason, ItemRow.agent, ItemRow.tool)
    )
    counts: Counter[str] = Counter()
    total = 0
    work: dict[tuple[str, str], list[Any]] = {}
    with reading(database) as session:
        for status, reason, agent, tool, files, size, first, last in session.execute(query):
            counts[status if reason is None else f"{status}: {reason}"] += files
            total += int(size or 0)
            spans = work.setdefault((agent, tool), [first, last])
            spans[0], spans[1] = min(spans[0], first), max(spans[1], last)
    return counts, total, [_run(*pair, *span) for pair, span in sorted(work.items())]


def _run(agent: str, tool: str, first: Any, last: Any) -> dict[str, Any]:
    return {
        "id": f"{iso(first)}/{iso(last)}",
        "started": iso(first),
        "ended": iso(last),
        "agent": agent,
        "tool": tool,
        "state": "complete",
        "told": {},
    }


def _method(database: Engine, project: str) -> dict[str, Any]:
    """Return the method by which most files were cleaned, as it was told then; else a plain one of the profile."""
    query = (
        select(ItemRow.method, ItemRow.profile, func.count())
        .where(ItemRow.project == project, ItemRow.status == Status.OK.value)
        .group_by(ItemRow.method, ItemRow.profile)
        .order_by(func.count().desc(), ItemRow.method)
    )
    with reading(database) as session:
        found = session.execute(query).all()
        if not found:
            return method_told(Method())
        digest, profile, _ = found[0]
        known = session.get(MethodRow, (project, digest)) if digest else None
        told = method_told(Method(Profile(profile))) if known is None else dict(known.told)
    others = sorted(str(other) for other, _, _ in found[1:])
    return told | ({"also used": others} if others else {})


def _works(database: Engine, project: str) -> Iterator[tuple[str, str, str]]:
    """Yield group, path and pixel work of the files whose pixels were treated."""
    query = (
        select(ItemRow.grp, ItemRow.path, ItemRow.work)
        .where(ItemRow.project == project, ItemRow.status == Status.OK.value, ItemRow.work.is_not(None))
        .order_by(ItemRow.path)
    )
    with reading(database) as session:
        for group, path, work in session.execute(query):
            yield group or "", str(path), str(work)


def _released(database: Engine, project: str) -> int:
    query = select(func.count()).where(
        ItemRow.project == project,
        ItemRow.status == Status.OK.value,
        ItemRow.verdict == Verdict.RELEASE.value,
    )
    with reading(database) as session:
        return session.execute(query).scalar_one()


def _elements(database: Engine, project: str) -> tuple[Any, list[dict[str, int]], int]:
    with reading(database) as session:
        rows = list(series_work(session, project))
        actions = added_up(unpacked(row.actions) for row in rows)
        return (
            actions,
            [row.standard for row in rows if row.standard is not None],
            sum(row.files for row in rows),
        )


def _faces(database: Engine, project: str) -> list[dict[str, bool]]:
    query = select(FaceSeriesRow).where(FaceSeriesRow.project == project)
    with reading(database) as session:
        return [
            {"head": row.head, "defaced": row.defaced, "in_situ": row.in_situ}
            for row in session.scalars(query)
        ]


def _things(database: Engine, project: str) -> dict[str, int]:
    query = select(
        func.count(ItemRow.subject.distinct()), func.count(ItemRow.series_uid.distinct()), func.count()
    ).where(ItemRow.project == project, ItemRow.status == Status.OK.value)
    with reading(database) as session:
        subjects, series, files = session.execute(query).one()
    return {"subjects": subjects, "series": series, "files": files}


def _decisions(database: Engine, project: str) -> list[DecisionLine]:
    """Return what was decided of groups and of single files, in the order in which it was."""
    lines = decision_lines(project_decisions(database, project))
    for one in single_decisions(database, project):
        word = "blank" if one.blanked else one.verdict.value
        lines.append(DecisionLine(one.group, word, one.why, one.agent, iso(one.at), one.files))
    return sorted(lines, key=lambda line: line.at)
