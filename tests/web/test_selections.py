"""Drafts of jobs, and what of a search images can be asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fairbank.federated_jobs.errors import DraftRefused
from fairbank.ontology.errors import MalformedObject
from fairbank.ontology.selection import DEFAULT_FOR_ANALYSIS
from fairbank.ontology.signed_objects import Pick, Selector, Unit
from fairbank.signing import Sealed
from fairbank.web.selections import draft_job, read_draft, searched, write_draft

GRANT = "01a1fdee-cff5-7f63-b5f0-d16d1d20c888"
IRI = "https://hub.example/datasets/north/ct"


def visa(selector: Selector | None = None) -> Sealed:
    datasets = [{"iri": IRI, "selector": (selector or Selector()).model_dump(mode="json")}]
    return Sealed("visa", {"id": GRANT, "datasets": datasets}, b"", b"", "ed25519:x")  # type: ignore[arg-type]


def draft(tool: str = "intensity-geometry", granted: Selector | None = None, **options: Any) -> Any:
    return draft_job(visa(granted), tool, title="A look", parameters={}, **options)


def test_an_analysis_starts_from_one_suitable_series_per_study() -> None:
    assert draft().datasets[0].selector == DEFAULT_FOR_ANALYSIS


def test_a_training_takes_what_is_granted() -> None:
    granted = Selector(modality=("MR",))
    assert draft("noop", granted).datasets[0].selector == granted


def test_what_is_said_replaces_the_default() -> None:
    made = draft(changes={"contrast": ["yes"], "slice_thickness_max_mm": "1.5", "modality": None})
    assert made.datasets[0].selector.contrast == ("yes",)
    assert made.datasets[0].selector.slice_thickness_max_mm == "1.5"
    assert made.datasets[0].selector.pick is Pick.THINNEST_CONTIGUOUS


def test_more_than_granted_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(DraftRefused, match="wider"):
        draft(granted=Selector(modality=("CT",)), changes={"modality": ["MR"]})
    with pytest.raises(DraftRefused, match="does not cover"):
        draft(datasets=["https://hub.example/datasets/north/other"])


def test_a_word_that_no_selector_knows_is_named() -> None:
    with pytest.raises(MalformedObject, match="kernel"):
        draft(changes={"kernel": ["hard"]})


def test_a_draft_survives_its_file(tmp_path: Path) -> None:
    made, path = draft(changes={"unit": "subject"}), tmp_path / "job.json"
    write_draft(made, path)
    assert read_draft(path) == made
    assert made.datasets[0].selector.unit is Unit.SUBJECT


@pytest.mark.parametrize("text", ["", "{}", '{"schema": "job-draft/1", "extra": 1}'])
def test_what_is_no_draft_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "job.json"
    path.write_text(text)
    with pytest.raises(DraftRefused):
        read_draft(path)


def test_a_search_becomes_a_selection_and_says_what_it_cannot_ask() -> None:
    question = {
        "q": "lung",
        "modality": ["CT"],
        "body_part": ["CHEST"],
        "slice_thickness_max": "1.5",
        "holds": ["sex=F", "age-band=60-64", "acquisition-year=2018", "acquisition-year=2019"],
        "slice_thickness": ["1-1.5"],
        "model": ["Aquilion"],
    }
    selector, left_out = searched(question)
    assert {"CHEST", "HEART"} <= set(selector.body_part)
    assert (selector.sex, selector.age_band) == (("F",), ("60-64",))
    assert (selector.acquired_from, selector.acquired_to) == (2018, 2019)
    assert selector.slice_thickness_max_mm == "1.5"
    assert left_out == ["slice_thickness", "model"]
    assert searched({**question, "exact": True})[0].body_part == ("CHEST",)
