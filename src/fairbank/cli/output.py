"""How results are printed: a table for people, JSON or CSV for programs. Results on stdout, all else on stderr."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer

from fairbank import shown_text

_ANY_WIDTH = 100_000
_COUNTS = frozenset({"exact", "below-k", "not-countable", "waiting", "declined", "at-least"})
_OF_COUNTS = frozenset({"kind", "value", "k", "why", "since", "at_least", "withheld", "unknown"})


class Format(StrEnum):
    """How results are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


FormatOption = Annotated[Format, typer.Option("--format", help="How results are printed.")]


def show_rows(
    rows: Iterable[Mapping[str, Any]], *, columns: Sequence[str], format: Format, empty: str = "Nothing."
) -> None:
    """Print rows, each a mapping of column to value."""
    listed = [{column: row.get(column) for column in columns} for row in rows]
    if format is Format.JSON:
        _write(json.dumps(listed, ensure_ascii=False, indent=2, default=str))
    elif format is Format.CSV:
        writer = csv.DictWriter(sys.stdout, fieldnames=list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            [{key: shown_text.for_spreadsheet(_cell(value)) for key, value in row.items()} for row in listed]
        )
    elif not listed:
        say(empty)
    else:
        _print_table(listed, columns)


def show_fields(fields: Mapping[str, Any], *, format: Format) -> None:
    """Print one thing, field by field."""
    if format is Format.JSON:
        _write(json.dumps(fields, ensure_ascii=False, indent=2, default=str))
    else:
        show_rows(
            [{"field": key, "value": _cell(value)} for key, value in fields.items()],
            columns=("field", "value"),
            format=format,
        )


def say(text: str) -> None:
    """Tell the person something that is not a result (stderr)."""
    sys.stderr.write(shown_text.for_terminal(text) + "\n")


def _print_table(rows: list[dict[str, Any]], columns: Sequence[str]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        numeric = all(isinstance(row[column], (int, float)) for row in rows)
        table.add_column(column.replace("_", " "), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(shown_text.for_terminal(_cell(row[column])) for column in columns))
    # What reads a pipe wants one row per line, however long: a folded digest cannot be searched for.
    # Brackets in a cell are a text, no colour; and what looks like `:name:` is no picture.
    Console(width=None if sys.stdout.isatty() else _ANY_WIDTH, markup=False, emoji=False).print(table)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(_cell(part) for part in value)
    if isinstance(value, dict):
        if value.get("kind") in _COUNTS and set(value) <= _OF_COUNTS:
            return _count(value)
        return ", ".join(f"{key} {_cell(inner)}" for key, inner in value.items())
    return str(value)


def _count(count: Mapping[str, Any]) -> str:
    """Return a count as text: a number, or words that cannot be taken for one."""
    if count["kind"] == "exact":
        return str(count["value"])
    from fairbank.ontology.counts import AtLeast, Count

    given = {key: value for key, value in count.items() if value is not None}
    kind = AtLeast if given["kind"] == "at-least" else Count
    return kind.model_validate(given).in_full()


def _write(text: str) -> None:
    sys.stdout.write(text + "\n")
