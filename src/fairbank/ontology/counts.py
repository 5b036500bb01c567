"""The `Count` type: a number that may leave a node, or the reason why it may not."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, field_validator, model_validator

from fairbank.clock import iso, parse_iso


class CountKind(StrEnum):
    """Whether and why a count is known."""

    EXACT = "exact"
    BELOW_K = "below-k"
    NOT_COUNTABLE = "not-countable"
    WAITING = "waiting"
    DECLINED = "declined"


class CountReason(StrEnum):
    """Why a count is not known: a closed list, so that nothing about subjects slips out in words."""

    SITE_NOT_REACHED = "site-not-reached"
    SITE_DECIDES = "site-decides"
    SITE_DECLINED = "site-declined"
    NO_LIVE_COUNTS = "no-live-counts"
    NOT_GRANTED = "not-granted"
    TOO_MANY_COUNTS = "too-many-counts"
    NOT_HERE = "not-here"
    NODE_FAULT = "node-fault"


# What people read for a reason.
REASON_TEXTS: Final[dict[CountReason, str]] = {
    CountReason.SITE_NOT_REACHED: "the site's node has not fetched the question yet",
    CountReason.SITE_DECIDES: "the site's people decide about it",
    CountReason.SITE_DECLINED: "the site's people said no",
    CountReason.NO_LIVE_COUNTS: "this site answers no live counts",
    CountReason.NOT_GRANTED: "no grant that holds at the site covers it",
    CountReason.TOO_MANY_COUNTS: "enough counts of this dataset were told this month",
    CountReason.NOT_HERE: "the site has no such dataset",
    CountReason.NODE_FAULT: "the site's node could not work it out",
}
_SETTLED_KINDS: Final = frozenset({CountKind.EXACT, CountKind.BELOW_K})


class Count(BaseModel):
    """A count: exact, below k, or not known for a stated reason.

    Attributes:
        why: why it is not known, where that was said.
        since: since when it waits or is declined, as wire text.

    >>> str(Count.exact(12)), str(Count.below(10))
    ('12', '<10')
    >>> str(Count.waiting(CountReason.SITE_DECIDES, "2026-01-31T12:00:00.000Z"))
    "waits for the site: the site's people decide about it, since 2026-01-31T12:00:00.000Z"
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: CountKind
    value: int | None = None
    k: int | None = None
    why: CountReason | None = None
    since: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _word_to_kind(cls, raw: object) -> object:
        if isinstance(raw, dict) and isinstance(raw.get("kind"), str):
            why = raw.get("why")
            said = {"why": CountReason(why)} if isinstance(why, str) else {}
            return {**raw, "kind": CountKind(raw["kind"]), **said}
        return raw

    @field_validator("since")
    @classmethod
    def _is_a_moment(cls, since: str | None) -> str | None:
        if since is not None and iso(parse_iso(since)) != since:
            raise ValueError("a time is written as 2026-01-31T12:00:00.000Z")
        return since

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.kind is CountKind.EXACT) != (self.value is not None):
            raise ValueError("a count has a value exactly when it is exact")
        if (self.kind is CountKind.BELOW_K) != (self.k is not None):
            raise ValueError("a count names k exactly when it is below k")
        if self.value is not None and self.value < 0:
            raise ValueError("a count is not negative")
        if self.kind in _SETTLED_KINDS and (self.why, self.since) != (None, None):
            raise ValueError("a count that is known has no reason why it is not")
        return self

    @classmethod
    def exact(cls, value: int) -> Count:
        """Return a known count, >= 0."""
        return cls(kind=CountKind.EXACT, value=value)

    @classmethod
    def below(cls, k: int) -> Count:
        """Return a count that is withheld because it is below k (or would reveal one that is)."""
        return cls(kind=CountKind.BELOW_K, k=k)

    @classmethod
    def waiting(cls, why: CountReason, since: str) -> Count:
        """Return a count that a site has not told yet, since a moment in wire text."""
        return cls(kind=CountKind.WAITING, why=why, since=since)

    @classmethod
    def declined(cls, why: CountReason, since: str) -> Count:
        """Return a count that a site does not tell, since a moment in wire text."""
        return cls(kind=CountKind.DECLINED, why=why, since=since)

    def __str__(self) -> str:
        if self.kind is CountKind.EXACT:
            return str(self.value)
        if self.kind is CountKind.BELOW_K:
            return f"<{self.k}"
        words = "waits for the site" if self.kind is CountKind.WAITING else self.kind.value
        said = [f"{words}: {REASON_TEXTS[self.why]}" if self.why else words]
        return ", ".join([*said, f"since {self.since}"] if self.since else said)

    @property
    def at_least(self) -> int:
        """Return the number that is certain: the value, or 0."""
        return self.value or 0
