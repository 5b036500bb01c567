"""How a model does by sex, age band and maker: a picture of the metric that it is judged by, and a table of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fairbank.charts.forest import Estimate, ForestPanel, forest_plot
from fairbank.federated_jobs.objectives import headline
from fairbank.federated_jobs.reports.frames import framed, table
from fairbank.federated_jobs.reports.words import kind_words, metric_words, number
from fairbank.federated_jobs.training_record import GroupMetric, TrainingRecord


def groups_section(record: TrainingRecord) -> str:
    """Return the part of a report that tells metrics by group; nothing where no site told any."""
    found = record.by_group()
    if found is None:
        return ""
    told, after = found
    rows = [(site, each) for site, groups in told.items() for each in groups]
    model = "The model" if record.evaluation else f"The model after round {after}"
    caption = (
        f"{model} on the held-out subjects of each site. Groups of few subjects, and what would tell of them, are "
        "left out by each site's gate; values are rounded there."
    )
    return _picture(record, rows) + _table(rows, caption)


def _picture(record: TrainingRecord, rows: Sequence[tuple[str, GroupMetric]]) -> str:
    metric = headline(each.metric for _, each in rows)
    if metric is None:
        return ""
    panels = []
    for kind in sorted({each.kind for _, each in rows}):
        estimates = tuple(
            Estimate(f"{each.group}, {site}", each.n_subjects, each.value, each.low, each.high)
            for site, each in sorted(rows, key=lambda row: (row[1].group, row[0]))
            if each.kind == kind and each.metric == metric
        )
        if estimates:
            panels.append(ForestPanel(kind_words(kind), estimates, None))
    words = metric_words(metric)
    picture = forest_plot(
        panels, title=f"{words} by group", axis=words, interval="value, and 95 % interval where there is one"
    )
    return framed(record, picture, "On the held-out subjects of each site.")


def _table(rows: Sequence[tuple[str, GroupMetric]], caption: str) -> str:
    names = sorted({each.metric for _, each in rows})
    by_group: dict[tuple[str, str, str], dict[str, GroupMetric]] = {}
    for site, each in rows:
        by_group.setdefault((each.kind, each.group, site), {})[each.metric] = each
    cells = [
        [
            kind_words(kind),
            group,
            site,
            str(next(iter(values.values())).n_subjects),
            *(_cell(values, name) for name in names),
        ]
        for (kind, group, site), values in sorted(by_group.items())
    ]
    head = ["By", "Group", "Site", "Subjects", *(metric_words(name) for name in names)]
    return table(head, cells, caption=caption, numbers=range(3, len(head)))


def _cell(values: Mapping[str, GroupMetric], name: str) -> str:
    if name not in values:
        return "–"
    told = values[name]
    if told.low is None or told.high is None:
        return number(told.value)
    return f"{number(told.value)} ({number(told.low)} to {number(told.high)})"
