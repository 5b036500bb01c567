"""Who made an annotation, how, and of which series: read from the file as it came in, written down as pseudonyms only.

Cleaning removes the names of people, so they are turned into keyed digests before. A name that stands for none, as an
earlier de-identification leaves it, is nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pydicom.dataset import Dataset

from fairbank.deid.elements import items_of, text_of, words_of


class Method(StrEnum):
    """How an annotation was made: Segment Algorithm Type (0062,0008), DICOM PS3.3, table C.8.20-4."""

    AUTOMATIC = "automatic"
    SEMIAUTOMATIC = "semiautomatic"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True)
class KnownAs:
    """How what identifies is written down.

    Attributes:
        uid: from a UID to its pseudonym.
        person: from a name to its keyed digest; empty where names are not to be kept.
    """

    uid: Callable[[str], str]
    person: Callable[[str], str]


# For files of the research store: their UIDs are pseudonyms already, and names in them are what cleaning wrote.
AS_IT_IS: Final = KnownAs(uid=str, person=lambda _: "")
# Keywords of all elements that this module and `annotations` read.
ANNOTATION_KEYWORDS: Final = (
    "SOPInstanceUID",
    "Modality",
    "SegmentSequence",
    "StructureSetROISequence",
    "RTROIObservationsSequence",
    "AnnotationGroupSequence",
    "ReferencedSeriesSequence",
    "ReferencedFrameOfReferenceSequence",
    "CurrentRequestedProcedureEvidenceSequence",
    "PertinentOtherEvidenceSequence",
    "ContentSequence",
    "AuthorObserverSequence",
    "ContentCreatorName",
    "OperatorsName",
)
_SEGMENTS, _ROIS, _OBSERVATIONS, _GROUPS = 0x00620002, 0x30060020, 0x30060080, 0x006A0002
# Where each kind says how it was made: (sequence, element), DICOM PS3.3, C.8.20.2, C.8.8.5, C.37.1.2.
_METHODS = ((_SEGMENTS, 0x00620008), (_ROIS, 0x30060036), (_GROUPS, 0x006A0007))
_CONTENT_CREATOR, _ROI_INTERPRETER, _OPERATORS = 0x00700084, 0x300600A6, 0x00081070
_AUTHORS, _PERSON_NAME = 0x0040A078, 0x0040A123
_CONTENT, _CONCEPT, _CODE, _TEXT, _UID = 0x0040A730, 0x0040A043, 0x00080100, 0x0040A160, 0x0040A124
_REFERENCED_SERIES, _SERIES_UID = 0x00081115, 0x0020000E
_EVIDENCE = (0x0040A375, 0x0040A385)
_RT_REFERENCES = (0x30060010, 0x30060012, 0x30060014)
# Concepts of structured reports, DICOM PS3.16, TID 1003, TID 1004, TID 1501 and TID 1410.
_OBSERVER_NAME, _DEVICE_UID, _DEVICE_NAME = "121008", "121012", "121013"
_TRACKING_UID, _SOURCE_SERIES = "112040", "121232"
_DEEPEST = 16
# What de-identification elsewhere leaves in the place of a name.
_NOBODY = frozenset(
    """
    anon anonymous anonymized anonymised deidentified de-identified dummy n/a na name nobody none not operator
    pseudonym removed test unknown user x xx xxx xxxx
    """.split()  # noqa: SIM905 - a list of words reads better as words
)


def methods_of(dataset: Dataset) -> frozenset[str]:
    """Return how the segments, regions or groups of a file were made; none where it does not say."""
    said = {words_of(item, element) for sequence, element in _METHODS for item in items_of(dataset, sequence)}
    return frozenset(each.value for each in Method if each.value.upper() in said)


def parts_of(dataset: Dataset) -> int:
    """Return how many segments, regions, groups or tracked findings a file has."""
    listed = sum(len(items_of(dataset, sequence)) for sequence in (_SEGMENTS, _ROIS, _GROUPS))
    return listed or len(tracked_in(dataset))


def tracked_in(dataset: Dataset) -> frozenset[str]:
    """Return the tracking UIDs of the findings of a structured report (DICOM PS3.16, TID 1501)."""
    return frozenset(text_of(item, _UID) for code, item in _contents(dataset) if code == _TRACKING_UID) - {""}


def raters_of(dataset: Dataset, known_as: KnownAs) -> frozenset[str]:
    """Return who made a file, as keyed digests: people, or devices where no person is named."""
    for names in (_people(dataset), _devices(dataset)):
        found = {known_as.person(name) for name in names} - {""}
        if found:
            return frozenset(found)
    return frozenset()


def references_of(dataset: Dataset, known_as: KnownAs) -> frozenset[str]:
    """Return the series that a file says it was made from, as pseudonyms."""
    return frozenset(known_as.uid(uid) for uid in _referenced(dataset) if uid)


def person_key(name: str) -> str:
    """Return a person's name in the form that is compared; empty for names that stand for nobody.

    >>> person_key("Doe^Jane^^Dr="), person_key("DOE^JANE"), person_key("Anonymous")
    ('doe jane dr', 'doe jane', '')
    """
    words = name.split("=", 1)[0].replace("^", " ").casefold().split()
    return (
        ""
        if set(words) <= _NOBODY or all(word.strip("*-_.?0123456789") == "" for word in words)
        else " ".join(words)
    )


def _people(dataset: Dataset) -> Iterator[str]:
    """Yield the names of the people who made a file; of a structure set, its operators if nobody else is named."""
    names = [text_of(dataset, _CONTENT_CREATOR)]
    names += [text_of(item, _ROI_INTERPRETER) for item in items_of(dataset, _OBSERVATIONS)]
    names += [text_of(item, _PERSON_NAME) for item in items_of(dataset, _AUTHORS)]
    names += [text_of(item, _PERSON_NAME) for code, item in _contents(dataset) if code == _OBSERVER_NAME]
    if not any(map(person_key, names)) and items_of(dataset, _ROIS):
        names += text_of(dataset, _OPERATORS).split("\\")
    yield from filter(None, map(person_key, names))


def _devices(dataset: Dataset) -> Iterator[str]:
    for code, item in _contents(dataset):
        name = text_of(item, _UID) if code == _DEVICE_UID else text_of(item, _TEXT)
        if code in (_DEVICE_UID, _DEVICE_NAME) and name:
            yield f"device\x1f{name}"


def _referenced(dataset: Dataset) -> Iterator[str]:
    yield from (text_of(item, _SERIES_UID) for item in items_of(dataset, _REFERENCED_SERIES))
    for sequence in _EVIDENCE:
        for study in items_of(dataset, sequence):
            yield from (text_of(item, _SERIES_UID) for item in items_of(study, _REFERENCED_SERIES))
    level = [dataset]
    for sequence in _RT_REFERENCES:
        level = [item for above in level for item in items_of(above, sequence)]
    yield from (text_of(item, _SERIES_UID) for item in level)
    yield from (text_of(item, _UID) for code, item in _contents(dataset) if code == _SOURCE_SERIES)


def _contents(dataset: Dataset, depth: int = 0) -> Iterator[tuple[str, Dataset]]:
    """Yield each item of a report's tree with the code of its concept."""
    if depth > _DEEPEST:
        return
    for item in items_of(dataset, _CONTENT):
        code = next((text_of(concept, _CODE) for concept in items_of(item, _CONCEPT)), "")
        yield code, item
        yield from _contents(item, depth + 1)
