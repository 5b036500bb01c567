"""Counts of all sites together: by group, as a contingency table, and quantiles from counts in bins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from fairbank.analysis.errors import StatisticUndetermined
from fairbank.analysis.statistics.question import Question
from fairbank.analysis.statistics.site_table import Numbers
from fairbank.analysis.statistics.sums import Told, added_up
from fairbank.analysis.statistics.tails import chi2_upper

Rows = list[dict[str, Any]]
Finished = tuple[Rows, dict[str, Any]]


def counts(question: Question, sites: Mapping[str, Told]) -> Finished:
    """Return how many subjects each group has; where a site withheld groups, that many at least."""
    rows = [
        {"group": list(group), "subjects": subjects, "at_least": _somebody_withheld(sites)}
        for group, (subjects, _) in added_up(sites).items()
    ]
    return rows, {"subjects": sum(each.subjects for each in sites.values())}


def contingency(question: Question, sites: Mapping[str, Told]) -> Finished:
    """Return the table of two columns, and Pearson's chi-squared test of their independence.

    A site that withheld a cell makes the test impossible; the table stands.

    Source: Agresti, Categorical Data Analysis (3rd ed.), section 3.2.1; Cramér's V, section 2.4.
    """
    rows, totals = counts(question, sites)
    if _somebody_withheld(sites):
        return rows, {**totals, "test": "not possible: a site withheld cells"}
    first, second = (
        {name: None for row in rows for name in row["group"][axis : axis + 1]} for axis in (0, 1)
    )
    table = np.zeros((len(first), len(second)))
    for row in rows:
        table[list(first).index(row["group"][0]), list(second).index(row["group"][1])] = row["subjects"]
    degrees = (table.shape[0] - 1) * (table.shape[1] - 1)
    if degrees < 1:
        return rows, {**totals, "test": "not possible: a column has one word only"}
    n = table.sum()
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / n
    chi2 = float(((table - expected) ** 2 / expected).sum())
    test = {"chi2": chi2, "df": degrees, "p": chi2_upper(chi2, degrees)}
    return rows, {**totals, **test, "cramers_v": float(np.sqrt(chi2 / (n * (min(table.shape) - 1))))}


def quantiles(question: Question, sites: Mapping[str, Told]) -> Finished:
    """Return in which bin each quantile lies, for certain, and a value within it by linear interpolation.

    The quantile of p is the smallest value that a share p of all subjects does not exceed. Where sites withheld bins,
    the range is as wide as it can be without knowing them.

    Raises:
        StatisticUndetermined: if no bin is told.
    """
    edges = np.array([float(edge) for edge in question.edges], dtype=np.float64)
    low, high = _cumulative(sites, question.bins, edges)
    total = sum(each.subjects for each in sites.values())
    rows = []
    for share in question.probabilities:
        wanted = float(share) * total
        # The first bin by whose end enough subjects may have come, and the first by whose end enough must have.
        first, last = int(np.argmax(high >= wanted - 1e-9)), int(np.argmax(low >= wanted - 1e-9))
        row: dict[str, Any] = {
            "probability": str(share),
            "from": None if first == 0 else float(edges[first - 1]),
            "to": None if last == len(edges) else float(edges[last]),
            "estimate": None,
        }
        if row["from"] is not None and row["to"] is not None:
            row["estimate"] = _between(row["from"], row["to"], wanted, (low + high) / 2, (first, last))
        rows.append(row)
    return rows, {"subjects": total}


def _between(start: float, end: float, wanted: float, middle: Numbers, bins: tuple[int, int]) -> float:
    first, last = bins
    before = float(middle[first - 1]) if first else 0.0
    inside = float(middle[last]) - before
    part = (wanted - before) / inside if inside > 0 else 0.5
    return start + (end - start) * min(max(part, 0.0), 1.0)


def _cumulative(sites: Mapping[str, Told], bins: int, edges: Numbers) -> tuple[Numbers, Numbers]:
    """Return how many subjects lie in the bins up to each one: at least, and at most."""
    from fairbank.analysis.statistics.grouped import bin_names

    places = {name: place for place, name in enumerate(bin_names(edges))}
    low, high = np.zeros(bins), np.zeros(bins)
    for each in sites.values():
        told = np.zeros(bins)
        for name, subjects in _bins(each):
            if name not in places:
                raise StatisticUndetermined(
                    "A site told a bin that was not asked for.",
                    why="Its bins are not those of the question.",
                    todo="The site and the hub must use the same version of fairbank.",
                )
            told[places[name]] = subjects
        rest = each.subjects - told.sum()
        cumulative = np.cumsum(told)
        # Withheld subjects are in bins that are not told: perhaps all of them before, perhaps all of them behind.
        untold = np.cumsum(told == 0)
        high += cumulative + np.where(untold > 0, rest, 0.0)
        low += cumulative + np.where(untold == untold[-1], rest, 0.0)
    return low, high


def _bins(told: Told) -> Iterator[tuple[str, int]]:
    for group, (subjects, _) in told.cells.items():
        yield group[-1], subjects


def _somebody_withheld(sites: Mapping[str, Told]) -> bool:
    return any(each.withheld for each in sites.values())
