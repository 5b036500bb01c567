"""Runs to be compared: what was chosen for each, on which images it ran, and how its model did after each round.

Only numbers that sites told for their requester are used; a mean is over the sites that told a number of that round.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from pydantic import JsonValue
from sqlalchemy.orm import Session

from fairbank.catalogue.context import Hub
from fairbank.federated_jobs.code import WorkerKind, tool_named
from fairbank.federated_jobs.hub import views
from fairbank.federated_jobs.hub.progress import manifest_of
from fairbank.federated_jobs.hub.store import JobRow
from fairbank.federated_jobs.hub.training_views import training_record
from fairbank.federated_jobs.objectives import BEFORE, headline, higher_is_better
from fairbank.federated_jobs.states import JobState
from fairbank.federated_jobs.training_record import N_HELDOUT, TrainingRecord
from fairbank.ontology.signed_objects import Element, Manifest, Training

MERGED, LOCAL = "merged", "local"
# Rounds whose numbers are read, the newest: each is a small file.
ROUNDS_READ: Final = 1000
Curve = Mapping[int, float]


@dataclass(frozen=True, slots=True)
class Standing:
    """How the last merged model that was measured does at one site; `cases` are held-out samples, None if not told."""

    site: str
    value: float
    cases: int | None


@dataclass(frozen=True, slots=True)
class Run:
    """One run.

    Attributes:
        chosen: what its requester chose, by name; choices of a tool begin with `parameter `.
        data: the images that it ran on: dataset and selection; `sites` are those that sent something.
        curves: by (model, metric): means over sites, by the round after which the model was there.
        judged: the metric that its model is judged by, and how it does at each site.
        read_from: the first round whose numbers are read.
    """

    id: str
    title: str
    state: JobState
    started: datetime | None
    ended: datetime | None
    rounds: int
    chosen: Mapping[str, str]
    data: frozenset[str]
    sites: frozenset[str]
    curves: Mapping[tuple[str, str], Curve] = field(default_factory=dict)
    judged: str | None = None
    standings: tuple[Standing, ...] = ()
    read_from: int = 1

    @property
    def metrics(self) -> tuple[str, ...]:
        """Return the names of its metrics, the one that it is judged by first."""
        names = sorted({metric for _, metric in self.curves})
        first = headline(names)
        return tuple(names if first is None else [first, *(name for name in names if name != first)])


def run_of(hub: Hub, session: Session, job_id: str, account: str) -> Run:
    """Return a run of an account's.

    Raises:
        JobNotFound: if the account has no such job.
    """
    job = views.job_of(session, job_id, account)
    manifest = manifest_of(job)
    if tool_named(manifest.code.name).worker is not WorkerKind.TRAINING:
        sites = frozenset(each.node for each in views.results(session, job).received)
        return _run(job, manifest, sites)
    first = max(1, job.round - ROUNDS_READ + 1)
    told = training_record(hub, session, job, notes_from=first)
    came = {site.node for each in told.done for site in each.sites if site.arrived is not None}
    return _run(job, manifest, frozenset(came), told, read_from=first)


def best(curve: Curve, metric: str) -> tuple[int, float] | None:
    """Return the round and value where a curve is best; None where nobody knows which way is better, or it is empty.

    >>> best({1: 0.5, 2: 0.7, 3: 0.6}, "dice"), best({1: 0.5, 2: 0.7}, "loss"), best({1: 0.5}, "oddity")
    ((2, 0.7), (1, 0.5), None)
    """
    better = higher_is_better(metric)
    if better is None or not curve:
        return None
    at = max(curve, key=lambda one: curve[one] if better else -curve[one])
    return at, curve[at]


def _run(
    job: JobRow,
    manifest: Manifest,
    sites: frozenset[str],
    told: TrainingRecord | None = None,
    *,
    read_from: int = 1,
) -> Run:
    judged, standings = _standings(told) if told is not None else (None, ())
    return Run(
        id=job.id,
        title=job.title,
        state=JobState(job.state),
        started=job.started,
        ended=job.ended,
        rounds=job.round,
        chosen=_chosen(manifest),
        data=frozenset(
            f"{one.iri} {_text(one.selector.model_dump(mode='json'))}" for one in manifest.datasets
        ),
        sites=sites,
        curves=_curves(told) if told is not None else {},
        judged=judged,
        standings=standings,
        read_from=read_from,
    )


def _chosen(manifest: Manifest) -> dict[str, str]:
    plan, training = manifest.plan, manifest.training
    found = {
        "tool": f"{manifest.code.name} {manifest.code.version}",
        "code": manifest.code.digest,
        "plan": plan.name.value,
        "plan options": _text(plan.options) if plan.options else "",
        "aggregator": _element(plan.aggregator, plan.aggregator_options),
        "rounds": str(plan.rounds),
        "quorum": str(plan.quorum),
        "seed": manifest.seed,
        **(_of_training(training) if training is not None else {}),
    }
    budget = manifest.privacy_budget
    found["privacy budget"] = _text(budget.model_dump(mode="json")) if budget is not None else ""
    return found | {f"parameter {name}": _text(value) for name, value in sorted(manifest.parameters.items())}


def _of_training(training: Training) -> dict[str, str]:
    def named(each: Element) -> str:
        return _element(each.name, each.options)

    return {
        "local step": named(training.local_step),
        "filters": ", ".join(map(named, training.filters)),
        "layers not trained": ", ".join(training.frozen),
        "started from": training.initial_model or "",
        "objective": training.objective.value,
    }


def _element(name: str, options: Mapping[str, JsonValue]) -> str:
    return f"{name} {_text(dict(options))}" if options else name


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)


def _curves(told: TrainingRecord) -> dict[tuple[str, str], Curve]:
    found: dict[tuple[str, str], Curve] = {}
    for metric in told.metrics():
        for model, by_site in ((MERGED, told.merged_curve(metric)), (LOCAL, told.local_curve(metric))):
            if curve := _mean(by_site):
                found[model, metric] = curve
    return found


def _mean(by_site: Mapping[str, Curve]) -> dict[int, float]:
    values: dict[int, list[float]] = {}
    for curve in by_site.values():
        for at, value in curve.items():
            values.setdefault(at, []).append(value)
    return {at: sum(each) / len(each) for at, each in sorted(values.items())}


def _standings(told: TrainingRecord) -> tuple[str | None, tuple[Standing, ...]]:
    for each in sorted(told.done, key=lambda one: one.round, reverse=True):
        metric = headline(
            name.removeprefix(BEFORE) for site in each.sites for name in site.notes if name.startswith(BEFORE)
        )
        if metric is not None:
            values, cases = each.values(BEFORE + metric), each.values(N_HELDOUT)
            return metric, tuple(
                Standing(node, value, int(cases[node]) if cases.get(node, -1) >= 0 else None)
                for node, value in sorted(values.items())
            )
    return None, ()
