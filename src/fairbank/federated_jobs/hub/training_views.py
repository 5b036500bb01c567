"""What the hub tells of a training, round by round: made of its own tables, for the requester's reports.

Metrics are read from the small files that merging left; single updates are named by digest and never handed out.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import isfinite
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank.catalogue import blobs
from fairbank.catalogue.context import Hub
from fairbank.catalogue.store import DatasetRow
from fairbank.clock import iso
from fairbank.federated_jobs.code import WorkerKind, tool_named
from fairbank.federated_jobs.evaluating import evaluates
from fairbank.federated_jobs.hub.merging import GROUPS, METRICS, MODEL, RECORD
from fairbank.federated_jobs.hub.progress import manifest_of, sites_of
from fairbank.federated_jobs.hub.store import JobRow, OutputRow, RoundRow, SiteRow, UpdateRow, UsageRow
from fairbank.federated_jobs.protections import protections_in
from fairbank.federated_jobs.reasons import Reason
from fairbank.federated_jobs.states import JobState, RoundState, SiteState
from fairbank.federated_jobs.training_errors import NotATraining
from fairbank.federated_jobs.training_record import (
    GroupMetric,
    Origin,
    RoundOfTraining,
    SiteOfRound,
    SiteOfTraining,
    TrainingRecord,
)
from fairbank.ontology.record import CollectionKind
from fairbank.ontology.signed_objects import Element, Manifest, Training

# What the hub writes down of each update while merging, and tells on.
_SEEN = ("norm", "norm_ratio", "cosine", "shortened_to")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}[a-z0-9]")
# A collection for tests holds no patients' images; of what is not in the catalogue nobody has said anything.
_SYNTHETIC = CollectionKind.TEST.value


def training_record(
    hub: Hub, session: Session, job: JobRow, *, rounds_from: int = 1, notes_from: int = 1
) -> TrainingRecord:
    """Return what is told of a training.

    Args:
        rounds_from: leave out the rounds before this one.
        notes_from: leave out the numbers of the rounds before this one.
    """
    manifest = manifest_of(job)
    training = manifest.training or Training()
    plan = manifest.plan
    return TrainingRecord(
        job=job.id,
        title=job.title,
        state=JobState(job.state),
        reason=Reason(job.reason),
        code=manifest.code,
        plan=plan.name.value,
        aggregator=Element(name=plan.aggregator, options=plan.aggregator_options),
        local_step=training.local_step,
        filters=training.filters,
        frozen=training.frozen,
        initial_model=training.initial_model,
        objective=training.objective,
        evaluation=evaluates(manifest),
        parameters=manifest.parameters,
        protections=tuple(sorted(protections_in(manifest))),
        seed=manifest.seed,
        round=job.round,
        rounds=job.rounds,
        quorum=job.quorum,
        created=iso(job.created),
        started=_moment(job.started),
        ended=_moment(job.ended),
        seen=job.changes,
        rounds_from=rounds_from,
        sites=_sites(session, job, manifest),
        done=_rounds(hub, session, job.id, rounds_from, notes_from),
    )


def check_trains(manifest: Manifest) -> None:
    """Refuse a job that is no training.

    Raises:
        NotATraining: if it measures or counts.
    """
    if tool_named(manifest.code.name).worker is not WorkerKind.TRAINING:
        raise NotATraining(
            "This job trains no model.",
            why=f"Its tool, {manifest.code.name}, measures or counts; it has no rounds of training to tell of.",
            todo="See 'fairbank job results' for what it returned.",
        )


def origins(session: Session, iris: Sequence[str]) -> dict[str, Origin]:
    """Return what datasets are made of, as far as the catalogue says."""
    rows = session.execute(
        select(DatasetRow.iri, DatasetRow.collection_kind).where(DatasetRow.iri.in_(list(iris)))
    )
    known = {iri: Origin.SYNTHETIC if kind == _SYNTHETIC else Origin.REAL_WORLD for iri, kind in rows}
    return {iri: known.get(iri, Origin.UNKNOWN) for iri in iris}


def datasets_of(manifest: Manifest, node: str) -> tuple[str, ...]:
    """Return the datasets of a job that lie at one site."""
    return tuple(one.iri for one in manifest.datasets if f"/datasets/{node}/" in one.iri)


def _sites(session: Session, job: JobRow, manifest: Manifest) -> tuple[SiteOfTraining, ...]:
    kinds = origins(session, [one.iri for one in manifest.datasets])
    return tuple(_site(site, datasets_of(manifest, site.node), kinds) for site in sites_of(session, job.id))


def _site(site: SiteRow, datasets: tuple[str, ...], kinds: Mapping[str, Origin]) -> SiteOfTraining:
    own = {kinds[iri] for iri in datasets}
    return SiteOfTraining(
        node=site.node,
        state=SiteState(site.state),
        reason=Reason(site.reason),
        origin=own.pop() if len(own) == 1 else Origin.MIXED if own else Origin.UNKNOWN,
        datasets=datasets,
    )


def _rounds(hub: Hub, session: Session, job: str, first: int, notes_from: int) -> tuple[RoundOfTraining, ...]:
    rows = session.scalars(
        select(RoundRow).where(RoundRow.job == job, RoundRow.round >= first).order_by(RoundRow.round)
    ).all()
    updates: dict[int, dict[str, UpdateRow]] = defaultdict(dict)
    for update in session.scalars(select(UpdateRow).where(UpdateRow.job == job, UpdateRow.round >= first)):
        updates[update.round][update.node] = update
    costs: dict[int, dict[str, UsageRow]] = defaultdict(dict)
    for cost in session.scalars(select(UsageRow).where(UsageRow.job == job, UsageRow.round >= first)):
        costs[cost.round][cost.node] = cost
    files = session.execute(
        select(OutputRow.round, OutputRow.name, OutputRow.digest).where(
            OutputRow.job == job, OutputRow.round >= first, OutputRow.name.in_((METRICS, MODEL))
        )
    ).all()
    models = {number: digest for number, name, digest in files if name == MODEL}
    told = {
        number: _told(hub, digest)
        for number, name, digest in files
        if name == METRICS and number >= notes_from
    }
    with_groups = max((number for number, each in told.items() if each.groups), default=None)
    return tuple(
        _round(
            row,
            updates[row.round],
            costs[row.round],
            _Told(each.notes, each.groups if row.round == with_groups else {}),
            model=models.get(row.round, row.result_digest),
        )
        for row in rows
        for each in (told.get(row.round, _Told()),)
    )


def _round(
    row: RoundRow,
    updates: Mapping[str, UpdateRow],
    costs: Mapping[str, UsageRow],
    told: _Told,
    *,
    model: str | None,
) -> RoundOfTraining:
    return RoundOfTraining(
        round=row.round,
        state=RoundState(row.state),
        opened=iso(row.opened),
        closed=_moment(row.closed),
        deadline=iso(row.deadline),
        base=row.global_digest,
        result=model,
        sites=tuple(
            _site_of_round(node, updates.get(node), costs.get(node), told)
            for node in sorted({*updates, *costs})
        ),
    )


def _site_of_round(node: str, update: UpdateRow | None, cost: UsageRow | None, told: _Told) -> SiteOfRound:
    return SiteOfRound(
        node=node,
        arrived=iso(update.received) if update is not None else None,
        notes=told.notes.get(node, {}),
        groups=told.groups.get(node),
        digest=update.digest if update is not None else None,
        bytes_up=cost.bytes_up if cost is not None else 0,
        bytes_down=cost.bytes_down if cost is not None else 0,
        cpu_s=cost.cpu_s if cost is not None else 0,
        gpu_s=cost.gpu_s if cost is not None else 0,
    )


@dataclass(frozen=True, slots=True)
class _Told:
    """What the sites told in one round: numbers by site and name, and metrics by group."""

    notes: Mapping[str, dict[str, float]] = field(default_factory=dict)
    groups: Mapping[str, tuple[GroupMetric, ...]] = field(default_factory=dict)


def _told(hub: Hub, digest: str) -> _Told:
    """Return what the sites told in one round; whatever else the file holds is not told."""
    kept = json.loads(blobs.path_of(hub, digest).read_bytes())
    notes = {node: _numbers(told) for node, told in kept.get("sites", {}).items() if isinstance(told, dict)}
    # What the hub saw counts more than what a site says under the same name.
    for node, seen in kept.get(RECORD, {}).items():
        if isinstance(seen, dict):
            measured = {name: seen[name] for name in _SEEN if seen.get(name) is not None}
            notes[node] = notes.get(node, {}) | _numbers(measured)
    groups = {
        node: tuple(GroupMetric.model_validate_json(json.dumps(row)) for row in rows)
        for node, rows in kept.get(GROUPS, {}).items()
    }
    return _Told(notes, groups)


def _numbers(told: dict[str, Any]) -> dict[str, float]:
    # A site that passes its own gate by may name a number whatever it likes.
    return {
        name: float(value)
        for name, value in told.items()
        if _NAME.fullmatch(name)
        and isinstance(value, int | float)
        and not isinstance(value, bool)
        and isfinite(value)
    }


def _moment(at: datetime | None) -> str | None:
    return iso(at) if at is not None else None
