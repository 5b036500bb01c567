"""What a live count may tell beside what was told before."""

from __future__ import annotations

import zlib
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from fairbank.database import writing
from fairbank.release.node import Node
from fairbank.release.store import ToldCountRow
from fairbank.release.told_counts import Rules, Telling, judge, rename, tells_few

K = 3
SETS = st.frozensets(st.sampled_from("abcdefghij"), min_size=K)


@given(st.lists(SETS, max_size=6))
def test_whoever_knows_all_that_is_told_learns_of_no_few_by_nested_sets(asked: list[frozenset[str]]) -> None:
    told: list[frozenset[str]] = []
    for subjects in asked:
        if not tells_few(subjects, told, [], K):
            told.append(subjects)
    for one, other in combinations(told, 2):
        if one < other or other < one:
            assert len(one ^ other) >= K


@given(SETS, SETS)
def test_what_is_published_counts_like_what_was_told(one: frozenset[str], other: frozenset[str]) -> None:
    assert tells_few(one, [other], [], K) == tells_few(one, [], [other], K)


def test_a_part_whose_rest_is_small_is_not_told() -> None:
    whole = frozenset("abcdefghij")
    assert tells_few(whole - {"a", "b"}, [], [whole], K)
    assert not tells_few(whole - {"a", "b", "c"}, [], [whole], K)


def test_two_parts_that_leave_a_small_rest_are_not_told_both() -> None:
    whole = frozenset("abcdefghij")
    assert not tells_few(frozenset("efgh"), [], [whole], K)
    assert tells_few(frozenset("efgh"), [frozenset("abcd")], [whole], K)


def test_a_published_count_below_k_was_never_told_and_protects_nothing() -> None:
    assert not tells_few(frozenset("abcd"), [], [frozenset("ab")], K)


def test_a_withdrawn_subject_leaves_no_name_and_changes_no_answer(node: Node) -> None:
    now, rules = node.clock.now(), Rules(k=3, base=1, most=9)
    with writing(node.engine) as session:
        for asked, subjects in (("a", "abcd"), ("b", "abcdefgh")):
            judge(session, "ct", asked, frozenset(subjects), published=[], rules=rules, at=now)
        rename(session, ["ct", "other"], "a", "gone-1")
        again = judge(session, "ct", "a", frozenset("bcd"), published=[], rules=rules, at=now)
        assert again == Telling(3, 4)
        kept = [row.members for row in session.query(ToldCountRow)]
        assert all(b'"a"' not in zlib.decompress(each) for each in kept)
        # What would show that one went stays untold.
        assert judge(session, "ct", "c", frozenset("bcd"), published=[], rules=rules, at=now).value is None
