"""The errors of update filters, all under `JobsError`.

JobsError
├── FilterRefused        FB-JOBS-301
├── EncryptionUnfit      FB-JOBS-480
└── SharedKeyRefused     FB-JOBS-481
"""

from __future__ import annotations

from fairbank.errors import Kind
from fairbank.federated_jobs.errors import JobsError
from fairbank.federated_jobs.reasons import Reason


class FilterRefused(JobsError):
    """A filter cannot do on a model what the job asks of it, so the update does not leave."""

    code = "FB-JOBS-301"
    kind = Kind.REFUSED
    reason = Reason.OPTION_REFUSED


class EncryptionUnfit(JobsError):
    """An update cannot be encrypted, or an encrypted model cannot be opened at this site."""

    code = "FB-JOBS-480"
    kind = Kind.REFUSED
    reason = Reason.UPDATE_REFUSED


class SharedKeyRefused(JobsError):
    """The key that the sites of an encrypted job share is not there, or was not made for this site."""

    code = "FB-JOBS-481"
    kind = Kind.REFUSED
    reason = Reason.PEERS_UNKNOWN
