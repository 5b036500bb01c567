"""Errors of the one door.

FairbankError
└── ReleaseError                 FB-REL-001
    ├── GateRefused              FB-REL-002
    ├── ReleaseConflict          FB-REL-003
    ├── ReleaseBytesLost         FB-REL-004
    ├── UnknownRelease           FB-REL-005
    ├── ReleaseStateError        FB-REL-006
    ├── HubUnreachable           FB-REL-010
    ├── NodeClockOff             FB-REL-011
    ├── KeyNotEnrolled           FB-REL-012
    ├── HubKeyChanged            FB-REL-013
    ├── NotEnrolled              FB-REL-014
    ├── NodeExists               FB-REL-015
    ├── NoNode                   FB-REL-016
    ├── BadNodeName              FB-REL-017
    ├── DownloadDamaged          FB-REL-018
    ├── BadAnswer                FB-REL-019
    └── OutputOfAJob             FB-REL-020
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fairbank.errors import FairbankError, Kind

if TYPE_CHECKING:
    from pathlib import Path

    from fairbank.release.gate import Verdict


class ReleaseError(FairbankError):
    """Something cannot leave this node, or what has left cannot be accounted for."""

    code = "FB-REL-001"


class GateRefused(ReleaseError):
    """The release gate does not let an output leave.

    `verdict` says why, rule by rule; `kept` is the judged file in the outbox folder, None for a control message.
    """

    code = "FB-REL-002"
    kind = Kind.REFUSED

    def __init__(
        self, what: str, *, verdict: Verdict, kept: Path | None = None, why: str = "", todo: str = ""
    ) -> None:
        super().__init__(what, why=why, todo=todo)
        self.verdict = verdict
        self.kept = kept


class ReleaseConflict(ReleaseError):
    """Other bytes have been released under the same job, round, site and output."""

    code = "FB-REL-003"
    kind = Kind.CONFLICT


class ReleaseBytesLost(ReleaseError):
    """The stored bytes of a release are missing or were changed."""

    code = "FB-REL-004"


class UnknownRelease(ReleaseError):
    """There is no release of this id."""

    code = "FB-REL-005"
    kind = Kind.NOT_FOUND


class ReleaseStateError(ReleaseError):
    """A release is not in a state that allows this."""

    code = "FB-REL-006"
    kind = Kind.CONFLICT


class HubUnreachable(ReleaseError):
    """The hub does not answer, after all retries."""

    code = "FB-REL-010"
    kind = Kind.UNAVAILABLE


class NodeClockOff(ReleaseError):
    """The hub refuses the node's requests because the two clocks differ too much."""

    code = "FB-REL-011"
    kind = Kind.UNAUTHENTICATED


class KeyNotEnrolled(ReleaseError):
    """The hub does not accept the key that this node signs with."""

    code = "FB-REL-012"
    kind = Kind.UNAUTHENTICATED


class HubKeyChanged(ReleaseError):
    """The hub shows another root key than the one that this node pinned."""

    code = "FB-REL-013"
    kind = Kind.FORBIDDEN


class NotEnrolled(ReleaseError):
    """The node has not enrolled with a hub."""

    code = "FB-REL-014"
    kind = Kind.CONFLICT


class NodeExists(ReleaseError):
    """There is a node in this home folder already."""

    code = "FB-REL-015"
    kind = Kind.CONFLICT


class NoNode(ReleaseError):
    """There is no node in this home folder."""

    code = "FB-REL-016"
    kind = Kind.NOT_FOUND


class BadNodeName(ReleaseError):
    """A node's name is not of the form that addresses allow."""

    code = "FB-REL-017"
    kind = Kind.MISUSE


class DownloadDamaged(ReleaseError):
    """A downloaded file does not have the digest that names it."""

    code = "FB-REL-018"


class BadAnswer(ReleaseError):
    """The hub answered with something that is not part of the protocol."""

    code = "FB-REL-019"


class OutputOfAJob(ReleaseError):
    """What a job made is decided with its job, and not by itself."""

    code = "FB-REL-020"
    kind = Kind.MISUSE
