"""From the rows of series to the table of subjects: one row per subject."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from fairbank.analysis.contract import Column, ColumnType, Row, Value
from fairbank.analysis.statistics.site_table import SiteTable

Known = Mapping[str, Mapping[str, str | float]]


def table_of(
    rows: Sequence[Row], columns: Sequence[Column], *, subject: str, known: Known
) -> tuple[SiteTable, list[str]]:
    """Return the table of all subjects, and their names in its order.

    Of several series of a subject, numbers are averaged; words count only where all agree.

    Args:
        rows: of series.
        columns: those of numbers and words become columns of the table.
        subject: the column that names the subject.
        known: what the site knows of a subject beside its rows, by the subject's name and the column's; it comes first.
            A number stands under the column's name with a `#` behind it, so that words and numbers may share a name.
    """
    of: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        of[str(row[subject])].append(row)
    names = sorted(of)
    numbers, words, allowed = {}, {}, {}
    for column in columns:
        if column.type in (ColumnType.NUMBER, ColumnType.INTEGER):
            numbers[column.name] = np.array(
                [
                    _mean(known.get(name, {}).get(f"{column.name}#"), _values(of[name], column))
                    for name in names
                ]
            )
        elif column.type is ColumnType.WORD:
            allowed[column.name] = column.words
            words[column.name] = [_word(of[name], column, known.get(name, {})) for name in names]
    return SiteTable(numbers, words, allowed, len(names)), names


def _values(rows: Sequence[Row], column: Column) -> list[Value]:
    found = (row.get(column.name) for row in rows)
    return [value for value in found if value is not None]


def _mean(said: str | float | None, values: Sequence[Value]) -> float:
    if isinstance(said, float):
        return said
    numbers = [float(value) for value in values if isinstance(value, int | float)]
    return float(np.mean(numbers)) if numbers else float("nan")


def _word(rows: Sequence[Row], column: Column, known: Mapping[str, str | float]) -> str | None:
    said = known.get(column.name)
    if isinstance(said, str) and said in column.words:
        return said
    found = {str(value) for value in _values(rows, column)}
    return found.pop() if len(found) == 1 else None
