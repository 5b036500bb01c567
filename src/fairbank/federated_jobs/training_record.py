"""What is told about a training: round by round and site by site, what came, when, of which size, with which notes.

The hub makes it of its own tables; reports, curves, event files and tables are made of it, at the requester.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

from pydantic import Field, JsonValue

from fairbank.federated_jobs.objectives import BEFORE, Verdict, headline, verdict
from fairbank.federated_jobs.protections import ProtectionName
from fairbank.federated_jobs.protocol import RoundNumber
from fairbank.federated_jobs.reasons import Reason
from fairbank.federated_jobs.states import JobState, RoundState, SiteState
from fairbank.ontology.signed_objects import Code, Element, Objective
from fairbank.ontology.wire import DigestText, Id, Iri, Moment, Part, ShortText, Slug, Wire

N_TRAIN, N_HELDOUT, WEIGHT = "n_train", "n_heldout", "weight"


class Origin(StrEnum):
    """What the numbers of a report were made from."""

    REAL_WORLD = "real-world"
    SYNTHETIC = "synthetic"
    SIMULATED = "simulated"
    MIXED = "mixed"
    UNKNOWN = "not stated"


class SiteOfTraining(Part):
    """One site of a training, all rounds together.

    Attributes:
        origin: what its datasets say that they are.
        cpu_s, gpu_s: seconds, as the site told them, rounded up to the next of 1, 2, 5, 10, …
    """

    node: Slug
    state: SiteState
    reason: Reason
    origin: Origin = Origin.UNKNOWN
    datasets: tuple[Iri, ...] = ()


class GroupMetric(Part):
    """One metric of the model that a round starts from, on the held-out subjects of one group of a site.

    Attributes:
        kind: `sex`, `age_band` or `manufacturer`.
        n_subjects: as the site's gate told it.
        low, high: 95 % interval, where there is one.
    """

    kind: ShortText
    group: ShortText
    n_subjects: Annotated[int, Field(ge=0)]
    metric: ShortText
    value: float
    low: float | None = None
    high: float | None = None


class SiteOfRound(Part):
    """One site in one round.

    Attributes:
        arrived: when its update was taken; None if none was.
        notes: the numbers that came with the update, and what the hub wrote down of it while merging.
        bytes_up, bytes_down: what the hub took and gave.
        groups: what the site told by groups of its held-out subjects; of the newest round that has any.
    """

    node: Slug
    arrived: Moment | None = None
    notes: dict[ShortText, float] = {}
    groups: Annotated[tuple[GroupMetric, ...], Field(max_length=5000)] | None = None
    digest: DigestText | None = None
    bytes_up: int = 0
    bytes_down: int = 0
    cpu_s: int = 0
    gpu_s: int = 0


class RoundOfTraining(Part):
    """One round.

    Attributes:
        base: the model that it started from; None for the one that the seed makes.
        result: the model that it ended with.
    """

    round: RoundNumber
    state: RoundState
    opened: Moment
    closed: Moment | None = None
    deadline: Moment | None = None
    base: DigestText | None = None
    result: DigestText | None = None
    sites: tuple[SiteOfRound, ...] = ()

    def values(self, name: str) -> dict[str, float]:
        """Return a note by site, where sites have told it."""
        return {site.node: site.notes[name] for site in self.sites if name in site.notes}


class TrainingRecord(Wire):
    """All that is told about one training.

    Attributes:
        evaluation: whether nothing is trained; the sites only measure a model.
        settings: the choices of the manifest.
        protections: those that the training has.
        rounds_from: the first round that is told, so that who watches asks for what is new.
    """

    schema_name = "training/1"

    job: Id
    title: ShortText
    state: JobState
    reason: Reason
    code: Code
    plan: Slug
    aggregator: Element
    local_step: Element
    filters: tuple[Element, ...] = ()
    frozen: tuple[ShortText, ...] = ()
    initial_model: DigestText | None = None
    objective: Objective
    evaluation: bool = False
    parameters: dict[str, JsonValue] = {}
    protections: tuple[ProtectionName, ...] = ()
    seed: ShortText
    round: RoundNumber
    rounds: RoundNumber
    quorum: int
    created: Moment
    started: Moment | None = None
    ended: Moment | None = None
    seen: Annotated[int, Field(ge=0)] = 0
    rounds_from: RoundNumber = 1
    sites: tuple[SiteOfTraining, ...]
    done: tuple[RoundOfTraining, ...]

    @property
    def origin(self) -> Origin:
        """Return what the numbers were made from, all sites together."""
        kinds = {site.origin for site in self.sites}
        return kinds.pop() if len(kinds) == 1 else Origin.MIXED

    def metrics(self) -> tuple[str, ...]:
        """Return the names of all metrics that sites told, the one that the model is judged by first."""
        found: dict[str, None] = {}
        for each in self.done:
            for site in each.sites:
                for name in site.notes:
                    head, _, metric = name.partition("_")
                    if head in ("before", "after") and metric:
                        found.setdefault(metric)
        first = headline(found)
        ordered = sorted(found)
        return tuple(ordered if first is None else [first, *(name for name in ordered if name != first)])

    def merged_curve(self, metric: str) -> dict[str, dict[int, float]]:
        """Return by site how the merged model did on its held-out samples: after each round, 0 for the first model.

        A round measures the model that it starts from, so the model of the last round has no value.
        """
        return self._curve(BEFORE + metric, shift=-1)

    def local_curve(self, metric: str) -> dict[str, dict[int, float]]:
        """Return by site how the site's own model did there after each round."""
        return self._curve(f"after_{metric}", shift=0)

    def standing(self) -> tuple[Verdict, int] | None:
        """Return how the last merged model that was measured stands, and after which round it was made."""
        for each in sorted(self.done, key=lambda one: one.round, reverse=True):
            if each.round == 1 and not self.evaluation and self.initial_model is None:
                return None
            names = {name for site in each.sites for name in site.notes}
            metric = headline(name.removeprefix(BEFORE) for name in names if name.startswith(BEFORE))
            if metric is None:
                continue
            found = verdict(self.objective, metric, each.values(BEFORE + metric), each.values(N_HELDOUT))
            if found is not None:
                return found, each.round - 1
        return None

    def by_group(self) -> tuple[dict[str, tuple[GroupMetric, ...]], int] | None:
        """Return by site what was told by group last, and after which round the model was made; None if nothing was."""
        for each in sorted(self.done, key=lambda one: one.round, reverse=True):
            if found := {site.node: site.groups for site in each.sites if site.groups}:
                return found, each.round - 1
        return None

    def shares(self) -> dict[str, float]:
        """Return what part each site had in all merged models: mean over rounds of its weight, 0 to 1."""
        summed: dict[str, float] = {}
        counted = 0
        for each in self.done:
            weights = _weights(each)
            total = sum(weights.values())
            if total <= 0:
                continue
            counted += 1
            for node, weight in weights.items():
                summed[node] = summed.get(node, 0.0) + weight / total
        return {node: value / counted for node, value in sorted(summed.items())} if counted else {}

    def missing(self) -> Iterator[tuple[int, str]]:
        """Yield (round, site) where a round closed without a site that took part before or later, or approved."""
        for each in self.done:
            if each.closed is None:
                continue
            came = {site.node for site in each.sites if site.arrived is not None}
            for site in self.sites:
                if site.node not in came and site.state is not SiteState.REJECTED:
                    yield each.round, site.node

    def _curve(self, name: str, *, shift: int) -> dict[str, dict[int, float]]:
        curves: dict[str, dict[int, float]] = {}
        for each in self.done:
            for node, value in each.values(name).items():
                curves.setdefault(node, {})[each.round + shift] = value
        return dict(sorted(curves.items()))


def _weights(one: RoundOfTraining) -> dict[str, float]:
    """Return the weights that the hub wrote down; where it wrote none, the numbers of samples."""
    return one.values(WEIGHT) or one.values(N_TRAIN)
