"""The words of imaging facts: models, field strengths, what annotations show, follow-up; and what each attribute is."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairbank.ontology._segmented_properties import ROWS
from fairbank.ontology.annotation_labels import (
    LABELS,
    code_of_label,
    is_background,
    label_of_code,
    label_of_name,
)
from fairbank.ontology.attributes import ATTRIBUTES, SAME_SUBJECTS, is_word_of, value_label
from fairbank.ontology.equipment import (
    FIELD_STRENGTHS,
    MODEL_NAMES,
    field_strength,
    makers_of,
    normalise_model,
)
from fairbank.ontology.follow_up import FOLLOW_UP, TIME_POINTS, follow_up, time_points
from fairbank.ontology.vocabulary import DERIVED_MODALITIES, MANUFACTURERS, MODALITIES
from fairbank.release.gate import _VALUE, _identifies

YEAR = 365.25
DAYS = st.lists(st.integers(1, 800_000), max_size=12)


@pytest.mark.parametrize(
    ("maker", "text", "name"),
    [
        ("Siemens", "Sensation 16 with Akron Q tube", "SOMATOM Sensation 16"),
        ("Siemens", "SOMATOM Definition AS+", "SOMATOM Definition AS"),
        ("Siemens", "SOMATOM Definition AS_mCT", "Biograph mCT"),
        ("Siemens", "Biograph64_mCT 4R", "Biograph mCT"),
        ("Siemens", "Biograph 64-4R TruePoint", "Biograph TruePoint"),
        ("Siemens", "Prisma_fit", "MAGNETOM Prisma Fit"),
        ("Siemens", "TrioTim", "MAGNETOM Trio Tim"),
        ("Siemens", "Emotion 16 (2007)", "SOMATOM Emotion 16"),
        ("GE", "LightSpeed QX/i", "LightSpeed QXi"),
        ("GE", "LightSpeed16", "LightSpeed 16"),
        ("GE", "GENESIS_SIGNA", "Genesis Signa"),
        ("GE", "DISCOVERY MR750w", "Discovery MR750w"),
        ("GE", "Senographe Essential ADS_56.21.3", "Senographe Essential"),
        ("Philips", "Mx8000 IDT 16", "Mx8000 IDT"),
        ("Philips", "GeminiGXL 16", "Gemini GXL"),
        ("Philips", "Gyroscan NT Intera", "Intera"),
        ("Philips", "IQon - Spectral CT", "IQon Spectral CT"),
        ("Canon", "Aquilion/LB", "Aquilion LB"),
        ("Canon", "Titan3T", "Vantage Titan 3T"),
        ("Hologic", "Selenia Dimensions", "Selenia Dimensions"),
        ("unknown", "Avanto_fit", "MAGNETOM Avanto Fit"),
        ("Siemens", "LightSpeed16", "other"),
        ("Siemens", "Dr. Doe's own scanner", "other"),
        ("Acme", "Sensation 16", "other"),
        ("GE", "", "unknown"),
        ("GE", None, "unknown"),
    ],
)
def test_spellings_of_a_model_become_one_name(maker: str, text: str | None, name: str) -> None:
    assert normalise_model(maker, text) == name


def test_every_model_has_a_known_maker_and_may_leave() -> None:
    assert len(MODEL_NAMES) > 300
    assert {maker for name in MODEL_NAMES for maker in makers_of(name)} <= set(MANUFACTURERS)
    assert all(makers_of(name) for name in MODEL_NAMES)


@pytest.mark.parametrize("maker", [*MANUFACTURERS, "other", "unknown"])
@given(text=st.text())
def test_no_free_text_comes_out_as_a_model(maker: str, text: str) -> None:
    assert normalise_model(maker, text) in {*MODEL_NAMES, "other", "unknown"}


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (1.5, "1.5"), (1.494, "1.5"), (15_000.0, "1.5"), (14_939.0, "1.5"), (2.8936, "3"), (30_000.0, "3"), (1.0, "1"),
        (6.98, "7"), (0.35, "<1"), (3_500.0, "<1"), (2.0, "other"), (63.87, "other"), (9.4, "other"),
        (0.0, "unknown"), (-1.5, "unknown"), (float("nan"), "unknown"), (None, "unknown"),
    ],
)  # fmt: skip
def test_field_strengths_are_nominal_and_gauss_is_understood(value: float | None, word: str) -> None:
    assert field_strength(value) == word


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_every_field_strength_has_a_word(value: float) -> None:
    assert field_strength(value) in FIELD_STRENGTHS


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    path = Path(__file__).resolve().parents[2] / "tools" / "build_segmented_properties.py"
    spec = importlib.util.spec_from_file_location("build_segmented_properties", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_segments_show_is_what_the_standard_lists(tool: ModuleType) -> None:
    assert list(ROWS) == tool.rows()


def test_a_label_has_a_code_that_gives_it_back() -> None:
    coded = {label: code_of_label(label) for label in LABELS}
    assert [label for label, code in coded.items() if code and label_of_code(*code) != label] == []
    assert {label for label, code in coded.items() if code is None} == {
        "GTV", "CTV", "PTV", "ITV", "External contour",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("code", "label"),
    [
        (("SCT", "10200004"), "Liver"), (("SRT", "T-62000"), "Liver"), (("SRT", "M-80003"), "Neoplasm, Primary"),
        (("SCT", "272673000"), "Bone"), (("99LOCAL", "10200004"), None), (("SCT", "4711"), None), (("", ""), None),
    ],
)  # fmt: skip
def test_codes_become_words(code: tuple[str, str], label: str | None) -> None:
    assert label_of_code(*code) == label


def test_background_is_no_annotation() -> None:
    assert is_background("DCM", "125040") and not is_background("SCT", "10200004")


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("Lung_L", "Lung"), ("Lungs", "Lung"), ("LEFT LUNG", "Lung"), ("Kidney Left", "Kidney"),
        ("BRAINSTEM", "Brain Stem"), ("SpinalCord", "Spinal cord"), ("spinal cord", "Spinal cord"),
        ("Parotid_R", "Parotid gland"), ("Body", "External contour"),
        ("GTVp", "GTV"), ("PTV60", "PTV"), ("PTV_60 Dr. Doe", "PTV"), ("GTV-1", "GTV"), ("ITV", "ITV"),
        ("Dr. Liver", None), ("Liver of Jane", None), ("ITVANYI", None), ("Ptvolle", None), ("", None),
        ("RGB(1, 2)", None),
    ],
)  # fmt: skip
def test_a_typed_name_counts_only_if_all_of_it_is_listed(name: str, label: str | None) -> None:
    assert label_of_name(name) == label


@given(st.text())
def test_no_free_text_comes_out_as_a_label(text: str) -> None:
    assert label_of_name(text) is None or label_of_name(text) in LABELS


@pytest.mark.parametrize(
    ("days", "times", "span"),
    [
        ([], "unknown", "unknown"), ([1000], "1", "none"), ([1000, 1000], "1", "none"), ([1000, 1001], "2", "<1y"),
        ([1000, 1365], "2", "<1y"), ([1000, 1366], "2", "1-2y"), ([1000, 1730], "2", "1-2y"),
        ([1000, 1731], "2", "2-5y"),
        ([1000, 1200, 1300], "3-5", "<1y"), ([1, 2, 3, 4, 5], "3-5", "<1y"), ([1, 2, 3, 4, 5, 6], "6+", "<1y"),
        ([1000, 2826], "2", "2-5y"), ([1000, 2827], "2", ">=5y"),
    ],
)  # fmt: skip
def test_days_become_time_points_and_follow_up(days: list[int], times: str, span: str) -> None:
    assert (time_points(days), follow_up(days)) == (times, span)


@given(DAYS, st.integers(1, 3650))
def test_moving_all_days_of_a_subject_changes_neither(days: list[int], by: int) -> None:
    moved = [day + by for day in days]
    assert (time_points(moved), follow_up(moved)) == (time_points(days), follow_up(days))


@given(DAYS)
def test_one_day_is_no_follow_up_and_the_other_way_round(days: list[int]) -> None:
    values = {"time-points": time_points(days), "follow-up": follow_up(days)}
    for (one, word), (other, same) in SAME_SUBJECTS:
        assert (values[one] == word) == (values[other] == same)
    assert values["time-points"] in TIME_POINTS and values["follow-up"] in FOLLOW_UP


def test_every_word_of_an_attribute_may_leave_and_has_a_label() -> None:
    for name, attribute in ATTRIBUTES.items():
        assert attribute.label and attribute.source
        assert len(set(attribute.words)) == len(attribute.words)
        assert set(attribute.value_labels) <= set(attribute.words)
        assert [word for word in attribute.words if not _VALUE.fullmatch(word) or _identifies(word)] == []
        assert all(is_word_of(name, word) and value_label(name, word) for word in attribute.words)
        assert set(attribute.modalities) <= set(MODALITIES)


def test_the_documentation_lists_every_attribute_and_its_words() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "explanation" / "imaging-facts.md").read_text(
        "utf-8"
    )
    rows = {line.split("|")[1].strip(" `"): line for line in page.splitlines() if line.startswith("| `")}
    assert set(rows) == set(ATTRIBUTES)
    few = {name: each.words for name, each in ATTRIBUTES.items() if 0 < len(each.words) <= 8}
    few.pop("slice-spacing")
    assert [word for name, words in few.items() for word in words if f"`{word}`" not in rows[name]] == []


def test_a_word_of_another_attribute_is_none_of_this_one() -> None:
    assert not is_word_of("field-strength", "SOMATOM Force")
    assert is_word_of("acquisition-year", "2019") and is_word_of("tracer", "FDG")


def test_what_is_made_from_images_is_no_image() -> None:
    assert set(MODALITIES) > DERIVED_MODALITIES
    assert not DERIVED_MODALITIES & {"CT", "MR", "PT", "MG", "US", "SM"}
