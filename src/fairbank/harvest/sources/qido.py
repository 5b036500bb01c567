"""Asking a DICOMweb archive what it has (QIDO-RS, DICOM PS3.18, section 10.6): pages, and what is kept of their rows.

The pager trusts no server: it ends where nothing new comes, whatever becomes of `offset` and `limit`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode

from pydicom.datadict import tag_for_keyword

from fairbank.harvest.errors import SourceFailed
from fairbank.harvest.sources.archive_questions import (
    VERSION_KEYS,
    Filter,
    ListedSeries,
    count_of,
    version_of,
)
from fairbank.harvest.sources.polite import Answer, PoliteClient
from fairbank.harvest.sources.study_dates import Listing, NoDate, Window

PAGE_ROWS: Final = 1000
# More rows than this are not held in memory; no archive of one hospital has as many series.
MOST_ROWS: Final = 5_000_000
DICOM_JSON: Final = {"Accept": "application/dicom+json"}
# dcm4chee-arc-light: `Warning: 299 …: "There are 4 additional results that can be requested"`.
_ADDITIONAL = re.compile(r"(\d{1,9}) additional result")


@dataclass(frozen=True, slots=True, repr=False)
class ListedStudy:
    """A study as an archive lists it."""

    uid: str
    study_date: str

    @property
    def key(self) -> str:
        """Return what tells it from another line of the listing."""
        return self.uid


Line = TypeVar("Line", ListedSeries, ListedStudy)


@dataclass(frozen=True, slots=True, repr=False)
class Page:
    """One answer: its rows, and how many more there are, or how many in all, where the server says so."""

    rows: list[Mapping[str, Any]]
    additional: int | None
    total: int | None


def list_series(
    client: PoliteClient, window: Window | NoDate | None, *, wanted: Filter, name: str, series_uid: str = ""
) -> Listing[ListedSeries]:
    """Return all series of a window of study dates, or those of one UID, page by page."""
    question = _question(window, wanted, "STUDY", "SERIES")
    if series_uid:
        question["SeriesInstanceUID"] = series_uid

    def read(row: Mapping[str, Any]) -> ListedSeries | None:
        _check(row, wanted, name, "STUDY", "SERIES")
        return _series(row, values_of(row, "StudyInstanceUID"), values_of(row, "StudyDate"))

    return _paged(client, "/series", question, read, name)


def list_studies(
    client: PoliteClient, window: Window | NoDate | None, *, wanted: Filter, name: str
) -> Listing[ListedStudy]:
    """Return all studies of a window of study dates, page by page."""

    def read(row: Mapping[str, Any]) -> ListedStudy | None:
        _check(row, wanted, name, "STUDY")
        uid = values_of(row, "StudyInstanceUID")
        return ListedStudy(uid, values_of(row, "StudyDate")) if uid else None

    return _paged(client, "/studies", _question(window, wanted, "STUDY"), read, name)


def series_of(
    client: PoliteClient, study: ListedStudy, *, wanted: Filter, name: str
) -> Listing[ListedSeries]:
    """Return the series of one study, page by page."""

    def read(row: Mapping[str, Any]) -> ListedSeries | None:
        _check(row, wanted, name, "SERIES")
        return _series(row, study.uid, study.study_date)

    path = f"/studies/{quote(study.uid, safe='')}/series"
    return _paged(client, path, _question(None, wanted, "SERIES"), read, name)


def _question(window: Window | NoDate | None, wanted: Filter, *levels: str) -> dict[str, str]:
    question = {"includefield": ",".join(_tag(keyword) for keyword in (*VERSION_KEYS, *wanted.wanted))}
    for level in levels:
        question |= wanted.of_level(level)
    if isinstance(window, NoDate):
        question["StudyDate"] = '""'
    elif window is not None:
        question["StudyDate"] = window.text
    return question


def _paged(
    client: PoliteClient,
    path: str,
    question: Mapping[str, str],
    read: Callable[[Mapping[str, Any]], Line | None],
    name: str,
) -> Listing[Line]:
    """Ask for page after page, until one brings nothing new."""
    rows: dict[str, Line] = {}
    received, total, whole = 0, None, True
    sizes: list[int] = []
    while received < MOST_ROWS:
        page = _page(client, path, {**question, "limit": str(PAGE_ROWS), "offset": str(received)})
        usable = _by_key(map(read, page.rows))
        new = usable.keys() - rows.keys()
        if page.total is not None:
            total = page.total
        if not page.rows:
            ran_out = len(sizes) > 1 and sizes[-1] < sizes[0]
            return Listing(rows, whole and (total is None or received >= total), total, ran_out)
        if received and not new:
            # The same again: the server does not look at `offset`. All of it came if it was less than was asked for.
            return Listing(rows, whole and received != PAGE_ROWS and not page.additional, total)
        if received and len(new) < len(usable):
            # Pages overlap, so others may have a gap between them.
            whole = False
        rows.update(usable)
        received += len(page.rows)
        sizes.append(len(page.rows))
        if page.additional is not None:
            total = received + page.additional
    raise SourceFailed(
        f"The archive {name} lists more than {MOST_ROWS} series.",
        why="So many are not harvested as one.",
        todo="Read it in parts: a source for each, with a filter.",
    )


def values_of(row: Mapping[str, Any], keyword: str) -> str:
    """Return the values of an attribute in DICOM JSON (PS3.18, annex F), several with backslashes between them."""
    element = row.get(_tag(keyword))
    values = element.get("Value") if isinstance(element, Mapping) else None
    if not isinstance(values, list):
        return ""
    return "\\".join(str(value).strip() for value in values if isinstance(value, str | int | float))


def _page(client: PoliteClient, path: str, question: Mapping[str, str]) -> Page:
    # Orthanc 1.10 takes an escaped wildcard literally; a query may hold these signs as they are (RFC 3986, 3.4).
    query = urlencode(question, safe="*?,", quote_via=quote)
    page: Page = client.request("GET", f"{path}?{query}", headers=DICOM_JSON, read=_read)
    return page


def _read(answer: Answer) -> Page:
    content = rows_of(answer)
    additional = _ADDITIONAL.search(answer.headers.get("warning", ""))
    return Page(
        content, int(additional[1]) if additional else None, count_of(answer.headers.get("x-total-count", ""))
    )


def rows_of(answer: Answer) -> list[Mapping[str, Any]]:
    """Return the rows of an answer in DICOM JSON; none found is an empty list or status 204.

    Raises:
        ValueError, TypeError: if it is anything else.
    """
    if answer.status == 204 or not answer.content.strip():
        return []
    rows = json.loads(answer.content)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise TypeError
    return rows


def _check(row: Mapping[str, Any], wanted: Filter, name: str, *levels: str) -> None:
    said = {keyword: values_of(row, keyword) for keyword in wanted.wanted}
    for level in levels:
        wanted.check(level, said, name=name)


def _series(row: Mapping[str, Any], study_uid: str, study_date: str) -> ListedSeries | None:
    """Return what is kept of a row, None if it lacks the ids that it would be fetched by."""
    series_uid = values_of(row, "SeriesInstanceUID")
    if not study_uid or not series_uid:
        return None
    return ListedSeries(
        study_uid,
        series_uid,
        study_date,
        count_of(values_of(row, "NumberOfSeriesRelatedInstances")),
        version_of(values_of(row, keyword) for keyword in VERSION_KEYS),
    )


def _by_key(listed: Iterable[Line | None]) -> dict[str, Line]:
    """Return lines by their keys; the same line twice on one page is two series of the same UID, none of them lost."""
    found: dict[str, Line] = {}
    times: Counter[str] = Counter()
    for line in listed:
        if line is not None:
            times[line.key] += 1
            found[f"{line.key} {times[line.key]}"] = line
    return found


def _tag(keyword: str) -> str:
    return f"{tag_for_keyword(keyword) or 0:08X}"
