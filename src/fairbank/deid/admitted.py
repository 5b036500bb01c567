"""Whose files may be taken in: a set of subjects under keyed digests, decided by whoever knows why.

This room knows no consent; it is told who may come in, and turns everybody else away before anything is kept of them.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Admitted:
    """The subjects who may be taken in.

    Attributes:
        keys: consent keys (`IdentityStore.consent_key`).
        named_only: whether only the subjects of these keys may come in, or everybody but them.
    """

    keys: Set[bytes] = field(repr=False)
    named_only: bool

    @property
    def is_everybody(self) -> bool:
        """Tell whether nobody is turned away."""
        return not self.named_only and not self.keys

    def admits(self, key: bytes) -> bool:
        """Return whether the subject of a consent key may be taken in.

        >>> Admitted({b"a"}, named_only=True).admits(b"b"), EVERYBODY.admits(b"b")
        (False, True)
        """
        return (key in self.keys) is self.named_only


EVERYBODY = Admitted(frozenset(), named_only=False)
