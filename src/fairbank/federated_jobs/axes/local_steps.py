"""The local steps: what changes in local training at a site."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from fairbank.federated_jobs.axes.elements import Choice, Options
from fairbank.federated_jobs.evaluating import EVALUATE
from fairbank.federated_jobs.tensor_prefixes import CONTROL
from fairbank.federated_jobs.training_errors import LocalStepUnfit, NoiseRefused
from fairbank.ontology.signed_objects import Training


class WeightedLoss(Options):
    """How much each class counts: by the inverse of its frequency at the site, or as given, one for each class."""

    weights: Annotated[tuple[Decimal, ...], Field(max_length=1000, strict=False)] | None = None

    @model_validator(mode="after")
    def _in_range(self) -> Self:
        if self.weights is not None and not all(0 < weight <= 1000 for weight in self.weights):
            raise ValueError("weights lie above 0 and at most at 1000")
        return self


class FedProx(Options):
    """`mu`: how strongly weights are held at those of the global model."""

    mu: Annotated[Decimal, Field(gt=0, le=1000)] = Decimal("0.01")


class FedMax(Options):
    """`beta`: how strongly activations are spread over all features."""

    beta: Annotated[Decimal, Field(gt=0, le=100_000)] = Decimal(1)


class Moon(Options):
    """`mu`: how strongly features are held at those of the global model; `temperature`: how finely they differ."""

    mu: Annotated[Decimal, Field(gt=0, le=1000)] = Decimal(1)
    temperature: Annotated[Decimal, Field(gt=0, le=10)] = Decimal("0.5")


class FineTune(Options):
    """Passes of the site's own training after the last round (or each), with which rate, of which tensors."""

    epochs: Annotated[int, Field(ge=1, le=100)] = 1
    learning_rate: Annotated[Decimal, Field(gt=0, le=10)] = Decimal("0.001")
    layers: Annotated[tuple[str, ...], Field(min_length=1, max_length=100, strict=False)] = ("*",)
    when: Literal["last", "every"] = "last"


class SynapticIntelligence(Options):
    """`strength` of the penalty and the damping that keeps importance finite."""

    strength: Annotated[Decimal, Field(gt=0, le=1000)] = Decimal("0.1")
    damping: Annotated[Decimal, Field(gt=0, le=1000)] = Decimal("0.1")


# Fewer say too little of a single sample.
_FEWEST_SHADOWS = 8


