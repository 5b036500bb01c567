"""Images or volumes with one label each, for classification and regression."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch

from fairbank.analysis.errors import ItemImpossible
from fairbank.analysis.staged import StagedSeries
from fairbank.federated_jobs.algorithms.images import (
    Image,
    ReadVolume,
    cut_or_filled,
    headers_of,
    maker,
    on_cubes,
    read_volume,
    slices_of,
    standardised,
    to_size,
)
from fairbank.federated_jobs.algorithms.samples import (
    Lazy,
    Sample,
    SampleSet,
    SiteSamples,
    changes_of,
    groups_of,
    site_samples,
)
from fairbank.federated_jobs.algorithms.training_parameters import ImageParameters

Target = Callable[[StagedSeries], torch.Tensor | None]


def labelled_samples(
    series: Sequence[StagedSeries], parameters: ImageParameters, target: Target
) -> SiteSamples:
    """Return the images of all series with a label.

    Args:
        target: what is learnt of a series; None if its label is not known, or is none that the job asks for.

    Raises:
        NothingToTrainOn: if no image can be used.
        LabelsMissing: if no label is known.
    """
    room = parameters.max_cached_images

    def of_series(one: StagedSeries) -> list[Sample | Lazy]:
        nonlocal room
        read = read_series(one, parameters, target)
        kept: list[Sample | Lazy] = list(read[:room])
        room -= len(kept)
        for place in range(len(kept), len(read)):
            later = read[place]
            again = partial(_read_again, one, parameters, target, place)
            kept.append(Lazy(later.subject, again, later.target, later.spacing_mm, later.groups))
        return kept

    changes = changes_of(parameters.augmentation, parameters.dimensions, masks=False)
    return site_samples(
        series,
        of_series,
        labelled=lambda one: target(one) is not None,
        held_out_percent=parameters.held_out_percent,
        as_sets=lambda train, heldout: (SampleSet(train, changes=changes), SampleSet(heldout)),
    )


def read_series(one: StagedSeries, parameters: ImageParameters, target: Target) -> list[Sample]:
    """Return the samples of one series: slices, or one volume.

    Raises:
        ItemImpossible: if it cannot be used.
    """
    learnt = target(one)
    assert learnt is not None
    headers = headers_of(one)
    images: list[Image]
    if parameters.dimensions == 2:
        images = slices_of(
            headers,
            size=parameters.image_size,
            count=parameters.images_per_series,
            window=parameters.window,
        )
    else:
        images = [_volume(read_volume(headers, parameters.window), parameters)]
    if not images:
        raise ItemImpossible("only_padding")
    groups = groups_of(one, maker(headers))
    tensors = (torch.from_numpy(standardised(image, parameters.standardise))[None] for image in images)
    return [Sample(one.subject, tensor, learnt, (), groups) for tensor in tensors]


def _volume(read: ReadVolume, parameters: ImageParameters) -> Image:
    if parameters.spacing_mm is None:
        return to_size(read.image, parameters.image_size)
    cubes = on_cubes(read.image, read.spacing_mm, float(parameters.spacing_mm))
    return cut_or_filled(cubes, parameters.image_size)


def _read_again(one: StagedSeries, parameters: ImageParameters, target: Target, place: int) -> Sample:
    return read_series(one, parameters, target)[place]
