"""What two nodes and the hub exchange about an overlap.

    1  asker     the question, signed: which two datasets, for which project, and a fresh key to seal to
    2  answerer  sealed: a fresh pepper, its own fresh key, its blinded set
    3  asker     sealed: its own blinded set, and the answerer's, blinded once more
    4  answerer  sealed: the count, or that it is withheld

The hub keeps the newest of 2 to 4 and can open none. Names of datasets and of the project travel as digests.
"""

from __future__ import annotations

import base64
import json
from typing import Annotated

from pydantic import Field

from fairbank.federated_jobs.protocol import Envelope
from fairbank.ontology.signed_objects import SignedObject
from fairbank.ontology.wire import (
    DigestText,
    EnvelopeSignatureText,
    Id,
    KeyText,
    Moment,
    Part,
    SealedText,
    SealingKeyText,
    Slug,
    Wire,
)
from fairbank.release.control import ControlMessage
from fairbank.signing import canonical, payload_type

ASKED, REQUESTED, RESPONDED, TOLD = 1, 2, 3, 4


class OverlapAsk(SignedObject):
    """A site asks another how many subjects two of their datasets have in common; sealed with its identity key.

    Attributes:
        own, other: digests of the addresses of the asker's and the answerer's dataset.
        project: digest of the name that both sites have agreed on; one count for each.
        key: what the answerer seals to.
    """

    schema_name = "overlap-ask/1"
    kind = "overlap-ask"

    id: Id
    asker: Slug
    answerer: Slug
    own: DigestText
    other: DigestText
    project: DigestText
    key: SealingKeyText
    created: Moment
    expires: Moment

    def envelope_of(self, signer: KeyText, signature: EnvelopeSignatureText) -> bytes:
        """Return the envelope that a node sealed, from what it told of it in closed words; nothing is believed here."""
        return json.dumps(
            {
                "payload": base64.b64encode(canonical(self.payload())).decode(),
                "payloadType": payload_type(self.kind),
                "signatures": [{"keyid": signer, "sig": signature}],
            },
            separators=(",", ":"),
            sort_keys=True,
        ).encode()


class OverlapAskReport(ControlMessage):
    """A node asks another; the hub puts the envelope together again from these words."""

    schema_name = "overlap-ask-report/1"

    id: Id
    own: DigestText
    other: DigestText
    project: DigestText
    key: SealingKeyText
    created: Moment
    expires: Moment
    signer: KeyText
    signature: EnvelopeSignatureText


class OverlapClaim(ControlMessage):
    """A node asks for the overlaps that concern it."""

    schema_name = "overlap-claim/1"


class OverlapStep(ControlMessage):
    """The next message of an overlap, sealed to the other node; or that this site declines it."""

    schema_name = "overlap-step/1"

    step: Annotated[int, Field(ge=REQUESTED, le=TOLD)] = REQUESTED
    parcel: SealedText | None = None
    declined: bool = False


class OverlapCall(Part):
    """An overlap as the hub keeps it: the question, the newest message, and at which step it is."""

    ask: Envelope
    step: Annotated[int, Field(ge=ASKED, le=TOLD)]
    parcel: SealedText | None = None
    declined: bool = False


class Overlaps(Wire):
    """The hub's answer to a claim."""

    schema_name = "overlaps/1"

    overlaps: tuple[OverlapCall, ...]
