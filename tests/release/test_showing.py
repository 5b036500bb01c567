"""What people see of an output before it leaves: tensors in numbers, cells near the limit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from tests.release.test_outbox import result, rows, staged

from fairbank.release.node import Node
from fairbank.release.outbox import Outbox
from fairbank.release.outbox_review import compare
from fairbank.release.showing import near_cells, tables_of
from fairbank.release.tensor_numbers import tensors_of


def test_the_numbers_of_a_tensor_are_those_of_its_values(tmp_path: Path) -> None:
    weights = np.array([[3.0, 0.0], [-4.0, 0.0]], np.float32)
    broken = np.array([1.0, np.nan, np.inf, 2.0], np.float64)
    save_file({"w": weights, "x": broken, "empty": np.zeros(0, np.float32)}, tmp_path / "update", {"a": "b"})
    found = tensors_of(tmp_path / "update")
    assert found is not None and found.notes == (("a", "b"),)
    by_name = {one.name: one for one in found.tensors}
    one = by_name["w"]
    assert (one.norm, one.least, one.most, one.zeros, one.unfit) == (5.0, -4.0, 3.0, 0.5, 0)
    assert (by_name["x"].unfit, by_name["x"].most) == (2, 2.0)
    assert by_name["empty"].norm is None


def test_a_half_precision_tensor_of_the_short_kind_is_read(tmp_path: Path) -> None:
    header = json.dumps({"b": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    values = (np.array([1.5, -2.0], np.float32).view(np.uint32) >> 16).astype("<u2").tobytes()
    (tmp_path / "update").write_bytes(len(header).to_bytes(8, "little") + header + values)
    found = tensors_of(tmp_path / "update")
    assert found is not None and (found.tensors[0].least, found.tensors[0].most) == (-2.0, 1.5)


@pytest.mark.parametrize("content", [b"", b"junk" * 10, (2**40).to_bytes(8, "little"), b"\2\0\0\0\0\0\0\0[]"])
def test_what_is_no_model_has_no_tensors(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "update").write_bytes(content)
    assert tensors_of(tmp_path / "update") is None


def test_plain_numbers_of_subjects_near_the_limit_are_marked_too() -> None:
    tables = tables_of(
        {"rows": [{"group": "a", "n": 12, "mean": 3}, {"group": "b", "n": 400, "mean": 3}]}, 10
    )
    assert near_cells(tables) == 1


def test_a_result_is_compared_with_the_last_of_its_name_that_left(outbox: Outbox, node: Node) -> None:
    first = staged(outbox, node, result(rows(7)))
    assert compare(node, first) is None
    outbox.send(first.id)
    second = staged(outbox, node, result(rows(7, value=2.5), round_=1))
    found = compare(node, second)
    assert found is not None and (found.before, found.version, found.is_cut) == (0, 1, False)
    assert next((one.what, one.before, one.after) for one in found.changes) == (
        "rows / 1 / mean",
        "1.5",
        "2.5",
    )
    assert len(found.changes) == 7
    elsewhere = replace(result(rows(7)), job="01900000-0000-7000-8000-000000000002")
    third = compare(node, staged(outbox, node, elsewhere))
    assert third is not None and third.job == first.job and third.changes == ()
