"""Nodes: invitation, enrolment, and the check of each signed request.

A node enrols once, with a one-time token that an administrator gave its curator; the request is signed with the new
key, which proves that the node holds it. From then on each of its requests is signed (RFC 9421), and each nonce works
once.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from fairbank import audit, events, http_signatures
from fairbank.catalogue import bodies, hub_keys
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import InvitationRefused, NodeNameTaken, NodeSuspended, UnknownNode
from fairbank.catalogue.meters import note_proven
from fairbank.catalogue.store import DatasetRow, InvitationRow, NodeKeyRow, NodeRow, NonceRow
from fairbank.database import turn, writing
from fairbank.ontology.places import NodePlace
from fairbank.ontology.training_rules import ToldRules
from fairbank.ontology.wire import Iri, KeyText, ShortText, Slug, Wire
from fairbank.signing import Digest, KeyId

INVITATION_DAYS = 7
# How often at most a node's requests are noted and old nonces forgotten.
_HOUSEKEEPING_STEP = timedelta(seconds=10)
# Every request of a node passes here, so these two are asked as plain tables, by statements put together once.
_NODES, _NONCES = (
    NodeRow.metadata.tables[NodeRow.__tablename__],
    NonceRow.metadata.tables[NonceRow.__tablename__],
)
_KNOWN = (_NODES.c.name, _NODES.c.revoked, _NODES.c.suspended, _NODES.c.last_seen)
_BY_KEY = select(*_KNOWN).where(_NODES.c.key_id == bindparam("key_id"))
# A request may be on its way while its node's key is replaced.
_KEYS = NodeKeyRow.metadata.tables[NodeKeyRow.__tablename__]
_BY_EARLIER_KEY = (
    select(*_KNOWN)
    .join(_KEYS, _KEYS.c.node == _NODES.c.name)
    .where(_KEYS.c.key_id == bindparam("key_id"), _KEYS.c.accepted_until > bindparam("now"))
)
_COUNTRIES = select(_NODES.c.name, _NODES.c.place["country"].as_string()).where(_NODES.c.place.is_not(None))
_REMEMBER, _FORGET = insert(_NONCES), delete(_NONCES).where(_NONCES.c.forget_after < bindparam("now"))


class Enrolment(Wire):
    """What a node sends to enrol; the request is signed with the key it names."""

    schema_name = "enrolment/1"

    node: Slug
    key: KeyText
    token: ShortText
    title: ShortText
    place: NodePlace | None = None


class Enrolled(Wire):
    """The answer to an enrolment; the node pins the hub's key."""

    schema_name = "enrolled/1"

    node: Slug
    hub_key: KeyText
    base_iri: Iri


@dataclass(frozen=True, slots=True)
class NodeIdentity:
    """A node whose signed request was accepted; `body_digest` as in `SignedBy`."""

    name: str
    key_id: KeyId
    body_digest: Digest | None = None


@dataclass(frozen=True, slots=True)
class NodeEntry:
    """A node as everyone may see it."""

    name: str
    title: str
    key_id: str
    datasets: int
    enrolled: datetime
    last_seen: datetime
    suspended: datetime | None
    country: str | None
    transfers: dict[str, Any]
    training: dict[str, Any] | None


def invite(session: Session, hub: Hub, *, actor: str, node: str | None = None) -> str:
    """Make a one-time enrolment token and return it; only its hash is stored.

    Args:
        node: the only name that may enrol with it; None leaves the name open.
    """
    token = "fbi_" + secrets.token_urlsafe(32)
    now = hub.clock.now()
    invitation_id = hub.clock.new_id()
    session.add(
        InvitationRow(
            id=invitation_id,
            token_hash=_hash(token),
            node=node,
            made_by=actor,
            created=now,
            expires=now + timedelta(days=INVITATION_DAYS),
        )
    )
    audit.record(
        session, audit.HubAudit, clock=hub.clock, actor=actor, act="node.invite", target=invitation_id
    )
    return token


