"""From staged series to two stacks of slices: one to train on, one held out, split by subject."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fairbank.analysis.dicom_frames import grey_frames, read_headers
from fairbank.analysis.errors import ItemImpossible
from fairbank.analysis.staged import StagedSeries
from fairbank.federated_jobs.algorithms.errors import NothingToTrainOn
from fairbank.federated_jobs.algorithms.parameters import SliceAutoencoderParameters
from fairbank.federated_jobs.algorithms.splits import held_out

LOW_PERCENT, HIGH_PERCENT = 1.0, 99.0
# Label maps and the like: pixels that are no grey values.
NOT_PICTURES = ("SEG", "PR", "KO", "SR")
Slice = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SliceStacks:
    """The slices of one site, or of several pooled.

    Args:
        train: (n_train, 1, size, size) float32 in 0..1.
        heldout: (n_heldout, 1, size, size) float32 in 0..1.
        n_series: number of series that slices were taken of.
        subjects, heldout_subjects: the different subjects of all slices, and of those held out.
        split_by: `subject`, or `series` or `slice` where a site has too few of the coarser kind.
    """

    train: torch.Tensor
    heldout: torch.Tensor
    n_series: int
    split_by: str
    subjects: tuple[str, ...] = ()
    heldout_subjects: tuple[str, ...] = ()


def read_stacks(series: Sequence[StagedSeries], parameters: SliceAutoencoderParameters) -> SliceStacks:
    """Return the slices of all series that hold grey images; the others are left out.

    Raises:
        NothingToTrainOn: if fewer than two slices remain.
    """
    keyed: list[tuple[str, str, str, Slice]] = []
    used = 0
    for one in series:
        slices = _slices(one, parameters)
        used += bool(slices)
        keyed += [(one.subject, one.unit, f"{one.unit}/{number}", s) for number, s in enumerate(slices)]
    if len(keyed) < 2:
        raise NothingToTrainOn(
            "Fewer than two slices can be used for training.",
            why="The staged series hold no grey images, or none that can be decoded here.",
            todo="Choose series of grey-valued images, or install the extra 'pixels'.",
        )
    split_by, level = next(
        (word, n) for n, word in enumerate(("subject", "series", "slice")) if _several(keyed, n)
    )
    held = held_out({str(k[level]) for k in keyed}, parameters.held_out_percent)
    return SliceStacks(
        train=_stack([k[3] for k in keyed if k[level] not in held]),
        heldout=_stack([k[3] for k in keyed if k[level] in held]),
        n_series=used,
        split_by=split_by,
        subjects=tuple(sorted({k[0] for k in keyed})),
        heldout_subjects=tuple(sorted({k[0] for k in keyed if k[level] in held})),
    )


def pooled(stacks: Sequence[SliceStacks]) -> SliceStacks:
    """Return the slices of several sites as if they were one."""
    return SliceStacks(
        train=torch.cat([s.train for s in stacks]),
        heldout=torch.cat([s.heldout for s in stacks]),
        n_series=sum(s.n_series for s in stacks),
        split_by="+".join(sorted({s.split_by for s in stacks})),
    )


def _slices(series: StagedSeries, parameters: SliceAutoencoderParameters) -> list[Slice]:
    try:
        headers = read_headers(series.files)
        if headers[0].modality in NOT_PICTURES:
            return []
        frames = [
            normalised(values, kept)
            for header in evenly(headers, parameters.max_slices_per_series)
            for values, kept in grey_frames(header)
        ]
    except ItemImpossible:
        return []
    size = parameters.image_size
    usable = [frame for frame in frames if frame is not None]
    return [resampled(frame, size) for frame in evenly(usable, parameters.max_slices_per_series)]


def normalised(values: NDArray[np.float64], kept: NDArray[np.bool_]) -> Slice | None:
    """Return grey values from 0 to 1, percentiles 1 and 99 of those that are kept; None if they are all the same."""
    inside = values[kept & np.isfinite(values)]
    if inside.size == 0:
        return None
    low, high = np.percentile(inside, (LOW_PERCENT, HIGH_PERCENT))
    if high <= low:
        return None
    filled = np.where(kept & np.isfinite(values), values, low)
    found: Slice = np.clip((filled - low) / (high - low), 0.0, 1.0).astype(np.float32)
    return found


def resampled(frame: Slice, size: int) -> Slice:
    """Return a frame, (rows, columns), as a square of `size` pixels."""
    whole = torch.from_numpy(frame)[None, None]
    small = torch.nn.functional.interpolate(
        whole, size=(size, size), mode="bilinear", antialias=True, align_corners=False
    )
    found: Slice = small[0, 0].numpy()
    return found


def evenly(items: Sequence[Any], at_most: int) -> list[Any]:
    """Return at most so many items, evenly spaced."""
    if len(items) <= at_most:
        return list(items)
    return [items[i * len(items) // at_most] for i in range(at_most)]


def _several(keyed: Sequence[tuple[str, str, str, Slice]], level: int) -> bool:
    return len({k[level] for k in keyed}) >= 2


def _stack(slices: Sequence[Slice]) -> torch.Tensor:
    return torch.from_numpy(np.stack(slices))[:, None]
