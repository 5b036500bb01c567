"""Ed25519 keys, canonical JSON and DSSE envelopes: everything that fairbank signs goes through here.

A key id *is* the public key (`ed25519:` + base64url of its 32 bytes): whoever holds the id can verify, so a
pinned id is a pinned key. The exact payload bytes are verified and stored; nothing is ever re-serialised to
be checked.

Sources: RFC 8032 (Ed25519), RFC 8785 (canonical JSON), DSSE v1.0.2 (secure-systems-lab/dsse, protocol.md).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NewType, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from fairbank.errors import FairbankError, Kind

KeyId = NewType("KeyId", str)
Digest = NewType("Digest", str)
Json: TypeAlias = "str | int | bool | list[Json] | dict[str, Json] | None"

LARGEST_INTEGER = 2**53 - 1
_PREFIX = "ed25519:"


class SigningError(FairbankError):
    """A key, a signature or a signed object is not what it should be."""

    code = "FB-CORE-010"
    kind = Kind.FORBIDDEN


class KeyFileError(SigningError):
    """A key file is missing, readable by others, or not an Ed25519 key."""

    code = "FB-CORE-011"
    kind = Kind.FAILED


class NotCanonical(SigningError):
    """A payload holds something that must not be signed (a float, a huge integer, a non-string key)."""

    code = "FB-CORE-012"
    kind = Kind.REFUSED


class BadEnvelope(SigningError):
    """An envelope is malformed, of another kind, or its signature does not verify."""

    code = "FB-CORE-013"
    kind = Kind.FORBIDDEN


def payload_type(kind: str) -> str:
    """Return the DSSE payload type of one kind of signed object.

    >>> payload_type("visa")
    'application/vnd.fairbank.visa.v1+json'
    """
    return f"application/vnd.fairbank.{kind}.v1+json"


def sha256_digest(content: bytes) -> Digest:
    """Return `sha256:` and the lower-case hex SHA-256 of some bytes."""
    return Digest("sha256:" + hashlib.sha256(content).hexdigest())


def file_digest(path: Path) -> Digest:
    """Return the `sha256:…` digest of a file's bytes, read in pieces."""
    with path.open("rb") as opened:
        return Digest("sha256:" + hashlib.file_digest(opened, "sha256").hexdigest())


def write_new(path: Path, content: bytes) -> None:
    """Write a file of mode 0600 that is there whole or not at all, whenever the writer is killed; lasting on return.

    Raises:
        FileExistsError: if there is one already; it stays as it is.
    """
    written = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    with os.fdopen(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())
    try:
        os.link(written, path)
    finally:
        written.unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def canonical(payload: Mapping[str, Json]) -> bytes:
    """Return the RFC 8785 bytes of a payload.

    Raises:
        NotCanonical: if it holds a float, an integer beyond 2^53-1, a value JSON does not know, or text that is no
            Unicode.
    """
    import rfc8785

    _refuse_unsignable(payload, path="$")
    try:
        return rfc8785.dumps(dict(payload))
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as err:
        raise NotCanonical(
            "A payload holds text that is no Unicode.",
            why="Half of a surrogate pair has no bytes that could be signed.",
            todo="Correct the text.",
        ) from err


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An Ed25519 public key, known by its self-certifying id."""

    key_id: KeyId

    @classmethod
    def parse(cls, key_id: str) -> PublicKey:
        """Return the key that an id names.

        Raises:
            SigningError: if the text is not `ed25519:` and 43 base64url characters.
        """
        raw_public(key_id)
        return cls(KeyId(key_id))

    @property
    def fingerprint(self) -> str:
        """Return sixteen hex characters, in groups of four, that two people can compare aloud."""
        digest = hashlib.sha256(raw_public(self.key_id)).hexdigest()[:16]
        return "-".join(digest[i : i + 4] for i in range(0, 16, 4))

    def verify(self, signature: bytes, message: bytes) -> bool:
        """Tell whether `signature` (64 bytes) is this key's signature of `message`."""
        try:
            Ed25519PublicKey.from_public_bytes(raw_public(self.key_id)).verify(signature, message)
        except InvalidSignature:
            return False
        return True


