"""Bodies that cross a border: strict, frozen, each naming its `schema: name/1`, unknown keys refused."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from fairbank.clock import iso, parse_iso
from fairbank.ontology.errors import MalformedObject

_UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"


def _moment(text: str) -> str:
    if iso(parse_iso(text)) != text:
        raise ValueError("a time is written as 2026-01-31T12:00:00.000Z")
    return text


def _decimal(text: str) -> str:
    if not re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?(e-?\d{1,3})?", text):
        raise ValueError("a decimal is written as text, such as '0.01' or '1e-4'")
    return text


Id = Annotated[str, Field(pattern=_UUID)]
DigestText = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
KeyText = Annotated[str, Field(pattern=r"^ed25519:[A-Za-z0-9_-]{43}$")]
# The 64 bytes of an Ed25519 signature, base64url.
SignatureText = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{86}$")]
# An X25519 public key, and an Ed25519 signature as envelopes hold it: base64 of 32 and of 64 bytes.
SealingKeyText = Annotated[str, Field(pattern=r"^x25519:[A-Za-z0-9_-]{43}$")]
# What only the node that it is sealed to can open: base64 of at most 768 KiB.
SealedText = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]+={0,2}$", max_length=1_048_576)]
EnvelopeSignatureText = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{86}==$")]
# Two shares of secrets, of 33 bytes each, sealed with a tag; one share: base64.
BoxText = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{110}==$")]
ShareText = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{44}$")]
Moment = Annotated[str, AfterValidator(_moment)]
Decimal = Annotated[str, Field(max_length=40), AfterValidator(_decimal)]
Iri = Annotated[str, Field(pattern=r"^https?://[^\s<>\"{}|\\^`]+$", max_length=500)]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
# No database holds the character NUL in a text.
_NO_NUL = r"^[^\x00]*$"
Text = Annotated[str, Field(min_length=1, max_length=5000, pattern=_NO_NUL)]
Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]  # ISO 3166-1 alpha-2
ShortText = Annotated[str, Field(min_length=1, max_length=200, pattern=_NO_NUL)]


class Wire(BaseModel):
    """Base of every body; subclasses set `schema_name` (such as `visa/1`)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)
    schema_name: ClassVar[str]

    @classmethod
    def parse(cls, raw: bytes | str | dict[str, Any]) -> Self:
        """Read a body, refusing unknown keys, wrong types and another schema.

        Raises:
            MalformedObject: naming the fields at fault, never their values.
        """
        try:
            parsed = raw if isinstance(raw, dict) else json.loads(raw)
        except (ValueError, RecursionError) as err:
            raise MalformedObject(f"This {cls.schema_name} is not JSON.", todo="Send JSON.") from err
        if not isinstance(parsed, dict) or parsed.get("schema") != cls.schema_name:
            raise MalformedObject(
                f"This body does not say schema {cls.schema_name!r}.",
                why="Each body names its schema, so that old and new versions can be told apart.",
                todo="Update the older side; a hub understands the current version and the one before.",
            )
        body = {key: value for key, value in parsed.items() if key != "schema"}
        try:
            # JSON mode: lists for tuples and words for enums, but never "1" for 1.
            return cls.model_validate_json(json.dumps(body))
        except ValidationError as err:
            raise MalformedObject.from_validation(cls.schema_name, err.errors()) from err

    def payload(self) -> dict[str, Any]:
        """Return the JSON object of this body, with its schema name."""
        return {"schema": self.schema_name, **self.model_dump(mode="json", exclude_none=True)}

    def to_bytes(self) -> bytes:
        """Return the compact JSON bytes of this body."""
        return json.dumps(self.payload(), separators=(",", ":"), ensure_ascii=False).encode()


class Part(BaseModel):
    """Base of the parts of a body."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def moment(at: datetime) -> str:
    """Return a moment as wire text."""
    return iso(at)
