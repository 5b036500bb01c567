"""What this node has seen of the hub's audit log, and whether the hub still tells the same story.

Each lease states the hub's newest entry; it is compared at once with those stated before. When there is nothing else
to do, and at least every hour, between two rounds, the node asks for the hub's sealed checkpoint and for proofs that it
continues everything seen so far. A hub that rewrites, shortens or forks its log is not worked for any more until a
person has looked into it. Of one that seals nothing the node says so, and works on.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, insert, select
from sqlalchemy.orm import Session

from fairbank import audit, audit_alarms, audit_checkpoints, audit_export, audit_tree
from fairbank.audit import Head, NodeAudit
from fairbank.audit_alarms import AlarmKind
from fairbank.audit_checkpoints import Checkpoint
from fairbank.database import reading, writing
from fairbank.errors import FairbankError, RemoteError
from fairbank.federated_jobs.errors import HubLogForked
from fairbank.federated_jobs.node import hub_seals
from fairbank.federated_jobs.node.store import AnchorRow, HubCheckpointRow
from fairbank.release import hub_keys
from fairbank.release.errors import BadAnswer, NotEnrolled, SuccessionUntrusted
from fairbank.release.hub_client import HubClient
from fairbank.release.node import Node
from fairbank.signing import BadEnvelope

log = logging.getLogger(__name__)

LOOK_EVERY = timedelta(minutes=10)
# Every round states a head; so many are proven in one request.
PROVEN_AT_ONCE = 64
_ANCHORS = AnchorRow.metadata.tables[AnchorRow.__tablename__]
_AT, _NOTE = select(_ANCHORS.c.hash).where(_ANCHORS.c.seq == bindparam("seq")), insert(_ANCHORS)


class HubLog:
    """The hub's log as one agent has seen it; used by the agent's own thread only."""

    def __init__(self, node: Node, client: HubClient) -> None:
        self._node = node
        self._client = client
        # Names the log in alarms; it stays the same when the hub's key is replaced.
        self._hub = node.enrolment.hub_key if node.enrolment is not None else ""
        with reading(node.engine) as session:
            self._since = audit_alarms.believed_since(session, NodeAudit, self._hub)
            self._seen = self._newest(session)
            self._alarmed = audit_alarms.stands(session, NodeAudit)
        self._next_look: datetime | None = None

    @property
    def alarmed(self) -> bool:
        """Tell whether an alarm about the hub's log stands, as far as this agent knows."""
        return self._alarmed

    @property
    def seen(self) -> Head | None:
        """Return the newest head that the hub has stated."""
        return self._seen

    def go_on_as(self, node: Node) -> None:
        """Seal and sign with the key that took the place of this node's."""
        self._node = node

    def refuse_if_forked(self) -> None:
        """Let nothing be done for a hub about whose log an alarm stands.

        Raises:
            HubLogForked: if one does.
        """
        if not self._alarmed:
            return
        with reading(self._node.engine) as session:
            self._alarmed = audit_alarms.stands(session, NodeAudit)
            self._since = audit_alarms.believed_since(session, NodeAudit, self._hub)
            self._seen = self._newest(session)
        if self._alarmed:
            raise HubLogForked(
                "This node does no work for the hub: the hub's audit log is not the one that was seen before.",
                why="A log that was rewritten, shortened, or shown differently to others can hide what was decided.",
                todo="See 'fairbank audit alarms'; ask the hub's people; then 'fairbank audit clear'.",
            )

    def note(self, session: Session, head: Head) -> None:
        """Note a head that the hub stated, in the caller's writing transaction; one that does not fit is an alarm."""
        seen = self._seen
        if seen is None or head.seq > seen.seq:
            self._keep(session, head)
        elif head != seen:
            # Heads come in order, so one that is not newer than the newest seen tells of a log cut short or rewritten.
            kind = AlarmKind.REWRITTEN if head.seq == seen.seq else AlarmKind.SHORTENED
            self._sound(session, kind, seen=seen, told=head)

    def look_if_due(self, *, idle: bool) -> None:
        """Ask for proofs if it is time; with a round to be had, only when that has been put off for an hour."""
        now = self._node.clock.now()
        if self._next_look is None:
            self._next_look = now
        if now < self._next_look + (timedelta(0) if idle else 6 * LOOK_EVERY):
            return
        self._next_look = now + LOOK_EVERY
        try:
            self.look()
        except FairbankError as err:
            # An older hub has no checkpoints, and one that does not answer is asked again later.
            log.info("the hub's audit log was not looked at: %s", err.code)
        self._warn_if_unsealed()
        self.seal_own()

    def _warn_if_unsealed(self) -> None:
        """Say, here each time and in this node's log once, that the hub does much and seals nothing."""
        with reading(self._node.engine) as session:
            found = hub_seals.overdue(session, self._node)
            if found is None:
                return
            said = hub_seals.is_said(session, found)
        words = found.words()
        log.warning("%s %s", words.code, words.what)
        if not said:
            with writing(self._node.engine) as session:
                hub_seals.note(session, self._node, found)

    def seal_own(self, *, now: bool = False) -> None:
        """Keep a sealed checkpoint of this node's own log, if one is due."""
        keep = audit_checkpoints.keep if now else audit_checkpoints.keep_if_due
        keep(
            self._node.engine, NodeAudit, key=self._node.key, log=self._node.name, clock=self._node.clock
        )  # fmt: skip

    def look(self) -> None:
        """Fetch the hub's newest checkpoint and let it prove that all that was seen before is in it.

        It may be sealed with any key that follows from the one pinned: it proves by what it continues, not by its age.

        What does not fit is an alarm; what fits is kept, and this node's own log says that it was seen.

        Raises:
            HubUnreachable: if the hub does not answer.
            RemoteError: if it refuses; it may be older than this node.
        """
        answer = self._client.get("/v1/audit/checkpoint")
        fresh = self._opened(str(answer.get("checkpoint")).encode())
        if fresh is None:
            self._alarm(AlarmKind.UNPROVEN, {"checkpoint": "not sealed with the hub's key"})
            return
        with reading(self._node.engine) as session:
            before = self._last_checkpoint(session)
            heads = self._heads_between(session, before.size if before else 0, fresh.size)
        problem = self._refuted(before, fresh, heads)
        if problem is not None:
            kind, detail = problem
            self._alarm(kind, {"sealed": fresh.size, "head": fresh.head, **detail})
        elif before is None or fresh.size > before.size:
            self._believe(fresh)

    def _opened(self, envelope: bytes) -> Checkpoint | None:
        """Return a checkpoint that a key of the hub sealed, asking for a succession if it is not known; else None."""
        enrolment = self._node.enrolment
        if enrolment is None:
            return None
        for may_ask in (True, False):
            try:
                with reading(self._node.engine) as session:
                    trusted = hub_keys.keys(session, enrolment)
                return Checkpoint.open(envelope, trusted=trusted)
            except BadEnvelope:
                if not may_ask:
                    return None
            try:
                hub_keys.learn(self._node, self._client)
            except (SuccessionUntrusted, BadAnswer) as err:
                log.warning("%s %s", err.code, err.what)
            except RemoteError as err:
                # A hub that shows no succession proves none; one that cannot answer now is asked again later.
                if err.status not in (400, 404, 422):
                    raise
        return None

    def _refuted(
        self, before: Checkpoint | None, fresh: Checkpoint, heads: list[Head]
    ) -> tuple[AlarmKind, dict[str, Any]] | None:
        if before is not None:
            if fresh.size < before.size:
                return AlarmKind.SHORTENED, {"seen": before.size, "seen_head": before.head}
            if not self._extends(before, fresh):
                return AlarmKind.UNPROVEN, {"seen": before.size, "seen_head": before.head}
        for at in range(0, len(heads), PROVEN_AT_ONCE):
            some = heads[at : at + PROVEN_AT_ONCE]
            if (missing := self._not_included(some, fresh)) is not None:
                return AlarmKind.UNPROVEN, {"seen": missing.seq, "seen_head": missing.hash}
        return None

    def _extends(self, before: Checkpoint, fresh: Checkpoint) -> bool:
        answer = self._ask("/v1/audit/consistency", {"first": before.size, "second": fresh.size})
        return audit_tree.extends(
            first=before.size,
            first_root=audit_tree.read(before.root),
            second=fresh.size,
            second_root=audit_tree.read(fresh.root),
            proof=_hashes(answer.get("proof")),
        )

    def _not_included(self, heads: list[Head], fresh: Checkpoint) -> Head | None:
        """Return the first head that the hub does not show to be in the log that it sealed."""
        entries = ",".join(str(head.seq) for head in heads)
        answer = self._ask("/v1/audit/inclusion", {"size": fresh.size, "entries": entries})
        paths = answer.get("paths")
        if not isinstance(paths, list) or len(paths) != len(heads):
            return heads[0]
        for head, path in zip(heads, paths, strict=True):
            shown = audit_tree.includes(
                head.hash, index=head.seq - 1, size=fresh.size, path=_hashes(path),
                root=audit_tree.read(fresh.root),
            )  # fmt: skip
            if not shown:
                return head
        return None

    def _ask(self, path: str, parameters: dict[str, str | int]) -> dict[str, Any]:
        try:
            return self._client.get(path, timeout_s=60.0, **parameters)
        except RemoteError as err:
            if err.status in (400, 404, 422):
                # It sealed the log, so it can prove what is in it; a proof that it declines to give is none.
                return {}
            raise

    def _believe(self, checkpoint: Checkpoint) -> None:
        with writing(self._node.engine) as session:
            session.merge(
                HubCheckpointRow(
                    size=checkpoint.size, head=checkpoint.head, root=checkpoint.root,
                    envelope=checkpoint.envelope, seen=self._node.clock.now(),
                )
            )  # fmt: skip
            audit.record(
                session, NodeAudit, clock=self._node.clock, actor=self._node.key.key_id, act="anchor.see",
                target=self._hub,
                detail={"seq": checkpoint.size, "hash": checkpoint.head, "root": checkpoint.root},
            )  # fmt: skip

    def _keep(self, session: Session, head: Head) -> None:
        connection, now = session.connection(), self._node.clock.now()
        if self._since is not None and connection.execute(_AT, {"seq": head.seq}).first() is not None:
            # A person has let the hub go on from an earlier entry: this number was seen in the log that it had before.
            session.merge(AnchorRow(seq=head.seq, hash=head.hash, at=now))
        else:
            connection.execute(_NOTE, {"seq": head.seq, "hash": head.hash, "at": now})
        self._seen = head

    def _sound(self, session: Session, kind: AlarmKind, *, seen: Head, told: Head) -> None:
        detail = {"seen": seen.seq, "seen_head": seen.hash, "told": told.seq, "told_head": told.hash}
        audit_alarms.sound(
            session, NodeAudit, clock=self._node.clock, log=self._hub, kind=kind, detail=detail
        )
        self._alarmed = True
        log.error("the hub's audit log is %s: this node does no more work for it", kind.value)

    def _alarm(self, kind: AlarmKind, detail: dict[str, Any]) -> None:
        with writing(self._node.engine) as session:
            audit_alarms.sound(
                session, NodeAudit, clock=self._node.clock, log=self._hub, kind=kind, detail=detail
            )
        self._alarmed = True
        log.error("the hub's audit log is %s: this node does no more work for it", kind.value)

    def _newest(self, session: Session) -> Head | None:
        statement = select(AnchorRow.seq, AnchorRow.hash).order_by(AnchorRow.seq.desc()).limit(1)
        if self._since is not None:
            statement = statement.where(AnchorRow.at > self._since)
        row = session.execute(statement).first()
        return Head(row.seq, row.hash) if row is not None else None

    def _last_checkpoint(self, session: Session) -> Checkpoint | None:
        statement = select(HubCheckpointRow.envelope).order_by(HubCheckpointRow.size.desc()).limit(1)
        if self._since is not None:
            statement = statement.where(HubCheckpointRow.seen > self._since)
        envelope = session.scalar(statement)
        return None if envelope is None else Checkpoint.open(envelope, trusted=None)

    def _heads_between(self, session: Session, after: int, until: int) -> list[Head]:
        statement = select(AnchorRow.seq, AnchorRow.hash).where(AnchorRow.seq > after, AnchorRow.seq <= until)
        if self._since is not None:
            statement = statement.where(AnchorRow.at > self._since)
        return [Head(row.seq, row.hash) for row in session.execute(statement.order_by(AnchorRow.seq))]


