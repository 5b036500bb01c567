"""What a compute plan is: a pure function from how the last round ended to the next one.

The state is JSON and is kept with the round that it led to, so a hub that was killed goes on from there to the same
bits. A machine opens no file, asks no clock and draws no number that the job's seed does not give.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from pydantic import JsonValue

from fairbank.federated_jobs.axes.elements import Options
from fairbank.ontology.signed_objects import Objective

PlanState = dict[str, JsonValue]


class Merging(StrEnum):
    """What becomes of the updates of a round."""

    AGGREGATE = "aggregate"
    HAND_ON = "hand-on"
    KEEP_ALL = "keep-all"
    SEALED = "sealed"


@dataclass(frozen=True, slots=True)
class Setting:
    """What a plan may know of its job.

    Attributes:
        sites: those that take part now, sorted.
        rounds: as many as the sealed manifest allows.
        quorum: how many sites must deliver for a merged round to count.
        seed: of the job.
        initial: digest of the model that the job starts from; None if its seed makes one.
    """

    sites: tuple[str, ...]
    rounds: int
    quorum: int
    seed: str
    options: Options
    initial: str | None = None
    objective: Objective = Objective.MEAN


@dataclass(frozen=True, slots=True)
class Parcel:
    """A model that one site sealed to its peers in one round."""

    sender: str
    round: int


@dataclass(frozen=True, slots=True)
class Mail:
    """What the sites of a round take from each other.

    Attributes:
        takes: for each site that is asked, what it makes its model of; its own earlier model is among them by its name.
        first_only: the model is the first of them that can be used; else their mean by samples.
        plain: what comes of it goes to the hub in the open; else sealed to all other sites.
        trains: the site trains the model; else only puts it together.
    """

    takes: Mapping[str, tuple[Parcel, ...]]
    first_only: bool = False
    plain: bool = False
    trains: bool = True


@dataclass(frozen=True, slots=True)
class Step:
    """One round as a plan wants it.

    Attributes:
        participants: the sites that are asked, sorted.
        base: digest of the model that they start from; None for the one that the job's seed makes.
        at_least: with fewer updates than this the job fails; 0 lets the round pass without any.
        enough: with so many updates the round closes at once; None waits for all that are at work.
        staleness: how many versions an update may be behind; None takes updates of this very round only, and whoever
            is late starts anew.
        state: what the plan needs to know when the round has closed.
        mail: what the sites take from each other; None where they take a model from the hub.
    """

    participants: tuple[str, ...]
    base: str | None
    merging: Merging
    at_least: int
    enough: int | None = None
    staleness: int | None = None
    state: PlanState = field(default_factory=dict)
    mail: Mail | None = None


@dataclass(frozen=True, slots=True)
class Closed:
    """How a round ended.

    Attributes:
        base: the model that it started from.
        result: the model that it ended with; the base itself if nobody delivered.
        arrived: the sites whose updates went in, sorted.
        notes: what each of them told beside its update: counts and held-out metrics.
    """

    round: int
    base: str | None
    result: str | None
    arrived: tuple[str, ...]
    notes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


class Ending(StrEnum):
    """Why a plan came to its end."""

    ALL_ROUNDS = "all-rounds"
    CONVERGED = "converged"
    ALL_SITES = "all-sites"


@dataclass(frozen=True, slots=True)
class Done:
    """A plan is at its end; `model` is the digest of its model, None if there is not one single model."""

    ending: Ending
    model: str | None


class ComputePlan(Protocol):
    """Says who trains next."""

    def first(self, setting: Setting) -> Step:
        """Return the first round."""
        ...

    def next(self, setting: Setting, state: PlanState, closed: Closed) -> Step | Done:
        """Return the round after one that has closed.

        Args:
            state: what the step of that round carried.
        """
        ...
