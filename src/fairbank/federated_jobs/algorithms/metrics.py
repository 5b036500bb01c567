"""Metrics of classifiers and regressions on held-out samples, numpy only; what cannot be told is left out."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
Metrics = dict[str, float]

# The 97.5th percentile of the standard normal distribution.
_Z95 = 1.959963984540054


def classification(scores: Floats, truth: Places) -> Metrics:
    """Return accuracy, F1 and AUROC of scores, and for two classes sensitivity, specificity and an interval of AUROC.

    With more classes F1 and AUROC are means over the classes that occur, each against the rest. A metric whose classes
    do not occur is left out: AUROC of one class, sensitivity without positives.

    Args:
        scores: (n, n_classes) float64, the higher the likelier; the highest is the answer.
        truth: (n,) int64, the place of each sample's class; the second of two classes is the positive one.
    """
    if not truth.size:
        return {}
    answers = scores.argmax(axis=1)
    found = {"accuracy": float((answers == truth).mean())}
    classes = scores.shape[1]
    if classes == 2:
        positive, told = truth == 1, answers == 1
        hits, false_alarms = int((positive & told).sum()), int((~positive & told).sum())
        misses, rejections = int((positive & ~told).sum()), int((~positive & ~told).sum())
        if hits + misses:
            found["sensitivity"] = hits / (hits + misses)
        if rejections + false_alarms:
            found["specificity"] = rejections / (rejections + false_alarms)
        if 2 * hits + false_alarms + misses:
            found["f_one"] = 2 * hits / (2 * hits + false_alarms + misses)
        found |= delong(scores[:, 1] - scores[:, 0], positive)
        return found
    f_ones, areas = [], []
    for place in range(classes):
        positive, told = truth == place, answers == place
        if positive.any():
            f_ones.append(2 * int((positive & told).sum()) / int(positive.sum() + told.sum()))
            area = delong(_against_rest(scores, place), positive)
            areas += [area["auroc"]] if area else []
    found["f_one"] = float(np.mean(f_ones))
    if areas:
        found["auroc"] = float(np.mean(areas))
    return found


def delong(scores: Floats, positive: NDArray[np.bool_]) -> Metrics:
    """Return AUROC and its 95 % interval, `auroc_low` and `auroc_high`; nothing if only one class occurs.

    The interval is left out where one class has a single sample, since then it has no variance.

    Args:
        scores: (n,) float64.
        positive: (n,) bool.

    Source: DeLong, DeLong & Clarke-Pearson 1988, Biometrics 44, 837; by midranks as in Sun & Xu 2014, IEEE Signal
    Processing Letters 21, 1389.

    >>> delong(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))["auroc"]
    0.75
    """
    cases, controls = scores[positive], scores[~positive]
    m, n = cases.size, controls.size
    if not m or not n:
        return {}
    together = _midranks(np.concatenate([cases, controls]))
    of_cases = (together[:m] - _midranks(cases)) / n
    of_controls = 1.0 - (together[m:] - _midranks(controls)) / m
    area = float(of_cases.mean())
    found = {"auroc": area}
    if m > 1 and n > 1:
        spread = math.sqrt(float(of_cases.var(ddof=1)) / m + float(of_controls.var(ddof=1)) / n)
        found["auroc_low"] = max(0.0, area - _Z95 * spread)
        found["auroc_high"] = min(1.0, area + _Z95 * spread)
    return found


def regression(predicted: Floats, truth: Floats) -> Metrics:
    """Return mean absolute error, root of the mean squared error, and the share of variance that is explained.

    Args:
        predicted, truth: (n,) float64, in the unit of the value.
    """
    if not truth.size:
        return {}
    error = predicted - truth
    found = {"mae": float(np.abs(error).mean()), "rmse": math.sqrt(float(np.square(error).mean()))}
    spread = float(np.square(truth - truth.mean()).sum())
    if spread > 0:
        found["r_squared"] = 1.0 - float(np.square(error).sum()) / spread
    return found


def means(rows: Sequence[Metrics]) -> Metrics:
    """Return the mean of each metric over the rows that have it.

    >>> means([{"dice": 1.0}, {"dice": 0.5, "hausdorff_mm": 2.0}])
    {'dice': 0.75, 'hausdorff_mm': 2.0}
    """
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: float(np.mean([row[name] for row in rows if name in row])) for name in names}


def _against_rest(scores: Floats, place: int) -> Floats:
    """Return the probability of one class where scores are logits, which orders samples across classes."""
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    probabilities: Floats = shifted[:, place] / shifted.sum(axis=1)
    return probabilities


def _midranks(values: Floats) -> Floats:
    """Return the rank of each value from 1, the mean rank among equals."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: Floats = (last - (counts - 1) / 2.0)[inverse]
    return ranks
