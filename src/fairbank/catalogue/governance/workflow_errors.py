"""Errors of giving commands to requests and their legs.

CatalogueError                 FB-CAT-001
├── GuardFails                 FB-CAT-120
├── UnknownCommand             FB-CAT-121
├── LegNotFound                FB-CAT-122
└── VersionRefused             FB-CAT-123
"""

from __future__ import annotations

from fairbank.catalogue.errors import CatalogueError
from fairbank.errors import Kind


class GuardFails(CatalogueError):
    """A command of the workflow needs something that is not so."""

    code = "FB-CAT-120"
    kind = Kind.CONFLICT

    @classmethod
    def named(cls, guard: str) -> GuardFails:
        """Return the refusal of a guard of the workflow."""
        what, todo = _GUARDS.get(
            guard, ("something that it needs is not so", "Look at the request's history.")
        )
        return cls(
            f"This cannot be done now: {what}.",
            why=f"The workflow asks for it (guard '{guard}').",
            todo=todo,
        )


class UnknownCommand(CatalogueError):
    """The workflow has no such command."""

    code = "FB-CAT-121"
    kind = Kind.MISUSE


class LegNotFound(CatalogueError):
    """A request has no such leg, or the caller may not see it."""

    code = "FB-CAT-122"
    kind = Kind.NOT_FOUND


class VersionRefused(CatalogueError):
    """A sealed version of a request does not follow the one that the hub has."""

    code = "FB-CAT-123"
    kind = Kind.CONFLICT


_GUARDS = {
    "agreement-due": ("no data-use agreement waits for a signature", "Look at the terms of the dataset."),
    "agreement-settled": (
        "the data-use agreement is not countersigned yet",
        "Wait for the person who checks it.",
    ),
    "carried": ("the vote has not carried", "Wait for the committee's votes."),
    "closing-report": (
        "there is no closing report yet",
        "Hand it in first: what was published, and what came of it.",
    ),
    "committee-can-decide": (
        "nobody can decide about this dataset",
        "Name a committee for it, or a substitute, so that its quorum can be reached.",
    ),
    "dataset-gone": ("the dataset is still there", "See 'fairbank dataset show'."),
    "every-leg-ended": ("some of its datasets are still open", "Wait until each has ended."),
    "last-stage": ("a further stage of the review is left", "Wait for the committee of that stage."),
    "lost": ("the vote is not lost", "Wait for the committee's votes."),
    "no-conditions": ("the terms have conditions", "They have to be accepted first."),
    "no-conflict": (
        "you have a conflict of interest with this request",
        "Leave it to another member; the chair can appoint a substitute.",
    ),
    "later-terms-over": (
        "no later version is decided whose terms are over",
        "Refuse its conditions, or wait until they end.",
    ),
    "pauser-or-admin": ("somebody else paused it", "Ask the hub's administrator to resume it."),
    "request-open": ("the request is not open", "Resume it first, if it is paused."),
    "request-paused": ("the request is not paused", "Pause the whole request."),
    "some-conditions": ("the terms have no conditions", "Nothing has to be accepted."),
    "some-leg-granted": (
        "none of its datasets was granted",
        "Wait for a decision, or withdraw it and ask anew.",
    ),
    "some-leg-returned": ("none of its datasets was returned", "Wait until a committee returns it."),
    "stage-left": ("no further stage is left", "Look at the request's history."),
    "time-over": ("its time is not over", "Revoke it, if it has to end now."),
    "voted-back": ("the committee did not vote to return it", "Wait for the committee's votes."),
}
