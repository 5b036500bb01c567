"""The published protocols with one label an image: MNIST and PneumoniaMNIST, in one place and through a federation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any

from fairbank.deid.policies import PixelTrust
from fairbank.federated_jobs.algorithms.session import Metrics
from fairbank.ontology.signed_objects import PlanName
from parts.federation import Holding
from parts.labelled_images import write_bundled
from parts.protocol_data import Labelled, Split, pooled
from parts.protocol_federation import JobWish, Through, started
from parts.protocol_results import Result, Results, teller
from parts.protocol_training import POOLED, Alone, alone, classifier, in_short, measured

SEED = "1"
FIRST_SUBJECT = 100_000


@dataclass(frozen=True, slots=True)
class Variant:
    """One run of a protocol; without a plan the run in one place.

    Attributes:
        rounds_a_pass: after how many rounds each site's images were trained on once more.
    """

    plan: PlanName | None = None
    rounds: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    rounds_a_pass: int = 1
    split: str = "stratified"


@dataclass(frozen=True, slots=True)
class Protocol:
    """A published protocol.

    Attributes:
        read: returns training and test images.
        split: returns the sites' parts by the name of a split.
        bundle: how many images lie in one file, that is one subject.
    """

    name: str
    about: str
    parameters: Mapping[str, Any]
    passes: int
    variants: Mapping[str, Variant]
    read: Callable[[], tuple[Labelled, Labelled]]
    split: Callable[[Labelled, str], Split]
    bundle: int


def run_protocol(protocol: Protocol, results: Results, *, only: list[str], until: float = inf) -> None:
    """Run what is missing of a protocol.

    Args:
        until: second of the monotonic clock at which a run through a federation is ended with what there is.

    Raises:
        SystemExit: if it has no run of a name.
    """
    if unknown := set(only) - set(protocol.variants):
        raise SystemExit(f"{protocol.name} has no run {sorted(unknown)}, only {list(protocol.variants)}.")
    names = [name for name in (only or list(protocol.variants)) if results.missing(f"{protocol.name}-{name}")]
    if not names:
        return
    train, test = protocol.read()
    by_split: dict[str, list[str]] = {}
    for name in names:
        variant = protocol.variants[name]
        if variant.plan is None:
            _in_one_place(protocol, name, train, test, results, until)
        else:
            by_split.setdefault(variant.split, []).append(name)
    for split, chosen in by_split.items():
        _through_a_federation(protocol, chosen, protocol.split(train, split), test, results, until)


def _in_one_place(
    protocol: Protocol, name: str, train: Labelled, test: Labelled, results: Results, until: float
) -> None:
    run = f"{protocol.name}-{name}"
    told = teller(run)
    whole = pooled(protocol.split(train, "stratified"))
    algorithm = classifier(whole, test, protocol.parameters, site=POOLED, seed=SEED, rounds=protocol.passes)

    def keep(done: Alone) -> None:
        results.keep(
            run,
            {
                **_what(protocol, protocol.variants[name]),
                "passes": len(done.curve),
                "n_train": done.n_train,
                "n_test": len(test),
                "curve": [{"pass": number, **one} for number, one in enumerate(done.curve, 1)],
                "final": done.curve[-1],
                "costs": {"cpu_s": done.cpu_s},
            },
        )

    work = results.work_of(run)
    keep(alone(algorithm, rounds=protocol.passes, kept=work, told=told, seen=keep, until=until))


def _through_a_federation(
    protocol: Protocol, names: list[str], parts: Split, test: Labelled, results: Results, until: float
) -> None:
    told = teller(f"{protocol.name}-{'+'.join(names)}")

    def write(folder: Path, site: str) -> None:
        first = FIRST_SUBJECT * sorted(parts).index(site)
        part = parts[site]
        files = write_bundled(
            part.images, part.told(), folder, first=first, most=protocol.bundle, about=protocol.about
        )
        told(f"{site}: {len(part)} images in {files} files")

    # Published images that somebody has looked at: they show nothing but what they are about.
    holding = Holding(protocol.name, "classification", write, trust=PixelTrust.REVIEWED)
    with started(holding, told=told) as federation:
        for name in names:
            variant = protocol.variants[name]
            assert variant.plan is not None
            wish = JobWish(
                title=f"{protocol.name}, {name}",
                parameters=protocol.parameters,
                plan=variant.plan,
                seed=SEED,
                rounds=variant.rounds,
                plan_options=variant.options,
            )
            run = f"{protocol.name}-{name}"
            judge = _Judge(protocol, name, parts, test, results)
            work = results.work_of(run)
            judge(federation.train(wish, work, told=teller(run), seen=judge, until=until))


class _Judge:
    """Measures the model after each pass on the test images, as the run in one place is measured, and keeps that."""

    def __init__(self, protocol: Protocol, name: str, parts: Split, test: Labelled, results: Results) -> None:
        self._protocol, self._run, self._results = protocol, f"{protocol.name}-{name}", results
        self._variant, self._parts, self._n_test = protocol.variants[name], parts, len(test)
        first = next(iter(parts.values()))
        self._algorithm = classifier(
            first, test, protocol.parameters, site=POOLED, seed=SEED, rounds=protocol.passes
        )
        self._curve: dict[int, Metrics] = {}

    def __call__(self, through: Through) -> None:
        step, passes = (
            self._variant.rounds_a_pass,
            max(through.models, default=0) // self._variant.rounds_a_pass,
        )
        new = [number for number in range(1, passes + 1) if number not in self._curve]
        if not new or not through.gaps:
            return
        for number in new:
            self._curve[number] = measured(self._algorithm, through.models[number * step])
            teller(self._run)(f"after pass {number}: {in_short(self._curve[number])}")
        self._results.keep(
            self._run,
            {
                **_what(self._protocol, self._variant),
                "passes": passes,
                "rounds": max(through.models),
                "sites": {site: part.counts() for site, part in sorted(self._parts.items())},
                "n_train": sum(len(part) for part in self._parts.values()),
                "n_test": self._n_test,
                "bundle": self._protocol.bundle,
                "curve": [{"pass": number, **one} for number, one in sorted(self._curve.items())],
                "final": self._curve[passes],
                "costs": through.costs(),
            },
        )


def _what(protocol: Protocol, variant: Variant) -> Result:
    return {
        "protocol": protocol.name,
        "passes_asked": protocol.passes,
        "seed": SEED,
        "parameters": dict(protocol.parameters),
        "split": variant.split,
        "plan": variant.plan.value if variant.plan else "",
        "plan_options": dict(variant.options),
    }
