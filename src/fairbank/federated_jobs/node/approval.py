"""What a site decides about jobs, and the proof that it did: default deny, sealed with the site's own key.

A job that is brought here is judged first by the rules that need no person: the four objects must follow from each
other, by the pinned hub key and this node's clock, and the code installed here must be the code that is named. Then a
person, or a rule that a person pinned, decides.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank import audit, events
from fairbank.clock import iso, parse_iso
from fairbank.database import writing
from fairbank.errors import FairbankError, MissingExtra
from fairbank.federated_jobs.checks import Check
from fairbank.federated_jobs.code import Tool
from fairbank.federated_jobs.errors import (
    ApprovalOver,
    ChainBroken,
    JobsError,
    Replayed,
)
from fairbank.federated_jobs.manifest import Chain, open_chain
from fairbank.federated_jobs.node import approved_code, model_files
from fairbank.federated_jobs.node.approval_refusals import approval_broken, not_approved, not_waiting
from fairbank.federated_jobs.node.automatic import Automatic, automatic
from fairbank.federated_jobs.node.bundles_here import check_bundle
from fairbank.federated_jobs.node.carried_tools import keep
from fairbank.federated_jobs.node.cohort import (
    Cohort,
    CohortSource,
    draw,
    freeze,
    frozen_digest,
    harvest_index,
    recheck,
    serving,
    smallest,
    still_holds,
)
from fairbank.federated_jobs.node.cohort_annotations import freeze_annotations
from fairbank.federated_jobs.node.containers_here import known_tools
from fairbank.federated_jobs.node.countersigned import (
    check_countersigned,
    check_not_refused,
    is_countersigned,
)
from fairbank.federated_jobs.node.judging import (
    check_newest,
    check_runs,
    checked,
    count_run,
    datasets_here,
    during,
    enrolment_of,
    terms_here,
)
from fairbank.federated_jobs.node.lanes import check_room
from fairbank.federated_jobs.node.noise_budget import check_fits
from fairbank.federated_jobs.node.pausing import check_goes_on
from fairbank.federated_jobs.node.persons_word import check_approval, check_let_go, sign_approval
from fairbank.federated_jobs.node.site_keys import site_key, site_public_key
from fairbank.federated_jobs.node.site_policy import TrainingRules
from fairbank.federated_jobs.node.store import ApprovalRow, ReviewRow
from fairbank.federated_jobs.node.training_rules import check_training
from fairbank.federated_jobs.node.transfers import check_transfer, places_told
from fairbank.federated_jobs.protocol import Lease
from fairbank.federated_jobs.reasons import Reason
from fairbank.federated_jobs.states import SiteState
from fairbank.federated_jobs.training_errors import TrainingHalted
from fairbank.ontology.signed_objects import Request, SiteApproval
from fairbank.release import hub_keys
from fairbank.release.errors import DecisionUntrusted
from fairbank.release.hub_client import HubClient
from fairbank.release.node import Node
from fairbank.release.outbox import Outbox
from fairbank.release.people import Signer
from fairbank.release.person_decisions import Act, decide
from fairbank.release.releases import Release, ReleaseState
from fairbank.release.store import ReleaseRow
from fairbank.signing import Digest, Json, KeyFileError, SigningKey

_OPEN = (SiteState.PENDING_REVIEW.value, SiteState.APPROVED.value)


@dataclass(frozen=True, slots=True)
class Authorised:
    """A job that may run here now: its objects, tool, approval, cohort and rules, all checked just now."""

    chain: Chain
    tool: Tool
    approval: ApprovalRow
    cohort: Cohort
    rules: TrainingRules


@dataclass(frozen=True, slots=True)
class Review:
    """A job as the site's people look at it before they decide; the numbers are the site's own and stay there."""

    chain: Chain
    state: SiteState
    reason: Reason
    series: int
    subjects: int


@dataclass(frozen=True, slots=True)
class Consent:
    """What a person says when approving.

    Attributes:
        by: who it is, for the site's own records.
        expires: until when; the visa's end by default.
        hold_outputs: keep each output until a person has looked at it.
        rule, decision: what approves in a person's stead, and what a person signed for the site's policy.
        signer: the person, with the key open; needed once anybody is named at the node.
    """

    by: str
    expires: datetime | None = None
    hold_outputs: bool = False
    rule: str | None = None
    decision: Digest | None = None
    signer: Signer | None = None

    @property
    def who(self) -> str:
        """Return who it is: the person who signs, or else what was said."""
        return self.signer.name if self.signer else self.by


def receive(
    node: Node, lease: Lease, *, source: CohortSource = harvest_index, client: HubClient | None = None
) -> ReviewRow:
    """Judge a job that the hub brought, write it down, and approve it if a pinned rule says so.

    Args:
        client: fetches the bundle that it would train, if it would train one.

    A job that fails a check is written down as rejected, with its reason; nothing is raised for that.
    """
    if lease.request is None or lease.visa is None or lease.manifest is None:
        raise ChainBroken("The hub brought a job without its signed objects.", todo="Update the hub.").at(
            Check.OBJECTS
        )
    request, visa, manifest = lease.request.encode(), lease.visa.encode(), lease.manifest.encode()
    keep(node, lease)
    if client is not None:
        model_files.bring_before_review(node, client, lease)
    with writing(node.engine) as session:
        known = session.get(ReviewRow, lease.job)
        if known is not None:
            _again(known, manifest)
            return known
        row = ReviewRow(
            job=lease.job,
            title="",
            tool="",
            requester_key="",
            request=request,
            visa=visa,
            manifest=manifest,
            state=SiteState.PENDING_REVIEW.value,
            reason=Reason.NONE.value,
            received=node.clock.now(),
            places=places_told(lease),
        )
        rule = None
        try:
            chain, tool, cohort = _judge(node, session, row, source)
            check_bundle(node, chain, tool)
            row.title, row.tool = chain.manifest.title, chain.manifest.code.name
            row.requester_key = chain.visa.requester_key
            row.manifest_digest = chain.sealed_manifest.digest
            row.visa_digest = chain.sealed_visa.digest
            check_room(node.settings, chain.manifest.resources)
            check_not_refused(session, node, chain)
            # With a policy that cannot be used it waits for a person, and then for the policy.
            with suppress(TrainingHalted):
                check_training(node, session, chain.manifest, tool, cohort)
            rule = automatic(node, session, chain) if is_countersigned(session, node, chain) else None
        except JobsError as err:
            model_files.drop(node, lease.job)
            _refuse(row, err, at=node.clock.now())
        session.add(row)
        session.flush()
        _log(node, session, row, act="review.receive", by=node.key.key_id)
    if rule is not None:
        _approve_by_rule(node, row.job, rule, source)
    return row


def review(node: Node, job: str, *, source: CohortSource = harvest_index) -> Review:
    """Return what a job asks for and how much of this site it would use.

    Raises:
        NotApproved: if no such job was brought here.
        JobsError: if its signed objects cannot be trusted, or too few subjects match.
    """
    with writing(node.engine) as session:
        row, approval = session.get(ReviewRow, job), session.get(ApprovalRow, job)
        if row is None:
            raise not_waiting()
        chain, _ = checked(node, session, row)
        at_least = smallest(node, chain.manifest)
        suited = serving(source, chain.request, at=node.clock.now())
        if approval is not None:
            cohort = recheck(node, session, suited, approval, at_least=at_least)
        else:
            cohort = draw(node, session, suited, datasets_here(node, chain), at_least=at_least)
        return Review(chain, SiteState(row.state), Reason(row.reason), len(cohort.members), cohort.subjects)


def approve(
    node: Node,
    job: str,
    consent: Consent,
    *,
    passphrase: str | None = None,
    source: CohortSource = harvest_index,
) -> SiteApproval:
    """Seal this site's consent to a job with the site's key and freeze its cohort.

    Raises:
        NotApproved: if no such job waits for a decision.
        PersonNeeded: if persons are named here and none signs.
        JobsError: if it fails a check now.
        KeyFileError: if the site's key is locked.
        MissingExtra: if what the job's tool needs is not installed here.
    """
    key = site_key(node.settings, passphrase=passphrase)
    with writing(node.engine) as session:
        row = _waiting(session, job)
        chain, tool, cohort = _judge(node, session, row, source)
        check_countersigned(session, node, chain)
        check_bundle(node, chain, tool)
        tool.check_installed()
        now, visa_ends = node.clock.now(), min(parse_iso(one.expires) for one in terms_here(node, chain))
        if now >= parse_iso(chain.manifest.plan.approval_deadline):
            raise ApprovalOver(
                "The date until which this job can be approved has passed.",
                why="The requester set it.",
                todo="The requester can submit the job anew.",
            ).because(Reason.APPROVAL_DEADLINE)
        expires = iso(min(consent.expires or visa_ends, visa_ends))
        decision = sign_approval(session, node, chain, consent, expires=expires)
        rules = check_training(node, session, chain.manifest, tool, cohort)
        check_fits(session, chain.manifest, tool, cohort, rules)
        approval = SiteApproval(
            id=node.clock.new_id(),
            node=node.name,
            request=chain.sealed_request.digest,
            visa=chain.sealed_visa.digest,
            manifest=chain.sealed_manifest.digest,
            cohort_digest=cohort.digest,
            cohort_size=len(cohort.members),
            approved_by=consent.who,
            decision=decision,
            maximum_runs=1,
            expires=expires,
            created=iso(now),
        )
        _store(session, row, approval, key, consent=consent)
        count_run(node, session, chain)
        freeze(session, job, cohort)
        freeze_annotations(session, job, cohort, tool.annotations)
        _decide(row, SiteState.APPROVED, Reason.NONE, by=consent.who, at=now)
        _log(node, session, row, act=Act.JOB_APPROVE, by=consent.who, decision=decision)
    approved_code.keep(node, chain.manifest, known_tools(node))
    return approval


def reject(node: Node, job: str, *, by: str, why: str = "", signer: Signer | None = None) -> None:
    """Say no to a job that waits for a decision; why is kept in this node's audit log only.

    Raises:
        NotApproved: if no such job waits.
        PersonNeeded: if persons are named here and none signs.
    """
    by = signer.name if signer else by
    with writing(node.engine) as session:
        row = _waiting(session, job)
        decision = decide(session, node, Act.JOB_REJECT, job, _named(row), signer=signer)
        _decide(row, SiteState.REJECTED, Reason.CURATOR_DECLINED, by=by, at=node.clock.now())
        row.ended = True
        _log(node, session, row, act=Act.JOB_REJECT, by=by, decision=decision, why=why)
    model_files.drop(node, job)


def withdraw(node: Node, job: str, *, by: str, signer: Signer | None = None) -> None:
    """Take an approval back: nothing more is computed, and what has not left yet stays here for good.

    A round that is under way is stopped at the next renewal or claim.

    Raises:
        NotApproved: if this site has not approved the job, or it is over.
        PersonNeeded: if persons are named here and none signs.
    """
    by = signer.name if signer else by
    with writing(node.engine) as session:
        row, approval = session.get(ReviewRow, job), session.get(ApprovalRow, job)
        if row is None or approval is None or row.ended:
            raise not_approved()
        decision = decide(session, node, Act.JOB_WITHDRAW, job, _named(row), signer=signer)
        approval.withdrawn = node.clock.now()
        withhold_unsent(node, session, job, by=by)
        _decide(row, SiteState.REJECTED, Reason.APPROVAL_WITHDRAWN, by=by, at=node.clock.now())
        row.ended = True
        _log(node, session, row, act=Act.JOB_WITHDRAW, by=by, decision=decision)


def authorise(node: Node, session: Session, job: str, *, source: CohortSource = harvest_index) -> Authorised:
    """Check everything again before a round: pauses, all four signed objects, both clocks' ends, the code, the cohort.

    Raises:
        NodeSuspendedHere, JobPausedHere: if the node, or the job, stands still here.
        NotApproved: if nobody here approved the job, or the approval was taken back.
        ApprovalOver: if it has ended, or its runs are used up.
        JobsError: if anything else does not hold any more.
    """
    row, approval = check_goes_on(session, job), session.get(ApprovalRow, job)
    if row is None or approval is None:
        raise not_approved()
    if approval.withdrawn is not None or row.state != SiteState.APPROVED.value or row.ended:
        raise not_approved().because(
            Reason.APPROVAL_WITHDRAWN if approval.withdrawn else Reason.APPROVAL_MISSING
        )
    chain, tool = checked(node, session, row)
    consent = _consent(node, approval)
    _check_is_for(node, chain, approval, consent)
    check_countersigned(session, node, chain)
    _check_person(node, session, chain, approval, consent)
    _check_lasts(node, consent)
    # A run is one passage through the plan, counted when its first output is staged; `rounds` sees to it that no round
    # is computed again or out of the plan, so a second run under the same manifest cannot begin.
    if approval.runs > consent.maximum_runs:
        raise ApprovalOver("All runs that this site approved have been used.").because(Reason.RUNS_SPENT)
    _check_frozen(node, session, approval, consent)
    with during(Check.COHORT):
        suited = serving(source, chain.request, at=node.clock.now())
        cohort = recheck(node, session, suited, approval, at_least=smallest(node, chain.manifest))
    rules = check_training(node, session, chain.manifest, tool, cohort)
    return Authorised(chain, tool, approval, cohort, rules)


def check_may_leave(node: Node, session: Session, job: str, *, review: ReviewRow | None = None) -> None:
    """Refuse to let an output leave that was computed under an approval that does not hold any more.

    Args:
        review: the job as it was brought here, where the caller has read it.

    Raises:
        NotApproved: if the approval was taken back.
        ApprovalOver: if it has ended; it never outlives its visa.
        ChainBroken: if it is for another job, or no person stands behind it where persons are named.
        GrantNotCountersigned: if a person here has refused the grant meanwhile.
        TransferRefused: if the site's rule of transfers does not allow where it would go.
    """
    row, approval = review or session.get(ReviewRow, job), session.get(ApprovalRow, job)
    if row is None or approval is None:
        raise not_approved()
    if approval.withdrawn is not None:
        raise not_approved().because(Reason.APPROVAL_WITHDRAWN)
    consent = _consent(node, approval)
    _check_lasts(node, consent)
    hub_key = hub_keys.key_for(session, enrolment_of(node), row.visa)
    chain = open_chain(row.request, row.visa, row.manifest, hub_key=hub_key)
    _check_is_for(node, chain, approval, consent)
    check_not_refused(session, node, chain)
    _check_person(node, session, chain, approval, consent)
    with during(Check.TRANSFER):
        check_transfer(node.settings, chain, row.places)


def computed_with_all(node: Node, session: Session, job: str, *, source: CohortSource) -> bool:
    """Return whether all whose images a job used may still be used for it: nobody withdrew, no consent has ended.

    Raises:
        NotForThisSite: if a dataset of the job is no longer there.
    """
    request, _ = Request.open(session.get_one(ReviewRow, job).request, trusted=None)
    return still_holds(node, session, serving(source, request, at=node.clock.now()), job)


def leaving(node: Node) -> Callable[[Session, Release], None]:
    """Return what an outbox asks before it sends an output of a job: no pause, `check_may_leave`, `check_let_go`."""

    def may_leave(session: Session, release: Release) -> None:
        if release.job is not None:
            review = check_goes_on(session, release.job)
            check_may_leave(node, session, release.job, review=review)
            check_let_go(session, node, release.job, [release])

    return may_leave


def withhold_unsent(node: Node, session: Session, job: str, *, by: str) -> None:
    """Keep back for good, in the caller's transaction, every output of a job that has not left yet."""
    waiting = session.scalars(
        select(ReleaseRow.id).where(
            ReleaseRow.job == job,
            ReleaseRow.state.in_((ReleaseState.HELD.value, ReleaseState.READY.value)),
        )
    )
    outbox = Outbox(node)
    for release in list(waiting):
        outbox.withhold(session, release, by=by)


