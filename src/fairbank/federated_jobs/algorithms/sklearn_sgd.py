"""The algorithm `sklearn-sgd`: scikit-learn's linear models, whose coefficients are the weights that travel.

A round is `local_epochs` calls of `partial_fit` from the global coefficients, with the samples in a seeded order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from monai.fl.utils.exchange_object import ExchangeObject
from numpy.typing import NDArray
from sklearn.linear_model import SGDClassifier, SGDRegressor

from fairbank.analysis.dicom_frames import measure_intensities
from fairbank.analysis.errors import ItemImpossible
from fairbank.analysis.staged import StagedSeries
from fairbank.federated_jobs.algorithms import metrics
from fairbank.federated_jobs.algorithms.by_group import subjects_of_classes
from fairbank.federated_jobs.algorithms.errors import LabelsMissing, ModelUnfit, NothingToTrainOn
from fairbank.federated_jobs.algorithms.images import headers_of, slices_of
from fairbank.federated_jobs.algorithms.interface import (
    N_HELDOUT,
    N_STEPS,
    N_TRAIN,
    SiteTask,
    TrainingAlgorithm,
    exchanged,
    measured,
    weights_in,
)
from fairbank.federated_jobs.algorithms.samples import number_in
from fairbank.federated_jobs.algorithms.seeds import derive_seed
from fairbank.federated_jobs.algorithms.splits import held_out
from fairbank.federated_jobs.algorithms.training_parameters import SklearnParameters
from fairbank.federated_jobs.algorithms.weights import Weights

COEFFICIENTS, INTERCEPT = "coef", "intercept"
_PERCENTILES = (5, 25, 50, 75, 95)
Floats = NDArray[np.float64]


class SklearnSGD(TrainingAlgorithm):
    """Fits a linear classifier or regression."""

    def begin(self, task: SiteTask) -> int:
        """Read features and labels."""
        assert isinstance(task.parameters, SklearnParameters)
        self._given, self._task = task.parameters, task
        rows, labels, subjects, used = self._read(task)
        held = held_out(set(subjects), task.parameters.held_out_percent)
        out = np.array([subject in held for subject in subjects])
        self._train = rows[~out], labels[~out]
        self._heldout = rows[out], labels[out]
        self._subjects = len(set(subjects)), len(held)
        self._held_subjects = [subject for subject in subjects if subject in held]
        self._steps = 0
        return used

    def initial_weights(self) -> Weights:
        """Return zeros, from which a convex problem is solved."""
        outputs = 1 if self._given.task == "regressor" or len(self._given.classes) == 2 else 0
        outputs = outputs or len(self._given.classes)
        coefficients = (outputs, self._features) if self._given.task == "classifier" else (self._features,)
        return {
            COEFFICIENTS: np.zeros(coefficients, dtype=np.float64),
            INTERCEPT: np.zeros(outputs, dtype=np.float64),
        }

    def subjects_used(self) -> tuple[int, int]:
        """Return how many different subjects gave samples, and how many of them are held out."""
        return self._subjects

    def heldout_classes(self) -> list[int]:
        """Return how many held-out subjects each class has that occurs among them; nothing of a regression."""
        if self._given.task == "regressor":
            return []
        return subjects_of_classes(self._held_subjects, [int(label) for label in self._heldout[1]])

    def unlabelled(self) -> int:
        """Return how many subjects are left out because the site knows no usable label of them."""
        return self._unknown

    def begin_round(self, round_number: int, state: Weights) -> None:
        """Seed the round; nothing is kept from the one before."""
        self._seed = derive_seed(self._task.job_seed, site=self._task.site, round_number=round_number)

    def train(self, data: ExchangeObject, extra: dict[str, Any] | None = None) -> None:
        """Fit for the passes of one round."""
        model = self._model(weights_in(data))
        rows, labels = self._train
        chance = np.random.default_rng(self._seed)
        for _ in range(self._given.local_epochs):
            order = chance.permutation(len(rows))
            model.partial_fit(rows[order], labels[order])
        self._steps = self._given.local_epochs * len(rows)
        self._weights = {
            COEFFICIENTS: np.array(model.coef_, dtype=np.float64),
            INTERCEPT: np.array(model.intercept_, dtype=np.float64),
        }

    def get_weights(self, extra: dict[str, Any] | None = None) -> ExchangeObject:
        """Return the coefficients, and on how many samples they were fitted."""
        return exchanged(self._weights, **{N_TRAIN: len(self._train[0]), N_STEPS: self._steps})

    def evaluate(self, data: ExchangeObject, extra: dict[str, Any] | None = None) -> ExchangeObject:
        """Return loss and metrics on the held-out samples."""
        rows, labels = self._heldout
        if not len(rows):
            return measured({}, **{N_HELDOUT: 0})
        weights = self._checked(weights_in(data))
        scores = rows @ weights[COEFFICIENTS].T + weights[INTERCEPT]
        if self._given.task == "regressor":
            offset, scale = float(self._given.offset), float(self._given.scale)
            found = metrics.regression(scores * scale + offset, labels * scale + offset)
            loss = float(np.square(scores - labels).mean() / 2)
        else:
            both = np.hstack([-scores / 2, scores / 2]) if scores.shape[1] == 1 else scores
            truth = labels.astype(np.int64)
            found = metrics.classification(both, truth)
            top = both.max(axis=1)
            total = top + np.log(np.exp(both - top[:, None]).sum(axis=1))
            loss = float((total - both[np.arange(len(truth)), truth]).mean())
        return measured({"loss": loss, **found}, **{N_HELDOUT: len(rows)})

    def _model(self, weights: Weights) -> Any:
        given = self._checked(weights)
        options: dict[str, Any] = {
            "loss": self._given.loss_word,
            "penalty": self._given.penalty,
            "alpha": float(self._given.alpha),
            "learning_rate": "constant",
            "eta0": float(self._given.learning_rate),
            # The order of the samples is drawn here, so that it is the same with every version of the library.
            "shuffle": False,
            "random_state": 0,
        }
        rows, labels = self._train
        if self._given.task == "regressor":
            model = SGDRegressor(**options).partial_fit(rows[:1], labels[:1])
        else:
            classes = np.arange(len(self._given.classes), dtype=np.float64)
            model = SGDClassifier(**options).partial_fit(rows[:1], labels[:1], classes=classes)
        # One call makes the arrays; then they hold the global model and no step is counted.
        model.coef_[...] = given[COEFFICIENTS]
        model.intercept_[...] = given[INTERCEPT]
        model.t_ = 1.0
        return model

    def _checked(self, weights: Weights) -> Weights:
        form = {name: array.shape for name, array in self.initial_weights().items()}
        if {name: array.shape for name, array in weights.items()} != form:
            raise ModelUnfit(
                "The model that fitting shall start from has other coefficients.",
                why="It was made with other features or classes.",
                todo="Start from a model with the same parameters, or from none.",
            )
        return weights

    @property
    def _features(self) -> int:
        return int(self._train[0].shape[1])

    def _read(self, task: SiteTask) -> tuple[Floats, Floats, list[str], int]:
        rows, labels, subjects = [], [], []
        known: set[str] = set()
        unknown: set[str] = set()
        for one in task.series:
            label = self._label(one)
            if label is None:
                unknown.add(one.subject)
                continue
            known.add(one.subject)
            try:
                row = self._row(one)
            except ItemImpossible:
                continue
            rows.append(row)
            labels.append(label)
            subjects.append(one.subject)
        self._unknown = len(unknown - known)
        if not known:
            raise LabelsMissing(
                "This site knows no usable label of any subject of the cohort.",
                why="The variable is not there, or none of its words is one that the job asks for.",
                todo="Import the variable, or set what its local words mean: fairbank node labels set.",
            )
        if not rows:
            raise NothingToTrainOn(
                "No staged series can be used for fitting.",
                why="None holds grey images that can be decoded here.",
                todo="Choose series of grey-valued images, or install the extra 'pixels'.",
            )
        return np.stack(rows), np.array(labels, dtype=np.float64), subjects, len(rows)

    def _label(self, one: StagedSeries) -> float | None:
        if self._given.task == "classifier":
            word = one.asked.get("label")
            return float(self._given.classes.index(word)) if word in self._given.classes else None
        number = number_in(one)
        return None if number is None else (number - float(self._given.offset)) / float(self._given.scale)

    def _row(self, one: StagedSeries) -> Floats:
        headers = headers_of(one)
        window = self._given.window
        if self._given.features == "pixels":
            images = slices_of(headers, size=self._given.image_size, count=1, window=window)
            if not images:
                raise ItemImpossible("only_padding")
            return images[0].reshape(-1).astype(np.float64)
        found = measure_intensities(headers)
        mean, spread = found.mean_and_sd()
        values = np.array([mean, *found.percentiles(_PERCENTILES)])
        low, high = (float(window.low), float(window.high)) if window else (0.0, 1.0)
        return np.array([*((values - low) / (high - low)), spread / (high - low)])


ALGORITHM = SklearnSGD
