"""The ledger of noisy training: what is reserved, spent and given up, for each patient over all cohorts."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, update

from fairbank import migrations
from fairbank.clock import FixedClock
from fairbank.database import connect, reading, writing
from fairbank.federated_jobs.dp.accountant import Spent, epsilon
from fairbank.federated_jobs.node import noise_ledger
from fairbank.federated_jobs.node.noise_ledger import Steps
from fairbank.federated_jobs.node.store import NoiseRow
from fairbank.federated_jobs.training_errors import BudgetExceeded, NoiseLedgerBroken, NoiseLedgerRefused

DELTA = 1e-5
ALL = frozenset(f"p{number}" for number in range(400))
FEW = frozenset(sorted(ALL)[:100])
OTHERS = frozenset(sorted(ALL)[200:])


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = connect(f"sqlite:///{tmp_path / 'node.db'}")
    migrations.upgrade(made, "node")
    yield made
    made.dispose()


def steps(**more: Any) -> Steps:
    usual = {
        "job": "a",
        "round": 1,
        "attempt": 1,
        "patients": ALL,
        "sigma": Decimal("1.4331"),
        "rate": Decimal("0.04"),
        "steps": 375,
        "clip": Decimal("1"),
    }
    return Steps(**{**usual, **more})


def reserved(engine: Engine, clock: FixedClock, wanted: Steps, *, cap: float = 8.0) -> float:
    with writing(engine) as session:
        return noise_ledger.reserve(session, clock, wanted, cap=cap, delta=DELTA).epsilon


def spent_on(engine: Engine, patients: frozenset[str] = ALL) -> float:
    with reading(engine) as session:
        return noise_ledger.spent_on(session, patients, delta=DELTA).epsilon


def test_a_second_job_sees_what_the_first_spent(engine: Engine, clock: FixedClock) -> None:
    assert reserved(engine, clock, steps()) == pytest.approx(2.99, abs=0.01)
    with writing(engine) as session:
        noise_ledger.spend(session, clock, steps())
    assert reserved(engine, clock, steps(job="b")) == pytest.approx(4.29, abs=0.01)
    with reading(engine) as session:
        left = noise_ledger.budget(session, ALL, cap=8.0, delta=DELTA)
    assert left.left == pytest.approx(8 - 4.29, abs=0.01)


def test_what_goes_beyond_the_cap_is_refused_and_nothing_is_written(
    engine: Engine, clock: FixedClock
) -> None:
    reserved(engine, clock, steps(), cap=4.0)
    with pytest.raises(BudgetExceeded) as caught:
        reserved(engine, clock, steps(job="b"), cap=4.0)
    assert "4.29 of 4" in str(caught.value) and "2.99" in caught.value.why
    assert spent_on(engine) == pytest.approx(2.99, abs=0.01)


def test_a_budget_is_a_patients_and_the_largest_counts(engine: Engine, clock: FixedClock) -> None:
    reserved(engine, clock, steps(patients=FEW))
    reserved(engine, clock, steps(job="b", patients=OTHERS))
    one = epsilon([Spent(1.4331, 0.04, 375)], delta=DELTA).epsilon
    assert spent_on(engine, FEW) == spent_on(engine, OTHERS) == pytest.approx(one)
    # Nobody is in both, so a job over all of them adds to one of them only.
    assert reserved(engine, clock, steps(job="c")) == pytest.approx(4.29, abs=0.01)
    assert spent_on(engine, frozenset({"p1"})) == pytest.approx(4.29, abs=0.01)
    assert spent_on(engine, frozenset({"nobody"})) == 0


def test_what_was_given_up_counts_no_more_and_what_was_spent_always(
    engine: Engine, clock: FixedClock
) -> None:
    reserved(engine, clock, steps())
    with writing(engine) as session:
        noise_ledger.give_up(session, clock, steps())
        noise_ledger.give_up(session, clock, steps())
    assert spent_on(engine) == 0
    again = steps(attempt=2)
    reserved(engine, clock, again)
    with writing(engine) as session:
        noise_ledger.spend(session, clock, again)
        noise_ledger.spend(session, clock, again)
    with pytest.raises(NoiseLedgerRefused), writing(engine) as session:
        noise_ledger.give_up(session, clock, again)
    assert spent_on(engine) == pytest.approx(2.99, abs=0.01)


def test_a_node_that_was_killed_reserves_the_same_attempt_once(engine: Engine, clock: FixedClock) -> None:
    first = reserved(engine, clock, steps())
    assert reserved(engine, clock, steps()) == first
    with pytest.raises(NoiseLedgerRefused):
        reserved(engine, clock, steps(sigma=Decimal("0.5")))
    with pytest.raises(NoiseLedgerRefused), writing(engine) as session:
        noise_ledger.spend(session, clock, steps(steps=100))
    with writing(engine) as session:
        noise_ledger.spend(session, clock, steps())
    with pytest.raises(NoiseLedgerRefused):
        reserved(engine, clock, steps())


@pytest.mark.parametrize("act", [noise_ledger.spend, noise_ledger.give_up])
def test_what_was_not_reserved_is_neither_spent_nor_given_up(
    engine: Engine, clock: FixedClock, act: Any
) -> None:
    with pytest.raises(NoiseLedgerRefused), writing(engine) as session:
        act(session, clock, steps())
    assert spent_on(engine) == 0


@pytest.mark.parametrize("patients", [frozenset({"p1", "p2"}), frozenset[str]()])
def test_a_delta_too_large_for_the_cohort_is_refused(
    engine: Engine, clock: FixedClock, patients: frozenset[str]
) -> None:
    with pytest.raises(BudgetExceeded), writing(engine) as session:
        noise_ledger.reserve(session, clock, steps(patients=patients), cap=8.0, delta=0.1)


def test_it_outlives_the_process(tmp_path: Path, clock: FixedClock) -> None:
    for _ in range(2):
        engine = connect(f"sqlite:///{tmp_path / 'node.db'}")
        migrations.upgrade(engine, "node")
        reserved(engine, clock, steps())
        assert spent_on(engine) == pytest.approx(2.99, abs=0.01)
        engine.dispose()


@pytest.mark.parametrize("harm", ["changed", "first gone", "middle gone"])
def test_lines_that_were_changed_or_are_gone_are_named(engine: Engine, clock: FixedClock, harm: str) -> None:
    for number in (1, 2, 3):
        reserved(engine, clock, steps(round=number, steps=10))
    with writing(engine) as session:
        assert noise_ledger.check_chain(session) == 3
        if harm == "changed":
            session.execute(update(NoiseRow).where(NoiseRow.seq == 2).values(steps=1))
        else:
            session.execute(delete(NoiseRow).where(NoiseRow.seq == (1 if harm == "first gone" else 2)))
    with pytest.raises(NoiseLedgerBroken, match=r"Line [23]"), reading(engine) as session:
        noise_ledger.check_chain(session)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_largest_over_patients_is_that_of_each_by_herself(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory, clock: FixedClock
) -> None:
    engine = connect(f"sqlite:///{tmp_path_factory.mktemp('ledger') / 'node.db'}")
    migrations.upgrade(engine, "node")
    names = [f"p{number}" for number in range(6)]
    jobs = data.draw(
        st.lists(
            st.tuples(st.frozensets(st.sampled_from(names), min_size=1), st.integers(1, 50), st.booleans()),
            min_size=1,
            max_size=6,
        )
    )
    by_patient: dict[str, list[Spent]] = {name: [] for name in names}
    for number, (patients, count, stays) in enumerate(jobs):
        wanted = steps(job=f"j{number}", patients=patients, steps=count, sigma=Decimal(3))
        reserved(engine, clock, wanted, cap=1e9)
        if stays:
            for name in patients:
                by_patient[name].append(wanted.spent)
        else:
            with writing(engine) as session:
                noise_ledger.give_up(session, clock, wanted)
    asked = data.draw(st.frozensets(st.sampled_from(names), min_size=1))
    by_hand = max(epsilon(by_patient[name], delta=DELTA).epsilon for name in asked)
    assert spent_on(engine, asked) == pytest.approx(by_hand)
    engine.dispose()
