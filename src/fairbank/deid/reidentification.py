"""Re-identification: one named person asks, another countersigns, and only then the first sees the original id, once.

Both sign with keys of their own, which the node pins and does not hold. Each step is in the audit log, where the
subject stands as a commitment under the erasable salt, never as pseudonym or id. Whoever owns the node's files and
keys could read the identity store without asking; what this gives is that the way the software offers takes two, and
leaves a trace.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Engine

from fairbank import audit
from fairbank.clock import Clock, iso, parse_iso
from fairbank.database import reading, writing
from fairbank.deid.errors import (
    BadPerson,
    NoLink,
    OnePersonOnly,
    RequestOver,
    UnknownPerson,
    UnknownRequest,
)
from fairbank.deid.identity import IdentityStore
from fairbank.deid.reidentification_desk import Asked, Person
from fairbank.errors import Sensitive
from fairbank.ontology.person_objects import PersonRole
from fairbank.release.people import Person as NodePerson
from fairbank.release.people import Signer
from fairbank.release.person_decisions import person_needed
from fairbank.signing import KeyId, PublicKey, Sealed, SigningKey, open_sealed, seal

REQUEST_LASTS = timedelta(days=3)
# In the audit log: named for this alone, or as a person of the node.
_NAMED = ("person.name", "person.add")
_REQUEST, _APPROVAL = "reidentification-request", "reidentification-approval"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]{1,63}")


class Cause(StrEnum):
    """Why somebody is re-identified: a closed list, so that the log holds no story of a patient."""

    INCIDENTAL_FINDING = "incidental-finding"
    RECONTACT = "recontact"
    WITHDRAWAL = "withdrawal"
    CORRECTION = "correction"
    LEGAL_DUTY = "legal-duty"


@dataclass(frozen=True, slots=True)
class Office:
    """What re-identification works with at a node.

    Attributes:
        actor: the node's own key id.
        at_node: the persons that the node itself has named; those with the role `privacy` may ask and countersign too.
    """

    identity: IdentityStore
    database: Engine
    clock: Clock
    actor: str
    at_node: tuple[NodePerson, ...] = ()

    def speaking(self) -> list[Person]:
        """Return who may ask and countersign now."""
        named = [one for one in self.identity.desk.people() if one.is_active]
        own = [one for one in self.at_node if one.is_active and PersonRole.PRIVACY in one.roles]
        return named + [Person(one.name, one.key_id, iso(one.added), None) for one in own]


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it may be listed: by whom, why, and how it stands; of whom only while the subject is there."""

    id: str
    project: str
    pseudonym: str | None
    cause: str
    asked_by: str
    approved_by: str
    expires: str
    state: str


def name_person(office: Office, name: str, key_id: str, *, by: Signer | None = None) -> Person:
    """Let a person ask for and countersign re-identifications with a key that the person keeps elsewhere.

    Args:
        by: the person of the node who names the other; needed where the node has named persons of its own.

    Raises:
        PersonNeeded: if the node has persons, and none with the role `privacy` names this one.
        BadPerson: if the name or key is taken or unfit; a name or key that was removed is not used again.
        SigningError: if it is no key id.
    """
    if _NAME.fullmatch(name) is None:
        raise BadPerson(
            "A person's name cannot be used.",
            why="It is 2 to 64 letters, digits, '.', '_' and '-', and starts with a letter.",
            todo="Choose the name of the person's account.",
        )
    _check_namer(office, by)
    person = Person(name, PublicKey.parse(key_id).key_id, iso(office.clock.now()), None)
    if any(name == one.name or person.key_id == one.key_id for one in office.identity.desk.people()):
        raise _taken()
    # In the log first: a person whom the log does not know could sign nothing that counts.
    actor = by.name if by else office.actor
    _record(office, actor, "person.name", person.key_id, {"name": name})
    if not office.identity.desk.add_person(person):
        raise _taken()
    return person


def remove_person(office: Office, name: str) -> None:
    """Let a person speak no more; what the person has signed and is still open no longer counts.

    Raises:
        UnknownPerson: if there is no such person.
    """
    if not office.identity.desk.remove_person(name, at=iso(office.clock.now())):
        raise _nobody()
    _record(office, office.actor, "person.remove", name, {})


