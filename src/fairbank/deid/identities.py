"""Whose pseudonyms a run gives out: a node's identity store, or one key in a file."""

from __future__ import annotations

from typing import Protocol

from fairbank.deid.pseudonyms import SubjectPseudonyms


class Identities(Protocol):
    """What cleaning asks about subjects."""

    def subject(self, project: str, value: str) -> SubjectPseudonyms:
        """Return the pseudonyms of a subject; raises SubjectForgotten if the subject was withdrawn."""
        ...

    def consent_key(self, value: str) -> bytes:
        """Return under what a subject's consent is filed."""
        ...

    def is_forgotten(self, value: str) -> bool:
        """Return whether a subject was withdrawn."""
        ...

    def item_key(self, sha256: bytes) -> str:
        """Return under what a file's digest is stored."""
        ...
