"""Parameter schemas of the shipped training algorithms; importing them needs neither torch nor monai.

Fractions are decimals, which JSON carries as text, because signed objects hold no floating-point numbers.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class AlgorithmParameters(BaseModel):
    """The root of all parameter schemas: unknown names and out-of-range values are refused."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class OptimizerState(Enum):
    """What becomes of a site's optimizer between rounds."""

    RESET = "reset"
    KEEP = "keep"


class SliceAutoencoderParameters(AlgorithmParameters):
    """Parameters of `slice-autoencoder`.

    Args:
        image_size: side of the square that slices are resampled to, pixels.
        width: channels of the first level; they double at each further one. Three levels of 49 hold 0.43 M weights.
        levels: how often the image is halved.
        noise_sd: standard deviation of the noise that has to be removed; grey values span 0 to 1.
        max_slices_per_series: evenly spaced slices taken of each series.
        held_out_percent: share of the subjects that is kept for the metric.
    """

    image_size: Literal[16, 32, 64, 96, 128, 192, 256] = 64
    width: Annotated[int, Field(ge=2, le=128)] = 8
    levels: Annotated[int, Field(ge=1, le=4)] = 2
    noise_sd: Annotated[Decimal, Field(ge=0, le=Decimal("0.5"))] = Decimal("0.05")
    learning_rate: Annotated[Decimal, Field(gt=0, le=1)] = Decimal("0.003")
    batch_size: Annotated[int, Field(ge=1, le=256)] = 16
    local_epochs: Annotated[int, Field(ge=1, le=50)] = 1
    optimizer: Literal["adam", "sgd"] = "adam"
    optimizer_state: OptimizerState = OptimizerState.RESET
    max_slices_per_series: Annotated[int, Field(ge=1, le=512)] = 16
    held_out_percent: Annotated[int, Field(ge=10, le=50)] = 20


class NoopParameters(AlgorithmParameters):
    """Parameters of `noop`, which measures orchestration: its local step adds 0.01 to every weight.

    Args:
        weights: number of float32 weights; 431,080 make 1.7 MB.
        samples: the number of samples that the site claims.
    """

    weights: Annotated[int, Field(ge=1, le=50_000_000)] = 431_080
    samples: Annotated[int, Field(ge=1, le=1_000_000)] = 100
