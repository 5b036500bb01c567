"""Every plan with every aggregator and every filter that the rules allow trains a tiny problem, or says why not.

Five sites have the same straight line in differently scaled points. Weights start at zero; a mix has trained if the
mean squared error over all sites is below a twentieth of what it was, or a quarter where a method goes slower by its
nature.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from fairbank.clock import FixedClock, iso
from fairbank.federated_jobs.axes.aggregators import AGGREGATORS
from fairbank.federated_jobs.axes.filters import FILTERS
from fairbank.federated_jobs.axes.plans import PLANS
from fairbank.federated_jobs.axes.validator import check_mix, usual_rounds
from fairbank.federated_jobs.code import UPDATE, tool_named
from fairbank.federated_jobs.encrypted_jobs import is_encrypted
from fairbank.federated_jobs.filters.encrypting import new_key
from fairbank.federated_jobs.hub.ensembles import keep_all
from fairbank.federated_jobs.hub.merging import MODEL, Arrived, Closing, examine, merge, read_metrics
from fairbank.federated_jobs.hub.steps import behind
from fairbank.federated_jobs.node.runner import RoundTask
from fairbank.federated_jobs.plans.machine import Closed, Done, Merging, Step
from fairbank.federated_jobs.plans.registry import machine_of, setting_of
from fairbank.federated_jobs.training_errors import PlanRefused
from fairbank.federated_jobs.update_notes import annotate
from fairbank.ontology.signed_objects import (
    Element,
    Manifest,
    Plan,
    PlanName,
    Selector,
    Training,
    VisaDataset,
)

SITES = tuple(f"site-{number}" for number in range(5))
ROUNDS, STEPS, RATE = 12, 4, 0.2
TRUE = np.array([1.0, -2.0, 0.5, 3.0])
WELL, SLOWLY = 1 / 20, 1 / 4
# Options with which a choice is of use on so small a problem; of all others the usual ones.
OPTIONS: dict[str, dict[str, Any]] = {
    "fedadagrad": {"server_rate": "1"},
    "fedadam": {"server_rate": "0.5"},
    "fedyogi": {"server_rate": "0.5"},
    "fedavgm": {"momentum": "0.5"},
    "clip-norm": {"bound": "100"},
    "top-k": {"fraction": "0.5"},
    "cyclic-weight-transfer": {"cycles": 2},
}
# What goes slower by its nature: it takes one update of five, loses most of each, trains once, or has slow moments.
SLOW = frozenset(
    {"ensemble", "krum", "fedadagrad", "fedadam", "fedyogi", "sign", "auto-fedavg", "bounded-staleness"}
)


# What peers seal to each other is put together by them; test_peer_to_peer.py trains with each of their plans.
AT_THE_HUB = [name for name, plan in PLANS.items() if not plan.sealed]


@dataclass(frozen=True)
class MixNames:
    """One mix by the names of its choices."""

    plan: str
    aggregator: str
    filters: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " + ".join((self.plan, self.aggregator, *self.filters))

    @property
    def bound(self) -> float:
        return SLOWLY if SLOW & {self.plan, self.aggregator, *self.filters} else WELL

    def manifest(self) -> Manifest:
        clock = FixedClock()
        plan = Plan(
            name=PlanName(self.plan),
            aggregator=self.aggregator,
            rounds=ROUNDS,
            quorum=len(SITES),
            approval_deadline=iso(clock.now()),
            options=OPTIONS.get(self.plan, {}),
            aggregator_options=OPTIONS.get(self.aggregator, {}),
        )
        fixed = usual_rounds(plan, sites=len(SITES))
        chosen = tuple(Element(name=name, options=OPTIONS.get(name, {})) for name in self.filters)
        tool = tool_named("noop")
        return Manifest(
            id=clock.new_id(),
            visa="sha256:" + "0" * 64,
            requester_key="ed25519:" + "A" * 43,
            title=str(self)[:200],
            datasets=tuple(
                VisaDataset(iri=f"https://h.example/datasets/{site}/all", selector=Selector())
                for site in SITES
            ),
            code=tool.code(),
            parameters={},
            outputs=tool.outputs,
            plan=plan.model_copy(update={"rounds": fixed}) if fixed else plan,
            training=Training(filters=chosen),
            seed="7",
            created=iso(clock.now()),
        )


def all_mixes() -> Iterator[MixNames]:
    """Return every plan with every aggregator and no filter, or one; the usual filters in pairs with the usual rest."""
    for plan in AT_THE_HUB:
        for aggregator in AGGREGATORS:
            yield MixNames(plan, aggregator)
            for name in FILTERS:
                yield MixNames(plan, aggregator, (name,))
    for first in FILTERS:
        for second in FILTERS:
            if FILTERS[first].place < FILTERS[second].place:
                yield MixNames("aggregation", "fedavg", (first, second))


def allowed(mix: MixNames) -> bool:
    manifest = mix.manifest()
    try:
        check_mix(manifest.plan, manifest.training, sites=len(SITES))
    except PlanRefused:
        return False
    return True


@dataclass
class Tiny:
    """A federation of five sites without hub, nodes or wire: plans, filters and merging are the product's own."""

    folder: Path
    mix: MixNames
    manifest: Manifest
    model: Path | None = None
    bases: dict[int, Path | None] = field(default_factory=dict)
    previous: dict[str, int] = field(default_factory=dict)
    state: Path | None = None

    def run(self) -> list[Path]:
        """Run the plan to its end and return its models."""
        machine = machine_of(self.manifest.plan.name)
        step, number = machine.first(setting_of(self.manifest, SITES)), 1
        models: dict[str | None, Path | None] = {None: None}
        # Where nobody waits, the last site is always one version late.
        slow = SITES[-1] if step.staleness else None
        while True:
            self.bases[number] = models[step.base]
            arrived, stale = self._round(step, number, slow=slow)
            closing = Closing(
                self.manifest,
                number,
                arrived,
                base=models[step.base],
                state=self.state,
                bases={site: base for site, age in stale.items() if (base := self.bases[number - age])},
                staleness=stale,
            )
            made = self._merged(step, closing)
            if step.merging is Merging.KEEP_ALL:
                return [file.path for file in made if file.name.startswith(f"{MODEL}-")]
            by_name = {file.name: file for file in made}
            self.state = by_name["server-state"].path if "server-state" in by_name else self.state
            result = f"round-{number}"
            models[result] = by_name[MODEL].path
            notes = read_metrics(made).get("sites", {})
            closed = Closed(number, step.base, result, tuple(sorted({a.node for a in arrived})), notes)
            after = machine.next(setting_of(self.manifest, SITES), step.state, closed)
            if isinstance(after, Done):
                final = models[after.model]
                assert final is not None
                return [final]
            step, number = after, number + 1

    def _round(
        self, step: Step, number: int, *, slow: str | None
    ) -> tuple[tuple[Arrived, ...], dict[str, int]]:
        arrived, stale = [], {}
        for site in step.participants:
            of_round = number
            if site == slow:
                of_round = number - 1
                if of_round < 1 or behind(step, version=number, computed_for=of_round) is None:
                    continue
                stale[site] = 1
            path = self._update(site, of_round)
            arrived.append(Arrived(site, UPDATE, str(path), path))
        return tuple(arrived), stale

    def _update(self, site: str, number: int) -> Path:
        folder = self.folder / site
        folder.mkdir(exist_ok=True)
        into = folder / f"update-{number}-{len(list(folder.iterdir()))}.safetensors"
        task = RoundTask(
            manifest=self.manifest,
            tool=tool_named("noop"),
            site=site,
            series=list,
            cohort_digest="",
            round=number,
            previous_round=self.previous.get(site, 0),
            global_model=self.bases[number],
            folder=folder,
            shared_key=_key() if is_encrypted(self.manifest) else None,
        )

        def train(model: Path | None, target: Path) -> None:
            points, values = data_of(site)
            weights = load_file(model)["w"].astype(np.float64) if model else np.zeros(len(TRUE))
            before = error(weights, site)
            for _ in range(STEPS):
                weights -= RATE * 2 * points.T @ (points @ weights - values) / len(values)
            raw = target.with_suffix(".raw")
            save_file({"w": weights.astype(np.float32)}, raw)
            told = {"before_loss": before, "after_loss": error(weights, site), "n_steps": STEPS}
            annotate(raw, {"n_train": len(values), "n_heldout": 5, **told}, to=target)

        leave(task, train, folder=folder, into=into)
        self.previous[site] = number
        return into

    def _merged(self, step: Step, closing: Closing) -> list[Any]:
        folder = self.folder / f"merged-{closing.round}"
        folder.mkdir()
        examined = examine(closing, closing.base)
        assert not examined.unfit
        checked = replace(closing, form=examined.form)
        return (keep_all if step.merging is Merging.KEEP_ALL else merge)(checked, folder)


