"""Overlaps at the hub: who asks whom, and the newest sealed message; it can open none and learns no count.

What it can read: which two nodes, when, how long each message is, and so about how large each set is.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.catalogue import nodes
from fairbank.catalogue.context import Hub
from fairbank.errors import FairbankError
from fairbank.federated_jobs.hub.store import OverlapRow
from fairbank.federated_jobs.overlaps.errors import OverlapNotFound, OverlapRefused
from fairbank.federated_jobs.overlaps.messages import (
    ASKED,
    RESPONDED,
    OverlapAsk,
    OverlapAskReport,
    OverlapCall,
    Overlaps,
    OverlapStep,
)

KEPT: Final = timedelta(days=30)


def ask(hub: Hub, session: Session, message: OverlapAskReport, *, asker: str, answerer: str) -> None:
    """Keep what a node asks of another; the same again changes nothing.

    Raises:
        OverlapNotFound: if there is no such other node.
        OverlapRefused: if the node did not sign it, or it was asked before.
    """
    if answerer == asker or not nodes.keys_of(session, answerer):
        raise _unknown()
    said = OverlapAsk(
        id=message.id,
        asker=asker,
        answerer=answerer,
        own=message.own,
        other=message.other,
        project=message.project,
        key=message.key,
        created=message.created,
        expires=message.expires,
    )
    envelope = said.envelope_of(message.signer, message.signature)
    try:
        _, sealed = OverlapAsk.open(envelope, trusted=[*nodes.keys_of(session, asker)])
    except FairbankError as err:
        raise _refused("It is not signed with a key of this node.") from err
    now = hub.clock.now()
    session.execute(delete(OverlapRow).where(OverlapRow.created <= now - KEPT))
    known = session.get(OverlapRow, message.id)
    if known is not None:
        if known.envelope != envelope:
            raise _refused("There is another of this id.")
        return
    pair = [message.own, message.other]
    same = select(OverlapRow.id).where(
        OverlapRow.project == message.project,
        OverlapRow.own.in_(pair),
        OverlapRow.other.in_(pair),
        OverlapRow.declined.is_(False),
    )
    if session.scalar(same) is not None:
        raise _refused("These two datasets were asked about already for this project.")
    session.add(
        OverlapRow(
            id=message.id,
            asker=asker,
            answerer=answerer,
            own=message.own,
            other=message.other,
            project=message.project,
            envelope=envelope,
            step=ASKED,
            parcel=None,
            created=now,
        )
    )
    audit.record(
        session,
        audit.HubAudit,
        clock=hub.clock,
        actor=asker,
        act="overlap.ask",
        target=message.id,
        detail={"statement": sealed.digest},
    )


def concerning(session: Session, node: str) -> Overlaps:
    """Return the overlaps that a node asked for or is asked about, oldest first."""
    rows = session.scalars(
        select(OverlapRow)
        .where(or_(OverlapRow.asker == node, OverlapRow.answerer == node))
        .order_by(OverlapRow.created, OverlapRow.id)
    )
    return Overlaps(
        overlaps=tuple(
            OverlapCall(ask=row.envelope.decode(), step=row.step, parcel=row.parcel, declined=row.declined)
            for row in rows
        )
    )


def take_step(session: Session, overlap: str, message: OverlapStep, *, node: str) -> None:
    """Keep the next message of an overlap; the same again changes nothing.

    Raises:
        OverlapNotFound: if the node has no part in it.
        OverlapRefused: if it is not this node's turn.
    """
    row = session.get(OverlapRow, overlap)
    if row is None or node not in (row.asker, row.answerer):
        raise _unknown()
    if message.declined:
        row.declined, row.parcel = True, None
        return
    if row.declined or message.parcel is None:
        raise _refused("It was declined, or there is no message.")
    if (row.step, row.parcel) == (message.step, message.parcel):
        return
    turn = row.asker if message.step == RESPONDED else row.answerer
    if message.step != row.step + 1 or node != turn:
        raise _refused("It is not this node's turn.")
    row.step, row.parcel = message.step, message.parcel


def _unknown() -> OverlapNotFound:
    return OverlapNotFound(
        "There is no such overlap for this node.",
        why="It is between two other nodes, was never asked, or is older than 30 days.",
        todo="See 'fairbank node overlap list'.",
    )


def _refused(why: str) -> OverlapRefused:
    return OverlapRefused(
        "The hub does not take this for an overlap.",
        why=why,
        todo="Each two datasets are counted once for a project; see 'fairbank node overlap list'.",
    )
