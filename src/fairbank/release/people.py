"""The people of a node: each has a key under a passphrase of their own, and what they decide is signed with it.

The first person is brought in by whoever has the home folder, sealed with the node's key; each later one by a person
who is there. Nobody is ever deleted: who retires signs nothing more, and what was signed before can still be checked.
Accounts of the hub never count here.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.clock import iso, parse_iso
from fairbank.database import reading, writing
from fairbank.errors import FairbankError
from fairbank.ontology.person_objects import PersonEntry, PersonRetirement, PersonRole
from fairbank.release.errors import (
    NoSuchPerson,
    PeopleDamaged,
    PersonLocked,
    PersonNeeded,
    PersonRefused,
    PersonRetired,
)
from fairbank.release.node import Node
from fairbank.release.store import PersonRow
from fairbank.signing import KeyFileError, KeyId, SigningKey

FOLDER = "people"
SHORTEST_PASSPHRASE = 8
ALL_ROLES = tuple(PersonRole)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]{1,63}")
ADDED, _RETIRED = "person.add", "person.retire"


@dataclass(frozen=True, slots=True)
class Person:
    """A person of this node, verified.

    Attributes:
        brought_in_by: name of the person who signed the entry, or `the node`.
        retired: since when the person signs nothing more; None for who is active.
    """

    name: str
    key_id: KeyId
    roles: frozenset[PersonRole]
    brought_in_by: str
    added: datetime
    retired: datetime | None

    @property
    def is_active(self) -> bool:
        """Tell whether the person may decide."""
        return self.retired is None


@dataclass(frozen=True, slots=True)
class Signer:
    """A person whose key is open: whoever holds this can sign as the person."""

    name: str
    key: SigningKey


def add_person(
    node: Node,
    name: str,
    passphrase: str,
    *,
    roles: Sequence[PersonRole] = ALL_ROLES,
    by: Signer | None = None,
    recover: bool = False,
) -> Person:
    """Make a key for a person under a passphrase, and write the person down.

    Args:
        by: the person who brings the new one in; None only for the first.
        recover: bring somebody in with the node's key although there are persons, because none of them can sign any
            more; the audit log and the list say so.

    Raises:
        PersonNeeded: if there are persons and none of them signs.
        PersonRefused: if the name cannot be used or was used before, or the passphrase is too short.
        PersonRetired: if `by` has retired.
    """
    _check_new(name, passphrase)
    path = key_path(node, name)
    with writing(node.engine) as session:
        known = people(session, node)
        if by is None and any(one.is_active for one in known) and not recover:
            raise PersonNeeded(
                "A new person was not added.",
                why="This node has persons, and one of them has to bring in the next.",
                todo="Name yourself with --as; if nobody can sign any more, use --recover.",
            )
        if any(one.name.casefold() == name.casefold() for one in known) or path.exists():
            raise PersonRefused(
                "There is, or was, a person of this name.",
                why="A name stands for one person and one key, for good.",
                todo="See 'fairbank node person list'; choose another name.",
            )
        if by is not None:
            active(session, node, by)
        now, key = node.clock.now(), SigningKey.generate()
        entry = PersonEntry(
            id=node.clock.new_id(),
            node=node.name,
            name=name,
            key=key.key_id,
            roles=tuple(sorted(set(roles))) or ALL_ROLES,
            created=iso(now),
        )
        key.save(path, passphrase=passphrase)
        try:
            session.add(
                PersonRow(
                    name=name, key_id=key.key_id, entry=entry.seal(by.key if by else node.key), added=now
                )
            )
            session.flush()
            audit.record(
                session,
                audit.NodeAudit,
                clock=node.clock,
                actor=by.name if by else node.key.key_id,
                act=ADDED,
                target=key.key_id,
                detail={"name": name, "roles": list(entry.roles), "recovered": recover and by is None},
            )
        except BaseException:
            path.unlink()
            raise
        return find(session, node, name)


def retire(node: Node, name: str, *, by: Signer) -> Person:
    """End a person's say; the key file goes, the public half stays known.

    Raises:
        NoSuchPerson: if there is none of this name.
        PersonRetired: if the person, or `by`, has retired.
        PersonRefused: if nobody would be left who can decide.
    """
    with writing(node.engine) as session:
        active(session, node, by)
        person = find(session, node, name)
        if not person.is_active:
            raise _retired()
        if not any(one.is_active and one.name != name for one in people(session, node)):
            raise PersonRefused(
                "The last person of a node does not retire.",
                why="Nobody would be left who can decide, or bring in somebody else.",
                todo="Add another person first: fairbank node person add.",
            )
        now = node.clock.now()
        words = PersonRetirement(
            id=node.clock.new_id(), node=node.name, name=name, key=person.key_id, created=iso(now)
        )
        row = session.get_one(PersonRow, name)
        row.retirement, row.retired = words.seal(by.key), now
        audit.record(
            session,
            audit.NodeAudit,
            clock=node.clock,
            actor=by.name,
            act=_RETIRED,
            target=person.key_id,
            detail={"name": name},
        )
        session.flush()
        retired = find(session, node, name)
    key_path(node, name).unlink(missing_ok=True)
    return retired


def change_passphrase(node: Node, name: str, *, old: str, new: str) -> None:
    """Put a person's key under another passphrase; the key stays the same.

    Raises:
        PersonLocked: if the old passphrase does not open it.
        PersonRefused: if the new one is too short.
    """
    _check_passphrase(new)
    signer = unlock(node, name, old)
    path = key_path(node, name)
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    signer.key.save(fresh, passphrase=new)
    fresh.replace(path)
    with writing(node.engine) as session:
        audit.record(
            session,
            audit.NodeAudit,
            clock=node.clock,
            actor=name,
            act="person.passphrase",
            target=signer.key.key_id,
        )


def unlock(node: Node, name: str, passphrase: str) -> Signer:
    """Open a person's key.

    Raises:
        NoSuchPerson: if there is none of this name.
        PersonRetired: if the person has retired.
        PersonLocked: if the passphrase is wrong, or the key file is not the person's.
    """
    with reading(node.engine) as session:
        person = find(session, node, name)
    if not person.is_active:
        raise _retired()
    try:
        key = SigningKey.load(key_path(node, name), passphrase=passphrase or None)
    except KeyFileError as err:
        raise PersonLocked(
            "The person's key does not open.",
            why="The passphrase is wrong, or the key file is missing, damaged or readable by others.",
            todo="Try again; if it is lost, let another person retire this one and add a new one.",
        ) from err
    if key.key_id != person.key_id:
        raise PersonLocked(
            "The key file is not this person's.",
            why="It opens, and holds another key than the one that was written down.",
            todo="Restore the file from its backup, and find out who changed it.",
        )
    return Signer(name, key)


def people(session: Session, node: Node) -> list[Person]:
    """Return all persons that this node ever had, by name, each verified.

    Raises:
        PeopleDamaged: if a row is not what somebody signed who could, or the audit log knows it otherwise.
    """
    rows = list(session.scalars(_PERSONS))
    found = _verified(rows, node)
    _agree_with_the_log(session, found)
    return sorted(found.values(), key=lambda one: one.name)


def has_people(session: Session, node: Node) -> bool:
    """Tell whether anybody was ever named here: from then on every decision needs a person."""
    return bool(people(session, node))


def find(session: Session, node: Node, name: str) -> Person:
    """Return a person by name.

    Raises:
        NoSuchPerson: if there is none.
    """
    for person in people(session, node):
        if person.name == name:
            return person
    raise NoSuchPerson(
        "There is no person of this name at this node.",
        why="Only persons who were named here decide here; accounts of the hub do not count.",
        todo="See 'fairbank node person list', or add the person: fairbank node person add.",
    )


def active(session: Session, node: Node, signer: Signer) -> Person:
    """Return the person who signs, if that person may sign now.

    Raises:
        NoSuchPerson, PersonRetired: if not.
        PersonLocked: if the key is not that person's.
    """
    person = find(session, node, signer.name)
    if not person.is_active:
        raise _retired()
    if signer.key.key_id != person.key_id:
        raise PersonLocked("The key is not this person's.", why="A person signs with one key.", todo="")
    return person


def speaking(session: Session, node: Node) -> frozenset[str] | None:
    """Return the ids of the keys that speak for a person with the role `privacy`; None where nobody was ever named."""
    known = people(session, node)
    if not known:
        return None
    return frozenset(one.key_id for one in known if one.is_active and PersonRole.PRIVACY in one.roles)


def key_path(node: Node, name: str) -> Path:
    """Return the file of a person's key."""
    return node.settings.keys_path / FOLDER / f"{name}.pem"


