"""Rounds: take in what sites release, and close a round once, by one writer, in one transaction.

Merging happens before that transaction and changes nothing by itself: the merged file is named by its digest, and the
same updates always give the same bytes. A hub killed at any point therefore merges again and comes to the same end.
"""

from __future__ import annotations

import logging
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    bindparam,
    exists,
    func,
    insert,
    literal_column,
    or_,
    select,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.analysis.errors import StatisticUndetermined
from fairbank.catalogue import blobs
from fairbank.catalogue.context import Hub
from fairbank.catalogue.uploads import ReleaseMeta
from fairbank.database import one_writer_at_a_time, reading, turn
from fairbank.errors import FairbankError
from fairbank.federated_jobs.algorithms.errors import UpdateUnfit
from fairbank.federated_jobs.evaluating import looks_last
from fairbank.federated_jobs.hub import mailbox, masking, measurements, release_checks, usage
from fairbank.federated_jobs.hub.arriving import check_declared, open_place
from fairbank.federated_jobs.hub.changing import changing
from fairbank.federated_jobs.hub.ensembles import keep_all
from fairbank.federated_jobs.hub.finishing import Settled, complete, delivered_by_too_few
from fairbank.federated_jobs.hub.merging import (
    CARRIED,
    MODEL,
    RECORD,
    SERVER_STATE,
    STATE,
    Arrived,
    Closing,
    Examined,
    MergedFile,
    examine,
    merge,
    read_metrics,
)
from fairbank.federated_jobs.hub.progress import (
    HUB_ACTOR,
    active,
    end_job,
    ended,
    fail_site,
    manifest_of,
    move_job,
    move_site,
    open_round,
    sites_of,
)
from fairbank.federated_jobs.hub.site_settings import check_told
from fairbank.federated_jobs.hub.steps import next_step, record_of, step_of, takes
from fairbank.federated_jobs.hub.store import (
    JobRow,
    OutputRow,
    RoundRow,
    SiteRow,
    UpdateRow,
)
from fairbank.federated_jobs.hub.tool_registry import container_columns
from fairbank.federated_jobs.hub.twins import boot_in, check_speaks
from fairbank.federated_jobs.plans.machine import Closed, Done, Ending, Merging, Step
from fairbank.federated_jobs.reasons import Reason
from fairbank.federated_jobs.secagg.limits import is_masked
from fairbank.federated_jobs.states import (
    ACTIVE_SITES,
    WORKING_SITES,
    JobEvent,
    RoundState,
    SiteEvent,
    SiteState,
)
from fairbank.ontology.signed_objects import Manifest

log = logging.getLogger(__name__)


