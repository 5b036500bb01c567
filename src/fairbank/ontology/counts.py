"""The `Count` type: a number that may leave a node, or the reason why it may not; and what several tell together.

A count is never a number of Python: it has no `int()`, and adding one to a number raises TypeError. Counts add up to a
count where all are exact, and else to what is certain (`AtLeast`). "Fewer than k" also stands for a count that was
withheld to protect a smaller one beside it. So it bounds a single count for the reader, and never a sum from above.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from fairbank.clock import iso, parse_iso
from fairbank.ontology.speaking import ENGLISH, Speaker, separated


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
    def not_countable(cls, why: CountReason | None = None) -> Count:
        """Return a count that cannot be worked out, such as that of people where a table names none."""
        return cls(kind=CountKind.NOT_COUNTABLE, why=why)

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

    @property
    def is_exact(self) -> bool:
        """Tell whether the number is known."""
        return self.kind is CountKind.EXACT

    def words(self, now: datetime | None = None, by: Speaker = ENGLISH) -> str:
        """Return what people read, without the reason.

        Args:
            now: tells how long something waits; None: since when.
            by: says it.

        >>> Count.exact(1200).words(), Count.below(10).words(), Count.not_countable().words()
        ('1,200', 'fewer than 10', 'cannot be counted')
        >>> asked = Count.waiting(CountReason.SITE_DECIDES, "2026-01-31T12:00:00.000Z")
        >>> asked.words(), asked.words(parse_iso("2026-01-31T12:12:30.000Z"))
        ('waiting since 2026-01-31 12:00 UTC', 'waiting since 12 min')
        """
        match self.kind:
            case CountKind.EXACT:
                return separated(f"{self.value:,}", by)
            case CountKind.BELOW_K:
                return by.say("fewer than %(k)s", k=self.k)
            case CountKind.NOT_COUNTABLE:
                return by.say("cannot be counted")
            case CountKind.DECLINED:
                return by.say("declined")
            case CountKind.WAITING:
                if self.since is None:
                    return by.say("waiting")
                return by.say("waiting since %(since)s", since=_since(self.since, now, by))

    def in_full(self, now: datetime | None = None, by: Speaker = ENGLISH) -> str:
        """Return what people read, with the reason where one was said; arguments as of `words`.

        >>> Count.not_countable(CountReason.NODE_FAULT).in_full()
        "cannot be counted: the site's node could not work it out"
        """
        words = self.words(now, by)
        return f"{words}: {by.say(REASON_TEXTS[self.why])}" if self.why else words

    def __add__(self, other: Total) -> Total:
        """Return what both tell together, for counts that add up."""
        return total((self, other)) if isinstance(other, Count | AtLeast) else NotImplemented


class AtLeast(BaseModel):
    """What is certain of a sum of counts: no less than `at_least`; no upper bound.

    Attributes:
        withheld: how many of the counts are below k.
        unknown: how many are not countable, waiting or declined.

    >>> str(Count.exact(55) + Count.below(10))
    'at least 55 (1 withheld)'
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: Literal["at-least"] = "at-least"
    at_least: Annotated[int, Field(ge=0)]
    withheld: Annotated[int, Field(ge=0)] = 0
    unknown: Annotated[int, Field(ge=0)] = 0

    def words(self, now: datetime | None = None, by: Speaker = ENGLISH) -> str:
        """Return what people read; `now` is taken as by a count, and changes nothing."""
        if not self.at_least:
            return by.say("not known")
        return by.say("at least %(number)s", number=separated(f"{self.at_least:,}", by))

    def in_full(self, now: datetime | None = None, by: Speaker = ENGLISH) -> str:
        """Return what people read, with how many counts are missing in it."""
        missing = [by.say("%(number)s withheld", number=self.withheld)] if self.withheld else []
        if self.unknown:
            missing.append(by.say("%(number)s not told", number=self.unknown))
        return f"{self.words(by=by)} ({', '.join(missing)})" if missing else self.words(by=by)

    def __str__(self) -> str:
        return self.in_full()

    def __add__(self, other: Total) -> Total:
        """Return what both tell together, for counts that add up."""
        return total((self, other)) if isinstance(other, Count | AtLeast) else NotImplemented


