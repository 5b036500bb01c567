"""The trainer of all templates that train a network: it owns the loop; a template says what is read and measured.

A round starts from a model and the site's state and leaves an update and a new state, both as named tensors. Tensors of
a local step (`control.`) and of an optimizer that is averaged (`optimizer.`) travel beside the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

import numpy as np
import torch
from monai.fl.utils.exchange_object import ExchangeObject
from numpy.typing import NDArray
from torch import nn

from fairbank.federated_jobs.algorithms import remembering, shadows
from fairbank.federated_jobs.algorithms.by_group import (
    AGE,
    MAKER,
    SEX,
    ByGroup,
    by_group,
    subjects_of_classes,
)
from fairbank.federated_jobs.algorithms.ensembles import together
from fairbank.federated_jobs.algorithms.errors import (
    AlgorithmParametersRefused,
    BatchTooSmall,
    ModelUnfit,
    TrainingDiverged,
)
from fairbank.federated_jobs.algorithms.gradients import dead_share, places_of
from fairbank.federated_jobs.algorithms.interface import (
    N_HELDOUT,
    N_STEPS,
    N_TRAIN,
    Groups,
    SiteTask,
    TrainingAlgorithm,
    exchanged,
    measured,
    weights_in,
)
from fairbank.federated_jobs.algorithms.local_steps.base import LocalRound, LocalStep
from fairbank.federated_jobs.algorithms.local_steps.steps import made, options_of
from fairbank.federated_jobs.algorithms.metrics import Metrics
from fairbank.federated_jobs.algorithms.networks import batch_norms, head_of, with_features
from fairbank.federated_jobs.algorithms.noise_source import NoiseSource
from fairbank.federated_jobs.algorithms.noisy_steps import Patients, clipped_sum
from fairbank.federated_jobs.algorithms.optimizers import (
    empty_state,
    new_optimizer,
    rate_of,
    restore,
    slots_of,
    state_of,
)
from fairbank.federated_jobs.algorithms.samples import IMAGE, TARGET, Item, SampleSet, SiteSamples
from fairbank.federated_jobs.algorithms.seeds import derive_seed
from fairbank.federated_jobs.algorithms.training_parameters import OptimizerState, TrainingParameters
from fairbank.federated_jobs.algorithms.weights import Weights
from fairbank.federated_jobs.axes.local_steps import FineTune
from fairbank.federated_jobs.dp.plan import NoisePlan
from fairbank.federated_jobs.release_check import Wish
from fairbank.federated_jobs.tensor_prefixes import CONTROL, OPTIMIZER

_STEP, _LOCAL, _PERSONAL = "step.", "local.", "personal."
_BESIDE = (CONTROL, OPTIMIZER)


@dataclass(frozen=True, slots=True)
class Judged:
    """What an evaluation gave: the mean loss, the metrics, and the metrics of any part of the samples.

    Args:
        of: takes places of held-out samples and returns their metrics.
    """

    loss: float
    metrics: Metrics
    of: Callable[[Sequence[int]], Metrics]


class NetworkTrainer(TrainingAlgorithm):
    """Trains a network on the samples of one site; a template fills in four methods."""

    # Whether the target of a sample is its class.
    classifies = False
    trains_together = True
    # Whether a sample is one image with one target, so that its loss by itself says whether it is remembered.
    of_single_images = False
    _state: Weights

    def samples(self, task: SiteTask) -> SiteSamples:
        """Return the samples of the site."""
        raise NotImplementedError

    def network(self, parameters: Any) -> nn.Module:
        """Return the network with fresh weights, drawn from torch's seeded source of chance."""
        raise NotImplementedError

    def batch_loss(
        self, outputs: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None
    ) -> torch.Tensor:
        """Return the mean loss of a batch.

        Args:
            weights: how much each class counts, None for all the same.
        """
        raise NotImplementedError

    def losses(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the loss of each sample of a batch by itself, (n,), for training with noise."""
        pairs = zip(torch.split(outputs, 1), torch.split(targets, 1), strict=True)
        return torch.stack([self.batch_loss(output, target, None) for output, target in pairs])

    def judge(self, forward: Callable[[torch.Tensor], torch.Tensor], heldout: SampleSet) -> Judged:
        """Return loss and metrics on held-out samples, of which there are some.

        Args:
            forward: returns the outputs for images on the CPU, there again.
        """
        raise NotImplementedError

    def together(self, combine: str) -> Callable[[torch.Tensor], torch.Tensor]:
        """Return what puts outputs of several models, (n_models, n, …), together as outputs of one.

        Raises:
            NotTogether: if its outputs cannot be put together so.
        """
        return together(combine)

    def class_counts(self) -> torch.Tensor:
        """Return how often each class occurs in the training samples, (n_classes,); empty for none."""
        return torch.zeros(0)

    # -- what a session asks for ---------------------------------------------------------------------------------

    def begin(self, task: SiteTask) -> int:
        """Read the samples and build the network."""
        assert isinstance(task.parameters, TrainingParameters)
        self.parameters: Any = task.parameters
        self._task = task
        self._given: TrainingParameters = task.parameters
        self._device = self.group.device
        torch.manual_seed(derive_seed(task.job_seed, site="", round_number=0, purpose="initial"))
        self._network = self.network(task.parameters)
        self._step_options = options_of(task.training.local_step)
        self._step = made(task.training.local_step)
        self._trained = self._not_frozen(task.training.frozen)
        self._bystanders = self._frozen_norms()
        self._initial = _as_numpy(self._network.state_dict()) | self._beside_initial()
        self._network.to(self._device)
        names = batch_norms(self._network) if task.training.local_step.name == "site-batch-norm" else []
        self._local_names = {name for name in self._network.state_dict() if name.rpartition(".")[0] in names}
        self._samples = self.samples(task)
        if self._given.keeps_running_means and len(self._samples.train) * self._samples.train.draws < 2:
            raise BatchTooSmall(
                "There is one sample to train on, and the network normalises over batches.",
                why="The mean and the spread of one sample say nothing.",
                todo="Choose instance or group normalisation, or a cohort with more subjects.",
            )
        self._judged: Judged | None = None
        self._patients = Patients(self._samples.train)
        # A worker's own, for all of its rounds: with the job's seed anybody could draw the noise again.
        self._source = NoiseSource()
        self._take_up({})
        return self._samples.n_series

    def initial_weights(self) -> Weights:
        """Return the weights that the job seed leads to, with what travels beside them."""
        return self._initial

    def subjects_used(self) -> tuple[int, int]:
        """Return how many different subjects gave samples, and how many of them are held out."""
        return self._samples.subjects, self._samples.heldout_subjects

    def images_used(self) -> int:
        """Return of how many distinct samples the steps of the last round were made."""
        return self._images

    def unlabelled(self) -> int:
        """Return how many subjects are left out because the site knows no usable label of them."""
        return self._samples.unlabelled

    def begin_round(self, round_number: int, state: Weights) -> None:
        """Seed the round and take up what the site kept."""
        seed = derive_seed(self._task.job_seed, site=self._task.site, round_number=round_number)
        # All processes of a group go through the same batches; what each draws inside its part is its own.
        torch.manual_seed(seed + self.group.rank)
        self._random = torch.Generator().manual_seed(seed)
        self._round = round_number
        self._drawn: set[int] = set()
        self._images = 0
        self._take_up(state)

    def site_state(self) -> Weights:
        """Return what the local step, the optimizer and local layers keep at the site."""
        return self._state

    def train(self, data: ExchangeObject, extra: dict[str, Any] | None = None) -> None:
        """Train one round from the given weights."""
        base, beside = _split(weights_in(data))
        self._load(base)
        rate = rate_of(self._given, self._round, self._task.rounds)
        optimizer = self._optimizer(rate, beside)
        at = LocalRound(
            self._network,
            self._trained,
            rate,
            {k.removeprefix(_STEP): v for k, v in self._kept.items() if k.startswith(_STEP)},
            {k: v for k, v in beside.items() if k.startswith(CONTROL)},
            partial(with_features, head=head_of(self._network)) if self._step.wants_features else None,
            len(self.class_counts()),
        )
        self._step.begin(at)
        given = self._given
        if self._task.noise is not None:
            self._steps = self._noisy_passes(optimizer, self._step, self._task.noise)
        else:
            self._steps = self._passes(
                optimizer, self._step, epochs=given.local_epochs, most=given.local_steps
            )
        self._images = len(self._drawn)
        ended = self._step.end(self._steps)
        trained = _as_numpy(self._network.state_dict())
        self._local = {name: trained[name] for name in self._local_names}
        sent = trained | {name: base[name] for name in self._local_names}
        slots = state_of(optimizer, self._trained, slots_of(self._given))
        averaged = slots if self._given.optimizer_state is OptimizerState.AVERAGE else {}
        self._sent = sent | averaged | ended.sent
        self._state = {
            **{_STEP + name: value for name, value in ended.state.items()},
            **{_LOCAL + name: value for name, value in self._local.items()},
            **(slots if self._given.optimizer_state is OptimizerState.KEEP else {}),
        }
        self._make_personal(base)

    def dead_share(self, data: ExchangeObject) -> float:
        """Return which share of the trained weights no local sample moves, from the given weights."""
        train = self._samples.train
        batches = places_of(len(train) * train.draws, batch_size=self._given.batch_size)
        if not batches:
            return 0.0
        self._load(_split(weights_in(data))[0])

        def losses() -> Iterator[torch.Tensor]:
            for places in batches:
                images, targets = train.batch(places, self._round)
                outputs = self._network(images.to(self._device))
                yield self.batch_loss(outputs.float(), targets.to(self._device), None)

        return dead_share(self._network, self._trained, losses())

    def get_weights(self, extra: dict[str, Any] | None = None) -> ExchangeObject:
        """Return the local weights with what travels beside them, and on how much they were trained."""
        return exchanged(self._sent, **{N_TRAIN: len(self._samples.train), N_STEPS: self._steps})

    def evaluate(self, data: ExchangeObject, extra: dict[str, Any] | None = None) -> ExchangeObject:
        """Return loss and metrics on the held-out samples, and those of the site's own model where there is one."""
        heldout = self._samples.heldout
        if not len(heldout):
            return measured({}, **{N_HELDOUT: 0})
        self._load(_split(weights_in(data))[0])
        self._judged = self._judgement()
        found = {"loss": self._judged.loss, **self._judged.metrics}
        if self._personal:
            self._load(self._personal)
            own = self._judgement()
            found |= {f"personal_{name}": value for name, value in own.metrics.items()}
            found["personal_loss"] = own.loss
        return measured(found, **{N_HELDOUT: len(heldout)})

    def remembered(self, data: ExchangeObject, wish: Wish) -> dict[str, float]:
        """Return how much a model remembers of the samples that this site trained on."""
        if not self.of_single_images or not len(self._samples.train):
            return {}
        self._load(_split(weights_in(data))[0])
        inside, outside = (self._looked_at(self._network, one) for one in self._sides())
        middle = np.asarray(np.mean(inside[0], axis=0, dtype=np.float64))
        far = remembering.rareness(inside[0], middle), remembering.rareness(outside[0], middle)
        copied = remembering.copied(self._network, inside[0])
        found = remembering.told((inside[1], outside[1]), far, copied)
        if not wish.shadows:
            return found
        return found | shadows.told(
            np.concatenate([inside[1], outside[1]]),
            len(inside[1]),
            np.concatenate(far),
            shadow=partial(self._shadow, passes=wish.passes),
            count=wish.shadows,
            seed=derive_seed(self._task.job_seed, site=self._task.site, round_number=0, purpose="shadows"),
        )

    def _sides(self) -> tuple[list[Item], list[Item]]:
        """Return samples that were trained on and samples that were held out, without random changes."""
        train, heldout = (
            [some.item(place) for place in remembering.places(len(some))]
            for some in (self._samples.train, self._samples.heldout)
        )
        return train, heldout

    def _shadow(self, places: Sequence[int], seed: int, *, passes: int) -> NDArray[np.float64]:
        """Train a fresh network on some samples of both sides, and return the loss of each of all."""
        items = [item for side in self._sides() for item in side]
        torch.manual_seed(seed)
        network = self.network(self.parameters).to(self._device)
        optimizer = new_optimizer(
            self._given, network.parameters(), rate_of(self._given, 1, self._task.rounds)
        )
        network.train()
        for chosen in shadows.batches(places, size=self._given.batch_size, passes=passes, seed=seed):
            images, targets = (torch.stack([items[at][name] for at in chosen]) for name in (IMAGE, TARGET))
            loss = self.batch_loss(network(images.to(self._device)), targets.to(self._device), None)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
        return self._looked_at(network, items)[1]

    def _looked_at(
        self, network: nn.Module, items: Sequence[Item]
    ) -> tuple[list[NDArray[np.float32]], NDArray[np.float64]]:
        """Return images, and the loss of each under a network."""
        network.eval()
        losses = []
        with torch.no_grad():
            for item in items:
                output = network(item[IMAGE][None].to(self._device)).float().cpu()
                losses.append(float(self.batch_loss(output, item[TARGET][None], None)))
        return [item[IMAGE].numpy() for item in items], np.array(losses, dtype=np.float64)

    def evaluate_together(self, models: Sequence[ExchangeObject], *, combine: str) -> ExchangeObject:
        """Return loss and metrics of the predictions of several models, put together, on the held-out samples."""
        put_together = self.together(combine)
        heldout = self._samples.heldout
        if not len(heldout):
            return measured({}, **{N_HELDOUT: 0})
        members = [_split(weights_in(model))[0] for model in models]

        def forward(images: torch.Tensor) -> torch.Tensor:
            found = []
            for member in members:
                self._load(member)
                found.append(self._forward(images))
            return put_together(torch.stack(found))

        self._network.eval()
        with torch.no_grad():
            self._judged = self.judge(forward, heldout)
        return measured({"loss": self._judged.loss, **self._judged.metrics}, **{N_HELDOUT: len(heldout)})

    def groups(self) -> Groups:
        """Return the metrics of the last evaluation by sex, age band and maker, with how many subjects each has."""
        found: Groups = {}
        if self._judged is None:
            return found
        heldout = self._samples.heldout.samples
        for group in (SEX, AGE, MAKER):
            words = sorted({one.groups[group] for one in heldout if group in one.groups})
            for word in words:
                places = [place for place, one in enumerate(heldout) if one.groups.get(group) == word]
                subjects = len({heldout[place].subject for place in places})
                row = {"n_subjects": float(subjects), **self._judged.of(places)}
                found.setdefault(group, {})[word] = row
        return found

    def by_group(self) -> ByGroup:
        """Return the metrics of the last evaluation by group, each subject in one of each kind."""
        if self._judged is None:
            return ByGroup()
        samples = self._samples.heldout.samples
        known = [one.groups for one in samples]
        return by_group([one.subject for one in samples], known, self._classes_held_out(), self._judged.of)

    def heldout_classes(self) -> list[int]:
        """Return how many held-out subjects each class has that occurs among them; nothing if none are classified."""
        subjects = [one.subject for one in self._samples.heldout.samples]
        return subjects_of_classes(subjects, self._classes_held_out())

    def _classes_held_out(self) -> list[int]:
        heldout = self._samples.heldout
        return [int(heldout.target(place)) for place in range(len(heldout))] if self.classifies else []

    # -- the loop ------------------------------------------------------------------------------------------------

    def _passes(
        self, optimizer: torch.optim.Optimizer, step: LocalStep, *, epochs: int, most: int | None = None
    ) -> int:
        """Make all steps of a round, of so many passes or in their place so many steps; return how many."""
        self._network.train()
        for module in self._bystanders:
            module.eval()
        counts = self.class_counts()
        weights = step.class_weights(counts.to(self._device)) if len(counts) else None
        forward = self._forward_in_training(step)
        done = 0

        def loss_of(places: Sequence[int], seed: int) -> torch.Tensor:
            images, targets = self._samples.train.batch(places, seed)
            images, targets = images.to(self._device), targets.to(self._device)
            with torch.autocast(self._device.type, torch.bfloat16, enabled=self._halved):
                outputs, features = forward(images)
            loss = self.batch_loss(outputs.float(), targets, weights)
            added = step.loss(images, features)
            return loss if added is None else loss + added

        group, least = self.group, 2 if self._given.keeps_running_means else 1
        for places, seed in self._batches(epochs, most):
            optimizer.zero_grad()
            part = group.part(places, least=least)
            loss = loss_of(part, group.own(seed)) if part else None
            if loss is not None:
                torch.autograd.backward(loss)
            whole = group.sum_gradients(self._network.parameters(), loss, share=len(part) / len(places))
            # All processes look at the same number, so none of them waits for one that gave up.
            if not bool(torch.isfinite(whole)):
                raise TrainingDiverged(
                    "The training loss is not a finite number.",
                    why="The learning rate may be too high.",
                    todo="Lower the learning rate and submit the job again.",
                )
            step.gradients()
            if self._given.clip_norm is not None:
                nn.utils.clip_grad_norm_(self._trained.values(), float(self._given.clip_norm))
            optimizer.step()
            step.after_step()
            self._drawn.update(place // self._samples.train.draws for place in places)
            done += 1
        group.average_running_means(self._network)
        return done

    def _noisy_passes(self, optimizer: torch.optim.Optimizer, step: LocalStep, plan: NoisePlan) -> int:
        """Make all steps of a round with noise, as many as the node has planned; return how many."""
        self._network.train()
        with clipped_sum(self._network, self._trained, clip=float(plan.clip)) as summed:
            for _ in range(plan.steps):
                places = self._patients.draw(self._source, float(plan.rate))
                images, targets = torch.zeros(0), torch.zeros(0)
                if places:
                    images, targets = self._patients.batch(places, self._source)
                there = images.to(self._device), targets.to(self._device)
                summed.gradients(*there, self.losses, plan, self._source)
                # All that follows works on what has its noise.
                step.gradients()
                if self._given.clip_norm is not None:
                    nn.utils.clip_grad_norm_(self._trained.values(), float(self._given.clip_norm))
                optimizer.step()
                step.after_step()
                self._drawn.update(places)
        return plan.steps

    def _batches(self, epochs: int, most: int | None) -> Iterator[tuple[list[int], int]]:
        """Yield places and a seed for each step; the order is drawn anew for each pass."""
        entries = len(self._samples.train) * self._samples.train.draws
        made = 0
        while most is not None or epochs > 0:
            order = torch.randperm(entries, generator=self._random)
            for chosen in torch.split(order, self._given.batch_size):
                if len(chosen) == 1 and self._given.keeps_running_means:
                    continue
                seed = int(torch.randint(2**31, (1,), generator=self._random))
                yield chosen.tolist(), seed
                made += 1
                if made == most:
                    return
            epochs -= 1

    def _forward_in_training(
        self, step: LocalStep
    ) -> Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor | None]]:
        network = self._network
        if step.wants_features:
            return partial(with_features, network, head=head_of(network))
        return lambda images: (network(images), None)

    def _judgement(self) -> Judged:
        self._network.eval()
        with torch.no_grad():
            return self.judge(self._forward, self._samples.heldout)

    def _forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the outputs for images on the CPU, there again."""
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._halved):
            found: torch.Tensor = self._network(images.to(self._device))
        return found.float().cpu()

    @property
    def _halved(self) -> bool:
        return bool(self._given.mixed_precision) and self._device.type == "cuda"

    # -- models and state ----------------------------------------------------------------------------------------

    def _take_up(self, state: Weights) -> None:
        self._kept = state
        self._state = dict(state)
        self._local = _under(state, _LOCAL)
        self._personal: Weights = {}

    def _load(self, weights: Weights) -> None:
        """Give the network the weights, but its own in the layers that stay at the site."""
        known = self._network.state_dict()
        form = {name: tuple(tensor.shape) or (1,) for name, tensor in known.items()}
        if {name: array.shape for name, array in weights.items()} != form:
            raise ModelUnfit(
                "The model that training shall start from has other tensors than the network.",
                why="It was made by another template, with other parameters, or by another version.",
                todo="Start from a model of the same network, or from none.",
            )
        whole = weights | self._local
        self._network.load_state_dict(
            {
                name: torch.from_numpy(np.array(array)).to(known[name].dtype).reshape(known[name].shape)
                for name, array in whole.items()
            }
        )

    def _optimizer(self, rate: float, beside: Weights) -> torch.optim.Optimizer:
        optimizer = new_optimizer(self._given, self._trained.values(), rate)
        if self._given.optimizer_state is OptimizerState.KEEP:
            restore(optimizer, self._trained, self._kept)
        elif self._given.optimizer_state is OptimizerState.AVERAGE:
            restore(optimizer, self._trained, beside)
        return optimizer

    def _make_personal(self, base: Weights) -> None:
        """Train a model of the site's own from the model of the round, where the job asks for it; keep it."""
        options = self._step_options
        if not isinstance(options, FineTune):
            return
        if options.when == "last" and self._round < self._task.rounds:
            return
        self._load(base)
        chosen = {
            name: parameter
            for name, parameter in self._trained.items()
            if any(fnmatchcase(name, pattern) for pattern in options.layers)
        }
        if not chosen:
            raise _nothing_trained("layers")
        optimizer = new_optimizer(self._given, chosen.values(), float(options.learning_rate))
        self._passes(optimizer, LocalStep(), epochs=options.epochs)
        self._personal = _as_numpy(self._network.state_dict())
        self._state = self._state | {_PERSONAL + name: value for name, value in self._personal.items()}

    def _not_frozen(self, patterns: Sequence[str]) -> dict[str, nn.Parameter]:
        trained = {}
        for name, parameter in self._network.named_parameters():
            frozen = any(fnmatchcase(name, pattern) for pattern in patterns)
            parameter.requires_grad_(not frozen)
            if not frozen:
                trained[name] = parameter
        if not trained:
            raise _nothing_trained("frozen")
        return trained

    def _frozen_norms(self) -> list[nn.Module]:
        """Return the layers of batch normalisation that are frozen: their running means stay as well."""
        return [
            self._network.get_submodule(name)
            for name in batch_norms(self._network)
            if not any(f"{name}.{part}" in self._trained for part in ("weight", "bias"))
        ]

    def _beside_initial(self) -> Weights:
        found = self._step.empty(self._trained)
        if self._given.optimizer_state is OptimizerState.AVERAGE:
            shapes = {name: tuple(each.shape) for name, each in self._trained.items()}
            found = found | empty_state(self._given, shapes)
        return found


def _split(weights: Weights) -> tuple[Weights, Weights]:
    """Return the weights of the network, and what travels beside them."""
    beside = {name: array for name, array in weights.items() if name.startswith(_BESIDE)}
    return {name: array for name, array in weights.items() if name not in beside}, beside


def _under(state: Weights, prefix: str) -> Weights:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def _as_numpy(state: Mapping[str, torch.Tensor]) -> Weights:
    # A single number has the form (1,), as it has in a file of weights.
    return {name: np.atleast_1d(tensor.detach().cpu().numpy()).copy() for name, tensor in state.items()}


def _nothing_trained(field: str) -> AlgorithmParametersRefused:
    return AlgorithmParametersRefused(
        "No layer is left to train.",
        why=f"The patterns of {field!r} decide over the names of all tensors.",
        todo="Name other patterns, such as 'conv*'; a model's file names its tensors.",
    )
