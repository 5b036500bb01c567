"""What curators decided of groups of held files: asked for by whatever would hold a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class Verdict(StrEnum):
    """What a person decided after looking."""

    RELEASE = "release"
    KEEP_HELD = "keep-held"
    DISCARD = "discard"


class Decisions(Protocol):
    """The decisions that hold now."""

    def of(self, group: str) -> Verdict | None:
        """Return the decision on a group, None if nobody has decided.

        A group's name tells the reason and the kind of device and image, never a subject.
        """
        ...


@dataclass(frozen=True, slots=True)
class DecisionTable:
    """Decisions as a table, which can be handed to another process."""

    verdicts: Mapping[str, Verdict] = field(default_factory=dict)

    def of(self, group: str) -> Verdict | None:
        """Return the decision on a group, None if nobody has decided."""
        return self.verdicts.get(group)


NO_DECISIONS = DecisionTable()
