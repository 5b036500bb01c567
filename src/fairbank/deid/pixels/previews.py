"""Pictures for those who decide: thumbnails without anything legible, and full ones for the curator's own eyes.

Pure functions from frames to PNG bytes. Whoever stores a full picture keeps it where only the curator can open it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from pydicom.dataset import Dataset

from fairbank.deid.elements import words_of
from fairbank.deid.errors import NoPreview
from fairbank.deid.outcomes import Refused
from fairbank.deid.pixels.boxes import within
from fairbank.deid.pixels.frames import frames_of
from fairbank.deid.pixels.picture import grey_of
from fairbank.deid.pixels.work import Box

LARGEST_THUMBNAIL = 128
# So many patches along the longer side are all the detail that is left: less than a letter each in a line of text.
_PATCHES = 24
# Of files that wait nobody knows how large their text is: letters of a fifth of the picture must not be legible either.
COARSE = 8
_BLUR = 2.5
_COVER, _OUTLINE = (96, 96, 96), (255, 64, 64)


@dataclass(frozen=True, slots=True)
class Pair:
    """Before and after, as PNG files; never printed."""

    before: bytes = field(repr=False)
    after: bytes = field(repr=False)


def thumbnails(dataset: Dataset, boxes: Iterable[Box], *, frame: int = 0, patches: int = _PATCHES) -> Pair:
    """Return small pictures of one frame for a report, in which no text can be read.

    Args:
        dataset: as it came in; stays as it is.
        boxes: what was blanked: flat patches with an outline in the first picture, black in the second.
        frame: which frame, from 0.
        patches: how many along the longer side are all the detail that is left.

    Returns:
        PNG files of at most 128 by 128 pixels, blurred.

    Raises:
        NoPreview: if the frame cannot be decoded.
    """
    picture = _picture(dataset, frame)
    here = _of_frame(boxes, frame, picture.size)
    before, after = picture.copy(), picture
    for box in here:
        ImageDraw.Draw(before).rectangle(_edges(box), fill=_COVER)
        ImageDraw.Draw(after).rectangle(_edges(box), fill=(0, 0, 0))
    small, cleaned = _thumbnail(before, patches), _thumbnail(after, patches)
    _outline(small, here, small.width / picture.width, width=1)
    return Pair(_png(small), _png(cleaned))


def full_pictures(dataset: Dataset, boxes: Iterable[Box], *, frame: int = 0) -> Pair:
    """Return one frame at full size as it came in, boxes outlined, and with the boxes blanked.

    The first picture shows everything that identifies the subject: for the curator's eyes only.

    Args:
        dataset: as it came in; stays as it is.
        boxes: what was blanked or would be.
        frame: which frame, from 0.

    Raises:
        NoPreview: if the frame cannot be decoded.
    """
    picture = _picture(dataset, frame)
    here = _of_frame(boxes, frame, picture.size)
    before, after = picture.copy(), picture
    for box in here:
        ImageDraw.Draw(after).rectangle(_edges(box), fill=(0, 0, 0))
    _outline(before, here, 1.0, width=2)
    return Pair(_png(before), _png(after))


def shown_picture(dataset: Dataset, frame: int = 0) -> Image.Image:
    """Return one frame at full size as it came in: for the curator's own eyes only.

    Raises:
        NoPreview: if the frame cannot be decoded.
    """
    return _picture(dataset, frame)


def full_picture(dataset: Dataset, frame: int = 0) -> bytes:
    """Return one frame at full size as it came in, as a PNG file: for the curator's eyes only.

    Raises:
        NoPreview: if the frame cannot be decoded.
    """
    return _png(_picture(dataset, frame))


def _picture(dataset: Dataset, number: int) -> Image.Image:
    try:
        frame = frames_of(dataset).shown(number)
    except Refused as err:
        raise NoPreview(
            "The file cannot be shown.",
            why="its pixels cannot be decoded",
            todo="Look at the file in the archive's own viewer.",
        ) from err
    shown = _eight_bit(frame)
    if words_of(dataset, 0x00280004) == "MONOCHROME1":
        shown = np.uint8(255) - shown
    return Image.fromarray(shown).convert("RGB")


def _eight_bit(frame: NDArray[np.generic]) -> NDArray[np.uint8]:
    if frame.dtype == np.uint8:
        return frame.astype(np.uint8)
    if frame.ndim == 2:
        return grey_of(frame.astype(np.float32), clip=0.002)
    return (frame.astype(np.float32) * (255.0 / max(1.0, float(frame.max())))).astype(np.uint8)


def _thumbnail(picture: Image.Image, patches: int) -> Image.Image:
    """Return a picture of at most 128 pixels a side with less detail; small ones lose as much as large ones."""
    largest = max(picture.size)
    columns, rows = (max(1, round(side * patches / largest)) for side in picture.size)
    coarse = picture.resize((columns, rows), Image.Resampling.BOX)
    factor = min(1.0, LARGEST_THUMBNAIL / largest)
    width, height = (max(1, round(side * factor)) for side in picture.size)
    return coarse.resize((width, height), Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(_BLUR))


def _outline(picture: Image.Image, boxes: Iterable[Box], factor: float, *, width: int) -> None:
    draw = ImageDraw.Draw(picture)
    for box in boxes:
        left, top, right, bottom = (round(edge * factor) for edge in _edges(box))
        draw.rectangle((left, top, max(left, right), max(top, bottom)), outline=_OUTLINE, width=width)


def _of_frame(boxes: Iterable[Box], frame: int, size: tuple[int, int]) -> list[Box]:
    cut = [within(box, size[1], size[0]) for box in boxes if box.frame in (None, frame)]
    return [box for box in cut if box is not None]


def _edges(box: Box) -> tuple[int, int, int, int]:
    return box.left, box.top, box.left + box.width - 1, box.top + box.height - 1


def _png(picture: Image.Image) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
