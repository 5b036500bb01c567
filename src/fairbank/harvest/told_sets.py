"""Which subjects stand behind the counts that records of a dataset told."""

from __future__ import annotations

from collections import defaultdict

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank.harvest.store import PublishedRow
from fairbank.release.contributions import Contributions

_SUBJECTS = "subjects"


def published_sets(session: Session, dataset: str) -> list[frozenset[str]]:
    """Return the sets of subjects that all records of a dataset counted: everybody, and those of each cell and row."""
    found: set[frozenset[str]] = set()
    for row in session.scalars(select(PublishedRow).where(PublishedRow.dataset == dataset)):
        told = Contributions.from_bytes(row.contributions)
        sets: dict[int, set[str]] = defaultdict(set)
        everybody = told.subjects()
        for subject in everybody:
            for number in told.of(subject):
                if told.keys[number][-1] == _SUBJECTS:
                    sets[number].add(subject)
        found |= {everybody, *map(frozenset, sets.values())}
    return sorted(found, key=lambda each: (len(each), sorted(each)))
