"""What was done with the pixels of one file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of an image that was blanked: pixels from (left, top), `width` by `height`.

    `frame` counts from 0; None means every frame.
    """

    left: int
    top: int
    width: int
    height: int
    frame: int | None = None


@dataclass(frozen=True, slots=True)
class PixelWork:
    """What was found, how it was found, and what became of it. Says nothing that was read.

    Attributes:
        boxes: what was blanked.
        found_by: which means were used (`device-rule`, `ultrasound-region`, `detector`, `ocr` …).
        group: under which name a curator decides of such files; None where nothing has to be decided.
        cleaned: whether Clean Pixel Data Option (113101) may be claimed.
        burned_in: what Burned In Annotation (0028,0301) may say; None leaves it as it was.
    """

    boxes: tuple[Box, ...] = ()
    found_by: tuple[str, ...] = ()
    group: str | None = None
    cleaned: bool = False
    burned_in: str | None = None


UNTOUCHED = PixelWork()
