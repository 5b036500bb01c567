from __future__ import annotations

import itertools

import pytest

from fairbank.ontology.data_use import TERMS, TermKind, Verdict, match, within

NRES, GRU, HMB, DS, POA = "DUO:0000004", "DUO:0000042", "DUO:0000006", "DUO:0000007", "DUO:0000011"
CC, NPOA, NMDS, GSO, RS = "DUO:0000043", "DUO:0000044", "DUO:0000015", "DUO:0000016", "DUO:0000012"
NPUNCU, NPU, NCU, PUB, IRB = "DUO:0000018", "DUO:0000045", "DUO:0000046", "DUO:0000019", "DUO:0000021"
METHODS, ANCESTRY, BIOMEDICAL, GENETIC = "DUO:0000031", "DUO:0000033", "DUO:0000037", "DUO:0000038"
OK, REVIEW, NO = Verdict.COMPATIBLE, Verdict.NEEDS_REVIEW, Verdict.INCOMPATIBLE


@pytest.mark.parametrize(
    ("purpose", "dataset", "verdict"),
    [
        ([HMB], [NRES], OK), ([HMB], [GRU], OK), ([HMB], [HMB], OK), ([DS], [HMB], OK), ([DS], [GRU], OK),
        ([GRU], [HMB], NO), ([HMB], [DS], NO), ([DS], [DS], REVIEW), ([POA], [GRU], OK), ([POA], [HMB], NO),
        ([ANCESTRY], [HMB], NO), ([ANCESTRY], [POA], OK), ([BIOMEDICAL], [HMB], OK), ([HMB], [POA], NO),
        ([METHODS], [GRU], OK), ([METHODS], [HMB], NO), ([HMB, METHODS], [HMB], OK),
        ([HMB, ANCESTRY], [HMB], NO),
    ],
)  # fmt: skip
def test_a_purpose_is_permitted_within_the_scope_of_the_permission(
    purpose: list[str], dataset: list[str], verdict: Verdict
) -> None:
    assert match(purpose, dataset).verdict is verdict


@pytest.mark.parametrize(
    ("purpose", "dataset", "verdict"),
    [
        ([HMB], [GRU, NPU], NO), ([HMB, NPU], [GRU, NPU], OK), ([HMB, NPUNCU], [GRU, NPU], OK),
        ([HMB, NPUNCU], [GRU, NCU], OK), ([HMB, NPU], [GRU, NPUNCU], NO), ([HMB, NPU, NCU], [GRU, NPUNCU], OK),
        ([HMB], [GRU, PUB], REVIEW), ([HMB, PUB], [GRU, PUB], OK), ([HMB, IRB], [GRU, IRB], REVIEW),
        ([HMB], [GRU, NPOA], OK), ([HMB, ANCESTRY], [GRU, NPOA], NO), ([POA], [GRU, NPOA], NO),
        ([METHODS], [GRU, NMDS], NO), ([HMB], [GRU, NMDS], OK), ([HMB], [GRU, GSO], NO),
        ([HMB, GENETIC], [GRU, GSO], OK), ([HMB], [GRU, RS], REVIEW), ([HMB], [GRU, CC], OK),
        ([HMB, CC], [GRU], NO), ([HMB, CC], [GRU, CC], OK),
    ],
)  # fmt: skip
def test_a_modifier_limits_or_widens_what_is_permitted(
    purpose: list[str], dataset: list[str], verdict: Verdict
) -> None:
    assert match(purpose, dataset).verdict is verdict


@pytest.mark.parametrize(
    ("purpose", "dataset"),
    [([HMB], []), ([HMB], [NPU]), ([], [GRU]), (["DUO:9999999"], [GRU]), ([HMB], [GRU, "DUO:9999999"])],
)
def test_what_nobody_stated_goes_to_a_person(purpose: list[str], dataset: list[str]) -> None:
    assert match(purpose, dataset).verdict is not OK


def test_each_code_of_the_dataset_is_explained() -> None:
    found = match([HMB], [GRU, NPU, PUB])
    assert [each.code for each in found.explanations] == [GRU, NPU, PUB]
    assert all(each.label and each.reason.endswith(".") for each in found.explanations)
    assert NPU in found.explanations[1].reason


def test_adding_a_restriction_never_makes_a_match_better() -> None:
    restrictions = [code for code, term in TERMS.items() if term.kind is TermKind.MODIFIER and code != CC]
    for purpose, code in itertools.product([[HMB], [DS], [POA], [METHODS], [HMB, NPUNCU]], restrictions):
        assert match(purpose, [GRU, code]).verdict >= match(purpose, [GRU]).verdict


def test_asking_for_less_never_makes_a_match_worse() -> None:
    permissions = [code for code, term in TERMS.items() if term.kind is TermKind.PERMISSION and code != DS]
    for wide, narrow, dataset in itertools.product(permissions, permissions, permissions):
        if within(narrow, wide) and match([wide], [dataset]).verdict is OK:
            assert match([narrow], [dataset]).verdict is OK


def test_terms_have_the_iris_of_the_ontology() -> None:
    assert TERMS[GRU].iri == "http://purl.obolibrary.org/obo/DUO_0000042"
    assert all(term.within is None or term.within in TERMS for term in TERMS.values())
