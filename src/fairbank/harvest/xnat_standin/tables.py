"""XNAT's REST tables: rows of text, chosen columns, filters, and the two ways to write them.

Every value is text and null is the empty text. A column that nobody knows is silently left out; `URI` comes unasked; a
column asked for by its path comes back in lower case. A column or type filter that names one kind of session hides
all other kinds.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from starlette.responses import Response

Row = dict[str, str]

_NOT_FILTERS = frozenset({"columns", "format", "xsitype", "limit", "offset", "sortby", "xnat_csrf"})
_SESSION_ROOTS = ("xnat:experimentdata", "xnat:subjectassessordata", "xnat:imagesessiondata")
# What a path below its root type is called in our rows.
_PATHS = {"meta/last_modified": "last_modified", "meta/insert_date": "insert_date"}


def answer(rows: Sequence[Row], query: Mapping[str, str], *, default: Sequence[str]) -> Response:
    """Return the table answer to a query: filtered, with the columns asked for, as CSV or JSON.

    Args:
        rows: all rows, each with every column that it knows, by canonical lower-case name.
        query: the query of the request, keys in lower case.
        default: the columns given when none are asked for.
    """
    asked = [name.strip() for name in query.get("columns", "").split(",") if name.strip()] or list(default)
    if asked == ["DEFAULT"]:
        asked = list(default)
    kept = [row for row in _narrowed(rows, [query.get("xsitype", ""), *asked]) if _matches(row, query)]
    known = {name for row in rows for name in row}
    if "uri" in known and "uri" not in (name.lower() for name in asked):
        asked = [*asked, "URI"]
    columns = [name for name in asked if _canonical(name) in known]
    headers = [name.lower() if ":" in name else name for name in columns]
    table = [
        {header: row.get(_canonical(name), "") for header, name in zip(headers, columns, strict=True)}
        for row in _distinct(kept, [_canonical(name) for name in columns])
    ]
    paged, paging = _page(table, query)
    if query.get("format", "json") == "csv":
        return Response(_as_csv(paged, headers), media_type="text/csv")
    result: dict[str, object] = {"Result": paged}
    if not paging:
        result["totalRecords"] = str(len(paged))
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
    return f"subject_{path}" if root == "xnat:subjectdata" else path


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
        if name in _NOT_FILTERS or _canonical(name) not in row:
            continue
        if not fnmatchcase(row[_canonical(name)], wanted.replace("%", "*")):
            return False
    return True


def _distinct(rows: Sequence[Row], columns: Sequence[str]) -> list[Row]:
    """Return one row per scan only where a column of the scan is asked for, else one per session."""
    if any(column.startswith("scan:") for column in columns):
        return list(rows)
    seen: dict[str, Row] = {}
    for index, row in enumerate(rows):
        key = row["id"] if "scan:id" in row else str(index)
        seen.setdefault(key, row)
    return list(seen.values())


def _page(table: list[Row], query: Mapping[str, str]) -> tuple[list[Row], bool]:
    limit, offset = query.get("limit"), query.get("offset")
    if limit == "*" or (limit is None and offset is None):
        return table, False
    start = int(offset or 0)
    return table[start : start + int(limit or 100)], True


def _as_csv(rows: Sequence[Row], headers: Sequence[str]) -> str:
    written = io.StringIO()
    writer = csv.DictWriter(written, fieldnames=list(headers), quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return written.getvalue()