@cache
def _key() -> bytes:
    return new_key()


def leave(task: RoundTask, train: Any, *, folder: Path, into: Path) -> None:
    """Train a round and let its update through the filters, where there are any."""
    if find_spec("fairbank.federated_jobs.node.filtering") is None:
        train(task.global_model, into)
        return
    from fairbank.federated_jobs.node import filtering

    def initial(path: Path) -> None:
        save_file({"w": np.zeros(len(TRUE), dtype=np.float32)}, path)

    filtering.filtered_round(task, filtering.Training(train, initial), folder=folder, into=into)


def data_of(site: str) -> tuple[np.ndarray, np.ndarray]:
    """Return a site's points, (n, 4) float64, and the values of the line there, (n,) float64."""
    number = SITES.index(site)
    drawn = np.random.default_rng(number)
    points = drawn.normal(size=(20 + 10 * number, len(TRUE))) * (0.8 + 0.1 * number)
    # A little noise, so that no loss is ever nothing.
    return points, points @ TRUE + 0.1 * drawn.normal(size=len(points))


def error(weights: np.ndarray, site: str) -> float:
    points, values = data_of(site)
    return float(np.mean((points @ weights - values) ** 2))


def mean_error(models: list[np.ndarray]) -> float:
    """Return the mean squared error over all sites of the mean of what models predict."""
    return float(np.mean([error(np.mean(models, axis=0), site) for site in SITES]))


