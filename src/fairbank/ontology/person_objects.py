"""What a node's own people sign: who joins and leaves, what somebody decided, which grant somebody countersigned.

These never leave the node. Each is sealed with the key of a person, which opens with that person's passphrase only; the
entry of the first person is sealed with the node's key, for nobody else is there to do it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from fairbank.ontology.signed_objects import GrantedDataset, Purpose, SignedObject
from fairbank.ontology.wire import DigestText, Id, Iri, KeyText, Moment, ShortText, Slug


class PersonRole(StrEnum):
    """What a person may decide at a node.

    A curator decides about jobs, rules, grants and what leaves; `privacy` about faces and re-identification.
    """

    CURATOR = "curator"
    PRIVACY = "privacy"


class PersonEntry(SignedObject):
    """A person's name and key, sealed by whoever brings the person in: another person, or the node for the first."""

    schema_name = "person-entry/1"
    kind = "person-entry"

    id: Id
    node: Slug
    name: ShortText
    key: KeyText
    roles: Annotated[tuple[PersonRole, ...], Field(min_length=1)]
    created: Moment


class PersonRetirement(SignedObject):
    """The end of a person's say: what was signed before stays good, nothing new does."""

    schema_name = "person-retirement/1"
    kind = "person-retirement"

    id: Id
    node: Slug
    name: ShortText
    key: KeyText
    created: Moment


class PersonDecision(SignedObject):
    """What a person decided at a node; `detail` is the digest of all that the decision depends on."""

    schema_name = "person-decision/1"
    kind = "person-decision"

    id: Id
    person: ShortText
    act: Annotated[str, Field(pattern=r"^[a-z]+\.[a-z-]+$")]
    target: Annotated[str, Field(min_length=1, max_length=500)]
    detail: DigestText
    node: Slug
    created: Moment


class CountersignWord(StrEnum):
    """What a site says to a grant that concerns one of its datasets."""

    COUNTERSIGNED = "countersigned"
    REFUSED = "refused"


class GrantCountersignature(SignedObject):
    """A site's own word on one dataset of a visa, with the terms as the person who signs saw them."""

    schema_name = "grant-countersignature/1"
    kind = "grant-countersignature"

    id: Id
    node: Slug
    visa: DigestText
    dataset: Iri
    word: CountersignWord
    reason: ShortText
    requester_key: KeyText
    purpose: Purpose
    terms: GrantedDataset
    person: ShortText
    created: Moment
