"""k-anonymity and l-diversity of a collection, against a plain count, and from a folder and a node."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conftest import Ran
from tests.deid.conftest import as_file, ct_dataset
from tests.federated_jobs.test_subject_withdrawal import counted, node

from fairbank.deid.errors import NothingToAssess
from fairbank.deid.risk import Row, age_bands, assess
from fairbank.deid.risk_rows import rows_of_folder
from fairbank.harvest.risk_rows import rows_of_project
from fairbank.release.node import Node

__all__ = ["node"]
BY = ("age-band", "sex")


def row(subject: str, age: str = "60-64", sex: str = "F", **more: str) -> Row:
    return Row(subject, {"age-band": age, "sex": sex, **more})


def test_a_subject_is_as_exposed_as_its_smallest_class() -> None:
    rows = [row("a"), row("b"), row("c"), row("a", sex="M"), row("a", sex="M")]
    found = assess(rows, BY, k=3)
    assert [(one.words, one.subjects) for one in found.classes] == [(("60-64", "M"), 1), (("60-64", "F"), 3)]
    assert (found.subjects, found.below) == (3, 1)
    assert assess(rows, BY, k=1).below == 0


def test_what_is_not_known_is_a_word_of_its_own() -> None:
    found = assess([Row("a", {"sex": "F"}), Row("b", {"sex": "F", "age-band": ""})], BY, k=2)
    assert [one.words for one in found.classes] == [("unknown", "F")]
    assert found.below == 0


def test_generalisations_say_what_they_would_lift() -> None:
    rows = [row(f"s{n}", age=f"{5 * n}-{5 * n + 4}") for n in range(4, 12)]
    found = assess(rows, BY, k=2)
    assert found.below == 8
    lifted = {step.what: step.below for step in found.each}
    assert lifted == {
        "age in bands of 10 years": 0,
        "age in bands of 20 years": 0,
        "without age-band": 0,
        "without sex": 8,
    }
    # The gentlest that is enough comes first.
    assert [(step.what, step.below) for step in found.path] == [("age in bands of 10 years", 0)]


def test_steps_are_taken_together_where_none_is_enough_alone() -> None:
    rows = [row("a", age="60-64", sex="F"), row("b", age="65-69", sex="M")]
    found = assess(rows, BY, k=2)
    assert {step.below for step in found.each} == {2}
    assert found.path[-1].below == 0
    assert len(found.path) == 2
    alone = assess([row("a")], BY, k=2)
    assert (alone.below, alone.path) == (1, ())


def test_a_class_whose_sensitive_word_is_the_same_protects_nobody() -> None:
    rows = [row(subject, diagnosis="C34") for subject in "abc"]
    rows += [row(subject, sex="M", diagnosis=word) for subject, word in (("d", "C34"), ("e", "J45"))]
    found = assess(rows, BY, k=2, sensitive="diagnosis")
    assert (found.below, found.uniform) == (0, 3)
    assert [one.sensitive for one in found.classes] == [2, 1]
    assert assess(rows, BY, k=2, sensitive="diagnosis", diversity=3).uniform == 5
    assert assess(rows, BY, k=2).uniform is None


def test_there_must_be_something_to_assess() -> None:
    with pytest.raises(NothingToAssess):
        assess([], BY, k=2)
    with pytest.raises(NothingToAssess):
        assess([row("a")], (), k=2)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("abcdefgh"), st.sampled_from(["60-64", "65-69", "90+"]), st.sampled_from("FM")
        ),
        min_size=1,
        max_size=30,
    ),
    st.integers(1, 5),
)
def test_the_count_is_that_of_the_definition(series: list[tuple[str, str, str]], k: int) -> None:
    found = assess([row(*one) for one in series], BY, k=k)
    exposed = {
        subject
        for subject, age, sex in series
        if len({other for other, *words in series if words == [age, sex]}) < k
    }
    assert found.below == len(exposed)
    # What is coarser never exposes more, and the last resort leaves one class.
    assert all(step.below <= found.below for step in found.each)
    # Whoever can be lifted is: without any property all subjects are one class.
    assert (found.path[-1].below if found.path else found.below) == (
        0 if found.subjects >= k else found.below
    )


def test_bands_of_bands_are_what_a_direct_band_would_be() -> None:
    for years in (10, 20):
        for age in range(90):
            low = age // 5 * 5
            band = age_bands(years)(f"{low}-{low + 4}")
            start = age // years * years
            assert band in (f"{start}-{start + years - 1}", f"{start}+")
    assert {age_bands(20)(band) for band in ("80-84", "85-89", "90+")} == {"80+"}
    assert age_bands(10)("85-89") == "80-89" and age_bands(10)("90+") == "90+"


def test_a_folder_of_cleaned_files_is_read_and_what_is_held_is_not(
    tmp_path: Path, fairbank: Callable[..., Ran]
) -> None:
    for number, patient in enumerate(("AAAA", "BBBB", "BBBB", "CCCC")):
        dataset = ct_dataset(patient, instance=number, series=number // 2)
        dataset.ManufacturerModelName = "M1" if patient != "CCCC" else "M2"
        place = tmp_path / "out" / patient
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.dcm").write_bytes(as_file(dataset))
    held = tmp_path / "out" / "quarantine"
    held.mkdir()
    (held / "q-1.dcm").write_bytes(as_file(ct_dataset("DDDD")))
    (tmp_path / "out" / "report.json").write_text("{}")
    rows = list(rows_of_folder(tmp_path / "out"))
    assert sorted({one.subject for one in rows}) == ["AAAA", "BBBB", "CCCC"]
    assert rows[0].values["age-band"] == "75-79" and rows[0].values["study-month"] == "2019-04"
    ran = fairbank("deid", "risk", "--folder", tmp_path / "out", "--k", "2", "--format", "json").ok()
    told = json.loads(ran.out)
    assert (told["subjects"], told["subjects in classes below k"]) == (3, 1)
    assert told["smallest"][0]["model"] == "M2" and told["smallest"][0]["subjects"] == "<2"
    assert told["path"] == [{"generalisation": "without model", "subjects_below_k": 0}]
    assert "CCCC" not in ran.out


def test_a_project_is_assessed_at_the_node(node: Node, fairbank: Callable[..., Ran], tmp_path: Path) -> None:
    rows = rows_of_project(node, "lung")
    assert len({one.subject for one in rows}) == counted(node) == 2
    assert {one.values["sex"] for one in rows} == {"F"}
    assert {one.values["manufacturer"] for one in rows} != {""}
    ran = fairbank("deid", "risk", "lung", "--format", "json").ok()
    told = json.loads(ran.out)
    assert (told["k"], told["subjects"], told["subjects in classes below k"]) == (10, 2, 2)
    assert all(one.subject not in ran.out for one in rows)
    chart = tmp_path / "risk.svg"
    fairbank("deid", "risk", "lung", "--chart", chart).ok()
    assert "2" in chart.read_text() and "without model" in chart.read_text()
    table = fairbank("deid", "risk", "lung", "--k", "2", "--by", "sex,modality").ok()
    assert "subjects in classes below k" in table.out
    fairbank("deid", "risk", "lung", "--by", "shoe-size").refused("shoe-size", code=2)
    fairbank("deid", "risk").refused(code=2)
    fairbank("deid", "risk", "empty").refused("nothing to assess")
