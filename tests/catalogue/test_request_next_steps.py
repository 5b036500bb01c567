"""Whatever state a request and its legs are in, somebody is told what happens next and who is awaited since when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairbank.catalogue.governance.next_steps import Next, Standing, Word, minimum, of_leg, of_request
from fairbank.catalogue.governance.workflow import LEG, REQUEST, LegState, Part, RequestState

NOW = datetime(2026, 11, 30, tzinfo=UTC)
STANDINGS = st.builds(
    Standing,
    state=st.sampled_from(LegState),
    since=st.just(NOW),
    awaited_since=st.sampled_from([None, NOW + timedelta(days=1)]),
    due=st.sampled_from([None, NOW + timedelta(days=14)]),
    stage=st.sampled_from([None, "ethics", "data"]),
    committee=st.sampled_from([None, "Board"]),
    countersigner=st.sampled_from([None, "dora"]),
    unreachable=st.booleans(),
    pending=st.sampled_from([None, *LegState]),
    paused=st.booleans(),
    download=st.booleans(),
    expires=st.sampled_from([None, NOW + timedelta(days=90)]),
)


@given(STANDINGS)
def test_every_state_of_a_leg_has_a_next_step(leg: Standing) -> None:
    step = of_leg(leg)
    assert step.sentence.endswith(".")
    assert step.since >= leg.since
    if leg.state in LEG.last - {LegState.EXPIRED}:
        assert step.awaited is None
        assert step.sentence.startswith("Nothing")
    if step.due is not None:
        assert step.awaited is not None


@pytest.mark.parametrize("state", sorted(LEG.states))
def test_who_is_awaited_may_do_something_in_that_state(state: str) -> None:
    step = of_leg(Standing(state=LegState(state), since=NOW, committee="Board"))
    if step.awaited is not None:
        assert set(LEG.open_to(state, frozenset({step.awaited.value}))) - {"comment"}


@given(st.sampled_from(RequestState), st.lists(STANDINGS, max_size=5), st.integers(0, 3))
def test_every_state_of_a_request_has_a_next_step(
    state: RequestState, legs: list[Standing], missing: int
) -> None:
    step = of_request(state, NOW, [of_leg(leg) for leg in legs], missing=missing)
    assert step.sentence.endswith(".")
    assert (step.awaited is None) == (state.value in REQUEST.last)


def test_the_requester_s_own_part_comes_first_and_what_is_far_off_last() -> None:
    review = of_leg(Standing(state=LegState.IN_REVIEW, since=NOW, committee="Board"))
    returned = of_leg(Standing(state=LegState.RETURNED, since=NOW + timedelta(days=2)))
    granted = of_leg(Standing(state=LegState.ACTIVE, since=NOW - timedelta(days=9)))
    assert of_request(RequestState.OPEN, NOW, [granted, review, returned]) == returned
    assert of_request(RequestState.OPEN, NOW, [granted, review]) == review
    assert of_request(RequestState.OPEN, NOW, [granted]) == granted


def test_a_committee_that_is_not_there_or_too_small_is_said_at_once() -> None:
    nobody = of_leg(Standing(state=LegState.TRIAGE, since=NOW))
    small = of_leg(Standing(state=LegState.IN_REVIEW, since=NOW, committee="Board", unreachable=True))
    assert (nobody.awaited, small.awaited) == (Part.ADMIN, Part.CHAIR)
    assert "substitute" in small.sentence


def test_a_later_version_under_review_leaves_the_earlier_granted() -> None:
    leg = Standing(
        state=LegState.ACTIVE, since=NOW, pending=LegState.APPROVED_WITH_CONDITIONS, committee="Board"
    )
    assert of_leg(leg).awaited is Part.REQUESTER
    assert "stays as it is" in of_leg(leg).sentence


@given(st.integers(1, 6), st.lists(st.sampled_from(LegState), max_size=8))
def test_the_minimum_is_met_open_or_out_of_reach(needed: int, states: list[LegState]) -> None:
    found = minimum(needed, states)
    assert (found.word is Word.MET) == (found.granted >= needed)
    assert (found.word is Word.UNREACHABLE) == (found.granted + found.undecided < needed)
    assert found.sentence.endswith(".")


def test_a_step_of_a_paused_request_waits() -> None:
    step: Next = of_leg(Standing(state=LegState.IN_REVIEW, since=NOW, committee="Board", paused=True))
    assert "paused" in step.sentence
