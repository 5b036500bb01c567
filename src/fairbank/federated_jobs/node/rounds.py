"""One round at a site: authorised anew, computed in the worker, through the gate, and out; safe to be killed anywhere.

Until its outputs are staged a round can be computed again from files. Staging writes verdicts, bytes and the mark that
the round is done in one transaction; from then on it is never computed again, only sent again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update
from sqlalchemy.orm import Session

from fairbank.analysis.errors import StatisticWithheld
from fairbank.analysis.networks import LARGEST_BYTES
from fairbank.database import reading, writing
from fairbank.errors import FairbankError, RemoteError
from fairbank.federated_jobs.checks import Check
from fairbank.federated_jobs.code import WorkerKind
from fairbank.federated_jobs.errors import (
    GrantEnded,
    JobNotFound,
    JobPausedHere,
    JobsError,
    OutputRefused,
    RoundClosed,
    SiteRefusal,
)
from fairbank.federated_jobs.evaluating import members_of
from fairbank.federated_jobs.model_scan import check_models
from fairbank.federated_jobs.node import model_files, noise_budget, progress, spent
from fairbank.federated_jobs.node.approval import (
    Authorised,
    authorise,
    check_may_leave,
    computed_with_all,
    withhold_unsent,
)
from fairbank.federated_jobs.node.candidates import candidate_of
from fairbank.federated_jobs.node.cohort import Cohort, CohortSource, Member, harvest_intact, mark_gone
from fairbank.federated_jobs.node.effective_settings import tell_settings
from fairbank.federated_jobs.node.errors import (
    WorkerCancelled,
    WorkerCrashed,
)
from fairbank.federated_jobs.node.failure_words import reason_of
from fairbank.federated_jobs.node.inputs import series_to_stage
from fairbank.federated_jobs.node.live_counts import Sets, harvest_sets
from fairbank.federated_jobs.node.mail import (
    Desk,
    Letter,
    clear,
    collect,
    not_in_plan,
    put_together,
    sealer,
)
from fairbank.federated_jobs.node.pausing import check_goes_on, halt
from fairbank.federated_jobs.node.persons_word import check_let_go
from fairbank.federated_jobs.node.progress import job_folder
from fairbank.federated_jobs.node.round_order import check_in_plan
from fairbank.federated_jobs.node.runner import Product, RoundTask, Runner
from fairbank.federated_jobs.node.sandbox_staging import SeriesToStage
from fairbank.federated_jobs.node.shared_keys import shared_key
from fairbank.federated_jobs.node.store import ApprovalRow, ReviewRow, WorkRow
from fairbank.federated_jobs.protocol import MailOrder
from fairbank.federated_jobs.reasons import Reason
from fairbank.federated_jobs.secagg.limits import is_masked
from fairbank.federated_jobs.states import SiteState
from fairbank.federated_jobs.training_errors import SettingsDeviate, SettingsMissing, TrainingHalted
from fairbank.ontology.signed_objects import Manifest
from fairbank.release.candidates import Candidate, Sealer
from fairbank.release.errors import GateRefused, HubUnreachable, NodeSuspendedHere, ReleaseStateError
from fairbank.release.hub_client import HubClient
from fairbank.release.node import Node
from fairbank.release.outbox import Outbox
from fairbank.release.releases import Release, ReleaseState
from fairbank.release.told_sums import Sums
from fairbank.signing import file_digest, sha256_digest

log = logging.getLogger(__name__)

TAKEN = "taken"
STAGED = "staged"
GIVEN_UP = "given_up"
CRASHES_FORGIVEN = 1
# Updates may have halved their numbers on the way.
_MODEL_OF_UPDATES = 2
_UNSENT = (ReleaseState.HELD, ReleaseState.READY)
# The hub's codes after which sending the same bytes again cannot help: round closed, no such job, output refused, and
# (of its uploads) refused, too large. After any other the output stays ready and is sent again.
# The hub's words for an upload that it refuses, and for one that is too large; a node imports nothing of the hub.
_UPLOAD_REFUSED, _BODY_TOO_LARGE = "FB-CAT-030", "FB-CAT-013"
_FINAL = frozenset(
    {
        RoundClosed.code,
        GrantEnded.code,
        JobNotFound.code,
        OutputRefused.code,
        SettingsDeviate.code,
        SettingsMissing.code,
        _UPLOAD_REFUSED,
        _BODY_TOO_LARGE,
    }
)


@dataclass(frozen=True, slots=True)
class Site:
    """What a round needs of the node around it.

    Attributes:
        intact: compares a series' files with the index.
        published: the sets of subjects that records of a dataset told counts of.
        masking: rounds of secure aggregation that are under way, with their secrets; in memory alone.
    """

    node: Node
    client: HubClient
    outbox: Outbox
    runner: Runner
    source: CohortSource
    intact: Callable[[Member], bool] = harvest_intact
    published: Sets = harvest_sets
    masking: dict[tuple[str, int], Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RoundOrder:
    """Which round the hub asked for."""

    job: str
    round: int
    lease: str
    global_digest: str | None
    mail: MailOrder | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """One round as it is written down; `releases` are the ids of what is staged."""

    job: str
    round: int
    global_digest: str | None
    state: str
    releases: tuple[str, ...]
    mail: MailOrder | None = None


# Every round passes through these, so they take the plain table, by statements put together once.
_WORK = WorkRow.metadata.tables[WorkRow.__tablename__]
_WRITTEN_DOWN = select(
    _WORK.c.job, _WORK.c.round, _WORK.c.global_digest, _WORK.c.state, _WORK.c.releases, _WORK.c.mail
).where(_WORK.c.job == bindparam("of_job"), _WORK.c.round == bindparam("of_round"))
_TAKE = insert(_WORK)
_TAKE_AGAIN = update(_WORK).where(_WORK.c.job == bindparam("of_job"), _WORK.c.round == bindparam("of_round"))


def take(session: Session, order: RoundOrder, *, site: Site) -> None:
    """Write a round down, in the caller's transaction, before anything is done for it."""
    connection = session.connection()
    place = {"of_job": order.job, "of_round": order.round}
    if connection.execute(_TAKE_AGAIN, {**place, "lease": order.lease}).rowcount:
        return
    row = {
        "job": order.job,
        "round": order.round,
        "lease": order.lease,
        "global_digest": order.global_digest,
        "state": TAKEN,
        "mail": order.mail.model_dump(mode="json") if order.mail is not None else None,
        "releases": [],
        "taken": site.node.clock.now(),
    }
    connection.execute(_TAKE, row)


