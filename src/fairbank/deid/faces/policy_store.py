"""Who decided what becomes of a project's heads, signed by that person; and which series may leave as files.

Whoever can write to the node's database alone cannot make a decision: it is the person's key that counts, and a row
that its signature does not cover is refused.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.audit import NodeAudit
from fairbank.clock import Clock, iso
from fairbank.deid.errors import (
    FaceDecisionDamaged,
    FaceDecisionIncomplete,
    FacesUndecided,
    SeriesMayNotLeave,
    UnknownPerson,
)
from fairbank.deid.faces.stage import FaceWork
from fairbank.deid.faces.store import FacePolicyRow, FaceSeriesRow
from fairbank.deid.identity import checked_project
from fairbank.deid.policies import FacePolicy
from fairbank.signing import BadEnvelope, Json, SigningKey, open_sealed, seal

_KIND = "face-policy"


@dataclass(frozen=True, slots=True)
class FaceDecision:
    """What a person decides of a project's heads.

    Attributes:
        project: of the research store.
        policy: what becomes of heads.
        reason: on what the decision rests; stays at the node.
        by: the person's name.
    """

    project: str
    policy: FacePolicy
    reason: str
    by: str


def decide(
    session: Session,
    decision: FaceDecision,
    *,
    key: SigningKey,
    clock: Clock,
    trusted: Collection[str] | None = None,
) -> None:
    """Sign and keep a decision, and write it to the audit log; it counts for series that are cleaned from now on.

    Args:
        key: the person's own.
        trusted: as `policy_of`.

    Raises:
        BadProjectName: if the project cannot be named so.
        UnknownPerson: if the key is that of nobody who may decide.
        FaceDecisionIncomplete: if the reason or the name is missing.
    """
    checked_project(decision.project)
    if not decision.reason.strip() or not decision.by.strip():
        raise FaceDecisionIncomplete(
            "The decision on faces was not kept.",
            why="A named person has to say on what it rests, such as an ethics vote or a data protection assessment.",
            todo="Give the name and the reason again.",
        )
    if trusted is not None and key.key_id not in trusted:
        raise UnknownPerson(
            "The decision on faces was not kept.",
            why="The key is not that of a person who is named at this node.",
            todo="Name the person with 'fairbank deid person add', or let a named one sign.",
        )
    last = select(func.max(FacePolicyRow.number)).where(FacePolicyRow.project == decision.project)
    row = FacePolicyRow(
        project=decision.project,
        number=1 + (session.execute(last).scalar() or 0),
        policy=decision.policy.value,
        reason=decision.reason.strip(),
        decided_by=decision.by.strip(),
        key_id=key.key_id,
        decided_at=clock.now(),
    )
    row.envelope = seal(_KIND, _payload(row), key)
    session.add(row)
    session.flush()
    audit.record(
        session,
        NodeAudit,
        clock=clock,
        actor=key.key_id,
        act="faces.decide",
        target=decision.project,
        detail={"policy": row.policy, "number": row.number},
    )


def policy_of(session: Session, project: str, *, trusted: Collection[str] | None = None) -> FacePolicy:
    """Return what becomes of a project's heads; HOLD where nobody has decided.

    Args:
        trusted: ids of the keys that speak for a person named at the node (`Desk.speaking`); None, where nobody is
            named, takes any person's.

    Raises:
        FaceDecisionDamaged: if the decision that counts is not what was signed, or not by a key that counts.
    """
    row = _latest(session, project)
    if row is None:
        return FacePolicy.HOLD
    try:
        sealed = open_sealed(row.envelope, _KIND, trusted={row.key_id})
    except BadEnvelope as err:
        raise _damaged() from err
    if sealed.payload != _payload(row) or (trusted is not None and row.key_id not in trusted):
        raise _damaged()
    return FacePolicy(row.policy)


def policy_for(
    session: Session,
    project: str,
    asked: FacePolicy | None = None,
    *,
    trusted: Collection[str] | None = None,
) -> FacePolicy:
    """Return the policy to run with: the decided one, or a stricter one that a run asks for.

    Args:
        asked: what the run asks for, if anything.
        trusted: as `policy_of`.

    Raises:
        FacesUndecided: if `in-situ` is asked for and not what was decided.
        FaceDecisionDamaged: as `policy_of`.
    """
    decided = policy_of(session, project, trusted=trusted)
    if asked is None:
        return decided
    if asked is FacePolicy.IN_SITU and decided is not FacePolicy.IN_SITU:
        raise FacesUndecided(
            "Heads of this project are not used in place.",
            why="Nobody has decided and signed that they may stay recognisable.",
            todo="Let a named person run 'fairbank deid faces set PROJECT in-situ', or ask for hold or deface.",
        )
    return asked


def decisions(session: Session) -> Sequence[FacePolicyRow]:
    """Return all decisions, by project, the oldest first."""
    return list(session.scalars(select(FacePolicyRow).order_by(FacePolicyRow.project, FacePolicyRow.number)))


def record_work(
    session: Session, project: str, series_uid: str, work: FaceWork, *, subject: str, clock: Clock
) -> None:
    """Remember what became of a series' face; what was remembered before is replaced.

    Args:
        subject: the pseudonym, by which the row goes when the subject is withdrawn.
    """
    row = FaceSeriesRow(
        project=project,
        series_uid=series_uid,
        subject=subject,
        head=work.head,
        defaced=work.defaced,
        in_situ=work.in_situ,
        judged_at=clock.now(),
    )
    session.merge(row)


def record_part(
    session: Session, project: str, series_uid: str, work: FaceWork, *, subject: str, clock: Clock
) -> None:
    """Remember what was seen of a part of a series, the rest of which is stored already.

    A face that was seen stays seen. That none was seen in a part says nothing of the whole: the series counts as never
    looked at, until `fairbank deid faces look` has.
    """
    if work.shows_face:
        record_work(session, project, series_uid, work, subject=subject, clock=clock)
        return
    row = session.get(FaceSeriesRow, (project, series_uid))
    if row is not None and not row.in_situ and (row.defaced or not row.head):
        session.delete(row)


def may_leave(session: Session, project: str, series_uid: str) -> bool:
    """Return whether a series may leave the node as files: looked at, and without a face.

    A series that was never looked at may not: files cleaned by an older fairbank are looked at with
    `fairbank deid faces look`.
    """
    row = session.get(FaceSeriesRow, (project, series_uid))
    return row is not None and not row.in_situ and (row.defaced or not row.head)


def check_may_leave(session: Session, project: str, series_uid: str) -> None:
    """Do nothing if a series may leave the node as files.

    Raises:
        SeriesMayNotLeave: if it may not.
    """
    if not may_leave(session, project, series_uid):
        raise SeriesMayNotLeave(
            "This series does not leave the node as files.",
            why="It shows a head whose face was not removed, or nobody has looked whether it does.",
            todo="Run 'fairbank deid faces look', or de-identify the source files again with the policy 'deface'.",
        )


def _latest(session: Session, project: str) -> FacePolicyRow | None:
    query = select(FacePolicyRow).where(FacePolicyRow.project == project)
    return session.scalars(query.order_by(FacePolicyRow.number.desc()).limit(1)).first()


def _payload(row: FacePolicyRow) -> dict[str, Json]:
    return {
        "project": row.project,
        "number": row.number,
        "policy": row.policy,
        "reason": row.reason,
        "by": row.decided_by,
        "decided": iso(row.decided_at),
    }


def _damaged() -> FaceDecisionDamaged:
    return FaceDecisionDamaged(
        "The decision on this project's faces cannot be trusted, so nothing is cleaned by it.",
        why="It is not what the named person signed, or the key does not speak for a person here any more.",
        todo="Look at the audit log, then decide anew with 'fairbank deid faces set'.",
    )
