"""HarmoFL's amplitude normalisation as an extension: images of all sites get the amplitudes of a shared spectrum.

Scanners differ mostly in the amplitudes of an image's spectrum, while what is seen lies in the phases. The first layer
keeps the mean amplitude as a running statistic, puts it in the place of each image's own, and leaves the phases. The
mean is a buffer of the network, so it travels and is averaged with the weights like any other running statistic. It is
a statistic of a site's images: whoever lets it leave should know that. The paper's other half, perturbed weights, is
left out.

Source: Jiang, Wang & Dou 2022, HarmoFL: Harmonizing Local and Global Drifts in Federated Learning on Heterogeneous
Medical Images, section "Amplitude normalization for local drift".
"""

from __future__ import annotations

import torch
from torch import nn

from fairbank.federated_jobs.algorithms.classification import Classification
from fairbank.federated_jobs.algorithms.networks import image_network
from fairbank.federated_jobs.algorithms.training_parameters import ClassificationParameters

MOMENTUM = 0.1


class AmplitudeNorm(nn.Module):
    """Gives images, (n, 1, side, side), the running mean amplitude of all images seen in training."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(side, side))
        self.running_mean: torch.Tensor

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the images with their own phases; before anything was seen, as they are."""
        spectrum = torch.fft.fft2(images)
        amplitude = spectrum.abs()
        if self.training:
            seen = amplitude.detach().mean(dim=(0, 1))
            known = bool(self.running_mean.any())
            part = MOMENTUM if known else 1.0
            self.running_mean += part * (seen - self.running_mean)
        if not bool(self.running_mean.any()):
            return images
        harmonised: torch.Tensor = torch.fft.ifft2(
            torch.polar(self.running_mean.expand_as(amplitude), spectrum.angle())
        )
        return harmonised.real


class HarmonisedClassification(Classification):
    """The template `classification` with amplitude normalisation as its first layer."""

    def network(self, parameters: ClassificationParameters) -> nn.Module:
        """Return the network that is asked for, behind the normalisation."""
        return nn.Sequential(
            AmplitudeNorm(parameters.image_size), image_network(parameters, len(parameters.classes))
        )


ALGORITHM = HarmonisedClassification
