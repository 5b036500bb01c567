"""The SPARQL endpoint: protocol, limits, what it refuses, and what each caller sees."""

from __future__ import annotations

import csv
import io
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyoxigraph as ox
import pytest
from starlette.testclient import TestClient

from fairbank import events
from fairbank.catalogue import query_pool, query_text, records
from fairbank.catalogue.accounts import Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import (
    CatalogueError,
    QueryBusy,
    QueryNotIsolated,
    QueryOutOfMemory,
    QueryTimeout,
    QueryTooBig,
)
from fairbank.catalogue.projector import Projector
from fairbank.catalogue.query_pool import QueryPool, Question
from fairbank.database import writing

Make = Callable[..., Any]
LUNGS, BRAINS = "http://hub.test/datasets/alpha/lungs", "http://hub.test/datasets/alpha/brains"
TITLES = "SELECT ?title WHERE { ?dataset a dcat:Dataset ; dct:title ?title } ORDER BY ?title"
DATASETS = "SELECT ?dataset WHERE { ?dataset a dcat:Dataset } ORDER BY ?dataset"
RUNAWAY = "SELECT (COUNT(*) AS ?n) WHERE { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i . ?j ?k ?l }"
FORM = "application/x-www-form-urlencoded"
QUERY = "application/sparql-query"


def values(answer: Any, name: str) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [row[name]["value"] for row in answer.json()["results"]["bindings"]]


def ask(client: TestClient, query: str, *, accept: str = "*/*", **headers: str) -> Any:
    return client.post(
        "/sparql", content=query.encode(), headers={"Content-Type": QUERY, "Accept": accept, **headers}
    )


@pytest.fixture
def small_pool(hub: Hub, tmp_path: Path) -> Iterator[QueryPool]:
    """A pool of one worker over a graph of 2,000 triples; one second, 200 rows, 128 MiB."""
    folder = tmp_path / "rdf"
    folder.mkdir()
    store = ox.Store(str(folder / "live"))
    store.bulk_extend(
        ox.Quad(
            ox.NamedNode(f"urn:s{number}"),
            ox.NamedNode("urn:p"),
            ox.Literal(f"value {number} " * 20),
            ox.NamedNode("urn:g"),
        )
        for number in range(2_000)
    )
    store.flush()
    (folder / "snapshots").mkdir()
    store.backup(str(folder / "snapshots" / "one"))
    (folder / "current").symlink_to("snapshots/one")
    settings = replace(
        hub.settings,
        sparql_workers=1,
        sparql_timeout_s=1,
        sparql_maximum_rows=200,
        sparql_memory_bytes=134_217_728,
    )
    pool = QueryPool(settings, folder)
    yield pool
    pool.close()


@pytest.fixture(scope="module")
def lungs(shared_hub: Make) -> TestClient:
    """A hub with one dataset, which no test may change."""
    shared = shared_hub(view=True)
    shared.publish("lungs")
    client: TestClient = shared.client
    return client


def test_the_three_ways_to_ask_give_the_same_answer(client: TestClient, published: Make) -> None:
    published("lungs", "brains")
    by_get = client.get("/sparql", params={"query": DATASETS})
    by_form = client.post("/sparql", data={"query": DATASETS})
    direct = ask(client, DATASETS)
    assert (
        values(by_get, "dataset")
        == values(by_form, "dataset")
        == values(direct, "dataset")
        == [BRAINS, LUNGS]
    )


def test_rows_come_in_four_formats(client: TestClient, published: Make) -> None:
    published("lungs", title='A "title", with <marks> & \t tab')
    as_json = ask(client, TITLES, accept="application/sparql-results+json")
    assert values(as_json, "title") == ['A "title", with <marks> & \t tab']
    as_csv = ask(client, TITLES, accept="text/csv")
    assert list(csv.reader(io.StringIO(as_csv.text)))[1] == ['A "title", with <marks> & \t tab']
    for media_type in ("application/sparql-results+xml", "text/tab-separated-values"):
        answer = ask(client, TITLES, accept=media_type)
        parsed = ox.parse_query_results(
            answer.content, format=ox.QueryResultsFormat.from_media_type(media_type)
        )
        assert [row["title"].value for row in parsed] == ['A "title", with <marks> & \t tab']


