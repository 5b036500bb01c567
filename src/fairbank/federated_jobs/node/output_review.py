"""Outputs that wait for the site's people: look, then let go or keep back.

Only jobs that were approved with `hold_outputs` wait; all others leave when the gate has passed them.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank.database import writing
from fairbank.federated_jobs.errors import NotApproved
from fairbank.federated_jobs.node.approval import check_may_leave
from fairbank.federated_jobs.node.persons_word import words_of
from fairbank.federated_jobs.node.store import ReviewRow, WorkRow
from fairbank.federated_jobs.reasons import Reason
from fairbank.federated_jobs.states import SiteState
from fairbank.release.node import Node
from fairbank.release.outbox import Outbox
from fairbank.release.people import Signer
from fairbank.release.person_decisions import (
    Act,
    decide,
    second_needed,
    second_person,
)
from fairbank.release.releases import Release, ReleaseState


def held(outbox: Outbox) -> list[Release]:
    """Return the outputs of jobs that wait for a decision, oldest first."""
    return [release for release in outbox.pending(state=ReleaseState.HELD) if release.job is not None]


def let_go(
    node: Node, outbox: Outbox, job: str, *, by: str, why: str = "", signer: Signer | None = None
) -> list[Release]:
    """Let the held outputs of a job leave; the agent, or `Outbox.send`, sends them.

    Raises:
        NotApproved: if nothing of this job waits, or its approval was taken back.
        ApprovalOver: if its approval has ended.
        PersonNeeded: if persons are named here and none signs.
        SecondPersonNeeded: if the node asks for four eyes, and this was the first pair.
    """
    waiting = _of(outbox, job)
    by = signer.name if signer else by
    with writing(node.engine) as session:
        check_may_leave(node, session, job)
        enough = four_eyes_have_seen(session, node, waiting, signer)
        for release in waiting:
            decide(session, node, Act.OUTPUT_RELEASE, release.id, words_of(release), signer=signer)
        if enough:
            return [outbox.approve(session, release.id, by=by, why=why) for release in waiting]
    raise second_needed()


def four_eyes_have_seen(session: Session, node: Node, waiting: list[Release], signer: Signer | None) -> bool:
    """Tell whether the signer is the second person to let exactly these outputs go, or one is enough here."""
    if signer is None or node.settings.node_four_eyes == "no":
        return True
    return all(
        second_person(session, node, Act.OUTPUT_RELEASE, one.id, words_of(one), signer=signer)
        for one in waiting
    )


def keep_back(
    node: Node, outbox: Outbox, job: str, *, by: str, why: str = "", signer: Signer | None = None
) -> None:
    """Keep the held outputs of a job back for good; this site then drops out of the job.

    Raises:
        NotApproved: if nothing of this job waits.
        PersonNeeded: if persons are named here and none signs.
    """
    waiting = _of(outbox, job)
    by = signer.name if signer else by
    with writing(node.engine) as session:
        for release in waiting:
            decide(session, node, Act.OUTPUT_WITHHOLD, release.id, words_of(release), signer=signer)
            outbox.withhold(session, release.id, by=by, why=why)
        for work in session.scalars(select(WorkRow).where(WorkRow.job == job, WorkRow.finished.is_(None))):
            work.finished = node.clock.now()
        row = session.get_one(ReviewRow, job)
        row.state, row.reason = SiteState.WITHHELD.value, Reason.OUTPUT_WITHHELD.value
        row.decided, row.decided_by = node.clock.now(), by
        row.ended, row.reported = True, False


def _of(outbox: Outbox, job: str) -> list[Release]:
    waiting = [release for release in held(outbox) if release.job == job]
    if not waiting:
        raise NotApproved(
            "No output of this job waits for a decision at this site.",
            why="It was decided already, or the job does not hold its outputs.",
            todo="List what waits: fairbank node outputs.",
        )
    return waiting
