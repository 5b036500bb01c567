"""Several models measured as one, against numpy; and both ways between `ClientAlgo` and our algorithms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.federated_jobs.test_templates import CLASSIFY, REGRESS, WORDS, opened
from tests.federated_jobs.training_sites import images, numbered_images

from fairbank.federated_jobs.algorithms import metrics
from fairbank.federated_jobs.algorithms.errors import NotTogether
from fairbank.federated_jobs.algorithms.registry import algorithm_parameters
from fairbank.federated_jobs.algorithms.weights import read_weights

torch = pytest.importorskip("torch", reason="needs the extra 'train'")
ensembles = pytest.importorskip("fairbank.federated_jobs.algorithms.ensembles")
client_algos = pytest.importorskip("fairbank.federated_jobs.algorithms.client_algos")
interface = pytest.importorskip("fairbank.federated_jobs.algorithms.interface")


def softmax(scores: Any) -> Any:
    raised = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)


@pytest.fixture
def scores() -> Any:
    return np.random.default_rng(3).normal(0, 2, (5, 40, 3)).astype(np.float32)


def test_the_mean_is_that_of_the_probabilities(scores: Any) -> None:
    found = ensembles.together("mean")(torch.from_numpy(scores)).numpy()
    expected = softmax(scores.astype(np.float64)).mean(axis=0)
    np.testing.assert_allclose(softmax(found.astype(np.float64)), expected, atol=1e-6)


def test_votes_are_counted_and_the_mean_decides_between_equals(scores: Any) -> None:
    found = ensembles.together("vote")(torch.from_numpy(scores)).numpy()
    probabilities = softmax(scores.astype(np.float64))
    ties = 0
    for place in range(scores.shape[1]):
        count = np.bincount(probabilities[:, place].argmax(axis=1), minlength=3)
        most = np.flatnonzero(count == count.max())
        ties += len(most) > 1
        mean = probabilities[:, place].mean(axis=0)
        assert found[place].argmax() == most[mean[most].argmax()]
    assert ties
    shares = np.exp(found.astype(np.float64))
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, atol=1e-6)


def test_voxels_are_put_together_each_by_itself() -> None:
    scores = torch.randn(3, 2, 4, 5, 6, generator=torch.Generator().manual_seed(0))
    for combine in ("mean", "vote"):
        whole = ensembles.together(combine)(scores)
        assert whole.shape == (2, 4, 5, 6)
        one = ensembles.together(combine)(scores[:, :, :, 2, 3])
        torch.testing.assert_close(whole[:, :, 2, 3], one)
    with pytest.raises(NotTogether):
        ensembles.together("median")


def test_an_ensemble_is_measured_as_numpy_measures_it(tmp_path: Path) -> None:
    folder = images(tmp_path / "a", WORDS, seed=1)
    session = opened(folder, "classification", {**CLASSIFY, "held_out_percent": 50})
    members = []
    for seed in range(3):
        base = session._algorithm.initial_weights()
        chance = np.random.default_rng(seed)
        file = tmp_path / f"m{seed}.safetensors"
        from fairbank.federated_jobs.algorithms.weights import write_weights

        write_weights(
            {n: (a + 0.05 * chance.standard_normal(a.shape)).astype(a.dtype) for n, a in base.items()}, file
        )
        members.append(file)
    heldout = session._algorithm._samples.heldout
    pictures, truth = heldout.batch(list(range(len(heldout))), 0)
    network = session._algorithm._network.eval()
    outputs = []
    for member in members:
        network.load_state_dict({n: torch.from_numpy(a) for n, a in read_weights(member).items()})
        with torch.no_grad():
            outputs.append(network(pictures).double().numpy())
    expected = metrics.classification(np.log(softmax(np.stack(outputs)).mean(axis=0)), truth.numpy())
    told = session.evaluate_ensemble(members, combine="mean")
    assert told.n_heldout == len(truth)
    assert {name: told.metrics[name] for name in expected} == pytest.approx(expected, rel=1e-5)
    voted = session.evaluate_ensemble(members, combine="vote")
    answers = np.stack(outputs).argmax(axis=2)
    # Of three votes for two classes there is no tie.
    expected_accuracy = float(((answers.sum(axis=0) >= 2).astype(int) == truth.numpy()).mean())
    assert voted.metrics["accuracy"] == pytest.approx(expected_accuracy, rel=1e-5)
    # One model by itself is what it was.
    assert (
        session.evaluate_ensemble(members[:1], combine="mean").metrics == session.evaluate(members[0]).metrics
    )


def test_numbers_have_a_mean_and_no_votes(tmp_path: Path) -> None:
    folder = numbered_images(tmp_path / "a", [32.0 * n - 90.0 for n in range(6)])
    session = opened(folder, "regression", REGRESS)
    file = folder.scratch / session.initial().file
    both = session.evaluate_ensemble([file, file], combine="mean")
    assert both.metrics == session.evaluate(file).metrics
    with pytest.raises(NotTogether):
        session.evaluate_ensemble([file, file], combine="vote")


# -- ClientAlgo --------------------------------------------------------------------------------------------------------


def someones_algo(difference: bool) -> Any:
    """Return an algorithm around a `ClientAlgo` that fits the mean brightness, as somebody may have written it."""
    from monai.fl.client.client_algo import ClientAlgo
    from monai.fl.utils.constants import ExtraItems, WeightType
    from monai.fl.utils.exchange_object import ExchangeObject

    class Mean(ClientAlgo):
        def __init__(self, values: Any) -> None:
            self.values, self.model = values, torch.nn.Linear(1, 1)
            self.name, self.ended = "", False

        def initialize(self, extra: Any = None) -> None:
            self.name = extra[ExtraItems.CLIENT_NAME]

        def train(self, data: Any, extra: Any = None) -> None:
            self.base = {
                n: torch.as_tensor(v).reshape(self.model.state_dict()[n].shape)
                for n, v in data.weights.items()
            }
            self.model.load_state_dict(self.base)
            optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
            for value in self.values[torch.randperm(len(self.values))]:
                optimizer.zero_grad()
                torch.nn.functional.mse_loss(self.model(torch.ones(1)), value[None]).backward()
                optimizer.step()

        def get_weights(self, extra: Any = None) -> Any:
            weights = {n: v.clone() for n, v in self.model.state_dict().items()}
            if not difference or not hasattr(self, "base"):
                return ExchangeObject(weights=weights, weight_type=WeightType.WEIGHTS)
            return ExchangeObject(
                weights={n: (v - self.base[n]).numpy() for n, v in weights.items()},
                weight_type=WeightType.WEIGHT_DIFF,
                statistics={"num_executed_iterations": len(self.values)},
            )

        def evaluate(self, data: Any, extra: Any = None) -> Any:
            with torch.no_grad():
                bias = float(data.weights["bias"][0] + data.weights["weight"].reshape(-1)[0])
            return ExchangeObject(
                metrics={"error": abs(bias - float(self.values.mean())), "epoch_list": [1, 2]}
            )

        def finalize(self, extra: Any = None) -> None:
            self.ended = True

    class Ours(client_algos.OfClientAlgo):  # type: ignore[misc, name-defined]
        def client(self, task: Any) -> Any:
            self.made = Mean(torch.linspace(1.0, 3.0, 8))
            return self.made, len(task.series)

        def samples(self) -> tuple[int, int]:
            return 8, 2

    return Ours()


@pytest.mark.parametrize("difference", [False, True])
def test_a_client_algo_that_somebody_wrote_is_an_algorithm(difference: bool) -> None:
    from fairbank.federated_jobs.algorithms.parameters import NoopParameters

    last = []
    for _ in range(2):
        ours = someones_algo(difference)
        assert ours.begin(interface.SiteTask(NoopParameters(), (), "7", "north")) == 0
        weights = ours.initial_weights()
        before = ours.evaluate(interface.exchanged(weights))
        for number in (1, 2):
            ours.begin_round(number, ours.site_state())
            ours.train(interface.exchanged(weights))
            told = ours.get_weights()
            weights = interface.weights_in(told)
        after = ours.evaluate(interface.exchanged(weights))
        assert interface.statistic(told, interface.N_TRAIN) == 8
        assert interface.statistic(after, interface.N_HELDOUT) == 2
        assert set(after.metrics) == {"error"} and after.metrics["error"] < before.metrics["error"]
        assert all(isinstance(each, np.ndarray) and each.dtype == np.float32 for each in weights.values())
        ours.finalize()
        assert ours.made.ended and ours.made.name == "north"
        last.append(weights)
    assert all(np.array_equal(last[0][name], last[1][name]) for name in last[0])


def test_a_template_is_a_client_algo_that_trains_the_same_bits(tmp_path: Path) -> None:
    from fairbank.analysis.staged import read_staged
    from fairbank.federated_jobs.algorithms.classification import Classification

    folder = images(tmp_path / "a", WORDS)
    session = opened(folder, "classification", CLASSIFY)
    expected = session.train(1, None, previous=0)
    task = interface.SiteTask(
        algorithm_parameters("classification", CLASSIFY), read_staged(folder.inputs), "42", "a", rounds=3
    )
    algo = client_algos.AsClientAlgo(Classification(), task)
    algo.initialize({})
    algo.train(algo.get_weights())
    found = algo.get_weights()
    assert interface.statistic(found, interface.N_TRAIN) == expected.n_train
    trained = read_weights(folder.scratch / expected.file)
    assert all(np.array_equal(trained[name], array) for name, array in found.weights.items())
    assert algo.evaluate(found).metrics["loss"] == pytest.approx(expected.after["loss"], rel=1e-5)
