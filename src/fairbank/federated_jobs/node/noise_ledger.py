"""The ledger of noisy training at a site: what differential privacy has cost its patients, over all jobs and cohorts.

Steps are reserved before any data are read, and count from then on. Before the update leaves they are spent, for ever.
Only what was reserved and never sent may be given up. The budget is the patient's: it is reckoned for each patient over
every cohort that holds her, and the largest counts. Each line is hashed with the one before.

The caller holds the writing transaction, so that two jobs cannot both take the last of a budget.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Final

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from fairbank.clock import Clock, iso
from fairbank.federated_jobs.dp import accountant
from fairbank.federated_jobs.dp.accountant import Epsilon, Spent
from fairbank.federated_jobs.node.store import NoiseCohortRow, NoiseRow
from fairbank.federated_jobs.training_errors import BudgetExceeded, NoiseLedgerBroken, NoiseLedgerRefused
from fairbank.signing import canonical, sha256_digest

_FIRST: Final = "sha256:" + "0" * 64
_AT_A_TIME: Final = 500


class Act(StrEnum):
    """What a line says of some steps."""

    RESERVED = "reserved"
    SPENT = "spent"
    GIVEN_UP = "given-up"


@dataclass(frozen=True, slots=True)
class Steps:
    """What one attempt of a round spends.

    Attributes:
        patients: keys of the patients that a step may draw, as the site knows them.
        sigma: standard deviation of the noise, in clipping norms.
        rate: probability with which each patient is drawn in a step.
        clip: the clipping norm.
        cohort: the digest that stands for the set of patients.
    """

    job: str
    round: int
    attempt: int
    patients: frozenset[str]
    sigma: Decimal
    rate: Decimal
    steps: int
    clip: Decimal
    cohort: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "cohort", sha256_digest("\n".join(sorted(self.patients)).encode()))

    @property
    def spent(self) -> Spent:
        """Return it as the accountant takes it."""
        return Spent(float(self.sigma), float(self.rate), self.steps)


@dataclass(frozen=True, slots=True)
class Budget:
    """What is left for some patients: of the one on whom most was spent."""

    cap: float
    spent: Epsilon

    @property
    def left(self) -> float:
        """Return how much epsilon is left; adding is no way to spend it, the accountant adds."""
        return max(0.0, self.cap - self.spent.epsilon)


@dataclass(frozen=True, slots=True)
class OfJob:
    """What one job has set aside and spent.

    Attributes:
        patients: how many it is reckoned for.
        set_aside, sent, given_up: how many rounds stand so; what was given up counts no more.
        spent: of all that counts.
    """

    job: str
    patients: int
    set_aside: int
    sent: int
    given_up: int
    spent: Epsilon


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the ledger about a round of a job."""

    act: Act
    round: int
    sigma: str
    rate: str
    steps: int
    clip: str


def reserve(session: Session, clock: Clock, wanted: Steps, *, cap: float, delta: float) -> Epsilon:
    """Set aside what an attempt will spend, and return what is then spent on the patient on whom most is.

    The same attempt may be reserved again, by a node that was killed meanwhile: it counts once.

    Args:
        cap: the site's largest epsilon for a patient.
        delta: that it holds at.

    Raises:
        BudgetExceeded: if it goes beyond the cap, or a delta is named that so many patients do not allow.
        NoiseLedgerRefused: if the attempt was reserved with other numbers, was spent or was given up.
    """
    _check_delta(wanted, delta)
    lines = _of_attempt(session, wanted)
    if lines:
        if [line.act for line in lines] == [Act.RESERVED] and _same(lines[0], wanted):
            return spent_on(session, wanted.patients, delta=delta)
        raise _refused("An attempt is reserved once.")
    after = _check_cap(session, [wanted], cap=cap, delta=delta)
    _write_cohort(session, wanted)
    _write(session, clock, wanted, Act.RESERVED)
    return after


