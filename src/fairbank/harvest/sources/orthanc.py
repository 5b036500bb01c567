"""An Orthanc as a source: DICOMweb, and beside it Orthanc's own REST interface for stamps of change and its feed.

Orthanc's log of changes has no entry for what is deleted: that only a snapshot tells.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import httpx

from fairbank.clock import Clock
from fairbank.errors import Sensitive
from fairbank.harvest.errors import NotInSource
from fairbank.harvest.sources.archive_questions import Filter, ListedSeries, items_of, version_of
from fairbank.harvest.sources.dicomweb import DicomwebSource
from fairbank.harvest.sources.pace import Machine, Politeness
from fairbank.harvest.sources.protocol import Capability, Changes, Checked, Item, Snapshot
from fairbank.harvest.sources.qido import list_series

_PAGE_ROWS: Final = 1000
_VERSION = re.compile(r"[0-9A-Za-z._-]{1,40}")


class OrthancSource(DicomwebSource):
    """An Orthanc, whose REST interface lies at a path of the same server.

    Args:
        rest_path: where that interface lies: `/`, or what a proxy puts before it.
    """

    capabilities = DicomwebSource.capabilities | {Capability.CHANGE_FEED, Capability.TOTAL_COUNT}

    def __init__(
        self,
        url: str,
        user: str = "",
        password: Sensitive[str] | None = None,
        *,
        rest_path: str = "/",
        name: str = "archive",
        wanted: Filter | None = None,
        manners: Politeness | None = None,
        transport: httpx.BaseTransport | None = None,
        machine: Machine | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(
            url,
            user,
            password,
            name=name,
            wanted=wanted,
            manners=manners,
            transport=transport,
            machine=machine,
            clock=clock,
        )
        # Of the same server: the password goes to no other, whatever the option says.
        self._root = str(httpx.URL(url).copy_with(raw_path=f"/{rest_path.strip('/')}".encode())).rstrip("/")

    def check(self) -> Checked:
        """Ask for a study, and for the version of Orthanc."""
        checked = super().check()
        version = str(_fields(self._rest("/system")).get("Version", ""))
        return Checked(
            version if _VERSION.fullmatch(version) else "unknown", checked.containers, checked.clock_offset_s
        )

    def snapshot(self, container: str) -> Snapshot:
        """Return all series with Orthanc's own stamps; it is complete if it has all that Orthanc itself lists."""
        self._see(container)
        before = self._count()
        listing = self._listing()
        stamps = self._stamps()
        there = {uid for uid in stamps if uid}
        counted = before == self._count() == sum(map(len, stamps.values()))
        found = {series.series_uid for series in listing.rows.values()}
        # A filter leaves some of them out, and then the listing alone must tell.
        whole = counted and (listing.whole if self._wanted.wanted else there <= found)
        return Snapshot(container, self._stamped(listing.rows.values(), stamps), whole)

    def changes(self, container: str, cursor: str) -> Changes:
        """Return the series that have become stable since a cursor; what is still arriving comes later."""
        self._see(container)
        if not cursor:
            return Changes((), (), str(_number(self._feed({"last": ""}), "Last")), complete=True)
        since = int(cursor)
        if _number(self._feed({"last": ""}), "Last") < since:
            # Another database than the one that the cursor was of.
            return Changes((), (), "0", complete=False)
        ids: dict[str, None] = {}
        while True:
            page = self._feed({"since": str(since), "limit": str(_PAGE_ROWS)})
            for change in page.get("Changes") or ():
                if _fields(change).get("ChangeType") == "StableSeries":
                    ids[str(change.get("ID", ""))] = None
            last = _number(page, "Last")
            if page.get("Done") or last <= since:
                return Changes(self._changed(ids), (), str(max(last, since)), complete=True)
            since = last

    def _changed(self, ids: Iterable[str]) -> tuple[Item, ...]:
        listed: dict[str, ListedSeries] = {}
        stamps: dict[str, list[str]] = {}
        for orthanc_id in ids:
            try:
                series = _fields(self._rest(f"/series/{orthanc_id}"))
            except NotInSource:
                # Deleted since; its absence from the next snapshot tells.
                continue
            uid = _uid(series)
            stamps.setdefault(uid, []).append(_stamp(series))
            found = list_series(self._client, None, wanted=self._wanted, name=self._name, series_uid=uid)
            listed.update(found.rows)
        return self._stamped(listed.values(), stamps)

    def _stamped(self, listed: Iterable[ListedSeries], stamps: Mapping[str, list[str]]) -> tuple[Item, ...]:
        """Return items whose version is Orthanc's stamp: the attributes of a row do not move with its images."""
        return tuple(
            Item(
                item.local_id,
                version_of(sorted(stamps.get(item.local_id.split("/", 1)[1], [item.version]))),
                item.files,
            )
            for item in items_of(listed)
        )

    def _stamps(self) -> dict[str, list[str]]:
        stamps: dict[str, list[str]] = {}
        since = 0
        while page := self._rest("/series", {"expand": "", "since": str(since), "limit": str(_PAGE_ROWS)}):
            for series in map(_fields, page):
                stamps.setdefault(_uid(series), []).append(_stamp(series))
            since += len(page)
        return stamps

    def _rest(self, path: str, question: Mapping[str, str] | None = None) -> Any:
        return self._client.json(f"{self._root}{path}", params=question)

    def _count(self) -> int:
        return _number(_fields(self._rest("/statistics")), "CountSeries")

    def _feed(self, question: Mapping[str, str]) -> Mapping[str, Any]:
        return _fields(self._rest("/changes", question))


def _stamp(series: Mapping[str, Any]) -> str:
    instances = series.get("Instances")
    count = len(instances) if isinstance(instances, list) else 0
    return f"{count} {series.get('LastUpdate', '')}"


def _uid(series: Mapping[str, Any]) -> str:
    return str(_fields(series.get("MainDicomTags")).get("SeriesInstanceUID", ""))


def _fields(answer: Any) -> Mapping[str, Any]:
    return answer if isinstance(answer, dict) else {}


def _number(fields: Mapping[str, Any], key: str) -> int:
    value = fields.get(key)
    return value if isinstance(value, int) else -1
