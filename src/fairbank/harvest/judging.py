"""What is known of the quality of series when all is taken together: headers, archive, people, pixels, what else is.

A person's word comes before the archive's, and both before what was worked out. It lies in a table of its own, so
indexing again neither loses nor overwrites it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank.clock import iso
from fairbank.deid.annotations import Annotations
from fairbank.harvest.aspects import NOT_ASSESSED, Aspect, Assessment, computed
from fairbank.harvest.measured_quality import measured_of
from fairbank.harvest.store import QualityWordRow, SeriesRow
from fairbank.ontology.record import HowKnown

_LIVE: Final = "live"


class Word(StrEnum):
    """What somebody says of an aspect of a series."""

    AFFECTED = "yes"
    NOT_AFFECTED = "no"
    NOT_ASSESSED = "not-assessed"


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of an aspect of a series, and since when (UTC, as text); no moment where nothing was said."""

    assessment: Assessment
    at: str = ""


class Judge:
    """Judges the series of a project by all that is known there.

    Args:
        session: the node's database.
        project: project of the research store.
    """

    def __init__(self, session: Session, project: str) -> None:
        self._measured = measured_of(session, project)
        self._words = _words(session, project)
        for series_uid, measured in self._measured.items():
            # A person's word comes before what was measured.
            of_pixels = {aspect: Known(each, measured.at) for aspect, each in measured.assessments().items()}
            self._words[series_uid] = of_pixels | self._words.get(series_uid, {})
        live = select(SeriesRow.series_uid).where(SeriesRow.project == project, SeriesRow.state == _LIVE)
        self._live = frozenset(session.scalars(live))

    def known(self, row: SeriesRow) -> dict[Aspect, Known]:
        """Return what is known of each aspect of a series."""
        found = {aspect: _kept(row.quality.get(aspect.value)) for aspect in Aspect}
        return found | self.beside(row.series_uid, Annotations.from_json(row.annotations), at=iso(row.seen))

    def beside(self, series_uid: str, annotations: Annotations, *, at: str) -> dict[Aspect, Known]:
        """Return what is known of a series that no header of its own tells; `at` is when it was looked for."""
        found: dict[Aspect, Known] = {}
        if annotations.referenced:
            found[Aspect.ORPHAN_REFERENCES] = Known(self._orphans(annotations.referenced), at)
        return found | self._words.get(series_uid, {})

    @property
    def has_measured(self) -> bool:
        """Tell whether the pixels of any series were measured."""
        return bool(self._measured)

    def signal_to_noise(self, series_uid: str) -> float | None:
        """Return the signal to noise ratio of a series, None where it was not measured."""
        measured = self._measured.get(series_uid)
        return measured.signal_to_noise if measured else None

    def _orphans(self, referenced: Collection[str]) -> Assessment:
        """Return whether an annotation refers to series that are not here."""
        gone = len(set(referenced) - self._live)
        return computed(gone > 0, f"{gone} of {len(referenced)} series")


def foremost(known: Collection[HowKnown]) -> HowKnown | None:
    """Return how an aspect of a dataset is known: the more a person has to do with it, the earlier.

    >>> foremost({HowKnown.COMPUTED, HowKnown.CURATOR}).value
    'curator'
    """
    return next((each for each in _BEFORE if each in known), None)


_BEFORE: Final = (HowKnown.CURATOR, HowKnown.ARCHIVE, HowKnown.HEADER, HowKnown.COMPUTED)


def _kept(known: Mapping[str, Any] | None) -> Known:
    """Return what the index keeps of an aspect; nothing, where an older fairbank did not look."""
    if not known or not known.get("assessed"):
        return Known(NOT_ASSESSED)
    how = known.get("how_known")
    assessment = Assessment(
        assessed=True,
        affected=bool(known.get("affected")),
        how_known=HowKnown(how) if how else None,
        details=tuple(known.get("details", ())),
    )
    return Known(assessment, str(known.get("at", "")))


def as_kept(known: Known) -> dict[str, Any]:
    """Return what is known of an aspect in the form that the index keeps."""
    of = known.assessment
    return {
        "assessed": of.assessed,
        "affected": of.affected,
        "how_known": of.how_known.value if of.how_known else None,
        "details": list(of.details),
        "at": known.at,
    }


def _words(session: Session, project: str) -> dict[str, dict[Aspect, Known]]:
    """Return what people said of each series; where they disagree, one who saw something outweighs who did not."""
    said: dict[tuple[str, Aspect], list[QualityWordRow]] = {}
    for row in session.scalars(select(QualityWordRow).where(QualityWordRow.project == project)):
        said.setdefault((row.series_uid, Aspect(row.aspect)), []).append(row)
    found: dict[str, dict[Aspect, Known]] = {}
    for (series_uid, aspect), rows in said.items():
        found.setdefault(series_uid, {})[aspect] = Known(_together(rows), iso(_newest(rows)))
    return found


def _together(rows: list[QualityWordRow]) -> Assessment:
    words = {row.value for row in rows}
    if words == {Word.NOT_ASSESSED.value}:
        return Assessment(False, how_known=HowKnown.CURATOR)
    affected = Word.AFFECTED.value in words
    return Assessment(True, affected, HowKnown.CURATOR, (_saw_it(rows),) if affected else ())


def _saw_it(rows: list[QualityWordRow]) -> str:
    return f"{sum(row.value == Word.AFFECTED.value for row in rows)} of {len(rows)} raters"


def _newest(rows: list[QualityWordRow]) -> datetime:
    return max(row.rated for row in rows)
