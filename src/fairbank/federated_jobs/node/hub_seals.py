"""Whether the hub still seals its audit log as it grows: what it did and never sealed is said by nobody's signature.

A head that comes with a lease is a word; a sealed checkpoint convicts whoever contradicts it. A hub that hands out none
cannot be caught, so a node that works for it has to say so: here and in its own log. It goes on working, because an
older hub has no checkpoints, and a look that failed is no proof of anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fairbank import audit, audit_alarms
from fairbank.audit import NodeAudit
from fairbank.clock import iso
from fairbank.federated_jobs.errors import HubLogUnsealed
from fairbank.federated_jobs.node.store import AnchorRow, HubCheckpointRow
from fairbank.release.node import Node
from fairbank.release.store import ReleaseRow

ACT = "audit.unsealed"


@dataclass(frozen=True, slots=True)
class Unsealed:
    """What the hub has done that no checkpoint shows which this node holds.

    Attributes:
        since: when this node first saw such an act, by its own clock.
        sealed: entries of the hub's log in the newest checkpoint here, 0 if there is none.
        seen: the newest entry that the hub has stated.
    """

    since: datetime
    sealed: int
    seen: int

    def words(self) -> HubLogUnsealed:
        """Return what the site's people should know of it."""
        return HubLogUnsealed(
            f"The hub has not shown a sealed checkpoint of its audit log for what it did since {iso(self.since)}.",
            why=f"The newest here has {self.sealed} entries, the hub has stated {self.seen}; what is not sealed can "
            "be rewritten unseen.",
            todo="See that the agent runs ('fairbank node run'), then ask the hub's people why it seals nothing.",
        )


def unsealed(session: Session, node: Node) -> Unsealed | None:
    """Return what the hub did since its newest checkpoint here, None if nothing; however long ago that is.

    Acts are entries that it has stated, and this node's own releases: each is an entry of the hub's log, also of a hub
    that states the same head for ever.
    """
    if node.enrolment is None:
        return None
    believed = audit_alarms.believed_since(session, NodeAudit, node.enrolment.hub_key)
    checkpoint = select(HubCheckpointRow.size, HubCheckpointRow.seen).order_by(HubCheckpointRow.size.desc())
    heads = select(func.min(AnchorRow.at), func.max(AnchorRow.seq))
    sent = select(func.min(ReleaseRow.sent))
    if believed is not None:
        checkpoint = checkpoint.where(HubCheckpointRow.seen > believed)
        heads, sent = heads.where(AnchorRow.at > believed), sent.where(ReleaseRow.sent > believed)
    newest = session.execute(checkpoint.limit(1)).first()
    if newest is not None:
        heads, sent = heads.where(AnchorRow.seq > newest.size), sent.where(ReleaseRow.sent > newest.seen)
    stated, seen = session.execute(heads).one()
    acts = [at for at in (stated, session.scalar(sent)) if at is not None]
    if not acts:
        return None
    sealed = newest.size if newest is not None else 0
    return Unsealed(min(acts), sealed, max(seen or 0, sealed))


def overdue(session: Session, node: Node) -> Unsealed | None:
    """Return what has been unsealed for longer than the setting `node_hub_unsealed_hours` allows; None if nothing."""
    found = unsealed(session, node)
    longest = timedelta(hours=node.settings.node_hub_unsealed_hours)
    return found if found is not None and node.clock.now() - found.since >= longest else None


def is_said(session: Session, found: Unsealed) -> bool:
    """Tell whether this node's log says so already."""
    newest = select(NodeAudit.detail).where(NodeAudit.act == ACT).order_by(NodeAudit.seq.desc()).limit(1)
    detail = session.scalar(newest)
    return detail is not None and detail.get("since") == iso(found.since)


def note(session: Session, node: Node, found: Unsealed) -> None:
    """Say in this node's log, in the caller's writing transaction, that the hub seals nothing."""
    assert node.enrolment is not None
    audit.record(
        session, NodeAudit, clock=node.clock, actor=node.key.key_id, act=ACT, target=node.enrolment.hub_key,
        detail={"since": iso(found.since), "sealed": found.sealed, "seen": found.seen},
    )  # fmt: skip
