"""Two versions of a request side by side: what differs, and which datasets have to be decided about again."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairbank.catalogue.governance.amending import compare, sentences
from fairbank.catalogue.governance.granted_terms import concerns
from fairbank.ontology.outputs import OutputClass
from fairbank.ontology.signed_objects import (
    Evidence,
    EvidenceKind,
    OrganisationKind,
    Person,
    Purpose,
    Request,
)

IRIS = tuple(f"http://hub.test/datasets/alpha/{name}" for name in ("brains", "lungs", "livers"))
ANA = Person(name="Ana", organisation="University", role="statistician")
BEN = Person(name="Ben", organisation="Clinic", role="radiologist", account="ben")
VOTE = Evidence(kind=EvidenceKind.ETHICS_APPROVAL, title="Vote", reference="12/26")
BASE: dict[str, Any] = {
    "id": "01a1fdee-cff5-7f63-b5f0-d16d1d20c888",
    "requester_key": "ed25519:" + "A" * 43,
    "requester_account": "rita",
    "organisation": "University",
    "title": "Nodules",
    "datasets": IRIS[:2],
    "purpose": Purpose(data_use=("DUO:0000006",), statement="Nodule detection."),
    "output_classes": (OutputClass.MEASUREMENTS,),
    "people": (ANA,),
    "until": "2027-01-31T00:00:00.000Z",
    "created": "2026-11-30T00:00:00.000Z",
}
OTHER: dict[str, Any] = {
    "requester_key": "ed25519:" + "B" * 43,
    "organisation": "Clinic",
    "title": "Small nodules",
    "datasets": (IRIS[0], IRIS[2]),
    "purpose": Purpose(data_use=("DUO:0000042",), statement="Anything.", commercial=True),
    "output_classes": (OutputClass.MEASUREMENTS, OutputClass.MODEL_UPDATE),
    "people": (ANA, BEN),
    "evidence": (VOTE,),
    "funding": ("ERC",),
    "publication_plan": "Open access.",
    "project": "P1",
    "country": "NL",
    "organisation_kind": OrganisationKind.PUBLIC,
    "until": "2028-01-31T00:00:00.000Z",
    "minimum_datasets": 2,
}


def request(**changes: Any) -> Request:
    return Request(**(BASE | changes))


def versions() -> st.SearchStrategy[Request]:
    def made(names: set[str]) -> Request:
        return request(**{name: OTHER[name] for name in names})

    return st.sets(st.sampled_from(sorted(OTHER))).map(made)


@given(versions(), versions())
def test_what_is_shown_as_concerned_is_what_is_decided_again(old: Request, new: Request) -> None:
    changes = compare(old, new)
    again = set(changes.kept) if concerns(old, new) else set()
    assert changes.concerned == again | (set(new.datasets) - set(old.datasets))


@given(versions(), versions())
def test_every_difference_is_told_and_nothing_else(old: Request, new: Request) -> None:
    changes = compare(old, new)
    differs = [
        name
        for name in Request.model_fields
        if name not in ("id", "version", "amends", "created", "datasets")
    ]
    expected = any(getattr(old, name) != getattr(new, name) for name in differs)
    assert bool(changes.overall) == expected
    assert changes.nothing == (not sentences(changes))
    assert compare(new, old).added == changes.removed


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ({"until": "2027-06-30T00:00:00.000Z"}, True),
        ({"until": "2026-12-31T00:00:00.000Z"}, False),
        ({"title": "Other"}, False),
        ({"output_classes": (OutputClass.AGGREGATE, OutputClass.MEASUREMENTS)}, True),
        ({"people": (ANA, BEN)}, True),
        ({"evidence": (VOTE,)}, True),
        ({"minimum_datasets": 2}, False),
    ],
)
def test_asking_for_more_is_decided_again_asking_for_less_is_not(change: dict[str, Any], again: bool) -> None:
    changes = compare(request(), request(**change))
    assert changes.concerned == (frozenset(IRIS[:2]) if again else frozenset())
    assert not changes.nothing


def test_another_dataset_concerns_only_itself() -> None:
    changes = compare(request(), request(datasets=IRIS))
    assert changes.concerned == {IRIS[2]}
    assert sentences(changes) == [f"asks also for {IRIS[2]}"]


def test_a_dataset_left_out_is_told_and_decided_about_no_more() -> None:
    changes = compare(request(), request(datasets=IRIS[:1]))
    assert (changes.removed, changes.concerned) == ((IRIS[1],), frozenset())
