"""Aggregators: one suite for all of them, each against a plain oracle, and what a hostile site can do."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fairbank.federated_jobs.aggregators.geometry import deviations
from fairbank.federated_jobs.aggregators.merge import Merged, Merging, merge_updates
from fairbank.federated_jobs.aggregators.robust import copod
from fairbank.federated_jobs.aggregators.rules import rule_of
from fairbank.federated_jobs.aggregators.stack import SiteUpdate
from fairbank.federated_jobs.aggregators.weighing import discount
from fairbank.federated_jobs.algorithms.errors import NotesMissing, TooFewUpdates, UpdateUnfit
from fairbank.federated_jobs.algorithms.weights import Weights, read_weights, write_weights
from fairbank.federated_jobs.axes.aggregators import AGGREGATORS, AveragingOptions
from fairbank.federated_jobs.axes.elements import checked_options
from fairbank.federated_jobs.tensor_files import PIECE, form_of

SITES, SIZE = 5, 60
NOTES = {"n_steps": 4.0, "before_loss": 1.0, "after_loss": 0.5}
# Merging one update alone gives that update; the server's optimizers and those that need more sites do other things.
ALONE = ("fedavg", "fedsgd", "fednova", "fedcostwavg", "fedfocus", "auto-fedavg", "norm-bounded", "outlier-suppression",
         "median", "trimmed-mean", "geometric-median")  # fmt: skip
ROBUST = [name for name, choice in AGGREGATORS.items() if choice.robust]


class Round:
    """A round that was made up: n sites that agree but for noise, and a base."""

    def __init__(self, folder: Path, *, sites: int = SITES, seed: int = 0, noise: float = 0.3) -> None:
        self.folder = folder
        rng = np.random.default_rng(seed)
        self.base = {
            "layer.weight": rng.standard_normal((SIZE // 10, 10)).astype(np.float32),
            "bn.running_mean": rng.standard_normal(3).astype(np.float32),
            "bn.num_batches_tracked": np.array(5, dtype=np.int64),
            "flag": np.array([True, False]),
        }
        way = rng.standard_normal((SIZE // 10, 10))
        self.samples = [int(n) for n in rng.integers(10, 200, sites)]
        self.notes = [
            {"n_steps": float(s), "before_loss": 1.0 + 0.1 * i, "after_loss": 0.4 + 0.2 * i}
            for i, s in enumerate(rng.integers(1, 9, sites))
        ]
        self.updates: list[Weights] = [
            {
                "layer.weight": (
                    self.base["layer.weight"] + 0.1 * (way + noise * rng.standard_normal(way.shape))
                ).astype(np.float32),
                "bn.running_mean": rng.standard_normal(3).astype(np.float32),
                "bn.num_batches_tracked": np.array(10 + i, dtype=np.int64),
                "flag": np.array([i % 2 == 0, True]),
            }
            for i in range(sites)
        ]

    def change(self, place: int) -> np.ndarray:
        """Return one site's difference, flat float64."""
        apart = self.updates[place]["layer.weight"].astype(np.float64) - self.base["layer.weight"]
        return np.asarray(apart.reshape(-1))

    def changes(self) -> np.ndarray:
        return np.stack([self.change(place) for place in range(len(self.updates))])

    def poison(self, place: int, factor: float = -50.0) -> None:
        change = self.change(place).reshape(self.base["layer.weight"].shape)
        self.updates[place]["layer.weight"] = (self.base["layer.weight"] + factor * change).astype(np.float32)

    def merge(
        self,
        name: str,
        *,
        number: int = 1,
        state: Path | None = None,
        with_base: bool = True,
        previous: Path | None = None,
        repeated: str = "",
        **given: object,
    ) -> Merged:
        write_weights(self.base, self.folder / "base")
        sent = []
        for place, weights in enumerate(self.updates):
            file = self.folder / f"site-{place}"
            write_weights(weights, file)
            site = f"site-{place}"
            notes, again = self.notes[place], site == repeated
            sent.append(SiteUpdate(site, file, self.samples[place], notes=notes, repeated=again))
        options = checked_options("aggregator", AGGREGATORS[name], given)  # type: ignore[arg-type]
        base = self.folder / "base" if with_base else None
        how = Merging(form_of(sent[0].file), base, state, number, previous=previous)
        return merge_updates(
            rule_of(name, options),
            sent,
            how,
            into=self.folder / f"merged-{number}",
            state_into=self.folder / f"state-{number}",
        )

    def step(self, name: str, **given: object) -> np.ndarray:
        """Return how the merged layer differs from the base, flat float64."""
        merged = read_weights(self.merge(name, **given).file)["layer.weight"]  # type: ignore[arg-type]
        return np.asarray((merged.astype(np.float64) - self.base["layer.weight"]).reshape(-1))


