"""What is read in one frame: Tesseract on the variants of it in which text stands out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from fairbank.deid.pixels.picture import Grey, Plane, grey_of, planes_of
from fairbank.deid.pixels.tesseract import Word, words_in
from fairbank.deid.pixels.work import Box

_LARGEST_SIDE = 2600
_ENLARGE_BELOW = 900
_ENLARGE_MUCH_BELOW = 400
_LEAST_SIDE = 12
_NEIGHBOURHOOD = 25


def words_of_frame(frame: NDArray[np.generic], *, turned: bool = True) -> list[Word]:
    """Return the words read in any variant of a frame, in the frame's own pixels.

    Variants: plain, enlarged where it is small; with even local contrast; the saturation of coloured frames; turned by
    90 degrees either way. Tesseract itself reads light on dark and dark on light.

    Args:
        frame: (rows, columns) or (rows, columns, 3).
        turned: whether to look for text that runs upwards or downwards.
    """
    found: list[Word] = []
    if min(frame.shape[:2]) < _LEAST_SIDE:
        return found
    for picture, factor, quarter in _variants(frame, turned=turned):
        shape = picture.shape
        found += [replace(word, box=_back(word.box, factor, quarter, shape)) for word in words_in(picture)]
    return found


def _variants(frame: NDArray[np.generic], *, turned: bool) -> Iterator[tuple[Grey, float, int]]:
    planes = planes_of(frame)
    largest = max(planes[0].shape)
    small = min(1.0, _LARGEST_SIDE / max(1, largest))
    factor = 3.0 if largest < _ENLARGE_MUCH_BELOW else 2.0 if largest < _ENLARGE_BELOW else small
    for plane in planes:
        yield _sized(grey_of(plane), factor), factor, 0
    yield _sized(_evened(planes[0]), small), small, 0
    if turned:
        for quarter in (1, 3):
            plain = _sized(grey_of(planes[0]), small)
            yield np.ascontiguousarray(np.rot90(plain, quarter)), small, quarter


def _evened(plane: Plane) -> Grey:
    """Return a plane whose local mean and local contrast are the same everywhere, as grey."""
    mean = ndimage.uniform_filter(plane, _NEIGHBOURHOOD)
    spread = np.sqrt(np.maximum(ndimage.uniform_filter(plane * plane, _NEIGHBOURHOOD) - mean * mean, 0))
    floor = max(1e-6, 0.02 * float(np.ptp(plane)))
    even: Grey = np.clip(96 + 48 * (plane - mean) / np.maximum(spread, floor), 0, 255).astype(np.uint8)
    return even


def _sized(picture: Grey, factor: float) -> Grey:
    if factor == 1.0:
        return picture
    from PIL import Image  # heavy, and only needed here

    columns, rows = (max(1, round(side * factor)) for side in picture.shape[::-1])
    return np.asarray(Image.fromarray(picture).resize((columns, rows), Image.Resampling.BICUBIC))


def _back(box: Box, factor: float, quarter: int, shape: tuple[int, ...]) -> Box:
    """Return a box of a turned and resized picture in pixels of the frame; `shape` is the turned picture's."""
    left, top, width, height = box.left, box.top, box.width, box.height
    if quarter == 1:  # turned anticlockwise: columns became rows, counted from the bottom
        left, top, width, height = shape[0] - top - height, left, height, width
    elif quarter == 3:
        left, top, width, height = top, shape[1] - left - width, height, width
    margin = max(2, round(0.2 * min(width, height) / factor))
    start = (max(0, int(left / factor) - margin), max(0, int(top / factor) - margin))
    end = (int(np.ceil((left + width) / factor)) + margin, int(np.ceil((top + height) / factor)) + margin)
    return Box(start[0], start[1], end[0] - start[0], end[1] - start[1])