def enrol(hub: Hub, wish: Enrolment) -> Enrolled:
    """Enrol a node that showed a valid token; its request's signature has been verified with `wish.key`.

    Raises:
        InvitationRefused: if the token is unknown, used, expired, or for another name.
        NodeNameTaken: if name or key is in use.
    """
    now = hub.clock.now()
    with writing(hub.engine) as session:
        invitation = session.scalar(
            select(InvitationRow).where(InvitationRow.token_hash == _hash(wish.token))
        )
        known, key = session.get(NodeRow, wish.node), hub_keys.named(session)
        if invitation is not None and invitation.used and known is not None and known.key_id == wish.key:
            # The answer to the first try was lost on its way; the same node gets it again.
            return Enrolled(node=wish.node, hub_key=key, base_iri=hub.base_iri)
        if invitation is None or invitation.used or now >= invitation.expires:
            raise _refused("it is unknown, used, or past its time")
        if invitation.node not in (None, wish.node):
            raise _refused("it was made for another node")
        taken = session.scalar(
            select(NodeRow.name).where((NodeRow.name == wish.node) | (NodeRow.key_id == wish.key))
        )
        if taken is not None:
            raise NodeNameTaken(
                f"A node has enrolled as {taken!r} already.",
                why="A name belongs to one node, and a key to one name.",
                todo="Choose another name, or ask the hub's administrator.",
            )
        invitation.used = now
        enter(
            session,
            hub,
            name=wish.node,
            key=wish.key,
            title=wish.title,
            actor=wish.key,
            detail={"invitation": invitation.id},
        )
        if wish.place is not None:
            session.get_one(NodeRow, wish.node).place = wish.place.model_dump(mode="json")
    hub.notifier.notify()
    return Enrolled(node=wish.node, hub_key=key, base_iri=hub.base_iri)


def enter(
    session: Session, hub: Hub, *, name: str, key: str, title: str, actor: str, detail: dict[str, str]
) -> None:
    """Enter a node whose name and key are known to be free, with its audit entry and its event."""
    now = hub.clock.now()
    session.add(NodeRow(name=name, key_id=key, title=title, enrolled=now, last_seen=now))
    session.flush()
    audit.record(
        session, audit.HubAudit, clock=hub.clock, actor=actor, act="node.enrol", target=name, detail=detail
    )
    events.append(session, events.HubEvent, clock=hub.clock, kind="node.enrolled", subject=name)


def signed_node(hub: Hub, *, limit_bytes: int | None = None) -> Callable[[Request], Awaitable[NodeIdentity]]:
    """Return a FastAPI dependency that admits enrolled nodes by their signature.

    Args:
        limit_bytes: the largest body; `jobs_chunk_bytes` by default.

    The dependency raises UnsignedRequest, ClockOff and ReplayedRequest (fairbank.http_signatures), UnknownNode,
    BodyTooLarge and LengthMissing.
    """
    limit = limit_bytes or hub.settings.jobs_chunk_bytes

    async def dependency(request: Request) -> NodeIdentity:
        content = await bodies.read(request, limit_bytes=limit)
        return await run_in_threadpool(admit, hub, request, content)

    return dependency


def verify_signature(hub: Hub, request: Request, content: bytes | Digest) -> http_signatures.SignedBy:
    """Check who signed a request, without asking whether that key is enrolled."""
    return http_signatures.verify_request(
        request.method, signed_url(request), dict(request.headers), body=content, clock=hub.clock
    )


def remember_nonce(session: Session, signed: http_signatures.SignedBy, *, now: datetime) -> None:
    """Remember a nonce and forget those whose signatures are too old to be accepted anyway.

    Raises:
        ReplayedRequest: if this nonce was used before.
    """
    _forget_nonces(session, now=now)
    _remember(session, signed)


