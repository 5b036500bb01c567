"""The states of a job and of a job at one site, as tables.

per site  pending_review → approved | rejected | expired → queued → leased → running → output_review
          → released | withheld | failed; a released site is queued again for the next round that its plan asks it
          for, a failed one for the same round if it is tried again (`hub/retrying.py` says of what, by whom and how
          often); one that its plan does not ask now is approved, and waits
per job   running | degraded | completed | failed | cancelled
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from fairbank.federated_jobs.errors import StateRefused


class SiteState(StrEnum):
    """Where a job stands at one site."""

    PENDING_REVIEW = "pending_review"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    QUEUED = "queued"
    LEASED = "leased"
    RUNNING = "running"
    OUTPUT_REVIEW = "output_review"
    RELEASED = "released"
    WITHHELD = "withheld"
    FAILED = "failed"


class SiteEvent(StrEnum):
    """What happens to a job at one site."""

    APPROVE = "approve"
    REJECT = "reject"
    LAPSE = "lapse"
    QUEUE = "queue"
    LEASE = "lease"
    START = "start"
    REQUEUE = "requeue"
    HOLD = "hold"
    RELEASE = "release"
    WITHHOLD = "withhold"
    FAIL = "fail"
    RETRY = "retry"
    REST = "rest"


class JobState(StrEnum):
    """Where a job stands as a whole; `degraded` means that a site that approved it has dropped out or come late."""

    RUNNING = "running"
    DEGRADED = "degraded"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class JobEvent(StrEnum):
    """What happens to a job as a whole."""

    DEGRADE = "degrade"
    COMPLETE = "complete"
    FAIL = "fail"
    CANCEL = "cancel"
    RETRY = "retry"


class RoundState(StrEnum):
    """Where one round stands."""

    OPEN = "open"
    CLOSED = "closed"
    ABANDONED = "abandoned"


_S, _E = SiteState, SiteEvent

SITE_MOVES: Mapping[tuple[SiteState, SiteEvent], SiteState] = {
    (_S.PENDING_REVIEW, _E.APPROVE): _S.APPROVED,
    (_S.PENDING_REVIEW, _E.REJECT): _S.REJECTED,
    (_S.PENDING_REVIEW, _E.LAPSE): _S.EXPIRED,
    (_S.APPROVED, _E.QUEUE): _S.QUEUED,
    (_S.APPROVED, _E.REJECT): _S.REJECTED,
    (_S.APPROVED, _E.LAPSE): _S.EXPIRED,
    (_S.APPROVED, _E.FAIL): _S.FAILED,
    (_S.QUEUED, _E.LEASE): _S.LEASED,
    (_S.QUEUED, _E.START): _S.RUNNING,
    (_S.QUEUED, _E.HOLD): _S.OUTPUT_REVIEW,
    (_S.QUEUED, _E.RELEASE): _S.RELEASED,
    (_S.QUEUED, _E.WITHHOLD): _S.WITHHELD,
    (_S.QUEUED, _E.FAIL): _S.FAILED,
    (_S.LEASED, _E.START): _S.RUNNING,
    (_S.LEASED, _E.REQUEUE): _S.QUEUED,
    (_S.LEASED, _E.HOLD): _S.OUTPUT_REVIEW,
    (_S.LEASED, _E.RELEASE): _S.RELEASED,
    (_S.LEASED, _E.WITHHOLD): _S.WITHHELD,
    (_S.LEASED, _E.FAIL): _S.FAILED,
    (_S.RUNNING, _E.REQUEUE): _S.QUEUED,
    (_S.RUNNING, _E.HOLD): _S.OUTPUT_REVIEW,
    (_S.RUNNING, _E.RELEASE): _S.RELEASED,
    (_S.RUNNING, _E.WITHHOLD): _S.WITHHELD,
    (_S.RUNNING, _E.FAIL): _S.FAILED,
    (_S.OUTPUT_REVIEW, _E.REQUEUE): _S.QUEUED,
    (_S.OUTPUT_REVIEW, _E.RELEASE): _S.RELEASED,
    (_S.OUTPUT_REVIEW, _E.WITHHOLD): _S.WITHHELD,
    (_S.OUTPUT_REVIEW, _E.FAIL): _S.FAILED,
    (_S.RELEASED, _E.QUEUE): _S.QUEUED,
    (_S.RELEASED, _E.FAIL): _S.FAILED,
    (_S.FAILED, _E.RETRY): _S.QUEUED,
    # Its plan goes on without it for now: it waits until it is asked again.
    (_S.QUEUED, _E.REST): _S.APPROVED,
    (_S.LEASED, _E.REST): _S.APPROVED,
    (_S.RUNNING, _E.REST): _S.APPROVED,
    (_S.OUTPUT_REVIEW, _E.REST): _S.APPROVED,
}

# A site still counts towards the quorum of later rounds while it is in one of these.
ACTIVE_SITES = frozenset({_S.APPROVED, _S.QUEUED, _S.LEASED, _S.RUNNING, _S.OUTPUT_REVIEW, _S.RELEASED})
UNDECIDED_SITES = frozenset({_S.PENDING_REVIEW})
WORKING_SITES = frozenset({_S.QUEUED, _S.LEASED, _S.RUNNING, _S.OUTPUT_REVIEW})

# What a node may report about itself, and the event that the report stands for.
REPORTED: Mapping[SiteState, SiteEvent] = {
    _S.APPROVED: _E.APPROVE,
    _S.REJECTED: _E.REJECT,
    _S.EXPIRED: _E.LAPSE,
    _S.RUNNING: _E.START,
    _S.OUTPUT_REVIEW: _E.HOLD,
    _S.WITHHELD: _E.WITHHOLD,
    _S.FAILED: _E.FAIL,
}

_J, _V = JobState, JobEvent

JOB_MOVES: Mapping[tuple[JobState, JobEvent], JobState] = {
    (_J.RUNNING, _V.DEGRADE): _J.DEGRADED,
    (_J.RUNNING, _V.COMPLETE): _J.COMPLETED,
    (_J.RUNNING, _V.FAIL): _J.FAILED,
    (_J.RUNNING, _V.CANCEL): _J.CANCELLED,
    (_J.DEGRADED, _V.DEGRADE): _J.DEGRADED,
    (_J.DEGRADED, _V.COMPLETE): _J.COMPLETED,
    (_J.DEGRADED, _V.FAIL): _J.FAILED,
    (_J.DEGRADED, _V.CANCEL): _J.CANCELLED,
    (_J.FAILED, _V.RETRY): _J.RUNNING,
}

ENDED_JOBS = frozenset({_J.COMPLETED, _J.FAILED, _J.CANCELLED})

State = TypeVar("State", bound=StrEnum)
Event = TypeVar("Event", bound=StrEnum)


def move(table: Mapping[tuple[State, Event], State], state: State, event: Event) -> State:
    """Return the state after an event.

    Raises:
        StateRefused: if the table has no such move.

    >>> move(JOB_MOVES, JobState.RUNNING, JobEvent.CANCEL).value
    'cancelled'
    """
    try:
        return table[state, event]
    except KeyError as err:
        raise StateRefused(
            f"A job that is {state.value} cannot {event.value}.",
            why="Each state allows only the moves of its table.",
            todo="Look at the job's present state; somebody else may have decided already.",
        ) from err
