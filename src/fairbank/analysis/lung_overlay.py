"""Pictures by which a curator sees what was taken for lung; they never leave the site."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fairbank.analysis.lungs import Lungs, Mask
from fairbank.analysis.volumes import Grid, Voxels

# Window of a lung CT, in HU.
_LOW_HU, _HIGH_HU = -1350.0, 150.0
_PICTURES, _PER_ROW = 12, 4
_WIDEST = 256
_BORDER = {"right": (255, 170, 0), "left": (0, 190, 255)}
_LOW_DENSITY = (220, 0, 60)


def write_overlay(file: Path, voxels: Voxels, *, grid: Grid, lungs: Lungs, below_hu: float) -> None:
    """Write evenly spread axial slices as one PNG: lung borders in colour, voxels below a density in red.

    Args:
        voxels: (slices, rows, columns) float32 in HU.
        below_hu: what is coloured inside the lungs.
    """
    with_lung = np.nonzero(lungs.mask.any(axis=(1, 2)))[0]
    write_sheet(
        file,
        lambda place, step: _picture(voxels, lungs, place, step=step, below_hu=below_hu),
        with_lung,
        grid=grid,
    )


def write_sheet(
    file: Path,
    picture: Callable[[int, int], NDArray[np.uint8]],
    slices: NDArray[np.int64],
    *,
    grid: Grid,
) -> None:
    """Write pictures of evenly spread slices as one PNG.

    Args:
        picture: returns the picture, (rows, columns, 3), of a slice, of every so many pixels only.
        slices: the slices to choose from, ascending.
        grid: of the volume.
    """
    from PIL import Image

    spread = np.linspace(0, len(slices) - 1, _PICTURES).round().astype(int)
    step = max(1, -(-max(grid.shape[1:]) // _WIDEST))
    pictures = [picture(int(slices[place]), step) for place in np.unique(spread)]
    empty = [np.zeros_like(pictures[0])] * (-len(pictures) % _PER_ROW)
    pictures += empty
    rows = [np.hstack(pictures[at : at + _PER_ROW]) for at in range(0, len(pictures), _PER_ROW)]
    sheet = Image.fromarray(np.vstack(rows))
    # Pixels may be wider than high.
    height = round(sheet.height * grid.spacing_mm[1] / grid.spacing_mm[2])
    sheet.resize((sheet.width, max(1, height))).save(file, format="PNG", optimize=False)


def _picture(voxels: Voxels, lungs: Lungs, place: int, *, step: int, below_hu: float) -> NDArray[np.uint8]:
    frame = voxels[place, ::step, ::step]
    grey = np.clip((frame - _LOW_HU) / (_HIGH_HU - _LOW_HU), 0, 1) * 255
    picture = np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)
    picture[lungs.mask[place, ::step, ::step] & (frame < below_hu)] = _LOW_DENSITY
    sides = {"right": lungs.right, "left": lungs.left}
    for side, mask in sides.items() if lungs.left is not None else {"right": lungs.mask}.items():
        assert mask is not None
        picture[border_of(mask[place, ::step, ::step])] = _BORDER[side]
    return picture


def border_of(mask: Mask) -> Mask:
    """Return the pixels of a mask that touch what is not in it."""
    wide = np.pad(mask, 1)
    inner = wide[:-2, 1:-1] & wide[2:, 1:-1] & wide[1:-1, :-2] & wide[1:-1, 2:]
    border: Mask = mask & ~inner
    return border
