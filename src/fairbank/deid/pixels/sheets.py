"""Pictures of held files for the curator's own eyes: small ones for a sheet, and all frames of a file in one.

What is burned in is the same in every frame, so the brightest and the darkest value of each pixel over all frames show
it for the whole file. Nothing here is written to a disk.
"""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from fairbank.deid import part10
from fairbank.deid.elements import whole_of
from fairbank.deid.errors import NoPreview
from fairbank.deid.pixels.previews import shown_picture

SMALL: Final = 160
_QUALITY: Final = 85
_SMALL_QUALITY: Final = 70
_MOST_FRAMES: Final = 60
_LONGEST_VALUE: Final = 200
_PIXELS: Final = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})


def small(path: Path) -> bytes:
    """Return the first frame of a file as a JPEG of at most 160 by 160 pixels: forty of them have some 200 kB.

    Raises:
        NoPreview: if it cannot be decoded.
    """
    return _small(path, stamp_of(path))


@lru_cache(maxsize=400)
def _small(path: Path, stamp: tuple[int, int]) -> bytes:
    picture = shown_picture(opened(path), 0)
    picture.thumbnail((SMALL, SMALL))
    return _jpeg(picture, _SMALL_QUALITY)


def frame(path: Path, number: int) -> bytes:
    """Return one frame at full size as a JPEG; frames count from 0.

    Raises:
        NoPreview: if there is none, or it cannot be decoded.
    """
    dataset = opened(path)
    if not 0 <= number < frames(dataset):
        raise none_to_show("it has no such frame")
    return _jpeg(shown_picture(dataset, number))


def over_all(path: Path, *, brightest: bool) -> bytes:
    """Return the brightest, or darkest, value of each pixel over the frames of a file, as a JPEG at full size.

    Of more than 60 frames, 60 spread over all are taken.

    Raises:
        NoPreview: if they cannot be decoded.
    """
    return _over_all(path, stamp_of(path), brightest)


@lru_cache(maxsize=32)
def _over_all(path: Path, stamp: tuple[int, int], brightest: bool) -> bytes:
    dataset = opened(path)
    count = frames(dataset)
    chosen = sorted({round(at) for at in np.linspace(0, count - 1, min(count, _MOST_FRAMES))})
    pick = np.maximum if brightest else np.minimum
    result: NDArray[np.uint8] | None = None
    for number in chosen:
        shown = np.asarray(shown_picture(dataset, number))
        result = shown if result is None else pick(result, shown)
    assert result is not None
    return _jpeg(Image.fromarray(result))


def header(path: Path) -> tuple[int, tuple[tuple[str, str, str], ...]]:
    """Return how many frames a file has, and its header: tag, name and value of each element at its top.

    Raises:
        NoPreview: if it cannot be read.
    """
    dataset = opened(path)
    told = tuple(
        (f"({one.tag.group:04X},{one.tag.element:04X})", str(one.name), _text(one))
        for one in dataset
        if int(one.tag) not in _PIXELS
    )
    return (frames(dataset) if "PixelData" in dataset else 0), told


def frames(dataset: Dataset) -> int:
    """Return how many frames an image has."""
    return max(1, whole_of(dataset, 0x00280008) or 1)


def _text(element: object) -> str:
    value = getattr(element, "repval", "")
    text = str(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def opened(path: Path) -> Dataset:
    """Return a file as it came in.

    Raises:
        NoPreview: if it cannot be read.
    """
    try:
        with part10.quiet_pydicom():
            return dcmread(path)
    except (OSError, InvalidDicomError, ValueError) as err:
        raise none_to_show("it cannot be read") from err


def stamp_of(path: Path) -> tuple[int, int]:
    """Return what tells whether a file was changed since: its time and its size."""
    try:
        told = path.stat()
    except OSError as err:
        raise none_to_show("it cannot be read") from err
    return told.st_mtime_ns, told.st_size


def _jpeg(picture: Image.Image, quality: int = _QUALITY) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def none_to_show(why: str) -> NoPreview:
    """Return the error for a file that has no picture to show."""
    return NoPreview("The file cannot be shown.", why=why, todo="Look at it in the archive's own viewer.")
