"""Why a count of a record is not the one that the node holds: for the curator, before anything leaves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fairbank.harvest.publishing import Publication
from fairbank.ontology.counts import CountKind
from fairbank.release.published_counts import counts_of, exact_counts, words_of
from fairbank.release.rounding import rounded

FEW = "fewer than the smallest count"
PROTECTS = "withheld with others, which it would tell"
WAITS = "waits: what changed would tell of a few"
ROUNDED = "rounded"
STAYS = "the counts of the last record stay"


@dataclass(frozen=True, slots=True)
class Explained:
    """One count: what the node holds, what the record would tell, and why they differ. It stays at the node."""

    what: str
    here: int
    told: str
    why: str


def explained(seen: Publication) -> Iterator[Explained]:
    """Yield every count that the record would not tell as the node holds it."""
    assert seen.exact is not None
    here, k = exact_counts(seen.exact), seen.record.minimum_count
    told, base = counts_of(seen.record), seen.record.rounded_to or 1
    for key in dict.fromkeys((*here, *told)):
        value, count = here.get(key, 0), told.get(key)
        if count is not None and count.value == value:
            continue
        hidden = count is not None and count.kind is CountKind.BELOW_K
        if key in seen.waiting:
            why = STAYS if seen.counts_stay else WAITS
        elif hidden:
            why = FEW if value < k else PROTECTS
        else:
            why = ROUNDED if count is not None and count.value == rounded(value, base) else STAYS
        yield Explained(words_of(key), value, str(count) if count is not None else "not there", why)
