"""The accountant against other implementations, and what must hold whatever is spent."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairbank.federated_jobs.dp.accountant import Spent, epsilon, largest_delta, noise_for, renyi

# sigma, rate, steps, delta; epsilon by Renyi divergence and by privacy loss distributions (dp-accounting 0.6.0).
ELSEWHERE = [
    (0.853, 0.04, 375, 1e-5, 7.99298, 7.12266),
    (1.433, 0.04, 375, 1e-5, 2.99333, 2.71614),
    (3.320, 0.04, 375, 1e-5, 0.99563, 0.90610),
    (6.094, 0.04, 375, 1e-5, 0.49844, 0.45232),
    (1.0, 0.01, 1000, 1e-5, 2.10137, 1.82824),
    (0.5, 0.2, 10, 1e-4, 17.85821, 15.22050),
    (20.0, 0.5, 100, 1e-5, 1.01864, 0.93105),
    (1.1, 1.0, 5, 1e-5, 10.94132, 10.19971),
]


@pytest.mark.parametrize(("sigma", "rate", "steps", "delta", "by_renyi", "tight"), ELSEWHERE)
def test_within_one_percent_of_another_accountant_and_never_below_the_tight_one(
    sigma: float, rate: float, steps: int, delta: float, by_renyi: float, tight: float
) -> None:
    found = epsilon([Spent(sigma, rate, steps)], delta=delta).epsilon
    assert found == pytest.approx(by_renyi, rel=0.01)
    assert found >= tight


def test_the_gaussian_mechanism_alone_is_as_its_formula() -> None:
    assert renyi(Spent(2.0, 1.0, 3), 5.0) == pytest.approx(3 * 5.0 / 8.0)


@settings(max_examples=60, deadline=None)
@given(
    sigma=st.floats(0.4, 30),
    rate=st.floats(0.001, 0.999),
    order=st.integers(2, 40),
)
def test_fractions_lie_between_the_whole_orders_around_them(sigma: float, rate: float, order: int) -> None:
    spent = Spent(sigma, rate, 1)
    between = renyi(spent, order + 0.5)
    if math.isfinite(between):
        low, high = renyi(spent, float(order)), renyi(spent, order + 1.0)
        assert low - 1e-9 <= between * (1 + 1e-6) and between <= high * (1 + 1e-6) + 1e-9


@settings(max_examples=40, deadline=None)
@given(
    sigma=st.floats(0.5, 10),
    rate=st.floats(0.005, 1),
    steps=st.integers(1, 2000),
    more=st.integers(1, 500),
)
def test_more_steps_more_units_and_less_noise_cost_more(
    sigma: float, rate: float, steps: int, more: int
) -> None:
    def at(sigma: float, rate: float, steps: int) -> float:
        return epsilon([Spent(sigma, rate, steps)], delta=1e-5).epsilon

    here = at(sigma, rate, steps)
    assert at(sigma, rate, steps + more) >= here
    assert at(sigma * 1.5, rate, steps) <= here * (1 + 1e-9)
    assert at(sigma, rate / 2, steps) <= here * (1 + 1e-9)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 300), min_size=1, max_size=5))
def test_steps_add_up_however_they_are_divided(parts: list[int]) -> None:
    apart = epsilon([Spent(1.2, 0.03, part) for part in parts], delta=1e-5).epsilon
    assert apart == pytest.approx(epsilon([Spent(1.2, 0.03, sum(parts))], delta=1e-5).epsilon)


def test_jobs_on_the_same_patients_cost_less_than_their_sum_and_more_than_one() -> None:
    job = Spent(1.4331, 0.04, 375)
    found = [epsilon([job] * jobs, delta=1e-5).epsilon for jobs in (1, 2, 3, 4)]
    assert found == pytest.approx([2.99, 4.29, 5.33, 6.25], abs=0.01)


def test_nothing_spent_is_nothing_and_no_noise_is_no_bound() -> None:
    assert epsilon([], delta=1e-5).epsilon == 0
    assert epsilon([Spent(1.0, 0.0, 100)], delta=1e-5).epsilon == 0
    assert epsilon([Spent(1e-6, 0.5, 1)], delta=1e-5).epsilon > 1e6


def test_the_noise_for_an_epsilon_is_enough_and_hardly_more() -> None:
    sigma = noise_for(3.0, delta=1e-5, rate=0.04, steps=375)
    assert epsilon([Spent(sigma, 0.04, 375)], delta=1e-5).epsilon <= 3.0
    assert epsilon([Spent(sigma - 0.003, 0.04, 375)], delta=1e-5).epsilon > 3.0
    with pytest.raises(ValueError, match="no noise"):
        noise_for(1e-9, delta=1e-5, rate=1.0, steps=1_000_000)


@pytest.mark.parametrize(
    "wrong",
    [(0.0, 0.1, 1), (-1.0, 0.1, 1), (math.nan, 0.1, 1), (1.0, 1.1, 1), (1.0, -0.1, 1), (1.0, 0.1, -1)],
)
def test_what_cannot_be_reckoned_is_refused(wrong: tuple[float, float, int]) -> None:
    with pytest.raises(ValueError, match="sigma"):
        Spent(*wrong)
    with pytest.raises(ValueError, match="delta"):
        epsilon([], delta=0.0)


def test_delta_is_far_below_one_unit() -> None:
    assert largest_delta(1_000) == 1e-4
