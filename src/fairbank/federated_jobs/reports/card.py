"""A model's card as text for people: Markdown, and the same as one page of HTML."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from fairbank.federated_jobs.reports.words import duration, kind_words, metric_words, size
from fairbank.ontology.model_cards import ModelCard

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2733; --page: #fff; --line: #c9d3dd; }
@media (prefers-color-scheme: dark) { :root { --ink: #e3e8ed; --page: #14191f; --line: #3a4551; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page); max-width: 52rem;
  margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; border-bottom: 1px solid var(--line); }
div { overflow-x: auto; } table { border-collapse: collapse; font-size: .9rem; }
th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
th, td:first-child { overflow-wrap: normal; }
"""


@dataclass(frozen=True, slots=True)
class Section:
    """One part of a card: sentences, and a table where it has a head."""

    title: str
    sentences: tuple[str, ...] = ()
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


def markdown(card: ModelCard) -> str:
    """Return a card as Markdown."""
    parts = [f"# Model card: {_plain(card.title)}, version {card.version}"]
    for one in sections(card):
        parts.append(f"## {one.title}")
        parts += [f"- {_plain(each)}" for each in one.sentences]
        if one.head and one.rows:
            parts.append(_row(one.head) + "\n" + _row(["---"] * len(one.head)))
            parts[-1] += "".join("\n" + _row([_plain(cell) for cell in row]) for row in one.rows)
    # A list whose items are parts of their own would have a line between each two of them.
    return "\n\n".join(parts).replace("\n\n- ", "\n- ") + "\n"


def page(card: ModelCard) -> str:
    """Return a card as an HTML page that needs nothing else."""
    title = escape(f"Model card: {card.title}, version {card.version}")
    body = f"<h1>{title}</h1>"
    for one in sections(card):
        body += f"<h2>{escape(one.title)}</h2>"
        if one.sentences:
            body += f"<ul>{''.join(f'<li>{escape(each)}</li>' for each in one.sentences)}</ul>"
        if one.head and one.rows:
            head = "".join(f"<th>{escape(each)}</th>" for each in one.head)
            rows = "".join(
                f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in one.rows
            )
            body += f"<div><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body><main>{body}</main></body></html>\n"
    )


def sections(card: ModelCard) -> tuple[Section, ...]:
    """Return the parts of a card in the order in which they are shown."""
    return (
        Section("What it is for", (card.intended_use,)),
        Section("What its numbers do not tell", card.limits),
        Section("How it does", _objective(card), *_metrics(card)),
        *_by_group(card),
        Section(
            "What it was trained on", (), ("Dataset", "Site", "Title", "Version", "Data"), _datasets(card)
        ),
        Section("Sites", (), ("Site", "Rounds", "Numbers told", "Settings"), _sites(card)),
        Section(
            "Protections",
            (),
            ("Protection", "On", "What that means"),
            tuple((each.name, "yes" if each.on else "no", each.meaning) for each in card.protections),
        ),
        Section("How it was trained", (), ("Choice", "Value"), choices(card)),
        Section("What it cost", cost(card)),
        Section("Where it comes from", (), ("What", "Which"), chain(card)),
        Section(
            "Files",
            (),
            ("Name", "Type", "Size", "Digest"),
            tuple((each.name, each.media_type, size(each.size_bytes), each.digest) for each in card.files),
        ),
    )


def _objective(card: ModelCard) -> tuple[str, ...]:
    judged = card.objective
    if judged.value is None or judged.metric is None:
        return (f"It is judged by {judged.objective.value} over its sites; no merged model was measured.",)
    return (
        f"It is judged by {judged.objective.value} over its sites: {metric_words(judged.metric)} {judged.value}, "
        f"measured of the model after round {judged.after_round} of {card.rounds}.",
        f"It does worst at {judged.worst_site}.",
    )


