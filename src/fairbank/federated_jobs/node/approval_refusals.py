"""The errors of what a site has not approved, or not so that it can be trusted."""

from __future__ import annotations

from fairbank.federated_jobs.checks import Check
from fairbank.federated_jobs.errors import ChainBroken, NotApproved, SiteRefusal
from fairbank.federated_jobs.node.site_keys import KEY_FILE
from fairbank.federated_jobs.reasons import Reason


def not_waiting() -> NotApproved:
    """Return the error for a job that nobody can decide about here."""
    return NotApproved(
        "No such job waits for a decision at this site.",
        why="It was decided already, or was never brought here.",
        todo="List the jobs that were brought here: fairbank node jobs list.",
    )


def not_approved() -> NotApproved:
    """Return the error for a job that nobody has approved here, or not any more."""
    return NotApproved(
        "Nobody at this site has approved this job, or the approval was taken back.",
        why="A site runs nothing without its own approval.",
        todo="Decide on it: fairbank node jobs list.",
    ).at(Check.APPROVAL)


def approval_broken(why: str, *, check: Check = Check.APPROVAL) -> SiteRefusal:
    """Return the error for an approval that does not hold.

    Args:
        check: which one found it.
    """
    return (
        ChainBroken(
            "This site's approval of the job cannot be trusted.",
            why=why,
            todo=f"Compare the node's database and its {KEY_FILE} with their backups.",
        )
        .because(Reason.APPROVAL_INVALID)
        .at(check)
    )