def _check_is_for(node: Node, chain: Chain, approval: ApprovalRow, consent: SiteApproval) -> None:
    named = (consent.node, consent.request, consent.visa, consent.manifest)
    digests = (chain.sealed_request.digest, chain.sealed_visa.digest, chain.sealed_manifest.digest)
    if named != (node.name, *digests) or chain.manifest.id != approval.job or approval.digest == "":
        raise approval_broken("It is for another job, or another site.")


def _check_lasts(node: Node, consent: SiteApproval) -> None:
    if node.clock.now() < parse_iso(consent.expires):
        return
    raise ApprovalOver(
        f"This site's approval ended on {consent.expires}.",
        why="An approval is good until its end.",
        todo="The requester can submit the job anew.",
    ).at(Check.APPROVAL_DATES)


def _judge(node: Node, session: Session, row: ReviewRow, source: CohortSource) -> tuple[Chain, Tool, Cohort]:
    chain, tool = checked(node, session, row)
    check_newest(node, session, chain)
    check_runs(node, session, chain)
    with during(Check.COHORT):
        cohort = draw(
            node,
            session,
            serving(source, chain.request, at=node.clock.now()),
            datasets_here(node, chain),
            at_least=smallest(node, chain.manifest),
        )
    return chain, tool, cohort