def work(site: Site, job: str, number: int, *, model: bytes | None = None) -> SiteState:
    """Bring one round to its end and return the site's state after it; computing it again only if it is not staged.

    Args:
        model: the global model, where it came with the lease; it is fetched otherwise.

    Raises:
        HubUnreachable: if the hub does not answer; what is staged waits.
        WorkerCancelled: if the job was stopped meanwhile.
    """
    with site.node.engine.connect() as connection:
        row = written_down(connection, job, number)
    if row.state == GIVEN_UP:
        return SiteState.FAILED
    if row.state == TAKEN:
        try:
            staged = _compute(site, row, model)
        except TrainingHalted as err:
            halt(site.node, job, because=err)
            raise
        except (HubUnreachable, WorkerCancelled, NodeSuspendedHere, JobPausedHere):
            raise
        except FairbankError as err:
            return give_up(site, job, number, err)
        # Everything was authorised in the transaction that has just staged them.
        return send(site, row, staged)
    return deliver(site, job, number)


def deliver(site: Site, job: str, number: int) -> SiteState:
    """Send what a round has staged; a held output waits for the site's people.

    Raises:
        HubUnreachable: if the hub does not answer.
        NodeSuspendedHere, JobPausedHere: if the node or the job is paused; the output stays ready.
        RemoteError: if it refuses in a way that may pass; the output stays ready.
    """
    with reading(site.node.engine) as session:
        check_goes_on(session, job)
        row = written_down(session.connection(), job, number)
        releases = [site.outbox.release(each) for each in row.releases]
        unsent = any(each.state in _UNSENT for each in releases)
        try:
            if unsent:
                check_may_leave(site.node, session, job)
                check_let_go(session, site.node, job, releases)
            whole = not unsent or computed_with_all(site.node, session, job, source=site.source)
        except SiteRefusal as err:
            refusal: SiteRefusal | None = err
            whole = False
        else:
            refusal = None
    if refusal is None and not whole:
        # The word for what people here keep back, so that it does not tell that somebody has withdrawn.
        return _kept_back(site, row, reason=Reason.OUTPUT_WITHHELD, error=None, by="a smaller cohort")
    if refusal is not None:
        return refused_here(site, row, refusal)
    return send(site, row, releases)


