from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairbank.ontology.errors import NoSuchTerm
from fairbank.ontology.model.listing import CONCEPTS, SCHEMES, TERMS
from fairbank.ontology.model.lookup import lookup, named


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Lungenkrebs", "condition-lung-cancer"), ("cancer du poumon", "condition-lung-cancer"),
        ("MONDO:0008903", "condition-lung-cancer"), ("NSCLC", "condition-non-small-cell-lung-cancer"),
        ("C61", "condition-prostate-cancer"), ("CT", "modality-CT"), ("PET", "modality-PT"), ("dcm:CT", "modality-CT"),
        ("thorax", "bodyPart-CHEST"), ("UBERON:0000955", "bodyPart-BRAIN"), ("816094009", "bodyPart-CHEST"),
        ("G.E. Medical Systems", "manufacturer-GE"), ("fb:modality", "modality"), ("bodyParts", "bodyParts"),
        ("https://w3id.org/fairbank/terms#Stratum", "Stratum"), ("DUO:0000042", "dataUse-0000042"),
        ("GRU", "dataUse-0000042"),
    ],
)  # fmt: skip
def test_what_people_write_leads_to_an_entry(text: str, name: str) -> None:
    assert name in [each.entry.name for each in lookup(text)]


@pytest.mark.parametrize("name", [*TERMS, *SCHEMES, *CONCEPTS])
def test_every_entry_is_found_by_its_name_and_iri(name: str) -> None:
    entry = named(name)
    assert entry.name == name and named(entry.iri) is entry and named(f"fb:{name}") is entry
    assert entry in [each.entry for each in lookup(entry.iri)]


def test_what_is_not_there_is_refused() -> None:
    with pytest.raises(NoSuchTerm):
        named("nothing-of-ours")
    with pytest.raises(NoSuchTerm):
        lookup("house fire")


@given(st.text())
def test_any_text_is_found_or_refused(text: str) -> None:
    try:
        assert lookup(text)
    except NoSuchTerm as refusal:
        assert refusal.code == "FB-ONT-011"
