"""Regions that somebody, or a program, has drawn on the slices of a volume, and where frames lie on its grid.

A region fits the grid or is refused with a word: nothing is shifted, turned or interpolated. No UID is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fairbank.analysis.errors import ItemImpossible
from fairbank.analysis.volumes import Grid
from fairbank.ontology.record import UNKNOWN

Mask = NDArray[np.bool_]

# Why a region has no mask on the volume.
REGION_REASONS: Final = (
    "annotation_unreadable",
    "frame_of_reference_missing",
    "other_frame_of_reference",
    "other_orientation",
    "other_spacing",
    "between_slices",
    "between_pixels",
    "outside_volume",
    "tilted_contours",
    "no_closed_contours",
    "contours_skip_slices",
    "empty_region",
)
# Parts of a voxel: what is nearer to a slice, or to a pixel, than this lies on it.
ON_GRID: Final = 0.1
_SAME_COSINE: Final = 1e-4
_SAME_SPACING: Final = 1e-3


@dataclass(frozen=True, slots=True)
class Region:
    """A region of a volume.

    Args:
        source: kind of the object that it was read from.
        number: its number there.
        structure: what it shows, a word of `fairbank.ontology.annotation_labels`, `other` or `unknown`.
        places: (n,) int64, its voxels as places in the flattened array of the volume, ascending; none if it does not
            fit.
        fault: the word of `REGION_REASONS` that says why there are none.
    """

    source: str
    number: int
    structure: str
    places: NDArray[np.int64]
    fault: str | None = None

    def mask(self, shape: tuple[int, int, int]) -> Mask:
        """Return it as (slices, rows, columns) bool; a file may have a hundred of them, so none is kept."""
        found = np.zeros(shape, dtype=bool)
        found.reshape(-1)[self.places] = True
        return found


def refused(source: str, fault: str, *, number: int = 0, structure: str = UNKNOWN) -> Region:
    """Return a region that does not fit; of a whole file, number 0."""
    return Region(source, number, structure, np.zeros(0, dtype=np.int64), fault)


def require_frame_of_reference(of_images: Any, of_regions: Any) -> None:
    """Refuse regions that were not drawn in the coordinates of the images.

    Raises:
        ItemImpossible: `frame_of_reference_missing` if one of both says nothing, `other_frame_of_reference`.
    """
    if not of_images or not of_regions:
        raise ItemImpossible("frame_of_reference_missing")
    if str(of_images) != str(of_regions):
        raise ItemImpossible("other_frame_of_reference")


def indices_of(points_mm: NDArray[np.float64], grid: Grid) -> NDArray[np.float64]:
    """Return where points lie on a grid, (n, 3) float64: slice, row, column, with parts.

    Args:
        points_mm: (n, 3) float64, in the patient's coordinates.
    """
    turned = (points_mm - np.array(grid.origin_mm)) @ np.array(grid.axes).T
    found: NDArray[np.float64] = turned / np.array(grid.spacing_mm)
    return found


def require_same_plane(orientation: Any, spacing_mm: Any, grid: Grid) -> None:
    """Refuse frames that are turned against the slices of a grid, or have other pixels.

    Args:
        orientation: (6,) direction of rows and of columns, None if nobody says it.
        spacing_mm: (2,) distance of rows and of columns, None if nobody says it.

    Raises:
        ItemImpossible: `other_orientation` or `other_spacing`.
    """
    of_grid = np.array([*grid.axes[2], *grid.axes[1]])
    if orientation is None or (np.abs(orientation - of_grid) > _SAME_COSINE).any():
        raise ItemImpossible("other_orientation")
    wanted = np.array(grid.spacing_mm[1:])
    if spacing_mm is None or (np.abs(spacing_mm - wanted) > _SAME_SPACING * wanted).any():
        raise ItemImpossible("other_spacing")


def places_of(frame: Mask, corner: NDArray[np.float64], shape: tuple[int, int, int]) -> NDArray[np.int64]:
    """Return the voxels that a frame marks, (n,) int64 places in the flattened array of a volume.

    Args:
        frame: (rows, columns), perhaps smaller or larger than a slice, with at least one pixel marked.
        corner: (3,) where its first pixel lies on the grid.
        shape: of the volume.

    Raises:
        ItemImpossible: `between_slices`, `between_pixels` or `outside_volume`, if what is drawn does not lie on the
            grid.
    """
    whole = np.round(corner)
    if abs(float(corner[0] - whole[0])) > ON_GRID:
        raise ItemImpossible("between_slices")
    if (np.abs(corner[1:] - whole[1:]) > ON_GRID).any():
        raise ItemImpossible("between_pixels")
    place = int(whole[0])
    rows, columns = (np.argwhere(frame) + whole[1:].astype(int)).T
    inside = (rows >= 0) & (rows < shape[1]) & (columns >= 0) & (columns < shape[2])
    if not 0 <= place < shape[0] or not inside.all():
        raise ItemImpossible("outside_volume")
    found: NDArray[np.int64] = np.ravel_multi_index((np.full_like(rows, place), rows, columns), shape).astype(
        np.int64
    )
    return found
