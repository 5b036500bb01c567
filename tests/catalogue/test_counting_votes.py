"""How votes are counted: the rules hold for whatever ballots there are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairbank.catalogue.governance.counting import Ballot, Outcome, OutcomeWord, Word, count

WORDS = st.one_of(st.none(), st.sampled_from(Word))


@st.composite
def ballots(draw: st.DrawFn) -> list[Ballot]:
    made = [
        Ballot(draw(WORDS), person=f"p{number}", open=draw(st.booleans()))
        for number in range(draw(st.integers(0, 7)))
    ]
    chair = draw(st.integers(0, 8))
    return [
        Ballot(each.word, each.person if each.word else "", chair=place == chair, open=each.open)
        for place, each in enumerate(made)
    ]


NEEDED = st.integers(1, 5)
VOTES = ballots()


def _of(*words: Word | None, needed: int = 1, chair: int | None = None, four_eyes: bool = False) -> Outcome:
    made = [Ballot(word, f"p{place}", chair=place == chair) for place, word in enumerate(words)]
    return count(made, needed=needed, four_eyes=four_eyes)


@given(VOTES, NEEDED, st.booleans())
def test_nothing_is_decided_below_the_quorum(votes: list[Ballot], needed: int, four_eyes: bool) -> None:
    outcome = count(votes, needed=needed, four_eyes=four_eyes)
    cast = sum(1 for vote in votes if vote.word is not None)
    assert outcome.gap == max(0, needed - cast)
    if cast < needed:
        assert outcome.word in (OutcomeWord.OPEN, OutcomeWord.UNREACHABLE)


@given(VOTES, NEEDED)
def test_under_four_eyes_one_person_alone_never_approves(votes: list[Ballot], needed: int) -> None:
    approving = {vote.person for vote in votes if vote.word is Word.APPROVE}
    if count(votes, needed=needed, four_eyes=True).word is OutcomeWord.CARRIED:
        assert len(approving) >= 2


@given(VOTES, NEEDED, st.booleans())
def test_what_is_decided_has_a_majority_or_the_chair(
    votes: list[Ballot], needed: int, four_eyes: bool
) -> None:
    outcome = count(votes, needed=needed, four_eyes=four_eyes)
    sides = {
        OutcomeWord.CARRIED: (outcome.yes, Word.APPROVE),
        OutcomeWord.LOST: (outcome.no, Word.DECLINE),
        OutcomeWord.RETURNED: (outcome.back, Word.RETURN),
    }
    if outcome.word in sides:
        number, word = sides[outcome.word]
        majority = 2 * number > outcome.yes + outcome.no + outcome.back
        by_the_chair = any(vote.chair and vote.word is word for vote in votes)
        assert majority or (by_the_chair and all(vote.word or not vote.open for vote in votes))


@given(VOTES, NEEDED, st.booleans(), st.randoms())
def test_the_order_of_votes_does_not_matter(
    votes: list[Ballot], needed: int, four_eyes: bool, random: object
) -> None:
    mixed = list(votes)
    random.shuffle(mixed)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    assert count(mixed, needed=needed, four_eyes=four_eyes) == count(
        votes, needed=needed, four_eyes=four_eyes
    )


@given(VOTES, NEEDED, st.booleans())
def test_unreachable_is_said_exactly_when_too_few_can_vote_and_nothing_is_decided(
    votes: list[Ballot], needed: int, four_eyes: bool
) -> None:
    possible = sum(1 for vote in votes if vote.word is not None or vote.open)
    outcome = count(votes, needed=needed, four_eyes=four_eyes)
    assert (outcome.word is OutcomeWord.UNREACHABLE) == (possible < needed)


@given(VOTES, NEEDED, st.booleans())
def test_one_more_approval_never_turns_an_approval_down(
    votes: list[Ballot], needed: int, four_eyes: bool
) -> None:
    if count(votes, needed=needed, four_eyes=four_eyes).word is not OutcomeWord.CARRIED:
        return
    more = [*votes, Ballot(Word.APPROVE, "one more")]
    assert count(more, needed=needed, four_eyes=four_eyes).word is OutcomeWord.CARRIED


def test_a_quorum_of_two_is_carried_by_two() -> None:
    assert _of(Word.APPROVE, None, None, needed=2).word is OutcomeWord.OPEN
    assert _of(Word.APPROVE, Word.APPROVE, None, needed=2).word is OutcomeWord.CARRIED


def test_an_abstention_counts_for_the_quorum_and_decides_nothing() -> None:
    assert _of(Word.APPROVE, Word.ABSTAIN, None, needed=2).word is OutcomeWord.CARRIED
    assert _of(Word.ABSTAIN, Word.ABSTAIN, needed=2).word is OutcomeWord.OPEN


@pytest.mark.parametrize("other", [Word.DECLINE, Word.RETURN])
def test_a_tie_stays_open_while_somebody_may_still_vote(other: Word) -> None:
    outcome = _of(Word.APPROVE, other, None, needed=2, chair=0)
    assert (outcome.word, outcome.tied) == (OutcomeWord.OPEN, True)


def test_when_all_have_voted_the_chair_decides_a_tie() -> None:
    assert _of(Word.APPROVE, Word.DECLINE, chair=0).word is OutcomeWord.CARRIED
    assert _of(Word.APPROVE, Word.DECLINE, chair=1).word is OutcomeWord.LOST
    assert _of(Word.APPROVE, Word.DECLINE, Word.ABSTAIN, chair=2).word is OutcomeWord.OPEN
    assert _of(Word.APPROVE, Word.DECLINE).word is OutcomeWord.OPEN


def test_three_words_without_a_majority_are_a_tie() -> None:
    assert _of(Word.APPROVE, Word.DECLINE, Word.RETURN, chair=2).word is OutcomeWord.RETURNED


def test_four_eyes_are_two_persons_not_two_votes() -> None:
    twice = [Ballot(Word.APPROVE, "same"), Ballot(Word.APPROVE, "same")]
    assert count(twice, needed=2, four_eyes=True).word is OutcomeWord.OPEN
    assert count(twice, needed=2, four_eyes=False).word is OutcomeWord.CARRIED


def test_four_eyes_do_not_hinder_a_refusal() -> None:
    assert _of(Word.DECLINE, Word.ABSTAIN, needed=2, four_eyes=True).word is OutcomeWord.LOST


def test_an_empty_committee_is_out_of_reach() -> None:
    assert count([], needed=1, four_eyes=False).word is OutcomeWord.UNREACHABLE
