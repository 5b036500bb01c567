"""Merging updates: the mean, the same bits in any order, and what is refused."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from fairbank.federated_jobs.aggregation import (
    FedAvg,
    check_update,
    describe_update,
)
from fairbank.federated_jobs.aggregators.stack import SiteUpdate
from fairbank.federated_jobs.algorithms.errors import NothingToAggregate, UpdateUnfit
from fairbank.federated_jobs.algorithms.weights import digest_of_file, read_weights, write_weights

LIMIT = 1 << 24


def update(folder: Path, site: str, n: int, **weights: np.ndarray) -> SiteUpdate:
    file = folder / f"{site}.safetensors"
    write_weights(weights, file)
    return SiteUpdate(site, file, n)


def random_updates(folder: Path, seed: int, sites: int) -> list[SiteUpdate]:
    rng = np.random.default_rng(seed)
    return [
        update(
            folder,
            f"site-{i}",
            int(rng.integers(1, 500)),
            w=rng.standard_normal((7, 3), dtype=np.float32),
            b=rng.standard_normal(5, dtype=np.float32),
        )
        for i in range(sites)
    ]


def test_the_mean_is_weighted_by_samples(tmp_path: Path) -> None:
    updates = [
        update(tmp_path, "a", 1, w=np.array([0.0, 4.0], dtype=np.float32)),
        update(tmp_path, "b", 3, w=np.array([4.0, 0.0], dtype=np.float32)),
    ]
    merged = FedAvg().reduce(updates, into=tmp_path / "merged", max_bytes=LIMIT)
    np.testing.assert_array_equal(read_weights(merged.file)["w"], np.array([3.0, 1.0], dtype=np.float32))
    assert (merged.sites, merged.n_samples) == (("a", "b"), 4)
    assert merged.digest == digest_of_file(merged.file)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), sites=st.integers(1, 6), order=st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_change_a_bit(
    tmp_path_factory: pytest.TempPathFactory, seed: int, sites: int, order: object
) -> None:
    folder = tmp_path_factory.mktemp("updates")
    updates = random_updates(folder, seed, sites)
    first = FedAvg().reduce(updates, into=folder / "first", max_bytes=LIMIT)
    order.shuffle(updates)  # type: ignore[attr-defined]
    second = FedAvg().reduce(updates, into=folder / "second", max_bytes=LIMIT)
    assert first.digest == second.digest


def test_the_mean_agrees_with_numpys_average(tmp_path: Path) -> None:
    updates = random_updates(tmp_path, 1, 4)
    merged = read_weights(FedAvg().reduce(updates, into=tmp_path / "m", max_bytes=LIMIT).file)
    expected = np.average(
        [read_weights(u.file)["w"].astype(np.float64) for u in updates],
        axis=0,
        weights=[u.n_samples for u in updates],
    )
    np.testing.assert_allclose(merged["w"], expected, rtol=1e-6)
    assert merged["w"].dtype == np.float32


def test_counters_are_rounded_and_truth_values_copied(tmp_path: Path) -> None:
    updates = [
        update(tmp_path, "a", 1, steps=np.array([10]), flag=np.array([True, False])),
        update(tmp_path, "b", 2, steps=np.array([11]), flag=np.array([True, False])),
    ]
    merged = read_weights(FedAvg().reduce(updates, into=tmp_path / "m", max_bytes=LIMIT).file)
    assert merged["steps"].tolist() == [11]
    assert merged["steps"].dtype == np.int64
    assert merged["flag"].tolist() == [True, False]


def test_memory_does_not_grow_with_the_number_of_sites(tmp_path: Path) -> None:
    tensor_bytes = 4 << 20
    layers = {f"layer{i}": np.full(tensor_bytes // 4, 0.5, dtype=np.float32) for i in range(4)}

    def peak(sites: int) -> int:
        updates = [update(tmp_path, f"site{i}", 1, **layers) for i in range(sites)]
        tracemalloc.start()
        FedAvg().reduce(updates, into=tmp_path / "merged", max_bytes=1 << 26)
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    assert peak(8) < peak(2) + tensor_bytes


@pytest.mark.parametrize(
    ("weights", "fault"),
    [
        ({"v": np.zeros(2, dtype=np.float32)}, "missing"),
        ({"w": np.zeros(3, dtype=np.float32)}, "Shape or type"),
        ({"w": np.zeros(2, dtype=np.float64)}, "Shape or type"),
        ({"w": np.array([1.0, np.nan], dtype=np.float32)}, "finite"),
        ({"w": np.array([1.0, np.inf], dtype=np.float32)}, "finite"),
        ({"w": np.zeros(2, dtype=np.complex64)}, "type"),
    ],
    ids=["keys", "shape", "dtype", "nan", "infinite", "complex"],
)
def test_an_unfit_update_is_refused(tmp_path: Path, weights: dict[str, np.ndarray], fault: str) -> None:
    good = update(tmp_path, "a", 1, w=np.zeros(2, dtype=np.float32))
    try:
        bad = update(tmp_path, "b", 1, **weights)
    except Exception:
        pytest.skip("safetensors writes no such type")
    with pytest.raises(UpdateUnfit, match=fault):
        FedAvg().reduce([good, bad], into=tmp_path / "m", max_bytes=LIMIT)


def test_an_update_that_is_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    big = update(tmp_path, "a", 1, w=np.zeros(1000, dtype=np.float32))
    with pytest.raises(UpdateUnfit, match="allowed"):
        check_update(big.file, max_bytes=1000)


@pytest.mark.parametrize("body", [b"", b"\x80\x04pickle", b"\xff" * 64])
def test_what_is_no_safetensors_file_is_refused(tmp_path: Path, body: bytes) -> None:
    file = tmp_path / "update"
    file.write_bytes(body)
    with pytest.raises(UpdateUnfit):
        check_update(file, max_bytes=LIMIT)


def test_other_bytes_than_announced_are_refused(tmp_path: Path) -> None:
    one = update(tmp_path, "a", 1, w=np.zeros(2, dtype=np.float32))
    with pytest.raises(UpdateUnfit, match="digest"):
        check_update(one.file, max_bytes=LIMIT, digest="sha256:" + "0" * 64)


def test_nothing_and_doubles_and_zero_samples_are_refused(tmp_path: Path) -> None:
    one = update(tmp_path, "a", 1, w=np.zeros(2, dtype=np.float32))
    with pytest.raises(NothingToAggregate):
        FedAvg().reduce([], into=tmp_path / "m", max_bytes=LIMIT)
    with pytest.raises(UpdateUnfit, match="two updates"):
        FedAvg().reduce([one, one], into=tmp_path / "m", max_bytes=LIMIT)
    with pytest.raises(UpdateUnfit, match="samples"):
        FedAvg().reduce([SiteUpdate("a", one.file, 0)], into=tmp_path / "m", max_bytes=LIMIT)


def test_a_description_says_what_an_update_is_without_its_values(tmp_path: Path) -> None:
    file = tmp_path / "update"
    save_file({"b": np.array([-3.0], dtype=np.float32), "a": np.zeros((2, 2), dtype=np.float32)}, file)
    described = describe_update(file)
    assert [(t.name, t.dtype, t.shape) for t in described.tensors] == [
        ("a", "F32", (2, 2)),
        ("b", "F32", (1,)),
    ]
    assert (described.parameters, described.finite, described.largest) == (5, True, 3.0)
    assert described.bytes == file.stat().st_size


def test_equal_weights_are_equal_bytes_whatever_their_order(tmp_path: Path) -> None:
    a, b = np.ones(3, dtype=np.float32), np.zeros(2, dtype=np.float32)
    first = write_weights({"a": a, "b": b}, tmp_path / "1")
    second = write_weights({"b": b, "a": a}, tmp_path / "2")
    assert first == second
