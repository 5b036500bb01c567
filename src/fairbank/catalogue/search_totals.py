"""What is certain of the datasets that match, as totals over several.

Subjects do not add up: one may be in many cells and at several sites. So a total over several datasets is what is
certain at each of them, added up, and says that it is not de-duplicated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fairbank.catalogue.criteria import Criteria
from fairbank.catalogue.facet_index import MEASURES, FacetIndex, Numbers, Places
from fairbank.catalogue.facets import matching_cells


@dataclass(frozen=True, slots=True)
class Certain:
    """What is certain of each dataset: (n_datasets, 3) by `MEASURES`, and how many numbers are said to be below k."""

    least: Numbers
    suppressed: Numbers

    def of(self, place: int) -> dict[str, Any]:
        """Return what is certain of one dataset."""
        suppressed = dict(zip(MEASURES, self.suppressed[place].tolist(), strict=True))
        return {**dict(zip(MEASURES, self.least[place].tolist(), strict=True)), "suppressed": suppressed}

    def totals(self, places: Places) -> dict[str, dict[str, Any]]:
        """Return what is certain of several datasets together."""
        totals: dict[str, dict[str, Any]] = {}
        for number, measure in enumerate(MEASURES):
            at_least = sum(self.least[places, number].tolist())
            cells = sum(self.suppressed[places, number].tolist())
            totals[measure] = {
                "at_least": at_least,
                "suppressed_cells": cells,
                "text": f"at least {at_least}; {cells} cells suppressed; not de-duplicated across sites",
            }
        return totals


def of_totals(index: FacetIndex) -> Certain:
    """Return what is certain of each dataset as a whole."""
    return Certain(np.maximum(index.totals, 0), index.totals_below.astype(np.int64))


def of_cells(index: FacetIndex, criteria: Criteria) -> Certain:
    """Return what is certain of each dataset's cells that match."""
    cells = matching_cells(index, criteria)
    datasets, numbers = index.cell_dataset[cells], np.maximum(index.cell_numbers[cells], 0)
    least = np.zeros((len(index.keys), len(MEASURES)), np.int64)
    suppressed = np.zeros_like(least)
    for number, measure in enumerate(MEASURES):
        # A series is in one cell, so series add up; a study or subject may be in several: the largest is certain.
        together = np.add if measure == "series" else np.maximum
        together.at(least[:, number], datasets, numbers[:, number])
        below = index.cell_below[cells, number]
        suppressed[:, number] = np.bincount(datasets[below], minlength=len(index.keys))
    return Certain(least, suppressed)
