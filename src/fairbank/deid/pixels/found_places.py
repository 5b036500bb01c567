"""Where a held file shows text, for whoever decides about it: places that are known, and what a look finds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np

from fairbank.deid import part10
from fairbank.deid.outcomes import Refused
from fairbank.deid.pixels.boxes import merged, on_frame
from fairbank.deid.pixels.frames import Frames, frames_of
from fairbank.deid.pixels.known_places import known_places
from fairbank.deid.pixels.search import DETECTOR, detected_in, search
from fairbank.deid.pixels.sheets import none_to_show, opened, stamp_of
from fairbank.deid.pixels.work import Box

_MOST_FRAMES: Final = 12


@dataclass(frozen=True, slots=True)
class Places:
    """Where text is in a file.

    Attributes:
        rows: of the picture.
        columns: of the picture.
        known: what rules and regions of its device say is text: blanked without a look.
        known_by: which of them.
        found: what a look found beside.
        found_by: by which means.
        is_whole: whether every frame was looked at and text was read; else the detector alone has looked at a few.
    """

    rows: int
    columns: int
    known: tuple[Box, ...]
    known_by: tuple[str, ...]
    found: tuple[Box, ...]
    found_by: tuple[str, ...]
    is_whole: bool

    @property
    def blanked(self) -> tuple[Box, ...]:
        """Return what would be blanked."""
        return (*self.known, *self.found)


def places(path: Path, *, whole: bool = False) -> Places:
    """Return where a file shows text.

    Args:
        path: the file as it came in; it stays as it is.
        whole: look at every frame and let Tesseract read, as cleaning does: seconds, not a tenth of one.

    Raises:
        NoPreview: if its pixels cannot be decoded.
        TextToolsMissing: if `whole`, and Tesseract is missing.
    """
    return _places(path, stamp_of(path), whole)


@lru_cache(maxsize=512)
def _places(path: Path, stamp: tuple[int, int], whole: bool) -> Places:
    try:
        with part10.quiet_pydicom():
            dataset = opened(path)
            frames = frames_of(dataset)
            form = frames.form
            known = known_places(dataset, form.rows, form.columns)
            if whole:
                seen = search(frames)
                found, found_by = seen.boxes, seen.found_by
            else:
                found = _seen(frames)
                found_by = (DETECTOR,) if found else ()
    except Refused as err:
        raise none_to_show("its pixels cannot be decoded") from err
    return Places(form.rows, form.columns, known.boxes, known.found_by, found, found_by, whole)


def _seen(frames: Frames) -> tuple[Box, ...]:
    form = frames.form
    chosen = sorted({round(at) for at in np.linspace(0, form.frames - 1, min(form.frames, _MOST_FRAMES))})
    per_frame = {number: detected_in(frames.shown(number), form) for number in chosen}
    if len(chosen) == 1:
        return tuple(per_frame[chosen[0]])
    often = [box for boxes in per_frame.values() for box in boxes]
    lasting = [box for box in merged(often) if sum(box in boxes for boxes in per_frame.values()) > 1]
    alone = [
        on_frame(box, number)
        for number, boxes in per_frame.items()
        for box in boxes
        if not any(_covers(other, box) for other in lasting)
    ]
    return (*lasting, *alone)


def _covers(large: Box, small: Box) -> bool:
    return (
        large.left <= small.left
        and large.top <= small.top
        and large.left + large.width >= small.left + small.width
        and large.top + large.height >= small.top + small.height
    )
