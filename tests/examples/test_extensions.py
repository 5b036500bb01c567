"""The examples of how to extend the training: each does on small data what its page says."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")
pytest.importorskip("monai", reason="needs the extra 'train'")

EXAMPLES = Path(__file__).parents[2] / "examples"
SIDE = 16


def example(name: str) -> ModuleType:
    found = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


# -- amplitude normalisation -----------------------------------------------------------------------------------------


def scans(count: int, *, seed: int, blur: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Images with a bright left or right half, and which; a scanner that is another has another spectrum."""
    chance = np.random.default_rng(seed)
    labels = chance.integers(0, 2, count)
    images = chance.normal(0.0, 0.3, (count, 1, SIDE, SIDE))
    for image, label in zip(images, labels, strict=True):
        image[0, :, : SIDE // 2] += 1.0 if label else 0.0
        image[0, :, SIDE // 2 :] += 0.0 if label else 1.0
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(SIDE), np.fft.fftfreq(SIDE)))
    seen = np.fft.ifft2(np.fft.fft2(images) * np.exp(-blur * frequency)).real
    return torch.tensor(seen, dtype=torch.float32), torch.tensor(labels)


def test_images_of_two_scanners_get_one_spectrum_and_keep_their_phases():
    norm = example("harmofl").AmplitudeNorm(SIDE)
    sharp, _ = scans(40, seed=1, blur=0.0)
    soft, _ = scans(40, seed=2, blur=6.0)
    norm.train()
    norm(sharp)
    norm.eval()
    amplitudes = [torch.fft.fft2(norm(each)).abs().mean(dim=(0, 1)) for each in (sharp, soft)]
    before = [torch.fft.fft2(each).abs().mean(dim=(0, 1)) for each in (sharp, soft)]
    assert float((before[0] - before[1]).abs().max()) > 1.0
    torch.testing.assert_close(amplitudes[0], amplitudes[1], atol=1e-3, rtol=1e-3)
    strong = torch.fft.fft2(soft).abs() > 1.0
    turned = torch.fft.fft2(norm(soft)).angle() - torch.fft.fft2(soft).angle()
    assert float(torch.cos(turned)[strong].min()) > 0.999


def test_a_network_that_saw_one_scanner_understands_the_other_only_after_harmonising():
    harmofl = example("harmofl")
    sharp, labels = scans(120, seed=1, blur=0.0)
    soft, truth = scans(120, seed=2, blur=8.0)
    bright = soft * 0.2
    correct = {}
    for name in ("plain", "harmonised"):
        torch.manual_seed(0)
        linear = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(SIDE * SIDE, 2))
        network = torch.nn.Sequential(harmofl.AmplitudeNorm(SIDE), linear) if name == "harmonised" else linear
        optimizer = torch.optim.SGD(network.parameters(), lr=0.05)
        network.train()
        for _ in range(40):
            loss = torch.nn.functional.cross_entropy(network(sharp), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        network.eval()
        margin = network(bright).detach()
        correct[name] = (
            float((margin.argmax(1) == truth).float().mean()),
            float(torch.nn.functional.cross_entropy(margin, truth)),
        )
    # The plain network finds the class and is unsure of it; behind the normalisation it is as sure as at home.
    assert correct["harmonised"][0] >= 0.99
    assert correct["harmonised"][1] < correct["plain"][1] / 2


def test_the_template_with_the_layer_trains_and_sends_the_mean_amplitude_along():
    harmofl = example("harmofl")
    from fairbank.federated_jobs.algorithms.training_parameters import ClassificationParameters

    parameters = ClassificationParameters(
        label="clinical_finding", classes=("yes", "no"), network="lenet", image_size=SIDE
    )
    network = harmofl.HarmonisedClassification().network(parameters)
    network.train()
    network(scans(8, seed=3, blur=0.0)[0])
    state = network.state_dict()
    assert state["0.running_mean"].shape == (SIDE, SIDE)
    assert bool(state["0.running_mean"].any())


# -- split averaging -------------------------------------------------------------------------------------------------


def test_split_training_over_three_sites_is_training_on_the_union():
    split_avg = example("split_avg")
    torch.manual_seed(0)
    lower = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.Tanh())
    upper = torch.nn.Linear(5, 3)
    pooled = torch.nn.Sequential(split_avg.deepcopy(lower), split_avg.deepcopy(upper))
    trainer = split_avg.SplitAverage(lower, upper, sites=3, learning_rate=0.2)
    optimizer = torch.optim.SGD(pooled.parameters(), lr=0.2)
    chance = torch.Generator().manual_seed(1)
    for _ in range(30):
        # Each site has one class alone, which a mean of separately trained models would not survive.
        batches = [
            (torch.randn(4, 6, generator=chance) + label, torch.full((4,), label)) for label in range(3)
        ]
        loss = torch.nn.functional.cross_entropy(
            pooled(torch.cat([images for images, _ in batches])), torch.cat([labels for _, labels in batches])
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert trainer.step(batches) == pytest.approx(float(loss.detach()), abs=1e-5)
    for ours, theirs in zip(
        [*trainer.lowers[0].parameters(), *trainer.upper.parameters()], pooled.parameters(), strict=True
    ):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
