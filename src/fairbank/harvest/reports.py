"""What a run says of itself: one result per item, and how many ended how."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from fairbank.deid.outcomes import Status


class RunKind(StrEnum):
    """What a run does."""

    PULL = "pull"
    INDEX = "index"
    VARIABLES = "variables"


class RunState(StrEnum):
    """How far a run has come; one that was killed stays `running` and is simply run again."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ItemResult:
    """What became of one item.

    Attributes:
        reference: local reference, such as "series #3"; never an id of the archive.
        status: ok, notneeded (unchanged), impossible (all of its files are held) or error.
        files: how many of its files ended how: `ok`, or the reason's word.
        error: code of the error, if one stopped the item.
    """

    reference: str
    status: Status
    files: dict[str, int]
    error: str | None = None


@dataclass(frozen=True, slots=True)
class RunReport:
    """A finished run.

    Attributes:
        missing: items that were there before and are no longer.
        complete: whether the source said all that it holds.
    """

    id: str
    kind: RunKind
    started: datetime
    ended: datetime
    results: tuple[ItemResult, ...]
    missing: int
    complete: bool = True

    @property
    def items(self) -> dict[str, int]:
        """Return how many items ended with which status."""
        return dict(Counter(result.status.value for result in self.results))

    @property
    def files(self) -> dict[str, int]:
        """Return how many files ended how."""
        return added(result.files for result in self.results)

    @property
    def failed(self) -> int:
        """Return how many items ended in error."""
        return self.items.get(Status.ERROR.value, 0)

    def counts(self) -> dict[str, object]:
        """Return what is remembered of the run."""
        return {"items": self.items, "files": self.files, "missing": self.missing, "complete": self.complete}


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come: items done of all."""

    done: int
    total: int
    result: ItemResult | None = None


ProgressCallback = Callable[[Progress], None]


def added(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    """Return the sum of several counts by word."""
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return dict(sorted(total.items()))
