"""A plot for each statistic over several sites, drawn from its result alone, which holds no row of anybody.

Intervals are 95 %: of means by their standard errors and the normal distribution; of differences by Student's
distribution; of curves by Greenwood's standard error, cut at 0 and 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from fairbank.analysis.errors import NothingToMerge
from fairbank.analysis.statistics.question import Kind
from fairbank.analysis.statistics.tails import normal_quantile, t_two_sided
from fairbank.analysis.tool import tool_named, tool_parameters
from fairbank.charts.bars import Amount, Bar, bar_chart
from fairbank.charts.curves import Curve, Step, survival_plot
from fairbank.charts.forest import Estimate, ForestPanel, forest_plot
from fairbank.charts.grid import Grid, grid_chart
from fairbank.charts.histogram import Bin, HistogramPanel, histogram
from fairbank.charts.scale import number_text
from fairbank.errors import FairbankError
from fairbank.ontology.counts import AtLeast, Count, Total

Z95 = normal_quantile(0.975)
EVERYBODY = "all subjects"
WITHHELD = "Some sites withheld groups: each number is at least that many."
# Components whose loadings are shown.
MOST_COMPONENTS = 6
_MOST_BARS = 60
Result = Mapping[str, Any]
Rows = Sequence[Mapping[str, Any]]


def draw_statistic(result: Result, axes: Mapping[str, str] | None = None) -> str:
    """Return the plot of a result (`statistic-result/1`) as SVG; the same result gives the same text.

    Args:
        axes: what a variable is, with its unit, for those that are known; its name stands for others.

    Raises:
        NothingToMerge: if it holds nothing to draw, or values that no axis holds.
    """
    try:
        return _DRAWN[Kind(result["statistic"])](result, axes or {})
    except (ArithmeticError, ValueError, KeyError, TypeError, IndexError, StopIteration) as err:
        raise _nothing(
            "This statistic cannot be drawn.", "It holds nothing to draw, or values too large."
        ) from err


def axes_of(result: Result) -> dict[str, str]:
    """Return what each variable of a result is, with its unit, as far as the tools' columns say."""
    try:
        columns = (
            tool_named("statistics").contract(tool_parameters("statistics", dict(result["question"]))).columns
        )
    except (FairbankError, KeyError, TypeError):
        # A question of another version of the tool.
        return {}
    return {
        column.name: column.meaning.rstrip(".")
        + (f", {column.unit}" if column.unit not in (None, "", "1") else "")
        for column in columns
    }


def _counts(result: Result, axes: Mapping[str, str]) -> str:
    rows = result["rows"]
    if not rows:
        raise ValueError("no group is told")
    bars = [
        Bar(_group(row["group"]), _told(row["subjects"], withheld=row["at_least"]))
        for row in rows[:_MOST_BARS]
    ]
    more = len(rows) - len(bars)
    return bar_chart(
        bars,
        title=f"Subjects{_by(result)}",
        name="statistic",
        head=("Group", "Subjects"),
        note=f"{more} more groups are in the result." if more else "",
    ).alone()


def _withheld(result: Result) -> bool:
    return any(site["withheld"] for site in result["sites"].values())


def _subjects(result: Result) -> str:
    return f"{_told(result['totals']['subjects'], withheld=_withheld(result)).words()} subjects"


def _told(subjects: int | None, *, withheld: bool) -> Total:
    """Return a number of a result as a count; None where no site tells one."""
    if withheld:
        return AtLeast(at_least=subjects or 0, withheld=1)
    return Count.exact(subjects or 0)


def _contingency(result: Result, axes: Mapping[str, str]) -> str:
    rows, totals = result["rows"], result["totals"]
    first, second = (list(dict.fromkeys(row["group"][place] for row in rows)) for place in (0, 1))
    told = {tuple(row["group"]): float(row["subjects"]) for row in rows}
    one, other = result["question"]["groups"]
    # A cell that no site tells is empty only if none withheld any.
    untold = None if _withheld(result) else 0.0
    cells = tuple(tuple(told.get((a, b), untold) for b in second) for a in first)
    table = Grid("", tuple(first), tuple(second), cells, other, untold="withheld")
    test = totals.get("test") or (
        f"Chi-squared {number_text(totals['chi2'])}, df {totals['df']}, {_p(totals['p'])}, "
        f"Cramér's V {number_text(totals['cramers_v'])}"
    )
    return grid_chart(
        [table], title=f"Subjects by {one} and {other}", note=f"{_sentence(test)}{_note(result, ' ')}"
    )


