"""Errors of the de-identification room.

FairbankError
└── DeidError                FB-DEID-001
    ├── UnsafeIdentityStore  FB-DEID-002
    ├── NoIdentityStore      FB-DEID-003
    ├── BadProjectName       FB-DEID-004
    ├── StoreNotWritable     FB-DEID-005
    ├── UnknownSubject       FB-DEID-006
    └── SubjectForgotten     FB-DEID-007

A file that cannot be cleaned is no error but a result with a reason (outcomes.py): one bad file never stops the rest.
"""

from __future__ import annotations

from fairbank.errors import FairbankError, Kind


class DeidError(FairbankError):
    """De-identification could not go on."""

    code = "FB-DEID-001"
    kind = Kind.FAILED


class UnsafeIdentityStore(DeidError):
    """The identity store can be read by others, or is not one."""

    code = "FB-DEID-002"
    kind = Kind.REFUSED


class NoIdentityStore(DeidError):
    """There is no identity store, hence no key: nothing can be pseudonymised."""

    code = "FB-DEID-003"
    kind = Kind.NOT_FOUND


class BadProjectName(DeidError):
    """A project name cannot be used as a name of keys and folders."""

    code = "FB-DEID-004"
    kind = Kind.MISUSE


class StoreNotWritable(DeidError):
    """The research store cannot take a file (disk full, no permission)."""

    code = "FB-DEID-005"
    kind = Kind.UNAVAILABLE


class UnknownSubject(DeidError):
    """A pseudonym is not known to this node."""

    code = "FB-DEID-006"
    kind = Kind.NOT_FOUND


class SubjectForgotten(DeidError):
    """The subject was withdrawn: the salt is gone and no new one is made."""

    code = "FB-DEID-007"
    kind = Kind.GONE
