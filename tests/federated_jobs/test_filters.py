"""Update filters: one suite for every filter and for chains of them, and what each loses."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairbank.federated_jobs.algorithms.errors import UpdateUnfit
from fairbank.federated_jobs.algorithms.weights import read_weights, write_weights
from fairbank.federated_jobs.axes.filters import FILTERS, ShareOptions
from fairbank.federated_jobs.axes.going_together import mix_with, numbers
from fairbank.federated_jobs.axes.local_steps import LocalStepChoice
from fairbank.federated_jobs.axes.validator import check_mix, clashes
from fairbank.federated_jobs.filters.chain import Chain, chain_of_mix, decode_file, plain_form
from fairbank.federated_jobs.filters.errors import FilterRefused
from fairbank.federated_jobs.filters.lengths import norm_of
from fairbank.federated_jobs.filters.sharing import Sharing
from fairbank.federated_jobs.tensor_files import form_of, form_of_array
from fairbank.federated_jobs.training_errors import PlanRefused
from fairbank.ontology.signed_objects import Element, Plan, PlanName, Training

OPTIONS: dict[str, dict[str, object]] = {"clip-norm": {"bound": "0.5"}, "top-k": {"fraction": "0.25"}}
# Filters that change what an update says, and chains that people would use.
CHAINS = [
    *[[name] for name, each in FILTERS.items() if name != "share" and not each.encrypts],
    ["clip-norm", "int8"],
    ["difference", "top-k", "fp16", "zstd"],
    ["top-k", "int8", "zstd"],
    ["clip-norm", "top-k", "sign"],
]


def chain(*names: str, **options: object) -> Chain:
    elements = tuple(
        Element.model_validate({"name": name, "options": {**OPTIONS.get(name, {}), **options}})
        for name in names
    )
    plan = Plan(
        name=PlanName.AGGREGATION,
        aggregator="fedavg",
        quorum=3,
        approval_deadline="2030-01-01T00:00:00.000Z",
    )
    return chain_of_mix(check_mix(plan, Training(filters=elements), sites=3))


def model(seed: int, size: int = 700) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "body.weight": rng.standard_normal((size // 10, 10)).astype(np.float32),
        "body.bias": rng.standard_normal(7).astype(np.float32),
        "bn.weight": rng.standard_normal(4).astype(np.float32),
        "bn.running_var": rng.uniform(1, 2, 4).astype(np.float32),
        "bn.num_batches_tracked": np.array(11, dtype=np.int64),
        "control.body.weight": rng.standard_normal((size // 10, 10)).astype(np.float32),
    }


def stepped(base: dict[str, np.ndarray], seed: int, length: float = 0.01) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        name: (w + length * rng.standard_normal(w.shape)).astype(w.dtype) if w.dtype.kind == "f" else w + 1
        for name, w in base.items()
    }


def drawn(purpose: str) -> np.random.Generator:
    return np.random.default_rng(len(purpose))


def sent_and_back(
    folder: Path,
    filters: Chain,
    update: dict[str, np.ndarray],
    base: dict[str, np.ndarray],
    *,
    with_base: bool = False,
) -> dict[str, np.ndarray]:
    encoded = filters.encode(update, base, {}, drawn)
    carried = {f"base.{name}": w for name, w in base.items() if with_base and not name.startswith("control.")}
    write_weights({**encoded.tensors, **carried}, folder / "wire")
    write_weights(base, folder / "base")
    plain = plain_form(form_of(folder / "wire"), form_of(folder / "base"))
    assert form_of(folder / "wire") == filters.wire_form(plain, with_base=with_base), (
        "the form is as predicted"
    )
    into = folder / "plain"
    started = None if with_base else folder / "base"
    return read_weights(decode_file(filters, folder / "wire", plain=plain, base=started, into=into))


def weights_of(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: tensors[name] for name in ("body.weight", "body.bias", "bn.weight")}


def apart(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: one[name].astype(np.float64) - other[name] for name in weights_of(one)}


@pytest.mark.parametrize("names", CHAINS, ids="+".join)
def test_a_chain_keeps_what_it_does_not_touch_and_its_form_is_known_before(
    tmp_path: Path, names: list[str]
) -> None:
    base = model(0)
    update = stepped(base, 1)
    back = sent_and_back(tmp_path, chain(*names), update, base)
    assert list(back) and set(back) == set(update)
    for name in ("bn.running_var", "bn.num_batches_tracked", "control.body.weight"):
        np.testing.assert_array_equal(back[name], update[name])
        assert back[name].dtype == update[name].dtype


@pytest.mark.parametrize("names", CHAINS, ids="+".join)
def test_equal_updates_make_equal_bytes(tmp_path: Path, names: list[str]) -> None:
    base, filters = model(0), chain(*names)
    made = [filters.encode(stepped(base, 1), base, {}, drawn).tensors for _ in range(2)]
    digests = [write_weights(each, tmp_path / f"w{n}")[0] for n, each in enumerate(made)]
    assert digests[0] == digests[1]


def test_the_base_may_travel_along(tmp_path: Path) -> None:
    base = model(0)
    update = stepped(base, 1)
    there = sent_and_back(tmp_path, chain("int8"), update, base)
    along = sent_and_back(tmp_path, chain("int8"), update, base, with_base=True)
    for name, values in there.items():
        np.testing.assert_array_equal(along[name], values)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), length=st.sampled_from([1e-6, 1e-2, 10.0]))
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("difference", {}),
        ("fp16", {}),
        ("int8", {}),
        ("int8", {"rounding": "stochastic"}),
        ("int8", {"block": 16}),
        ("top-k", {}),
        ("sign", {}),
    ],
    ids=["difference", "fp16", "int8", "stochastic", "blocks", "top-k", "sign"],
)
def test_what_a_filter_loses_is_within_its_bound(
    tmp_path_factory: pytest.TempPathFactory, name: str, options: dict[str, object], seed: int, length: float
) -> None:
    base = model(seed)
    update = stepped(base, seed + 1, length)
    back = sent_and_back(tmp_path_factory.mktemp("w"), chain(name, **options), update, base)
    changed, told = apart(update, base), apart(back, base)
    for tensor, change in changed.items():
        lost = np.abs(told[tensor] - change)
        # Adding to the base rounds once more, to a float32.
        rounding = 2.0**-23 * (np.abs(base[tensor]) + np.abs(change)) + 1e-12
        bounds = {
            "difference": 0 * change,
            "fp16": np.maximum(2.0**-11 * np.abs(change), 2.0**-25),
            "int8": np.abs(change).max() / (127 if options.get("rounding") == "stochastic" else 254),
            "top-k": np.sqrt(0.75) * np.linalg.norm(change),
            "sign": np.linalg.norm(change),
        }
        if name in ("top-k", "sign"):
            assert np.linalg.norm(lost) <= bounds[name] + np.linalg.norm(rounding)
        else:
            assert (lost <= bounds[name] * (1 + 1e-5) + rounding).all()


def test_a_long_difference_is_clipped_and_a_short_one_is_not(tmp_path: Path) -> None:
    base = model(0)
    long, short = stepped(base, 1, 1.0), stepped(base, 1, 0.001)
    clipped = apart(sent_and_back(tmp_path, chain("clip-norm"), long, base), base)
    assert norm_of(clipped) == pytest.approx(0.5, rel=1e-4)
    full = apart(long, base)
    cosine = sum(float((clipped[n] * full[n]).sum()) for n in full) / (norm_of(clipped) * norm_of(full))
    assert cosine == pytest.approx(1, abs=1e-6)
    kept = apart(sent_and_back(tmp_path, chain("clip-norm"), short, base), base)
    assert norm_of(kept) == pytest.approx(norm_of(apart(short, base)), rel=1e-3)


@pytest.mark.parametrize(
    "names", [["top-k"], ["sign"], ["int8"], ["fp16"], ["clip-norm", "top-k", "int8"]], ids="+".join
)
def test_with_error_feedback_the_running_sum_catches_up(names: list[str]) -> None:
    """Over rounds what was sent differs from what was meant by no more than what is left over at the end."""
    filters = chain(*names)
    base = {"w": np.zeros(200, dtype=np.float32)}
    rng = np.random.default_rng(3)
    meant, sent, left = np.zeros(200), np.zeros(200), {}
    for _ in range(30):
        change = (0.001 * rng.standard_normal(200)).astype(np.float32)
        encoded = filters.encode({"w": change}, base, left, drawn)
        tensor = form_of_array("w", change)
        sent += filters.told(tensor, encoded.tensors.__getitem__)
        meant += change
        left = encoded.left_over
    np.testing.assert_allclose(sent + left["w"], meant, atol=1e-6)
    assert np.linalg.norm(left["w"]) < 0.7 * np.linalg.norm(meant)


def test_without_error_feedback_nothing_is_left_over() -> None:
    base = {"w": np.zeros(20, dtype=np.float32)}
    assert chain("top-k", error_feedback=False).encode(stepped(base, 1), base, {}, drawn).left_over == {}


def test_stochastic_rounding_is_right_on_average() -> None:
    filters = chain("int8", rounding="stochastic", error_feedback=False)
    base = {"w": np.zeros(64, dtype=np.float32)}
    change = np.linspace(-1, 1, 64, dtype=np.float32)
    tensor = form_of_array("w", change)
    total = np.zeros(64)
    for seed in range(400):
        made = filters.encode({"w": change}, base, {}, lambda purpose, seed=seed: np.random.default_rng(seed))
        total += filters.told(tensor, made.tensors.__getitem__)
    np.testing.assert_allclose(total / 400, change, atol=4 / 127 / 2 / np.sqrt(400))


@pytest.mark.parametrize(
    ("names", "part", "value"),
    [
        (["int8"], "scale.body.weight", np.inf),
        (["int8"], "scale.body.weight", -1.0),
        (["int8"], "scale.body.bias", 3e38),
        (["sign"], "scale.body.weight", np.nan),
        (["top-k"], "index.body.weight", 2**31),
        (["top-k"], "body.weight", np.nan),
        (["fp16"], "body.weight", np.inf),
        (["difference"], "body.weight", np.nan),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else str(value),
)
def test_what_no_filter_makes_is_refused(tmp_path: Path, names: list[str], part: str, value: float) -> None:
    base, filters = model(0), chain(*names)
    tensors = filters.encode(stepped(base, 1), base, {}, drawn).tensors
    broken = tensors[part].copy()
    broken.reshape(-1)[-1] = value
    write_weights({**tensors, part: broken}, tmp_path / "wire")
    write_weights(base, tmp_path / "base")
    with pytest.raises(UpdateUnfit):
        decode_file(
            filters,
            tmp_path / "wire",
            plain=form_of(tmp_path / "base"),
            base=tmp_path / "base",
            into=tmp_path / "p",
        )
    assert not (tmp_path / "p").exists()


def test_places_out_of_order_are_refused() -> None:
    base, filters = {"w": np.zeros(8, dtype=np.float32)}, chain("top-k")
    tensors = filters.encode({"w": np.arange(8, dtype=np.float32)}, base, {}, drawn).tensors
    assert tensors["index.w"].tolist() == [6, 7]
    tensors["index.w"] = np.array([7, 7], dtype=np.uint32)
    with pytest.raises(UpdateUnfit, match="out of order"):
        filters.told(form_of_array("w", base["w"]), tensors.__getitem__)


NAMES = ("encoder.0.weight", "encoder.bn1.weight", "encoder.bn1.running_mean", "encoder.bn1.num_batches_tracked",
         "decoder.weight", "head.weight", "control.head.weight", "optimizer.exp_avg.head.weight")  # fmt: skip


@pytest.mark.parametrize(
    ("options", "private"),
    [
        ({}, set()),
        ({"preset": "fedbn"}, {n for n in NAMES if "bn1" in n}),
        ({"preset": "flop"}, {n for n in NAMES if "head" in n}),
        ({"preset": "fedmri"}, {n for n in NAMES if not n.startswith("encoder")}),
        ({"include": ("encoder*",), "exclude": ("*.0.*",)}, {*NAMES} - {n for n in NAMES if "bn1" in n}),
        ({"statistics": "local"}, {"encoder.bn1.running_mean", "encoder.bn1.num_batches_tracked"}),
    ],
    ids=["all", "fedbn", "flop", "fedmri", "patterns", "statistics"],
)
def test_layers_stay_with_all_that_is_exchanged_for_them(
    options: dict[str, object], private: set[str]
) -> None:
    assert Sharing(ShareOptions.model_validate(options)).private(NAMES) == private


@pytest.mark.parametrize(
    "options",
    [{"preset": "flop", "exclude": ("nothing.*",)}, {"include": ("nothing*",)}, {"exclude": ("*",)}],
    ids=["nothing-stays", "nothing-fits", "nothing-leaves"],
)
def test_a_pattern_that_fits_nothing_lets_nothing_leave(options: dict[str, object]) -> None:
    with pytest.raises(FilterRefused):
        Sharing(ShareOptions.model_validate(options)).private(NAMES)


def test_fedbn_on_a_model_that_does_not_normalise_lets_nothing_leave() -> None:
    with pytest.raises(FilterRefused):
        Sharing(ShareOptions(preset="fedbn")).private(["a.weight", "b.weight"])


@pytest.mark.parametrize(
    "names", [["int8", "fp16"], ["sign", "int8"], ["int8", "int8"], ["int8", "top-k"]], ids="+".join
)
def test_filters_that_spoil_each_other_are_refused(names: list[str]) -> None:
    with pytest.raises(PlanRefused):
        chain(*names)


def test_nothing_passes_by_a_bound_on_lengths() -> None:
    alone = mix_with(FILTERS["clip-norm"])
    assert clashes(alone, numbers(alone)) == []
    exchanging = LocalStepChoice(name="exchanging", title="", source="", exchanges="control.")
    both = mix_with(exchanging, into=alone)
    assert any("'clip-norm'" in what for _, what in clashes(both, numbers(both)))


def test_a_layer_that_is_called_as_filters_call_theirs_is_refused() -> None:
    with pytest.raises(UpdateUnfit, match="name"):
        chain("int8").wire_form([form_of_array("scale.weight", np.zeros(3, dtype=np.float32))])


def test_every_filter_states_its_bound_and_source() -> None:
    assert all(each.bound and each.source and each.title for each in FILTERS.values())
    assert Decimal(str(FILTERS["share"].place)) < FILTERS["zstd"].place