def _histogram(result: Result, axes: Mapping[str, str]) -> str:
    (variable,) = result["question"]["variables"]
    edges = [float(edge) for edge in result["question"]["edges"]]
    told: dict[tuple[str, ...], dict[str, int]] = {}
    for row in result["rows"]:
        told.setdefault(tuple(row["group"][:-1]), {})[row["group"][-1]] = row["subjects"]
    if not told:
        raise ValueError("no bin is told")
    withheld = _withheld(result)
    ends = [
        name for name in (_names(edges)[0], _names(edges)[-1]) if any(name in bins for bins in told.values())
    ]
    panels = [
        HistogramPanel(" / ".join(group), tuple(_bins(edges, bins, ends, withheld=withheld)))
        for group, bins in told.items()
    ]
    return histogram(
        panels,
        title=f"Subjects by {variable}{_by(result, ' and ')}",
        axis=axes.get(variable, variable),
        name="statistic",
        note="Some sites withheld bins." if withheld else "",
    ).alone()


def _bins(
    edges: Sequence[float], told: Mapping[str, int], ends: Sequence[str], *, withheld: bool
) -> list[Bin]:
    below, *inner, above = _names(edges)

    def count(name: str) -> Total:
        return _told(told.get(name), withheld=withheld)

    bins = [
        Bin(low, high, count(name), name) for name, (low, high) in zip(inner, pairwise(edges), strict=True)
    ]
    if below in ends:
        start = edges[0] - (edges[1] - edges[0])
        bins.insert(0, Bin(start, edges[0], count(below), below, is_open=True))
    if above in ends:
        end = edges[-1] + (edges[-1] - edges[-2])
        bins.append(Bin(edges[-1], end, count(above), above, is_open=True))
    return bins


def _quantiles(result: Result, axes: Mapping[str, str]) -> str:
    (variable,) = result["question"]["variables"]
    estimates = []
    for row in result["rows"]:
        ends = [end for end in (row["from"], row["to"]) if end is not None]
        if not ends:
            continue
        value = row["estimate"] if row["estimate"] is not None else ends[0]
        share = f"{100 * float(row['probability']):g} %"
        open_end = (
            ""
            if len(ends) == 2
            else ", below the first edge"
            if row["from"] is None
            else ", from the last edge on"
        )
        low, high = (ends[0], ends[-1]) if len(ends) == 2 else (None, None)
        estimates.append(
            Estimate(f"{share} of subjects do not exceed{open_end}", None, value, low, high, 0.3)
        )
    return forest_plot(
        [ForestPanel("", tuple(estimates), None)],
        title=f"Quantiles of {variable}, {_subjects(result)}",
        axis=axes.get(variable, variable),
        interval="estimate, and the edges between which it lies for certain",
        note="Lines: the edges between which a quantile lies for certain.",
    )


def _describe(result: Result, axes: Mapping[str, str]) -> str:
    panels = []
    for variable in result["question"]["variables"]:
        estimates = tuple(
            Estimate(
                _group(row["group"]),
                row["subjects"],
                row["mean"],
                row["mean"] - Z95 * row["standard_error"],
                row["mean"] + Z95 * row["standard_error"],
                0.3,
            )
            for row in result["rows"]
            if row["variable"] == variable
        )
        panels.append((ForestPanel(variable, estimates, None), axes.get(variable, variable)))
    title = f"Mean and 95 % interval{_by(result)}"
    if len(panels) == 1:
        return forest_plot([panels[0][0]], title=title, axis=panels[0][1], note=_note(result))
    named = [ForestPanel(axis, panel.estimates, None) for panel, axis in panels]
    return forest_plot(named, title=title, axis="", note=_note(result))


