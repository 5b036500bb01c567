"""What one update of one site tells: each attack first breaks an unprotected step, then meets what stands against it.

Thresholds follow measurements on real chest films, which are harder prey than these: SSIM .998 for one picture in a
step, exact label counts in 20 of 20, membership with an AUC of .945, class balance with a correlation of .98.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from tests.attacks.attackers import (
    alignment,
    bins,
    flat,
    imprinted,
    inverted,
    label_counts,
    linear_rows,
    ridge_of,
)
from tests.attacks.measures import auc, auc_sd, best_match, identifies, scaled, ssim
from tests.attacks.sites import (
    Build,
    Caught,
    Images,
    Job,
    Labels,
    Perceptron,
    Smooth,
    caught,
    pictures,
    trained,
    two_kinds,
)

from fairbank.federated_jobs.algorithms.weights import read_weights, write_weights

# The fewest distinct images behind an update that a site lets go by default.
BATCH = 32
RECOVERED, ALIKE = 0.9, 0.6


def labels_of(n: int, seed: int = 1) -> Labels:
    return np.random.default_rng(seed).integers(0, 2, n)


class TestInversion:
    """Pictures are sought whose gradient points where the update does."""

    def test_a_step_on_one_picture_gives_it_away(self, tmp_path: Path) -> None:
        victim, labels = pictures(1, seed=3), labels_of(1)
        job = Job(network=Smooth, batch_size=1)
        (found,) = inverted(job, caught(job, victim, labels, tmp_path), labels, steps=150)
        assert ssim(found, victim[0]) >= 0.98
        assert identifies(found, victim[0], pictures(20, seed=99))

    def test_half_precision_is_no_protection(self, tmp_path: Path) -> None:
        victim, labels = pictures(1, seed=4), labels_of(1)
        job = Job(network=Smooth, batch_size=1)
        files = caught(job, victim, labels, tmp_path)
        base, update = read_weights(files.base), read_weights(files.update)
        rough = {name: base[name] + (update[name] - base[name]).astype(np.float16) for name in base}
        write_weights({name: each.astype(np.float32) for name, each in rough.items()}, files.update)
        (found,) = inverted(job, files, labels, steps=150)
        assert ssim(found, victim[0]) >= 0.95

    def test_a_step_on_as_many_pictures_as_a_site_asks_for_gives_none_away(self, tmp_path: Path) -> None:
        victims, labels = pictures(BATCH, seed=5), labels_of(BATCH)
        job = Job(network=Smooth, batch_size=BATCH)
        found = inverted(job, caught(job, victims, labels, tmp_path), labels, steps=40)
        guess = scaled(pictures(100, seed=98).mean(axis=0))
        assert np.mean([best_match(victim, found) for victim in victims]) <= np.mean(
            [ssim(guess, victim) for victim in victims]
        )
        assert max(best_match(victim, found) for victim in victims) < ALIKE

    @pytest.mark.long
    def test_not_even_to_ten_times_the_work(self, tmp_path: Path) -> None:
        victims, labels = pictures(BATCH, seed=5), labels_of(BATCH)
        job = Job(network=Smooth, batch_size=BATCH)
        found = inverted(job, caught(job, victims, labels, tmp_path), labels, steps=600)
        assert max(best_match(victim, found) for victim in victims) < ALIKE

    @pytest.mark.data
    def test_chest_films_are_given_away_and_kept_alike(self, tmp_path: Path, data_folder: Path) -> None:
        with np.load(data_folder / "pneumoniamnist" / "pneumoniamnist_train_val.npz") as stored:
            films = stored["train_images"][:400].astype(np.float32) / 255
            truth = stored["train_labels"][:400].reshape(-1).astype(np.int64)
        one = Job(network=Smooth, batch_size=1)
        (found,) = inverted(one, caught(one, films[:1], truth[:1], tmp_path), truth[:1])
        assert ssim(found, films[0]) >= 0.95 and identifies(found, films[0], films[100:120])
        many = Job(network=Smooth, batch_size=BATCH)
        victims, labels = films[:BATCH], truth[:BATCH]
        found_of_many = inverted(many, caught(many, victims, labels, tmp_path), labels, steps=60)
        guess = films[100:].mean(axis=0)
        assert np.mean([best_match(each, found_of_many) for each in victims]) <= np.mean(
            [ssim(guess, each) for each in victims]
        )


class TestLabels:
    """The gradient of the last bias counts the labels of a step."""

    @pytest.mark.parametrize("n", [1, 8, BATCH])
    def test_one_step_gives_the_counts_away(self, tmp_path: Path, n: int) -> None:
        exact = 0
        for seed in range(4):
            labels = labels_of(n, seed)
            job = Job(batch_size=n)
            files = caught(job, pictures(n, seed=seed), labels, tmp_path)
            counts = label_counts(job, files, n, like=pictures(50, seed=77))
            exact += bool((counts == np.bincount(labels, minlength=2)).all())
        assert exact == 4

    def test_the_sum_of_three_sites_gives_only_the_sum_of_their_counts_away(self, tmp_path: Path) -> None:
        labels = [labels_of(BATCH, seed) for seed in (0, 1, 4)]
        assert len({int(each.sum()) for each in labels}) == 3
        job = Job(batch_size=BATCH)
        both = [trained(job, pictures(BATCH, seed=seed), each) for seed, each in enumerate(labels)]
        base = both[0][0]
        files = Caught(tmp_path / "base.safetensors", tmp_path / "sum.safetensors")
        write_weights(base, files.base)
        write_weights({name: np.mean([u[name] for _, u in both], axis=0) for name in base}, files.update)
        found = label_counts(job, files, 3 * BATCH, like=pictures(50, seed=77))
        assert abs(int(found[1]) - sum(int(each.sum()) for each in labels)) <= 1


class TestLinearLayers:
    """The gradient of a linear layer on pixels, over that of its bias, is what went in."""

    def test_the_linear_template_gives_a_single_picture_away_to_the_last_digit(self, tmp_path: Path) -> None:
        assert self.likeness(1, tmp_path) > 0.999

    def test_and_a_mixture_of_as_many_pictures_as_a_site_asks_for(self, tmp_path: Path) -> None:
        assert self.likeness(BATCH, tmp_path) < ALIKE

    def likeness(self, n: int, folder: Path) -> float:
        job = Job(template="linear", batch_size=n)
        victims = pictures(n, seed=5)
        files = caught(job, victims, labels_of(n), folder)
        return max(best_match(scaled(row), victims) for row in linear_rows(files.gradient(job), "fc"))


class TestImprint:
    """A hub that makes the model can make one that sorts pictures into rows; a large batch does not help then."""

    def recovered(self, n: int, epochs: int, folder: Path, build: Build | None = None) -> float:
        job = Job(network=build, batch_size=n, local_epochs=epochs, learning_rate=0.01)
        victims, labels = two_kinds(n, seed=6)
        base, _ = trained(job, victims, labels)
        made = imprinted(base, usual=pictures(300, seed=55))
        rows = np.clip(bins(caught(job, victims, labels, folder, base=made).gradient(job)), 0, 1)
        return float(np.mean([best_match(victim, rows) > RECOVERED for victim in victims]))

    @pytest.mark.parametrize(("n", "epochs", "least"), [(8, 1, 0.9), (BATCH, 1, 0.5), (BATCH, 2, 0.5)])
    def test_an_imprint_is_read_whatever_the_batch(
        self, tmp_path: Path, n: int, epochs: int, least: float
    ) -> None:
        assert self.recovered(n, epochs, tmp_path, Perceptron) >= least

    def test_the_templates_have_no_layer_that_could_hold_one_beside_the_linear_one(self) -> None:
        wide = [name for name in ("mnist-cnn", "lenet") if _first_is_on_pixels(name)]
        assert wide == [] and _first_is_on_pixels("linear")


class TestMembership:
    """Whether a picture was in the batch: agreement of its gradient with the update, others' gradients taken out."""

    def scores(self, n: int, folder: Path, *, sites: int = 1, seed: int = 0) -> tuple[Images, Images]:
        job = Job(batch_size=BATCH)
        parts = [two_kinds(n, seed=seed + 31 * site) for site in range(sites)]
        both = [trained(job, *part) for part in parts]
        base = both[0][0]
        files = Caught(folder / "base.safetensors", folder / "update.safetensors")
        write_weights(base, files.base)
        write_weights({name: np.mean([u[name] for _, u in both], axis=0) for name in base}, files.update)
        others = two_kinds(100, seed=seed + 500)
        asked = tuple(np.concatenate([own, other]) for own, other in zip(parts[0], others, strict=True))
        found = alignment(job, files, (asked[0], asked[1]), two_kinds(200, seed=seed + 900))
        return found[:n], found[n:]

    def test_one_step_tells_who_was_in_it(self, tmp_path: Path) -> None:
        assert auc(*self.scores(BATCH, tmp_path)) >= 0.85

    def test_the_sum_of_three_sites_still_tells(self, tmp_path: Path) -> None:
        assert auc(*self.scores(BATCH, tmp_path, sites=3)) >= 0.5 + 3 * auc_sd(BATCH, 100)


