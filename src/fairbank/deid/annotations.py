"""What a segmentation or a structure set shows, read from the file as it came in, as words of the ontology.

Cleaning masks the names that people typed, so they are looked up before; no word that is not in a list is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

from pydicom.dataset import Dataset

from fairbank.deid.descriptors import MASK
from fairbank.deid.elements import items_of, text_of, words_of
from fairbank.ontology.annotation_labels import (
    EXTERNAL,
    OTHER,
    TARGETS,
    is_background,
    label_of_code,
    label_of_name,
)
from fairbank.ontology.record import UNKNOWN

_SEGMENTS = 0x00620002
_SEGMENT_LABEL = 0x00620005
_PROPERTY_TYPE = 0x0062000F
_ANATOMIC_REGION = 0x00082218
_ROIS = 0x30060020
_ROI_NUMBER = 0x30060022
_ROI_NAME = 0x30060026
_OBSERVATIONS = 0x30060080
_REFERENCED_ROI = 0x30060084
_ROI_CODE = 0x30060086
_INTERPRETED_TYPE = 0x300600A4
# Property types that say what sort of thing a segment shows, and leave which one to the anatomic region.
_GENERAL_TYPES = frozenset(
    {
        ("SCT", "85756007"),  # Tissue
        ("SRT", "T-D0050"),
        ("SCT", "91723000"),  # Anatomical structure
        ("SCT", "123037004"),  # Body structure
        ("SCT", "91772007"),  # Organ
        ("SRT", "T-D0062"),
    }
)
# Kinds of regions that are tools of a treatment and show nothing of the body.
_NO_STRUCTURE = frozenset({"ISOCENTER", "REGISTRATION", "CONTROL", "MARKER", "BOLUS", "FIXATION", "SUPPORT"})
_OF_TYPE = {"EXTERNAL": EXTERNAL, **{word: word for word in TARGETS}}


@dataclass(frozen=True, slots=True)
class Annotations:
    """What annotations of a series show, each word once.

    Attributes:
        coded: words for codes.
        named: words for names that somebody typed.
    """

    coded: frozenset[str] = frozenset()
    named: frozenset[str] = frozenset()

    @property
    def labels(self) -> frozenset[str]:
        """Return all words."""
        return self.coded | self.named

    def merged(self, other: Annotations) -> Annotations:
        """Return the words of two files of a series."""
        return Annotations(self.coded | other.coded, self.named | other.named)

    def as_json(self) -> dict[str, Any]:
        """Return the words as JSON, in order."""
        return {"coded": sorted(self.coded), "named": sorted(self.named)}

    @classmethod
    def from_json(cls, kept: dict[str, Any] | None) -> Self:
        """Return what was kept; nothing, where an older fairbank kept nothing."""
        found = kept or {}
        return cls(frozenset(found.get("coded", ())), frozenset(found.get("named", ())))


def annotations_of(dataset: Dataset) -> Annotations:
    """Return what a file's segments and regions show; nothing for files that have none."""
    coded, named = set(), set()
    for by_code, by_name in (*_segments(dataset), *_regions(dataset)):
        if by_code is not None:
            coded.add(by_code)
        else:
            named.add(by_name)
    return Annotations(frozenset(coded), frozenset(named))


def _segments(dataset: Dataset) -> Iterator[tuple[str | None, str]]:
    """Yield for each segment what it shows by code, and by name.

    Source: DICOM PS3.3, table C.8.20-4.
    """
    for segment in items_of(dataset, _SEGMENTS):
        types = _codes(segment, _PROPERTY_TYPE)
        if any(is_background(*code) for code in types):
            continue
        codes = types
        if not types or not _GENERAL_TYPES.isdisjoint(types):
            codes = [*_codes(segment, _ANATOMIC_REGION), *types]
        yield _first_label(codes), _label_of_name(text_of(segment, _SEGMENT_LABEL))


def _regions(dataset: Dataset) -> Iterator[tuple[str | None, str]]:
    """Yield for each region of a structure set what it shows by code, and by name or kind.

    Source: DICOM PS3.3, tables C.8-41 and C.8-44.
    """
    observed = {text_of(item, _REFERENCED_ROI): item for item in items_of(dataset, _OBSERVATIONS)}
    for region in items_of(dataset, _ROIS):
        seen = observed.get(text_of(region, _ROI_NUMBER), Dataset())
        kind = words_of(seen, _INTERPRETED_TYPE)
        if kind not in _NO_STRUCTURE:
            name = _label_of_name(text_of(region, _ROI_NAME))
            by_name = _OF_TYPE.get(kind, name) if name in (OTHER, UNKNOWN) else name
            yield _first_label(_codes(seen, _ROI_CODE)), by_name


def _label_of_name(name: str) -> str:
    """Return the word for a name: `other` if it is not listed, `unknown` if cleaning has left nothing of it."""
    return label_of_name(name) or (OTHER if name.strip(f"{MASK} _-") else UNKNOWN)


def _codes(dataset: Dataset, tag: int) -> list[tuple[str, str]]:
    return [(text_of(item, 0x00080102), text_of(item, 0x00080100)) for item in items_of(dataset, tag)]


def _first_label(codes: list[tuple[str, str]]) -> str | None:
    return next((label for code in codes if (label := label_of_code(*code)) is not None), None)
