"""What the curator says: its forms, and that records of earlier versions stay readable and sealed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from fairbank.ontology.biomarkers import BIOMARKERS
from fairbank.ontology.record import DatasetRecord
from fairbank.ontology.stewardship import Guideline, Stewardship
from fairbank.signing import SigningKey

Make = Callable[..., Any]
NEW = (
    "conditions", "annotation_guideline", "biorepositories", "omics_held", "health_records_held", "biomarkers",
    "planned_time_points", "planned_follow_up", "data_use_limits",
)  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("biorepositories", ("bbmri-eric:ID:DE_BMBH",)),
        ("biorepositories", ("bbmri-eric:ID:NL_AAAACXPWAJBBUACQK2ME25QAAE:collection:lungs",)),
        (
            "biorepositories",
            ("bbmri-eric:networkID:EU_BBMRI-ERIC:networks:COVID19", "https://biobank.test/c?id=1"),
        ),
        ("conditions", ("lung-cancer",)),
        ("biomarkers", tuple(BIOMARKERS)),
        ("omics_held", False),
        ("planned_time_points", 4),
        ("planned_follow_up", "P2Y6M"),
    ],
)
def test_what_is_of_the_form_is_kept(field: str, value: Any) -> None:
    said = Stewardship(**{field: value})
    assert Stewardship.model_validate_json(said.model_dump_json()) == said


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("biorepositories", ("DE_BMBH",)),
        ("biorepositories", ("bbmri-eric:ID:de_bmbh",)),
        ("biorepositories", ("bbmri-eric:contactID:DE_JaneDoe",)),
        ("biorepositories", ("bbmri-eric:ID:DE_a b",)),
        ("conditions", ("Lung cancer",)),
        ("biomarkers", ("1.2.840.113619.2.55.3",)),
        ("omics_held", "yes"),
        ("planned_time_points", 0),
        ("planned_time_points", 2.5),
        ("planned_follow_up", "five years"),
        ("planned_follow_up", "PT5H"),
        ("planned_follow_up", "2026-01-01"),
        ("annotation_guideline", {"page": "https://alpha.test"}),
        ("annotation_guideline", {"title": "T", "page": "alpha.test"}),
    ],
)
def test_what_is_not_of_the_form_is_refused(field: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        Stewardship.model_validate_json(json.dumps({field: value}))


def test_a_field_that_nobody_filled_is_not_written(everything_said: Stewardship) -> None:
    assert Stewardship().model_dump(mode="json") == {}
    assert Stewardship(omics_held=False).model_dump(mode="json") == {"omics_held": False}
    # Images that everybody can fetch are no images that stay at the biobank, of which all else is said.
    written = everything_said.model_copy(update={"open_at": "https://images.test"}).model_dump(mode="json")
    assert set(written) == set(Stewardship.model_fields)


def test_an_older_hub_is_not_stopped_by_fields_that_nobody_filled(facts: Make) -> None:
    said = Stewardship(contact_email="data@alpha.test")
    written = facts("fdp-1.2", stewardship=said).record.payload()["stewardship"]
    assert not set(written) & set(NEW)


def test_a_record_that_was_sealed_before_these_fields_were_there_is_verified_and_read() -> None:
    envelope = (Path(__file__).parent / "golden" / "record-before-holdings.json").read_bytes()
    signer = "ed25519:fHgTqQApVfhPBcjZgWazwJiNtmc1zQAqA98mc7BIxY4"
    record, sealed = DatasetRecord.open(envelope, trusted=[signer])
    assert sealed.envelope_bytes == envelope
    said = record.stewardship
    assert said is not None and said.contact_email == "data@alpha.test" and said.retained_until == 2040
    assert [getattr(said, name) for name in NEW] == [(), None, (), None, None, (), None, None, None]


def test_a_word_that_left_its_list_does_not_make_a_record_unreadable(facts: Make) -> None:
    key = SigningKey.generate()
    said = Stewardship(conditions=("spontaneous-hiccup",), biomarkers=("phlogiston",))
    record = facts("fdp-1.2", stewardship=said).record
    assert DatasetRecord.open(record.seal(key), trusted=[key.key_id])[0] == record


def test_biomarkers_have_codes_of_the_standard() -> None:
    from pydicom.sr._concepts_dict import concepts

    for marker in BIOMARKERS.values():
        if marker.scheme == "IBSI":
            assert marker.iri is None and len(marker.code) == 4
            continue
        meanings = [
            meaning
            for each in concepts[marker.scheme].values()
            for code, (meaning, _) in each.items()
            if code == marker.code
        ]
        assert any(marker.label.lower() == meaning.lower() for meaning in meanings), (marker, meanings)


def test_a_guideline_needs_a_title_and_no_page() -> None:
    assert Guideline(title="How lesions are drawn").page is None
