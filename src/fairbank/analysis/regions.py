"""Which regions of a series are measured: those of its segmentations and structure sets, or its lungs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import numpy as np

from fairbank.analysis.dicom_frames import Header
from fairbank.analysis.drawn_regions import REGION_REASONS, Region, refused
from fairbank.analysis.errors import ItemImpossible
from fairbank.analysis.lungs import find_lungs
from fairbank.analysis.segmentations import SOURCE as SEGMENTATION
from fairbank.analysis.segmentations import segments_of
from fairbank.analysis.staged import StagedSeries
from fairbank.analysis.structure_sets import SOURCE as STRUCTURE_SET
from fairbank.analysis.structure_sets import contoured_in
from fairbank.analysis.volumes import Grid, Voxels, to_lps

LUNG: Final = "lung"
SOURCES: Final = (SEGMENTATION, STRUCTURE_SET, LUNG)
# The kinds of annotations that regions are read from, by modality.
READERS: Final = {"SEG": (SEGMENTATION, segments_of), "RTSTRUCT": (STRUCTURE_SET, contoured_in)}
REASONS: Final = ("no_annotation", "no_such_structure", "not_ct", "no_lungs", *REGION_REASONS)
_LUNG_STRUCTURE: Final = "Lung"


def drawn_regions(
    item: StagedSeries, headers: Sequence[Header], grid: Grid, *, wanted: Collection[str]
) -> list[Region]:
    """Return the regions that the annotations of a series draw on its volume, in order; those that do not fit too.

    Args:
        item: the series.
        headers: of its images.
        grid: of its volume.
        wanted: the structures to return; empty for all.

    Raises:
        ItemImpossible: `no_annotation`, or `no_such_structure` if there is none of those wanted.
    """
    of_images = {str(header.dataset.get("FrameOfReferenceUID", "") or "") for header in headers}
    frame_of_reference = of_images.pop() if len(of_images) == 1 else ""
    found: list[Region] = []
    annotations = [one for one in item.annotations if one.kind in READERS]
    for annotation in annotations:
        source, read = READERS[annotation.kind]
        for file in annotation.files:
            try:
                found += read(file, grid, frame_of_reference, wanted=wanted)
            except ItemImpossible as fault:
                found.append(refused(source, fault.reason))
    if not annotations:
        raise ItemImpossible("no_annotation")
    if not found:
        raise ItemImpossible("no_such_structure" if wanted else "empty_region")
    return found


def lung_region(voxels: Voxels, grid: Grid, modality: str) -> Region:
    """Return the lungs of a CT, both as one region.

    Args:
        voxels: (slices, rows, columns) float32 in HU, without NaN.
        grid: where they lie.
        modality: of the series.

    Raises:
        ItemImpossible: `not_ct` or `no_lungs`.
    """
    if modality != "CT":
        raise ItemImpossible("not_ct")
    turned, turned_grid = to_lps(voxels, grid)
    lungs = find_lungs(turned, turned_grid)
    # The same turns, done to the places of the voxels, lead back.
    places, _ = to_lps(np.arange(voxels.size, dtype=np.int64).reshape(voxels.shape), grid)
    return Region(LUNG, 1, _LUNG_STRUCTURE, np.sort(places[lungs.mask]))
