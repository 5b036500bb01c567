"""An XNAT project that series are sent to: one ZIP per series through the import service, read back scan by scan.

Source: wiki.xnat.org, "Image Session Upload" (import-handler=DICOM-zip; overwrite=append or delete).
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import httpx

from fairbank.errors import Sensitive
from fairbank.harvest.errors import NotInSource, QueryRefused, SourceFailed, SourceForbidden
from fairbank.harvest.pushing.destination import There
from fairbank.harvest.pushing.outgoing import OutgoingFile, OutgoingSeries, pieces
from fairbank.harvest.sources.pace import Machine, Politeness
from fairbank.harvest.sources.polite import Answer, PoliteClient
from fairbank.harvest.sources.xnat_items import IMAGE_RESOURCES, ScanItem, SessionItem, session_item
from fairbank.harvest.sources.xnat_session import XnatSession

_LABEL_DIGITS = 12


class XnatDestination:
    """An XNAT project, written to as one user; close it to end its session.

    Args:
        url: the archive's address.
        user: name of the user, or the alias of a token.
        password: the user's password, or the secret of the token.
        project: the research project; it has to be there.
    """

    replaces = True

    def __init__(
        self,
        url: str,
        user: str,
        password: Sensitive[str],
        *,
        project: str,
        name: str = "archive",
        manners: Politeness | None = None,
        transport: httpx.BaseTransport | None = None,
        machine: Machine | None = None,
    ) -> None:
        self._name = name
        self._project = project
        self._session = XnatSession(
            lambda renew: PoliteClient(
                url, name=name, manners=manners, renew=renew, transport=transport, machine=machine
            ),
            user=user,
            password=password,
            archive=name,
        )

    def there(self, series: OutgoingSeries) -> There:
        """Ask how many images the scan of a series has; XNAT does not say which."""
        found = self._scan(series)
        return There(0 if found is None else sum(_images(found).values()))

    def send(self, series: OutgoingSeries, files: Sequence[OutgoingFile], *, replace: bool) -> None:
        """Import files into their session; `replace` puts them in the place of those that are there."""
        asked = {
            "import-handler": "DICOM-zip",
            "inbody": "true",
            "dest": "/archive",
            "PROJECT_ID": self._project,
            "SUBJECT_ID": series.subject,
            "EXPT_LABEL": session_label(series),
            "overwrite": "delete" if replace else "append",
        }
        with tempfile.TemporaryDirectory(prefix="fairbank-push-") as folder:
            path = Path(folder) / "series.zip"
            with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as packed:
                for file in files:
                    packed.write(file.path, f"{file.sop_uid}.dcm")
            self._import(asked, path)

    def fetch(self, series: OutgoingSeries, into: Path) -> list[Path]:
        """Fetch the images of a scan as one ZIP, deleted as soon as it is unpacked; names are our own."""
        found = self._scan(series)
        if found is None:
            return []
        paths: list[Path] = []
        for label in _images(found):
            packed = into / "scan.zip"
            scan, resource = quote(found.id, safe=""), quote(label, safe="")
            address = f"{self._address(series)}/scans/{scan}/resources/{resource}/files"
            try:
                self._session.download(address, {"format": "zip"}, to=packed)
                paths += _unpacked(packed, into, first=len(paths))
            except zipfile.BadZipFile as err:
                raise SourceFailed(
                    f"The archive {self._name} failed: a scan did not come back whole.",
                    why="What was sent cannot be compared with what it holds.",
                    todo="Look at the archive's own log, and push again: it goes on where it stopped.",
                ) from err
            finally:
                packed.unlink(missing_ok=True)
        return paths

    def close(self) -> None:
        """End the session at the archive."""
        self._session.close()

    def _import(self, asked: dict[str, str], path: Path) -> None:
        headers = {"Content-Type": "application/zip", "Content-Length": str(path.stat().st_size)}
        try:
            self._session.send("/data/services/import", asked, headers=headers, body=lambda: pieces(path))
        except SourceForbidden as err:
            raise SourceForbidden(
                f"The archive {self._name} does not let its user store in this project.",
                why="It answered 403: the user exists but may not create data there.",
                todo="Make the user a member of the project, so that it may store.",
            ) from err
        except QueryRefused as err:
            raise QueryRefused(
                f"The archive {self._name} does not take what was sent.",
                why="Its import service refused the images, or the session that they belong to.",
                todo="Look at its prearchive and its log.",
            ) from err

    def _scan(self, series: OutgoingSeries) -> ScanItem | None:
        """Return the scan that a series is, None if the archive does not have it."""

        def read(answer: Answer) -> SessionItem:
            return session_item(json.loads(answer.content))

        try:
            session = self._session.ask(self._address(series), {"format": "json"}, read)
        except NotInSource:
            # A project that is not there, or not shown, would look the same as a session that is not.
            self._session.get(f"/data/projects/{quote(self._project, safe='')}", {"format": "json"})
            return None
        scans = session.scans.values()
        return next(
            (scan for scan in scans if scan.header.get("SeriesInstanceUID") == series.series_uid), None
        )

    def _address(self, series: OutgoingSeries) -> str:
        parts = (self._project, series.subject, session_label(series))
        project, subject, session = (quote(part, safe="") for part in parts)
        return f"/data/projects/{project}/subjects/{subject}/experiments/{session}"


def session_label(series: OutgoingSeries) -> str:
    """Return what the session of a series is called: its subject, and a digest of the pseudonymous study UID."""
    return f"{series.subject}_{hashlib.sha256(series.study_uid.encode()).hexdigest()[:_LABEL_DIGITS]}"


def _images(scan: ScanItem) -> dict[str, int]:
    return {label: count for label, count in scan.files.items() if label.upper() in IMAGE_RESOURCES}


def _unpacked(packed: Path, into: Path, *, first: int) -> list[Path]:
    paths: list[Path] = []
    with zipfile.ZipFile(packed) as archive:
        for member in archive.infolist():
            if member.is_dir() or not member.filename.lower().endswith(".dcm"):
                continue
            paths.append(into / f"{first + len(paths):06d}.dcm")
            with archive.open(member) as source, paths[-1].open("wb") as copied:
                while piece := source.read(1 << 20):
                    copied.write(piece)
    return paths
