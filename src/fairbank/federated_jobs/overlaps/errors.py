"""The errors of overlaps between two sites.

JobsError
├── OverlapRefused          FB-JOBS-490
├── OverlapNotFound         FB-JOBS-491
├── IdentifiersRefused      FB-JOBS-492
└── OverlapMessageRefused   FB-JOBS-493
"""

from __future__ import annotations

from fairbank.errors import Kind
from fairbank.federated_jobs.errors import JobsError


class OverlapRefused(JobsError):
    """An overlap is not counted: it was counted before, its peer is not pinned, or it is nobody's turn."""

    code = "FB-JOBS-490"
    kind = Kind.CONFLICT


class OverlapNotFound(JobsError):
    """There is no such overlap between these sites, or the hub knows none at all."""

    code = "FB-JOBS-491"
    kind = Kind.NOT_FOUND


class IdentifiersRefused(JobsError):
    """A table of identifiers cannot be used."""

    code = "FB-JOBS-492"
    kind = Kind.MISUSE


class OverlapMessageRefused(JobsError):
    """What a peer sent for an overlap is not what the step asks for."""

    code = "FB-JOBS-493"
    kind = Kind.REFUSED


def unusable(why: str) -> OverlapMessageRefused:
    """Return the error for a message of a peer that ends an overlap."""
    return OverlapMessageRefused(
        "What the peer sent for an overlap cannot be used.",
        why=why,
        todo="The overlap ends here. Ask the peer's people; both sites need the same version.",
    )
