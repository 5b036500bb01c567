"""The site's part of a statistic: from the table of its subjects and the message of the round to additive sums.

Everything that is told is a sum over subjects, or over the subjects of a group, and meets `sums` and `release.tables`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fairbank.analysis.statistics import grouped
from fairbank.analysis.statistics.grouped import group_axes, summed, used
from fairbank.analysis.statistics.question import Kind, Question
from fairbank.analysis.statistics.site_table import Numbers, SiteTable
from fairbank.analysis.statistics.sums import (
    Cell,
    Limits,
    Places,
    SiteSums,
    Values,
    check_columns,
    check_whole,
    withheld,
)

Message = Mapping[str, Any]


def site_sums(question: Question, table: SiteTable, message: Message | None, limits: Limits) -> SiteSums:
    """Return what a site tells in one round.

    Args:
        message: what the hub made of the round before; None in the first round.

    Raises:
        StatisticRefused: if the table has no such column.
        StatisticWithheld: if what would be told is about few subjects.
    """
    if limits.base > 1 and shapes(question):
        raise withheld(
            "this site rounds what it counts, so no exact sums leave it",
            "Its setting release_rounding_base is not 1.",
        )
    match question.statistic:
        case Kind.COUNT | Kind.CONTINGENCY:
            _, rows = used(question, table)
            return summed(group_axes(question, table), rows, lambda members: {}, limits, fitted=1)
        case Kind.HISTOGRAM | Kind.QUANTILES:
            return _binned(question, table, limits)
        case Kind.DESCRIBE | Kind.T_TEST | Kind.ANOVA:
            return _described(question, table, limits)
        case Kind.KAPLAN_MEIER:
            return _followed(question, table, limits)
        case Kind.LOGISTIC:
            return _logistic(question, table, message, limits)
        case Kind.COX:
            return _cox(question, table, message, limits)
        case Kind.LINEAR | Kind.PCA | Kind.COMBAT:
            return _products(question, table, limits)


def shapes(question: Question) -> dict[str, tuple[int, ...]]:
    """Return the shape of every array that a cell of a statistic holds, by name."""
    d, bins = len(question.variables), question.bins
    match question.statistic:
        case Kind.DESCRIBE | Kind.T_TEST | Kind.ANOVA:
            return {"sum": (d,), "squares": (d,)}
        case Kind.KAPLAN_MEIER:
            return {"censored": (bins,), "events": (bins,)}
        case Kind.LOGISTIC:
            return {"deviance": (1,), "gradient": (d + 1,), "information": (d + 1, d + 1)}
        case Kind.COX:
            return {
                "censored": (bins,),
                "events": (bins,),
                "event_sum": (bins, d),
                "risk": (bins,),
                "risk_sum": (bins, d),
                "risk_products": (bins, d, d),
            }
        case Kind.COMBAT:
            c = len(question.covariates) + 1
            return {"products": (c, c), "with_features": (c, d), "squares": (d,)}
        case Kind.LINEAR | Kind.PCA:
            width = len(question.columns) + 1
            return {"products": (width, width)}
        case _:
            return {}


def _binned(question: Question, table: SiteTable, limits: Limits) -> SiteSums:
    (values,), rows = used(question, table)
    axes = [*group_axes(question, table), grouped.bin_axis(values, edges_of(question))]
    return summed(axes, rows, lambda members: {}, limits, fitted=1)


def _described(question: Question, table: SiteTable, limits: Limits) -> SiteSums:
    columns, rows = used(question, table)
    whole = np.stack(columns, axis=1)

    def sums(members: Places) -> Values:
        part = whole[members]
        check_columns(question.variables, part, limits, products=False)
        return {"sum": part.sum(axis=0), "squares": (part**2).sum(axis=0)}

    return summed(group_axes(question, table), rows, sums, limits, fitted=question.fitted)


def _products(question: Question, table: SiteTable, limits: Limits) -> SiteSums:
    columns, rows = used(question, table)
    check_whole(question, rows, limits)
    part = np.stack(columns, axis=1)[rows]
    design = np.column_stack([np.ones(rows.size), part])
    if question.statistic is not Kind.COMBAT:
        check_columns(question.columns, part, limits, products=True)
        return _one_cell(rows, {"products": design.T @ design})
    check_columns(question.columns, part, limits, products=True)
    d = len(question.variables)
    features, known = part[:, :d], np.column_stack([np.ones(rows.size), part[:, d:]])
    return _one_cell(
        rows,
        {
            "products": known.T @ known,
            "with_features": known.T @ features,
            "squares": (features**2).sum(axis=0),
        },
    )


def _logistic(question: Question, table: SiteTable, message: Message | None, limits: Limits) -> SiteSums:
    columns, rows = used(question, table)
    check_whole(question, rows, limits)
    part = np.stack(columns, axis=1)[rows]
    _require_indicator(part[:, -1])
    check_columns(question.columns, part, limits, products=True)
    design, outcome = np.column_stack([np.ones(rows.size), part[:, :-1]]), part[:, -1]
    linear = design @ beta_of(message, design.shape[1])
    # log(1 + exp(x)) without overflow.
    deviance = 2.0 * float((np.logaddexp(0.0, linear) - outcome * linear).sum())
    chance = 0.5 * (1.0 + np.tanh(0.5 * linear))
    weight = chance * (1.0 - chance)
    return _one_cell(
        rows,
        {
            "deviance": np.array([deviance]),
            "gradient": design.T @ (outcome - chance),
            "information": (design * weight[:, None]).T @ design,
        },
    )


def _cox(question: Question, table: SiteTable, message: Message | None, limits: Limits) -> SiteSums:
    columns, rows = used(question, table)
    check_whole(question, rows, limits)
    part = np.stack(columns, axis=1)[rows]
    design, time, event = part[:, :-2], part[:, -2], part[:, -1]
    check_columns(question.variables, design, limits, products=True)
    bins = grouped.bin_axis(time, edges_of(question)).places
    events, censored = _left(bins, event, question.bins, limits)
    weight = np.exp(design @ beta_of(message, design.shape[1]))
    d, happened = design.shape[1], event == 1.0
    event_sum, risk = np.zeros((question.bins, d)), np.zeros(question.bins)
    risk_sum, risk_products = np.zeros((question.bins, d)), np.zeros((question.bins, d, d))
    for number in range(question.bins):
        at_risk = bins >= number
        event_sum[number] = design[(bins == number) & happened].sum(axis=0)
        x, w = design[at_risk], weight[at_risk]
        risk[number], risk_sum[number] = w.sum(), w @ x
        risk_products[number] = (x * w[:, None]).T @ x
    values = {
        "censored": censored,
        "events": events,
        "event_sum": event_sum,
        "risk": risk,
        "risk_sum": risk_sum,
        "risk_products": risk_products,
    }
    return _one_cell(rows, values)


def _followed(question: Question, table: SiteTable, limits: Limits) -> SiteSums:
    (time, event), rows = used(question, table)
    bins = grouped.bin_axis(time, edges_of(question)).places

    def sums(members: Places) -> Values:
        events, censored = _left(bins[members], event[members], question.bins, limits)
        return {"censored": censored, "events": events}

    return summed(group_axes(question, table), rows, sums, limits, fitted=question.fitted)


def _left(bins: Places, event: Numbers, count: int, limits: Limits) -> tuple[Numbers, Numbers]:
    """Return how many subjects had the event, and how many left without it, in each bin of time.

    Raises:
        StatisticWithheld: if either is of few subjects; that it is of none, while many left, is told.
    """
    _require_indicator(event)
    events = np.bincount(bins[event == 1.0], minlength=count)
    censored = np.bincount(bins[event == 0.0], minlength=count)
    if any(0 < number < limits.k for number in (*events.tolist(), *censored.tolist())):
        raise withheld(
            "few subjects had the event, or were followed no longer, in one bin of time",
            f"Each such number has to be 0, or {limits.k} and more, at each site.",
        )
    return events.astype(np.float64), censored.astype(np.float64)


def _require_indicator(values: Numbers) -> None:
    if not bool(np.isin(values, (0.0, 1.0)).all()):
        raise withheld(
            "an outcome or event is not 0 or 1", "Name it as 'column=word', or use a column of 0 and 1."
        )


def _one_cell(rows: Places, values: Values) -> SiteSums:
    return SiteSums((Cell((), rows.size, values, rows),), False, rows, {(): int(rows.size)})


def edges_of(question: Question) -> Numbers:
    """Return the edges of the bins as numbers."""
    return np.array([float(edge) for edge in question.edges], dtype=np.float64)


def beta_of(message: Message | None, size: int) -> Numbers:
    """Return the coefficients of a round; the first starts from zero."""
    if message is None:
        return np.zeros(size)
    return np.array([float(each) for each in message["beta"]], dtype=np.float64).reshape(size)
