"""A training that passes through filters at the sites, the gate and the hub's merging, without network or database."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from fairbank.federated_jobs.algorithms.weights import Weights, digest_of_file, read_weights, write_weights
from fairbank.federated_jobs.axes.validator import check_mix
from fairbank.federated_jobs.code import UPDATE, tool_named
from fairbank.federated_jobs.hub.merging import (
    CARRIED,
    MODEL,
    SERVER_STATE,
    Arrived,
    Closing,
    Examined,
    MergedFile,
    examine,
    merge,
)
from fairbank.federated_jobs.node.filtering import Filtered, Training, filtered_round
from fairbank.federated_jobs.node.runner import RoundTask
from fairbank.federated_jobs.update_notes import annotate
from fairbank.ontology.outputs import DoorClass
from fairbank.ontology.signed_objects import Element, Manifest, Output, Plan, PlanName
from fairbank.ontology.signed_objects import Training as Asked
from fairbank.release.candidates import Candidate
from fairbank.release.gate import Policy, Verdict, judge

MOMENT = "2030-01-01T00:00:00.000Z"
DIGEST = "sha256:" + "0" * 64
KEY = "ed25519:" + "A" * 43
LIMIT = 1 << 20


def manifest(
    aggregator: str = "fedavg",
    filters: tuple[tuple[str, dict[str, Any]], ...] = (),
    *,
    sites: int = 3,
    limit: int = LIMIT,
    **options: Any,
) -> Manifest:
    """Return the manifest of a training; nobody has signed it."""
    plan = Plan(
        name=PlanName.AGGREGATION,
        aggregator=aggregator,
        rounds=100,
        quorum=sites,
        approval_deadline=MOMENT,
        aggregator_options=options,
    )
    training = Asked(filters=tuple(Element(name=name, options=given) for name, given in filters))
    check_mix(plan, training, sites=sites)
    tool = tool_named("noop")
    return Manifest.model_construct(
        id="0190a0a0-0000-7000-8000-000000000000",
        visa=DIGEST,
        requester_key=KEY,
        title="A training",
        datasets=tuple(range(sites)),
        code=tool.code(),
        parameters={},
        outputs=(tool.outputs[0].model_copy(update={"maximum_bytes": limit}),),
        plan=plan,
        training=training,
        seed="7",
        created=MOMENT,
    )


@dataclass
class Site:
    """One site: what its code does to a model, and what its code says of it.

    Attributes:
        step: returns the update of a model.
        spoil: changes the file that leaves, as a site could that does not keep to the rules.
    """

    name: str
    folder: Path
    job: Manifest
    step: Callable[[Weights, int], Weights]
    first: Weights
    notes: Mapping[str, int | float] = field(default_factory=lambda: {"n_train": 10, "n_steps": 3})
    spoil: Callable[[Path], None] = lambda path: None
    previous: int = 0
    seen: list[Weights] = field(default_factory=list)

    def round(self, number: int, model: Path | None) -> Filtered:
        """Compute one round up to the gate."""
        products = self.folder / self.name / "products"
        products.mkdir(parents=True, exist_ok=True)

        def train(start: Path | None, to: Path) -> None:
            begun = read_weights(start) if start is not None else self.first
            self.seen.append(begun)
            plain = to.with_name("made")
            write_weights(self.step(begun, number), plain, durable=False)
            annotate(plain, self.notes, to=to)

        task = RoundTask(
            manifest=self.job,
            tool=tool_named("noop"),
            site=self.name,
            series=list,
            cohort_digest=DIGEST,
            round=number,
            previous_round=self.previous,
            global_model=model,
            folder=products,
        )
        training = Training(train, lambda to: _put(self.first, to))
        left = filtered_round(
            task, training, folder=self.folder / self.name, into=products / f"{UPDATE}-{number}.safetensors"
        )
        self.previous = number
        return left


def judged(job: Manifest, left: Filtered) -> Verdict:
    """Return what the gate says to an update."""
    limits: Output = job.outputs[0]
    candidate = Candidate(
        door_class=DoorClass.UPDATE,
        output=UPDATE,
        content=left.path,
        media_type=limits.media_type,
        job=job.id,
        limits=limits,
        subjects=100,
        tensors=left.form,
        encoded=left.encoded,
        packed=left.packed,
    )
    return judge(candidate, left.path, Policy(node="north", key_id=KEY, k=2, maximum_bytes=LIMIT))


class Federation:
    """Sites and a hub; `released` are the bytes of every update that left."""

    def __init__(self, folder: Path, job: Manifest, sites: list[Site]) -> None:
        self.folder, self.job, self.sites = folder, job, sites
        self.model: Path | None = None
        self.state: Path | None = None
        self.released: list[bytes] = []
        self.merged: list[MergedFile] = []
        self.number = 0

    def collect(self) -> Closing:
        """Have all sites compute the next round, and return what came of it."""
        self.number += 1
        arrived = []
        for site in self.sites:
            left = site.round(self.number, self.model)
            verdict = judged(self.job, left)
            assert verdict.allowed, verdict.reasons
            site.spoil(left.path)
            self.released.append(left.path.read_bytes())
            arrived.append(Arrived(site.name, UPDATE, digest_of_file(left.path), left.path))
        return Closing(self.job, self.number, tuple(arrived), base=self.model, state=self.state)

    def close(self, closing: Closing) -> Examined:
        """Merge what is fit of a round; the model of it is the next base."""
        found = examine(closing, closing.base, scratch=self.folder)
        if found.unfit:
            kept = tuple(item for item in closing.arrived if item.node not in found.unfit)
            again = replace(closing, arrived=kept)
            assert self.close(again).unfit == ()
            return found
        place = self.folder / f"round-{closing.round}"
        place.mkdir()
        self.merged = merge(replace(closing, form=found.form), place)
        named = {file.name: file for file in self.merged}
        # As the hub: the next round starts from what is carried, where that is more than the model.
        self.model = (named.get(CARRIED) or named[MODEL]).path
        self.state = next((file.path for file in self.merged if file.name == SERVER_STATE), None)
        return found

    def run(self, rounds: int) -> Weights:
        """Run some rounds and return the model."""
        for _ in range(rounds):
            self.close(self.collect())
        assert self.model is not None
        return read_weights(self.model)


def _put(weights: Weights, to: Path) -> None:
    write_weights(weights, to, durable=False)


def pull(centre: np.ndarray, rate: float = 0.3) -> Callable[[Weights, int], Weights]:
    """Return a step of three passes of gradient descent towards a centre, in the layer `body`."""

    def step(weights: Weights, number: int) -> Weights:
        trained = dict(weights)
        for _ in range(3):
            trained["body"] = trained["body"] - np.float32(rate) * (trained["body"] - centre)
        return {name: w.astype(weights[name].dtype) for name, w in trained.items()}

    return step
