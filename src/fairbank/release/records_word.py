"""A record that had to wait for the curator leaves only with a person's word, where persons are named."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank.ontology.outputs import DoorClass
from fairbank.release.errors import DecisionUntrusted
from fairbank.release.node import Node
from fairbank.release.people import has_people
from fairbank.release.person_decisions import Act, before_people, enough_signed, made
from fairbank.release.releases import Release, ReleaseState
from fairbank.release.store import ReleaseRow
from fairbank.signing import Json


def words_of(release: Release) -> dict[str, Json]:
    """Return what a person signs who decides about a record: its dataset and exactly its bytes."""
    return {"output": release.output, "digest": release.digest}


def check_record_let_go(session: Session, node: Node, release: Release) -> None:
    """Refuse to send a record that nobody let go, unless it may leave by itself or is from before anybody was named.

    Raises:
        DecisionUntrusted: if something else than a person's word made it ready.
    """
    if release.door_class is not DoorClass.RECORD or not has_people(session, node):
        return
    if node.settings.release_automatic_approval == "record" and _is_followed_on(session, release):
        return
    if before_people(session, "release.approve", release.id):
        return
    signed = made(session, node, Act.RECORD_APPROVE, target=release.id)
    if not enough_signed(node, signed, words_of(release)):
        raise DecisionUntrusted(
            "No person of this node let this record go.",
            why="It has to be looked at before it leaves, and nobody signed that it may.",
            todo="Look at the audit log, then decide with 'fairbank node outbox hold' and 'approve'.",
        )


def _is_followed_on(session: Session, release: Release) -> bool:
    """Tell whether a record of the same dataset left before: later ones may then leave by themselves."""
    earlier = select(ReleaseRow.id).where(
        ReleaseRow.output == release.output,
        ReleaseRow.job == "",
        ReleaseRow.state == ReleaseState.SENT.value,
        ReleaseRow.round < release.round,
    )
    return session.scalar(earlier.limit(1)) is not None
