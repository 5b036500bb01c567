"""Metrics by group: which are told, that what is withheld cannot be worked out, and what the gate lets through."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairbank.federated_jobs.algorithms.by_group import WORDS, by_group, wide_band
from fairbank.federated_jobs.node.errors import WorkerProtocolBroken
from fairbank.federated_jobs.node.group_tables import groups_in
from fairbank.ontology.group_metrics import CLASSWISE, read_table
from fairbank.ontology.outputs import GROUP_METRICS_TYPE, DoorClass, OutputClass
from fairbank.ontology.signed_objects import Output
from fairbank.release.candidates import Candidate
from fairbank.release.gate import Policy, judge
from fairbank.release.group_metrics import Group, GroupMetrics, rows_of, table, told_groups
from fairbank.release.tables import TableRules

K = 5
RULES = TableRules(K)
NUMBERS = {"accuracy": 0.87654, "auroc": 0.91234, "auroc_low": 0.81, "auroc_high": 0.99, "sensitivity": 0.8}


def groups(classes: tuple[frozenset[int], ...] = (), **kinds: dict[str, int]) -> GroupMetrics:
    """Return groups of consecutive subjects, so many in each."""
    made: dict[str, dict[str, Group]] = {}
    for kind, sizes in kinds.items():
        at = 0
        made[kind] = {}
        for word, size in sizes.items():
            made[kind][word] = Group(frozenset(range(at, at + size)), NUMBERS)
            at += size
    return GroupMetrics(made, classes, WORDS)


def told(found: GroupMetrics, *, classwise: bool = False) -> dict[str, tuple[str, ...]]:
    return told_groups(found, RULES, classwise=classwise)


def test_a_small_group_and_the_one_that_would_tell_it_are_withheld() -> None:
    assert told(groups(sex={"F": 20, "M": 9})) == {"sex": ("F", "M")}
    assert told(groups(sex={"F": 20, "M": 4})) == {"sex": ()}
    assert told(groups(manufacturer={"GE": 20, "Philips": 4, "Siemens": 12})) == {"manufacturer": ("GE",)}
    # Two that are withheld together protect each other once they are k.
    assert told(groups(manufacturer={"GE": 20, "Philips": 3, "Siemens": 2})) == {"manufacturer": ("GE",)}
    assert told(groups(manufacturer={"GE": 20, "Philips": 2, "Siemens": 2})) == {"manufacturer": ()}


def test_those_of_whom_nothing_is_known_are_a_part_of_the_whole() -> None:
    assert told(groups(sex={"F": 20, "M": 20, "unknown": 3})) == {"sex": ("M",)}


def test_a_group_that_differs_by_few_from_one_of_another_kind_is_withheld() -> None:
    # All women but two were scanned by one maker: both numbers together would tell of the two.
    found = groups(sex={"F": 20, "M": 20}, manufacturer={"GE": 18, "Siemens": 22})
    words = told(found)
    assert words == {"manufacturer": ("GE", "Siemens"), "sex": ()}
    apart = groups(sex={"F": 20, "M": 20}, manufacturer={"GE": 10, "Siemens": 30})
    assert told(apart) == {"manufacturer": ("GE", "Siemens"), "sex": ("F", "M")}


def test_shares_of_a_class_need_enough_subjects_of_each_class() -> None:
    ill = frozenset({0, 1, 2, 3, 20, 21, 22, 23, 24, 25})
    well = frozenset(range(40)) - ill
    found = groups((well, ill), sex={"F": 20, "M": 20})
    assert told(found, classwise=True) == {"sex": ()}
    assert {row["metric"] for row in rows_of(found, RULES)} == {"accuracy"}
    enough = groups((well - {4, 5}, ill | {4, 5}), sex={"F": 20, "M": 20})
    assert {(row["group"], row["metric"]) for row in rows_of(enough, RULES)} == {
        (word, metric) for word in "FM" for metric in ("accuracy", "auroc", "sensitivity")
    }


def test_without_classes_nothing_that_compares_classes_is_told() -> None:
    assert {row["metric"] for row in rows_of(groups(sex={"F": 9, "M": 9}), RULES)} == {"accuracy"}


@given(
    sizes=st.lists(st.integers(1, 12), min_size=1, max_size=6),
    other=st.lists(st.integers(1, 12), min_size=1, max_size=5),
)
@settings(max_examples=80, deadline=None)
def test_no_told_groups_and_the_whole_leave_few(sizes: list[int], other: list[int]) -> None:
    makers = WORDS["manufacturer"][: len(sizes)]
    total = sum(sizes)
    ages, at = {}, 0
    for word, size in zip(WORDS["age_band"], other, strict=False):
        ages[word] = min(size, total - at)
        at += ages[word]
    ages["unknown"] = total - at
    found = groups(
        manufacturer=dict(zip(makers, sizes, strict=True)), age_band={w: n for w, n in ages.items() if n}
    )
    whole = frozenset(range(total))
    for kind, words in told(found).items():
        for count in range(1, len(words) + 1):
            for some in combinations(words, count):
                rest = whole.difference(*(found.kinds[kind][word].subjects for word in some))
                assert not 0 < len(rest) < K
        assert all(len(found.kinds[kind][word].subjects) >= K for word in words)


def test_numbers_are_rounded_and_counts_as_the_site_rounds_them() -> None:
    ill = frozenset(range(0, 40, 2))
    found = groups((frozenset(range(40)) - ill, ill), sex={"F": 23, "M": 17})
    (first,) = [row for row in rows_of(found, RULES) if row["group"] == "F" and row["metric"] == "auroc"]
    assert (first["n_subjects"], first["value"], first["low"], first["high"]) == (23, 0.912, 0.81, 0.99)
    coarse = [
        row
        for row in rows_of(found, TableRules(K, base=5))
        if row["group"] == "F" and row["metric"] == "auroc"
    ]
    assert (coarse[0]["n_subjects"], coarse[0]["value"]) == (25, 0.91)


# -- the gate ------------------------------------------------------------------------------------------------------

OUTPUT = Output(
    name="metrics-by-group",
    output_class=OutputClass.AGGREGATE,
    media_type=GROUP_METRICS_TYPE,
    maximum_bytes=10**6,
)


def verdict(tmp_path: Path, body: Any, found: GroupMetrics | None, *, subjects: int = 40) -> tuple[str, ...]:
    file = tmp_path / "table.json"
    file.write_bytes(body if isinstance(body, bytes) else json.dumps(body).encode())
    candidate = Candidate(
        DoorClass.COUNT,
        OUTPUT.name,
        file,
        GROUP_METRICS_TYPE,
        job="01a1fdee-cff5-7f63-b5f0-d16d1d20c888",
        round=2,
        limits=OUTPUT,
        subjects=subjects,
        groups=found,
    )
    return judge(candidate, file, Policy("node", "key", K, 10**6)).reasons


def test_the_gate_lets_a_table_through_and_nothing_more(tmp_path: Path) -> None:
    found = groups(sex={"F": 20, "M": 20}, manufacturer={"GE": 30, "Philips": 3, "Siemens": 7})
    body = table(found, RULES, number=2)
    assert verdict(tmp_path, body, found) == ()
    assert b"Philips" not in body and b"Siemens" not in body
    assert verdict(tmp_path, table(groups(sex={"F": 3}), RULES, number=2), groups(sex={"F": 3})) == ()
    whole = json.loads(body)
    row = whole["rows"][0]
    small = {**row, "kind": "manufacturer", "group": "Philips", "n_subjects": 3}
    for rows in (
        [small],
        [{**row, "group": "Jane Doe"}],
        [{**row, "group": "1970-01-01"}],
        [{**row, "metric": "loss"}],
        [{**row, "value": 0.5}],
        [{**row, "n_subjects": row["n_subjects"] + 1}],
        [{**row, "note": "x"}],
        [row, row],
        ["row"],
    ):
        assert verdict(tmp_path, {**whole, "rows": rows}, found) != ()
    assert verdict(tmp_path, {**whole, "round": 1}, found) != ()
    assert verdict(tmp_path, {**whole, "schema": "rows/1"}, found) != ()
    assert verdict(tmp_path, b"{", found) != ()
    assert verdict(tmp_path, body, None) != ()
    assert verdict(tmp_path, body, found, subjects=K - 1) != ()


def test_a_table_that_a_site_sends_is_read_strictly() -> None:
    found = groups(sex={"F": 20, "M": 20})
    body = table(found, RULES, number=2)
    assert read_table(body, number=2) == rows_of(found, RULES)
    whole = json.loads(body)
    row = whole["rows"][0]
    for wrong in (
        {**whole, "round": 3},
        {**whole, "rows": {}},
        *({**whole, "rows": [{**row, name: None}]} for name in ("kind", "n_subjects", "value", "metric")),
    ):
        with pytest.raises(ValueError, match=r".+"):
            read_table(json.dumps(wrong).encode(), number=2)


# -- what is measured ------------------------------------------------------------------------------------------------


def test_each_subject_is_in_one_group_of_each_kind() -> None:
    subjects = ["b", "a", "a", "c"]
    known = [
        {"sex": "F", "age_band": "40-44", "manufacturer": "GE"},
        {"sex": "M", "age_band": "55-59", "manufacturer": "GE"},
        {"sex": "M", "age_band": "60-64", "manufacturer": "Siemens"},
        {"manufacturer": "a name"},
    ]
    found = by_group(subjects, known, [1, 0, 0, 1], lambda places: {"accuracy": len(places) / 7})
    sets = {kind: {word: one.subjects for word, one in each.items()} for kind, each in found.kinds.items()}
    assert sets["sex"] == {"M": [0], "F": [1], "unknown": [2]}
    assert sets["age_band"] == {"40-59": [1], "several": [0], "unknown": [2]}
    assert sets["manufacturer"] == {"GE": [1], "several": [0], "unknown": [2]}
    assert found.classes == [[0], [1, 2]]
    assert found.kinds["sex"]["M"].metrics == {"accuracy": 0.285714}
    assert groups_in(found).classes == (frozenset({0}), frozenset({1, 2}))


def test_what_nobody_knows_is_no_kind_of_group() -> None:
    assert by_group(["a", "b"], [{}, {}], [], lambda places: {}).kinds == {}


def test_bands_of_five_years_lie_in_bands_of_twenty() -> None:
    assert {wide_band(f"{low}-{low + 4}") for low in range(0, 90, 5)} | {wide_band("90+")} == set(
        WORDS["age_band"]
    ) - {"unknown", "several"}


def test_groups_that_overlap_are_an_error_of_the_code() -> None:
    def found(**kinds: dict[str, list[int]]) -> Any:
        from fairbank.federated_jobs.algorithms.by_group import ByGroup

        made = {
            kind: {word: {"subjects": subjects, "metrics": {}} for word, subjects in each.items()}
            for kind, each in kinds.items()
        }
        return ByGroup.from_json({"kinds": made, "classes": [[0]]})

    assert groups_in(found(sex={"F": [0, 1], "M": [2]})).kinds
    for wrong in (
        {"sex": {"F": [0, 1], "M": [1, 2]}},
        {"sex": {"F": [0, 1]}, "manufacturer": {"GE": [0]}},
        {"sex": {"she": [0, 1]}},
        {"name": {"F": [0, 1]}},
        {"sex": {"F": [1]}},
    ):
        with pytest.raises(WorkerProtocolBroken):
            groups_in(found(**wrong))


def test_what_compares_classes_is_named() -> None:
    assert set(CLASSWISE) == {"auroc", "f_one", "sensitivity", "specificity"}
