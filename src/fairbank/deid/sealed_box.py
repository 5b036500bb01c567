"""Bytes encrypted under a passphrase: scrypt for the key, AES-256-GCM for the content, its kind bound in.

Source: RFC 7914 (scrypt; N = 2^15, r = 8, p = 1: 32 MiB), NIST SP 800-38D (GCM).
"""

from __future__ import annotations

import base64
import json
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from fairbank.deid.errors import BadSuppressionFile

_N, _R, _P = 2**15, 8, 1
_NONCE_BYTES = 12
_SALT_BYTES = 16
_FORM = "fairbank-sealed-1"


def seal_box(content: bytes, passphrase: str, *, kind: str) -> bytes:
    """Return content under a passphrase, as one line of JSON."""
    salt, nonce = os.urandom(_SALT_BYTES), os.urandom(_NONCE_BYTES)
    sealed = AESGCM(_key(passphrase, salt)).encrypt(nonce, content, kind.encode())
    parts = {"salt": salt, "nonce": nonce, "sealed": sealed}
    encoded = {name: base64.b64encode(part).decode() for name, part in parts.items()}
    return (json.dumps({"form": _FORM, "kind": kind, **encoded}) + "\n").encode()


def open_box(box: bytes, passphrase: str, *, kind: str) -> bytes:
    """Return the content of a box.

    Raises:
        BadSuppressionFile: if the passphrase is wrong, or it is no box of this kind.
    """
    try:
        parsed = json.loads(box)
        salt, nonce, sealed = (base64.b64decode(parsed[name]) for name in ("salt", "nonce", "sealed"))
        if parsed["form"] != _FORM:
            raise KeyError("form")
        return AESGCM(_key(passphrase, salt)).decrypt(nonce, sealed, kind.encode())
    except (InvalidTag, ValueError, KeyError, TypeError) as err:
        raise BadSuppressionFile(
            "The encrypted file cannot be opened.",
            why="The passphrase is wrong, or the file is damaged or another kind of file.",
            todo="Check the passphrase; else export it again where it came from.",
        ) from err


def _key(passphrase: str, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=32, n=_N, r=_R, p=_P).derive(passphrase.encode())
