"""Measurements as files: one line for each value that a site released, as CSV (RFC 4180) or Parquet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fairbank.errors import MissingExtra
from fairbank.federated_jobs.hub.measurements import Page
from fairbank.shown_text import for_spreadsheet

# What is said of every value; then what it is, as a number or as a word.
_OF_ROW = (
    "node", "job", "visa", "tool", "tool_version", "tool_digest", "row", "status", "reason", "subject_withdrawn",
)  # fmt: skip
HEADER = ("datasets", *_OF_ROW, "column", "biomarker", "unit", "number", "word")


class FileFormat(StrEnum):
    """How measurements can be exported."""

    CSV = "csv"
    PARQUET = "parquet"

    @property
    def media_type(self) -> str:
        """Return the media type (IANA)."""
        return "text/csv" if self is FileFormat.CSV else "application/vnd.apache.parquet"


def check_writable(format: FileFormat) -> None:
    """Refuse a format whose library is not installed.

    Raises:
        MissingExtra: if Parquet is asked for without pyarrow.
    """
    if format is FileFormat.PARQUET and find_spec("pyarrow") is None:
        raise MissingExtra.named("parquet", needed_for="A file of Parquet")


def lines(page: Page) -> Iterator[dict[str, Any]]:
    """Yield one line for each value of a page; a row with no value at all has one line, so that it is not lost."""
    for row in page.measurements:
        said = {"datasets": " ".join(row["datasets"]), **{name: row[name] for name in _OF_ROW}}
        values = [one for one in row["values"] if one["value"] is not None]
        for one in values or [{"column": None, "biomarker": None, "unit": None, "value": None}]:
            value = one["value"]
            yield {
                **said,
                "column": one["column"],
                "biomarker": one["biomarker"],
                "unit": one["unit"],
                "number": value if isinstance(value, int | float) else None,
                "word": value if isinstance(value, str) else None,
            }


def as_csv(pages: Iterable[Page]) -> Iterator[str]:
    """Yield a CSV file, page by page."""
    yield _csv([HEADER])
    for page in pages:
        yield _csv([_cell(line[name]) for name in HEADER] for line in lines(page))


def write_parquet(pages: Iterable[Page], to: Path) -> None:
    """Write a Parquet file with one row group for each page; numbers are doubles, everything else text."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(name, pa.float64() if name == "number" else pa.string()) for name in HEADER])
    with pq.ParquetWriter(to, schema) as writer:
        for page in pages:
            writer.write_table(pa.Table.from_pylist([_plain(line) for line in lines(page)], schema=schema))


def _plain(line: dict[str, Any]) -> dict[str, Any]:
    number = line["number"]
    return {**line, "number": float(number) if number is not None else None}


def _cell(value: Any) -> Any:
    return for_spreadsheet(value) if isinstance(value, str) else value


def _csv(rows: Iterable[Iterable[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()