@pytest.fixture
def made(tmp_path: Path) -> Round:
    return Round(tmp_path)


# -- every aggregator --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", AGGREGATORS)
def test_the_order_in_which_sites_come_changes_no_bit(tmp_path: Path, name: str) -> None:
    made = Round(tmp_path)
    first = made.merge(name).digest
    sent = [
        SiteUpdate(f"site-{i}", tmp_path / f"site-{i}", made.samples[i], notes=made.notes[i])
        for i in range(SITES)
    ]
    how = Merging(form_of(sent[0].file), tmp_path / "base")
    again = merge_updates(rule_of(name), [sent[i] for i in (3, 0, 4, 2, 1)], how, into=tmp_path / "again")
    assert again.digest == first


@pytest.mark.parametrize("name", ALONE)
def test_one_site_alone_gives_its_weights(tmp_path: Path, name: str) -> None:
    made = Round(tmp_path, sites=1)
    merged = read_weights(made.merge(name).file)
    for tensor, values in made.updates[0].items():
        np.testing.assert_allclose(merged[tensor], values, rtol=1e-6, atol=1e-7)
        assert merged[tensor].dtype == values.dtype


@pytest.mark.parametrize("name", AGGREGATORS)
def test_sites_that_all_say_the_same_are_believed(tmp_path: Path, name: str) -> None:
    made = Round(tmp_path)
    made.updates = [made.updates[0]] * SITES
    merged = read_weights(made.merge(name).file)
    for tensor in ("bn.running_mean", "bn.num_batches_tracked", "flag"):
        np.testing.assert_allclose(merged[tensor], made.updates[0][tensor], rtol=1e-6)
    if name in ALONE and name != "fednova":
        np.testing.assert_allclose(
            merged["layer.weight"], made.updates[0]["layer.weight"], rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize("name", AGGREGATORS)
def test_counters_stay_whole_and_statistics_stay_a_mean(made: Round, name: str) -> None:
    merged = read_weights(made.merge(name).file)
    assert merged["bn.num_batches_tracked"].dtype == np.int64
    assert 10 <= int(merged["bn.num_batches_tracked"]) <= 10 + SITES
    means = np.stack([each["bn.running_mean"] for each in made.updates])
    assert (merged["bn.running_mean"] <= means.max(axis=0) + 1e-6).all()
    assert (merged["bn.running_mean"] >= means.min(axis=0) - 1e-6).all()
    assert merged["flag"].dtype == bool


# A median is finite whatever one site sends.
@pytest.mark.parametrize("name", [name for name, choice in AGGREGATORS.items() if not choice.coordinatewise])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_refused_and_leaves_no_file(made: Round, name: str, value: float) -> None:
    # Krum takes some sites only.
    for update in made.updates if "krum" in name else made.updates[2:3]:
        update["bn.running_mean"][1] = value
    with pytest.raises(UpdateUnfit):
        made.merge(name)
    assert not (made.folder / "merged-1").exists()
    assert not list(made.folder.glob(".*.part"))


@pytest.mark.parametrize("name", AGGREGATORS)
def test_a_weight_that_is_not_finite_is_refused_by_every_rule(made: Round, name: str) -> None:
    made.updates[2]["layer.weight"][1, 1] = np.inf
    with pytest.raises(UpdateUnfit):
        made.merge(name)


@pytest.mark.parametrize("name", AGGREGATORS)
def test_the_record_says_what_each_site_had_to_do_with_it(made: Round, name: str) -> None:
    record = made.merge(name).record
    assert sorted(record) == [f"site-{i}" for i in range(SITES)]
    for place, told in enumerate(record.values()):
        assert told["norm"] == pytest.approx(np.linalg.norm(made.change(place)), rel=1e-4)
        assert told["flags"] == []
        assert -1 <= told["cosine"] <= 1
    if (
        not AGGREGATORS[name].coordinatewise
        and name in ALONE
        and name not in ("fednova", "norm-bounded", "outlier-suppression")
    ):
        assert sum(told["weight"] for told in record.values()) == pytest.approx(1, rel=1e-4)


def test_what_lies_beside_the_weights_is_averaged_over_all_sites_or_by_samples(tmp_path: Path) -> None:
    """Control variates count a site that is absent with what they were (SCAFFOLD, equation 5)."""
    made = Round(tmp_path, sites=2)
    made.base["control.layer.weight"] = np.ones((2,), dtype=np.float32)
    made.samples = [1, 3]
    for place, update in enumerate(made.updates):
        update["control.layer.weight"] = np.full((2,), 1.0 + 4.0 * (place + 1), dtype=np.float32)
        update["optimizer.exp_avg.layer.weight"] = np.full((2,), float(place), dtype=np.float32)
    made.merge("fedadam")
    sent = [SiteUpdate(f"site-{i}", tmp_path / f"site-{i}", made.samples[i]) for i in range(2)]
    how = Merging(form_of(sent[0].file), tmp_path / "base", sites=4)
    merged = read_weights(merge_updates(rule_of("fedavg"), sent, how, into=tmp_path / "m").file)
    np.testing.assert_allclose(merged["control.layer.weight"], 1 + (4 + 8) / 4)
    np.testing.assert_allclose(merged["optimizer.exp_avg.layer.weight"], 0.75)


# -- oracles -----------------------------------------------------------------------------------------------------------


def shares(made: Round) -> np.ndarray:
    samples = np.array(made.samples, dtype=np.float64)
    return np.asarray(samples / samples.sum())


def nova(made: Round) -> np.ndarray:
    steps, p = np.array([note["n_steps"] for note in made.notes]), shares(made)
    return np.asarray((p @ steps) * sum(p[i] * made.change(i) / steps[i] for i in range(SITES)))


def cost(made: Round) -> np.ndarray:
    fell = np.array([note["before_loss"] / note["after_loss"] for note in made.notes])
    return np.asarray((0.5 * shares(made) + 0.5 * fell / fell.sum()) @ made.changes())


def focus(made: Round) -> np.ndarray:
    w = np.array(made.samples) / np.array([note["after_loss"] for note in made.notes])
    return np.asarray(w / w.sum() @ made.changes())


def krum_of(made: Round, m: int, f: int = 1) -> np.ndarray:
    d = made.changes()
    scores = []
    for i in range(SITES):
        others = sorted(float(((d[i] - d[j]) ** 2).sum()) for j in range(SITES) if j != i)
        scores.append(sum(others[: SITES - f - 2]))
    return np.asarray(d[np.argsort(scores)[:m]].mean(axis=0))


def weiszfeld(made: Round) -> np.ndarray:
    d = made.changes()
    z = d.mean(axis=0)
    for _ in range(500):
        w = 1 / np.maximum(np.linalg.norm(d - z, axis=1), 1e-9)
        z = (w / w.sum()) @ d
    return np.asarray(z)


def bounded(made: Round) -> np.ndarray:
    d = made.changes()
    lengths = np.linalg.norm(d, axis=1)
    return np.asarray((d * np.minimum(1, np.median(lengths) / lengths)[:, None]).mean(axis=0))


def suppressed(made: Round) -> np.ndarray:
    d = made.changes()
    n = len(d)
    apart = np.array([[np.linalg.norm(a - b) for b in d] for a in d])
    angle = np.array([[1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in d] for a in d])

    def score(rows: np.ndarray) -> np.ndarray:
        # Written out value by value, as the paper's algorithm is.
        told = np.zeros(n)
        for i in range(n):
            tails = np.zeros(3)
            for j in range(n):
                column = np.round(rows[:, j], 12)
                left, right = (column <= column[i]).mean(), (column >= column[i]).mean()
                skew = ((column - column.mean()) ** 3).mean()
                tails += -np.log([left, right, left if skew < 0 else right])
            told[i] = tails.max()
        return told

    w = np.exp(-(score(apart) + score(angle)) / 2)
    return np.asarray(w / w.sum() @ d)


ORACLES: dict[str, Callable[[Round], np.ndarray]] = {
    "fedavg": lambda made: shares(made) @ made.changes(),
    "fedsgd": lambda made: shares(made) @ made.changes(),
    "fedavgm": lambda made: shares(made) @ made.changes(),
    "fednova": nova,
    "fedcostwavg": cost,
    "fedfocus": focus,
    "median": lambda made: np.median(made.changes(), axis=0),
    "trimmed-mean": lambda made: np.sort(made.changes(), axis=0)[1:-1].mean(axis=0),
    "krum": lambda made: krum_of(made, 1),
    "multi-krum": lambda made: krum_of(made, SITES - 1),
    "geometric-median": weiszfeld,
    "norm-bounded": bounded,
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ORACLES)
def test_an_aggregator_is_what_its_paper_says(tmp_path: Path, name: str, seed: int) -> None:
    made = Round(tmp_path, seed=seed)
    np.testing.assert_allclose(made.step(name), ORACLES[name](made), atol=2e-6)


@pytest.mark.parametrize("seed", range(3))
def test_outlier_suppression_is_what_its_paper_says(tmp_path: Path, seed: int) -> None:
    made = Round(tmp_path, seed=seed)
    np.testing.assert_allclose(
        made.step("outlier-suppression", bound_norms=False), suppressed(made), atol=2e-6
    )


@pytest.mark.parametrize("name", ["fedavgm", "fedadagrad", "fedadam", "fedyogi"])
def test_optimizers_at_the_hub_agree_with_their_formulas_over_rounds(tmp_path: Path, name: str) -> None:
    made = Round(tmp_path)
    x = made.base["layer.weight"].astype(np.float64).reshape(-1)
    m, v, tau, b1, b2 = np.zeros(SIZE), np.full(SIZE, 1e-6), 1e-3, 0.9, 0.99
    speed, state = np.zeros(SIZE), None
    for number in range(1, 5):
        change = shares(made) @ made.changes()
        merged = made.merge(name, number=number, state=state)
        assert merged.state is not None
        state = merged.state[0]
        if name == "fedavgm":
            speed = 0.9 * speed + change
            x = x + speed
        else:
            b1 = 0.0 if name == "fedadagrad" else 0.9
            m = b1 * m + (1 - b1) * change
            if name == "fedadagrad":
                v = v + change**2
            elif name == "fedadam":
                v = b2 * v + (1 - b2) * change**2
            else:
                v = v - (1 - b2) * change**2 * np.sign(v - change**2)
            x = x + 0.01 * m / (np.sqrt(v) + tau)
        new = read_weights(merged.file)["layer.weight"]
        np.testing.assert_allclose(new.reshape(-1), x, atol=1e-5)
        step = new - made.base["layer.weight"]
        made.base["layer.weight"] = new
        for update in made.updates:
            update["layer.weight"] = update["layer.weight"] + step


def test_mixing_weights_are_learnt_and_kept(tmp_path: Path) -> None:
    """A site that pulls against all others loses weight round by round."""
    made = Round(tmp_path)
    made.samples = [100] * SITES
    made.poison(3, -1.0)
    state, weights = None, []
    for number in range(1, 6):
        merged = made.merge("auto-fedavg", number=number, state=state, mixing_rate="2")
        assert merged.state is not None
        state = merged.state[0]
        weights.append(merged.record["site-3"]["weight"])
    assert weights == sorted(weights, reverse=True)
    assert weights[-1] < 0.6 * weights[0] < 0.2


def test_fedfocus_becomes_fedavg_with_time(made: Round) -> None:
    early, late = made.step("fedfocus"), made.step("fedfocus", number=200)
    mean = made.step("fedavg")
    assert np.linalg.norm(late - mean) < 1e-6 < np.linalg.norm(early - mean)


def test_an_even_number_of_sites_has_a_median_between_the_middle_two(tmp_path: Path) -> None:
    made = Round(tmp_path, sites=4)
    np.testing.assert_allclose(made.step("median"), np.median(made.changes(), axis=0), atol=1e-6)


# -- hostile and odd sites ---------------------------------------------------------------------------------------------


def off(made: Round, step: np.ndarray, place: int) -> float:
    """Return how far a step is from the mean of the honest sites, in lengths of that mean."""
    honest = np.delete(made.changes(), place, axis=0).mean(axis=0)
    return float(np.linalg.norm(step - honest) / np.linalg.norm(honest))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ROBUST)
def test_a_robust_rule_survives_a_site_that_sends_fifty_times_the_opposite(
    tmp_path: Path, name: str, seed: int
) -> None:
    made = Round(tmp_path, seed=seed)
    made.samples[2] = 10**9
    made.poison(2)
    assert off(made, made.step("fedavg", clip_beyond=None), 2) > 9
    # A bound on norms lets the hostile site have its part of the step: 2/n of it.
    assert off(made, made.step(name), 2) < (0.55 if name == "norm-bounded" else 0.45)


@pytest.mark.parametrize("name", [name for name in ROBUST if AGGREGATORS[name].minimum_sites == 3])
def test_three_sites_one_of_them_hostile_still_move_the_right_way(tmp_path: Path, name: str) -> None:
    made = Round(tmp_path, sites=3)
    made.samples = [50] * 3
    made.poison(1)
    step = made.step(name)
    honest = np.delete(made.changes(), 1, axis=0).mean(axis=0)
    assert step @ honest > 0
    assert off(made, step, 1) < 0.9
    assert made.step("fedavg", clip_beyond=None) @ honest < 0


def test_krum_refuses_fewer_updates_than_its_proof_needs(tmp_path: Path) -> None:
    with pytest.raises(TooFewUpdates):
        Round(tmp_path, sites=4).merge("krum")
    with pytest.raises(TooFewUpdates):
        Round(tmp_path, sites=6).merge("multi-krum", byzantine=2)