def signed_url(request: Request) -> str:
    """Return the URL as the client signed it: behind a proxy, only Host still says the outer authority."""
    path = request.scope.get("raw_path") or request.scope["path"].encode()
    query = request.scope.get("query_string", b"")
    host = request.headers.get("host", request.url.netloc)
    url = f"{request.url.scheme}://{host}{path.split(b'?')[0].decode('ascii', 'replace')}"
    return f"{url}?{query.decode('ascii', 'replace')}" if query else url


def listing(session: Session) -> list[NodeEntry]:
    """Return all nodes that may send, by name, with how many visible datasets each has."""
    per_node = select(DatasetRow.node, func.count()).where(
        DatasetRow.visibility == "public", DatasetRow.withdrawn.is_(None)
    )
    counts = dict(session.execute(per_node.group_by(DatasetRow.node)).all())
    rows = session.scalars(select(NodeRow).where(NodeRow.revoked.is_(None)).order_by(NodeRow.name))
    return [
        NodeEntry(
            row.name,
            row.title,
            row.key_id,
            counts.get(row.name, 0),
            row.enrolled,
            row.last_seen,
            row.suspended,
            *_place(row.place),
            row.training,
        )
        for row in rows
    ]


def tell_place(hub: Hub, session: Session, *, node: str, place: NodePlace) -> None:
    """Write down where a node says that it is, and what it lets leave where to."""
    row, told = session.get_one(NodeRow, node), place.model_dump(mode="json")
    if row.place == told:
        return
    row.place = told
    audit.record(
        session, audit.HubAudit, clock=hub.clock, actor=row.key_id, act="node.place", target=node, detail=told
    )


def tell_training_rules(session: Session, *, node: str, rules: ToldRules) -> None:
    """Write down what a node says that its site asks of trainings."""
    row, told = session.get_one(NodeRow, node), rules.model_dump(mode="json")
    if row.training != told:
        row.training = told


def countries_of(session: Session, nodes: Sequence[str]) -> dict[str, str | None]:
    """Return the countries of some nodes, by name, as they told them."""
    told: dict[str, str | None] = dict(session.connection().execute(_COUNTRIES).all())
    return {name: told.get(name) for name in nodes}


def key_of(session: Session, node: str) -> KeyId | None:
    """Return the key that a node signs with; None if it is unknown or was shut out."""
    row = session.get(NodeRow, node)
    return KeyId(row.key_id) if row is not None and row.revoked is None else None


def keys_of(session: Session, node: str) -> list[KeyId]:
    """Return the present key of a node and those before it: what any of them sealed is the node's word."""
    earlier = session.scalars(select(NodeKeyRow.key_id).where(NodeKeyRow.node == node)).all()
    return [KeyId(key) for key in (key_of(session, node), *earlier) if key is not None]


def shut_out(session: Session, hub: Hub, *, node: str, actor: str) -> None:
    """Stop accepting anything from a node; what it published stays.

    Raises:
        UnknownNode: if there is none of this name.
    """
    row = _named(session, node)
    row.revoked = row.revoked or hub.clock.now()
    audit.record(session, audit.HubAudit, clock=hub.clock, actor=actor, act="node.shut-out", target=node)
    events.append(session, events.HubEvent, clock=hub.clock, kind="node.shut-out", subject=node)


def suspend(session: Session, hub: Hub, *, node: str, actor: str) -> None:
    """Take nothing more from a node for now, and give it no work; its datasets stay described, with a note.

    Raises:
        UnknownNode: if there is none of this name.
    """
    row = _named(session, node)
    if row.suspended is None:
        row.suspended = hub.clock.now()
        _note(session, hub, "node.suspend", "node.suspended", node, actor=actor)


def resume(session: Session, hub: Hub, *, node: str, actor: str) -> None:
    """Let a suspended node take part again.

    Raises:
        UnknownNode: if there is none of this name.
    """
    row = _named(session, node)
    if row.suspended is not None:
        row.suspended = None
        _note(session, hub, "node.resume", "node.resumed", node, actor=actor)


