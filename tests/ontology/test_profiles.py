"""The export profiles: documents, shapes and scorecards come from one table, so they have to agree."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from rdflib import Graph, Namespace, URIRef

from fairbank.ontology.counts import Count
from fairbank.ontology.errors import UnknownProfile
from fairbank.ontology.profiles import namespaces as ns
from fairbank.ontology.profiles import shapes
from fairbank.ontology.profiles.document import triples
from fairbank.ontology.profiles.facts import SUBJECTS, Facts, Iri, Literal, Triple
from fairbank.ontology.profiles.judging import State
from fairbank.ontology.profiles.listing import PROFILES, profile_named
from fairbank.ontology.profiles.rows import Profile, Row, Severity, Table
from fairbank.ontology.profiles.scorecard import left, scorecard
from fairbank.ontology.profiles.values import FIELDS, VALUES, field_of
from fairbank.ontology.record import AccessRights, DatasetRecord, Distribution, HowKnown, Totals
from fairbank.ontology.stewardship import Stewardship
from fairbank.ontology.terms import DCAT, DCT, FB, access_right

SH = Namespace("http://www.w3.org/ns/shacl#")
NAMES = list(PROFILES)
Make = Callable[..., Any]
R8 = [name for name in NAMES if name.startswith("healthdcat")]


def results(data: Graph, shapes_graph: Graph) -> Iterator[tuple[str, str, str]]:
    """Yield focus, source shape and severity of each result of a validation."""
    from pyshacl import validate

    _, report, _ = validate(data, shacl_graph=shapes_graph, advanced=False, inference="none")
    assert isinstance(report, Graph)
    for result in report.subjects(SH.resultSeverity, None):
        focus, shape = report.value(result, SH.focusNode), report.value(result, SH.sourceShape)
        severity = str(report.value(result, SH.resultSeverity)).removeprefix(str(SH))
        yield str(focus), str(shape), severity


def mandatory(profile: Profile) -> list[tuple[Table, Row]]:
    return [(table, row) for table, row in profile.rows() if row.severity is Severity.VIOLATION]


# -- the tables ------------------------------------------------------------------------------------------------------


def test_every_row_names_a_value_function_and_every_function_has_a_row() -> None:
    used = {row.value for profile in PROFILES.values() for _, row in profile.rows() if not row.only_checks}
    assert used == set(VALUES)


def test_every_field_of_a_curator_is_in_a_profile() -> None:
    asked = {field_of(table, row) for profile in PROFILES.values() for table, row in profile.rows()}
    fields = {word for field in asked for word in field.split(", ")} | {
        FIELDS["page"],
        FIELDS["access_condition"],
    }
    assert sorted(set(Stewardship.model_fields) - fields) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_resource_has_each_property_once(name: str) -> None:
    for table in PROFILES[name].tables:
        paths = [row.paths for row in table.rows]
        assert len(paths) == len(set(paths)), table.name


def test_an_unknown_profile_is_told_with_those_there_are() -> None:
    with pytest.raises(UnknownProfile) as refused:
        profile_named("healthdcat-ap-r5")
    assert all(name in refused.value.why for name in NAMES)


# What each standard asks of a dataset, written down apart from the tables.
_R8_ALWAYS = """dct:title dct:description dct:accessRights dcatap:applicableLegislation dcat:distribution dct:identifier
    dcat:theme healthdcatap:hdab healthdcatap:healthCategory healthdcatap:hasStructuredData"""
_R8_RECOMMENDED = """healthdcatap:analytics healthdcatap:hasCodeValues healthdcatap:hasCodingSystem
    healthdcatap:healthTheme dpv:hasLegalBasis healthdcatap:minTypicalAge healthdcatap:maxTypicalAge
    healthdcatap:numberOfRecords healthdcatap:numberOfUniqueIndividuals dpv:hasPersonalData
    healthdcatap:populationCoverage dpv:hasPurpose dqv:hasQualityAnnotation healthdcatap:retentionPeriod adms:sample
    geodcatap:custodian"""
_R8_NON_PUBLIC = """dct:conformsTo foaf:page dct:accrualPeriodicity dct:isReferencedBy dct:language dct:source
    dcat:temporalResolution dcat:landingPage dct:relation dct:temporal"""
_DCAT_AP_RECOMMENDED = "dct:publisher dct:spatial dct:temporal"
ASKED = {
    "dcat-ap-3.0.1": (
        "dct:title dct:description",
        "dcat:contactPoint dcat:distribution dcat:keyword dcat:theme dct:publisher dct:spatial dct:temporal",
    ),
    "healthdcat-ap-r8-non-public": (
        f"{_R8_ALWAYS} dcat:contactPoint dcat:keyword dct:type dct:provenance",
        f"{_R8_RECOMMENDED} {_R8_NON_PUBLIC} {_DCAT_AP_RECOMMENDED}",
    ),
    "healthdcat-ap-r8-restricted": (
        _R8_ALWAYS,
        f"{_R8_RECOMMENDED} {_DCAT_AP_RECOMMENDED} dcat:contactPoint dcat:keyword",
    ),
    "healthdcat-ap-r8-public": (
        _R8_ALWAYS,
        f"{_R8_RECOMMENDED} {_DCAT_AP_RECOMMENDED} dcat:contactPoint dcat:keyword",
    ),
    "eucaim-dcat-ap-2.0": (
        f"""{_R8_ALWAYS} dcat:version eucaim:interoperabilityLevel dcat:contactPoint dct:type dct:publisher
        healthdcatap:numberOfUniqueIndividuals healthdcatap:numberOfRecords eucaim:hasBirthSex eucaim:hasCondition
        eucaim:collectionMethod eucaim:hasImageModality eucaim:hasEquipmentManufacturer eucaim:hasImageBodyPart
        dcat:keyword dct:provenance""",
        """foaf:page healthdcatap:healthTheme dpv:hasLegalBasis dpv:hasPurpose dpv:hasPersonalData
        healthdcatap:retentionPeriod healthdcatap:minTypicalAge healthdcatap:maxTypicalAge
        healthdcatap:populationCoverage dct:temporal healthdcatap:hasCodingSystem healthdcatap:hasCodeValues
        geodcatap:custodian""",
    ),
    "fdp-1.2": (
        "dct:title dct:publisher dct:hasVersion dcat:theme",
        "dct:conformsTo fdp-o:metadataIdentifier fdp-o:metadataIssued fdp-o:metadataModified",
    ),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_dataset_is_asked_for_what_the_standard_asks(name: str) -> None:
    rows = [row for table, row in PROFILES[name].rows() if table.name == "Dataset"]
    for severity, words in zip((Severity.VIOLATION, Severity.WARNING), ASKED[name], strict=True):
        asked = {ns.compact(row.path) for row in rows if row.severity is severity}
        assert asked == set(words.split()), severity


# -- documents -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_the_same_record_gives_the_same_document_without_blank_nodes(name: str, facts: Make) -> None:
    made, again = triples(PROFILES[name], facts(name)), triples(PROFILES[name], facts(name))
    assert made == again and len(made) == len(set(made)) > 20
    assert all(re.match(r"(https?|mailto):", value.value) for _, _, value in made if isinstance(value, Iri))
    assert {subject.partition("#")[0] for subject, _, _ in made} == {"https://hub.test/datasets/alpha/lungs"}


@pytest.mark.parametrize("name", NAMES)
def test_every_resource_of_the_document_can_be_reached_from_the_dataset(name: str, facts: Make) -> None:
    made = triples(PROFILES[name], facts(name))
    reached = {"https://hub.test/datasets/alpha/lungs"}
    for _ in range(4):
        reached |= {value.value for subject, _, value in made if subject in reached}
    assert {subject for subject, _, _ in made} - reached == set()


@pytest.mark.parametrize("name", R8)
def test_a_document_of_release_8_is_about_a_dataset_alone(name: str, facts: Make) -> None:
    made = triples(PROFILES[name], facts(name))
    assert not any(value == Iri(DCAT + "Catalog") for _, _, value in made)
    of_dataset = [each for each in made if "#" not in each[0]]
    identifier = values(of_dataset, DCT + "identifier")
    assert len(identifier) == 1 and isinstance(identifier[0], Literal)
    right = name.partition("r8-")[2].replace("-", "_").upper()
    assert values(made, DCT + "accessRights") == [Iri(access_right(right))]


def test_conforms_to_is_the_profile_for_a_data_point_and_a_standard_for_release_8(facts: Make) -> None:
    said = {name: values(triples(PROFILES[name], facts(name)), DCT + "conformsTo") for name in NAMES}
    assert said["fdp-1.2"] == [Iri("https://hub.test/profiles/fdp-1.2")]
    assert said["healthdcat-ap-r8-non-public"] == [Iri(ns.DICOM_STANDARD)]


def test_a_dataset_is_reached_by_vcard_and_an_agent_by_its_own_contact_point(facts: Make) -> None:
    made = triples(PROFILES["healthdcat-ap-r8-non-public"], facts("healthdcat-ap-r8-non-public"))
    classes = defaultdict(set)
    for subject, _, value in (each for each in made if each[1].endswith("#type")):
        classes[value.value].add(subject.partition("#")[2])
    assert classes["http://www.w3.org/2006/vcard/ns#Kind"] == {"contact"}
    assert classes[ns.CV + "ContactPoint"] == {"publisher-contact", "hdab-contact", "custodian-contact"}


@pytest.mark.parametrize("name", NAMES)
def test_a_withheld_count_is_left_out_and_said_to_be(name: str, facts: Make) -> None:
    below = Count.below(10)
    few = facts(name, totals=Totals(subjects=below, studies=below, series=below, instances=below))
    made = triples(PROFILES[name], few)
    assert values(made, FB + "subjectCountBelow") == [
        Literal("10", "http://www.w3.org/2001/XMLSchema#integer")
    ]
    assert not values(made, ns.HEALTH + "numberOfUniqueIndividuals")
    notes = [score.note for score in scorecard(PROFILES[name], few) if score.row.value == "individuals"]
    assert all("fewer than 10" in note for note in notes)
    assert bool(notes) == (name.startswith(("healthdcat", "eucaim")))


def test_sexes_and_ages_of_withheld_rows_are_not_told(facts: Make) -> None:
    name = "eucaim-dcat-ap-2.0"
    rows = facts(name).record.distributions
    hidden = tuple(row.model_copy(update={"subjects": Count.below(10)}) for row in rows)
    made = triples(PROFILES[name], facts(name, distributions=hidden))
    for path in (ns.EUCAIM + "hasBirthSex", ns.HEALTH + "minTypicalAge", ns.HEALTH + "maxTypicalAge"):
        assert values(triples(PROFILES[name], facts(name)), path) and not values(made, path)


def test_the_first_condition_stands_where_no_iri_of_eucaim_is_given(facts: Make) -> None:
    name, path = "eucaim-dcat-ap-2.0", ns.EUCAIM + "hasCondition"
    given = Stewardship(condition="https://vocabulary.test/c", conditions=("copd", "lung-cancer"))
    for said, iri in (
        (given, "https://vocabulary.test/c"),
        (given.model_copy(update={"condition": None}), "http://purl.obolibrary.org/obo/MONDO_0005002"),
    ):
        assert values(triples(PROFILES[name], facts(name, stewardship=said)), path) == [Iri(iri)]
    none = facts(name, stewardship=Stewardship())
    missing = {
        score.name: score.field for score in scorecard(PROFILES[name], none) if score.state is State.MISSING
    }
    assert missing["eucaim:hasCondition"] == "conditions, condition"


@pytest.mark.parametrize("name", [*R8, "eucaim-dcat-ap-2.0"])
def test_a_dataset_about_a_cancer_has_its_health_theme(name: str, facts: Make) -> None:
    path = ns.HEALTH + "healthTheme"
    for words, said, themes in (
        (("uveal-melanoma",), (), [ns.CANCER_THEME]),
        (("copd",), (), []),
        (
            ("cancer",),
            ("https://vocabulary.test/t", ns.CANCER_THEME),
            ["https://vocabulary.test/t", ns.CANCER_THEME],
        ),
    ):
        told = facts(name, stewardship=Stewardship(conditions=words, health_themes=said))
        assert values(triples(PROFILES[name], told), path) == [Iri(theme) for theme in themes]


def values(made: list[Triple], path: str) -> list[Any]:
    return [value for _, each, value in made if each == path]


# -- records ---------------------------------------------------------------------------------------------------------


def test_a_record_without_stewardship_is_written_as_before(facts: Make) -> None:
    record = facts("fdp-1.2").record.model_copy(update={"stewardship": None})
    assert "stewardship" not in record.payload()
    assert DatasetRecord.parse(record.payload()) == record


def test_stewardship_travels_with_the_record(facts: Make) -> None:
    record = facts("fdp-1.2").record
    assert DatasetRecord.parse(record.to_bytes()) == record


# -- shapes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_what_is_complete_conforms_and_each_mandatory_property_is_missed_alone(
    name: str, facts: Make, graph: Make, shapes_of: Make
) -> None:
    """One graph holds the complete document, and one document for each mandatory property that lacks just this."""
    profile = PROFILES[name]
    whole, expected, data = facts(name), {}, Graph()
    for triple in graph(triples(profile, whole)):
        data.add(triple)
    for place, (table, row) in enumerate(mandatory(profile)):
        lacking = facts(name, dataset=f"without-{place}")
        subject = SUBJECTS[table.subjects](lacking)[0]
        kept = [t for t in triples(profile, lacking) if not (t[0] == subject and t[1] in row.paths)]
        assert len(kept) < len(triples(profile, lacking)), f"{table.name} {row.paths}: nothing to leave out"
        for triple in graph(kept):
            data.add(triple)
        expected[lacking.iri] = (subject, shapes.presence_shape(profile, table, row), "Violation")
    found = defaultdict(list)
    for focus, shape, severity in results(data, shapes_of(name)):
        if severity == "Violation":
            found[focus.partition("#")[0]].append((focus, shape, severity))
    assert found.pop(whole.iri, []) == []
    assert found == {iri: [result] for iri, result in expected.items()}
    assert len(expected) >= 4


@pytest.mark.parametrize("name", NAMES)
def test_a_complete_record_lacks_nothing_at_all(name: str, facts: Make, graph: Make, shapes_of: Make) -> None:
    whole = facts(name)
    assert list(results(graph(triples(PROFILES[name], whole)), shapes_of(name))) == []
    assert {score.state for score in scorecard(PROFILES[name], whole)} == {State.MET}


@pytest.mark.parametrize("name", NAMES)
def test_the_path_of_a_missing_property_is_in_its_shape(name: str, shapes_of: Make) -> None:
    shapes_graph, profile = shapes_of(name), PROFILES[name]
    for table, row in profile.rows():
        if row.severity is not None and not row.only_checks:
            shape = URIRef(shapes.presence_shape(profile, table, row))
            assert shapes_graph.value(shape, SH.path) == URIRef(row.path)
            assert shapes_graph.value(shape, SH.severity) == SH[row.severity.value]


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        (DCT + "identifier", Iri("https://hub.test/x")),
        (ns.HEALTH + "hasStructuredData", Literal("no")),
        (DCAT + "contactPoint", Iri("https://not.described.test/")),
        (DCT + "accessRights", Iri(access_right("PUBLIC"))),
    ],
)
def test_a_value_of_the_wrong_form_is_a_violation(
    path: str, wrong: Any, facts: Make, graph: Make, shapes_of: Make
) -> None:
    name = "healthdcat-ap-r8-non-public"
    made = [
        (s, p, wrong if p == path and "#" not in s else value)
        for s, p, value in triples(PROFILES[name], facts(name))
    ]
    shapes_found = {
        shape for _, shape, severity in results(graph(made), shapes_of(name)) if severity == "Violation"
    }
    assert len(shapes_found) == 1 and shapes_found.pop().endswith("-form")


# -- scorecards ------------------------------------------------------------------------------------------------------


def some_facts(name: str, number: int, facts: Make, said: Stewardship) -> Facts:
    """Return a dataset about which a random part of everything is said."""
    chance = random.Random(f"{name} {number}")
    changes: dict[str, Any] = {"dataset": f"some-{number}"}
    changes["access_rights"] = chance.choice(list(AccessRights))
    for field, empty in (
        ("keywords", ()), ("contact", None), ("licence", None), ("data_use", ()), ("cube", ()),
        ("distributions", ()), ("acquired_from", None), ("acquired_to", None),
    ):  # fmt: skip
        if chance.random() < 0.4:
            changes[field] = empty
    if chance.random() < 0.3:
        below = Count.below(10)
        changes["totals"] = Totals(subjects=below, studies=below, series=below, instances=below)
    kept = {field: value for field, value in said if chance.random() < 0.5}
    changes["stewardship"] = Stewardship(**kept) if chance.random() < 0.9 else None
    made = facts(name, **changes)
    assert isinstance(made, Facts)
    return made


@pytest.mark.parametrize("name", NAMES)
def test_scorecard_and_validation_agree_whatever_is_filled_in(
    name: str, facts: Make, graph: Make, shapes_of: Make, everything_said: Stewardship
) -> None:
    profile, data, expected = PROFILES[name], Graph(), set()
    for number in range(25):
        some = some_facts(name, number, facts, everything_said)
        for triple in graph(triples(profile, some)):
            data.add(triple)
        for score in scorecard(profile, some):
            if score.state is State.MISSING:
                shape = shapes.presence_shape(profile, score.table, score.row)
                expected.add((score.subject, shape, score.severity.value))
            elif score.state is State.UNFIT:
                expected.add((score.subject, shapes.form_shape(profile, score.table, score.row), "Violation"))
    assert set(results(data, shapes_of(name))) == expected
    assert len(expected) > 20


def test_a_scorecard_says_who_can_fill_what_is_missing(facts: Make) -> None:
    name = "healthdcat-ap-r8-non-public"
    scores = scorecard(PROFILES[name], facts(name, stewardship=None, contact=None, distributions=()))
    missing = {score.name: score for score in scores if score.state is State.MISSING}
    assert (missing["healthdcatap:hdab"].filler.value, missing["healthdcatap:hdab"].field) == (
        "curator",
        "hdab",
    )
    assert missing["healthdcatap:minTypicalAge"].filler.value == "source"
    assert missing["dcat:contactPoint"].field == "contact_email, contact_page"
    assert (
        left(scores, Severity.VIOLATION)
        == sum(s.severity is Severity.VIOLATION for s in missing.values())
        == 4
    )


def test_the_right_of_another_access_level_is_no_fit(facts: Make) -> None:
    name = "healthdcat-ap-r8-public"
    scores = scorecard(PROFILES[name], facts(name, access_rights=AccessRights.NON_PUBLIC))
    unfit = [score for score in scores if score.state is State.UNFIT]
    assert [score.name for score in unfit] == ["dct:accessRights"]
    assert access_right("PUBLIC") in unfit[0].note


def test_annotated_structures_are_what_the_curator_says_and_what_the_images_show(facts: Make) -> None:
    def row(value: str, count: Count) -> Distribution:
        return Distribution(
            attribute="annotation-label", value=value, how_known=HowKnown.HEADER, subjects=count
        )

    shown = (row("Liver", Count.exact(20)), row("Lung", Count.below(10)), row("PTV", Count.exact(30)))
    of = facts("eucaim-dcat-ap-2.0", distributions=shown, stewardship=None)
    liver = Iri("http://snomed.info/id/10200004")
    assert VALUES["annotation_labels"](of, of.iri) == (liver,)
    said = Stewardship(annotation_labels=("https://vocabulary.test/term",))
    of = facts("eucaim-dcat-ap-2.0", distributions=shown, stewardship=said)
    assert VALUES["annotation_labels"](of, of.iri) == (Iri("https://vocabulary.test/term"), liver)