def _t_test(result: Result, axes: Mapping[str, str]) -> str:
    panels = []
    for row in result["rows"]:
        half = t_quantile(row["df"]) * abs(row["difference"] / row["t"]) if row["t"] else None
        label = f"difference, {_p(row['p'])}"
        low, high = (None, None) if half is None else (row["difference"] - half, row["difference"] + half)
        panels.append(
            ForestPanel(
                axes.get(row["variable"], row["variable"]),
                (Estimate(label, None, row["difference"], low, high, 0.3),),
                None,
            )
        )
    one, other = result["rows"][0]["groups"]
    return forest_plot(
        panels,
        title=f"{_group(one)} less {_group(other)}, {_subjects(result)}",
        axis="Difference of means",
        interval="difference and 95 % interval (Welch)",
        reference=0.0,
    )


def _anova(result: Result, axes: Mapping[str, str]) -> str:
    bars = []
    for row in result["rows"]:
        share = row["between"] / (row["between"] + row["within"])
        bars.append(Bar(row["variable"], Amount(share, f"{100 * share:.1f} %, {_p(row['p'])}")))
    title = f"Part of the variance that lies between groups{_by(result)}"
    return bar_chart(bars, title=title, name="statistic", head=("Variable", "Part of the variance")).alone()


def _coefficients(result: Result, axes: Mapping[str, str]) -> str:
    """Draw a linear model: each coefficient in a panel of its own, because their units differ."""
    df = result["totals"]["df"]
    panels = []
    for row in result["rows"]:
        if row["variable"] == "(intercept)":
            continue
        half = t_quantile(df) * row["standard_error"]
        ends = (row["coefficient"] - half, row["coefficient"] + half)
        label = f"per unit, {_p(row['p'])}" if "p" in row else "per unit"
        name = axes.get(row["variable"], row["variable"])
        panels.append(ForestPanel(name, (Estimate(label, None, row["coefficient"], *ends, 0.3),), None))
    outcome = result["question"]["outcome"]
    totals = result["totals"]
    return forest_plot(
        panels,
        title=f"What {outcome} changes by, {_subjects(result)}",
        axis=f"Change of: {axes.get(outcome, outcome)}",
        interval="coefficient and 95 % interval",
        reference=0.0,
        note=f"R² {number_text(totals['r_squared'])}.",
    )


def _ratios(result: Result, axes: Mapping[str, str]) -> str:
    """Draw a logistic or a Cox model: odds or hazard ratios on a logarithmic axis."""
    cox = result["statistic"] == Kind.COX
    estimates = []
    for row in result["rows"]:
        if row["variable"] == "(intercept)":
            continue
        half = Z95 * row["standard_error"]
        low, value, high = (math.exp(row["coefficient"] + part * half) for part in (-1, 0, 1))
        name = axes.get(row["variable"], row["variable"])
        estimates.append(Estimate(f"{name}, {_p(row['p'])}", None, value, low, high, 0.3))
    totals = result["totals"]
    title = f"{'Hazard' if cox else 'Odds'} ratios of {result['question']['event' if cox else 'outcome']}"
    notes = [f"{_subjects(result)}" + (f", {totals['events']:,} events" if cox else "")]
    if not totals["converged"]:
        notes.append("the fit has not converged")
    return forest_plot(
        [ForestPanel("", tuple(estimates), None)],
        title=title,
        axis=f"{'Hazard' if cox else 'Odds'} ratio per unit",
        interval="ratio and 95 % interval",
        reference=1.0,
        ratios=True,
        note=f"{'; '.join(notes)}.",
    )


def _kaplan_meier(result: Result, axes: Mapping[str, str]) -> str:
    question, totals = result["question"], result["totals"]
    edges = [float(edge) for edge in question["edges"]]
    # A bin's events come before its end; those of the last, which is open, at the last edge.
    ends = dict(zip(_names(edges), (*edges, edges[-1]), strict=True))
    origin = min(0.0, edges[0])
    steps: dict[tuple[str, ...], list[Step]] = {}
    for row in result["rows"]:
        of = steps.setdefault(tuple(row["group"]), [])
        if not of:
            of.append(Step(origin, 1.0, 1.0, 1.0, row["at_risk"]))
        if row["at_risk"] == 0 or row["time"] == _names(edges)[-1]:
            continue
        half = Z95 * row["standard_error"]
        low, high = max(0.0, row["survival"] - half), min(1.0, row["survival"] + half)
        of.append(Step(ends[row["time"]], row["survival"], low, high, row["at_risk"]))
    following = {
        (tuple(row["group"]), row["time"]): later["at_risk"]
        for row, later in pairwise(result["rows"])
        if row["group"] == later["group"]
    }
    names = {end: name for name, end in ends.items() if name != _names(edges)[-1]}
    curves = []
    for group, of in steps.items():
        # At risk from a moment on are those of the bin that begins there.
        told = [
            Step(
                s.at,
                s.part,
                s.low,
                s.high,
                following.get((group, names[s.at]), s.at_risk) if place else s.at_risk,
            )
            for place, s in enumerate(of)
        ]
        curves.append(Curve(_group(group), tuple(told)))
    test = f"Log-rank test: {_p(totals['p'])}. " if "p" in totals else ""
    return survival_plot(
        curves,
        title=f"Part without the event ({question['event']}){_by(result)}",
        axis=axes.get(question["time"], question["time"]),
        note=f"{test}Times in bins; who leaves in a bin is at risk in it.{_note(result, ' ')}",
    )


