"""What a site measures of a merged model: whether it was trained too long, and whether a tensor is an image."""

from __future__ import annotations

import numpy as np
import pytest
from tests.attacks.sites import AtSite, Images, Job, Labels, Perceptron, Smooth, two_kinds

from fairbank.federated_jobs.algorithms.interface import SiteTask, exchanged, weights_in
from fairbank.federated_jobs.algorithms.registry import algorithm_parameters
from fairbank.federated_jobs.algorithms.samples import SampleSet, SiteSamples
from fairbank.federated_jobs.release_check import Verdict, Wish, judged

ALONE = Wish()


class WithHeldOut(AtSite):
    """A site half of whose images are held out."""

    def samples(self, task: SiteTask) -> SiteSamples:
        whole = super().samples(task).train.samples
        half = len(whole) // 2
        return SiteSamples(SampleSet(whole[:half]), SampleSet(whole[half:]), len(whole), len(whole), half, 0)


def measured(
    job: Job, samples: tuple[Images, Labels], *, image: Images | None = None, wish: Wish = ALONE
) -> dict[str, float]:
    """Return what the site tells of its own model after a round; with an image put into its first layer if given."""
    algorithm = WithHeldOut(*samples, job.network)
    algorithm.begin(SiteTask(algorithm_parameters("classification", job.parameters()), (), job.seed, "north"))
    algorithm.begin_round(1, {})
    algorithm.train(exchanged(algorithm.initial_weights()))
    weights = weights_in(algorithm.get_weights())
    if image is not None:
        weights["fc1.weight"][7] = (0.01 * image - 0.003).reshape(-1)
    return algorithm.remembered(exchanged(weights), wish)


@pytest.fixture(scope="module")
def samples() -> tuple[Images, Labels]:
    return two_kinds(240, seed=9, strength=0.4)


def verdict(found: dict[str, float]) -> Verdict:
    return judged({"north": {f"before_{name}": value for name, value in found.items()}}, head="before_")[0]


def test_a_model_that_learnt_wrong_labels_by_heart_fails(samples: tuple[Images, Labels]) -> None:
    images, labels = samples
    wrong = np.random.default_rng(1).random(len(labels)) < 0.2
    job = Job(network=Smooth, optimizer="adam", learning_rate=0.003, batch_size=20, local_epochs=10)
    found = measured(job, (images, np.where(wrong, 1 - labels, labels)))
    assert found["release_auc"] > 0.6 and found["release_loss_gap"] > 0
    assert verdict(found) is Verdict.FAILED


def test_a_model_that_was_hardly_trained_passes(samples: tuple[Images, Labels]) -> None:
    found = measured(Job(template="linear", batch_size=32, learning_rate=0.05), samples)
    assert abs(found["release_auc"] - 0.5) < 0.1
    assert {"release_auc", "release_tpr", "release_rare_auc", "release_copy", "release_loss_gap"} == set(
        found
    )
    assert verdict(found) is Verdict.PASSED


@pytest.mark.long
def test_shadow_models_tell_what_was_learnt_by_heart_and_nothing_of_what_was_hardly_trained(
    samples: tuple[Images, Labels],
) -> None:
    images, labels = samples
    wrong = np.random.default_rng(1).random(len(labels)) < 0.2
    noisy = images, np.where(wrong, 1 - labels, labels)
    job = Job(network=Smooth, optimizer="adam", learning_rate=0.003, batch_size=20, local_epochs=10)
    found = measured(job, noisy, wish=Wish(8, 10))
    assert found["release_lira_auc"] > 0.6 and {"release_lira_rare_auc"} <= set(found)
    brief = Job(network=Smooth, optimizer="adam", learning_rate=0.0005, batch_size=40)
    assert measured(brief, noisy, wish=Wish(8, 1))["release_lira_auc"] < 0.6


def test_a_tensor_that_is_an_image_is_found(samples: tuple[Images, Labels]) -> None:
    job = Job(network=Perceptron, learning_rate=0.01)
    assert measured(job, samples)["release_copy"] < 0.9
    found = measured(job, samples, image=samples[0][3])
    assert found["release_copy"] == pytest.approx(1, abs=1e-4)
    assert verdict(found) is Verdict.FAILED


def test_of_a_handful_only_copies_are_told(samples: tuple[Images, Labels]) -> None:
    few = samples[0][:12], samples[1][:12]
    assert set(measured(Job(template="linear"), few)) == {"release_copy"}
    assert np.isfinite(measured(Job(template="linear"), few)["release_copy"])
