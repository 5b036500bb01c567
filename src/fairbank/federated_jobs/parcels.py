"""Seal a model to some peers, and open what a peer sealed: in pieces, so that memory does not grow with the model.

A parcel is 8 bytes of little-endian length, the head (a DSSE envelope of `ParcelHead`), then the sealed content. The
content is sealed with a key of its own, drawn once; that key is sealed to each recipient's key for the job, together
with job, round, sender and recipient, so that no parcel can be passed off as another. The head, which the sender signs,
names the digest of the sealed content: a recipient, who knows the content's key, cannot put other content under it.

Sources: RFC 9180 (HPKE, base mode: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305); RFC 8439
(ChaCha20-Poly1305); Hoang et al. 2015, Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance, section 7
(STREAM: a counter and a mark of the last piece in each nonce, so that pieces cannot be swapped, dropped or cut off);
DSSE v1.0.2.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from fairbank.errors import FairbankError
from fairbank.federated_jobs.parcel_faults import ParcelFault
from fairbank.federated_jobs.training_errors import ParcelRefused
from fairbank.ontology.parcels import LONGEST_HEAD_BYTES, PIECE_BYTES, TAG_BYTES, ParcelHead, Recipient
from fairbank.signing import Json, SigningKey, canonical

MEDIA_TYPE = "application/vnd.fairbank.parcel"
_KEY_BYTES: Final = 32
_PREFIX: Final = "x25519:"


@dataclass(frozen=True, slots=True)
class Address:
    """Which parcel: of which job and round, by whom."""

    job: str
    round: int
    sender: str


def new_key() -> bytes:
    """Return the 32 bytes of a fresh private key."""
    return X25519PrivateKey.generate().private_bytes_raw()


def public_key(private: bytes) -> str:
    """Return the text of the public key of a private one: `x25519:` and base64url of its 32 bytes."""
    raw = X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
    return _PREFIX + base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def seal_parcel(
    plain: Path,
    *,
    into: Path,
    address: Address,
    recipients: Mapping[str, str],
    notes: Mapping[str, str],
    key: SigningKey,
) -> None:
    """Seal a file to some nodes.

    Args:
        into: a new file.
        recipients: the text of each recipient's key, by node.
        notes: counts and metrics, which everybody who keeps the parcel can read.
        key: the sender's identity key, which signs the head.
    """
    secret = os.urandom(_KEY_BYTES)
    body = into.with_name(into.name + ".body")
    try:
        with plain.open("rb") as source, _new(body) as target:
            digest, length = _seal_pieces(source, target, secret, address)
        head = ParcelHead(
            job=address.job,
            round=address.round,
            sender=address.sender,
            recipients=tuple(
                Recipient(node=node, key=text, sealed_key=_wrapped(secret, text, address, node))
                for node, text in sorted(recipients.items())
            ),
            notes=dict(notes),
            body=f"sha256:{digest}",
            body_bytes=length,
        ).seal(key)
        with body.open("rb") as source, _new(into) as target:
            target.write(len(head).to_bytes(8, "little") + head)
            while block := source.read(PIECE_BYTES):
                target.write(block)
    finally:
        body.unlink(missing_ok=True)


def head_of(parcel: Path, *, trusted: Sequence[str] | None) -> ParcelHead:
    """Return the head of a parcel, signed by one of some identity keys; by any where none are given.

    Raises:
        ParcelRefused: if it is no parcel, or none of these keys signed it.
    """
    with parcel.open("rb") as opened:
        return _head(opened, trusted)


def open_parcel(
    parcel: Path, *, into: Path, address: Address, node: str, private: bytes, trusted: Sequence[str]
) -> ParcelHead:
    """Open a parcel into a new file and return its head; the file is there only if all of it is as it was sealed.

    Args:
        address: what the parcel has to be.
        node: who opens it, with its private key for the job.
        trusted: the sender's identity keys.

    Raises:
        ParcelRefused: naming the fault.
    """
    with parcel.open("rb") as source:
        head = _head(source, trusted)
        if (head.job, head.round, head.sender) != (address.job, address.round, address.sender):
            raise refused(ParcelFault.ANOTHER)
        own = next((one for one in head.recipients if one.node == node), None)
        if own is None or own.key != public_key(private):
            raise refused(ParcelFault.NOT_FOR_US)
        secret = _unwrapped(own.sealed_key, private, address, node)
        try:
            with _new(into) as target:
                _open_pieces(source, target, secret, head)
        except ParcelRefused:
            into.unlink(missing_ok=True)
            raise
    return head


def refused(fault: ParcelFault) -> ParcelRefused:
    """Return the error for a parcel that is left out."""
    return ParcelRefused(
        f"A peer's parcel cannot be used: {fault.value}.",
        fault=fault,
        why="A model of a peer counts only if it was sealed by that peer, for this round, to this site, and fits.",
        todo="It is left out, and the job's record says so. If it stays so, ask the peer and the hub's administrator.",
    )


def _context(address: Address, recipient: str | None = None) -> bytes:
    words: dict[str, Json] = {"job": address.job, "round": address.round, "sender": address.sender}
    if recipient is not None:
        return b"fairbank parcel key v1" + canonical({**words, "recipient": recipient})
    return b"fairbank parcel piece v1" + canonical(words)


def _suite() -> Suite:
    return Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


def _wrapped(secret: bytes, public: str, address: Address, node: str) -> str:
    raw = base64.urlsafe_b64decode(public.removeprefix(_PREFIX) + "=")
    key = X25519PublicKey.from_public_bytes(raw)
    return base64.b64encode(_suite().encrypt(secret, key, info=_context(address, node))).decode()


def _unwrapped(sealed: str, private: bytes, address: Address, node: str) -> bytes:
    key = X25519PrivateKey.from_private_bytes(private)
    try:
        raw = base64.b64decode(sealed, validate=True)
        secret = _suite().decrypt(raw, key, info=_context(address, node))
    except (InvalidTag, ValueError, binascii.Error) as err:
        raise refused(ParcelFault.DAMAGED) from err
    if len(secret) != _KEY_BYTES:
        raise refused(ParcelFault.DAMAGED)
    return secret


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


def _seal_pieces(source: BinaryIO, target: BinaryIO, secret: bytes, address: Address) -> tuple[str, int]:
    cipher, context = ChaCha20Poly1305(secret), _context(address)
    digest, length, number = hashlib.sha256(), 0, 0
    piece = source.read(PIECE_BYTES)
    while True:
        following = source.read(PIECE_BYTES)
        sealed = cipher.encrypt(_nonce(number, last=not following), piece, context)
        digest.update(sealed)
        target.write(sealed)
        length, number = length + len(sealed), number + 1
        if not following:
            return digest.hexdigest(), length
        piece = following


def _open_pieces(source: BinaryIO, target: BinaryIO, secret: bytes, head: ParcelHead) -> None:
    cipher, context = ChaCha20Poly1305(secret), _context(Address(head.job, head.round, head.sender))
    digest, length, number = hashlib.sha256(), 0, 0
    sealed = source.read(PIECE_BYTES + TAG_BYTES)
    while True:
        following = source.read(PIECE_BYTES + TAG_BYTES)
        digest.update(sealed)
        length += len(sealed)
        if length > head.body_bytes:
            raise refused(ParcelFault.DAMAGED)
        try:
            target.write(cipher.decrypt(_nonce(number, last=not following), sealed, context))
        except InvalidTag as err:
            raise refused(ParcelFault.DAMAGED) from err
        if not following:
            break
        sealed, number = following, number + 1
    if length != head.body_bytes or f"sha256:{digest.hexdigest()}" != head.body:
        raise refused(ParcelFault.DAMAGED)


def _head(source: BinaryIO, trusted: Sequence[str] | None) -> ParcelHead:
    length = int.from_bytes(source.read(8), "little")
    if not 2 <= length <= LONGEST_HEAD_BYTES:
        raise refused(ParcelFault.DAMAGED)
    try:
        return ParcelHead.open(source.read(length), trusted=None if trusted is None else list(trusted))[0]
    except FairbankError as err:
        raise refused(ParcelFault.UNTRUSTED) from err


def _new(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb")
