"""What was decided at a node of the heads of a project, by persons who speak there."""

from __future__ import annotations

from fairbank.database import reading
from fairbank.deid.faces.policy_store import policy_for
from fairbank.deid.identity import IDENTITY_FILE
from fairbank.deid.policies import FacePolicy
from fairbank.harvest.consents import identity_of
from fairbank.release.node import Node
from fairbank.release.people import speaking


def decided_at(node: Node, project: str, asked: FacePolicy | None = None) -> FacePolicy:
    """Return what becomes of a project's heads in a run at a node: what was decided, or what a run asks for.

    Raises:
        FacesUndecided: if `in-situ` is asked for and not what was decided.
        FaceDecisionDamaged: if the decision is not what a person signed who may decide here.
    """
    trusted = speaking_at(node)
    with reading(node.engine) as session:
        return policy_for(session, project, asked, trusted=trusted)


def speaking_at(node: Node) -> frozenset[str] | None:
    """Return the ids of the keys that may decide about faces: of the node's persons, and of those named for this alone.

    None where nobody was ever named, at either place.
    """
    with reading(node.engine) as session:
        found = speaking(session, node)
    if not (node.settings.home / IDENTITY_FILE).exists():
        return found  # nobody was named for this alone; to look is no reason to make a store
    with identity_of(node) as identity:
        named = identity.desk.speaking()
    return found if named is None else named | (found or frozenset())
