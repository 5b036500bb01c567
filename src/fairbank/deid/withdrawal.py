"""Withdrawal of a subject: whoever keeps something of subjects is asked to forget it.

The identity store goes first (`IdentityStore.leave`): from then on the subject is refused and nothing new is kept of
it. Then each keeper forgets what it has; each may be asked again, so a withdrawal that was cut off is simply done
again. The note of what the subject was called goes last.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sqlalchemy.engine import Engine

from fairbank.database import compact, reading, writing
from fairbank.deid import store as rows
from fairbank.deid.departures import Departure
from fairbank.deid.identity import IdentityStore
from fairbank.deid.research_store import ResearchStore


class Keeper(Protocol):
    """A place that keeps something of subjects."""

    @property
    def what(self) -> str:
        """Return what is kept there, as a plural: "files"."""
        ...

    def count(self, departure: Departure) -> int:
        """Return how much there is of a subject."""
        ...

    def forget(self, departure: Departure) -> int:
        """Delete what there is of a subject, whole or after a part of it went before; return how much went."""
        ...


@dataclass(frozen=True, slots=True)
class StoredFiles:
    """The research store's files of a subject."""

    store: ResearchStore
    what: str = "files of the research store"

    def count(self, departure: Departure) -> int:
        """Return how many files there are."""
        return sum(self.store.count(one.project, one.pseudonym) for one in departure.known)

    def forget(self, departure: Departure) -> int:
        """Delete the files."""
        return sum(self.store.remove_subject(one.project, one.pseudonym) for one in departure.known)


@dataclass(frozen=True, slots=True)
class Items:
    """What the node's database remembers of cleaning a subject's files: items, held items and fact sheets."""

    database: Engine
    what: str = "entries of de-identification"

    def count(self, departure: Departure) -> int:
        """Return how many items there are."""
        with reading(self.database) as session:
            return sum(
                rows.count_subject(session, one.project, one.pseudonym) for one in departure.known
            ) + sum(rows.count_held(session, project, name) for project, name in departure.held)

    def forget(self, departure: Departure) -> int:
        """Delete items and facts."""
        gone = 0
        with writing(self.database) as session:
            for one in departure.known:
                gone += rows.delete_subject(session, one.project, one.pseudonym)
            for project, name in departure.held:
                gone += rows.delete_held(session, project, name)
        return gone


@dataclass(frozen=True, slots=True)
class NamedPlaces:
    """Files and folders below a folder that are named after a subject: previews, copies, material of reviews.

    Args:
        root: the folder.
        apart: folders below it that are left alone.
    """

    root: Path
    apart: tuple[Path, ...] = ()
    what: str = "other files and folders named after the subject"

    def count(self, departure: Departure) -> int:
        """Return how many there are."""
        return sum(1 for _ in self._places(departure))

    def forget(self, departure: Departure) -> int:
        """Delete them."""
        gone = 0
        for place in list(self._places(departure)):
            if place.is_dir() and not place.is_symlink():
                shutil.rmtree(place, ignore_errors=not place.exists())
            else:
                place.unlink(missing_ok=True)
            gone += 1
        return gone

    def _places(self, departure: Departure) -> Iterator[Path]:
        names = [one.pseudonym for one in departure.known]
        if names:
            yield from self._below(self.root, names)

    def _below(self, folder: Path, names: Sequence[str]) -> Iterator[Path]:
        for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
            if entry in self.apart:
                continue
            if any(name in entry.name for name in names):
                yield entry
            elif entry.is_dir() and not entry.is_symlink():
                yield from self._below(entry, names)


def keepers(store: ResearchStore, database: Engine) -> tuple[Keeper, ...]:
    """Return the places of this room that keep something of subjects."""
    return (StoredFiles(store), Items(database))


def forget(departure: Departure, places: Sequence[Keeper]) -> dict[str, int]:
    """Let each place forget a subject; return how much went, by what it was."""
    gone: dict[str, int] = {}
    for place in places:
        gone[place.what] = gone.get(place.what, 0) + place.forget(departure)
    return gone


def cleared_if_left(
    identity: IdentityStore, project: str, pseudonym: str, *, store: ResearchStore, database: Engine
) -> bool:
    """Return whether a subject left while a file of it was stored; if so, what was stored is deleted again.

    Asked after a file and its entry are written: the subject left either before, and is cleared here, or later, and
    then the withdrawal finds the file.
    """
    if identity.is_known(project, pseudonym):
        return False
    store.remove_subject(project, pseudonym)
    with writing(database) as session:
        rows.delete_subject(session, project, pseudonym)
    compact(database)
    return True
