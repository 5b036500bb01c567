"""Two to four runs side by side: what was chosen, how they did round by round and at each biobank."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from fairbank.catalogue.context import Hub
from fairbank.charts.fairness import SiteResult, fairness_chart
from fairbank.charts.figure import Figure
from fairbank.charts.rounds import RoundCurve, round_chart
from fairbank.charts.scale import number_text
from fairbank.clock import parse_iso
from fairbank.database import reading
from fairbank.federated_jobs.errors import JobNotFound
from fairbank.federated_jobs.hub import run_comparing, views
from fairbank.federated_jobs.hub.run_comparing import LOCAL, MERGED, Run
from fairbank.federated_jobs.objectives import headline, higher_is_better
from fairbank.federated_jobs.reports.words import duration, metric_words
from fairbank.ontology.counts import Count
from fairbank.web.languages import Tongue, mark
from fairbank.web.pages.page import Page
from fairbank.web.pages.visits import Visit

PATH: Final = "/runs/compare"
MOST: Final = 4
_OFFERED: Final = 50
_LONGEST_ID: Final = 80
YES: Final = "yes"
# The names of choices that `run_comparing` gives; a tool's own parameters have no other name than its own.
CHOICES: Final[dict[str, str]] = {
    "tool": mark("Tool"),
    "code": mark("Hash of its code"),
    "plan": mark("Plan"),
    "plan options": mark("Choices of the plan"),
    "aggregator": mark("Aggregator"),
    "rounds": mark("Rounds at most"),
    "quorum": mark("Quorum"),
    "seed": mark("Seed"),
    "local step": mark("Local step"),
    "filters": mark("Filters"),
    "layers not trained": mark("Layers that were not trained"),
    "started from": mark("Started from the model"),
    "objective": mark("Judged by"),
    "privacy budget": mark("Privacy budget"),
}
MODELS: Final[dict[str, str]] = {
    "merged": mark("%(metric)s of the merged model"),
    "local": mark("%(metric)s of the biobanks’ own models"),
}


@dataclass(frozen=True, slots=True)
class Column:
    """A run that is compared; `without` is the address of the page without it."""

    id: str
    label: str
    title: str
    address: str
    state: str
    started: datetime | None
    without: str


@dataclass(frozen=True, slots=True)
class Line:
    """What all runs have of one thing; an empty text where one has nothing."""

    name: str
    cells: tuple[str, ...]
    differs: bool


@dataclass(frozen=True, slots=True)
class Offered:
    """A job that can be chosen."""

    id: str
    title: str
    tool: str
    state: str
    created: datetime
    chosen: bool


@dataclass(frozen=True, slots=True)
class Only:
    """The images that one run has and not all others."""

    label: str
    datasets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RunsCompared:
    """`runs_compare.html`.

    Attributes:
        gone: those asked for that are not there, or not the reader's.
        over: how many were left out because four are the most.
        offered: jobs to choose from, where fewer than two are compared.
        metric: the one that is drawn.
        at: the round that was chosen; empty for none.
        different: whether they ran on different images; `only` says which, `sites` who sent something.
    """

    columns: tuple[Column, ...]
    gone: tuple[str, ...]
    over: int
    offered: tuple[Offered, ...]
    choices: tuple[Line, ...]
    metrics: tuple[Line, ...]
    alike: int
    everything: bool
    switched: str
    drawn: tuple[str, ...]
    metric: str
    at: str
    log: bool
    other_axis: str
    curves: Figure | None
    at_sites: tuple[Figure, ...]
    different: bool
    only: tuple[Only, ...]
    sites: tuple[Line, ...]
    read_from: int


def show(hub: Hub, visit: Visit) -> RunsCompared:
    """Put the page together; a run that is gone is named, and the others are compared."""
    asked = tuple(dict.fromkeys(each for each in visit.asked.every("run") if each))
    runs: list[Run] = []
    gone: list[str] = []
    with reading(hub.engine) as session:
        for name in asked[:MOST]:
            try:
                runs.append(run_comparing.run_of(hub, session, name, visit.account.name))
            except JobNotFound:
                gone.append(name[:_LONGEST_ID])
        jobs = views.job_list(session, visit.account.name, limit=_OFFERED).jobs if len(runs) < 2 else ()
    offered = tuple(
        Offered(job.id, job.title, job.code, job.state.value, parse_iso(job.created), job.id in asked)
        for job in jobs
    )
    return _compared(visit, runs, gone=gone, over=max(0, len(asked) - MOST), offered=offered)


def _compared(
    visit: Visit, runs: Sequence[Run], *, gone: Sequence[str], over: int, offered: tuple[Offered, ...]
) -> RunsCompared:
    tongue, asked = visit.tongue, visit.asked
    everything, log = asked.get("all") == YES, asked.get("log") == YES
    drawn = _drawn(runs)
    metric = asked.get("metric", "") if asked.get("metric", "") in drawn else next(iter(drawn), "")
    at = asked.get("at", "")
    at = at if at.isascii() and at.isdecimal() and len(at) < 6 else ""
    state = {"metric": metric if asked.get("metric") else "", "at": at}
    state |= {"log": YES if log else "", "all": YES if everything else ""}
    choices, metrics = tuple(_choices(tongue, runs)), tuple(_metrics(tongue, runs, at))
    lines = (*choices, *metrics)
    shown = everything or len(runs) < 2
    return RunsCompared(
        columns=tuple(_column(runs, run, state) for run in runs),
        gone=tuple(gone),
        over=over,
        offered=offered,
        choices=tuple(each for each in choices if shown or each.differs),
        metrics=tuple(each for each in metrics if shown or each.differs),
        alike=sum(not each.differs for each in lines) if len(runs) > 1 else 0,
        everything=everything,
        switched=_address(runs, {**state, "all": "" if everything else YES}),
        drawn=tuple(drawn),
        metric=metric,
        at=at,
        log=log,
        other_axis=_address(runs, {**state, "log": "" if log else YES}) + "#curves",
        curves=_curves(tongue, runs, metric, log=log) if metric else None,
        at_sites=tuple(_at_sites(tongue, runs)),
        different=len({run.data for run in runs}) > 1 or len({run.sites for run in runs if run.sites}) > 1,
        only=tuple(_only(runs)),
        sites=(
            Line(
                tongue.say(mark("Biobanks that sent something")),
                tuple(", ".join(sorted(run.sites)) for run in runs),
                len({run.sites for run in runs}) > 1,
            ),
        ),
        read_from=max((run.read_from for run in runs), default=1),
    )


def _column(runs: Sequence[Run], run: Run, state: Mapping[str, str]) -> Column:
    others = [each for each in runs if each is not run]
    label = f"{runs.index(run) + 1}"
    return Column(
        run.id, label, run.title, f"/jobs/{run.id}", run.state.value, run.started, _address(others, state)
    )


def _named(runs: Sequence[Run], run: Run) -> str:
    return f"{runs.index(run) + 1}: {run.title}"


def _line(name: str, cells: Sequence[str]) -> Line:
    return Line(name, tuple(cells), len(set(cells)) > 1)


def _choices(tongue: Tongue, runs: Sequence[Run]) -> Iterator[Line]:
    names = list(dict.fromkeys(name for run in runs for name in run.chosen))
    for name in sorted(names, key=lambda each: (each not in CHOICES, names.index(each))):
        cells = [run.chosen.get(name, "") for run in runs]
        if any(cells):
            yield _line(tongue.say(CHOICES[name]) if name in CHOICES else name.partition(" ")[2], cells)


def _metrics(tongue: Tongue, runs: Sequence[Run], at: str) -> Iterator[Line]:
    say = tongue.say
    spent = [(run.ended - run.started).total_seconds() if run.ended and run.started else None for run in runs]
    yield _line(say(mark("Rounds done")), [str(run.rounds) for run in runs])
    yield _line(
        say(mark("Time from start to end")), [duration(each) if each is not None else "" for each in spent]
    )
    for model, text in MODELS.items():
        for metric in dict.fromkeys(metric for run in runs for metric in run.metrics):
            curves = [run.curves.get((model, metric), {}) for run in runs]
            if not any(curves):
                continue
            name = say(text, metric=metric_words(metric))
            found = [run_comparing.best(curve, metric) for curve in curves]
            if any(found):
                cells = [_at(tongue, *each) if each is not None else "" for each in found]
                yield _line(say(mark("%(what)s, best"), what=name), cells)
            last = [_at(tongue, max(curve), curve[max(curve)]) if curve else "" for curve in curves]
            yield _line(say(mark("%(what)s, last"), what=name), last)
            if at:
                there = [number_text(curve[int(at)]) if int(at) in curve else "" for curve in curves]
                yield _line(say(mark("%(what)s, after round %(round)s"), what=name, round=at), there)


def _at(tongue: Tongue, at: int, value: float) -> str:
    return tongue.say(
        mark("%(value)s after round %(round)s"), value=number_text(value), round=tongue.number(at)
    )


def _drawn(runs: Sequence[Run]) -> list[str]:
    """Return the metrics that can be drawn, the one that models are judged by first."""
    kind = _drawn_model(runs)
    names = sorted({metric for run in runs for model, metric in run.curves if model == kind})
    first = headline(names)
    return names if first is None else [first, *(name for name in names if name != first)]


def _drawn_model(runs: Sequence[Run]) -> str:
    """Return of which model metrics are drawn: the sites' own only where no run has told any of a merged one."""
    return MERGED if any(model == MERGED for run in runs for model, _ in run.curves) else LOCAL


