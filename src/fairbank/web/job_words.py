"""What people read of a job's closed words: why something is in its state, and for whom it waits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from fairbank.federated_jobs.hub.job_lines import SiteLine
from fairbank.federated_jobs.hub.job_record import Happened
from fairbank.federated_jobs.reasons import Reason
from fairbank.web.languages import mark as _
from fairbank.web.state_table import words_of
from fairbank.web.state_words import Look

REASONS: Final[dict[Reason, str]] = {
    Reason.NONE: "",
    Reason.REQUEST_INVALID: _("The request behind it could not be verified there."),
    Reason.VISA_INVALID: _("The permit behind it could not be verified there."),
    Reason.VISA_EXPIRED: _("The permit was over, or had not begun."),
    Reason.VISA_SUPERSEDED: _("A newer permit has replaced the one that it rests on."),
    Reason.MANIFEST_INVALID: _("The job could not be verified there."),
    Reason.REPLAYED: _("The same job had been sent before."),
    Reason.DATASET_NOT_HERE: _("The biobank does not have the collection."),
    Reason.OUTPUT_NOT_ALLOWED: _("What it would send may not be sent under the permit."),
    Reason.CODE_UNKNOWN: _("The biobank does not have the tool."),
    Reason.CODE_CHANGED: _("The tool at the biobank is not the same to the byte."),
    Reason.OPTION_REFUSED: _("A parameter is unknown there, or out of its range."),
    Reason.RUNS_SPENT: _("All runs that were granted have been used."),
    Reason.COHORT_INSUFFICIENT: _("The selection has too few subjects there."),
    Reason.COHORT_CHANGED: _("The images that were approved are no longer the same."),
    Reason.CURATOR_DECLINED: _("The biobank’s people said no."),
    Reason.POLICY_DECLINED: _("The biobank’s rules say no."),
    Reason.PROTECTION_REQUIRED: _("The biobank asks for a protection that the training does not have."),
    Reason.PROTECTION_REFUSED: _("The biobank does not take part in trainings with this protection."),
    Reason.BATCH_TOO_SMALL: _("The biobank asks for more images behind each update."),
    Reason.BUFFERS_NOT_ALLOWED: _("The biobank does not send running statistics of batch normalisation."),
    Reason.MODEL_REFUSED: _("The biobank refused the model that it should have trained."),
    Reason.APPROVAL_MISSING: _("The biobank’s approval is missing."),
    Reason.APPROVAL_INVALID: _("The biobank’s approval is of another job."),
    Reason.APPROVAL_EXPIRED: _("The biobank’s approval is over."),
    Reason.APPROVAL_WITHDRAWN: _("The biobank took its approval back."),
    Reason.APPROVAL_DEADLINE: _("Nobody decided before the job’s date."),
    Reason.SANDBOX_UNAVAILABLE: _("The biobank could not run it in a closed room."),
    Reason.WORKER_CRASHED: _("The tool crashed."),
    Reason.OUT_OF_MEMORY: _("The tool needed more memory than it may have."),
    Reason.OUT_OF_DISK: _("The tool needed more disk than there is."),
    Reason.TIMED_OUT: _("The tool took longer than it may."),
    Reason.CODE_FAILED: _("The tool stopped with an error."),
    Reason.GATE_REFUSED: _("The rules of what may leave forbade its results."),
    Reason.OUTPUT_WITHHELD: _("The biobank’s people kept the results back."),
    Reason.UPDATE_REFUSED: _("Its update did not fit together with the others."),
    Reason.UPDATE_OUTLIER: _("Its update was too unlike the others."),
    Reason.UPDATE_UNCHANGED: _("Its update changed nothing."),
    Reason.ROUND_DEADLINE: _("It did not answer before the end of the round."),
    Reason.QUORUM_NOT_MET: _("Fewer biobanks were left than the job needs."),
    Reason.STATISTIC_UNDETERMINED: _("The statistic cannot be worked out from what there is."),
    Reason.JOB_CANCELLED: _("The job was stopped."),
    Reason.TOOL_REVOKED: _("The tool was taken back."),
    Reason.GRANT_REVOKED: _("The permit was taken back, or has ended."),
    Reason.GRANT_NOT_COUNTERSIGNED: _("The biobank’s own people have not signed the permit."),
    Reason.GRANT_REFUSED_BY_SITE: _("The biobank’s own people refused the permit."),
    Reason.GRANT_PAUSED: _("The permit is paused."),
    Reason.TRANSFER_NOT_ALLOWED: _("Its results may not go where the requester is."),
    Reason.NO_ROOM: _("The biobank has not the memory or the processors that it asks for."),
    Reason.SETTINGS_DEVIATE: _("The biobank would have trained with other settings."),
    Reason.PEERS_UNKNOWN: _("The keys of the other biobanks were not there."),
    Reason.PEER_MODELS_MISSING: _("The models of other biobanks did not come."),
    Reason.NODE_FAULT: _("Something went wrong at the biobank’s node."),
    Reason.OTHER: _("A reason that this hub does not know."),
}

HAPPENED: Final[dict[Happened, str]] = {
    Happened.SUBMITTED: _("Sent by its requester"),
    Happened.SETTINGS: _("Settings of the training told"),
    Happened.ROUND_OPENED: _("Round begun"),
    Happened.ARRIVED: _("Output arrived"),
    Happened.ROUND_CLOSED: _("Round closed"),
    Happened.PRIORITY: _("Priority changed"),
    Happened.PAUSED: _("Paused with its permit"),
    Happened.RESUMED: _("Resumed with its permit"),
    Happened.GRANT_LOST: _("Stopped here: the permit has ended"),
    Happened.RETRIED: _("Tried again"),
    Happened.COMPLETED: _("Completed"),
    Happened.FAILED: _("Failed"),
    Happened.CANCELLED: _("Stopped"),
    Happened.WITHDRAWN: _("Told that a subject of it was withdrawn"),
}


@dataclass(frozen=True, slots=True)
class Awaited:
    """For whom a job waits at one of its sites.

    Attributes:
        owner: in words that are yet to be translated; `usual` too.
        silent: since when nothing was heard of the node, if that is too long.
    """

    node: str
    state: str
    owner: str
    usual: str
    since: datetime
    silent: datetime | None


def awaited(sites: Iterable[SiteLine], silent: Mapping[str, datetime]) -> tuple[Awaited, ...]:
    """Return whom of its sites a job that goes on waits for."""
    found = []
    for site in sites:
        said = words_of("site", site.state.value)
        # What is approved waits for the others.
        if said.look is Look.WAIT and site.state.value != "approved":
            found.append(
                Awaited(
                    site.node, site.state.value, said.owner, said.usual, site.since, silent.get(site.node)
                )
            )
    return tuple(found)