class TestClassBalance:
    """The share of a class at a site, learnt from shadow sites of the attacker's own."""

    def test_an_update_tells_the_class_balance_and_a_sum_tells_the_mean(self) -> None:
        random = np.random.default_rng(3)
        job = Job(network=Smooth, learning_rate=0.05)
        rows, known = [], []
        for site in range(40):
            images, labels = two_kinds(60, seed=2000 + site, share=random.uniform(0.1, 0.9))
            rows.append(flat(*trained(job, images, labels)))
            known.append(labels.mean())
        shadows, shares = np.array(rows[:28]), np.array(known[:28])
        victims, truth = np.array(rows[28:]), np.array(known[28:])
        weights = ridge_of(shadows, shares)
        says = partial(_says, weights)
        guess = float(np.abs(truth - shares.mean()).mean())
        assert float(np.abs(says(victims) - truth).mean()) < guess / 2
        assert np.corrcoef(says(victims), truth)[0, 1] > 0.85
        summed, means = victims.reshape(4, 3, -1).mean(axis=1), truth.reshape(4, 3).mean(axis=1)
        assert float(np.abs(says(summed) - means).mean()) < guess / 2


def _says(weights: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return np.asarray(np.hstack([rows, np.ones((len(rows), 1))]) @ weights)


def _first_is_on_pixels(template: str) -> bool:
    base, _ = trained(Job(template=template), pictures(2, seed=1), labels_of(2))
    return next(iter(base.values())).ndim == 2
