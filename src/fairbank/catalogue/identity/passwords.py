"""Passwords: their hashes (argon2id), how long they take, and which are too weak."""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from argon2.low_level import Type, hash_secret_raw

from fairbank.catalogue.errors import AccountRefused
from fairbank.errors import told

SHORTEST_PASSWORD = 10
# What stands for the hash of an account that has no password, such as one of a provider of identities.
NO_PASSWORD = ""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one hash costs: passes over so much memory, in so many threads."""

    passes: int
    memory_kib: int
    threads: int


# The memory of OWASP's recommendation (19 MiB), and as many passes over it as move the bytes of RFC 9106's second
# recommended option, three passes over 64 MiB, which is what was used before (decision 0071).
COST = Cost(passes=12, memory_kib=19 * 1024, threads=1)
EARLIER_COST = Cost(passes=3, memory_kib=64 * 1024, threads=4)
_HASHER = PasswordHasher(COST.passes, COST.memory_kib, COST.threads)
# Two at a time bound the memory.
_HASHING = threading.BoundedSemaphore(2)
_FEWEST_CHARACTERS = 4
# What is checked is called.
PASSWORD, PASSPHRASE = told("password"), told("passphrase")


def hashed(password: str, *, name: str) -> str:
    """Return the hash of a password.

    Raises:
        AccountRefused: if it is too short, holds the account's name, or is made of very few characters.
    """
    check(password, name=name)
    return hashed_again(password)


def check(secret: str, *, name: str, called: str = PASSWORD) -> None:
    """Refuse a password, or a passphrase, that is too weak.

    Args:
        called: `password` or `passphrase`.

    Raises:
        AccountRefused: if it is too short, holds the account's name, or is made of very few characters.
    """
    if len(secret) < SHORTEST_PASSWORD:
        raise AccountRefused(
            told("The %(called)s is too short.", called=called),
            why=told(
                "A %(called)s has at least %(least)s characters.", called=called, least=SHORTEST_PASSWORD
            ),
            todo="Choose a longer one; a few random words do well.",
        )
    if name.lower() in secret.lower() and len(secret) - len(name) < SHORTEST_PASSWORD:
        raise _weak(called, told("it holds the account's name"))
    if len(set(secret)) < _FEWEST_CHARACTERS:
        raise _weak(called, told("it repeats very few characters"))


def stretched(secret: str, *, salt: bytes, cost: Cost = COST) -> bytes:
    """Return 32 bytes made of a passphrase, which take as long to try as a password does (argon2id, RFC 9106).

    Args:
        salt: 16 random bytes.
        cost: other than that of passwords for what was kept at another one.
    """
    with _HASHING:
        return hash_secret_raw(
            secret.encode(),
            salt,
            time_cost=cost.passes,
            memory_cost=cost.memory_kib,
            parallelism=cost.threads,
            hash_len=32,
            type=Type.ID,
        )


def matches(stored: str | None, password: str) -> bool:
    """Tell whether a password is the one of a hash; without a hash it is not, after the same time."""
    with _HASHING:
        try:
            return bool(_HASHER.verify(stored or _decoy(), password)) and bool(stored)
        except (VerifyMismatchError, InvalidHashError):
            return False


def hashed_again(password: str) -> str:
    """Return the hash of a password that was looked at when it was set."""
    with _HASHING:
        return str(_HASHER.hash(password))


def is_outdated(stored: str) -> bool:
    """Tell whether a hash was made at another cost than passwords have now."""
    return bool(_HASHER.check_needs_rehash(stored))


_decoys: list[str] = []


def _decoy() -> str:
    # Unknown names take as long as known ones, so that names cannot be found by the clock.
    if not _decoys:
        _decoys.append(str(_HASHER.hash(secrets.token_urlsafe(16))))
    return _decoys[0]


def _weak(called: str, reason: str) -> AccountRefused:
    return AccountRefused(
        told("The %(called)s is too easy to guess: %(reason)s.", called=called, reason=reason),
        why="Whoever guesses passwords tries these first.",
        todo="Choose another one; a few random words do well.",
    )