@pytest.mark.parametrize("media_type", ["application/sparql-results+json", "application/sparql-results+xml"])
def test_every_kind_of_term_survives_the_formats(lungs: TestClient, media_type: str) -> None:
    query = 'SELECT * { BIND(<urn:x> AS ?a) BIND("t"@en AS ?b) BIND(1.5 AS ?c) BIND(BNODE() AS ?d) BIND("s" AS ?e) }'
    answer = ask(lungs, query, accept=media_type)
    row = next(
        iter(ox.parse_query_results(answer.content, format=ox.QueryResultsFormat.from_media_type(media_type)))
    )
    assert (row["a"], row["b"], row["e"]) == (
        ox.NamedNode("urn:x"),
        ox.Literal("t", language="en"),
        ox.Literal("s"),
    )
    assert row["c"] == ox.Literal("1.5", datatype=ox.NamedNode("http://www.w3.org/2001/XMLSchema#decimal"))
    assert isinstance(row["d"], ox.BlankNode)


@pytest.mark.parametrize("query", ["ASK { ?s a dcat:Dataset }", "ASK { ?s a <urn:nothing> }"])
@pytest.mark.parametrize("media_type", ["application/sparql-results+json", "application/sparql-results+xml"])
def test_ask_says_true_or_false(lungs: TestClient, query: str, media_type: str) -> None:
    answer = ask(lungs, query, accept=media_type)
    parsed = ox.parse_query_results(answer.content, format=ox.QueryResultsFormat.from_media_type(media_type))
    assert bool(parsed) == ("nothing" not in query)


@pytest.mark.parametrize("media_type", ["text/turtle", "application/n-triples"])
def test_graphs_come_in_their_formats(lungs: TestClient, media_type: str) -> None:
    answer = ask(lungs, f"DESCRIBE <{LUNGS}>", accept=media_type)
    assert answer.headers["content-type"].startswith(media_type)
    assert len(list(ox.parse(answer.content, format=ox.RdfFormat.from_media_type(media_type)))) > 20


def test_a_format_that_is_not_offered_is_406(lungs: TestClient) -> None:
    assert ask(lungs, TITLES, accept="text/turtle").status_code == 406
    assert ask(lungs, TITLES, accept="image/png").status_code == 406


def test_a_mistake_comes_back_with_its_place(lungs: TestClient) -> None:
    answer = ask(lungs, "SELECT ?x WHERE { ?x ")
    assert (answer.status_code, answer.json()["code"]) == (400, "FB-CAT-050")
    assert answer.json()["why"]


@pytest.mark.parametrize(
    ("method", "arguments", "status"),
    [
        ("GET", {"params": {"query": ""}}, 400),
        ("GET", {"params": [("query", DATASETS), ("query", DATASETS)]}, 400),
        ("POST", {"data": {"nothing": "x"}}, 400),
        ("POST", {"content": DATASETS.encode(), "headers": {"Content-Type": "text/plain"}}, 400),
        ("POST", {"content": b"\xff\xfe", "headers": {"Content-Type": QUERY}}, 400),
        ("POST", {"content": b"query=%FF", "headers": {"Content-Type": FORM}}, 400),
        ("POST", {"data": {"update": "CLEAR ALL"}}, 403),
        ("POST", {"content": b"CLEAR ALL", "headers": {"Content-Type": "application/sparql-update"}}, 403),
        ("GET", {"params": {"update": "CLEAR ALL"}}, 403),
        ("POST", {"content": b"INSERT DATA { <a> <b> <c> }", "headers": {"Content-Type": QUERY}}, 403),
        ("PUT", {"content": b"x"}, 405),
    ],
)
def test_requests_against_the_protocol_are_refused(
    lungs: TestClient, method: str, arguments: dict[str, Any], status: int
) -> None:
    assert lungs.request(method, "/sparql", **arguments).status_code == status


def test_subjects_can_be_counted_over_the_cube(client: TestClient, published: Make) -> None:
    published("lungs", "brains")
    query = (
        "SELECT ?modality (SUM(?n) AS ?series) WHERE { ?cell a fb:Stratum ; fb:modality ?modality ; "
        "fb:seriesCount ?n } GROUP BY ?modality"
    )
    assert values(ask(client, query), "series") == ["240"]
    withheld = ask(client, "SELECT ?k WHERE { ?cell fb:modality 'MR' ; fb:subjectCountBelow ?k }")
    assert values(withheld, "k") == ["10", "10"]


def test_provenance_leads_from_the_dataset_to_the_model(
    hub: Hub, client: TestClient, published: Make, projector: Projector
) -> None:
    published("lungs", "brains")
    register_model(hub, [LUNGS])
    projector.project()
    query = f"SELECT ?model WHERE {{ ?model a fb:Model ; prov:wasGeneratedBy/prov:used <{LUNGS}> }}"
    assert values(ask(client, query), "model") == ["http://hub.test/models/sha256:" + "a" * 64]
    chain = f"SELECT ?tool WHERE {{ <{LUNGS}> prov:wasGeneratedBy/prov:wasInformedBy/fb:tool ?tool }}"
    assert values(ask(client, chain), "tool") == ["fairbank deid"]


