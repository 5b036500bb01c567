"""The networks of the templates, built from parameters; none is loaded from anywhere."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from fairbank.federated_jobs.algorithms.training_parameters import (
    ImageParameters,
    Norm,
    SegmentationParameters,
)

_GROUPS = 4


class MnistNetwork(nn.Module):
    """The network of PyTorch's MNIST example: 1,199,882 weights for ten classes.

    Source: pytorch/examples, mnist/main.py, `Net`; it ends before the softmax, which is part of the loss here.
    """

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, 1)
        self.conv2 = nn.Conv2d(32, 64, 3, 1)
        self.dropout1 = nn.Dropout(0.25)
        self.dropout2 = nn.Dropout(0.5)
        self.fc1 = nn.Linear(9216, 128)
        self.fc2 = nn.Linear(128, outputs)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return (n, outputs) scores of (n, 1, 28, 28) images."""
        found = torch.relu(self.conv2(torch.relu(self.conv1(images))))
        found = self.dropout1(torch.max_pool2d(found, 2)).flatten(1)
        scores: torch.Tensor = self.fc2(self.dropout2(torch.relu(self.fc1(found))))
        return scores


class LeNet(nn.Module):
    """LeNet-5 with rectified units and maximum pooling, for squares of any size from 8.

    Source: LeCun et al. 1998, Proceedings of the IEEE 86, 2278, section II.B.
    """

    def __init__(self, outputs: int, image_size: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5, padding=2)
        self.fc1 = nn.Linear(16 * (image_size // 4) ** 2, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, outputs)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return (n, outputs) scores of (n, 1, size, size) images."""
        found = torch.max_pool2d(torch.relu(self.conv1(images)), 2)
        found = torch.max_pool2d(torch.relu(self.conv2(found)), 2).flatten(1)
        scores: torch.Tensor = self.fc3(torch.relu(self.fc2(torch.relu(self.fc1(found)))))
        return scores


class SmallConvolutions(nn.Module):
    """Three convolutions with group normalisation and a mean over the image: 14,274 weights for two classes in 2-D.

    Few weights learn more under noise, and group normalisation keeps nothing of other samples.

    Source: Wu and He 2018, Group Normalization (arXiv 1803.08494), section 3.
    """

    def __init__(self, outputs: int, dimensions: int) -> None:
        super().__init__()
        convolution = nn.Conv2d if dimensions == 2 else nn.Conv3d
        self.pool = nn.MaxPool2d(2) if dimensions == 2 else nn.MaxPool3d(2)
        self.conv1, self.norm1 = convolution(1, 16, 3, padding=1), nn.GroupNorm(_GROUPS, 16)
        self.conv2, self.norm2 = convolution(16, 32, 3, padding=1), nn.GroupNorm(_GROUPS, 32)
        self.conv3, self.norm3 = convolution(32, 32, 3, padding=1), nn.GroupNorm(_GROUPS, 32)
        self.fc = nn.Linear(32, outputs)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return (n, outputs) scores of (n, 1, size, size) images, or volumes."""
        found = self.pool(torch.relu(self.norm1(self.conv1(images))))
        found = self.pool(torch.relu(self.norm2(self.conv2(found))))
        found = torch.relu(self.norm3(self.conv3(found))).flatten(2).mean(2)
        scores: torch.Tensor = self.fc(found)
        return scores


class Linear(nn.Module):
    """One layer from pixels to scores: logistic or linear regression."""

    def __init__(self, outputs: int, pixels: int) -> None:
        super().__init__()
        self.fc = nn.Linear(pixels, outputs)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return (n, outputs) scores of images of any shape."""
        scores: torch.Tensor = self.fc(images.flatten(1))
        return scores


def image_network(parameters: ImageParameters, outputs: int) -> nn.Module:
    """Return a network from one image to `outputs` numbers."""
    match parameters.network:
        case "mnist-cnn":
            return MnistNetwork(outputs)
        case "lenet":
            return LeNet(outputs, parameters.image_size)
        case "small-cnn":
            return SmallConvolutions(outputs, parameters.dimensions)
        case "linear":
            return Linear(outputs, parameters.image_size**parameters.dimensions)
        case "resnet18":
            return _resnet18(parameters, outputs)
    return _densenet121(parameters, outputs)


def segmentation_network(parameters: SegmentationParameters) -> nn.Module:
    """Return a U-Net with one output for what is no structure and one for each structure."""
    from monai.networks.nets.unet import UNet

    network: nn.Module = UNet(
        spatial_dims=parameters.dimensions,
        in_channels=1,
        out_channels=len(parameters.structures) + 1,
        channels=parameters.channels,
        strides=parameters.strides,
        num_res_units=parameters.residual_units,
        norm=_norm(parameters.norm),
    )
    return network


def head_of(network: nn.Module) -> str:
    """Return the name of the last linear layer, whose input are the features of an image."""
    linear: list[str] = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    return linear[-1]


def batch_norms(network: nn.Module) -> list[str]:
    """Return the names of the layers of batch normalisation."""
    return [
        name
        for name, module in network.named_modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
    ]


def with_features(
    network: nn.Module, images: torch.Tensor, *, head: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the outputs of a network and what goes into a layer of it, (n, n_features)."""
    seen: list[torch.Tensor] = []

    def note(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        del module
        seen.append(inputs[0])

    handle = network.get_submodule(head).register_forward_pre_hook(note)
    try:
        outputs = network(images)
    finally:
        handle.remove()
    return outputs, seen[0]


def _resnet18(parameters: ImageParameters, outputs: int) -> nn.Module:
    from monai.networks.nets.resnet import ResNet

    network: nn.Module = ResNet(
        block="basic",
        layers=[2, 2, 2, 2],
        block_inplanes=[64, 128, 256, 512],
        spatial_dims=parameters.dimensions,
        n_input_channels=1,
        num_classes=outputs,
        conv1_t_stride=parameters.stride,
        # As published, and as files of pretrained weights have it.
        bias_downsample=False,
        norm=_norm(parameters.norm),
    )
    if parameters.norm is not Norm.BATCH:
        _without_batch_norms(network, parameters)
    return network


def _without_batch_norms(network: nn.Module, parameters: ImageParameters) -> None:
    """Put the asked layers in the place of those of batch normalisation: MONAI's `ResNet` hands `norm` to the first."""
    from monai.networks.layers.utils import get_norm_layer

    for name in batch_norms(network):
        channels = network.get_submodule(name).num_features
        assert isinstance(channels, int)
        asked = get_norm_layer(
            name=_norm(parameters.norm), spatial_dims=parameters.dimensions, channels=channels
        )
        place, _, last = name.rpartition(".")
        setattr(network.get_submodule(place), last, asked)


def _densenet121(parameters: ImageParameters, outputs: int) -> nn.Module:
    from monai.networks.nets.densenet import DenseNet121

    network: nn.Module = DenseNet121(
        spatial_dims=parameters.dimensions,
        in_channels=1,
        out_channels=outputs,
        norm=_norm(parameters.norm),
    )
    return network


def _norm(norm: Norm) -> Any:
    match norm:
        case Norm.INSTANCE:
            return ("instance", {"affine": True})
        case Norm.GROUP:
            return ("group", {"num_groups": _GROUPS})
    return "batch"
