"""What sites say to each other about models that they exchange sealed: keys for one job, and the head of a parcel.

Both are sealed with a node's identity key. A hub that only keeps parcels can read these, and nothing of what is inside.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from fairbank.ontology.signed_objects import SignedObject
from fairbank.ontology.wire import (
    DigestText,
    Id,
    Moment,
    Part,
    SealingKeyText,
    Slug,
)

# Content is sealed in pieces of so many bytes, each with a tag; the head is no longer than this.
PIECE_BYTES = 1 << 20
TAG_BYTES = 16
LONGEST_HEAD_BYTES = 4 << 20
# Notes of an update as the release gate lets them leave: counts and metrics.
NoteName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,47}$")]
NoteNumber = Annotated[str, Field(pattern=r"^-?\d{1,16}(?:\.\d{1,17})?(?:[eE][+-]?\d{1,3})?$")]
Base64Text = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{1,400}={0,2}$")]


class SealingKey(SignedObject):
    """With which key peers seal what a node may read of one job; sealed with the node's identity key."""

    schema_name = "sealing-key/1"
    kind = "sealing-key"

    job: Id
    node: Slug
    key: SealingKeyText
    created: Moment
    expires: Moment


class Recipient(Part):
    """One node that can open a parcel: the key of the parcel's content, sealed to that node's key for the job."""

    node: Slug
    key: SealingKeyText
    sealed_key: Base64Text


class ParcelHead(SignedObject):
    """What a sender says of a parcel: for which round of which job, who can open it, and the bytes that follow.

    Attributes:
        notes: counts and metrics of the update, as they go with every update.
        body: digest of the sealed bytes after the head, of which there are `body_bytes`.
    """

    schema_name = "parcel/1"
    kind = "parcel"

    job: Id
    round: Annotated[int, Field(ge=1, le=10_000)]
    sender: Slug
    recipients: Annotated[tuple[Recipient, ...], Field(max_length=1000)]
    notes: Annotated[dict[NoteName, NoteNumber], Field(max_length=64)] = {}
    body: DigestText
    body_bytes: Annotated[int, Field(ge=0, le=2**41)]

    @model_validator(mode="after")
    def _each_once(self) -> ParcelHead:
        names = [one.node for one in self.recipients]
        if len(set(names)) != len(names):
            raise ValueError("a recipient is named twice")
        return self


def seal_bytes(plain_bytes: int) -> int:
    """Return how many bytes a parcel is at most longer than what was sealed.

    >>> seal_bytes(1) - LONGEST_HEAD_BYTES
    24
    """
    pieces = -(-plain_bytes // PIECE_BYTES) or 1
    return 8 + LONGEST_HEAD_BYTES + pieces * TAG_BYTES
