"""Masks from the contours of a radiotherapy structure set, by the even-odd rule in the planes of the slices.

A voxel is in a region if its centre is inside an odd number of the region's contours in its slice, so that a contour
within a contour is a hole, and a contour that runs to a hole and back (a keyhole) leaves it out. A contour that lies in
no slice, leans, or is drawn on every second slice is refused: what lies between would be a guess.

Source: DICOM PS3.3, A.19, C.8.8.5 and C.8.8.6.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from fairbank.analysis.drawn_regions import (
    ON_GRID,
    Mask,
    Region,
    indices_of,
    refused,
    require_frame_of_reference,
)
from fairbank.analysis.errors import ItemImpossible
from fairbank.analysis.volumes import Grid
from fairbank.deid.annotations import structures_of

SOURCE: Final = "structure-set"
_CLOSED: Final = frozenset({"CLOSED_PLANAR", "CLOSEDPLANAR_XOR"})
_FEWEST_POINTS: Final = 3


def contoured_in(
    file: Path, grid: Grid, frame_of_reference: Any, *, wanted: Collection[str] = ()
) -> list[Region]:
    """Return the regions of a file, by number; what shows nothing of the body is left out.

    Args:
        file: the structure set.
        grid: of the volume that its images make up.
        frame_of_reference: of the images.
        wanted: the structures to read; empty for all.

    Raises:
        ItemImpossible: `annotation_unreadable`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = dcmread(file, stop_before_pixels=True)
            structures = structures_of(dataset)
            chosen = {number: word for number, word in structures.items() if not wanted or word in wanted}
            return list(_regions(dataset, chosen, grid, frame_of_reference))
    except (InvalidDicomError, OSError, ValueError, TypeError, KeyError, AttributeError, EOFError) as err:
        raise ItemImpossible("annotation_unreadable") from err


def even_odd(contours: list[NDArray[np.float64]], shape: tuple[int, int]) -> Mask:
    """Return which pixels have their centre inside an odd number of contours, (rows, columns).

    A centre that lies on an edge is inside if the region is to the right of it or below it.

    Args:
        contours: each (n, 2) float64: row and column of its corners, in pixels.
        shape: number of rows, columns.

    >>> even_odd([np.array([[0.5, 0.5], [0.5, 2.5], [2.5, 2.5], [2.5, 0.5]])], (3, 4)).astype(int).tolist()
    [[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0]]
    """
    rows, columns = shape
    # How often an edge is crossed on the way along each row, up to and with each pixel.
    crossings = np.zeros((rows, columns + 1), dtype=np.int64)
    for corners in contours:
        for (row, column), (next_row, next_column) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            low, high = min(row, next_row), max(row, next_row)
            crossed = np.arange(max(0, int(np.ceil(low))), min(rows, int(np.ceil(high))))
            if not len(crossed):
                continue
            at = column + (crossed - row) * (next_column - column) / (next_row - row)
            np.add.at(crossings, (crossed, np.clip(np.ceil(at), 0, columns).astype(int)), 1)
    inside: Mask = np.cumsum(crossings, axis=1)[:, :columns] % 2 == 1
    return inside


def _regions(
    dataset: Any, structures: dict[int, str], grid: Grid, frame_of_reference: Any
) -> Iterator[Region]:
    drawn = {int(item.ReferencedROINumber): item for item in dataset.get("ROIContourSequence") or ()}
    for item in dataset.get("StructureSetROISequence") or ():
        number = int(item.ROINumber)
        if number not in structures:
            continue
        try:
            require_frame_of_reference(frame_of_reference, item.get("ReferencedFrameOfReferenceUID"))
            mask = _mask(_contours(drawn.get(number)), grid)
        except ItemImpossible as fault:
            yield refused(SOURCE, fault.reason, number=number, structure=structures[number])
        else:
            yield Region(SOURCE, number, structures[number], np.flatnonzero(mask).astype(np.int64))


def _contours(item: Any) -> list[NDArray[np.float64]]:
    """Return the closed contours of a region, each (n, 3) float64 in mm."""
    found = []
    for contour in (item.get("ContourSequence") or ()) if item is not None else ():
        if str(contour.get("ContourGeometricType", "")).upper() not in _CLOSED:
            continue
        points = np.array([float(value) for value in contour.get("ContourData") or ()])
        if len(points) % 3 or not np.isfinite(points).all():
            raise ItemImpossible("annotation_unreadable")
        if len(points) >= 3 * _FEWEST_POINTS:
            found.append(points.reshape(-1, 3))
    if not found:
        raise ItemImpossible("no_closed_contours")
    return found


def _mask(contours: list[NDArray[np.float64]], grid: Grid) -> Mask:
    of_slice: dict[int, list[NDArray[np.float64]]] = defaultdict(list)
    for points in contours:
        places = indices_of(points, grid)
        if float(np.ptp(places[:, 0])) > 2 * ON_GRID:
            raise ItemImpossible("tilted_contours")
        place = float(places[:, 0].mean())
        if abs(place - round(place)) > ON_GRID:
            raise ItemImpossible("between_slices")
        if not 0 <= round(place) < grid.shape[0]:
            raise ItemImpossible("outside_volume")
        of_slice[round(place)].append(places[:, 1:])
    steps = np.diff(sorted(of_slice))
    if len(steps) and steps.min() > 1:
        raise ItemImpossible("contours_skip_slices")
    mask = np.zeros(grid.shape, dtype=bool)
    for place, drawn in of_slice.items():
        corners = np.concatenate(drawn)
        # A contour runs along the edges of the pixels that it takes in.
        if (corners < -0.5 - ON_GRID).any() or (corners > np.array(grid.shape[1:]) - 0.5 + ON_GRID).any():
            raise ItemImpossible("outside_volume")
        mask[place] = even_odd(drawn, (grid.shape[1], grid.shape[2]))
    if not mask.any():
        raise ItemImpossible("empty_region")
    return mask
