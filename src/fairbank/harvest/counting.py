"""From the rows of the index to what each subject adds to each count of a record, in one pass of few bytes per series.

Most series of a dataset are alike in all that is counted: what a series says is worked out once for each different row.
A study counts for its subject, as DICOM has it (PS3.3, figure A.1-1); one that a mistake has put under two subjects
counts for both.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, cast

import numpy as np
from sqlalchemy import ColumnElement, Text
from sqlalchemy import cast as sql_cast
from sqlalchemy import select as sql_select
from sqlalchemy.orm import Session

from fairbank.clock import iso
from fairbank.deid.annotations import Annotations
from fairbank.harvest.aspects import Aspect
from fairbank.harvest.clinical.store import variables_of
from fairbank.harvest.distributions import (
    LABEL,
    Word,
    has_raters,
    is_image,
    word_of_raters,
    word_of_signal,
    words_of_series,
    words_of_subject,
)
from fairbank.harvest.index import publishable
from fairbank.harvest.judging import Judge, Known, foremost
from fairbank.harvest.store import SeriesRow
from fairbank.ontology.record import HowKnown
from fairbank.release.contributions import Contributions, Key
from fairbank.release.published_counts import cell_key, quality_key, row_key, total_key, variable_key

DAYS_KNOWN: Final[Key] = ("_days-known",)
_TABLE = SeriesRow.__table__
_FIRST: Final = ("series_uid", "study_uid", "subject", "instances", "study_day")
_OF_AXES: Final = ("modality", "body_part", "manufacturer", "slice_thickness")
_AS_TEXT: Final = ("annotations", "quality")
# What of a series is never counted. Every other column is part of what a series says, so that one that is added is too.
_NOT_COUNTED: Final = frozenset(
    [
        *("id", "project", "state", "source", "held", "gone", "run", "seen"),
        *("directory", "stat_token", "content_digest"),
        *("manufacturer_raw", "slice_thickness_mm", "spacing_mm", "rows", "columns", "frames", "acquisition"),
        *("contiguous", "derived"),
    ]
)
_SAID: Final = tuple(
    column.name
    for column in _TABLE.columns
    if column.name not in {*_FIRST, *_OF_AXES, *_AS_TEXT, *_NOT_COUNTED}
)
_AXES: Final = slice(len(_FIRST), len(_FIRST) + len(_OF_AXES))
# The modality decides which attributes a series has; the other axes are no attributes.
_SAID_PART: Final = slice(len(_FIRST), -len(_AS_TEXT))
_OF_CELL: Final = ("series", "studies", "subjects")
_PAGE: Final = 10_000
_MOST_KEPT: Final = 20_000
_NO_DAY: Final = -(1 << 60)
_NO_IMAGE: Final = _NO_DAY - 1


@dataclass(frozen=True, slots=True)
class Facts:
    """What a record says beside its counts, from the same pass.

    Attributes:
        named: annotation labels that for some series only a typed name gave.
        how_known: how a quality aspect is known, where any series was assessed; the word of a person comes first.
        assessed_at: when it was last looked at.
    """

    named: frozenset[str] = frozenset()
    how_known: dict[str, HowKnown | None] = field(default_factory=dict)
    assessed_at: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Counted:
    """What a dataset holds at present: the additions of each subject, and the facts beside them."""

    contributions: Contributions
    facts: Facts


def assessed_key(aspect: str) -> Key:
    """Return the key of the number of series of which a quality aspect could be assessed."""
    return ("_assessed", aspect)


def subjects_key(aspect: str, *, affected: bool) -> Key:
    """Return the key of the number of subjects with series that a quality aspect affects, or does not."""
    return ("_subjects-affected" if affected else "_subjects-without", aspect)


def count_series(session: Session, project: str, *, at: datetime, keys: list[Key] | None = None) -> Counted:
    """Return what each subject of a project adds, over all series that may be counted in what leaves.

    Args:
        at: the moment at which they may.
        keys: keys of earlier contributions, to be numbered alike.
    """
    pass_ = _Pass(Contributions(keys), Judge(session, project), variables_of(session, project), at=iso(at))
    for page in _pages(session, publishable(session, project, at=at)):
        for row in page:
            pass_.take(row)
    pass_.add_up()
    return Counted(pass_.contributions, pass_.facts())


def _pages(session: Session, countable: ColumnElement[bool]) -> Iterator[Any]:
    columns = [
        *(_TABLE.c[name] for name in (*_FIRST, *_OF_AXES, *_SAID)),
        # As text, so that JSON is read once for each different text and not once for each row.
        *(sql_cast(_TABLE.c[name], Text).label(name) for name in _AS_TEXT),
    ]
    query = sql_select(*columns).where(countable)
    return session.execute(query, execution_options={"yield_per": _PAGE}).partitions()


@dataclass(frozen=True, slots=True)
class _Judged:
    """What the quality column of a series says, by aspect: assessed, affected, how known, when."""

    aspects: tuple[tuple[str, bool, bool, str | None, str], ...]


@dataclass(frozen=True, slots=True)
class _Flags:
    """What a quality adds: numbers of keys that each of its series adds to, and what its subject adds once."""

    series: tuple[int, ...]
    subject: dict[int, int]


class _Pass:
    """One pass over the rows.

    A series is kept as six numbers until its subject is complete, and what it says as bits of its subject.
    """

    def __init__(
        self, contributions: Contributions, judge: Judge, variables: Mapping[str, Collection[str]], *, at: str
    ) -> None:
        self.contributions = contributions
        self._judge = judge
        self._variables = variables
        self._at = at
        # Who annotated which series of a subject.
        self._raters: dict[int, dict[str, set[str]]] = {}
        self._subjects: dict[str, int] = {}
        self._studies: dict[str, int] = {}
        self._cells: dict[tuple[str, str, str, str], int] = {}
        self._of = tuple(array(kind) for kind in "IIIIIq")
        # What the series of each subject say together: one bit for each word.
        self._said: list[int] = []
        self._words: dict[Word, int] = {}
        self._bits: dict[tuple[Any, ...], int] = {}
        self._named: set[str] = set()
        self._annotations: dict[str, Annotations] = {}
        self._qualities: dict[str, int] = {}
        self._judged: dict[_Judged, int] = {}
        self._kinds: list[_Judged] = []

    def take(self, row: tuple[Any, ...]) -> None:
        uid, study, subject, instances, day, modality, *_ = row
        annotations = self._annotation(row[-2])
        quality = self._quality(row[-1])
        if beside := self._judge.beside(uid, annotations, at=self._at):
            quality = self._with(quality, beside)
        number = self._subjects.setdefault(subject, len(self._subjects))
        if has_raters(modality):
            # What an annotation refers to is what it was made on; one that does not say so stands for itself.
            of_series = self._raters.setdefault(number, {})
            for referenced in annotations.referenced or {uid}:
                of_series.setdefault(referenced, set()).update(annotations.raters)
        if number == len(self._said):
            self._said.append(0)
        self._said[number] |= self._bits_of(row)
        if self._judge.has_measured and (
            signal := word_of_signal(modality, self._judge.signal_to_noise(uid))
        ):
            self._said[number] |= 1 << self._words.setdefault(signal, len(self._words))
        axes = row[_AXES]
        subjects, studies, cells, qualities, of_instances, days = self._of
        subjects.append(number)
        studies.append(self._studies.setdefault(study, len(self._studies)))
        cells.append(self._cells.setdefault(axes, len(self._cells)))
        qualities.append(quality)
        of_instances.append(instances)
        # Only images have a day that counts.
        days.append((_NO_DAY if day is None else day) if is_image(modality) else _NO_IMAGE)

    def add_up(self) -> None:
        """Work out the additions of each subject."""
        cells = [tuple(self._number(cell_key(axes, name)) for name in _OF_CELL) for axes in self._cells]
        flags = [self._flags(judged) for judged in self._judged]
        words = [self._number(row_key(*word)) for word in self._words]
        order = np.argsort(np.asarray(self._of[0]), kind="stable")
        numbers, *columns = (np.asarray(column)[order] for column in self._of)
        ends = np.searchsorted(numbers, np.arange(len(self._subjects)), side="right").tolist()
        start = 0
        for subject, end, said in zip(self._subjects, ends, self._said, strict=True):
            studies, of_cells, qualities, instances, days = (column[start:end].tolist() for column in columns)
            amounts = dict.fromkeys((words[bit] for bit in _bits(said)), 1)
            _add_cells(amounts, [cells[cell] for cell in of_cells], studies)
            for quality in qualities:
                for flag in flags[quality].series:
                    amounts[flag] = amounts.get(flag, 0) + 1
                amounts.update(flags[quality].subject)
            number = self._subjects[subject]
            if number in self._raters:
                amounts[self._number(row_key(*word_of_raters(self._raters[number])))] = 1
            for name in self._variables.get(subject, ()):
                amounts[self._number(variable_key(name))] = 1
            self._add_days(amounts, set(days) - {_NO_IMAGE})
            self._add_totals(amounts, studies, instances)
            self.contributions.put(subject, amounts)
            start = end

    def facts(self) -> Facts:
        how: dict[str, set[HowKnown]] = {}
        at: dict[str, str] = {}
        used = set(self._of[3])
        for judged, number in self._judged.items():
            if number not in used:
                continue
            for aspect, assessed, _, known, when in judged.aspects:
                if assessed:
                    how.setdefault(aspect, set()).update({HowKnown(known)} if known else ())
                    at[aspect] = max(at.get(aspect, ""), when)
        return Facts(frozenset(self._named), {aspect: foremost(known) for aspect, known in how.items()}, at)

    def _number(self, key: Key) -> int:
        return self.contributions.number(key)

    def _flags(self, judged: _Judged) -> _Flags:
        series, subject = [], {}
        for aspect, assessed, affected, _, _ in judged.aspects:
            if not assessed:
                continue
            series.append(self._number(assessed_key(aspect)))
            if affected:
                series.append(self._number(quality_key(aspect)))
            subject[self._number(subjects_key(aspect, affected=affected))] = 1
        return _Flags(tuple(series), subject)

    def _add_days(self, amounts: dict[int, int], days: set[int]) -> None:
        known = {None if day == _NO_DAY else day for day in days}
        amounts |= {self._number(row_key(*word)): 1 for word in words_of_subject(known)}
        if known - {None}:
            amounts[self._number(DAYS_KNOWN)] = 1

    def _add_totals(self, amounts: dict[int, int], studies: list[int], instances: list[int]) -> None:
        amounts[self._number(total_key("subjects"))] = 1
        amounts[self._number(total_key("studies"))] = len(set(studies))
        amounts[self._number(total_key("series"))] = len(studies)
        if any(instances):
            amounts[self._number(total_key("instances"))] = sum(instances)

    def _bits_of(self, row: tuple[Any, ...]) -> int:
        annotations = self._annotation(row[-2])
        said = (*row[_SAID_PART], annotations)
        found = self._bits.get(said)
        if found is None:
            if len(self._bits) >= _MOST_KEPT:
                self._bits.clear()
            found = 0
            # The columns that attributes read are there under the same names.
            for word in words_of_series(cast(SeriesRow, row), annotations):
                found |= 1 << self._words.setdefault(word, len(self._words))
                if word[0] == LABEL and word[1] in annotations.named:
                    self._named.add(word[1])
            self._bits[said] = found
        return found

    def _annotation(self, text: str | None) -> Annotations:
        found = self._annotations.get(text or "")
        if found is None:
            if len(self._annotations) >= _MOST_KEPT:
                self._annotations.clear()
            found = self._annotations[text or ""] = Annotations.from_json(json.loads(text) if text else None)
        return found

    def _quality(self, text: str | None) -> int:
        found = self._qualities.get(text or "")
        if found is None:
            if len(self._qualities) >= _MOST_KEPT:
                self._qualities.clear()
            found = self._number_of(_judged(json.loads(text) if text else None))
            self._qualities[text or ""] = found
        return found

    def _with(self, quality: int, beside: Mapping[Aspect, Known]) -> int:
        """Return the number of what is known when more is known of some aspects."""
        judged = self._kinds[quality]
        said = {
            aspect.value: (
                aspect.value,
                known.assessment.assessed,
                known.assessment.affected,
                known.assessment.how_known.value if known.assessment.how_known else None,
                known.at,
            )
            for aspect, known in beside.items()
        }
        return self._number_of(_Judged(tuple(said.get(one[0], one) for one in judged.aspects)))

    def _number_of(self, judged: _Judged) -> int:
        found = self._judged.setdefault(judged, len(self._judged))
        if found == len(self._kinds):
            self._kinds.append(judged)
        return found


def _add_cells(amounts: dict[int, int], cells: list[tuple[int, ...]], studies: list[int]) -> None:
    for (series, in_studies, subjects), _ in set(zip(cells, studies, strict=True)):
        amounts[in_studies] = amounts.get(in_studies, 0) + 1
        amounts[subjects], amounts[series] = 1, 0
    for series, _, _ in cells:
        amounts[series] += 1


def _bits(number: int) -> Iterator[int]:
    while number:
        lowest = number & -number
        yield lowest.bit_length() - 1
        number ^= lowest


def _judged(quality: dict[str, Any] | None) -> _Judged:
    kept = quality or {}
    found = []
    for aspect in Aspect:
        known = kept.get(aspect.value, {})
        found.append(
            (
                aspect.value,
                bool(known.get("assessed")),
                bool(known.get("affected")),
                known.get("how_known"),
                str(known.get("at", "")),
            )
        )
    return _Judged(tuple(found))
