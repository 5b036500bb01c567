"""Plots of a job for its requester: drawn here, from the table that the hub merged."""

from __future__ import annotations

from fairbank.analysis.merge import MergedTable
from fairbank.analysis.plots import PlotKind, draw
from fairbank.federated_jobs.errors import NotYetMerged, OptionRefused
from fairbank.web.api_client import HubApi
from fairbank.web.result_files import TABLE, result_text


def plot_job(
    api: HubApi,
    job: str,
    kind: str,
    column: str | None = None,
    *,
    against: str | None = None,
    other: str | None = None,
) -> str:
    """Return a plot of an analysis as SVG.

    Args:
        kind: a word of `PlotKind`.
        column: of numbers; the usual one by default.
        against: for `bland-altman`, the column of the second measurement; of the job `other`, where that is given.

    Raises:
        OptionRefused: if there is no such kind.
        NotYetMerged: if a job has no table.
        NothingToMerge: if there is nothing to draw.
    """
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