def admit(hub: Hub, request: Request, content: bytes | Digest) -> NodeIdentity:
    """Return which enrolled node signed a request, whose body was read; a copy of the request is refused from now on.

    Args:
        content: the body, or its digest where it was written down while it came.

    Raises:
        UnsignedRequest, ClockOff, ReplayedRequest: as `fairbank.http_signatures` says.
        UnknownNode: if no enrolled node has the key.
        NodeSuspended: if the node is suspended.
    """
    signed = verify_signature(hub, request, content)
    with turn(hub.engine):
        row = _admitted(hub, request, signed)
    return NodeIdentity(row.name, signed.key_id, signed.body_digest)


def _admitted(hub: Hub, request: Request, signed: http_signatures.SignedBy) -> Any:
    with hub.engine.connect() as connection:
        row = connection.execute(_BY_KEY, {"key_id": signed.key_id}).first()
        if row is None:
            earlier = {"key_id": signed.key_id, "now": hub.clock.now()}
            row = connection.execute(_BY_EARLIER_KEY, earlier).first()
    if row is None or row.revoked is not None:
        raise UnknownNode(
            "The request is signed with a key that no enrolled node has.",
            why="The hub takes requests only from nodes that enrolled and were not shut out.",
            todo="Enrol the node, or check that it still uses the key it enrolled with.",
        )
    if row.suspended is not None:
        raise NodeSuspended(
            "node_suspended: this hub takes nothing from this node for now.",
            why="The hub's administrators have suspended it.",
            todo="Ask them; once they resume it, what waits in the outbox is sent.",
        )
    note_proven(request.scope)
    now = hub.clock.now()
    # A transaction of its own, committed before the request has any effect: a copy cannot slip in beside it. It need
    # not outlive a power cut: the copy would have to come within the minute that the signature is good for.
    with writing(hub.engine, lasting=False) as session:
        _remember(session, signed)
        if now - row.last_seen >= _HOUSEKEEPING_STEP:
            _forget_nonces(session, now=now)
            session.execute(update(_NODES).where(_NODES.c.name == row.name).values(last_seen=now))
    return row


def _named(session: Session, node: str) -> NodeRow:
    row = session.get(NodeRow, node)
    if row is None:
        raise UnknownNode(f"There is no node {node!r}.", why="", todo="See 'fairbank hub nodes'.")
    return row


def _note(session: Session, hub: Hub, act: str, kind: str, node: str, *, actor: str) -> None:
    audit.record(session, audit.HubAudit, clock=hub.clock, actor=actor, act=act, target=node)
    events.append(session, events.HubEvent, clock=hub.clock, kind=kind, subject=node)


def _remember(session: Session, signed: http_signatures.SignedBy) -> None:
    nonce = {"key_id": signed.key_id, "nonce": signed.nonce, "forget_after": signed.forget_after}
    try:
        session.connection().execute(_REMEMBER, nonce)
    except IntegrityError as err:
        raise http_signatures.ReplayedRequest(
            "This request was received before.",
            why="Each signed request works once; a copy of it is refused.",
            todo="Sign a new request.",
        ) from err


def _forget_nonces(session: Session, *, now: datetime) -> None:
    session.connection().execute(_FORGET, {"now": now})


def _place(told: dict[str, Any] | None) -> tuple[str | None, dict[str, Any]]:
    rules = {name: list(words) for name, words in (told or {}).items() if name != "country"}
    return (told or {}).get("country"), rules


def _hash(token: str) -> str:
    # The token has 256 random bits, so a plain hash is enough: there is nothing to guess.
    return hashlib.sha256(token.encode()).hexdigest()


def _refused(reason: str) -> InvitationRefused:
    return InvitationRefused(
        f"The enrolment token was refused: {reason}.",
        why=f"A token works once, within {INVITATION_DAYS} days.",
        todo="Ask the hub's administrator for a new one.",
    )
