"""Building blocks of letters and meeting files: HTML of which every text was escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape


def heading(text: str, *, level: int = 2) -> str:
    """Return a heading."""
    return f"<h{level}>{escape(text)}</h{level}>\n"


def paragraph(text: str) -> str:
    """Return a paragraph; line ends stay."""
    return f"<p>{'<br>'.join(escape(line) for line in text.splitlines())}</p>\n"


def fields(pairs: Mapping[str, str]) -> str:
    """Return names and values, as a table with its heads at the side; empty values are left out."""
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>\n'
        for name, value in pairs.items()
        if value
    )
    return f"<table>\n{rows}</table>\n" if rows else ""


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; nothing if it has no rows."""
    body = "".join(
        # The first cell names its row, and is not broken where there is no space.
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        + "</tr>\n"
        for row in rows
    )
    if not body:
        return ""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    return f"<table>\n<tr>{head}</tr>\n{body}</table>\n"


def items(texts: Iterable[str]) -> str:
    """Return a list; nothing if it is empty."""
    inner = "".join(f"<li>{escape(text)}</li>\n" for text in texts)
    return f"<ul>\n{inner}</ul>\n" if inner else ""
