"""Rectangles: merged, cut to an image, and found in a mask."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from fairbank.deid.pixels.work import Box

_OVERLAP = 0.5


def within(box: Box, rows: int, columns: int) -> Box | None:
    """Return the part of a box that lies in an image; None if there is none."""
    left, top = max(0, box.left), max(0, box.top)
    width = min(columns, box.left + box.width) - left
    height = min(rows, box.top + box.height) - top
    return Box(left, top, width, height, box.frame) if width > 0 and height > 0 else None


def merged(boxes: Iterable[Box]) -> list[Box]:
    """Return boxes of one frame with those joined that overlap by half of the smaller one.

    >>> merged([Box(0, 0, 10, 4), Box(2, 1, 10, 4), Box(40, 0, 5, 5)])
    [Box(left=40, top=0, width=5, height=5, frame=None), Box(left=0, top=0, width=12, height=5, frame=None)]
    """
    waiting = sorted(set(boxes), key=lambda box: (box.width * box.height, box.left, box.top))
    done: list[Box] = []
    while waiting:
        box = waiting.pop()
        partner = next((other for other in waiting if _overlap(box, other) >= _OVERLAP), None)
        if partner is None:
            done.append(box)
            continue
        waiting.remove(partner)
        waiting.append(_around(box, partner))
    return done[::-1]


def mask_of(boxes: Iterable[Box], rows: int, columns: int) -> NDArray[np.bool_]:
    """Return which pixels lie in a box: (rows, columns) bool."""
    mask = np.zeros((rows, columns), np.bool_)
    for box in boxes:
        mask[box.top : box.top + box.height, box.left : box.left + box.width] = True
    return mask


def boxes_of(mask: NDArray[np.bool_]) -> list[Box]:
    """Return boxes that together cover exactly the True pixels of a mask: runs of equal rows.

    >>> boxes_of(np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]], bool))[0]
    Box(left=0, top=0, width=2, height=2, frame=None)
    """
    found: list[Box] = []
    changes = np.flatnonzero(np.any(mask[1:] != mask[:-1], axis=1)) + 1
    edges = [0, *changes.tolist(), mask.shape[0]]
    for top, bottom in pairwise(edges):
        row = np.concatenate([[False], mask[top], [False]])
        turns = np.flatnonzero(row[1:] != row[:-1])
        found += [
            Box(int(start), top, int(stop - start), bottom - top)
            for start, stop in zip(turns[::2], turns[1::2], strict=True)
        ]
    return found


def on_frame(box: Box, frame: int | None) -> Box:
    """Return a box of one frame, or of every frame."""
    return replace(box, frame=frame)


def _overlap(a: Box, b: Box) -> float:
    width = min(a.left + a.width, b.left + b.width) - max(a.left, b.left)
    height = min(a.top + a.height, b.top + b.height) - max(a.top, b.top)
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / min(a.width * a.height, b.width * b.height)


def _around(a: Box, b: Box) -> Box:
    left, top = min(a.left, b.left), min(a.top, b.top)
    right = max(a.left + a.width, b.left + b.width)
    bottom = max(a.top + a.height, b.top + b.height)
    return Box(left, top, right - left, bottom - top, a.frame)
