"""Samples of a node's outputs for people to look at; what a person sees to identify somebody is taken back at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, Select, delete, func, select
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.clock import Clock
from fairbank.database import reading, writing
from fairbank.deid.decisions import Verdict
from fairbank.deid.errors import NoSuchGroup
from fairbank.deid.faces.store import FaceSeriesRow
from fairbank.deid.groups import reason_of
from fairbank.deid.outcomes import Reason, Status
from fairbank.deid.reports.summary import Sampling
from fairbank.deid.research_store import ResearchStore
from fairbank.deid.running.samples import sampling_told
from fairbank.deid.running.taking_back import WHY
from fairbank.deid.store import DecisionRow, FactRow, ItemRow, next_quarantine_name, record_decision
from fairbank.deid.verification.sampling import drawn, files_to_review
from fairbank.deid.work_rows import LookRow, SampledRow, SampleRow, SeriesWorkRow
from fairbank.release.node import Node
from fairbank.release.people import Signer
from fairbank.release.person_decisions import Act, decide
from fairbank.signing import Json


def draw_of_project(database: Engine, project: str, agent: str, clock: Clock) -> list[str]:
    """Draw a sample of a project's outputs, anew each time, and note it; return their paths in the store."""
    query = select(ItemRow.item_key, ItemRow.path).where(
        ItemRow.project == project, ItemRow.status == Status.OK.value, ItemRow.path.is_not(None)
    )
    with writing(database) as session:
        by_item = {item: str(path) for item, path in session.execute(query)}
        number = 1 + (_last_number(session, project) or 0)
        chosen = drawn(by_item, files_to_review(len(by_item)), seed=str(number))
        session.add(
            SampleRow(project=project, number=number, population=len(by_item), agent=agent, at=clock.now())
        )
        session.add_all(SampledRow(project=project, sample=number, item_key=item) for item in chosen)
    return sorted(by_item[item] for item in chosen)


def unseen_of_project(database: Engine, project: str) -> list[str]:
    """Return the paths of the files of the last sample that nobody has looked at."""
    with reading(database) as session:
        number = _last_number(session, project)
        seen = {row.item_key for row in _looks(session, project, number)}
        return sorted(path for path, item in _drawn(session, project, number).items() if item not in seen)


def record_look_of_project(
    database: Engine, project: str, paths: Sequence[str], agent: str, clock: Clock, *, clean: bool
) -> None:
    """Note what was seen in files of the last sample.

    Raises:
        NoSuchGroup: if there is no sample, or a file was not drawn.
    """
    with writing(database) as session:
        number = _last_number(session, project)
        items = _drawn(session, project, number)
        if number is None or not set(paths) <= items.keys():
            raise NoSuchGroup(
                "Not all of these files were drawn." if number else "No sample was drawn yet.",
                why="What is said of all files holds only if chance has chosen which are looked at.",
                todo="Draw one with 'fairbank deid review sample', and name files as it lists them.",
            )
        for path in paths:
            row = LookRow(project=project, sample=number, item_key=items[path], clean=clean, agent=agent)
            row.at = clock.now()
            session.add(row)
            session.flush()


def sampling_of_project(database: Engine, project: str) -> Sampling | None:
    """Return what the last sample tells; None if none was drawn."""
    with reading(database) as session:
        number = _last_number(session, project)
        row = None if number is None else session.get(SampleRow, (project, number))
        if row is None:
            return None
        count = select(func.count()).where(SampledRow.project == project, SampledRow.sample == number)
        looks = [(one.clean, one.agent) for one in _looks(session, project, number)]
        return sampling_told(row.population, session.execute(count).scalar_one(), looks)


def sampled_projects(database: Engine) -> list[str]:
    """Return the projects of which a sample was drawn."""
    with reading(database) as session:
        return [str(name) for name in session.scalars(select(SampleRow.project).distinct())]


