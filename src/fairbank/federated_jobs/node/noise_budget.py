"""What a noisy training costs the patients of this site: reckoned and set aside before its data are read.

The whole job is set aside at once, so that a job that began is not stopped halfway by another. A round counts as spent
in the transaction that stages its update, so nothing leaves that was not spent. What a job set aside for rounds that
never came is given up once it has ended here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from importlib.util import find_spec
from typing import Any

from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.errors import MissingExtra
from fairbank.federated_jobs.algorithms.splits import count_held_out
from fairbank.federated_jobs.code import Tool
from fairbank.federated_jobs.dp import accountant
from fairbank.federated_jobs.dp.accountant import Spent
from fairbank.federated_jobs.dp.plan import ADJACENCY, UNIT, NoiseAsked, NoisePlan, asked_of, plan_for
from fairbank.federated_jobs.evaluating import measures_only
from fairbank.federated_jobs.node import noise_ledger
from fairbank.federated_jobs.node.cohort import Cohort
from fairbank.federated_jobs.node.noise_ledger import Steps
from fairbank.federated_jobs.node.site_policy import TrainingRules
from fairbank.federated_jobs.node.store import ReviewRow
from fairbank.federated_jobs.training_errors import BudgetExceeded
from fairbank.ontology.signed_objects import Manifest
from fairbank.release.node import Node

ATTEMPT = 1
# Beyond it a factor says nothing that is worth a number.
_TELLABLE = 12.0


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a job would cost the patient of its cohort on whom most is spent.

    Attributes:
        before, after: epsilon of all jobs on her, without and with this one.
        job: epsilon of this job by itself.
        cap: the site's.
    """

    plan: NoisePlan
    before: float
    job: float
    after: float
    cap: float
    delta: Decimal

    @property
    def fits(self) -> bool:
        """Tell whether the site's budget is enough."""
        return self.after <= self.cap

    def __str__(self) -> str:
        """Return it in words."""
        after = (
            f"{self.after:.2f}" if self.fits else f"{self.after:.2f}, which is more than that: it is refused"
        )
        odds = "e^epsilon" if self.after > _TELLABLE else f"{math.exp(self.after):.3g}"
        return (
            f"noise for each {UNIT}: this job costs epsilon {self.job:.2f} of at most {self.cap:g} at this site "
            f"(delta {self.delta}, {ADJACENCY}); before {self.before:.2f}, after {after}. An attacker who sees every "
            f"update can change the odds that a given patient was trained on by a factor of at most {odds}, but for a "
            f"chance of {self.delta}. The balance of classes at this site is not protected, nor are metrics on "
            "patients who are held out"
        )


def set_aside(
    node: Node,
    session: Session,
    manifest: Manifest,
    tool: Tool,
    cohort: Cohort,
    rules: TrainingRules,
    *,
    number: int,
) -> NoisePlan | None:
    """Return how a job adds noise in a round here, None if it adds none; its whole cost is set aside the first time.

    Raises:
        BudgetExceeded: if the site's budget for a patient is not enough, or the delta is too large.
        NoiseLedgerBroken: if the ledger was changed.
        NoiseLedgerRefused: if the update of the round has left, or what was set aside for it was given up.
        NoiseRefused: if no noise is enough.
    """
    asked = asked_of(manifest)
    if asked is None:
        return None
    parameters = tool.check_parameters(manifest.parameters)
    known = noise_ledger.lines_of(session, manifest.id)
    if known:
        noise_ledger.check_open(known, number)
        return _plan_again(known[0], parameters, cohort)
    noise_ledger.check_chain(session)
    _give_up_ended(node, session)
    patients = patients_of(cohort)
    plan = _plan(asked, manifest, parameters, patients)
    every = [
        Steps(manifest.id, number, ATTEMPT, patients, plan.sigma, plan.rate, plan.steps, plan.clip)
        for number in _trained(manifest)
    ]
    noise_ledger.reserve_all(
        session, node.clock, every, cap=float(rules.epsilon_cap), delta=float(asked.delta)
    )
    _log(node, session, act="noise.reserve", job=manifest.id)
    return plan


def spend(node: Node, session: Session, manifest: Manifest, number: int) -> None:
    """Say, in the transaction that stages it, that the update of a round leaves.

    Raises:
        NoiseLedgerRefused: if it was not set aside.
    """
    if asked_of(manifest) is not None and not measures_only(manifest, number):
        noise_ledger.spend_round(session, node.clock, manifest.id, number)
        _log(node, session, act="noise.spend", job=manifest.id)


