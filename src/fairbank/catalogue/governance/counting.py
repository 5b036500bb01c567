"""How votes are counted: pure rules, no database.

- A decision needs as many votes as the quorum says; an abstention is a vote, and decides nothing.
- It goes to the word that has more than half of the votes that do not abstain.
- Four eyes: an approval needs two different persons who approve, whatever the quorum.
- While there is no such majority, the vote stays open: somebody who has not voted may, and who has may change her vote.
- When nobody is left who could still vote, and a majority is missing, the chair's vote decides, unless she abstains; an
  approval by it needs its four eyes as any other.
- If fewer votes are there or can still be cast than are needed, no decision can be reached, and that is said at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Word(StrEnum):
    """What a vote says."""

    APPROVE = "approve"
    DECLINE = "decline"
    RETURN = "return"
    ABSTAIN = "abstain"


class OutcomeWord(StrEnum):
    """What votes have come to."""

    OPEN = "open"
    CARRIED = "carried"
    LOST = "lost"
    RETURNED = "returned"
    UNREACHABLE = "unreachable"


_DECIDES = {
    Word.APPROVE: OutcomeWord.CARRIED,
    Word.DECLINE: OutcomeWord.LOST,
    Word.RETURN: OutcomeWord.RETURNED,
}


@dataclass(frozen=True, slots=True)
class Ballot:
    """One vote that may be cast: what it says, None if it was not cast yet, and whether it still can be.

    Attributes:
        person: who cast it; two persons are four eyes.
        chair: whether it is the chair's own.
        open: whether somebody may still cast or change it.
    """

    word: Word | None
    person: str = ""
    chair: bool = False
    open: bool = True


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the votes on a proposal have come to.

    Attributes:
        gap: how many votes are missing to the quorum.
        tied: whether the quorum is there and a majority is not.
    """

    word: OutcomeWord
    yes: int
    no: int
    back: int
    abstained: int
    gap: int
    tied: bool = False


def count(ballots: Sequence[Ballot], *, needed: int, four_eyes: bool) -> Outcome:
    """Count votes.

    Args:
        needed: how many votes a decision needs, >= 1.

    >>> count([Ballot(Word.APPROVE, "a"), Ballot(Word.APPROVE, "b"), Ballot(None)], needed=2, four_eyes=True).word.value
    'carried'
    """
    cast = Counter(ballot.word for ballot in ballots if ballot.word is not None)
    total = cast.total()
    gap = max(0, needed - total)
    possible = sum(1 for ballot in ballots if ballot.word is not None or ballot.open)
    persons = {ballot.person for ballot in ballots if ballot.word is Word.APPROVE}
    decided = _majority(cast) if gap == 0 else None
    tied = gap == 0 and decided is None
    if tied and all(ballot.word is not None or not ballot.open for ballot in ballots):
        decided = _of_the_chair(ballots)
    if decided is Word.APPROVE and four_eyes and len(persons) < 2:
        decided = None
    if decided is not None:
        word = _DECIDES[decided]
    else:
        word = OutcomeWord.UNREACHABLE if possible < needed else OutcomeWord.OPEN
    return Outcome(
        word, cast[Word.APPROVE], cast[Word.DECLINE], cast[Word.RETURN], cast[Word.ABSTAIN], gap, tied
    )


def _majority(cast: Counter[Word]) -> Word | None:
    deciding = sum(number for word, number in cast.items() if word in _DECIDES)
    return next((word for word in _DECIDES if 2 * cast[word] > deciding), None)


def _of_the_chair(ballots: Sequence[Ballot]) -> Word | None:
    words = [ballot.word for ballot in ballots if ballot.chair]
    return words[0] if words and words[0] in _DECIDES else None
