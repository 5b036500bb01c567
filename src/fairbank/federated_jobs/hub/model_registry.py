"""The registry of models: the card that the hub seals when a training completes, lines and versions, states.

A card names the digests of everything that belongs to a model and is sealed in the transaction that registers it, so
that no model is without one unless the hub's key was not at hand.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fairbank import __version__, audit, events
from fairbank.catalogue import hub_keys
from fairbank.catalogue.accounts import Account, Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import RootKeyElsewhere
from fairbank.catalogue.store import DatasetRow
from fairbank.clock import iso
from fairbank.federated_jobs.errors import NotYetMerged
from fairbank.federated_jobs.hub.release_checks import held, holds_back, is_held
from fairbank.federated_jobs.hub.store import JobRow, ModelRow, OutputRow, SettingsRow
from fairbank.federated_jobs.hub.training_views import origins, training_record
from fairbank.federated_jobs.hub.usage import usage_of_job
from fairbank.federated_jobs.model_limits import limits_of, protections_of
from fairbank.federated_jobs.objectives import AFTER, BEFORE
from fairbank.federated_jobs.tool_manifests import intended_use
from fairbank.federated_jobs.training_errors import ModelStateRefused
from fairbank.federated_jobs.training_record import GroupMetric, TrainingRecord
from fairbank.ontology.model_cards import (
    MODEL_MOVES,
    CardCompute,
    CardDataset,
    CardFile,
    CardGroup,
    CardObjective,
    CardSite,
    ModelCard,
    ModelState,
)
from fairbank.ontology.signed_objects import Manifest
from fairbank.signing import LARGEST_INTEGER

log = logging.getLogger(__name__)

# What nobody may start from, or be handed.
KEPT_BACK = frozenset({ModelState.QUARANTINED.value, ModelState.WITHDRAWN.value})
_NOTED_ROUNDS = 20
_COUNTS = ("n_train", "n_heldout", "n_subjects")


def register(hub: Hub, session: Session, model: ModelRow, job: JobRow, manifest: Manifest) -> None:
    """Give a model that was just added its place in a line and its sealed card, in the caller's transaction."""
    previous = manifest.training.initial_model if manifest.training is not None else None
    before = _newest(session, previous) if previous is not None else None
    model.state = ModelState.REGISTERED.value
    line = before.line or before.job if before is not None else job.id
    newest = session.scalar(select(func.max(ModelRow.version)).where(ModelRow.line == line))
    model.line, model.version = line, max(newest or 0, before.version if before is not None else 0) + 1
    session.flush()
    card = _card(hub, session, model, job, manifest)
    try:
        envelope = card.seal(hub_keys.sealing_key(session, hub))
    except RootKeyElsewhere as err:
        # A job is not lost for that; its model is there, without a card until somebody copies the key.
        log.error("the card of a model of job %s is not sealed: %s", job.id, err.code)
        return
    model.card = envelope
    model.card_digest = ModelCard.open(envelope, trusted=None)[1].digest


def model_of(session: Session, digest: str, account: str | None) -> tuple[ModelRow, JobRow]:
    """Return a model of an account's jobs and its job; of anybody's if None.

    Raises:
        NotYetMerged: if there is none.
    """
    query = (
        select(ModelRow, JobRow)
        .join(JobRow, JobRow.id == ModelRow.job)
        .where(ModelRow.digest == digest)
        .order_by(ModelRow.created)
        .limit(1)
    )
    found = session.execute(query if account is None else query.where(JobRow.account == account)).first()
    if found is None:
        raise NotYetMerged(
            "There is no such model among those of your jobs.",
            why="A model is registered when its job completes.",
            todo="See 'fairbank model list'.",
        )
    return found[0], found[1]


