"""The template `regression`: a network tells a number of an image or volume, such as an age."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from fairbank.analysis.staged import StagedSeries
from fairbank.federated_jobs.algorithms import metrics
from fairbank.federated_jobs.algorithms.classification import outputs_of
from fairbank.federated_jobs.algorithms.ensembles import mean_of_values
from fairbank.federated_jobs.algorithms.errors import NotTogether
from fairbank.federated_jobs.algorithms.interface import SiteTask
from fairbank.federated_jobs.algorithms.labelled_images import labelled_samples
from fairbank.federated_jobs.algorithms.networks import image_network
from fairbank.federated_jobs.algorithms.samples import SampleSet, SiteSamples, number_in
from fairbank.federated_jobs.algorithms.trainer import Judged, NetworkTrainer
from fairbank.federated_jobs.algorithms.training_parameters import RegressionParameters

_LOSSES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "mse": nn.functional.mse_loss,
    "mae": nn.functional.l1_loss,
    "huber": nn.functional.huber_loss,
}


class Regression(NetworkTrainer):
    """Trains a network with one output on (value - offset) / scale."""

    of_single_images = True

    def samples(self, task: SiteTask) -> SiteSamples:
        """Return the images of subjects whose label is a number."""
        assert isinstance(task.parameters, RegressionParameters)
        offset, scale = float(task.parameters.offset), float(task.parameters.scale)

        def target(series: StagedSeries) -> torch.Tensor | None:
            number = number_in(series)
            return None if number is None else torch.tensor((number - offset) / scale)

        return labelled_samples(task.series, task.parameters, target)

    def network(self, parameters: RegressionParameters) -> nn.Module:
        """Return the network that is asked for, with one output."""
        return image_network(parameters, 1)

    def batch_loss(
        self, outputs: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None
    ) -> torch.Tensor:
        """Return the loss that is asked for."""
        return _LOSSES[self.parameters.loss](outputs[:, 0], targets)

    def together(self, combine: str) -> Callable[[torch.Tensor], torch.Tensor]:
        """Return what takes the mean of the values that several models predict."""
        if combine != "mean":
            raise NotTogether(
                "Numbers are not voted for.",
                why="Models of a regression predict values and no classes.",
                todo="Put them together by their mean.",
            )
        return mean_of_values

    def judge(self, forward: Callable[[torch.Tensor], torch.Tensor], heldout: SampleSet) -> Judged:
        """Return the mean loss, and errors in the unit of the value."""
        outputs, targets = outputs_of(forward, heldout)
        loss = float(_LOSSES[self.parameters.loss](outputs[:, 0], targets.double()))
        offset, scale = float(self.parameters.offset), float(self.parameters.scale)
        predicted = outputs[:, 0].numpy() * scale + offset
        truth = targets.double().numpy() * scale + offset

        def of(places: Sequence[int]) -> metrics.Metrics:
            chosen = np.array(places, dtype=np.int64)
            return metrics.regression(predicted[chosen], truth[chosen])

        return Judged(loss, of(range(len(truth))), of)


ALGORITHM = Regression
