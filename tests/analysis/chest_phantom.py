"""A chest made of ellipsoids, in HU: body, two lungs of known density, vessels, a windpipe that opens into one lung."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SHAPE = (52, 64, 88)
SPACING = (4.0, 4.0, 4.0)
LUNG, EMPHYSEMA, TISSUE, WINDPIPE = -870.0, -970.0, 40.0, -1000.0


@dataclass(frozen=True)
class Chest:
    """The voxels, (slices, rows, columns) from foot to head, back to back, right to left; and what is where."""

    voxels: NDArray[np.float64]
    right: NDArray[np.bool_]
    left: NDArray[np.bool_]
    windpipe: NDArray[np.bool_]

    @property
    def lungs(self) -> NDArray[np.bool_]:
        """Return both lungs."""
        return self.right | self.left


def chest(*, emphysema_from: int = 32, touching: bool = False, table: bool = True) -> Chest:
    """Return a chest whose lungs are emphysematous from a slice upwards.

    Args:
        touching: whether a narrow bridge joins the lungs in front.
        table: whether the body lies on a hollow table.
    """
    z, y, x = np.meshgrid(*(np.arange(n, dtype=float) for n in SHAPE), indexing="ij")
    voxels = np.full(SHAPE, -1000.0)
    voxels[((x - 44) / 40) ** 2 + ((y - 30) / 24) ** 2 <= 1] = TISSUE
    if table:
        voxels[:, 57:63, 10:78] = -300.0
        voxels[:, 58:62, 11:77] = -960.0
    right = ((x - 26) / 13) ** 2 + ((y - 30) / 15) ** 2 + ((z - 24) / 20) ** 2 <= 1
    left = ((x - 62) / 12) ** 2 + ((y - 30) / 15) ** 2 + ((z - 24) / 20) ** 2 <= 1
    if touching:
        right |= (abs(z - 24) <= 1) & (abs(y - 24) <= 1) & (x > 34) & (x <= 44)
        left |= (abs(z - 24) <= 1) & (abs(y - 24) <= 1) & (x > 44) & (x < 54)
    lungs = right | left
    voxels[lungs] = LUNG
    voxels[lungs & (z >= emphysema_from)] = EMPHYSEMA
    voxels[lungs & (y == 30) & (np.isin(x, (24, 60))) & (abs(z - 24) < 10)] = TISSUE
    windpipe = ((x - 44) ** 2 + (y - 32) ** 2 <= 6.5) & (z >= 30)
    voxels[windpipe] = WINDPIPE
    # A bronchus, through which windpipe and lung are one piece of air.
    voxels[(z == 30) & (y == 32) & (x > 36) & (x < 44)] = WINDPIPE
    return Chest(voxels, right, left, windpipe)
