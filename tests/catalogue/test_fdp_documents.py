"""Bodies that are RDF, what a document may speak about, and the gate of shapes; judged by a SHACL engine as well."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence

import pyoxigraph as ox
import pyshacl
import pytest
from rdflib import Graph, Literal, URIRef
from rdflib.namespace import DCTERMS, FOAF, RDF, Namespace

from fairbank.catalogue import fdp_document, rdf_bodies, shacl_gate
from fairbank.catalogue.errors import (
    CatalogueError,
    DocumentRefused,
    RdfMalformed,
    RdfUnsupported,
    ShapesViolated,
)
from fairbank.catalogue.fdp_document import Place
from fairbank.ontology.profiles import shapes
from fairbank.ontology.profiles.fdp_described import DESCRIBED, Kind
from fairbank.ontology.profiles.fdp_layers import LAYERS
from fairbank.ontology.profiles.rows import Profile

BASE = "http://hub.test"
IRI = f"{BASE}/dataset/019b76da-a800-7000-8000-000000000001"
PLACE = Place(Kind.DATASET, IRI, BASE)
SH = Namespace("http://www.w3.org/ns/shacl#")
TURTLE = "text/turtle"
JSON_LD = "application/ld+json"
XML = "application/rdf+xml"
TYPED = "<> a <http://www.w3.org/ns/dcat#Dataset> ."
RDF_XML = '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:e="http://e.test/">'
PREFIXES = """\
@prefix dct: <http://purl.org/dc/terms/> .
@prefix dcat: <http://www.w3.org/ns/dcat#> .
@prefix foaf: <http://xmlns.com/foaf/0.1/> .
@prefix fdp-o: <https://w3id.org/fdp/fdp-o#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
@prefix fb: <https://w3id.org/fairbank/terms#> .
@prefix qb: <http://purl.org/linked-data/cube#> .
"""


def read(text: str | bytes, content_type: str | None = TURTLE) -> list[ox.Triple]:
    return rdf_bodies.read(text.encode() if isinstance(text, str) else text, content_type, base_iri=IRI)


def prepared(text: str, place: Place = PLACE) -> list[ox.Triple]:
    return fdp_document.prepared(read(PREFIXES + text), place)


def refusal(act: Callable[[], object], of: type[CatalogueError]) -> CatalogueError:
    with pytest.raises(of) as caught:
        act()
    error = caught.value
    assert error.what and error.why and error.todo
    return error


# -- bodies --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (None, "<> <http://p.test/p> 'x' ."),
        ("text/turtle;charset=UTF-8", "<> <http://p.test/p> 'x' ."),
        ("Text/N3", "<> <http://p.test/p> 'x' ."),
        ("application/n-triples", f'<{IRI}> <http://p.test/p> "x" .'),
        (JSON_LD, '{"@id": "", "http://p.test/p": "x"}'),
        (
            XML,
            f'{RDF_XML}<rdf:Description rdf:about="" xmlns:p="http://p.test"><p:_/></rdf:Description></rdf:RDF>',
        ),
    ],
)
def test_formats_that_are_read(content_type: str | None, body: str) -> None:
    (triple,) = read(body, content_type)
    assert triple.subject == ox.NamedNode(IRI)


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "text/html", "application/trig", "application/n-quads", "multipart/form-data",
     "text/turtle; charset=latin-1", "", " ", "text/turtle, text/n3", "x" * 5000],
)  # fmt: skip
def test_other_types_are_refused(content_type: str) -> None:
    if content_type == "":
        content_type = ";"
    assert (
        refusal(lambda: read("<> <http://p.test/p> 1 .", content_type), RdfUnsupported).kind.http_status
        == 415
    )


@pytest.mark.parametrize(
    ("content_type", "body", "line"),
    [
        (TURTLE, "<> <http://p.test/p> 1 .\n\n<> <http://p.test/>", 3),
        (TURTLE, "@prefix a: <http://a.test/> .\nb:c b:d b:e .", 2),
        ("application/n-triples", f'<{IRI}> <http://p.test/p> "x" .\n<> <p> <q> .', 2),
        (JSON_LD, '{"@id": "",\n "http://p.test/": }', 2),
        (XML, f"{RDF_XML}\n\n<rdf:Description></rdf:RDF>", 3),
    ],
)
def test_what_cannot_be_parsed_is_told_with_its_line(content_type: str, body: str, line: int) -> None:
    error = refusal(lambda: read(body, content_type), RdfMalformed)
    assert f"in line {line}" in error.what


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (TURTLE, b"<> <http://p.test/> '\xff' ."),
        (TURTLE, b"\x00" * 100),
        (JSON_LD, b"\xff{}"),
        (JSON_LD, b'{"http://p.test/": NaN}'),
        (JSON_LD, b'{"http://p.test/": ' + b"9" * 10_000 + b"}"),
        (JSON_LD, b'{"http://p.test/": "\\ud800"}'),
        (JSON_LD, b"[" * 200_000),
        (JSON_LD, b'"text"' * 2),
        (XML, "<?xml version='1.0' encoding='utf-16'?><a/>".encode("utf-16")),
        (XML, b""),
        (XML, b"{}"),
    ],
)
def test_bytes_that_are_no_text_of_the_format_are_refused(content_type: str, body: bytes) -> None:
    with pytest.raises((RdfMalformed, DocumentRefused)):
        read(body, content_type)


def nested(levels: int) -> str:
    return '{"http://p.test/": ' * levels + "1" + "}" * levels


ENTITIES = "".join(f'<!ENTITY a{n + 1} "&a{n};&a{n};">' for n in range(40))


@pytest.mark.parametrize(
    ("content_type", "body", "word"),
    [
        (JSON_LD, nested(500), "deep"),
        (JSON_LD, json.dumps({"@context": {f"t{n}": f"t{n + 1}:x" for n in range(5000)}, "t0:a": 1}), "contexts"),
        (JSON_LD, json.dumps([{"@context": [{f"t{n}": "http://t.test/"}]} for n in range(600)]), "contexts"),
        (JSON_LD, '{"@context": "http://127.0.0.1:9/context.jsonld"}', "elsewhere"),
        (JSON_LD, '{"@context": [{"a": "http://a.test/"}, "http://127.0.0.1:9/"]}', "elsewhere"),
        (JSON_LD, '{"\\u0040context": {"@import": "http://127.0.0.1:9/"}}', "elsewhere"),
        (JSON_LD, '{"@context": {"a": {"@id": "http://a.test/", "@context": "http://127.0.0.1:9/"}}}', "elsewhere"),
        (JSON_LD, f'{{"@id": "{IRI}#g", "@graph": [{{"@id": "", "http://p.test/": 1}}]}}', "named graphs"),
        (XML, f'<!DOCTYPE r [<!ENTITY a0 "x">{ENTITIES}]>{RDF_XML}<rdf:Description rdf:about=""><e:p>&a40;</e:p>'
              "</rdf:Description></rdf:RDF>", "DOCTYPE"),
        (XML, f'<!DOCTYPE r SYSTEM "http://127.0.0.1:9/r.dtd">{RDF_XML}</rdf:RDF>', "DOCTYPE"),
        (XML, RDF_XML + "<rdf:Description><e:p>" * 20_000, "deep"),
        (TURTLE, "<> <http://p.test/> " + ", ".join(map(str, range(5001))) + " .", "5000 triples"),
        (TURTLE, "<> <http://p.test/> <<( <> <http://p.test/> 1 )>> .", "triple"),
        (TURTLE, "<> <http://p.test/> 'a\\u0000b' .", "NUL"),
        (TURTLE, "<> <http://p.test/> 'a\x00b' .", "NUL"),
        (JSON_LD, '{"@id": "", "http://p.test/": "a\\u0000b"}', "NUL"),
        (TURTLE, "<> <http://p.test/p> '" + "a" * 20_001 + "' .", "longer"),
        (TURTLE, "<> <http://p.test/p> 'a'@en--ltr .", "direction"),
        (TURTLE, "<> <http://p.test/p> 'a\\u0001b' .", "RDF/XML"),
        (TURTLE, "<> <http://p.test/p> 'a\\uFFFFb' .", "RDF/XML"),
        (TURTLE, "<> <http://p.test/1> 'a' .", "RDF/XML"),
        (TURTLE, "<> <http://p.test/?a=1&b=2> 'a' .", "RDF/XML"),
        (TURTLE, "<> a <http://p.test/> .", "RDF/XML"),
        (TURTLE, "<> <http://www.w3.org/1999/02/22-rdf-syntax-ns#li> 'a' .", "RDF/XML"),
    ],
)  # fmt: skip
def test_what_would_harm_a_reader_is_refused(content_type: str, body: str, word: str) -> None:
    assert word in refusal(lambda: read(body, content_type), DocumentRefused).what


@pytest.mark.parametrize(
    ("value", "datatype"),
    [
        ("2024-13-45", "date"), ("2024-02-30", "date"), ("yesterday", "date"), ("", "date"), ("24:00", "dateTime"),
        ("2024-01-01", "dateTime"), ("2024-01-01T25:00:00Z", "dateTime"), ("MMXX", "gYear"), ("1.5", "integer"),
        ("many", "nonNegativeInteger"), ("-1", "nonNegativeInteger"), ("yes", "boolean"), ("1,5", "decimal"),
        ("9" * 5000, "integer"),
    ],
)  # fmt: skip
def test_values_that_are_not_what_they_say_are_refused(value: str, datatype: str) -> None:
    body = f"<> <http://p.test/p> '{value}'^^<http://www.w3.org/2001/XMLSchema#{datatype}> ."
    assert datatype in refusal(lambda: read(body), DocumentRefused).what


@pytest.mark.parametrize(
    ("value", "datatype"),
    [
        ("2024-02-29", "date"), ("2024-01-01Z", "date"), ("2024-01-01T10:00:00", "dateTime"),
        ("2024-01-01T10:00:00.123+01:00", "dateTime"), ("2024", "gYear"), ("2024-05", "gYearMonth"), ("-7", "integer"),
        ("true", "boolean"), ("1.50", "decimal"), ("P1Y2M", "duration"), ("1e3", "double"), ("5", "nonNegativeInteger"),
    ],
)  # fmt: skip
def test_good_values_pass(value: str, datatype: str) -> None:
    assert len(read(f"<> <http://p.test/p> '{value}'^^<http://www.w3.org/2001/XMLSchema#{datatype}> .")) == 1


# -- what a document speaks about ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "0 resources"),
        ("<> dct:title 'x' .", "0 resources"),
        ("<> a dcat:Catalog .", "0 resources"),
        ("<http://a.test/> a dcat:Dataset . <http://b.test/> a dcat:Dataset .", "2 resources"),
        ("[] a dcat:Dataset . [] a dcat:Dataset .", "2 resources"),
        (f"<{BASE}/datasets/alpha/lungs> a dcat:Dataset .", "speaks about"),
        (f"<{BASE}/dataset/019b76da-a800-7000-8000-0000000000ff> a dcat:Dataset .", "speaks about"),
        (f"<{BASE}/> a dcat:Dataset .", "speaks about"),
        (f"<{BASE}#x> a dcat:Dataset .", "speaks about"),
        (f"{TYPED} <{BASE}/datasets/alpha/lungs> dct:title 'Taken over' .", "another record"),
        (f"{TYPED} <{BASE}/datasets/alpha/lungs#publisher> foaf:name 'Taken over' .", "another record"),
        (f"{TYPED} <{IRI}0#x> foaf:name 'A neighbour' .", "another record"),
        (f"{TYPED} <{IRI}?version=1> foaf:name 'A version' .", "another record"),
        (f"{TYPED} <https://orcid.org/0000> a foaf:Agent ; foaf:name 'Somebody' .", "not its own"),
        ("<http://a.test/d> a dcat:Dataset . <http://a.test/d/part> dct:title 'x' .", "not its own"),
        (f"{TYPED} <> fb:subjectCount 100000 .", "only records of nodes"),
        (f"{TYPED} <#s> a fb:Stratum ; dct:title 'x' .", "only records of nodes"),
        (f"{TYPED} <#s> a qb:Observation .", "only records of nodes"),
        (f"{TYPED} <#s> qb:dataSet <{BASE}/datasets/alpha/lungs#cube> .", "only records of nodes"),
        (f"{TYPED} <#c> a dcat:Catalog .", "second resource"),
        (f"{TYPED} <#c> a fdp-o:FAIRDataPoint .", "second resource"),
    ],
)
def test_a_document_speaks_of_one_resource_only(text: str, word: str) -> None:
    assert word in refusal(lambda: prepared(text), DocumentRefused).what


def test_a_link_to_another_record_is_kept() -> None:
    kept = prepared(f"{TYPED} <> dct:relation <{BASE}/datasets/alpha/lungs> .")
    assert fdp_document.texts(kept, IRI, str(DCTERMS.relation)) == [f"{BASE}/datasets/alpha/lungs"]


def test_what_only_the_hub_says_is_left_out() -> None:
    said = f"""<> a dcat:Dataset, <http://www.w3.org/ns/ldp#DirectContainer> ; dct:title 'x' ;
        <http://www.w3.org/ns/ldp#contains> <{BASE}/distribution/1> ;
        dcat:distribution <{BASE}/distribution/1>, <#own> ;
        fdp-o:metadataIssued '1999-01-01T00:00:00Z'^^xsd:dateTime ; dct:hasVersion '7' ;
        dct:conformsTo <{BASE}/profile/fdp-1.2-described-dataset>, <http://standard.test/> ."""
    kept = prepared(said, Place(Kind.DATASET, IRI, BASE, version="7"))
    assert {(each.predicate.value.rpartition("/")[2], str(each.object)) for each in kept} == {
        ("22-rdf-syntax-ns#type", "<http://www.w3.org/ns/dcat#Dataset>"),
        ("title", '"x"'),
        ("dcat#distribution", f"<{IRI}#own>"),
        ("conformsTo", "<http://standard.test/>"),
    }
    said_itself = prepared("<> a dcat:Dataset ; dct:hasVersion '7' .")
    assert any(each.predicate == fdp_document.VERSION for each in said_itself)


