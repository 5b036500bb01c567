"""Why a dataset is withdrawn for good: a closed list, so that nobody writes a reason that tells about a person."""

from __future__ import annotations

from enum import StrEnum


class WithdrawalReason(StrEnum):
    """The class of a reason."""

    CONSENT_WITHDRAWN = "consent_withdrawn"
    MOVED = "moved"
    ACCESS_LOST = "access_lost"
    RETENTION_OVER = "retention_over"
    SUPERSEDED = "superseded"
    ERROR = "error"