def _approve_by_rule(node: Node, job: str, found: Automatic, source: CohortSource) -> None:
    consent = Consent(by=found.by, rule=found.rule, hold_outputs=found.hold, decision=found.decision)
    # A key with a passphrase cannot be used without its person, nor a tool without its libraries: the job then waits.
    try:
        approve(node, job, consent, source=source)
    except (KeyFileError, MissingExtra):
        return


def _store(
    session: Session, row: ReviewRow, approval: SiteApproval, key: SigningKey, *, consent: Consent
) -> None:
    envelope = approval.seal(key)
    _, sealed = SiteApproval.open(envelope, trusted=[key.key_id])
    session.add(
        ApprovalRow(
            job=row.job,
            envelope=envelope,
            digest=sealed.digest,
            site_key=key.key_id,
            cohort_digest=approval.cohort_digest,
            hold_outputs=consent.hold_outputs,
            rule=consent.rule,
        )
    )
    session.flush()


def _consent(node: Node, approval: ApprovalRow) -> SiteApproval:
    try:
        return _opened_approval(approval.envelope, site_public_key(node.settings))
    except FairbankError as err:
        raise approval_broken(err.what) from err


@lru_cache(maxsize=64)
def _opened_approval(envelope: bytes, pinned: str | None) -> SiteApproval:
    return SiteApproval.open(envelope, trusted=[pinned] if pinned else [])[0]


