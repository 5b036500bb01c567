"""What may be done to a request and to its legs: `workflow.yaml`, read once and checked.

A command is refused unless a line of the table names the state, the role and the command; then its guards have to hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any


class RequestState(StrEnum):
    """Where a request as a whole stands."""

    DRAFT = "draft"
    OPEN = "open"
    PAUSED = "paused"
    WITHDRAWN = "withdrawn"
    CLOSED = "closed"


class LegState(StrEnum):
    """Where one dataset of a request stands."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    TRIAGE = "triage"
    IN_REVIEW = "in_review"
    RETURNED = "returned"
    APPROVED_WITH_CONDITIONS = "approved_with_conditions"
    APPROVED = "approved"
    DECLINED = "declined"
    CONDITIONS_ACCEPTED = "conditions_accepted"
    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"
    COMPLETED = "completed"
    WITHDRAWN = "withdrawn"

    @property
    def words(self) -> str:
        """Return what people read: an active leg is `granted`."""
        return LEG.words.get(self.value, self.value)


class Part(StrEnum):
    """Who somebody is to one request or leg; one person may be several."""

    REQUESTER = "requester"
    MEMBER = "member"
    CHAIR = "chair"
    CURATOR = "curator"
    COUNTERSIGNER = "countersigner"
    ADMIN = "admin"
    AUDITOR = "auditor"
    HUB = "hub"


GUARDS = frozenset(
    {
        "agreement-due",
        "agreement-settled",
        "carried",
        "closing-report",
        "committee-can-decide",
        "dataset-gone",
        "every-leg-ended",
        "last-stage",
        "later-terms-over",
        "lost",
        "no-conditions",
        "no-conflict",
        "pauser-or-admin",
        "request-open",
        "request-paused",
        "some-conditions",
        "some-leg-granted",
        "some-leg-returned",
        "stage-left",
        "time-over",
        "voted-back",
    }
)


@dataclass(frozen=True, slots=True)
class Step:
    """What follows a command that is allowed.

    Attributes:
        to: the state afterwards.
        guards: what has to hold besides.
        legs: the command that each leg of the request is then given, if any.
    """

    to: str
    guards: frozenset[str]
    legs: str | None


@dataclass(frozen=True, slots=True)
class Machine:
    """One table of the workflow: what may follow what."""

    states: tuple[str, ...]
    first: str
    last: frozenset[str]
    words: dict[str, str]
    steps: dict[tuple[str, str, str], Step]

    def step(self, state: str, part: str, command: str) -> Step | None:
        """Return what follows a command by one part in a state, None if it is not allowed."""
        return self.steps.get((state, part, command))

    def commands(self) -> list[str]:
        """Return all commands, sorted."""
        return sorted({command for _, _, command in self.steps})

    def open_to(self, state: str, parts: frozenset[str]) -> list[str]:
        """Return the commands that somebody of these parts may give in a state, guards aside, sorted."""
        return sorted({command for at, part, command in self.steps if at == state and part in parts})


def _read(name: str) -> Machine:
    table = _tables()[name]
    states = tuple(table["states"])
    steps = dict(_lines(table, frozenset(states)))
    known = {"states", "first", "last", "words", "commands"}
    if set(table) - known or table["first"] not in states or set(table["last"]) - set(states):
        raise ValueError(f"workflow.yaml: {name} names something unknown")
    return Machine(states, table["first"], frozenset(table["last"]), dict(table.get("words", {})), steps)


def _lines(table: dict[str, Any], states: frozenset[str]) -> Iterator[tuple[tuple[str, str, str], Step]]:
    parts, seen = frozenset(Part), set()
    for line in table["commands"]:
        guards = frozenset(line.get("guards", ()))
        unknown = (set(line) - {"command", "from", "by", "to", "guards", "legs"}) | (guards - GUARDS)
        unknown |= (set(line["from"]) | {line.get("to", line["from"][0])}) - states | set(line["by"]) - parts
        if unknown:
            raise ValueError(f"workflow.yaml: {line['command']} names {sorted(unknown)}")
        for state in line["from"]:
            for part in line["by"]:
                place = (state, part, line["command"])
                if place in seen:
                    raise ValueError(f"workflow.yaml: {place} occurs twice")
                seen.add(place)
                yield place, Step(line.get("to", state), guards, line.get("legs"))


@cache
def _tables() -> dict[str, Any]:
    import yaml

    read: dict[str, Any] = yaml.safe_load(files(__package__).joinpath("workflow.yaml").read_text("utf-8"))
    return read


REQUEST, LEG = _read("request"), _read("leg")
