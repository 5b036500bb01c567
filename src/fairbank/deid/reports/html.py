"""The report as one page: no script, nothing fetched, readable aloud and on paper."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from fairbank.charts.bars import bar_chart, counted
from fairbank.charts.figure import stylesheet
from fairbank.deid.outcomes import Reason
from fairbank.deid.reports.reasons import MEANINGS
from fairbank.deid.reports.summary import (
    DecisionLine,
    HeldLine,
    Sampling,
    Summary,
    TagLine,
    Thumbnail,
    Verification,
)
from fairbank.deid.verification.safe_harbor import Coverage

_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1c2733; background: #fff; max-width: 62rem; margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin-bottom: .2rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .2rem; }
h2 { font-size: 1.2rem; margin-top: 2.2rem; border-bottom: 1px solid #c9d3dd; padding-bottom: .2rem; }
.lead { color: #45525f; margin-top: 0; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .8rem; padding: 0; }
.facts div { border: 1px solid #c9d3dd; border-radius: .4rem; padding: .5rem .8rem; }
.facts dt { color: #45525f; font-size: .85rem; }
.facts dd { margin: 0; font-size: 1.35rem; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; margin-bottom: 1.2rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
caption { text-align: left; color: #45525f; padding-bottom: .3rem; }
th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid #e2e8ee; vertical-align: top;
  overflow-wrap: anywhere; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td:first-child { white-space: nowrap; }
thead th { overflow-wrap: normal; border-bottom: 2px solid #9fb0c0; }
code { font-size: .85em; overflow-wrap: anywhere; }
.pictures { display: flex; flex-wrap: wrap; gap: 1rem; }
figure { margin: 0; width: 9rem; overflow-wrap: anywhere; }
figure:has(img + img) { width: 17.5rem; }
figure img { max-width: 8.5rem; border: 1px solid #c9d3dd; margin-right: .3rem; }
figcaption { font-size: .8rem; color: #45525f; max-width: 28rem; }
svg { max-width: 100%; height: auto; }
.warn { border-left: 4px solid #b3261e; padding: .3rem .8rem; background: #fbeceb; }
@media print { body { margin: 0; max-width: none; font-size: 11px; } h2 { break-after: avoid; }
  tr, figure { break-inside: avoid; } thead { display: table-header-group; } }
"""
_GDPR = (
    "The files are <strong>pseudonymised</strong> in the sense of Article 4(5) of the General Data Protection "
    "Regulation: whoever holds the key, or the originals, can attribute them to a person. They are not anonymous, "
    "and remain personal data."
)

_BLURRED = (
    "The pictures are so small and blurred that nothing can be read; grey patches cover what was blanked."
)
_NAME = 24
_GROUPS = 60


def page(summary: Summary) -> str:
    """Return the report as an HTML document that needs nothing else."""
    sections = (
        _head(summary),
        _section("What came in, what went out", _flow(summary)),
        _section("Held, by reason and device", _held(summary.held)),
        _section("How files were de-identified", _method(summary)),
        _section("Pixels", _counts(summary.pixels, "files") + _thumbnails(summary.thumbnails)),
        _section("Faces", _counts(summary.faces, "series")),
        _section("Verification", _verification(summary.verification)),
        _section("Review by people", _decisions(summary.decisions) + _sampling(summary.sampling)),
        _section("The 18 identifiers of the HIPAA Safe Harbor", _safe_harbor(summary.safe_harbor)),
        _section("Runs and digests", _runs(summary)),
        _section("What became of elements", _tags(summary.tags)),
    )
    return (
        '<!doctype html>\n<html lang="en" data-theme="light">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>De-identification of {escape(summary.project)}</title>\n"
        f"<style>{_STYLE}{stylesheet()}</style>\n</head>\n"
        f"<body>\n<main>\n{''.join(sections)}</main>\n</body>\n</html>\n"
    )


def _head(summary: Summary) -> str:
    last = summary.runs[-1] if summary.runs else {}
    told = f"Project {summary.project}, profile {summary.method['profile']}, {summary.tool}"
    warning = ""
    if last and last.get("state") != "complete":
        warning = (
            '<p class="warn">The last run did not look at everything. Give the same command again.</p>\n'
        )
    return f'<h1>De-identification report</h1>\n<p class="lead">{escape(told)}</p>\n{warning}<p>{_GDPR}</p>\n'


def _section(title: str, content: str) -> str:
    return f"<section>\n<h2>{escape(title)}</h2>\n{content}</section>\n"


def _flow(summary: Summary) -> str:
    held = sum(line.files for line in summary.held)
    facts = {
        "files in": f"{summary.came_in['files']:,}",
        "different contents": f"{summary.came_in.get('different contents', summary.came_in['files']):,}",
        "bytes in": _size(summary.came_in["bytes"]),
        "files out": f"{summary.went_out.get('files', 0):,}",
        "series out": f"{summary.went_out.get('series', 0):,}",
        "subjects out": f"{summary.went_out.get('subjects', 0):,}",
        "files held": f"{held:,}",
    }
    left = summary.came_in.get("not read") or {}
    facts |= {f"not read: {word}": f"{count:,}" for word, count in sorted(left.items())}
    listed = "".join(f"<div><dt>{escape(name)}</dt><dd>{value}</dd></div>" for name, value in facts.items())
    bars = [
        counted(_state(word), count)
        for word, count in sorted(summary.by_state.items(), key=lambda one: -one[1])
    ]
    chart = bar_chart(
        bars, title="Files by what became of them", name="states", head=("What became of them", "Files")
    )
    return f'<dl class="facts">{listed}</dl>\n<div class="wide">{chart.svg()}</div>{chart.details()}'


