"""The report of a training as one page: no script, nothing fetched, light and dark, readable aloud and on paper.

Every picture says what its numbers were made from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape

from fairbank.charts.bars import Amount, Bar, bar_chart
from fairbank.charts.figure import stylesheet
from fairbank.charts.rounds import RoundCurve, round_chart, spans
from fairbank.federated_jobs.objectives import higher_is_better, newest, worst_site
from fairbank.federated_jobs.reports.frames import framed, label, table
from fairbank.federated_jobs.reports.group_section import groups_section
from fairbank.federated_jobs.reports.rows import round_rows
from fairbank.federated_jobs.reports.words import duration, metric_words, number, origin_words, size
from fairbank.federated_jobs.training_record import N_HELDOUT, N_TRAIN, SiteOfTraining, TrainingRecord
from fairbank.federated_jobs.training_settings import SettingsView

_CURVES = 8
_ROUNDS = 200
_STYLE = """
:root { color-scheme: light dark; --ink: #1c2733; --page: #fff; --soft: #45525f; --line: #c9d3dd; --row: #e2e8ee;
  --warn: #b3261e; --warn-page: #fbeceb; --tag: #e8eef5; }
@media (prefers-color-scheme: dark) { :root { --ink: #e3e8ed; --page: #14191f; --soft: #a9b4bf; --line: #3a4551;
  --row: #2a333d; --warn: #f2958d; --warn-page: #3a1f1d; --tag: #26313c; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page); max-width: 62rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin-bottom: .2rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin-top: 2.2rem; border-bottom: 1px solid var(--line); padding-bottom: .2rem; }
.lead { color: var(--soft); margin-top: 0; }
.origin { display: inline-block; background: var(--tag); border: 1px solid var(--line); border-radius: 1rem;
  padding: 0 .7rem; font-size: .85rem; font-weight: 600; white-space: nowrap; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .8rem; padding: 0; }
.facts div { border: 1px solid var(--line); border-radius: .4rem; padding: .5rem .8rem; }
.facts dt { color: var(--soft); font-size: .85rem; }
.facts dd { margin: 0; font-size: 1.3rem; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.wide { overflow-x: auto; margin-bottom: 1.2rem; }
.wide svg { min-width: 28rem; max-width: 100%; height: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
caption, figcaption { text-align: left; color: var(--soft); padding-bottom: .3rem; font-size: .85rem; }
figure { margin: 0 0 1.6rem; }
th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid var(--row); vertical-align: top; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
thead th { border-bottom: 2px solid var(--line); }
tr.worst td:first-child::after { content: " \\25C0 worst"; color: var(--warn); font-weight: 600; white-space: nowrap; }
code { font-size: .85em; overflow-wrap: anywhere; }
.warn { border-left: 4px solid var(--warn); padding: .3rem .8rem .3rem 2rem; background: var(--warn-page); }
@media print { body { margin: 0; max-width: none; font-size: 11px; } h2 { break-after: avoid; }
  tr, figure { break-inside: avoid; } thead { display: table-header-group; } }
"""


def page(record: TrainingRecord, settings: SettingsView | None = None) -> str:
    """Return the report as an HTML document that needs nothing else.

    Args:
        settings: what sites signed; None where the hub does not tell it.
    """
    kind = "Evaluation" if record.evaluation else "Training"
    sections = (
        _head(record, kind),
        _section("How the model does at the sites", _curves(record)),
        _section("By sex, age and maker", groups_section(record)),
        _section("Sites", _sites(record)),
        _section("Contribution", _contribution(record)),
        _section("Communication", _communication(record)),
        _section("Time", _time(record)),
        _section("Lost and late", _lost(record)),
        _section("What was fixed beforehand", _choices(record)),
        _section("What the sites really used", _settings(settings)),
        _section("Where it comes from", _provenance(record)),
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(record.title)}</title><style>{_STYLE}{stylesheet()}</style></head>\n<body><main>\n"
        + "\n".join(part for part in sections if part)
        + "\n</main></body></html>\n"
    )


def _head(record: TrainingRecord, kind: str) -> str:
    rows = round_rows(record)
    closed = [row for row in rows if row.wall_s is not None]
    standing = record.standing()
    up, down = sum(row.bytes_up for row in rows), sum(row.bytes_down for row in rows)
    facts = [
        ("State", record.state.value),
        ("Rounds", f"{len(closed)} of {record.rounds}"),
        ("Sites", str(len(record.sites))),
        ("Sent to the hub", size(up)),
        ("Sent to the sites", size(down)),
        ("Time in rounds", duration(sum(row.wall_s or 0.0 for row in closed))),
    ]
    if standing is not None:
        found, _ = standing
        facts.insert(0, (f"{record.objective.value}: {metric_words(found.metric)}", number(found.value)))
        facts.insert(1, ("Worst site", found.worst))
        facts.insert(2, ("Between best and worst", number(found.spread)))
    tiles = "".join(f"<div><dt>{escape(a)}</dt><dd>{escape(b)}</dd></div>" for a, b in facts)
    reason = "" if record.reason.value == "none" else f" ({record.reason.value})"
    lead = (
        f"{kind} with {record.code.name} {record.code.version}, plan {record.plan}, "
        f"{record.aggregator.name}; {record.state.value}{reason}."
    )
    said = f"<p>{label(record)} {escape(origin_words(record.origin))}</p>"
    judged = ""
    if standing is not None and not record.evaluation:
        judged = (
            f"<p>The model after round {standing[1]} is the last that the sites have measured. A round measures the "
            "model that it starts from; <code>fairbank model evaluate</code> has the last one measured.</p>"
        )
    return (
        f"<h1>{escape(record.title)}</h1><p class='lead'>{escape(lead)}</p>{said}"
        f"<dl class='facts'>{tiles}</dl>{judged}"
    )


def _curves(record: TrainingRecord) -> str:
    names = record.metrics()
    if not names:
        return "<p>No site has told a metric: no round is over, or too few subjects were held out for one to leave.</p>"
    if record.evaluation:
        return _evaluated(record, names)
    drawn = []
    for place, metric in enumerate(names[:_CURVES]):
        better = {True: "more is better", False: "less is better", None: ""}[higher_is_better(metric)]
        merged, local = record.merged_curve(metric), record.local_curve(metric)
        words = f"{metric_words(metric)}{f' ({better})' if better else ''}"
        if merged:
            drawn.append(
                _figure(record, merged, metric, f"Merged model: {metric_words(metric)}", words, f"m{place}")
            )
        if local:
            drawn.append(
                _figure(
                    record,
                    local,
                    metric,
                    f"Each site's own model: {metric_words(metric)}",
                    words,
                    f"l{place}",
                )
            )
    if len(names) > _CURVES:
        drawn.append(f"<p>Not drawn: {escape(', '.join(names[_CURVES:]))}.</p>")
    return "".join(drawn)


def _figure(
    record: TrainingRecord,
    curves: Mapping[str, Mapping[int, float]],
    metric: str,
    title: str,
    axis: str,
    name: str,
) -> str:
    last = newest(curves)
    worst = worst_site(last, metric) if len(last) > 1 else None
    lines = [
        RoundCurve(
            f"{site} (worst)" if site == worst else site, tuple(sorted(curve.items())), marked=site == worst
        )
        for site, curve in curves.items()
    ]
    if len(curves) > 1:
        lines.append(RoundCurve("mean of sites", _mean(curves), mean=True))
    picture = round_chart(
        lines,
        title=title,
        axis=axis,
        name=name,
        higher_is_better=higher_is_better(metric),
    )
    return framed(record, picture, "After each round, on the held-out subjects of each site.")


def _mean(curves: Mapping[str, Mapping[int, float]]) -> tuple[tuple[int, float], ...]:
    """Return the mean over sites, where all sites have a value."""
    rounds = set.intersection(*(set(curve) for curve in curves.values()))
    return tuple((at, sum(curve[at] for curve in curves.values()) / len(curves)) for at in sorted(rounds))


def _evaluated(record: TrainingRecord, names: Sequence[str]) -> str:
    rows = []
    for one in record.done:
        for site in one.sites:
            if site.notes:
                cells = [number(site.notes.get(f"before_{name}")) for name in names]
                rows.append([site.node, _told(site.notes.get(N_HELDOUT)), *cells])
    head = ["Site", "Held out", *(metric_words(name) for name in names)]
    caption = "The model on the held-out samples of each site."
    return table(head, rows, caption=f"{caption} {record.origin.value} figures.", numbers=range(1, len(head)))


def _sites(record: TrainingRecord) -> str:
    names = record.metrics()
    metric = names[0] if names else None
    shares = record.shares()
    merged = record.merged_curve(metric) if metric else {}
    local = record.local_curve(metric) if metric else {}
    last = {site: curve[max(curve)] for site, curve in merged.items()}
    compared = newest(merged)
    worst = worst_site(compared, metric) if metric is not None and len(compared) > 1 else None
    rows, marks = [], []
    for site in record.sites:
        marks.append("worst" if site.node == worst else "")
        rows.append(_site_cells(record, site, shares, last.get(site.node), local.get(site.node, {})))
    told = metric_words(metric) if metric else "metric"
    head = ["Site", "Data", "State", "Rounds", "Training", "Held out"]
    head += ["Merged model", "Own model", "Share", "Processor time"]
    caption = f"Numbers of samples and {told} as the site's gate let them out, of its last update."
    return table(head, rows, caption=caption, numbers=range(3, len(head)), marks=marks)


def _site_cells(
    record: TrainingRecord,
    site: SiteOfTraining,
    shares: Mapping[str, float],
    merged: float | None,
    local: Mapping[int, float],
) -> list[str]:
    own = [each for one in record.done for each in one.sites if each.node == site.node]
    came = [each for each in own if each.arrived is not None]
    notes = came[-1].notes if came else {}
    reason = "" if site.reason.value == "none" else f": {site.reason.value}"
    return [
        site.node,
        site.origin.value,
        f"{site.state.value}{reason}",
        str(len(came)),
        _told(notes.get(N_TRAIN)),
        _told(notes.get(N_HELDOUT)),
        number(merged),
        number(local[max(local)] if local else None),
        f"{100 * shares[site.node]:.0f} %" if site.node in shares else "–",
        f"≤ {duration(sum(each.cpu_s for each in own))}",
    ]


def _told(samples: float | None) -> str:
    """Return a number of samples that a site's gate let out, or that it told none."""
    return "not told" if samples is None else number(samples)


def _contribution(record: TrainingRecord) -> str:
    if record.evaluation:
        return ""
    shares = record.shares()
    if not shares:
        return "<p>No round is merged yet.</p>"
    bars = [Bar(site, Amount(share, f"{100 * share:.0f} %")) for site, share in shares.items()]
    picture = bar_chart(
        bars, title="Share of each site in the merged models", name="share", head=("Site", "Share")
    )
    return framed(record, picture, "Mean over rounds of the weight that each update had.") + _steps(record)


def _steps(record: TrainingRecord) -> str:
    """Return how long the updates were and how much they agreed, where the hub has written that down."""
    drawn = []
    for name, title in (
        ("norm", "Length of each update"),
        ("norm_ratio", "Length of each update, in medians of its round"),
        ("cosine", "Agreement of each update with the mean"),
    ):
        curves: dict[str, dict[int, float]] = {}
        for one in record.done:
            for node, value in one.values(name).items():
                curves.setdefault(node, {})[one.round] = value
        if curves:
            lines = [RoundCurve(site, tuple(sorted(curve.items()))) for site, curve in sorted(curves.items())]
            picture = round_chart(lines, title=title, axis=name, name=f"n{name}".replace("_", "-"))
            drawn.append(framed(record, picture, "As the hub measured it while merging."))
    return "".join(drawn)


def _communication(record: TrainingRecord) -> str:
    up: dict[str, int] = {}
    down: dict[str, int] = {}
    for one in record.done:
        for site in one.sites:
            up[site.node] = up.get(site.node, 0) + site.bytes_up
            down[site.node] = down.get(site.node, 0) + site.bytes_down
    rows = [[site, size(up[site]), size(down[site]), size(up[site] + down[site])] for site in sorted(up)]
    if not rows:
        return "<p>Nothing was sent yet.</p>"
    total_up, total_down = sum(up.values()), sum(down.values())
    rows.append(["All", size(total_up), size(total_down), size(total_up + total_down)])
    caption = "Updates to the hub and models to the sites, as the hub counts them; requests are not in it."
    return table(["Site", "To the hub", "To the site", "Both"], rows, caption=caption, numbers=range(1, 4))


def _time(record: TrainingRecord) -> str:
    rows = [row for row in round_rows(record) if row.wall_s is not None]
    if not rows:
        return "<p>No round is over.</p>"
    lines = [
        RoundCurve("whole round", tuple((row.round, row.wall_s) for row in rows)),
        RoundCurve("until last update", tuple((row.round, row.until_last_update_s) for row in rows)),
        RoundCurve("waiting for slowest", tuple((row.round, row.longest_wait_s) for row in rows)),
    ]
    picture = round_chart(
        lines, title="Time of each round", axis="seconds", name="time", higher_is_better=False
    )
    wall = sum(row.wall_s or 0.0 for row in rows)
    sites = sum(row.until_last_update_s or 0.0 for row in rows)
    merging = sum(row.merging_s or 0.0 for row in rows)
    waiting = sum(row.longest_wait_s or 0.0 for row in rows)
    told = (
        f"<p>Of {duration(wall)} in {len(rows)} rounds, {duration(sites)} went by until the last update had come "
        f"(training and the way), {duration(merging)} while the hub merged and closed. The fastest site waited "
        f"{duration(waiting)} for the slowest.</p>"
    )
    shown = rows[-_ROUNDS:]
    rounds = table(
        ["Round", "Updates", "Whole", "Until last update", "Merging", "Processor time of all sites"],
        [
            [
                str(row.round),
                str(row.updates),
                duration(row.wall_s),
                duration(row.until_last_update_s),
                duration(row.merging_s),
                f"≤ {duration(row.cpu_s)}",
            ]
            for row in shown
        ],
        caption="Sites tell their processor time rounded up, so that it tells no number of images.",
        numbers=range(6),
    )
    folded = f"<details><summary>All rounds ({len(shown)})</summary>{rounds}</details>"
    return told + framed(record, picture, "By the hub's clock.") + folded


def _lost(record: TrainingRecord) -> str:
    gone = [
        f"<li>{escape(site.node)}: {escape(site.state.value)}, {escape(site.reason.value)}</li>"
        for site in record.sites
        if site.reason.value != "none"
    ]
    missed: dict[str, list[int]] = {}
    for number_of_round, site in record.missing():
        missed.setdefault(site, []).append(number_of_round)
    late = [f"<li>{escape(site)}: not in {spans(rounds)}</li>" for site, rounds in sorted(missed.items())]
    if not gone and not late:
        return "<p>Every site is in every round.</p>"
    return f"<ul class='warn'>{''.join([*gone, *late])}</ul>"


def _choices(record: TrainingRecord) -> str:
    def with_options(name: str, options: object) -> str:
        return f"{name} {json.dumps(options, sort_keys=True)}" if options else name

    rows = [
        ["Objective", record.objective.value],
        ["Plan", record.plan],
        ["Aggregator", with_options(record.aggregator.name, record.aggregator.options)],
        ["Local step", with_options(record.local_step.name, record.local_step.options)],
        [
            "Filters",
            ", ".join(with_options(each.name, each.options) for each in record.filters) or "none",
        ],
        ["Layers that are not trained", ", ".join(record.frozen) or "none"],
        ["Seed", record.seed],
        ["Rounds, quorum", f"{record.rounds}, {record.quorum}"],
    ]
    rows += [[f"Parameter {name}", str(value)] for name, value in sorted(record.parameters.items())]
    return table(["Choice", "Value"], rows, caption="In the manifest that every site approved.")


def _settings(view: SettingsView | None) -> str:
    if view is None or not view.sites:
        return "<p>No site has signed its settings.</p>"
    names = sorted({name for site in view.sites for name in site.versions})
    head = ["Site", *names, "processor", "gpu", "deviates", "differs in"]
    rows = [
        [
            site.node,
            *(site.versions.get(name, "–") for name in names),
            f"{site.processor.value} ({site.vendor.value})",
            f"{site.gpus} × {site.gpu.value}" if site.gpus else "none",
            ", ".join([*(each.value for each in site.deviates), *site.parameters]) or "no",
            ", ".join(site.differs) or "nothing",
        ]
        for site in view.sites
    ]
    silent = f"<p>Not told: {escape(', '.join(view.silent))}.</p>" if view.silent else ""
    caption = (
        "Signed by each site before its first update; parameters, seed and choices are compared by digest."
    )
    return table(head, rows, caption=caption) + silent


def _provenance(record: TrainingRecord) -> str:
    result = next((one.result for one in reversed(record.done) if one.result is not None), None)
    rows = [
        ["Job", record.job],
        ["Code", f"{record.code.name} {record.code.version} {record.code.digest}"],
        ["Starts from", record.initial_model or "the seed"],
        ["Last merged model", result or "none"],
        ["Datasets", ", ".join(iri for site in record.sites for iri in site.datasets)],
        ["Begun, ended", f"{record.started or '–'}, {record.ended or '–'}"],
    ]
    return table(
        ["What", "Which"], rows, caption="The whole chain is in the model's card and in the catalogue."
    )


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{body}</section>" if body else ""
