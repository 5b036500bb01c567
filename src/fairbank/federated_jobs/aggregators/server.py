"""Optimizers at the hub: the mean difference of a round is taken for a gradient.

Each works on one piece of one tensor at a time, with the pieces of its moments beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fairbank.federated_jobs.axes.aggregators import (
    AdagradOptions,
    AdaptiveOptions,
    MomentumOptions,
    ServerOptions,
)

Piece = NDArray[np.float64]


class ServerOptimizer(Protocol):
    """Turns a mean difference into a step.

    Attributes:
        moments: what it keeps for each weight, by name, with the value to begin with.
    """

    @property
    def moments(self) -> dict[str, float]:
        """Return what it keeps for each weight, by name, with the value to begin with."""
        ...

    def step(self, change: Piece, moments: dict[str, Piece]) -> tuple[Piece, dict[str, Piece]]:
        """Return the step and the moments after it.

        Args:
            change: the mean difference, (m,) float64.
            moments: each (m,) float64.
        """
        ...


@dataclass(frozen=True, slots=True)
class Sgd:
    """Plain steps."""

    options: ServerOptions

    @property
    def moments(self) -> dict[str, float]:
        """Return none."""
        return {}

    def step(self, change: Piece, moments: dict[str, Piece]) -> tuple[Piece, dict[str, Piece]]:
        """Return the difference times the rate."""
        return float(self.options.server_rate) * change, {}


@dataclass(frozen=True, slots=True)
class Momentum:
    """Steps with momentum.

    Source: Hsu et al. 2019, section 4.3.
    """

    options: MomentumOptions

    @property
    def moments(self) -> dict[str, float]:
        """Return the velocity."""
        return {"v": 0.0}

    def step(self, change: Piece, moments: dict[str, Piece]) -> tuple[Piece, dict[str, Piece]]:
        """Return the velocity times the rate."""
        speed = float(self.options.momentum) * moments["v"] + change
        return float(self.options.server_rate) * speed, {"v": speed}


@dataclass(frozen=True, slots=True)
class Adaptive:
    """Steps that are shorter where differences are large: Adagrad, Adam and Yogi.

    Args:
        kind: `adagrad`, `adam` or `yogi`.

    Source: Reddi et al. 2021, algorithm 2; the second moment begins with tau squared, the least that it allows.
    """

    kind: str
    options: AdaptiveOptions | AdagradOptions

    @property
    def moments(self) -> dict[str, float]:
        """Return the first and the second moment."""
        return {"m": 0.0, "v": float(self.options.tau) ** 2}

    def step(self, change: Piece, moments: dict[str, Piece]) -> tuple[Piece, dict[str, Piece]]:
        """Return the first moment over the root of the second, times the rate."""
        beta1 = float(self.options.beta1)
        m = beta1 * moments["m"] + (1 - beta1) * change
        v = self._second(moments["v"], np.square(change))
        step = float(self.options.server_rate) * m / (np.sqrt(v) + float(self.options.tau))
        return step, {"m": m, "v": v}

    def _second(self, v: Piece, square: Piece) -> Piece:
        if isinstance(self.options, AdagradOptions):
            return v + square
        beta2 = float(self.options.beta2)
        if self.kind == "adam":
            return beta2 * v + (1 - beta2) * square
        return v - (1 - beta2) * square * np.sign(v - square)