def _verified(rows: Collection[PersonRow], node: Node) -> dict[str, Person]:
    """Follow the entries from the node's key: each has to be sealed by somebody who was verified already."""
    signers = dict.fromkeys(node.keys, "the node")
    found: dict[str, Person] = {}
    left = list(rows)
    while left:
        known = [row for row in left if (signed := _entry(row, tuple(signers))) is not None]
        if not known:
            raise _damaged("A person was brought in by nobody who could.")
        for row in known:
            signed = _entry(row, tuple(signers))
            assert signed is not None
            entry, signer = signed
            if (entry.node, entry.name, entry.key) != (node.name, row.name, row.key_id):
                raise _damaged("An entry was signed for another person, or another node.")
            found[row.name] = Person(
                name=row.name,
                key_id=KeyId(entry.key),
                roles=frozenset(entry.roles),
                brought_in_by=signers[signer],
                added=parse_iso(entry.created),
                retired=None,
            )
        for row in known:
            signers[KeyId(row.key_id)] = row.name
        left = [row for row in left if row.name not in found]
    for row in rows:
        found[row.name] = replace(found[row.name], retired=_retirement(row, node, tuple(signers)))
    return found


def _entry(row: PersonRow, trusted: tuple[str, ...]) -> tuple[PersonEntry, KeyId] | None:
    try:
        return _opened_entry(row.entry, trusted)
    except FairbankError:
        return None


