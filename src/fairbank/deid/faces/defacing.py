"""From a series with a face to one without: find, remove, look again, and only then say so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fairbank.deid.faces import check
from fairbank.deid.faces.brain import brain_of
from fairbank.deid.faces.command import changed_by
from fairbank.deid.faces.geometry import Stack
from fairbank.deid.faces.heads import Look
from fairbank.deid.faces.removal import Beyond, mark, remove
from fairbank.deid.faces.shear import plane_under
from fairbank.deid.faces.surface import Depth, body_of, skin_level
from fairbank.deid.faces.volume import Mask, Volume, volume_of

# What the brain mask was tried on. PET shows too little of skull and skin for it.
MODALITIES = frozenset({"CT", "MR"})
_BRAIN_STEP_MM = 3.0
# A plane that takes a face away would take the chest away too.
_TALLEST_MM = 350.0
_MOST_STACKS = 4
_BRAIN_KEPT = 0.995
# A file's pixels are held in memory three times over while they are changed.
_LARGEST_BYTES = 1 << 30
_VOXEL_BYTES = 2


class FaceRemains(Exception):
    """The face could not be removed, or it cannot be shown that it is gone."""


@dataclass(frozen=True, slots=True)
class Defaced:
    """What was done.

    Attributes:
        brain_kept: share of the brain's voxels that are as they were, 0 to 1.
        removed: share of all voxels that became background.
        checks: one for each stack that could show a face.
    """

    brain_kept: float
    removed: float
    checks: tuple[check.FaceCheck, ...]


def deface(paths: Sequence[Path], seen: Look, *, command: str = "") -> Defaced:
    """Take the face out of all files of a series, and mark them; they are changed even if this fails.

    Args:
        paths: all files of the series.
        seen: what was seen of it.
        command: a program of the site's own to be used instead of the shear; empty for none.

    Raises:
        FaceRemains: if it does not work out; the files must not be used.
        Exception: whatever reading them raises; as above.
    """
    frames_of_reference = {one.frame_of_reference for one in seen.slices}
    if len(seen.slices) != seen.frames or len(frames_of_reference) != 1 or len(seen.stacks) > _MOST_STACKS:
        raise FaceRemains
    if max(_decoded_bytes(seen).values()) > _LARGEST_BYTES:
        raise FaceRemains
    stack = seen.stacks[0]
    before = [_skin(paths, one, seen.modality) for one in seen.stacks]
    volume = volume_of(paths, stack, step_mm=_BRAIN_STEP_MM)
    _check_height(volume, seen.modality)
    brain = brain_of(volume, seen.modality) if seen.modality in MODALITIES else None
    done = remove(paths, seen.slices, _what_goes(paths, stack, (volume, brain), command))
    checks = tuple(
        check.check_face(was, _skin(paths, one, seen.modality, level)[0], check.STEP_MM)
        for one, (was, level) in zip(seen.stacks, before, strict=True)
    )
    kept = _kept(volume, volume_of(paths, stack, step_mm=_BRAIN_STEP_MM), brain)
    if not all(one.passed for one in checks) or kept < _BRAIN_KEPT:
        raise FaceRemains
    mark(paths, recognizable=False, cleaned=True)
    return Defaced(kept, done.voxels / done.of_voxels, checks)


def _decoded_bytes(seen: Look) -> Counter[int]:
    """Return the most bytes that each file's pixels can take."""
    sizes: Counter[int] = Counter()
    for one in seen.slices:
        sizes[one.file] += one.shape[0] * one.shape[1] * _VOXEL_BYTES
    return sizes


def _skin(
    paths: Sequence[Path], stack: Stack, modality: str, level: float | None = None
) -> tuple[Depth, float]:
    return check.skin_of(volume_of(paths, stack, step_mm=check.STEP_MM), modality, level=level)


def _what_goes(paths: Sequence[Path], stack: Stack, seen: tuple[Volume, Mask | None], command: str) -> Beyond:
    if command:
        return changed_by(command, paths, stack).beyond
    volume, brain = seen
    if brain is None:
        raise FaceRemains
    return plane_under(brain, volume).beyond


def _check_height(volume: Volume, modality: str) -> None:
    levels = np.flatnonzero(body_of(volume, skin_level(volume, modality)).any(axis=(0, 1)))
    if not len(levels) or (levels[-1] - levels[0]) * volume.step_mm > _TALLEST_MM:
        raise FaceRemains


def _kept(before: Volume, after: Volume, brain: Mask | None) -> float:
    """Return the share of brain that is as it was; 1 where no brain is known."""
    if brain is None or not brain.any():
        return 1.0
    same = np.isclose(before.values[brain], after.values[brain], rtol=1e-5, atol=1e-3)
    return float(same.mean())
