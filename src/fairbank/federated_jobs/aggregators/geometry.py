"""How the updates of a round lie to each other: lengths, angles, distances, and which of them are odd.

All of it follows from one small matrix, the inner products of the sites' differences, summed up piece by piece.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from fairbank.federated_jobs.aggregators.stack import Stack
from fairbank.federated_jobs.tensor_files import pieces

# Robust standard deviations beyond which a length is marked: with three sites nothing below is told from chance.
FAR_OFF = 6.0
# The median absolute deviation of normal numbers is so much of their standard deviation.
_MAD = 0.6745
# Lengths that agree better than this differ by chance, however small their deviation.
_LEAST_SPREAD = 0.1
_UNCHANGED = 1e-6
_LIKE_NOISE, _LIKE_EACH_OTHER = 4.0, 20.0
_FEWEST_TO_JUDGE = 3
_COLUMNS = 1024
# Cosine to the last step of the model beyond which an update is that step, and how many weights it takes to tell.
_REPLAYED, _FEWEST_WEIGHTS = 0.999, 100


class Flag(StrEnum):
    """What is odd about an update; a closed list."""

    FAR_OFF = "norm_far_off"
    UNCHANGED = "unchanged"
    NOISE = "noise"
    TWIN = "same_as_another"
    REPLAY = "replays_the_model"
    REPEATED = "sent_before"


@dataclass(frozen=True, slots=True)
class Geometry:
    """Inner products of the sites' differences.

    Attributes:
        gram: (n_sites, n_sites) float64, of differences to the base; without one, to the mean of the sites.
        to_base: whether it is of differences to the base.
        base_norm: Euclidean norm of the base, 0 without one.
        parameters: how many weights there are.
        from_middle: without a base, the distance of each update to the median of each weight, (n_sites,).
        to_last: cosine of each difference to the last step of the model, (n_sites,); None where that is not known.
    """

    gram: NDArray[np.float64]
    to_base: bool
    base_norm: float
    parameters: int
    from_middle: NDArray[np.float64] | None = None
    to_last: NDArray[np.float64] | None = None

    @property
    def norms(self) -> NDArray[np.float64]:
        """Return the length of each difference, (n_sites,)."""
        return np.sqrt(np.maximum(np.diag(self.gram), 0))

    @property
    def lengths(self) -> NDArray[np.float64]:
        """Return how long each difference is to what differences are shortened about: the base, or the median."""
        return self.norms if self.from_middle is None else self.from_middle

    @property
    def distances(self) -> NDArray[np.float64]:
        """Return the distance of each two updates, (n_sites, n_sites)."""
        squares = np.diag(self.gram)
        apart = np.maximum(squares[:, None] + squares[None, :] - 2 * self.gram, 0)
        np.fill_diagonal(apart, 0)
        return np.sqrt(apart)

    @property
    def cosines(self) -> NDArray[np.float64]:
        """Return the cosine of the angle of each two differences, 0 where one has no length; (n_sites, n_sites)."""
        lengths = self.norms
        product = np.outer(lengths, lengths)
        return np.clip(np.divide(self.gram, product, out=np.zeros_like(self.gram), where=product > 0), -1, 1)

    def cosine_to(self, shares: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the cosine of each difference to a weighted sum of all, 0 where one has no length; (n_sites,)."""
        along = self.gram @ shares
        product = self.norms * np.sqrt(max(float(shares @ along), 0))
        cosines = np.divide(along, product, out=np.zeros_like(along), where=product > 0)
        return np.asarray(np.clip(cosines, -1, 1), dtype=np.float64)

    def distance_to(self, shares: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the distance of each update to a weighted mean of all with shares that add up to 1; (n_sites,)."""
        along = self.gram @ shares
        apart = np.diag(self.gram) - 2 * along + float(shares @ along)
        return np.sqrt(np.maximum(apart, 0))


class GeometrySum:
    """Adds up the inner products while pieces pass by.

    Args:
        about_middle: without a base, also how far each update is from the median of each weight.
    """

    def __init__(self, stack: Stack, *, about_middle: bool = False) -> None:
        self._about_middle = about_middle and not stack.has_base
        self._gram = np.zeros((len(stack.updates),) * 2, dtype=np.float64)
        self._to_base = stack.has_base
        self._base_square, self._parameters = 0.0, 0
        self._from_middle = np.zeros(len(stack.updates), dtype=np.float64)
        self._along, self._moved_square = np.zeros(len(stack.updates), dtype=np.float64), 0.0

    def add(
        self,
        values: NDArray[np.float64],
        base: NDArray[np.float64],
        moved: NDArray[np.float64] | None = None,
    ) -> None:
        """Add a piece: (n_sites, m) of the updates, (m,) of the base, (m,) of the last step of the model."""
        if self._about_middle:
            # A few columns at a time, as a median takes copies.
            for start in range(0, values.shape[1], _COLUMNS):
                some = values[:, start : start + _COLUMNS]
                self._from_middle += np.square(some - np.median(some, axis=0)).sum(axis=1)
        apart = values - (base if self._to_base else values.mean(axis=0))
        self._gram += apart @ apart.T
        self._base_square += float(base @ base)
        self._parameters += values.shape[1]
        if moved is not None:
            self._along += apart @ moved
            self._moved_square += float(moved @ moved)

    def done(self) -> Geometry:
        """Return what the pieces add up to."""
        base_norm, to_last = float(np.sqrt(self._base_square)), None
        if self._moved_square > 0:
            product = np.sqrt(np.maximum(np.diag(self._gram), 0) * self._moved_square)
            to_last = np.divide(self._along, product, out=np.zeros_like(product), where=product > 0)
        return Geometry(
            self._gram,
            self._to_base,
            base_norm,
            self._parameters,
            from_middle=np.sqrt(self._from_middle) if self._about_middle else None,
            to_last=to_last,
        )


def geometry_of(stack: Stack, *, about_middle: bool = False) -> Geometry:
    """Return how updates lie to each other, reading each once."""
    summed = GeometrySum(stack, about_middle=about_middle)
    for tensor in stack.weights():
        for start, stop in pieces(tensor.size):
            at = tensor, start, stop
            summed.add(stack.values(*at), stack.base(*at), stack.moved(*at))
    return summed.done()


def deviations(lengths: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how many robust standard deviations each length is from the median of all; (n,) >= 0.

    Source: Iglewicz & Hoaglin 1993, modified z-score.
    """
    middle = float(np.median(lengths))
    spread = max(float(np.median(np.abs(lengths - middle))), _LEAST_SPREAD * middle, 1e-300)
    return np.asarray(_MAD * np.abs(lengths - middle) / spread, dtype=np.float64)


def flags_of(geometry: Geometry, *, far_off: float = FAR_OFF) -> list[frozenset[Flag]]:
    """Return what is odd about each update.

    Lengths are judged among three sites and more; whether one is its base needs a base.
    """
    n = len(geometry.gram)
    found: list[set[Flag]] = [set() for _ in range(n)]
    enough = n >= _FEWEST_TO_JUDGE
    if enough:
        for place in np.flatnonzero(deviations(geometry.norms) > far_off):
            found[place].add(Flag.FAR_OFF)
        for place in np.flatnonzero(_like_noise(geometry)):
            found[place].add(Flag.NOISE)
    if geometry.to_base:
        for place in np.flatnonzero(geometry.norms <= _UNCHANGED * geometry.base_norm):
            found[place].add(Flag.UNCHANGED)
    apart = geometry.distances + np.where(np.eye(n, dtype=bool), np.inf, 0)
    same = (apart <= 1e-9 * geometry.norms[:, None]).any(axis=1) & (geometry.norms > 0)
    for place in np.flatnonzero(same):
        found[place].add(Flag.TWIN)
    if geometry.to_last is not None and geometry.parameters >= _FEWEST_WEIGHTS:
        for place in np.flatnonzero(geometry.to_last > _REPLAYED):
            found[place].add(Flag.REPLAY)
    return [frozenset(each) for each in found]


def ratios(lengths: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return how many times the median each length is, (n,); None with too few to judge, or where most are nothing."""
    middle = float(np.median(lengths))
    if len(lengths) < _FEWEST_TO_JUDGE or not middle > 0:
        return None
    return np.asarray(lengths / middle, dtype=np.float64)


def _like_noise(geometry: Geometry) -> NDArray[np.bool_]:
    """Tell which differences point where chance would, while the others clearly agree with each other.

    The cosine of a random direction to any other is normal with variance 1 / parameters.
    """
    n, by_chance = len(geometry.gram), 1 / np.sqrt(max(geometry.parameters, 1))
    none: NDArray[np.bool_] = np.zeros(n, dtype=bool)
    if not geometry.to_base or _LIKE_EACH_OTHER * by_chance > 0.5:
        return none
    # Lengths are left out of it: one long update would else decide what the others agree on.
    cosines = np.abs(geometry.cosines - np.eye(n))
    like = cosines.max(axis=1) < _LIKE_NOISE * by_chance
    others = cosines[~like].max(axis=1) if (~like).any() else np.zeros(1)
    agree = bool((others > _LIKE_EACH_OTHER * by_chance).all()) and (~like).sum() >= 2
    return like & (geometry.norms > 0) if agree else none
