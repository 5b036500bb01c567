"""The interface of a training algorithm: MONAI's `ClientAlgo`, and the four things that it leaves out.

`ClientAlgo` says how a site trains and evaluates; it has no initial model, no sample counts and no state that
outlives a process. A class of this kind adds them; weights inside an `ExchangeObject` are numpy arrays by name.

Source: monai.fl.client.client_algo and monai.fl.utils.exchange_object, MONAI 1.6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from monai.fl.client.client_algo import ClientAlgo
from monai.fl.utils.constants import WeightType
from monai.fl.utils.exchange_object import ExchangeObject

from fairbank.analysis.staged import StagedSeries
from fairbank.federated_jobs.algorithms.by_group import ByGroup
from fairbank.federated_jobs.algorithms.errors import NotTogether
from fairbank.federated_jobs.algorithms.parameters import AlgorithmParameters
from fairbank.federated_jobs.algorithms.several import Group
from fairbank.federated_jobs.algorithms.weights import Weights
from fairbank.federated_jobs.dp.plan import NoisePlan
from fairbank.federated_jobs.release_check import Wish
from fairbank.ontology.signed_objects import Training

if TYPE_CHECKING:
    import torch

N_TRAIN = "n_train"
N_HELDOUT = "n_heldout"
N_STEPS = "n_steps"
Groups = dict[str, dict[str, dict[str, float]]]


@dataclass(frozen=True, slots=True)
class SiteTask:
    """What a site gives an algorithm before its first round.

    Args:
        series: the staged series.
        job_seed: the seed of the job, as its manifest has it.
        site: the name that seeds are derived for.
        training: the local step and the frozen layers of the job.
        rounds: how many rounds the job has, for schedules.
        models: the folder with the files of models that came with the job; None if there is none.
        noise: how the node has it add noise; None for none.
    """

    parameters: AlgorithmParameters
    series: Sequence[StagedSeries]
    job_seed: str
    site: str
    training: Training = field(default_factory=Training)
    rounds: int = 1
    models: Path | None = None
    noise: NoisePlan | None = None


class TrainingAlgorithm(ClientAlgo):
    """A `ClientAlgo` with an initial model, sample counts and state between rounds.

    Attributes:
        trains_together: whether several processes can train one model of it; they are then given as `group`.
    """

    trains_together: ClassVar[bool] = False
    group = Group()

    def begin(self, task: SiteTask) -> int:
        """Read the series and build the network; return the number of series that can be used."""
        raise NotImplementedError

    def initial_weights(self) -> Weights:
        """Return the initial model: the same at every site of a job."""
        raise NotImplementedError

    def subjects_used(self) -> tuple[int, int] | None:
        """Return how many different subjects it uses in all and holds out; None if it uses all and holds out none."""
        return None

    def images_used(self) -> int:
        """Return of how many distinct samples the steps of the last round were made; 0 if that is not counted."""
        return 0

    def dead_share(self, data: ExchangeObject) -> float:
        """Return which share of the trained weights no local sample moves, from the given weights.

        It changes nothing. 0 if it is not measured.
        """
        return 0.0

    def unlabelled(self) -> int:
        """Return how many subjects are left out because the site knows no label of them."""
        return 0

    def groups(self) -> Groups:
        """Return the metrics of the last evaluation by group (sex, age, maker) and word; they stay at the site."""
        return {}

    def heldout_classes(self) -> list[int]:
        """Return how many held-out subjects each class has that occurs among them; nothing if none are classified."""
        return []

    def by_group(self) -> ByGroup:
        """Return the metrics of the last evaluation by group, each subject in one of each kind, for the gate."""
        return ByGroup()

    def begin_round(self, round_number: int, state: Weights) -> None:
        """Take up the state after the site's last round (empty before the first) and seed this round."""
        raise NotImplementedError

    def evaluate_together(self, models: Sequence[ExchangeObject], *, combine: str) -> ExchangeObject:
        """Return metrics, with counts, of the predictions of several models put together.

        Args:
            models: with their weights, at least two.
            combine: `mean` of the probabilities of classes (of values, where numbers are predicted), or the `vote` of
                the classes that each finds most probable, where of equally many the one with the higher mean counts.

        Raises:
            NotTogether: if the algorithm cannot.
        """
        raise NotTogether(
            f"The models of this algorithm cannot be put together by {combine!r}.",
            why="They are not applied as networks that score classes, or predict numbers.",
            todo="Evaluate each by itself: fairbank model evaluate.",
        )

    def remembered(self, data: ExchangeObject, wish: Wish) -> dict[str, float]:
        """Return how much a model remembers of the samples of this site, for the release check; nothing if unknown."""
        return {}

    def network(self, parameters: Any) -> torch.nn.Module | None:
        """Return the network that parameters lead to, with any weights; None if there is none. Needs no series."""
        return None

    def example_input(self, parameters: Any, *, seed: int) -> torch.Tensor:
        """Return a batch as the network takes it, made from a seed."""
        raise NotImplementedError

    def site_state(self) -> Weights:
        """Return what has to outlive this process after a round."""
        return {}


def exchanged(weights: Weights, **statistics: int) -> ExchangeObject:
    """Return full weights with counts."""
    return ExchangeObject(weights=weights, weight_type=WeightType.WEIGHTS, statistics=statistics)


def measured(metrics: dict[str, float], **statistics: int) -> ExchangeObject:
    """Return metrics with counts."""
    return ExchangeObject(metrics=metrics, statistics=statistics)


def weights_in(exchange: ExchangeObject) -> Weights:
    """Return the weights of an exchange object that must have some."""
    weights: Weights | None = exchange.weights
    if weights is None:
        raise ValueError("an exchange object without weights")
    return weights


def statistic(outcome: ExchangeObject, name: str) -> int:
    """Return a count out of an exchange object, 0 where the algorithm gives none."""
    return int((outcome.statistics or {}).get(name, 0))
