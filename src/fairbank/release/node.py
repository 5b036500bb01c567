"""The node itself: its home folder, database, key and name, and the hub that it trusts.

A node works without a hub (rehearsal): it can clean, harvest and stage. Enrolling pins the hub's root key; from then on
only visas under that key count, and a hub that shows another key is refused.
"""

from __future__ import annotations

import json
import logging
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.engine import Engine

from fairbank import audit, migrations
from fairbank.audit import NodeAudit
from fairbank.clock import Clock
from fairbank.database import connect, reading, writing
from fairbank.errors import FairbankError
from fairbank.ontology.errors import MalformedObject
from fairbank.ontology.key_succession import Succession, opened
from fairbank.ontology.outputs import DoorClass
from fairbank.ontology.places import NodePlace, place_rule
from fairbank.release import hub_keys, ledger
from fairbank.release.errors import (
    BadAnswer,
    BadNodeName,
    HubKeyChanged,
    NodeExists,
    NoNode,
)
from fairbank.release.store import EnrolmentRow, NodeKeyRow, NodeRow
from fairbank.settings import Settings, SettingsError
from fairbank.signing import KeyId, PublicKey, SigningError, SigningKey

if TYPE_CHECKING:
    from fairbank.release.hub_client import HubClient

log = logging.getLogger(__name__)

KEY_FILE: Final = "node.pem"
# Where a new key lies until the hub has taken it; `key_rotation` makes and moves it.
NEXT_KEY_FILE: Final = "node.next.pem"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Enrolment:
    """The hub that this node enrolled with; `hub_key` is pinned.

    What follows from it (`hub_keys`) is looked up when it is needed, since the hub may replace its key at any time.
    """

    hub_url: str
    hub_key: KeyId
    public_base_iri: str
    node: str


@dataclass(frozen=True, slots=True)
class Node:
    """Everything that the node side's functions need: made once, passed down.

    `earlier_keys` are those that the present one took the place of, newest first.
    """

    settings: Settings
    engine: Engine
    clock: Clock
    key: SigningKey
    name: str
    enrolment: Enrolment | None
    earlier_keys: tuple[KeyId, ...] = ()

    @property
    def keys(self) -> tuple[KeyId, ...]:
        """Return the ids of this node's keys, the present one first: what any of them sealed is this node's word."""
        return (self.key.key_id, *self.earlier_keys)

    @property
    def outbox_path(self) -> Path:
        """Return the folder of the bytes that wait to leave, or have left."""
        return self.settings.home / "outbox"


def init_node(settings: Settings, clock: Clock, *, name: str, title: str = "") -> Node:
    """Make a node in the home folder: its database and its key (mode 0600).

    Running it again with the same name finishes what an interrupted run began.

    Raises:
        BadNodeName: if the name cannot be part of an address.
        NodeExists: if the folder holds a node of another name.
    """
    if not _NAME.fullmatch(name):
        raise BadNodeName(
            f"{name[:80]!r} cannot be a node's name.",
            why="The name becomes part of addresses: a to z, 0 to 9 and hyphens, at most 63 characters.",
            todo="Choose a short name such as 'biobank-a'.",
        )
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = _engine(settings)
    with reading(engine) as session:
        found = session.get(NodeRow, 1)
    if found and found.name != name:
        raise NodeExists(
            f"This home folder holds the node {found.name!r} already.",
            why="A node's name is part of its records, and never changes.",
            todo="Use another home folder, or go on with the node that is there.",
        )
    path = settings.keys_path / KEY_FILE
    if not path.exists():
        SigningKey.generate().save(path)
    key = SigningKey.load(path)
    if not found:
        with writing(engine) as session:
            session.add(
                NodeRow(one=1, name=name, title=title or name, key_id=key.key_id, created=clock.now())
            )
            audit.record(session, NodeAudit, clock=clock, actor=key.key_id, act="node.init", target=name)
    return open_node(settings, clock)