def test_a_hidden_dataset_is_in_no_answer_at_once(
    hub: Hub, client: TestClient, published: Make, person_named: Make
) -> None:
    published("lungs", "brains")
    register_model(hub, [LUNGS, BRAINS])
    hide(hub)
    # The view was not written again: what is seen is worked out from SQL.
    assert values(ask(client, DATASETS), "dataset") == [BRAINS]
    assert values(ask(client, "SELECT DISTINCT ?g { GRAPH ?g { ?s a dcat:Dataset } }"), "g") == [
        "http://hub.test/graphs/datasets/alpha/brains"
    ]
    named = "SELECT ?s FROM <http://hub.test/graphs/datasets/alpha/lungs> WHERE { ?s a dcat:Dataset }"
    assert values(ask(client, named), "s") == []
    by_protocol = {"query": DATASETS, "default-graph-uri": "http://hub.test/graphs/datasets/alpha/lungs"}
    assert values(client.get("/sparql", params=by_protocol), "dataset") == []
    assert values(ask(client, "SELECT ?m { ?m a fb:Model }"), "m") == []
    member = person_named("carla", Role.ADMIN)
    assert values(ask(client, DATASETS, **member.headers), "dataset") == [BRAINS, LUNGS]


def test_when_everything_is_hidden_nothing_is_seen(hub: Hub, client: TestClient, published: Make) -> None:
    published("lungs")
    hide(hub)
    assert values(ask(client, DATASETS), "dataset") == []


def test_from_chooses_among_what_is_visible(client: TestClient, published: Make) -> None:
    published("lungs", "brains")
    graph = "http://hub.test/graphs/datasets/alpha/lungs"
    assert values(ask(client, f"SELECT ?s FROM <{graph}> {{ ?s a dcat:Dataset }}"), "s") == [LUNGS]
    query = f"SELECT ?s FROM NAMED <{graph}> {{ GRAPH ?g {{ ?s a dcat:Dataset }} }}"
    assert values(ask(client, query), "s") == [LUNGS]
    answer = client.get("/sparql", params={"query": DATASETS, "default-graph-uri": graph})
    assert values(answer, "dataset") == [LUNGS]


def test_the_endpoint_sees_the_newest_snapshot(client: TestClient, published: Make) -> None:
    published("lungs")
    assert values(ask(client, DATASETS), "dataset") == [LUNGS]
    published("brains")
    assert values(ask(client, DATASETS), "dataset") == [BRAINS, LUNGS]


def test_without_a_view_the_endpoint_says_so(client: TestClient) -> None:
    answer = ask(client, TITLES)
    assert (answer.status_code, answer.json()["code"]) == (503, "FB-CAT-054")


def test_a_runaway_query_is_killed_while_others_are_answered(client: TestClient, published: Make) -> None:
    published("lungs", "brains")
    answers: list[Any] = []
    runaway = threading.Thread(target=lambda: answers.append(ask(client, RUNAWAY)))
    runaway.start()
    while runaway.is_alive():
        assert values(ask(client, DATASETS), "dataset") == [BRAINS, LUNGS]
    runaway.join()
    assert (answers[0].status_code, answers[0].json()["code"]) == (504, "FB-CAT-052")
    assert values(ask(client, DATASETS), "dataset") == [BRAINS, LUNGS]


def test_a_killed_worker_is_replaced(small_pool: QueryPool) -> None:
    with pytest.raises(QueryTimeout):
        small_pool.ask(Question(RUNAWAY, visible=["urn:g"]))
    answer = small_pool.ask(Question("SELECT (COUNT(*) AS ?n) { ?s ?p ?o }", visible=["urn:g"]))
    assert json.loads(answer.content)["results"]["bindings"][0]["n"]["value"] == "2000"


def test_a_query_that_needs_too_much_memory_ends_alone(hub: Hub, small_pool: QueryPool) -> None:
    patient = QueryPool(replace(small_pool._settings, sparql_timeout_s=60), small_pool._rdf)
    greedy = "SELECT * { ?a ?b ?c . ?d ?e ?f } ORDER BY ?c ?f"
    with pytest.raises(QueryOutOfMemory, match="memory"):
        patient.ask(Question(greedy, visible=["urn:g"]))
    assert patient.ask(Question("ASK { ?s ?p ?o }", visible=["urn:g"])).rows == 1
    patient.close()