def written_down(connection: Connection, job: str, number: int) -> Work:
    """Return a round as it is written down here."""
    row = connection.execute(_WRITTEN_DOWN, {"of_job": job, "of_round": number}).one()
    # The same strict reading as on the wire: lists for tuples, and nothing else.
    mail = MailOrder.model_validate_json(json.dumps(row.mail)) if row.mail is not None else None
    return Work(row.job, row.round, row.global_digest, row.state, tuple(row.releases), mail)


def send(site: Site, row: Work, releases: Sequence[Release]) -> SiteState:
    """Send what was just staged, while its authorisation is fresh; errors are those of `deliver`."""
    for release in releases:
        if release.state is ReleaseState.HELD:
            return SiteState.OUTPUT_REVIEW
        if release.state is ReleaseState.WITHHELD:
            return SiteState.WITHHELD
        try:
            site.outbox.send(release.id)
        except ReleaseStateError:
            return SiteState.OUTPUT_REVIEW
        except SiteRefusal as err:
            return refused_here(site, row, err)
        except RemoteError as err:
            if err.remote_code not in _FINAL:
                raise
            return _refused_by_hub(site, row, release.id, err)
    return SiteState.RELEASED


def give_up(site: Site, job: str, number: int, err: FairbankError) -> SiteState:
    """Write down that this site drops out of a job, and why; the hub is told the word and the code only."""
    state = SiteState.WITHHELD if isinstance(err, GateRefused | StatisticWithheld) else SiteState.FAILED
    log.warning("round %d of job %s is given up: %s %s", number, job, err.code, err.what)
    with writing(site.node.engine) as session:
        work_row = session.get_one(WorkRow, (job, number))
        review = session.get_one(ReviewRow, job)
        work_row.state = GIVEN_UP
        work_row.finished = site.node.clock.now()
        if not review.ended:
            review.state, review.reason = state.value, reason_of(err).value
            review.error = err.code
            review.stopped_by = err.check.value if isinstance(err, JobsError) and err.check else None
            review.ended, review.reported = True, False
    site.runner.forget(job)
    return state


def unfinished(session: Session) -> list[tuple[str, int, str]]:
    """Return the rounds that were taken and not staged, of jobs that go on, oldest first, each with its lease.

    A round of masked updates is not among them: its secrets were in memory alone, and the hub's next order begins anew.
    """
    rows = session.execute(
        select(WorkRow, ReviewRow.manifest)
        .join(ReviewRow, ReviewRow.job == WorkRow.job)
        .where(
            WorkRow.state == TAKEN,
            ReviewRow.ended.is_(False),
            ReviewRow.paused.is_(None),
            ReviewRow.halted.is_(None),
        )
        .order_by(WorkRow.taken, WorkRow.round)
    )
    return [
        (row.job, row.round, row.lease)
        for row, manifest in rows
        if not is_masked(Manifest.open(manifest, trusted=None)[0])
    ]


def _compute(site: Site, row: Work, model: bytes | None) -> list[Release]:
    # Each new attempt has a smaller cohort, so this ends: with outputs, or with too few subjects.
    while (staged := _attempt(site, row, model)) is None:
        log.warning("the cohort of job %s shrank; round %d is computed again", row.job, row.round)
    return staged


@dataclass(frozen=True, slots=True)
class Computed:
    """What a round made, before the gate, and what it rests on."""

    authorised: Authorised
    task: RoundTask
    products: list[Product]
    sealed: Sealer | None = None


def _attempt(site: Site, row: Work, given: bytes | None) -> list[Release] | None:
    """Compute and stage a round; return None if its cohort shrank meanwhile, and nothing was staged for that."""
    made = compute(site, row, given)
    if made is None:
        return None
    try:
        return stage(site, row, made)
    finally:
        clear(site.node, row.job)
        for product in made.products:
            product.path.unlink(missing_ok=True)


