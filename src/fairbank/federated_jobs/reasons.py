"""Why a job or a site is in its state: the closed list of words that may leave a site."""

from __future__ import annotations

import re
from enum import StrEnum

# How often a site's part of a job is begun anew after it has failed, at most; hub and node keep to it.
MOST_RETRIES = 3
_WORD = re.compile(r"[a-z][a-z0-9_]{0,39}")


class Reason(StrEnum):
    """Why a job or a site is in its state; a closed list, so that nothing about a cohort slips out in words."""

    NONE = "none"
    REQUEST_INVALID = "request_invalid"
    VISA_INVALID = "visa_invalid"
    VISA_EXPIRED = "visa_expired"
    VISA_SUPERSEDED = "visa_superseded"
    MANIFEST_INVALID = "manifest_invalid"
    REPLAYED = "replayed"
    DATASET_NOT_HERE = "dataset_not_here"
    OUTPUT_NOT_ALLOWED = "output_not_allowed"
    CODE_UNKNOWN = "code_unknown"
    CODE_CHANGED = "code_changed"
    OPTION_REFUSED = "option_refused"
    RUNS_SPENT = "runs_spent"
    COHORT_INSUFFICIENT = "cohort_insufficient"
    COHORT_CHANGED = "cohort_changed"
    CURATOR_DECLINED = "curator_declined"
    POLICY_DECLINED = "policy_declined"
    PROTECTION_REQUIRED = "protection_required"
    PROTECTION_REFUSED = "protection_refused"
    BATCH_TOO_SMALL = "batch_too_small"
    BUFFERS_NOT_ALLOWED = "buffers_not_allowed"
    MODEL_REFUSED = "model_refused"
    APPROVAL_MISSING = "approval_missing"
    APPROVAL_INVALID = "approval_invalid"
    APPROVAL_EXPIRED = "approval_expired"
    APPROVAL_WITHDRAWN = "approval_withdrawn"
    APPROVAL_DEADLINE = "approval_deadline"
    SANDBOX_UNAVAILABLE = "sandbox_unavailable"
    WORKER_CRASHED = "worker_crashed"
    OUT_OF_MEMORY = "out_of_memory"
    OUT_OF_DISK = "out_of_disk"
    TIMED_OUT = "timed_out"
    CODE_FAILED = "code_failed"
    GATE_REFUSED = "gate_refused"
    OUTPUT_WITHHELD = "output_withheld"
    UPDATE_REFUSED = "update_refused"
    UPDATE_OUTLIER = "update_outlier"
    UPDATE_UNCHANGED = "update_unchanged"
    ROUND_DEADLINE = "round_deadline"
    QUORUM_NOT_MET = "quorum_not_met"
    STATISTIC_UNDETERMINED = "statistic_undetermined"
    JOB_CANCELLED = "job_cancelled"
    TOOL_REVOKED = "tool_revoked"
    GRANT_REVOKED = "grant_revoked"
    GRANT_NOT_COUNTERSIGNED = "grant_not_countersigned"
    GRANT_REFUSED_BY_SITE = "grant_refused_by_site"
    GRANT_PAUSED = "grant_paused"
    TRANSFER_NOT_ALLOWED = "transfer_not_allowed"
    NO_ROOM = "no_room"
    SETTINGS_DEVIATE = "settings_deviate"
    PEERS_UNKNOWN = "peers_unknown"
    PEER_MODELS_MISSING = "peer_models_missing"
    NODE_FAULT = "node_fault"
    # Read where a later version says a word that this one does not know; never written first.
    OTHER = "other"

    @classmethod
    def _missing_(cls, value: object) -> Reason | None:
        """Return `OTHER` for a word that is not of this version's list, so that an older side reads a later one.

        >>> Reason("a_word_of_tomorrow").value
        'other'
        """
        return cls.OTHER if isinstance(value, str) and _WORD.fullmatch(value) else None