@pytest.mark.parametrize("name", ["p", "a_b-c.d", "été", "x1", "a/b#c", "p%20q"])
def test_a_property_that_passes_can_be_read_in_every_format(name: str) -> None:
    triples = read(f"<> <http://p.test/{name}> 'a & b < c' .")
    for form, parser in (
        (ox.RdfFormat.RDF_XML, "xml"),
        (ox.RdfFormat.TURTLE, "turtle"),
        (ox.RdfFormat.JSON_LD, "json-ld"),
    ):
        graph = Graph().parse(data=ox.serialize(triples, format=form), format=parser)
        assert list(graph) == [(URIRef(IRI), URIRef(f"http://p.test/{name}"), Literal("a & b < c"))]


def test_preparing_again_changes_nothing() -> None:
    creator = "[ foaf:name 'A' ; foaf:knows [ foaf:name 'B' ] ]"
    text = f"[] a dcat:Dataset ; dct:title 'x'@en, 'y'@de ; dct:creator {creator} ."
    once = prepared(text)
    assert fdp_document.prepared(once, PLACE) == once
    assert fdp_document.read(fdp_document.written(once)) == once
    assert not [each for triple in once for each in triple if isinstance(each, ox.BlankNode)]


# -- the gate ------------------------------------------------------------------------------------------------------

