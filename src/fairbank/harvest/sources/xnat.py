"""An XNAT archive as a source: read with a few table calls, not with one request per subject.

Only ids, version stamps and file counts are asked for: no demographics, no labels, no dates of birth. Nothing is ever
written to the archive; the one session that is opened is closed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import httpx

from fairbank.errors import Sensitive
from fairbank.harvest.errors import (
    NotInSource,
    SourceFailed,
    SourceForbidden,
    SourceLoginRefused,
    SourceUnreachable,
)
from fairbank.harvest.sources.protocol import (
    Capability,
    Checked,
    Container,
    Instance,
    Item,
    Snapshot,
    SourceKind,
)
from fairbank.release.hub_client import on_this_machine

CONNECT_TIMEOUT_S = 10
LARGEST_TABLE_BYTES = 512 * 2**20
_TRIES = 4
_VERSION = re.compile(r"[0-9A-Za-z._-]{1,40}")
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
# XNAT files images of a scan under these labels; snapshots, previews and converted files lie under others.
_IMAGE_RESOURCES = frozenset({"DICOM", "SECONDARY"})
_SCAN = "xnat:imageScanData"
_SCAN_ID = f"{_SCAN}/ID".lower()
_LABEL = f"{_SCAN}/file/label".lower()
_COUNT = f"{_SCAN}/file/file_count".lower()
# What a version token is made of, as far as the archive gives it: adding a file does not move a scan's own stamp.
_VERSION_COLUMNS = (
    f"{_SCAN}/meta/last_modified",
    f"{_SCAN}/file/file_count",
    f"{_SCAN}/file/file_size",
)

Row = dict[str, str]


class XnatSource:
    """An XNAT archive, read as one user; close it to end its session."""

    kind = SourceKind.XNAT
    capabilities = frozenset({Capability.FILES, Capability.TOTAL_COUNT, Capability.PERMISSIONS})

    def __init__(
        self,
        url: str,
        user: str,
        password: Sensitive[str],
        *,
        name: str = "xnat",
        timeout_s: int = 120,
        requests_per_s: int = 20,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._name = name
        self._login = (user, password)
        self._sleep = sleep
        self._pause_s = 1 / requests_per_s
        self._session_open = False
        self._client = httpx.Client(
            base_url=url.rstrip("/"),
            timeout=httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S),
            transport=transport,
            trust_env=not on_this_machine(url),
        )

    def check(self) -> Checked:
        """Log in and say which version of XNAT answers."""
        containers = len(self.list_containers())
        answer = self._get("/xapi/siteConfig/buildInfo", {})
        try:
            version = str(json.loads(answer.content)["version"])
        except (ValueError, KeyError, TypeError):
            version = "unknown"
        # It becomes part of a published record; an archive could write anything there.
        if not _VERSION.fullmatch(version):
            version = "unknown"
        return Checked(version=version, containers=containers)

    def list_containers(self) -> list[Container]:
        """Return the projects that the user may read."""
        rows, _ = self._table("/data/projects", ("ID", "name"))
        return sorted(
            (Container(row["id"], row.get("name") or row["id"]) for row in rows), key=lambda known: known.id
        )

    def snapshot(self, container: str) -> Snapshot:
        """Return all scans of a project, from one joined table call: one row per scan and resource."""
        # The experiments table answers an unknown project with no rows; only the project's own address says 404.
        self._get(f"/data/projects/{quote(container, safe='')}", {"format": "json"})
        rows, complete = self._table(
            "/data/experiments",
            ("ID", f"{_SCAN}/ID", *_VERSION_COLUMNS, f"{_SCAN}/file/label"),
            needed=("id", _SCAN_ID),
            project=container,
            xsiType="xnat:imageSessionData",
        )
        scans: dict[str, list[Row]] = {}
        for row in rows:
            label = row.get(_LABEL, "DICOM")
            if row[_SCAN_ID] and label.upper() in _IMAGE_RESOURCES:
                scans.setdefault(f"{row['id']}/{row[_SCAN_ID]}/{label}", []).append(row)
        items = [Item(local_id, _version(of), _files(of)) for local_id, of in scans.items()]
        return Snapshot(container, tuple(sorted(items, key=lambda item: item.local_id)), complete)

    def fetch(self, container: str, item: Item, into: Path) -> Iterator[Instance]:
        """Yield the files of a scan, which comes as one ZIP and is deleted as soon as it is unpacked."""
        session, scan, label = (quote(part, safe="") for part in item.local_id.split("/", 2))
        packed = into / "scan.zip"
        path = f"/data/experiments/{session}/scans/{scan}/resources/{label}/files"
        self._download(path, {"format": "zip"}, packed)
        try:
            with zipfile.ZipFile(packed) as opened:
                members = sorted((m for m in opened.infolist() if not m.is_dir()), key=lambda m: m.filename)
                if item.files is not None and len(members) < item.files:
                    raise self._broken("it sent fewer files of a scan than it lists")
                names = []
                for number, member in enumerate(members):
                    # Our own names: a member's name may identify a person, or climb out of the folder.
                    target = into / f"{number:06d}.dcm"
                    with opened.open(member) as source, target.open("wb") as copied:
                        shutil.copyfileobj(source, copied)
                    names.append((target, member.filename))
        except zipfile.BadZipFile as err:
            raise self._broken("a scan did not come as a whole ZIP file") from err
        finally:
            packed.unlink(missing_ok=True)
        for target, name in names:
            yield Instance(target, Sensitive(name, reference="a file"))

    def close(self) -> None:
        """End the session at the archive."""
        if self._client.is_closed:
            return
        try:
            if self._session_open:
                # The archive may be gone by now; its session then ends by itself.
                with contextlib.suppress(httpx.HTTPError):
                    self._client.delete("/data/JSESSION")
        finally:
            self._session_open = False
            self._client.close()

    def _table(
        self, path: str, columns: tuple[str, ...], *, needed: tuple[str, ...] = ("id",), **filters: str
    ) -> tuple[list[Row], bool]:
        """Return the rows of a table, keys in lower case, and whether all came that the archive counts."""
        query = {"columns": ",".join(columns), "format": "json", **filters}
        answer = self._get(path, query)
        try:
            result = json.loads(answer.content)["ResultSet"]
            rows = [{str(k).lower(): str(v or "") for k, v in row.items()} for row in result["Result"]]
            total = result.get("totalRecords")
            whole = total is None or int(total) == len(rows)
        except (ValueError, KeyError, TypeError, AttributeError) as err:
            raise self._broken("its answer is not the table that was asked for") from err
        if rows and not set(needed) <= set(rows[0]):
            # XNAT leaves out a column that it does not know, without a word.
            raise self._broken("its table lacks a column that was asked for")
        return rows, whole

    def _get(self, path: str, query: dict[str, str]) -> httpx.Response:
        with self._opened(path, query) as answer:
            answer.read()
            if len(answer.content) > LARGEST_TABLE_BYTES:
                raise self._broken("its answer is larger than any table should be")
            return answer

    def _download(self, path: str, query: dict[str, str], to: Path) -> None:
        try:
            with self._opened(path, query) as answer, to.open("wb") as copied:
                for piece in answer.iter_bytes():
                    copied.write(piece)
        except httpx.HTTPError as err:
            raise self._unreachable() from err

    @contextlib.contextmanager
    def _opened(self, path: str, query: dict[str, str]) -> Iterator[httpx.Response]:
        """Send a request inside the session, logging in again once if the session has ended."""
        if not self._session_open:
            self._log_in()
        for attempt in (1, 2):
            with self._sent(path, query) as answer:
                if not _is_login_answer(answer):
                    self._judge(answer)
                    yield answer
                    return
            if attempt == 1:
                self._log_in()
        raise self._login_refused("it answers with its login page")

    def _log_in(self) -> None:
        user, password = self._login
        self._client.cookies.clear()
        with self._sent("/data/JSESSION", {}, auth=(user, password.reveal())) as answer:
            if _is_login_answer(answer):
                raise self._login_refused("it did not accept the user name and password")
            self._judge(answer)
            answer.read()
        if not self._client.cookies.get("JSESSIONID"):
            self._client.cookies.set("JSESSIONID", answer.text.strip())
        self._session_open = True

    @contextlib.contextmanager
    def _sent(
        self, path: str, query: dict[str, str], auth: tuple[str, str] | None = None
    ) -> Iterator[httpx.Response]:
        """Send one request, again if the archive is only busy; the answer is open for reading."""
        for attempt in range(1, _TRIES + 1):
            self._sleep(self._pause_s)
            request = self._client.build_request("GET", path, params=query)
            try:
                answer = self._client.send(request, auth=auth, stream=True)
            except httpx.HTTPError as err:
                if attempt == _TRIES:
                    raise self._unreachable() from err
                self._sleep(0.5 * 2**attempt)
                continue
            if answer.status_code in _RETRIED and attempt < _TRIES:
                answer.close()
                self._sleep(_asked_pause(answer) or 0.5 * 2**attempt)
                continue
            try:
                yield answer
            except httpx.HTTPError as err:
                raise self._unreachable() from err
            finally:
                answer.close()
            return

    def _judge(self, answer: httpx.Response) -> None:
        status = answer.status_code
        if status == 403:
            raise SourceForbidden(
                f"The archive {self._name} does not let its user read this.",
                why="It answered 403: the user exists but has no right to this project.",
                todo="Ask the archive's administrator for read access to the project.",
            )
        if status in (404, 410):
            raise NotInSource(
                f"The archive {self._name} has no such project or scan.",
                why=f"It answered {status}; a project that its user may not see looks the same.",
                todo="List its projects and check the spelling; if a scan has gone, run the harvest again.",
            )
        if status >= 500:
            raise self._broken(f"it answered {status}, {_TRIES} times")
        if status != 200:
            raise self._broken(f"it answered {status}")

    def _broken(self, reason: str) -> SourceFailed:
        return SourceFailed(
            f"The archive {self._name} failed: {reason}.",
            why="Nothing of this answer was used, and nothing was lost.",
            todo="Look at the archive's own log, and run the harvest again: it goes on where it stopped.",
        )

    def _unreachable(self) -> SourceUnreachable:
        return SourceUnreachable(
            f"The archive {self._name} does not answer.",
            why="No connection could be made, or no answer came in time.",
            todo="Check its address and that it runs; 'harvest_timeout_s' sets how long to wait.",
        )

    def _login_refused(self, reason: str) -> SourceLoginRefused:
        return SourceLoginRefused(
            f"The archive {self._name} refused the login: {reason}.",
            why="The user, the password file or the user's rights have changed.",
            todo="Log in with a browser to check, then correct the password file (mode 0600).",
        )


def _is_login_answer(answer: httpx.Response) -> bool:
    """Tell whether this is 401, a redirect to a login, or XNAT's login page sent as 200."""
    if answer.status_code == 401 or 300 <= answer.status_code < 400:
        return True
    return answer.status_code == 200 and "html" in answer.headers.get("content-type", "").lower()


def _asked_pause(answer: httpx.Response) -> float:
    text = answer.headers.get("retry-after", "")
    return min(float(text), 60.0) if text.isdigit() else 0.0


def _version(rows: list[Row]) -> str:
    lines = sorted("\0".join(row.get(column.lower(), "") for column in _VERSION_COLUMNS) for row in rows)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _files(rows: list[Row]) -> int | None:
    counts = [row.get(_COUNT, "") for row in rows]
    return sum(int(count) for count in counts) if all(count.isdigit() for count in counts) else None
