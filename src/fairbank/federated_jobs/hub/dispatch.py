"""Take a job in: every check that can be made before a site is asked, so that mistakes are told at once."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank import audit, events
from fairbank.catalogue import hub_keys
from fairbank.catalogue.context import Hub
from fairbank.catalogue.nodes import key_of
from fairbank.catalogue.withdrawal import withdrawn_among
from fairbank.clock import parse_iso
from fairbank.database import one_writer_at_a_time
from fairbank.errors import FairbankError
from fairbank.federated_jobs.encrypted_jobs import is_encrypted
from fairbank.federated_jobs.errors import JobNotFound, ManifestRefused, RunsSpent, StateRefused, VisaRefused
from fairbank.federated_jobs.evaluating import members_of
from fairbank.federated_jobs.hub import model_files, runs
from fairbank.federated_jobs.hub.grants import GrantLookup
from fairbank.federated_jobs.hub.progress import end_job, ended
from fairbank.federated_jobs.hub.standing import check_granted_now
from fairbank.federated_jobs.hub.starting import check_start
from fairbank.federated_jobs.hub.store import JobDatasetRow, JobRow, SiteRow
from fairbank.federated_jobs.hub.tool_registry import check_not_revoked, known_tools
from fairbank.federated_jobs.manifest import (
    Chain,
    check_code,
    check_made_here,
    check_times,
    check_visa_within_request,
    check_within_visa,
    node_of,
    nodes_of,
    open_chain,
    terms_used,
)
from fairbank.federated_jobs.reasons import Reason
from fairbank.federated_jobs.states import JobEvent, JobState, SiteState
from fairbank.ontology.signed_objects import Manifest


@dataclass(frozen=True, slots=True)
class Requester:
    """Who submits: an account and the key that it registered."""

    account: str
    key_id: str | None


def submit(
    hub: Hub, session: Session, envelope: bytes, *, requester: Requester, grants: GrantLookup
) -> JobRow:
    """Take a sealed manifest in and return its job; the same manifest again returns the job that it made.

    Raises:
        ManifestRefused: if it is not sealed with the account's key, is malformed, does not fit its tool,
            or names a dataset that was withdrawn.
        VisaRefused: if its visa is unknown, not for this account, over, or withdrawn.
        BeyondVisa: if it asks for more than granted.
        CodeUnknown: if the tool is not installed here under that digest.
        ToolRevoked: if that version was revoked in the registry.
        OptionRefused: if a parameter is unknown or out of range.
        StartRefused: if it would start from a model that is none of the requester's.
        EvaluationRefused: if it would evaluate no model, or in several rounds.
        ModelFileUnknown: if it names a model that the account has not brought.
        BundleRefused, BundleUntrainable: if a bundle that it names says too much, or too little to be trained.
        RunsSpent: if the visa allows no further run.
    """
    if requester.key_id is None:
        raise ManifestRefused(
            "This account has no key, so it cannot have sealed a job.",
            why="A job is sealed with the key that its requester registered.",
            todo="Register a key first: logging in does it, fairbank login NAME.",
        )
    manifest, sealed = Manifest.open(envelope, trusted=[requester.key_id])
    same = session.scalars(select(JobRow).where(JobRow.manifest_digest == sealed.digest)).first()
    if same is not None and same.account == requester.account:
        return same
    if same is not None or session.get(JobRow, manifest.id) is not None:
        raise ManifestRefused(
            "A job of this id exists already.",
            why="Each job has its own id; a manifest makes one job.",
            todo="Draft the job anew.",
        ).because(Reason.REPLAYED)
    chain = _chain(hub, session, envelope, manifest, grants)
    check_made_here(chain.visa, hub.base_iri)
    check_times(chain.visa, hub.clock.now(), datasets={one.iri for one in manifest.datasets})
    check_visa_within_request(chain.visa, chain.request)
    check_within_visa(chain.manifest, chain.visa)
    tool = check_code(chain.manifest, known_tools(session, manifest.code))
    if is_encrypted(chain.manifest):
        from fairbank.federated_jobs.filters.encrypting import require_library

        require_library("The hub, to add up encrypted updates,")
    files = tool.models_in(manifest.parameters)
    model_files.check_brought(session, files, account=requester.account)
    model_files.check_for(hub, tool, files)
    check_not_revoked(session, chain.manifest.code)
    check_start(hub, session, chain.manifest, account=requester.account)
    _check_datasets(session, chain)
    check_granted_now(hub, session, chain)
    # Two jobs of one request at the same moment must not both take its last run.
    one_writer_at_a_time(session)
    _check_runs(session, chain)
    if parse_iso(manifest.plan.approval_deadline) <= hub.clock.now():
        raise ManifestRefused(
            "The date until which sites may approve this job has passed.",
            why="Nobody could approve it any more.",
            todo="Draft the job anew with a later approval deadline.",
        )
    nodes = nodes_of(manifest, hub.base_iri)
    _check_nodes(session, nodes)
    job = _store(hub, session, chain, requester=requester, nodes=nodes)
    # The sites of an evaluation fetch each model of an ensemble; `check_start` has looked whose they are.
    model_files.attach(session, job.id, (*files, *members_of(manifest)))
    return job


def cancel(hub: Hub, session: Session, job_id: str, *, account: str) -> JobRow:
    """Cancel a job of an account.

    Raises:
        JobNotFound: if the account has no such job.
        StateRefused: if it is over.
    """
    job = session.get(JobRow, job_id)
    if job is None or job.account != account:
        raise not_found()
    if ended(job):
        raise StateRefused(
            f"This job is {job.state} already.", why="Only a job that goes on can be cancelled.", todo=""
        )
    end_job(hub, session, job, JobEvent.CANCEL, reason=Reason.JOB_CANCELLED, actor=account)
    return job


def not_found() -> JobNotFound:
    """Return the error for a job that does not exist or is not for the eyes of who asks."""
    return JobNotFound(
        "There is no such job among those that you may see.",
        why="A job is shown to the account that submitted it.",
        todo="See 'fairbank job list'.",
    )


def _chain(hub: Hub, session: Session, envelope: bytes, manifest: Manifest, grants: GrantLookup) -> Chain:
    grant = grants(session, manifest.visa)
    if grant is None:
        raise VisaRefused(
            "The manifest names a visa that this hub has not issued.",
            why="A job runs only under a visa that an access committee of this hub granted.",
            todo="See 'fairbank grant list' for the visas that you hold.",
        )
    if grant.ended:
        raise VisaRefused(
            "The visa of this job has been withdrawn or has ended.",
            why="What a committee granted stops when it ends the grant.",
            todo="Ask the committee, or request access anew.",
        ).because(Reason.GRANT_REVOKED)
    try:
        hub_key = hub_keys.key_for(session, grant.visa)
        return open_chain(grant.request, grant.visa, envelope, hub_key=hub_key)
    except FairbankError as err:
        raise ManifestRefused(err.what, why=err.why, todo=err.todo) from err


def _check_datasets(session: Session, chain: Chain) -> None:
    if gone := withdrawn_among(session, {one.iri for one in chain.manifest.datasets}):
        raise ManifestRefused(
            f"{len(gone)} of the job's datasets were withdrawn, the first is {gone[0]}.",
            why="No job begins on what its biobank has withdrawn, whatever was granted before.",
            todo="Draft the job anew without them.",
        )


def _check_runs(session: Session, chain: Chain) -> None:
    # By request and dataset, not by visa: a visa that replaces another does not give its runs again.
    used = runs.counted(session, (chain.request.id,))
    for terms in terms_used(chain.manifest, chain.visa):
        if used.get((chain.request.id, terms.iri), 0) >= terms.maximum_runs:
            raise RunsSpent(
                f"All {terms.maximum_runs} runs that are granted on {terms.iri} have been used.",
                why="The committee granted that many runs.",
                todo="Leave the dataset out, or amend the request to ask for more runs.",
            )


def _check_nodes(session: Session, nodes: list[str]) -> None:
    unknown = [node for node in nodes if key_of(session, node) is None]
    if unknown:
        raise ManifestRefused(
            f"There is no node {unknown[0]!r} at this hub.",
            why="A job goes only to enrolled nodes.",
            todo="Leave its datasets out.",
        )


def _store(hub: Hub, session: Session, chain: Chain, *, requester: Requester, nodes: list[str]) -> JobRow:
    manifest, now = chain.manifest, hub.clock.now()
    job = JobRow(
        id=manifest.id,
        account=requester.account,
        requester_key=manifest.requester_key,
        title=manifest.title,
        manifest_digest=chain.sealed_manifest.digest,
        visa_id=chain.visa.id,
        visa_digest=chain.sealed_visa.digest,
        request_id=chain.request.id,
        manifest=chain.sealed_manifest.envelope_bytes,
        visa=chain.sealed_visa.envelope_bytes,
        request=chain.sealed_request.envelope_bytes,
        tool=manifest.code.name,
        state=JobState.RUNNING.value,
        reason=Reason.NONE.value,
        round=0,
        rounds=manifest.plan.rounds,
        quorum=manifest.plan.quorum,
        approval_deadline=parse_iso(manifest.plan.approval_deadline),
        expires=max(parse_iso(one.expires) for one in terms_used(chain.manifest, chain.visa)),
        created=now,
        changes=1,
        memory_bytes=manifest.resources.memory_bytes,
        gpus=manifest.resources.gpus,
    )
    session.add(job)
    session.flush()
    for node in nodes:
        session.add(
            SiteRow(
                job=job.id,
                node=node,
                state=SiteState.PENDING_REVIEW.value,
                reason=Reason.NONE.value,
                since=now,
            )
        )
    for terms in terms_used(chain.manifest, chain.visa):
        place = node_of(terms.iri, hub.base_iri)
        assert place is not None, "nodes_of has refused datasets of elsewhere"
        session.add(
            JobDatasetRow(
                job=job.id,
                dataset=terms.iri,
                node=place[0],
                request=chain.request.id,
                expires=parse_iso(terms.expires),
            )
        )
    detail = {"manifest": job.manifest_digest, "visa": job.visa_digest, "code": manifest.code.digest}
    audit.record(
        session,
        audit.HubAudit,
        clock=hub.clock,
        actor=requester.account,
        act="job.submit",
        target=job.id,
        detail={**detail, "nodes": list(nodes)},
    )
    events.append(
        session, events.HubEvent, clock=hub.clock, kind="job.submitted", subject=job.id, detail=detail
    )
    return job
