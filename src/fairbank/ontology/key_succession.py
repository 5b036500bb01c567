"""A new key in the place of an old one: sealed by both, so that the old one consents and the new one is really held."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from fairbank.ontology.signed_objects import SignedObject
from fairbank.ontology.wire import Id, KeyText, Moment, Wire
from fairbank.signing import BadEnvelope, Sealed, SigningKey


class KeySuccession(SignedObject):
    """Whose key changes, from which to which, and when."""

    schema_name = "key-succession/1"
    kind = "key-succession"

    id: Id
    of: Literal["node", "hub"]
    name: Annotated[str, Field(min_length=1, max_length=500)]
    old: KeyText
    new: KeyText
    created: Moment


class Succession(Wire):
    """A succession as it travels: the same words, sealed once with the old key and once with the new one."""

    schema_name = "succession/1"

    by_old: Annotated[str, Field(max_length=10_000)]
    by_new: Annotated[str, Field(max_length=10_000)]


def sealed_by_both(words: KeySuccession, old: SigningKey, new: SigningKey) -> Succession:
    """Return a succession sealed with both keys."""
    return Succession(by_old=words.seal(old).decode(), by_new=words.seal(new).decode())


def opened(succession: Succession, *, of: Literal["node", "hub"], name: str) -> tuple[KeySuccession, Sealed]:
    """Return what a succession says, after checking that both keys that it names sealed it.

    Who calls compares `old` with the key that is trusted now.

    Raises:
        BadEnvelope: if it is of something else, or either signature is not by the key that is named.
        MalformedObject: if it is not of this schema.
    """
    words, sealed = KeySuccession.open(succession.by_old.encode(), trusted=None)
    proof, sealed_proof = KeySuccession.open(succession.by_new.encode(), trusted=None)
    signed = (sealed.signer, sealed_proof.signer)
    if proof != words or signed != (words.old, words.new) or words.old == words.new:
        raise BadEnvelope(
            "This is not a valid succession of a key.",
            why="A new key counts only if the old one and the new one sealed the same words.",
            todo="Nothing changes. Ask the owner of the key, by another way, whether it was to be replaced.",
        )
    if (words.of, words.name) != (of, name):
        raise BadEnvelope(
            "This succession is of another key.",
            why=f"It is of a {words.of}'s key under another name.",
            todo="Nothing changes. Ask the owner of the key.",
        )
    return words, sealed


def chain(first: str, successions: list[Succession], *, name: str) -> list[tuple[KeySuccession, Succession]]:
    """Return the successions that lead from a pinned hub key to its newest, oldest first; the others are left out.

    Each comes with what it says.

    Raises:
        BadEnvelope: if one of those that lead on is not valid.
    """
    found: list[tuple[KeySuccession, Succession]] = []
    by_old = {_says_old(each): each for each in successions}
    key, left = first, len(successions)
    while key in by_old and left > 0:
        words, _ = opened(by_old[key], of="hub", name=name)
        found.append((words, by_old[key]))
        key, left = words.new, left - 1
    return found


def _says_old(succession: Succession) -> str:
    # Only to put them in order; each is verified before it counts.
    return KeySuccession.open(succession.by_old.encode(), trusted=None)[0].old
