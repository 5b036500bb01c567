"""Plots of a job for its requester: drawn here, from the table that the hub merged."""

from __future__ import annotations

import json

from fairbank.analysis.merge import MergedTable
from fairbank.analysis.plots import PlotKind, draw
from fairbank.analysis.statistic_plots import axes_of, draw_statistic
from fairbank.federated_jobs.errors import NotYetMerged, OptionRefused
from fairbank.web.api_client import HubApi
from fairbank.web.result_files import RESULT, TABLE, result_text


def plot_job(
    api: HubApi,
    job: str,
    kind: str | None = None,
    column: str | None = None,
    *,
    against: str | None = None,
    other: str | None = None,
) -> str:
    """Return a plot of an analysis, or of a statistic over sites, as SVG.

    Args:
        kind: a word of `PlotKind`, `distribution` by default; a statistic has one plot, and no kind.
        column: of numbers; the usual one by default.
        against: for `bland-altman`, the column of the second measurement; of the job `other`, where that is given.

    Raises:
        OptionRefused: if there is no such kind, or the job is a statistic and options are given.
        NotYetMerged: if a job has no table.
        NothingToMerge: if there is nothing to draw.
    """
    result = result_text(api, job, RESULT)
    if result is not None:
        if (kind, column, against, other) != (None, None, None, None):
            raise OptionRefused(
                "A statistic has one plot, and takes no options.",
                why="It is drawn from its result as a whole.",
                todo="Leave kind and columns out.",
            )
        statistic = json.loads(result)
        return draw_statistic(statistic, axes_of(statistic))
    kind = kind or PlotKind.DISTRIBUTION.value
    if kind not in set(PlotKind):
        raise OptionRefused(
            f"There is no plot {kind!r}.",
            why=f"There are: {', '.join(PlotKind)}.",
            todo="Choose one of them.",
        )
    second = _table(api, other) if other is not None else None
    return draw(PlotKind(kind), _table(api, job), column, against=against, other=second)


def _table(api: HubApi, job: str) -> MergedTable:
    text = result_text(api, job, TABLE)
    if text is None:
        raise NotYetMerged(
            "This job has no table of measurements.",
            why="It goes on, has failed, or measures nothing row by row.",
            todo="See where it stands with 'fairbank job show'.",
        )
    return MergedTable.from_json(text)