MIXES = sorted((mix for mix in all_mixes() if allowed(mix)), key=str)
# Each plan with its usual aggregator, and some of the rest by a fixed seed; all of it in the long run.
SURE = [mix for mix in MIXES if mix.aggregator == "fedavg" and not mix.filters]
ENCRYPTED = [mix for mix in MIXES if any(FILTERS[name].encrypts for name in mix.filters)]
REST = [mix for mix in MIXES if mix not in [*SURE, *ENCRYPTED]]
DRAWN = random.Random(20).sample(REST, k=min(10, len(REST)))


@pytest.mark.parametrize(
    "mix",
    [
        *SURE,
        *ENCRYPTED,
        *DRAWN,
        *(pytest.param(mix, marks=pytest.mark.long) for mix in REST if mix not in DRAWN),
    ],
    ids=str,
)
def test_a_mix_that_the_rules_allow_trains_to_its_bound(tmp_path, mix):
    models = Tiny(tmp_path, mix, mix.manifest()).run()
    before = mean_error([np.zeros(len(TRUE))])
    after = mean_error([load_file(path)["w"].astype(np.float64) for path in models])
    assert after < mix.bound * before


def test_every_plan_and_every_aggregator_is_in_some_mix():
    assert {mix.plan for mix in MIXES} == set(AT_THE_HUB)
    assert {mix.aggregator for mix in MIXES} == set(AGGREGATORS)
    assert {name for mix in MIXES for name in mix.filters} == set(FILTERS)


@pytest.mark.parametrize("mix", SURE, ids=str)
def test_a_mix_trains_to_the_same_bits_again(tmp_path, mix):
    def models(name: str) -> list[bytes]:
        (tmp_path / name).mkdir()
        return [path.read_bytes() for path in Tiny(tmp_path / name, mix, mix.manifest()).run()]

    assert models("one") == models("two")
