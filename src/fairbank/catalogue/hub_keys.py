"""The hub's root key is replaced: the old key seals who comes after it, and nodes follow from the key that they pinned.

Visas stay as they were sealed; one under an earlier key is good until its end.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank import audit, events
from fairbank.catalogue.context import KEY_FILE, NEXT_KEY_FILE, Hub
from fairbank.catalogue.errors import RootKeyElsewhere
from fairbank.catalogue.store import HubIdentity, HubKeyRow
from fairbank.clock import iso
from fairbank.database import one_writer_at_a_time, writing
from fairbank.ontology.key_succession import KeySuccession, Succession, sealed_by_both
from fairbank.signing import KeyId, SigningKey, open_sealed


def rotate(hub: Hub, *, actor: str) -> SigningKey:
    """Give the hub a new root key and return it; a hub that runs goes on with it by itself.

    A run that was cut off is finished by the next one, or when the hub is opened.
    """
    folder = hub.settings.keys_path
    path = folder / NEXT_KEY_FILE
    new = SigningKey.load(path) if path.exists() else SigningKey.generate()
    if not path.exists():
        new.save(path)
    with writing(hub.engine) as session:
        # Who seals waits for the same turn: nothing is sealed with the old key after the time of the succession.
        one_writer_at_a_time(session)
        identity = session.get_one(HubIdentity, 1)
        if identity.key_id != new.key_id:
            _succeed(hub, session, identity, new, actor=actor)
    path.replace(folder / KEY_FILE)
    return new


def named(session: Session) -> KeyId:
    """Return the id of the hub's root key as its database names it now."""
    return KeyId(session.execute(select(HubIdentity.key_id)).scalar_one())


def sealing_key(session: Session, hub: Hub, *, lasting: bool = False) -> SigningKey:
    """Return the root key that the hub seals with now, also if it was replaced since this process was started.

    Args:
        lasting: the key is not replaced before the caller's writing transaction ends.

    Raises:
        RootKeyElsewhere: if it was replaced, and the new one is not in this home folder.
    """
    if lasting:
        one_writer_at_a_time(session)
    return _held(hub, named(session))


def _succeed(hub: Hub, session: Session, identity: HubIdentity, new: SigningKey, *, actor: str) -> None:
    old = _held(hub, identity.key_id)
    words = KeySuccession(
        id=hub.clock.new_id(),
        of="hub",
        name=hub.base_iri,
        old=old.key_id,
        new=new.key_id,
        created=iso(hub.clock.now()),
    )
    session.add(
        HubKeyRow(
            old=words.old,
            new=words.new,
            succession=sealed_by_both(words, old, new).to_bytes(),
            made=hub.clock.now(),
        )
    )
    identity.key_id = new.key_id
    audit.record(
        session,
        audit.HubAudit,
        clock=hub.clock,
        actor=actor,
        act="hub.key-succession",
        target=hub.base_iri,
        detail={"old": words.old, "new": words.new},
    )
    events.append(session, events.HubEvent, clock=hub.clock, kind="hub.key-succeeded", subject=hub.base_iri)


def _held(hub: Hub, key_id: str) -> SigningKey:
    if hub.key.key_id == key_id:
        return hub.key
    folder = hub.settings.keys_path
    # The database names a new key a moment before its file is moved; it may be moved between two looks.
    for path in (folder / KEY_FILE, folder / NEXT_KEY_FILE, folder / KEY_FILE):
        if path.exists() and (found := SigningKey.load(path)).key_id == key_id:
            return found
    raise RootKeyElsewhere(
        "The hub's root key was replaced, and the new one is not in this home folder.",
        why="What an earlier key seals now would be refused by every node.",
        todo=f"Copy {KEY_FILE} from where 'fairbank hub key rotate' was given into {folder}.",
    )


def successions(session: Session) -> list[Succession]:
    """Return all successions of this hub's key, oldest first."""
    rows = session.scalars(select(HubKeyRow).order_by(HubKeyRow.made, HubKeyRow.old))
    return [Succession.parse(row.succession) for row in rows]


def keys(session: Session) -> list[KeyId]:
    """Return the keys that this hub has or had: what any of them sealed is the hub's word."""
    earlier = session.scalars(select(HubKeyRow.old)).all()
    return [named(session), *(KeyId(key) for key in earlier)]


def key_for(session: Session, visa: bytes) -> KeyId:
    """Return which of this hub's keys sealed a visa that it keeps.

    Raises:
        BadEnvelope: if none did.
    """
    return open_sealed(visa, "visa", trusted=keys(session)).signer
