"""The one-dimensional distributions of a record: for each attribute, on how many subjects each value was found.

A subject with several values counts under each. Values are words of the ontology; where nothing is known of any
series, an attribute that need not be there is left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from fairbank.deid.annotations import Annotations
from fairbank.harvest.store import SeriesRow
from fairbank.ontology import follow_up
from fairbank.ontology.attributes import ATTRIBUTES
from fairbank.ontology.counts import Count
from fairbank.ontology.record import UNKNOWN, Distribution, HowKnown
from fairbank.ontology.vocabulary import DERIVED_MODALITIES

# Subjects by value of an attribute.
_Held = dict[str, set[str]]


@dataclass(frozen=True, slots=True)
class _Of:
    """How an attribute of series is counted.

    Attributes:
        value_of: its value for a series.
        images_only: whether series that were made from images do not count.
        optional: whether it is left out where nothing is known.
    """

    value_of: Callable[[SeriesRow], str]
    images_only: bool = True
    optional: bool = True
    how_known: HowKnown = HowKnown.HEADER


_OF_SERIES: dict[str, _Of] = {
    "sex": _Of(lambda row: row.sex, images_only=False, optional=False),
    "age-band": _Of(lambda row: row.age_band, images_only=False, optional=False),
    "acquisition-year": _Of(
        lambda row: str(row.acquisition_year or UNKNOWN), images_only=False, optional=False
    ),
    "model": _Of(lambda row: row.model),
    "field-strength": _Of(lambda row: row.field_strength),
    "kernel": _Of(lambda row: row.kernel),
    "slice-spacing": _Of(lambda row: row.slice_spacing, how_known=HowKnown.COMPUTED),
    "contrast": _Of(lambda row: row.contrast),
    "laterality": _Of(lambda row: row.laterality),
}
_LABEL = "annotation-label"
_METHOD = "annotation-method"
_RATERS = "annotation-raters"
_OF_SUBJECTS: dict[str, Callable[[Collection[int]], str]] = {
    "time-points": follow_up.time_points,
    "follow-up": follow_up.follow_up,
}


def distributions(series: Sequence[SeriesRow]) -> tuple[Distribution, ...]:
    """Return the distributions of a dataset with exact counts, which must not leave like this.

    Args:
        series: all series of the dataset.
    """
    found: list[Distribution] = []
    for attribute, of in _OF_SERIES.items():
        counted = [row for row in series if _counts(row, attribute, images_only=of.images_only)]
        held = _held((of.value_of(row), row.subject) for row in counted)
        if not of.optional or set(held) - {UNKNOWN}:
            found += _rows(attribute, held, of.how_known)
    found += _labels([row for row in series if _counts(row, _LABEL)])
    found += _methods([row for row in series if _counts(row, _METHOD)])
    found += _raters([row for row in series if _counts(row, _RATERS)])
    found += _of_subjects(series)
    return tuple(found)


def _counts(row: SeriesRow, attribute: str, *, images_only: bool = False) -> bool:
    modalities = ATTRIBUTES[attribute].modalities
    if modalities:
        return row.modality in modalities
    return not images_only or row.modality not in DERIVED_MODALITIES


def _labels(series: Sequence[SeriesRow]) -> list[Distribution]:
    """Return what annotations show; a word that for some series only a typed name gave is worked out, not coded."""
    kept = [(Annotations.from_json(row.annotations), row.subject) for row in series]
    named = {label for annotations, _ in kept for label in annotations.named}
    held = _held(
        (label, subject) for annotations, subject in kept for label in annotations.labels or {UNKNOWN}
    )
    if not set(held) - {UNKNOWN}:
        return []
    return _rows(_LABEL, held, HowKnown.HEADER, computed=named)


def _methods(series: Sequence[SeriesRow]) -> list[Distribution]:
    """Return how annotations were made."""
    held = _held(
        (method, row.subject)
        for row in series
        for method in Annotations.from_json(row.annotations).methods or {UNKNOWN}
    )
    return _rows(_METHOD, held, HowKnown.HEADER) if set(held) - {UNKNOWN} else []


def _raters(series: Sequence[SeriesRow]) -> list[Distribution]:
    """Return by how many people a series of a subject was annotated: by how many the most annotated one was.

    What an annotation refers to is what it was made on; one that does not say so stands for a series of its own.
    """
    of_series: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in series:
        annotations = Annotations.from_json(row.annotations)
        for referenced in annotations.referenced or {row.series_uid}:
            of_series[row.subject, referenced] |= annotations.raters
    most: dict[str, int] = defaultdict(int)
    for (subject, _), raters in of_series.items():
        most[subject] = max(most[subject], len(raters))
    if not any(most.values()):
        return []
    words = {0: UNKNOWN, 1: "one"}
    held = _held((words.get(count, "several"), subject) for subject, count in most.items())
    return _rows(_RATERS, held, HowKnown.COMPUTED)


def _of_subjects(series: Sequence[SeriesRow]) -> list[Distribution]:
    """Return how often and for how long subjects were imaged.

    A subject with an image whose day is not known is not known: it may have been imaged on one day more.
    """
    days: dict[str, set[int | None]] = {row.subject: set() for row in series}
    for row in series:
        if row.modality not in DERIVED_MODALITIES:
            days[row.subject].add(row.study_day)
    if not any(day is not None for of_subject in days.values() for day in of_subject):
        return []
    known = {
        subject: [] if None in of_subject else [day for day in of_subject if day is not None]
        for subject, of_subject in days.items()
    }
    found: list[Distribution] = []
    for attribute, value_of in _OF_SUBJECTS.items():
        held = _held((value_of(of_subject), subject) for subject, of_subject in known.items())
        found += _rows(attribute, held, HowKnown.COMPUTED)
    return found


def _held(pairs: Iterable[tuple[str, str]]) -> _Held:
    held: _Held = defaultdict(set)
    for value, subject in pairs:
        held[value].add(subject)
    return held


def _rows(
    attribute: str, held: _Held, how_known: HowKnown, *, computed: Collection[str] = ()
) -> list[Distribution]:
    places = {word: place for place, word in enumerate(ATTRIBUTES[attribute].words)}
    return [
        Distribution(
            attribute=attribute,
            value=value,
            how_known=HowKnown.COMPUTED if value in computed else how_known,
            subjects=Count.exact(len(held[value])),
        )
        for value in sorted(held, key=lambda value: (places.get(value, len(places)), value))
    ]
