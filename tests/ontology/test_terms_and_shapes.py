from __future__ import annotations

import pytest
from rdflib import Graph

from fairbank.ontology import mappings, shapes, terms
from fairbank.ontology.model.listing import TERMS

DATASET = """
@prefix ex: <https://hub.test/datasets/a/d#> .
<https://hub.test/datasets/a/d> a dcat:Dataset ; dct:title "T" ; dct:description "D" ; dct:publisher ex:publisher ;
    dct:accessRights <http://publications.europa.eu/resource/authority/access-right/NON_PUBLIC> ;
    fb:cube ex:cube ; fb:minimumCount 10 ; fb:recordDigest "sha256:0" ;
    fb:seriesCount 40 ; fb:studyCount 30 ; fb:subjectCount 20 .
ex:cube a fb:ImagingCube .
ex:s1 a fb:Stratum ; qb:dataSet ex:cube ; fb:ofDataset <https://hub.test/datasets/a/d> ; fb:modality "CT" ;
    fb:bodyPart "CHEST" ; fb:manufacturer "GE" ; fb:sliceThickness "1-1.5" ;
    fb:seriesCountBelow 10 ; fb:studyCountBelow 10 ; fb:subjectCountBelow 10 .
"""


def test_mapped_attributes_are_those_of_the_standard() -> None:
    from pydicom.datadict import keyword_for_tag

    assert {each.tag: each.keyword for each in mappings.MAPPINGS} == {
        each.tag: keyword_for_tag(each.tag.replace(",", "")) for each in mappings.MAPPINGS
    }


def test_mapped_properties_are_defined() -> None:
    assert {each.property for each in mappings.MAPPINGS} <= {each.iri for each in TERMS.values()}


@pytest.mark.parametrize(
    "keyword", ["PatientName", "PatientBirthDate", "AccessionNumber", "StudyDescription"]
)
def test_what_identifies_is_mapped_to_nothing(keyword: str) -> None:
    assert mappings.property_of(keyword) is None


def conforms(turtle: str) -> bool:
    from pyshacl import validate

    prefixes = "\n".join(f"@prefix {prefix}: <{iri}> ." for prefix, iri in terms.PREFIXES.items())
    found, _, _ = validate(
        Graph().parse(data=prefixes + turtle, format="turtle"),
        shacl_graph=Graph().parse(data=shapes.turtle(), format="turtle"),
    )
    return bool(found)


def test_a_sound_description_conforms() -> None:
    assert conforms(DATASET)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("fb:subjectCount 20", "fb:subjectCount 20 ; fb:subjectCountBelow 10"), ("; fb:subjectCount 20", ""),
        ("fb:subjectCountBelow 10", 'fb:subjectCount "few"'), ("fb:cube ex:cube ;", ""), ('"1-1.5"', '"1.25"'),
        ('fb:modality "CT" ;', 'fb:modality "CT", "MR" ;'), ('dct:title "T" ;', ""), ("a fb:ImagingCube", "a fb:Node"),
    ],
)  # fmt: skip
def test_a_description_with_a_fault_does_not_conform(right: str, wrong: str) -> None:
    assert right in DATASET
    assert not conforms(DATASET.replace(right, wrong))


def test_a_description_of_an_older_record_conforms() -> None:
    assert conforms(DATASET.replace('"1-1.5"', '"1.5-3"'))