WHOLE = """
<> a dcat:{of_class} ; dct:title 'Title' ; dct:hasVersion '1' ; dct:isPartOf <http://hub.test/> ; dct:publisher <#me> ;
   dct:conformsTo <http://hub.test/profile/x> ; fdp-o:metadataIdentifier <#metadata> ;
   fdp-o:metadataIssued '2026-01-01T00:00:00Z'^^xsd:dateTime ;
   fdp-o:metadataModified '2026-01-01T00:00:00Z'^^xsd:dateTime ;
   dct:description 'Text' ;
   dct:license <http://licence.test/> ; dct:issued '2026' ; dct:modified '2026-01-02'^^xsd:date ;
   dct:accessRights <http://publications.europa.eu/resource/authority/access-right/RESTRICTED> ;
   dcat:keyword 'a', 'b' ; dcat:theme <http://theme.test/> ; dcat:mediaType 'application/dicom' ;
   dcat:accessURL <http://files.test/> ; dcat:contactPoint <#me> ; dcat:landingPage <http://page.test/> .
<#me> a foaf:Agent ; foaf:name 'Me' .
"""


def whole(kind: Kind) -> Graph:
    text = PREFIXES + WHOLE.replace("{of_class}", kind.value.capitalize())
    return Graph().parse(data=text, format="turtle", publicID=IRI)