def ask(office: Office, project: str, pseudonym: str, cause: Cause, *, key: SigningKey) -> Asked:
    """Ask, as the person whose key this is, whose pseudonym it is; nothing is shown yet.

    Raises:
        UnknownPerson: if the key is nobody's here.
        UnknownSubject: if no subject has that pseudonym here.
    """
    person = _person_of(office, key.key_id)
    now = office.clock.now()
    commitment = office.identity.commitment_of(project, pseudonym)
    payload = {
        "id": office.clock.new_id(),
        "project": project,
        "subject": commitment,
        "cause": cause.value,
        "by": person.name,
        "created": iso(now),
        "expires": iso(now + REQUEST_LASTS),
    }
    envelope = seal(_REQUEST, payload, key)
    asked = Asked(payload["id"], project, pseudonym, payload["expires"], envelope, None, None)
    _record(
        office, key.key_id, "reidentification.ask", commitment, {"request": asked.id, "cause": cause.value}
    )
    office.identity.desk.put(asked)
    return asked


def approve(office: Office, request_id: str, *, key: SigningKey) -> None:
    """Countersign a request as another person than the one who asked.

    Raises:
        UnknownRequest: if there is no such request.
        OnePersonOnly: if it is the person who asked.
        RequestOver: if it expired, was countersigned already, or the subject left.
    """
    asked = _open(office, request_id)
    request = _sealed(office, asked.request, _REQUEST)
    person = _person_of(office, key.key_id)
    if person.name == request.payload["by"] or key.key_id == request.signer:
        raise _one_person("The person who asks cannot countersign.")
    payload = {"request": request.digest, "by": person.name, "created": iso(office.clock.now())}
    if not office.identity.desk.put_approval(request_id, seal(_APPROVAL, payload, key)):
        raise _over("It was countersigned already.")
    _record(
        office,
        key.key_id,
        "reidentification.approve",
        str(request.payload["subject"]),
        {"request": request_id},
    )


def show(
    office: Office, request_id: str, *, key: SigningKey, candidates: Sequence[str] = ()
) -> Sensitive[str]:
    """Return the original value of the subject to the person who asked, once.

    Args:
        candidates: values (`pseudonyms.subject_value`) of whom the subject may be one, where no link is kept.

    Raises:
        UnknownRequest: if there is no such request.
        OnePersonOnly: if nobody else countersigned, or it is not the person who asked.
        RequestOver: if it expired, was used, or the subject left.
        NoLink: if no link is kept and none of the candidates is the subject; the request stays open.
    """
    asked = _open(office, request_id)
    request = _checked(office, asked, key.key_id)
    assert asked.pseudonym is not None
    commitment = str(request.payload["subject"])
    found = _original(office, asked.project, asked.pseudonym, candidates)
    detail: dict[str, Any] = {
        "request": request_id,
        "candidates": len(candidates),
        "found": found is not None,
    }
    if found is None:
        _record(office, key.key_id, "reidentification.try", commitment, detail)
        raise NoLink(
            "Whose pseudonym it is cannot be told."
            if not candidates
            else f"None of the {len(candidates)} candidates is the subject.",
            why="The project kept no link to the original id when the subject was taken in.",
            todo="Give a list of ids of whom the subject may be one: --candidates FILE.",
        )
    # Used up before it is shown: a request that shows twice is worse than one that must be made again.
    if not office.identity.desk.note_shown(request_id, at=iso(office.clock.now())):
        raise _over("It was used.")
    _record(office, key.key_id, "reidentification.show", commitment, detail)
    return found


def requests(office: Office) -> list[Request]:
    """Return all requests, oldest first."""
    return [_listed(office, asked) for asked in office.identity.desk.all_asked()]


def _original(
    office: Office, project: str, pseudonym: str, candidates: Sequence[str]
) -> Sensitive[str] | None:
    linked = office.identity.original(project, pseudonym)
    if linked is not None:
        return linked
    for candidate in candidates:
        if not office.identity.is_forgotten(candidate) and (
            office.identity.find(project, candidate) == pseudonym
        ):
            return Sensitive(candidate, reference=pseudonym)
    return None


