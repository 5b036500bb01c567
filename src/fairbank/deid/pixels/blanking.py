"""Text blanked in the frames of one file, and looked for again until nothing is found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from fairbank.deid.elements import items_of, made
from fairbank.deid.identifiers import Identifiers
from fairbank.deid.pixels.frames import Frames
from fairbank.deid.pixels.known_places import KnownPlaces
from fairbank.deid.pixels.search import search
from fairbank.deid.pixels.work import Box

_ROUNDS = 6
_ICON = 0x00880200
_DERIVATION_CODES = 0x00089215
# DICOM PS3.16, CID 7203.
_MASKED = ("113047", "DCM", "Pixel by pixel mask")


@dataclass(frozen=True, slots=True)
class Blanked:
    """What was blanked and what the last look said.

    Attributes:
        boxes: everything that was blanked, known places included.
        found_by: by which means.
        found_more: whether anything was found outside the known places.
        is_clear: whether the last look found nothing.
        words: what Tesseract read in the last look, sure of it or not.
    """

    boxes: tuple[Box, ...]
    found_by: tuple[str, ...]
    found_more: bool
    is_clear: bool
    words: tuple[str, ...] = field(repr=False)


def blank(frames: Frames, known: KnownPlaces, *, light: bool, tell_only: bool = False) -> Blanked:
    """Blank the known places, then whatever is found, until a look finds nothing (six looks at most).

    Args:
        frames: the file's.
        known: where its device or the site says that text is.
        light: as `search` has it.
        tell_only: stop once something is found outside the known places: the file will be held whatever follows.

    Raises:
        Refused: if a frame cannot be decoded.
        TextToolsMissing: if Tesseract is missing.
    """
    fill(frames, known.boxes)
    boxes, found_by = list(known.boxes), list(known.found_by)
    finding = search(frames, light=light, enough=tell_only)
    found_more = bool(finding.boxes)
    for _ in range(_ROUNDS - 1):
        if not finding.boxes or tell_only:
            break
        fill(frames, finding.boxes)
        boxes += finding.boxes
        found_by += finding.found_by
        finding = search(frames, light=light)
    return Blanked(
        boxes=tuple(boxes),
        found_by=tuple(dict.fromkeys(found_by)),
        found_more=found_more,
        is_clear=not finding.boxes,
        words=finding.words,
    )


def fill(frames: Frames, boxes: Iterable[Box]) -> None:
    """Blank boxes in their frames; those without a frame in every one."""
    boxes = list(boxes)
    everywhere = [box for box in boxes if box.frame is None]
    for number in range(frames.form.frames):
        here = everywhere + [box for box in boxes if box.frame == number]
        if here:
            frames.blank(number, here)


def put_back(frames: Frames, dataset: Dataset) -> None:
    """Replace a dataset's pixels by the blanked ones, drop its icon, and say in a code what was done."""
    frames.put_back(dataset)
    if BaseTag(_ICON) in dataset:
        del dataset[BaseTag(_ICON)]
    item = Dataset()
    for tag, vr, text in zip((0x00080100, 0x00080102, 0x00080104), ("SH", "SH", "LO"), _MASKED, strict=True):
        item[tag] = made(tag, vr, text, like=item)
    codes = Sequence([*items_of(dataset, _DERIVATION_CODES), item])
    dataset[BaseTag(_DERIVATION_CODES)] = DataElement(_DERIVATION_CODES, "SQ", codes)


def reads_identifier(words: Iterable[str], identifiers: Identifiers) -> bool:
    """Tell whether a subject's own name, number or birth date is in what was read, misread letters allowed for."""
    return identifiers.looks_like_own(" ".join(words))
