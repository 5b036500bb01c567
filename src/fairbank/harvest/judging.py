"""What is known of the quality of series when all is taken together: headers, archive, people, and what else is there.

A person's word comes before the archive's, and both before what was worked out. It lies in a table of its own, so
indexing again neither loses nor overwrites it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank.clock import iso
from fairbank.deid.annotations import Annotations
from fairbank.harvest.aspects import NOT_ASSESSED, Aspect, Assessment, computed
from fairbank.harvest.store import QualityWordRow, SeriesRow
from fairbank.ontology.counts import Count
from fairbank.ontology.record import HowKnown, Quality

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
        self._words = _words(session, project)
        live = select(SeriesRow.series_uid).where(SeriesRow.project == project, SeriesRow.state == _LIVE)
        self._live = frozenset(session.scalars(live))

    def known(self, row: SeriesRow) -> dict[Aspect, Known]:
        """Return what is known of each aspect of a series."""
        found = {aspect: _kept(row.quality.get(aspect.value)) for aspect in Aspect}
        orphans = self._orphans(row)
        if orphans is not None:
            found[Aspect.ORPHAN_REFERENCES] = Known(orphans, iso(row.seen))
        for aspect, word in self._words.get(row.series_uid, {}).items():
            found[aspect] = word
        return found

    def _orphans(self, row: SeriesRow) -> Assessment | None:
        """Return whether an annotation refers to series that are not here; None if it refers to none."""
        referenced = Annotations.from_json(row.annotations).referenced
        if not referenced:
            return None
        gone = len(referenced - self._live)
        return computed(gone > 0, f"{gone} of {len(referenced)} series")


def summarised(judge: Judge, series: Iterable[SeriesRow], *, smallest: int) -> tuple[Quality, ...]:
    """Return each aspect of a dataset: assessed if it could be for any series, affected counted among those only.

    Args:
        judge: judges each series.
        series: the series of the dataset.
        smallest: k; series of fewer subjects are not counted, nor are those beside series of fewer subjects.
    """
    tallies = {aspect: _Tally() for aspect in Aspect}
    for row in series:
        for aspect, known in judge.known(row).items():
            if known.assessment.assessed:
                tallies[aspect].add(known, row.subject)
    return tuple(_quality(aspect, tally, smallest) for aspect, tally in tallies.items())


# The more a person has to do with it, the earlier: one word of a curator makes an aspect the curator's.
_BEFORE: Final = (HowKnown.CURATOR, HowKnown.ARCHIVE, HowKnown.HEADER, HowKnown.COMPUTED)


class _Tally:
    """What is known of one aspect in a dataset."""

    def __init__(self) -> None:
        self.assessed = 0
        self.affected = 0
        self.newest = ""
        self.how_known: set[HowKnown] = set()
        self.subjects_affected: set[str] = set()
        self.subjects_without: set[str] = set()

    def add(self, known: Known, subject: str) -> None:
        self.assessed += 1
        self.newest = max(self.newest, known.at)
        if known.assessment.how_known:
            self.how_known.add(known.assessment.how_known)
        if known.assessment.affected:
            self.affected += 1
            self.subjects_affected.add(subject)
        else:
            self.subjects_without.add(subject)


def _quality(aspect: Aspect, tally: _Tally, smallest: int) -> Quality:
    if not tally.assessed:
        return Quality(aspect=aspect.value, assessed=False)
    few = len(tally.subjects_affected) < smallest or 0 < len(tally.subjects_without) < smallest
    return Quality(
        aspect=aspect.value,
        assessed=True,
        how_known=next((each for each in _BEFORE if each in tally.how_known), None),
        at=tally.newest,
        series_affected=Count.below(smallest) if few and tally.affected else Count.exact(tally.affected),
    )


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
    return Assessment(True, affected, HowKnown.CURATOR, (f"{len(rows)} raters",) if affected else ())


def _newest(rows: list[QualityWordRow]) -> datetime:
    return max(row.rated for row in rows)