class OutputReceiver:
    """Takes the outputs of jobs (results, counts, updates) that nodes release."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def check(self, session: Session, meta: ReleaseMeta) -> None:
        """Refuse an output before its bytes are taken.

        Raises:
            NodeDoubled: if it comes from an agent in whose place another was started.
            JobNotFound: if this node has no part in the job.
            RoundClosed: if the round is not open, or the node no longer takes part.
            GrantEnded: if the grant has ended that the job rests on there; GrantPaused while it is paused.
            OutputRefused: if the job declares no such output, or a smaller one.
            SettingsMissing, SettingsDeviate: if the site has not told the settings of its training, or others.
        """
        check_speaks(session, meta.node, boot_in(meta.boot))
        job, _ = open_place(self._hub, session, meta)
        manifest = manifest_of(job)
        check_declared(manifest, meta)
        check_told(session, manifest, meta.node)
        masking.check_takes(session, job, meta.node, meta.round)

    def complete(self, session: Session, meta: ReleaseMeta, path: Path) -> None:
        """Accept an output, once per job, round, site and output."""
        hub = self._hub
        one_writer_at_a_time(session)
        check_speaks(session, meta.node, boot_in(meta.boot))
        job, site = open_place(hub, session, meta)
        manifest = manifest_of(job)
        check_declared(manifest, meta)
        check_told(session, manifest, meta.node)
        masking.check_takes(session, job, meta.node, meta.round)
        row = {
            "job": job.id,
            "round": meta.round,
            # Where nobody waits for others, a late update goes into the version that is being made when it comes.
            "merged_in": job.round,
            "node": meta.node,
            "output": meta.output,
            "digest": meta.digest,
            "door_class": meta.door_class.value,
            "size_bytes": meta.total_bytes,
            "path": str(path),
            "received": hub.clock.now(),
        }
        session.connection().execute(_ARRIVE, row)
        usage.note_up(session, job.id, meta.node, meta.round, meta.total_bytes)
        if len(manifest.outputs) == 1 or _all_arrived(session, manifest, meta):
            move_site(hub, job, site, SiteEvent.RELEASE)


def _all_arrived(session: Session, manifest: Manifest, meta: ReleaseMeta) -> bool:
    arrived = session.scalars(
        select(UpdateRow.output).where(
            UpdateRow.job == meta.job, UpdateRow.round == meta.round, UpdateRow.node == meta.node
        )
    )
    return {output.name for output in manifest.outputs} <= set(arrived)


def close_ready(hub: Hub) -> int:
    """Close every round that can be closed now; return how many were."""
    with turn(hub.engine), reading(hub.engine) as session:
        ready = _ready(hub, session)
    return sum(_close_or_fail(hub, job, number) for job, number in ready)


@dataclass(frozen=True, slots=True)
class _Plan:
    closing: Closing
    step: Step
    complete: bool

    @property
    def base(self) -> Path | None:
        return self.closing.base

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(sorted({item.node for item in self.closing.arrived}))


def _ready(hub: Hub, session: Session) -> list[tuple[str, int]]:
    """Return the open rounds that have all or enough, or whose deadline has passed, by one query."""
    rounds = session.connection().execute(_READY, {"now": hub.clock.now()})
    return [(row.job, row.round) for row in rounds]


def _ready_rounds() -> Select[tuple[str, int]]:
    rounds, sites, jobs, updates = (
        row.metadata.tables[row.__tablename__] for row in (RoundRow, SiteRow, JobRow, UpdateRow)
    )
    busy: list[ColumnElement[str]] = [literal_column(f"'{state}'") for state in sorted(WORKING_SITES)]
    # Whoever has sent one of several outputs has not delivered yet.
    whole = sites.alias()
    delivered = (
        select(func.count(updates.c.node.distinct()))
        .join(whole, and_(whole.c.job == updates.c.job, whole.c.node == updates.c.node))
        .where(
            updates.c.job == rounds.c.job,
            updates.c.merged_in == rounds.c.round,
            whole.c.state == literal_column(f"'{SiteState.RELEASED.value}'"),
        )
        .scalar_subquery()
    )
    enough = and_(rounds.c.enough.is_not(None), delivered >= rounds.c.enough)
    somebody = exists().where(sites.c.job == rounds.c.job, sites.c.state.in_(busy))
    waiting = exists().where(jobs.c.id == rounds.c.job, jobs.c.paused.is_not(None))
    return (
        select(rounds.c.job, rounds.c.round)
        .where(
            rounds.c.state == RoundState.OPEN.value,
            ~waiting,
            or_(~somebody, rounds.c.deadline <= bindparam("now"), enough),
        )
        .order_by(rounds.c.job, rounds.c.round)
    )


# Asked after every change at the hub, so it is put together once, with the words of the states written out.
_READY = _ready_rounds()


def _close_or_fail(hub: Hub, job_id: str, number: int) -> bool:
    """Close one round; whatever goes wrong with it, the rounds of other jobs are closed too."""
    reason = Reason.UPDATE_REFUSED
    try:
        return _close(hub, job_id, number)
    except (OSError, MemoryError, SQLAlchemyError) as err:
        # The hub's own trouble, not the job's: the round stays open, and the next look tries again.
        log.error("round %d of job %s cannot be closed now: %s", number, job_id, type(err).__name__)
        return False
    except StatisticUndetermined:
        reason = Reason.STATISTIC_UNDETERMINED
    except FairbankError as err:
        log.warning("round %d of job %s cannot be merged: %s", number, job_id, err.code)
    except Exception as err:  # noqa: BLE001  what one job's outputs do to the merging must not stop other jobs
        # Type and place only: a message might quote what a site sent.
        frames = "".join(traceback.format_tb(err.__traceback__))
        log.error("round %d of job %s cannot be merged: %s\n%s", number, job_id, type(err).__name__, frames)
    with changing(hub) as session:
        job = session.get_one(JobRow, job_id)
        if not ended(job):
            end_job(hub, session, job, JobEvent.FAIL, reason=reason)
    hub.notifier.notify()
    return True


def _close(hub: Hub, job_id: str, number: int) -> bool:
    with turn(hub.engine), reading(hub.engine) as session:
        plan = _plan(hub, session, job_id, number)
    if plan is None:
        return False
    if is_masked(plan.closing.manifest):
        return _close_masked(hub, plan)
    examined = _examined(hub, plan)
    if examined.unfit:
        _leave_out(hub, plan, examined)
        return True
    if len(plan.nodes) < plan.step.at_least:
        with changing(hub) as session:
            job = session.get_one(JobRow, job_id)
            if not ended(job):
                end_job(hub, session, job, JobEvent.FAIL, reason=Reason.QUORUM_NOT_MET)
        hub.notifier.notify()
        return True
    closing = replace(plan.closing, form=examined.form)
    with tempfile.TemporaryDirectory(dir=hub.blobs / "incoming", prefix="round-") as folder:
        try:
            merged = _merged(plan.step, closing, Path(folder))
        except UpdateUnfit:
            # Nearly never, so only now every value is looked at, to see whose it is.
            if (examined := _examined(hub, plan, values=True)).unfit:
                _leave_out(hub, plan, examined)
                return True
            raise
        metrics = read_metrics(merged)
        told = _Told(
            notes=metrics.get("sites", {}),
            updates=metrics.get(RECORD, {}),
            # Read before the transaction, which others wait for.
            released=measurements.released_in(plan.closing),
        )
        files = [_settled(hub, file) for file in merged]
    with changing(hub) as session:
        closed = _commit(hub, session, plan, files, told)
    if closed:
        hub.notifier.notify()
    return closed


def _close_masked(hub: Hub, plan: _Plan) -> bool:
    """Close the step of secure aggregation that is due; after the last one the round, with the sum of all updates."""
    job_id, number = plan.closing.manifest.id, plan.closing.round
    with changing(hub) as session:
        job = session.get_one(JobRow, job_id)
        if _plan(hub, session, job_id, number) is None or not _is_ready(hub, session, job_id, number):
            return False
        opens = masking.advance(hub, session, job, number, at_least=plan.step.at_least)
    hub.notifier.notify()
    if not opens:
        return True
    with tempfile.TemporaryDirectory(dir=hub.blobs / "incoming", prefix="round-") as folder:
        with reading(hub.engine) as session:
            after = _plan(hub, session, job_id, number)
            if after is None:
                return False
            summed, told = masking.opened_sum(session, after.closing, Path(folder))
        merged = merge(summed, Path(folder))
        masking.with_notes(merged, told)
        files = [_settled(hub, file) for file in merged]
    released = measurements.released_in(after.closing)
    with changing(hub) as session:
        closed = _commit(hub, session, after, files, _Told(notes=told, updates={}, released=released))
    if closed:
        hub.notifier.notify()
    return closed


def _is_ready(hub: Hub, session: Session, job_id: str, number: int) -> bool:
    return (job_id, number) in _ready(hub, session)


def _plan(hub: Hub, session: Session, job_id: str, number: int) -> _Plan | None:
    job, current = session.get(JobRow, job_id), session.get(RoundRow, (job_id, number))
    if job is None or current is None or current.state != RoundState.OPEN.value:
        return None
    if ended(job) or job.paused is not None or job.expires <= hub.clock.now():
        return None
    step = step_of(session, job, current)
    there = [site for site in active(sites_of(session, job_id)) if takes(step, site.node)]
    released = {site.node for site in there if site.state == SiteState.RELEASED.value}
    rows = [
        row
        for row in session.execute(_ARRIVED, {"job": job_id, "round": number}).all()
        if row.node in released
    ]
    stale = {row.node: number - row.round for row in rows if row.round != number}
    from_models = {row.node: _model_before(session, job_id, row.round) for row in rows if row.round != number}
    kept = _state_before(session, job_id, number)
    manifest = manifest_of(job)
    collects = manifest.plan.aggregator == "collect"
    earlier = _before(session, job_id, number, rows)
    return _Plan(
        closing=Closing(
            manifest,
            number,
            tuple(Arrived(row.node, row.output, row.digest, Path(row.path)) for row in rows),
            base=_path(hub, current.global_digest),
            state=_path(hub, kept),
            bases={node: blobs.path_of(hub, digest) for node, digest in from_models.items() if digest},
            staleness=stale,
            columns=container_columns(session, manifest.code) if collects else (),
            previous=_path(hub, earlier.model),
            lengths=earlier.lengths,
            repeated=earlier.repeated,
        ),
        step=step,
        complete=step.staleness is not None or len(released) == len(there),
    )


def _examined(hub: Hub, plan: _Plan, *, values: bool = False) -> Examined:
    if plan.step.merging is not Merging.SEALED:
        return examine(plan.closing, plan.base, values=values, scratch=hub.blobs / "incoming")
    with reading(hub.engine) as session:
        keys = mailbox.identity_keys(session, plan.closing)
    return mailbox.examine_sealed(plan.closing, keys)


def _path(hub: Hub, digest: str | None) -> Path | None:
    return blobs.path_of(hub, digest) if digest else None


def _model_before(session: Session, job: str, number: int) -> str | None:
    return session.get_one(RoundRow, (job, number)).global_digest


@dataclass(frozen=True, slots=True)
class _Before:
    """What the rounds before leave to judge updates by."""

    model: str | None = None
    lengths: tuple[float, ...] = ()
    repeated: frozenset[str] = frozenset()


def _before(session: Session, job: str, number: int, arrived: Sequence[Any]) -> _Before:
    if number == 1:
        return _Before()
    rounds = session.execute(
        _ROUNDS_BEFORE, {"job": job, "least": number - _JUDGED_BY, "round": number}
    ).all()
    told = [each for row in rounds for each in (row.record or {}).get("updates", {}).values()]
    lengths = (each.get("norm") for each in told if isinstance(each, dict))
    sent = session.execute(_SENT_BEFORE, {"job": job, "round": number}).all()
    again = {(row.node, row.digest) for row in sent if row.computed_for < number}
    return _Before(
        next((row.global_digest for row in rounds if row.round == number - 1), None),
        tuple(float(each) for each in lengths if isinstance(each, int | float)),
        frozenset(row.node for row in arrived if (row.node, row.digest) in again),
    )


def _state_before(session: Session, job: str, number: int) -> str | None:
    before = session.get(RoundRow, (job, number - 1))
    return before.state_digest if before is not None else None


def _merged(step: Step, closing: Closing, folder: Path) -> list[MergedFile]:
    if not closing.arrived:
        return []
    if step.merging is Merging.SEALED:
        return mailbox.keep_sealed(closing, folder)
    return (keep_all if step.merging is Merging.KEEP_ALL else merge)(closing, folder)


@dataclass(frozen=True, slots=True)
class _Told:
    """What is known of a round beside its files.

    Attributes:
        notes: what each site told beside its update.
        updates: what the aggregator says of each site's update.
        released: rows that sites measured.
    """

    notes: Mapping[str, Mapping[str, float]]
    updates: Mapping[str, Any]
    released: Sequence[measurements.ReleasedRows]


def _leave_out(hub: Hub, plan: _Plan, examined: Examined) -> None:
    with changing(hub) as session:
        job = session.get_one(JobRow, plan.closing.manifest.id)
        for node in examined.unfit:
            site = session.get_one(SiteRow, (job.id, node))
            if not ended(job) and SiteState(site.state) in ACTIVE_SITES:
                reason = examined.reasons.get(node, Reason.UPDATE_REFUSED)
                fail_site(hub, session, job, site, reason=reason)
    hub.notifier.notify()


def _settled(hub: Hub, file: MergedFile) -> Settled:
    from fairbank.signing import file_digest

    digest, size = file.digest or file_digest(file.path), file.path.stat().st_size
    blobs.settle(hub, file.path, digest)
    return Settled(file.name, file.media_type, digest, size)


def _commit(
    hub: Hub,
    session: Session,
    plan: _Plan,
    files: list[Settled],
    told: _Told,
) -> bool:
    closing = plan.closing
    job = session.get_one(JobRow, closing.manifest.id)
    current = session.get_one(RoundRow, (job.id, closing.round))
    fresh = _plan(hub, session, job.id, closing.round)
    # Somebody else has closed it, or one more update came while this one was being merged: look again.
    if fresh is None or fresh.closing.arrived != closing.arrived:
        return False
    now = hub.clock.now()
    by_name = {file.name: file for file in files}
    carried = by_name.pop(CARRIED, None) or by_name.get(MODEL) or by_name.get(STATE)
    kept = by_name.pop(SERVER_STATE, None)
    sites = sites_of(session, job.id)
    current.state = RoundState.CLOSED.value
    current.closed = now
    # Where nobody delivered, or all have only looked at it, the model is as it was.
    changed = bool(files) and not looks_last(closing.manifest, closing.round)
    current.result_digest = carried.digest if carried else (None if changed else current.global_digest)
    current.state_digest = kept.digest if kept else _state_before(session, job.id, closing.round)
    behind_by = {node: closing.staleness.get(node, 0) for node in plan.nodes}
    unused = mailbox.left_out(session, job.id, closing.round)
    record = record_of(plan.step, sites, behind_by, updates=told.updates)
    current.record = {**record, "left_out": unused} if unused else record
    for file in files:
        blobs.remember(hub, session, file.digest, media_type=file.media_type)
    for file in by_name.values():
        session.add(
            OutputRow(
                job=job.id,
                round=closing.round,
                name=file.name,
                digest=file.digest,
                media_type=file.media_type,
                size_bytes=file.size_bytes,
                created=now,
            )
        )
    if not fresh.complete:
        move_job(hub, job, JobEvent.DEGRADE)
    session.flush()
    audit.record(
        session,
        audit.HubAudit,
        clock=hub.clock,
        actor=HUB_ACTOR,
        act="round.close",
        target=job.id,
        detail={
            "round": closing.round,
            "inputs": [item.digest for item in closing.arrived],
            "outputs": [file.digest for file in files],
        },
    )
    last = closing.round >= job.rounds
    outcome: Step | Done = Done(Ending.ALL_ROUNDS if last else Ending.CONVERGED, None)
    # A statistic that has converged carries nothing on, and ends before the plan's last round.
    goes_on = plan.step.merging is Merging.SEALED
    if current.result_digest is not None or not files or goes_on:
        closed = Closed(closing.round, current.global_digest, current.result_digest, plan.nodes, told.notes)
        outcome = next_step(closing.manifest, active(sites), plan.step, closed)
    if isinstance(outcome, Step):
        open_round(hub, session, job, closing.round + 1, step=outcome)
        return True
    if delivered_by_too_few(session, job, plan.step):
        end_job(hub, session, job, JobEvent.FAIL, reason=Reason.QUORUM_NOT_MET)
        return True
    measurements.keep(hub, session, job, closing, told.released)
    complete(hub, session, job, closing, list(by_name.values()), outcome)
    session.flush()
    release_checks.settle(hub, session, job, closing.manifest, number=closing.round, told=told.notes)
    return True


# How many rounds before lengths of updates are judged by.
_JUDGED_BY = 5
_ROUNDS_BEFORE = (
    select(RoundRow.round, RoundRow.global_digest, RoundRow.record)
    .where(
        RoundRow.job == bindparam("job"),
        RoundRow.round >= bindparam("least"),
        RoundRow.round < bindparam("round"),
    )
    .order_by(RoundRow.round)
)
_SENT_BEFORE = select(UpdateRow.node, UpdateRow.digest, UpdateRow.round.label("computed_for")).where(
    UpdateRow.job == bindparam("job"), UpdateRow.merged_in < bindparam("round")
)
_ARRIVE = insert(UpdateRow.metadata.tables[UpdateRow.__tablename__])
_ARRIVED = (
    select(UpdateRow.node, UpdateRow.output, UpdateRow.digest, UpdateRow.path, UpdateRow.round)
    .where(UpdateRow.job == bindparam("job"), UpdateRow.merged_in == bindparam("round"))
    .order_by(UpdateRow.node, UpdateRow.output)
)
