"""The aggregators: how updates become the next global model."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from fairbank.federated_jobs.axes.elements import Choice, Options

_Fraction = Annotated[Decimal, Field(ge=0, le=1)]
_Decay = Annotated[Decimal, Field(ge=0, lt=1)]
_Rate = Annotated[Decimal, Field(gt=0, le=100)]
_Small = Annotated[Decimal, Field(gt=0, le=1)]


class AggregatorOptions(Options):
    """Options of every aggregator.

    Attributes:
        refuse_beyond: refuse an update whose size is further from those of the others than so many robust standard
            deviations; none is refused by default, it is only marked. With fewer than three sites nothing is judged.
        refuse_longer: refuse an update that is longer than so many times the running median: that of the lengths of
            this round and of the five before; none is refused by default. With fewer than three sites none is judged.
        refuse_unchanged: refuse an update that is the model it started from, or that model and noise, or the last step
            of the model once more, or what the same site has sent before.
    """

    refuse_beyond: Annotated[Decimal, Field(ge=2, le=1000)] | None = None
    refuse_longer: Annotated[Decimal, Field(ge=1, le=1000)] | None = None
    refuse_unchanged: bool = False

    @property
    def judges_updates(self) -> bool:
        """Tell whether the job asks that single updates are judged, which needs a hub that sees them."""
        return self.refuse_beyond is not None or self.refuse_longer is not None or self.refuse_unchanged


class ClippedOptions(AggregatorOptions):
    """Options of the aggregators that average and would follow one long update.

    Attributes:
        clip_beyond: shorten an update that is longer than so many times the median of its round to that; null shortens
            none. With fewer than three sites, and where the hub sees no single update, none is.
            Source: Sun et al. 2019, Can You Really Backdoor Federated Learning?, section 4; the factor is measured.
    """

    clip_beyond: Annotated[Decimal, Field(ge=1, le=1000)] | None = Decimal(2)

    @property
    def judges_updates(self) -> bool:
        """Tell whether the job asks that single updates are judged; the usual shortening is left out without them."""
        return "clip_beyond" in self.model_fields_set or super().judges_updates


class AveragingOptions(ClippedOptions):
    """Options of the aggregators that average, by samples.

    Attributes:
        staleness: how the weight of an update falls with the number of rounds that its base is old: `constant` (not),
            `polynomial` (age + 1)^-a, or `hinge` 1 up to b rounds, then 1 / (a (age - b) + 1).
            Source: Xie et al. 2019, section 5.2.
        staleness_a: the a in these.
        staleness_b: the b in these, rounds.
    """

    staleness: Literal["constant", "polynomial", "hinge"] = "polynomial"
    staleness_a: Annotated[Decimal, Field(ge=0, le=100)] = Decimal("0.5")
    staleness_b: Annotated[int, Field(ge=0, le=1000)] = 4


class ServerOptions(AveragingOptions):
    """Options of FedSGD.

    Attributes:
        server_rate: what the mean difference is multiplied by before it is added to the model.
    """

    server_rate: _Rate = Decimal(1)


class MomentumOptions(ServerOptions):
    """Options of FedAvgM.

    Attributes:
        momentum: part of the last step that is kept in the next.
    """

    momentum: _Decay = Decimal("0.9")


class AdaptiveOptions(AveragingOptions):
    """Options of FedAdagrad, FedAdam and FedYogi.

    Attributes:
        server_rate: the server's learning rate, eta.
        beta1: decay of the first moment.
        beta2: decay of the second moment; FedAdagrad sums it up and has none.
        tau: how adaptive it is; the smaller, the more.
    """

    server_rate: _Rate = Decimal("0.01")
    beta1: _Decay = Decimal("0.9")
    beta2: _Decay = Decimal("0.99")
    tau: _Small = Decimal("0.001")


class AdagradOptions(AveragingOptions):
    """Options of FedAdagrad.

    Attributes:
        server_rate: the server's learning rate, eta.
        beta1: decay of the first moment.
        tau: how adaptive it is; the smaller, the more.
    """

    server_rate: _Rate = Decimal("0.01")
    beta1: _Decay = Decimal(0)
    tau: _Small = Decimal("0.001")


class NovaOptions(AggregatorOptions):
    """Options of FedNova.

    Attributes:
        local_momentum: momentum of the sites' optimizer, which is part of how far a local step leads.
        server_rate: what the normalised step is multiplied by.
    """

    local_momentum: _Decay = Decimal(0)
    server_rate: _Rate = Decimal(1)


class CostOptions(ClippedOptions):
    """Options of FedCostWAvg.

    Attributes:
        alpha: part of the weight that comes from the number of samples; the rest comes from the fall of the loss.
    """

    alpha: _Fraction = Decimal("0.5")


class FocusOptions(ClippedOptions):
    """Options of FedFocus.

    Attributes:
        favour: which sites weigh more: those whose loss is low, or those whose loss is high.
        sharpness: power to which losses are raised in the first round.
        decay: what that power is multiplied by in each further round, so that weights settle at those of FedAvg.
    """

    favour: Literal["low-loss", "high-loss"] = "low-loss"
    sharpness: Annotated[Decimal, Field(ge=0, le=5)] = Decimal(1)
    decay: _Fraction = Decimal("0.9")


class LearntOptions(AggregatorOptions):
    """Options of Auto-FedAvg.

    Attributes:
        mixing_rate: learning rate of the mixing weights.
    """

    mixing_rate: _Rate = Decimal("0.1")


class TrimmedOptions(AggregatorOptions):
    """Options of the trimmed mean.

    Attributes:
        beta: part of the values that is left out at each end, rounded up; the middle one always stays.
    """

    beta: Annotated[Decimal, Field(gt=0, lt=Decimal("0.5"))] = Decimal("0.2")


class KrumOptions(AggregatorOptions):
    """Options of Krum.

    Attributes:
        byzantine: how many sites may send anything, f; Krum needs 2f + 3 updates.
    """

    byzantine: Annotated[int, Field(ge=1, le=100)] = 1


class MultiKrumOptions(KrumOptions):
    """Options of multi-Krum.

    Attributes:
        chosen: how many of the updates are averaged; n - f by default.
    """

    chosen: Annotated[int, Field(ge=1, le=1000)] | None = None


class GeometricOptions(AggregatorOptions):
    """Options of the geometric median.

    Attributes:
        by_samples: let sites weigh by their numbers of samples; a site may claim any number.
        smoothing: distance below which a site weighs no more, relative to the median distance.
        iterations: at most so many steps of Weiszfeld's algorithm.
    """

    by_samples: bool = False
    smoothing: Annotated[Decimal, Field(gt=0, le=1)] = Decimal("0.000001")
    iterations: Annotated[int, Field(ge=1, le=1000)] = 100


class SuppressionOptions(AggregatorOptions):
    """Options of distance-based outlier suppression.

    Attributes:
        bound_norms: shorten updates that are longer than the median one to its length before they are weighed.
    """

    bound_norms: bool = True


class BoundOptions(AggregatorOptions):
    """Options of the norm-bounded mean.

    Attributes:
        bound: the longest difference that counts whole, in the unit of the weights; the median length by default.
        by_samples: let sites weigh by their numbers of samples; a site may claim any number.
    """

    bound: Annotated[Decimal, Field(gt=0, le=Decimal(10) ** 9)] | None = None
    by_samples: bool = False


@dataclass(frozen=True, slots=True)
class AggregatorChoice(Choice):
    """One aggregator.

    Attributes:
        linear: whether it is a weighted sum of updates with weights that no update decides; only such a one could work
            on sums without seeing single updates.
        stateful: whether the hub keeps tensors for it from round to round.
        minimum_sites: how many updates it needs to mean anything.
        notes: the numbers that every update must bring.
        needs_base: whether it works on differences to the model that a round started from.
        weighs_staleness: whether an update from an older model weighs less.
        coordinatewise: whether it judges each weight by itself, so that an update must tell something of each.
        robust: whether one site that sends anything cannot lead the model away, given enough others.
        formula: what it does, in one line.
    """

    linear: bool = False
    stateful: bool = False
    minimum_sites: int = 1
    notes: tuple[str, ...] = ()
    needs_base: bool = False
    weighs_staleness: bool = False
    coordinatewise: bool = False
    robust: bool = False
    formula: str = ""


AGGREGATORS: dict[str, AggregatorChoice] = {
    aggregator.name: aggregator
    for aggregator in (
        AggregatorChoice(
            name="fedavg",
            title="The mean of the sites' weights, weighted by their numbers of training samples",
            source="McMahan et al. 2017, Communication-Efficient Learning of Deep Networks, algorithm 1",
            options=AveragingOptions,
            linear=True,
            weighs_staleness=True,
            formula="x' = Σ n_i x_i / Σ n_i",
        ),
        AggregatorChoice(
            name="fedsgd",
            title="The mean difference, times a server rate, added to the model",
            source="McMahan et al. 2017, section 2; Reddi et al. 2021, Adaptive Federated Optimization, section 2",
            options=ServerOptions,
            linear=True,
            needs_base=True,
            weighs_staleness=True,
            formula="x' = x + η Δ, Δ = Σ n_i (x_i - x) / Σ n_i",
        ),
        AggregatorChoice(
            name="fedavgm",
            title="The mean difference with momentum at the hub",
            source="Hsu et al. 2019, Measuring the Effects of Non-Identical Data Distribution, section 4.3",
            options=MomentumOptions,
            linear=True,
            stateful=True,
            needs_base=True,
            weighs_staleness=True,
            formula="v' = β v + Δ, x' = x + η v'",
        ),
        AggregatorChoice(
            name="fedadagrad",
            title="Adagrad at the hub, on the mean difference",
            source="Reddi et al. 2021, Adaptive Federated Optimization, algorithm 2",
            options=AdagradOptions,
            linear=True,
            stateful=True,
            needs_base=True,
            weighs_staleness=True,
            formula="v' = v + Δ², x' = x + η m' / (√v' + τ)",
        ),
        AggregatorChoice(
            name="fedadam",
            title="Adam at the hub, on the mean difference",
            source="Reddi et al. 2021, Adaptive Federated Optimization, algorithm 2",
            options=AdaptiveOptions,
            linear=True,
            stateful=True,
            needs_base=True,
            weighs_staleness=True,
            formula="m' = β₁ m + (1 - β₁) Δ, v' = β₂ v + (1 - β₂) Δ², x' = x + η m' / (√v' + τ)",
        ),
        AggregatorChoice(
            name="fedyogi",
            title="Yogi at the hub, on the mean difference",
            source="Reddi et al. 2021, Adaptive Federated Optimization, algorithm 2",
            options=AdaptiveOptions,
            linear=True,
            stateful=True,
            needs_base=True,
            weighs_staleness=True,
            formula="v' = v - (1 - β₂) Δ² sign(v - Δ²), m' and x' as FedAdam",
        ),
        AggregatorChoice(
            name="fednova",
            title="Differences normalised by how many local steps each site made",
            source="Wang et al. 2020, Tackling the Objective Inconsistency Problem, equation 6",
            options=NovaOptions,
            notes=("n_steps",),
            needs_base=True,
            formula="x' = x + η (Σ p_i a_i) Σ p_i (x_i - x) / a_i, a_i the local steps",
        ),
        AggregatorChoice(
            name="fedcostwavg",
            title="Weights by samples and by how much each site's loss fell",
            source="Mächler et al. 2021, FedCostWAvg: A New Averaging for Better Federated Learning, equation 1",
            options=CostOptions,
            notes=("before_loss", "after_loss"),
            formula="w_i = a n_i / Σ n + (1 - a) k_i / Σ k, k_i = loss before / loss after",
        ),
        AggregatorChoice(
            name="fedfocus",
            title="Weights by samples and by each site's loss, the less the later the round",
            source="after Li et al. 2022, Integrated CNN and Federated Learning for COVID-19 Detection (FedFocus)",
            options=FocusOptions,
            notes=("after_loss",),
            formula="w_i ∝ n_i L_i^(-p), p = sharpness · decay^(round - 1)",
        ),
        AggregatorChoice(
            name="auto-fedavg",
            title="Mixing weights that are learnt round by round from how updates agree",
            source="after Xia et al. 2021, Auto-FedAvg: Learnable Federated Averaging, section 3",
            options=LearntOptions,
            stateful=True,
            needs_base=True,
            formula="w = softmax(z), z' = z - r ∂L/∂z with ∇L taken from the mean difference",
        ),
        AggregatorChoice(
            name="median",
            title="The median of each weight over the sites",
            source="Yin et al. 2018, Byzantine-Robust Distributed Learning, definition 1",
            options=AggregatorOptions,
            minimum_sites=3,
            robust=True,
            coordinatewise=True,
            formula="x' = med_i x_i, each weight by itself",
        ),
        AggregatorChoice(
            name="trimmed-mean",
            title="The mean of each weight over the sites without the largest and smallest",
            source="Yin et al. 2018, Byzantine-Robust Distributed Learning, definition 2",
            options=TrimmedOptions,
            minimum_sites=3,
            robust=True,
            coordinatewise=True,
            formula="x' = mean of x_i without ⌈β n⌉ values at each end, each weight by itself",
        ),
        AggregatorChoice(
            name="krum",
            title="The one update that is nearest to its neighbours",
            source="Blanchard et al. 2017, Machine Learning with Adversaries, section 4",
            options=KrumOptions,
            minimum_sites=5,
            robust=True,
            formula="x' = x_i with the smallest sum of squared distances to its n - f - 2 nearest",
        ),
        AggregatorChoice(
            name="multi-krum",
            title="The mean of the updates that are nearest to their neighbours",
            source="Blanchard et al. 2017, Machine Learning with Adversaries, section 5",
            options=MultiKrumOptions,
            minimum_sites=5,
            robust=True,
            formula="x' = mean of the m updates with the smallest scores of Krum",
        ),
        AggregatorChoice(
            name="geometric-median",
            title="The point with the smallest sum of distances to all updates",
            source="Pillutla et al. 2022, Robust Aggregation for Federated Learning, algorithm 2 (smoothed Weiszfeld)",
            options=GeometricOptions,
            minimum_sites=3,
            robust=True,
            formula="x' = argmin Σ ‖x_i - z‖",
        ),
        AggregatorChoice(
            name="outlier-suppression",
            title="Weights that fall with how far off an update lies by angle and by distance (DOS)",
            source="Alkhunaizi et al. 2022, Suppressing Poisoning Attacks on Federated Learning for Medical Imaging, "
            "algorithm 1; Li et al. 2020, COPOD, algorithm 1",
            options=SuppressionOptions,
            minimum_sites=3,
            needs_base=True,
            robust=True,
            formula="w = softmax(-(COPOD(cosine) + COPOD(Euclidean)) / 2)",
        ),
        AggregatorChoice(
            name="norm-bounded",
            title="The mean of differences, none of which counts for more than a bound",
            source="Sun et al. 2019, Can You Really Backdoor Federated Learning?, section 4",
            options=BoundOptions,
            minimum_sites=3,
            needs_base=True,
            robust=True,
            formula="x' = x + mean of (x_i - x) min(1, B / ‖x_i - x‖)",
        ),
    )
}
