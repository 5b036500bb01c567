"""The export says what the view says; in its canonical form the same records are the same bytes."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pyoxigraph as ox
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairbank import events
from fairbank.catalogue import export, nodes, records
from fairbank.catalogue.context import Hub, init_hub
from fairbank.catalogue.errors import RecordRefused
from fairbank.catalogue.negotiation import ExportFormat
from fairbank.catalogue.ontology_view import ontology_graph
from fairbank.catalogue.projector import Projector
from fairbank.catalogue.records import Visibility
from fairbank.clock import FixedClock
from fairbank.database import reading, writing
from fairbank.ontology.record import DatasetRecord
from fairbank.settings import Settings
from fairbank.signing import SigningKey

Make = Callable[..., Any]
BASE = "http://hub.test"
NODES = ("alpha", "beta")
# Dataset, node and version; the order within one dataset matters only in what is refused.
NAMES = [("lungs", "alpha", 1), ("lungs", "alpha", 2), ("brains", "alpha", 1), ("livers", "beta", 3)]


def exported(hub: Hub, form: ExportFormat = ExportFormat.NQUADS, *, whole: bool = False) -> bytes:
    with reading(hub.engine) as session:
        quads = export.published_quads(session, hub.base_iri)
        return export.written(quads if whole else export.canonical(quads, hub.base_iri), form)


def from_the_view(hub: Hub, *, whole: bool = False) -> bytes:
    """The same from the snapshot that SPARQL reads; the audit log in it is for auditors and in no export."""
    snapshot: Any = ox.Store.read_only(str((hub.rdf / "current").resolve()))
    ontology = ox.NamedNode(ontology_graph(hub.base_iri))
    log = f"{hub.base_iri}/graphs/audit/"
    view = [
        quad for quad in snapshot if quad.graph_name != ontology and not quad.graph_name.value.startswith(log)
    ]
    chosen = view if whole else export.canonical(view, hub.base_iri)
    return export.written(chosen, ExportFormat.NQUADS)


@cache
def keys() -> dict[str, SigningKey]:
    return {name: SigningKey.generate() for name in NODES}


@contextmanager
def another_hub(folder: Path, clock: FixedClock) -> Iterator[Hub]:
    hub = init_hub(Settings(home=folder), clock, public_base_iri=BASE)
    for name, key in keys().items():
        with writing(hub.engine) as session:
            token = nodes.invite(session, hub, actor="admin")
        nodes.enrol(hub, nodes.Enrolment(node=name, key=key.key_id, token=token, title=name.title()))
    yield hub
    hub.queries.close()
    hub.engine.dispose()


def fed(hub: Hub, wanted: Sequence[tuple[str, str, int]], record_of: Make) -> None:
    for dataset, node, version in wanted:
        made = record_of(node, dataset, version=version, title=f"{dataset} of {node}, {version}")
        record, sealed = DatasetRecord.open(made.seal(keys()[node]), trusted=None)
        hub.clock.advance(1.5)  # type: ignore[attr-defined]  # the clock of the tests
        try:
            with writing(hub.engine) as session:
                records.publish(session, hub, record, sealed)
        except RecordRefused:
            assert version == 1, "only what is older than what is there"


@pytest.fixture(scope="module")
def reference() -> dict[str, bytes]:
    return {}


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(NAMES), rebuilt=st.booleans(), later_days=st.integers(0, 4000))
def test_the_same_records_give_the_same_bytes_in_any_order(
    tmp_path_factory: pytest.TempPathFactory,
    record_of: Make,
    reference: dict[str, bytes],
    clock: FixedClock,
    order: list[tuple[str, str, int]],
    rebuilt: bool,
    later_days: int,
) -> None:
    late = FixedClock(clock.now() + timedelta(days=later_days))
    with another_hub(tmp_path_factory.mktemp("hub") / "home", late) as hub:
        fed(hub, order, record_of)
        projector = Projector(hub)
        assert projector.open()
        projector.project()
        if rebuilt:
            projector.rebuild()
        projector.close()
        found = exported(hub)
        assert found == from_the_view(hub)
        assert found == reference.setdefault("bytes", found)
    assert found.count(b"\n") > 150


def test_what_a_hub_adds_by_itself_is_left_out_and_nothing_else(hub: Hub, published: Make) -> None:
    published("lungs", "brains")
    published("livers", node="beta")
    with_times, without = _lines(exported(hub, whole=True)), _lines(exported(hub))
    assert without < with_times
    predicates = {line.split(b" ")[1].rpartition(b"/")[2] for line in with_times - without}
    assert predicates == {b"issued>"}
    assert any(b"2026-01-01T10:00:00Z" in line for line in without), "the times of the record stay"


def test_an_export_is_what_the_view_holds(hub: Hub, published: Make, projector: Projector) -> None:
    published("lungs", "brains")
    register(hub)
    projector.project()
    assert exported(hub, whole=True) == from_the_view(hub, whole=True)
    assert exported(hub) == from_the_view(hub)
    told = exported(hub)
    assert b"fedavg" in told
    for left_out in (b"00000000-0000-7000-8000-00000000aaaa", b"2031-", b"manifestDigest", b"visaDigest"):
        assert left_out not in told and left_out in exported(hub, whole=True)


def test_what_is_hidden_is_in_no_export(hub: Hub, published: Make, projector: Projector) -> None:
    published("lungs", title="canary-title")
    published("brains")
    register(hub)
    projector.project()
    assert b"canary-title" in exported(hub)
    with writing(hub.engine) as session:
        iri = f"{BASE}/datasets/alpha/lungs"
        records.set_visibility(session, hub, iri=iri, visibility=Visibility.HIDDEN, actor="admin")
    for form in ExportFormat:
        told = exported(hub, form)
        assert b"canary-title" not in told and b"fedavg" not in told and b"alpha/brains" in told


def test_both_formats_say_the_same_triples(hub: Hub, published: Make) -> None:
    published("lungs", title='Quotes " and\nline breaks, Ü, \u2028')
    quads = {quad.triple for quad in ox.parse(exported(hub), format=ox.RdfFormat.N_QUADS)}
    turtle = ox.parse(exported(hub, ExportFormat.TURTLE), format=ox.RdfFormat.TURTLE)
    assert {quad.triple for quad in turtle} == quads and len(quads) > 60


def test_the_order_of_the_statements_does_not_matter(hub: Hub, published: Make) -> None:
    published("lungs")
    with reading(hub.engine) as session:
        quads = list(export.published_quads(session, BASE))
    for form in ExportFormat:
        shuffled = quads + quads[:5]
        random.Random(4).shuffle(shuffled)
        assert export.written(shuffled, form) == export.written(quads, form)
    lines = export.written(quads, ExportFormat.NQUADS).split(b"\n")[:-1]
    assert lines == sorted(lines) and len(lines) == len(set(quads))


def test_the_commands_rebuild_and_export(
    hub: Hub, published: Make, projector: Projector, fairbank: Make, settings: Settings
) -> None:
    published("lungs")
    there = ("--set", f"hub_database={settings.hub_database}") if settings.hub_database else ()

    def run(*words: str) -> Any:
        return fairbank(*there, "catalogue", *words, home=settings.home)

    before = exported(hub)
    run("rebuild").refused("Another process is writing the RDF view", "Stop the hub", code=2)
    projector.close()
    run("rebuild").ok()
    assert from_the_view(hub) == before
    assert run("export", "--canonical").ok().out.encode() == before
    turtle = run("export", "--format", "turtle").ok().out
    assert "dct:issued" in turtle and "@prefix" in turtle
    run("export", "--format", "excel").refused("excel", code=2)


def register(hub: Hub) -> None:
    with writing(hub.engine) as session:
        events.append(
            session,
            events.HubEvent,
            clock=hub.clock,
            kind="model.registered",
            subject="sha256:" + "a" * 64,
            detail={
                "job": "00000000-0000-7000-8000-00000000aaaa",
                "datasets": [f"{BASE}/datasets/alpha/lungs"],
                "nodes": ["alpha"],
                "manifest": "sha256:" + "b" * 64,
                "visa": "sha256:" + "c" * 64,
                "code": {"name": "fedavg", "version": "1", "digest": "sha256:" + "b" * 64},
                "started": "2031-01-01T00:00:00.000Z",
                "ended": "2031-01-01T01:00:00.000Z",
            },
        )


def _lines(content: bytes) -> set[bytes]:
    return set(content.split(b"\n"))
