"""The key of a person who decides: it must lie under a passphrase, or whoever reads the file decides instead."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fairbank.deid.errors import KeyNotProtected
from fairbank.signing import KeyFileError, SigningKey


def person_key(path: Path, passphrase: Callable[[], str]) -> SigningKey:
    """Return a person's key.

    Args:
        path: the key file.
        passphrase: asked only if the file is protected.

    Raises:
        KeyNotProtected: if it opens without a passphrase.
        KeyFileError: if it is missing, readable by others, or the passphrase is wrong.
    """
    try:
        SigningKey.load(path)
    except KeyFileError:
        return SigningKey.load(path, passphrase=passphrase())
    raise KeyNotProtected(
        f"The key file {path.name} has no passphrase.",
        why="A decision of a named person is signed with a key that only this person can open.",
        todo="Make a key under a passphrase, and sign with that.",
    )
