"""Decisions with a person's signature: made, kept, and checked again when they are used.

A decision names what was done to what, and the digest of all that it depends on. Whoever changes a row afterwards has
the row refused, because what is worked out from it is not what the person signed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.clock import iso, parse_iso
from fairbank.errors import FairbankError
from fairbank.ontology.person_objects import PersonDecision, PersonRole
from fairbank.release.errors import DecisionUntrusted, PersonNeeded, RoleMissing, SecondPersonNeeded
from fairbank.release.node import Node
from fairbank.release.people import ADDED, Person, Signer, active, people
from fairbank.release.store import DecisionRow
from fairbank.signing import Digest, Json, canonical, sha256_digest


class Act(StrEnum):
    """What a person can decide here."""

    JOB_APPROVE = "job.approve"
    JOB_REJECT = "job.reject"
    JOB_WITHDRAW = "job.withdraw"
    JOB_PAUSE = "job.pause"
    JOB_RESUME = "job.resume"
    POLICY_ACCEPT = "policy.accept"
    RULE_ADD = "rule.add"
    RULE_REMOVE = "rule.remove"
    COUNT_ANSWER = "count.answer"
    COUNT_DECLINE = "count.decline"
    OVERLAP_ASK = "overlap.ask"
    OVERLAP_ANSWER = "overlap.answer"
    OVERLAP_DECLINE = "overlap.decline"
    OUTPUT_RELEASE = "output.release"
    OUTPUT_WITHHOLD = "output.withhold"
    RECORD_APPROVE = "record.approve"
    RECORD_HOLD = "record.hold"
    RECORD_WITHHOLD = "record.withhold"
    GROUP_DECIDE = "group.decide"
    ITEMS_DECIDE = "items.decide"
    SUBJECT_WITHDRAW = "subject.withdraw"
    NODE_SUSPEND = "node.suspend"
    NODE_RESUME = "node.resume"
    KEY_ROTATE = "key.rotate"


NEEDS: Mapping[Act, frozenset[PersonRole]] = {
    act: frozenset({PersonRole.CURATOR, PersonRole.PRIVACY})
    if act in (Act.SUBJECT_WITHDRAW, Act.NODE_SUSPEND, Act.JOB_PAUSE)
    else frozenset({PersonRole.CURATOR})
    for act in Act
}
"""Any one of these roles is enough. Everybody may stop what runs."""

# Asked in every round, so they are put together once.
_MADE = (
    select(DecisionRow)
    .where(DecisionRow.act == bindparam("of_act"))
    .order_by(DecisionRow.at, DecisionRow.digest)
)
_MADE_OF = _MADE.where(DecisionRow.target == bindparam("of_target"))


@dataclass(frozen=True, slots=True)
class Verified:
    """A decision that holds: what it says, what it depends on, and the person who signed it."""

    decision: PersonDecision
    detail: Mapping[str, Json]
    person: Person
    digest: Digest


def decide(
    session: Session,
    node: Node,
    act: Act,
    target: str,
    detail: Mapping[str, Json],
    *,
    signer: Signer | None,
) -> Digest | None:
    """Sign and keep a decision in the caller's transaction, and return its digest.

    Before anybody is named at the node there is nobody to sign: then None is returned, and the caller's own record of
    who did it is all there is.

    Args:
        detail: all that the decision depends on; its digest is signed. Nothing that identifies a subject.

    Raises:
        PersonNeeded: if persons are named here and none signs.
        PersonRetired, PersonLocked, NoSuchPerson: if the signer may not.
        RoleMissing: if the signer has not the role for it.
    """
    if signer is None:
        if people(session, node):
            raise person_needed()
        return None
    person = active(session, node, signer)
    check_role(person, NEEDS[act])
    words = PersonDecision(
        id=node.clock.new_id(),
        person=person.name,
        act=act.value,
        target=target,
        detail=digest_of(detail),
        node=node.name,
        created=iso(node.clock.now()),
    )
    envelope = words.seal(signer.key)
    _, sealed = PersonDecision.open(envelope, trusted=[person.key_id])
    session.add(
        DecisionRow(
            digest=sealed.digest,
            person=person.name,
            act=act.value,
            target=target,
            detail=dict(detail),
            envelope=envelope,
            at=node.clock.now(),
        )
    )
    session.flush()
    return sealed.digest


def verify(
    session: Session,
    node: Node,
    digest: str | None,
    act: Act,
    target: str,
    detail: Mapping[str, Json] | None = None,
) -> Verified:
    """Return a decision if a person of this node signed exactly this.

    A person who has retired since signed it all the same; who asks decides whether that still counts.

    Args:
        detail: what it depends on, as it is now; None takes what was written down with it.

    Raises:
        DecisionUntrusted: if not.
    """
    row = session.get(DecisionRow, digest) if digest is not None else None
    if row is None:
        raise _untrusted("No person of this node signed it.")
    return _verified(row, node, _by_key(session, node), act, target, detail)


def signed_as(session: Session, node: Node, digest: str, act: Act) -> Verified:
    """Return a decision of one kind by its digest, whatever it is about, if a person of this node signed it.

    Raises:
        DecisionUntrusted: if not.
    """
    row = session.get(DecisionRow, digest)
    if row is None:
        raise _untrusted("No person of this node signed it.")
    return _verified(row, node, _by_key(session, node), act, row.target, None)


def made(session: Session, node: Node, act: Act, *, target: str | None = None) -> list[Verified]:
    """Return the decisions of one kind that hold, oldest first; others are left out.

    Args:
        target: of what; anything by default.
    """
    statement = _MADE if target is None else _MADE_OF
    rows = session.scalars(statement, {"of_act": act.value, "of_target": target}).all()
    if not rows:
        return []
    known = _by_key(session, node)
    found = []
    for row in rows:
        try:
            found.append(_verified(row, node, known, act, row.target, None))
        except DecisionUntrusted:
            continue
    return found


def before_people(session: Session, act: str, target: str) -> bool:
    """Tell whether the audit log has an act before anybody was named here: then nobody could have signed it."""
    log = audit.NodeAudit
    first = session.scalar(select(func.min(log.seq)).where(log.act == ADDED))
    done = session.scalar(select(func.max(log.seq)).where(log.act == act, log.target == target))
    return first is None or (done is not None and done < first)


def second_person(
    session: Session, node: Node, act: Act, target: str, detail: Mapping[str, Json], *, signer: Signer
) -> bool:
    """Tell whether another person than the signer has signed the same already: then four eyes have seen it."""
    return any(
        earlier.decision.detail == digest_of(detail)
        and earlier.person.is_active
        and earlier.person.name != signer.name
        for earlier in made(session, node, act, target=target)
    )


def enough_signed(node: Node, signed: Collection[Verified], detail: Mapping[str, Json]) -> bool:
    """Tell whether as many persons signed exactly this as it takes to let something go: two under four eyes."""
    persons = {one.person.name for one in signed if one.decision.detail == digest_of(detail)}
    return len(persons) >= (1 if node.settings.node_four_eyes == "no" else 2)


def check_in_time(person: Person, created: str) -> None:
    """Refuse what is dated after its person retired.

    Raises:
        DecisionUntrusted: if it is.
    """
    if person.retired is not None and parse_iso(created) > person.retired:
        raise _untrusted("It is dated after its person retired.")


def check_role(person: Person, any_of: frozenset[PersonRole]) -> None:
    """Refuse a person who has none of the roles.

    Raises:
        RoleMissing: if so.
    """
    if person.roles.isdisjoint(any_of):
        raise RoleMissing(
            "This person has not the role for this decision.",
            why=f"It takes {' or '.join(sorted(role.value for role in any_of))}.",
            todo="Let a person with that role decide: fairbank node person list.",
        )


def digest_of(detail: Mapping[str, Json]) -> Digest:
    """Return the digest of what a decision depends on."""
    return sha256_digest(canonical(detail))


def person_needed() -> PersonNeeded:
    """Return the error for a decision that nobody signed."""
    return PersonNeeded(
        "This decision needs a person.",
        why="This node has named persons, so each decision is signed by one of them.",
        todo="Say who decides with --as NAME; see 'fairbank node person list'.",
    )


def second_needed() -> SecondPersonNeeded:
    """Return the error for a decision that one person has signed, where two are needed."""
    return SecondPersonNeeded(
        "Signed. Another person has to sign the same before it takes effect.",
        why="This node asks for four eyes (setting node_four_eyes).",
        todo="Let another person give the same command.",
    )


def _by_key(session: Session, node: Node) -> dict[str, Person]:
    return {one.key_id: one for one in people(session, node)}


def _verified(
    row: DecisionRow,
    node: Node,
    known: Mapping[str, Person],
    act: Act,
    target: str,
    detail: Mapping[str, Json] | None,
) -> Verified:
    depends = row.detail if detail is None else detail
    try:
        words, signer, digest = _opened(row.envelope, tuple(sorted(known)))
    except FairbankError as err:
        raise _untrusted(err.what) from err
    person = known[signer]
    said = (words.act, words.target, words.detail, words.node, words.person)
    if said != (act.value, target, digest_of(depends), node.name, person.name) or digest != row.digest:
        raise _untrusted("What was signed is something else than what is here now.")
    check_in_time(person, words.created)
    if person.roles.isdisjoint(NEEDS[act]):
        raise _untrusted("Its person has not the role for it.")
    return Verified(words, depends, person, digest)


@lru_cache(maxsize=256)
def _opened(envelope: bytes, trusted: tuple[str, ...]) -> tuple[PersonDecision, str, Digest]:
    words, sealed = PersonDecision.open(envelope, trusted=list(trusted))
    return words, sealed.signer, sealed.digest


def _untrusted(why: str) -> DecisionUntrusted:
    return DecisionUntrusted(
        "The decision of a person cannot be trusted.",
        why=why,
        todo="Run 'fairbank audit verify', compare the database with its backup, and decide anew.",
    )
