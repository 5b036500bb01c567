"""A DICOMweb archive that series are sent to: STOW-RS to store, QIDO-RS and WADO-RS to look (DICOM PS3.18)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote

import httpx

from fairbank.errors import Sensitive
from fairbank.harvest.errors import NotInSource, QueryRefused, SourceFailed
from fairbank.harvest.pushing.destination import There
from fairbank.harvest.pushing.outgoing import OutgoingFile, OutgoingSeries, pieces, size_bytes
from fairbank.harvest.sources.pace import Machine, Politeness
from fairbank.harvest.sources.polite import PoliteClient
from fairbank.harvest.sources.qido import DICOM_JSON, rows_of, values_of
from fairbank.multipart import boundary_of, split

_PAGE_ROWS: Final = 1000
# One request carries at most so much, or one file.
_REQUEST_BYTES: Final = 64 * 2**20
_REQUEST_FILES: Final = 200
_DICOM_PARTS: Final = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}


class DicomwebDestination:
    """An archive that speaks DICOMweb, written to as one user or with one token; close it after use.

    Args:
        url: the address under which `/studies` lies.
        user: empty for a bearer token, or for an archive that asks for no login.
        password: the user's password, or the token.
    """

    # What an archive does with an instance that it has already is left to it (PS3.18, section 10.5.3).
    replaces = False

    def __init__(
        self,
        url: str,
        user: str = "",
        password: Sensitive[str] | None = None,
        *,
        name: str = "archive",
        manners: Politeness | None = None,
        transport: httpx.BaseTransport | None = None,
        machine: Machine | None = None,
    ) -> None:
        self._name = name
        token = password.reveal() if password is not None and not user else ""
        self._client = PoliteClient(
            url,
            name=name,
            manners=manners,
            auth=(user, password.reveal()) if user and password is not None else None,
            headers={"Authorization": f"Bearer {token}"} if token else None,
            transport=transport,
            machine=machine,
        )

    def there(self, series: OutgoingSeries) -> There:
        """Ask which instances of a series it has, page by page."""
        found: set[str] = set()
        while True:
            asked = {"limit": str(_PAGE_ROWS), "offset": str(len(found))}
            try:
                rows = self._client.request(
                    "GET", f"{_path(series)}/instances", params=asked, headers=DICOM_JSON, read=rows_of
                )
            except NotInSource:
                break
            new = {values_of(row, "SOPInstanceUID") for row in rows} - found - {""}
            found |= new
            if not new or len(rows) < _PAGE_ROWS:
                break
        return There(len(found), frozenset(found))

    def send(self, series: OutgoingSeries, files: Sequence[OutgoingFile], *, replace: bool) -> None:
        """Store files, several in one request, read from the disk while they are sent."""
        for batch in _batches(files):
            boundary = f"fairbank-{hashlib.sha256(batch[0].sop_uid.encode()).hexdigest()[:32]}"
            kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
            length = sum(len(part) for part in _frame(boundary, batch)) + size_bytes(batch)
            try:
                self._client.request(
                    "POST",
                    f"/studies/{quote(series.study_uid, safe='')}",
                    headers={"Content-Type": kind, "Content-Length": str(length), **DICOM_JSON},
                    body=lambda batch=batch, boundary=boundary: _parts(boundary, batch),  # type: ignore[misc]  # bound now
                )
            except QueryRefused as err:
                raise QueryRefused(
                    f"The archive {self._name} does not take what was sent.",
                    why="It refuses this kind of image, this user, or images that it has already.",
                    todo="Look at the archive's own log; give its user the right to store.",
                ) from err

    def fetch(self, series: OutgoingSeries, into: Path) -> list[Path]:
        """Fetch a series in one answer, which is deleted as soon as it is taken apart."""
        packed = into / "series.multipart"
        headers = self._client.download(_path(series), to=packed, headers=_DICOM_PARTS)
        try:
            boundary = boundary_of(headers.get("content-type", ""))
            paths = (
                None if boundary is None else split(packed, boundary, into=lambda n: into / f"{n:06d}.dcm")
            )
        finally:
            packed.unlink(missing_ok=True)
        if paths is None:
            raise SourceFailed(
                f"The archive {self._name} failed: a series did not come back whole.",
                why="What was sent cannot be compared with what it holds.",
                todo="Look at the archive's own log, and push again: it goes on where it stopped.",
            )
        return paths

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _path(series: OutgoingSeries) -> str:
    return f"/studies/{quote(series.study_uid, safe='')}/series/{quote(series.series_uid, safe='')}"


def _batches(files: Sequence[OutgoingFile]) -> Iterator[list[OutgoingFile]]:
    batch: list[OutgoingFile] = []
    for file in files:
        if batch and (len(batch) == _REQUEST_FILES or size_bytes([*batch, file]) > _REQUEST_BYTES):
            yield batch
            batch = []
        batch.append(file)
    if batch:
        yield batch


def _parts(boundary: str, files: Sequence[OutgoingFile]) -> Iterator[bytes]:
    *heads, end = _frame(boundary, files)
    for head, file in zip(heads, files, strict=True):
        yield head
        yield from pieces(file.path)
    yield end


def _frame(boundary: str, files: Sequence[OutgoingFile]) -> list[bytes]:
    """Return what stands before each part, and what ends the message (RFC 2046, section 5.1)."""
    head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    return [head, *[b"\r\n" + head] * (len(files) - 1), f"\r\n--{boundary}--\r\n".encode()]
