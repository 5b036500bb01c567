"""Resumable upload: a release goes to the hub in pieces, and after a drop goes on where the hub says it stopped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fairbank.audit import Head
from fairbank.errors import RemoteError
from fairbank.release.errors import BadAnswer, HubUnreachable, KeyNotEnrolled, ReleaseConflict
from fairbank.release.releases import Release

if TYPE_CHECKING:
    import httpx

    from fairbank.release.hub_client import HubClient

_REPLAYED: Final = "FB-CORE-016"
_MOST_STALLS: Final = 5
_PIECE_TIMEOUT_S: Final = 300.0
# Of a piece that was cut off nothing is kept, so on a line that breaks pieces are small from then on.
_AFTER_A_DROP_BYTES: Final = 1 << 20


def upload(
    client: HubClient,
    release: Release,
    path: Path,
    *,
    chunk_bytes: int,
    first_time: bool,
    audit_head: Head | None = None,
    goes_on: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Send the bytes of a release until the hub has them all, and return its answer.

    Args:
        client: the connection.
        release: what is sent.
        path: its bytes, already checked against its digest.
        chunk_bytes: largest piece.
        first_time: nothing of it was sent before, so the hub need not be asked where to start.
        audit_head: the newest entry of this node's audit log, which the hub's log will name beside the release.
        goes_on: asked before each piece; raises if it may not be sent any more. The caller has just asked it: where
            nothing comes between, before the first piece of a first try, it is not asked again.

    Raises:
        ReleaseConflict: if the hub has other bytes for this job, round, node and output.
        HubUnreachable: if the hub does not answer.
    """
    at: int | None = 0 if first_time else _offset(client, release)
    just_asked = first_time
    stalls = 0
    with path.open("rb") as opened:
        while True:
            if at is None:
                return {"state": "complete"}
            if not just_asked:
                goes_on()
            just_asked = False
            opened.seek(at)
            piece = opened.read(chunk_bytes)
            # A piece may have arrived though its answer did not, so it is never sent blindly again: the hub is asked.
            try:
                response = client.deliver(
                    "PUT",
                    f"/v1/releases/{release.id}",
                    body=piece,
                    content_type=release.media_type,
                    headers=_headers(release, at, len(piece), audit_head),
                    timeout_s=_PIECE_TIMEOUT_S,
                    once=True,
                    # Just checked, if this is all of it.
                    body_digest=release.digest if len(piece) == release.size_bytes else None,
                )
            except (HubUnreachable, RemoteError) as err:
                stalls += 1
                if stalls > _MOST_STALLS:
                    raise
                at = _after(client, release, at, err)
                chunk_bytes = min(chunk_bytes, _AFTER_A_DROP_BYTES)
                continue
            stalls = 0
            if response.status_code == 200:
                return client.json_of(response)
            at = _next_offset(response, at + len(piece))
            if at >= release.size_bytes:
                raise BadAnswer(
                    "The hub has all bytes of a release, but does not say that it is complete.",
                    why="Its answer is not part of the protocol.",
                    todo="Check the version of the hub; the release stays in the outbox.",
                )


def _headers(release: Release, at: int, length: int, audit_head: Head | None) -> dict[str, str]:
    headers = {
        "Fairbank-Class": release.door_class.value,
        "Fairbank-Digest": release.digest,
        "Fairbank-Output": release.output,
        "Fairbank-Round": str(release.round),
        "Content-Range": f"bytes {at}-{at + length - 1}/{release.size_bytes}",
    }
    if release.job is not None:
        headers["Fairbank-Job"] = release.job
    if audit_head is not None:
        headers["Fairbank-Audit"] = f"{audit_head.seq}:{audit_head.hash}"
    return headers


def _after(client: HubClient, release: Release, at: int, err: HubUnreachable | RemoteError) -> int | None:
    """Return where to go on after a drop, or after a refusal that is about the offset; other refusals stand."""
    if isinstance(err, HubUnreachable) or err.remote_code == _REPLAYED:
        return _offset(client, release)
    if err.status not in (409, 416):
        raise err
    there = _offset(client, release)
    if there != at:
        return there
    if err.status == 409:
        raise ReleaseConflict(
            f"The hub has other bytes for the output {release.output!r} of this job and round.",
            why=err.what,
            todo="Nothing was replaced. Check whether this node's database was restored from an old backup.",
        ) from err
    raise err


def _offset(client: HubClient, release: Release) -> int | None:
    """Return how many bytes of a release the hub has, None if it has them all and has let them take effect."""
    try:
        response = client.deliver("HEAD", f"/v1/releases/{release.id}")
    except (BadAnswer, KeyNotEnrolled, RemoteError) as err:
        # An answer to HEAD has no body: a 404 is nothing seen yet, and any other reason is heard with the next piece.
        if isinstance(err, RemoteError) and err.status != 404:
            raise
        return 0
    if response.headers.get("Upload-State") == "complete":
        return None
    # All bytes without the end: the hub is asked to finish by sending the first piece again.
    offset = _next_offset(response, 0)
    return 0 if offset >= release.size_bytes else offset


def _next_offset(response: httpx.Response, otherwise: int) -> int:
    text = response.headers.get("Upload-Offset", "")
    return int(text) if text.isdecimal() else otherwise