def reserve_all(
    session: Session, clock: Clock, wanted: Sequence[Steps], *, cap: float, delta: float
) -> Epsilon:
    """Set aside all rounds of a job on the same patients, of which none was set aside before: all of them, or none.

    Raises:
        BudgetExceeded: if together they go beyond the cap, or the delta is one that so many patients do not allow.
    """
    _check_delta(wanted[0], delta)
    after = _check_cap(session, wanted, cap=cap, delta=delta)
    _write_cohort(session, wanted[0])
    for each in wanted:
        _write(session, clock, each, Act.RESERVED)
    return after


def lines_of(session: Session, job: str) -> list[Line]:
    """Return all lines about a job, in their order."""
    return [
        Line(Act(row.act), row.round, row.sigma, row.rate, row.steps, row.clip)
        for row in _of_job(session, job)
    ]


def check_open(lines: Sequence[Line], number: int) -> None:
    """Refuse to train a round again whose update has left, or whose steps were given up.

    Raises:
        NoiseLedgerRefused: if so.
    """
    acts = [line.act for line in lines if line.round == number]
    if acts and acts[-1] is not Act.RESERVED:
        raise _refused("What was spent, or given up, is not set aside any more.")


def spend_round(session: Session, clock: Clock, job: str, number: int) -> None:
    """Say that the update of a round leaves; to be written before it does. Saying it twice is fine.

    Raises:
        NoiseLedgerRefused: if the round was not reserved, or was given up.
    """
    rows = [row for row in _of_job(session, job) if row.round == number]
    if not rows or rows[-1].act == Act.GIVEN_UP:
        raise _refused("Only what is reserved can be spent.")
    if rows[-1].act == Act.RESERVED:
        _follow(session, clock, rows[-1], Act.SPENT)


def give_up_rest(session: Session, clock: Clock, job: str) -> None:
    """Say that nothing more of a job will leave: what it reserved and did not spend counts no more."""
    last = {row.round: row for row in _of_job(session, job)}
    for row in last.values():
        if row.act == Act.RESERVED:
            _follow(session, clock, row, Act.GIVEN_UP)


def jobs_reserved(session: Session) -> list[str]:
    """Return the jobs of which a round is reserved, and neither spent nor given up."""
    last: dict[tuple[str, int, int], str] = {}
    for job, number, attempt, act in session.execute(
        select(NoiseRow.job, NoiseRow.round, NoiseRow.attempt, NoiseRow.act).order_by(NoiseRow.seq)
    ):
        last[job, number, attempt] = act
    return sorted({job for (job, _, _), act in last.items() if act == Act.RESERVED})


def spend(session: Session, clock: Clock, wanted: Steps) -> None:
    """Say that an update of an attempt leaves; to be written before it does. Saying it twice is fine.

    Raises:
        NoiseLedgerRefused: if the attempt was not reserved so, or was given up.
    """
    lines = _of_attempt(session, wanted)
    acts = [line.act for line in lines]
    if acts and not _same(lines[0], wanted):
        raise _refused("What is spent has to be what was reserved.")
    if acts == [Act.RESERVED, Act.SPENT]:
        return
    if acts != [Act.RESERVED]:
        raise _refused("Only what is reserved can be spent.")
    _write(session, clock, wanted, Act.SPENT)


def give_up(session: Session, clock: Clock, wanted: Steps) -> None:
    """Say that nothing of an attempt has left or will leave: what it reserved counts no more.

    Raises:
        NoiseLedgerRefused: if it was spent, or never reserved.
    """
    lines = _of_attempt(session, wanted)
    acts = [line.act for line in lines]
    if acts == [Act.RESERVED, Act.GIVEN_UP]:
        return
    if acts != [Act.RESERVED] or not _same(lines[0], wanted):
        raise _refused("What has left does not come back, and what was not reserved cannot be given up.")
    _write(session, clock, wanted, Act.GIVEN_UP)


