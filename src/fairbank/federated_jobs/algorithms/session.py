"""One training job inside its worker: runs rounds, and writes state to disk before an update can be released.

    update-000002.safetensors       what leaves the site after the gate
    state-000002.safetensors        what only this site needs to go on: the optimizer, if it is kept

A round always starts from files: the global model it was handed and the state after the site's last round. A
worker that was killed and started anew therefore computes the same bits as one that lived on.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from fairbank.analysis.staged import read_staged
from fairbank.federated_jobs.algorithms.by_group import ByGroup, round_digits
from fairbank.federated_jobs.algorithms.errors import (
    CheckpointMissing,
    GradientsDead,
    NoiseUnplanned,
    TrainingDiverged,
)
from fairbank.federated_jobs.algorithms.registry import (
    algorithm_offers,
    algorithm_parameters,
    require_algorithm,
)
from fairbank.federated_jobs.algorithms.several import Group, Partners, group_of
from fairbank.federated_jobs.algorithms.weights import (
    Weights,
    all_finite,
    digest_of,
    digest_of_file,
    read_weights,
    serialised,
    write_weights,
)
from fairbank.federated_jobs.axes.local_steps import require_fitting
from fairbank.federated_jobs.dp.plan import NoisePlan
from fairbank.federated_jobs.release_check import Wish
from fairbank.ontology.signed_objects import Training

if TYPE_CHECKING:
    from monai.fl.utils.exchange_object import ExchangeObject

    from fairbank.federated_jobs.algorithms.interface import TrainingAlgorithm

STATES_KEPT = 2
_INITIAL = "initial.safetensors"
Metrics = dict[str, float]


@dataclass(frozen=True, slots=True)
class InitialModel:
    """The initial model: its file in the scratch folder, digest, size in bytes and number of weights."""

    file: str
    digest: str
    bytes: int
    parameters: int


@dataclass(frozen=True, slots=True)
class ModelMetrics:
    """Metrics on the held-out samples; `subjects` as in `RoundResult`, `by_group` and `classes` for the gate."""

    metrics: Metrics
    n_heldout: int
    subjects: tuple[int, int] | None = None
    by_group: ByGroup = field(default_factory=ByGroup)
    classes: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class RoundResult:
    """What one round left in the scratch folder, with its counts and metrics.

    Args:
        groups: of the model that was trained here, by group.
        by_group: of the model that the round started from, for the gate.
        classes: how many held-out subjects each class has that occurs; nothing if none are classified.
    """

    file: str
    digest: str
    bytes: int
    base_digest: str
    n_train: int
    n_heldout: int
    before: Metrics
    after: Metrics
    subjects: tuple[int, int] | None
    n_steps: int = 0
    images: int = 0
    unlabelled: int = 0
    groups: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    by_group: ByGroup = field(default_factory=ByGroup)
    classes: list[int] = field(default_factory=list)


class TrainingSession:
    """A training algorithm with its site's series, ready for rounds."""

    def __init__(
        self,
        algorithm: TrainingAlgorithm,
        *,
        n_series: int,
        scratch: Path,
        partners: Partners | None = None,
    ) -> None:
        self._algorithm = algorithm
        self._scratch = scratch
        self._partners = partners
        self.n_series = n_series

    @classmethod
    def open(
        cls,
        *,
        name: str,
        digest: str,
        parameters: dict[str, object],
        job_seed: str,
        site: str,
        inputs: Path,
        scratch: Path,
        training: dict[str, object] | None = None,
        rounds: int = 1,
        models: Path | None = None,
        processes: int | None = None,
        noise: Mapping[str, object] | None = None,
    ) -> TrainingSession:
        """Load the approved code and read the staged series.

        Args:
            training: the local step and the frozen layers, as the manifest has them; plain training by default.
            rounds: how many rounds the job has.
            models: the folder with the files of models that came with the job.
            processes: how many train together; None for as many as there are GPUs, and one where there is none.
            noise: how the node has it add noise, as `NoisePlan.to_json` tells it; None for none.

        Raises:
            AlgorithmError: if code, parameters or series do not fit.
        """
        given: dict[str, Any] = {
            "name": name,
            "digest": digest,
            "parameters": parameters,
            "job_seed": job_seed,
            "site": site,
            "training": training,
            "rounds": rounds,
        }
        algorithm, n_series = opened_algorithm(
            **given, inputs=inputs, models=models, group=group_of(processes), noise=noise
        )
        partners = None
        if algorithm.group.size > 1:
            places = {"inputs": str(inputs), "models": str(models or "")}
            partners = Partners(algorithm.group, given | places, scratch)
        return cls(algorithm, n_series=n_series, scratch=scratch, partners=partners)

    def close(self) -> None:
        """End the processes that train together with this one; a round that follows starts others."""
        if self._partners is not None:
            self._partners.close()

    def initial(self) -> InitialModel:
        """Return what identifies the initial model."""
        weights = self._algorithm.initial_weights()
        file = self._scratch / _INITIAL
        digest, size = write_weights(weights, file, durable=False)
        return InitialModel(file.name, digest, size, sum(w.size for w in weights.values()))

    def train(
        self,
        round_number: int,
        weights: Path | None,
        *,
        previous: int,
        say: Callable[[float], None] = lambda part: None,
        grouped: bool = False,
    ) -> RoundResult:
        """Run one round from a global model, None for the initial one.

        Args:
            previous: the last round that this site took part in, 0 for none.
            grouped: also measure the global model by group.
            say: handed to the algorithm as `extra["say"]`; takes the part of the round that is trained, 0 to 1.

        Raises:
            CheckpointMissing: if the state after `previous` is not on disk.
            TrainingDiverged: if a weight is not finite after training.
        """
        from fairbank.federated_jobs.algorithms.interface import (
            N_STEPS,
            N_TRAIN,
            statistic,
            weights_in,
        )

        base, base_digest = self._base(weights)
        state = self._state_after(previous)
        with self._together(round_number, weights, previous):
            before = self._train(round_number, base, state, say=say, grouped=grouped)
        update = self._algorithm.get_weights()
        trained = weights_in(update)
        if not all_finite(trained):
            raise TrainingDiverged(
                f"A weight is not a finite number after round {round_number}.",
                why="The learning rate may be too high.",
                todo="Lower the learning rate and submit the job again.",
            )
        # State first: once the update exists it may be released, and then this round is never run again.
        write_weights(self._algorithm.site_state(), self._file("state", round_number))
        after = self._evaluate(trained)
        file = self._file("update", round_number)
        digest, size = write_weights(trained, file)
        self._forget_old_rounds()
        return RoundResult(
            file=file.name,
            digest=digest,
            bytes=size,
            base_digest=base_digest,
            n_train=statistic(update, N_TRAIN),
            n_heldout=after.n_heldout,
            before=before.metrics,
            after=after.metrics,
            subjects=self._algorithm.subjects_used(),
            n_steps=statistic(update, N_STEPS),
            images=self._algorithm.images_used(),
            unlabelled=self._algorithm.unlabelled(),
            groups=self._algorithm.groups(),
            by_group=before.by_group,
            classes=before.classes,
        )

    def _train(
        self,
        round_number: int,
        base: Weights,
        state: Weights,
        *,
        say: Callable[[float], None],
        grouped: bool,
    ) -> ModelMetrics:
        """Measure the model of the round and train it; return what was measured before."""
        from fairbank.federated_jobs.algorithms.interface import exchanged

        # Some steps keep layers at the site, which belong to the model that is measured.
        self._algorithm.begin_round(round_number, state)
        _check_alive(self._algorithm.dead_share(exchanged(base)))
        before = self._evaluate(base, grouped=grouped)
        self._algorithm.train(exchanged(base), extra={"round": round_number, "say": say})
        return before

    @contextmanager
    def _together(self, round_number: int, weights: Path | None, previous: int) -> Iterator[None]:
        """Have the other processes train the round that the block trains; whatever goes wrong in it ends them."""
        if self._partners is None:
            yield
            return
        try:
            self._partners.start()
            state = self._file("state", previous) if previous else None
            self._partners.train(round_number, weights, state)
            yield
        except BaseException:
            self._partners.close()
            raise

    def evaluate(
        self, weights: Path | None, *, grouped: bool = False, release_check: Wish | None = None
    ) -> ModelMetrics:
        """Return the metrics of a global model, None for the initial one; also by group if asked.

        Args:
            release_check: also measure how much it remembers of the samples that were trained on; None for not.
        """
        from fairbank.federated_jobs.algorithms.interface import exchanged

        base = self._base(weights)[0]
        found = self._evaluate(base, grouped=grouped)
        if release_check is None:
            return found
        remembered = self._algorithm.remembered(exchanged(base), release_check)
        return replace(
            found, metrics=found.metrics | {name: round_digits(each) for name, each in remembered.items()}
        )

    def evaluate_ensemble(self, members: Sequence[Path], *, combine: str) -> ModelMetrics:
        """Return the metrics of the predictions of several models, put together.

        Args:
            combine: `mean` or `vote`; see `TrainingAlgorithm.evaluate_together`.
        """
        from fairbank.federated_jobs.algorithms.interface import exchanged

        models = [exchanged(read_weights(member)) for member in members]
        return self._told(self._algorithm.evaluate_together(models, combine=combine))

    def checkpoints(self) -> list[int]:
        """Return the rounds whose state is on disk."""
        return sorted(int(file.stem.partition("-")[2]) for file in self._scratch.glob("state-*.safetensors"))

    def _base(self, weights: Path | None) -> tuple[Weights, str]:
        if weights is not None:
            return read_weights(weights), digest_of_file(weights)
        base = self._algorithm.initial_weights()
        return base, digest_of(serialised(base))

    def _state_after(self, round_number: int) -> Weights:
        if round_number == 0:
            return {}
        file = self._file("state", round_number)
        if not file.exists():
            raise CheckpointMissing(
                f"The state after round {round_number} is not there.",
                why="This site's scratch folder of the job was lost or cleaned up.",
                todo="Start the job anew; a round cannot be repeated from another state.",
            )
        return read_weights(file)

    def _evaluate(self, weights: Weights, *, grouped: bool = False) -> ModelMetrics:
        from fairbank.federated_jobs.algorithms.interface import exchanged

        return self._told(self._algorithm.evaluate(exchanged(weights)), grouped=grouped)

    def _told(self, outcome: ExchangeObject, *, grouped: bool = False) -> ModelMetrics:
        from fairbank.federated_jobs.algorithms.interface import N_HELDOUT, statistic

        return ModelMetrics(
            {name: round_digits(value) for name, value in outcome.metrics.items()},
            statistic(outcome, N_HELDOUT),
            self._algorithm.subjects_used(),
            self._algorithm.by_group() if grouped else ByGroup(),
            self._algorithm.heldout_classes(),
        )

    def _forget_old_rounds(self) -> None:
        for kind in ("state", "update"):
            for old in sorted(self._scratch.glob(f"{kind}-*.safetensors"))[:-STATES_KEPT]:
                old.unlink()

    def _file(self, kind: str, round_number: int) -> Path:
        return self._scratch / f"{kind}-{round_number:06d}.safetensors"


