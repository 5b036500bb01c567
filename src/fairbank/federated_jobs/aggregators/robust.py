"""Rules that one site, or a few, cannot lead away whatever they send.

All but the median and the trimmed mean work on distances alone, so what they decide by is a small matrix.
"""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from fairbank.federated_jobs.aggregators.weighing import Numbers, Seen, Weights, equal
from fairbank.federated_jobs.algorithms.errors import TooFewUpdates
from fairbank.federated_jobs.axes.aggregators import (
    BoundOptions,
    GeometricOptions,
    KrumOptions,
    MultiKrumOptions,
    SuppressionOptions,
)


def median(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the median of each column; of an even number the mean of the two in the middle.

    Args:
        values: (n_sites, m) float64.

    Source: Yin et al. 2018, definition 1.
    """
    return np.asarray(np.median(values, axis=0), dtype=np.float64)


def trimmed_mean(values: NDArray[np.float64], beta: Decimal) -> NDArray[np.float64]:
    """Return the mean of each column without its largest and smallest values.

    Args:
        values: (n_sites, m) float64.
        beta: part that is left out at each end, rounded up; the middle stays.

    Source: Yin et al. 2018, definition 2.
    """
    n = len(values)
    trimmed = min(math.ceil(beta * n), (n - 1) // 2)
    ordered = np.sort(values, axis=0)
    return np.asarray(ordered[trimmed : n - trimmed].mean(axis=0), dtype=np.float64)


def krum_scores(distances: NDArray[np.float64], byzantine: int) -> Numbers:
    """Return for each update the sum of squared distances to its n - f - 2 nearest; (n_sites,).

    Raises:
        TooFewUpdates: if there are fewer than 2 f + 3.

    Source: Blanchard et al. 2017, section 4.
    """
    n = len(distances)
    if n < 2 * byzantine + 3:
        raise TooFewUpdates(
            f"{n} updates came, and Krum with {byzantine} hostile sites needs {2 * byzantine + 3}.",
            why="With fewer, hostile sites could stand for the majority.",
            todo="Raise the quorum, or choose the median.",
        )
    squares = np.sort(np.square(distances), axis=1)
    return np.asarray(squares[:, 1 : n - byzantine - 1].sum(axis=1), dtype=np.float64)


def krum(seen: Seen, options: KrumOptions) -> Weights:
    """Take the update with the smallest score."""
    return _chosen(krum_scores(seen.lie.distances, options.byzantine), 1)


def multi_krum(seen: Seen, options: MultiKrumOptions) -> Weights:
    """Average the updates with the smallest scores."""
    n = len(seen.sites)
    return _chosen(
        krum_scores(seen.lie.distances, options.byzantine),
        min(options.chosen or n - options.byzantine, n - options.byzantine),
    )


def geometric_median(seen: Seen, options: GeometricOptions) -> Weights:
    """Weigh each update by one over its distance to the weighted mean, until that stays where it is.

    Source: Pillutla et al. 2022, algorithm 2.
    """
    lie = seen.lie
    own = seen.samples / seen.samples.sum() if options.by_samples else equal(len(seen.sites))
    apart = lie.distances
    usual = float(np.median(apart[~np.eye(len(apart), dtype=bool)])) if len(apart) > 1 else 0.0
    least = float(options.smoothing) * usual
    shares = own
    for _ in range(options.iterations if least > 0 else 0):
        parts = own / np.maximum(lie.distance_to(shares), least)
        fresh = parts / parts.sum()
        moved = float(np.abs(fresh - shares).max())
        shares = fresh
        if moved < 1e-12:
            break
    return Weights(shares, float(shares.sum()), shares)


def outlier_suppression(seen: Seen, options: SuppressionOptions) -> Weights:
    """Weigh each update the less the further off it lies, by angle and by distance.

    The paper has no bound on lengths. With few sites a single one keeps some percent of the weight, which it could make
    up for by its length; so lengths are bounded unless the options say otherwise.

    Source: Alkhunaizi et al. 2022, algorithm 1.
    """
    lie = seen.lie
    score = (copod(1 - lie.cosines) + copod(lie.distances)) / 2
    parts = np.exp(score.min() - score)
    shares = parts / parts.sum()
    if not options.bound_norms:
        return Weights(shares, float(shares.sum()), shares)
    return Weights(shares * shortened(lie.norms, float(np.median(lie.norms))), 1.0, shares, about_base=True)


def norm_bounded(seen: Seen, options: BoundOptions) -> Weights:
    """Average differences, none of which counts for more than a bound.

    Source: Sun et al. 2019, section 4.
    """
    lengths = seen.lie.norms
    bound = float(options.bound) if options.bound is not None else float(np.median(lengths))
    shares = seen.samples / seen.samples.sum() if options.by_samples else equal(len(seen.sites))
    return Weights(shares * shortened(lengths, bound), 1.0, shares, about_base=True)


def shortened(lengths: Numbers, bound: float) -> Numbers:
    """Return what each length is to be multiplied by to be no longer than a bound.

    >>> shortened(np.array([0.0, 1.0, 4.0]), 2.0).tolist()
    [1.0, 1.0, 0.5]
    """
    return np.minimum(np.divide(bound, lengths, out=np.ones_like(lengths), where=lengths > 0), 1)


def copod(rows: NDArray[np.float64]) -> Numbers:
    """Return how much of an outlier each row is, >= 0.

    Args:
        rows: (n, d) float64.

    Source: Li et al. 2020, COPOD: Copula-Based Outlier Detection, algorithm 1.
    """
    n = len(rows)
    left = (rows[:, None, :] >= rows[None, :, :]).sum(axis=1) / n
    right = (rows[:, None, :] <= rows[None, :, :]).sum(axis=1) / n
    apart = rows - rows.mean(axis=0)
    skewed_left = (apart**3).sum(axis=0) < 0
    corrected = np.where(skewed_left, left, right)
    tails = [-np.log(each).sum(axis=1) for each in (left, right, corrected)]
    return np.asarray(np.max(tails, axis=0), dtype=np.float64)


def _chosen(scores: Numbers, m: int) -> Weights:
    # Of equal scores the site whose name comes first.
    best = np.argsort(scores, kind="stable")[:m]
    parts = np.zeros(len(scores))
    parts[best] = 1.0
    return Weights(parts, float(m), parts / m)
