"""The templates: each trains a tiny federation to a bound, to the same bits, and says what it cannot train on."""

from __future__ import annotations

import importlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.federated_jobs.training_sites import QUICK, WINDOW, images, numbered_images, volumes

from fairbank.federated_jobs.aggregation import FedAvg, SiteUpdate
from fairbank.federated_jobs.algorithms.errors import (
    AlgorithmParametersRefused,
    BatchTooSmall,
    LabelsMissing,
    ModelUnfit,
)
from fairbank.federated_jobs.algorithms.registry import (
    algorithm_digest,
    algorithm_entry,
    algorithm_parameters,
)
from fairbank.federated_jobs.algorithms.weights import read_weights, write_weights
from fairbank.federated_jobs.node.sandbox import Sandbox
from fairbank.federated_jobs.node.sandbox_policy import MIB, JobFolder, SandboxPolicy
from fairbank.federated_jobs.node.worker_client import JobWorker
from fairbank.federated_jobs.node.worker_protocol import JobKind
from fairbank.federated_jobs.release_check import Wish
from fairbank.release.tensors import problems

session_module = pytest.importorskip(
    "fairbank.federated_jobs.algorithms.session", reason="needs the extra 'train'"
)
samples_module = pytest.importorskip("fairbank.federated_jobs.algorithms.samples")
TrainingSession = session_module.TrainingSession
SampleSet, SiteSamples = samples_module.SampleSet, samples_module.SiteSamples

WORDS = ["yes", "no"] * 6
CLASSIFY = {**QUICK, "network": "lenet", "local_epochs": 3, "optimizer": "adam", "learning_rate": "0.005"}
REGRESS = {
    **QUICK,
    "network": "linear",
    "label": "clinical_value",
    "offset": "-100",
    "scale": "400",
    "batch_size": 16,
    "local_epochs": 40,
    "learning_rate": "0.005",
}
SEGMENT = {
    "structures": ["Lung"],
    "window": WINDOW,
    "patch_size": 8,
    "patches_per_image": 2,
    "channels": [4, 8],
    "strides": [2],
    "residual_units": 0,
    "local_epochs": 6,
    "learning_rate": "0.02",
}
LINEAR = {"window": WINDOW, "image_size": 8, "local_epochs": 3}


def opened(
    folder: JobFolder,
    name: str,
    parameters: dict[str, Any],
    *,
    site: str = "a",
    rounds: int = 3,
    **training: Any,
) -> Any:
    return TrainingSession.open(
        name=name,
        digest=algorithm_digest(name),
        parameters=parameters,
        job_seed="42",
        site=site,
        inputs=folder.inputs,
        scratch=folder.scratch,
        training=training or None,
        rounds=rounds,
    )


def averaged(
    sessions: dict[str, Any], folders: dict[str, JobFolder], into: Path, *, rounds: int
) -> list[Any]:
    """Run rounds of FedAvg; return the results of each round."""
    weights, told = None, []
    for number in range(1, rounds + 1):
        results = {site: s.train(number, weights, previous=number - 1) for site, s in sessions.items()}
        updates = [SiteUpdate(s, folders[s].scratch / r.file, r.n_train) for s, r in results.items()]
        weights = FedAvg().reduce(updates, into=into, max_bytes=64 * MIB).file
        told.append(results)
    return told


def made(kind: str, folder: Path, seed: int) -> JobFolder:
    if kind in ("classification", "sklearn-sgd"):
        return images(folder, WORDS, seed=seed)
    if kind == "regression":
        return numbered_images(folder, [32.0 * n - 90.0 for n in range(12)], seed=seed)
    return volumes(folder, 5, seed=seed)


@pytest.mark.parametrize(
    ("name", "parameters", "metric", "least", "most"),
    [
        ("classification", CLASSIFY, "accuracy", 0.99, 1.0),
        ("regression", REGRESS, "mae", 0.0, 10.0),
        ("segmentation", SEGMENT, "dice", 0.8, 1.0),
        ("sklearn-sgd", LINEAR, "accuracy", 0.99, 1.0),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_two_sites_learn_together_to_the_same_bits(
    tmp_path: Path, name: str, parameters: dict[str, Any], metric: str, least: float, most: float
) -> None:
    folders = {site: made(name, tmp_path / site, seed) for seed, site in enumerate("ab")}
    runs = []
    for run in range(2):
        for old in (file for folder in folders.values() for file in folder.scratch.iterdir()):
            old.unlink()
        sessions = {site: opened(folder, name, parameters, site=site) for site, folder in folders.items()}
        runs.append(averaged(sessions, folders, tmp_path / f"global-{run}", rounds=3))
    assert (tmp_path / "global-0").read_bytes() == (tmp_path / "global-1").read_bytes()
    first, last = runs[0][0], runs[0][-1]
    for site in "ab":
        assert least <= last[site].after[metric] <= most
        assert last[site].after["loss"] < first[site].before["loss"]
        assert last[site].n_steps > 0


@pytest.mark.parametrize(
    ("name", "parameters", "shape"),
    [
        ("classification", {"network": "linear", "dimensions": 3, "image_size": 8}, (2, 512)),
        (
            "classification",
            {"network": "linear", "dimensions": 3, "image_size": 8, "spacing_mm": "2"},
            (2, 512),
        ),
        (
            "segmentation",
            {**SEGMENT, "dimensions": 2, "local_epochs": 1, "slices_per_series": 2},
            (4, 1, 3, 3),
        ),
        ("segmentation", {**SEGMENT, "spacing_mm": "1.5", "local_epochs": 1}, (4, 1, 3, 3, 3)),
        (
            "sklearn-sgd",
            {"task": "regressor", "features": "intensity", "window": WINDOW, "scale": "400"},
            (7,),
        ),
        ("sklearn-sgd", {"classes": ["yes", "no", "perhaps"], "image_size": 4}, (3, 16)),
    ],
    ids=["volumes", "cubes", "slices", "masks-on-cubes", "intensities", "three-classes"],
)
def test_images_come_in_the_form_that_is_asked_for(
    tmp_path: Path, name: str, parameters: dict[str, Any], shape: tuple[int, ...]
) -> None:
    if parameters.get("task") == "regressor":
        folder = numbered_images(tmp_path, [10.0, 60.0, 110.0, 160.0])
    else:
        folder = volumes(tmp_path, 4)
    session = opened(
        folder, name, {"batch_size": 4, **parameters} if name == "classification" else parameters
    )
    result = session.train(1, None, previous=0)
    weights = read_weights(folder.scratch / result.file)
    assert shape in {array.shape for array in weights.values()}
    assert result.n_train == (6 if parameters.get("dimensions") == 2 else 3)
    assert np.isfinite(result.after["loss"])


class TestWhatIsTrained:
    def test_counts_are_of_samples_steps_and_subjects(self, tmp_path: Path) -> None:
        folder = images(tmp_path, [*WORDS, None, "perhaps"])
        result = opened(folder, "classification", CLASSIFY).train(1, None, previous=0)
        assert (result.n_train, result.n_heldout) == (10, 2)
        assert result.n_steps == 3 * 3
        assert (result.subjects, result.unlabelled) == ((12, 2), 2)

    def test_metrics_by_group_count_subjects(self, tmp_path: Path) -> None:
        folder = images(tmp_path, WORDS, facts={"age_band": "40-44"})
        session = opened(folder, "classification", CLASSIFY)
        result = session.train(1, None, previous=0, grouped=True)
        groups = result.groups
        assert sum(row["n_subjects"] for row in groups["sex"].values()) == result.n_heldout
        assert set(groups["age_band"]) == {"40-44"}
        assert groups["age_band"]["40-44"]["accuracy"] == pytest.approx(result.after["accuracy"])
        assert set(groups["manufacturer"]) == {"Siemens"}
        # For the gate: of the model that the round started from, with whose they are, in wide bands.
        told = result.by_group
        assert set(told.kinds["age_band"]) == {"40-59"} and set(told.kinds["sex"]) == set(groups["sex"])
        whole = told.kinds["age_band"]["40-59"]
        assert len(whole.subjects) == result.n_heldout == sum(map(len, told.classes))
        assert result.classes == [len(each) for each in told.classes]
        assert whole.metrics["accuracy"] == pytest.approx(result.before["accuracy"])
        assert (
            session.evaluate(None, grouped=True).by_group == told
            and not session.evaluate(None).by_group.kinds
        )
        # Of this handful only copies are told, and only where the job asks.
        checked = session.evaluate(None, release_check=Wish()).metrics
        assert set(checked) - set(session.evaluate(None).metrics) == {"release_copy"}

    def test_a_site_without_labels_says_so(self, tmp_path: Path) -> None:
        with pytest.raises(LabelsMissing, match="no usable label"):
            opened(images(tmp_path, [None, None]), "classification", CLASSIFY)
        with pytest.raises(LabelsMissing):
            opened(volumes(tmp_path / "v", 2, without=2), "segmentation", SEGMENT)

    def test_a_site_with_one_class_goes_on_without_auroc(self, tmp_path: Path) -> None:
        result = opened(images(tmp_path, ["yes"] * 4), "classification", CLASSIFY).train(1, None, previous=0)
        assert result.after["accuracy"] == 1.0
        assert "auroc" not in result.after and "specificity" not in result.after

    def test_a_single_subject_is_trained_on_and_nothing_is_held_out(self, tmp_path: Path) -> None:
        result = opened(images(tmp_path, ["yes"]), "classification", CLASSIFY).train(1, None, previous=0)
        assert (result.n_train, result.n_heldout, result.after) == (1, 0, {})

    def test_batch_normalisation_of_one_sample_is_refused(self, tmp_path: Path) -> None:
        parameters = {**SEGMENT, "norm": "batch", "patches_per_image": 1}
        with pytest.raises(BatchTooSmall):
            opened(volumes(tmp_path, 2), "segmentation", parameters)
        with pytest.raises(AlgorithmParametersRefused, match="batch_size"):
            algorithm_parameters("segmentation", {**parameters, "batch_size": 1})

    def test_a_last_batch_of_one_is_left_out_where_batches_are_normalised(self, tmp_path: Path) -> None:
        parameters = {**SEGMENT, "norm": "batch", "patches_per_image": 1, "local_epochs": 1}
        result = opened(volumes(tmp_path, 4), "segmentation", parameters).train(1, None, previous=0)
        assert (result.n_train, result.n_steps) == (3, 1)

    def test_a_foreign_model_is_refused(self, tmp_path: Path) -> None:
        write_weights({"w": np.zeros(3, dtype=np.float32)}, tmp_path / "other")
        session = opened(images(tmp_path / "a", WORDS), "classification", CLASSIFY)
        with pytest.raises(ModelUnfit):
            session.train(1, tmp_path / "other", previous=0)

    def test_frozen_layers_stay_as_they_were(self, tmp_path: Path) -> None:
        folder = images(tmp_path, WORDS)
        session = opened(folder, "classification", CLASSIFY, frozen=["conv*"])
        start = session._algorithm.initial_weights()
        trained = read_weights(folder.scratch / session.train(1, None, previous=0).file)
        same = {name for name, array in trained.items() if np.array_equal(array, start[name])}
        assert same == {name for name in start if name.startswith("conv")}
        with pytest.raises(AlgorithmParametersRefused, match="No layer"):
            opened(folder, "classification", CLASSIFY, frozen=["*"])

    @pytest.mark.parametrize("state", ["keep", "average"])
    def test_an_optimizer_that_lives_on_does_so_over_a_restart(self, tmp_path: Path, state: str) -> None:
        folder = images(tmp_path, WORDS)
        parameters = {**CLASSIFY, "optimizer_state": state, "local_epochs": 1}
        alive = opened(folder, "classification", parameters)
        first = alive.train(1, None, previous=0)
        start = tmp_path / "global"
        start.write_bytes((folder.scratch / first.file).read_bytes())
        beside = [name for name in read_weights(start) if name.startswith("optimizer.")]
        assert bool(beside) == (state == "average")
        second = alive.train(2, start, previous=1)
        again = opened(folder, "classification", parameters).train(2, start, previous=1)
        anew = opened(folder, "classification", {**parameters, "optimizer_state": "reset"})
        assert second.digest == again.digest
        if state == "keep":
            assert anew.train(2, start, previous=0).digest != second.digest

    def test_images_that_are_not_kept_in_memory_give_the_same_bits(self, tmp_path: Path) -> None:
        folder = images(tmp_path, WORDS)
        changed = {**CLASSIFY, "augmentation": {"flip": "0.5", "noise_sd": "0.1", "rotate_degrees": "10"}}
        kept, read = (
            opened(folder, "classification", {**changed, "max_cached_images": most}).train(
                1, None, previous=0
            )
            for most in (100, 3)
        )
        assert kept.digest == read.digest
        plain = opened(folder, "classification", CLASSIFY).train(1, None, previous=0)
        assert plain.digest != kept.digest

    def test_steps_can_be_counted_in_place_of_passes(self, tmp_path: Path) -> None:
        parameters = {**CLASSIFY, "local_steps": 7}
        assert (
            opened(images(tmp_path, WORDS), "classification", parameters).train(1, None, previous=0).n_steps
            == 7
        )


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("classification", {"classes": ["yes", "yes"]}, "same word"),
        ("classification", {"network": "mnist-cnn", "image_size": 32}, "28"),
        ("classification", {"network": "densenet121", "image_size": 48}, "64"),
        ("classification", {"network": "lenet", "dimensions": 3}, "slices"),
        (
            "classification",
            {"network": "resnet18", "image_size": 32, "norm": "batch", "batch_size": 1},
            "batch_size",
        ),
        ("classification", {"label": "PatientID"}, "label"),
        ("classification", {"learning_rate": "11"}, "learning_rate"),
        ("segmentation", {"patch_size": 30}, "multiple"),
        ("segmentation", {"channels": [8]}, "channels"),
        ("segmentation", {"window": {"low": "5", "high": "1"}}, "window"),
        ("classification", {"standardise": {"mean": "0.5", "sd": "0"}}, "standardise"),
        ("sklearn-sgd", {"loss": "squared_error"}, "classifier"),
        ("regression", {"classes": ["a", "b"]}, "classes"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_parameters_that_cannot_be_are_refused(name: str, values: dict[str, Any], said: str) -> None:
    with pytest.raises(AlgorithmParametersRefused, match=said):
        algorithm_parameters(name, values)


@pytest.mark.parametrize(
    ("parameters", "weights"),
    [
        ({"network": "mnist-cnn", "classes": [str(digit) for digit in range(10)]}, 1_199_882),
        ({"network": "small-cnn"}, 14_274),
        ({"network": "small-cnn", "dimensions": 3}, 42_210),
        ({"network": "resnet18", "image_size": 64}, 11_171_266),
        pytest.param({"network": "densenet121", "image_size": 64}, 6_949_634, marks=pytest.mark.long),
    ],
    ids=["mnist-cnn", "small-cnn", "small-cnn in 3-D", "resnet18", "densenet121"],
)
def test_networks_have_the_weights_that_they_are_known_for(parameters: dict[str, Any], weights: int) -> None:
    from fairbank.federated_jobs.algorithms.networks import image_network

    checked = algorithm_parameters("classification", parameters)
    network = image_network(checked, len(checked.classes))
    assert sum(parameter.numel() for parameter in network.parameters()) == weights


@pytest.mark.parametrize("norm", ["instance", "group", "batch"])
def test_a_network_normalises_as_it_is_asked_to(norm: str) -> None:
    from fairbank.federated_jobs.algorithms.networks import batch_norms, image_network

    checked = algorithm_parameters("classification", {"network": "resnet18", "image_size": 64, "norm": norm})
    network = image_network(checked, 2)
    assert len(batch_norms(network)) == (20 if norm == "batch" else 0)
    assert {name for name in network.state_dict() if name.endswith("weight")} >= {"bn1.weight", "fc.weight"}


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("classification", {"network": "lenet", "optimizer": "adam", "optimizer_state": "average"}),
        ("classification", {"network": "resnet18", "image_size": 32, "norm": "batch"}),
        (
            "segmentation",
            {"structures": ["Lung"], "channels": [4, 8, 8, 8], "strides": [2, 2, 2], "norm": "batch"},
        ),
    ],
    ids=["lenet", "resnet18", "unet"],
)
def test_the_gate_lets_the_names_of_all_networks_pass(
    tmp_path: Path, name: str, parameters: dict[str, Any]
) -> None:
    from fairbank.federated_jobs.algorithms.interface import SiteTask

    algorithm = importlib.import_module(algorithm_entry(name).module).ALGORITHM()
    algorithm.samples = lambda task: SiteSamples(SampleSet(()), SampleSet(()), 0, 0, 0, 0)
    with suppress(BatchTooSmall):
        algorithm.begin(SiteTask(algorithm_parameters(name, parameters), (), "1", "a"))
    write_weights(algorithm.initial_weights(), tmp_path / "update")
    assert problems(tmp_path / "update", None) == []


@pytest.mark.parametrize(("name", "read"), [("regression", "labelled_images"), ("segmentation", "masks")])
def test_grey_values_are_standardised_where_a_job_says_how(tmp_path: Path, name: str, read: str) -> None:
    from fairbank.analysis.staged import read_staged

    staged = numbered_images(tmp_path, [60.0]) if name == "regression" else volumes(tmp_path, 1)
    series = read_staged(staged.inputs)[0]
    module = importlib.import_module(f"fairbank.federated_jobs.algorithms.{read}")
    more = [lambda one: samples_module.torch.zeros(1)] if name == "regression" else []

    def grey(**asked: Any) -> Any:
        own = REGRESS if name == "regression" else SEGMENT
        return module.read_series(series, algorithm_parameters(name, {**own, **asked}), *more)[0].image

    as_it_is = grey()
    changed = grey(standardise={"mean": "0.25", "sd": "0.5"})
    assert samples_module.torch.allclose(changed * 0.5 + 0.25, as_it_is, atol=1e-6)
    assert 0 <= float(as_it_is.min()) < float(as_it_is.max()) <= 1 and changed.dtype == as_it_is.dtype


def test_lists_and_objects_can_be_given_as_one_text() -> None:
    values = {"classes": "ill,healthy", "window": '{"low": "-100", "high": "300"}'}
    checked = algorithm_parameters("classification", values)
    assert checked.classes == ("ill", "healthy") and checked.window.high == 300
    assert algorithm_parameters("segmentation", {"channels": "8,16", "strides": 2}).channels == (8, 16)


@pytest.mark.sandbox
@pytest.mark.skipif(not Path("/usr/bin/bwrap").exists(), reason="bubblewrap is not installed")
def test_a_template_trains_in_the_sandbox_to_the_bits_that_it_has_outside(tmp_path: Path) -> None:
    folder = images(tmp_path / "a", WORDS)
    training = {"local_step": {"name": "fedprox", "options": {"mu": "0.1"}}, "frozen": ["conv1.*"]}
    key = tmp_path / "node.key"
    key.write_text("secret")
    digest = algorithm_digest("classification")
    with JobWorker.start(Sandbox(SandboxPolicy(), node_key=key), folder, kind=JobKind.TRAINING) as worker:
        series = worker.prepare_training(
            "classification",
            digest=digest,
            parameters=CLASSIFY,
            job_seed="42",
            site="a",
            training=training,
            rounds=3,
        )
        inside = worker.train_round(
            1, None, to=tmp_path / "update", max_bytes=8 * MIB, timeout_s=120, grouped=True
        )
    outside = opened(images(tmp_path / "b", WORDS), "classification", CLASSIFY, **training)
    expected = outside.train(1, None, previous=0, grouped=True)
    assert series == 12
    assert (inside.digest, inside.n_steps, inside.after) == (expected.digest, 9, expected.after)
    assert inside.groups == expected.groups and inside.by_group == expected.by_group