def _curves(tongue: Tongue, runs: Sequence[Run], metric: str, *, log: bool) -> Figure:
    kind = _drawn_model(runs)
    found = [run.curves.get((kind, metric), {}) for run in runs]
    return round_chart(
        [RoundCurve(_named(runs, run), tuple(curve.items())) for run, curve in zip(runs, found, strict=True)],
        title=tongue.say(MODELS[kind], metric=metric_words(metric)),
        axis=metric_words(metric),
        name="runs",
        higher_is_better=higher_is_better(metric),
        log=log,
    )


def _at_sites(tongue: Tongue, runs: Sequence[Run]) -> Iterator[Figure]:
    for run in runs:
        if run.judged is None:
            continue
        results = [
            SiteResult(
                each.site,
                each.value,
                Count.exact(each.cases) if each.cases is not None else Count.not_countable(),
            )
            for each in run.standings
        ]
        words = metric_words(run.judged)
        title = tongue.say(mark("%(metric)s at each biobank, %(run)s"), metric=words, run=_named(runs, run))
        yield fairness_chart(results, title=title, axis=words, name=f"sites-{runs.index(run) + 1}")


def _only(runs: Sequence[Run]) -> Iterator[Only]:
    """Yield for each run what it ran on and not every run did; selections of one collection may differ."""
    for_all = frozenset.intersection(*(run.data for run in runs)) if runs else frozenset()
    for run in runs:
        if more := run.data - for_all:
            names = sorted({each.partition(" ")[0].partition("/datasets/")[2] for each in more})
            yield Only(_named(runs, run), tuple(names))


def _address(runs: Sequence[Run], state: Mapping[str, str]) -> str:
    pairs = [*(("run", run.id) for run in runs), *((name, value) for name, value in state.items() if value)]
    return f"{PATH}?{urlencode(pairs)}" if pairs else PATH


PAGE = Page(name="runs_compare", path=PATH, context=RunsCompared, show=show)
