"""Who is known here by which pseudonyms: asked without making any."""

from __future__ import annotations

from dataclasses import dataclass

from fairbank.deid.errors import SubjectForgotten
from fairbank.deid.identity import IdentityStore
from fairbank.deid.key_file import KeyFile
from fairbank.deid.pseudonyms import SubjectPseudonyms


@dataclass(frozen=True, slots=True)
class OfKeyFile:
    """Everybody, as one key has it."""

    key: KeyFile
    project: str

    def pseudonyms(self, value: str) -> SubjectPseudonyms | None:
        """Return a subject's pseudonyms."""
        return self.key.subject(self.project, value)


@dataclass(frozen=True, slots=True)
class OfNode:
    """Those whom a node has given pseudonyms in a project."""

    store: IdentityStore
    project: str

    def pseudonyms(self, value: str) -> SubjectPseudonyms | None:
        """Return a subject's pseudonyms; None if it has none here, and it gets none."""
        try:
            known = self.store.find(self.project, value)
        except SubjectForgotten:
            return None
        return None if known is None else self.store.subject(self.project, value)
