"""The withdrawal of a subject at a node, whole: salt, statement, index, jobs, files, and an entry of the audit log.

The subject is unknown and refused from the first step on; each later step may be done again, and what the subject was
called is noted until the last is done, so that a withdrawal that was cut off can be finished. What was published
changes with the next publication only, so that the drop exposes nobody.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Select, func, or_, select, update
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.database import compact, reading, writing
from fairbank.deid.departures import Departure
from fairbank.deid.errors import UnknownSubject
from fairbank.deid.identity import IdentityStore
from fairbank.deid.pseudonyms import subject_value
from fairbank.deid.research_store import ResearchStore
from fairbank.deid.withdrawal import Keeper, NamedPlaces, forget, keepers
from fairbank.errors import Sensitive
from fairbank.federated_jobs.node import overlays, withdrawn_training
from fairbank.federated_jobs.node.progress import job_folder
from fairbank.federated_jobs.node.store import CohortRow, ReviewRow
from fairbank.harvest.consents import identity_of
from fairbank.harvest.publishing import keep_back_unsent, unsent
from fairbank.harvest.subject_withdrawal import clear_incoming, count_series, note_withdrawal
from fairbank.harvest.subject_withdrawal import forget_subject as forget_in_harvest
from fairbank.release.node import Node
from fairbank.release.people import Signer
from fairbank.release.person_decisions import Act, decide
from fairbank.release.store import LedgerRow

# A model's state between rounds holds weights and moments, no images; without it the site could not go on.
_KEPT = "state-*.safetensors"
_SERIES = "series of the index"
_KEPT_BACK = "outputs that had not left"
# Where runs keep what they are working on, beside the projects of the store; one that was killed leaves it there.
_STAGING = ".staging"


@dataclass(frozen=True, slots=True)
class JobTouched:
    """A job that used, or was to use, a subject's images; `left` counts its results that have left the node."""

    job: str
    title: str
    tool: str
    state: str
    left: int


@dataclass(frozen=True, slots=True)
class SubjectWithdrawn:
    """What a withdrawal took away, or would.

    Attributes:
        projects: projects that knew the subject.
        gone: how much went, by what it was.
        jobs: jobs that the subject was in.
        compacted: whether the node's database file was rewritten, so that no deleted row is left in it.
    """

    projects: tuple[str, ...]
    gone: dict[str, int] = field(default_factory=dict)
    jobs: tuple[JobTouched, ...] = ()
    compacted: bool = True


@dataclass(frozen=True, slots=True)
class Named:
    """Who is to be withdrawn: a patient as the archive names one, or a pseudonym of a project.

    Attributes:
        project: for a patient, the project that must know the patient, so that a slip of the pen withdraws nobody;
            empty for a patient who need not be known.
    """

    project: str = ""
    pseudonym: str = ""
    patient: Sensitive[str] | None = None

    @classmethod
    def by_id(cls, patient_id: Sensitive[str], *, issuer: str = "", project: str = "") -> Named:
        """Name a patient by the archive's id, and who gave the id out where the files say so."""
        value = Sensitive(subject_value(patient_id.reveal(), issuer), reference=str(patient_id))
        return cls(project=project, patient=value)

    def foreseen(self, identity: IdentityStore) -> Departure:
        """Return what is known of the subject, and change nothing.

        Raises:
            UnknownSubject: if it is a pseudonym that is not known, or a patient whom the project does not know.
        """
        if self.patient is None:
            return identity.foresee_pseudonym(self.project, self.pseudonym)
        value = self.patient.reveal()
        departure = identity.foresee(value)
        knows = any(one.project == self.project for one in departure.known)
        if self.project and not knows and not identity.is_forgotten(value):
            raise UnknownSubject(
                f"The project {self.project} does not know the patient; nobody was withdrawn.",
                why="The id or its issuer is not the archive's, or the project's name is another.",
                todo="Check both; leave the project out to withdraw a patient who was never seen.",
            )
        return departure

    def leave(self, node: Node, identity: IdentityStore) -> Departure:
        """Make the subject unknown for good; it raises what `foreseen` does."""
        self.foreseen(identity)
        if self.patient is None:
            return identity.leave_pseudonym(self.project, self.pseudonym, clock=node.clock)
        return identity.leave(self.patient.reveal(), clock=node.clock)


def withdraw(node: Node, named: Named, *, signer: Signer | None = None) -> SubjectWithdrawn:
    """Withdraw a subject from every project of the node, whether the node has seen it or not. Not undone.

    Raises:
        PersonNeeded: if persons are named at the node and none signs.
        UnknownSubject: if no subject has that pseudonym, or the named project does not know the patient.
    """
    _sign(node, signer)
    with identity_of(node) as identity:
        departure = named.leave(node, identity)
        return _cleared(node, identity, departure)


def _sign(node: Node, signer: Signer | None) -> None:
    """Have a person answer for a withdrawal; of whom is in nothing that is signed or kept of it."""
    withdrawal = node.clock.new_id()
    with writing(node.engine) as session:
        signed = decide(session, node, Act.SUBJECT_WITHDRAW, withdrawal, {}, signer=signer)
        if signed is None or signer is None:
            return
        audit.record(
            session,
            audit.NodeAudit,
            clock=node.clock,
            actor=signer.name,
            act="subject.withdrawal-signed",
            target=withdrawal,
            detail={"decision": signed},
        )


