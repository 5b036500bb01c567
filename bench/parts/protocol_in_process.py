"""Any compute plan run to its end in one process, on a clock of its own.

Plans, trainer and merging are the product's: what is missing are hub, nodes, wire and sandbox. How long a site trains
is given, not measured, so that a slow site can be had without waiting for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from fairbank.clock import FixedClock, iso
from fairbank.federated_jobs.algorithms.interface import (
    N_TRAIN,
    TrainingAlgorithm,
    exchanged,
    statistic,
    weights_in,
)
from fairbank.federated_jobs.algorithms.weights import Weights, read_weights, write_weights
from fairbank.federated_jobs.axes.validator import check_mix, usual_rounds
from fairbank.federated_jobs.code import UPDATE, tool_named
from fairbank.federated_jobs.hub.ensembles import keep_all
from fairbank.federated_jobs.hub.merging import MODEL, Arrived, Closing, examine, merge, read_metrics
from fairbank.federated_jobs.hub.steps import behind
from fairbank.federated_jobs.plans.machine import Closed, Done, Merging, Parcel, Step
from fairbank.federated_jobs.plans.registry import machine_of, setting_of
from fairbank.federated_jobs.update_notes import annotate
from fairbank.ontology.signed_objects import Manifest, Plan, PlanName, Selector, Training, VisaDataset


@dataclass(frozen=True, slots=True)
class PlanWish:
    """A plan as a job names it; rounds only where the plan does not fix them itself."""

    name: PlanName
    rounds: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)
    quorum: int | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """A model that a round ended with.

    Attributes:
        at_s: second of the run's own clock at which it was there.
        sites: whose updates are in it.
    """

    round: int
    at_s: float
    file: Path
    sites: tuple[str, ...]


@dataclass(slots=True)
class Run:
    """What a plan came to.

    Attributes:
        models: by site for an ensemble, else the one model under `model`.
        passes: how often each site trained.
        sent_bytes: models that went to sites and came from them.
        last: the site that trained last.
    """

    models: dict[str, Path] = field(default_factory=dict)
    versions: list[Version] = field(default_factory=list)
    passes: dict[str, int] = field(default_factory=dict)
    sent_bytes: int = 0
    too_old: int = 0
    seconds: float = 0.0
    last: str = ""


def manifest_of(wish: PlanWish, parameters: Mapping[str, Any], sites: tuple[str, ...], seed: str) -> Manifest:
    """Return the manifest of a job with a plan.

    Raises:
        PlanRefused: if no hub would take it.
    """
    clock, tool = FixedClock(), tool_named("classification")
    plan = Plan(
        name=wish.name,
        aggregator="fedavg",
        rounds=wish.rounds,
        quorum=wish.quorum or len(sites),
        approval_deadline=iso(clock.now()),
        options=dict(wish.options),
    )
    fixed = usual_rounds(plan, sites=len(sites))
    plan = plan.model_copy(update={"rounds": fixed}) if fixed else plan
    manifest = Manifest(
        id=clock.new_id(),
        visa="sha256:" + "0" * 64,
        requester_key="ed25519:" + "A" * 43,
        title=wish.name.value,
        datasets=tuple(
            VisaDataset(iri=f"https://h.example/datasets/{site}/all", selector=Selector()) for site in sites
        ),
        code=tool.code(),
        parameters=tool.check_parameters(parameters),
        outputs=tool.outputs,
        plan=plan,
        training=Training(),
        seed=seed,
        created=iso(clock.now()),
    )
    check_mix(manifest.plan, manifest.training, sites=len(sites))
    return manifest


class InProcess:
    """One job whose sites are algorithms that have begun.

    Args:
        folder: for models; empty.
        seconds: how long each site trains one round, on the run's own clock.
        enough: is asked after each version; True ends the run there.
    """

    def __init__(
        self,
        manifest: Manifest,
        sites: Mapping[str, TrainingAlgorithm],
        folder: Path,
        *,
        seconds: Mapping[str, float] | None = None,
        enough: Callable[[Version], bool] = lambda version: False,
    ) -> None:
        self._manifest, self._sites, self._folder = manifest, sites, folder
        self._seconds, self._enough = seconds or dict.fromkeys(sites, 1.0), enough
        self._names = tuple(sorted(sites))
        self._states: dict[str, Weights] = {}
        self._bases: dict[int, Path | None] = {}
        self._parcels: dict[Parcel, tuple[Path, int]] = {}
        # Who is at work where nobody waits: since which version, and until when.
        self._at_work: dict[str, tuple[int, float]] = {}
        self.run_so_far = Run(passes=dict.fromkeys(self._names, 0))

    def run(self) -> Run:
        """Run the plan to its end."""
        run, machine = self.run_so_far, machine_of(self._manifest.plan.name)
        setting = setting_of(self._manifest, self._names)
        step, number, state = machine.first(setting), 1, None
        models: dict[str | None, Path | None] = {None: None}
        while True:
            self._bases[number] = models[step.base]
            arrived, stale = self._round(step, number)
            result = None
            notes: dict[str, Any] = {}
            if step.merging is not Merging.SEALED and arrived:
                closing = Closing(
                    self._manifest,
                    number,
                    arrived,
                    base=models[step.base],
                    state=state,
                    bases={site: base for site, age in stale.items() if (base := self._bases[number - age])},
                    staleness=stale,
                )
                made = self._merged(step, closing)
                if step.merging is Merging.KEEP_ALL:
                    run.models = {name.partition("-")[2]: path for name, path in made.items() if "-" in name}
                    return run
                state = made.get("server-state", state)
                result, notes = f"round-{number}", self._notes
                models[result] = made[MODEL]
                version = Version(number, run.seconds, made[MODEL], tuple(one.node for one in arrived))
                run.versions.append(version)
                if self._enough(version):
                    run.models = {MODEL: version.file}
                    return run
            who = tuple(sorted(one.node for one in arrived))
            after = machine.next(setting, step.state, Closed(number, step.base, result, who, notes))
            if isinstance(after, Done):
                final = models[after.model]
                assert final is not None
                run.models = {MODEL: final}
                return run
            step, number = after, number + 1

    def _round(self, step: Step, number: int) -> tuple[tuple[Arrived, ...], dict[str, int]]:
        if step.staleness is not None:
            return self._nobody_waits(step, number)
        arrived = tuple(self._trained(step, site, number) for site in step.participants)
        self.run_so_far.seconds += max(self._seconds[site] for site in step.participants)
        return arrived, {}

    def _nobody_waits(self, step: Step, number: int) -> tuple[tuple[Arrived, ...], dict[str, int]]:
        """Let sites finish one after the other on the run's clock, until there are enough for a version."""
        run = self.run_so_far
        arrived: list[Arrived] = []
        stale: dict[str, int] = {}
        for site in self._names:
            self._at_work.setdefault(site, (number, run.seconds + self._seconds[site]))
        while len(arrived) < (step.enough or len(self._names)):
            site = min(self._at_work, key=lambda one: (self._at_work[one][1], one))
            since, run.seconds = self._at_work.pop(site)
            age = behind(step, version=number, computed_for=since)
            if age is None:
                run.too_old += 1
                self._at_work[site] = (number, run.seconds + self._seconds[site])
                continue
            arrived.append(self._trained(step, site, since))
            if age:
                stale[site] = age
        return tuple(sorted(arrived, key=lambda one: one.node)), stale

    def _trained(self, step: Step, site: str, number: int) -> Arrived:
        run, algorithm = self.run_so_far, self._sites[site]
        base = self._base(step, site, number)
        into = self._folder / f"{site}-{number}-{len(run.versions)}.safetensors"
        notes: dict[str, int | float] = {}
        if step.mail is not None and not step.mail.trains:
            assert base is not None
            sent, n_train = base, max(self._parcels[one][1] for one in step.mail.takes[site])
        else:
            algorithm.begin_round(number, self._states.get(site, {}))
            algorithm.train(exchanged(base if base is not None else algorithm.initial_weights()))
            told = algorithm.get_weights()
            sent, n_train = weights_in(told), statistic(told, N_TRAIN)
            self._states[site] = algorithm.site_state()
            run.passes[site] += 1
            run.last = site
            found = algorithm.evaluate(exchanged(sent)).metrics or {}
            notes = {f"after_{name}": float(value) for name, value in found.items()}
        raw = into.with_suffix(".raw")
        _, size = write_weights(sent, raw, durable=False)
        annotate(raw, {"n_train": n_train, **notes}, to=into)
        raw.unlink()
        run.sent_bytes += size
        if step.merging is Merging.SEALED:
            self._parcels[Parcel(site, number)] = (into, n_train)
        return Arrived(site, UPDATE, str(into), into)

    def _base(self, step: Step, site: str, number: int) -> Weights | None:
        run = self.run_so_far
        if step.mail is None:
            file = self._bases[number]
            if file is None:
                return None
            run.sent_bytes += file.stat().st_size
            return read_weights(file)
        takes = [(one, *self._parcels[one]) for one in step.mail.takes[site]]
        if not takes:
            return None
        run.sent_bytes += sum(file.stat().st_size for one, file, _ in takes if one.sender != site)
        if step.mail.first_only:
            return read_weights(takes[0][1])
        return mean_by_samples([(read_weights(file), n_train) for _, file, n_train in takes])

    def _merged(self, step: Step, closing: Closing) -> dict[str, Path]:
        folder = self._folder / f"merged-{closing.round}"
        folder.mkdir()
        examined = examine(closing, closing.base)
        if examined.unfit:
            raise RuntimeError(f"updates of {examined.unfit} cannot be merged")
        checked = replace(closing, form=examined.form)
        made = (keep_all if step.merging is Merging.KEEP_ALL else merge)(checked, folder)
        self._notes = read_metrics(made).get("sites", {})
        return {file.name: file.path for file in made}


def mean_by_samples(models: list[tuple[Weights, int]]) -> Weights:
    """Return the mean of models, weighted by numbers of samples, in float64 and the order given."""
    total = sum(count for _, count in models)
    found: Weights = {}
    for name, first in models[0][0].items():
        summed = np.zeros(first.shape, np.float64)
        for weights, count in models:
            summed += weights[name].astype(np.float64) * (count / total)
        found[name] = summed.astype(first.dtype)
    return found
