"""The hub's own secret, from which it derives a key per purpose: proofs in forms, second factors at rest.

It is a file beside the hub's root key, made when it is first needed, so that the root key can be replaced without
anybody's second factor being lost. A backup of the folder of keys has it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from fairbank.catalogue.context import Hub
from fairbank.signing import KeyFileError, write_new

SECRET_FILE: Final = "accounts.key"  # noqa: S105  # the name of the file, not a secret
_SECRET_BYTES: Final = 32
_NONCE_BYTES: Final = 12


def derived(hub: Hub, purpose: str) -> bytes:
    """Return 32 bytes for one purpose (HKDF with SHA-256, RFC 5869), the same each time."""
    extract = HKDF(hashes.SHA256(), 32, salt=hub.base_iri.encode(), info=b"fairbank " + purpose.encode())
    return extract.derive(_secret(hub.settings.keys_path / SECRET_FILE))


def proof(hub: Hub, purpose: str, text: str) -> str:
    """Return what only this hub can make of a text (HMAC with SHA-256), in hexadecimal."""
    return hmac.new(derived(hub, purpose), text.encode(), hashlib.sha256).hexdigest()


def hidden(hub: Hub, secret: bytes, *, name: str) -> bytes:
    """Return a secret encrypted (AES-256-GCM) and bound to a name."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(derived(hub, "secrets at rest")).encrypt(nonce, secret, name.encode())


def shown(hub: Hub, kept: bytes, *, name: str) -> bytes:
    """Return a secret that `hidden` encrypted for the same name."""
    nonce, content = kept[:_NONCE_BYTES], kept[_NONCE_BYTES:]
    return AESGCM(derived(hub, "secrets at rest")).decrypt(nonce, content, name.encode())


def digest(secret: str) -> str:
    """Return the hash under which a random secret of at least 128 bits is kept: there is nothing to guess."""
    return hashlib.sha256(secret.encode()).hexdigest()


@lru_cache(maxsize=256)
def _secret(path: Path) -> bytes:
    if not path.exists():
        # Of two processes that begin at once, the first one's secret stays.
        with suppress(FileExistsError):
            write_new(path, os.urandom(_SECRET_BYTES))
    return _complete(path)


def _complete(path: Path) -> bytes:
    content = path.read_bytes()
    if len(content) != _SECRET_BYTES:
        raise KeyFileError(
            f"The file {path.name} in the hub's folder of keys is not whole.",
            why="It was changed, or the disk is damaged.",
            todo="Restore it from a backup, or remove it: second factors are set up anew then.",
        )
    return content
