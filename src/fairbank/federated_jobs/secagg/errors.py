"""The errors of secure aggregation.

JobsError
├── MessageUnfit     FB-JOBS-386
├── TooFewSites      FB-JOBS-387
├── NumbersUnfit     FB-JOBS-388
└── SharesUnfit      FB-JOBS-389
"""

from __future__ import annotations

from enum import StrEnum

from fairbank.errors import Kind
from fairbank.federated_jobs.errors import JobsError


class Fault(StrEnum):
    """What is wrong with a message; the hub is told no more."""

    UNTRUSTED = "untrusted"
    OTHER_CONTEXT = "other-context"
    UNKNOWN_SITE = "unknown-site"
    TWICE = "twice"
    SAME_KEY = "same-key"
    OUT_OF_TURN = "out-of-turn"
    DAMAGED = "damaged"
    OTHER_SURVIVORS = "other-survivors"
    NOT_AMONG_THEM = "not-among-them"
    ANSWERED = "answered"


_WORDS = {
    Fault.UNTRUSTED: "It is not signed by the identity key of the site that it names.",
    Fault.OTHER_CONTEXT: "It belongs to another job, round, attempt, model or list of sites.",
    Fault.UNKNOWN_SITE: "It names a site that the job has not.",
    Fault.TWICE: "A site occurs in it twice.",
    Fault.SAME_KEY: "Two of its keys are the same.",
    Fault.OUT_OF_TURN: "Another step is due.",
    Fault.DAMAGED: "Its sealed part does not open, or has another form.",
    Fault.OTHER_SURVIVORS: "It names other survivors than were named before.",
    Fault.NOT_AMONG_THEM: "It leaves this site out, or names sites that sealed no shares.",
    Fault.ANSWERED: "This site has helped to unmask a sum of this round already, and does so once.",
}


class MessageUnfit(JobsError):
    """A message of secure aggregation is not what the protocol allows at this point."""

    code = "FB-JOBS-386"
    kind = Kind.FORBIDDEN

    def __init__(self, fault: Fault) -> None:
        super().__init__(
            "A message of secure aggregation is refused.",
            why=_WORDS[fault],
            todo="The attempt ends here; a new one starts with fresh keys, if nobody has unmasked.",
        )
        self.fault = fault


class TooFewSites(JobsError):
    """Fewer sites are left than a sum may be made of."""

    code = "FB-JOBS-387"
    kind = Kind.FAILED


class NumbersUnfit(JobsError):
    """Numbers cannot be written as fixed-point numbers without loss beyond the bound."""

    code = "FB-JOBS-388"
    kind = Kind.REFUSED


class SharesUnfit(JobsError):
    """Shares that sites gave do not belong to one secret."""

    code = "FB-JOBS-389"
    kind = Kind.FAILED


def refused(fault: Fault) -> MessageUnfit:
    """Return the error for a message with a fault."""
    return MessageUnfit(fault)