def open_node(settings: Settings, clock: Clock) -> Node:
    """Open the node in the home folder, bringing its database up to date.

    Raises:
        NoNode: if there is none.
        KeyFileError: if its key is missing or readable by others.
    """
    if not (settings.keys_path / KEY_FILE).exists():
        raise _no_node(settings)
    engine = _engine(settings)
    with reading(engine) as session:
        row = session.get(NodeRow, 1)
        pinned = session.get(EnrolmentRow, 1)
        successions = session.scalars(select(NodeKeyRow.succession)).all()
    if row is None:
        raise _no_node(settings)
    key = node_key(settings, row.key_id)
    enrolment = None
    if pinned is not None:
        enrolment = Enrolment(pinned.hub_url, KeyId(pinned.hub_key), pinned.public_base_iri, pinned.node)
    return Node(
        settings, engine, clock, key, row.name, enrolment, _earlier(key.key_id, successions, row.name)
    )


def _earlier(key: KeyId, successions: Sequence[bytes], name: str) -> tuple[KeyId, ...]:
    """Return the keys before a node's present one, newest first: each sealed who comes after it, and so did the next.

    A row that does not lead to the present key is no word of this node.
    """
    by_new: dict[str, KeyId] = {}
    for each in successions:
        try:
            words, _ = opened(Succession.parse(each), of="node", name=name)
        except FairbankError as err:
            log.warning("a succession of this node's key is left out: %s", err.what)
            continue
        by_new[words.new] = KeyId(words.old)
    found: list[KeyId] = []
    while (before := by_new.get(found[-1] if found else key)) is not None and before not in (key, *found):
        found.append(before)
    return tuple(found)


def node_key(settings: Settings, key_id: str) -> SigningKey:
    """Return the node's key; where a rotation was cut off before the files were moved, it is finished.

    Args:
        key_id: which key is the node's, as its database says.

    Raises:
        KeyFileError: if the file is missing or readable by others.
    """
    path, coming = settings.keys_path / KEY_FILE, settings.keys_path / NEXT_KEY_FILE
    key = SigningKey.load(path)
    if key.key_id != key_id and coming.exists():
        following = SigningKey.load(coming)
        if following.key_id == key_id:
            coming.replace(path)
            return following
    return key


def enrol(
    node: Node,
    *,
    hub_url: str,
    token: str,
    title: str = "",
    hub_key: str | None = None,
    client: HubClient | None = None,
) -> Enrolment:
    """Introduce this node to a hub with a one-time token, and pin the hub's root key.

    Args:
        node: the node; open it again afterwards to see the enrolment.
        hub_url: address of the hub.
        token: the one-time token that the hub's administrator gave.
        title: the node's name for readers; by default the one given when it was made.
        hub_key: the root key (id or fingerprint) that the administrator told, checked before anything is sent.
        client: a client to use instead of a new one, for tests.

    Raises:
        HubKeyChanged: if the hub shows another key than `hub_key`, or than the one pinned before.
        HubUnreachable: if the hub does not answer.
    """
    from fairbank.release.hub_client import HubClient, check_way

    if client is None:
        check_way(hub_url, node.settings)
    authority = Path(node.settings.hub_authority) if node.settings.hub_authority else None
    client = client or HubClient(hub_url, key=node.key, clock=node.clock, authority=authority)
    about = client.get("/v1/hub")
    shown = _key_of(about.get("key"))
    _expect(shown, hub_key, why="The administrator named another key.")
    if node.enrolment is not None:
        with writing(node.engine) as session:
            pinned = hub_keys.learn_from(session, node, node.enrolment, about)
        _expect(shown, pinned, why="This node pinned another key.")
    body = _introduction(node, token=token, title=title)
    answer = _introduce(node, client, body)
    named = _key_of(answer.get("hub_key"))
    _expect(named, shown, why="It named one key when asked and another when enrolling.")
    base_iri = str(answer.get("base_iri", "")).rstrip("/")
    if answer.get("node") != node.name or not base_iri.startswith(("http://", "https://")):
        raise BadAnswer(
            "The hub's answer to the enrolment is not complete.",
            why="It has to confirm the node's name and tell the base of its addresses.",
            todo="Check that the address is a fairbank hub's, and its version.",
        )
    # What was pinned first stays: from it follows every key that sealed anything for this node.
    first = node.enrolment.hub_key if node.enrolment is not None else shown
    return _pin(node, Enrolment(hub_url.rstrip("/"), first, base_iri, node.name))


