"""Pictures by which a curator sees what a model marked; they never leave the site."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fairbank.analysis.drawn_regions import Mask
from fairbank.analysis.lung_overlay import border_of, write_sheet
from fairbank.analysis.volumes import Grid, to_lps

# Colours that people who do not see red and green apart tell from each other: Okabe & Ito 2008.
COLOURS: Final = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)
_GREY_FROM, _GREY_TO = 0.5, 99.5


def write_masks(file: Path, voxels: NDArray[np.float32], grid: Grid, masks: Sequence[Mask]) -> None:
    """Write evenly spread slices with the borders of masks as one PNG; those with a mask, if there are any.

    Args:
        voxels: (slices, rows, columns), grey values without NaN.
        grid: where they lie.
        masks: of the same shape, one for each label.
    """
    turned, turned_grid = to_lps(voxels, grid)
    turned_masks = [to_lps(mask, grid)[0] for mask in masks]
    low, high = np.percentile(turned[:: max(1, len(turned) // 8)], (_GREY_FROM, _GREY_TO))
    marked = np.zeros(len(turned), dtype=bool)
    for mask in turned_masks:
        marked |= mask.any(axis=(1, 2))
    shown = np.nonzero(marked)[0] if marked.any() else np.arange(len(turned))

    def picture(place: int, step: int) -> NDArray[np.uint8]:
        frame = turned[place, ::step, ::step]
        grey = np.clip((frame - low) / ((high - low) or 1.0), 0, 1) * 255
        found: NDArray[Any] = np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)
        for number, mask in enumerate(turned_masks):
            found[border_of(mask[place, ::step, ::step])] = COLOURS[number % len(COLOURS)]
        return found

    write_sheet(file, picture, shown, grid=turned_grid)
