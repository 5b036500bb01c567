"""A harvest that kills its own process at one of its steps: run by the kill tests as a process of its own.

    python -m tests.harvest.killed_harvest HOME SEED STEP TRY

A step is a description that the archive gives, a statement to either database, or a commit.
"""

from __future__ import annotations

import dataclasses
import os
import random
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import event
from tests.harvest.fakes import FEED, FakeArchive, FakeSource, later, series_of

from fairbank.clock import FixedClock
from fairbank.deid.identity import IDENTITY_FILE, IdentityStore
from fairbank.harvest.consent import LegalBasis
from fairbank.harvest.datasets import Description, define_dataset
from fairbank.harvest.header_harvest import HarvestOrder, harvest_from
from fairbank.harvest.legal_basis import record_basis
from fairbank.harvest.sources.protocol import Described, Item
from fairbank.ontology.record import CollectionKind
from fairbank.release.node import Node, init_node, open_node
from fairbank.settings import Settings

ORDER = HarvestOrder("archive", "LUNG", "lung", "curator")
OTHER = dataclasses.replace(ORDER, container="HEART")
COUNT = 60
Tick = Callable[[], None]


def settings_of(home: Path) -> Settings:
    return dataclasses.replace(Settings(), home=home, harvest_page_items=5, release_minimum_count=1)


def begin(home: Path, seed: int) -> None:
    """Make a node that has harvested the archive twice, so that some of its items are missing once."""
    clock = FixedClock(later(0))
    node = init_node(settings_of(home), clock, name="biobank-a")
    record_basis(node, ORDER.project, LegalBasis.ANONYMOUS_DATA, note="made up", by="tests")
    define_dataset(
        node,
        "lungs",
        project="lung",
        description=Description("Lungs", "Described.", CollectionKind.TEST, data_use=("DUO:0000042",)),
    )
    # The salts are drawn by chance; those of the subjects to come are drawn now, for another project.
    store = IdentityStore.open_or_create(home / IDENTITY_FILE, clock=clock)
    store.subjects("elsewhere", [f"\x1fPAT{number}" for number in range(2 * COUNT)])
    store.close()
    for stage in (0, 1):
        clock.advance(3600)
        for order in (ORDER, OTHER):
            harvest_from(node, order, FakeSource(archive_at(seed, stage), capabilities=FEED))
    node.engine.dispose()


def archive_at(seed: int, stage: int) -> FakeArchive:
    """Return the archive as it is at the first, second or third harvest."""
    chance = random.Random(seed)
    archive = FakeArchive()
    for number in range(COUNT):
        archive.put("LUNG", f"s{number:03}", series_of(number))
    archive.put("HEART", "h0", series_of(COUNT))
    names = sorted(archive.containers["LUNG"])
    gone, leaving, changing = chance.sample(names, 4), chance.sample(names, 3), chance.sample(names, 15)
    if stage >= 1:
        for name in gone:
            archive.remove("LUNG", name)
    if stage >= 2:
        back = series_of(int(gone[0][1:]))
        archive.put("LUNG", gone[0], back)
        for name in sorted(set(leaving) - set(gone)):
            archive.put("HEART", name, archive.remove("LUNG", name))
        for name in sorted(set(changing) - set(gone) - set(leaving)):
            archive.change("LUNG", name, modality=chance.choice(["MR", "CT", "PT"]))
        for number in range(COUNT + 1, COUNT + 20):
            archive.put("LUNG", f"n{number:03}", series_of(number))
    return archive


def third_run(home: Path, seed: int, at: datetime, tick: Tick | None = None) -> None:
    """Harvest the archive for the third time, both containers of it."""
    node = open_node(settings_of(home), FixedClock(at))
    with ticking(node, tick or (lambda: None)):
        for order in (ORDER, OTHER):
            harvest_from(node, order, Ticking(archive_at(seed, 2), FEED, tick=tick or (lambda: None)))
    node.engine.dispose()


def moment(seed: int) -> datetime:
    """Return when the third harvest takes place; for every second seed all is to be described again by then."""
    return later(1 if seed % 2 else 8)


@dataclasses.dataclass
class Ticking(FakeSource):
    tick: Tick = lambda: None

    def describe(self, container: str, items: Sequence[Item]) -> Iterator[Described]:
        for one in super().describe(container, items):
            self.tick()
            yield one


@contextmanager
def ticking(node: Node, tick: Tick) -> Iterator[None]:
    """Count every statement and commit of both databases as a step."""

    def step(*_: Any) -> None:
        tick()

    opened = IdentityStore.__init__

    def open_counting(self: IdentityStore, path: Path) -> None:
        opened(self, path)
        self._connection.set_trace_callback(step)

    names = ("before_cursor_execute", "after_cursor_execute", "commit")
    for name in names:
        event.listen(node.engine, name, step)
    IdentityStore.__init__ = open_counting  # type: ignore[method-assign]
    try:
        yield
    finally:
        IdentityStore.__init__ = opened  # type: ignore[method-assign]
        for name in names:
            event.remove(node.engine, name, step)


def main() -> None:
    """Harvest until the step that was asked for."""
    home = Path(sys.argv[1])
    seed, last, tried = map(int, sys.argv[2:])
    steps = iter(range(last))

    def tick() -> None:
        if next(steps, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    third_run(home, seed, moment(seed) + timedelta(minutes=tried), tick)


if __name__ == "__main__":
    main()
