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
    ├── OutputOfAJob             FB-REL-020
    ├── PersonError              FB-REL-021
    │   ├── PersonNeeded         FB-REL-022
    │   ├── NoSuchPerson         FB-REL-023
    │   ├── PersonRefused        FB-REL-024
    │   ├── PersonLocked         FB-REL-025
    │   ├── PersonRetired        FB-REL-026
    │   ├── RoleMissing          FB-REL-027
    │   ├── PeopleDamaged        FB-REL-028
    │   ├── DecisionUntrusted    FB-REL-029
    │   └── SecondPersonNeeded   FB-REL-030
    ├── SuccessionUntrusted      FB-REL-031
    ├── NodeSuspendedHere        FB-REL-032
    ├── UnknownGrant             FB-REL-033
    └── GrantUntrusted           FB-REL-034
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
    """The hub does not answer, after all retries.

    `answered` tells that something did answer, but only that it cannot now (429 or 5xx).
    """

    code = "FB-REL-010"
    kind = Kind.UNAVAILABLE
    answered: bool = False


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


class PersonError(ReleaseError):
    """Something about who decides at this node is not as it must be."""

    code = "FB-REL-021"
    kind = Kind.FORBIDDEN


class PersonNeeded(PersonError):
    """This node has named persons, and a decision came without one."""

    code = "FB-REL-022"


class NoSuchPerson(PersonError):
    """There is no person of this name at the node."""

    code = "FB-REL-023"
    kind = Kind.NOT_FOUND


class PersonRefused(PersonError):
    """A person cannot be named so, or under that key or passphrase."""

    code = "FB-REL-024"
    kind = Kind.MISUSE


class PersonLocked(PersonError):
    """A person's key does not open with that passphrase."""

    code = "FB-REL-025"


class PersonRetired(PersonError):
    """A person who has retired cannot sign anything new."""

    code = "FB-REL-026"


class RoleMissing(PersonError):
    """A person does not have the role that a decision needs."""

    code = "FB-REL-027"


class PeopleDamaged(PersonError):
    """The list of persons is not what was signed."""

    code = "FB-REL-028"


class DecisionUntrusted(PersonError):
    """A decision is not what a person of this node signed."""

    code = "FB-REL-029"


class SecondPersonNeeded(PersonError):
    """A decision takes two persons, and only one has signed it so far."""

    code = "FB-REL-030"


class SuccessionUntrusted(ReleaseError):
    """A key is said to follow another, and its signatures do not prove it."""

    code = "FB-REL-031"
    kind = Kind.FORBIDDEN


class NodeSuspendedHere(ReleaseError):
    """This node was suspended by its own people."""

    code = "FB-REL-032"
    kind = Kind.CONFLICT


class UnknownGrant(ReleaseError):
    """This node knows no such grant that concerns one of its datasets."""

    code = "FB-REL-033"
    kind = Kind.NOT_FOUND


class GrantUntrusted(ReleaseError):
    """What the hub sent as a grant does not prove to be one."""

    code = "FB-REL-034"
    kind = Kind.FORBIDDEN