def opened_algorithm(
    *,
    name: str,
    digest: str,
    parameters: dict[str, object],
    job_seed: str,
    site: str,
    inputs: Path,
    training: dict[str, object] | None,
    rounds: int,
    models: Path | None,
    group: Group,
    noise: Mapping[str, object] | None = None,
) -> tuple[TrainingAlgorithm, int]:
    """Return an algorithm that has read its series, and how many it can use; arguments as in `TrainingSession.open`.

    Args:
        group: the processes that train together; an algorithm that trains alone leaves it.

    Raises:
        NoiseUnplanned: if noise is asked for and not planned, or the other way round.
    """
    entry = require_algorithm(name, digest)
    checked = algorithm_parameters(name, parameters)
    asked = Training.model_validate_json(json.dumps(training)) if training else Training()
    require_fitting(name, algorithm_offers(name, checked), asked)
    planned = NoisePlan.from_json(noise) if noise is not None else None
    if (planned is None) is not (asked.differential_privacy is None):
        raise NoiseUnplanned(
            "Noise is asked for and not planned, or planned and not asked for.",
            why="The node reckons what noise a job needs, and writes it down, before it trains.",
            todo="Update the node, or ask for no noise.",
        )
    be_deterministic()
    from fairbank.federated_jobs.algorithms.interface import SiteTask

    algorithm: TrainingAlgorithm = import_module(entry.module).ALGORITHM()
    # Noise belongs to a whole batch: it is drawn by one process.
    if algorithm.trains_together and asked.differential_privacy is None:
        algorithm.group = group
    task = SiteTask(checked, read_staged(inputs), job_seed, site, asked, rounds, models, planned)
    return algorithm, algorithm.begin(task)


def _check_alive(dead: float) -> None:
    from fairbank.federated_jobs.algorithms.gradients import MOST_DEAD

    if dead > MOST_DEAD:
        raise GradientsDead(
            f"{dead:.0%} of the model's weights would not be moved by the images of this site.",
            why="A model can be made so that only what another site has moves it: a sum of updates is then its own.",
            todo="Ask where the model comes from; training from weights of another seed, or at a lower rate, may help.",
        )


def be_deterministic() -> None:
    """Have torch choose the same operations in the same order on every run.

    Source: PyTorch, notes on reproducibility.
    """
    # cuBLAS gives the same bits only with a work space of fixed size (NVIDIA, cuBLAS, "Results reproducibility").
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    torch.backends.cudnn.benchmark = False