def usable_by(session: Session, account: str, digest: str) -> bool:
    """Tell whether an account may start a job from a model: one of its own jobs, or one that was released."""
    rows = session.execute(
        select(ModelRow.state, JobRow.account)
        .join(JobRow, JobRow.id == ModelRow.job)
        .where(ModelRow.digest == digest)
    ).all()
    if any(state in KEPT_BACK for state, _ in rows):
        return False
    return any(owner == account or state == ModelState.RELEASED.value for state, owner in rows)


def is_kept_back(session: Session, digest: str) -> bool:
    """Tell whether a model is in quarantine, withdrawn or held, so that its weights are handed to nobody."""
    states = session.scalars(select(ModelRow.state).where(ModelRow.digest == digest))
    return any(state in KEPT_BACK for state in states) or holds_back(session, digest)


def move(hub: Hub, session: Session, digest: str, state: ModelState, *, who: Account) -> ModelRow:
    """Move a model to another state; its requester may withdraw it, an administrator also put it into quarantine.

    Raises:
        NotYetMerged: if there is no such model for the eyes of who asks.
        ModelStateRefused: if its state, or the role of who asks, does not allow it.
    """
    model, _ = model_of(session, digest, None if who.has(Role.ADMIN) else who.name)
    now = ModelState(model.state)
    if now is state:
        return model
    if state is ModelState.RELEASED:
        raise _refused(
            "A model is not released by hand.",
            "It may tell of those whose images it was trained on; committees decide about one that failed its check.",
        )
    if state is ModelState.REGISTERED and is_held(session, digest):
        raise held()
    if state is not ModelState.WITHDRAWN and not who.has(Role.ADMIN):
        raise _refused(
            f"You may not make a model {state.value}.", "An administrator of the hub decides that."
        )
    if state not in MODEL_MOVES[now]:
        raise _refused(
            f"This model is {now.value}; it cannot become {state.value}.",
            "A model that was withdrawn stays so.",
        )
    for row in session.scalars(select(ModelRow).where(ModelRow.digest == digest)):
        row.state = state.value
    audit.record(
        session,
        audit.HubAudit,
        clock=hub.clock,
        actor=who.name,
        act=f"model.{state.value}",
        target=digest,
        detail={"before": now.value},
    )
    events.append(
        session,
        events.HubEvent,
        clock=hub.clock,
        kind="model.marked",
        subject=digest,
        detail={"job": model.job, "state": state.value},
    )
    return model


def _newest(session: Session, digest: str) -> ModelRow | None:
    return session.scalars(
        select(ModelRow).where(ModelRow.digest == digest).order_by(ModelRow.created).limit(1)
    ).first()


def _card(hub: Hub, session: Session, model: ModelRow, job: JobRow, manifest: Manifest) -> ModelCard:
    # Of many rounds only the last tell how the model does, and the transaction waits for each file that is read.
    told = training_record(hub, session, job, notes_from=model.round - _NOTED_ROUNDS)
    used = set(model.provenance["datasets"])
    return ModelCard(
        model=model.digest,
        title=job.title,
        line=model.line or job.id,
        version=model.version,
        previous=manifest.training.initial_model if manifest.training is not None else None,
        hub=hub.base_iri,
        account=job.account,
        job=job.id,
        manifest=job.manifest_digest,
        visa=job.visa_digest,
        request=job.request_id,
        code=manifest.code,
        parameters=manifest.parameters,
        seed=manifest.seed,
        plan=manifest.plan,
        training=manifest.training,
        rounds=max(1, model.round),
        datasets=_datasets(session, [one.iri for one in manifest.datasets if one.iri in used]),
        sites=_sites(session, told, job.id),
        objective=_objective(told),
        protections=protections_of(manifest),
        intended_use=intended_use(manifest.code.name),
        limits=limits_of(told),
        compute=_compute(session, job.id),
        files=_files(session, model, job.id),
        software=f"fairbank {__version__}",
        started=iso(job.started or job.created),
        ended=iso(job.ended or hub.clock.now()),
        created=iso(hub.clock.now()),
    )