def compute(site: Site, row: Work, given: bytes | None, *, masked: bool = False) -> Computed | None:
    """Compute a round; return None if its cohort shrank meanwhile.

    Args:
        masked: what comes of it leaves masked.

    Raises:
        RoundRefused: if the sealed plan does not have such a round.
    """
    with writing(site.node.engine) as session:
        authorised = authorise(site.node, session, row.job, source=site.source)
        previous = _last_released(session, row.job)
        if is_masked(authorised.chain.manifest) is not masked:
            raise not_in_plan("Updates are masked where the plan says so, and only there.")
        check_in_plan(
            site.node,
            session,
            authorised.chain.manifest,
            number=row.round,
            base=row.global_digest,
            letter=_letter(row, authorised),
            previous=previous,
        )
        noise = noise_budget.set_aside(
            site.node,
            session,
            authorised.chain.manifest,
            authorised.tool,
            authorised.cohort,
            authorised.rules,
            number=row.round,
        )
    progress.begin(site.node, row.job, authorised.cohort)
    if previous == 0:
        chain = authorised.chain
        tell_settings(site.node, site.outbox, chain.manifest, chain.sealed_manifest.digest, authorised.tool)
    letter = _letter(row, authorised)
    taken = collect(_desk(site), letter) if letter is not None else None
    model = _global_model(site, row, given) if taken is None or row.global_digest else taken.model
    task = _task(site, row, authorised, previous=previous, model=model)
    key = shared_key(site.node, site.outbox, authorised.chain.manifest)
    task = replace(task, models=_models(site, row, authorised), shared_key=key, noise=noise)
    try:
        if letter is not None and taken is not None and not letter.order.trains:
            products = [put_together(taken, task.folder)]
        else:
            products = _run(site, task)
    except FairbankError:
        with writing(site.node.engine) as session:
            spent.note(session, row.job, row.round, task.spent)
        raise
    except _FilesChanged as changed:
        with writing(site.node.engine) as session:
            mark_gone(site.node, session, row.job, changed.members)
        return None
    sealed = sealer(site.node, letter, taken.peers) if letter is not None and taken is not None else None
    return Computed(authorised, task, products, sealed)


def _models(site: Site, row: Work, authorised: Authorised) -> tuple[Path, ...]:
    """Return the files of models that a job needs: those that its parameters name, and the members of an ensemble."""
    manifest = authorised.chain.manifest
    named = authorised.tool.models_in(authorised.tool.check_parameters(manifest.parameters))
    files = model_files.fetched(site.node, site.client, row.job, named)
    check_models(authorised.tool, files, maximum_bytes=LARGEST_BYTES)
    return files + model_files.fetched(site.node, site.client, row.job, members_of(manifest))


def _desk(site: Site) -> Desk:
    return Desk(site.node, site.client, site.outbox)


def _letter(row: Work, authorised: Authorised) -> Letter | None:
    return Letter(authorised.chain.manifest, row.round, row.mail) if row.mail is not None else None


def stage(
    site: Site,
    row: Work,
    made: Computed,
    *,
    masked: Callable[[Product], Sealer | None] = lambda product: None,
) -> list[Release] | None:
    """Bring what a round made before the gate and into the outbox, all of it or nothing.

    Args:
        masked: returns what writes the masked form of a product.

    Raises:
        GateRefused: if the gate does not let it leave.
    """
    authorised = made.authorised
    candidate: Candidate | None = None
    try:
        with writing(site.node.engine) as session:
            # A withdrawal, of the approval or of a subject, may have come while the worker computed, or a suspension.
            now = authorise(site.node, session, row.job, source=site.source)
            if now.cohort.digest != authorised.cohort.digest:
                return None
            fresh = session.get_one(WorkRow, (row.job, row.round))
            approval = session.get_one(ApprovalRow, row.job)
            releases = []
            for product in made.products:
                sums = _beside_records(site, session, product.sums)
                plain = candidate_of(made.task, product, in_cohort=authorised.cohort.subjects, sums=sums)
                candidate = replace(plain, sealed=made.sealed or masked(product))
                releases.append(site.outbox.stage(session, candidate, hold=approval.hold_outputs))
            fresh.releases = [release.id for release in releases]
            fresh.state = STAGED
            noise_budget.spend(site.node, session, authorised.chain.manifest, row.round)
            spent.note(session, row.job, row.round, made.task.spent)
            approval.runs = 1
    except GateRefused as err:
        if candidate is not None:
            with writing(site.node.engine) as session:
                site.outbox.note_refusal(session, candidate, err)
        raise
    return releases


class _FilesChanged(Exception):
    """Files of a cohort are not those that were indexed."""

    def __init__(self, members: list[Member]) -> None:
        super().__init__()
        self.members = members


def _staged_form(site: Site, job: str, cohort: Cohort, manifest: Manifest | None) -> list[SeriesToStage]:
    changed = [member for member in cohort.members if not site.intact(member)]
    if changed:
        raise _FilesChanged(changed)
    return series_to_stage(site.node, job, cohort, manifest=manifest)


