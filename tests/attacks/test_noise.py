"""The attacks on one update once more, against training with noise: what broke a plain step breaks none of these.

Each test attacks a plain step first, with the same images, so that it can fail.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.attacks.attackers import alignment, bins, imprinted, inverted, label_counts, linear_rows
from tests.attacks.measures import auc, auc_sd, best_match, scaled, ssim
from tests.attacks.sites import Job, Perceptron, Smooth, caught, pictures, trained, two_kinds

pytest.importorskip("opacus")
plans = pytest.importorskip("fairbank.federated_jobs.dp.plan")

BATCH = 32


def noisy(job: Job, *, sigma: str, patients: int) -> Job:
    """Return a job of one step in which every patient is drawn."""
    plan: Any = plans.NoisePlan(Decimal(sigma), Decimal(1), 1, Decimal(1), patients)
    return replace(job, noise=plan)


def test_little_noise_keeps_an_inversion_from_a_single_picture(tmp_path: Path) -> None:
    victim, labels = pictures(1, seed=3), np.array([1])
    plain = Job(network=Smooth, batch_size=1)
    (found,) = inverted(plain, caught(plain, victim, labels, tmp_path), labels, steps=150)
    assert ssim(found, victim[0]) > 0.9
    job = noisy(plain, sigma="0.5", patients=1)
    (found,) = inverted(job, caught(job, victim, labels, tmp_path), labels, steps=150)
    assert ssim(found, victim[0]) < 0.3


def test_a_linear_layer_gives_noise_away(tmp_path: Path) -> None:
    victim, labels = pictures(1, seed=5), np.array([0])
    plain = Job(template="linear", batch_size=1)
    for job, least, most in ((plain, 0.99, 1.01), (noisy(plain, sigma="0.5", patients=1), -1.0, 0.5)):
        rows = linear_rows(caught(job, victim, labels, tmp_path).gradient(job), "fc")
        assert least < max(best_match(scaled(row), victim) for row in rows) < most


def test_an_imprint_holds_no_picture(tmp_path: Path) -> None:
    victims, labels = two_kinds(BATCH, seed=6)
    plain = Job(network=Perceptron, batch_size=BATCH, learning_rate=0.01)
    made = imprinted(trained(plain, victims, labels)[0], usual=pictures(300, seed=55))
    found = []
    for job in (plain, noisy(plain, sigma="0.5", patients=BATCH)):
        rows = np.clip(bins(caught(job, victims, labels, tmp_path, base=made).gradient(job)), 0, 1)
        found.append(float(np.mean([best_match(victim, rows) > 0.9 for victim in victims])))
    assert found[0] >= 0.5 and found[1] == 0


def test_who_was_in_a_step_is_told_no_better_than_chance_would(tmp_path: Path) -> None:
    (images, labels), (other_images, other_labels) = two_kinds(BATCH, seed=0), two_kinds(100, seed=500)
    asked = np.concatenate([images, other_images]), np.concatenate([labels, other_labels])
    plain = Job(batch_size=BATCH)
    found = []
    for job in (plain, noisy(plain, sigma="1", patients=BATCH)):
        scores = alignment(job, caught(job, images, labels, tmp_path), asked, two_kinds(200, seed=900))
        found.append(auc(scores[:BATCH], scores[BATCH:]))
    assert found[0] > 0.85
    assert found[1] <= 0.5 + 3 * auc_sd(BATCH, 100)


def test_counts_of_labels_are_blurred(tmp_path: Path) -> None:
    plain = Job(batch_size=BATCH)
    off: dict[bool, list[int]] = {True: [], False: []}
    for seed in range(4):
        labels = np.random.default_rng(seed).integers(0, 2, BATCH)
        for noise in (False, True):
            job = noisy(plain, sigma="4", patients=BATCH) if noise else plain
            files = caught(job, pictures(BATCH, seed=seed), labels, tmp_path)
            counts = label_counts(job, files, BATCH, like=pictures(50, seed=77))
            off[noise].append(abs(int(counts[1]) - int(labels.sum())))
    assert sum(off[False]) == 0 and sum(off[True]) > 0
