# ruff: noqa: E501  # one query, one line
"""A query means at the hub what it means to the engine alone: same rows over the graphs that the caller may see.

The engine alone has a store in memory: each visible graph under its name, and all of them merged as the default graph.
What the endpoint adds (worker, snapshot, list of graphs, prefixes, formats) must not show.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any
from xml.etree import ElementTree

import pyoxigraph as ox
import pytest
from starlette.testclient import TestClient

from fairbank.catalogue import accounts, nodes, records
from fairbank.catalogue.accounts import Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.projector import Projector
from fairbank.catalogue.query_pool import CURRENT
from fairbank.database import writing
from fairbank.ontology.record import DatasetRecord
from fairbank.ontology.terms import PREFIXES
from fairbank.signing import SigningKey
from fairbank.web.hub_app import create_app

BASE = "http://hub.test"
XML = "{http://www.w3.org/2005/sparql-results#}"
LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
ODD_TITLE = 'Ünïcode 🫁 "quoted" \\ back\tslash, line\nbreak <and> & marks'
LUNGS, SECRET = f"{BASE}/datasets/alpha/lungs", f"{BASE}/datasets/gamma/secret"
LUNG_GRAPH, BRAIN_GRAPH, ODD_GRAPH, SECRET_GRAPH, NODE_GRAPH = (
    f"{BASE}/graphs/{name}"
    for name in (
        "datasets/alpha/lungs",
        "datasets/alpha/brains",
        "datasets/gamma/odd",
        "datasets/gamma/secret",
        "nodes/alpha",
    )
)
ALPHA = f"BASE <{BASE}/datasets/alpha/> "

QUERIES = {
    "everything": "SELECT * { ?s ?p ?o }",
    "count": "SELECT (COUNT(*) AS ?n) { ?s ?p ?o }",
    "distinct classes": "SELECT DISTINCT ?c { ?s a ?c }",
    "reduced": "SELECT REDUCED ?c { ?s a ?c . FILTER (?c = fb:Stratum) }",
    "join": "SELECT ?t ?m { ?d a dcat:Dataset ; dct:title ?t . ?c fb:ofDataset ?d ; fb:modality ?m }",
    "property list": "SELECT ?t { ?d dct:title ?t ; dcat:keyword 'lung', 'screening' }",
    "own prefix": "PREFIX mine: <http://www.w3.org/ns/dcat#> SELECT ?d { ?d a mine:Dataset }",
    "prefix over ours": "PREFIX dct: <http://www.w3.org/ns/dcat#> SELECT ?d { ?d a dct:Dataset }",
    "base": ALPHA + "SELECT ?p ?o { <lungs> ?p ?o }",
    "fragments": ALPHA + "SELECT ?p ?o { <lungs#publisher> ?p ?o }",
    "optional": "SELECT ?c ?n { ?c a fb:Stratum OPTIONAL { ?c fb:subjectCount ?n } }",
    "optional with filter": "SELECT ?c ?n { ?c a fb:Stratum OPTIONAL { ?c fb:subjectCount ?n FILTER (?n > 25) } }",
    "optional in optional": "SELECT * { ?d a dcat:Dataset OPTIONAL { ?d dcat:contactPoint ?p OPTIONAL { ?p vcard:fn ?f } } }",
    "union": "SELECT ?x { { ?x a fb:Model } UNION { ?x a fb:Node } UNION { ?x a fb:Nothing } }",
    "minus": "SELECT ?c { ?c a fb:Stratum MINUS { ?c fb:modality 'CT' } }",
    "minus of nothing shared": "SELECT ?c { ?c a fb:Stratum MINUS { ?x fb:modality 'CT' } }",
    "exists": "SELECT ?d { ?d a dcat:Dataset FILTER EXISTS { ?c fb:ofDataset ?d ; fb:modality 'MR' } }",
    "not exists": "SELECT ?s { ?s a ?c FILTER NOT EXISTS { ?s rdfs:label ?l } }",
    "exists in a value": "SELECT ?d (EXISTS { ?d dcat:keyword 'lung' } AS ?has) { ?d a dcat:Dataset }",
    "values": "SELECT * { VALUES (?m ?x) { ('CT' 1) ('MR' UNDEF) (UNDEF 3) } ?c fb:modality ?m }",
    "values at the end": "SELECT ?c ?m { ?c fb:modality ?m } VALUES ?m { 'CT' 'US' }",
    "bind": "SELECT ?d ?n { ?d a dcat:Dataset BIND (STRAFTER(STR(?d), 'datasets/') AS ?n) }",
    "filter in": "SELECT ?c { ?c fb:manufacturer ?m FILTER (?m IN ('GE', 'Philips')) }",
    "filter not in": "SELECT ?c { ?c fb:manufacturer ?m FILTER (?m NOT IN ('GE', 'Philips')) }",
    "error in a filter": "SELECT ?c { ?c fb:modality ?m FILTER (?m + 1 > 2 || ?m = 'CT') }",
    "path sequence": "SELECT ?d ?tool { ?d prov:wasGeneratedBy/prov:wasInformedBy/fb:tool ?tool }",
    "path alternative": "SELECT ?x ?t { ?x (dct:title|rdfs:label|foaf:name) ?t }",
    "path inverse": f"SELECT ?c {{ <{LUNGS}> ^fb:ofDataset ?c }}",
    "path star": f"SELECT ?x {{ <{LUNGS}> (prov:wasGeneratedBy|prov:wasInformedBy)* ?x }}",
    "path plus": "SELECT ?m ?x { ?m a fb:Model ; (prov:wasGeneratedBy/prov:used)+ ?x }",
    "path question mark": f"SELECT ?x {{ <{LUNGS}> dct:publisher? ?x }}",
    "path negated": f"SELECT ?x {{ <{LUNGS}> !(rdf:type|dct:title|^prov:used) ?x }}",
    "path star with both ends free": "SELECT ?a ?b { ?a prov:wasInformedBy* ?b }",
    "group": "SELECT ?m (COUNT(?c) AS ?n) (SUM(?s) AS ?t) { ?c fb:modality ?m OPTIONAL { ?c fb:seriesCount ?s } } GROUP BY ?m",
    "group by a value": "SELECT ?l (COUNT(*) AS ?n) { ?s ?p ?o } GROUP BY (STRLEN(STR(?p)) AS ?l)",
    "having": "SELECT ?m (COUNT(*) AS ?n) { ?c fb:manufacturer ?m } GROUP BY ?m HAVING (COUNT(*) > 3)",
    "aggregates": "SELECT (MIN(?n) AS ?a) (MAX(?n) AS ?b) (AVG(?n) AS ?c) (COUNT(DISTINCT ?n) AS ?d) { ?x fb:seriesCount ?n }",
    "group_concat": "SELECT ?d (GROUP_CONCAT(?k; SEPARATOR='|') AS ?all) { SELECT ?d ?k { ?d dcat:keyword ?k } ORDER BY ?d ?k } GROUP BY ?d",
    "sample": "SELECT (SAMPLE(?t) AS ?x) { ?d a fb:Node ; dct:identifier 'alpha' ; foaf:name ?t }",
    "aggregate over nothing": "SELECT (COUNT(*) AS ?n) (SUM(?x) AS ?s) (AVG(?x) AS ?a) { ?x a fb:Nothing }",
    "group over nothing": "SELECT ?x (COUNT(*) AS ?n) { ?x a fb:Nothing } GROUP BY ?x",
    "subquery": "SELECT ?d ?n { ?d a dcat:Dataset { SELECT ?d (COUNT(?c) AS ?n) { ?c fb:ofDataset ?d } GROUP BY ?d } }",
    "subquery with limit": "SELECT ?t { { SELECT ?d { ?d a dcat:Dataset } ORDER BY ?d LIMIT 1 } ?d dct:title ?t }",
    "order": "SELECT ?t { ?d dct:title ?t } ORDER BY ?t",
    "order descending": "SELECT ?n ?c { ?c fb:seriesCount ?n } ORDER BY DESC(?n) ASC(?c)",
    "order by a value": "SELECT DISTINCT ?o { ?s foaf:name|rdfs:label ?o } ORDER BY LCASE(?o)",
    "limit and offset": "SELECT ?c { ?c a fb:Stratum } ORDER BY ?c LIMIT 2 OFFSET 3",
    "limit none": "SELECT ?c { ?c a fb:Stratum } LIMIT 0",
    "casts": "SELECT (xsd:integer('7') AS ?a) (xsd:decimal('1.50') AS ?b) (xsd:double('1e3') AS ?c) (xsd:boolean('1') AS ?d) (xsd:string(7) AS ?e) {}",
    "cast that fails": "SELECT (xsd:integer('x') AS ?a) (COALESCE(xsd:integer('x'), 'none') AS ?b) {}",
    "numbers": "SELECT (1/3 AS ?a) (10 - 0.5 AS ?b) (2e0 * 3 AS ?c) (ROUND(2.5) AS ?d) (CEIL(2.1) AS ?e) (ABS(-4) AS ?f) (1/0 AS ?g) {}",
    "dates": "SELECT ?a ?y ?m { ?a prov:startedAtTime ?t BIND (YEAR(?t) AS ?y) BIND (MONTH(?t) AS ?m) FILTER (?t >= '2026-01-01T10:30:00Z'^^xsd:dateTime) }",
    "years": "SELECT ?d ?y { ?d dct:temporal/dcat:startDate ?y FILTER (?y < '2016'^^xsd:gYear) }",
    "date arithmetic": "SELECT (xsd:dateTime('2026-01-02T00:00:00Z') - xsd:dateTime('2026-01-01T00:00:00Z') AS ?d) {}",
    "bad date": "SELECT (xsd:dateTime('2026-13-45T00:00:00Z') AS ?a) (YEAR('not a date'^^xsd:dateTime) AS ?b) ('x'^^xsd:date AS ?c) {}",
    "language tags": "SELECT ?l (LANG(?l) AS ?g) { VALUES ?l { 'chat'@fr 'cat'@en-GB 'Katze'@de 'x' } FILTER (LANGMATCHES(LANG(?l), '*')) }",
    "strlang": "SELECT (STRLANG('a', 'en') AS ?a) (STRDT('1', xsd:integer) AS ?b) (LCASE('ÄÖ'@de) AS ?c) {}",
    "strings": "SELECT ?t (STRLEN(?t) AS ?n) (UCASE(?t) AS ?u) (SUBSTR(?t, 2, 4) AS ?s) { ?d a dcat:Dataset ; dct:title ?t }",
    "regex": "SELECT ?t { ?d dct:title ?t FILTER REGEX(?t, '^lung', 'i') }",
    "replace": "SELECT (REPLACE(?t, '[aeiou]', '*') AS ?x) { ?d dct:title ?t }",
    "contains": "SELECT ?t { ?d dct:title ?t FILTER (CONTAINS(?t, '🫁') || STRSTARTS(?t, 'Lung')) }",
    "unicode escapes": "SELECT ?t { ?d dct:title ?t FILTER (STRSTARTS(?t, '\\u00DCn\\u00efcode \\U0001FAC1')) }",
    "string escapes": "SELECT ('a\\tb\\n\\\"c\\\"\\\\' AS ?a) (\"it's\" AS ?b) ('''three 'quotes' here''' AS ?c) {}",
    "control characters": "SELECT ('a\\u0001\\u0000b' AS ?a) {}",
    "encode": "SELECT (ENCODE_FOR_URI(?t) AS ?x) (SHA256(?t) AS ?h) (MD5('abc') AS ?m) { ?d dct:title ?t }",
    "if and coalesce": "SELECT ?c (IF(BOUND(?n), ?n, 'withheld') AS ?x) { ?c a fb:Stratum OPTIONAL { ?c fb:seriesCount ?n } }",
    "kinds of terms": "SELECT ?p (isIRI(?o) AS ?i) (isLiteral(?o) AS ?l) (isNumeric(?o) AS ?n) (DATATYPE(?o) AS ?t) { ?d a dcat:Dataset ; ?p ?o }",
    "sameterm": "SELECT ?a ?b { ?a fb:seriesCount ?x . ?b fb:seriesCount ?y FILTER (SAMETERM(?x, ?y) && STR(?a) < STR(?b)) }",
    "blank nodes in patterns": "SELECT ?t { [] a fb:Model ; rdfs:label ?t . _:x dcat:keyword ?k }",
    "blank nodes made": "SELECT (BNODE() AS ?a) (isBlank(BNODE('x')) AS ?b) {}",
    "lists": "SELECT * { ?s rdf:rest*/rdf:first ?o }",
    "graph": "SELECT ?g ?d { GRAPH ?g { ?d a dcat:Dataset } }",
    "all graphs": "SELECT DISTINCT ?g { GRAPH ?g { ?s ?p ?o } }",
    "empty graph pattern": "SELECT ?g { GRAPH ?g {} }",
    "graph by name": f"SELECT ?p ?o {{ GRAPH <{LUNG_GRAPH}> {{ <{LUNGS}> ?p ?o }} }}",
    "graph beside default": "SELECT ?d ?n { ?d prov:wasAttributedTo ?x GRAPH ?g { ?x foaf:name ?n } }",
    "hidden graph by name": f"SELECT ?s {{ GRAPH <{SECRET_GRAPH}> {{ ?s ?p ?o }} }}",
    "hidden thing by name": f"SELECT ?p ?o {{ <{SECRET}> ?p ?o }}",
    "from": f"SELECT ?s ?p FROM <{LUNG_GRAPH}> {{ ?s ?p 'lung' }}",
    "from two": f"SELECT (COUNT(*) AS ?n) FROM <{LUNG_GRAPH}> FROM <{BRAIN_GRAPH}> {{ ?s ?p ?o }}",
    "from named": f"SELECT ?g ?d FROM NAMED <{LUNG_GRAPH}> FROM NAMED <{ODD_GRAPH}> {{ GRAPH ?g {{ ?d a dcat:Dataset }} }}",
    "from and from named": f"SELECT * FROM <{NODE_GRAPH}> FROM NAMED <{LUNG_GRAPH}> {{ ?x foaf:name ?n GRAPH ?g {{ ?d prov:wasAttributedTo ?x }} }}",
    "from named leaves the default empty": f"SELECT * FROM NAMED <{LUNG_GRAPH}> {{ ?s ?p ?o }}",
    "from what is not there": "SELECT * FROM <urn:nothing> { ?s ?p ?o }",
    "from what is hidden": f"SELECT * FROM <{SECRET_GRAPH}> FROM NAMED <{SECRET_GRAPH}> {{ {{ ?s ?p ?o }} UNION {{ GRAPH ?g {{ ?s ?p ?o }} }} }}",
    "ask": "ASK { ?d a dcat:Dataset }",
    "ask no": "ASK { ?d a fb:Nothing }",
    "ask from": f"ASK FROM <{NODE_GRAPH}> {{ ?d a dcat:Dataset }}",
    "construct": "CONSTRUCT { ?d dct:title ?t } { ?d a dcat:Dataset ; dct:title ?t }",
    "construct short": "CONSTRUCT WHERE { ?c fb:modality 'MR' }",
    "construct with blank nodes": "CONSTRUCT { [] rdfs:label ?t } { ?d dct:title ?t }",
    "construct of what is no triple": "CONSTRUCT { ?t rdfs:label ?d } { ?d dct:title ?t }",
    "construct in order": "CONSTRUCT { ?c fb:modality ?m } { ?c fb:modality ?m } ORDER BY ?c LIMIT 2",
    "describe": f"DESCRIBE <{LUNGS}>",
    "describe what is found": "DESCRIBE ?m { ?m a fb:Model }",
    "describe what is hidden": f"DESCRIBE <{SECRET}>",
    "nothing": "SELECT * {}",
    "comment": "# a comment with SELECT\nSELECT ?t # another\n{ ?d dct:title ?t }",
    "cross product": "SELECT ?a ?b { ?a a fb:Node . ?b a dcat:Dataset }",
}  # fmt: skip
DATASETS = [
    ((LUNG_GRAPH,), ()),
    ((LUNG_GRAPH, BRAIN_GRAPH), ()),
    ((), (LUNG_GRAPH, ODD_GRAPH)),
    ((NODE_GRAPH,), (LUNG_GRAPH,)),
    ((SECRET_GRAPH,), (SECRET_GRAPH,)),
    ((SECRET_GRAPH, ODD_GRAPH), (SECRET_GRAPH, ODD_GRAPH)),
    (("urn:nothing",), ("urn:nothing",)),
]


@pytest.fixture(scope="module")
def hub(two_datasets: Hub, record_of: Callable[..., DatasetRecord]) -> Hub:
    """Two usual datasets, one with an odd text and one that is hidden."""
    key = SigningKey.generate()
    with writing(two_datasets.engine) as session:
        token = nodes.invite(session, two_datasets, actor="admin")
    nodes.enrol(
        two_datasets, nodes.Enrolment(node="gamma", key=key.key_id, token=token, title="Gamma & sons")
    )
    for dataset, changes in (
        (
            "odd",
            {"title": ODD_TITLE, "keywords": ("Lunge", "poumon"), "contact": None, "acquired_from": None},
        ),
        ("secret", {"title": "Canary of the hidden record"}),
    ):
        record, sealed = DatasetRecord.open(
            record_of("gamma", dataset, **changes).seal(key), trusted=[key.key_id]
        )
        with writing(two_datasets.engine) as session:
            records.publish(session, two_datasets, record, sealed)
    with writing(two_datasets.engine) as session:
        hidden = records.Visibility.HIDDEN
        records.set_visibility(session, two_datasets, iri=SECRET, visibility=hidden, actor="admin")
        accounts.create_account(
            session, two_datasets, name="carla", password="correct horse battery", roles=[Role.ADMIN]
        )
    projector = Projector(two_datasets)
    assert projector.open()
    projector.project()
    projector.close()
    return two_datasets  # fmt: skip


@pytest.fixture(scope="module")
def client(hub: Hub) -> TestClient:
    return TestClient(create_app(hub), base_url=BASE, raise_server_exceptions=False)


@pytest.fixture(scope="module")
def member(hub: Hub) -> dict[str, str]:
    with writing(hub.engine) as session:
        token = accounts.issue_token(session, hub, name="carla").token
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture(scope="module", params=["stranger", "administrator"])
def asking(
    request: pytest.FixtureRequest, hub: Hub, client: TestClient, member: dict[str, str]
) -> tuple[Callable[..., Any], ox.Store]:
    """How a caller asks the hub, and a store that holds what this caller may see."""
    headers = member if request.param == "administrator" else {}
    hidden = set() if request.param == "administrator" else {SECRET_GRAPH}
    alone = ox.Store()
    snapshot = ox.Store.read_only(str(hub.rdf / CURRENT))
    for quad in snapshot.quads_for_pattern(None, None, None, None):
        # Strangers see nothing of the audit log; administrators see all of it.
        if request.param == "stranger" and "/graphs/audit/" in str(quad.graph_name):
            continue
        if quad.graph_name.value not in hidden:
            alone.add(quad)
            alone.add(ox.Quad(quad.subject, quad.predicate, quad.object))

    def ask(query: str, graphs: list[tuple[str, str]] = [], **more: str) -> Any:  # noqa: B006
        fields: dict[str, Any] = {"query": query}
        for name, iri in graphs:
            fields.setdefault(name, []).append(iri)
        answer = client.post("/sparql", data=fields, headers={**headers, **more})
        assert answer.status_code == 200, answer.text
        return answer

    return ask, alone


def differences(found: Iterable[Any], expected: Iterable[Any]) -> list[Any]:
    """Return the first rows that only one of the two has; pytest would compare thousands of them for minutes."""
    one, other = Counter(found), Counter(expected)
    return [*(("more", each) for each in one - other), *(("missing", each) for each in other - one)][:5]


@pytest.mark.parametrize("query", QUERIES.values(), ids=list(QUERIES))
def test_a_query_means_what_it_means_to_the_engine_alone(
    asking: tuple[Callable[..., Any], ox.Store], query: str
) -> None:
    ask, alone = asking
    expected = of_engine(alone.query(query, prefixes=PREFIXES))
    found = of_answer(ask(query))
    assert differences(found, expected) == []
    assert in_order(found, query) == in_order(expected, query)


@pytest.mark.parametrize(("default", "named"), DATASETS)
@pytest.mark.parametrize(
    "name", ["everything", "count", "graph", "all graphs", "graph beside default", "from"]
)
def test_the_dataset_of_the_request_means_the_same(
    asking: tuple[Callable[..., Any], ox.Store], name: str, default: tuple[str, ...], named: tuple[str, ...]
) -> None:  # fmt: skip
    ask, alone = asking
    graphs = [*(("default-graph-uri", iri) for iri in default), *(("named-graph-uri", iri) for iri in named)]
    nowhere = [ox.NamedNode("urn:of:nothing")]
    expected = alone.query(
        QUERIES[name],
        prefixes=PREFIXES,
        default_graph=[ox.NamedNode(iri) for iri in default] or nowhere,
        named_graphs=[ox.NamedNode(iri) for iri in named] or nowhere,
    )
    assert differences(of_answer(ask(QUERIES[name], graphs)), of_engine(expected)) == []


@pytest.mark.parametrize("media_type", ["application/sparql-results+xml", "text/tab-separated-values"])
@pytest.mark.parametrize(
    "name", ["everything", "strings", "language tags", "casts", "kinds of terms", "bad date"]
)
def test_rows_mean_the_same_in_each_format(
    asking: tuple[Callable[..., Any], ox.Store], name: str, media_type: str
) -> None:  # fmt: skip
    ask, alone = asking
    answer = ask(QUERIES[name], Accept=media_type)
    assert differences(of_answer(answer), of_engine(alone.query(QUERIES[name], prefixes=PREFIXES))) == []


def test_the_corpus_is_of_some_size_and_finds_something(asking: tuple[Callable[..., Any], ox.Store]) -> None:
    _, alone = asking
    empty = [name for name, query in QUERIES.items() if not of_engine(alone.query(query, prefixes=PREFIXES))]
    assert len(QUERIES) >= 60
    assert len(empty) < 15, empty


def test_what_is_hidden_is_seen_by_the_committee_only(client: TestClient, member: dict[str, str]) -> None:
    query = {"query": QUERIES["hidden thing by name"]}
    rows = [
        len(client.post("/sparql", data=query, headers=headers).json()["results"]["bindings"])
        for headers in ({}, member)
    ]
    assert rows[0] == 0 < rows[1]


def of_answer(answer: Any) -> list[tuple[Any, ...]]:
    media_type = answer.headers["content-type"].partition(";")[0]
    if media_type == "text/turtle":
        found = ox.parse(answer.content, format=ox.RdfFormat.TURTLE)
        return [bare((each.subject, each.predicate, each.object)) for each in found]
    if media_type.endswith("+xml"):
        return of_xml(answer.content)
    form = ox.QueryResultsFormat.from_media_type(media_type)
    return of_engine(ox.parse_query_results(answer.content, format=form))


def of_xml(content: bytes) -> list[tuple[Any, ...]]:
    # Read here: the engine's reader takes white space off the ends of a literal.
    names = sorted(each.get("name", "") for each in ElementTree.fromstring(content).iter(f"{XML}variable"))
    rows = []
    for result in ElementTree.fromstring(content).iter(f"{XML}result"):
        bound = {each.get("name"): term_of(each[0]) for each in result}
        rows.append((*names, *bare(bound.get(name) for name in names)))
    return rows


def term_of(element: ElementTree.Element) -> Any:
    text, language = element.text or "", element.get(LANGUAGE)
    if element.tag == f"{XML}uri":
        return ox.NamedNode(text)
    if element.tag == f"{XML}bnode":
        return ox.BlankNode(text)
    if language:
        return ox.Literal(text, language=language)
    datatype = element.get("datatype")
    return ox.Literal(text, datatype=ox.NamedNode(datatype)) if datatype else ox.Literal(text)


def of_engine(result: Any) -> list[tuple[Any, ...]]:
    if isinstance(result, ox.QueryBoolean):
        return [(bool(result),)]
    if isinstance(result, ox.QueryTriples):
        # A graph is a set.
        return [bare(triple) for triple in {(each.subject, each.predicate, each.object) for each in result}]
    names = sorted(variable.value for variable in result.variables)
    return [(*names, *bare(row[name] for name in names)) for row in result]


def bare(terms: Any) -> tuple[Any, ...]:
    """Return terms with the labels of blank nodes taken off."""
    return tuple("_:" if isinstance(term, ox.BlankNode) else term for term in terms)


def in_order(rows: list[tuple[Any, ...]], query: str) -> object:
    is_ordered = query.startswith("SELECT") and "} ORDER BY" in query
    return rows if is_ordered else Counter(rows)