def spent_on(
    session: Session, patients: Collection[str], *, delta: float, beside: Iterable[Spent] = ()
) -> Epsilon:
    """Return what is spent or set aside for the one of some patients for whom it is most.

    Args:
        beside: what is reckoned as well, as if it were reserved for all of them.
    """
    cohorts: dict[str, set[str]] = defaultdict(set)
    names = sorted(patients)
    for start in range(0, len(names), _AT_A_TIME):
        part = names[start : start + _AT_A_TIME]
        for row in session.execute(
            select(NoiseCohortRow.patient, NoiseCohortRow.cohort).where(NoiseCohortRow.patient.in_(part))
        ):
            cohorts[row.patient].add(row.cohort)
    # Patients in the same cohorts have spent the same.
    kinds = {frozenset(cohorts.get(name, ())) for name in names} or {frozenset[str]()}
    spent = _spent_by_cohort(session, frozenset().union(*kinds))
    more = list(beside)
    found = (
        accountant.epsilon([*more, *(one for cohort in kind for one in spent[cohort])], delta=delta)
        for kind in kinds
    )
    return max(found, key=lambda one: one.epsilon)


def budget(session: Session, patients: Collection[str], *, cap: float, delta: float) -> Budget:
    """Return what is left for some patients."""
    return Budget(cap, spent_on(session, patients, delta=delta))


def by_job(session: Session, *, delta: float) -> list[OfJob]:
    """Return what each job has set aside and spent, in the order in which they came."""
    last: dict[str, dict[tuple[int, int], NoiseRow]] = {}
    for row in session.scalars(select(NoiseRow).order_by(NoiseRow.seq)):
        last.setdefault(row.job, {})[row.round, row.attempt] = row
    counted = session.execute(select(NoiseCohortRow.cohort, func.count()).group_by(NoiseCohortRow.cohort))
    sizes = {cohort: int(count) for cohort, count in counted}
    found = []
    for job, rows in last.items():
        acts = Counter(row.act for row in rows.values())
        counting = [row for row in rows.values() if row.act != Act.GIVEN_UP]
        spent = accountant.epsilon(
            [Spent(float(row.sigma), float(row.rate), row.steps) for row in counting], delta=delta
        )
        patients = max(sizes.get(row.cohort, 0) for row in rows.values())
        found.append(OfJob(job, patients, acts[Act.RESERVED], acts[Act.SPENT], acts[Act.GIVEN_UP], spent))
    return found


def head(session: Session) -> str:
    """Return the hash of the newest line."""
    return session.scalar(select(NoiseRow.hash).order_by(NoiseRow.seq.desc()).limit(1)) or _FIRST


def check_chain(session: Session) -> int:
    """Return how many lines there are, after hashing all of them anew.

    Raises:
        NoiseLedgerBroken: naming the first line that is not what it was, or does not follow.
    """
    before, count = _FIRST, 0
    for row in session.scalars(select(NoiseRow).order_by(NoiseRow.seq).execution_options(yield_per=1_000)):
        count += 1
        if row.before != before or row.hash != _hash(row):
            raise NoiseLedgerBroken(
                f"Line {row.seq} of the ledger of noisy training does not follow from the line before.",
                why="It was changed, or lines before it are gone.",
                todo="Let no job train here; restore the database from a backup and compare it with the audit log.",
            )
        before = row.hash
    return count


def _check_delta(wanted: Steps, delta: float) -> None:
    if not wanted.patients or delta > accountant.largest_delta(len(wanted.patients)):
        raise BudgetExceeded(
            "A delta is too large for this cohort.",
            why="With so large a delta the whole record of one patient in ten could be given away.",
            todo="Lower the delta to a tenth of one over the number of patients, or take a larger cohort.",
        )


def _check_cap(session: Session, wanted: Sequence[Steps], *, cap: float, delta: float) -> Epsilon:
    patients = wanted[0].patients
    after = spent_on(session, patients, delta=delta, beside=[one.spent for one in wanted])
    if after.epsilon > cap:
        before = spent_on(session, patients, delta=delta)
        what = "This round" if len(wanted) == 1 else "This job"
        raise BudgetExceeded(
            f"{what} would spend more than the site's budget: epsilon {after.epsilon:.2f} of {cap:g}.",
            why=f"Epsilon {before.epsilon:.2f} is spent or set aside for a patient of this cohort.",
            todo="Ask for more noise, fewer rounds or other patients; what is spent does not come back.",
        )
    return after


