"""Contents by digest: files of mode 0600 that appear whole or not at all.

A content is written beside its place, flushed to the disk, and renamed: after a crash there is the whole file or none.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

from sqlalchemy import bindparam, insert, select
from sqlalchemy.orm import Session

from fairbank.catalogue.context import Hub
from fairbank.catalogue.store import BlobRow
from fairbank.errors import FairbankError
from fairbank.signing import Digest, file_digest, sha256_digest

# Longer than any request and any merging takes.
ABANDONED_AFTER = timedelta(days=1)
# Every release and every model passes here: the plain table, and statements put together once.
_BLOBS = BlobRow.metadata.tables[BlobRow.__tablename__]
_KNOWN, _ENTER = select(_BLOBS.c.digest).where(_BLOBS.c.digest == bindparam("digest")), insert(_BLOBS)


def path_of(hub: Hub, digest: str) -> Path:
    """Return where a content lies, or would lie; the caller has checked the digest's form."""
    name = digest.removeprefix("sha256:")
    return hub.blobs / name[:2] / name


def put(hub: Hub, session: Session, content: bytes | Path, *, media_type: str) -> Digest:
    """Keep a content that the hub itself made, in the caller's writing transaction, and return its digest.

    Args:
        content: the bytes, or a file that is moved into place.
    """
    incoming = hub.blobs / "incoming" / f"{hub.clock.new_id()}.tmp"
    if isinstance(content, bytes):
        digest = sha256_digest(content)
        _write(incoming, content)
    else:
        digest = file_digest(content)
        incoming = content
    settle(hub, incoming, digest)
    remember(hub, session, digest, media_type=media_type)
    return digest


async def receive(
    hub: Hub, pieces: AsyncIterator[bytes], *, announced: str | None, limit: int, too_large: FairbankError
) -> Path:
    """Write a body to a file of its own and return it; nothing is left of one that is too large or breaks off.

    Args:
        announced: the Content-Length, if there is one: too large a body is then refused unread.
        limit: the most bytes that are taken.
        too_large: what is raised if there are more.
    """
    if announced is not None and announced.isdecimal() and int(announced) > limit:
        raise too_large
    incoming = hub.blobs / "incoming" / f"{hub.clock.new_id()}.tmp"
    taken = 0
    try:
        with incoming.open("xb") as opened:
            incoming.chmod(0o600)
            async for piece in pieces:
                taken += len(piece)
                if taken > limit:
                    raise too_large
                opened.write(piece)
    except BaseException:
        incoming.unlink(missing_ok=True)
        raise
    return incoming


def forget_abandoned(hub: Hub) -> int:
    """Remove what a hub that was ended at once had begun to write, and return how many files and folders.

    Uploads that can be resumed have a row in the database and stay.
    """
    before = (hub.clock.now() - ABANDONED_AFTER).timestamp()
    gone = 0
    for path in (hub.blobs / "incoming").iterdir():
        if path.suffix == ".part" or path.stat().st_mtime >= before:
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
        gone += 1
    return gone


def settle(hub: Hub, incoming: Path, digest: str) -> Path:
    """Move a finished file to its place and make that last; the file's digest has been checked."""
    final = path_of(hub, digest)
    final.parent.mkdir(mode=0o700, exist_ok=True)
    move(incoming, final)
    return final


def move(incoming: Path, final: Path) -> None:
    """Move a finished file to its place in a folder that is there, and make that last."""
    incoming.chmod(0o600)
    _sync(incoming)
    incoming.replace(final)
    _sync(final.parent)


def remember(hub: Hub, session: Session, digest: str, *, media_type: str) -> None:
    """Enter a content that lies in its place; entering it twice is fine."""
    connection = session.connection()
    if connection.execute(_KNOWN, {"digest": digest}).first() is None:
        size = path_of(hub, digest).stat().st_size
        row = {"digest": digest, "size_bytes": size, "media_type": media_type, "created": hub.clock.now()}
        connection.execute(_ENTER, row)


def _write(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as opened:
        opened.write(content)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
