"""Grants as a node sees them: visas over its datasets, verified with the hub keys it trusts, and its own word on them.

A countersignature is a person's, on one dataset of one visa, with the terms as they were. A visa that replaces another
is covered by the earlier word only where its terms are no wider; otherwise a person has to look again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.clock import iso
from fairbank.database import reading, writing
from fairbank.errors import FairbankError
from fairbank.ontology.person_objects import CountersignWord, GrantCountersignature, PersonRole
from fairbank.ontology.signed_objects import GrantedDataset, Request, Visa, narrows
from fairbank.release import hub_keys
from fairbank.release.errors import GrantUntrusted, NotEnrolled, UnknownGrant
from fairbank.release.node import Enrolment, Node
from fairbank.release.people import Person, Signer, active, people
from fairbank.release.person_decisions import check_in_time, check_role
from fairbank.release.store import CountersignatureRow, SeenGrantRow
from fairbank.signing import Digest

if TYPE_CHECKING:
    from fairbank.release.hub_client import HubClient

PATH = "/v1/node/grants"
HOLDS = "holds"
_LONGEST_CHAIN = 1_000
# Asked twice in every round, so it is put together once.
_SAID = (
    select(CountersignatureRow.envelope)
    .where(
        CountersignatureRow.visa == bindparam("of_visa"),
        CountersignatureRow.dataset == bindparam("of_dataset"),
    )
    .order_by(CountersignatureRow.at.desc(), CountersignatureRow.id.desc())
)


@dataclass(frozen=True, slots=True)
class SiteGrant:
    """A visa over datasets of this node, verified.

    Attributes:
        digest: of the visa, its name everywhere.
        state: `holds`, or `ended`, as the hub said when it was asked last.
        here: the terms of this node's datasets.
        words: this node's word on each of them; None where nobody has said anything that counts.
    """

    digest: Digest
    visa: Visa
    request: Request
    state: str
    here: tuple[GrantedDataset, ...]
    words: dict[str, CountersignWord | None]


def fetch(node: Node, client: HubClient) -> int:
    """Ask the hub for the visas over this node's datasets, verify and keep them, and return how many there are.

    Raises:
        GrantUntrusted: if one of them is not a visa of this hub over its request; nothing is kept then.
        HubUnreachable: if the hub does not answer.
    """
    enrolment = _enrolment(node)
    answer = client.get(PATH)
    with reading(node.engine) as session:
        given = [(str(each["visa"]).encode(), each) for each in answer.get("grants", [])]
        unknown = not all(hub_keys.knows_signer(session, enrolment, visa) for visa, _ in given)
    if unknown:
        hub_keys.learn(node, client)
    with writing(node.engine) as session:
        for visa, each in given:
            request = str(each["request"]).encode()
            opened, digest = _verified(session, enrolment, visa, request)
            session.merge(
                SeenGrantRow(
                    visa=digest,
                    supersedes=opened.supersedes,
                    envelope=visa,
                    request=request,
                    state=HOLDS if each["state"] == HOLDS else "ended",
                    seen=node.clock.now(),
                )
            )
    return len(given)


def grants(node: Node) -> list[SiteGrant]:
    """Return the grants that were fetched, newest first.

    Raises:
        NotEnrolled: if the node has not enrolled.
        GrantUntrusted: if a stored one is not what the hub signed.
    """
    enrolment = _enrolment(node)
    with reading(node.engine) as session:
        rows = session.scalars(select(SeenGrantRow)).all()
        found = [_grant(session, node, enrolment, row) for row in rows]
    return sorted(found, key=lambda one: (one.visa.created, one.visa.id), reverse=True)


def find(node: Node, wanted: str) -> SiteGrant:
    """Return a grant by the id or the digest of its visa.

    Raises:
        UnknownGrant: if there is none.
    """
    for one in grants(node):
        if wanted in (one.visa.id, one.digest):
            return one
    raise UnknownGrant(
        "This node knows no such grant.",
        why="It concerns no dataset of this node, or was not fetched since it was made.",
        todo="See 'fairbank node grants list'.",
    )


def say(
    node: Node, grant: SiteGrant, dataset: str, word: CountersignWord, *, reason: str, signer: Signer
) -> GrantCountersignature:
    """Countersign or refuse one dataset of a grant, as a person of this node.

    Args:
        dataset: its IRI.
        reason: why; kept at the node.

    Raises:
        UnknownGrant: if the visa does not open this dataset, or it is not this node's.
        PersonRetired, PersonLocked, NoSuchPerson, RoleMissing: if the signer may not.
    """
    terms = next((one for one in grant.here if one.iri == dataset), None)
    if terms is None:
        raise UnknownGrant(
            "This grant does not open that dataset of this node.",
            why="A countersignature is on a dataset of this node that the visa names.",
            todo="See 'fairbank node grants show'.",
        )
    with writing(node.engine) as session:
        person = active(session, node, signer)
        check_role(person, frozenset({PersonRole.CURATOR}))
        words = GrantCountersignature(
            id=node.clock.new_id(),
            node=node.name,
            visa=grant.digest,
            dataset=dataset,
            word=word,
            reason=reason,
            requester_key=grant.visa.requester_key,
            purpose=grant.visa.purpose,
            terms=terms,
            person=person.name,
            created=iso(node.clock.now()),
        )
        session.add(
            CountersignatureRow(
                id=words.id,
                visa=words.visa,
                dataset=dataset,
                envelope=words.seal(signer.key),
                at=node.clock.now(),
            )
        )
        audit.record(
            session,
            audit.NodeAudit,
            clock=node.clock,
            actor=person.name,
            act="grant.countersign" if word is CountersignWord.COUNTERSIGNED else "grant.refuse",
            target=words.visa,
            detail={"dataset": dataset},
        )
    return words


def word_on(
    session: Session, node: Node, visa: Visa, digest: str, dataset: str
) -> GrantCountersignature | None:
    """Return this node's word on a dataset of a visa: its own, or an earlier one that covers it; None for neither.

    An earlier word covers a visa if that visa replaces, directly or by others that were fetched, the one that was
    signed, for the same requester and purpose, on terms that are no wider. A refusal never passes on: wider or
    narrower, somebody has to look.
    """
    terms = visa.terms_of(dataset)
    if terms is None:
        return None
    own = _newest(session, node, digest, dataset)
    if own is not None:
        return own if _same_words(own, visa, terms) else None
    earlier = visa.supersedes
    for _ in range(_LONGEST_CHAIN):
        if earlier is None:
            return None
        said = _newest(session, node, earlier, dataset)
        if said is not None:
            covers = said.word is CountersignWord.COUNTERSIGNED and no_wider(visa, terms, said)
            return said if covers else None
        row = session.get(SeenGrantRow, earlier)
        earlier = row.supersedes if row is not None else None
    return None


def replaced_by(
    session: Session, node: Node, digest: str, dataset: str, *, requester_key: str
) -> tuple[GrantedDataset, CountersignWord | None] | None:
    """Return the terms of a dataset in the newest fetched visa that replaces a visa, and this node's word on them.

    It replaces directly or by others that were fetched; None if none that names the dataset was fetched. A visa for
    another requester replaces nothing, whatever it says: it could else end a grant that is not hers.

    Args:
        digest: of the visa.
        dataset: its IRI.
        requester_key: whom the visa is for.
    """
    enrolment, left, found = _enrolment(node), [digest], list[tuple[Visa, Digest]]()
    for _ in range(_LONGEST_CHAIN):
        if not left:
            break
        earlier = left.pop()
        for row in session.scalars(select(SeenGrantRow).where(SeenGrantRow.supersedes == earlier)):
            try:
                later, its_digest = _verified(session, enrolment, row.envelope, row.request)
            except FairbankError:
                continue
            if (later.supersedes, later.requester_key) == (earlier, requester_key):
                left.append(its_digest)
                found.append((later, its_digest))
    naming = [(visa, its_digest) for visa, its_digest in found if visa.terms_of(dataset) is not None]
    if not naming:
        return None
    visa, its_digest = max(naming, key=lambda each: (each[0].created, each[0].id))
    terms = visa.terms_of(dataset)
    assert terms is not None
    said = word_on(session, node, visa, its_digest, dataset)
    return terms, said.word if said is not None else None


def no_wider(visa: Visa, terms: GrantedDataset, said: GrantCountersignature) -> bool:
    """Tell whether terms stay within those that were countersigned, for the same requester and purpose.

    The selection, the output classes and the tools are the same or fewer, the conditions the same or more, the runs the
    same or fewer, and the end is not later. Terms that name no tool are the widest of all.
    """
    signed = said.terms
    return (
        (visa.requester_key, visa.purpose) == (said.requester_key, said.purpose)
        and narrows(terms.selector, signed.selector)
        and set(terms.output_classes) <= set(signed.output_classes)
        and _tools_within(terms, signed)
        and set(terms.conditions) >= set(signed.conditions)
        and terms.maximum_runs <= signed.maximum_runs
        and terms.expires <= signed.expires
    )


def _tools_within(terms: GrantedDataset, signed: GrantedDataset) -> bool:
    if not signed.tool_digests and not signed.tool_families:
        return True
    if not terms.tool_digests and not terms.tool_families:
        return False
    return set(terms.tool_digests) <= set(signed.tool_digests) and set(terms.tool_families) <= set(
        signed.tool_families
    )


def _same_words(said: GrantCountersignature, visa: Visa, terms: GrantedDataset) -> bool:
    return (said.requester_key, said.purpose, said.terms) == (visa.requester_key, visa.purpose, terms)


def _newest(session: Session, node: Node, visa: str, dataset: str) -> GrantCountersignature | None:
    """Return the newest word of a person of this node on exactly this; rows that nobody signed are passed over."""
    session.flush()  # the plain statement sees only what has been written
    rows = session.connection().execute(_SAID, {"of_visa": visa, "of_dataset": dataset}).scalars().all()
    if not rows:
        return None
    known: dict[str, Person] = {one.key_id: one for one in people(session, node)}
    found: list[GrantCountersignature] = []
    for envelope in rows:
        try:
            words, signer = _opened(envelope, tuple(sorted(known)))
            check_in_time(known[signer], words.created)
        except FairbankError:
            continue
        said = (words.node, words.visa, words.dataset, words.person)
        if said == (node.name, visa, dataset, known[signer].name):
            found.append(words)
    # By what was signed, not by the column.
    return max(found, key=lambda one: (one.created, one.id), default=None)


@lru_cache(maxsize=256)
def _opened(envelope: bytes, trusted: tuple[str, ...]) -> tuple[GrantCountersignature, str]:
    words, sealed = GrantCountersignature.open(envelope, trusted=list(trusted))
    return words, sealed.signer


def _grant(session: Session, node: Node, enrolment: Enrolment, row: SeenGrantRow) -> SiteGrant:
    visa, digest = _verified(session, enrolment, row.envelope, row.request)
    request, _ = Request.open(row.request, trusted=[visa.requester_key])
    mine = f"{enrolment.public_base_iri}/datasets/{node.name}/"
    here = tuple(one for one in visa.datasets if one.iri.startswith(mine))
    said = {one.iri: word_on(session, node, visa, digest, one.iri) for one in here}
    words = {iri: found.word if found else None for iri, found in said.items()}
    return SiteGrant(digest, visa, request, row.state, here, words)


def _verified(session: Session, enrolment: Enrolment, visa: bytes, request: bytes) -> tuple[Visa, Digest]:
    key = hub_keys.key_for(session, enrolment, visa)
    try:
        opened, sealed = Visa.open(visa, trusted=[key])
        asked, sealed_request = Request.open(request, trusted=[opened.requester_key])
    except FairbankError as err:
        raise _untrusted(err.what) from err
    if opened.request != sealed_request.digest or asked.requester_key != opened.requester_key:
        raise _untrusted("The visa answers another request than the one that came with it.")
    return opened, sealed.digest


def _enrolment(node: Node) -> Enrolment:
    if node.enrolment is None:
        raise NotEnrolled(
            "This node has not enrolled with a hub, so it has no grants.",
            why="Grants are a hub's.",
            todo="Run 'fairbank node enrol'.",
        )
    return node.enrolment


def _untrusted(why: str) -> GrantUntrusted:
    return GrantUntrusted(
        "What the hub sent as a grant does not prove to be one.",
        why=why,
        todo="Nothing was kept. Ask the hub's administrator, by another way, what this is.",
    )
