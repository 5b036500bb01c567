"""Find the lungs in a CT of the chest: threshold, connected components inside the body, large airways off, closing.

The steps are those of Hu, Hoffman & Reinhardt 2001, IEEE Transactions on Medical Imaging 20(6), 490-498, with one
threshold for all series instead of one per series, so that sites measure the same thing:

1. the body is the largest thing denser than the threshold, opened by 4 mm in the plane (a table is thinner), filled;
2. the windpipe is followed slice by slice from the top and taken off, until it opens into a lung (their section II.C);
3. of the air in the body, the largest piece is a lung or both, and the largest on the other side is the other lung;
4. lungs that touch are parted by erosion, if a little is enough; otherwise left and right are not told apart;
5. a closing by 5 mm in the plane takes in vessels and the edges of the hila; holes are filled.

What cannot be seen this way: tissue as dense as the chest wall (consolidation, a large tumour) is left out of the lung.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairbank.analysis.errors import ItemImpossible
from fairbank.analysis.volumes import Grid, Voxels

Mask = NDArray[np.bool_]
Labels = NDArray[np.int32]

# Hounsfield units; where the iteration of Hu et al. starts.
LUNG_THRESHOLD_HU = -500
# Less than this is no lung of an adult or a child that lives, in litres.
LEAST_LITRES = 0.2
_BODY_STEP_MM, _BODY_OPENING_MM = 2.0, 4.0
_CLOSING_MM = 5.0
_PARTING_MM = 6.0
# The windpipe of adults: area of its lumen (mm2), distance from the middle (mm), and how far it is seen at least (mm).
_WINDPIPE_MM2, _WINDPIPE_FROM_MIDDLE_MM, _WINDPIPE_LEAST_MM = (40.0, 700.0), 45.0, 15.0
# It fills at least this part of the rectangle around it; a fold of lung does not.
_WINDPIPE_FILL = 0.5
# Each main bronchus may be as wide as the windpipe itself; beyond that it has opened into a lung.
_WINDPIPE_GROWTH = 2.0
# One piece is both lungs if each side of the middle has at least this part of it.
_BOTH_SHARE = 0.2
# The other lung has at least this part of the first one; bowel gas is smaller.
_OTHER_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Lungs:
    """Where the lungs are.

    Args:
        mask: (slices, rows, columns), both lungs.
        right, left: each of them; None where they cannot be told apart.
        airways_removed: whether the windpipe was found and taken off.
        cut_off: largest area in the first and the last slice, as a part of the largest area of all slices.
    """

    mask: Mask
    right: Mask | None
    left: Mask | None
    airways_removed: bool
    cut_off: float


def find_lungs(voxels: Voxels, grid: Grid) -> Lungs:
    """Return where the lungs are.

    Args:
        voxels: (slices, rows, columns) float32 in HU, turned to the patient (`to_lps`), without NaN.
        grid: where they lie.

    Raises:
        ItemImpossible: `no_lungs`, if there is no air of the size of a lung inside a body.
    """
    body = _body(voxels, grid)
    if not body.any():
        raise ItemImpossible("no_lungs")
    box = _box_of(body)
    inside = body[box]
    air: Mask = (voxels[box] < LUNG_THRESHOLD_HU) & inside
    middle = int(np.median(np.nonzero(inside.any(axis=(0, 1)))[0]))
    windpipe = _windpipe(air, grid, middle=middle)
    pieces = _pieces(air & ~_dilated(windpipe, 1), grid, middle=middle)
    parted = _by_side(pieces, grid, middle=middle)
    if parted is None:
        both = _closed(np.logical_or.reduce(pieces), grid) & inside & ~windpipe
        return _placed(body.shape, box, both, None, None, found=bool(windpipe.any()))
    right, left = (_closed(one, grid) & inside & ~windpipe for one in parted)
    left &= ~right
    return _placed(body.shape, box, right | left, right, left, found=bool(windpipe.any()))


def _placed(
    shape: Sequence[int],
    box: tuple[slice, ...],
    both: Mask,
    right: Mask | None,
    left: Mask | None,
    *,
    found: bool,
) -> Lungs:
    def whole(part: Mask | None) -> Mask | None:
        if part is None:
            return None
        mask = np.zeros(shape, dtype=bool)
        mask[box] = part
        return mask

    mask = whole(both)
    assert mask is not None
    areas = mask.sum(axis=(1, 2))
    ends = max(int(areas[0]), int(areas[-1]))
    return Lungs(mask, whole(right), whole(left), found, ends / max(1, int(areas.max())))


def _body(voxels: Voxels, grid: Grid) -> Mask:
    """Return the body, filled, worked out in steps of 2 mm in the plane."""
    from scipy import ndimage

    step = [max(1, round(_BODY_STEP_MM / spacing)) for spacing in grid.spacing_mm[1:]]
    coarse: Mask = voxels[:, :: step[0], :: step[1]] > LUNG_THRESHOLD_HU
    often = max(1, round(_BODY_OPENING_MM / (grid.spacing_mm[1] * step[0])))
    coarse = ndimage.binary_opening(coarse, structure=_in_plane(), iterations=often)
    labels, count = ndimage.label(coarse)
    if not count:
        return np.zeros(voxels.shape, dtype=bool)
    sizes = np.bincount(labels.ravel())[1:]
    body = labels == int(np.argmax(sizes)) + 1
    for place, one in enumerate(body):
        body[place] = ndimage.binary_fill_holes(one)
    # What is left of the outside along the skin must not pass for lung.
    body = ndimage.binary_erosion(body, structure=_in_plane())
    fine: Mask = body.repeat(step[0], axis=1).repeat(step[1], axis=2)
    fine = fine[:, : voxels.shape[1], : voxels.shape[2]]
    return fine


def _windpipe(air: Mask, grid: Grid, *, middle: int) -> Mask:
    """Return the windpipe and the main bronchi, as far as they are apart from the lungs; empty if none is found."""
    from scipy import ndimage

    labels, _ = ndimage.label(air, structure=np.stack([np.zeros((3, 3)), np.ones((3, 3)), np.zeros((3, 3))]))
    pixel_mm2 = grid.spacing_mm[1] * grid.spacing_mm[2]
    areas = np.bincount(labels.ravel()) * pixel_mm2
    least = max(2, round(_WINDPIPE_LEAST_MM / grid.spacing_mm[0]))
    top = len(air) - 1
    # It begins in the upper half, or it is not in the picture.
    for place in range(top, len(air) // 2, -1):
        for seed in _seeds(labels[place], areas, grid, middle=middle):
            followed = _followed(labels, areas, place, seed)
            if len(followed) >= least:
                found = np.zeros(air.shape, dtype=bool)
                for at, names in followed.items():
                    found[at] = np.isin(labels[at], names)
                return found
    return np.zeros(air.shape, dtype=bool)


def _seeds(labels: Labels, areas: NDArray[Any], grid: Grid, *, middle: int) -> list[int]:
    """Return the pieces of air of one slice that may be the windpipe, nearest to the middle first."""
    from scipy import ndimage

    found = []
    names = np.unique(labels)
    boxes = ndimage.find_objects(labels)
    pixel_mm2 = grid.spacing_mm[1] * grid.spacing_mm[2]
    for name in names[names > 0].tolist():
        if not _WINDPIPE_MM2[0] <= areas[name] <= _WINDPIPE_MM2[1]:
            continue
        rows, columns = boxes[name - 1]
        room_mm2 = (rows.stop - rows.start) * (columns.stop - columns.start) * pixel_mm2
        away_mm = abs((columns.start + columns.stop - 1) / 2 - middle) * grid.spacing_mm[2]
        if areas[name] >= _WINDPIPE_FILL * room_mm2 and away_mm <= _WINDPIPE_FROM_MIDDLE_MM:
            found.append((away_mm, int(name)))
    return [name for _, name in sorted(found)]


def _followed(labels: Labels, areas: NDArray[Any], start: int, seed: int) -> dict[int, list[int]]:
    """Return which pieces belong to the windpipe in each slice from `start` downwards."""
    followed = {start: [seed]}
    widest = areas[seed]
    mask = labels[start] == seed
    for place in range(start - 1, -1, -1):
        under = np.unique(labels[place][mask])
        names = [int(name) for name in under if name > 0 and areas[name] <= _WINDPIPE_GROWTH * widest]
        if not names or any(areas[name] > _WINDPIPE_MM2[1] for name in names):
            break
        if sum(areas[name] for name in names) > _WINDPIPE_GROWTH * widest:
            break
        followed[place] = names
        widest = max(widest, *(areas[name] for name in names))
        mask = np.isin(labels[place], names)
    return followed


def _pieces(air: Mask, grid: Grid, *, middle: int) -> list[Mask]:
    """Return the piece that is both lungs, or the two pieces that are one each."""
    from scipy import ndimage

    labels, count = ndimage.label(air)
    sizes = np.bincount(labels.ravel())[1:] if count else np.zeros(1)
    first = int(np.argmax(sizes)) + 1
    if sizes[first - 1] * grid.voxel_ml < LEAST_LITRES * 1000:
        raise ItemImpossible("no_lungs")
    largest = labels == first
    share = _right_share(largest, middle)
    if _BOTH_SHARE <= share <= 1 - _BOTH_SHARE:
        return [largest]
    on_right = share > 0.5
    for name in (np.argsort(sizes)[::-1] + 1).tolist():
        if sizes[name - 1] < _OTHER_SHARE * sizes[first - 1]:
            break
        other = labels == name
        if name != first and (_right_share(other, middle) > 0.5) != on_right:
            return [largest, other]
    return [largest]


def _by_side(pieces: Sequence[Mask], grid: Grid, *, middle: int) -> tuple[Mask, Mask] | None:
    """Return the right lung and the left one; None where they cannot be told apart."""
    from scipy import ndimage

    if len(pieces) == 2:
        return _sorted_by_side(pieces[0], pieces[1], middle)
    piece = pieces[0]
    for often in range(1, max(1, round(_PARTING_MM / grid.spacing_mm[2])) + 1):
        eroded = ndimage.binary_erosion(piece, structure=_in_plane(), iterations=often)
        labels, count = ndimage.label(eroded)
        if count < 2:
            continue
        sizes = np.bincount(labels.ravel())[1:]
        names = (np.argsort(sizes)[::-1][:2] + 1).tolist()
        if sizes[names[1] - 1] < _BOTH_SHARE * sizes.sum():
            continue
        right, left = _sorted_by_side(labels == names[0], labels == names[1], middle)
        if (_right_share(right, middle) > 0.5) == (_right_share(left, middle) > 0.5):
            return None
        right = ndimage.binary_dilation(right, structure=_in_plane(), iterations=often, mask=piece)
        left = ndimage.binary_dilation(left, structure=_in_plane(), iterations=often, mask=piece) & ~right
        rest = piece & ~right & ~left
        # What is reached by neither is little, and lies at the edges: the middle decides.
        on_right = np.arange(piece.shape[2]) < middle
        return right | (rest & on_right), left | (rest & ~on_right)
    return None


def _sorted_by_side(one: Mask, other: Mask, middle: int) -> tuple[Mask, Mask]:
    """Return the right one first: columns grow to the left of the patient."""
    return (one, other) if _right_share(one, middle) >= _right_share(other, middle) else (other, one)


def _right_share(piece: Mask, middle: int) -> float:
    per_column = piece.sum(axis=(0, 1))
    return float(per_column[:middle].sum() / max(1, int(per_column.sum())))


def _closed(piece: Mask, grid: Grid) -> Mask:
    """Return a piece with its vessels taken in."""
    from scipy import ndimage

    often = max(1, round(_CLOSING_MM / grid.spacing_mm[2]))
    room = [(0, 0), (often, often), (often, often)]
    closed = ndimage.binary_closing(np.pad(piece, room), structure=_in_plane(), iterations=often)
    closed = closed[:, often:-often, often:-often]
    for place, one in enumerate(closed):
        if one.any():
            closed[place] = ndimage.binary_fill_holes(one)
    found: Mask = closed
    return found


def _dilated(mask: Mask, often: int) -> Mask:
    from scipy import ndimage

    if not mask.any():
        return mask
    found: Mask = ndimage.binary_dilation(mask, structure=_in_plane(), iterations=often)
    return found


def _in_plane() -> Mask:
    """Return the neighbours of a voxel in its slice, as a structure of three dimensions."""
    cross = np.array([[False, True, False], [True, True, True], [False, True, False]])
    return cross[None]


def _box_of(mask: Mask) -> tuple[slice, ...]:
    """Return the smallest box around a mask, over all slices."""
    found = [slice(0, mask.shape[0])]
    for axis in (1, 2):
        places = np.nonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))[0]
        found.append(slice(int(places[0]), int(places[-1]) + 1))
    return tuple(found)