def _check_frozen(node: Node, session: Session, approval: ApprovalRow, consent: SiteApproval) -> None:
    """Refuse a cohort list that is another than the one whose digest is sealed with the approval."""
    # Series that have left keep their row, so the list as it was frozen can be told at any time.
    if frozen_digest(node, session, approval.job) != consent.cohort_digest:
        raise approval_broken("The list of the cohort was changed after it was approved.").because(
            Reason.COHORT_CHANGED
        )


def _check_person(
    node: Node, session: Session, chain: Chain, approval: ApprovalRow, consent: SiteApproval
) -> None:
    """Refuse an approval that no person of this node signed for what it is for."""
    try:
        check_approval(
            session,
            node,
            chain,
            consent,
            rule=approval.rule,
            hold=approval.hold_outputs,
            datasets=datasets_here(node, chain),
        )
    except DecisionUntrusted as err:
        raise approval_broken(err.why or err.what, check=Check.PERSON) from err


def _named(row: ReviewRow) -> dict[str, Json]:
    return {"manifest": row.manifest_digest or ""}


def _waiting(session: Session, job: str) -> ReviewRow:
    row = session.get(ReviewRow, job)
    if row is None or row.state != SiteState.PENDING_REVIEW.value or row.ended:
        raise not_waiting()
    return row


