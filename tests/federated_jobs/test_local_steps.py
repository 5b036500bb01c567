"""The local steps: each against steps worked out by hand on a tiny linear network, and over a restart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.federated_jobs.test_templates import CLASSIFY, SEGMENT, WORDS, opened
from tests.federated_jobs.training_sites import images, volumes

from fairbank.federated_jobs.algorithms.registry import algorithm_offers, algorithm_parameters
from fairbank.federated_jobs.algorithms.weights import Weights, read_weights, write_weights
from fairbank.federated_jobs.axes.local_steps import LOCAL_STEPS, require_fitting
from fairbank.federated_jobs.errors import OptionRefused
from fairbank.federated_jobs.evaluating import EVALUATE
from fairbank.federated_jobs.tensor_prefixes import CONTROL
from fairbank.federated_jobs.training_errors import LocalStepUnfit
from fairbank.ontology.signed_objects import Element, Training

torch = pytest.importorskip("torch", reason="needs the extra 'train'")
base = pytest.importorskip("fairbank.federated_jobs.algorithms.local_steps.base")
steps = pytest.importorskip("fairbank.federated_jobs.algorithms.local_steps.steps")

Array = NDArray[np.float64]
RATE = 0.1
X = np.array([[1.0, 2.0], [0.5, -1.0], [2.0, 0.0]])
Y = np.array([1.0, -1.0, 0.5])
START = np.array([[0.3, -0.2]])


def gradient(w: Array) -> Array:
    """Return that of the mean squared error of X w - Y."""
    return 2.0 * ((X @ w.T)[:, 0] - Y) @ X / len(Y) * np.ones((1, 1))


def run(
    step: Any, *, count: int, state: Weights | None = None, received: Weights | None = None
) -> tuple[Array, Any]:
    """Make steps of gradient descent with a local step; return the weights and what it left."""
    network = torch.nn.Linear(2, 1, bias=False).double()
    with torch.no_grad():
        network.weight.copy_(torch.from_numpy(START))
    trained = dict(network.named_parameters())
    optimizer = torch.optim.SGD(trained.values(), lr=RATE)
    step.begin(base.LocalRound(network, trained, RATE, state or {}, received or {}))
    for _ in range(count):
        loss = torch.nn.functional.mse_loss(network(torch.from_numpy(X))[:, 0], torch.from_numpy(Y))
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        step.gradients()
        optimizer.step()
        step.after_step()
    return network.weight.detach().numpy().copy(), step.end(count)


def made(name: str, **options: Any) -> Any:
    return steps.made(Element(name=name, options=options))


def descended(correct: Callable[[Array, Array], Array], count: int) -> Array:
    """Return what gradient descent comes to, the gradient corrected by a function of weights and gradient."""
    w = START.copy()
    for _ in range(count):
        w = w - RATE * correct(w, gradient(w))
    return w


class TestAgainstHandWorkedSteps:
    def test_plain_changes_nothing(self) -> None:
        found, ended = run(made("plain"), count=3)
        np.testing.assert_allclose(found, descended(lambda w, g: g, 3))
        assert (ended.sent, ended.state) == ({}, {})

    def test_fedprox_pulls_towards_the_global_weights(self) -> None:
        found, _ = run(made("fedprox", mu="0.5"), count=3)
        np.testing.assert_allclose(found, descended(lambda w, g: g + 0.5 * (w - START), 3))

    def test_scaffold_corrects_and_renews_its_control_variates(self) -> None:
        everyone, own = np.array([[0.2, -0.1]]), np.array([[-0.3, 0.4]])
        found, ended = run(
            made("scaffold"), count=4, state={"weight": own}, received={f"{CONTROL}weight": everyone}
        )
        expected = descended(lambda w, g: g - own + everyone, 4)
        np.testing.assert_allclose(found, expected)
        renewed = own - everyone + (START - expected) / (4 * RATE)
        np.testing.assert_allclose(ended.state["weight"], renewed)
        np.testing.assert_allclose(ended.sent[f"{CONTROL}weight"], everyone + renewed - own)

    def test_synaptic_intelligence_holds_what_mattered(self) -> None:
        importance, optimum = np.array([[2.0, 0.0]]), np.array([[0.0, 1.0]])
        kept = {"importance.weight": importance, "optimum.weight": optimum}
        step = made("synaptic-intelligence", strength="0.25", damping="0.5")
        found, ended = run(step, count=2, state=kept)
        w, path = START.copy(), np.zeros_like(START)
        for _ in range(2):
            g = gradient(w)
            after = w - RATE * (g + 2 * 0.25 * importance * (w - optimum))
            path -= g * (after - w)
            w = after
        np.testing.assert_allclose(found, w)
        gained = np.maximum(path / ((w - START) ** 2 + 0.5), 0.0)
        np.testing.assert_allclose(ended.state["importance.weight"], importance + gained)
        np.testing.assert_allclose(ended.state["optimum.weight"], w)

    def test_fedmax_adds_the_divergence_from_even_activations(self) -> None:
        features = np.array([[1.0, 2.0, -1.0], [0.0, 0.0, 0.0]])
        e = np.exp(features) / np.exp(features).sum(axis=1, keepdims=True)
        expected = 3.0 * (e * np.log(e * 3)).sum(axis=1).mean()
        found = made("fedmax", beta="3").loss(torch.zeros(2, 1), torch.from_numpy(features))
        assert float(found) == pytest.approx(expected, rel=1e-6)

    def test_moon_compares_features_with_the_global_and_the_last_model(self) -> None:
        network = torch.nn.Linear(2, 2, bias=False).double()
        now, of_global = np.array([[1.0, 0.5], [0.0, 2.0]]), np.array([[1.0, 0.0], [0.0, 1.0]])
        of_last = np.array([[0.2, -1.0], [1.0, 1.0]])
        models = {}

        def features(model: Any, images: Any) -> tuple[Any, Any]:
            return images, torch.from_numpy(models[float(model.weight.detach()[0, 0])])

        with torch.no_grad():
            network.weight.fill_(1.0)
        models |= {1.0: of_global, 2.0: of_last}
        last = {"model.weight": np.full((2, 2), 2.0)}
        step = made("moon", mu="2", temperature="0.5")
        trained = dict(network.named_parameters())
        step.begin(base.LocalRound(network, trained, RATE, {}, features=features))
        assert step.loss(torch.zeros(2, 1), torch.from_numpy(now)) is None
        step.begin(base.LocalRound(network, trained, RATE, last, features=features))

        def cosine(a: Array, b: Array) -> Array:
            return (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)

        near, far = np.exp(cosine(now, of_global) / 0.5), np.exp(cosine(now, of_last) / 0.5)
        expected = 2.0 * -np.log(near / (near + far)).mean()
        found = step.loss(torch.zeros(2, 1), torch.from_numpy(now))
        assert float(found) == pytest.approx(expected, rel=1e-6)

    def test_weights_of_classes_are_balanced_or_as_given(self) -> None:
        counts = torch.tensor([6.0, 2.0, 0.0])
        np.testing.assert_allclose(made("weighted-loss").class_weights(counts), [8 / 12, 8 / 4, 0.0])
        given = made("weighted-loss", weights=["1", "2.5", "3"])
        np.testing.assert_allclose(given.class_weights(counts), [1.0, 2.5, 3.0])
        with pytest.raises(OptionRefused, match="3 weights for 2 classes"):
            given.begin(base.LocalRound(torch.nn.Linear(1, 1), {}, RATE, {}, classes=2))


PLAIN_SGD = {**CLASSIFY, "optimizer": "sgd", "learning_rate": "0.05", "local_epochs": 1}


@pytest.mark.parametrize("name", sorted(set(LOCAL_STEPS) - {EVALUATE}))
def test_each_goes_on_to_the_same_bits_in_a_new_worker(tmp_path: Path, name: str) -> None:
    batches = name == "site-batch-norm"
    if batches:
        folder, algorithm = volumes(tmp_path / "a", 4), "segmentation"
        parameters = {**SEGMENT, "norm": "batch", "local_epochs": 1}
    else:
        folder, algorithm, parameters = images(tmp_path / "a", WORDS), "classification", PLAIN_SGD
    step = {"name": name, "options": {"when": "every"} if name == "fine-tune" else {}}
    alive = opened(folder, algorithm, parameters, local_step=step)
    first = alive.train(1, None, previous=0)
    start = tmp_path / "global"
    # Not the site's own model again: what other sites did moves it.
    moved = {
        name: array * np.float32(0.9) if name.endswith(("weight", "bias")) else array
        for name, array in read_weights(folder.scratch / first.file).items()
    }
    write_weights(moved, start)
    second = alive.train(2, start, previous=1)
    again = opened(folder, algorithm, parameters, local_step=step).train(2, start, previous=1)
    assert again == second
    initial = alive._algorithm.initial_weights()
    sent = read_weights(folder.scratch / second.file)
    assert {k: v.shape for k, v in sent.items()} == {k: v.shape for k, v in initial.items()}
    if name in ("fedprox", "moon", "fedmax", "synaptic-intelligence"):
        assert opened(folder, algorithm, parameters).train(2, start, previous=0).digest != second.digest


def test_layers_of_batch_normalisation_never_leave(tmp_path: Path) -> None:
    folder = volumes(tmp_path, 4)
    parameters = {**SEGMENT, "norm": "batch", "local_epochs": 1}
    session = opened(folder, "segmentation", parameters, local_step={"name": "site-batch-norm"})
    start = session._algorithm.initial_weights()
    result = session.train(1, None, previous=0)
    body = (folder.scratch / result.file).read_bytes()
    kept = read_weights(folder.scratch / "state-000001.safetensors")
    local = {name.removeprefix("local."): array for name, array in kept.items() if name.startswith("local.")}
    assert any(name.endswith("running_mean") for name in local)
    sent = read_weights(folder.scratch / result.file)
    for name, array in local.items():
        np.testing.assert_array_equal(sent[name], start[name])
        if array.size > 2 and not np.array_equal(array, start[name]):
            assert array.tobytes() not in body
    # What is measured is the model with the site's own layers.
    assert session.train(2, folder.scratch / result.file, previous=1).before == result.after


def test_the_sites_own_model_is_measured_and_stays(tmp_path: Path) -> None:
    folder = images(tmp_path, WORDS)
    step = {"name": "fine-tune", "options": {"epochs": 8, "learning_rate": "0.01", "layers": ["fc*"]}}
    session = opened(folder, "classification", CLASSIFY, local_step=step, rounds=2)
    plain = opened(images(tmp_path / "plain", WORDS), "classification", CLASSIFY, rounds=2)
    first = session.train(1, None, previous=0)
    assert first.digest == plain.train(1, None, previous=0).digest
    assert "personal_loss" not in first.after
    start = tmp_path / "global"
    start.write_bytes((folder.scratch / first.file).read_bytes())
    last = session.train(2, start, previous=1)
    assert last.after["personal_loss"] < last.before["loss"]
    own = read_weights(folder.scratch / "state-000002.safetensors")
    np.testing.assert_array_equal(own["personal.conv1.weight"], read_weights(start)["conv1.weight"])
    assert not any(name.startswith("personal") for name in read_weights(folder.scratch / last.file))


@pytest.mark.parametrize(
    ("name", "algorithm", "parameters"),
    [
        ("fedprox", "noop", {}),
        ("fedprox", "slice-autoencoder", {}),
        ("fedprox", "sklearn-sgd", {}),
        ("weighted-loss", "regression", {}),
        ("moon", "segmentation", {}),
        ("fedmax", "classification", {"network": "linear"}),
        ("scaffold", "classification", {"optimizer": "adam"}),
        ("scaffold", "classification", {"momentum": "0.9"}),
        ("site-batch-norm", "classification", {}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_step_that_does_not_fit_is_refused(name: str, algorithm: str, parameters: dict[str, Any]) -> None:
    offers = algorithm_offers(algorithm, algorithm_parameters(algorithm, parameters))
    with pytest.raises(LocalStepUnfit, match=name):
        require_fitting(algorithm, offers, Training(local_step=Element(name=name)))
    require_fitting(algorithm, offers, Training())


def test_frozen_layers_need_a_network() -> None:
    with pytest.raises(LocalStepUnfit, match="Frozen"):
        require_fitting("noop", frozenset(), Training(frozen=("conv*",)))
