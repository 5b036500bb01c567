"""Whether there are enough subjects and sites for a study, from published numbers alone and in words.

Three answers: yes and no are certain as far as the catalogue goes; `unknown` says that the certain number is too small
while what is withheld, or not told apart, could make up for it. Nothing here is finer than what a record publishes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fairbank.catalogue.criteria import Criteria
from fairbank.catalogue.facet_index import MEASURES, WITHHELD, FacetIndex, Flags, Numbers, Places
from fairbank.catalogue.facets import matching_cells

# More than any sum of what is published.
NO_BOUND = 2**62
_SUBJECTS = MEASURES.index("subjects")


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many subjects each dataset has that match: surely `least`, at most `most`; (n_datasets,) each.

    Attributes:
        most: `NO_BOUND` where no bound is published.
        withheld: how many of the numbers that were looked at are withheld.
        said: whether any number was looked at.
    """

    least: Numbers
    most: Numbers
    withheld: Numbers
    said: Flags


def feasibility(index: FacetIndex, criteria: Criteria, places: Places) -> dict[str, Any]:
    """Return whether the datasets that match have enough subjects and sites together."""
    # What people described has no counts and no site.
    places = np.array([place for place in places.tolist() if index.nodes[place]], np.int32)
    bounds = _bounds(index, criteria)
    least = sum(bounds.least[places].tolist())
    upper = bounds.most[places].tolist()
    most = None if NO_BOUND in upper else sum(upper)
    withheld = sum(bounds.withheld[places].tolist())
    sites = len({index.nodes[place] for place in places.tolist()})
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
    """Return the bounds of the subjects that are in all parts at once, of datasets with that total.

    A part that says nothing about a dataset is none of its parts; without any, the total stands.

    Source: Fréchet 1935: the overlap of n parts has at least sum(parts) - (n - 1) * total members.

    >>> total = any_of(np.array([0, 1]), np.array([100, 100]), 2)
    >>> parts = [any_of(np.array([0]), np.array([60]), 2), any_of(np.array([0]), np.array([70]), 2)]
    >>> together(parts, total).least, together(parts, total).most
    (array([ 30, 100]), array([ 60, 100]))
    """
    number = sum((part.said.astype(np.int64) for part in parts), np.zeros_like(total.least))
    of_all = sum((part.least for part in parts), np.zeros_like(total.least))
    most = total.most
    for part in parts:
        most = np.where(part.said, np.minimum(most, part.most), most)
    overlap = of_all - (number - 1) * np.where(total.most == NO_BOUND, 0, total.most)
    # Of what has no total, nothing is certain about an overlap.
    several = np.where(total.most == NO_BOUND, 0, np.maximum(overlap, 0))
    least = np.select([number == 0, number == 1], [total.least, of_all], several)
    withheld = sum((part.withheld for part in parts), np.zeros_like(total.least))
    return Bounds(least, most, np.where(number == 0, total.withheld, withheld), total.said)


def any_of(datasets: Places, numbers: Numbers, n_datasets: int) -> Bounds:
    """Return the bounds of the subjects that are in any of several cells of each dataset.

    A subject may be in several: the largest is certain, and only the sum is a limit. A withheld number has no limit
    of its own, because some are withheld only to protect a smaller one beside them.

    Args:
        datasets: the dataset of each cell.
        numbers: the number of each cell, or `WITHHELD`.

    >>> bounds = any_of(np.array([0, 0, 1, 1]), np.array([20, 30, 20, WITHHELD]), 2)
    >>> bounds.least, bounds.most == NO_BOUND, bounds.withheld
    (array([30, 20]), array([False,  True]), array([0, 1]))
    """
    known = np.maximum(numbers, 0)
    least, most = np.zeros(n_datasets, np.int64), np.zeros(n_datasets, np.int64)
    np.maximum.at(least, datasets, known)
    np.add.at(most, datasets, known)
    withheld = np.bincount(datasets[numbers == WITHHELD], minlength=n_datasets)
    said = np.bincount(datasets, minlength=n_datasets) > 0
    return Bounds(least, np.where(withheld > 0, NO_BOUND, most), withheld, said)


def _bounds(index: FacetIndex, criteria: Criteria) -> Bounds:
    n_datasets = len(index.keys)
    parts: list[Bounds] = []
    if criteria.of_cells:
        cells = matching_cells(index, criteria)
        parts.append(any_of(index.cell_dataset[cells], index.cell_numbers[cells, _SUBJECTS], n_datasets))
    for attribute, values in criteria.holds.items():
        rows = index.rows_with(attribute, values)
        parts.append(any_of(index.row_dataset[rows], index.row_subjects[rows], n_datasets))
    everyone = np.arange(n_datasets, dtype=np.int32)
    return together(parts, any_of(everyone, index.totals[:, _SUBJECTS], n_datasets))
