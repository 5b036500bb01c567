"""How a tool's version is reviewed: its states, who may do what in which of them, and the criteria. Two tables.

    draft ─▶ submitted ─▶ in-review ─▶ accepted ─▶ deprecated
                               │           │            │
                               ▼           ▼            ▼
                            returned ─▶ revoked ◀───────┘

What the table does not have is refused. A version that was accepted stays what it is; one that was returned may be
corrected and submitted again, and what was said of it before stays.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from fairbank.federated_jobs.errors import ReviewIncomplete
from fairbank.ontology.tools import is_plain
from fairbank.ontology.wire import Part, ShortText, Wire


class ToolState(StrEnum):
    """Where a version of a tool stands."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    IN_REVIEW = "in-review"
    ACCEPTED = "accepted"
    RETURNED = "returned"
    DEPRECATED = "deprecated"
    REVOKED = "revoked"


class ToolCommand(StrEnum):
    """What is done to a version of a tool."""

    DRAFT = "draft"
    SUBMIT = "submit"
    TAKE_UP = "take-up"
    ACCEPT = "accept"
    RETURN = "return"
    DEPRECATE = "deprecate"
    REVOKE = "revoke"


class ToolPart(StrEnum):
    """Which part somebody has in a version: who sealed it, or an administrator who did not."""

    PUBLISHER = "publisher"
    REVIEWER = "reviewer"


_S, _C = ToolState, ToolCommand
_PUBLISHER, _REVIEWER = ToolPart.PUBLISHER, ToolPart.REVIEWER
_EITHER = frozenset({_PUBLISHER, _REVIEWER})

# State before (None: there is none yet), what is done, by whom, state after.
STEPS: Final[tuple[tuple[ToolState | None, ToolCommand, frozenset[ToolPart], ToolState], ...]] = (
    (None, _C.DRAFT, frozenset({_PUBLISHER}), _S.DRAFT),
    (None, _C.SUBMIT, frozenset({_PUBLISHER}), _S.SUBMITTED),
    (_S.DRAFT, _C.DRAFT, frozenset({_PUBLISHER}), _S.DRAFT),
    (_S.DRAFT, _C.SUBMIT, frozenset({_PUBLISHER}), _S.SUBMITTED),
    (_S.RETURNED, _C.DRAFT, frozenset({_PUBLISHER}), _S.DRAFT),
    (_S.RETURNED, _C.SUBMIT, frozenset({_PUBLISHER}), _S.SUBMITTED),
    (_S.SUBMITTED, _C.TAKE_UP, frozenset({_REVIEWER}), _S.IN_REVIEW),
    (_S.IN_REVIEW, _C.ACCEPT, frozenset({_REVIEWER}), _S.ACCEPTED),
    (_S.IN_REVIEW, _C.RETURN, frozenset({_REVIEWER}), _S.RETURNED),
    (_S.ACCEPTED, _C.DEPRECATE, _EITHER, _S.DEPRECATED),
    (_S.ACCEPTED, _C.REVOKE, _EITHER, _S.REVOKED),
    (_S.DEPRECATED, _C.REVOKE, _EITHER, _S.REVOKED),
    (_S.RETURNED, _C.REVOKE, frozenset({_REVIEWER}), _S.REVOKED),
)
# What everybody sees; the rest is for its publisher and administrators.
SHOWN_TO_ALL: Final = frozenset({_S.ACCEPTED, _S.DEPRECATED, _S.REVOKED})
# What comes with a sealed manifest.
BRINGS: Final = frozenset({_C.DRAFT, _C.SUBMIT})
# What says why, in words.
NEEDS_WORDS: Final = frozenset({_C.DEPRECATE, _C.REVOKE})
VERDICTS: Final = frozenset({_C.ACCEPT, _C.RETURN})

CRITERIA: Final[dict[str, str]] = {
    "code": "The code under this digest was read, and does what the description says and nothing else.",
    "inputs": "What it can measure is stated, and everything else ends with a reason instead of a number.",
    "outputs": "What it returns is what its use needs, and nothing in it can tell who a subject is.",
    "validation": "It was tested on data that are named, with results and where they are written.",
    "intended-use": "Intended use and legal status are stated, and promise no more than the tests show.",
    "licence": "Its licence lets every site run it.",
}


def _sentence(text: str) -> str:
    if len(text.split()) < 2 or not is_plain(text):
        raise ValueError("a reason is a sentence of plain text")
    return text


Words = Annotated[ShortText, Field(min_length=10, max_length=1000), AfterValidator(_sentence)]


class CriterionAnswer(Part):
    """Whether a criterion is met, and why, in a sentence."""

    criterion: Annotated[str, Field(max_length=40)]
    met: bool
    words: Words


class ToolCommandBody(Wire):
    """What goes with a command: why, or the answers of a review."""

    schema_name = "tool-command/1"

    words: Words | None = None
    answers: Annotated[tuple[CriterionAnswer, ...], Field(max_length=50)] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """What a command does, and who may do it."""

    parts: frozenset[ToolPart]
    after: ToolState


def step(before: ToolState | None, command: ToolCommand) -> Step | None:
    """Return what a command does in a state, None if it is not among what the state allows.

    >>> step(ToolState.ACCEPTED, ToolCommand.SUBMIT) is None
    True
    """
    return _STEPS.get((before, command))


def commands_in(state: ToolState, parts: Iterable[ToolPart]) -> tuple[ToolCommand, ...]:
    """Return what somebody may do to a version in a state, as the table lists it."""
    having = set(parts)
    return tuple(command for before, command, by, _ in STEPS if before is state and by & having)


def check_answers(command: ToolCommand, answers: Iterable[CriterionAnswer]) -> None:
    """Refuse a review that does not answer each criterion once, or whose verdict is not what its answers say.

    Raises:
        ReviewIncomplete: naming the criteria at fault.
    """
    given = list(answers)
    named = [one.criterion for one in given]
    faults = (
        ("leaves out", [name for name in CRITERIA if name not in named]),
        ("has no such criterion as", [name for name in dict.fromkeys(named) if name not in CRITERIA]),
        ("answers more than once", [name for name in dict.fromkeys(named) if named.count(name) > 1]),
    )
    for what, names in faults:
        if names:
            raise _incomplete(f"The review {what} {', '.join(names)}.")
    unmet = [one.criterion for one in given if not one.met]
    if command is ToolCommand.ACCEPT and unmet:
        raise _incomplete(f"A tool that does not meet {', '.join(unmet)} cannot be accepted.")
    if command is ToolCommand.RETURN and not unmet:
        raise _incomplete("A tool that meets every criterion is not returned.")


def _incomplete(what: str) -> ReviewIncomplete:
    return ReviewIncomplete(
        what,
        why="Each criterion is answered once, in a sentence, and the verdict follows from the answers.",
        todo="'fairbank tool criteria' lists them; answer with --criterion KEY=yes:WORDS or KEY=no:WORDS.",
    )


_STEPS = {(before, command): Step(by, after) for before, command, by, after in STEPS}
