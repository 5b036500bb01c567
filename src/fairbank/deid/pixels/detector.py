"""The detector: finds rows of letter-like marks in a plane, without reading them.

A mark is a connected patch of thin strokes (what a white or black top-hat leaves, or one exact grey value that a
picture has conspicuously often) of a letter's size. Three or more marks of like size and contrast side by side on a
common base line are taken for text. It errs towards finding: what it finds is blanked and shown to a person.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from fairbank.deid.pixels.picture import Plane, halved
from fairbank.deid.pixels.work import Box

Mask = NDArray[np.bool_]

_STROKE = 9
_NEIGHBOURHOOD = 31
_ABOVE_NOISE = 3.0
_LEAST_CONTRAST = 0.012
_SMALLEST, _LARGEST = 5, 44
# At half the size and less, only letters count that are too large to be seen as such before.
_SMALLEST_LARGE = 14
_MOST_MARKS = 6000
_REACH = 56.0
_LEAST_SIDE = 96
_QUIET = 0.08
_CLEAR = 0.06
_LEVEL = 2.6
_FLAT = 0.02
_PLAIN = 0.15
_SPIKES = 8
_SPIKE = 6.0
_EIGHT = np.ones((3, 3), np.int8)
_UPRIGHT = np.ones((3, 1), np.bool_)
_FOUR = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.int8)


class Proof(Enum):
    """How surely marks are text: STRONG stands alone, WEAK needs another word in its line."""

    NONE = 0
    WEAK = 1
    STRONG = 2


@dataclass(frozen=True, slots=True)
class Marks:
    """Letter-like patches: (n,) float64 arrays of edges in pixels, of the grey value and of the contrast."""

    left: NDArray[np.float64]
    top: NDArray[np.float64]
    right: NDArray[np.float64]
    bottom: NDArray[np.float64]
    value: NDArray[np.float64]
    contrast: NDArray[np.float64]
    area: NDArray[np.float64]

    @property
    def longest(self) -> NDArray[np.float64]:
        """Return the longer side of each."""
        return np.maximum(self.right - self.left, self.bottom - self.top)

    def turned(self) -> Marks:
        """Return the marks with rows and columns exchanged: text that runs upwards then runs sideways."""
        return Marks(self.top, self.left, self.bottom, self.right, self.value, self.contrast, self.area)

    def only(self, chosen: Mask | NDArray[np.int_]) -> Marks:
        """Return some of the marks."""
        return Marks(*(getattr(self, name)[chosen] for name in self.__slots__))


def text_boxes(plane: Plane, *, scales: int = 3) -> list[Box]:
    """Return boxes around what looks like a row or a column of letters.

    Args:
        plane: (rows, columns), in units of the frame's own values.
        scales: how often the plane is looked at, each time at half the size, for larger letters.

    Returns:
        boxes in pixels of the plane, a small margin included; empty if nothing looks like text.
    """
    found: list[Box] = []
    for scale in range(scales):
        if min(plane.shape) < (_LEAST_SIDE if scale else 2 * _SMALLEST):
            break
        scaled = _scaled(plane)
        for marks in _all_marks(scaled, exact=scale == 0):
            least = _SMALLEST_LARGE if scale else _SMALLEST
            marks = marks.only(marks.longest >= least)
            both = (*_rows(marks, scaled), *_columns(marks, scaled))
            found += [_enlarged(box, 2**scale) for box in both]
        plane = halved(plane)
    return found


def _all_marks(plane: Plane, *, exact: bool) -> Iterator[Marks]:
    for sign in (1.0, -1.0):
        signed = plane if sign > 0 else -plane
        tophat = signed - ndimage.grey_opening(signed, size=(_STROKE, _STROKE))
        noise = ndimage.uniform_filter(tophat, _NEIGHBOURHOOD)
        mask = tophat > np.maximum(_ABOVE_NOISE * noise, _LEAST_CONTRAST)
        yield _marks(mask, plane, tophat)
        if exact:  # the cores of strokes alone: small letters touch each other
            core = tophat > 0.6 * ndimage.maximum_filter(tophat, _STROKE)
            yield _marks(mask & core, plane, tophat, structure=_FOUR)
            # Hair lines that were drawn without grey have gaps: upper and lower parts of a letter are one again.
            yield _marks(ndimage.binary_closing(mask, _UPRIGHT), plane, np.maximum(tophat, 1e-6))
    if exact:
        above_ground = np.abs(plane - ndimage.uniform_filter(plane, _NEIGHBOURHOOD))
        for value in _frequent_values(plane):
            mask = plane == value
            yield _marks(mask, plane, np.maximum(above_ground, 1e-6))


def _scaled(plane: Plane) -> Plane:
    """Return a plane on a scale from 0 to 1."""
    low, high = float(plane.min()), float(plane.max())
    return (plane - np.float32(low)) / np.float32(high - low if high > low else 1)


def _frequent_values(plane: Plane) -> list[float]:
    """Return values that far more pixels have than have values near them: what was drawn, not measured."""
    values, counts = np.unique(plane, return_counts=True)
    if len(values) < 3 or len(values) > 70000:
        return []
    around = ndimage.median_filter(counts, size=9, mode="nearest")
    share = counts / plane.size
    chosen = (counts > _SPIKE * np.maximum(around, 1)) & (counts > 40) & (share < 0.2)
    best = np.argsort(counts * chosen)[::-1][:_SPIKES]
    return [float(values[place]) for place in best if chosen[place]]


def _marks(mask: Mask, plane: Plane, tophat: Plane, structure: NDArray[np.int8] = _EIGHT) -> Marks:
    labels, count = ndimage.label(mask, structure=structure)
    if not count:
        return _no_marks()
    slices = ndimage.find_objects(labels)
    edges = np.array([(s[1].start, s[0].start, s[1].stop, s[0].stop) for s in slices], np.float64)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:].astype(np.float64)
    width, height = edges[:, 2] - edges[:, 0], edges[:, 3] - edges[:, 1]
    longest, shortest = np.maximum(width, height), np.minimum(width, height)
    fits = (longest >= _SMALLEST) & (shortest <= _LARGEST) & (longest <= 8 * _LARGEST) & (sizes >= 5)
    chosen = np.flatnonzero(fits)
    if len(chosen) > _MOST_MARKS:
        chosen = chosen[np.argsort(sizes[chosen])[-_MOST_MARKS:]]
    if not len(chosen):
        return _no_marks()
    wanted = chosen + 1
    inside = labels[mask]
    weights = tophat[mask].astype(np.float64)
    weight = np.bincount(inside, weights, minlength=count + 1)[wanted]
    left, top, right, bottom = edges[chosen].T
    value = np.bincount(inside, weights * plane[mask], minlength=count + 1)[wanted] / weight
    contrast = weight / sizes[chosen]
    return Marks(left, top, right, bottom, value, contrast, sizes[chosen])


def _no_marks() -> Marks:
    return Marks(*(np.zeros(0) for _ in range(7)))


def _columns(marks: Marks, plane: Plane) -> Iterator[Box]:
    """Yield boxes of text that runs upwards or downwards; short words are left to `_rows`."""
    for group, proof in _lines(marks.turned(), plane.T):
        if proof is Proof.STRONG:
            box = _box(group)
            yield Box(box.top, box.left, box.height, box.width)


def _rows(marks: Marks, plane: Plane) -> Iterator[Box]:
    """Yield boxes of lines of text: strong ones, and weak ones beside another of the same look."""
    lines = list(_lines(marks, plane))
    for place, (group, proof) in enumerate(lines):
        others = (other for number, (other, _) in enumerate(lines) if number != place)
        if proof is Proof.STRONG or any(_goes_on(group, other) for other in others):
            yield _box(group)


def _lines(marks: Marks, plane: Plane) -> Iterator[tuple[Marks, Proof]]:
    height = marks.bottom - marks.top
    marks = marks.only((height >= _SMALLEST) & (height <= _LARGEST))
    if len(marks.left) < 3:
        return
    pairs = _neighbours(marks)
    size = len(marks.left)
    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(size, size))
    count, which = connected_components(links, directed=False)
    for row in _groups(which, count):
        group = marks.only(row)
        proof = _proof(group, plane)
        if proof is not Proof.NONE:
            yield group, proof


def _goes_on(group: Marks, other: Marks) -> bool:
    """Tell whether two groups are words of one line."""
    height = float(np.median(group.bottom - group.top))
    gap = max(group.left.min() - other.right.max(), other.left.min() - group.right.max())
    level = abs(float(np.median(group.bottom)) - float(np.median(other.bottom))) <= 0.3 * height
    alike = abs(float(np.median(group.value)) - float(np.median(other.value))) <= 0.15
    return bool(0 <= gap <= 4 * height and level and alike)


def _groups(which: NDArray[np.int32], count: int) -> Iterator[NDArray[np.int_]]:
    order = np.argsort(which, kind="stable")
    for group in np.split(order, np.cumsum(np.bincount(which, minlength=count))[:-1]):
        if len(group) >= 2:
            yield group


def _neighbours(marks: Marks) -> NDArray[np.int_]:
    """Return pairs of marks that can be letters side by side."""
    middle = np.column_stack([(marks.left + marks.right) / 2, (marks.top + marks.bottom) / 2])
    pairs = cKDTree(middle).query_pairs(_REACH, output_type="ndarray")
    if not len(pairs):
        return np.zeros((0, 2), np.int_)
    swap = marks.left[pairs[:, 0]] > marks.left[pairs[:, 1]]
    a, b = np.where(swap, pairs[:, 1], pairs[:, 0]), np.where(swap, pairs[:, 0], pairs[:, 1])
    height_a, height_b = marks.bottom[a] - marks.top[a], marks.bottom[b] - marks.top[b]
    low, high = np.minimum(height_a, height_b), np.maximum(height_a, height_b)
    gap = marks.left[b] - marks.right[a]
    overlap = np.minimum(marks.bottom[a], marks.bottom[b]) - np.maximum(marks.top[a], marks.top[b])
    contrast = np.maximum(marks.contrast[a], marks.contrast[b])
    alike = np.abs(marks.value[a] - marks.value[b]) <= 0.35 * contrast
    near = (gap <= np.maximum(3, 0.9 * high)) & (gap >= -0.35 * high)
    level = (overlap >= 0.6 * low) & (high <= 2.2 * low)
    chosen = near & level & alike
    return np.column_stack([a[chosen], b[chosen]])


def _proof(row: Marks, plane: Plane) -> Proof:
    """Tell how surely linked marks are a line of text: few, or on anatomy, have to be more alike."""
    count = len(row.left)
    height, width = row.bottom - row.top, row.right - row.left
    typical = float(np.median(height))
    span = float(row.right.max() - row.left.min())
    filling = float(np.median(row.area / (height * width)))
    if count < 3 or span < 1.6 * typical or filling > 0.86 or float(np.median(width)) > 3 * typical:
        return Proof.NONE
    if float(row.bottom.max() - row.top.min()) > _LEVEL * typical:
        return Proof.NONE
    contrast, ground = float(np.median(row.contrast)), _ground(row, plane)
    quiet = contrast >= _CLEAR and ground <= _QUIET
    strict = count < 5 and not quiet
    near = max(1.5 if quiet else 1.2, (0.12 if strict else 0.16) * typical)
    on_line = max(float((_deviation(edge) <= near).mean()) for edge in (row.bottom, row.top))
    spread = float(np.std(row.value)) / max(1e-6, contrast)
    if on_line < (0.99 if strict else 0.55) or spread > (0.25 if quiet else 0.12 if strict else 0.2):
        return Proof.NONE
    flat = ground <= _FLAT and contrast >= _PLAIN
    return Proof.STRONG if flat or count >= 5 or (count == 4 and quiet) else Proof.WEAK


def _ground(row: Marks, plane: Plane) -> float:
    """Return how uneven the ground between and around the marks is, in units of their contrast."""
    left, top = max(0, int(row.left.min()) - 3), max(0, int(row.top.min()) - 3)
    ground = plane[top : int(row.bottom.max()) + 3, left : int(row.right.max()) + 3]
    low, high = np.quantile(ground, [0.1, 0.9]) - np.median(ground)
    return float(min(-low, high)) / max(1e-6, float(np.median(row.contrast)))


def _deviation(edge: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.abs(edge - np.median(edge))


def _box(row: Marks) -> Box:
    margin = max(2, round(0.35 * float(np.median(row.bottom - row.top))))
    left, top = max(0, int(row.left.min()) - margin), max(0, int(row.top.min()) - margin)
    return Box(left, top, int(row.right.max()) + margin - left, int(row.bottom.max()) + margin - top)


def _enlarged(box: Box, factor: int) -> Box:
    return Box(box.left * factor, box.top * factor, box.width * factor, box.height * factor)
