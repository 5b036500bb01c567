"""The hub's root keys as this node trusts them: the one pinned at enrolment, and those that follow from it.

A new key counts only with a succession that the key before it sealed. A visa under an earlier key stays good until its
end, if it says that it was made before that key was replaced.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.clock import parse_iso
from fairbank.database import writing
from fairbank.errors import FairbankError
from fairbank.ontology.key_succession import KeySuccession, Succession, chain
from fairbank.ontology.signed_objects import Visa
from fairbank.release.errors import NotEnrolled, SuccessionUntrusted
from fairbank.release.store import HubKeyRow
from fairbank.signing import KeyId

if TYPE_CHECKING:
    from fairbank.release.hub_client import HubClient
    from fairbank.release.node import Enrolment, Node

# Asked in every round, so it is put together once.
_SUCCESSIONS = select(HubKeyRow.succession)


def newest(session: Session, enrolment: Enrolment) -> KeyId:
    """Return the hub key that counts now."""
    known = successions(session, enrolment)
    return KeyId(known[-1].new) if known else enrolment.hub_key


def successions(session: Session, enrolment: Enrolment) -> list[KeySuccession]:
    """Return the successions from the pinned key on, oldest first, each verified again.

    Raises:
        SuccessionUntrusted: if a stored one is not what was signed.
    """
    session.flush()  # the plain statement sees only what has been written
    rows = session.connection().execute(_SUCCESSIONS).scalars().all()
    try:
        given = [Succession.parse(row) for row in rows]
        return [words for words, _ in chain(enrolment.hub_key, given, name=enrolment.public_base_iri)]
    except FairbankError as err:
        raise _untrusted(err.what) from err


def key_for(session: Session, enrolment: Enrolment, visa: bytes) -> KeyId:
    """Return the hub key by which a visa has to be judged: its signer's, if that counts for it, or the newest.

    The visa is verified by who asks; nothing of it is believed here but who says to have signed it, and when.
    """
    known = successions(session, enrolment)
    if not known:
        return enrolment.hub_key
    last = KeyId(known[-1].new)
    try:
        said, sealed = Visa.open(visa, trusted=None)
    except FairbankError:
        return last
    for succession in known:
        if succession.old == sealed.signer and parse_iso(said.created) <= parse_iso(succession.created):
            return sealed.signer
    return last


def knows_signer(session: Session, enrolment: Enrolment, visa: bytes) -> bool:
    """Tell whether a visa says to be signed with a hub key that this node trusts or trusted."""
    try:
        _, sealed = Visa.open(visa, trusted=None)
    except FairbankError:
        return True
    return sealed.signer in keys(session, enrolment)


def keys(session: Session, enrolment: Enrolment) -> frozenset[KeyId]:
    """Return the pinned key and all that follow from it: what any of them sealed was the hub's word."""
    return frozenset({enrolment.hub_key, *(KeyId(each.new) for each in successions(session, enrolment))})


def learn(node: Node, client: HubClient) -> KeyId:
    """Ask the hub for successions of its key, keep those that follow from what is trusted, and return the newest key.

    Raises:
        NotEnrolled: if the node has not enrolled.
        SuccessionUntrusted: if the hub shows one that leads on from a trusted key and is not valid.
        HubUnreachable: if the hub does not answer.
    """
    if node.enrolment is None:
        raise NotEnrolled("This node has not enrolled with a hub.", todo="Run 'fairbank node enrol'.")
    about = client.get("/v1/hub")
    with writing(node.engine) as session:
        return learn_from(session, node, node.enrolment, about)


def learn_from(session: Session, node: Node, enrolment: Enrolment, about: Mapping[str, object]) -> KeyId:
    """Keep, in the caller's transaction, what a hub's description of itself proves of its newer keys.

    Raises:
        SuccessionUntrusted: if one that leads on from a trusted key is not valid.
    """
    shown = about.get("successions")
    listed = shown if isinstance(shown, list) else []
    try:
        given = [Succession.parse(each) for each in listed if isinstance(each, dict)]
        found = chain(newest(session, enrolment), given, name=enrolment.public_base_iri)
    except FairbankError as err:
        raise _untrusted(err.what) from err
    for words, succession in found:
        session.add(
            HubKeyRow(old=words.old, new=words.new, succession=succession.to_bytes(), learnt=node.clock.now())
        )
        audit.record(
            session,
            audit.NodeAudit,
            clock=node.clock,
            actor=words.old,
            act="hub.key-succession",
            target=words.new,
            detail={"old": words.old, "created": words.created},
        )
    session.flush()
    return newest(session, enrolment)


def _untrusted(why: str) -> SuccessionUntrusted:
    return SuccessionUntrusted(
        "The hub says that its key was replaced, and does not prove it.",
        why=why,
        todo="Nothing changes here. Ask the hub's administrator by another way.",
    )
