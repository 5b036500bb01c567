"""The release check at the hub: kept beside the model, and decided by committees where a model fails.

A model that fails goes into quarantine in the transaction that completes its job, so nobody is handed it meanwhile. It
leaves when the committees of all its datasets have carried that it may; nobody else lifts that.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from fairbank import audit, events
from fairbank.catalogue import hub_keys
from fairbank.catalogue.accounts import Account, Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import RootKeyElsewhere
from fairbank.catalogue.governance import committees, notices
from fairbank.catalogue.governance.counting import Ballot, OutcomeWord, Word, count
from fairbank.catalogue.governance.store import CommitteeRow
from fairbank.clock import iso
from fairbank.federated_jobs.errors import NotYetMerged
from fairbank.federated_jobs.evaluating import evaluates
from fairbank.federated_jobs.hub.merging import MODEL
from fairbank.federated_jobs.hub.progress import manifest_of
from fairbank.federated_jobs.hub.store import JobRow, ModelRow, OutputRow, ReleaseCheckRow, ReleaseVoteRow
from fairbank.federated_jobs.objectives import BEFORE
from fairbank.federated_jobs.release_check import (
    CommitteeVote,
    Decision,
    Finding,
    ReleaseCheck,
    ReleaseDecision,
    Verdict,
    checks_release,
    judged,
)
from fairbank.federated_jobs.training_errors import ModelHeld, NothingToDecide, NotOnItsCommittee
from fairbank.ontology.model_cards import ModelState
from fairbank.ontology.signed_objects import Manifest

log = logging.getLogger(__name__)

# Who decides about datasets that no committee is there for.
ADMINISTRATORS = "administrators"
_WORDS = {Decision.RELEASE: Word.APPROVE, Decision.HOLD: Word.DECLINE}


@dataclass(frozen=True, slots=True)
class Body:
    """Those who decide about a model: a committee, or the administrators where there is none."""

    id: str
    title: str
    members: tuple[str, ...]
    chairs: tuple[str, ...]
    needed: int
    four_eyes: bool


def settle(
    hub: Hub,
    session: Session,
    job: JobRow,
    manifest: Manifest,
    *,
    number: int,
    told: Mapping[str, Mapping[str, float]],
) -> None:
    """Keep what the sites of a last look, or of an evaluation, measured of a model; hold it if it fails.

    Args:
        number: of the round that measured.
        told: the notes of each site.
    """
    if not checks_release(manifest, number):
        return
    if evaluates(manifest):
        assert manifest.training is not None
        query = select(ModelRow).where(ModelRow.digest == manifest.training.initial_model)
    else:
        query = select(ModelRow).where(ModelRow.job == job.id)
    models = session.scalars(query).all()
    if not models:
        return
    verdict, findings = judged(told, head=BEFORE)
    measured = {each.node for each in findings}
    body = {
        "findings": [each.model_dump(mode="json") for each in findings],
        "not_measured_by": sorted({*told} - measured),
    }
    for model in models:
        known = session.get(ReleaseCheckRow, model.digest)
        if known is not None and known.verdict == Verdict.FAILED.value:
            # What failed once stays so: another measuring does not stand for a decision.
            continue
        if known is None:
            known = ReleaseCheckRow(model=model.digest, job=job.id, measured=hub.clock.now())
            session.add(known)
        known.job, known.verdict, known.body = job.id, verdict.value, body
        known.measured = hub.clock.now()
        _written_down(hub, session, model, "model.checked", "hub", {"verdict": verdict.value, "job": job.id})
        if verdict is Verdict.FAILED:
            _hold(hub, session, model)


def check_of(session: Session, digest: str) -> ReleaseCheck:
    """Return the check of a model as it stands."""
    row = session.get(ReleaseCheckRow, digest)
    if row is None:
        return ReleaseCheck(model=digest, verdict=Verdict.NOT_MEASURED)
    return ReleaseCheck(
        model=digest,
        verdict=Verdict(row.verdict),
        job=row.job,
        findings=tuple(Finding.model_validate(each) for each in row.body["findings"]),
        not_measured_by=tuple(row.body["not_measured_by"]),
        decision=Decision(row.decision) if row.decision else None,
        waits_for=_waits_for(session, row),
        votes=_votes(session, digest),
        measured=iso(row.measured),
    )


def seen_check(session: Session, digest: str, who: Account) -> ReleaseCheck:
    """Return the check of a model to its requester, to those who decide about it, and to who oversees all.

    Raises:
        NotYetMerged: if there is no such model for these eyes.
    """
    rows = session.execute(
        select(ModelRow, JobRow.account)
        .join(JobRow, JobRow.id == ModelRow.job)
        .where(ModelRow.digest == digest)
    ).all()
    mine = any(owner == who.name for _, owner in rows)
    if rows and (
        mine
        or who.has(Role.AUDITOR, Role.ADMIN)
        or any(who.name in body.members for body in bodies_of(session, [row for row, _ in rows]))
    ):
        return check_of(session, digest)
    raise NotYetMerged(
        "There is no such model among those that you may see.",
        why="Its requester, those who decide about its datasets, and auditors see the check of a model.",
        todo="See 'fairbank model list'.",
    )


def is_held(session: Session, digest: str) -> bool:
    """Tell whether a model failed its check and no committee has let it go."""
    row = session.get(ReleaseCheckRow, digest)
    return row is not None and row.verdict == Verdict.FAILED.value and row.decision != Decision.RELEASE.value


def holds_back(session: Session, digest: str) -> bool:
    """Tell whether a model is held, or is one of a round of a job whose model is held or waits for its check."""
    if is_held(session, digest):
        return True
    made = (
        select(JobRow)
        .join(OutputRow, OutputRow.job == JobRow.id)
        .where(
            OutputRow.digest == digest, or_(OutputRow.name == MODEL, OutputRow.name.startswith(f"{MODEL}-"))
        )
    )
    for job in session.scalars(made).unique():
        if job.ended is None and _waits(job):
            return True
        if any(
            is_held(session, each)
            for each in session.scalars(select(ModelRow.digest).where(ModelRow.job == job.id))
        ):
            return True
    return False


def held() -> ModelHeld:
    """Return what somebody is told who would have a model that is held."""
    return ModelHeld(
        "This model is held back by its release check.",
        why="It may tell of those whose images it was trained on, or its check is not done yet.",
        todo="'fairbank model show' tells how it stands and who decides; nobody is handed it before.",
    )


def _waits(job: JobRow) -> bool:
    manifest = manifest_of(job)
    return checks_release(manifest, manifest.plan.rounds)


def vote(
    hub: Hub, session: Session, digest: str, *, who: Account, decision: Decision, because: str
) -> ReleaseCheck:
    """Take what somebody says of a model that is held; the last vote that is needed decides.

    A later vote of the same person replaces her earlier one; both stay written down.

    Raises:
        NotYetMerged: if there is no such model for these eyes.
        NothingToDecide: if it did not fail its check, or was decided or withdrawn.
        NotOnItsCommittee: if who asks decides about none of its datasets, or asked for the model.
    """
    seen_check(session, digest, who)
    models = session.scalars(select(ModelRow).where(ModelRow.digest == digest)).all()
    row = session.get(ReleaseCheckRow, digest)
    if row is None or not is_held(session, digest) or models[0].state == ModelState.WITHDRAWN.value:
        raise NothingToDecide(
            "There is nothing to decide about this model.",
            why="Committees decide about models that failed their release check and are still held.",
            todo="See where it stands with 'fairbank model show'.",
        )
    owners = set(session.scalars(select(JobRow.account).where(JobRow.id.in_([each.job for each in models]))))
    bodies = [body for body in bodies_of(session, models) if who.name in body.members]
    if not bodies or who.name in owners:
        raise NotOnItsCommittee(
            "You do not decide about this model.",
            why="The committees of its datasets do, without whoever asked for the model.",
            todo="'fairbank model show' names who decides.",
        )
    for body in bodies:
        session.add(
            ReleaseVoteRow(
                id=hub.clock.new_id(),
                model=digest,
                committee=body.id,
                account=who.name,
                decision=decision.value,
                because=because,
                at=hub.clock.now(),
            )
        )
    _written_down(hub, session, models[0], "model.release-vote", who.name, {"decision": decision.value})
    session.flush()
    _decide(hub, session, row, models, owners)
    session.flush()
    return check_of(session, digest)


def bodies_of(session: Session, models: Sequence[ModelRow]) -> list[Body]:
    """Return who decides about models: of each dataset the committee of the last stage that has one."""
    found: dict[str, Body] = {}
    for iri in sorted({iri for model in models for iri in model.provenance["datasets"]}):
        node = iri.rpartition("/datasets/")[2].partition("/")[0]
        asked = (committees.committee_for(session, node, iri, stage) for stage in reversed(committees.STAGES))
        row = next((each for each in asked if each is not None), None)
        body = _administrators(session) if row is None else _committee(session, row)
        found[body.id] = body
    return list(found.values())


def _committee(session: Session, row: CommitteeRow) -> Body:
    sitting = committees.members(session, row.id)
    able = committees.eligible(session, {each.account for each in sitting})
    least = committees.PERSONS_OF_FOUR_EYES if row.four_eyes else 1
    return Body(
        row.id,
        row.title,
        tuple(each.account for each in sitting if each.account in able),
        tuple(each.account for each in sitting if each.chair),
        max(row.quorum, least),
        row.four_eyes,
    )


def _administrators(session: Session) -> Body:
    from fairbank.catalogue.store import AccountRow

    rows = session.scalars(select(AccountRow).where(AccountRow.disabled.is_(None)).order_by(AccountRow.name))
    names = tuple(row.name for row in rows if Role.ADMIN.value in row.roles)
    return Body(ADMINISTRATORS, ADMINISTRATORS, names, (), 1, False)


def _outcome(session: Session, digest: str, body: Body, owners: set[str]) -> OutcomeWord:
    newest = {
        row.account: row
        for row in session.scalars(
            select(ReleaseVoteRow)
            .where(ReleaseVoteRow.model == digest, ReleaseVoteRow.committee == body.id)
            .order_by(ReleaseVoteRow.at, ReleaseVoteRow.id)
        )
    }
    ballots = [
        Ballot(
            word=_WORDS[Decision(newest[name].decision)] if name in newest else None,
            person=name,
            chair=name in body.chairs,
        )
        for name in body.members
        if name not in owners
    ]
    return count(ballots, needed=body.needed, four_eyes=body.four_eyes).word


def _decide(
    hub: Hub, session: Session, row: ReleaseCheckRow, models: Sequence[ModelRow], owners: set[str]
) -> None:
    outcomes = [_outcome(session, row.model, body, owners) for body in bodies_of(session, models)]
    if all(each is OutcomeWord.CARRIED for each in outcomes):
        row.decision = Decision.RELEASE.value
    elif any(each is OutcomeWord.LOST for each in outcomes):
        row.decision = Decision.HOLD.value
    else:
        row.decision = None
        return
    row.decided = hub.clock.now()
    row.statement = _sealed(hub, session, row)
    if row.decision == Decision.RELEASE.value:
        for model in models:
            if model.state == ModelState.QUARANTINED.value:
                model.state = ModelState.REGISTERED.value
    for model in models:
        detail = {"decision": row.decision, "state": model.state}
        _written_down(hub, session, model, "model.release-decided", "hub", detail)
        _marked(hub, session, model)


def _sealed(hub: Hub, session: Session, row: ReleaseCheckRow) -> bytes | None:
    stands = check_of(session, row.model)
    decision = ReleaseDecision(
        model=row.model,
        job=row.job,
        decision=Decision(str(row.decision)),
        findings=stands.findings,
        votes=stands.votes,
        decided=iso(hub.clock.now()),
    )
    try:
        return decision.seal(hub_keys.sealing_key(session, hub))
    except RootKeyElsewhere as err:
        log.error("the decision about a model is not sealed: %s", err.code)
        return None


def _hold(hub: Hub, session: Session, model: ModelRow) -> None:
    for row in session.scalars(select(ModelRow).where(ModelRow.digest == model.digest)):
        if row.state != ModelState.WITHDRAWN.value:
            row.state = ModelState.QUARANTINED.value
    _marked(hub, session, model)
    for body in bodies_of(session, [model]):
        for account in body.members:
            notices.write(
                session,
                hub,
                key=f"held:{model.digest}:{account}",
                account=account,
                subject="A model failed its release check",
                text="A model that was trained on images you decide about failed its release check and is held.\n"
                f"See why: fairbank model show {model.digest}\n"
                "Decide: fairbank model release or fairbank model hold, with --because.\n",
            )


def _waits_for(session: Session, row: ReleaseCheckRow) -> tuple[str, ...]:
    if row.verdict != Verdict.FAILED.value or row.decision == Decision.RELEASE.value:
        return ()
    models = session.scalars(select(ModelRow).where(ModelRow.digest == row.model)).all()
    owners = set(session.scalars(select(JobRow.account).where(JobRow.id.in_([each.job for each in models]))))
    return tuple(
        body.title
        for body in bodies_of(session, models)
        if _outcome(session, row.model, body, owners) is not OutcomeWord.CARRIED
    )


def _votes(session: Session, digest: str) -> tuple[CommitteeVote, ...]:
    rows = session.scalars(
        select(ReleaseVoteRow)
        .where(ReleaseVoteRow.model == digest)
        .order_by(ReleaseVoteRow.at, ReleaseVoteRow.id)
    )
    return tuple(
        CommitteeVote(
            committee=row.committee,
            account=row.account,
            decision=Decision(row.decision),
            because=row.because,
            at=iso(row.at),
        )
        for row in rows
    )


def _written_down(
    hub: Hub, session: Session, model: ModelRow, act: str, actor: str, detail: Mapping[str, str]
) -> None:
    audit.record(
        session,
        audit.HubAudit,
        clock=hub.clock,
        actor=actor,
        act=act,
        target=model.digest,
        detail=dict(detail),
    )


def _marked(hub: Hub, session: Session, model: ModelRow) -> None:
    events.append(
        session,
        events.HubEvent,
        clock=hub.clock,
        kind="model.marked",
        subject=model.digest,
        detail={"job": model.job, "state": model.state},
    )
