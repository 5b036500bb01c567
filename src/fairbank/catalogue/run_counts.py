"""How many runs of what is granted have been used: counted by the room that runs jobs, which registers its count here.

The catalogue grants runs and does not know what runs; whoever puts a hub together lets it know whom to ask.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from sqlalchemy.orm import Session

# Of some requests by their ids: how many runs were used, by request and IRI of the dataset; none is left out.
CountRuns = Callable[[Session, Collection[str]], Mapping[tuple[str, str], int]]


@dataclass(slots=True)
class RunCounts:
    """Whom to ask how many runs were used; `count` is None where nothing runs jobs."""

    count: CountRuns | None = None

    def used(self, session: Session, requests: Collection[str]) -> Mapping[tuple[str, str], int] | None:
        """Return how many runs of some requests were used, by request and dataset; None where nobody counts them."""
        return self.count(session, requests) if self.count is not None else None