def _metrics(card: ModelCard) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    names = sorted({name for site in card.sites for name in (*site.merged, *site.local)})
    head = ("Site", "Model", *(metric_words(name) for name in names))
    rows = []
    for site in card.sites:
        for kind, values in (("merged", site.merged), ("own", site.local)):
            if values:
                rows.append((site.node, kind, *(values.get(name, "–") for name in names)))
    return head, tuple(rows)


def _by_group(card: ModelCard) -> tuple[Section, ...]:
    rows = tuple(
        (
            site.node,
            kind_words(each.kind),
            each.group,
            str(each.n_subjects),
            metric_words(each.metric),
            each.value,
            "–" if each.low is None else f"{each.low} to {each.high}",
        )
        for site in card.sites
        for each in site.groups or ()
    )
    if not rows:
        return ()
    said = (
        "Of the last merged model that was measured, on the held-out subjects of each site.",
        "Groups of few subjects, and what would tell of them, are left out by each site's gate.",
    )
    head = ("Site", "By", "Group", "Subjects", "Metric", "Value", "95 % interval")
    return (Section("How it does by group", said, head, rows),)


def _datasets(card: ModelCard) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (
            each.iri,
            each.node,
            each.title or "–",
            "–" if each.version is None else str(each.version),
            each.origin,
        )
        for each in card.datasets
    )


def _sites(card: ModelCard) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (
            each.node,
            str(each.rounds),
            ", ".join(f"{name} {value}" for name, value in sorted(each.counts.items())) or "none",
            each.settings or "not told",
        )
        for each in card.sites
    )


def choices(card: ModelCard) -> tuple[tuple[str, ...], ...]:
    """Return how a model was trained, as pairs of choice and value."""
    training = card.training
    rows = [
        ("Tool", f"{card.code.name} {card.code.version}"),
        ("Plan", card.plan.name.value),
        ("Aggregator", _with_options(card.plan.aggregator, card.plan.aggregator_options)),
        ("Rounds", str(card.rounds)),
        ("Seed", card.seed),
    ]
    if training is not None:
        rows.append(("Local step", _with_options(training.local_step.name, training.local_step.options)))
        named = [_with_options(each.name, each.options) for each in training.filters]
        rows.append(("Filters", ", ".join(named) or "none"))
        rows.append(("Layers that were not trained", ", ".join(training.frozen) or "none"))
    rows += [(f"Parameter {name}", str(value)) for name, value in sorted(card.parameters.items())]
    return tuple(rows)


def _with_options(name: str, options: object) -> str:
    return f"{name} {json.dumps(options, sort_keys=True)}" if options else name


def cost(card: ModelCard) -> tuple[str, ...]:
    """Return what a training has cost, in sentences."""
    spent = card.compute
    return (
        f"At most {duration(spent.cpu_s)} of processor time and {duration(spent.gpu_s)} of GPU time at the sites, as "
        "they had told when the model was registered; each round is rounded up.",
        f"{size(spent.bytes_up)} to the hub, {size(spent.bytes_down)} to the sites.",
        "What that means in energy or carbon dioxide is not known: sites do not measure it.",
    )


def chain(card: ModelCard) -> tuple[tuple[str, ...], ...]:
    """Return where a model comes from, as pairs of what and which."""
    return (
        ("Model", card.model),
        ("Line, version", f"{card.line}, {card.version}"),
        ("Started from", card.previous or "the seed"),
        ("Code", card.code.digest),
        ("Manifest", card.manifest),
        ("Visa", card.visa),
        ("Access request", card.request),
        ("Job", card.job),
        ("Requester", card.account),
        ("Hub", f"{card.hub}, {card.software}"),
        ("Begun, ended", f"{card.started}, {card.ended}"),
    )


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(text: str) -> str:
    """Return text that Markdown shows as it is."""
    for sign in ("\\", "`", "*", "_", "<", "[", "|"):
        text = text.replace(sign, "\\" + sign)
    return text.replace("\n", " ")
