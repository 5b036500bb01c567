"""What a run says of itself: one result per item, and how many ended how."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum

from fairbank.deid.outcomes import Status


class RunKind(StrEnum):
    """What a run does."""

    PULL = "pull"
    INDEX = "index"
    HARVEST = "harvest"
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


@dataclass(slots=True)
class Tally:
    """How many items of a container ended how.

    Attributes:
        added: never seen before.
        updated: known, and otherwise than before.
        unchanged: known, and as before.
        unchanged_files: how many files those have.
        shared: another item already stands for the same series.
        left_out: may not be in the index.
        errors: could not be taken; tried again by the next run.
        missing: not found, for the first time.
        returned: found again.
        tombstoned: gone for good, by reason.
        held: would be gone, but so many that a curator has to say so first.
        lost: the archive no longer shows the container they are in.
    """

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    unchanged_files: int = 0
    shared: int = 0
    left_out: int = 0
    errors: int = 0
    missing: int = 0
    returned: int = 0
    tombstoned: dict[str, int] = field(default_factory=dict)
    held: int = 0
    lost: int = 0

    def as_json(self) -> dict[str, object]:
        """Return the counts by word."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class RunReport:
    """A finished run.

    Attributes:
        results: what became of each item that was not unchanged; of a harvest only of the first thousand that failed.
        missing: items that were there before and are no longer.
        complete: whether the source said all that it holds.
        tally: how the items of a container ended; None for a run over the research store.
    """

    id: str
    kind: RunKind
    started: datetime
    ended: datetime
    results: tuple[ItemResult, ...]
    missing: int
    complete: bool = True
    tally: Tally | None = None

    @property
    def items(self) -> dict[str, int]:
        """Return how many items ended with which status."""
        if self.kind is RunKind.HARVEST and self.tally is not None:
            tally = self.tally
            ended = {
                Status.OK: tally.added + tally.updated + tally.returned,
                Status.NOT_NEEDED: tally.unchanged + tally.shared,
                Status.IMPOSSIBLE: tally.left_out,
                Status.ERROR: tally.errors,
            }
            return {status.value: count for status, count in ended.items() if count}
        found = Counter(result.status.value for result in self.results)
        if self.tally is not None and self.tally.unchanged:
            found[Status.NOT_NEEDED.value] += self.tally.unchanged
        return dict(found)

    @property
    def files(self) -> dict[str, int]:
        """Return how many files ended how."""
        unchanged = self.tally.unchanged_files if self.tally is not None else 0
        return added(
            [*(result.files for result in self.results), {"unchanged": unchanged} if unchanged else {}]
        )

    @property
    def failed(self) -> int:
        """Return how many items ended in error."""
        return self.items.get(Status.ERROR.value, 0)

    def counts(self) -> dict[str, object]:
        """Return what is remembered of the run."""
        counts: dict[str, object] = {
            "items": self.items,
            "files": self.files,
            "missing": self.missing,
            "complete": self.complete,
        }
        return counts if self.tally is None else counts | {"tally": self.tally.as_json()}


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