def anchors(node: Node) -> bytes:
    """Return, sealed, all that this node was shown of its hub's log: with leases, and as sealed checkpoints.

    Raises:
        NotEnrolled: if the node has not enrolled.
    """
    if node.enrolment is None:
        raise NotEnrolled(
            "This node has not enrolled with a hub.",
            why="So it was shown no hub's audit log.",
            todo="Run 'fairbank node enrol'.",
        )
    with reading(node.engine) as session:
        heads = [
            Head(row.seq, row.hash)
            for row in session.execute(select(AnchorRow.seq, AnchorRow.hash).order_by(AnchorRow.seq))
        ]
        sealed = session.scalars(select(HubCheckpointRow.envelope).order_by(HubCheckpointRow.size)).all()
    return audit_export.seal_anchors(
        log=node.enrolment.public_base_iri, seen_by=node.name, heads=heads, checkpoints=sealed,
        key=node.key, now=node.clock.now(),
    )  # fmt: skip


def tell_fork(node: Node, fork: audit_export.Fork) -> None:
    """Raise the alarm that this node and another were shown different logs of their hub."""
    assert node.enrolment is not None
    detail = {
        "seq": fork.seq, "first": fork.first, "first_hash": fork.first_hash,
        "second": fork.second, "second_hash": fork.second_hash,
    }  # fmt: skip
    with writing(node.engine) as session:
        audit_alarms.sound(
            session, NodeAudit, clock=node.clock, log=node.enrolment.hub_key, kind=AlarmKind.FORKED,
            detail=detail,
        )  # fmt: skip


def _hashes(told: Any) -> list[bytes]:
    """Read what a hub gives as a proof; nothing that is not a list of hashes proves anything."""
    if not isinstance(told, list) or len(told) > 128:
        return []
    try:
        return [audit_tree.read(str(each)) for each in told]
    except ValueError:
        return []