def _pca(result: Result, axes: Mapping[str, str]) -> str:
    rows = result["rows"]
    shares = Grid(
        "Part of the variance, percent",
        tuple(f"component {row['component']}" for row in rows),
        ("each", "up to here"),
        tuple(
            (100 * row["share"], 100 * math.fsum(one["share"] for one in rows[: place + 1]))
            for place, row in enumerate(rows)
        ),
    )
    shown = rows[:MOST_COMPONENTS]
    loadings = Grid(
        "Loadings",
        tuple(result["totals"]["variables"]),
        tuple(f"comp. {row['component']}" for row in shown),
        tuple(tuple(row["loadings"][name] for row in shown) for name in result["totals"]["variables"]),
    )
    scale = result["totals"]["scale"]
    return grid_chart([shares, loadings], title=f"Principal components ({scale}), {_subjects(result)}")


def _combat(result: Result, axes: Mapping[str, str]) -> str:
    sites = tuple(dict.fromkeys(row["site"] for row in result["rows"]))
    names = tuple(result["question"]["variables"])
    told = {(row["site"], row["variable"]): row for row in result["rows"]}
    grids = [
        Grid(
            "Shift, in standard deviations",
            names,
            sites,
            tuple(tuple(told[s, n]["shift"] for s in sites) for n in names),
        ),
        Grid(
            "Factor of the variance",
            names,
            sites,
            tuple(tuple(told[s, n]["factor"] for s in sites) for n in names),
        ),
    ]
    return grid_chart(
        grids,
        title="How sites differ (ComBat)",
        note="A shift of 0 and a factor of 1: like all sites together.",
    )


_DRAWN: Mapping[Kind, Callable[[Result, Mapping[str, str]], str]] = {
    Kind.COUNT: _counts,
    Kind.CONTINGENCY: _contingency,
    Kind.HISTOGRAM: _histogram,
    Kind.QUANTILES: _quantiles,
    Kind.DESCRIBE: _describe,
    Kind.T_TEST: _t_test,
    Kind.ANOVA: _anova,
    Kind.LINEAR: _coefficients,
    Kind.LOGISTIC: _ratios,
    Kind.COX: _ratios,
    Kind.KAPLAN_MEIER: _kaplan_meier,
    Kind.PCA: _pca,
    Kind.COMBAT: _combat,
}


def t_quantile(df: float) -> float:
    """Return the t with P(|T| >= t) = 0.05 of Student's distribution, by bisection.

    >>> round(t_quantile(10), 6), round(t_quantile(1e6), 3)
    (2.228139, 1.96)
    """
    low, high = 0.0, 1e6
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if t_two_sided(middle, df) > 0.05 else (low, middle)
    return (low + high) / 2


def _names(edges: Sequence[float]) -> list[str]:
    import numpy as np

    from fairbank.analysis.statistics.grouped import bin_names

    return list(bin_names(np.array(edges)))


def _group(group: Sequence[str]) -> str:
    return " / ".join(group) if group else EVERYBODY


def _by(result: Result, joined: str = " by ") -> str:
    groups = result["question"]["groups"]
    return f"{joined}{' and '.join(groups)}" if groups else ""


def _note(result: Result, before: str = "") -> str:
    return f"{before}{WITHHELD}" if any(site["withheld"] for site in result["sites"].values()) else ""


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _nothing(what: str, why: str) -> NothingToMerge:
    return NothingToMerge(what, why=why, todo="See the numbers in result.json and table.csv of the job.")
