"""What requesters see of jobs, results and models; every function only reads."""

from __future__ import annotations

import json

from sqlalchemy import select
from sqlalchemy.orm import Session, defer

from fairbank.clock import iso
from fairbank.federated_jobs.hub.dispatch import not_found
from fairbank.federated_jobs.hub.model_registry import is_kept_back, model_of
from fairbank.federated_jobs.hub.progress import manifest_of, sites_of
from fairbank.federated_jobs.hub.release_checks import check_of, held, holds_back
from fairbank.federated_jobs.hub.store import JobRow, ModelRow, OutputRow, RoundRow, SiteRow, UpdateRow
from fairbank.federated_jobs.hub.withdrawals import day_of, days_of
from fairbank.federated_jobs.protocol import (
    JobList,
    JobSummary,
    JobView,
    LeftOutView,
    ModelDetail,
    ModelList,
    ModelView,
    Priority,
    Received,
    ResultFile,
    Results,
    RoundView,
    SiteView,
)
from fairbank.federated_jobs.reasons import Reason
from fairbank.federated_jobs.states import ACTIVE_SITES, JobState, RoundState, SiteState
from fairbank.ontology.model_cards import ModelState
from fairbank.ontology.outputs import OutputClass
from fairbank.ontology.signed_objects import Code

# A job may have ten thousand rounds, and is looked at after each.
MOST_ROUNDS_SHOWN = 200
# Three sealed objects a job, some thousand bytes each, which no list shows.
_UNOPENED = tuple(defer(each, raiseload=True) for each in (JobRow.manifest, JobRow.visa, JobRow.request))


def job_of(session: Session, job_id: str, account: str | None) -> JobRow:
    """Return a job of an account; of any account if None.

    Raises:
        JobNotFound: if the account has no such job.
    """
    job = session.get(JobRow, job_id)
    if job is None or account not in (None, job.account):
        raise not_found()
    return job


def job_view(session: Session, job: JobRow) -> JobView:
    """Return a job with the state of each of its sites."""
    manifest = manifest_of(job)
    return JobView(
        id=job.id,
        title=job.title,
        state=JobState(job.state),
        reason=Reason(job.reason),
        manifest=job.manifest_digest,
        visa=job.visa_digest,
        code=manifest.code,
        plan=manifest.plan.name,
        round=job.round,
        rounds=job.rounds,
        quorum=job.quorum,
        datasets=tuple(dataset.iri for dataset in manifest.datasets),
        selections=manifest.datasets,
        sites=tuple(_site_view(site) for site in sites_of(session, job.id)),
        created=iso(job.created),
        ended=iso(job.ended) if job.ended else None,
        seen=job.changes,
        priority=Priority(job.priority),
        withdrawn_subject_in_training=day_of(session, job.id),
        history=history(session, job),
    )


def history(session: Session, job: JobRow) -> tuple[RoundView, ...]:
    """Return the rounds of a job, oldest first; of very many the newest."""
    rows = session.scalars(
        select(RoundRow)
        .where(RoundRow.job == job.id)
        .order_by(RoundRow.round.desc())
        .limit(MOST_ROUNDS_SHOWN)
    )
    return tuple(_round_view(row) for row in reversed(list(rows)))


def _round_view(row: RoundRow) -> RoundView:
    # While a round is open it is known whom the plan asks; what came of it is written when it closes.
    told = row.record or {}
    asked = told.get("asked") or (row.step or {}).get("participants", ())
    return RoundView(
        round=row.round,
        state=RoundState(row.state),
        opened=iso(row.opened),
        closed=iso(row.closed) if row.closed else None,
        base=row.global_digest,
        model=row.result_digest,
        merging=(row.step or {}).get("merging"),
        asked=tuple(asked),
        merged=tuple(told.get("merged", ())),
        late=tuple(told.get("late", ())),
        left_out=tuple(LeftOutView.model_validate_json(json.dumps(one)) for one in told.get("left_out", ())),
        lost=tuple(told.get("lost", ())),
        behind=told.get("stale", {}),
        updates=told.get("updates", {}),
    )


def job_list(session: Session, account: str, *, limit: int = 200) -> JobList:
    """Return the jobs of an account, newest first."""
    jobs = session.scalars(
        select(JobRow)
        .where(JobRow.account == account)
        .order_by(JobRow.created.desc(), JobRow.id)
        .limit(limit)
        .options(*_UNOPENED)
    )
    return JobList(
        jobs=tuple(
            JobSummary(
                id=job.id,
                title=job.title,
                state=JobState(job.state),
                reason=Reason(job.reason),
                code=job.tool,
                round=job.round,
                rounds=job.rounds,
                created=iso(job.created),
            )
            for job in jobs
        )
    )


