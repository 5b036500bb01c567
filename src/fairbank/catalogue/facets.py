"""Which datasets match, and how many have each value that could be chosen.

What a facet may tell: it reads published rows only, and of those only what a row says openly. A dataset has a value of
a distribution if its record lists the value with a number of subjects, or openly as "fewer than k". A value that the
record does not list, or lists with no statement of subjects (not countable, waiting, declined), is not had, and
nothing is worked out from the rest of a total. A facet counts datasets, never subjects, and a value chosen of a
distribution selects datasets: it never narrows a count, because the overlap of two published numbers is not published.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fairbank.catalogue.criteria import AXES, OF_DATASETS, OF_DISTRIBUTIONS, Criteria, OfDataset
from fairbank.catalogue.facet_index import FacetIndex, Flags, Places, held, with_broader

_CELLS = "cells"


@dataclass(frozen=True, slots=True)
class Selection:
    """The datasets that a caller may see and whose words match, and which of them pass each other choice.

    Attributes:
        ordered: their places in the index, best first.
        passing: the datasets that pass, by facet, attribute of a distribution (`holds:sex`), or `cells`.
    """

    index: FacetIndex
    ordered: Places
    passing: dict[str, Flags]

    def matching(self, *, without: Collection[str] = ()) -> Flags:
        """Return which datasets pass every choice, or every choice but some."""
        found = np.zeros(len(self.index.keys), np.bool_)
        found[self.ordered] = True
        for name, passes in self.passing.items():
            if name not in without:
                found &= passes
        return found

    def places(self) -> Places:
        """Return the places of the datasets that pass every choice, best first."""
        return self.ordered[self.matching()[self.ordered]]


def choose(index: FacetIndex, criteria: Criteria, ordered: Sequence[int]) -> Selection:
    """Return what passes each choice.

    Args:
        ordered: the places of the datasets that a caller may see and whose words match, best first.
    """
    passing = {
        facet.name: index.having(_kept_as(facet, criteria), criteria.facets[facet.name])
        for facet in OF_DATASETS
        if criteria.facets.get(facet.name)
    }
    for attribute, values in criteria.holds.items():
        passing[held(attribute)] = index.having(held(attribute), values)
    if criteria.of_cells:
        passing[_CELLS] = index.of_cells(matching_cells(index, criteria))
    return Selection(index, np.array(ordered, np.int32), passing)


def matching_cells(index: FacetIndex, criteria: Criteria, *, without: str = "") -> Flags:
    """Return which cells match what was chosen of all axes, or of all axes but one."""
    found = np.ones(len(index.cell_dataset), np.bool_)
    for axis, values in criteria.axes.items():
        if values and axis != without:
            found &= index.cells_with(axis, criteria.wanted(axis))
    return found


def counted(criteria: Criteria, selection: Selection) -> dict[str, list[dict[str, Any]]]:
    """Return the values of each facet with the number of datasets that have it, the most frequent first.

    A facet's own choice is left out when its values are counted, so that the alternatives to it stay on offer.
    """
    index = selection.index
    counts = index.counts(selection.matching())
    kept_as = {facet.name: _kept_as(facet, criteria) for facet in OF_DATASETS}
    for name in selection.passing:
        if name != _CELLS:
            kept = kept_as.get(name, name)
            counts[kept] = index.counts(selection.matching(without=(name,))).get(kept, {})
    facets = {axis: _listed(_of_axis(criteria, selection, axis, counts)) for axis in AXES}
    for facet in OF_DATASETS:
        facets[facet.name] = _listed(counts.get(kept_as[facet.name], {}))
        if facet.label is not None:
            for entry in facets[facet.name]:
                entry["label"] = facet.label(entry["value"])
    facets |= {facet.name: _listed(counts.get(held(facet.attribute), {})) for facet in OF_DISTRIBUTIONS}
    facets["holds"] = _listed(_others(counts))
    return facets


def _kept_as(facet: OfDataset, criteria: Criteria) -> str:
    """Return the facet of the index that answers for one of datasets."""
    return facet.name if facet.broader is None or criteria.exact else with_broader(facet.name)


def _of_axis(
    criteria: Criteria, selection: Selection, axis: str, counts: Mapping[str, dict[str, int]]
) -> dict[str, int]:
    # A broader part finds the datasets of its parts, each once; so it is counted as it would be found.
    with_parts = axis == "body_part" and not criteria.exact
    if not criteria.of_cells:
        return counts.get(with_broader(axis) if with_parts else axis, {})
    cells = matching_cells(selection.index, criteria, without=axis)
    datasets = selection.matching(without=(_CELLS,))
    return selection.index.counts_on(axis, cells, datasets, with_parts=with_parts)


def _others(counts: Mapping[str, dict[str, int]]) -> dict[str, int]:
    """Return the counts of the distributions that have no facet of their own."""
    named = {held(facet.attribute) for facet in OF_DISTRIBUTIONS}
    return {
        f"{facet.removeprefix(held(''))}={value}": number
        for facet, values in counts.items()
        if facet.startswith(held("")) and facet not in named
        for value, number in values.items()
    }


def _listed(counts: Mapping[str, int]) -> list[dict[str, Any]]:
    ordered = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    return [{"value": value, "datasets": number} for value, number in ordered]
