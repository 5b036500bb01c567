"""Records become rows and graphs; the graphs can be made again from the rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyoxigraph as ox
import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from fairbank import events
from fairbank.catalogue import records
from fairbank.catalogue.context import Hub
from fairbank.catalogue.description import dataset_quads
from fairbank.catalogue.projector import Projector
from fairbank.catalogue.records import Visibility
from fairbank.catalogue.store import DatasetRow, StratumRow, VersionRow
from fairbank.database import reading, writing
from fairbank.ontology.counts import Count
from fairbank.ontology.record import DatasetRecord, Distribution, HowKnown, Totals
from fairbank.signing import SigningKey

Make = Callable[..., Any]
LUNGS = "http://hub.test/datasets/alpha/lungs"


def publish(node: Any, record: DatasetRecord, key: SigningKey | None = None) -> Any:
    envelope = record.seal(key or node.key)
    return node.release(envelope, door_class="record", output=f"record-{record.dataset}")


def quads(hub: Hub) -> set[ox.Quad]:
    snapshot = ox.Store.read_only(str((hub.rdf / "current").resolve()))
    return set(snapshot)


def test_a_record_becomes_rows_and_an_event(hub: Hub, published: Make) -> None:
    published("lungs")
    with reading(hub.engine) as session:
        row = session.get_one(DatasetRow, LUNGS)
        assert (row.title, row.version, row.node) == ("Lung screening CT", 1, "alpha")
        assert session.query(StratumRow).count() == 3
        kinds = list(session.scalars(select(events.HubEvent.kind)))
    assert "dataset.published" in kinds


def test_the_envelope_is_stored_as_it_came(hub: Hub, node_named: Make, record_of: Make) -> None:
    node = node_named("alpha")
    envelope = record_of("alpha").seal(node.key)
    node.release(envelope, door_class="record", output="record-lungs")
    with reading(hub.engine) as session:
        assert session.get_one(VersionRow, (LUNGS, 1)).envelope == envelope


def test_a_newer_version_replaces_the_rows(
    hub: Hub, node_named: Make, record_of: Make, cell_of: Make
) -> None:
    node = node_named("alpha")
    assert publish(node, record_of("alpha")).status_code == 200
    newer = record_of("alpha", version=2, title="Lungs, again", cube=(cell_of(),))
    assert publish(node, newer).status_code == 200
    with reading(hub.engine) as session:
        assert session.get_one(DatasetRow, LUNGS).title == "Lungs, again"
        assert session.query(StratumRow).count() == 1
        assert session.query(VersionRow).count() == 2


@pytest.mark.parametrize("version", [1, 2])
def test_a_version_that_is_not_newer_is_refused(node_named: Make, record_of: Make, version: int) -> None:
    node = node_named("alpha")
    assert publish(node, record_of("alpha", version=2)).status_code == 200
    answer = publish(node, record_of("alpha", version=version, title="Other"))
    assert (answer.status_code, answer.json()["code"]) == (422, "FB-CAT-040")


def test_a_record_sealed_with_another_key_is_refused(node_named: Make, record_of: Make) -> None:
    answer = publish(node_named("alpha"), record_of("alpha"), SigningKey.generate())
    assert answer.json()["code"] == "FB-CORE-013"


def test_a_record_about_another_node_is_refused(node_named: Make, record_of: Make) -> None:
    node_named("beta")
    assert publish(node_named("alpha"), record_of("beta")).json()["code"] == "FB-CAT-040"


def test_a_record_with_an_unknown_key_is_refused(node_named: Make, record_of: Make) -> None:
    from fairbank.signing import seal

    node = node_named("alpha")
    envelope = seal("record", {**record_of("alpha").payload(), "colour": "red"}, node.key)
    answer = node.release(envelope, door_class="record", output="record-lungs")
    assert answer.json()["code"] == "FB-ONT-002"


def exact(number: int) -> Count:
    return Count.exact(number)


@pytest.mark.parametrize(
    "change",
    [
        {"cube": "small cell"},
        {"cube": "cell withheld in part"},
        {
            "distributions": (
                Distribution(attribute="sex", value="M", how_known=HowKnown.HEADER, subjects=exact(3)),
            )
        },
        {"totals": Totals(subjects=exact(9), studies=exact(70), series=exact(160), instances=exact(900))},
    ],
    ids=["cell", "part of a cell", "distribution", "totals"],
)
def test_an_exact_count_below_the_minimum_is_refused(
    hub: Hub, node_named: Make, record_of: Make, cell_of: Make, change: dict[str, Any]
) -> None:
    if change.get("cube") == "small cell":
        change = {"cube": (cell_of(subjects=4, studies=40, series=40),)}
    elif change.get("cube"):
        change = {"cube": (cell_of().model_copy(update={"subjects": Count.below(10)}),)}
    answer = publish(node_named("alpha"), record_of("alpha", **change))
    assert answer.json()["code"] == "FB-CAT-040"
    with reading(hub.engine) as session:
        assert session.query(DatasetRow).count() == 0


def test_the_same_record_gives_the_same_graph_without_blank_nodes(hub: Hub, published: Make) -> None:
    published("lungs")
    with reading(hub.engine) as session:
        row = session.get_one(DatasetRow, LUNGS)
        first, second = set(dataset_quads(session, row)), set(dataset_quads(session, row))
    assert first == second and len(first) > 60
    assert not any(isinstance(part, ox.BlankNode) for quad in first for part in (quad.subject, quad.object))


def test_no_triple_is_in_two_graphs(hub: Hub, published: Make) -> None:
    published("lungs", "brains")
    published("livers", node="beta")
    register_model(hub, [LUNGS])
    found = [quad.triple for quad in quads(hub)]
    assert len(found) == len(set(found)) > 150


def test_the_view_is_made_again_from_the_rows(hub: Hub, published: Make, projector: Projector) -> None:
    published("lungs", "brains")
    published("livers", node="beta")
    register_model(hub, [LUNGS])
    projector.project()
    before = quads(hub)
    projector.rebuild()
    assert quads(hub) == before and before


def test_a_view_that_was_lost_is_made_again_when_the_hub_starts(
    hub: Hub, published: Make, projector: Projector
) -> None:
    import shutil

    published("lungs")
    before = quads(hub)
    projector.close()
    shutil.rmtree(hub.rdf)
    hub.rdf.mkdir()
    again = Projector(hub)
    assert again.open()
    assert quads(hub) == before
    again.close()


def test_only_one_process_writes_the_view(hub: Hub, projector: Projector) -> None:
    assert not Projector(hub).open()


def test_old_snapshots_are_removed(hub: Hub, published: Make) -> None:
    published(*(f"set-{number}" for number in range(3)))
    for number in range(5):
        published(f"more-{number}")
    assert len(list((hub.rdf / "snapshots").iterdir())) == 3


def test_a_dataset_comes_in_the_format_that_is_asked_for(client: TestClient, published: Make) -> None:
    published("lungs")
    as_json = client.get("/datasets/alpha/lungs").json()
    assert as_json["cube"][0]["subjects"] == {"kind": "exact", "value": 30}
    assert as_json["cube"][2]["subjects"] == {"kind": "below-k", "k": 10}
    turtle = client.get("/datasets/alpha/lungs", headers={"Accept": "text/turtle"})
    assert turtle.headers["content-type"].startswith("text/turtle") and "dcat:Dataset" in turtle.text
    counts = set()
    for media_type in ("text/turtle", "application/n-triples", "application/ld+json", "application/rdf+xml"):
        answer = client.get("/datasets/alpha/lungs", headers={"Accept": media_type})
        parsed = ox.parse(answer.content, format=ox.RdfFormat.from_media_type(media_type))
        counts.add(len({quad.triple for quad in parsed}))
    assert len(counts) == 1
    assert client.get("/datasets/alpha/lungs", headers={"Accept": "image/png"}).status_code == 406


def test_a_dataset_comes_as_its_node_sealed_it(client: TestClient, published: Make) -> None:
    node = published("lungs")
    accept = {"Accept": "application/vnd.fairbank.record.v1+json"}
    envelope = client.get("/datasets/alpha/lungs", headers=accept).content
    record, _ = DatasetRecord.open(envelope, trusted=[node.key.key_id])
    assert record.dataset == "lungs"


def test_a_hidden_dataset_is_shown_to_the_committee_only(
    hub: Hub, client: TestClient, published: Make, person_named: Make
) -> None:
    from fairbank.catalogue.accounts import Role

    published("lungs", "brains")
    hide(hub)
    assert client.get("/datasets/alpha/lungs").status_code == 404
    assert len(client.get("/datasets").json()["datasets"]) == 1
    member = person_named("carla", Role.ADMIN)
    assert client.get("/datasets/alpha/lungs", headers=member.headers).status_code == 200


def test_a_node_hides_its_own_dataset(client: TestClient, published: Make) -> None:
    node = published("lungs")
    body = b'{"schema":"visibility/1","visibility":"hidden"}'
    assert node.send("PUT", "/v1/datasets/lungs/visibility", body).status_code == 200
    assert client.get("/datasets/alpha/lungs").status_code == 404


def test_search_finds_by_words_and_by_facets(client: TestClient, published: Make, cell_of: Make) -> None:
    published("lungs")
    published("brains", title="Brain MR", description="Heads.", keywords=(), cube=(cell_of("MR", "BRAIN"),))
    by_word = client.get("/search", params={"q": "screen lung"}).json()
    assert [each["dataset"] for each in by_word["datasets"]] == ["lungs"]
    by_facet = client.get("/search", params={"modality": "MR", "body_part": "BRAIN"}).json()
    assert [each["dataset"] for each in by_facet["datasets"]] == ["brains"]
    assert by_facet["facets"]["modality"] == [{"value": "MR", "datasets": 1}]
    assert client.get("/search", params={"q": "kidney"}).json()["count"] == 0


def test_a_cell_has_to_match_all_axes_at_once(client: TestClient, published: Make) -> None:
    published("lungs")
    both = {"modality": "MR", "manufacturer": "GE"}
    assert client.get("/search", params=both).json()["count"] == 0


def test_totals_say_what_is_certain_and_what_is_not(client: TestClient, published: Make) -> None:
    published("lungs")
    published("brains", node="beta")
    totals = client.get("/search").json()["totals"]
    assert totals["subjects"]["text"] == "at least 120; 0 cells suppressed; not de-duplicated across sites"
    ct = client.get("/search", params={"modality": ["CT", "MR"]}).json()["totals"]
    assert (ct["series"]["at_least"], ct["subjects"]["at_least"]) == (240, 60)
    assert ct["series"]["suppressed_cells"] == 2


@pytest.mark.parametrize("words", ['"', "a AND", "NEAR(", "title:lung OR *", "-", "lung'; DROP TABLE x"])
def test_words_are_never_read_as_operators(client: TestClient, published: Make, words: str) -> None:
    published("lungs")
    assert client.get("/search", params={"q": words}).status_code == 200


def hide(hub: Hub, iri: str = LUNGS) -> None:
    with writing(hub.engine) as session:
        records.set_visibility(session, hub, iri=iri, visibility=Visibility.HIDDEN, actor="admin")


def register_model(hub: Hub, datasets: list[str], digest: str = "sha256:" + "a" * 64) -> None:
    with writing(hub.engine) as session:
        events.append(
            session,
            events.HubEvent,
            clock=hub.clock,
            kind="model.registered",
            subject=digest,
            detail={
                "job": "00000000-0000-7000-8000-00000000aaaa",
                "datasets": datasets,
                "nodes": ["alpha"],
                "rounds": 3,
                "code": {"name": "fedavg", "version": "1", "digest": "sha256:" + "b" * 64},
                "started": "2026-01-01T00:00:00.000Z",
                "ended": "2026-01-01T01:00:00.000Z",
            },
        )
