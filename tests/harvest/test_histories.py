"""Any history of an archive, harvested at any moments: the index follows a model simple enough to be believed."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select as sql_select
from tests.harvest.fakes import DESCRIBES, FEED, WHOLE_FEED, FakeArchive, FakeSource, series_of

from fairbank.clock import FixedClock
from fairbank.database import reading
from fairbank.deid.identity import IDENTITY_FILE, IdentityStore
from fairbank.harvest.bookkeeping import Route
from fairbank.harvest.consent import LegalBasis
from fairbank.harvest.errors import NothingHeld, NotInSource
from fairbank.harvest.header_harvest import HarvestOrder, harvest_from
from fairbank.harvest.legal_basis import record_basis
from fairbank.harvest.sources.opening import add_source
from fairbank.harvest.sources.protocol import SourceKind
from fairbank.harvest.status import approve_deletions
from fairbank.harvest.store import ItemRow, SeriesRow
from fairbank.release.node import Node, init_node
from fairbank.settings import Settings

CONTAINERS = ("A", "B")
IDS = tuple(f"s{number}" for number in range(6))
HOLD_ITEMS, HOLD_PERCENT = 2, 60
EXAMPLES = itertools.count()

containers = st.sampled_from(CONTAINERS)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), containers, st.sampled_from(IDS)),
        st.tuples(st.just("change"), containers, st.sampled_from(IDS)),
        st.tuples(st.just("remove"), containers, st.sampled_from(IDS)),
        st.tuples(st.just("move"), containers, st.sampled_from(IDS)),
        st.tuples(st.sampled_from(["truncate", "hide", "approve", "empty"]), containers, st.just("")),
        # Most of what happens is that somebody looks.
        st.tuples(st.just("run"), containers, st.just("")),
        st.tuples(st.just("run"), containers, st.just("")),
        st.tuples(st.just("run"), containers, st.just("")),
    ),
    min_size=6,
    max_size=24,
)


@dataclass
class Noted:
    """What the model says of an item: it is live, missing so many times, gone, or behind a lost access."""

    state: str = "live"
    misses: int = 0
    stale: bool = False


@dataclass
class Model:
    """What should be noted of each container."""

    items: dict[str, dict[str, Noted]] = field(default_factory=lambda: {one: {} for one in CONTAINERS})
    lost: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CONTAINERS, 0))
    held: dict[str, bool] = field(default_factory=lambda: dict.fromkeys(CONTAINERS, False))
    approved: dict[str, bool] = field(default_factory=lambda: dict.fromkeys(CONTAINERS, False))

    def look(self, container: str, listed: set[str], *, complete: bool) -> None:
        noted = self.items[container]
        before = sum(one.state in ("live", "missing") for one in noted.values())
        absent = [key for key, one in noted.items() if key not in listed and one.state != "gone"]
        self.lost[container] = 0
        for key in listed:
            noted[key] = Noted()
        if not complete:
            return
        due = [key for key in absent if noted[key].misses]
        free = [key for key in due if self.approved[container] and noted[key].misses > 1]
        rest = [key for key in due if key not in free]
        self.approved[container] = False
        self.held[container] = len(rest) > HOLD_ITEMS or len(rest) * 100 > before * HOLD_PERCENT
        for key in absent:
            one = noted[key]
            if key in free or (key in rest and not self.held[container]):
                noted[key] = Noted("gone", one.misses)
            else:
                noted[key] = Noted("missing", one.misses + 1)

    def not_shown(self, container: str) -> None:
        self.lost[container] += 1
        if self.lost[container] >= 2:
            for one in self.items[container].values():
                if one.state in ("live", "missing"):
                    one.state, one.misses = "lost", 0


@dataclass
class World:
    """An archive, a node that harvests it, and the model."""

    node: Node
    name: str
    capabilities: frozenset  # type: ignore[type-arg]
    archive: FakeArchive = field(default_factory=FakeArchive)
    model: Model = field(default_factory=Model)

    def __post_init__(self) -> None:
        for container in CONTAINERS:
            self.archive.containers[container] = {}
        add_source(self.node, self.name, kind=SourceKind.FOLDER, location="/nowhere")

    def step(self, what: str, container: str, local_id: str) -> None:
        held = self.archive.containers[container]
        other = CONTAINERS[container == "A"]
        if what == "add" and not any(local_id in one for one in self.archive.containers.values()):
            self.archive.put(container, local_id, series_of(IDS.index(local_id)))
        elif what == "change" and local_id in held:
            self.archive.change(
                container, local_id, modality="MR" if held[local_id].modality == "CT" else "CT"
            )
        elif what == "remove" and local_id in held:
            self.archive.remove(container, local_id)
        elif what == "empty":
            for each in list(held):
                self.archive.remove(container, each)
        elif what == "move" and local_id in held:
            self.archive.put(other, local_id, self.archive.remove(container, local_id))
        elif what == "truncate":
            self.archive.truncated ^= {container}
        elif what == "hide":
            self.archive.hidden ^= {container}
        elif what == "approve":
            self.approve(container)
        elif what == "run":
            self.run(container)

    def approve(self, container: str) -> None:
        route = Route(self.name, container, self.name)
        if self.model.held[container]:
            approve_deletions(self.node, route)
            self.model.approved[container] = True
        else:
            with pytest.raises(NothingHeld):
                approve_deletions(self.node, route)

    def run(self, container: str) -> None:
        order = HarvestOrder(self.name, container, self.name, "curator")
        source = FakeSource(self.archive, capabilities=self.capabilities)
        if container in self.archive.hidden:
            if not self.model.items[container]:
                with pytest.raises(NotInSource):
                    harvest_from(self.node, order, source)
                return
            harvest_from(self.node, order, source)
            self.model.not_shown(container)
        else:
            harvest_from(self.node, order, source)
            listed = sorted(self.archive.containers[container])
            complete = container not in self.archive.truncated
            if not complete:
                listed = listed[: len(listed) // 2]
            self.model.look(container, set(listed), complete=complete)
        self.compare(container)

    def compare(self, container: str) -> None:
        with reading(self.node.engine) as session:
            query = sql_select(ItemRow).where(ItemRow.source == self.name, ItemRow.container == container)
            found = {row.local_id: (_word(row), row.misses) for row in session.scalars(query)}
        expected = {
            key: (one.state, one.misses if one.state == "missing" else 0)
            for key, one in self.model.items[container].items()
        }
        assert {
            key: (word, misses if word == "missing" else 0) for key, (word, misses) in found.items()
        } == expected

    def published(self) -> dict[str, str]:
        with reading(self.node.engine) as session:
            query = sql_select(SeriesRow).where(SeriesRow.project == self.name, SeriesRow.state == "live")
            return {row.series_uid: row.modality for row in session.scalars(query)}

    def held_by_the_archive(self) -> dict[str, str]:
        store = IdentityStore.open_or_create(self.node.settings.home / IDENTITY_FILE, clock=self.node.clock)
        found = {}
        for held in self.archive.containers.values():
            for series in held.values():
                subject = store.subject(self.name, f"\x1f{series.subject}")
                found[subject.uid(series.uid)] = series.modality
        store.close()
        return found


def _word(row: ItemRow) -> str:
    if row.state == "tombstoned":
        return "lost" if row.reason == "access_lost" else "gone"
    return row.state


@pytest.fixture(scope="module")
def shared_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """One node for all examples; each has a source and a project of its own."""
    home = Path(tmp_path_factory.mktemp("histories"))
    chosen = dataclasses.replace(
        Settings(),
        home=home / "home",
        harvest_page_items=2,
        harvest_hold_items=HOLD_ITEMS,
        harvest_hold_percent=HOLD_PERCENT,
    )
    yield init_node(chosen, FixedClock(), name="biobank-a")


def tell(node: Node, history: list[tuple[str, str, str]], capabilities: frozenset) -> None:  # type: ignore[type-arg]
    """Live through a history, then let everything be seen, and compare."""
    world = World(node, f"archive-{next(EXAMPLES)}", capabilities)
    record_basis(node, world.name, LegalBasis.ANONYMOUS_DATA, note="made up", by="tests")
    for what, container, local_id in history:
        world.step(what, container, local_id)
    world.archive.truncated.clear()
    world.archive.hidden.clear()
    # Missing, gone or held, approved, and once more for what another container stood for.
    for _ in range(5):
        for container in CONTAINERS:
            world.run(container)
            if world.model.held[container]:
                world.approve(container)
    assert world.published() == world.held_by_the_archive()


# A feed that names deletions is left to its own tests: it makes looks that list nothing, which the model has not.
KINDS = pytest.mark.parametrize("capabilities", [DESCRIBES, FEED], ids=["listed", "feed"])


@KINDS
@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(history=steps)
def test_the_index_follows_any_history(shared_node: Node, capabilities, history) -> None:  # type: ignore[no-untyped-def]
    tell(shared_node, history, capabilities)


@pytest.mark.long
@KINDS
@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(history=steps)
def test_the_index_follows_very_many_histories(shared_node: Node, capabilities, history) -> None:  # type: ignore[no-untyped-def]
    tell(shared_node, history, capabilities)


@settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(history=steps)
def test_whatever_a_feed_told_in_the_end_the_index_is_the_archive(shared_node: Node, history) -> None:  # type: ignore[no-untyped-def]
    world = World(shared_node, f"archive-{next(EXAMPLES)}", WHOLE_FEED)
    record_basis(shared_node, world.name, LegalBasis.ANONYMOUS_DATA, note="made up", by="tests")
    world.compare = lambda container: None  # type: ignore[method-assign]
    for what, container, local_id in history:
        if what not in ("truncate", "hide", "approve", "empty"):
            world.step(what, container, local_id)
    for _ in range(5):
        for container in CONTAINERS:
            world.run(container)
            route = Route(world.name, container, world.name)
            try:
                approve_deletions(shared_node, route)
            except NothingHeld:
                continue
    assert world.published() == world.held_by_the_archive()
