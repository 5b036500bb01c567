"""Archives whose own de-identification a curator accepts, container by container, each with the reason; revocable.

Trust lifts what an archive's headers leave unsaid, never what they show: names that are there, and burned-in text.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, select, update
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.audit import NodeAudit
from fairbank.database import reading, writing
from fairbank.harvest.consent_store import TrustRow
from fairbank.harvest.errors import BadDefinition, NothingRecorded, UnknownSource
from fairbank.harvest.index import LIVE
from fairbank.harvest.store import ItemRow, SeriesRow, SourceRow
from fairbank.harvest.verification import Hold
from fairbank.release.node import Node


def trust(node: Node, source: str, container: str, *, reason: str, by: str) -> None:
    """Accept how an archive de-identifies a container; its series are judged anew by the next harvest.

    Args:
        container: as the archive names it.
        reason: on what the trust rests; stays at the node.
        by: who accepts it, as a name of the site's own.

    Raises:
        UnknownSource: if the node has no such source.
        BadDefinition: if no reason is given.
    """
    if not reason.strip():
        raise BadDefinition(
            "The archive's de-identification was not accepted.",
            why="It needs a reason: who has checked what.",
            todo="Give the reason again.",
        )
    with writing(node.engine) as session:
        if session.get(SourceRow, source) is None:
            raise UnknownSource(
                f"The node has no source {source[:80]!r}.",
                why="Only a source that was added can be trusted.",
                todo="Look at 'fairbank harvest sources'.",
            )
        row = TrustRow(
            source=source,
            container=container,
            reason=reason.strip(),
            accepted_by=by,
            accepted=node.clock.now(),
        )
        session.merge(row)
        _judge_anew(session, source, container)
        _audit(node, session, "trust.accept", source)


def distrust(node: Node, source: str, container: str) -> int:
    """Take the trust back: the container's described series are held at once, until the next harvest judges them.

    Returns how many series are held.

    Raises:
        NothingRecorded: if there was none.
    """
    with writing(node.engine) as session:
        row = session.get(TrustRow, (source, container))
        if row is None:
            raise NothingRecorded(
                "This container's own de-identification was not accepted.",
                why="It was taken back before, or its name is another.",
                todo="Look at 'fairbank node source trusted'.",
            )
        session.delete(row)
        _judge_anew(session, source, container)
        let_through = and_(
            SeriesRow.source == source,
            SeriesRow.state == LIVE,
            SeriesRow.held.is_(None),
            SeriesRow.series_uid.in_(select(ItemRow.series_uid).where(_items(source, container))),
        )
        held = session.execute(
            update(SeriesRow)
            .where(let_through)
            .values(held=Hold.NOT_STATED.value)
            .returning(SeriesRow.id)
            .execution_options(synchronize_session=False)
        ).all()
        _audit(node, session, "trust.revoke", source)
    return len(held)


def is_trusted(session: Session, source: str, container: str) -> bool:
    """Return whether a curator accepts how an archive de-identifies a container."""
    return session.get(TrustRow, (source, container)) is not None


def trusts(node: Node) -> Sequence[TrustRow]:
    """Return what is trusted, sorted by source and container."""
    with reading(node.engine) as session:
        return list(session.scalars(select(TrustRow).order_by(TrustRow.source, TrustRow.container)))


def _judge_anew(session: Session, source: str, container: str) -> None:
    """Let the next harvest describe all items of a container again, whether they have changed or not."""
    described = and_(_items(source, container), ItemRow.series_uid.is_not(None))
    session.execute(
        update(ItemRow).where(described).values(version="").execution_options(synchronize_session=False)
    )


def _items(source: str, container: str) -> ColumnElement[bool]:
    return and_(ItemRow.source == source, ItemRow.container == container)


def _audit(node: Node, session: Session, act: str, source: str) -> None:
    # Not the container: archives name some after people.
    audit.record(session, NodeAudit, clock=node.clock, actor=node.key.key_id, act=act, target=source)
