"""The update filters: what changes in an update before it leaves a site."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from fairbank.federated_jobs.axes.elements import Choice, Options

_Glob = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9_.*?\[\]!-]+$")]
_Globs = Annotated[tuple[_Glob, ...], Field(max_length=100)]


class ShareOptions(Options):
    """Options of `share`: which layers leave; the others stay at the site and are trained on there.

    Attributes:
        preset: `all`; `fedbn`: all but the layers that normalise; `flop`: all but the head; `fedmri`: the encoder only.
        include: patterns of names; only what one of them fits is shared.
        exclude: patterns of names that are not shared.
        statistics: running statistics of batch normalisation: `averaged` with the rest, or `local`.
    """

    preset: Literal["all", "fedbn", "flop", "fedmri"] = "all"
    include: _Globs = ()
    exclude: _Globs = ()
    statistics: Literal["averaged", "local"] = "averaged"


class ClipOptions(Options):
    """Options of `clip-norm`.

    Attributes:
        bound: the longest difference that may leave, in the unit of the weights (Euclidean norm over all of them).
    """

    bound: Annotated[Decimal, Field(gt=0, le=Decimal(10) ** 9)]


class LossyOptions(Options):
    """Options of filters that lose something.

    Attributes:
        error_feedback: keep at the site what was lost, and add it to the update of the next round.
    """

    error_feedback: bool = True


class Int8Options(LossyOptions):
    """Options of `int8`.

    Attributes:
        block: how many values share one scale.
        rounding: to the nearest whole number, or up and down by chance so that the mean is right.
    """

    block: Annotated[int, Field(ge=16, le=65_536)] = 1024
    rounding: Literal["nearest", "stochastic"] = "nearest"


class TopKOptions(LossyOptions):
    """Options of `top-k`.

    Attributes:
        fraction: part of the values of each tensor that is sent, the largest by amount; at least one.
    """

    fraction: Annotated[Decimal, Field(gt=0, le=1)] = Decimal("0.1")


class ZstdOptions(Options):
    """Options of `zstd`.

    Attributes:
        level: how hard it tries, as zstd counts.
    """

    level: Annotated[int, Field(ge=1, le=19)] = 3


@dataclass(frozen=True, slots=True)
class FilterChoice(Choice):
    """One update filter.

    Attributes:
        place: filters of a lower place come first in a chain.
        linear: whether the sum of filtered updates is the filtered sum, so that it goes with summing what nobody sees.
        keeps_names: whether the tensors keep names, shapes and types.
        stateful: whether the site keeps tensors for it from round to round, such as an error that is fed back.
        needs_base: whether it works on the difference to the model that a round started from.
        needs_plain_updates: whether it must see numbers as they are, so that nothing before it may mask or encrypt.
        weights_only: whether it leaves alone what a local step exchanges beside the weights.
        local_layers: whether some layers never leave a site.
        sparse: whether most values of an update are left out.
        protects: whether it is there to protect, so that nothing may pass by it.
        encrypts: whether the hub adds up what it cannot read; the sites share one secret key.
        bound: how far a decoded update is from what went in.
    """

    place: int = 0
    linear: bool = False
    keeps_names: bool = True
    stateful: bool = False
    needs_base: bool = False
    needs_plain_updates: bool = True
    weights_only: bool = True
    local_layers: bool = False
    sparse: bool = False
    protects: bool = False
    encrypts: bool = False
    bound: str = "nothing is lost"


SHARE, ZSTD, CKKS = "share", "zstd", "ckks"

FILTERS: dict[str, FilterChoice] = {
    each.name: each
    for each in (
        FilterChoice(
            name=SHARE,
            title="Only some layers leave; the others stay at the site",
            source="Li et al. 2021, FedBN; Yang et al. 2021, FLOP; Feng et al. 2022, FedMRI",
            options=ShareOptions,
            place=0,
            linear=True,
            keeps_names=False,
            stateful=True,
            weights_only=False,
            local_layers=True,
            bound="what is shared is not changed",
        ),
        FilterChoice(
            name="difference",
            title="The difference to the model that the round started from, in place of the weights",
            source="Konečný et al. 2016, Federated Learning: Strategies for Improving Communication Efficiency",
            place=10,
            linear=True,
            needs_base=True,
            bound="rounding of the type, 2⁻²⁴ of a float32",
        ),
        FilterChoice(
            name="clip-norm",
            title="A difference that is longer than a bound is shortened to it",
            source="Sun et al. 2019, Can You Really Backdoor Federated Learning?, section 4, here at the site",
            options=ClipOptions,
            place=20,
            needs_base=True,
            protects=True,
            bound="exact up to the bound; beyond it the direction is kept",
        ),
        FilterChoice(
            name="top-k",
            title="Only the largest values of each tensor, with their places",
            source="Stich et al. 2018, Sparsified SGD with Memory",
            options=TopKOptions,
            place=30,
            keeps_names=False,
            stateful=True,
            needs_base=True,
            sparse=True,
            bound="at most √(1 - k/n) of the tensor's norm",
        ),
        FilterChoice(
            name="fp16",
            title="Half precision",
            source="IEEE 754, binary16",
            options=LossyOptions,
            place=40,
            keeps_names=False,
            stateful=True,
            needs_base=True,
            bound="2⁻¹¹ of each value; 2⁻²⁵ where it is below 6·10⁻⁵; cut at 65504",
        ),
        FilterChoice(
            name="int8",
            title="One byte a value, with a scale for each block",
            source="Alistarh et al. 2017, QSGD, section 3, with one scale for each block",
            options=Int8Options,
            place=40,
            keeps_names=False,
            stateful=True,
            needs_base=True,
            bound="1/254 of the largest value of the block (nearest), 1/127 (stochastic)",
        ),
        FilterChoice(
            name="sign",
            title="One bit a value, with the mean amount of each tensor",
            source="Karimireddy et al. 2019, Error Feedback Fixes SignSGD, algorithm 1",
            options=LossyOptions,
            place=40,
            keeps_names=False,
            stateful=True,
            needs_base=True,
            bound="at most √(1 - ‖u‖₁² / (n ‖u‖₂²)) of the tensor's norm",
        ),
        FilterChoice(
            name=ZSTD,
            title="The file is compressed, without loss",
            source="RFC 8878",
            options=ZstdOptions,
            place=80,
            keeps_names=False,
            needs_plain_updates=False,
            weights_only=False,
        ),
        FilterChoice(
            name=CKKS,
            title="Encrypted whole: the hub adds up what it cannot read, and all sites share one secret key",
            source="Cheon et al. 2017, Homomorphic Encryption for Arithmetic of Approximate Numbers",
            place=90,
            linear=True,
            keeps_names=False,
            weights_only=False,
            protects=True,
            encrypts=True,
            bound="1e-4 of each weight of the mean; the final model is blurred by 2⁻¹⁶ on top",
        ),
    )
}