def look_at_node(
    node: Node, project: str, seen: Mapping[str, bool], *, by: str, signer: Signer | None
) -> int:
    """Note what a person saw in files of the last sample, signed once for all; return how many were taken back.

    Args:
        seen: paths in the store, and whether each shows nothing identifying.
        by: who looked, where nobody is named at the node.

    Raises:
        PersonNeeded: if persons are named at the node and none signs.
        NoSuchGroup: if a file was not drawn.
    """
    clean = sorted(path for path, shows_nothing in seen.items() if shows_nothing)
    identifying = sorted(seen.keys() - set(clean))
    words: dict[str, Json] = {"project": project, "clean": list(clean), "identifying": list(identifying)}
    with writing(node.engine) as session:
        signed = decide(session, node, Act.ITEMS_DECIDE, project, words, signer=signer)
        noted = {"sample": len(seen), "identifying": len(identifying)}
        audit.record(
            session,
            audit.NodeAudit,
            clock=node.clock,
            actor=by,
            act=Act.ITEMS_DECIDE.value,
            target=project,
            detail={**noted, **({"decision": signed} if signed else {})},
        )
    if clean:
        record_look_of_project(node.engine, project, clean, by, node.clock, clean=True)
    if not identifying:
        return 0
    record_look_of_project(node.engine, project, identifying, by, node.clock, clean=False)
    store = ResearchStore(node.settings.store_path)
    return take_back_of_project(node.engine, store, project, identifying, by, node.clock)


def take_back_of_project(
    database: Engine, store: ResearchStore, project: str, paths: Sequence[str], agent: str, clock: Clock
) -> int:
    """Hold outputs and their kind, and delete them from the research store; return how many there were.

    The originals stay where they are; the next pull holds them again until a person decides of their group.
    """
    with writing(database) as session:
        seen = list(session.scalars(_cleaned(project, ItemRow.path.in_(paths))))
        groups = {row.grp for row in seen if row.grp is not None}
        series = {row.series_uid for row in seen if row.grp is None}
        others = session.scalars(
            _cleaned(
                project,
                ItemRow.grp.in_(groups) | (ItemRow.grp.is_(None) & ItemRow.series_uid.in_(series)),
            )
        )
        rows = {row.item_key: row for row in [*seen, *others]}
        named = {row.item_key for row in seen}
        gone = [str(row.path) for row in rows.values()]
        touched = {str(row.series_uid) for row in rows.values()}
        for row in rows.values():
            _hold(session, row, as_seen=row.item_key in named or row.grp is None)
        for group in sorted(groups):
            decision = DecisionRow(project=project, grp=group, verdict=Verdict.KEEP_HELD.value, reason=WHY)
            decision.agent, decision.at = agent, clock.now()
            record_decision(session, decision)
        _forget_empty(session, project, touched)
    for path in {*gone, *paths}:
        store.remove(path)
    return len(rows)


def _hold(session: Session, row: ItemRow, *, as_seen: bool) -> None:
    """Hold one item; its subject stays noted, so that a withdrawal finds it."""
    reason = Reason.SEEN_IDENTIFYING if as_seen else reason_of(str(row.grp)) or Reason.SEEN_IDENTIFYING
    kind = (row.grp or "").partition("|")[2]
    row.status, row.reason = reason.status.value, reason.value
    row.grp = f"{reason.value}|{kind}" if as_seen else row.grp
    row.verdict = None if as_seen else Verdict.KEEP_HELD.value
    row.quarantine = next_quarantine_name(session, row.project)
    row.path = row.output_key = row.sop_uid = row.series_uid = row.study_uid = row.work = None
    session.flush()


def _forget_empty(session: Session, project: str, series: set[str]) -> None:
    """Delete what is remembered of series of which nothing is left in the store."""
    left = {row.series_uid for row in session.scalars(_cleaned(project, ItemRow.series_uid.in_(series)))}
    for table in (FactRow, SeriesWorkRow, FaceSeriesRow):
        session.execute(delete(table).where(table.project == project, table.series_uid.in_(series - left)))


def _cleaned(project: str, which: ColumnElement[bool]) -> Select[ItemRow]:
    return select(ItemRow).where(ItemRow.project == project, ItemRow.status == Status.OK.value, which)


def _drawn(session: Session, project: str, number: int | None) -> dict[str, str]:
    """Return the items of a sample whose files are still there, by their paths."""
    query = (
        select(ItemRow.path, ItemRow.item_key)
        .join(SampledRow, (SampledRow.item_key == ItemRow.item_key) & (SampledRow.project == ItemRow.project))
        .where(SampledRow.project == project, SampledRow.sample == number, ItemRow.path.is_not(None))
    )
    return {str(path): item for path, item in session.execute(query)}


def _looks(session: Session, project: str, number: int | None) -> list[LookRow]:
    """Return the last look at each file of a sample."""
    query = (
        select(LookRow).where(LookRow.project == project, LookRow.sample == number).order_by(LookRow.number)
    )
    return list({row.item_key: row for row in session.scalars(query)}.values())


def _last_number(session: Session, project: str) -> int | None:
    return session.execute(select(func.max(SampleRow.number)).where(SampleRow.project == project)).scalar()