def ours(profile: Profile, graph: Graph) -> set[tuple[str, ...]]:
    triples = rdf_bodies_of(graph)
    return {
        (each.focus, each.component, each.severity.value, each.shape)
        for each in shacl_gate.results(profile, triples)
    }


def rdf_bodies_of(graph: Graph) -> Sequence[ox.Triple]:
    text = graph.serialize(format="nt", encoding="utf-8")
    return [quad.triple for quad in ox.parse(text, format=ox.RdfFormat.N_TRIPLES)]


def theirs(profile: Profile, graph: Graph) -> set[tuple[str, ...]]:
    wanted = Graph().parse(data=shapes.turtle(profile), format="turtle")
    _, report, _ = pyshacl.validate(graph, shacl_graph=wanted)
    return {
        (
            str(report.value(each, SH.focusNode)),
            str(report.value(each, SH.sourceConstraintComponent)).rpartition("#")[2],
            str(report.value(each, SH.resultSeverity)).rpartition("#")[2],
            str(report.value(each, SH.sourceShape)),
        )
        for each in report.subjects(RDF.type, SH.ValidationResult)
    }


def mutated(graph: Graph, rng: random.Random) -> Graph:
    """Return a document with a few things missing, doubled, or of another form."""
    triples = sorted(graph)
    for subject, path, value in rng.sample(triples, k=rng.randint(1, 4)):
        how = rng.choice(["drop", "double", "text", "link", "number", "retype"])
        if how in ("drop", "text", "link", "number"):
            graph.remove((subject, path, value))
        if how == "double":
            graph.add(
                (
                    subject,
                    path,
                    Literal("another") if isinstance(value, Literal) else URIRef("http://other.test/"),
                )
            )
        if how == "text":
            graph.add((subject, path, Literal("a text", lang=rng.choice([None, "en"]))))
        if how == "link":
            graph.add((subject, path, URIRef("http://link.test/")))
        if how == "number":
            graph.add((subject, path, Literal(7)))
        if how == "retype":
            graph.set((URIRef(f"{IRI}#me"), RDF.type, FOAF.Organization))
    return graph


