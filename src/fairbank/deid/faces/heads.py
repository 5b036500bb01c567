"""Whether a series shows a head from which a face could be made: by header and geometry first, then by its volume.

What could be made into a face is drawn widely. From photographs, 97 % of head MRI were recognised (Schwarz et al. 2021,
NeuroImage 231:117845), and up to 42 % of PET, whose voxels are coarse (Schwarz et al. 2022, NeuroImage). No study gives
a thickness of slices from which on nobody is recognised, so the limits here are our own and on the safe side.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset

from fairbank.deid.elements import text_of, words_of
from fairbank.deid.faces.geometry import Slice, Stack, slices_of, stacks_of
from fairbank.deid.faces.headers import Said, is_trunk, may_be_volume, said_of
from fairbank.deid.faces.surface import body_of, depth_of, nose_in, skin_level
from fairbank.deid.faces.volume import Mask, volume_of

# Fewer or thicker slices show no surface: a nose is 50 mm long and 35 mm wide.
LEAST_SLICES = 12
THICKEST_MM = 7.5
LEAST_EXTENT_MM = 60.0
_LOOK_MM = 4.0
# As much skin as between the eyes and the mouth.
_SKIN_MM2 = 2500.0
# From newborns' to large adults' heads, to whose length headrests and nose may add.
_HEAD_WIDTH_MM = (85.0, 200.0)
_HEAD_LENGTH_MM = (105.0, 270.0)
_HEAD_HEIGHT_MM = 40.0
_UNSAFE = re.compile(r"[^A-Za-z0-9 ._+-]+")


class Sign(StrEnum):
    """By what a head was found."""

    HEADER = "header"
    VOLUME = "volume"
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Look:
    """What was seen of a series.

    Attributes:
        head: whether a face could be made from it.
        sign: by what that was found; None if it was not.
        modality: CT, MR, PT …
        group: under which name a curator decides of such series.
        slices: every frame of the series whose place is known; empty if header and size were enough.
        stacks: those that could show a face.
        frames: how many frames the series has.
    """

    head: bool = False
    sign: Sign | None = None
    modality: str = ""
    group: str = ""
    slices: list[Slice] = field(default_factory=list)
    stacks: list[Stack] = field(default_factory=list)
    frames: int = 0


def look(paths: Sequence[Path]) -> Look:
    """Look at a series; what cannot be read counts as a head, unless it is too few images for one.

    Args:
        paths: all files of one series.

    Raises:
        ImportError: if the volume would have to be looked at and SciPy is missing.
    """
    try:
        header = dcmread(paths[0], stop_before_pixels=True)
        if not may_be_volume(header):
            return Look()
        frames = len(paths) * int(header.get("NumberOfFrames") or 1)
        said = said_of(header)
        if frames < LEAST_SLICES:
            return Look()
        if said is Said.ELSEWHERE and is_trunk(header, frames):
            return Look()
    except Exception:  # noqa: BLE001 - pydicom answers malformed files with any exception; fail closed
        return Look(head=True, sign=Sign.UNREADABLE, group=f"face||||{Sign.UNREADABLE}") if paths else Look()
    try:
        return _geometry(paths, header, said)
    except ImportError:
        raise
    except Exception:  # noqa: BLE001 - as above
        return _seen(header, Sign.UNREADABLE)


def _geometry(paths: Sequence[Path], header: Dataset, said: Said) -> Look:
    headers, slices = slices_of(paths)
    stacks = [stack for stack in stacks_of(slices) if _could_show_a_face(stack)]
    frames = sum(int(one.get("NumberOfFrames") or 1) for one in headers)
    for stack in stacks:
        sign = _sign_in(paths, stack, words_of(header, 0x00080060), said)
        if sign is not None:
            return _seen(header, sign, slices=slices, stacks=stacks, frames=frames)
    if len(slices) < frames and said is not Said.ELSEWHERE and _unplaced(headers, slices) >= LEAST_SLICES:
        return _seen(header, Sign.UNREADABLE, frames=frames)
    return Look()


def _could_show_a_face(stack: Stack) -> bool:
    coarsest = max(stack.step_mm, *stack.slices[0].spacing)
    return (
        len(stack.slices) >= LEAST_SLICES
        and coarsest <= THICKEST_MM
        and min(stack.extent_mm) >= LEAST_EXTENT_MM
    )


def _unplaced(headers: Sequence[Dataset], slices: Sequence[Slice]) -> int:
    """Return how many frames of sectional images have no place."""
    placed = {one.file for one in slices}
    sectional = ("CT", "MR", "PT", "NM", "")
    return sum(
        int(header.get("NumberOfFrames") or 1)
        for number, header in enumerate(headers)
        if number not in placed and _is_image(header) and words_of(header, 0x00080060) in sectional
    )


def _is_image(header: Dataset) -> bool:
    """Return whether a file has an image, or has lost too much to tell."""
    return "Rows" in header or "SOPClassUID" not in header


def _sign_in(paths: Sequence[Path], stack: Stack, modality: str, said: Said) -> Sign | None:
    volume = volume_of(paths, stack, step_mm=_LOOK_MM)
    body = body_of(volume, skin_level(volume, modality))
    depth = depth_of(volume, body)
    if said is Said.HEAD:
        return Sign.HEADER if np.isfinite(depth).sum() * _LOOK_MM**2 >= _SKIN_MM2 else None
    nose = nose_in(depth, _LOOK_MM) is not None
    like_a_head = _tall_as_a_head(body, volume.inside)
    enough = (nose and like_a_head) if said is Said.ELSEWHERE else (nose or like_a_head)
    return Sign.VOLUME if enough else None


def _tall_as_a_head(body: Mask, inside: Mask) -> bool:
    """Return whether section upon section is as wide and long as a head's, with air on both sides."""
    run, need = 0, round(_HEAD_HEIGHT_MM / _LOOK_MM)
    for level in range(body.shape[2]):
        run = run + 1 if _section_of_a_head(body[:, :, level], inside[:, :, level]) else 0
        if run >= need:
            return True
    return False


def _section_of_a_head(section: Mask, inside: Mask) -> bool:
    from scipy import ndimage

    labels, count = ndimage.label(section)
    if not count:
        return False
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    across = np.flatnonzero((labels == sizes.argmax()).any(axis=1))
    along = np.flatnonzero((labels == sizes.argmax()).any(axis=0))
    scanned = np.flatnonzero(inside.any(axis=1))
    width, length = (float(span[-1] - span[0] + 1) * _LOOK_MM for span in (across, along))
    bounded = across[0] > scanned[0] and across[-1] < scanned[-1]
    return bool(
        bounded
        and _HEAD_WIDTH_MM[0] <= width <= _HEAD_WIDTH_MM[1]
        and _HEAD_LENGTH_MM[0] <= length <= _HEAD_LENGTH_MM[1]
        and width <= 1.05 * length
    )


def _seen(
    header: Dataset,
    sign: Sign,
    *,
    slices: list[Slice] | None = None,
    stacks: list[Stack] | None = None,
    frames: int = 0,
) -> Look:
    modality = words_of(header, 0x00080060)
    device = [_UNSAFE.sub("", text_of(header, tag)).strip() for tag in (0x00080070, 0x00081090)]
    size = f"{int(header.get('Rows') or 0)}x{int(header.get('Columns') or 0)}"
    group = "|".join(("face", _UNSAFE.sub("", modality), *device, size, sign.value))
    return Look(True, sign, modality, group, slices or [], stacks or [], frames)
