"""The page of quality: what curators see of their own nodes' collections, and what was mended this week."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select
from tests.catalogue.conftest import BASE, make_record
from tests.web.filled_hub import LUNGS, Filled, Kept
from tests.web.pages.asking import HTML, told

from fairbank.catalogue.store import DatasetRow, VersionRow
from fairbank.database import writing
from fairbank.ontology.stewardship import Stewardship


def test_a_curator_sees_the_collections_of_her_nodes_and_an_administrator_all(filled: Filled) -> None:
    names = {
        who: {each["id"] for each in told(filled, who, "/quality")["collections"]}
        for who in ("cora", "carl", "anna")
    }
    assert names == {
        "cora": {"alpha/brains", "alpha/lungs"},
        "carl": {"beta/hearts"},
        "anna": {"alpha/brains", "alpha/lungs", "beta/hearts"},
    }
    assert [each["id"] for each in told(filled, "anna", "/quality?c=beta/hearts")["collections"]] == [
        "beta/hearts"
    ]


def test_nobody_else_sees_the_page(filled: Filled) -> None:
    for who in ("rita", "carla", "ursula"):
        assert (
            filled.client.get("/quality", headers={**filled.people[who].headers, **HTML}).status_code == 404
        )


def test_required_fields_come_before_recommended_ones_and_say_who_asks(filled: Filled) -> None:
    fields = told(filled, "cora", "/quality")["fields"]
    required = [each["required"] for each in fields]
    assert required == sorted(required, reverse=True) and {True, False} == set(required)
    (spatial,) = (each for each in fields if each["name"] == "spatial")
    assert (spatial["required"], spatial["by_curator"]) == (False, True)
    assert "DCAT-AP 3.0.1" in spatial["profiles"] and [each["id"] for each in spatial["places"]] == [
        "alpha/brains",
        "alpha/lungs",
    ]
    # What is read from the images no curator types.
    assert any(not each["by_curator"] and "XNAT" in each["mend"] for each in fields)


def test_what_a_new_record_says_is_mended_and_one_that_cannot_be_read_is_named(filled: Filled) -> None:
    kept = Kept(filled)
    try:
        with writing(filled.hub.engine) as session:
            for row in session.scalars(select(VersionRow).where(VersionRow.iri == LUNGS)):
                row.received -= timedelta(days=8)
        said = Stewardship(spatial=("http://publications.europa.eu/resource/authority/country/DEU",))
        sealed = make_record("alpha", "lungs", version=2, stewardship=said).seal(filled.nodes["alpha"].key)
        answer = filled.nodes["alpha"].release(sealed, door_class="record", output="record-lungs")
        assert answer.status_code == 200, answer.text
        said = {each["id"]: each["mended"] for each in told(filled, "cora", "/quality")["collections"]}
        assert said == {"alpha/brains": [], "alpha/lungs": ["spatial"]}
        with writing(filled.hub.engine) as session:
            broken = session.get_one(VersionRow, (f"{BASE}/datasets/beta/hearts", 1))
            broken.envelope = broken.envelope.replace(b'"payload"', b'"payloaf"')
            dataset = session.get_one(DatasetRow, broken.iri)
            dataset.digest = "sha256:" + "7" * 64
        said = told(filled, "anna", "/quality")
        assert [each["id"] for each in said["broken"]] == ["beta/hearts"] and "FB-" in said["broken"][0][
            "fault"
        ]
        assert {each["id"] for each in said["collections"]} == {"alpha/brains", "alpha/lungs"}
    finally:
        kept.put_back()
        kept.close()
