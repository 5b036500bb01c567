"""Plots of merged tables: distribution and forest plot by site, agreement of two measurements, what was left out.

Sources: Borenstein et al. 2009, Introduction to meta-analysis, chapter 11 (fixed effect, weights are inverse
variances); Bland and Altman 1986, for the agreement.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from enum import StrEnum
from statistics import NormalDist, fmean, stdev

from fairbank.analysis.contract import Column, ColumnType, Row, Value
from fairbank.analysis.errors import NothingToMerge
from fairbank.analysis.merge import SITE, MergedTable
from fairbank.charts.agreement import bland_altman_plot
from fairbank.charts.bars import Bar, bar_chart
from fairbank.charts.forest import Estimate, ForestPanel, forest_plot

# Half the width of a 95 % interval in standard errors.
Z95 = NormalDist().inv_cdf(0.975)
POOLED = "all sites"
_ABOUT_THE_ROW = ("status", "reason")


class PlotKind(StrEnum):
    """What can be drawn of a merged table."""

    DISTRIBUTION = "distribution"
    FOREST = "forest"
    BLAND_ALTMAN = "bland-altman"
    EXCLUSIONS = "exclusions"


def draw(
    kind: PlotKind,
    table: MergedTable,
    column: str | None = None,
    *,
    against: str | None = None,
    other: MergedTable | None = None,
) -> str:
    """Return a plot of a merged table as SVG.

    Args:
        column: the usual one by default, see `MergedTable.to_svg`.
        against: the second measurement of `bland-altman`; of `other`, where that is given.

    Raises:
        NothingToMerge: if there is nothing to draw, or values are so far apart that no axis holds them.
    """
    try:
        match kind:
            case PlotKind.DISTRIBUTION:
                return table.to_svg(column)
            case PlotKind.FOREST:
                return forest(table, column)
            case PlotKind.BLAND_ALTMAN:
                first = table.plotted(column).name
                return bland_altman(table, first, against or first, other=other)
            case PlotKind.EXCLUSIONS:
                return left_out(table)
    except (ArithmeticError, ValueError) as err:
        # What a site sent must not end the merging, nor a command with a stack trace.
        raise _nothing("The values cannot be drawn.", "They are too large, or too far apart.") from err


def forest(table: MergedTable, column: str | None = None) -> str:
    """Return the mean and 95 % interval of each site and of all, as SVG; one panel per modality.

    A site with one value, or with values that are all the same, has no interval and no part in the pooled mean.

    Raises:
        NothingToMerge: if the table has no such column of numbers, or no value in it.
    """
    found = table.plotted(column)
    panels = []
    for modality, by_site in table.values_by_modality(found.name).items():
        panels.append(_panel(modality, by_site))
    if not panels:
        raise _nothing(f"No site has a value of {found.name!r}.", "All series were left out of it.")
    return forest_plot(panels, title=f"{table.tool}: {found.name} by site", axis=table.axis(found))


def bland_altman(table: MergedTable, column: str, against: str, *, other: MergedTable | None = None) -> str:
    """Return how far two measurements of the same biomarker agree, as SVG, over the rows that both have.

    Args:
        against: the column of the second measurement, of `other` where it is given.

    Raises:
        NothingToMerge: if the two are not of one biomarker and unit, or fewer than two rows have both.
    """
    second_table = other or table
    first, second = table.plotted(column), second_table.plotted(against)
    if first.name == second.name and second_table == table:
        raise _nothing("Both measurements are the same column.", "A column always agrees with itself.")
    if first.biomarker is None or (first.biomarker, first.unit) != (second.biomarker, second.unit):
        raise _nothing(
            f"{first.name!r} and {second.name!r} are not the same biomarker in the same unit.",
            "Only two measurements of one quantity can agree; what it is, its code says.",
        )
    pairs = _pairs(table, first, second_table, second)
    if len(pairs) < 2:
        raise _nothing(
            f"{len(pairs)} series have both {first.name!r} and {second.name!r}.",
            "Two at least are needed; and a series has another name in every job, so rows of two jobs never meet.",
        )
    title = f"Agreement of {first.name} and {second.name}"
    return bland_altman_plot(pairs, title=title, axis=table.axis(first))


def left_out(table: MergedTable) -> str:
    """Return how many series each site left out, by reason, as SVG; a hatched block where it does not tell.

    Raises:
        NothingToMerge: if nothing was left out.
    """
    bars = [
        Bar(f"{site}: {one.reason.replace('_', ' ').replace('-', ' ')}", one.series)
        for site, each in table.exclusions.items()
        for one in each
    ]
    if not bars:
        raise _nothing("Nothing was left out.", "Every series was measured in full.")
    title = f"{table.tool}: series left out, by site and reason"
    return bar_chart(bars, title=title, name="exclusions", head=("Site and reason", "Series")).alone()


def _panel(name: str, by_site: Sequence[tuple[str, tuple[float, ...]]]) -> ForestPanel:
    variances = {site: stdev(values) ** 2 / len(values) for site, values in by_site if len(values) > 1}
    # The inverse of the smallest numbers is none.
    weights = {site: 1 / variance for site, variance in variances.items() if variance > 1e-300}
    total = math.fsum(weights.values())
    estimates = []
    for site, values in by_site:
        mean, half = fmean(values), None
        if site in weights:
            half = Z95 * math.sqrt(variances[site])
        estimates.append(
            Estimate(
                site,
                len(values),
                mean,
                mean - half if half is not None else None,
                mean + half if half is not None else None,
                weights.get(site, 0.0) / total if total else 0.0,
            )
        )
    return ForestPanel(name, tuple(estimates), _pooled(estimates, total))


def _pooled(estimates: Sequence[Estimate], total: float) -> Estimate | None:
    """Return the fixed effect: the means weighted by their inverse variances; None of fewer than two sites."""
    taking_part = [one for one in estimates if one.weight > 0]
    if len(taking_part) < 2:
        return None
    mean = math.fsum(one.weight * one.mean for one in taking_part)
    half = Z95 / math.sqrt(total)
    n = sum(one.n or 0 for one in taking_part)
    return Estimate(f"{POOLED}, fixed effect", n, mean, mean - half, mean + half, 1.0)


def _pairs(
    table: MergedTable, first: Column, other: MergedTable, second: Column
) -> list[tuple[float, float]]:
    shared = [
        column.name
        for column in table.columns
        if (
            column.type in (ColumnType.ROW_ID, ColumnType.WORD)
            or (column.type is ColumnType.INTEGER and column.unit is None)
        )
        and column.name not in _ABOUT_THE_ROW
        and column.name in {each.name for each in other.columns}
    ]
    left, right = _by_name(table.rows, shared), _by_name(other.rows, shared)
    pairs = (
        (left[name][first.name], right[name][second.name]) for name in sorted(left.keys() & right.keys())
    )
    return [
        (float(one), float(two))
        for one, two in pairs
        if isinstance(one, int | float) and isinstance(two, int | float)
    ]


def _by_name(rows: Iterable[Row], words: Sequence[str]) -> dict[tuple[str, ...], Row]:
    """Return rows by site and by what they are of; those that are not told apart are left out."""
    named: list[tuple[tuple[str, ...], Row]] = [
        (tuple(_text(row.get(word)) for word in (SITE, *words)), row) for row in rows
    ]
    often = Counter(name for name, _ in named)
    return {name: row for name, row in named if often[name] == 1}


def _text(value: Value) -> str:
    return "" if value is None else str(value)


def _nothing(what: str, why: str) -> NothingToMerge:
    return NothingToMerge(what, why=why, todo="Choose other columns; table.json of the job lists them.")
