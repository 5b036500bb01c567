"""A mean is not led away by one long update: it is shortened to twice the median of its round, nothing else is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.federated_jobs.test_aggregators import SITES, Round, shares

from fairbank.federated_jobs.algorithms.weights import read_weights, write_weights


@pytest.fixture
def made(tmp_path: Path) -> Round:
    return Round(tmp_path)


@pytest.mark.parametrize("name", ["fedavg", "fedsgd"])
def test_a_long_update_is_shortened_to_twice_the_median_and_the_others_count_whole(
    made: Round, name: str
) -> None:
    made.poison(2)
    lengths = np.linalg.norm(made.changes(), axis=1)
    parts = np.minimum(1, 2 * np.median(lengths) / lengths)
    expected = (shares(made) * parts) @ made.changes()
    np.testing.assert_allclose(made.step(name), expected, rtol=1e-4, atol=1e-6)
    record = made.merge(name).record
    assert record["site-2"]["shortened_to"] == pytest.approx(parts[2], rel=1e-4)
    assert record["site-2"]["norm_ratio"] == pytest.approx(lengths[2] / np.median(lengths), rel=1e-4)
    assert [site for site, told in record.items() if "shortened_to" in told] == ["site-2"]
    kept = read_weights(made.merge(name).file)["bn.running_mean"]
    others = [place for place in range(SITES) if place != 2]
    expected = np.average(
        [made.updates[place]["bn.running_mean"] for place in others],
        axis=0,
        weights=[made.samples[place] for place in others],
    )
    np.testing.assert_allclose(kept, expected, rtol=1e-5)


def test_in_the_first_round_a_long_update_is_shortened_about_the_median_of_each_weight(made: Round) -> None:
    honest = np.delete(made.changes(), 2, axis=0).mean(axis=0)
    made.poison(2)
    plain, about = (made.step("fedavg", with_base=False, clip_beyond=bound) for bound in (None, "2"))
    assert np.linalg.norm(about - honest) < 0.1 * np.linalg.norm(plain - honest)


@pytest.mark.parametrize(
    ("name", "base"),
    [
        *((name, True) for name in ("fedavg", "fedavgm", "fedadam", "fedcostwavg", "fedfocus")),
        *((name, False) for name in ("fedavg", "fedcostwavg", "fedfocus")),
    ],
)
def test_where_no_update_is_long_no_bit_is_another(made: Round, name: str, base: bool) -> None:
    bounds = (None, "2", "50")
    assert len({made.merge(name, with_base=base, clip_beyond=each).digest for each in bounds}) == 1


def test_of_two_sites_none_is_shortened(tmp_path: Path) -> None:
    made = Round(tmp_path, sites=2)
    made.poison(1)
    assert made.merge("fedavg").digest == made.merge("fedavg", clip_beyond=None).digest


def test_who_sends_the_last_step_of_the_model_once_more_is_marked(tmp_path: Path) -> None:
    made = Round(tmp_path, noise=0.1)
    rng = np.random.default_rng(4)
    for update in (made.base, *made.updates):
        update["wide"] = np.zeros(300, dtype=np.float32)
    for update in made.updates:
        update["wide"] = (1 + 0.3 * rng.standard_normal(300)).astype(np.float32)
    last = {name: np.array(each) for name, each in made.base.items()}
    step = np.mean([update["wide"] for update in made.updates], axis=0)
    last["wide"] = (made.base["wide"] - step).astype(np.float32)
    made.updates[3] = {**made.base, "wide": (made.base["wide"] + 0.9 * step).astype(np.float32)}
    write_weights(last, tmp_path / "before")
    record = made.merge("fedavg", previous=tmp_path / "before", repeated="site-1").record
    assert {site: told["flags"] for site, told in record.items()} == {
        "site-0": [],
        "site-1": ["sent_before"],
        "site-2": [],
        "site-3": ["replays_the_model"],
        "site-4": [],
    }
