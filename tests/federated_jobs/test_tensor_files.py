"""Safetensors files in pieces: the library's own bytes, and what is broken is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from fairbank.federated_jobs.algorithms.errors import UpdateUnfit
from fairbank.federated_jobs.tensor_files import (
    PIECE,
    TensorFile,
    TensorWriter,
    form_of,
    form_of_array,
    pieces,
)

TENSORS = {
    "b.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "a": np.ones((), dtype=np.int64),
    "z": np.array([True, False]),
    "half": np.arange(3, dtype=np.float16),
    "wide": np.arange(3, dtype=np.float64),
    "bytes": np.arange(5, dtype=np.uint8),
    "signed": np.arange(5, dtype=np.int8),
    "places": np.arange(4, dtype=np.uint32),
    "whole": np.arange(4, dtype=np.int32),
    "short": np.arange(4, dtype=np.int16),
    "long": np.arange(PIECE + 7, dtype=np.float32),
}


def written(folder: Path) -> Path:
    path = folder / "model.safetensors"
    form = [form_of_array(name, array) for name, array in TENSORS.items()]
    with TensorWriter(path, form) as writer:
        for tensor in form:
            flat = TENSORS[tensor.name].reshape(-1)
            for start, stop in reversed(list(pieces(tensor.size))):
                writer.write(tensor.name, start, flat[start:stop])
        writer.finish()
    return path


def test_a_file_written_in_pieces_has_the_bytes_of_the_library(tmp_path: Path) -> None:
    # The library pads with its own order of types; equal digests are what lets sites and hub compare models.
    assert written(tmp_path).read_bytes() == save({name: TENSORS[name] for name in sorted(TENSORS)})


def test_pieces_of_a_file_are_the_tensors(tmp_path: Path) -> None:
    with TensorFile(written(tmp_path)) as opened:
        for name, array in TENSORS.items():
            np.testing.assert_array_equal(opened.whole(name), array)
        np.testing.assert_array_equal(
            opened.piece("long", PIECE - 2, PIECE + 2), TENSORS["long"][PIECE - 2 : PIECE + 2]
        )
    assert [tensor.name for tensor in form_of(tmp_path / "model.safetensors")] == sorted(TENSORS)


def test_a_file_that_is_not_finished_has_no_name(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    with TensorWriter(path, [form_of_array("a", TENSORS["a"])]):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("body", [b"", b"\x80\x04\x95pickle", b"\xff" * 40, b"\x10" + b"\0" * 7 + b"{" * 16])
def test_what_is_no_safetensors_file_is_refused(tmp_path: Path, body: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(body)
    with pytest.raises(UpdateUnfit):
        TensorFile(path)


def test_a_file_that_was_cut_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(UpdateUnfit):
        TensorFile(path)
