"""What a site looks for in a model before it trains on it; honest ones pass, fresh and trained."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from tests.federated_jobs.training_sites import QUICK, SIZE, images, volumes

from fairbank.federated_jobs.algorithms.errors import GradientsDead
from fairbank.federated_jobs.algorithms.registry import algorithm_digest
from fairbank.federated_jobs.algorithms.session import TrainingSession
from fairbank.federated_jobs.node.model_review import keep_form, kept_form, review_model
from fairbank.federated_jobs.training_errors import ModelRefused

Model = dict[str, NDArray[Any]]
CONV = {"conv.weight": np.random.default_rng(1).normal(size=(8, 1, 3, 3)).astype(np.float32)}
WORDS = ("yes", "no") * 8


def judged(model: Model, tmp_path: Path, approved: Model | None = None) -> str:
    """Return why a model is refused, nothing if it is not."""
    save_file({name: np.ascontiguousarray(each) for name, each in model.items()}, tmp_path / "model")
    form = None
    if approved is not None:
        save_file(approved, tmp_path / "approved")
        form = review_model(tmp_path / "approved", approved=None)
    try:
        review_model(tmp_path / "model", approved=form)
    except ModelRefused as err:
        assert err.reason.value == "model_refused"
        return err.why
    return ""


def linear(rows: int = 64, columns: int = 256, *, seed: int = 2) -> Model:
    chance = np.random.default_rng(seed)
    return CONV | {
        "fc.weight": chance.uniform(-0.1, 0.1, (rows, columns)).astype(np.float32),
        "fc.bias": chance.uniform(-0.1, 0.1, rows).astype(np.float32),
    }


def imprint(kind: str) -> Model:
    """Return a layer whose rows ask all the same of an image, with biases at the quantiles of the answer."""
    chance = np.random.default_rng(3)
    model = linear()
    rows = np.tile(chance.normal(size=256), (64, 1))
    match kind:
        case "signs":
            rows *= chance.choice([-1.0, 1.0], (64, 1))
        case "lengths":
            rows *= chance.uniform(0.1, 10, (64, 1))
        case "half of the rows":
            rows[32:] = model["fc.weight"][32:]
        case "a fifth of the rows":
            rows[13:] = model["fc.weight"][13:]
            rows = chance.permutation(rows)
        case "noise":
            rows += chance.normal(size=rows.shape) * 0.1
        case "few pixels":
            rows[:, 4:] = 0
    return model | {
        "fc.weight": rows.astype(np.float32),
        "fc.bias": np.linspace(-2, 2, 64, dtype=np.float32),
    }


@pytest.mark.parametrize(
    "kind", ["plain", "signs", "lengths", "half of the rows", "a fifth of the rows", "noise", "few pixels"]
)
def test_a_layer_that_imprints_is_refused_by_the_name_of_its_tensor(tmp_path: Path, kind: str) -> None:
    assert judged(linear(), tmp_path) == ""
    assert "'fc.weight'" in judged(imprint(kind), tmp_path)


def test_a_convolution_that_repeats_one_kernel_is_refused(tmp_path: Path) -> None:
    kernel = np.random.default_rng(4).normal(size=(1, 3, 3, 3))
    repeated = {"conv.weight": np.tile(kernel, (16, 1, 1, 1)).astype(np.float32)}
    assert "'conv.weight'" in judged(repeated, tmp_path)


def test_a_first_layer_that_is_linear_on_pixels_is_refused(tmp_path: Path) -> None:
    pixels = {name: each for name, each in linear().items() if name != "conv.weight"}
    assert "pixels" in judged(pixels, tmp_path)
    two = {"fc.weight": pixels["fc.weight"][:2], "fc.bias": pixels["fc.bias"][:2]}
    assert judged(two, tmp_path) == ""


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e7])
def test_values_that_no_training_makes_are_refused(tmp_path: Path, value: float) -> None:
    model = linear()
    model["fc.bias"][-1] = value
    assert "'fc.bias'" in judged(model, tmp_path)


@pytest.mark.parametrize("how", ["another name", "another shape", "another type", "one more", "one less"])
def test_a_model_of_another_form_than_the_approved_one_is_refused(tmp_path: Path, how: str) -> None:
    model = linear()
    weight = model.pop("fc.weight")
    match how:
        case "another name":
            model["fc2.weight"] = weight
        case "another shape":
            model["fc.weight"] = weight[:, :255]
        case "another type":
            model["fc.weight"] = weight.astype(np.float64)
        case "one more":
            model |= {"fc.weight": weight, "extra": weight}
    assert "another form" in judged(model, tmp_path, approved=linear())


def test_what_travels_beside_the_model_is_no_part_of_its_form(tmp_path: Path) -> None:
    beside = {"control.fc.weight": np.zeros((64, 256), np.float32)}
    assert judged(linear() | beside, tmp_path, approved=linear()) == ""


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"no model")
    with pytest.raises(ModelRefused):
        review_model(tmp_path / "model", approved=None)


def test_the_approved_form_outlives_the_node(tmp_path: Path) -> None:
    save_file(linear(), tmp_path / "model")
    form = review_model(tmp_path / "model", approved=None)
    assert kept_form(tmp_path / "review" / "form.json") is None
    keep_form(form, tmp_path / "review" / "form.json")
    assert kept_form(tmp_path / "review" / "form.json") == form


# -- no false alarms ------------------------------------------------------------------------------------------------

CLASSIFY: dict[str, Any] = {**QUICK, "classes": ["no", "yes"], "label": "clinical_x", "local_epochs": 4}
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "lenet": ("classification", {**CLASSIFY, "network": "lenet"}),
    "small-cnn": ("classification", {**CLASSIFY, "network": "small-cnn"}),
    "linear": ("classification", {**CLASSIFY, "network": "linear"}),
    "mnist-cnn": ("classification", {**CLASSIFY, "network": "mnist-cnn", "image_size": 28}),
    "resnet18": (
        "classification",
        {**CLASSIFY, "network": "resnet18", "image_size": 32, "norm": "group", "local_epochs": 1},
    ),
    "u-net": (
        "segmentation",
        {
            "structures": ["Lung"],
            "patch_size": 8,
            "window": QUICK["window"],
            "channels": [4, 8],
            "strides": [2],
            "local_epochs": 1,
        },
    ),
    "autoencoder": ("slice-autoencoder", {"image_size": SIZE, "width": 4, "levels": 2, "local_epochs": 4}),
}


def opened(name: str, parameters: dict[str, Any], made: Callable[[], Any]) -> tuple[TrainingSession, Path]:
    folder = made()
    folder.create()
    session = TrainingSession.open(
        name=name,
        digest=algorithm_digest(name),
        parameters=parameters,
        job_seed="1",
        site="east",
        inputs=folder.inputs,
        scratch=folder.scratch,
    )
    return session, folder.scratch


# These two take longer than all others together.
_LARGE = ("mnist-cnn", "resnet18")


@pytest.mark.parametrize(
    "network", [pytest.param(name, marks=[pytest.mark.long] * (name in _LARGE)) for name in NETWORKS]
)
def test_our_networks_pass_fresh_and_trained(tmp_path: Path, network: str) -> None:
    name, parameters = NETWORKS[network]
    made = (lambda: volumes(tmp_path, 10)) if name == "segmentation" else (lambda: images(tmp_path, WORDS))
    session, scratch = opened(name, parameters, made)
    form = review_model(scratch / session.initial().file, approved=None)
    first = scratch / session.train(1, None, previous=0).file
    assert review_model(first, approved=form) == form
    kept = tmp_path / "kept"
    kept.write_bytes(first.read_bytes())
    session.train(2, kept, previous=1)


def test_a_model_that_is_dead_for_a_site_s_images_is_refused_before_a_step(tmp_path: Path) -> None:
    session, scratch = opened("classification", CLASSIFY, lambda: images(tmp_path, WORDS))
    model = load_file(scratch / session.initial().file)
    for name in ("fc1.bias", "conv2.bias"):
        dead = model | {name: np.full_like(model[name], -50.0)}
        save_file(dead, tmp_path / "dead")
        assert judged(dead, tmp_path) == ""
        with pytest.raises(GradientsDead):
            session.train(1, tmp_path / "dead", previous=0)
    assert not list(scratch.glob("update-*")) and os.listdir(scratch)


def test_looking_at_a_model_changes_nothing_of_what_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fairbank.federated_jobs.algorithms.trainer import NetworkTrainer

    first, _ = opened("classification", CLASSIFY, lambda: images(tmp_path / "a", WORDS))
    looked_at = first.train(1, None, previous=0).digest
    monkeypatch.setattr(NetworkTrainer, "dead_share", lambda self, data: 0.0)
    second, _ = opened("classification", CLASSIFY, lambda: images(tmp_path / "b", WORDS))
    assert second.train(1, None, previous=0).digest == looked_at