def place_of(settings: Settings) -> NodePlace:
    """Return where a node is and what it lets leave where to, as it tells the hub.

    Raises:
        SettingsError: if its country or one of its rules cannot be read.
    """
    rules = {
        "results": settings.node_results_may_go,
        "updates": settings.node_updates_may_go,
        "peers": settings.node_peers_may_be,
    }
    try:
        for rule in rules.values():
            place_rule(rule)
        words = {name: rule.split() for name, rule in rules.items()}
        return NodePlace.model_validate_json(json.dumps({"country": settings.node_country or None, **words}))
    except (MalformedObject, ValidationError) as err:
        raise SettingsError(
            "The node's country or one of its rules of transfers cannot be read.",
            why="A country is a code of two capitals; a rule is 'any', or codes, 'EEA', 'adequate' and 'own'.",
            todo="Correct node_country, node_results_may_go, node_updates_may_go or node_peers_may_be.",
        ) from err


def _introduction(node: Node, *, token: str, title: str) -> bytes:
    with reading(node.engine) as session:
        row = session.get(NodeRow, 1)
    body = {
        "schema": "enrolment/1",
        "node": node.name,
        "key": node.key.key_id,
        "token": token,
        "title": title or (row.title if row else node.name),
        "place": place_of(node.settings).model_dump(mode="json", exclude_none=True),
    }
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def _introduce(node: Node, client: HubClient, body: bytes) -> dict[str, object]:
    # The token is a secret, so the ledger keeps this one control body by digest only.
    with writing(node.engine) as session:
        seq = ledger.note(
            session,
            clock=node.clock,
            door_class=DoorClass.CONTROL,
            name="POST /v1/enrolments",
            destination=client.base_url,
            body=body,
            keep_body=False,
        )
    response = client.deliver("POST", "/v1/enrolments", body=body, content_type=_JSON)
    with writing(node.engine) as session:
        ledger.mark_sent(session, seq, clock=node.clock)
    return client.json_of(response)


def _pin(node: Node, enrolment: Enrolment) -> Enrolment:
    with writing(node.engine) as session:
        session.merge(
            EnrolmentRow(
                one=1,
                hub_url=enrolment.hub_url,
                hub_key=enrolment.hub_key,
                public_base_iri=enrolment.public_base_iri,
                node=enrolment.node,
                enrolled=node.clock.now(),
            )
        )
        audit.record(
            session,
            NodeAudit,
            clock=node.clock,
            actor=node.key.key_id,
            act="node.enrol",
            target=enrolment.hub_url,
            detail={"hub_key": enrolment.hub_key, "base_iri": enrolment.public_base_iri},
        )
    return enrolment


def _expect(shown: KeyId, expected: str | None, *, why: str) -> None:
    if expected is None or expected in (shown, PublicKey.parse(shown).fingerprint):
        return
    raise HubKeyChanged(
        f"The hub shows the root key {PublicKey.parse(shown).fingerprint}, which is not the one expected.",
        why=f"{why} A hub's root key changes only with a succession signed by the old key.",
        todo="Send nothing. Compare the fingerprint with the hub's administrator by another way.",
    )


def _key_of(text: object) -> KeyId:
    try:
        return PublicKey.parse(str(text)).key_id
    except SigningError as err:
        raise BadAnswer(
            "The hub does not show its root key.",
            why="Whatever answers at this address is not a fairbank hub, or an old one.",
            todo="Check the address of the hub.",
        ) from err


def _engine(settings: Settings) -> Engine:
    engine = connect(settings.node_database_url)
    migrations.upgrade(engine, "node")
    file = settings.home / "node.db"
    if not settings.node_database and stat.S_IMODE(file.stat().st_mode) != 0o600:
        file.chmod(0o600)
    return engine


def _no_node(settings: Settings) -> NoNode:
    return NoNode(
        "There is no node in this home folder.",
        why="A node is made once, with its key and its database.",
        todo="Run 'fairbank node init --name NAME', or name the right folder with --home.",
    )