def _state(word: str) -> str:
    """Return a state and reason in words of people: what is impossible is held.

    >>> _state("impossible: face"), _state("ok"), _state("notneeded: already-done")
    ('held: face', 'cleaned', 'not needed: already-done')
    """
    state, _, reason = word.partition(": ")
    told = {"impossible": "held", "ok": "cleaned", "notneeded": "not needed"}.get(state, state)
    return f"{told}: {reason}" if reason else told


def _held(lines: Sequence[HeldLine]) -> str:
    if not lines:
        return "<p>Nothing is held.</p>\n"
    by_reason: dict[str, int] = {}
    for line in lines:
        by_reason[line.reason] = by_reason.get(line.reason, 0) + line.files
    reasons = (
        (reason, files, *MEANINGS[Reason(reason)])
        for reason, files in sorted(by_reason.items(), key=lambda one: (-one[1], one[0]))
    )
    rows = (
        (
            line.reason,
            _device(line.group) or "-",
            line.files,
            _size(line.size),
            "" if line.verdict is None else f"{line.verdict} by {line.agent}, {line.at}: {line.why}",
        )
        for line in lines[:_GROUPS]
    )
    columns = ("reason", "modality, device, size of the image", "files", "size", "decision")
    told = _table("Why", ("reason", "files", "what it means", "what to do"), reasons, {1})
    told += _table("Groups, of which one decision is made", columns, rows, {2, 3})
    if len(lines) > _GROUPS:
        more = sum(line.files for line in lines[_GROUPS:])
        told += (
            f"<p>{len(lines) - _GROUPS:,} more groups with {more:,} files: "
            "<code>fairbank deid review list</code> names them.</p>\n"
        )
    return told


def _device(group: str) -> str:
    """Return what a group's name tells of device and image, without what it does not know."""
    return ", ".join(part for part in group.split("|")[1:] if part not in ("", "-", "0x0"))


def _method(summary: Summary) -> str:
    told = summary.method
    rows = [
        ("profile", told["profile"]),
        ("options", ", ".join(told["options"]) or "none"),
        ("codes (CID 7050)", "; ".join(" ".join(code) for code in told["codes"])),
        ("recipe", "none" if told["recipe"] is None else f"{told['recipe']} ({told['recipe_digest']})"),
        ("dates", str(told["dates"]).lower()),
        ("pixels that say nothing", told["pixel_trust"]),
        (
            "heads",
            told["faces"],
        ),
        ("table", f"PS3.15 Table E.1-1, {told['edition']}, SHA-256 {told['table_sha256']}"),
        ("method digest", told["digest"]),
        ("key id", summary.key_id),
    ]
    if told.get("also used"):
        rows.append(("other methods", ", ".join(told["also used"])))
    if "elements counted in files" in told:
        rows.append(("elements counted in files", f"{told['elements counted in files']:,}"))
    return _table("Method", ("what", "how"), rows, set())


def _tags(lines: Sequence[TagLine]) -> str:
    if not lines:
        return "<p>No file was cleaned.</p>\n"
    columns = ("element", "name", "rule", "step", "before", "removed", "replaced", "kept", "added", "after")
    rows = (
        (
            line.tag,
            line.name,
            line.rule,
            line.step,
            line.before,
            line.removed,
            line.replaced,
            line.kept,
            line.added,
            line.after,
        )
        for line in lines
    )
    note = (
        "Elements at the top of each file, in how many files; with > before the tag those in items of sequences, "
        "each one counted. What a sequence held that was removed whole is not counted."
    )
    return _table(note, columns, rows, set(range(4, 10)))


def _counts(counts: Mapping[str, int], what: str) -> str:
    if not any(counts.values()):
        return f"<p>Nothing of the kind was done to {what} that went out.</p>\n"
    return _table(f"Counted in {what} that went out", ("what", "how many"), counts.items(), {1})


def _thumbnails(found: Sequence[Thumbnail]) -> str:
    treated = "".join(_figure(one) for one in found if one.after_png)
    waiting = "".join(_figure(one) for one in found if not one.after_png)
    return _gallery("Files with blanked boxes", treated) + _gallery(
        "Files that wait for the word of a person", waiting
    )


def _gallery(title: str, figures: str) -> str:
    if not figures:
        return ""
    return f'<h3>{title}</h3>\n<p>{_BLURRED}</p>\n<div class="pictures">{figures}</div>\n'