class SigningKey:
    """An Ed25519 private key; it prints as its public id and is never pickled."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        raw = private.public_key().public_bytes_raw()
        self.key_id = KeyId(_PREFIX + base64.urlsafe_b64encode(raw).rstrip(b"=").decode())

    @classmethod
    def generate(cls) -> SigningKey:
        """Return a fresh key."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def load(cls, path: Path, *, passphrase: str | None = None) -> SigningKey:
        """Read a PKCS#8 PEM key file.

        Raises:
            KeyFileError: if it is missing, readable by others, locked, or not an Ed25519 key.
        """
        try:
            mode = path.stat().st_mode
        except FileNotFoundError as err:
            raise KeyFileError(
                f"There is no key file {path.name}.",
                why="A key is made once, at set-up.",
                todo="Run the set-up command.",
            ) from err
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise KeyFileError(
                f"The key file {path.name} can be read by others (mode {stat.S_IMODE(mode):04o}).",
                why="A private key that others can read proves nothing.",
                todo=f"Run chmod 600 on {path.name}, and replace the key if others had access.",
            )
        return cls.from_pem(path.read_bytes(), named=f"The key file {path.name}", passphrase=passphrase)

    @classmethod
    def from_pem(cls, content: bytes, *, named: str, passphrase: str | None = None) -> SigningKey:
        """Read a PKCS#8 PEM key.

        Args:
            named: what an error calls it, such as `The key file hub.pem`.

        Raises:
            KeyFileError: if it is locked, or not an Ed25519 key.
        """
        try:
            private = serialization.load_pem_private_key(
                content, password=passphrase.encode() if passphrase else None
            )
        except (ValueError, TypeError) as err:
            raise KeyFileError(
                f"{named} cannot be opened.",
                why="It is not a PEM private key, or its passphrase is missing or wrong.",
                todo="Check the passphrase, or restore the file from its backup.",
            ) from err
        if not isinstance(private, Ed25519PrivateKey):
            raise KeyFileError(
                f"{named} holds another kind of key.",
                why="fairbank signs with Ed25519 only.",
                todo="Make a new key with the set-up command.",
            )
        return cls(private)

    def save(self, path: Path, *, passphrase: str | None = None) -> None:
        """Write the key to a new file of mode 0600; an existing file is never overwritten.

        Raises:
            KeyFileError: if the file exists.
        """
        pem = self.to_pem(passphrase=passphrase)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            write_new(path, pem)
        except FileExistsError as err:
            raise KeyFileError(
                f"The key file {path.name} exists already.",
                why="A key is never overwritten: what it signed could no longer be verified.",
                todo="Keep using it, or move it away first.",
            ) from err

    def to_pem(self, *, passphrase: str | None = None) -> bytes:
        """Return the key as PKCS#8 PEM, under a passphrase if one is given."""
        encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if passphrase:
            encryption = serialization.BestAvailableEncryption(passphrase.encode())
        return self._private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
        )

    @property
    def public(self) -> PublicKey:
        """Return the public half."""
        return PublicKey(self.key_id)

    @property
    def private(self) -> Ed25519PrivateKey:
        """Return the private half, for libraries that sign by themselves."""
        return self._private

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature of a message."""
        return self._private.sign(message)

    def __repr__(self) -> str:
        return f"SigningKey({self.key_id})"

    def __reduce__(self) -> str:
        raise TypeError("a private key is never pickled")


@dataclass(frozen=True, slots=True)
class Sealed:
    """A signed object that has been verified.

    Attributes:
        kind: `request`, `visa`, `manifest`, …
        payload: the parsed payload.
        payload_bytes: exactly the bytes that were signed.
        envelope_bytes: exactly the bytes that were received; store these.
        signer: the key whose signature was checked.
    """

    kind: str
    payload: dict[str, Json]
    payload_bytes: bytes
    envelope_bytes: bytes
    signer: KeyId

    @property
    def digest(self) -> Digest:
        """Return the digest of the payload: the name of this object everywhere."""
        return sha256_digest(self.payload_bytes)


def seal(kind: str, payload: Mapping[str, Json], key: SigningKey) -> bytes:
    """Sign a payload and return the DSSE envelope as JSON bytes.

    Raises:
        NotCanonical: if the payload holds a float, a large integer or a value JSON does not know.
    """
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import CryptoSigner, SSlibKey

    public = SSlibKey.from_crypto(key.private.public_key(), keyid=key.key_id)
    envelope = Envelope(canonical(payload), payload_type(kind), {})
    envelope.sign(CryptoSigner(key.private, public))
    return json.dumps(envelope.to_dict(), separators=(",", ":"), sort_keys=True).encode()


def open_sealed(envelope: bytes, kind: str, *, trusted: Collection[str] | None) -> Sealed:
    """Verify an envelope of one kind and return what it holds.

    Args:
        envelope: the DSSE envelope, JSON.
        kind: the kind it must be.
        trusted: the key ids that may have signed it; None accepts any signer, who is then named in the answer
            and must be judged by the caller.

    Raises:
        BadEnvelope: if it is malformed, of another kind, or no trusted key's signature verifies.
    """
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import FormatError, VerificationError
    from securesystemslib.signer import SSlibKey

    try:
        parsed = Envelope.from_dict(json.loads(envelope))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, FormatError) as err:
        raise _bad(kind, "it is not a DSSE envelope") from err
    if parsed.payload_type != payload_type(kind):
        raise _bad(kind, f"its payload type is {parsed.payload_type!r}")
    # The library takes any JSON value for a key id.
    named: list[object] = list(parsed.signatures)
    signers = [one for one in named if isinstance(one, str) and (trusted is None or one in trusted)]
    if not signers:
        raise _bad(kind, "none of its signatures is by a key that is trusted for this")
    signer = KeyId(signers[0])
    public = SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(raw_public(signer)), keyid=signer)
    try:
        parsed.verify([public], 1)
    except VerificationError as err:
        raise _bad(kind, "its signature does not verify") from err
    return Sealed(kind, _parse_payload(parsed.payload, kind), parsed.payload, envelope, signer)


def _parse_payload(payload: bytes, kind: str) -> dict[str, Json]:
    try:
        parsed = json.loads(
            payload,
            parse_float=_refuse_number,
            parse_constant=_refuse_number,
            parse_int=_small_integer,
            object_pairs_hook=_refuse_twins,
        )
        if not isinstance(parsed, dict) or not _is_canonical(parsed, payload):
            raise _bad(kind, "its payload is not canonical JSON (RFC 8785)")
    except (ValueError, RecursionError) as err:
        raise _bad(kind, "its payload is not the JSON that fairbank signs") from err
    return parsed


def _is_canonical(parsed: dict[str, Json], payload: bytes) -> bool:
    # Of ASCII without floats the standard library writes what RFC 8785 says, five times as fast: there its order of
    # keys, by code points, is that of UTF-16, and it escapes the same characters in the same way.
    if payload.isascii():
        return (
            json.dumps(parsed, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() == payload
        )
    return canonical(parsed) == payload


def _refuse_number(text: str) -> float:
    raise ValueError(f"{text} is no number that is signed")


def _small_integer(text: str) -> int:
    number = int(text)
    if abs(number) > LARGEST_INTEGER:
        raise ValueError(f"{text} does not survive every JSON reader")
    return number


def _refuse_twins(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    keys = [key for key, _ in pairs]
    if len(set(keys)) != len(keys):
        raise ValueError("a key occurs twice")
    return dict(pairs)


def _refuse_unsignable(value: object, *, path: str) -> None:
    if value is None or isinstance(value, (str, bool)):
        return
    if isinstance(value, int):
        if abs(value) <= LARGEST_INTEGER:
            return
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise _unsignable(path, "a key that is not text")
            _refuse_unsignable(inner, path=f"{path}.{key}")
        return
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _refuse_unsignable(inner, path=f"{path}[{index}]")
        return
    raise _unsignable(path, f"a {type(value).__name__}")


def _unsignable(path: str, what: str) -> NotCanonical:
    return NotCanonical(
        f"A payload holds {what} at {path}.",
        why="Floats and large integers do not survive every JSON reader unchanged.",
        todo="Write decimals, seeds and times as text.",
    )


def _bad(kind: str, reason: str) -> BadEnvelope:
    return BadEnvelope(
        f"This is not a valid signed {kind}: {reason}.",
        why="A signed object is used only if its exact bytes verify with a trusted key.",
        todo="Ask its sender for it again; if the key is new, check its fingerprint with the sender first.",
    )


def raw_public(key_id: str) -> bytes:
    """Return the 32 bytes of the public key that an id names, or raise SigningError."""
    encoded = key_id.removeprefix(_PREFIX)
    try:
        raw = base64.b64decode(encoded + "=", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    canonical_id = _PREFIX + base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    if len(raw) != 32 or key_id != canonical_id:
        raise SigningError(
            f"{key_id[:60]!r} is not a key id.",
            why="A key id is 'ed25519:' and the public key in 43 base64url characters.",
            todo="Copy it whole from the 'whoami' or 'node show' of its owner.",
        )
    return raw
