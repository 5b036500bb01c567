"""The template `segmentation`: a U-Net draws structures on slices or volumes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from monai.inferers.utils import sliding_window_inference
from monai.losses.dice import DiceCELoss
from torch import nn

from fairbank.federated_jobs.algorithms import metrics
from fairbank.federated_jobs.algorithms.interface import SiteTask
from fairbank.federated_jobs.algorithms.masks import drawn_samples
from fairbank.federated_jobs.algorithms.networks import segmentation_network
from fairbank.federated_jobs.algorithms.samples import IMAGE, TARGET, SampleSet, SiteSamples
from fairbank.federated_jobs.algorithms.surfaces import agreement
from fairbank.federated_jobs.algorithms.trainer import Judged, NetworkTrainer
from fairbank.federated_jobs.algorithms.training_parameters import SegmentationParameters

WINDOWS_AT_ONCE = 4


class Segmentation(NetworkTrainer):
    """Trains a U-Net by the sum of Dice loss and cross-entropy."""

    def samples(self, task: SiteTask) -> SiteSamples:
        """Return the images on which a wanted structure is drawn."""
        assert isinstance(task.parameters, SegmentationParameters)
        return drawn_samples(task.series, task.parameters)

    def network(self, parameters: SegmentationParameters) -> nn.Module:
        """Return the U-Net."""
        return segmentation_network(parameters)

    def begin(self, task: SiteTask) -> int:
        """Read the images and count the voxels of each structure."""
        found = super().begin(task)
        train = self._samples.train
        self._counts = torch.zeros(len(self.parameters.structures) + 1)
        for place in range(len(train)):
            flat = train.target(place).flatten()
            self._counts += torch.bincount(flat, minlength=len(self._counts)).float()
        return found

    def class_counts(self) -> torch.Tensor:
        """Return how many voxels of training images each structure has, what is none first."""
        return self._counts

    def batch_loss(
        self, outputs: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None
    ) -> torch.Tensor:
        """Return Dice loss plus cross-entropy.

        Source: Isensee et al. 2021, Nature Methods 18, 203 (the sum of both); MONAI's `DiceCELoss`.
        """
        loss: torch.Tensor = DiceCELoss(to_onehot_y=True, softmax=True, weight=weights)(outputs, targets)
        return loss

    def judge(self, forward: Callable[[torch.Tensor], torch.Tensor], heldout: SampleSet) -> Judged:
        """Return the mean loss, and overlap and surface distances: means over structures, then over images."""
        losses, rows = [], []
        for place in range(len(heldout)):
            item = heldout.item(place)
            scores = sliding_window_inference(
                item[IMAGE][None],
                roi_size=(self.parameters.patch_size,) * self.parameters.dimensions,
                sw_batch_size=WINDOWS_AT_ONCE,
                predictor=forward,
                overlap=float(self.parameters.window_overlap),
            )
            assert isinstance(scores, torch.Tensor)
            losses.append(float(self.batch_loss(scores, item[TARGET][None], None)))
            drawn, truth = scores[0].argmax(dim=0).numpy(), item[TARGET][0].numpy()
            rows.append(
                metrics.means(
                    [
                        agreement(drawn == number, truth == number, item["spacing_mm"])
                        for number in range(1, len(self.parameters.structures) + 1)
                        if (truth == number).any() or (drawn == number).any()
                    ]
                )
            )

        def of(places: Sequence[int]) -> metrics.Metrics:
            return metrics.means([rows[place] for place in places])

        return Judged(sum(losses) / len(losses), of(range(len(rows))), of)


ALGORITHM = Segmentation
