"""Forms that carry a file (`multipart/form-data`, RFC 7578): bounded, written to a file, and taken apart there.

The file of a form is a claim: what it is follows from its content, which the room that takes it looks at.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from fairbank import multipart
from fairbank.catalogue import bodies
from fairbank.catalogue.context import Hub
from fairbank.web.pages.visits import FORM_BYTES, MOST_FIELDS, Fields

_TYPE: Final = "multipart/form-data"


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file that came with a form: its name as it was sent, and where it lies until the form is answered."""

    name: str
    path: Path


def has_file(request: Request) -> bool:
    """Tell whether a form may carry a file."""
    return request.headers.get("content-type", "").lower().startswith(_TYPE)


async def read(hub: Hub, request: Request, *, with_file: bool) -> tuple[Fields, SentFile | None]:
    """Return the fields of a form and its file, if it has one that is not empty; whoever gets it removes it.

    Args:
        with_file: False where nobody is known who could send one: only what is as short as other forms is read then.

    Raises:
        BodyTooLarge, LengthMissing, EncodingRefused: as `bodies.read` does.
    """
    limit = FORM_BYTES + (hub.settings.catalogue_attachment_bytes if with_file else 0)
    if not with_file and int(request.headers.get("content-length", "0") or 0) > limit:
        return Fields(), None
    boundary = multipart.boundary_of(request.headers["content-type"])
    packed = hub.blobs / "incoming" / f"{hub.clock.new_id()}.form.tmp"
    await bodies.spool(request, packed, limit_bytes=limit)
    try:
        return await run_in_threadpool(_taken_apart, packed, boundary or b"", keep=with_file)
    finally:
        packed.unlink(missing_ok=True)


def _taken_apart(packed: Path, boundary: bytes, *, keep: bool) -> tuple[Fields, SentFile | None]:
    places: list[Path] = []

    def into(number: int) -> Path:
        places.append(packed.with_suffix(f".{number}.tmp"))
        return places[-1]

    pairs: list[tuple[str, str]] = []
    sent: SentFile | None = None
    try:
        found = multipart.parts(packed, boundary, into=into, most=MOST_FIELDS) if boundary else None
        for headers, path in found or ():
            name = _said(headers, "name")
            file = headers.get_filename()
            if file is None:
                pairs.append((name, _text(path)))
            elif keep and sent is None and path.stat().st_size:
                path.chmod(0o600)
                sent = SentFile(file, path)
        return Fields(pairs), sent
    finally:
        for path in places:
            if sent is None or path != sent.path:
                path.unlink(missing_ok=True)


def _said(headers: Message, name: str) -> str:
    value = headers.get_param(name, "", header="content-disposition")
    return value if isinstance(value, str) else ""


def _text(path: Path) -> str:
    if path.stat().st_size > FORM_BYTES:
        return ""
    # Browsers end lines of a form as the standard of forms says, also here; no database takes NUL.
    return path.read_bytes().decode("utf-8", "replace").replace("\x00", "")
