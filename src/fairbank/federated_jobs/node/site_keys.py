"""The site's own key and secret: its people approve with the one, cohorts are named with the other.

The site key is not the node's transport key: whoever can send for the node cannot approve for its people.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from pathlib import Path

from fairbank.settings import Settings
from fairbank.signing import KeyFileError, SigningKey, write_new

KEY_FILE = "site.pem"
PUBLIC_FILE = "site.pub"
SECRET_FILE = "cohort.secret"  # noqa: S105 - the name of a file, not a secret
_SECRET_BYTES = 32


def site_key(settings: Settings, *, passphrase: str | None = None) -> SigningKey:
    """Return the key that approves jobs at this site, made at the first use.

    Raises:
        KeyFileError: if it is locked and the passphrase is missing or wrong, or others can read it.
    """
    path = settings.keys_path / KEY_FILE
    if not path.exists():
        SigningKey.generate().save(path, passphrase=passphrase)
    key = SigningKey.load(path, passphrase=passphrase)
    _pin_public(settings.keys_path / PUBLIC_FILE, key.key_id)
    return key


def site_public_key(settings: Settings) -> str | None:
    """Return the id of the key that approves here, None before it was made; needs no passphrase."""
    path = settings.keys_path / PUBLIC_FILE
    return path.read_text(encoding="ascii").strip() if path.exists() else None


def cohort_secret(settings: Settings) -> bytes:
    """Return the 32 bytes that cohorts and job pseudonyms are keyed with, made at the first use.

    Raises:
        KeyFileError: if others can read the file, or it is damaged.
    """
    path = settings.keys_path / SECRET_FILE
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        write_new(path, os.urandom(_SECRET_BYTES))
    secret = path.read_bytes()
    if len(secret) != _SECRET_BYTES or path.stat().st_mode & 0o077:
        raise KeyFileError(
            f"The file {path.name} cannot be used.",
            why="It is damaged, or others can read it.",
            todo="Restore it from its backup, with mode 0600.",
        )
    return secret


def job_pseudonym(secret: bytes, job: str, kind: str, identifier: str) -> str:
    """Return what a job calls a series or a subject: the same within the job, another in every other.

    It is made of letters only, so that it can never look like a date or a UID.

    Args:
        kind: `series` or `subject`.
    """
    message = f"fairbank/job/{job}/{kind}/{identifier}".encode()
    digest = hmac.new(secret, message, hashlib.sha256).hexdigest()[:32]
    return digest.translate(_LETTERS)


_LETTERS = str.maketrans("0123456789abcdef", "abcdefghijklmnop")


def _pin_public(path: Path, key_id: str) -> None:
    if not path.exists():
        write_new(path, f"{key_id}\n".encode())
        return
    if path.read_text(encoding="ascii").strip() != key_id:
        raise KeyFileError(
            "The site's key is not the one that approved here before.",
            why=f"{PUBLIC_FILE} names another key.",
            todo="Restore the key, or remove the old approvals and that file if the key was replaced on purpose.",
        )
