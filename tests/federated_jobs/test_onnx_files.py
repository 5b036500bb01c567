"""A model as ONNX computes the same as in PyTorch, or is not written."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fairbank.federated_jobs.algorithms.weights import write_weights
from fairbank.federated_jobs.training_errors import NoOnnx, OnnxDiffers
from fairbank.signing import file_digest

pytest.importorskip("torch", reason="needs the extra 'train'")
pytest.importorskip("onnxruntime", reason="needs the extra 'onnx'")
onnx_files = pytest.importorskip("fairbank.federated_jobs.algorithms.onnx_files")

AUTOENCODER = "slice-autoencoder"
SMALL = {"image_size": 16, "width": 2, "levels": 2}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    from fairbank.federated_jobs.algorithms.registry import algorithm_parameters
    from fairbank.federated_jobs.algorithms.slice_autoencoder import SliceAutoencoder

    network = SliceAutoencoder().network(algorithm_parameters(AUTOENCODER, SMALL))
    file = tmp_path_factory.mktemp("model") / "model.safetensors"
    held = {name: value.numpy() for name, value in network.state_dict().items()}
    write_weights({**held, "control.x": np.ones(3, dtype=np.float32)}, file)
    return file


def test_a_model_is_written_with_the_figures_of_its_check(weights, tmp_path):
    check = onnx_files.write_onnx(AUTOENCODER, SMALL, weights, tmp_path / "model.onnx")
    assert 0 <= check.largest <= 1e-4 and check.inputs == 3
    figures = json.loads((tmp_path / "model.onnx.check.json").read_text())
    assert figures["file"] == file_digest(tmp_path / "model.onnx")
    assert figures["weights"] == file_digest(weights)


def test_a_model_that_computes_something_else_is_not_written(weights, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_files, "_difference", lambda *given: 2e-4)
    with pytest.raises(OnnxDiffers, match=r"2e-04|0\.0002"):
        onnx_files.write_onnx(AUTOENCODER, SMALL, weights, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_weights_of_another_network_and_an_algorithm_without_one_are_refused(weights, tmp_path):
    with pytest.raises(NoOnnx, match="not those of its network"):
        onnx_files.write_onnx(AUTOENCODER, {**SMALL, "levels": 3}, weights, tmp_path / "model.onnx")
    with pytest.raises(NoOnnx, match="cannot be written"):
        onnx_files.write_onnx("noop", {}, weights, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []
