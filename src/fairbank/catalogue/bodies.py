"""Reading request bodies: bounded before they are read, and read once.

A body must announce its length, so that one that is too large is refused unread; the server keeps to the announced
length. Starlette remembers a body that was read, so signature check and parsing see the same bytes. A long one is
written to a file while it comes, so that many at a time cost no memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request

from fairbank.catalogue.errors import BodyTooLarge, EncodingRefused, LengthMissing
from fairbank.signing import Digest

MESSAGE_BYTES = 4 * 2**20


@dataclass(frozen=True, slots=True)
class Spooled:
    """A body in a file of its own, with its length in bytes and its digest; whoever takes it removes the file."""

    path: Path
    size: int
    digest: Digest


def body(limit_bytes: int = MESSAGE_BYTES) -> Callable[[Request], Awaitable[bytes]]:
    """Return a FastAPI dependency that gives the raw body, at most `limit_bytes` long."""

    async def dependency(request: Request) -> bytes:
        return await read(request, limit_bytes=limit_bytes)

    return dependency


async def read(request: Request, *, limit_bytes: int) -> bytes:
    """Return the raw body of a request; raises what `announced` raises, before anything is read."""
    return await request.body() if announced(request, limit_bytes=limit_bytes) else b""


async def spool(request: Request, into: Path, *, limit_bytes: int) -> Spooled:
    """Write the raw body of a request to a new file; raises what `announced` raises, before anything is read.

    Nothing is left of a body that breaks off.
    """
    announced(request, limit_bytes=limit_bytes)
    digest, size = hashlib.sha256(), 0
    try:
        with into.open("xb") as opened:
            into.chmod(0o600)
            async for piece in request.stream():
                digest.update(piece)
                opened.write(piece)
                size += len(piece)
    except BaseException:
        into.unlink(missing_ok=True)
        raise
    return Spooled(into, size, Digest(f"sha256:{digest.hexdigest()}"))


def announced(request: Request, *, limit_bytes: int) -> int:
    """Return how many bytes the body of a request has.

    Raises:
        EncodingRefused: if it is compressed.
        LengthMissing: if it has no valid Content-Length.
        BodyTooLarge: if it is longer than `limit_bytes`.
    """
    if request.method in ("GET", "HEAD"):
        return 0
    if request.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise EncodingRefused(
            "The body is compressed or encoded.",
            why="What it grows to is known only after the fact, and bodies are bounded before they are read.",
            todo="Send it as it is, without Content-Encoding.",
        )
    length = request.headers.get("content-length")
    if length is None and "transfer-encoding" not in request.headers:
        return 0
    if length is None or not length.isdecimal():
        raise LengthMissing(
            "The request does not say how long its body is.",
            why="A body that is too large is refused before it is read.",
            todo="Send a Content-Length header instead of a chunked body.",
        )
    if int(length) > limit_bytes:
        raise BodyTooLarge(
            f"The body of {length} bytes is larger than the {limit_bytes} bytes that are taken here.",
            why="Large content is sent in pieces, so that a lost connection costs one piece.",
            todo="Send smaller pieces (setting jobs_chunk_bytes), or a smaller message.",
        )
    return int(length)
