"""What becomes of jobs when a grant ends, is paused or resumes: some of their sites stop, or all, or wait.

A job rests on a request's datasets, not on one visa: under a visa that a later one has replaced it goes on while its
datasets are still granted, on terms that still cover it.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance.standing import standing
from fairbank.federated_jobs.errors import GrantEnded, GrantPaused, VisaRefused
from fairbank.federated_jobs.hub.progress import (
    HUB_ACTOR,
    end_job,
    ended,
    fail_site,
    manifest_of,
    move_site,
    sites_of,
)
from fairbank.federated_jobs.hub.store import JobDatasetRow, JobRow, LeaseRow, RoundRow, SiteRow, UpdateRow
from fairbank.federated_jobs.manifest import Chain, covered
from fairbank.federated_jobs.reasons import Reason
from fairbank.federated_jobs.states import (
    ACTIVE_SITES,
    ENDED_JOBS,
    UNDECIDED_SITES,
    JobEvent,
    RoundState,
    SiteEvent,
    SiteState,
)
from fairbank.ontology.signed_objects import Visa

# Words that say that a grant is why a site or a job stopped.
GRANT_REASONS = frozenset({Reason.GRANT_REVOKED.value, Reason.VISA_EXPIRED.value})
_ENDED = [state.value for state in ENDED_JOBS]
_STOPPABLE = ACTIVE_SITES | UNDECIDED_SITES
# Asked for every output that arrives, so it is put together once.
_USED_AT = select(JobDatasetRow.dataset).where(
    JobDatasetRow.job == bindparam("job"), JobDatasetRow.node == bindparam("node")
)


def check_granted_now(hub: Hub, session: Session, chain: Chain) -> None:
    """Refuse a new job on a dataset that is not granted now under this very visa.

    Raises:
        VisaRefused: saying whether it was taken back, paused, or granted anew under another visa.
    """
    stands = standing(session, chain.request.id, now=hub.clock.now())
    for dataset in chain.manifest.datasets:
        found = stands.get(dataset.iri)
        if found is None:
            continue
        if not found.granted:
            raise VisaRefused(
                f"The dataset {dataset.iri} is not granted any more.",
                why="Its committee has taken the grant back, or its time is over.",
                todo="Leave it out, or amend the request.",
            ).because(Reason.GRANT_REVOKED)
        if found.paused:
            raise VisaRefused(
                "The request of this visa is paused.",
                why="While it is paused nothing new begins.",
                todo="Resume it first: fairbank request resume.",
            ).because(Reason.GRANT_PAUSED)
        if found.visa != chain.visa.id:
            raise VisaRefused(
                f"The dataset {dataset.iri} is granted under a later visa now.",
                why="A new job runs under the visa that holds.",
                todo="Draft the job anew under it: fairbank grant list.",
            ).because(Reason.VISA_SUPERSEDED)


def check_still_granted(hub: Hub, session: Session, job: JobRow, site: SiteRow) -> None:
    """Refuse to take anything from a site whose grant has ended or is paused, whether or not the job was told yet.

    Raises:
        GrantEnded: if a dataset that the job uses there is not granted any more.
        GrantPaused: if it is paused.
    """
    if GRANT_REASONS & ({job.reason} if ended(job) else {site.reason}):
        raise _grant_ended()
    if job.paused is not None:
        raise _paused()
    stands = standing(session, job.request_id, now=hub.clock.now())
    if not stands:
        return
    used = session.scalars(_USED_AT, {"job": job.id, "node": site.node})
    here = [stands[iri] for iri in used if iri in stands]
    if any(not one.granted for one in here):
        raise _grant_ended()
    if any(one.paused for one in here):
        raise _paused()


def lose(
    hub: Hub,
    session: Session,
    request: str,
    datasets: Collection[str],
    *,
    reason: Reason = Reason.GRANT_REVOKED,
) -> bool:
    """Stop the sites whose datasets a request has lost; a job that is left with too few ends. Tell whether any did.

    A dataset that is granted all the same, under a later visa, is not lost.
    """
    stands = standing(session, request, now=hub.clock.now())
    lost = {iri for iri in datasets if iri not in stands or not stands[iri].granted}
    return _each(hub, session, request, lost, reason)


def lose_visa(hub: Hub, session: Session, visa_id: str, *, reason: Reason) -> bool:
    """Stop every job under a visa of which nothing more is known than that it has ended."""
    jobs = _going_on(session, JobRow.visa_id == visa_id)
    for job in jobs:
        end_job(hub, session, job, JobEvent.FAIL, reason=reason)
    return bool(jobs)


def expire(hub: Hub, session: Session) -> bool:
    """Stop the sites whose datasets were granted until now; the others go on while enough are left."""
    over = session.execute(
        select(JobDatasetRow.job, JobDatasetRow.dataset)
        .join(JobRow, JobRow.id == JobDatasetRow.job)
        .where(JobRow.state.not_in(_ENDED), JobDatasetRow.expires <= hub.clock.now())
        .order_by(JobDatasetRow.job, JobDatasetRow.dataset)
    ).all()
    by_job: dict[str, set[str]] = {}
    for job, dataset in over:
        by_job.setdefault(job, set()).add(dataset)
    stopped = [
        stop_sites(hub, session, session.get_one(JobRow, job), datasets, reason=Reason.VISA_EXPIRED)
        for job, datasets in by_job.items()
    ]
    return any(stopped)


def narrow(hub: Hub, session: Session, request: str, visa: Visa) -> bool:
    """Stop what runs under an earlier visa of a request and goes beyond the terms of the one that was made now."""
    stopped = False
    for job in _going_on(session, JobRow.request_id == request, JobRow.visa_id != visa.id):
        manifest = manifest_of(job)
        beyond = {
            dataset.iri
            for dataset in manifest.datasets
            if (terms := visa.terms_of(dataset.iri)) is not None and not covered(manifest, dataset, terms)
        }
        stopped |= stop_sites(hub, session, job, beyond, reason=Reason.GRANT_REVOKED)
    return stopped


def stop_sites(hub: Hub, session: Session, job: JobRow, datasets: Collection[str], *, reason: Reason) -> bool:
    """Take the sites of some datasets out of a job, or end it if too few would be left; tell whether any was stopped.

    What such a site has released in a round that is still open is not merged.
    """
    if ended(job) or not datasets:
        return False
    rows = session.scalars(select(JobDatasetRow).where(JobDatasetRow.job == job.id))
    nodes = {row.node for row in rows if row.dataset in datasets}
    sites = [site for site in sites_of(session, job.id) if SiteState(site.state) in _STOPPABLE]
    losing = [site for site in sites if site.node in nodes]
    if not losing:
        return False
    undecided_count = job.round == 0
    left = [
        site
        for site in sites
        if site.node not in nodes and (undecided_count or SiteState(site.state) in ACTIVE_SITES)
    ]
    if len(left) < job.quorum:
        end_job(hub, session, job, JobEvent.FAIL, reason=reason)
        return True
    _forget_open_round(session, job, nodes)
    for site in losing:
        _close_leases(session, job.id, node=site.node)
        fail_site(hub, session, job, site, reason=reason)
        _log(hub, session, job, act="site.grant-lost", detail={"node": site.node, "reason": reason.value})
    _resume_if_free(hub, session, job)
    return True


def pause(hub: Hub, session: Session, request: str, datasets: Collection[str]) -> bool:
    """Let the jobs that use datasets of a request wait: nothing is handed out, taken in or merged until it resumes."""
    now = hub.clock.now()
    rows = _rows_of(session, request, datasets)
    for row in rows:
        row.paused = row.paused or now
    for job_id in sorted({row.job for row in rows}):
        job = session.get_one(JobRow, job_id)
        if job.paused is not None:
            continue
        job.paused, job.reason = now, Reason.GRANT_PAUSED.value
        job.changes += 1
        for site in sites_of(session, job_id):
            if site.state in (SiteState.LEASED.value, SiteState.RUNNING.value):
                move_site(hub, job, site, SiteEvent.REQUEUE, reason=Reason.GRANT_PAUSED)
        _log(hub, session, job, act="job.pause", detail={"reason": job.reason})
    return bool(rows)


def resume(hub: Hub, session: Session, request: str, datasets: Collection[str]) -> bool:
    """Let the jobs of a request go on; the round that was open has as much time left as it had."""
    rows = _rows_of(session, request, datasets)
    for row in rows:
        row.paused = None
    session.flush()
    for job_id in sorted({row.job for row in rows}):
        _resume_if_free(hub, session, session.get_one(JobRow, job_id))
    return bool(rows)


def _each(hub: Hub, session: Session, request: str, datasets: Collection[str], reason: Reason) -> bool:
    jobs = sorted({row.job for row in _rows_of(session, request, datasets)})
    stopped = [
        stop_sites(hub, session, session.get_one(JobRow, job), datasets, reason=reason) for job in jobs
    ]
    return any(stopped)


def _resume_if_free(hub: Hub, session: Session, job: JobRow) -> None:
    if job.paused is None or ended(job):
        return
    waiting = session.scalars(
        select(JobDatasetRow.node).where(JobDatasetRow.job == job.id, JobDatasetRow.paused.is_not(None))
    )
    still = {site.node for site in sites_of(session, job.id) if SiteState(site.state) in _STOPPABLE}
    if still & set(waiting):
        return
    waited = hub.clock.now() - job.paused
    job.paused, job.reason = None, Reason.NONE.value
    job.changes += 1
    current = session.get(RoundRow, (job.id, job.round))
    if current is not None and current.state == RoundState.OPEN.value:
        current.deadline = min(current.deadline + waited, job.expires)
    _log(hub, session, job, act="job.resume", detail={})


def _rows_of(session: Session, request: str, datasets: Collection[str]) -> list[JobDatasetRow]:
    query = (
        select(JobDatasetRow)
        .join(JobRow, JobRow.id == JobDatasetRow.job)
        .where(
            JobDatasetRow.request == request,
            JobDatasetRow.dataset.in_(sorted(datasets)),
            JobRow.state.not_in(_ENDED),
        )
    )
    return list(session.scalars(query.order_by(JobDatasetRow.job, JobDatasetRow.dataset)))


def _going_on(session: Session, *conditions: object) -> list[JobRow]:
    query = select(JobRow).where(JobRow.state.not_in(_ENDED), *conditions)  # type: ignore[arg-type]  # SQL conditions
    return list(session.scalars(query.order_by(JobRow.id)))


def _forget_open_round(session: Session, job: JobRow, nodes: Collection[str]) -> None:
    # What a closed round has merged stays merged; what waits in an open one is not used, nor named as a source.
    current = session.get(RoundRow, (job.id, job.round))
    if current is not None and current.state == RoundState.OPEN.value:
        waiting = delete(UpdateRow).where(UpdateRow.job == job.id, UpdateRow.merged_in == job.round)
        session.execute(waiting.where(UpdateRow.node.in_(sorted(nodes))))


def _close_leases(session: Session, job: str, *, node: str) -> None:
    close = update(LeaseRow).where(LeaseRow.job == job, LeaseRow.node == node, LeaseRow.open)
    session.execute(close.values(open=False))


def _log(hub: Hub, session: Session, job: JobRow, *, act: str, detail: dict[str, object]) -> None:
    audit.record(
        session,
        audit.HubAudit,
        clock=hub.clock,
        actor=HUB_ACTOR,
        act=act,
        target=job.id,
        detail={"manifest": job.manifest_digest, **detail},
    )


def _grant_ended() -> GrantEnded:
    return GrantEnded(
        "The grant that this job rests on has ended.",
        why="A committee has taken it back, or its time is over; nothing more is taken under it.",
        todo="The node keeps the output back for good.",
    )


def _paused() -> GrantPaused:
    return GrantPaused(
        "The grant that this job rests on is paused.",
        why="Nothing is taken until it resumes.",
        todo="The node keeps the output and sends it then.",
    )
