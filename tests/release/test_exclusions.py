"""What was left out is told by reason of enough subjects, and nothing follows from what is told about few."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairbank.ontology.counts import CountKind
from fairbank.ontology.exclusions import OTHER_REASONS
from fairbank.release.exclusions import faults, may_leave, told_exclusions
from fairbank.release.tables import TableRules

WORDS = ("too_thick", "expiration", "sharp_kernel", "contrast_agent")
K = 4


def rows_of(**subjects: int) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Return rows with one series per subject: so many of each reason, `ok` for those that were measured."""
    rows, subject_of = [], {}
    for reason, count in subjects.items():
        for _ in range(count):
            name = f"s{len(rows):06d}"
            subject_of[name] = f"p{len(rows)}"
            status = "ok" if reason == "ok" else "impossible"
            rows.append({"row": name, "status": status, "reason": None if reason == "ok" else reason})
    return rows, subject_of


def told(rules: TableRules = TableRules(K), **subjects: int) -> dict[str, tuple[str, str]]:  # noqa: B008 - frozen
    rows, subject_of = rows_of(**subjects)
    return {
        each.reason: (str(each.series), str(each.subjects))
        for each in told_exclusions(rows, subject_of, rules)
    }


@pytest.mark.parametrize(
    ("subjects", "expected"),
    [
        ({"ok": 9}, {}),
        ({"ok": 9, "too_thick": 5, "expiration": 4}, {"too_thick": ("5", "5"), "expiration": ("4", "4")}),
        # One that is few takes the smallest other with it, and both are told together.
        (
            {"ok": 9, "too_thick": 7, "expiration": 5, "sharp_kernel": 1},
            {"too_thick": ("7", "7"), OTHER_REASONS: ("6", "6")},
        ),
        # Two that are few protect each other where they are enough together.
        (
            {"too_thick": 7, "expiration": 2, "sharp_kernel": 2},
            {"too_thick": ("7", "7"), OTHER_REASONS: ("4", "4")},
        ),
        ({"ok": 9, "expiration": 2, "sharp_kernel": 1}, {OTHER_REASONS: ("<4", "<4")}),
    ],
    ids=["nothing", "enough", "one of few", "two of few", "few in all"],
)  # fmt: skip
def test_reasons_of_few_subjects_are_told_as_one(subjects, expected):
    assert told(**subjects) == expected


def test_many_series_of_one_subject_are_one_subject():
    rows, subject_of = rows_of(ok=9, too_thick=6)
    subject_of = {
        name: "p0" if place >= 9 else subject for place, (name, subject) in enumerate(subject_of.items())
    }
    assert [each.reason for each in told_exclusions(rows, subject_of, TableRules(K))] == [OTHER_REASONS]


def test_counts_are_rounded_where_the_site_rounds_and_no_row_tells_them_exactly():
    rules = TableRules(5, base=5)
    assert told(rules, ok=9, too_thick=7) == {"too_thick": ("5", "5")}
    rows, subject_of = rows_of(ok=9, too_thick=7)
    exclusions = told_exclusions(rows, subject_of, rules)
    assert sum(may_leave(row, exclusions, rules) for row in rows) == 9


@given(
    st.lists(
        st.tuples(st.sampled_from(("ok", *WORDS)), st.integers(0, 9)),
        max_size=40,
    )
)
def test_nothing_that_is_told_nor_the_rest_of_all_is_about_few(series):
    rows = [
        {
            "row": f"s{place:06d}",
            "status": "ok" if reason == "ok" else "error",
            "reason": None if reason == "ok" else reason,
        }
        for place, (reason, _) in enumerate(series)
    ]
    subject_of = {row["row"]: f"p{subject}" for row, (_, subject) in zip(rows, series, strict=True)}
    rules = TableRules(K)
    exclusions = told_exclusions(rows, subject_of, rules)
    kept = [row for row in rows if may_leave(row, exclusions, rules)]
    known = {each.reason for each in exclusions}
    for each in exclusions:
        assert each.subjects.kind is CountKind.BELOW_K or each.subjects.at_least >= K
    hidden = {row["reason"] for row in rows if row["status"] != "ok"} - known
    # What is told as one is a single reason only where nothing else is told.
    assert len(hidden) != 1 or known == {OTHER_REASONS}
    assert len(kept) == sum(row["status"] == "ok" or row["reason"] in known for row in rows)
    # The gate comes to the same by what leaves alone.
    as_json = [each.model_dump(mode="json", exclude_none=True) for each in exclusions]
    assert faults(as_json, kept, WORDS, k=K, base=1) == []


FEW = {"kind": "below-k", "k": K}


def exact(value: int) -> dict[str, Any]:
    return {"kind": "exact", "value": value}


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ("3 left out", "by reasons and counts"),
        ([{"reason": "too_thick", "series": 9, "subjects": 9}], "by reasons and counts"),
        ([{"reason": "jane_doe", "series": exact(9), "subjects": exact(9)}], "other words"),
        ([{"reason": "too_thick", "series": exact(9), "subjects": exact(3)}], "fewer than 4"),
        ([{"reason": "too_thick", "series": FEW, "subjects": FEW}], "beside others"),
        (
            [
                {"reason": "too_thick", "series": exact(9), "subjects": exact(9)},
                {"reason": OTHER_REASONS, "series": FEW, "subjects": FEW},
            ],
            "beside others",
        ),
        ([], "for a reason that is not told"),
        ([{"reason": OTHER_REASONS, "series": exact(9), "subjects": exact(9)}], "for a reason that is not told"),
    ],
    ids=["text", "numbers", "foreign word", "few", "few by name", "few beside others", "no count", "row of others"],
)  # fmt: skip
def test_the_gate_refuses_what_tells_of_few(given_, said):
    row = {"row": "s000001", "status": "impossible", "reason": "expiration"}
    assert said in faults(given_, [row], WORDS, k=K, base=1)[0]


def test_the_gate_refuses_exact_counts_of_a_site_that_rounds():
    given_ = [{"reason": "too_thick", "series": exact(7), "subjects": exact(5)}]
    assert "not rounded" in faults(given_, [], WORDS, k=5, base=5)[0]
