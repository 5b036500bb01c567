"""Text looked for in all frames of a file: detector and Tesseract, each finding what the other misses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fairbank.deid.pixels.boxes import mask_of, merged, on_frame, within
from fairbank.deid.pixels.detector import text_boxes
from fairbank.deid.pixels.frames import Frames
from fairbank.deid.pixels.image_pixels import PixelFormat
from fairbank.deid.pixels.picture import planes_of
from fairbank.deid.pixels.reading import words_of_frame
from fairbank.deid.pixels.tesseract import program
from fairbank.deid.pixels.work import Box

DETECTOR, OCR = "detector", "ocr"
_IN_MANY_FRAMES = 0.5
# In a light look, a row this many times as long as high is text even if nothing can be read in it.
_LONG_ROW = 5.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What was located, by which means, and every word that was read on the way; those may identify."""

    boxes: tuple[Box, ...]
    found_by: tuple[str, ...]
    words: tuple[str, ...] = field(repr=False)


def search(frames: Frames, *, light: bool = False, enough: bool = False) -> Finding:
    """Look for text in all frames.

    The detector looks at every frame that differs from the one before; Tesseract reads the first, the middle and the
    last frame, and the brightest that each pixel becomes. Boxes that come back in other frames hold for all frames.

    Args:
        frames: the file's.
        light: for files that seldom hold text: Tesseract reads only where the detector found something.
        enough: stop at the first frame that shows text, where no more than that is asked.

    Raises:
        Refused: if a frame cannot be decoded.
        TextToolsMissing: if Tesseract is missing.
    """
    program()  # a half look is none
    detected, composites = _detected(frames, enough=enough and not light)
    if light:
        return _confirmed(frames, detected)
    if enough and detected:
        return Finding(_joined(detected, frames.form), (DETECTOR,), ())
    located: list[Box] = []
    texts: list[str] = []
    for number, picture in enumerate(_pictures_to_read(frames, composites)):
        for word in words_of_frame(picture, turned=number == 0):
            texts.append(word.text)
            if word.is_located:
                located.append(word.box)
    found_by = [name for name, boxes in ((DETECTOR, detected), (OCR, located)) if boxes]
    return Finding(_joined([*detected, *located], frames.form), tuple(found_by), tuple(texts))


def pictures_of(frame: NDArray[np.generic], form: PixelFormat) -> list[NDArray[np.generic]]:
    """Return a frame without its unused bits and, where these are not zero, what they hold as a picture of its own."""
    if frame.ndim != 2 or frame.dtype.kind != "u" or form.signed or form.bits <= form.stored:
        return [frame]
    whole = frame.astype(np.uint32)
    used = ((1 << form.stored) - 1) << max(0, form.high - form.stored + 1)
    rest = whole & np.uint32(~used & 0xFFFFFFFF)
    return [whole & np.uint32(used), rest] if rest.any() else [frame]


def detected_in(frame: NDArray[np.generic], form: PixelFormat) -> list[Box]:
    """Return what the detector finds in one frame, in all its planes; nothing is read."""
    found = [
        box
        for picture in pictures_of(frame, form)
        for plane in planes_of(picture)
        for box in text_boxes(plane)
    ]
    cut = [within(box, form.rows, form.columns) for box in found]
    return merged(box for box in cut if box is not None)


def _detected(frames: Frames, *, enough: bool) -> tuple[list[Box], list[NDArray[np.generic]]]:
    """Return what the detector finds, and the brightest that each pixel becomes where there is more than one frame."""
    form = frames.form
    per_frame: list[list[Box]] = []
    brightest: NDArray[np.float32] | None = None
    last: NDArray[np.generic] | None = None
    for number in range(form.frames):
        frame = frames.shown(number)
        if last is not None and np.array_equal(frame, last):
            per_frame.append(per_frame[-1])
            continue
        last = frame
        per_frame.append(detected_in(frame, form))
        if enough and per_frame[-1]:
            return [on_frame(box, number) for box in per_frame[-1]], []
        if form.frames > 1:
            plane = planes_of(frame)[0]
            brightest = plane if brightest is None else np.maximum(brightest, plane)
    return list(_by_frame(per_frame, form)), [] if brightest is None else [brightest]


def _by_frame(per_frame: list[list[Box]], form: PixelFormat) -> Iterator[Box]:
    """Yield boxes for all frames where they come back, for their own frame where not."""
    count = np.zeros((form.rows, form.columns), np.uint16)
    for boxes in per_frame:
        count += mask_of(boxes, form.rows, form.columns)
    often = count >= 2
    for number, boxes in enumerate(per_frame):
        for box in boxes:
            share = often[box.top : box.top + box.height, box.left : box.left + box.width].mean()
            alone = form.frames > 1 and share < _IN_MANY_FRAMES
            yield on_frame(box, number if alone else None)


def _pictures_to_read(frames: Frames, composites: list[NDArray[np.generic]]) -> Iterator[NDArray[np.generic]]:
    last = frames.form.frames - 1
    for number in sorted({0, last // 2, last}):
        yield from pictures_of(frames.shown(number), frames.form)
    yield from composites


def _confirmed(frames: Frames, detected: list[Box]) -> Finding:
    """Keep what Tesseract reads in what the detector found, and rows too long to be anything else."""
    kept: list[Box] = []
    texts: list[str] = []
    for box in _joined(detected, frames.form):
        frame = frames.shown(box.frame or 0)
        words = words_of_frame(_cut_out(frame, box), turned=box.height > box.width)
        texts += [word.text for word in words]
        long = max(box.width / box.height, box.height / box.width) >= _LONG_ROW
        if long or any(word.is_located for word in words):
            kept.append(box)
    return Finding(tuple(kept), (DETECTOR,) if kept else (), tuple(texts))


def _cut_out(frame: NDArray[np.generic], box: Box) -> NDArray[np.generic]:
    margin = 8
    rows = slice(max(0, box.top - margin), box.top + box.height + margin)
    return frame[rows, max(0, box.left - margin) : box.left + box.width + margin]


def _joined(boxes: list[Box], form: PixelFormat) -> tuple[Box, ...]:
    """Return boxes merged per frame; those of all frames swallow the ones that lie in them."""
    cut = [part for box in boxes if (part := within(box, form.rows, form.columns)) is not None]
    everywhere = merged(box for box in cut if box.frame is None)
    covered = mask_of(everywhere, form.rows, form.columns)
    result = list(everywhere)
    for number in sorted({box.frame for box in cut if box.frame is not None}):
        own = [box for box in cut if box.frame == number and not covered[_part(box)].all()]
        result += merged(own)
    return tuple(result)


def _part(box: Box) -> tuple[slice, slice]:
    return slice(box.top, box.top + box.height), slice(box.left, box.left + box.width)
