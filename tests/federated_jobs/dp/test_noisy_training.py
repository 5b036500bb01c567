"""Training with noise: whose gradient is shortened, what noise is added, and that no seed of a job leads to it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from tests.federated_jobs.test_templates import CLASSIFY, SEGMENT
from tests.federated_jobs.training_sites import images

from fairbank.federated_jobs.algorithms.errors import AlgorithmParametersRefused, NoiseUnplanned
from fairbank.federated_jobs.algorithms.interface import exchanged, weights_in
from fairbank.federated_jobs.algorithms.networks import image_network
from fairbank.federated_jobs.algorithms.noise_source import NoiseSource
from fairbank.federated_jobs.algorithms.noisy_steps import Patients, clipped_sum
from fairbank.federated_jobs.algorithms.registry import (
    algorithm_digest,
    algorithm_offers,
    algorithm_parameters,
)
from fairbank.federated_jobs.algorithms.regression import Regression
from fairbank.federated_jobs.algorithms.samples import Sample, SampleSet
from fairbank.federated_jobs.algorithms.session import TrainingSession
from fairbank.federated_jobs.axes.local_steps import require_fitting
from fairbank.federated_jobs.dp.plan import NoisePlan
from fairbank.federated_jobs.training_errors import NoiseRefused
from fairbank.ontology.signed_objects import DifferentialPrivacy, Training

PLAN = NoisePlan(Decimal("1.5"), Decimal("0.25"), 4, Decimal("0.5"), 8)
NOISY = Training(differential_privacy=DifferentialPrivacy(clip_norm="0.5"))
LINEAR = {**CLASSIFY, "network": "linear", "optimizer": "sgd", "learning_rate": "1", "image_size": 8}


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return images(tmp_path_factory.mktemp("site"), ["yes", "no"] * 8)


def opened(folder: Any, *, noise: NoisePlan | None = PLAN, training: Training = NOISY) -> TrainingSession:
    return TrainingSession.open(
        name="classification",
        digest=algorithm_digest("classification"),
        parameters=LINEAR,
        job_seed="42",
        site="a",
        inputs=folder.inputs,
        scratch=folder.scratch,
        training=training.model_dump(mode="json"),
        rounds=3,
        noise=noise.to_json() if noise is not None else None,
    )


def trained(folder: Any, plan: NoisePlan = PLAN) -> NDArray[np.float64]:
    """Return what one round changes, as one vector."""
    algorithm = opened(folder, noise=plan)._algorithm
    algorithm.begin_round(1, {})
    start = algorithm.initial_weights()
    algorithm.train(exchanged(start))
    found = weights_in(algorithm.get_weights())
    return np.concatenate([(found[name] - start[name]).ravel() for name in sorted(start)]).astype(np.float64)


def network(name: str, **more: Any) -> tuple[torch.nn.Module, dict[str, torch.nn.Parameter]]:
    parameters = algorithm_parameters("classification", {"network": name, "image_size": 32, **more})
    torch.manual_seed(3)
    made = image_network(parameters, 2).train()  # type: ignore[arg-type]
    return made, dict(made.named_parameters())


def losses(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.cross_entropy(outputs, targets, reduction="none")


def norm(trained: dict[str, torch.nn.Parameter]) -> float:
    return float(torch.cat([each.grad.ravel() for each in trained.values() if each.grad is not None]).norm())


class TestClipping:
    @pytest.mark.parametrize(
        ("name", "more"),
        [
            ("lenet", {}),
            ("linear", {}),
            ("resnet18", {"norm": "group"}),
            pytest.param("resnet18", {"norm": "instance", "stride": 1}, marks=pytest.mark.long),
        ],
    )
    def test_the_sum_is_that_of_gradients_shortened_one_by_one(self, name: str, more: dict[str, Any]) -> None:
        made, weights = network(name, **more)
        # In single precision a network of many norms gives other gradients to a batch than to its images one by one.
        made.double()
        images, targets, clip = torch.rand(3, 1, 32, 32).double(), torch.tensor([0, 1, 1]), 0.05
        expected = {key: torch.zeros_like(each) for key, each in weights.items()}
        for place in range(3):
            made.zero_grad()
            torch.autograd.backward(losses(made(images[place : place + 1]), targets[place : place + 1]).sum())
            factor = min(1.0, clip / norm(weights))
            for key, each in weights.items():
                assert each.grad is not None
                expected[key] += factor * each.grad
        with clipped_sum(made, weights, clip=clip) as summed:
            summed.add_up(images, targets, losses)
        for key, each in weights.items():
            assert each.grad is not None
            torch.testing.assert_close(each.grad, expected[key], rtol=1e-4, atol=1e-9)

    def test_a_patient_with_a_giant_image_moves_the_sum_by_no_more_than_the_norm(self) -> None:
        made, weights = network("lenet")
        images, targets = torch.rand(3, 1, 32, 32), torch.tensor([0, 1, 1])
        images[2] *= 1e6
        # What the network is most wrong about.
        targets[2] = int(made(images)[2].argmin())
        with clipped_sum(made, weights, clip=0.5) as summed:
            summed.add_up(images, targets, losses)
            with_her = {key: each.grad.clone() for key, each in weights.items() if each.grad is not None}
            summed.add_up(images[:2], targets[:2], losses)
        moved = torch.cat([(with_her[key] - each.grad).ravel() for key, each in weights.items()])  # type: ignore[operator]
        assert 0.49 < float(moved.norm()) < 0.5001

    def test_the_network_is_left_as_it_was(self) -> None:
        made, weights = network("resnet18", norm="group")
        names = list(made.state_dict())
        with clipped_sum(made, weights, clip=1.0):
            pass
        made.eval()
        torch.autograd.backward(made(torch.rand(2, 1, 32, 32)).sum())
        assert list(made.state_dict()) == names
        assert any(getattr(module, "inplace", False) for module in made.modules())

    def test_nobody_drawn_leaves_noise_alone(self) -> None:
        made, weights = network("linear")
        with clipped_sum(made, weights, clip=0.5) as summed:
            summed.gradients(torch.zeros(0), torch.zeros(0), losses, PLAN, NoiseSource())
        # 2,050 numbers with a deviation of 1.5 · 0.5 / 8.
        assert norm(weights) == pytest.approx(2050**0.5 * 1.5 * 0.5 / 8, rel=0.1)


class TestSampling:
    def test_a_patient_with_many_images_gives_one_of_them(self) -> None:
        sample = [
            Sample("a" if place < 5 else f"b{place}", torch.zeros(1, 2, 2), torch.tensor(0))
            for place in range(8)
        ]
        patients, source = Patients(SampleSet(sample)), NoiseSource()
        drawn = [patients.draw(source, 1.0) for _ in range(60)]
        assert len(patients) == 4
        assert all(len(places) == 4 and sum(place < 5 for place in places) == 1 for places in drawn)
        assert {place for places in drawn for place in places} == set(range(8))

    def test_each_is_drawn_by_herself(self) -> None:
        source = NoiseSource()
        sizes = np.array([len(source.drawn(200, 0.1)) for _ in range(400)])
        # Binomial: mean 20, deviation 4.24; a fixed batch has none.
        assert sizes.mean() == pytest.approx(20, abs=1.1)
        assert sizes.std() == pytest.approx(4.24, abs=0.8)

    def test_noise_is_standard_normal(self) -> None:
        drawn = np.sort(NoiseSource().normal(100_001))
        assert drawn.mean() == pytest.approx(0, abs=0.02)
        assert drawn.std() == pytest.approx(1, abs=0.02)
        assert np.interp(1.96, drawn, np.arange(len(drawn)) / len(drawn)) == pytest.approx(0.975, abs=0.003)


class TestRounds:
    def test_one_seed_gives_another_noise_each_time(self, staged: Any) -> None:
        first, second = trained(staged), trained(staged)
        # Four steps at a rate of 1, each with noise of 1.5 · 0.5 / 8 in each of 130 numbers.
        noise = 4**0.5 * 1.5 * 0.5 / 8 * len(first) ** 0.5
        assert np.linalg.norm(first - second) >= noise

    def test_without_noise_worth_naming_an_update_is_as_long_as_clipping_lets_it(self, staged: Any) -> None:
        plan = NoisePlan(Decimal("0.0000001"), Decimal(1), 4, Decimal("0.001"), 8)
        moved = np.linalg.norm(trained(staged, plan))
        # 13 patients, 4 steps at a rate of 1: at most 4 · 13 · 0.001 / 8.
        assert 0 < moved <= 4 * 13 * 0.001 / 8 * 1.01

    def test_a_round_that_is_run_has_its_counts(self, staged: Any) -> None:
        result = opened(staged).train(1, None, previous=0)
        assert result.n_steps == 4
        assert 0 < result.images <= result.n_train

    @pytest.mark.parametrize(("noise", "training"), [(None, NOISY), (PLAN, Training())])
    def test_noise_that_is_not_planned_and_asked_for_trains_nothing(
        self, staged: Any, noise: NoisePlan | None, training: Training
    ) -> None:
        with pytest.raises(NoiseUnplanned):
            opened(staged, noise=noise, training=training)


class TestTemplates:
    @pytest.mark.parametrize(
        ("name", "parameters", "word"),
        [
            ("classification", {"network": "resnet18", "image_size": 32, "norm": "batch"}, "norm=group"),
            ("segmentation", SEGMENT, "classification"),
            ("sklearn-sgd", {}, "classification"),
            ("monai-bundle", {"bundle": "sha256:" + "0" * 64, "structures": ["Lung"]}, "classification"),
        ],
    )
    def test_what_gives_no_gradient_for_each_patient_is_refused(
        self, name: str, parameters: dict[str, Any], word: str
    ) -> None:
        offers = algorithm_offers(name, algorithm_parameters(name, parameters))
        with pytest.raises(NoiseRefused) as refused:
            require_fitting(name, offers, NOISY)
        assert word in refused.value.todo

    def test_a_loss_is_of_one_sample_each(self) -> None:
        algorithm = Regression()
        algorithm.parameters = algorithm_parameters("regression", {"network": "linear", "loss": "huber"})
        outputs, targets = torch.tensor([[0.2], [3.0], [-1.0]]), torch.tensor([0.0, 0.0, 1.0])
        expected = torch.nn.functional.huber_loss(outputs[:, 0], targets, reduction="none")
        torch.testing.assert_close(algorithm.losses(outputs, targets), expected)

    @pytest.mark.parametrize("name", ["seed", "sampler", "sigma", "poisson_sampling"])
    def test_a_job_says_nothing_of_chance(self, name: str) -> None:
        with pytest.raises(AlgorithmParametersRefused):
            algorithm_parameters("classification", {name: "1"})
        with pytest.raises(ValidationError):
            DifferentialPrivacy.model_validate({"clip_norm": "1", name: "1"})
