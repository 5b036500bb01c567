"""What happens next with a request and with each of its legs, and who is awaited since when.

Pure, and no state is without: an ended one says that nothing happens.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from fairbank.catalogue.governance.workflow import LEG, LegState, Part, RequestState

_ENDED = frozenset(LEG.last)
_GRANTED = frozenset({LegState.ACTIVE, LegState.COMPLETED})


@dataclass(frozen=True, slots=True)
class Next:
    """What happens next.

    Attributes:
        sentence: in words, for people.
        awaited: who has to act; None when nobody has to.
        since: since when she has been awaited, or the state has lasted.
        due: until when; None where nothing is due.
    """

    sentence: str
    awaited: Part | None
    since: datetime
    due: datetime | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """What has to be known of a leg to say what happens next.

    Attributes:
        committee: its title; None where nobody can decide.
        countersigner: who has to countersign an agreement that is still due.
        unreachable: whether too few members are left for a decision.
        pending: how far the review of a later version is, while the earlier stays granted; None without one.
        paused: whether the request as a whole is.
        download: whether images were granted to be handed over by the biobank itself.
    """

    state: LegState
    since: datetime
    awaited_since: datetime | None = None
    due: datetime | None = None
    stage: str | None = None
    committee: str | None = None
    countersigner: str | None = None
    unreachable: bool = False
    pending: LegState | None = None
    paused: bool = False
    download: bool = False
    expires: datetime | None = None


class Word(StrEnum):
    """How the datasets that were granted compare with what the project needs."""

    MET = "met"
    OPEN = "open"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Minimum:
    """Whether the datasets that are granted still suffice for the project."""

    needed: int
    granted: int
    undecided: int
    word: Word

    @property
    def sentence(self) -> str:
        """Return it in words."""
        said = f"{self.granted} of the {self.needed} datasets that the project needs at least are granted"
        if self.word is Word.MET:
            return f"{said}: it can be done."
        if self.word is Word.OPEN:
            return f"{said}, {self.undecided} are undecided."
        return f"{said}, {self.undecided} are undecided: it can no longer be done as it is."


def of_leg(leg: Standing) -> Next:
    """Return what happens next with one leg."""
    since = leg.awaited_since or leg.since
    if leg.paused and leg.state not in _ENDED:
        return Next("Nothing, while the request is paused.", Part.REQUESTER, since)
    if leg.pending is not None and leg.state not in _ENDED - {LegState.EXPIRED}:
        later = of_leg(replace(leg, state=leg.pending, pending=None))
        return replace(later, sentence=f"The earlier version stays as it is meanwhile. {later.sentence}")
    if leg.state in (LegState.TRIAGE, LegState.IN_REVIEW):
        return _in_review(leg, since)
    if leg.state is LegState.ACTIVE:
        return _granted(leg)
    if leg.state is LegState.CONDITIONS_ACCEPTED and leg.countersigner is not None:
        sentence = f"{leg.countersigner} checks the data-use agreement and countersigns it."
        return Next(sentence, Part.COUNTERSIGNER, since, leg.due)
    sentence, awaited = _PLAIN[leg.state]
    return Next(sentence, awaited, since if awaited is not None else leg.since, leg.due if awaited else None)


def of_request(state: RequestState, changed: datetime, legs: Sequence[Next], *, missing: int = 0) -> Next:
    """Return what happens next with a request: what is most pressing among its legs, the requester's own part first.

    Args:
        missing: how many things a draft lacks.
    """
    if state is RequestState.DRAFT:
        lacks = f"The requester adds what is missing ({missing}) and submits it." if missing else None
        return Next(lacks or "The requester submits it.", Part.REQUESTER, changed)
    if state is RequestState.PAUSED:
        return Next("Nothing, until who paused it resumes it.", Part.REQUESTER, changed)
    if state is not RequestState.OPEN:
        return Next("Nothing: it has ended.", None, changed)
    waiting = [each for each in legs if each.awaited is not None]
    if not waiting:
        return Next("The hub closes the request: every dataset is decided and done.", Part.HUB, changed)
    return min(waiting, key=_pressing)


def minimum(needed: int, states: Iterable[LegState]) -> Minimum:
    """Return how what was granted compares with what the project needs at least.

    >>> minimum(2, [LegState.ACTIVE, LegState.DECLINED, LegState.IN_REVIEW]).word.value
    'open'
    """
    listed = list(states)
    granted = sum(state in _GRANTED for state in listed)
    undecided = sum(state not in _ENDED and state not in _GRANTED for state in listed)
    possible = Word.OPEN if granted + undecided >= needed else Word.UNREACHABLE
    word = Word.MET if granted >= needed else possible
    return Minimum(needed, granted, undecided, word)


def _in_review(leg: Standing, since: datetime) -> Next:
    if leg.committee is None:
        sentence = "Nobody can decide about this dataset yet: an administrator names a committee for it."
        return Next(sentence, Part.ADMIN, since, leg.due)
    if leg.unreachable:
        sentence = (
            f"Too few members of '{leg.committee}' are left to decide: its chair appoints a substitute."
        )
        return Next(sentence, Part.CHAIR, since, leg.due)
    stage = f" ({leg.stage})" if leg.stage else ""
    act = "takes it up" if leg.state is LegState.TRIAGE else "votes"
    return Next(f"The committee '{leg.committee}'{stage} {act}.", Part.MEMBER, since, leg.due)


def _granted(leg: Standing) -> Next:
    told = "Jobs may run until the grant ends; then the requester reports what came of it, or renews."
    if leg.download:
        told = (
            "The biobank hands the images over by its own channel; its contact is on the dataset's page. "
            + told
        )
    return Next(told, Part.REQUESTER, leg.since, leg.expires)


def _pressing(step: Next) -> tuple[bool, bool, datetime]:
    # What is only due at the end of a grant is the least pressing.
    at_leisure = step.sentence.startswith(("Jobs may run", "The biobank hands"))
    return at_leisure, step.awaited is not Part.REQUESTER, step.since


_PLAIN: dict[LegState, tuple[str, Part | None]] = {
    LegState.DRAFT: ("The requester completes the draft and submits it.", Part.REQUESTER),
    LegState.SUBMITTED: ("The hub compares the purpose with the data-use terms.", Part.HUB),
    LegState.RETURNED: ("The requester corrects what was asked and submits it again.", Part.REQUESTER),
    LegState.APPROVED_WITH_CONDITIONS: (
        "The requester accepts the conditions, or refuses them.",
        Part.REQUESTER,
    ),
    LegState.APPROVED: ("The hub makes the visa.", Part.HUB),
    LegState.CONDITIONS_ACCEPTED: ("The hub makes the visa.", Part.HUB),
    LegState.EXPIRED: ("The requester reports what came of it, or renews the grant.", Part.REQUESTER),
    LegState.DECLINED: ("Nothing: it was declined. The letter says why; a new request can be made.", None),
    LegState.REVOKED: ("Nothing: the grant was taken back, and its jobs are stopped.", None),
    LegState.COMPLETED: ("Nothing: the project is done and reported.", None),
    LegState.WITHDRAWN: ("Nothing: the requester no longer asks for it.", None),
}
