"""What is certain of the datasets that match, as totals over several.

Subjects do not add up: one may be in many cells and at several sites. So a total over several datasets is what is
certain at each of them, added up, and says that it is not de-duplicated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fairbank.catalogue.criteria import Criteria
from fairbank.catalogue.facet_index import MEASURES, WITHHELD, FacetIndex, Numbers, Places
from fairbank.catalogue.facets import matching_cells
from fairbank.ontology.counts import AtLeast


@dataclass(frozen=True, slots=True)
class Certain:
    """What is certain of each dataset: (n_datasets, 3) by `MEASURES`.

    Attributes:
        suppressed: how many numbers are said to be below k.
        unknown: how many are not told for another reason.
    """

    least: Numbers
    suppressed: Numbers
    unknown: Numbers

    def of(self, place: int) -> dict[str, Any]:
        """Return what is certain of one dataset; `counts` tells a 0 from a number that is withheld."""
        suppressed = dict(zip(MEASURES, self.suppressed[place].tolist(), strict=True))
        least = dict(zip(MEASURES, self.least[place].tolist(), strict=True))
        counts = {measure: self._at_least([place], number) for number, measure in enumerate(MEASURES)}
        return {**least, "suppressed": suppressed, "counts": counts}

    def totals(self, places: Places) -> dict[str, dict[str, Any]]:
        """Return what is certain of several datasets together."""
        totals: dict[str, dict[str, Any]] = {}
        for number, measure in enumerate(MEASURES):
            at_least = sum(self.least[places, number].tolist())
            cells = sum(self.suppressed[places, number].tolist())
            totals[measure] = {
                "at_least": at_least,
                "suppressed_cells": cells,
                "count": self._at_least(places, number),
                "text": f"at least {at_least}; {cells} cells suppressed; not de-duplicated across sites",
            }
        return totals

    def _at_least(self, places: Places | list[int], number: int) -> dict[str, Any]:
        found = AtLeast(
            at_least=sum(self.least[places, number].tolist()),
            withheld=sum(self.suppressed[places, number].tolist()),
            unknown=sum(self.unknown[places, number].tolist()),
        )
        return found.model_dump(mode="json")


def of_totals(index: FacetIndex) -> Certain:
    """Return what is certain of each dataset as a whole."""
    below = index.totals_below.astype(np.int64)
    return Certain(np.maximum(index.totals, 0), below, (index.totals == WITHHELD).astype(np.int64) - below)


def of_cells(index: FacetIndex, criteria: Criteria) -> Certain:
    """Return what is certain of each dataset's cells that match."""
    cells = matching_cells(index, criteria)
    datasets, numbers = index.cell_dataset[cells], np.maximum(index.cell_numbers[cells], 0)
    least = np.zeros((len(index.keys), len(MEASURES)), np.int64)
    suppressed, unknown = np.zeros_like(least), np.zeros_like(least)
    for number, measure in enumerate(MEASURES):
        # A series is in one cell, so series add up; a study or subject may be in several: the largest is certain.
        together = np.add if measure == "series" else np.maximum
        together.at(least[:, number], datasets, numbers[:, number])
        below = index.cell_below[cells, number]
        suppressed[:, number] = np.bincount(datasets[below], minlength=len(index.keys))
        silent = (index.cell_numbers[cells, number] == WITHHELD) & ~below
        unknown[:, number] = np.bincount(datasets[silent], minlength=len(index.keys))
    return Certain(least, suppressed, unknown)
