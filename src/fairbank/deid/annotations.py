"""What a segmentation or a structure set shows, read from the file as it came in, as words of the ontology.

Cleaning masks the names that people typed, so they are looked up before; no word that is not in a list is kept. Who
made it, how and of which images is read by `annotators`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, Self

from pydicom.dataset import Dataset

from fairbank.deid.annotators import KnownAs, methods_of, parts_of, raters_of, references_of
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
_SEGMENT_NUMBER = 0x00620004
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
# Kinds of files that say something of images: segmentations, structure sets, reports, microscopy annotations,
# presentation states.
ANNOTATION_MODALITIES = frozenset({"SEG", "RTSTRUCT", "SR", "ANN", "PR"})
_OF_TYPE = {"EXTERNAL": EXTERNAL, **{word: word for word in TARGETS}}


@dataclass(frozen=True, slots=True)
class Annotations:
    """What annotations of a series show, and how they came to be; each word once.

    Attributes:
        coded: words for codes.
        named: words for names that somebody typed.
        methods: how they were made; see `annotators.Method`.
        raters: keyed digests of who made them.
        referenced: pseudonyms of the series that they were made from.
        counts: how many segments, regions or findings each file has, by the file's pseudonym.
    """

    coded: frozenset[str] = frozenset()
    named: frozenset[str] = frozenset()
    methods: frozenset[str] = frozenset()
    raters: frozenset[str] = frozenset()
    referenced: frozenset[str] = frozenset()
    counts: frozenset[tuple[str, int]] = frozenset()

    @property
    def labels(self) -> frozenset[str]:
        """Return all words."""
        return self.coded | self.named

    @property
    def parts(self) -> int:
        """Return the number of segments, regions or findings."""
        return sum(count for _, count in self.counts)

    def merged(self, other: Annotations) -> Annotations:
        """Return what two files of a series say."""
        return Annotations(*(getattr(self, each.name) | getattr(other, each.name) for each in fields(self)))

    def before(self, stored: Annotations) -> Annotations:
        """Return what was known before cleaning, completed by what the stored file still says."""
        merged = self.merged(stored)
        return replace(merged, coded=self.coded, named=self.named) if self.labels else merged

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON, in order."""
        kept: dict[str, Any] = {each: sorted(getattr(self, each)) for each in _LISTS}
        return kept | {"counts": dict(sorted(self.counts))}

    @classmethod
    def from_json(cls, kept: dict[str, Any] | None) -> Self:
        """Return what was kept; nothing, where an older fairbank kept nothing."""
        found = kept or {}
        lists = {each: frozenset(found.get(each, ())) for each in _LISTS}
        return cls(**lists, counts=frozenset(found.get("counts", {}).items()))


_LISTS = ("coded", "named", "methods", "raters", "referenced")


def annotations_of(dataset: Dataset, known_as: KnownAs | None = None) -> Annotations:
    """Return what a file's segments, regions or findings are; nothing for files that have none.

    Args:
        dataset: the file.
        known_as: how ids and people are written down; without it both are left out.
    """
    coded, named = set(), set()
    for _, by_code, by_name in (*_segments(dataset), *_regions(dataset)):
        if by_code is not None:
            coded.add(by_code)
        else:
            named.add(by_name)
    shown = Annotations(frozenset(coded), frozenset(named))
    if words_of(dataset, 0x00080060) not in ANNOTATION_MODALITIES:
        return shown
    shown = replace(shown, methods=methods_of(dataset))
    if known_as is None:
        return shown
    file = known_as.uid(text_of(dataset, 0x00080018))
    return replace(
        shown,
        raters=raters_of(dataset, known_as),
        referenced=references_of(dataset, known_as),
        counts=frozenset({(file, parts_of(dataset))}),
    )


def structures_of(dataset: Dataset) -> dict[int, str]:
    """Return what each segment of a segmentation, or each region of a structure set, shows, by its number in the file.

    What is background, or shows nothing of the body, is left out.
    """
    segments = {int(item[_SEGMENT_NUMBER].value): code or name for item, code, name in _segments(dataset)}
    return segments | {int(item[_ROI_NUMBER].value): code or name for item, code, name in _regions(dataset)}


def _segments(dataset: Dataset) -> Iterator[tuple[Dataset, str | None, str]]:
    """Yield each segment, with what it shows by code, and by name.

    Source: DICOM PS3.3, table C.8.20-4.
    """
    for segment in items_of(dataset, _SEGMENTS):
        types = _codes(segment, _PROPERTY_TYPE)
        if any(is_background(*code) for code in types):
            continue
        codes = types
        if not types or not _GENERAL_TYPES.isdisjoint(types):
            codes = [*_codes(segment, _ANATOMIC_REGION), *types]
        yield segment, _first_label(codes), _label_of_name(text_of(segment, _SEGMENT_LABEL))


def _regions(dataset: Dataset) -> Iterator[tuple[Dataset, str | None, str]]:
    """Yield each region of a structure set, with what it shows by code, and by name or kind.

    Source: DICOM PS3.3, tables C.8-41 and C.8-44.
    """
    observed = {text_of(item, _REFERENCED_ROI): item for item in items_of(dataset, _OBSERVATIONS)}
    for region in items_of(dataset, _ROIS):
        seen = observed.get(text_of(region, _ROI_NUMBER), Dataset())
        kind = words_of(seen, _INTERPRETED_TYPE)
        if kind not in _NO_STRUCTURE:
            name = _label_of_name(text_of(region, _ROI_NAME))
            by_name = _OF_TYPE.get(kind, name) if name in (OTHER, UNKNOWN) else name
            yield region, _first_label(_codes(seen, _ROI_CODE)), by_name


def _label_of_name(name: str) -> str:
    """Return the word for a name: `other` if it is not listed, `unknown` if cleaning has left nothing of it."""
    return label_of_name(name) or (OTHER if name.strip(f"{MASK} _-") else UNKNOWN)


def _codes(dataset: Dataset, tag: int) -> list[tuple[str, str]]:
    return [(text_of(item, 0x00080102), text_of(item, 0x00080100)) for item in items_of(dataset, tag)]


def _first_label(codes: list[tuple[str, str]]) -> str | None:
    return next((label for code in codes if (label := label_of_code(*code)) is not None), None)
