"""The algorithm `slice-autoencoder`: a MONAI autoencoder learns to remove noise from 2-D slices.

Self-supervised: no labels are needed, so it runs on any grey-valued collection. The metric is the error of the
cleaned held-out slices against the clean ones. Instance normalisation, not batch normalisation, because running
means of one site's images would be part of the update.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from monai.fl.utils.exchange_object import ExchangeObject
from monai.networks.nets.autoencoder import AutoEncoder

from fairbank.federated_jobs.algorithms.errors import TrainingDiverged
from fairbank.federated_jobs.algorithms.gradients import dead_share, places_of
from fairbank.federated_jobs.algorithms.interface import (
    N_HELDOUT,
    N_TRAIN,
    SiteTask,
    TrainingAlgorithm,
    exchanged,
    measured,
    weights_in,
)
from fairbank.federated_jobs.algorithms.parameters import (
    AlgorithmParameters,
    OptimizerState,
    SliceAutoencoderParameters,
)
from fairbank.federated_jobs.algorithms.seeds import derive_seed
from fairbank.federated_jobs.algorithms.slices import SliceStacks, read_stacks
from fairbank.federated_jobs.algorithms.weights import Weights

EVALUATION_BATCH = 64


class SliceAutoencoder(TrainingAlgorithm):
    """Trains a denoising autoencoder on the slices of one site."""

    def begin(self, task: SiteTask) -> int:
        """Read the slices and build the network."""
        assert isinstance(task.parameters, SliceAutoencoderParameters)
        return self.begin_with(task, read_stacks(task.series, task.parameters))

    def begin_with(self, task: SiteTask, stacks: SliceStacks) -> int:
        """Build the network for slices that are read already."""
        assert isinstance(task.parameters, SliceAutoencoderParameters)
        self._parameters = task.parameters
        self._task = task
        self._subjects = len(stacks.subjects), len(stacks.heldout_subjects)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._train_slices = stacks.train.to(self._device)
        self._clean = stacks.heldout.to(self._device)
        # Held-out noise is drawn once, on the CPU, so that metrics of all rounds and devices compare.
        heldout_seed = derive_seed(task.job_seed, site="", round_number=0, purpose="held-out noise")
        self._noisy = self._with_noise(stacks.heldout, _generator(heldout_seed)).to(self._device)
        torch.manual_seed(derive_seed(task.job_seed, site="", round_number=0, purpose="initial"))
        self._network = _network(task.parameters)
        self._initial = _as_numpy(self._network.state_dict())
        self._network.to(self._device)
        self._optimizer = self._new_optimizer()
        return stacks.n_series

    def network(self, parameters: AlgorithmParameters) -> torch.nn.Module:
        """Return the autoencoder."""
        assert isinstance(parameters, SliceAutoencoderParameters)
        return _network(parameters)

    def example_input(self, parameters: AlgorithmParameters, *, seed: int) -> torch.Tensor:
        """Return two slices of noise, (2, 1, side, side) float32."""
        assert isinstance(parameters, SliceAutoencoderParameters)
        side = parameters.image_size
        return torch.rand((2, 1, side, side), generator=_generator(seed))

    def subjects_used(self) -> tuple[int, int]:
        """Return how many different subjects gave slices, and how many of them are held out."""
        return self._subjects

    def initial_weights(self) -> Weights:
        """Return the weights that the job seed leads to."""
        return self._initial

    def begin_round(self, round_number: int, state: Weights) -> None:
        """Seed the round; take up or renew the optimizer."""
        seed = derive_seed(self._task.job_seed, site=self._task.site, round_number=round_number)
        torch.manual_seed(seed)
        self._random = _generator(seed)
        self._optimizer = self._new_optimizer()
        if self._parameters.optimizer_state is OptimizerState.KEEP:
            _restore(self._optimizer, state, self._device)

    def site_state(self) -> Weights:
        """Return the optimizer's moments if they are kept between rounds."""
        if self._parameters.optimizer_state is OptimizerState.RESET:
            return {}
        state = self._optimizer.state_dict()["state"]
        return {
            f"optimizer/{index}/{name}": torch.as_tensor(value).detach().cpu().numpy()
            for index, values in state.items()
            for name, value in values.items()
            if value is not None
        }

    def train(self, data: ExchangeObject, extra: dict[str, Any] | None = None) -> None:
        """Train the local passes of one round, starting from the given weights."""
        self._load(weights_in(data))
        self._network.train()
        say = (extra or {}).get("say", lambda part: None)
        for done in range(self._parameters.local_epochs):
            say(done / self._parameters.local_epochs)
            order = torch.randperm(len(self._train_slices), generator=self._random)
            for chosen in torch.split(order, self._parameters.batch_size):
                self._step(self._train_slices[chosen.to(self._device)])

    def dead_share(self, data: ExchangeObject) -> float:
        """Return which share of the trained weights no local slice moves, from the given weights."""
        batches = places_of(len(self._train_slices), batch_size=self._parameters.batch_size)
        self._load(weights_in(data))
        chance = _generator(0)

        def losses() -> Iterator[torch.Tensor]:
            for places in batches:
                clean = self._train_slices[torch.tensor(places).to(self._device)]
                noisy = self._with_noise(clean.cpu(), chance).to(self._device)
                yield torch.nn.functional.mse_loss(self._network(noisy), clean)

        return dead_share(self._network, dict(self._network.named_parameters()), losses())

    def get_weights(self, extra: dict[str, Any] | None = None) -> ExchangeObject:
        """Return the local weights and the number of slices that they were trained on."""
        return exchanged(_as_numpy(self._network.state_dict()), **{N_TRAIN: len(self._train_slices)})

    def evaluate(self, data: ExchangeObject, extra: dict[str, Any] | None = None) -> ExchangeObject:
        """Return loss, mean squared error (the same), mean absolute error and PSNR (dB, peak 1) on held-out slices."""
        self._load(weights_in(data))
        self._network.eval()
        squared = absolute = 0.0
        with torch.no_grad():
            for noisy, clean in zip(
                torch.split(self._noisy, EVALUATION_BATCH),
                torch.split(self._clean, EVALUATION_BATCH),
                strict=True,
            ):
                error = (self._network(noisy) - clean).double()
                squared += float(error.square().sum())
                absolute += float(error.abs().sum())
        values = self._clean.numel()
        mse = squared / values
        metrics = {"loss": mse, "mse": mse, "mae": absolute / values, "psnr_db": psnr_db(mse)}
        return measured(metrics, **{N_HELDOUT: len(self._clean)})

    def _step(self, clean: torch.Tensor) -> None:
        noisy = self._with_noise(clean.cpu(), self._random).to(self._device)
        loss = torch.nn.functional.mse_loss(self._network(noisy), clean)
        if not bool(torch.isfinite(loss)):
            raise TrainingDiverged(
                "The training loss is not a finite number.",
                why="The learning rate may be too high.",
                todo="Lower the learning rate and submit the job again.",
            )
        self._optimizer.zero_grad()
        torch.autograd.backward(loss)
        self._optimizer.step()

    def _with_noise(self, clean: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        noise = torch.randn(clean.shape, generator=random)
        return clean + float(self._parameters.noise_sd) * noise

    def _load(self, weights: Weights) -> None:
        self._network.load_state_dict(
            {name: torch.from_numpy(array.copy()) for name, array in weights.items()}
        )

    def _new_optimizer(self) -> torch.optim.Optimizer:
        rate = float(self._parameters.learning_rate)
        if self._parameters.optimizer == "adam":
            return torch.optim.Adam(self._network.parameters(), lr=rate)
        return torch.optim.SGD(self._network.parameters(), lr=rate, momentum=0.9)


ALGORITHM = SliceAutoencoder


def psnr_db(mse: float) -> float:
    """Return the peak signal-to-noise ratio of images between 0 and 1; 100 dB stands for a perfect one.

    >>> psnr_db(0.01)
    20.0
    """
    return 100.0 if mse <= 1e-10 else -10.0 * math.log10(mse)


def _network(parameters: SliceAutoencoderParameters) -> torch.nn.Module:
    network: torch.nn.Module = AutoEncoder(
        spatial_dims=2,
        in_channels=1,
        out_channels=1,
        channels=tuple(parameters.width << level for level in range(parameters.levels)),
        strides=(2,) * parameters.levels,
        norm=("INSTANCE", {"affine": True}),
    )
    return network


def _restore(optimizer: torch.optim.Optimizer, state: Weights, device: torch.device) -> None:
    restored: dict[int, dict[str, torch.Tensor]] = {}
    for key, array in state.items():
        _, index, name = key.split("/")
        # Adam counts its steps on the CPU, whatever the device.
        where = torch.device("cpu") if name == "step" else device
        restored.setdefault(int(index), {})[name] = torch.from_numpy(array.copy()).to(where)
    if restored:
        optimizer.load_state_dict({**optimizer.state_dict(), "state": restored})


def _as_numpy(state: dict[str, torch.Tensor]) -> Weights:
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in state.items()}


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
