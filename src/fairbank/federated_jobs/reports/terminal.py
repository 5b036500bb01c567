"""A training in a terminal: a curve for each site, the worst one marked, how long it will take; or lines for a log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from fairbank.clock import parse_iso
from fairbank.federated_jobs.objectives import higher_is_better, newest, worst_site
from fairbank.federated_jobs.reports.rows import round_rows
from fairbank.federated_jobs.reports.words import duration, metric_words, number, size
from fairbank.federated_jobs.states import JobState
from fairbank.federated_jobs.training_record import RoundOfTraining, TrainingRecord

if TYPE_CHECKING:
    from rich.console import RenderableType

_BLOCKS = "▁▂▃▄▅▆▇█"
_LONGEST_CURVE, _SHORTEST_CURVE = 40, 6
# Below this width the columns that tell least are left out.
_NARROW = 64
# Below this there is no room for a word.
_TINY = 40
_METRICS = 2
_RECENT = 5


def screen(record: TrainingRecord, *, now: datetime, width: int) -> RenderableType:
    """Return what a terminal of some width shows of a training."""
    from rich.console import Group
    from rich.text import Text

    head = Text(record.title, style="bold", no_wrap=True, overflow="ellipsis")
    parts: list[RenderableType] = [head, _progress(record, now=now, width=width)]
    for metric in record.metrics()[:_METRICS]:
        curves = record.merged_curve(metric)
        kind = "merged model"
        if not curves:
            curves, kind = record.local_curve(metric), "own model"
        better = {True: " (more is better)", False: " (less is better)", None: ""}[higher_is_better(metric)]
        title = Text(f"{metric_words(metric)}, {kind}", style="bold", no_wrap=True, overflow="ellipsis")
        if width >= _NARROW:
            title.append(better, style="dim not bold")
        parts += [Text(""), title, _curves(metric, curves, width=width)]
    parts += [Text(""), _states(record, width=width)]
    standing = record.standing()
    if standing is not None:
        found, after = standing
        parts.append(
            Text(
                f"{record.objective.value} of {metric_words(found.metric)} after round {after}: "
                f"{number(found.value)}; worst at {found.worst}; {record.origin.value} data"
            )
        )
    return Group(*parts)


def sparkline(values: Sequence[float | None], *, low: float, high: float, width: int) -> str:
    """Return values as a row of blocks, the newest at the right; of more than fit the newest of each piece.

    >>> sparkline([0.0, None, 0.5, 1.0], low=0.0, high=1.0, width=8)
    '▁ ▅█'
    """
    if len(values) > width:
        values = [values[(at + 1) * len(values) // width - 1] for at in range(width)]
    span, top = high - low, len(_BLOCKS) - 1
    return "".join(
        " " if value is None else _BLOCKS[round(top * (value - low) / span) if span > 0 else top // 2]
        for value in values
    )


def left_s(record: TrainingRecord, *, now: datetime) -> float | None:
    """Return how many seconds a training may still take, by its last rounds; None where nobody can tell."""
    times = [row.wall_s for row in round_rows(record) if row.wall_s is not None][-_RECENT:]
    if not times or record.state not in (JobState.RUNNING, JobState.DEGRADED):
        return None
    mean = sum(times) / len(times)
    current = next((one for one in record.done if one.closed is None), None)
    gone = (now - parse_iso(current.opened)).total_seconds() if current is not None else 0.0
    ahead = record.rounds - sum(one.closed is not None for one in record.done)
    return max(0.0, ahead * mean - min(gone, mean))


def lines_of(record: TrainingRecord, *, after: int) -> Iterator[str]:
    """Yield one line for each round that was closed after a round, for logs and pipes."""
    metrics = record.metrics()
    for one in record.done:
        if one.round > after and one.closed is not None:
            yield _line(record, one, metrics[0] if metrics else None)


def _line(record: TrainingRecord, one: RoundOfTraining, metric: str | None) -> str:
    row = next(each for each in round_rows(record) if each.round == one.round)
    said = f"round {one.round} of {record.rounds}: {row.updates} updates in {duration(row.wall_s)}, "
    said += f"{size(row.bytes_up)} up, {size(row.bytes_down)} down"
    if metric is None:
        return said
    values = one.values(f"after_{metric}") or one.values(f"before_{metric}")
    worst = worst_site(values, metric)
    told = ", ".join(
        f"{site} {number(value)}{' (worst)' if site == worst and len(values) > 1 else ''}"
        for site, value in sorted(values.items())
    )
    return f"{said}; {metric_words(metric)}: {told}" if told else said


def _progress(record: TrainingRecord, *, now: datetime, width: int) -> RenderableType:
    from rich.text import Text

    closed = sum(one.closed is not None for one in record.done)
    narrow = width < _NARROW
    room = max(8, min(30, width - 30))
    full = round(room * closed / max(1, record.rounds))
    left = left_s(record, now=now)
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append("━" * full, style="green")
    text.append("━" * (room - full), style="dim")
    text.append(f" round {closed} of {record.rounds}, {record.state.value}")
    if left is not None:
        text.append(f"{chr(10) if narrow else ', '}about {duration(left)} left", style="dim")
    return text


def _curves(metric: str, curves: Mapping[str, Mapping[int, float]], *, width: int) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    table.add_column("site", no_wrap=True, overflow="ellipsis", max_width=20)
    table.add_column("", no_wrap=True)
    if width >= _NARROW:
        table.add_column("first", justify="right", no_wrap=True)
    table.add_column("last", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    values = [value for curve in curves.values() for value in curve.values()]
    last = {site: curve[max(curve)] for site, curve in curves.items()}
    compared = newest(curves)
    worst = worst_site(compared, metric) if len(compared) > 1 else None
    names = min(20, max((len(site) for site in curves), default=4))
    room = max(
        _SHORTEST_CURVE,
        min(_LONGEST_CURVE, width - names - (32 if width >= _NARROW else 21 if width >= _TINY else 15)),
    )
    mark = "◀ worst" if width >= _TINY else "◀"
    rounds = sorted({at for curve in curves.values() for at in curve})
    for site, curve in curves.items():
        ordered = [curve.get(at) for at in rounds]
        drawn = sparkline(ordered, low=min(values), high=max(values), width=room)
        is_worst = site == worst
        style = "bold red" if is_worst else ""
        cells = [Text(site, style=style), Text(drawn, style="red" if is_worst else "cyan")]
        if width >= _NARROW:
            cells.append(Text(number(curve[min(curve)]), style="dim"))
        cells += [Text(number(last[site]), style=style), Text(mark if is_worst else "", style="red")]
        table.add_row(*cells)
    return table


def _states(record: TrainingRecord, *, width: int) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    table.add_column("site", no_wrap=True, overflow="ellipsis", max_width=20)
    table.add_column("state", no_wrap=True, overflow="ellipsis")
    if width >= _NARROW:
        table.add_column("data", no_wrap=True)
        table.add_column("updates", justify="right", no_wrap=True)
        table.add_column("up", justify="right", no_wrap=True)
        table.add_column("down", justify="right", no_wrap=True)
    for site in record.sites:
        own = [each for one in record.done for each in one.sites if each.node == site.node]
        lost = site.reason.value != "none"
        state = f"{site.state.value}: {site.reason.value}" if lost else site.state.value
        cells = [Text(site.node), Text(state, style="red" if lost else "")]
        if width >= _NARROW:
            cells += [
                Text(site.origin.value, style="dim"),
                Text(str(sum(each.arrived is not None for each in own))),
                Text(size(sum(each.bytes_up for each in own))),
                Text(size(sum(each.bytes_down for each in own))),
            ]
        table.add_row(*cells)
    return table
