"""Which outputs the hub takes: of an open round, of a site that takes part, and as the manifest declares them."""

from __future__ import annotations

from sqlalchemy import and_, bindparam, select
from sqlalchemy.orm import Session

from fairbank.catalogue.context import Hub
from fairbank.catalogue.uploads import ReleaseMeta
from fairbank.federated_jobs.axes.plans import PLANS
from fairbank.federated_jobs.errors import JobNotFound, OutputRefused, RoundClosed
from fairbank.federated_jobs.hub.progress import ended
from fairbank.federated_jobs.hub.standing import check_still_granted
from fairbank.federated_jobs.hub.steps import behind, step_of, takes
from fairbank.federated_jobs.hub.store import JobRow, RoundRow, SiteRow, UpdateRow
from fairbank.federated_jobs.reasons import Reason
from fairbank.federated_jobs.secagg.limits import is_masked, masked_bytes
from fairbank.federated_jobs.states import ACTIVE_SITES, RoundState, SiteState
from fairbank.ontology.outputs import DOOR_OF_OUTPUT
from fairbank.ontology.parcels import seal_bytes
from fairbank.ontology.signed_objects import Manifest

# Every output asks for its place, so the question is put together once.
_PLACE = (
    select(JobRow, SiteRow, RoundRow)
    .join(SiteRow, and_(SiteRow.job == JobRow.id, SiteRow.node == bindparam("node")))
    .outerjoin(RoundRow, and_(RoundRow.job == JobRow.id, RoundRow.round == bindparam("round")))
    .where(JobRow.id == bindparam("job"))
    # What was read before the output's turn came may have changed since.
    .execution_options(populate_existing=True)
)


def open_place(hub: Hub, session: Session, meta: ReleaseMeta) -> tuple[JobRow, SiteRow]:
    """Return the job and the site that an output is of.

    Raises:
        JobNotFound: if this node has no part in the job.
        RoundClosed: if the round is not open, or the node no longer takes part.
        GrantEnded: if the grant has ended that the job rests on there; GrantPaused while it is paused.
    """
    found = session.execute(_PLACE, {"job": meta.job, "node": meta.node, "round": meta.round}).first()
    if found is None:
        raise JobNotFound(
            "This node has no part in such a job.",
            why="Outputs are taken for jobs that the node approved.",
            todo="The node keeps the output and drops the job.",
        )
    job, site, current = found
    check_still_granted(hub, session, job, site)
    is_open = current is not None and _is_open(session, job, meta)
    if ended(job) or not is_open or SiteState(site.state) not in ACTIVE_SITES:
        raise RoundClosed(
            f"Round {meta.round} of this job is not open for this site.",
            why="It was closed without this site's output, or the job is over.",
            todo="The node keeps the output and goes on with the next round, if there is one.",
        )
    return job, site


def _is_open(session: Session, job: JobRow, meta: ReleaseMeta) -> bool:
    """Tell whether what a site computed for a round can be merged in the one that is open."""
    newest = session.get(RoundRow, (job.id, job.round), populate_existing=True)
    if newest is None or newest.state != RoundState.OPEN.value:
        return False
    step = step_of(session, job, newest)
    if not takes(step, meta.node) or behind(step, version=job.round, computed_for=meta.round) is None:
        return False
    if step.staleness is None:
        return True
    # One update of each site in one version.
    other = session.execute(
        _OTHER, {"job": job.id, "version": job.round, "node": meta.node, "of": meta.round}
    )
    return other.first() is None


_OTHER = (
    select(UpdateRow.round)
    .where(
        UpdateRow.job == bindparam("job"),
        UpdateRow.merged_in == bindparam("version"),
        UpdateRow.node == bindparam("node"),
        UpdateRow.round != bindparam("of"),
    )
    .limit(1)
)


def check_declared(manifest: Manifest, meta: ReleaseMeta) -> None:
    """Refuse an output that the job does not declare, or that is larger than declared.

    Raises:
        OutputRefused: saying which.
    """
    declared = next((output for output in manifest.outputs if output.name == meta.output), None)
    if declared is None or DOOR_OF_OUTPUT[declared.output_class] is not meta.door_class:
        raise OutputRefused(
            f"The job declares no output {meta.output!r} of class {meta.door_class.value}.",
            why="Only declared outputs are taken.",
            todo="This node and the requester use different versions of the tool.",
        ).because(Reason.OUTPUT_NOT_ALLOWED)
    choice = PLANS.get(manifest.plan.name.value)
    longest = declared.maximum_bytes
    if choice is not None and choice.sealed:
        longest += seal_bytes(longest)
    if is_masked(manifest):
        longest = masked_bytes(longest)
    if meta.total_bytes > longest:
        raise OutputRefused(
            f"The output {meta.output!r} has {meta.total_bytes} bytes.",
            why=f"The manifest allows {longest}.",
            todo="Draft the job with a larger limit.",
        ).because(Reason.OUTPUT_NOT_ALLOWED)
