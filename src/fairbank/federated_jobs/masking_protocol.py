"""The bodies that hub and node exchange about secure aggregation: which step is due, and what a site answers to it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from fairbank.ontology.wire import (
    BoxText,
    DigestText,
    EnvelopeSignatureText,
    KeyText,
    Part,
    SealingKeyText,
    ShareText,
    Slug,
)
from fairbank.release.control import ControlMessage

_Round = Annotated[int, Field(ge=0, le=10_000)]
_Sealed = Annotated[str, Field(min_length=2, max_length=2_000_000)]


class MaskingStep(StrEnum):
    """What is due in a round of secure aggregation."""

    KEYS = "keys"
    SHARES = "shares"
    MASKED = "masked"
    SURVIVORS = "survivors"
    UNMASKING = "unmasking"


class MaskingSite(Part):
    """A site of a round, and the identity key that the hub has of it."""

    node: Slug
    key: KeyText


class MaskingOrder(Part):
    """Which step of secure aggregation a site takes now.

    Attributes:
        attempt: of this round, from 1; each has keys of its own.
        roster: all sites of the attempt.
        messages: what sites sealed in the step before, as the next one needs it.
        survivors: whose masked updates there are (only `survivors`).
    """

    attempt: Annotated[int, Field(ge=1, le=1_000_000)]
    step: MaskingStep
    roster: Annotated[tuple[MaskingSite, ...], Field(max_length=1000)] = ()
    messages: Annotated[tuple[_Sealed, ...], Field(max_length=1000)] = ()
    survivors: Annotated[tuple[Slug, ...], Field(max_length=1000)] = ()


class MaskingReport(ControlMessage):
    """A node answers a step of secure aggregation; the hub puts the envelope together again from these words.

    Attributes:
        lost: the node cannot go on with this attempt; nothing else is told then.
        base: digest of the model that it started from, and `length` how many numbers its update has (only `keys`).
        keys: its two public keys, for sealing and for masking (only `keys`).
        boxes: shares for the other sites, in the order of their names (only `shares`).
        seeds: shares of the survivors' seeds, in the order of their names (only `unmasking`).
        secrets: shares of the keys of those who fell silent, in the order of their names (only `unmasking`).
    """

    schema_name = "masking-report/1"

    round: _Round
    attempt: Annotated[int, Field(ge=1, le=1_000_000)]
    step: MaskingStep
    lost: bool = False
    base: DigestText | None = None
    length: Annotated[int, Field(ge=0, le=2**40)] = 0
    keys: Annotated[tuple[SealingKeyText, ...], Field(max_length=2)] = ()
    boxes: Annotated[tuple[BoxText, ...], Field(max_length=1000)] = ()
    seeds: Annotated[tuple[ShareText, ...], Field(max_length=1000)] = ()
    secrets: Annotated[tuple[ShareText, ...], Field(max_length=1000)] = ()
    signer: KeyText | None = None
    signature: EnvelopeSignatureText | None = None
