"""Releases arriving from nodes, in pieces that can be resumed, and downloads by digest.

A release is unique per (job, round, node, output): the same bytes again are welcome, others are refused. The digest is
checked over the whole file before anything takes effect; marking it complete and its effect are one transaction.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from fastapi import APIRouter, Depends
from sqlalchemy import and_, bindparam, insert, or_, select, update
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from fairbank import audit
from fairbank.catalogue import accounts, blobs, bodies, nodes
from fairbank.catalogue.accounts import Account
from fairbank.catalogue.bodies import Spooled
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import (
    BlobNotFound,
    BodyTooLarge,
    DigestMismatch,
    UploadConflict,
    UploadNotFound,
    UploadRefused,
)
from fairbank.catalogue.nodes import NodeIdentity
from fairbank.catalogue.store import BlobRow, UploadRow
from fairbank.database import reading, writing
from fairbank.errors import FairbankError, Kind
from fairbank.ontology.outputs import DoorClass
from fairbank.signing import Digest, KeyId, file_digest, sha256_digest

_NO_HEAD = "-"
_HEAD = re.compile(r"-|\d{1,15}:sha256:[0-9a-f]{64}")
_UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_OUTPUT = re.compile(r"[a-z0-9][a-z0-9-]{0,127}")
_RANGE = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15})")
# Longer pieces are written to a file while they come.
_LONGEST_IN_MEMORY = 1 << 15
_SHORT_BYTES = 4 << 20
_COPIED_AT_ONCE = 1 << 20
_MEDIA_TYPE = re.compile(r"[a-z0-9.+-]{1,60}/[a-z0-9.+-]{1,100}")
_DEFAULT_MEDIA_TYPE = "application/octet-stream"

Reader: TypeAlias = NodeIdentity | Account
Entrance: TypeAlias = Callable[[], AbstractAsyncContextManager[None]]
MayRead: TypeAlias = Callable[[Session, Reader, str], bool]


@dataclass(frozen=True, slots=True)
class ReleaseMeta:
    """What a release says about itself; the node's identity is proven, the digest is checked before `complete`.

    `audit_head` is the newest entry of the node's audit log, `NUMBER:sha256:…`; an older node names none. `boot` is
    what the agent that sends it calls itself, as it came.
    """

    release_id: str
    node: str
    key_id: KeyId
    door_class: DoorClass
    digest: str
    output: str
    job: str | None
    round: int
    media_type: str
    total_bytes: int
    audit_head: str = _NO_HEAD
    boot: str | None = None


class Receiver(Protocol):
    """Takes the releases of one class; raises a FairbankError to refuse one."""

    def check(self, session: Session, meta: ReleaseMeta) -> None:
        """Refuse a release before its bytes are taken (reading session)."""
        ...

    def complete(self, session: Session, meta: ReleaseMeta, path: Path) -> None:
        """Let a release take effect, in the transaction that marks it complete; refuse whatever `check` refuses."""
        ...


class _BlobResponse(FileResponse):
    # Each chunk is read by a thread of its own, so the default of 64 KiB costs. TLS keeps a buffer as large as the
    # largest chunk for as long as a connection lives, and each node has several.
    chunk_size = 1 << 18


@dataclass(frozen=True, slots=True)
class _Standing:
    """How far an announced release has come."""

    received_bytes: int
    completed: datetime | None


@dataclass(frozen=True, slots=True)
class _Piece:
    first: int
    content: bytes | Spooled
    digest: Digest

    @property
    def end(self) -> int:
        return self.first + _length(self.content)


def router(
    hub: Hub,
    *,
    receivers: Mapping[DoorClass, Receiver],
    may_read: Sequence[MayRead] = (),
    entrance: Entrance = nullcontext,
) -> APIRouter:
    """Return the routes of releases and blobs.

    Args:
        receivers: who takes the releases of each class; a class without one is refused.
        may_read: who may read a blob; one that says yes is enough.
        entrance: entered before the body of a piece is read, and left when it is dealt with.
    """
    routes = APIRouter(tags=["releases"])
    uploads = Uploads(hub, receivers)
    limit = hub.settings.jobs_chunk_bytes
    signed: NodeIdentity = Depends(nodes.signed_node(hub, limit_bytes=limit))
    known_reader: Reader = Depends(_reader(hub))

    def take(request: Request, content: bytes | Spooled) -> Response:
        node = nodes.admit(hub, request, content if isinstance(content, bytes) else content.digest)
        meta, piece = _described(hub, request.path_params["release_id"], request, node, content)
        received = uploads.take(meta, piece)
        state = "complete" if received is None else "partial"
        offset = meta.total_bytes if received is None else received
        return JSONResponse(
            {"state": state, "received": offset},
            status_code=200 if received is None else 202,
            headers={"Upload-Offset": str(offset)},
        )

    async def put_release(request: Request) -> Response:
        async with entrance():
            if bodies.announced(request, limit_bytes=limit) <= _LONGEST_IN_MEMORY:
                return await hub.in_turn.run(take, request, await bodies.read(request, limit_bytes=limit))
            incoming = hub.blobs / "incoming" / f"{hub.clock.new_id()}.tmp"
            content = await bodies.spool(request, incoming, limit_bytes=limit)
            # A large piece is mostly copied, which other threads need not wait for.
            run = hub.in_turn.run if content.size <= _SHORT_BYTES else run_in_threadpool
            try:
                return await run(take, request, content)
            finally:
                incoming.unlink(missing_ok=True)

    # A plain route: every site passes here in every round, and all it does it does in one go in one thread.
    routes.add_route("/v1/releases/{release_id}", put_release, methods=["PUT"])

    @routes.head("/v1/releases/{release_id}")
    def head_release(release_id: str, node: NodeIdentity = signed) -> Response:
        offset, complete = uploads.progress(release_id, node.name)
        headers = {"Upload-Offset": str(offset), "Upload-State": "complete" if complete else "partial"}
        return Response(status_code=200, headers={**headers, "Cache-Control": "no-store"})

    @routes.get("/v1/blobs/{digest}")
    @routes.head("/v1/blobs/{digest}", include_in_schema=False)
    def get_blob(digest: str, reader: Any = known_reader) -> Response:
        path, media_type = _readable(hub, digest, reader, may_read)
        headers = {"ETag": f'"{digest}"', "Cache-Control": "private, immutable"}
        return _BlobResponse(path, media_type=media_type, headers=headers)

    return routes


class Uploads:
    """Takes the pieces of releases and lets whole ones take effect."""

    def __init__(self, hub: Hub, receivers: Mapping[DoorClass, Receiver]) -> None:
        self._hub = hub
        self._receivers = receivers

    def take(self, meta: ReleaseMeta, piece: _Piece) -> int | None:
        """Take one piece; return how many bytes there are now, or None when the release is complete.

        Raises:
            UploadConflict: if another content was announced in this place, or the piece leaves a gap.
            DigestMismatch: if the whole is not what was announced; the upload starts again then.
            FairbankError: what the receiver refuses with.
        """
        receiver = self._receiver(meta)
        if piece.first == 0 and piece.end == meta.total_bytes:
            self._take_whole(meta, receiver, piece)
            return None
        try:
            row = self._begin(meta, receiver)
        except FairbankError as err:
            if err.kind is Kind.GONE:
                self._forget(meta, self._part(meta.release_id))
            raise
        if row.completed is not None:
            return None
        part = self._part(meta.release_id)
        on_disk = part.stat().st_size if part.exists() else 0
        if piece.first > min(row.received_bytes, on_disk):
            raise UploadConflict(
                f"The piece begins at byte {piece.first}, but only {min(row.received_bytes, on_disk)} are here.",
                why="Pieces are taken in order, so that an upload can be resumed by its length.",
                todo="Ask for the Upload-Offset by HEAD, and go on from there.",
            )
        _write_at(part, piece)
        received = self._advance(meta.release_id, piece.end, restarted=on_disk == 0)
        if received < meta.total_bytes:
            return received
        self._finish(meta, receiver, part)
        return None

    def progress(self, release_id: str, node: str) -> tuple[int, bool]:
        """Return how many bytes of a release are here, and whether it is complete.

        Raises:
            UploadNotFound: if this node has begun none of this id.
        """
        with reading(self._hub.engine) as session:
            row = session.get(UploadRow, release_id)
        if row is None or row.node != node:
            raise UploadNotFound(
                "No upload of this id has begun.", why="", todo="Send it from its first byte."
            )
        if row.completed is not None:
            return row.total_bytes, True
        part = self._part(release_id)
        return min(row.received_bytes, part.stat().st_size if part.exists() else 0), False

    def _receiver(self, meta: ReleaseMeta) -> Receiver:
        receiver = self._receivers.get(meta.door_class)
        if receiver is None:
            raise _refused(f"the class {meta.door_class.value!r} is not taken here")
        return receiver

    def _begin(self, meta: ReleaseMeta, receiver: Receiver) -> _Standing:
        with reading(self._hub.engine) as session:
            standing = _known(session, meta)
            if standing is None or standing.completed is None:
                # For each piece anew: what the release rests on may have ended since the first.
                receiver.check(session, meta)
            if standing is not None:
                return standing
        with writing(self._hub.engine) as session:
            standing = _known(session, meta)
            if standing is None:
                _announce(session, meta, begun=self._hub.clock.now())
        return standing or _Standing(0, None)

    def _take_whole(self, meta: ReleaseMeta, receiver: Receiver, piece: _Piece) -> None:
        """Take a release that came in one piece: nothing of it can be resumed, so one transaction says it all."""
        if piece.digest != meta.digest:
            raise _other_bytes()
        if isinstance(piece.content, bytes):
            incoming = self._hub.blobs / "incoming" / f"{self._hub.clock.new_id()}.tmp"
            handle = os.open(incoming, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as opened:
                opened.write(piece.content)
        else:
            incoming = piece.content.path
        final = blobs.settle(self._hub, incoming, meta.digest)
        now = self._hub.clock.now()
        try:
            with writing(self._hub.engine) as session:
                standing = _known(session, meta)
                if standing is not None and standing.completed is not None:
                    return
                if standing is None:
                    _announce(session, meta, begun=now)
                _complete(session, meta, at=now)
                self._effect(session, meta, receiver, final)
        except FairbankError:
            # Inside a writing transaction nobody else can enter this content meanwhile.
            with writing(self._hub.engine) as session:
                if session.get(BlobRow, meta.digest) is None:
                    final.unlink(missing_ok=True)
            raise
        self._hub.notifier.notify(work=False)

    def _advance(self, release_id: str, end: int, *, restarted: bool) -> int:
        with writing(self._hub.engine) as session:
            row = session.get_one(UploadRow, release_id)
            row.received_bytes = end if restarted else max(row.received_bytes, end)
            return row.received_bytes

    def _finish(self, meta: ReleaseMeta, receiver: Receiver, part: Path) -> None:
        if part.stat().st_size != meta.total_bytes or file_digest(part) != meta.digest:
            self._forget(meta, part)
            raise _other_bytes()
        final = blobs.settle(self._hub, part, meta.digest)
        try:
            with writing(self._hub.engine) as session:
                row = session.get_one(UploadRow, meta.release_id, with_for_update=True)
                if row.completed is not None:
                    return
                row.completed = self._hub.clock.now()
                self._effect(session, meta, receiver, final)
        except FairbankError:
            self._forget(meta, part)
            raise
        self._hub.notifier.notify(work=False)

    def _effect(self, session: Session, meta: ReleaseMeta, receiver: Receiver, path: Path) -> None:
        blobs.remember(self._hub, session, meta.digest, media_type=meta.media_type)
        receiver.complete(session, meta, path)
        self._audit(session, meta)

    def _audit(self, session: Session, meta: ReleaseMeta) -> None:
        detail = {
            "class": meta.door_class.value,
            "digest": meta.digest,
            "bytes": str(meta.total_bytes),
            "output": meta.output,
            "job": meta.job,
            "round": meta.round,
            "node_head": meta.audit_head,
        }
        audit.record(
            session,
            audit.HubAudit,
            clock=self._hub.clock,
            actor=meta.key_id,
            act="release.receive",
            target=meta.release_id,
            detail=detail,
        )

    def _forget(self, meta: ReleaseMeta, part: Path) -> None:
        with writing(self._hub.engine) as session:
            row = session.get(UploadRow, meta.release_id)
            if row is not None and row.completed is None:
                session.delete(row)
            # Inside a writing transaction nobody else can enter this content meanwhile.
            if session.get(BlobRow, meta.digest) is None:
                blobs.path_of(self._hub, meta.digest).unlink(missing_ok=True)
        part.unlink(missing_ok=True)

    def _part(self, release_id: str) -> Path:
        return self._hub.blobs / "incoming" / f"{release_id}.part"


# Every release passes through these three, so they take the plain table, by statements put together once.
_UPLOADS = UploadRow.metadata.tables[UploadRow.__tablename__]
_KNOWN = select(_UPLOADS).where(
    or_(
        _UPLOADS.c.release_id == bindparam("release_id"),
        # Nothing equals the job of a release without one: a record's new version is another release.
        and_(
            _UPLOADS.c.job == bindparam("job"),
            _UPLOADS.c.round == bindparam("round"),
            _UPLOADS.c.node == bindparam("node"),
            _UPLOADS.c.output == bindparam("output"),
        ),
    )
)
_ANNOUNCE = insert(_UPLOADS)
_COMPLETE = update(_UPLOADS).where(_UPLOADS.c.release_id == bindparam("of"))


def _known(session: Session, meta: ReleaseMeta) -> _Standing | None:
    place = {"job": meta.job, "round": meta.round, "node": meta.node, "output": meta.output}
    found = session.connection().execute(_KNOWN, {"release_id": meta.release_id, **place}).all()
    if not found:
        return None
    row = next((row for row in found if row.release_id == meta.release_id), None)
    if row is None or (row.node, row.digest, row.door_class, row.output, row.job, row.round) != (
        meta.node,
        meta.digest,
        meta.door_class.value,
        meta.output,
        meta.job,
        meta.round,
    ):
        raise UploadConflict(
            f"Another release was announced for the output {meta.output!r} already.",
            why="A release is unique per job, round, node and output, so that nothing is released twice.",
            todo="Send the release that was stored first, with its own id.",
        )
    return _Standing(row.received_bytes, row.completed)


def _announce(session: Session, meta: ReleaseMeta, *, begun: datetime) -> None:
    row = {
        "release_id": meta.release_id,
        "node": meta.node,
        "door_class": meta.door_class.value,
        "digest": meta.digest,
        "output": meta.output,
        "job": meta.job,
        "round": meta.round,
        "media_type": meta.media_type,
        "total_bytes": meta.total_bytes,
        "received_bytes": 0,
        "begun": begun,
    }
    session.connection().execute(_ANNOUNCE, row)


def _complete(session: Session, meta: ReleaseMeta, *, at: datetime) -> None:
    done = {"of": meta.release_id, "received_bytes": meta.total_bytes, "completed": at}
    session.connection().execute(_COMPLETE, done)


def _other_bytes() -> DigestMismatch:
    return DigestMismatch(
        "The bytes that arrived are not those that were announced.",
        why="Their digest differs.",
        todo="Send the release again from its first byte.",
    )


def _described(
    hub: Hub, release_id: str, request: Request, node: NodeIdentity, content: bytes | Spooled
) -> tuple[ReleaseMeta, _Piece]:
    headers = request.headers
    if not _UUID7.fullmatch(release_id):
        raise _refused("its id is not a UUIDv7")
    try:
        door_class = DoorClass(headers.get("fairbank-class", ""))
    except ValueError as err:
        raise _refused("Fairbank-Class names no class of the door") from err
    job = headers.get("fairbank-job") or None
    round_text = headers.get("fairbank-round") or "0"
    if job is not None and not _UUID7.fullmatch(job):
        raise _refused("Fairbank-Job is not a UUIDv7")
    if not re.fullmatch(r"\d{1,9}", round_text):
        raise _refused("Fairbank-Round is not a number")
    media_type = headers.get("content-type", _DEFAULT_MEDIA_TYPE).partition(";")[0].strip().lower()
    if not _MEDIA_TYPE.fullmatch(media_type):
        raise _refused("Content-Type is not a media type")
    first, total = _range(headers.get("content-range"), _length(content))
    if total > hub.settings.release_maximum_bytes:
        raise BodyTooLarge(
            f"A release of {total} bytes is larger than the {hub.settings.release_maximum_bytes} that are taken.",
            why="The size of what may leave a node is limited.",
            todo="Make the output smaller, or raise release_maximum_bytes at both ends.",
        )
    meta = ReleaseMeta(
        release_id=release_id,
        node=node.name,
        key_id=node.key_id,
        door_class=door_class,
        digest=_matching(headers.get("fairbank-digest", ""), _DIGEST, "Fairbank-Digest is not sha256:…"),
        output=_matching(headers.get("fairbank-output", ""), _OUTPUT, "Fairbank-Output is not a name"),
        job=job,
        round=int(round_text),
        media_type=media_type,
        total_bytes=total,
        audit_head=_matching(
            headers.get("fairbank-audit") or _NO_HEAD, _HEAD, "Fairbank-Audit is not NUMBER:sha256:…"
        ),
        boot=headers.get("fairbank-boot"),
    )
    return meta, _Piece(first, content, _digest_of(content, node))


def _length(content: bytes | Spooled) -> int:
    return len(content) if isinstance(content, bytes) else content.size


def _digest_of(content: bytes | Spooled, node: NodeIdentity) -> Digest:
    if isinstance(content, bytes):
        return node.body_digest or sha256_digest(content)
    return content.digest


def _range(header: str | None, length: int) -> tuple[int, int]:
    if header is None:
        if not length:
            raise _refused("it is empty")
        return 0, length
    parts = _RANGE.fullmatch(header)
    if parts is None:
        raise _refused("Content-Range is not 'bytes FIRST-LAST/TOTAL'")
    first, last, total = (int(part) for part in parts.groups())
    if not first <= last < total or last - first + 1 != length:
        raise _refused("Content-Range does not fit the body")
    return first, total


def _matching(text: str, pattern: re.Pattern[str], reason: str) -> str:
    if not pattern.fullmatch(text):
        raise _refused(reason)
    return text


def _write_at(part: Path, piece: _Piece) -> None:
    # The piece is on the disk before its length is in the database: what HEAD reports survives a crash.
    handle = os.open(part, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        offset = piece.first
        for stretch in _in_parts(piece.content):
            view = memoryview(stretch)
            while view:
                written = os.pwrite(handle, view, offset)
                view, offset = view[written:], offset + written
        os.fdatasync(handle)
    finally:
        os.close(handle)


def _in_parts(content: bytes | Spooled) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    with content.path.open("rb") as opened:
        while read := opened.read(_COPIED_AT_ONCE):
            yield read


def _reader(hub: Hub) -> Callable[[Request], object]:
    as_node = nodes.signed_node(hub)
    as_account = accounts.account(hub)

    async def dependency(request: Request) -> Reader:
        if "signature-input" in request.headers:
            return await as_node(request)
        return await run_in_threadpool(as_account, request)

    return dependency


def _readable(hub: Hub, digest: str, reader: Reader, may_read: Sequence[MayRead]) -> tuple[Path, str]:
    if _DIGEST.fullmatch(digest):
        with reading(hub.engine) as session:
            row = session.get(BlobRow, digest)
            if row is not None and any(allows(session, reader, digest) for allows in may_read):
                return blobs.path_of(hub, digest), row.media_type
    raise BlobNotFound(
        "There is no such content, or you may not see it.",
        why="Which of the two is not told.",
        todo="Check the digest; you may read your jobs' results, and a node the models of its jobs.",
    )


def _refused(reason: str) -> UploadRefused:
    return UploadRefused(
        f"The release cannot be taken: {reason}.",
        why="A release says its class, digest, output and length before its bytes are taken.",
        todo="Update the older of node and hub; the headers are in the reference of the wire.",
    )