def results(session: Session, job: JobRow) -> Results:
    """Return the merged files of a job and what each site released, in round and site order."""
    manifest = manifest_of(job)
    classes = {output.name: output.output_class for output in manifest.outputs}
    files = session.scalars(
        select(OutputRow).where(OutputRow.job == job.id).order_by(OutputRow.round, OutputRow.name)
    )
    updates = session.scalars(
        select(UpdateRow)
        .where(UpdateRow.job == job.id)
        .order_by(UpdateRow.round, UpdateRow.node, UpdateRow.output)
    )
    return Results(
        job=job.id,
        state=JobState(job.state),
        files=tuple(
            ResultFile(
                name=file.name,
                media_type=file.media_type,
                digest=file.digest,
                size_bytes=file.size_bytes,
                round=file.round,
            )
            for file in files
        ),
        received=tuple(
            Received(
                node=update.node,
                round=update.round,
                output=update.output,
                output_class=classes.get(update.output, OutputClass.MEASUREMENTS),
                size_bytes=update.size_bytes,
                digest=update.digest,
            )
            for update in updates
        ),
        withdrawn_subject_in_training=day_of(session, job.id),
    )


def model_list(session: Session, account: str, *, limit: int = 200) -> ModelList:
    """Return the models that came of an account's jobs, newest first."""
    rows = session.execute(
        select(ModelRow, JobRow)
        .join(JobRow, JobRow.id == ModelRow.job)
        .where(JobRow.account == account)
        .order_by(ModelRow.created.desc(), ModelRow.digest)
        .limit(limit)
        .options(*_UNOPENED)
    ).all()
    days = days_of(session, [job.id for _, job in rows])
    return ModelList(models=tuple(_model_view(model, job, days.get(job.id)) for model, job in rows))


def model_detail(session: Session, digest: str, account: str) -> ModelDetail:
    """Return one model of an account's jobs with its provenance.

    Raises:
        NotYetMerged: if there is none of that digest.
    """
    model, job = model_of(session, digest, account)
    return ModelDetail(
        model=_model_view(model, job, day_of(session, job.id)),
        manifest=job.manifest_digest,
        visa=job.visa_digest,
        request=job.request_id,
        started=iso(job.started or job.created),
        ended=iso(model.created),
        evaluations=_evaluations(session, digest, account),
        release_check=check_of(session, digest),
    )


def _evaluations(session: Session, digest: str, account: str) -> tuple[str, ...]:
    """Return the completed jobs of an account whose first round started from a model and that made none."""
    jobs = session.scalars(
        select(JobRow.id)
        .join(RoundRow, RoundRow.job == JobRow.id)
        .where(
            JobRow.account == account,
            JobRow.state == JobState.COMPLETED.value,
            RoundRow.round == 1,
            RoundRow.global_digest == digest,
        )
        .order_by(JobRow.created.desc(), JobRow.id)
    )
    made = set(
        session.scalars(
            select(ModelRow.job).join(JobRow, JobRow.id == ModelRow.job).where(JobRow.account == account)
        )
    )
    return tuple(job for job in jobs if job not in made)[:200]


def may_read_as_account(session: Session, account: str, digest: str) -> bool:
    """Tell whether a blob is a merged result or model of one of an account's jobs; single updates are not.

    The weights of a model that is in quarantine or withdrawn are handed to nobody.

    Raises:
        ModelHeld: if it is one, and its release check holds it back.
    """
    merged = (
        select(OutputRow.digest)
        .join(JobRow, JobRow.id == OutputRow.job)
        .where(OutputRow.digest == digest, JobRow.account == account)
    )
    if session.scalars(merged.limit(1)).first() is None:
        return False
    if holds_back(session, digest):
        raise held()
    return not is_kept_back(session, digest)


def may_read_as_node(session: Session, node: str, digest: str) -> bool:
    """Tell whether a blob is the global model of a round of a job that this node still takes part in."""
    wanted = [state.value for state in ACTIVE_SITES]
    rounds = (
        select(RoundRow.job)
        .join(SiteRow, SiteRow.job == RoundRow.job)
        .where(RoundRow.global_digest == digest, SiteRow.node == node, SiteRow.state.in_(wanted))
    )
    return session.scalars(rounds.limit(1)).first() is not None


def _site_view(site: SiteRow) -> SiteView:
    return SiteView(
        node=site.node,
        state=SiteState(site.state),
        reason=Reason(site.reason),
        round=site.round,
        since=iso(site.since),
        percent=site.percent,
    )


def _model_view(model: ModelRow, job: JobRow, withdrawn: str | None) -> ModelView:
    provenance = model.provenance
    return ModelView(
        digest=model.digest,
        job=job.id,
        title=job.title,
        code=Code.model_validate(provenance["code"]),
        round=model.round,
        rounds=job.rounds,
        # Models are entered when their job completes, and a plan may end before its last round.
        final=True,
        size_bytes=model.size_bytes,
        datasets=tuple(provenance["datasets"]),
        nodes=tuple(provenance["nodes"]),
        created=iso(model.created),
        withdrawn_subject_in_training=withdrawn,
        state=ModelState(model.state),
        line=model.line,
        version=model.version,
        card=model.card_digest,
    )