# What is told of a sum of counts.
Total: TypeAlias = Count | AtLeast
_RANKS: Final = {kind: rank for rank, kind in enumerate(CountKind)}


def checked(value: Total) -> Total:
    """Return a count as it is.

    Raises:
        TypeError: if it is anything else, such as a number, which cannot say why it is 0.
    """
    if not isinstance(value, Count | AtLeast):
        raise TypeError(f"a count is asked for (fairbank.ontology.counts), not {type(value).__name__}")
    return value


def total(parts: Iterable[Total]) -> Total:
    """Return what counts tell together that add up: their sum if all are exact, else what is certain of it.

    Counts of subjects add up only where nobody is in two of them; who calls this knows whether that is so.

    >>> str(total([Count.exact(30), Count.exact(12)])), str(total([Count.below(10)])), str(total([]))
    ('42', '<10', '0')
    """
    listed = [checked(each) for each in parts]
    if len(listed) == 1:
        return listed[0]
    least = sum(each.at_least for each in listed)
    withheld = sum(
        each.withheld if isinstance(each, AtLeast) else each.kind is CountKind.BELOW_K for each in listed
    )
    unknown = sum(
        each.unknown if isinstance(each, AtLeast) else each.kind not in _SETTLED_KINDS for each in listed
    )
    if any(isinstance(each, AtLeast) for each in listed) or withheld or unknown:
        return AtLeast(at_least=least, withheld=withheld, unknown=unknown)
    return Count.exact(least)


def shown_total(parts: Sequence[Total], stated: Total) -> Total:
    """Return a total that may be shown beside its parts: the stated one, or what is certain of it.

    A stated exact total stands only if no withheld part can be worked out from it: with two parts withheld at least,
    which have at least the smallest count together, and of which each may be few or many.

    Args:
        parts: that add up to the total.

    >>> str(shown_total([Count.exact(50), Count.below(10)], Count.exact(55)))
    'at least 50 (1 withheld)'
    >>> str(shown_total([Count.exact(50), Count.below(10), Count.below(10)], Count.exact(60)))
    '60'

    Source: Hundepool et al., Statistical Disclosure Control (2012), section 4.4 (secondary suppression).
    """
    found = total(parts)
    if isinstance(found, Count) and found.is_exact:
        return checked(stated)
    if not isinstance(stated, Count) or stated.value is None:
        return checked(stated)
    hidden = [each for each in parts if not (isinstance(each, Count) and each.is_exact)]
    rest = stated.value - found.at_least
    limits = [each.k for each in hidden if isinstance(each, Count) and each.k is not None]
    if len(hidden) < 2 or rest < max(limits, default=1):
        return certain(parts)
    if len(limits) == len(hidden):
        # Each may be up to k - 1: how far one part can still move when all others are at their largest.
        room = sum(limit - 1 for limit in limits) - rest
        if 0 <= room < max(limits) // 2:
            return certain(parts)
    return stated


def certain(parts: Iterable[Total]) -> AtLeast:
    """Return what is certain of counts that add up, as a range in any case.

    >>> str(certain([Count.below(10)]))
    'not known (1 withheld)'
    """
    # With an exact zero beside them, so that one count alone becomes a sum too.
    found = total([*parts, Count.exact(0)])
    return found if isinstance(found, AtLeast) else AtLeast(at_least=found.at_least)


def display_order(count: Total) -> tuple[int, int]:
    """Return a key that sorts counts for display: the largest first, then those withheld, then those not known.

    It says nothing about which of two counts is larger where one is not known.

    >>> [str(one) for one in sorted([Count.below(10), Count.exact(3), Count.exact(20)], key=display_order)]
    ['20', '3', '<10']
    """
    return (0 if isinstance(count, AtLeast) else _RANKS[count.kind], -count.at_least)


def _since(since: str, now: datetime | None, by: Speaker) -> str:
    begun = parse_iso(since)
    if now is None:
        return f"{begun:%Y-%m-%d %H:%M} UTC"
    minutes = max(0, int((now - begun).total_seconds()) // 60)
    if minutes < 60:
        return f"{max(1, minutes)} min"
    return (
        f"{minutes // 60} h" if minutes < 48 * 60 else by.say("%(number)s days", number=minutes // (24 * 60))
    )
