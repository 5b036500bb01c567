"""The template `classification`: a network tells which class an image, or a volume, belongs to."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from fairbank.analysis.staged import StagedSeries
from fairbank.federated_jobs.algorithms import metrics
from fairbank.federated_jobs.algorithms.interface import SiteTask
from fairbank.federated_jobs.algorithms.labelled_images import labelled_samples
from fairbank.federated_jobs.algorithms.networks import image_network
from fairbank.federated_jobs.algorithms.samples import SampleSet, SiteSamples
from fairbank.federated_jobs.algorithms.trainer import Judged, NetworkTrainer
from fairbank.federated_jobs.algorithms.training_parameters import ClassificationParameters

EVALUATION_BATCH = 64


class Classification(NetworkTrainer):
    """Trains a classifier by cross-entropy."""

    classifies = True
    of_single_images = True

    def samples(self, task: SiteTask) -> SiteSamples:
        """Return the images of subjects whose label is one of the classes."""
        assert isinstance(task.parameters, ClassificationParameters)
        places = {word: place for place, word in enumerate(task.parameters.classes)}

        def target(series: StagedSeries) -> torch.Tensor | None:
            word = series.asked.get("label")
            return torch.tensor(places[word]) if word in places else None

        return labelled_samples(task.series, task.parameters, target)

    def network(self, parameters: ClassificationParameters) -> nn.Module:
        """Return the network that is asked for, with one output for each class."""
        return image_network(parameters, len(parameters.classes))

    def class_counts(self) -> torch.Tensor:
        """Return how many training images each class has."""
        return self._counts

    def begin(self, task: SiteTask) -> int:
        """Read the images and count the classes."""
        found = super().begin(task)
        train = self._samples.train
        targets = torch.tensor([int(train.target(place)) for place in range(len(train))], dtype=torch.long)
        self._counts = torch.bincount(targets, minlength=len(self.parameters.classes)).float()
        return found

    def batch_loss(
        self, outputs: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None
    ) -> torch.Tensor:
        """Return the cross-entropy; 0 where all classes of the batch count nothing."""
        if weights is not None and not bool(weights[targets].any()):
            return outputs.sum() * 0.0
        return nn.functional.cross_entropy(outputs, targets, weight=weights)

    def losses(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the cross-entropy of each sample."""
        return nn.functional.cross_entropy(outputs, targets, reduction="none")

    def judge(self, forward: Callable[[torch.Tensor], torch.Tensor], heldout: SampleSet) -> Judged:
        """Return mean cross-entropy, and accuracy, AUROC and the like."""
        outputs, targets = outputs_of(forward, heldout)
        loss = float(nn.functional.cross_entropy(outputs, targets))
        scores, truth = outputs.numpy(), targets.numpy().astype(np.int64)

        def of(places: Sequence[int]) -> metrics.Metrics:
            chosen = np.array(places, dtype=np.int64)
            return metrics.classification(scores[chosen], truth[chosen])

        return Judged(loss, of(range(len(truth))), of)


def outputs_of(
    forward: Callable[[torch.Tensor], torch.Tensor], heldout: SampleSet
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the outputs for all held-out images, in float64, and their targets."""
    outputs, targets = [], []
    for places in torch.split(torch.arange(len(heldout)), EVALUATION_BATCH):
        images, truth = heldout.batch(places.tolist(), 0)
        outputs.append(forward(images).double())
        targets.append(truth)
    return torch.cat(outputs), torch.cat(targets)


ALGORITHM = Classification
