"""Rules that give each update a weight: by samples, by loss, by local steps, by how updates agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from fairbank.federated_jobs.aggregators.geometry import Geometry
from fairbank.federated_jobs.algorithms.errors import NotesMissing
from fairbank.federated_jobs.axes.aggregators import (
    AveragingOptions,
    CostOptions,
    FocusOptions,
    LearntOptions,
    NovaOptions,
)

N_STEPS, BEFORE_LOSS, AFTER_LOSS = "n_steps", "before_loss", "after_loss"
Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Seen:
    """What a rule may know of a round.

    Attributes:
        sites: in sorted order.
        samples: training samples of each, (n_sites,) float64.
        notes: the numbers that each update brings.
        staleness: how many rounds each update's base is old.
        round: the number of the round, from 1.
        geometry: how the updates lie to each other; None for a rule that does not ask.
        state: one number by name that the rule has kept from the round before.
    """

    sites: tuple[str, ...]
    samples: Numbers
    notes: tuple[Mapping[str, float], ...]
    staleness: tuple[int, ...]
    round: int = 1
    geometry: Geometry | None = None
    state: Mapping[str, float] = field(default_factory=dict)

    @property
    def lie(self) -> Geometry:
        """Return how the updates lie to each other."""
        assert self.geometry is not None
        return self.geometry


@dataclass(frozen=True, slots=True)
class Weights:
    """What each update weighs: the weights become `Σ parts_i x_i / whole`.

    Attributes:
        parts: (n_sites,) float64.
        whole: what they are divided by.
        about_base: parts do not add up to the whole, so differences to the base are summed instead.
        shares: what statistics and counters are averaged by, adding up to 1; (n_sites,) float64.
        state: what the rule keeps for the next round.
    """

    parts: Numbers
    whole: float
    shares: Numbers
    about_base: bool = False
    state: Mapping[str, float] = field(default_factory=dict)


def by_samples(seen: Seen, options: AveragingOptions) -> Weights:
    """Weigh by samples, an old update less.

    Source: McMahan et al. 2017, algorithm 1; Xie et al. 2019, section 5.2, for staleness.
    """
    total = float(seen.samples.sum())
    ages = np.array([discount(age, options) for age in seen.staleness])
    parts = seen.samples * ages
    return Weights(parts, total, _normal(parts), about_base=bool((ages != 1).any()))


def discount(age: int, options: AveragingOptions) -> float:
    """Return what is left of an update's weight when its base is `age` rounds old.

    >>> discount(3, AveragingOptions(staleness="polynomial"))
    0.5
    """
    a, b = float(options.staleness_a), options.staleness_b
    if options.staleness == "polynomial":
        return float((age + 1) ** -a)
    if options.staleness == "hinge" and age > b:
        return 1 / (a * (age - b) + 1)
    return 1.0


def by_local_steps(seen: Seen, options: NovaOptions) -> Weights:
    """Weigh each difference by what one local step of its site led to.

    Source: Wang et al. 2020, equation 6, and section 4.2 for what local momentum adds.

    Raises:
        NotesMissing: if a site does not say how many steps it made.
    """
    if any(note.get(N_STEPS, 0) < 1 for note in seen.notes):
        raise _missing(N_STEPS)
    steps = np.array([note[N_STEPS] for note in seen.notes])
    m = float(options.local_momentum)
    lengths = (steps - m * (1 - m**steps) / (1 - m)) / (1 - m)
    shares = _normal(seen.samples)
    parts = float(options.server_rate) * float(shares @ lengths) * shares / lengths
    return Weights(parts, 1.0, shares, about_base=True)


def by_cost(seen: Seen, options: CostOptions) -> Weights:
    """Weigh by samples and by how much each site's loss fell in its round.

    A site that tells no losses counts as the middle one of those that do.

    Source: Mächler et al. 2021, equation 1.

    Raises:
        NotesMissing: if no site tells its losses.
    """
    losses = np.stack([_told(seen.notes, BEFORE_LOSS), _told(seen.notes, AFTER_LOSS)])
    before, after = _above_nothing(losses)
    fell = before / after
    if bool(np.isnan(fell).all()):
        raise _missing(f"{BEFORE_LOSS} and {AFTER_LOSS}")
    fell[np.isnan(fell)] = np.nanmedian(fell)
    alpha = float(options.alpha)
    shares = alpha * _normal(seen.samples) + (1 - alpha) * _normal(fell)
    return Weights(shares, float(shares.sum()), shares)


def by_loss(seen: Seen, options: FocusOptions) -> Weights:
    """Weigh by samples and by a power of each site's loss that fades with the rounds.

    Raises:
        NotesMissing: if no site tells its loss.
    """
    loss = _above_nothing(_told(seen.notes, AFTER_LOSS))
    if bool(np.isnan(loss).all()):
        raise _missing(AFTER_LOSS)
    loss[np.isnan(loss)] = np.nanmedian(loss)
    power = float(options.sharpness * options.decay ** Decimal(seen.round - 1))
    sign = -1 if options.favour == "low-loss" else 1
    shares = _normal(seen.samples * (loss / float(np.median(loss))) ** (sign * power))
    return Weights(shares, float(shares.sum()), shares)


def learnt(seen: Seen, options: LearntOptions) -> Weights:
    """Weigh by mixing weights that are moved along the gradient of the loss.

    The gradient of the loss is taken from what the sites did: minus their mean difference. What the hub cannot have is
    the gradient on held-out images that the paper's sites send in rounds of their own.

    Source: after Xia et al. 2021, section 3, with softmax mixing.
    """
    gram = seen.lie.gram
    logits = np.array(
        [
            seen.state.get(site, float(np.log(part)))
            for site, part in zip(seen.sites, _normal(seen.samples), strict=True)
        ]
    )
    shares = _softmax(logits)
    size = float(np.mean(np.diag(gram)))
    if size > 0:
        falls = (gram / size).mean(axis=1)
        logits = logits + float(options.mixing_rate) * shares * (falls - float(shares @ falls))
        shares = _softmax(logits)
    kept = dict(seen.state) | dict(zip(seen.sites, logits.tolist(), strict=True))
    return Weights(shares, float(shares.sum()), shares, state=kept)


def equal(n: int) -> Numbers:
    """Return n equal shares."""
    return np.full(n, 1 / n)


def _normal(parts: Numbers) -> Numbers:
    return np.asarray(parts / parts.sum(), dtype=np.float64)


def _softmax(logits: Numbers) -> Numbers:
    return _normal(np.exp(logits - logits.max()))


def _told(notes: Sequence[Mapping[str, float]], name: str) -> Numbers:
    return np.array([note.get(name, np.nan) for note in notes], dtype=np.float64)


def _above_nothing(losses: Numbers) -> Numbers:
    """Return losses with a little added, so that a model without any can be compared; what is below 0 is not told."""
    told = np.where(losses >= 0, losses, np.nan)
    if bool(np.isnan(told).all()):
        return told
    return np.asarray(told + max(1e-9 * float(np.nanmax(told)), 1e-300), dtype=np.float64)


def _missing(what: str) -> NotesMissing:
    return NotesMissing(
        f"The updates do not tell {what}.",
        why="The aggregator weighs sites by it.",
        todo="Choose another aggregator, or an algorithm that tells it.",
    )