def outlook(
    session: Session, manifest: Manifest, tool: Tool, patients: frozenset[str], rules: TrainingRules
) -> Outlook | None:
    """Return what a job would cost here, None if it adds no noise.

    Raises:
        NoiseRefused: if it cannot be carried out here.
    """
    asked = asked_of(manifest)
    if asked is None:
        return None
    plan = _plan(asked, manifest, tool.check_parameters(manifest.parameters), patients)
    cap, delta = float(rules.epsilon_cap), float(asked.delta)
    whole = Spent(float(plan.sigma), float(plan.rate), plan.steps * len(_trained(manifest)))
    job = accountant.epsilon([whole], delta=delta).epsilon
    before = noise_ledger.spent_on(session, patients, delta=delta).epsilon
    if noise_ledger.lines_of(session, manifest.id):
        return Outlook(plan, before, job, before, cap, asked.delta)
    after = noise_ledger.spent_on(session, patients, delta=delta, beside=[whole]).epsilon
    return Outlook(plan, before, job, after, cap, asked.delta)


def check_fits(
    session: Session, manifest: Manifest, tool: Tool, cohort: Cohort, rules: TrainingRules
) -> None:
    """Refuse a job that the site's budget is not enough for now, or for whose noise something is not installed.

    Raises:
        MissingExtra: naming what to install.
        BudgetExceeded: if so.
        NoiseRefused: if it cannot be carried out here.
    """
    found = outlook(session, manifest, tool, patients_of(cohort), rules)
    if found is None:
        return
    if find_spec("opacus") is None:
        raise MissingExtra.named("dp", needed_for="Training with noise")
    if not found.fits:
        raise BudgetExceeded(
            f"This job would spend more than the site's budget: epsilon {found.after:.2f} of {found.cap:g}.",
            why=f"Epsilon {found.before:.2f} is spent or set aside for a patient of this cohort.",
            todo="Ask for more noise, fewer rounds or other patients; what is spent does not come back.",
        )


def patients_of(cohort: Cohort) -> frozenset[str]:
    """Return the keys of the patients of a cohort, as the ledger keeps them."""
    return frozenset(patient_key(member.dataset, member.subject) for member in cohort.members)


def patient_key(dataset: str, subject: str) -> str:
    """Return the key of a patient: the same in every job on a dataset of this site."""
    return f"{dataset}/{subject}"


def _log(node: Node, session: Session, *, act: str, job: str) -> None:
    """Name the newest line of the ledger in the audit log, whose checkpoints show if the ledger ever goes back."""
    audit.record(
        session,
        audit.NodeAudit,
        clock=node.clock,
        actor=node.key.key_id,
        act=act,
        target=job,
        detail={"ledger": noise_ledger.head(session)},
    )


def _plan(
    asked: NoiseAsked, manifest: Manifest, parameters: Mapping[str, Any], patients: frozenset[str]
) -> NoisePlan:
    return plan_for(
        asked,
        parameters,
        patients=len(patients),
        trained=_not_held_out(len(patients), parameters),
        rounds=max(1, len(_trained(manifest))),
    )


def _plan_again(line: noise_ledger.Line, parameters: Mapping[str, Any], cohort: Cohort) -> NoisePlan:
    """Return the plan that was set aside, also after the cohort became smaller."""
    trained = max(1, _not_held_out(len(patients_of(cohort)), parameters))
    batch = min(int(parameters["batch_size"]), trained)
    return NoisePlan(Decimal(line.sigma), Decimal(line.rate), line.steps, Decimal(line.clip), batch)


def _not_held_out(patients: int, parameters: Mapping[str, Any]) -> int:
    return patients - count_held_out(patients, int(parameters["held_out_percent"]))


def _trained(manifest: Manifest) -> list[int]:
    return [number for number in range(1, manifest.plan.rounds + 1) if not measures_only(manifest, number)]


def _give_up_ended(node: Node, session: Session) -> None:
    """Give up what was set aside for rounds of jobs that have ended here without them."""
    for job in noise_ledger.jobs_reserved(session):
        review = session.get(ReviewRow, job)
        if review is not None and review.ended:
            noise_ledger.give_up_rest(session, node.clock, job)
            _log(node, session, act="noise.give-up", job=job)
