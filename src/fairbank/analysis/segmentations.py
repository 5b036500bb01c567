"""Masks from a DICOM segmentation: binary, fractional or labelmap, laid on the grid of the images that it describes.

Source: DICOM PS3.3, A.51 and C.8.20.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.pixels.utils import iter_pixels, pixel_array

from fairbank.analysis.dicom_frames import functional_value, number_of, vector_of
from fairbank.analysis.drawn_regions import (
    Mask,
    Region,
    indices_of,
    places_of,
    refused,
    require_frame_of_reference,
    require_same_plane,
)
from fairbank.analysis.errors import ItemImpossible
from fairbank.analysis.volumes import Grid
from fairbank.deid.annotations import structures_of

SOURCE: Final = "segmentation"
# A voxel belongs to a fractional segment from half on: IBSI manual, section 2.4 (partially masked voxels).
_HALF: Final = 0.5


def segments_of(
    file: Path, grid: Grid, frame_of_reference: Any, *, wanted: Collection[str] = ()
) -> list[Region]:
    """Return the segments of a file, by number; background is left out.

    Args:
        file: the segmentation.
        grid: of the volume that its images make up.
        frame_of_reference: of the images.
        wanted: the structures to read; empty for all.

    Raises:
        ItemImpossible: with the word why none of its segments can be laid on the grid.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = dcmread(file, stop_before_pixels=True)
            structures = structures_of(dataset)
            require_frame_of_reference(frame_of_reference, dataset.get("FrameOfReferenceUID"))
            chosen = {number: word for number, word in structures.items() if not wanted or word in wanted}
            return _segments(file, dataset, chosen, grid) if chosen else []
    except ItemImpossible:
        raise
    except Exception as err:
        # The decoders of many libraries raise errors of every kind.
        raise ItemImpossible("annotation_unreadable") from err


def _segments(file: Path, dataset: Any, structures: dict[int, str], grid: Grid) -> list[Region]:
    places: dict[int, list[NDArray[np.int64]]] = {number: [] for number in structures}
    faults: dict[int, str] = {}
    for number, segment, frame in _frames(file, dataset, structures):
        if segment in faults or not frame.any():
            continue
        try:
            places[segment].append(_laid(frame, dataset, number, grid))
        except ItemImpossible as fault:
            faults[segment] = fault.reason
    return [
        Region(SOURCE, segment, structure, np.unique(np.concatenate(places[segment])))
        if places[segment] and segment not in faults
        else refused(SOURCE, faults.get(segment, "empty_region"), number=segment, structure=structure)
        for segment, structure in sorted(structures.items())
    ]


def _frames(file: Path, dataset: Any, structures: dict[int, str]) -> Iterator[tuple[int, int, Mask]]:
    """Yield the number of each frame with a segment of it and the pixels that belong to it."""
    kind = str(dataset.get("SegmentationType", "")).upper()
    whole = number_of(dataset.get("MaximumFractionalValue")) or 255.0
    for number, pixels in enumerate(_pixels(file, dataset)):
        if kind == "LABELMAP":
            for segment in sorted(set(np.unique(pixels).tolist()) & set(structures)):
                yield number, segment, pixels == segment
            continue
        segment = _segment_of(dataset, number)
        if segment in structures:
            yield number, segment, pixels >= _HALF * whole if kind == "FRACTIONAL" else pixels > 0


def _pixels(file: Path, dataset: Any) -> Iterator[NDArray[Any]]:
    """Yield the frames of a file, (rows, columns)."""
    if dataset.BitsAllocated == 1 and dataset.Rows * dataset.Columns % 8:
        # Frames that do not end with a byte are only decoded rightly all at once (pydicom 3.0.2).
        whole = pixel_array(file)
        yield from whole if whole.ndim == 3 else whole[None]
    else:
        yield from iter_pixels(file)


def _segment_of(dataset: Any, number: int) -> int:
    said = functional_value(dataset, number, "SegmentIdentificationSequence", "ReferencedSegmentNumber")
    return int(said or 0)


def _laid(frame: Mask, dataset: Any, number: int, grid: Grid) -> NDArray[np.int64]:
    orientation, spacing, position = (
        vector_of(functional_value(dataset, number, group, name), length)
        for group, name, length in (
            ("PlaneOrientationSequence", "ImageOrientationPatient", 6),
            ("PixelMeasuresSequence", "PixelSpacing", 2),
            ("PlanePositionSequence", "ImagePositionPatient", 3),
        )
    )
    require_same_plane(orientation, spacing, grid)
    if position is None:
        raise ItemImpossible("annotation_unreadable")
    return places_of(frame, indices_of(position[None], grid)[0], grid.shape)
