"""The `Count` type: a number that may leave a node, or the reason why it may not."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator


class CountKind(StrEnum):
    """Whether and why a count is known."""

    EXACT = "exact"
    BELOW_K = "below-k"
    NOT_COUNTABLE = "not-countable"
    WAITING = "waiting"
    DECLINED = "declined"


class Count(BaseModel):
    """A count: exact, below k, or not known for a stated reason.

    >>> str(Count.exact(12)), str(Count.below(10))
    ('12', '<10')
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: CountKind
    value: int | None = None
    k: int | None = None

    @model_validator(mode="before")
    @classmethod
    def _word_to_kind(cls, raw: object) -> object:
        if isinstance(raw, dict) and isinstance(raw.get("kind"), str):
            return {**raw, "kind": CountKind(raw["kind"])}
        return raw

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.kind is CountKind.EXACT) != (self.value is not None):
            raise ValueError("a count has a value exactly when it is exact")
        if (self.kind is CountKind.BELOW_K) != (self.k is not None):
            raise ValueError("a count names k exactly when it is below k")
        if self.value is not None and self.value < 0:
            raise ValueError("a count is not negative")
        return self

    @classmethod
    def exact(cls, value: int) -> Count:
        """Return a known count, >= 0."""
        return cls(kind=CountKind.EXACT, value=value)

    @classmethod
    def below(cls, k: int) -> Count:
        """Return a count that is withheld because it is below k (or would reveal one that is)."""
        return cls(kind=CountKind.BELOW_K, k=k)

    def __str__(self) -> str:
        if self.kind is CountKind.EXACT:
            return str(self.value)
        return f"<{self.k}" if self.kind is CountKind.BELOW_K else self.kind.value

    @property
    def at_least(self) -> int:
        """Return the number that is certain: the value, or 0."""
        return self.value or 0
