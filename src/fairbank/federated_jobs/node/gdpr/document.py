"""A document of sections with paragraphs and tables, and its three forms: HTML by itself, Markdown, JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

Cell = str | int

_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1c2733; background: #fff; max-width: 64rem; margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin-bottom: .2rem; }
h2 { font-size: 1.2rem; margin-top: 2.2rem; border-bottom: 1px solid #c9d3dd; padding-bottom: .2rem; }
h2 small { color: #45525f; font-weight: normal; font-size: .85rem; }
.lead { color: #45525f; margin-top: 0; }
.wide { overflow-x: auto; margin-bottom: 1.2rem; }
table { border-collapse: collapse; width: 100%; font-size: .88rem; }
caption { text-align: left; color: #45525f; padding-bottom: .3rem; }
th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid #e2e8ee; vertical-align: top;
  overflow-wrap: anywhere; min-width: 5rem; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; min-width: 3rem; }
thead th { border-bottom: 2px solid #9fb0c0; overflow-wrap: normal; }
.open { border-left: 4px solid #b3261e; padding: .3rem .8rem; background: #fbeceb; }
@media print { body { margin: 0; max-width: none; font-size: 11px; } h2 { break-after: avoid; }
  tr { break-inside: avoid; } thead { display: table-header-group; } }
"""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under column names; whole numbers stand to the right."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class Section:
    """One section.

    Attributes:
        article: of the GDPR, such as `Art. 30(1)(b)`.
        text: paragraphs.
        open_points: what somebody at the site still has to say; shown so that it is not passed over.
    """

    title: str
    article: str = ""
    text: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    open_points: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A whole document."""

    title: str
    lead: str
    sections: tuple[Section, ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON object; rows are objects by column."""
        return {
            "schema": "gdpr-report/1",
            "title": self.title,
            "lead": self.lead,
            "sections": [
                {
                    "title": each.title,
                    "article": each.article,
                    "text": list(each.text),
                    "open_points": list(each.open_points),
                    "tables": [
                        {
                            "caption": table.caption,
                            "rows": [dict(zip(table.columns, row, strict=True)) for row in table.rows],
                        }
                        for table in each.tables
                    ],
                }
                for each in self.sections
            ],
        }

    def as_markdown(self) -> str:
        """Return it as Markdown."""
        return "\n".join(
            (f"# {_plain(self.title)}", "", _plain(self.lead), "", *map(_markdown, self.sections))
        )

    def as_html(self) -> str:
        """Return it as an HTML page that needs nothing else: no script, nothing fetched."""
        return (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{escape(self.title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
            f'<h1>{escape(self.title)}</h1>\n<p class="lead">{escape(self.lead)}</p>\n'
            f"{''.join(map(_html, self.sections))}</main>\n</body>\n</html>\n"
        )


def _html(section: Section) -> str:
    article = f" <small>{escape(section.article)}</small>" if section.article else ""
    parts = [f"<section>\n<h2>{escape(section.title)}{article}</h2>\n"]
    parts += [f"<p>{escape(text)}</p>\n" for text in section.text]
    parts += [f'<p class="open">{escape(text)}</p>\n' for text in section.open_points]
    parts += [_html_table(table) for table in section.tables]
    return "".join((*parts, "</section>\n"))


def _html_table(table: Table) -> str:
    if not table.rows:
        return f"<p>{escape(table.caption)}: none.</p>\n"
    numeric = [all(isinstance(row[place], int) for row in table.rows) for place in range(len(table.columns))]
    head = "".join(
        f'<th scope="col"{_class(right)}>{escape(name)}</th>'
        for name, right in zip(table.columns, numeric, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{_class(right)}>{escape(_words(cell))}</td>"
            for cell, right in zip(row, numeric, strict=True)
        )
        + "</tr>\n"
        for row in table.rows
    )
    return (
        f'<div class="wide"><table><caption>{escape(table.caption)}</caption>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>\n"
    )


def _class(right: bool) -> str:
    return ' class="n"' if right else ""


def _markdown(section: Section) -> str:
    article = f" ({_plain(section.article)})" if section.article else ""
    lines = [f"## {_plain(section.title)}{article}", ""]
    for text in section.text:
        lines += [_plain(text), ""]
    for text in section.open_points:
        lines += [f"> **Open:** {_plain(text)}", ""]
    for table in section.tables:
        if not table.rows:
            lines += [f"{_plain(table.caption)}: none.", ""]
            continue
        lines += [f"{_plain(table.caption)}:", ""]
        lines += [_line(table.columns), _line(["---"] * len(table.columns))]
        lines += [_line([_words(cell) for cell in row]) for row in table.rows]
        lines.append("")
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_plain(cell).replace("|", "\\|") for cell in cells) + " |"


def _plain(text: str) -> str:
    # A line break, or a bracket of HTML, that somebody outside wrote must not become part of the document.
    return " ".join(text.split()).replace("<", "&lt;").replace("[", "\\[")


def _words(cell: Cell) -> str:
    return f"{cell:,}" if isinstance(cell, int) else cell
