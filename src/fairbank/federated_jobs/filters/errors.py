"""The errors of update filters, all under `JobsError`.

JobsError
└── FilterRefused   FB-JOBS-301
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
