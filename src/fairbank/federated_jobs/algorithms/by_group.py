"""Held-out metrics of a model by sex, age band and maker, with each subject in one group of each kind.

Who is of no known group is `unknown`, who is of several (images of two makers) is `several`; so the groups of a kind
are parts of the whole, and what protects few subjects can be worked out. Age bands are of twenty years, since of five
few sites hold out enough subjects.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fairbank.ontology.attributes import ATTRIBUTES
from fairbank.ontology.record import UNKNOWN
from fairbank.ontology.vocabulary import MANUFACTURERS, OTHER_MANUFACTURER

SEX, AGE, MAKER = "sex", "age_band", "manufacturer"
SEVERAL = "several"
_YEARS, _OLDEST = 20, 80
_BAND = re.compile(r"(\d{1,3})(?:-\d{1,3}|\+)")
# What may stand for a group, by kind.
WORDS: Mapping[str, tuple[str, ...]] = {
    SEX: (*ATTRIBUTES["sex"].words, SEVERAL),
    AGE: (
        *(f"{low}-{low + _YEARS - 1}" for low in range(0, _OLDEST, _YEARS)),
        f"{_OLDEST}+",
        UNKNOWN,
        SEVERAL,
    ),
    MAKER: (*MANUFACTURERS, OTHER_MANUFACTURER, UNKNOWN, SEVERAL),
}
# So many subjects are described in one message of a worker; of more, nothing is told by group.
MOST_SUBJECTS = 100_000


@dataclass(frozen=True, slots=True)
class MeasuredGroup:
    """The places of a group's subjects, and the metrics of a model on their images."""

    subjects: list[int]
    metrics: dict[str, float]


@dataclass(frozen=True, slots=True)
class ByGroup:
    """Metrics by kind and group.

    Attributes:
        classes: the places of the subjects of each class; none where nothing is classified.
    """

    kinds: dict[str, dict[str, MeasuredGroup]] = field(default_factory=dict)
    classes: list[list[int]] = field(default_factory=list)

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> ByGroup:
        """Return what a worker told."""
        kinds = {
            str(kind): {
                str(word): MeasuredGroup([int(one) for one in group["subjects"]], dict(group["metrics"]))
                for word, group in groups.items()
            }
            for kind, groups in told.get("kinds", {}).items()
        }
        return cls(kinds, [[int(one) for one in each] for each in told.get("classes", [])])


def by_group(
    subjects: Sequence[str],
    known: Sequence[Mapping[str, str]],
    classes: Sequence[int],
    of: Callable[[Sequence[int]], Mapping[str, float]],
) -> ByGroup:
    """Return the metrics of each group of held-out subjects; a kind of which nothing is known is left out.

    Args:
        subjects: of each held-out sample, its subject's pseudonym.
        known: what is known of each sample, by kind.
        classes: the class of each sample; none where nothing is classified.
        of: returns the metrics of the samples at some places.
    """
    place = {subject: number for number, subject in enumerate(sorted(set(subjects)))}
    if len(place) > MOST_SUBJECTS:
        return ByGroup()
    kinds: dict[str, dict[str, MeasuredGroup]] = {}
    for kind in WORDS:
        group_of = _groups(kind, subjects, known)
        if set(group_of.values()) <= {UNKNOWN}:
            continue
        samples: dict[str, list[int]] = defaultdict(list)
        for number, subject in enumerate(subjects):
            samples[group_of[subject]].append(number)
        kinds[kind] = {
            word: MeasuredGroup(
                sorted({place[subjects[number]] for number in numbers}),
                {name: round_digits(value) for name, value in of(numbers).items()},
            )
            for word, numbers in sorted(samples.items())
        }
    return ByGroup(kinds, _of_classes(subjects, classes, place))


def subjects_of_classes(subjects: Sequence[str], classes: Sequence[int]) -> list[int]:
    """Return how many different subjects each class has that occurs, in the order of the classes.

    >>> subjects_of_classes(["a", "a", "b", "c"], [1, 1, 0, 1])
    [1, 2]
    """
    place = {subject: number for number, subject in enumerate(dict.fromkeys(subjects))}
    return [len(each) for each in _of_classes(subjects, classes, place)]


def round_digits(value: float) -> float:
    """Return a metric with six significant digits.

    >>> round_digits(0.123456789)
    0.123457
    """
    return float(f"{value:.6g}")


def wide_band(band: str) -> str:
    """Return the band of twenty years that a band of five lies in.

    >>> wide_band("40-44"), wide_band("90+"), wide_band("?")
    ('40-59', '80+', 'unknown')
    """
    found = _BAND.fullmatch(band)
    if found is None:
        return UNKNOWN
    low = int(found[1]) // _YEARS * _YEARS
    return f"{_OLDEST}+" if low >= _OLDEST else f"{low}-{low + _YEARS - 1}"


def _groups(kind: str, subjects: Sequence[str], known: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return the one group of each subject."""
    said: dict[str, set[str]] = defaultdict(set)
    for subject, facts in zip(subjects, known, strict=True):
        word = facts.get(kind, UNKNOWN)
        word = wide_band(word) if kind == AGE else word
        said[subject].add(word if word in WORDS[kind] else UNKNOWN)
    return {subject: next(iter(words)) if len(words) == 1 else SEVERAL for subject, words in said.items()}


def _of_classes(subjects: Sequence[str], classes: Sequence[int], place: Mapping[str, int]) -> list[list[int]]:
    found: dict[int, set[int]] = defaultdict(set)
    for subject, number in zip(subjects, classes, strict=False):
        found[number].add(place[subject])
    return [sorted(found[number]) for number in sorted(found)]
