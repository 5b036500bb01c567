"""What became of an item of a source, and of the series that it is: two closed lists."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where an item or a series stands.

    Attributes:
        LIVE: it is there.
        MISSING: an item that the last complete look did not find; a series that is no longer published.
        TOMBSTONED: it has gone; only its id, the moment and the reason are kept.
        LEFT_OUT: an item that may not be in the index, such as for want of consent.
    """

    LIVE = "live"
    MISSING = "missing"
    TOMBSTONED = "tombstoned"
    LEFT_OUT = "left-out"


class GoneReason(StrEnum):
    """Why something is no longer in the index.

    Attributes:
        DELETED: the archive no longer has it.
        MOVED: the archive has it in another container.
        ACCESS_LOST: the archive no longer shows its container; what is known of it is kept, but not published.
        CONSENT_WITHDRAWN: its subject may no longer be in the index.
        RETENTION_OVER: its project has been kept as long as it may.
    """

    DELETED = "deleted"
    MOVED = "moved"
    ACCESS_LOST = "access_lost"
    CONSENT_WITHDRAWN = "consent_withdrawn"
    RETENTION_OVER = "retention_over"
