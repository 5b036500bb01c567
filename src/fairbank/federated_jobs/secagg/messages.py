"""What travels in secure aggregation, and the context that each message is bound to.

Every message is sealed with the identity key of the site that it names. The hub carries them and can change none.

Source: Bonawitz et al. 2017, figure 4 (rounds 0 to 4, with the steps against an active server).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import Annotated, Final, TypeVar

from pydantic import Field

from fairbank.errors import FairbankError
from fairbank.federated_jobs.secagg.errors import Fault, refused
from fairbank.ontology.signed_objects import SignedObject
from fairbank.ontology.wire import BoxText, DigestText, Id, Part, SealingKeyText, ShareText, Slug
from fairbank.signing import KeyId, canonical, sha256_digest

_PREFIX: Final = "x25519:"


class Context(Part):
    """What an attempt is: masks of two contexts have nothing in common.

    Attributes:
        attempt: of this round, from 1; each has keys of its own.
        base: digest of the global model that the updates were computed from. Sites that were given different models
            have different masks, which do not cancel.
        plan: digest of the job's manifest, which names the ring and the bound.
        roster: digest of all sites and their identity keys (`roster_digest`).
        length: how many numbers an update has.
    """

    job: Id
    round: Annotated[int, Field(ge=1, le=1_000_000)]
    attempt: Annotated[int, Field(ge=1, le=1_000_000)]
    base: DigestText
    plan: DigestText
    roster: DigestText
    length: Annotated[int, Field(ge=1, le=2**40)]

    def digest(self) -> bytes:
        """Return the 32 bytes that stand for this context in every key."""
        return hashlib.sha256(b"fairbank secagg v1" + canonical(self.model_dump(mode="json"))).digest()


class OfSite(SignedObject):
    """Base of the messages: of which attempt, and by whom."""

    context: Context
    node: Slug


class Keys(OfSite):
    """Step 0: the two public keys of a site for this attempt."""

    schema_name = "secagg-keys/1"
    kind = "secagg-keys"

    sealing: SealingKeyText
    masking: SealingKeyText


class Box(Part):
    """Two shares, sealed for one site."""

    to: Slug
    sealed: BoxText


class Shares(OfSite):
    """Step 1: for each other site a share of the masking key and of the own mask's seed."""

    schema_name = "secagg-shares/1"
    kind = "secagg-shares"

    boxes: Annotated[tuple[Box, ...], Field(max_length=10_000)]


class Masked(OfSite):
    """Step 2: the digest of the masked update, whose bytes travel beside it."""

    schema_name = "secagg-masked/1"
    kind = "secagg-masked"

    digest: DigestText


class Survivors(OfSite):
    """Step 3: whose masked updates there are, as this site was told."""

    schema_name = "secagg-survivors/1"
    kind = "secagg-survivors"

    survivors: Annotated[tuple[Slug, ...], Field(max_length=10_000)]


class Unmasking(OfSite):
    """Step 4: of each survivor a share of its own mask's seed, of each other site one of its masking key."""

    schema_name = "secagg-unmasking/1"
    kind = "secagg-unmasking"

    seeds: Annotated[dict[Slug, ShareText], Field(max_length=10_000)]
    keys: Annotated[dict[Slug, ShareText], Field(max_length=10_000)]


def roster_digest(roster: Mapping[str, KeyId]) -> str:
    """Return the digest of all sites of a job with their identity keys."""
    return sha256_digest(canonical({name: str(key) for name, key in roster.items()}))


Message = TypeVar("Message", bound=OfSite)


def opened(kind: type[Message], envelope: bytes, *, context: Context, roster: Mapping[str, KeyId]) -> Message:
    """Return the message of an envelope, signed by the site that it names, in this context.

    Raises:
        MessageUnfit: if it is not that.
    """
    try:
        message, sealed = kind.open(envelope, trusted=sorted(set(roster.values())))
    except FairbankError as err:
        raise refused(Fault.UNTRUSTED) from err
    if message.node not in roster:
        raise refused(Fault.UNKNOWN_SITE)
    if roster[message.node] != sealed.signer:
        raise refused(Fault.UNTRUSTED)
    if message.context != context:
        raise refused(Fault.OTHER_CONTEXT)
    return message


def key_text(public: bytes) -> str:
    """Return the text of an X25519 public key."""
    return _PREFIX + base64.urlsafe_b64encode(public).rstrip(b"=").decode()


def key_bytes(text: str) -> bytes:
    """Return the 32 bytes of an X25519 public key.

    Raises:
        MessageUnfit: if it is none.
    """
    try:
        return base64.urlsafe_b64decode(text.removeprefix(_PREFIX) + "=")
    except (ValueError, binascii.Error) as err:
        raise refused(Fault.DAMAGED) from err