def _run(site: Site, task: RoundTask) -> list[Product]:
    crashes = 0
    while True:
        try:
            return site.runner.run(task)
        except WorkerCrashed:
            crashes += 1
            if crashes > CRASHES_FORGIVEN:
                raise
            log.warning(
                "the worker of job %s crashed; round %d is computed again", task.manifest.id, task.round
            )


def _task(site: Site, row: Work, authorised: Authorised, *, previous: int, model: Path | None) -> RoundTask:
    # Labels are for a training alone.
    labelled = authorised.chain.manifest if authorised.tool.worker is WorkerKind.TRAINING else None
    return RoundTask(
        manifest=authorised.chain.manifest,
        tool=authorised.tool,
        site=site.node.name,
        series=lambda: _staged_form(site, row.job, authorised.cohort, labelled),
        cohort_digest=authorised.cohort.digest,
        members=authorised.cohort.members,
        round=row.round,
        previous_round=previous,
        global_model=model,
        folder=job_folder(site.node, row.job) / "products",
        rules=authorised.rules,
    )


def _global_model(site: Site, row: Work, given: bytes | None) -> Path | None:
    """Return the file of the model that a round starts from, taking what came with the lease if it is that model."""
    if row.global_digest is None:
        return None
    folder = job_folder(site.node, row.job) / "models"
    target = folder / f"{row.global_digest.removeprefix('sha256:')}.safetensors"
    is_given = given is not None and sha256_digest(given) == row.global_digest
    # Not flushed to the disk, so after a power cut what lies there may be less than its name says.
    if not is_given and target.exists() and file_digest(target) == row.global_digest:
        return target
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for old in folder.glob("*.safetensors"):
        old.unlink()
    if given is not None and is_given:
        target.write_bytes(given)
    else:
        # A model is merged from updates, each of which could leave its site.
        longest = _MODEL_OF_UPDATES * site.node.settings.release_maximum_bytes
        site.client.download(row.global_digest, target, durable=False, maximum_bytes=longest)
    return target


def _beside_records(site: Site, session: Session, sums: Sums | None) -> Sums | None:
    """Return what a statistic is of, with the sets of subjects that records of its datasets told of."""
    if sums is None:
        return None
    told = {each for dataset in sums.datasets for each in site.published(session, dataset)}
    return replace(sums, published=tuple(told))


def _last_released(session: Session, job: str) -> int:
    return int(session.scalar(_LAST_STAGED, {"job": job}) or 0)


_LAST_STAGED = select(func.max(WorkRow.round)).where(WorkRow.job == bindparam("job"), WorkRow.state == STAGED)


def _refused_by_hub(site: Site, row: Work, release_id: str, err: RemoteError) -> SiteState:
    """Keep back what the hub will never take: the round was closed without this site, or the job is over."""
    log.warning("the hub does not take round %d of job %s: %s", row.round, row.job, err.remote_code)
    if err.remote_code == GrantEnded.code:
        return _kept_back(
            site, row, reason=Reason.GRANT_REVOKED, error=GrantEnded.code, by="the end of the grant"
        )
    if err.remote_code != RoundClosed.code:
        return _kept_back(site, row, reason=Reason.UPDATE_REFUSED, error=None, by="the hub's answer")
    with writing(site.node.engine) as session:
        site.outbox.withhold(session, release_id, by="the hub's answer")
        session.get_one(WorkRow, (row.job, row.round)).finished = site.node.clock.now()
    return SiteState.QUEUED


def refused_here(site: Site, row: Work, err: SiteRefusal) -> SiteState:
    """Keep back what the site itself does not let go any more."""
    return _kept_back(site, row, reason=err.reason, error=err.code, by="the approval's end", check=err.check)


def _kept_back(
    site: Site, row: Work, *, reason: Reason, error: str | None, by: str, check: Check | None = None
) -> SiteState:
    """Keep back all that a job has not sent yet and drop out of it; the hub is told the word."""
    with writing(site.node.engine) as session:
        withhold_unsent(site.node, session, row.job, by=by)
        session.get_one(WorkRow, (row.job, row.round)).finished = site.node.clock.now()
        review = session.get_one(ReviewRow, row.job)
        if not review.ended:
            review.state, review.reason, review.error = SiteState.WITHHELD.value, reason.value, error
            review.stopped_by = check.value if check else None
            review.ended, review.reported = True, False
    site.runner.forget(row.job)
    return SiteState.WITHHELD