@pytest.mark.parametrize("kind", Kind)
def test_a_whole_document_passes(kind: Kind) -> None:
    assert ours(DESCRIBED[kind], whole(kind)) == theirs(DESCRIBED[kind], whole(kind)) == set()


@pytest.mark.parametrize("kind", Kind)
def test_leaving_out_what_is_mandatory_gives_exactly_that_result(kind: Kind) -> None:
    profile = DESCRIBED[kind]
    for row in profile.tables[0].rows:
        if row.severity is None:
            continue
        graph = whole(kind)
        for path in row.paths:
            graph.remove((URIRef(IRI), URIRef(path), None))
        shape = shapes.presence_shape(profile, profile.tables[0], row)
        assert ours(profile, graph) == {(IRI, "MinCountConstraintComponent", row.severity.value, shape)}


@pytest.mark.parametrize(
    "profile", [*DESCRIBED.values(), *(LAYERS[name] for name in ("fdp-1.2", "fdp-1.2-catalog"))]
)
def test_the_gate_and_a_shacl_engine_agree(profile: Profile) -> None:
    kinds = {"Catalog": Kind.CATALOG, "Dataset": Kind.DATASET, "Distribution": Kind.DISTRIBUTION}
    kind = kinds[profile.tables[0].name]
    rng = random.Random(20261125)
    seen = set()
    for _ in range(40):
        graph = mutated(whole(kind), rng)
        found = ours(profile, graph)
        assert found == theirs(profile, graph), graph.serialize()
        seen |= {component for _, component, _, _ in found}
    assert seen >= {"MinCountConstraintComponent", "NodeKindConstraintComponent"}


def test_the_report_is_one_of_shacl() -> None:
    graph = whole(Kind.DATASET)
    graph.remove((URIRef(IRI), DCTERMS.title, None))
    graph.add((URIRef(IRI), DCTERMS.license, Literal("a text")))
    with pytest.raises(ShapesViolated) as caught:
        shacl_gate.check(DESCRIBED[Kind.DATASET], rdf_bodies_of(graph))
    error = caught.value
    problem = error.problem()
    assert {each["path"] for each in problem["results"]} == {str(DCTERMS.title), str(DCTERMS.license)}
    found = [each for each in error.results if isinstance(each, shacl_gate.Result)]
    for media_type, name in (
        (TURTLE, "turtle"),
        (JSON_LD, "json-ld"),
        (XML, "xml"),
        ("application/n-triples", "nt"),
    ):
        report = Graph().parse(data=shacl_gate.report(found, media_type), format=name)
        (whole_report,) = report.subjects(RDF.type, SH.ValidationReport)
        assert report.value(whole_report, SH.conforms) == Literal(False)
        results = list(report.objects(whole_report, SH.result))
        assert {report.value(each, SH.resultPath) for each in results} == {DCTERMS.title, DCTERMS.license}
        assert {report.value(each, SH.focusNode) for each in results} == {URIRef(IRI)}
        assert [report.value(each, SH.value) for each in results if report.value(each, SH.value)] == [
            Literal("a text")
        ]
