"""What curators decided of held files, by groups or one by one: asked for by whatever would hold a file."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol

from fairbank.deid.pixels.work import Box


class Verdict(StrEnum):
    """What a person decided after looking."""

    RELEASE = "release"
    KEEP_HELD = "keep-held"
    DISCARD = "discard"


@dataclass(frozen=True, slots=True)
class ItemDecision:
    """What a person decided of one file, held under the name of a group.

    Attributes:
        areas: what is blanked beside all that is found, where the file may go only so.
    """

    group: str
    verdict: Verdict
    areas: tuple[Box, ...] = ()


class Decisions(Protocol):
    """The decisions that hold now."""

    @property
    def one(self) -> ItemDecision | None:
        """Return what was decided of the very file that is worked on, None if nothing was."""
        ...

    def of(self, group: str) -> Verdict | None:
        """Return the decision on a group, None if nobody has decided.

        A group's name tells the reason and the kind of device and image, never a subject.
        """
        ...


@dataclass(frozen=True, slots=True)
class DecisionTable:
    """Decisions as a table, which can be handed to another process.

    Attributes:
        verdicts: on groups.
        items: on single files, by the keyed digests of their sources.
        one: the decision on the file that is worked on.
    """

    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    items: Mapping[str, ItemDecision] = field(default_factory=dict)
    one: ItemDecision | None = None

    def of(self, group: str) -> Verdict | None:
        """Return the decision on a group, None if nobody has decided."""
        if self.one is not None and self.one.group == group:
            return self.one.verdict
        return self.verdicts.get(group)

    def for_item(self, item: str) -> DecisionTable:
        """Return the decisions as they hold for one file.

        >>> table = DecisionTable({"g": Verdict.RELEASE}, {"a": ItemDecision("g", Verdict.KEEP_HELD)})
        >>> table.for_item("a").of("g"), table.for_item("b").of("g")
        (<Verdict.KEEP_HELD: 'keep-held'>, <Verdict.RELEASE: 'release'>)
        """
        found = self.items.get(item)
        return self if found is None else replace(self, one=found)

    def for_series(self, items: Collection[str]) -> DecisionTable:
        """Return the decisions as they hold for files that stand or fall together: what was decided of each of them."""
        found = {self.items.get(item) for item in items}
        (only,) = found if len(found) == 1 else (None,)
        return self if only is None else replace(self, one=only)


NO_DECISIONS = DecisionTable()
