"""Disclosure rules of tables: what a reader who knows every total can work out is never of few subjects."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fairbank.release.tables import Dominance, dominated, withheld_cells

TABLES = st.integers(1, 3).flatmap(
    lambda axes: st.lists(st.integers(1, 4), min_size=axes, max_size=axes).flatmap(
        lambda shape: arrays(np.int64, tuple(shape), elements=st.integers(0, 30))
    )
)


@given(TABLES, st.integers(2, 12))
def test_no_line_and_no_table_leaves_few_subjects_to_be_worked_out(counts: np.ndarray, k: int) -> None:
    hidden = withheld_cells(counts, k=k)
    told = (counts > 0) & ~hidden
    assert not (counts[told] < k).any()
    for axis in (None, *range(counts.ndim)):
        rest = np.asarray(np.where(hidden, counts, 0).sum(axis=axis))
        number = np.asarray(hidden.sum(axis=axis))
        left = np.asarray(told.sum(axis=axis))
        # Where cells are told, what is left of the total is of k subjects and of two cells, or of none.
        assert (((number == 0) | ((number > 1) & (rest >= k))) | (left == 0)).all()


@given(TABLES, st.integers(2, 12))
def test_nothing_is_withheld_where_all_cells_are_large(counts: np.ndarray, k: int) -> None:
    large = np.where(counts > 0, counts + k, 0)
    assert not withheld_cells(large, k=k).any()


@pytest.mark.parametrize(
    ("contributions", "found"),
    [
        ([10.0] * 12, False),
        ([-10.0] * 12, False),
        ([1000.0, *[1.0] * 20], True),
        ([500.0, 500.0, *[1.0] * 20], True),
        # 85 % and no more of the sum: may be told.
        ([425.0, 425.0, *[15.0] * 10], False),
        ([425.0, 426.0, *[15.0] * 10], True),
        ([0.0] * 5, False),
    ],
    ids=str,
)
def test_a_sum_that_two_make_up_is_told_from_one_that_many_make_up(
    contributions: list[float], found: bool
) -> None:
    assert dominated(np.array(contributions), Dominance()) is found


def test_the_p_percent_rule_counts_by_itself() -> None:
    rule = Dominance(share_percent=100)
    assert dominated(np.array([100.0, 60.0, 9.0]), rule)
    assert not dominated(np.array([100.0, 60.0, 11.0]), rule)
