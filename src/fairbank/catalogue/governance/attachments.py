"""Documents that belong to a request: taken within bounds, told apart by content, read by those of the request only.

Each request keeps its own copies, in a folder of its own, named by their digests: no document of one request is ever
shared with another, so what is deleted with a draft can be deleted for good.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.catalogue import blobs
from fairbank.catalogue.accounts import Account
from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance import drafts, permitted
from fairbank.catalogue.governance.document_types import harmless_name, media_type_of
from fairbank.catalogue.governance.request_errors import AttachmentNotFound, AttachmentTooLarge
from fairbank.catalogue.governance.store import AttachmentRow, RequestRow
from fairbank.catalogue.governance.workflow import RequestState
from fairbank.clock import iso
from fairbank.database import reading, writing
from fairbank.errors import told
from fairbank.ontology.signed_objects import EvidenceKind, Request
from fairbank.signing import file_digest

MOST_DOCUMENTS: Final = 50


@dataclass(frozen=True, slots=True)
class Offered:
    """What is said of a document that is attached.

    Attributes:
        kind: what it shows; a draft then names it as evidence.
        title: how it is called there; its name by default.
    """

    name: str
    kind: EvidenceKind | None = None
    title: str | None = None
    valid_until: str | None = None


def check_may_attach(hub: Hub, who: Account, request_id: str) -> None:
    """Refuse an attachment before its bytes are read.

    Raises:
        RequestNotFound, NotAllowed, WrongState: if it is not hers to attach, or not now.
        AttachmentTooLarge: if the request has as many documents as it may have.
    """
    with reading(hub.engine) as session:
        row = permitted.request_for(session, who, request_id, "attach")
        held = session.scalar(select(func.count()).where(AttachmentRow.request == row.id)) or 0
    if held >= MOST_DOCUMENTS:
        raise AttachmentTooLarge(
            told("The request has %(number)s documents already.", number=held),
            why=told("A request has at most %(most)s.", most=MOST_DOCUMENTS),
            todo="Put what belongs together into one document.",
        )


async def take(hub: Hub, pieces: AsyncIterator[bytes], *, announced: str | None) -> Path:
    """Write a body to a file of its own and return it; nothing is left of one that is too large or breaks off.

    Args:
        announced: the Content-Length, if there is one: too large a body is then refused unread.

    Raises:
        AttachmentTooLarge: if it is larger than the setting `catalogue_attachment_bytes`.
    """
    limit = hub.settings.catalogue_attachment_bytes
    return await blobs.receive(hub, pieces, announced=announced, limit=limit, too_large=_too_large(limit))


def check_fits(hub: Hub, incoming: Path) -> None:
    """Refuse a file that came with a form if it is too large for a document, or of no type that is taken.

    Raises:
        AttachmentTooLarge: if it is larger than the setting `catalogue_attachment_bytes`.
        AttachmentRefused: if its content is of no type that is taken.
    """
    limit = hub.settings.catalogue_attachment_bytes
    if incoming.stat().st_size > limit:
        raise _too_large(limit)
    media_type_of(incoming)


def attach(hub: Hub, who: Account, request_id: str, incoming: Path, offered: Offered) -> AttachmentRow:
    """Make a file that was taken a document of a request, and return it; the file is gone afterwards in any case.

    Raises:
        AttachmentRefused: if its content is of no type that is taken.
        RequestNotFound, NotAllowed, WrongState: if it is not hers to attach, or not now.
    """
    try:
        media_type = media_type_of(incoming)
        digest, size = file_digest(incoming), incoming.stat().st_size
        with writing(hub.engine) as session:
            row = permitted.request_for(session, who, request_id, "attach")
            found = session.get(AttachmentRow, (row.id, digest))
            if found is None:
                found = AttachmentRow(
                    request=row.id,
                    digest=digest,
                    name=harmless_name(offered.name, media_type),
                    media_type=media_type,
                    size_bytes=size,
                    account=who.name,
                    at=hub.clock.now(),
                )
                session.add(found)
                permitted.note(session, hub, row, who, "attach", digest=digest, size=size)
            _name_as_evidence(row, found, offered)
            session.flush()
            # Last, so that whatever refuses leaves no file.
            _settle(hub, incoming, path_of(hub, row.id, digest))
    finally:
        incoming.unlink(missing_ok=True)
    return found


def detach(hub: Hub, who: Account, request_id: str, digest: str) -> None:
    """Take a document out of a draft again.

    Raises:
        AttachmentNotFound: if it has none of this digest.
        RequestNotFound, NotAllowed, WrongState: if it is not her draft.
    """
    with writing(hub.engine) as session:
        row = permitted.request_for(session, who, request_id, "edit")
        found = _found(session, row, digest)
        session.delete(found)
        kept = [each for each in row.draft.get("evidence", []) if each.get("digest") != digest]
        row.draft = {**row.draft, "evidence": kept}
        row.changed = hub.clock.now()
        permitted.note(session, hub, row, who, "detach", digest=digest)
    sweep(hub, request_id)


def find(hub: Hub, who: Account, request_id: str, digest: str) -> tuple[AttachmentRow, Path]:
    """Return a document for somebody of its request, and where it lies; that she fetched it is audited.

    Raises:
        RequestNotFound: if she has no part in the request.
        AttachmentNotFound: if it has no such document.
    """
    with writing(hub.engine) as session:
        row, _ = permitted.request_seen(session, who, request_id)
        found = _found(session, row, digest)
        audit.record(
            session,
            audit.HubAudit,
            clock=hub.clock,
            actor=who.name,
            act="request.read-document",
            target=row.id,
            detail={"digest": digest},
        )
    return found, path_of(hub, request_id, digest)


def listed(session: Session, row: RequestRow) -> list[dict[str, Any]]:
    """Return the documents of a request, oldest first; the caller has checked who asks."""
    rows = session.scalars(
        select(AttachmentRow)
        .where(AttachmentRow.request == row.id)
        .order_by(AttachmentRow.at, AttachmentRow.digest)
    )
    return [
        {
            "digest": each.digest,
            "name": each.name,
            "media_type": each.media_type,
            "size_bytes": each.size_bytes,
            "account": each.account,
            "at": iso(each.at),
        }
        for each in rows
    ]


def check_evidence(session: Session, request: Request) -> None:
    """Refuse a sealed request that names a document by a digest that was never attached to it.

    Raises:
        AttachmentNotFound: if there is such a one.
    """
    named = {each.digest for each in request.evidence if each.digest is not None}
    held = set(session.scalars(select(AttachmentRow.digest).where(AttachmentRow.request == request.id)))
    if named - held:
        raise AttachmentNotFound(
            told(
                "The request names %(number)s documents that are not attached to it.",
                number=len(named - held),
            ),
            why="A committee has to be able to read what a request rests on.",
            todo=told("Attach them first: fairbank request attach %(request)s FILE.", request=request.id),
        )


def forget_all(session: Session, request_id: str) -> int:
    """Take all documents from a request and return how many they were; `sweep` then removes the files."""
    held = session.scalar(select(func.count()).where(AttachmentRow.request == request_id)) or 0
    session.execute(delete(AttachmentRow).where(AttachmentRow.request == request_id))
    return held


def sweep(hub: Hub, request_id: str) -> None:
    """Remove the files of a request that no document of it names any more."""
    folder = _folder(hub, request_id)
    if not folder.is_dir():
        return
    with writing(hub.engine) as session:
        digests = session.scalars(select(AttachmentRow.digest).where(AttachmentRow.request == request_id))
        held = {digest.removeprefix("sha256:") for digest in digests}
        if not held:
            shutil.rmtree(folder)
            return
        for path in folder.iterdir():
            if path.name not in held:
                path.unlink()


def path_of(hub: Hub, request_id: str, digest: str) -> Path:
    """Return where a document lies; both names have been found in the database."""
    return _folder(hub, request_id) / digest.removeprefix("sha256:")


def download_headers(found: AttachmentRow) -> dict[str, str]:
    """Return the headers under which a document is handed out: to be saved, never to be run or shown in this origin.

    Source: RFC 6266, section 4.3, for the two forms of the name.
    """
    plain = "".join(
        each if each.isascii() and each.isprintable() and each not in '"\\%' else "_" for each in found.name
    )
    return {
        "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(found.name, safe='')}",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cache-Control": "private, no-store",
    }


def _found(session: Session, row: RequestRow, digest: str) -> AttachmentRow:
    found = session.get(AttachmentRow, (row.id, digest)) if "\0" not in digest else None
    if found is None:
        raise _not_found()
    return found


def _folder(hub: Hub, request_id: str) -> Path:
    return hub.blobs / "attachments" / request_id


def _settle(hub: Hub, incoming: Path, final: Path) -> None:
    final.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    blobs.move(incoming, final)


def _name_as_evidence(row: RequestRow, found: AttachmentRow, offered: Offered) -> None:
    if offered.kind is None or row.state != RequestState.DRAFT.value:
        return
    piece = {"kind": offered.kind.value, "title": offered.title or found.name, "digest": found.digest}
    if offered.valid_until is not None:
        piece["valid_until"] = offered.valid_until
    others = [each for each in row.draft.get("evidence", []) if each.get("digest") != found.digest]
    content = drafts.changed(row.draft, {"evidence": [*others, piece]})
    row.draft = content.fields()
    row.changed = found.at


def _too_large(limit: int) -> AttachmentTooLarge:
    return AttachmentTooLarge(
        told("The document is larger than %(limit)s bytes.", limit=limit),
        why="That is the most that this hub takes (setting catalogue_attachment_bytes); nothing of it was kept.",
        todo="Make it smaller, such as by saving its pictures at a lower resolution, or ask the hub's operator.",
    )


def _not_found() -> AttachmentNotFound:
    return AttachmentNotFound(
        "The request has no such document.",
        why="It was never attached, or was taken out again.",
        todo="See its documents with 'fairbank request show'.",
    )
