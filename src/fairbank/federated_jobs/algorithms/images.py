"""From a staged series to the arrays that templates train on: slices or one volume, grey values from 0 to 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from fairbank.analysis.dicom_frames import Header, grey_frames, read_headers
from fairbank.analysis.errors import ItemImpossible
from fairbank.analysis.staged import StagedSeries
from fairbank.analysis.volumes import Grid, stack_of, to_lps, volume_of
from fairbank.federated_jobs.algorithms.slices import NOT_PICTURES, evenly, normalised, resampled
from fairbank.federated_jobs.algorithms.training_parameters import Standard, Window
from fairbank.ontology.vocabulary import normalise_manufacturer

Image = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ReadVolume:
    """A volume with its slices growing to the head, rows to the back and columns to the left.

    Args:
        image: (slices, rows, columns) float32 in 0..1.
        spacing_mm: distance of neighbouring slices, rows, columns.
        grid: of the volume as it was read.
        headers: of its files.
    """

    image: Image
    spacing_mm: tuple[float, float, float]
    grid: Grid
    headers: Sequence[Header]


def headers_of(series: StagedSeries) -> list[Header]:
    """Return the headers of a series of pictures.

    Raises:
        ItemImpossible: if it holds none.
    """
    headers = read_headers(series.files)
    if headers[0].modality in NOT_PICTURES:
        raise ItemImpossible("not_an_image")
    return headers


def slices_of(headers: Sequence[Header], *, size: int, count: int, window: Window | None) -> list[Image]:
    """Return evenly spaced slices of a series, each (size, size) float32 in 0..1; those without contrast are left out.

    Raises:
        ItemImpossible: for colour, and for pixels that cannot be decoded here.
    """
    found: list[Image] = []
    for header in evenly(headers, count):
        for values, kept in grey_frames(header):
            frame = _windowed(values, kept, window) if window else normalised(values, kept)
            if frame is not None:
                found.append(resampled(frame, size))
    return evenly(found, count)


def read_volume(headers: Sequence[Header], window: Window | None) -> ReadVolume:
    """Return a series as one volume.

    Raises:
        ItemImpossible: with a word of `VOLUME_REASONS` if it is none, `only_padding` if all its values are the same.
    """
    volume = volume_of(stack_of(headers))
    voxels, grid = to_lps(volume.voxels(), volume.grid)
    values = voxels.astype(np.float64)
    kept = np.isfinite(values)
    image = _windowed(values, kept, window) if window else normalised(values, kept)
    if image is None:
        raise ItemImpossible("only_padding")
    return ReadVolume(image, grid.spacing_mm, volume.grid, headers)


def on_cubes(image: Image, spacing_mm: Sequence[float], to_mm: float, *, labels: bool = False) -> Image:
    """Return an array, (slices, rows, columns), on cubes of an edge; labels take the nearest, grey values do not."""
    shape = [max(1, round(n * mm / to_mm)) for n, mm in zip(image.shape, spacing_mm, strict=True)]
    return _interpolated(image, shape, labels=labels)


def to_size(image: Image, size: int) -> Image:
    """Return a volume resampled to a cube of `size` voxels."""
    return _interpolated(image, [size] * image.ndim, labels=False)


def cut_or_filled(image: Image, size: int) -> Image:
    """Return the middle of an array as a square or cube of `size`, filled with 0 where it is smaller."""
    found = np.zeros((size,) * image.ndim, dtype=np.float32)
    source, target = [], []
    for length in image.shape:
        taken = min(length, size)
        source.append(slice((length - taken) // 2, (length - taken) // 2 + taken))
        target.append(slice((size - taken) // 2, (size - taken) // 2 + taken))
    found[tuple(target)] = image[tuple(source)]
    return found


def standardised(image: Image, standard: Standard | None) -> Image:
    """Return grey values of 0..1 as (value - mean) / sd; as they are if none is given."""
    if standard is None:
        return image
    found: Image = ((image - float(standard.mean)) / float(standard.sd)).astype(np.float32)
    return found


def maker(headers: Sequence[Header]) -> str:
    """Return the maker of the device as the catalogue names it: a known name, `other` or `unknown`."""
    return normalise_manufacturer(str(headers[0].dataset.get("Manufacturer", "") or ""))


def _windowed(values: NDArray[np.float64], kept: NDArray[np.bool_], window: Window) -> Image | None:
    if not (kept & np.isfinite(values)).any():
        return None
    low, high = float(window.low), float(window.high)
    filled = np.where(kept & np.isfinite(values), values, low)
    found: Image = np.clip((filled - low) / (high - low), 0.0, 1.0).astype(np.float32)
    return found


def _interpolated(image: Image, shape: Sequence[int], *, labels: bool) -> Image:
    whole = torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32))[None, None]
    if labels:
        changed = torch.nn.functional.interpolate(whole, size=tuple(shape), mode="nearest-exact")
    else:
        changed = torch.nn.functional.interpolate(
            whole, size=tuple(shape), mode="trilinear" if image.ndim == 3 else "bilinear", align_corners=False
        )
    found: Image = changed[0, 0].numpy()
    return found
