"""One job stands still at this site: nothing of it is computed, and nothing of it leaves, until it goes on.

The hub is told nothing: to it this site is late, and a round that ends meanwhile ends without it. The whole node is
paused by `fairbank.release.suspension`. Neither needs the hub, and both outlive a restart.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.database import writing
from fairbank.errors import FairbankError
from fairbank.federated_jobs.errors import JobPausedHere, NotApproved
from fairbank.federated_jobs.node.store import ReviewRow, WorkRow
from fairbank.federated_jobs.protocol import MOST_HELD
from fairbank.release.node import Node
from fairbank.release.people import Signer
from fairbank.release.person_decisions import Act, decide
from fairbank.release.suspension import check_not_suspended

_PAUSED = select(ReviewRow.job).where(ReviewRow.halted.is_not(None), ReviewRow.ended.is_(False))
_TAKEN = "taken"
# Both are asked before every claim, so they are put together once.
_HELD = (
    select(WorkRow.lease)
    .where(WorkRow.job.in_(_PAUSED), WorkRow.state == _TAKEN)
    .order_by(WorkRow.taken.desc())
    .limit(MOST_HELD)
)


def pause_job(node: Node, job: str, *, by: str, signer: Signer | None = None) -> None:
    """Let a job stand still here; what runs is ended within seconds. A job that stands still already is left so.

    Raises:
        NotApproved: if no such job goes on here.
        PersonNeeded: if persons are named here and none signs.
    """
    _set(node, Act.JOB_PAUSE, job, by=by, signer=signer)


def resume_job(node: Node, job: str, *, by: str, signer: Signer | None = None) -> None:
    """Let a job go on: what waits is sent, and a round that is still open is computed when the hub gives it again.

    Raises:
        NotApproved: if no such job goes on here.
        PersonNeeded: if persons are named here and none signs.
    """
    _set(node, Act.JOB_RESUME, job, by=by, signer=signer)


def halt(node: Node, job: str, *, because: FairbankError) -> None:
    """Pause a job that cannot go on until a person has put something right here; nobody is asked to sign that."""
    with writing(node.engine) as session:
        row = session.get_one(ReviewRow, job)
        if row.ended or row.halted is not None:
            return
        row.halted = node.clock.now()
        audit.record(
            session,
            audit.NodeAudit,
            clock=node.clock,
            actor=node.key.key_id,
            act=Act.JOB_PAUSE.value,
            target=job,
            detail={"error": because.code},
        )


def paused_jobs(session: Session) -> frozenset[str]:
    """Return the jobs that stand still here."""
    return frozenset(session.connection().execute(_PAUSED).scalars())


def held_leases(session: Session) -> list[str]:
    """Return the leases of jobs that stand still, which the hub should not give again before they lapse."""
    return list(session.connection().execute(_HELD).scalars())


def check_goes_on(session: Session, job: str | None) -> ReviewRow | None:
    """Return the job as it was brought here, if neither the node nor the job stands still.

    Raises:
        NodeSuspendedHere: if the node does.
        JobPausedHere: if the job does.
    """
    check_not_suspended(session)
    row = session.get(ReviewRow, job) if job is not None else None
    if row is not None and row.halted is not None:
        raise JobPausedHere(
            "This job is paused at this site.",
            why="A person here paused it.",
            todo=f"Run 'fairbank node jobs resume {row.job}' when it shall go on.",
        )
    return row


def _set(node: Node, act: Act, job: str, *, by: str, signer: Signer | None) -> None:
    with writing(node.engine) as session:
        row = session.get(ReviewRow, job)
        if row is None or row.ended:
            raise NotApproved(
                "No such job goes on at this site.",
                why="It is over, or was never brought here.",
                todo="List the jobs that were brought here: fairbank node jobs list.",
            )
        pausing = act is Act.JOB_PAUSE
        if (row.halted is not None) == pausing:
            return
        decision = decide(session, node, act, job, {"manifest": row.manifest_digest or ""}, signer=signer)
        row.halted = node.clock.now() if pausing else None
        audit.record(
            session,
            audit.NodeAudit,
            clock=node.clock,
            actor=signer.name if signer else by,
            act=act.value,
            target=job,
            detail={"decision": decision} if decision else {},
        )