def foresee(node: Node, named: Named) -> SubjectWithdrawn:
    """Return what `withdraw` would take away, and change nothing; it raises the same."""
    with identity_of(node) as identity:
        departure = named.foreseen(identity)
    with reading(node.engine) as session:
        jobs = _touched(session, departure)
        waiting = withdrawn_training.waiting(session, [one.job for one in jobs])
        waiting += sum(len(unsent(session, project)) for project in _projects(departure))
        gone = {_SERIES: count_series(session, departure.known), _KEPT_BACK: waiting}
    for place in _places(node):
        gone[place.what] = gone.get(place.what, 0) + place.count(departure)
    return SubjectWithdrawn(_projects(departure), gone, jobs)


def finish(node: Node) -> list[SubjectWithdrawn]:
    """Finish withdrawals that were cut off, and repeat those that a restored backup of the identity store undid."""
    with identity_of(node) as identity:
        done = [_cleared(node, identity, departure) for departure in identity.departures()]
        for one in identity.returned():
            departure = identity.leave_pseudonym(one.project, one.pseudonym, clock=node.clock)
            done.append(_cleared(node, identity, departure))
        return done


def forget_in_jobs(node: Node, pseudonym: str) -> list[str]:
    """Take a subject's staged files out of all jobs, and its pseudonym out of their lists; return the jobs.

    Cohorts shrink by themselves: each round looks into the index before and after it computes.
    """
    with reading(node.engine) as session:
        holding = (
            select(CohortRow.job).where(CohortRow.subject == pseudonym).distinct().order_by(CohortRow.job)
        )
        jobs = list(session.scalars(holding))
    for job in jobs:
        clear_staged(node, job)
    with writing(node.engine) as session:
        # Last, because until then the rows say which folders there are to clear.
        session.execute(update(CohortRow).where(CohortRow.subject == pseudonym).values(subject=""))
    return jobs


def _cleared(node: Node, identity: IdentityStore, departure: Departure) -> SubjectWithdrawn:
    with writing(node.engine) as session:
        jobs = _touched(session, departure)
        withdrawn_training.note(node, session, withdrawn_training.used_by(session, _pseudonyms(departure)))
        kept_in = withdrawn_training.keep_in(node, session, [one.job for one in jobs])
        note_withdrawal(node, session, departure.consent_key)
        records = sum(
            keep_back_unsent(node, session, project, by=withdrawn_training.BY)
            for project in _projects(departure)
        )
        gone = {
            _SERIES: forget_in_harvest(session, departure.known),
            _KEPT_BACK: len(kept_in) + records,
        }
        _record(node, session, departure, SubjectWithdrawn(_projects(departure), gone, jobs))
    withdrawn_training.erase(node, kept_in)
    for one in departure.known:
        forget_in_jobs(node, one.pseudonym)
    gone |= forget(departure, _places(node))
    gone["files left by runs that were killed"] = clear_incoming(node)
    compacted = compact(node.engine)
    if compacted:
        identity.gone(departure)
    return SubjectWithdrawn(_projects(departure), gone, jobs, compacted)


def _places(node: Node) -> tuple[Keeper, ...]:
    store = node.settings.store_path
    apart = (store, node.settings.keys_path, node.outbox_path)
    return (
        *keepers(ResearchStore(store), node.engine),
        NamedPlaces(store / _STAGING, what="files and folders that runs were working on"),
        NamedPlaces(node.settings.home, apart),
    )


def _record(node: Node, session: Session, departure: Departure, gone: SubjectWithdrawn) -> None:
    """Put the withdrawal into the audit log, once, however often it is done again."""
    if session.execute(_entry(departure)).first() is None:
        audit.record(
            session,
            audit.NodeAudit,
            clock=node.clock,
            actor=node.key.key_id,
            act="subject.withdraw",
            target=departure.commitment,
            detail={
                "projects": list(gone.projects),
                "series": gone.gone[_SERIES],
                "jobs": [one.job for one in gone.jobs],
            },
        )


def _entry(departure: Departure) -> Select[tuple[dict[str, Any]]]:
    same = audit.NodeAudit.act == "subject.withdraw", audit.NodeAudit.target == departure.commitment
    return select(audit.NodeAudit.detail).where(*same).limit(1)


def _touched(session: Session, departure: Departure) -> tuple[JobTouched, ...]:
    """Return the jobs that list the subject, and those that did before a withdrawal was cut off."""
    before = session.execute(_entry(departure)).first()
    named = list(before[0].get("jobs", ())) if before else []
    holding = select(CohortRow.job).where(CohortRow.subject.in_(_pseudonyms(departure)))
    rows = session.scalars(
        select(ReviewRow)
        .where(or_(ReviewRow.job.in_(holding), ReviewRow.job.in_(named)))
        .order_by(ReviewRow.received)
    )
    return tuple(JobTouched(row.job, row.title, row.tool, row.state, _left(session, row.job)) for row in rows)


def _left(session: Session, job: str) -> int:
    query = select(func.count()).where(
        LedgerRow.job == job, LedgerRow.release.is_not(None), LedgerRow.left.is_not(None)
    )
    return session.execute(query).scalar_one()


def _pseudonyms(departure: Departure) -> list[str]:
    return [one.pseudonym for one in departure.known]


def _projects(departure: Departure) -> tuple[str, ...]:
    return tuple(sorted({one.project for one in departure.known}))


def clear_staged(node: Node, job: str) -> None:
    """Delete the images that a job staged, what it computed from them, and its pictures; a model's state stays."""
    _clear(job_folder(node, job))
    overlays.remove(node, job)


def _clear(folder: Path) -> None:
    shutil.rmtree(folder / "products", ignore_errors=True)
    worker = folder / "worker"
    scratch = worker / "scratch"
    kept = set(scratch.glob(_KEPT)) if scratch.is_dir() else set()
    # The folders themselves are mounted while a worker runs, so their content goes and they stay.
    for place in (worker / "inputs", scratch):
        for entry in list(place.iterdir()) if place.is_dir() else ():
            if entry in kept:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)