def test_an_answer_with_too_many_rows_is_refused_whole(small_pool: QueryPool) -> None:
    for query in ("SELECT * { ?s ?p ?o }", "CONSTRUCT WHERE { ?s ?p ?o }"):
        with pytest.raises(QueryTooBig, match="200 rows"):
            small_pool.ask(Question(query, visible=["urn:g"]))
    assert small_pool.ask(Question("SELECT * { ?s ?p ?o } LIMIT 200", visible=["urn:g"])).rows == 200


def test_a_graph_that_nobody_allowed_is_not_seen(small_pool: QueryPool) -> None:
    answer = small_pool.ask(Question("SELECT * { { ?s ?p ?o } UNION { GRAPH ?g { ?s ?p ?o } } }", visible=[]))
    assert answer.rows == 0


def test_too_many_waiting_queries_are_turned_away(small_pool: QueryPool) -> None:
    with ExitStack() as held:
        for caller in ("a", "a", "b", "b", "c", "c", "d", "d"):
            assert held.enter_context(small_pool._under_way.held(caller, timeout_s=0))
        with pytest.raises(QueryBusy):
            small_pool.ask(Question("ASK {}", visible=[]), caller="e")
    small_pool.ask(Question("ASK {}", visible=[]), caller="e")


def test_one_caller_s_heap_of_queries_is_turned_away_and_no_other_s(small_pool: QueryPool) -> None:
    with ExitStack() as held:
        for _ in range(2):
            assert held.enter_context(small_pool._under_way.held("a", timeout_s=0))
        with pytest.raises(QueryBusy, match="yours"):
            small_pool.ask(Question("ASK {}", visible=[]), caller="a")
        small_pool.ask(Question("ASK {}", visible=[]), caller="b")


ISOLATES = "isolated = _leave_network()"
CHECKS, NO_CHECK = 'query_text.check(question["query"])', "query_text.Asked(None, None)"
REACHING_OUT = [
    "SELECT * { SERVICE <%s> { ?s ?p ?o } }",
    "SELECT * { service silent <%s> { ?s ?p ?o } }",
    "SELECT * { ser\\u0076ice <%s> { ?s ?p ?o } }",
    "SELECT * { \\U00000053ERVICE <%s> { ?s ?p ?o } }",
    "SELECT * { SERVICE # <x>\n <%s> { ?s ?p ?o } }",
    "SELECT * { SERVICE<%s>{ ?s ?p ?o } }",
    "PREFIX : <%s> SELECT * { SERVICE: { ?s ?p ?o } }",
    "PREFIX e: <urn:e> SELECT * { ?s ?p e:.SERVICE <%s> { ?a ?b ?c } }",
    "SELECT * { { SELECT * { OPTIONAL { SERVICE <%s> { ?s ?p ?o } } } } }",
    "ASK { FILTER EXISTS { SERVICE <%s> { ?s ?p ?o } } }",
    "SELECT * { ?s ?p 1SERVICE <%s> { ?a ?b ?c } }",
    "SELECT * { ?s ?p 'a'SERVICE <%s> { ?a ?b ?c } }",
    "SELECT * { <http://a'b> ?p ?o . SERVICE <%s> { ?a ?b ?c } } #'",
    "LOAD <%s>",
    "lo\\u0061d <%s>",
]


@pytest.mark.parametrize("query", REACHING_OUT)
def test_no_query_reaches_another_server(lungs: TestClient, query: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        answer = ask(lungs, query % address)
        assert (answer.status_code, answer.json()["code"]) == (403, "FB-CAT-051")
        by_get = lungs.get(f"/sparql?query={quote(query % address)}")
        assert by_get.status_code == 403
        with pytest.raises(TimeoutError):
            listener.accept()


def test_a_worker_has_no_network_even_if_the_text_gets_through(
    small_pool: QueryPool, change_worker: Make
) -> None:
    change_worker(CHECKS, NO_CHECK)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        query = f"SELECT * {{ SERVICE SILENT <{address}> {{ ?s ?p ?o }} }}"
        with suppress(QueryBusy):
            small_pool.ask(Question(query, visible=["urn:g"]))
        with pytest.raises(TimeoutError):
            listener.accept()


def test_no_query_is_answered_where_its_worker_cannot_be_isolated(
    small_pool: QueryPool, change_worker: Make
) -> None:
    change_worker(ISOLATES, "isolated = False")
    with pytest.raises(QueryNotIsolated):
        small_pool.ask(Question("ASK {}", visible=[]))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("libc.unshare(", "(lambda flags: -1)("),
        ("return _open_no_sockets(libc) or", "return"),
    ],
    ids=["filter only", "namespace only"],
)
def test_each_way_to_leave_the_network_is_enough(
    small_pool: QueryPool, change_worker: Make, old: str, new: str
) -> None:
    change_worker(old, new)
    change_worker(CHECKS, NO_CHECK)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        query = f"SELECT * {{ SERVICE SILENT <{address}> {{ ?s ?p ?o }} }}"
        try:
            small_pool.ask(Question(query, visible=["urn:g"]))
        except QueryNotIsolated:
            pytest.skip("this machine does not permit it")
        with pytest.raises(TimeoutError):
            listener.accept()


