"""Counts: what several tell together, and in words; never a number where one is not known."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairbank.clock import parse_iso
from fairbank.ontology.counts import (
    AtLeast,
    Count,
    CountKind,
    CountReason,
    Total,
    certain,
    checked,
    display_order,
    shown_total,
    total,
)

_SINCE = "2026-01-31T12:00:00.000Z"
EXACT = st.integers(0, 5000).map(Count.exact)
UNKNOWN = st.one_of(
    st.integers(1, 50).map(Count.below),
    st.sampled_from(
        [
            Count.not_countable(),
            Count.waiting(CountReason.SITE_DECIDES, _SINCE),
            Count.declined(CountReason.SITE_DECLINED, _SINCE),
        ]
    ),
)
COUNTS = st.one_of(EXACT, UNKNOWN)
TOTALS: st.SearchStrategy[Total] = st.one_of(
    COUNTS, st.builds(AtLeast, at_least=st.integers(0, 99), withheld=st.integers(0, 3))
)


@given(TOTALS, TOTALS, TOTALS)
def test_counts_add_up_in_any_order(a: Total, b: Total, c: Total) -> None:
    assert a + b == b + a
    assert (a + b) + c == a + (b + c) == total([a, b, c])


@given(st.lists(TOTALS, max_size=6))
def test_a_sum_is_exact_only_if_all_are_and_never_a_number(parts: list[Total]) -> None:
    found = total(parts)
    assert not isinstance(found, int)
    assert found.at_least == sum(each.at_least for each in parts)
    if len(parts) > 1:
        assert (isinstance(found, Count) and found.is_exact) == all(
            isinstance(each, Count) and each.is_exact for each in parts
        )


@pytest.mark.parametrize("act", [lambda c: c + 1, lambda c: 1 + c, lambda c: sum([c, c]), int, float])
@pytest.mark.parametrize("count", [Count.exact(3), Count.below(10), AtLeast(at_least=3)], ids=str)
def test_a_count_is_no_number(act, count: Total) -> None:
    with pytest.raises(TypeError):
        act(count)


@pytest.mark.parametrize("value", [0, 12, None, "12", True, 1.5])
def test_a_plain_number_is_refused_where_a_count_belongs(value: object) -> None:
    with pytest.raises(TypeError, match="a count is asked for"):
        checked(value)  # type: ignore[arg-type]  # that is the point
    with pytest.raises(TypeError):
        total([Count.exact(1), value])  # type: ignore[list-item]  # that is the point


@given(TOTALS)
def test_words_of_what_is_not_known_hold_no_zero_and_are_never_empty(count: Total) -> None:
    for words in (count.words(), count.in_full(), str(count)):
        assert words.strip()
        if not (isinstance(count, Count) and count.is_exact):
            assert words not in ("0", "-", "None")


def test_words_are_those_that_people_know() -> None:
    waits = Count.waiting(CountReason.SITE_DECIDES, _SINCE)
    said = [
        waits.words(parse_iso(f"2026-{at}:00.000Z")) for at in ("01-31T12:12", "01-31T14:05", "02-05T12:00")
    ]
    assert said == ["waiting since 12 min", "waiting since 2 h", "waiting since 5 days"]
    assert Count.below(10).in_full() == "fewer than 10"
    assert (
        Count.declined(CountReason.SITE_DECLINED, _SINCE).in_full() == "declined: the site's people said no"
    )
    assert (
        Count.exact(1200) + Count.below(10) + waits
    ).in_full() == "at least 1,200 (1 withheld, 1 not told)"


@given(TOTALS)
def test_what_a_sum_tells_survives_json(count: Total) -> None:
    assert type(count).model_validate_json(count.model_dump_json()) == count


def _solutions(rest: int, limits: list[int]) -> list[tuple[int, ...]]:
    """Return what withheld parts can be, each below its limit, that add up to a number."""
    return [each for each in product(*(range(limit) for limit in limits)) if sum(each) == rest]


@settings(max_examples=150)
@given(st.lists(st.integers(0, 14), min_size=1, max_size=4), st.integers(2, 8))
def test_no_withheld_part_can_be_worked_out_from_a_shown_total(values: list[int], k: int) -> None:
    parts = [Count.below(k) if value < k else Count.exact(value) for value in values]
    shown = shown_total(parts, Count.exact(sum(values)))
    limits = [k for value in values if value < k]
    if isinstance(shown, AtLeast) or not limits:
        assert shown.at_least <= sum(values)
        return
    possible = _solutions(shown.at_least - certain(parts).at_least, limits)
    for place in range(len(limits)):
        assert len({each[place] for each in possible}) > 1


def test_a_total_that_is_withheld_itself_stays_so() -> None:
    parts = [Count.exact(20), Count.below(10)]
    assert shown_total(parts, Count.below(10)) == Count.below(10)
    assert shown_total([Count.exact(20)], Count.exact(20)) == Count.exact(20)


@given(st.lists(COUNTS, max_size=8))
def test_known_counts_come_first_the_largest_at_the_head(counts: list[Count]) -> None:
    kinds = [each.kind for each in sorted(counts, key=display_order)]
    assert kinds == sorted(kinds, key=list(CountKind).index)
    known = [each.value for each in sorted(counts, key=display_order) if each.is_exact]
    assert known == sorted(known, reverse=True)
