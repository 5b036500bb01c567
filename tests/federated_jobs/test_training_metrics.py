"""Metrics of trained models against scikit-learn and against distances measured one by one."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fairbank.federated_jobs.algorithms.metrics import classification, delong, regression

sklearn_metrics = pytest.importorskip("sklearn.metrics", reason="needs the extra 'sklearn'")
surfaces = pytest.importorskip(
    "fairbank.federated_jobs.algorithms.surfaces", reason="needs the extra 'train'"
)


def test_two_classes_agree_with_scikit_learn() -> None:
    chance = np.random.default_rng(5)
    truth = chance.integers(0, 2, 60)
    scores = np.round(chance.normal(0, 1, (60, 2)) + truth[:, None] * [0.0, 0.7], 1)
    found = classification(scores, truth)
    answers = scores.argmax(axis=1)
    assert found["accuracy"] == pytest.approx(sklearn_metrics.accuracy_score(truth, answers))
    assert found["sensitivity"] == pytest.approx(sklearn_metrics.recall_score(truth, answers))
    assert found["specificity"] == pytest.approx(sklearn_metrics.recall_score(truth, answers, pos_label=0))
    assert found["f_one"] == pytest.approx(sklearn_metrics.f1_score(truth, answers))
    assert found["auroc"] == pytest.approx(sklearn_metrics.roc_auc_score(truth, scores[:, 1] - scores[:, 0]))


def test_more_classes_agree_with_scikit_learn() -> None:
    chance = np.random.default_rng(6)
    truth = chance.integers(0, 4, 90)
    scores = chance.normal(0, 1, (90, 4)) + np.eye(4)[truth]
    found = classification(scores, truth)
    likely = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    assert found["f_one"] == pytest.approx(
        sklearn_metrics.f1_score(truth, scores.argmax(axis=1), average="macro")
    )
    assert found["auroc"] == pytest.approx(sklearn_metrics.roc_auc_score(truth, likely, multi_class="ovr"))


def test_the_interval_of_auroc_is_that_of_delong() -> None:
    chance = np.random.default_rng(7)
    positive = np.arange(50) < 20
    scores = np.round(chance.normal(0, 1, 50) + positive, 1)
    found = delong(scores, positive)
    cases, controls = scores[positive], scores[~positive]
    # The definition: each pair counts 1, or 1/2 where both are equal.
    pairs = (cases[:, None] > controls) + 0.5 * (cases[:, None] == controls)
    spread = math.sqrt(pairs.mean(axis=1).var(ddof=1) / 20 + pairs.mean(axis=0).var(ddof=1) / 30)
    assert found["auroc"] == pytest.approx(pairs.mean())
    assert found["auroc_low"] == pytest.approx(pairs.mean() - 1.959964 * spread, abs=1e-6)
    assert found["auroc_high"] == pytest.approx(min(1.0, pairs.mean() + 1.959964 * spread), abs=1e-6)


def test_what_one_class_cannot_tell_is_left_out() -> None:
    assert set(classification(np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([1, 1]))) == {
        "accuracy",
        "sensitivity",
        "f_one",
    }
    assert classification(np.zeros((0, 2)), np.zeros(0, dtype=np.int64)) == {}


def test_regression_agrees_with_scikit_learn() -> None:
    chance = np.random.default_rng(8)
    truth = chance.normal(50, 10, 30)
    told = truth + chance.normal(0, 3, 30)
    found = regression(told, truth)
    assert found["mae"] == pytest.approx(sklearn_metrics.mean_absolute_error(truth, told))
    assert found["rmse"] ** 2 == pytest.approx(sklearn_metrics.mean_squared_error(truth, told))
    assert found["r_squared"] == pytest.approx(sklearn_metrics.r2_score(truth, told))


def test_overlap_and_surface_distances_respect_spacing() -> None:
    chance = np.random.default_rng(9)
    spacing = (3.0, 1.0, 0.5)
    truth = np.zeros((6, 9, 10), dtype=bool)
    truth[1:4, 2:7, 2:8] = True
    told = np.roll(truth, (1, 1, -1), axis=(0, 1, 2)) | (chance.random(truth.shape) > 0.995)
    found = surfaces.agreement(told, truth, spacing)
    shared = (told & truth).sum()
    assert found["dice"] == pytest.approx(2 * shared / (told.sum() + truth.sum()))
    assert found["jaccard"] == pytest.approx(sklearn_metrics.jaccard_score(truth.ravel(), told.ravel()))

    def surface(mask: np.ndarray) -> np.ndarray:
        padded = np.pad(mask, 1)
        inner = np.ones_like(mask)
        for axis in range(3):
            for step in (-1, 1):
                inner &= np.roll(padded, step, axis)[1:-1, 1:-1, 1:-1]
        return np.argwhere(mask & ~inner) * spacing

    a, b = surface(told), surface(truth)
    between = np.linalg.norm(a[:, None] - b, axis=2)
    there, back = between.min(axis=1), between.min(axis=0)
    assert found["surface_mm"] == pytest.approx(np.concatenate([there, back]).mean())
    assert found["hausdorff_mm"] == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)))


def test_an_empty_region_has_overlap_and_no_distance() -> None:
    nothing, something = np.zeros((3, 3), dtype=bool), np.ones((3, 3), dtype=bool)
    assert surfaces.agreement(nothing, nothing, (1.0, 1.0)) == {"dice": 1.0, "jaccard": 1.0}
    assert surfaces.agreement(something, nothing, (1.0, 1.0)) == {"dice": 0.0, "jaccard": 0.0}