def _again(known: ReviewRow, manifest: bytes) -> None:
    """Treat a job that is brought again: the same open one is told again, anything else is refused."""
    if known.manifest == manifest and known.state in _OPEN and not known.ended:
        known.reported = False
        return
    if known.manifest == manifest and known.state == SiteState.REJECTED.value:
        known.reported = False
        return
    raise Replayed(
        "A job that this site has dealt with was brought again.",
        why="A manifest runs once; under its id nothing else is accepted.",
        todo="The requester drafts a new job.",
    ).at(Check.REPLAY)


def _refuse(row: ReviewRow, err: JobsError, *, at: datetime) -> None:
    _decide(row, SiteState.REJECTED, err.reason, by="checks", at=at)
    row.error = err.code
    row.stopped_by = err.check.value if err.check else None
    row.ended = True


def _decide(row: ReviewRow, state: SiteState, reason: Reason, *, by: str, at: datetime) -> None:
    row.state, row.reason = state.value, reason.value
    row.decided, row.decided_by = at, by
    row.reported = False


def _log(
    node: Node,
    session: Session,
    row: ReviewRow,
    *,
    act: str,
    by: str,
    decision: Digest | None = None,
    why: str = "",
) -> None:
    detail = {"state": row.state, "reason": row.reason, "manifest": row.manifest_digest or ""}
    stopped = {"check": row.stopped_by} if row.stopped_by else {}
    signed = {"decision": decision} if decision else {}
    audit.record(
        session,
        audit.NodeAudit,
        clock=node.clock,
        actor=by,
        act=str(act),
        target=row.job,
        detail={**detail, **stopped, **signed, **({"why": why} if why else {})},
    )
    events.append(
        session, events.NodeEvent, clock=node.clock, kind="job.decided", subject=row.job, detail=detail
    )