def _checked(office: Office, asked: Asked, key_id: KeyId) -> Sealed:
    """Return the request, if both signatures hold, of two persons, and it is the one who asked that comes now."""
    request = _sealed(office, asked.request, _REQUEST)
    if asked.approval is None:
        raise _one_person("Nobody has countersigned the request.")
    approval = _sealed(office, asked.approval, _APPROVAL)
    same = approval.signer == request.signer or approval.payload["by"] == request.payload["by"]
    if same or approval.payload["request"] != request.digest or request.payload["id"] != asked.id:
        raise _one_person("The request and its countersignature do not belong together.")
    assert asked.pseudonym is not None
    if request.payload["subject"] != office.identity.commitment_of(asked.project, asked.pseudonym):
        raise _one_person("The request was signed for another subject.")
    if request.signer != key_id:
        raise _one_person("Only the person who asked may see the answer.")
    return request


def _sealed(office: Office, envelope: bytes, kind: str) -> Sealed:
    active = {person.key_id for person in office.speaking()}
    sealed = open_sealed(envelope, kind, trusted=active)
    with reading(office.database) as session:
        named = session.execute(
            select(audit.NodeAudit.seq)
            .where(audit.NodeAudit.act.in_(_NAMED), audit.NodeAudit.target == sealed.signer)
            .limit(1)
        ).first()
    if named is None:
        raise _one_person("A key that signed is not one that the audit log knows.")
    return sealed


def _open(office: Office, request_id: str) -> Asked:
    asked = office.identity.desk.asked(request_id)
    if asked is None:
        raise UnknownRequest(
            "There is no such request.",
            why="It was never made at this node.",
            todo="See `fairbank deid reidentify list`.",
        )
    if asked.pseudonym is None:
        raise _over("The subject was withdrawn.")
    if asked.shown_at is not None:
        raise _over("It was used.")
    # The signed moment counts, not the column.
    if office.clock.now() >= parse_iso(str(_sealed(office, asked.request, _REQUEST).payload["expires"])):
        raise _over("It has expired.")
    return asked


def _listed(office: Office, asked: Asked) -> Request:
    request = open_sealed(asked.request, _REQUEST, trusted=None).payload
    approved_by = ""
    if asked.approval is not None:
        approved_by = str(open_sealed(asked.approval, _APPROVAL, trusted=None).payload["by"])
    return Request(
        asked.id,
        asked.project,
        asked.pseudonym,
        str(request["cause"]),
        str(request["by"]),
        approved_by,
        asked.expires,
        _state(office, asked),
    )


def _state(office: Office, asked: Asked) -> str:
    if asked.shown_at is not None:
        return "shown"
    if asked.pseudonym is None:
        return "subject withdrawn"
    if office.clock.now() >= parse_iso(asked.expires):
        return "expired"
    return "asked" if asked.approval is None else "countersigned"


def _person_of(office: Office, key_id: str) -> Person:
    for person in office.speaking():
        if person.key_id == key_id:
            return person
    raise _nobody()


def _check_namer(office: Office, by: Signer | None) -> None:
    if not office.at_node:
        return
    able = {
        one.name: one.key_id for one in office.at_node if one.is_active and PersonRole.PRIVACY in one.roles
    }
    if by is None or able.get(by.name) != by.key.key_id:
        raise person_needed()


def _record(office: Office, actor: str, act: str, target: str, detail: dict[str, Any]) -> None:
    with writing(office.database) as session:
        audit.record(
            session, audit.NodeAudit, clock=office.clock, actor=actor, act=act, target=target, detail=detail
        )


def _taken() -> BadPerson:
    return BadPerson(
        "The name or the key is that of a person who was named before.",
        why="A key speaks for one person, for good; else two signatures would not be two persons.",
        todo="See `fairbank deid person list`; use another name and a new key.",
    )


def _nobody() -> UnknownPerson:
    return UnknownPerson(
        "Nobody of that name or key may speak here.",
        why="A person was never named, or was removed.",
        todo="Name the person with `fairbank deid person add`.",
    )


def _one_person(what: str) -> OnePersonOnly:
    return OnePersonOnly(
        what,
        why="A re-identification takes two persons, each with a key of their own.",
        todo="Let another named person countersign with `fairbank deid reidentify approve`.",
    )


def _over(what: str) -> RequestOver:
    return RequestOver(
        what,
        why="A request shows one id once, within three days.",
        todo="Ask again with `fairbank deid reidentify ask`.",
    )
