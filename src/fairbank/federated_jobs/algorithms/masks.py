"""Images with masks, for segmentation: volumes or slices, and the patches that are drawn of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from fairbank.analysis.errors import ItemImpossible
from fairbank.analysis.regions import READERS, drawn_regions
from fairbank.analysis.staged import StagedSeries
from fairbank.analysis.volumes import to_lps
from fairbank.federated_jobs.algorithms.images import headers_of, maker, on_cubes, read_volume, standardised
from fairbank.federated_jobs.algorithms.samples import (
    IMAGE,
    TARGET,
    Item,
    Lazy,
    Sample,
    SampleSet,
    SiteSamples,
    changes_of,
    groups_of,
    site_samples,
)
from fairbank.federated_jobs.algorithms.slices import evenly
from fairbank.federated_jobs.algorithms.training_parameters import SegmentationParameters

Labels = NDArray[np.int64]


def drawn_samples(series: Sequence[StagedSeries], parameters: SegmentationParameters) -> SiteSamples:
    """Return the volumes or slices of all series on which a wanted structure is drawn.

    Raises:
        NothingToTrainOn: if none can be used.
        LabelsMissing: if nothing is drawn on any.
    """
    room = parameters.max_cached_images

    def of_series(one: StagedSeries) -> list[Sample | Lazy]:
        nonlocal room
        read = read_series(one, parameters)
        kept: list[Sample | Lazy] = list(read[:room])
        room -= len(kept)
        for place in range(len(kept), len(read)):
            later = read[place]
            again = partial(_read_again, one, parameters, place)
            kept.append(Lazy(later.subject, again, later.target, later.spacing_mm, later.groups))
        return kept

    changes = changes_of(parameters.augmentation, parameters.dimensions, masks=True)
    draw = partial(drawn_patch, size=parameters.patch_size)
    draws = parameters.patches_per_image
    return site_samples(
        series,
        of_series,
        labelled=lambda one: any(each.kind in READERS for each in one.annotations),
        held_out_percent=parameters.held_out_percent,
        as_sets=lambda train, heldout: (
            SampleSet(train, changes=changes, draw=draw, draws=draws),
            SampleSet(heldout),
        ),
    )


def read_series(one: StagedSeries, parameters: SegmentationParameters) -> list[Sample]:
    """Return the samples of one series with masks: (1, …) float32 and (1, …) int64, at least as large as a patch.

    The mask holds 0, or the place of a structure from 1; where two are drawn, the later one.

    Raises:
        ItemImpossible: if it is no volume, or no wanted structure fits on it.
    """
    headers = headers_of(one)
    volume = read_volume(headers, parameters.window)
    labels = np.zeros(volume.grid.shape, dtype=np.int64)
    regions = drawn_regions(one, headers, volume.grid, wanted=parameters.structures)
    fitting = [region for region in regions if region.fault is None]
    if not fitting:
        raise ItemImpossible(regions[0].fault or "empty_region")
    for number, structure in enumerate(parameters.structures, start=1):
        for region in fitting:
            if region.structure == structure:
                labels.reshape(-1)[region.places] = number
    turned, _ = to_lps(labels, volume.grid)
    image, spacing = volume.image, volume.spacing_mm
    mask = np.ascontiguousarray(turned)
    if parameters.spacing_mm is not None:
        edge = float(parameters.spacing_mm)
        image = on_cubes(image, spacing, edge)
        mask = on_cubes(mask.astype(np.float32), spacing, edge, labels=True).astype(np.int64)
        spacing = (edge, edge, edge)
    if not mask.any():
        raise ItemImpossible("empty_region")
    groups = groups_of(one, maker(headers))
    if parameters.dimensions == 3:
        return [_sample(one.subject, image, mask, spacing, groups, parameters)]
    drawn_on = np.flatnonzero(mask.any(axis=(1, 2))).tolist()
    return [
        _sample(one.subject, image[place], mask[place], spacing[1:], groups, parameters)
        for place in evenly(drawn_on, parameters.slices_per_series)
    ]


def drawn_patch(item: Item, chance: np.random.RandomState, *, size: int) -> Item:
    """Return a square or cube of an item; every second one lies around a voxel of a structure."""
    image, mask = item[IMAGE], item[TARGET]
    form = image.shape[1:]
    if chance.randint(2):
        inside = torch.nonzero(mask[0])
        middle = inside[int(chance.randint(len(inside)))].tolist()
        starts = [min(max(0, at - size // 2), length - size) for at, length in zip(middle, form, strict=True)]
    else:
        starts = [int(chance.randint(length - size + 1)) for length in form]
    cut = (slice(None), *(slice(start, start + size) for start in starts))
    return {IMAGE: image[cut], TARGET: mask[cut]}


def _sample(
    subject: str,
    image: NDArray[np.float32],
    mask: Labels,
    spacing_mm: Sequence[float],
    groups: dict[str, str],
    parameters: SegmentationParameters,
) -> Sample:
    filling = [(0, max(0, parameters.patch_size - length)) for length in image.shape]
    return Sample(
        subject,
        torch.from_numpy(standardised(np.pad(image, filling), parameters.standardise))[None],
        torch.from_numpy(np.pad(mask, filling))[None],
        tuple(spacing_mm),
        groups,
    )


def _read_again(one: StagedSeries, parameters: SegmentationParameters, place: int) -> Sample:
    return read_series(one, parameters)[place]
