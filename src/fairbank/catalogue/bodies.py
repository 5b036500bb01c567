"""Reading request bodies: bounded before they are read, and read once.

A body must announce its length, so that one that is too large is refused unread; the server keeps to the announced
length. Starlette remembers a body that was read, so signature check and parsing see the same bytes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request

from fairbank.catalogue.errors import BodyTooLarge, EncodingRefused, LengthMissing

MESSAGE_BYTES = 4 * 2**20


def body(limit_bytes: int = MESSAGE_BYTES) -> Callable[[Request], Awaitable[bytes]]:
    """Return a FastAPI dependency that gives the raw body, at most `limit_bytes` long."""

    async def dependency(request: Request) -> bytes:
        return await read(request, limit_bytes=limit_bytes)

    return dependency


async def read(request: Request, *, limit_bytes: int) -> bytes:
    """Return the raw body of a request.

    Raises:
        EncodingRefused: if it is compressed.
        LengthMissing: if it has no valid Content-Length.
        BodyTooLarge: if it is longer than `limit_bytes`; nothing of it was read.
    """
    if request.method in ("GET", "HEAD"):
        return b""
    if request.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise EncodingRefused(
            "The body is compressed or encoded.",
            why="What it grows to is known only after the fact, and bodies are bounded before they are read.",
            todo="Send it as it is, without Content-Encoding.",
        )
    announced = request.headers.get("content-length")
    if announced is None and "transfer-encoding" not in request.headers:
        return b""
    if announced is None or not announced.isdecimal():
        raise LengthMissing(
            "The request does not say how long its body is.",
            why="A body that is too large is refused before it is read.",
            todo="Send a Content-Length header instead of a chunked body.",
        )
    if int(announced) > limit_bytes:
        raise BodyTooLarge(
            f"The body of {announced} bytes is larger than the {limit_bytes} bytes that are taken here.",
            why="Large content is sent in pieces, so that a lost connection costs one piece.",
            todo="Send smaller pieces (setting jobs_chunk_bytes), or a smaller message.",
        )
    return await request.body()