def _figure(one: Thumbnail) -> str:
    pictures = "".join(
        f'<img alt="{alt}" src="data:image/png;base64,{content}">'
        for alt, content in (
            ("where it was blanked" if one.after_png else "as it came in", one.before_png),
            ("as it went out", one.after_png),
        )
        if content
    )
    if one.after_png:
        many = f"{one.boxes:,} {'box' if one.boxes == 1 else 'boxes'}"
        told = (
            f"{many}, found by {', '.join(one.found_by) or 'no means'}. Left: where; right: as it went out."
        )
    else:
        told = ", ".join(part for part in (one.group.partition("|")[0], _device(one.group)) if part)
    name = one.name if len(one.name) <= _NAME else f"{one.name[:8]}…{one.name[-12:]}"
    return f"<figure>{pictures}<figcaption>{escape(name)}: {escape(told)}</figcaption></figure>\n"


def _verification(found: Verification) -> str:
    told = (
        f"<p>Each of the {found.passed:,} outputs passed a second look before anybody could have it: it was read back "
        "from its bytes by a reader of its own, each element was judged by PS3.15 Table E.1-1, the whole file was "
        "searched for the subject's own names, numbers, UIDs and days, and its marks and pixel data were compared "
        "with what was done.</p>\n"
    )
    if found.refused:
        count = sum(found.refused.values())
        told += (
            f"<p>{count:,} {'file' if count == 1 else 'files'} did not pass and {_is_are(count)} held.</p>\n"
        )
        told += _table("Files that the second look held", ("reason", "files"), found.refused.items(), {1})
    else:
        told += "<p>No file was held by the second look.</p>\n"
    return told + _standard(found) + _graph(found)


def _standard(found: Verification) -> str:
    if not found.standard_files:
        return "<p>dciodvfy was not asked: it is not installed, or there was nothing to ask about.</p>\n"
    told = (
        f"<p>dciodvfy compared {found.standard_files:,} outputs, one of each series, with what they were made of: "
        f"{sum(found.standard.values()):,} new errors.</p>\n"
    )
    return told + (
        _table(
            "Errors that the output has and the input has not",
            ("error", "files"),
            found.standard.items(),
            {1},
        )
        if found.standard
        else ""
    )


def _graph(found: Verification) -> str:
    if not found.graph:
        return "<p>References between files were not followed in this run.</p>\n"
    return _table(
        "References between files, before and after", ("what", "how many"), found.graph.items(), {1}
    )


def _is_are(count: int) -> str:
    return "is" if count == 1 else "are"


def _decisions(lines: Sequence[DecisionLine]) -> str:
    if not lines:
        return "<p>No group of held files was decided of.</p>\n"
    rows = ((_decided(line), line.verdict, line.why, line.agent, line.at) for line in lines)
    return _table(
        "Decisions, in their order; the last of a group holds",
        ("group", "decision", "why", "by", "at"),
        rows,
        set(),
    )


def _decided(line: DecisionLine) -> str:
    return line.group if line.files is None else f"{line.group}: {line.files} files, one by one"


def _sampling(sampling: Sampling | None) -> str:
    if sampling is None:
        return "<p>No sample was drawn. <code>fairbank deid review sample</code> draws one.</p>\n"
    told = (
        f"{sampling.drawn:,} of {sampling.population:,} outputs were drawn by chance, "
        f"{sampling.looked_at:,} of them were looked at, {sampling.failed:,} showed something identifying."
    )
    if sampling.upper_bound is not None:
        told += (
            f" With {sampling.confidence:.0%} confidence at most {sampling.upper_bound:.2%} of the outputs do"
            f" (looked at by {', '.join(sampling.agents)})."
        )
    return f"<p>{escape(told)}</p>\n"


def _safe_harbor(lines: Sequence[Coverage]) -> str:
    rows = (
        (line.letter, line.identifier, line.state.value, line.done, line.checked, line.not_covered)
        for line in lines
    )
    note = "45 CFR 164.514(b)(2)(i); a statement of what the method does, no legal opinion"
    return _table(
        note, ("", "identifier", "state", "what is done", "how it is checked", "left open"), rows, set()
    )


def _runs(summary: Summary) -> str:
    rows = (
        (run["id"], run["started"], run["ended"] or "", run["agent"], run["tool"], run["state"])
        for run in summary.runs
    )
    runs = _table("Runs", ("run", "began", "ended", "by", "with", "state"), rows, set())
    if not summary.digests:
        return runs
    return runs + _table(
        "Files that belong to this report", ("file", "digest"), summary.digests.items(), set()
    )


def _table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], numeric: set[int]) -> str:
    head = "".join(
        f'<th scope="col"{_class(place, numeric)}>{escape(column)}</th>'
        for place, column in enumerate(columns)
    )
    body = "".join(
        "<tr>"
        + "".join(f"<td{_class(place, numeric)}>{_cell(value)}</td>" for place, value in enumerate(row))
        + "</tr>\n"
        for row in rows
    )
    return (
        f'<div class="wide"><table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead>\n'
        f"<tbody>{body}</tbody></table></div>\n"
    )


def _class(place: int, numeric: set[int]) -> str:
    return ' class="n"' if place in numeric else ""


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else escape(str(value))


def _size(count: int) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000  # type: ignore[assignment]  # only shown
    return f"{count:.1f} TB"
