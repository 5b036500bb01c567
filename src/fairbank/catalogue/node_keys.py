"""The key of a node is replaced: by a succession that the old and the new key sealed.

Asking twice gives the same answer: whichever side lost the first one, the other can go on.
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from fairbank import audit, events
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import KeySuccessionRefused
from fairbank.catalogue.nodes import NodeIdentity
from fairbank.catalogue.store import NodeKeyRow, NodeRow
from fairbank.clock import iso
from fairbank.database import writing
from fairbank.errors import FairbankError
from fairbank.ontology.key_succession import KeySuccession, Succession, opened
from fairbank.ontology.wire import KeyText, Moment, Slug, Wire

GRACE = timedelta(hours=24)


class KeySucceeded(Wire):
    """The answer: which key is the node's now, and until when requests under the old one pass."""

    schema_name = "key-succeeded/1"

    node: Slug
    key: KeyText
    old_accepted_until: Moment


def succeed(hub: Hub, who: NodeIdentity, succession: Succession) -> KeySucceeded:
    """Put a new key in the place of a node's present one; requests under the old one pass for a day.

    Raises:
        KeySuccessionRefused: if both keys did not seal it, or it is not from the present key to an unused one.
    """
    words = _checked(succession, who.name)
    now = hub.clock.now()
    with writing(hub.engine) as session:
        row = session.get_one(NodeRow, who.name)
        done = session.get(NodeKeyRow, words.old)
        if row.key_id == words.new and done is not None:
            # The answer to the first try was lost on its way.
            return KeySucceeded(node=who.name, key=words.new, old_accepted_until=iso(done.accepted_until))
        if row.key_id != words.old:
            raise _refused("It does not begin with the key that the node has now.")
        taken = session.scalar(select(NodeRow.name).where(NodeRow.key_id == words.new))
        if taken is not None or session.get(NodeKeyRow, words.new) is not None:
            raise _refused("The new key is, or was, that of a node.")
        session.add(
            NodeKeyRow(
                key_id=words.old,
                node=who.name,
                succession=succession.to_bytes(),
                succeeded=now,
                accepted_until=now + GRACE,
            )
        )
        row.key_id = words.new
        audit.record(
            session,
            audit.HubAudit,
            clock=hub.clock,
            actor=words.old,
            act="node.key-succession",
            target=who.name,
            detail={"old": words.old, "new": words.new},
        )
        events.append(session, events.HubEvent, clock=hub.clock, kind="node.key-succeeded", subject=who.name)
    return KeySucceeded(node=who.name, key=words.new, old_accepted_until=iso(now + GRACE))


def _checked(succession: Succession, node: str) -> KeySuccession:
    try:
        return opened(succession, of="node", name=node)[0]
    except FairbankError as err:
        raise _refused(err.why or err.what) from err


def _refused(why: str) -> KeySuccessionRefused:
    return KeySuccessionRefused(
        "The node's key was not replaced.",
        why=why,
        todo="Run 'fairbank node key rotate' at the node; if its key is lost, enrol it anew under another name.",
    )