@pytest.mark.parametrize(
    ("change", "flag"),
    [
        (lambda made: made.poison(2), "norm_far_off"),
        (lambda made: made.updates[2].update(made.base), "unchanged"),
        (lambda made: made.updates[2].update(made.updates[1]), "same_as_another"),
    ],
    ids=["poisoned", "free-rider", "copied"],
)
def test_an_odd_update_is_marked(made: Round, change: Callable[[Round], None], flag: str) -> None:
    change(made)
    record = made.merge("fedavg").record
    assert flag in record["site-2"]["flags"]
    assert record["site-0"]["flags"] == []


def test_a_free_rider_that_adds_noise_is_marked(tmp_path: Path) -> None:
    made = Round(tmp_path)
    rng = np.random.default_rng(9)
    shape = (300, 100)
    way = rng.standard_normal(shape)
    made.base["layer.weight"] = rng.standard_normal(shape).astype(np.float32)
    for place, update in enumerate(made.updates):
        noise = 0.1 * rng.standard_normal(shape)
        update["layer.weight"] = (
            made.base["layer.weight"] + (noise if place == 4 else 0.1 * way + noise)
        ).astype(np.float32)
    flags = {site: told["flags"] for site, told in made.merge("median").record.items()}
    assert flags == {site: ["noise"] if site == "site-4" else [] for site in flags}


