"""Whether there are enough subjects and sites for a study, from published numbers alone and in words.

Three answers: yes and no are certain as far as the catalogue goes; `unknown` says that the certain number is too small
while what is withheld, or not told apart, could make up for it. Nothing here is finer than what a record publishes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank.catalogue.criteria import Criteria
from fairbank.catalogue.facets import Line, among, cell_conditions
from fairbank.catalogue.store import DistributionRow, StratumRow


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many subjects a dataset has that match: surely `least`, at most `most` (None: no bound is published).

    Attributes:
        withheld: how many of the numbers that were looked at are withheld.
    """

    least: int
    most: int | None
    withheld: int = 0


def feasibility(session: Session, criteria: Criteria, lines: Sequence[Line]) -> dict[str, Any]:
    """Return whether the datasets that match have enough subjects and sites together."""
    bounds = _bounds(session, criteria, lines)
    least = sum(each.least for each in bounds)
    most = None if any(each.most is None for each in bounds) else sum(each.most or 0 for each in bounds)
    withheld = sum(each.withheld for each in bounds)
    sites = len({line.node for line in lines})
    enough, why = judge(criteria, least=least, most=most, sites=sites)
    return {
        "subjects_at_least": least,
        "suppressed_cells": withheld,
        "sites": sites,
        "enough": enough,
        "why": f"{why}; at least {least}; {withheld} cells suppressed; not de-duplicated across sites",
    }


def judge(criteria: Criteria, *, least: int, most: int | None, sites: int) -> tuple[str, str]:
    """Return `true`, `false` or `unknown`, and why.

    >>> judge(Criteria(min_subjects=50), least=40, most=None, sites=1)
    ('unknown', 'fewer than 50 subjects are certain, but what is not published could make up for it')
    """
    if sites < criteria.min_sites:
        return "false", f"{sites} sites have matching datasets, {criteria.min_sites} are needed"
    if least >= criteria.min_subjects:
        return "true", f"{least} subjects at {sites} sites are certain"
    if most is not None and most < criteria.min_subjects:
        return "false", f"there are at most {most} matching subjects, {criteria.min_subjects} are needed"
    return "unknown", (
        f"fewer than {criteria.min_subjects} subjects are certain, "
        "but what is not published could make up for it"
    )


def together(parts: Sequence[Bounds], total: Bounds) -> Bounds:
    """Return the bounds of the subjects that are in all parts at once, of a dataset with that total.

    Source: Fréchet 1935: the overlap of n parts has at least sum(parts) - (n - 1) * total members.

    >>> together([Bounds(60, 60), Bounds(70, 70)], Bounds(100, 100))
    Bounds(least=30, most=60, withheld=0)
    """
    withheld = sum(each.withheld for each in parts)
    most = min((each.most for each in (*parts, total) if each.most is not None), default=None)
    if len(parts) == 1:
        return Bounds(parts[0].least, most, withheld)
    if total.most is None:
        return Bounds(0, most, withheld)
    least = sum(each.least for each in parts) - (len(parts) - 1) * total.most
    return Bounds(max(0, least), most, withheld)


def any_of(counts: Iterable[int | None]) -> Bounds:
    """Return the bounds of the subjects that are in any of several cells; None is a number that is withheld.

    A subject may be in several: the largest is certain, and only the sum is a limit. A withheld number has no limit
    of its own, because some are withheld only to protect a smaller one beside them.

    >>> any_of([20, 30]), any_of([20, None])
    (Bounds(least=30, most=50, withheld=0), Bounds(least=20, most=None, withheld=1))
    """
    numbers = list(counts)
    known = [number for number in numbers if number is not None]
    withheld = len(numbers) - len(known)
    return Bounds(max(known, default=0), None if withheld else sum(known), withheld)


def _bounds(session: Session, criteria: Criteria, lines: Sequence[Line]) -> list[Bounds]:
    parts: dict[str, list[Bounds]] = defaultdict(list)
    iris = [line.iri for line in lines]
    if criteria.of_cells:
        cells = select(StratumRow.iri, StratumRow.subjects).where(
            *cell_conditions(criteria), among(session, StratumRow.iri, iris)
        )
        _add(parts, ((iri, number) for iri, number in session.execute(cells)))
    for attribute, values in criteria.holds.items():
        rows = select(DistributionRow.iri, DistributionRow.subjects).where(
            DistributionRow.attribute == attribute,
            DistributionRow.value.in_(values),
            among(session, DistributionRow.iri, iris),
        )
        _add(parts, ((iri, number) for iri, number in session.execute(rows)))
    return [_of_line(line, parts[line.iri]) for line in lines]


def _add(parts: dict[str, list[Bounds]], rows: Iterable[tuple[str, int | None]]) -> None:
    numbers: dict[str, list[int | None]] = defaultdict(list)
    for iri, number in rows:
        numbers[iri].append(number)
    for iri, counts in numbers.items():
        parts[iri].append(any_of(counts))


def _of_line(line: Line, parts: Sequence[Bounds]) -> Bounds:
    number = line.totals.get("subjects", {}).get("value")
    total = any_of([number])
    return together(parts, total) if parts else total
