"""The one-dimensional distributions of a record: for each attribute, on how many subjects each value was found.

A subject with several values counts under each. Values are words of the ontology; where nothing is known of any
series, an attribute that need not be there is left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from fairbank.deid.annotations import Annotations
from fairbank.harvest.store import SeriesRow
from fairbank.ontology import follow_up
from fairbank.ontology.attributes import ATTRIBUTES, SIGNAL_TO_NOISE, signal_to_noise_band
from fairbank.ontology.counts import Count
from fairbank.ontology.record import UNKNOWN, Distribution, HowKnown
from fairbank.ontology.vocabulary import DERIVED_MODALITIES

# A value of an attribute.
Word = tuple[str, str]


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
LABEL: Final = "annotation-label"
METHOD: Final = "annotation-method"
RATERS: Final = "annotation-raters"
_OF_SUBJECTS: dict[str, Callable[[Collection[int]], str]] = {
    "time-points": follow_up.time_points,
    "follow-up": follow_up.follow_up,
}


def words_of_series(row: SeriesRow, annotations: Annotations) -> Iterator[Word]:
    """Yield what one series says of its subject: attribute and value.

    Args:
        row: the columns of the series that attributes are worked out from.
        annotations: what the series annotates.
    """
    for attribute, of in _OF_SERIES.items():
        if _counts(row, attribute, images_only=of.images_only):
            yield attribute, of.value_of(row)
    if _counts(row, LABEL):
        for label in annotations.labels or {UNKNOWN}:
            yield LABEL, label
    if _counts(row, METHOD):
        for method in annotations.methods or {UNKNOWN}:
            yield METHOD, method


def words_of_subject(days: Collection[int | None]) -> Iterator[Word]:
    """Yield how often and for how long a subject was imaged.

    A subject with an image whose day is not known is not known: it may have been imaged on one day more.

    Args:
        days: the day of each of its images, None where it is not known.
    """
    known = [] if None in days else [day for day in days if day is not None]
    for attribute, value_of in _OF_SUBJECTS.items():
        yield attribute, value_of(known)


def word_of_raters(of_series: Mapping[str, Collection[str]]) -> Word:
    """Return by how many people a series of a subject was annotated: by how many the most annotated one was.

    Args:
        of_series: who annotated each of its series, for a subject that has annotations.
    """
    words = {0: UNKNOWN, 1: "one"}
    return RATERS, words.get(max(len(raters) for raters in of_series.values()), "several")


def word_of_signal(modality: str, ratio: float | None) -> Word | None:
    """Return the signal to noise of a series as a word, None for a series of which it is not asked."""
    if modality not in ATTRIBUTES[SIGNAL_TO_NOISE].modalities:
        return None
    return SIGNAL_TO_NOISE, signal_to_noise_band(ratio)


def has_raters(modality: str) -> bool:
    """Tell whether series of a modality are annotations by people or devices."""
    return modality in ATTRIBUTES[RATERS].modalities


def is_image(modality: str) -> bool:
    """Tell whether a series is an image, and not made from images."""
    return modality not in DERIVED_MODALITIES


def distributions(
    subjects: Mapping[Word, int], *, named: Collection[str], days_known: bool
) -> tuple[Distribution, ...]:
    """Return the distributions of a dataset with exact counts, which must not leave like this.

    Args:
        subjects: on how many subjects each value of each attribute was found, > 0.
        named: annotation labels that for some series only a typed name gave: these are worked out, not coded.
        days_known: whether the day of any image is known; if not, nothing is said of times.
    """
    held: dict[str, dict[str, int]] = defaultdict(dict)
    for (attribute, value), count in subjects.items():
        held[attribute][value] = count
    found: list[Distribution] = []
    for attribute, of in _OF_SERIES.items():
        if not of.optional or set(held[attribute]) - {UNKNOWN}:
            found += _rows(attribute, held[attribute], of.how_known)
    if set(held[LABEL]) - {UNKNOWN}:
        found += _rows(LABEL, held[LABEL], HowKnown.HEADER, computed=named)
    beside = ((METHOD, HowKnown.HEADER), (RATERS, HowKnown.COMPUTED), (SIGNAL_TO_NOISE, HowKnown.COMPUTED))
    for attribute, how_known in beside:
        if set(held[attribute]) - {UNKNOWN}:
            found += _rows(attribute, held[attribute], how_known)
    if days_known:
        for attribute in _OF_SUBJECTS:
            found += _rows(attribute, held[attribute], HowKnown.COMPUTED)
    return tuple(found)


def _counts(row: SeriesRow, attribute: str, *, images_only: bool = False) -> bool:
    modalities = ATTRIBUTES[attribute].modalities
    if modalities:
        return row.modality in modalities
    return not images_only or is_image(row.modality)


def _rows(
    attribute: str, held: Mapping[str, int], how_known: HowKnown, *, computed: Collection[str] = ()
) -> list[Distribution]:
    places = {word: place for place, word in enumerate(ATTRIBUTES[attribute].words)}
    return [
        Distribution(
            attribute=attribute,
            value=value,
            how_known=HowKnown.COMPUTED if value in computed else how_known,
            subjects=Count.exact(held[value]),
        )
        for value in sorted(held, key=lambda value: (places.get(value, len(places)), value))
    ]