class Evaluate(Options):
    """`members`: digests of models whose predictions are put together; `combine`: their mean, or the classes' votes.

    `release_check`: also measure how much one model remembers of what it was trained on; with `shadows` each site also
    trains so many models of its own to compare with, each of `shadow_passes` passes over half of its samples.
    """

    members: Annotated[
        tuple[Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")], ...],
        Field(max_length=64, strict=False),
    ] = ()
    combine: Literal["mean", "vote"] = "mean"
    release_check: bool = False
    shadows: Annotated[int, Field(ge=0, le=64, multiple_of=2)] = 0
    shadow_passes: Annotated[int, Field(ge=1, le=1000)] = 20

    @model_validator(mode="after")
    def _are_enough(self) -> Self:
        if self.shadows and (not self.release_check or self.shadows < _FEWEST_SHADOWS):
            raise ValueError(f"shadows belong to a release check, and {_FEWEST_SHADOWS} are the fewest")
        return self

    @model_validator(mode="after")
    def _are_several(self) -> Self:
        if self.release_check and self.members:
            raise ValueError("a release check looks at one model, not at an ensemble")
        if len(self.members) == 1 or len(set(self.members)) != len(self.members):
            raise ValueError("an ensemble has at least two members, each named once")
        return self


@dataclass(frozen=True, slots=True)
class LocalStepChoice(Choice):
    """One local step.

    Attributes:
        exchanges: prefix of the names of tensors that it sends and receives beside the weights; empty for none.
        stateful: whether a site keeps tensors for it from round to round.
        local_layers: whether some layers stay at the site by the method itself.
        needs: what it needs of an algorithm: `classes`, `features` (of a layer before the last), `batch-norm`, or
            `plain-sgd`; nothing for all that trains a network.
        after_noise: whether all that it does is worked out of weights and of gradients that have their noise.
    """

    exchanges: str = ""
    stateful: bool = False
    local_layers: bool = False
    needs: tuple[str, ...] = ()
    after_noise: bool = False


PLAIN = "plain"

LOCAL_STEPS: dict[str, LocalStepChoice] = {
    step.name: step
    for step in (
        LocalStepChoice(
            name=PLAIN,
            title="The algorithm's own training, unchanged",
            source="McMahan et al. 2017, Communication-Efficient Learning of Deep Networks, algorithm 1",
            after_noise=True,
        ),
        LocalStepChoice(
            name="weighted-loss",
            title="Rare classes count more in the loss",
            source="King & Zeng 2001, Logistic Regression in Rare Events Data, section 4.2",
            options=WeightedLoss,
            needs=("classes",),
        ),
        LocalStepChoice(
            name="fedprox",
            title="Weights are held near those of the global model",
            source="Li et al. 2020, Federated Optimization in Heterogeneous Networks, equation 2",
            options=FedProx,
            after_noise=True,
        ),
        LocalStepChoice(
            name="scaffold",
            title="Each step is corrected by how the site's gradient differs from that of all sites",
            source="Karimireddy et al. 2020, SCAFFOLD, algorithm 1, option II",
            exchanges=CONTROL,
            stateful=True,
            needs=("plain-sgd",),
            after_noise=True,
        ),
        LocalStepChoice(
            name="fedmax",
            title="Activations are kept as even as the labels allow",
            source="Chen et al. 2020, FedMAX: Mitigating Activation Divergence, section 3",
            options=FedMax,
            needs=("features",),
        ),
        LocalStepChoice(
            name="moon",
            title="Features are drawn to those of the global model and away from those of the site's last one",
            source="Li, He & Song 2021, Model-Contrastive Federated Learning, equation 3",
            options=Moon,
            stateful=True,
            needs=("features",),
        ),
        LocalStepChoice(
            name="fine-tune",
            title="The site trains a model of its own on from the global one; it stays, its metrics are told",
            source="Wang et al. 2019, Federated Evaluation of On-device Personalization, section 2",
            options=FineTune,
            stateful=True,
        ),
        LocalStepChoice(
            name="site-batch-norm",
            title="Layers of batch normalisation stay at the site",
            source="Li et al. 2021, FedBN: Federated Learning on Non-IID Features via Local Batch Normalization",
            stateful=True,
            local_layers=True,
            needs=("batch-norm",),
        ),
        LocalStepChoice(
            name="synaptic-intelligence",
            title="Weights that mattered in earlier rounds of the site are held where they were",
            source="Zenke, Poole & Ganguli 2017, Continual Learning Through Synaptic Intelligence, equations 3 to 5",
            options=SynapticIntelligence,
            stateful=True,
            after_noise=True,
        ),
        LocalStepChoice(
            name=EVALUATE,
            title="Nothing is trained; each site measures the model, or an ensemble, on its held-out subjects",
            source="",
            options=Evaluate,
        ),
    )
}

_WHY = {
    "trained-network": "It does not train a network step by step.",
    "classes": "It has no classes that could be weighted.",
    "features": "It has no layer of features before the last that could be compared.",
    "batch-norm": "Its network has no layers of batch normalisation with these parameters.",
    "plain-sgd": "The correction is worked out for optimizer 'sgd' without momentum.",
}


def require_fitting(algorithm: str, offers: frozenset[str], training: Training | None) -> None:
    """Refuse a local step, or frozen layers, with an algorithm that has not what they need.

    Args:
        algorithm: its name.
        offers: what the algorithm with its parameters has: words of `LocalStepChoice.needs`, and `trained-network`.

    Raises:
        LocalStepUnfit: naming the first thing that is missing.
        NoiseRefused: if the training asks for noise, which the algorithm cannot add for each patient.
    """
    if training is not None and training.differential_privacy is not None:
        _require_per_patient(algorithm, offers)
    if training is None or training.local_step.name == EVALUATE:
        return
    if training.local_step.name == PLAIN and not training.frozen:
        return
    step = LOCAL_STEPS[training.local_step.name]
    for need in ("trained-network", *step.needs):
        if need not in offers:
            what = "Frozen layers" if step.name == PLAIN else f"The local step {step.name!r}"
            raise LocalStepUnfit(
                f"{what} cannot go with {algorithm!r} as it is asked for.",
                why=_WHY[need],
                todo="Choose another local step, or other parameters; docs/reference/training.md lists what goes "
                "together.",
            )


def _require_per_patient(algorithm: str, offers: frozenset[str]) -> None:
    if "per-patient" in offers:
        return
    if "batch-norm" in offers:
        raise NoiseRefused(
            "Noise in training does not go with batch normalisation.",
            why="It mixes the images of a batch, so that no patient has a gradient of her own.",
            todo="Choose norm=group or norm=instance.",
        )
    raise NoiseRefused(
        f"The template {algorithm!r} cannot train with noise.",
        why="It gives no gradient for each patient that could be shortened.",
        todo="Choose 'classification' or 'regression', or leave the noise out.",
    )