def _datasets(session: Session, iris: Sequence[str]) -> tuple[CardDataset, ...]:
    rows = session.scalars(select(DatasetRow).where(DatasetRow.iri.in_(list(iris))))
    known = {row.iri: row for row in rows}
    kinds = origins(session, iris)
    made = []
    for iri in sorted(iris):
        row = known.get(iri)
        made.append(
            CardDataset(
                iri=iri,
                node=iri.rpartition("/datasets/")[2].partition("/")[0],
                title=row.title[:200] or None if row is not None else None,
                version=row.version if row is not None else None,
                origin=kinds[iri].value,
            )
        )
    return tuple(made)


def _sites(session: Session, told: TrainingRecord, job: str) -> tuple[CardSite, ...]:
    settings = {
        row.node: row.digest for row in session.scalars(select(SettingsRow).where(SettingsRow.job == job))
    }
    rounds: dict[str, int] = {}
    last: dict[str, dict[str, float]] = {}
    by_group = told.by_group()
    groups = by_group[0] if by_group is not None else {}
    for each in told.done:
        for site in each.sites:
            if site.arrived is not None:
                rounds[site.node] = rounds.get(site.node, 0) + 1
                # In a last look nobody trains: what its training told stands.
                last[site.node] = last.get(site.node, {}) | site.notes
    return tuple(
        CardSite(
            node=node,
            rounds=rounds[node],
            counts={
                name: min(int(notes[name]), LARGEST_INTEGER) for name in _COUNTS if notes.get(name, -1.0) >= 0
            },
            merged=_decimals(notes, BEFORE),
            local=_decimals(notes, AFTER),
            settings=settings.get(node),
            groups=tuple(_group(each) for each in groups[node]) if node in groups else None,
        )
        for node, notes in sorted(last.items())
    )


def _group(told: GroupMetric) -> CardGroup:
    return CardGroup(
        kind=told.kind,
        group=told.group,
        n_subjects=told.n_subjects,
        metric=told.metric,
        value=decimal_text(told.value),
        low=None if told.low is None else decimal_text(told.low),
        high=None if told.high is None else decimal_text(told.high),
    )


def _objective(told: TrainingRecord) -> CardObjective:
    standing = told.standing()
    if standing is None:
        return CardObjective(objective=told.objective)
    found, after_round = standing
    return CardObjective(
        objective=told.objective,
        metric=found.metric,
        value=decimal_text(found.value),
        worst_site=found.worst,
        after_round=after_round,
    )


def _compute(session: Session, job: str) -> CardCompute:
    rows = usage_of_job(session, job).sites
    return CardCompute(
        cpu_s=sum(row.cpu_s for row in rows),
        gpu_s=sum(row.gpu_s for row in rows),
        bytes_up=sum(row.bytes_up for row in rows),
        bytes_down=sum(row.bytes_down for row in rows),
    )


def _files(session: Session, model: ModelRow, job: str) -> tuple[CardFile, ...]:
    rows = session.scalars(
        select(OutputRow)
        .where(OutputRow.job == job, OutputRow.round == model.round)
        .order_by((OutputRow.digest != model.digest), OutputRow.name)
    )
    return tuple(
        CardFile(name=row.name, media_type=row.media_type, digest=row.digest, size_bytes=row.size_bytes)
        for row in rows
    )


def _decimals(notes: dict[str, float], head: str) -> dict[str, str]:
    return {
        name.removeprefix(head): decimal_text(value) for name, value in notes.items() if name.startswith(head)
    }


def decimal_text(value: float) -> str:
    """Return a number as the text that sealed objects hold.

    >>> [decimal_text(each) for each in (0.5, 1e-05, 12345678.0)]
    ['0.5', '1e-05', '1.23457e7']
    """
    return format(value, ".6g").replace("e+0", "e").replace("e+", "e")


def _refused(what: str, why: str) -> ModelStateRefused:
    return ModelStateRefused(what, why=why, todo="See where it stands with 'fairbank model show'.")