def test_lengths_that_agree_closely_are_not_told_apart() -> None:
    assert deviations(np.array([1.0, 1.0, 1.01])).max() < 2
    assert deviations(np.array([1.0, 1.1, 50.0])).max() > 100


@pytest.mark.parametrize("seed", range(4))
def test_copod_is_the_largest_of_the_tails_of_its_definition(seed: int) -> None:
    """Li et al. 2020, algorithm 1, written with scipy: left tails, right tails, and those that skewness chooses."""
    from scipy import stats

    chance = np.random.default_rng(seed)
    rows = np.round(chance.gamma(2.0, 1.0, (9, 4)) * [1, -1, 1, 1], 1)
    tails = np.empty((3, *rows.shape))
    for column, values in enumerate(rows.T):
        left = np.array([stats.percentileofscore(values, each, kind="weak") for each in values]) / 100
        right = np.array([stats.percentileofscore(-values, -each, kind="weak") for each in values]) / 100
        chosen = left if stats.skew(values) < 0 else right
        tails[:, :, column] = -np.log([left, right, chosen])
    np.testing.assert_allclose(copod(rows), tails.sum(axis=2).max(axis=0))


def test_copod_finds_the_row_that_is_far_from_all() -> None:
    rows = np.random.default_rng(0).standard_normal((12, 4))
    rows[7] += 6
    assert int(np.argmax(copod(rows))) == 7


# -- numbers, staleness, memory ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["fednova", "fedcostwavg", "fedfocus"])
def test_updates_without_the_numbers_are_refused(made: Round, name: str) -> None:
    made.notes = [{}] * SITES
    with pytest.raises(NotesMissing):
        made.merge(name)


