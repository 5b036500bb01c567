"""The mock twin: synthetic images that a selection would take, and a tool run on them."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairbank.federated_jobs.errors import OptionRefused, TwinRefused
from fairbank.federated_jobs.twin import try_on_twin, twin_of, write_twin
from fairbank.harvest.headers import read_headers
from fairbank.harvest.rows import contiguous, derived
from fairbank.harvest.series import describe
from fairbank.ontology.selection import DEFAULT_FOR_ANALYSIS
from fairbank.ontology.signed_objects import Selector

WANTED = Selector(
    modality=("CT",),
    body_part=("CHEST",),
    manufacturer=("GE",),
    kernel=("soft",),
    contrast=("no",),
    sex=("F",),
    age_band=("60-64",),
    slice_thickness_max_mm="1",
    minimum_instances=30,
    acquired_from=2015,
    acquired_to=2016,
)


def tried(folder: Path, selector: Selector, seed: int = 0, **parameters: object) -> list[dict[str, object]]:
    return try_on_twin("intensity-geometry", parameters, selector, subjects=2, seed=seed, folder=folder)  # type: ignore[arg-type]


def test_a_twin_is_what_the_selection_takes(tmp_path: Path) -> None:
    cohort = twin_of(WANTED, subjects=2, seed=1)
    write_twin(cohort, tmp_path / "in", seed=1)
    for series in cohort:
        assert (series.sex, series.age_band, series.contrast) == ("F", "60-64", "no")
        headers = [one for one in read_headers(sorted((tmp_path / "in" / series.unit).glob("*.dcm"))) if one]
        facts = describe(headers)
        assert (facts.modality, facts.body_part, facts.manufacturer) == ("CT", "CHEST", "GE")
        assert facts.kernel == "soft"
        assert facts.slice_thickness_mm is not None
        assert facts.slice_thickness_mm <= 1
        assert facts.instances >= 30
        assert contiguous(facts.quality) is True
        assert derived(facts.acquisition["ImageType"]) is False
        assert 2015 <= series.acquired <= 2016


def test_a_tool_makes_its_rows_on_a_twin(tmp_path: Path) -> None:
    rows = tried(tmp_path, DEFAULT_FOR_ANALYSIS)
    assert [row["status"] for row in rows] == ["ok", "ok"]
    assert all(row["evenly_spaced"] == "yes" and row["modality"] == "CT" for row in rows)


def test_the_same_seed_makes_the_same_rows(tmp_path: Path) -> None:
    selector = Selector(modality=("MR",))
    assert tried(tmp_path / "a", selector) == tried(tmp_path / "b", selector)
    assert tried(tmp_path / "a2", selector, seed=1) != tried(tmp_path / "b2", selector)


def test_what_is_not_tried_is_said(tmp_path: Path) -> None:
    with pytest.raises(TwinRefused, match="twin"):
        tried(tmp_path, Selector(modality=("US",)))
    with pytest.raises(TwinRefused, match="trains"):
        try_on_twin("noop", {}, Selector(), subjects=1, seed=0, folder=tmp_path)
    with pytest.raises(OptionRefused):
        tried(tmp_path, Selector(), significant_digits=99)