def _spent_by_cohort(session: Session, cohorts: Collection[str]) -> Mapping[str, list[Spent]]:
    found: dict[str, list[Spent]] = defaultdict(list)
    names = sorted(cohorts)
    for start in range(0, len(names), _AT_A_TIME):
        rows = session.scalars(
            select(NoiseRow)
            .where(NoiseRow.cohort.in_(names[start : start + _AT_A_TIME]))
            .order_by(NoiseRow.seq)
        )
        counting: dict[tuple[str, int, int], NoiseRow] = {}
        for row in rows:
            attempt = (row.job, row.round, row.attempt)
            if row.act == Act.GIVEN_UP:
                counting.pop(attempt, None)
            else:
                counting[attempt] = row
        for row in counting.values():
            found[row.cohort].append(Spent(float(row.sigma), float(row.rate), row.steps))
    return found


def _of_attempt(session: Session, wanted: Steps) -> list[NoiseRow]:
    query = select(NoiseRow).where(
        NoiseRow.job == wanted.job, NoiseRow.round == wanted.round, NoiseRow.attempt == wanted.attempt
    )
    return list(session.scalars(query.order_by(NoiseRow.seq)))


def _of_job(session: Session, job: str) -> list[NoiseRow]:
    return list(session.scalars(select(NoiseRow).where(NoiseRow.job == job).order_by(NoiseRow.seq)))


def _same(row: NoiseRow, wanted: Steps) -> bool:
    return (row.cohort, row.sigma, row.rate, row.steps, row.clip) == (
        wanted.cohort, str(wanted.sigma), str(wanted.rate), wanted.steps, str(wanted.clip),
    )  # fmt: skip


def _write_cohort(session: Session, wanted: Steps) -> None:
    if session.scalar(select(NoiseCohortRow.patient).where(NoiseCohortRow.cohort == wanted.cohort).limit(1)):
        return
    rows = [{"cohort": wanted.cohort, "patient": patient} for patient in sorted(wanted.patients)]
    session.execute(insert(NoiseCohortRow), rows)


def _write(session: Session, clock: Clock, wanted: Steps, act: Act) -> None:
    _add(
        session,
        NoiseRow(
            at=clock.now(),
            act=act.value,
            job=wanted.job,
            round=wanted.round,
            attempt=wanted.attempt,
            cohort=wanted.cohort,
            sigma=str(wanted.sigma),
            rate=str(wanted.rate),
            steps=wanted.steps,
            clip=str(wanted.clip),
            accountant=accountant.VERSION,
        ),
    )


def _follow(session: Session, clock: Clock, line: NoiseRow, act: Act) -> None:
    """Write what became of what a line set aside."""
    same = ("job", "round", "attempt", "cohort", "sigma", "rate", "steps", "clip")
    kept = {name: getattr(line, name) for name in same}
    _add(session, NoiseRow(at=clock.now(), act=act.value, accountant=accountant.VERSION, **kept))


def _add(session: Session, row: NoiseRow) -> None:
    row.before = head(session)
    row.hash = _hash(row)
    session.add(row)
    session.flush()


def _hash(row: NoiseRow) -> str:
    return sha256_digest(
        canonical(
            {
                "at": iso(row.at), "act": row.act, "job": row.job, "round": row.round, "attempt": row.attempt,
                "cohort": row.cohort, "sigma": row.sigma, "rate": row.rate, "steps": row.steps, "clip": row.clip,
                "accountant": row.accountant, "before": row.before,
            }
        )
    )  # fmt: skip


def _refused(why: str) -> NoiseLedgerRefused:
    return NoiseLedgerRefused(
        "The ledger of noisy training refuses a line.",
        why=why,
        todo="Begin a new attempt.",
    )