@lru_cache(maxsize=256)
def _opened_entry(envelope: bytes, trusted: tuple[str, ...]) -> tuple[PersonEntry, KeyId]:
    entry, sealed = PersonEntry.open(envelope, trusted=list(trusted))
    return entry, sealed.signer


@lru_cache(maxsize=256)
def _opened_retirement(envelope: bytes, trusted: tuple[str, ...]) -> PersonRetirement:
    return PersonRetirement.open(envelope, trusted=list(trusted))[0]


def _retirement(row: PersonRow, node: Node, trusted: tuple[str, ...]) -> datetime | None:
    if row.retirement is None:
        return None
    try:
        words = _opened_retirement(row.retirement, trusted)
    except FairbankError as err:
        raise _damaged("A retirement was signed by nobody who could.") from err
    if (words.node, words.name, words.key) != (node.name, row.name, row.key_id):
        raise _damaged("A retirement was signed for somebody else.")
    return parse_iso(words.created)


def _agree_with_the_log(session: Session, found: dict[str, Person]) -> None:
    """Compare with the audit log, whose chain the hub holds the heads of: rows alone could be taken away again."""
    log = session.connection().execute(_LOGGED).all()
    added = {target for act, target in log if act == ADDED}
    retired = {target for act, target in log if act == _RETIRED}
    if added != {one.key_id for one in found.values()}:
        raise _damaged("The audit log knows other persons.")
    if retired != {one.key_id for one in found.values() if not one.is_active}:
        raise _damaged("The audit log knows other retirements.")


# Asked in every round, so they are put together once.
_PERSONS = select(PersonRow).order_by(PersonRow.name)
_LOGGED = select(audit.NodeAudit.act, audit.NodeAudit.target).where(
    audit.NodeAudit.act.in_((ADDED, _RETIRED))
)


def _check_new(name: str, passphrase: str) -> None:
    if _NAME.fullmatch(name) is None:
        raise PersonRefused(
            "A person's name cannot be used.",
            why="It is 2 to 64 letters, digits, '.', '_' and '-', and starts with a letter.",
            todo="Choose a short name, such as that of the person's account.",
        )
    _check_passphrase(passphrase)


def _check_passphrase(passphrase: str) -> None:
    if len(passphrase) < SHORTEST_PASSPHRASE:
        raise PersonRefused(
            "The passphrase is too short.",
            why=f"Whoever has the key file could try them all; it has {SHORTEST_PASSPHRASE} characters or more.",
            todo="Choose a longer one; several words are easy to keep in mind.",
        )


def _retired() -> PersonRetired:
    return PersonRetired(
        "This person has retired.",
        why="Who has retired signs nothing new; what was signed before stays good.",
        todo="Let another person of this node decide.",
    )


def _damaged(why: str) -> PeopleDamaged:
    return PeopleDamaged(
        "The list of this node's persons cannot be trusted.",
        why=why,
        todo="Run 'fairbank audit verify', and compare the node's database with its backup.",
    )
