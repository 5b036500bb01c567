"""What a site reckons of a noisy job before its data are read: how much noise, what it costs, and whether it fits."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Engine, select

from fairbank import migrations
from fairbank.audit import NodeAudit
from fairbank.clock import FixedClock
from fairbank.database import connect, reading, writing
from fairbank.errors import FairbankError
from fairbank.federated_jobs.axes.validator import check_mix
from fairbank.federated_jobs.axes.words import chosen_in_words
from fairbank.federated_jobs.code import tool_named
from fairbank.federated_jobs.dp.accountant import Spent, epsilon
from fairbank.federated_jobs.dp.plan import NoiseAsked, NoisePlan, asked_of, plan_for
from fairbank.federated_jobs.node import noise_budget, noise_ledger
from fairbank.federated_jobs.node.cohort import Cohort, Member
from fairbank.federated_jobs.node.site_policy import TrainingRules
from fairbank.federated_jobs.node.store import ReviewRow
from fairbank.federated_jobs.training_errors import (
    BudgetExceeded,
    NoiseLedgerRefused,
    NoiseRefused,
    PlanRefused,
)
from fairbank.ontology.signed_objects import (
    DifferentialPrivacy,
    Element,
    Plan,
    PlanName,
    PrivacyBudget,
    Training,
)
from fairbank.signing import SigningKey

ASKED = NoiseAsked(Decimal(3), Decimal("0.00001"), Decimal(1))
PARAMETERS = {"batch_size": 64, "local_epochs": 1, "local_steps": None}
TOOL = tool_named("classification")
RULES = TrainingRules()
ROUNDS = 3


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = connect(f"sqlite:///{tmp_path / 'node.db'}")
    migrations.upgrade(made, "node")
    yield made
    made.dispose()


@pytest.fixture
def node(engine: Engine) -> Any:
    return SimpleNamespace(engine=engine, clock=FixedClock(), key=SigningKey.generate())


def manifest(job: str = "a", *, budget: str = "3", rounds: int = ROUNDS, **options: Any) -> Any:
    """Return what is looked at of a manifest."""
    return SimpleNamespace(
        id=job,
        parameters={"network": "lenet", "batch_size": 64},
        plan=SimpleNamespace(rounds=rounds, options=options),
        training=Training(differential_privacy=DifferentialPrivacy(clip_norm="1")),
        privacy_budget=PrivacyBudget(epsilon=budget, delta="0.00001"),
    )


def cohort(count: int = 400, *, start: int = 0) -> Cohort:
    members = tuple(
        Member("all", f"s{place}", f"p{place}", "sha256:0", Path()) for place in range(start, start + count)
    )
    return Cohort(members, "sha256:0")


def set_aside(node: Any, job: Any, some: Cohort | None = None, *, number: int = 1) -> NoisePlan | None:
    with writing(node.engine) as session:
        return noise_budget.set_aside(node, session, job, TOOL, some or cohort(), RULES, number=number)


def spent(node: Any, some: Cohort | None = None) -> float:
    with reading(node.engine) as session:
        patients = noise_budget.patients_of(some or cohort())
        return noise_ledger.spent_on(session, patients, delta=1e-5).epsilon


class TestPlan:
    def test_all_rounds_fit_and_less_noise_would_not_do(self) -> None:
        plan = plan_for(ASKED, PARAMETERS, patients=1569, trained=1569, rounds=15)
        assert (plan.rate, plan.steps, plan.batch) == (Decimal("0.040791"), 25, 64)

        def cost(sigma: float) -> float:
            return epsilon([Spent(sigma, float(plan.rate), plan.steps * 15)], delta=1e-5).epsilon

        assert 2.97 < cost(float(plan.sigma)) <= 3
        assert cost(float(plan.sigma) - 0.01) > 3

    def test_another_accountant_agrees(self) -> None:
        rdp = pytest.importorskip("opacus.accountants.rdp").RDPAccountant
        prv = pytest.importorskip("opacus.accountants.prv").PRVAccountant
        plan = plan_for(ASKED, PARAMETERS, patients=1569, trained=1569, rounds=15)
        history = [(float(plan.sigma), float(plan.rate), plan.steps * 15)]
        mine = epsilon([Spent(*history[0])], delta=1e-5).epsilon
        for kind, share in ((rdp, (0.99, 1.01)), (prv, (0.8, 1.0))):
            other = kind()
            other.history = history
            assert share[0] <= other.get_epsilon(delta=1e-5) / mine <= share[1]

    def test_a_site_smaller_than_a_batch_draws_everybody(self) -> None:
        plan = plan_for(ASKED, PARAMETERS, patients=50, trained=40, rounds=2)
        assert (plan.rate, plan.steps, plan.batch) == (Decimal(1), 1, 40)

    def test_steps_are_taken_as_they_are_asked_for(self) -> None:
        plan = plan_for(ASKED, {**PARAMETERS, "local_steps": 7}, patients=500, trained=400, rounds=2)
        assert plan.steps == 7
        assert NoisePlan.from_json(plan.to_json()) == plan

    @pytest.mark.parametrize(
        ("asked", "patients"), [(NoiseAsked(Decimal(3), Decimal("0.001"), Decimal(1)), 101), (ASKED, 10_001)]
    )
    def test_a_delta_that_gives_patients_away_is_refused(self, asked: NoiseAsked, patients: int) -> None:
        with pytest.raises(NoiseRefused):
            plan_for(asked, PARAMETERS, patients=patients, trained=patients, rounds=1)

    @pytest.mark.parametrize(
        "changed",
        [
            {"privacy_budget": None},
            {"training": Training()},
            {"training": None},
            {"privacy_budget": PrivacyBudget(epsilon="inf", delta="0.00001")},
            {"privacy_budget": PrivacyBudget(epsilon="0", delta="0.00001")},
            {"privacy_budget": PrivacyBudget(epsilon="3", delta="0.5")},
            {"privacy_budget": PrivacyBudget(epsilon="three", delta="0.00001")},
        ],
    )
    def test_half_a_promise_is_refused(self, changed: dict[str, Any]) -> None:
        job = manifest()
        for name, value in changed.items():
            setattr(job, name, value)
        with pytest.raises(NoiseRefused):
            asked_of(job)

    def test_a_job_without_noise_asks_for_none(self) -> None:
        job = manifest()
        job.training, job.privacy_budget = Training(), None
        assert asked_of(job) is None


class TestLedger:
    def test_the_whole_job_is_set_aside_before_its_first_round(self, node: Any) -> None:
        plan = set_aside(node, manifest())
        assert plan is not None
        whole = Spent(float(plan.sigma), float(plan.rate), ROUNDS * plan.steps)
        assert spent(node) == pytest.approx(epsilon([whole], delta=1e-5).epsilon)
        assert 2.9 < spent(node) <= 3

    def test_the_plan_is_the_same_after_a_restart_and_with_fewer_patients(self, node: Any) -> None:
        first = set_aside(node, manifest())
        assert set_aside(node, manifest()) == first
        assert set_aside(node, manifest(), cohort(399)) == first
        with reading(node.engine) as session:
            assert len(noise_ledger.lines_of(session, "a")) == ROUNDS

    def test_a_second_job_sees_what_the_first_has_spent(self, node: Any) -> None:
        set_aside(node, manifest("a", budget="6"))
        with pytest.raises(BudgetExceeded) as refused:
            set_aside(node, manifest("b", budget="6"))
        assert refused.value.reason.value == "policy_declined"
        assert spent(node) <= 6
        assert set_aside(node, manifest("b", budget="6"), cohort(start=1000)) is not None

    def test_what_was_never_sent_is_given_up_once_its_job_has_ended(self, node: Any) -> None:
        set_aside(node, manifest("a", budget="6"))
        with writing(node.engine) as session:
            noise_budget.spend(node, session, manifest("a"), 1)
            session.add(_ended("a", node.clock.now()))
        assert set_aside(node, manifest("b", budget="6")) is not None
        with reading(node.engine) as session:
            acts = [(line.round, line.act.value) for line in noise_ledger.lines_of(session, "a")]
            noise_ledger.check_chain(session)
            logged = session.scalars(select(NodeAudit).order_by(NodeAudit.seq)).all()
            by_job = noise_ledger.by_job(session, delta=1e-5)
        first, second = by_job
        assert (first.job, first.patients) == ("a", 400)
        assert (first.set_aside, first.sent, first.given_up) == (0, 1, 2)
        assert (second.set_aside, second.sent, second.given_up) == (3, 0, 0)
        assert 0 < first.spent.epsilon < second.spent.epsilon <= 6
        assert acts[ROUNDS:] == [(1, "spent"), (2, "given-up"), (3, "given-up")]
        named = [row.act for row in logged]
        assert named == ["noise.reserve", "noise.spend", "noise.give-up", "noise.reserve"]
        assert len({row.detail["ledger"] for row in logged}) == len(logged)

    def test_a_round_that_has_left_is_not_trained_again(self, node: Any) -> None:
        set_aside(node, manifest())
        with writing(node.engine) as session:
            noise_budget.spend(node, session, manifest(), 1)
        with pytest.raises(NoiseLedgerRefused):
            set_aside(node, manifest())
        assert set_aside(node, manifest(), number=2) is not None

    def test_an_update_leaves_only_of_a_round_that_was_set_aside(self, node: Any) -> None:
        with pytest.raises(NoiseLedgerRefused), writing(node.engine) as session:
            noise_budget.spend(node, session, manifest(), 1)

    def test_a_last_round_that_measures_costs_nothing(self, node: Any) -> None:
        set_aside(node, manifest(measure_last=True))
        with writing(node.engine) as session:
            noise_budget.spend(node, session, manifest(measure_last=True), ROUNDS)
            assert {line.round for line in noise_ledger.lines_of(session, "a")} == {1, 2}

    def test_a_job_without_noise_leaves_no_line(self, node: Any) -> None:
        job = manifest()
        job.training, job.privacy_budget = None, None
        assert set_aside(node, job) is None
        assert spent(node) == 0


class TestWords:
    def test_people_read_what_is_spent_before_and_after(self, node: Any) -> None:
        set_aside(node, manifest("a"))
        with reading(node.engine) as session:
            patients = noise_budget.patients_of(cohort())
            found = noise_budget.outlook(session, manifest("b"), TOOL, patients, RULES)
        assert found is not None
        assert found.fits
        assert found.before < found.after < found.before + found.job
        words = str(found)
        for part in (f"before {found.before:.2f}", f"after {found.after:.2f}", "of at most 8", "An attacker"):
            assert part in words
        assert f"{math.exp(found.after):.3g}" in words
        assert "balance of classes" in words

    def test_it_says_that_a_job_would_be_refused(self, node: Any) -> None:
        with reading(node.engine) as session:
            patients = noise_budget.patients_of(cohort())
            found = noise_budget.outlook(session, manifest(budget="9"), TOOL, patients, RULES)
            assert found is not None
            assert "refused" in str(found)
            with pytest.raises(BudgetExceeded):
                noise_budget.check_fits(session, manifest(budget="9"), TOOL, cohort(), RULES)

    def test_the_people_of_a_site_list_what_each_job_has_cost(self, fairbank: Any, tmp_path: Path) -> None:
        fairbank("node", "init", "--name", "east", "--title", "East").ok()
        assert "No job has trained with noise" in fairbank("node", "jobs", "budget").ok().err
        made = connect(f"sqlite:///{tmp_path / 'home' / 'node.db'}")
        set_aside(SimpleNamespace(engine=made, clock=FixedClock(), key=SigningKey.generate()), manifest("a"))
        made.dispose()
        [row] = json.loads(fairbank("node", "jobs", "budget", "--format", "json").ok().out)
        assert (row["job"], row["patients"], row["rounds set aside"]) == ("a", 400, ROUNDS)
        assert 2.9 < row["epsilon"] <= 3

    def test_a_person_chooses_it_by_three_words(self) -> None:
        chosen = chosen_in_words(epsilon="3")
        assert chosen.privacy_budget == PrivacyBudget(epsilon="3", delta="0.00001")
        assert chosen.training is not None
        assert chosen.training.differential_privacy == DifferentialPrivacy(clip_norm="1")
        with pytest.raises(FairbankError):
            chosen_in_words(delta="0.00001")


class TestMixes:
    @pytest.mark.parametrize("step", ["plain", "fedprox", "scaffold", "synaptic-intelligence"])
    def test_steps_that_work_on_noisy_gradients_go_with_it(self, step: str) -> None:
        check_mix(_plan(), _noisy(step), sites=3)

    @pytest.mark.parametrize("step", ["weighted-loss", "moon", "fedmax", "fine-tune", "evaluate"])
    def test_steps_that_look_at_images_by_themselves_do_not(self, step: str) -> None:
        with pytest.raises(PlanRefused) as refused:
            check_mix(_plan(), _noisy(step), sites=3)
        assert "noise" in refused.value.what

    @pytest.mark.parametrize("name", [PlanName.CYCLIC_WEIGHT_TRANSFER, PlanName.BUFFERED, PlanName.ENSEMBLE])
    def test_plans_that_do_not_train_once_in_a_round_do_not(self, name: PlanName) -> None:
        with pytest.raises(PlanRefused):
            check_mix(_plan(name), _noisy("plain"), sites=3)


def _plan(name: PlanName = PlanName.AGGREGATION) -> Plan:
    return Plan(
        name=name, aggregator="fedavg", rounds=1, quorum=3, approval_deadline="2026-01-01T00:00:00.000Z"
    )


def _noisy(step: str) -> Training:
    noise = DifferentialPrivacy(clip_norm="1")
    return Training(local_step=Element(name=step), differential_privacy=noise)


def _ended(job: str, now: Any) -> ReviewRow:
    return ReviewRow(
        job=job, title="", tool="", requester_key="", request=b"", visa=b"", manifest=b"",
        state="failed", reason="none", received=now, ended=True,
    )  # fmt: skip