def test_a_worker_in_no_isolation_would_reach_out(small_pool: QueryPool, change_worker: Make) -> None:
    # The other tests are worth something only because of this.
    change_worker(ISOLATES, "isolated = True")
    change_worker(CHECKS, NO_CHECK)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        query = f"SELECT * {{ SERVICE SILENT <{address}> {{ ?s ?p ?o }} }}"
        asking = threading.Thread(target=lambda: suppressed(small_pool, query))
        asking.start()
        listener.accept()[0].close()
        asking.join()


def suppressed(pool: QueryPool, query: str) -> None:
    with suppress(CatalogueError):
        pool.ask(Question(query, visible=["urn:g"]))


def test_an_answer_of_too_many_bytes_is_refused_whole(
    small_pool: QueryPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query_pool, "LARGEST_ANSWER", 2**20)
    repeated = "CONCAT(?o,?o,?o,?o,?o,?o,?o,?o,?o,?o,?o,?o,?o,?o,?o,?o)"
    query = f"SELECT ({repeated.replace('?o', '?x')} AS ?y) {{ ?s ?p ?o BIND ({repeated} AS ?x) }} LIMIT 100"
    with pytest.raises(QueryTooBig, match="1 MiB"):
        small_pool.ask(Question(query, visible=["urn:g"]))


def test_a_view_that_cannot_be_opened_is_no_fault_of_the_query(small_pool: QueryPool) -> None:
    small_pool.ask(Question("ASK {}", visible=[]))
    (small_pool._rdf / "current").unlink()
    (small_pool._rdf / "current").symlink_to("snapshots/two")
    with pytest.raises(QueryBusy, match="view") as raised:
        small_pool.ask(Question("ASK {}", visible=[]))
    assert str(small_pool._rdf) not in str(raised.value)
    (small_pool._rdf / "current").unlink()
    (small_pool._rdf / "current").symlink_to("snapshots/one")
    assert small_pool.ask(Question("ASK {}", visible=[])).rows == 1


@pytest.mark.parametrize(
    "query",
    [
        "SELECT ?service { ?service a dcat:DataService }",
        "SELECT * { ?s dct:title 'SERVICE <x>' }",
        'SELECT * { ?s dct:title """of SERVICE "quoted" """ } # SERVICE',
        "SELECT * { ?s dcat:service <http://service.test/SERVICE> ; dct:title 'load'@en }",
    ],
)
def test_the_word_may_stand_where_it_is_harmless(query: str) -> None:
    query_text.check(query)


def test_a_text_made_to_be_slow_is_read_in_time() -> None:
    length = query_text.LONGEST_QUERY
    for text in ('"\\' * (length // 2), "'''\\'" * (length // 5), "a." * (length // 2), "<a" * (length // 2)):
        query_text.check(text[:20_000])


def test_a_prefixed_from_is_explained() -> None:
    with pytest.raises(query_text.Malformed, match="FROM"):
        query_text.check("PREFIX g: <urn:g> SELECT * FROM g:x { ?s ?p ?o }")


def test_updates_are_refused_by_name() -> None:
    for text in (
        "INSERT DATA {}",
        "PREFIX a: <urn:a> DELETE WHERE { ?s ?p ?o }",
        "WITH <urn:g> DELETE {} WHERE {}",
    ):
        with pytest.raises(query_text.Forbidden):
            query_text.check(text)


def hide(hub: Hub, iri: str = LUNGS) -> None:
    with writing(hub.engine) as session:
        records.set_visibility(session, hub, iri=iri, visibility=records.Visibility.HIDDEN, actor="admin")


def register_model(hub: Hub, datasets: list[str]) -> None:
    with writing(hub.engine) as session:
        events.append(
            session,
            events.HubEvent,
            clock=hub.clock,
            kind="model.registered",
            subject="sha256:" + "a" * 64,
            detail={"datasets": datasets, "nodes": ["alpha"], "rounds": 3},
        )
