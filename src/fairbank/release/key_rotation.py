"""The node replaces its own key: the old one seals who comes after it, the hub takes it, then the files are moved.

It can be cut off anywhere and given again. Before the hub has taken the new key, nothing has changed. After it has, and
its answer was lost, the same succession is sent again: the hub gives the same answer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fairbank import audit
from fairbank.clock import iso
from fairbank.database import writing
from fairbank.ontology.key_succession import KeySuccession, Succession, sealed_by_both
from fairbank.ontology.outputs import DoorClass
from fairbank.release import ledger
from fairbank.release.errors import BadAnswer, KeyNotEnrolled
from fairbank.release.node import KEY_FILE, NEXT_KEY_FILE, Node, node_key
from fairbank.release.people import Signer
from fairbank.release.person_decisions import Act, decide
from fairbank.release.store import NodeKeyRow, NodeRow
from fairbank.signing import KeyId, SigningKey

if TYPE_CHECKING:
    from collections.abc import Callable

    from fairbank.release.hub_client import HubClient

PATH = "/v1/node/key"


@dataclass(frozen=True, slots=True)
class Rotated:
    """A node with its new key, and until when the hub takes requests under the old one; None without a hub."""

    node: Node
    old: KeyId
    old_accepted_until: str | None


def rotate(
    node: Node,
    *,
    signer: Signer | None = None,
    client: Callable[[SigningKey], HubClient] | None = None,
) -> Rotated:
    """Give this node a new key, with the hub's consent if it has enrolled; or finish what was cut off.

    Args:
        signer: the person; needed once anybody is named at the node.
        client: makes a connection that signs with a key.

    Raises:
        PersonNeeded: if persons are named here and none signs.
        HubUnreachable: if the hub does not answer; give the command again.
        RemoteError: if the hub refuses; nothing has changed then.
    """
    old, new = node.key, _coming(node)
    words = KeySuccession(
        id=node.clock.new_id(),
        of="node",
        name=node.name,
        old=old.key_id,
        new=new.key_id,
        created=iso(node.clock.now()),
    )
    succession = sealed_by_both(words, old, new)
    with writing(node.engine) as session:
        detail = {"old": words.old, "new": words.new}
        decision = decide(session, node, Act.KEY_ROTATE, node.name, detail, signer=signer)
    until = None
    if node.enrolment is not None:
        until = _told(node, succession, old, new, client or _client_of(node))
    with writing(node.engine) as session:
        session.add(
            NodeKeyRow(key_id=old.key_id, succession=succession.to_bytes(), succeeded=node.clock.now())
        )
        session.get_one(NodeRow, 1).key_id = new.key_id
        audit.record(
            session,
            audit.NodeAudit,
            clock=node.clock,
            actor=signer.name if signer else old.key_id,
            act="node.key-succession",
            target=node.name,
            detail={**detail, "decision": decision or ""},
        )
    # The database names the new key from here on; opening the node finishes this if it is cut off.
    folder = node.settings.keys_path
    (folder / NEXT_KEY_FILE).replace(folder / KEY_FILE)
    return Rotated(_with(node, new), old.key_id, until)


def renewed(node: Node, key_id: str) -> Node:
    """Return a node that was opened before its key was replaced, with the key that its database names now."""
    return _with(node, node_key(node.settings, key_id))


def _with(node: Node, key: SigningKey) -> Node:
    return replace(node, key=key, earlier_keys=node.keys) if key.key_id != node.key.key_id else node


def _coming(node: Node) -> SigningKey:
    path = node.settings.keys_path / NEXT_KEY_FILE
    if not path.exists():
        SigningKey.generate().save(path)
    return SigningKey.load(path)


def _told(
    node: Node,
    succession: Succession,
    old: SigningKey,
    new: SigningKey,
    client: Callable[[SigningKey], HubClient],
) -> str:
    try:
        answer = _post(node, succession, client(old))
    except KeyNotEnrolled:
        # The hub may have taken the new key so long ago that it does not know the old one any more.
        answer = _post(node, succession, client(new))
    if (answer.get("node"), answer.get("key")) != (node.name, new.key_id):
        raise BadAnswer(
            "The hub's answer does not name the new key.",
            why="It has to confirm which key is this node's.",
            todo="Give the command again; if it stays so, tell the hub's administrator.",
        )
    return str(answer.get("old_accepted_until", ""))


def _post(node: Node, succession: Succession, client: HubClient) -> dict[str, object]:
    body = succession.to_bytes()
    with writing(node.engine) as session:
        seq = ledger.note(
            session,
            clock=node.clock,
            door_class=DoorClass.CONTROL,
            name=f"POST {PATH}",
            destination=client.base_url,
            body=body,
        )
    response = client.deliver("POST", PATH, body=body, content_type="application/json")
    with writing(node.engine) as session:
        ledger.mark_sent(session, seq, clock=node.clock)
    return client.json_of(response)


def _client_of(node: Node) -> Callable[[SigningKey], HubClient]:
    from fairbank.release.hub_client import HubClient

    return lambda key: HubClient.of(replace(node, key=key))