@pytest.mark.parametrize("name", ["fedcostwavg", "fedfocus"])
def test_a_site_that_may_not_tell_its_loss_counts_as_the_middle_one(made: Round, name: str) -> None:
    made.notes[1] = {}
    without = made.merge(name).record["site-1"]["weight"]
    assert 0 < without < 1


@pytest.mark.parametrize("name", ["fedcostwavg", "fedfocus"])
def test_sites_whose_loss_is_nothing_weigh_alike(made: Round, name: str) -> None:
    made.notes = [{"before_loss": 0.0, "after_loss": 0.0}] * SITES
    made.samples = [10] * SITES
    weights = [told["weight"] for told in made.merge(name).record.values()]
    assert weights == pytest.approx([1 / SITES] * SITES)


def test_a_rule_on_differences_needs_a_base(made: Round) -> None:
    made.merge("fedavg")
    sent = [SiteUpdate("site-0", made.folder / "site-0", 1)]
    with pytest.raises(UpdateUnfit, match="added to"):
        merge_updates(rule_of("fedadam"), sent, Merging(form_of(sent[0].file)), into=made.folder / "m")


@pytest.mark.parametrize(
    ("options", "ages"),
    [
        ({"staleness": "constant"}, [1, 1, 1, 1]),
        ({"staleness": "polynomial", "staleness_a": "1"}, [1, 1 / 2, 1 / 3, 1 / 7]),
        ({"staleness": "hinge", "staleness_a": "1", "staleness_b": 2}, [1, 1, 1, 1 / 5]),
    ],
)
def test_an_old_update_weighs_less(options: dict[str, object], ages: list[float]) -> None:
    given = checked_options("aggregator", AGGREGATORS["fedavg"], options)  # type: ignore[arg-type]
    assert isinstance(given, AveragingOptions)
    assert [discount(age, given) for age in (0, 1, 2, 6)] == pytest.approx(ages)


def test_an_update_from_an_older_model_brings_its_own_step(tmp_path: Path) -> None:
    old, new = {"w": np.zeros(3, dtype=np.float32)}, {"w": np.full(3, 10.0, dtype=np.float32)}
    write_weights(old, tmp_path / "old")
    write_weights(new, tmp_path / "new")
    write_weights({"w": np.full(3, 12.0, dtype=np.float32)}, tmp_path / "fresh")
    write_weights({"w": np.full(3, 4.0, dtype=np.float32)}, tmp_path / "stale")
    sent = [
        SiteUpdate("a", tmp_path / "fresh", 1),
        SiteUpdate("b", tmp_path / "stale", 1, base=tmp_path / "old", staleness=3),
    ]
    how = Merging(form_of(tmp_path / "new"), tmp_path / "new")
    merged = merge_updates(rule_of("fedavg"), sent, how, into=tmp_path / "m")
    # The fresh step is 2, the stale one 4 of which half is left; each is half of the samples.
    np.testing.assert_allclose(read_weights(merged.file)["w"], 10 + (2 + 0.5 * 4) / 2)
    assert merged.record["b"]["staleness"] == 3


@pytest.mark.parametrize("name", ["fedavg", "fedadam", "median", "geometric-median", "outlier-suppression"])
def test_memory_grows_neither_with_the_model_nor_with_what_all_sites_send(tmp_path: Path, name: str) -> None:
    rng = np.random.default_rng(0)
    size = 12 * PIECE
    base = {"layer": rng.standard_normal(size).astype(np.float32)}
    write_weights(base, tmp_path / "base")
    sent = []
    for place in range(6):
        # The last one is so long that it is shortened, so all are read twice.
        change = (50 if place == 5 else 1) * rng.standard_normal(size).astype(np.float32)
        write_weights({"layer": base["layer"] + change}, tmp_path / f"{place}")
        sent.append(SiteUpdate(f"site-{place}", tmp_path / f"{place}", 1))
    how = Merging(form_of(tmp_path / "base"), tmp_path / "base")
    tracemalloc.start()
    merge_updates(rule_of(name), sent, how, into=tmp_path / "m")
    highest = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Some float64 copies of a piece of each of the six updates; all six whole would be four times as much.
    assert highest < 6 * 6 * PIECE * 8
