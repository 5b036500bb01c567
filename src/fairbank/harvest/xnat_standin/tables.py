"""XNAT's REST tables: rows of text, chosen columns, filters, pages, and the two ways to write them.

Every value is text and null is the empty text. A column that nobody knows is silently left out; `URI` comes unasked; a
column asked for by its path comes back in lower case. A column or type filter that names one kind of session hides
all other kinds. A page is cut out of rows in no order, what the user may not read is taken out of it afterwards, and
only then is it sorted: a short or an empty page is not the end.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from fnmatch import fnmatchcase

from fastapi import HTTPException
from starlette.responses import Response

from fairbank.harvest.xnat_standin.site import Site

Row = dict[str, str]

_NOT_FILTERS = frozenset(
    {"columns", "format", "xsitype", "limit", "offset", "sortby", "sortorder", "xnat_csrf"}
)
_SESSION_ROOTS = ("xnat:experimentdata", "xnat:subjectassessordata", "xnat:imagesessiondata")
# What a path below its root type is called in our rows.
_PATHS = {"meta/last_modified": "last_modified", "meta/insert_date": "insert_date"}
_DATES = frozenset({"date", "last_modified", "insert_date", "scan:last_modified", "scan:insert_date"})
# Rows carry what only the stand-in itself needs under names with this beginning.
HIDDEN = "_"


def answer(
    rows: Sequence[Row],
    query: Mapping[str, str],
    *,
    default: Sequence[str],
    site: Site,
    readable: Callable[[Row], bool] = lambda _: True,
) -> Response:
    """Return the table answer to a query: filtered, with the columns asked for, as CSV or JSON.

    Args:
        rows: all rows, each with every column that it knows, by canonical lower-case name.
        query: the query of the request, keys in lower case.
        default: the columns given when none are asked for.
        site: how rows are ordered and paged.
        readable: whether the user may read a row.
    """
    asked = [name.strip() for name in query.get("columns", "").split(",") if name.strip()] or list(default)
    if asked == ["DEFAULT"]:
        asked = list(default)
    kept = [row for row in _narrowed(rows, [query.get("xsitype", ""), *asked]) if _matches(row, query)]
    known = {name for row in rows for name in row if not name.startswith(HIDDEN)}
    if "uri" in known and "uri" not in (name.lower() for name in asked):
        asked = [*asked, "URI"]
    columns = [name for name in asked if _canonical(name) in known]
    headers = [name.lower() if ":" in name else name for name in columns]
    paged, paging = _page(_distinct(kept, [_canonical(name) for name in columns]), query, site)
    table = [
        {header: row.get(_canonical(name), "") for header, name in zip(headers, columns, strict=True)}
        for row in _sorted([row for row in paged if readable(row)], query)
    ]
    if query.get("format", "json") == "csv":
        return Response(_as_csv(table, headers), media_type="text/csv")
    result: dict[str, object] = {"Result": table}
    if not paging:
        result["totalRecords"] = str(len(table))
    return Response(json.dumps({"ResultSet": result}), media_type="application/json")


def _canonical(name: str) -> str:
    """Return the name that our rows give a column: `scan:id` for a scan's path, else the path below its root."""
    lowered = name.lower()
    root, slash, path = lowered.partition("/")
    if not slash:
        return lowered
    path = _PATHS.get(path, path)
    if root.endswith("scandata"):
        return f"scan:{path}"
    return f"subject_{path}" if root == "xnat:subjectdata" and path in ("id", "label") else path


def _narrowed(rows: Sequence[Row], names: Sequence[str]) -> list[Row]:
    kept = list(rows)
    for name in names:
        root = name.lower().partition("/")[0]
        if root.endswith("scandata") and root != "xnat:imagescandata":
            kept = [row for row in kept if row.get("scan:xsitype", "").lower() == root]
        elif root.endswith("sessiondata") and root not in _SESSION_ROOTS:
            kept = [row for row in kept if row.get("xsitype", "").lower() == root]
    return kept


def _matches(row: Row, query: Mapping[str, str]) -> bool:
    for name, wanted in query.items():
        column = _canonical(name)
        if name in _NOT_FILTERS or column not in row or column.startswith(HIDDEN):
            continue
        if column in _DATES and wanted:
            first, last = _range(wanted)
            if not first <= row[column][:10] <= last:
                return False
        elif not fnmatchcase(row[column], wanted.replace("%", "*")):
            return False
    return True


def _range(text: str) -> tuple[str, str]:
    """Return the first and last day, ISO, of `MM/DD/YYYY-MM/DD/YYYY` or of one day; ISO dates break XNAT's reading."""
    days = text.split("-")
    if len(days) > 2 or not all(re.fullmatch(r"\d{2}/\d{2}/\d{4}", day) for day in days):
        raise HTTPException(500)
    parsed = [date(int(day[6:]), int(day[:2]), int(day[3:5])).isoformat() for day in days]
    return parsed[0], parsed[-1]


def _distinct(rows: Sequence[Row], columns: Sequence[str]) -> list[Row]:
    """Return one row per resource only where a column of it is asked for, else one per scan, else one per session."""
    if any(column.startswith("scan:file/") for column in columns):
        return list(rows)
    of_scans = any(column.startswith("scan:") for column in columns)
    seen: dict[tuple[str, ...], Row] = {}
    for index, row in enumerate(rows):
        key = (row["id"], row["scan:id"] if of_scans else "") if "scan:id" in row else (str(index),)
        seen.setdefault(key, row)
    return [row for row in seen.values() if not of_scans or row.get("scan:id")]


def _page(table: list[Row], query: Mapping[str, str], site: Site) -> tuple[list[Row], bool]:
    if (order := site.order()) is not None:
        table = order.sample(table, len(table))
    try:
        window = site.window(query.get("limit"), query.get("offset"))
    except ValueError as err:
        raise HTTPException(400) from err
    return (table, False) if window is None else (table[window], True)


def _sorted(table: list[Row], query: Mapping[str, str]) -> list[Row]:
    names = [_canonical(name.strip()) for name in query.get("sortby", "").split(",") if name.strip()]
    backwards = query.get("sortorder", "").lower() == "desc"
    return (
        sorted(table, key=lambda row: [row.get(name, "") for name in names], reverse=backwards)
        if names
        else table
    )


def _as_csv(rows: Sequence[Row], headers: Sequence[str]) -> str:
    written = io.StringIO()
    writer = csv.DictWriter(written, fieldnames=list(headers), quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return written.getvalue()
