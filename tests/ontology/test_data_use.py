"""The match of a request with a dataset's data-use terms: permissions, diseases, every modifier both ways."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairbank.clock import iso
from fairbank.ontology import duo
from fairbank.ontology.conditions import CONDITIONS, broader
from fairbank.ontology.data_use import allowed_from, asked_from, match
from fairbank.ontology.data_use_facts import Allowed, Asked, AskedPerson, Match, Shown, Verdict
from fairbank.ontology.data_use_limits import DataUseLimits
from fairbank.ontology.data_use_modifiers import _JUDGES
from fairbank.ontology.duo import TERMS, TermKind, within
from fairbank.ontology.outputs import OutputClass
from fairbank.ontology.profiles.facts import Facts
from fairbank.ontology.signed_objects import (
    Evidence,
    EvidenceKind,
    OrganisationKind,
    Person,
    Purpose,
    Request,
)
from fairbank.ontology.stewardship import Stewardship

OK, REVIEW, NO = Verdict.COMPATIBLE, Verdict.NEEDS_REVIEW, Verdict.INCOMPATIBLE
NRES, GRU, HMB, DS, POA = duo.NRES, duo.GRU, duo.HMB, duo.DS, duo.POA
NOW, UNTIL = datetime(2026, 6, 1, tzinfo=UTC), datetime(2027, 6, 1, tzinfo=UTC)
EARLIER, LATER = datetime(2026, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC)
LUNG, SMALL_CELL, CANCER, MELANOMA = "MONDO:0008903", "MONDO:0008433", "MONDO:0004992", "MONDO:0005105"
NOWHERE = "MONDO:9999999"
PERMISSIONS = [code for code, term in TERMS.items() if term.kind is TermKind.PERMISSION]
MODIFIERS = [code for code, term in TERMS.items() if term.kind is TermKind.MODIFIER]
ETHICS = EvidenceKind.ETHICS_APPROVAL


def asking(*codes: str, **facts: Any) -> Asked:
    return replace(Asked(codes, NOW, until=UNTIL), **facts)


def judged(asked: Asked, *codes: str, **limits: Any) -> Match:
    return match(asked, Allowed(codes, DataUseLimits(**limits)))


@pytest.mark.parametrize(
    ("purpose", "permission", "verdict"),
    [
        ([HMB], NRES, OK), ([HMB], GRU, OK), ([HMB], HMB, OK), ([DS], HMB, OK), ([DS], GRU, OK), ([GRU], HMB, NO),
        ([HMB], DS, NO), ([DS], DS, REVIEW), ([POA], GRU, OK), ([POA], HMB, NO), ([duo.ANCESTRY], HMB, NO),
        ([duo.ANCESTRY], POA, OK), (["DUO:0000037"], HMB, OK), ([HMB], POA, NO), ([duo.METHODS], GRU, OK),
        ([duo.METHODS], HMB, NO), ([HMB, duo.METHODS], HMB, OK), ([HMB, duo.ANCESTRY], HMB, NO), ([GRU], NRES, OK),
    ],
)  # fmt: skip
def test_a_purpose_is_permitted_within_the_scope_of_the_permission(
    purpose: list[str], permission: str, verdict: Verdict
) -> None:
    assert judged(asking(*purpose), permission).verdict is verdict


@pytest.mark.parametrize(
    ("asked", "allowed", "verdict"),
    [
        ((LUNG,), (LUNG,), OK), ((SMALL_CELL,), (LUNG,), OK), ((SMALL_CELL,), (MELANOMA, CANCER), OK),
        ((LUNG,), (SMALL_CELL,), NO), ((MELANOMA,), (LUNG,), NO), ((LUNG, MELANOMA), (LUNG,), NO),
        ((NOWHERE,), (NOWHERE,), OK), ((NOWHERE,), (LUNG,), REVIEW), ((LUNG,), (NOWHERE,), REVIEW),
        ((), (LUNG,), REVIEW), ((LUNG,), (), REVIEW),
        # Nothing is known to be above thymoma, so that nothing can be said of it.
        (("MONDO:0006456",), (LUNG,), REVIEW),
    ],
)  # fmt: skip
def test_a_disease_is_permitted_if_it_is_one_that_is_named_or_a_kind_of_it(
    asked: tuple[str, ...], allowed: tuple[str, ...], verdict: Verdict
) -> None:
    found = judged(asking(DS, diseases=asked), DS, diseases=allowed)
    assert found.verdict is verdict
    if asked and allowed:
        assert any(each in found.explanations[0].reason for each in asked)


# Each modifier: facts with which it is compatible, needs a person, and is incompatible; None where there are none such.
CASES: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any] | None, dict[str, Any]]] = {
    duo.NPU: (
        {"organisation_kind": OrganisationKind.PUBLIC}, {}, {"organisation_kind": OrganisationKind.FOR_PROFIT}, {},
    ),
    duo.NCU: ({"commercial": False}, {}, {"commercial": True}, {}),
    duo.NPUNCU: (
        {"commercial": False, "organisation_kind": OrganisationKind.NOT_FOR_PROFIT}, {"commercial": False},
        {"commercial": True, "organisation_kind": OrganisationKind.PUBLIC}, {},
    ),
    duo.NPOA: ({"codes": (HMB,)}, {"codes": ()}, {"codes": (GRU, duo.POPULATION)}, {}),
    duo.NMDS: (
        {"codes": (HMB,)}, {"codes": (HMB,), "output_classes": (OutputClass.MODEL_UPDATE,)},
        {"codes": (HMB, duo.METHODS)}, {},
    ),
    duo.GSO: ({"codes": (HMB, duo.GENETIC)}, {"codes": ()}, {"codes": (HMB,)}, {}),
    duo.RS: (
        {"codes": (HMB, duo.GENETIC)}, {"codes": (HMB,)}, {"codes": (HMB, duo.METHODS)},
        {"research_types": (duo.GENETIC,)},
    ),
    duo.PUB: ({"has_publication_plan": True}, {}, None, {}),
    duo.RTN: ({"codes": (HMB, duo.RTN)}, {}, None, {}),
    duo.COL: (
        {"people": (AskedPerson("A. Curie", "Northfield  Biobank"),)},
        {"people": (AskedPerson("A. Curie", "Elsewhere"),)},
        None, {"collaborators": ("northfield biobank",)},
    ),
    duo.IRB: ({"evidence": (Shown(ETHICS, LATER),)}, {}, {"evidence": (Shown(ETHICS, EARLIER),)}, {}),
    duo.GS: ({"country": "NO"}, {}, {"country": "CH"}, {"countries": ("EEA",)}),
    duo.MOR: ({"codes": (HMB, duo.MOR)}, {}, None, {"no_publication_before": "2027-01"}),
    duo.TS: ({"until": UNTIL}, {"until": None}, {"until": LATER}, {"months": 12}),
    duo.US: ({"account": "ada"}, {}, {"account": "bob"}, {"users": ("ada",)}),
    duo.PS: ({"project": "Lung  screening"}, {"project": "Lung scr."}, None, {"projects": ("lung screening",)}),
    duo.IS: ({"institution": "Uni A"}, {"institution": "University A"}, None, {"institutions": ("Uni A",)}),
    duo.CC: ({"codes": (HMB, duo.CC)}, {"codes": ()}, None, {}),
}  # fmt: skip


def modifier(code: str, facts: dict[str, Any], limits: dict[str, Any]) -> Verdict:
    found = judged(replace(asking(HMB), **facts), GRU, code, **limits)
    (explained,) = (each for each in found.explanations if each.code == code)
    assert explained.reason.endswith(".") and explained.label == TERMS[code].label
    return explained.verdict


def test_every_modifier_has_a_rule_and_a_case() -> None:
    assert set(MODIFIERS) == set(_JUDGES) == set(CASES)


@pytest.mark.parametrize("code", CASES)
def test_a_modifier_judges_by_the_facts_both_ways(code: str) -> None:
    fits, open_, breaks, limits = CASES[code]
    assert modifier(code, fits, limits) is OK
    if breaks is not None:
        assert modifier(code, breaks, limits) is NO
    if code not in (duo.NPOA, duo.GSO, duo.CC):
        assert modifier(code, open_, limits) is REVIEW


@pytest.mark.parametrize("code", [duo.RS, duo.COL, duo.GS, duo.MOR, duo.TS, duo.US, duo.PS, duo.IS])
def test_a_modifier_whose_value_the_dataset_does_not_say_goes_to_a_person(code: str) -> None:
    everything = {"country": "AT", "project": "P", "institution": "I", "account": "ada"}
    assert modifier(code, everything, {}) is REVIEW


def test_a_claim_in_a_code_does_not_outweigh_the_facts() -> None:
    asked = asking(HMB, duo.NPU, organisation_kind=OrganisationKind.FOR_PROFIT)
    assert judged(asked, GRU, duo.NPU).verdict is NO
    assert judged(replace(asked, commercial=True, organisation_kind=None), GRU, duo.NCU).verdict is NO


def test_a_for_profit_organisation_that_says_its_use_is_not_commercial_is_looked_at() -> None:
    asked = asking(HMB, commercial=False, organisation_kind=OrganisationKind.FOR_PROFIT)
    assert judged(asked, GRU, duo.NCU).verdict is REVIEW
    assert judged(asked, GRU, duo.NPUNCU).verdict is NO


@pytest.mark.parametrize(
    ("ends", "verdict"),
    [
        ([UNTIL], OK), ([LATER, EARLIER], OK), ([None], REVIEW), ([datetime(2026, 9, 1, tzinfo=UTC)], REVIEW),
        ([EARLIER], NO), ([EARLIER, None], REVIEW), ([], REVIEW),
    ],
)  # fmt: skip
def test_an_ethics_approval_has_to_be_valid_as_long_as_the_data_are_wanted(
    ends: list[datetime | None], verdict: Verdict
) -> None:
    evidence = tuple(Shown(ETHICS, end) for end in ends)
    assert modifier(duo.IRB, {"evidence": evidence}, {}) is verdict


def test_once_the_moratorium_is_over_nobody_has_to_agree_to_it() -> None:
    assert modifier(duo.MOR, {}, {"no_publication_before": "2026-06"}) is OK
    assert modifier(duo.MOR, {}, {"no_publication_before": "2026-07"}) is REVIEW


def test_approved_users_are_all_who_are_named_not_only_who_asks() -> None:
    limits = {"users": ("ada", "eve")}
    with_eve = {"account": "ada", "people": (AskedPerson("Eve", "I", "eve"),)}
    assert modifier(duo.US, with_eve, limits) is OK
    assert modifier(duo.US, {**with_eve, "people": (AskedPerson("Bob", "I", "bob"),)}, limits) is NO
    assert modifier(duo.US, {**with_eve, "people": (AskedPerson("Zoe", "I"),)}, limits) is REVIEW


def test_people_of_another_institution_are_looked_at() -> None:
    facts = {"institution": "Uni A", "people": (AskedPerson("Bob", "Firm B"),)}
    assert modifier(duo.IS, facts, {"institutions": ("Uni A",)}) is REVIEW


@pytest.mark.parametrize(("dataset", "verdict"), [((GRU,), NO), ((GRU, duo.CC), OK), ((NRES,), OK)])
def test_clinical_care_has_to_be_permitted(dataset: tuple[str, ...], verdict: Verdict) -> None:
    assert judged(asking(HMB, duo.CC), *dataset).verdict is verdict


@pytest.mark.parametrize(
    ("purpose", "dataset"),
    [([HMB], []), ([HMB], [duo.NPU]), ([], [GRU]), (["DUO:9999999"], [GRU]), ([HMB], [GRU, "DUO:9999999"]),
     ([HMB], [GRU, duo.METHODS])],
)  # fmt: skip
def test_what_nobody_stated_goes_to_a_person(purpose: list[str], dataset: list[str]) -> None:
    public = OrganisationKind.PUBLIC
    assert judged(asking(*purpose, organisation_kind=public), *dataset).verdict is REVIEW


def test_each_code_of_the_dataset_is_explained_with_the_facts_used() -> None:
    found = judged(asking(HMB, country="CH"), GRU, duo.GS, duo.PUB, countries=("AT", "DE"))
    assert [each.code for each in found.explanations] == [GRU, duo.GS, duo.PUB]
    assert found.explanations[1].reason == "The requester is in CH; only AT or DE is permitted."


# -- properties ------------------------------------------------------------------------------------------------------

MONDO = {each.curie: word for word, each in CONDITIONS.items()}
diseases = st.lists(st.sampled_from([*sorted(MONDO), NOWHERE]), max_size=3).map(tuple)
purposes = st.lists(st.sampled_from(list(TERMS)), max_size=4, unique=True).map(tuple)
requests = st.builds(
    Asked,
    codes=purposes,
    now=st.just(NOW),
    diseases=diseases,
    organisation_kind=st.none() | st.sampled_from(OrganisationKind),
    commercial=st.none() | st.booleans(),
    country=st.none() | st.sampled_from(["AT", "CH", "NO"]),
    account=st.none() | st.sampled_from(["ada", "bob"]),
    until=st.none() | st.just(UNTIL),
)


@given(st.sampled_from(list(TERMS)), st.sampled_from(list(TERMS)), st.sampled_from(list(TERMS)))
def test_what_lies_within_what_lies_within_a_scope_lies_within_it(
    inner: str, middle: str, outer: str
) -> None:
    if within(inner, middle) and within(middle, outer):
        assert within(inner, outer)


@given(requests, st.sampled_from(PERMISSIONS), st.sampled_from(PERMISSIONS), diseases)
def test_widening_a_permission_never_makes_a_verdict_worse(
    asked: Asked, narrow: str, wide: str, allowed: tuple[str, ...]
) -> None:
    if within(narrow, wide):
        of_narrow = judged(asked, narrow, diseases=allowed).explanations[0]
        assert judged(asked, wide, diseases=allowed).explanations[0].verdict <= of_narrow.verdict


@given(diseases, diseases.filter(bool), diseases)
def test_allowing_another_disease_or_a_broader_one_never_makes_a_verdict_worse(
    asked: tuple[str, ...], allowed: tuple[str, ...], more: tuple[str, ...]
) -> None:
    before = judged(asking(DS, diseases=asked), DS, diseases=allowed).verdict
    assert judged(asking(DS, diseases=asked), DS, diseases=(*allowed, *more)).verdict <= before
    above = [CONDITIONS[wide].curie for one in allowed for wide in broader(MONDO.get(one, ""))]
    wider = tuple(above) or allowed
    if len(allowed) == 1:
        assert judged(asking(DS, diseases=asked), DS, diseases=wider).verdict <= before


@given(requests, st.lists(st.sampled_from(MODIFIERS), unique=True), st.sampled_from(MODIFIERS))
def test_adding_a_restriction_never_makes_a_match_better(asked: Asked, codes: list[str], code: str) -> None:
    if code != duo.CC:
        assert judged(asked, GRU, *codes, code).verdict >= judged(asked, GRU, *codes).verdict


@given(requests, st.lists(st.sampled_from(list(TERMS)), unique=True))
def test_every_code_gets_exactly_one_verdict_and_a_sentence(asked: Asked, codes: list[str]) -> None:
    explanations = judged(asked, *codes).explanations
    found = [each.code for each in explanations if each.code]
    assert sorted(found) == sorted({*codes, *({duo.CC} & set(asked.codes))})
    assert all(each.label and each.reason.endswith(".") for each in explanations)


# -- from what is signed ---------------------------------------------------------------------------------------------


def test_the_facts_are_those_of_the_sealed_request() -> None:
    request = Request(
        id="019a0000-0000-7000-8000-000000000000", requester_key="ed25519:" + "A" * 43, requester_account="ada",
        organisation="Uni A", title="T", organisation_kind=OrganisationKind.PUBLIC, country="AT", project="P",
        datasets=("http://hub.test/datasets/a/b",), purpose=Purpose(data_use=(DS,), diseases=(LUNG,), statement="S"),
        output_classes=(OutputClass.MEASUREMENTS,),
        people=(Person(name="Bob", organisation="B", role="r", account="bob"),),
        evidence=(
            Evidence(kind=ETHICS, title="E", reference="1", valid_until=iso(UNTIL)),
            Evidence(kind=ETHICS, title="F", reference="2"),
        ),
        publication_plan="Soon.", until=iso(UNTIL), created=iso(NOW),
    )  # fmt: skip
    assert asked_from(request, NOW) == Asked(
        codes=(DS,), now=NOW, diseases=(LUNG,), organisation_kind=OrganisationKind.PUBLIC, commercial=False,
        country="AT", project="P", institution="Uni A", account="ada", people=(AskedPerson("Bob", "B", "bob"),),
        evidence=(Shown(ETHICS, UNTIL), Shown(ETHICS, None)), has_publication_plan=True,
        output_classes=(OutputClass.MEASUREMENTS,), until=UNTIL,
    )  # fmt: skip


def test_what_a_dataset_allows_is_what_its_record_says(facts: Callable[..., Facts]) -> None:
    limits = DataUseLimits(countries=("AT",), months=12)
    record = facts("dcat-ap-3.0", stewardship=Stewardship(data_use_limits=limits)).record
    assert allowed_from(record) == Allowed((HMB,), limits)
    assert allowed_from(facts("dcat-ap-3.0", stewardship=None).record) == Allowed((HMB,))


def test_terms_have_the_iris_of_the_ontology() -> None:
    assert TERMS[GRU].iri == "http://purl.obolibrary.org/obo/DUO_0000042"
    assert all(term.within is None or term.within in TERMS for term in TERMS.values())
