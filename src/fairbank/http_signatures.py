"""Signed HTTP requests: RFC 9421 message signatures with RFC 9530 content digests.

Each signature covers method, authority, path, query and (with a body) its digest and type; it carries the
time of its making and a nonce. The receiver refuses what is older or younger than the window, and each nonce
it has seen.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from http_message_signatures import (
    HTTPMessageSigner,
    HTTPMessageVerifier,
    HTTPSignatureKeyResolver,
    InvalidSignature,
    algorithms,
)
from http_message_signatures.exceptions import HTTPMessageSignaturesException

from fairbank.clock import Clock
from fairbank.errors import FairbankError, Kind
from fairbank.signing import Digest, KeyId, PublicKey, SigningKey, raw_public, sha256_digest

WINDOW_S = 60
TAG = "fairbank-v1"
_COVERED = ("@method", "@authority", "@path", "@query")
_RANGES = ("content-range", "range")
_SHA256 = re.compile(r"sha-256=:([A-Za-z0-9+/]{43}=):")


class UnsignedRequest(FairbankError):
    """A request is not signed, or its signature does not verify."""

    code = "FB-CORE-014"
    kind = Kind.UNAUTHENTICATED


class ClockOff(FairbankError):
    """A request was signed too long ago or in the future: one of the two clocks is wrong."""

    code = "FB-CORE-015"
    kind = Kind.UNAUTHENTICATED


class ReplayedRequest(FairbankError):
    """A request with this nonce has been received before."""

    code = "FB-CORE-016"
    kind = Kind.CONFLICT


@dataclass(frozen=True, slots=True)
class SignedBy:
    """Who signed a request, when, and the nonce that the receiver must remember until `forget_after`.

    `body_digest` is the digest of the body as it came, where the request names one of SHA-256.
    """

    key_id: KeyId
    nonce: str
    created: datetime
    forget_after: datetime
    body_digest: Digest | None = None


@dataclass(slots=True)
class _Message:
    method: str
    url: str
    headers: dict[str, str]


def signature_headers(
    method: str,
    url: str,
    *,
    body: bytes,
    key: SigningKey,
    clock: Clock,
    content_type: str | None = None,
    headers: Mapping[str, str] | None = None,
    body_digest: Digest | None = None,
) -> dict[str, str]:
    """Return the headers that sign a request.

    Args:
        method: upper-case HTTP method.
        url: the absolute URL as it will be sent.
        body: the exact body, empty for none.
        content_type: the body's media type; covered when there is a body.
        headers: further headers of the request; those that say what the body is are covered.
        body_digest: of the body, where it is known already.
    """
    signed = dict(headers or {})
    covered = [*_COVERED, *_meaningful(signed)]
    if body and content_type:
        signed["Content-Type"] = content_type
        covered.append("content-type")
    if body:
        signed["Content-Digest"] = _content_digest(body_digest or sha256_digest(body))
        covered.append("content-digest")
    signer = HTTPMessageSigner(signature_algorithm=algorithms.ED25519, key_resolver=None)
    prepared = signer.prepare(
        _Message(method, url, signed),
        key_id=key.key_id,
        created=clock.now(),
        nonce=os.urandom(16).hex(),
        label="fairbank",
        tag=TAG,
        covered_component_ids=covered,
        use_existing_digest=bool(body),
    )
    # Put in place here: `sign` would first write everything down a second time, to see that nothing has changed.
    signature = base64.b64encode(key.private.sign(prepared.signature_base)).decode()
    signed["Signature-Input"] = f"{prepared.label}={prepared.signature_params}"
    signed["Signature"] = f"{prepared.label}=:{signature}:"
    return signed


def verify_request(
    method: str, url: str, headers: Mapping[str, str], *, body: bytes | Digest, clock: Clock
) -> SignedBy:
    """Check a signed request's signature, digest and age; the key's rights and the nonce are the caller's.

    Args:
        body: what came; or its digest, where it was written down while it came.

    Raises:
        UnsignedRequest: if there is no valid signature over all that must be covered.
        ClockOff: if it was made more than WINDOW_S seconds from now, either way.
    """
    required = [*_COVERED, *_meaningful(headers), *(["content-digest"] if body else [])]
    verifier = _Verifier(signature_algorithm=algorithms.ED25519, key_resolver=_Resolver())
    try:
        results = verifier.verify(
            _Message(method, url, dict(headers)),
            max_age=None,
            expect_tag=TAG,
            require_components=required,
            body=body if isinstance(body, bytes) else None,
        )
        if isinstance(body, str) and _digest_in(headers) != body:
            raise InvalidSignature("the body is not what was signed")
    except (InvalidSignature, HTTPMessageSignaturesException) as err:
        raise UnsignedRequest(
            "The request's signature is missing or does not verify.",
            why="Each request of a node is signed with the key it enrolled with (RFC 9421).",
            todo="Check that the node uses that key, and that no proxy changes host, path or body.",
        ) from err
    parameters = results[0].parameters
    created = datetime.fromtimestamp(int(parameters["created"]), UTC)
    offset_s = (clock.now() - created).total_seconds()
    if abs(offset_s) > WINDOW_S:
        raise ClockOff(
            f"The request was signed {abs(offset_s):.0f} s {'ago' if offset_s > 0 else 'in the future'}.",
            why=f"Signatures are valid for {WINDOW_S} s, so that a copied request is useless.",
            todo="Set the clock of the node (and of the hub) by NTP, then try again.",
        )
    nonce = results[0].nonce
    if not nonce or len(nonce) > 64:
        raise UnsignedRequest("The request's signature has no nonce.", why="", todo="Update the node.")
    forget_after = created + timedelta(seconds=2 * WINDOW_S)
    digest = _digest_in(headers) if body else None
    return SignedBy(KeyId(str(parameters["keyid"])), nonce, created, forget_after, digest)


def _meaningful(headers: Mapping[str, str]) -> list[str]:
    names = {name.lower() for name in headers}
    return sorted(name for name in names if name.startswith("fairbank-") or name in _RANGES)


def _content_digest(digest: Digest) -> str:
    raw = bytes.fromhex(digest.removeprefix("sha256:"))
    return f"sha-256=:{base64.b64encode(raw).decode()}:"


def _digest_in(headers: Mapping[str, str]) -> Digest | None:
    """Return the digest of a header that has been checked; None where it is of another kind, or of several."""
    found = _SHA256.fullmatch(
        next(value for name, value in headers.items() if name.lower() == "content-digest")
    )
    return Digest(f"sha256:{base64.b64decode(found[1]).hex()}") if found else None


class _Resolver(HTTPSignatureKeyResolver):
    def resolve_public_key(self, key_id: str) -> Ed25519PublicKey:
        return Ed25519PublicKey.from_public_bytes(raw_public(PublicKey.parse(key_id).key_id))


class _Verifier(HTTPMessageVerifier):
    def validate_created_and_expires(self, sig_input: Any, max_age: timedelta | None = None) -> None:
        """Leave the age to `verify_request`, which has the injected clock; here only insist on a time."""
        if "created" not in sig_input.params or type(sig_input.params["created"]) is not int:
            raise InvalidSignature("no creation time")
