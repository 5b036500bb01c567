"""Training through filters: it converges, private layers stay, killed rounds repeat, hostile sites hurt nobody."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import zstandard
from safetensors.numpy import load, load_file, save
from sqlalchemy import select
from tests.federated_jobs.conftest import FakeRunner
from tests.federated_jobs.conftest import Federation as Fed
from tests.federated_jobs.filtered_sites import Federation, Site, judged, manifest, pull

from fairbank.catalogue import blobs
from fairbank.database import reading
from fairbank.federated_jobs.algorithms.errors import CheckpointMissing
from fairbank.federated_jobs.algorithms.weights import Weights, digest_of_file, read_weights, write_weights
from fairbank.federated_jobs.axes.aggregators import AGGREGATORS
from fairbank.federated_jobs.hub.merging import MODEL, SERVER_STATE, Arrived
from fairbank.federated_jobs.hub.store import UpdateRow
from fairbank.federated_jobs.node.filtering import Training, filtered_round
from fairbank.federated_jobs.node.runner import Product, RoundTask
from fairbank.federated_jobs.node.what_leaves import warnings
from fairbank.federated_jobs.reasons import Reason
from fairbank.federated_jobs.update_notes import annotate, notes_of
from fairbank.ontology.signed_objects import Element
from fairbank.ontology.signed_objects import Training as Asked
from fairbank.release.errors import GateRefused
from fairbank.zstd_frames import MAGIC, FrameRefused, unpack

Filters = tuple[tuple[str, dict[str, object]], ...]
CENTRE = np.linspace(-1, 1, 24, dtype=np.float32).reshape(4, 6)
MARK = b"P\x11V\x41"  # a float32 near 13
CHAINS: dict[str, Filters] = {
    "none": (),
    "share": (("share", {"exclude": ["head*"]}),),
    "difference": (("difference", {}),),
    "clip-norm": (("clip-norm", {"bound": "2"}),),
    "fp16": (("fp16", {}),),
    "int8": (("int8", {}),),
    "stochastic": (("int8", {"rounding": "stochastic"}),),
    "top-k": (("top-k", {"fraction": "0.4"}),),
    "sign": (("sign", {}),),
    "zstd": (("zstd", {}),),
    "all": (
        ("share", {"exclude": ["head*"]}),
        ("clip-norm", {"bound": "2"}),
        ("top-k", {"fraction": "0.5"}),
        ("int8", {}),
        ("zstd", {"level": 9}),
    ),
}


def first() -> Weights:
    rng = np.random.default_rng(5)
    return {
        "body": rng.standard_normal((4, 6)).astype(np.float32),
        "head.weight": np.frombuffer(MARK * 40, dtype="<f4").copy(),
        "bn.running_mean": np.zeros(3, dtype=np.float32),
        "bn.num_batches_tracked": np.array(0, dtype=np.int64),
    }


def federation(
    folder: Path, aggregator: str = "fedavg", chain: str = "none", *, sites: int = 3, **options: object
) -> Federation:
    job = manifest(aggregator, CHAINS[chain], sites=sites, **options)
    rng = np.random.default_rng(1)
    made = [
        Site(
            f"site-{i}",
            folder,
            job,
            pull(CENTRE + 0.05 * rng.standard_normal(CENTRE.shape).astype(np.float32)),
            first(),
            {"n_train": 10, "n_steps": 3, "before_loss": 1.0, "after_loss": 0.5},
        )
        for i in range(sites)
    ]
    return Federation(folder, job, made)


def miss(model: Weights) -> float:
    """Return how far a model is from what the sites pull it to, in parts of where it began."""
    begun = np.linalg.norm(first()["body"] - CENTRE)
    return float(np.linalg.norm(model["body"] - CENTRE) / begun)


# -- it trains ---------------------------------------------------------------------------------------------------------


# What is left of the way to the middle of the sites after five rounds of three steps.
@pytest.mark.parametrize("chain", CHAINS)
def test_fedavg_trains_through_every_filter(tmp_path: Path, chain: str) -> None:
    assert miss(federation(tmp_path, chain=chain).run(5)) < {"sign": 0.5, "all": 0.3, "top-k": 0.3}.get(
        chain, 0.06
    )


@pytest.mark.parametrize("chain", ["none", pytest.param("int8", marks=pytest.mark.long)])
@pytest.mark.parametrize("name", [name for name in AGGREGATORS if name != "fedavg"])
def test_every_aggregator_trains_with_and_without_a_filter(tmp_path: Path, name: str, chain: str) -> None:
    sites = AGGREGATORS[name].minimum_sites
    options = {"server_rate": "0.5", "tau": "0.1"} if name in ("fedadam", "fedyogi", "fedadagrad") else {}
    options |= {"momentum": "0.2"} if name == "fedavgm" else {}
    made = federation(tmp_path, name, chain, sites=max(sites, 2), **options)
    assert miss(made.run(5)) < 0.5
    assert (SERVER_STATE in {file.name for file in made.merged}) == AGGREGATORS[name].stateful


def test_the_first_round_has_a_base_although_nobody_sent_a_model(tmp_path: Path) -> None:
    """The optimizer at the hub takes its first step from the model that the job's seed made at the sites."""
    made = federation(tmp_path, "fedsgd", server_rate="0.5")
    model = made.run(1)
    mean = np.mean([load(body)["body"] for body in made.released], axis=0)
    np.testing.assert_allclose(model["body"], (first()["body"] + mean) / 2, atol=1e-5)


def test_metrics_of_a_round_tell_notes_and_what_each_site_had_to_do_with_it(tmp_path: Path) -> None:
    made = federation(tmp_path, chain="all")
    made.run(2)
    metrics = json.loads(next(file.path for file in made.merged if file.name == "metrics").read_bytes())
    assert metrics["sites"]["site-1"] == {
        "after_loss": 0.5,
        "before_loss": 1.0,
        "n_steps": 3.0,
        "n_train": 10.0,
    }
    assert metrics["record"]["site-1"]["weight"] == pytest.approx(1 / 3, rel=1e-4)
    assert notes_of(tmp_path / "site-1" / "products" / "update-2.safetensors")["n_train"] == 10


def test_an_update_of_the_first_round_that_comes_late_starts_from_what_it_carries(tmp_path: Path) -> None:
    made = federation(tmp_path, "fedsgd", "fp16")
    late = made.sites.pop()
    left = late.round(1, None)
    made.run(1)
    closing = made.collect()
    stale = Arrived(late.name, "update", digest_of_file(left.path), left.path)
    both = replace(closing, arrived=(*closing.arrived, stale), staleness={late.name: 1})
    assert made.close(both).unfit == ()
    record = json.loads(made.merged[1].path.read_bytes())["record"][late.name]
    step = load(left.path.read_bytes())["body"]
    assert record["norm"] == pytest.approx(float(np.linalg.norm(step)), rel=1e-2)


# -- private layers ----------------------------------------------------------------------------------------------------


def test_without_partial_sharing_the_marker_leaves(tmp_path: Path) -> None:
    made = federation(tmp_path)
    made.run(1)
    assert all(MARK * 2 in body for body in made.released)


@pytest.mark.parametrize(
    "chain", [*(("share", *rest) for rest in [(), ("fp16",), ("int8",), ("sign",), ("top-k",)])]
)
@pytest.mark.parametrize("aggregator", ["fedavg", "fedadam"])
def test_no_byte_of_a_private_layer_ever_leaves(
    tmp_path: Path, aggregator: str, chain: tuple[str, ...]
) -> None:
    filters = tuple(each for name in chain for each in CHAINS[name])
    job = manifest(aggregator, filters)

    def step(weights: Weights, number: int) -> Weights:
        trained = pull(CENTRE)(weights, number)
        return {**trained, "control.head.weight": weights["head.weight"], "control.body": trained["body"]}

    made = Federation(tmp_path, job, [Site(f"site-{i}", tmp_path, job, step, first()) for i in range(3)])
    for _ in range(3):
        made.close(made.collect())
    released = [*made.released, *(file.path.read_bytes() for file in made.merged)]
    assert len(made.released) == 9
    for body in released:
        assert MARK not in body
        assert b"head" not in body


def test_private_layers_go_on_at_each_site_and_shared_ones_come_from_the_hub(tmp_path: Path) -> None:
    made = federation(tmp_path, chain="share")
    for place, site in enumerate(made.sites):
        own, shared = np.float32(place + 1), site.step
        site.step = lambda weights, number, own=own, shared=shared: {
            **shared(weights, number),
            "head.weight": weights["head.weight"] + own,
        }
    made.run(3)
    for place, site in enumerate(made.sites):
        np.testing.assert_allclose(site.seen[2]["head.weight"], first()["head.weight"] + 2 * (place + 1))
        np.testing.assert_array_equal(site.seen[2]["body"], made.sites[0].seen[2]["body"])
    assert made.model is not None
    assert set(read_weights(made.model)) == set(first()) - {"head.weight"}


def test_a_site_that_joins_late_begins_with_the_private_layers_of_the_initial_model(tmp_path: Path) -> None:
    made = federation(tmp_path, chain="share")
    late = made.sites.pop()
    made.run(2)
    made.sites.append(late)
    made.run(1)
    np.testing.assert_array_equal(late.seen[0]["head.weight"], first()["head.weight"])
    np.testing.assert_array_equal(late.seen[0]["body"], made.sites[0].seen[2]["body"])


# -- killed rounds -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chain", ["all", "stochastic", "sign", "share"])
def test_a_round_that_is_computed_again_makes_the_same_bytes(tmp_path: Path, chain: str) -> None:
    made = federation(tmp_path, chain=chain)
    made.run(2)
    site = made.sites[0]
    bodies = []
    for _ in range(2):
        site.previous = 2
        bodies.append(site.round(3, made.model).path.read_bytes())
    assert bodies[0] == bodies[1]
    assert len(list((tmp_path / "site-0" / "filters").glob("kept-*"))) == 2


def test_a_round_without_what_the_last_one_kept_is_not_computed(tmp_path: Path) -> None:
    made = federation(tmp_path, chain="share")
    made.run(1)
    for kept in (tmp_path / "site-0" / "filters").glob("kept-*"):
        kept.unlink()
    with pytest.raises(CheckpointMissing):
        made.sites[0].round(2, made.model)


# -- hostile code at a site, and the gate ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda w: {**w, "body": w["body"][:2]},
        lambda w: {**w, "more": np.ones(2, dtype=np.float32)},
        lambda w: {**w, "body": np.full_like(w["body"], np.nan)},
        lambda w: {**w, "body": w["body"].astype(np.int32)},
        lambda w: {name: w[name] for name in w if name != "body"},
        lambda w: {**w, "control.body": np.arange(24)},
    ],
    ids=["shape", "extra", "nan", "integers", "missing", "integers-beside"],
)
def test_what_the_code_of_a_job_writes_is_judged_before_it_is_filtered(
    tmp_path: Path, change: Callable[[Weights], Weights]
) -> None:
    made = federation(tmp_path, chain="int8")
    made.sites[0].step = lambda weights, number: change(weights)
    with pytest.raises(GateRefused):
        made.sites[0].round(1, None)
    assert not list((tmp_path / "site-0" / "products").glob("update*"))


def test_the_gate_takes_whole_numbers_only_where_the_node_has_made_them(tmp_path: Path) -> None:
    made = federation(tmp_path, chain="int8")
    left = made.sites[0].round(1, None)
    assert judged(made.job, left).allowed
    smuggled = load(left.path.read_bytes())
    smuggled["body"] = smuggled["body"].astype(np.int32)
    left.path.write_bytes(save(smuggled))
    assert not judged(made.job, left).allowed


def test_the_gate_judges_what_is_in_a_compressed_update(tmp_path: Path) -> None:
    made = federation(tmp_path, chain="zstd")
    left = made.sites[0].round(1, None)
    assert judged(made.job, left).allowed
    sound = left.path.read_bytes()
    compress = zstandard.ZstdCompressor().compress
    for body in (
        sound + b"more",
        sound + sound,
        b"\x50\x2a\x4d\x18\x04\0\0\0text" + sound,
        compress(b"\0" * (4 << 20)),
        compress(b"text"),
        sound[:-3],
        zstandard.ZstdDecompressor().decompress(sound),
    ):
        left.path.write_bytes(body)
        assert not judged(made.job, left).allowed


def test_a_bomb_is_refused_before_it_is_large(tmp_path: Path) -> None:
    bomb, out = tmp_path / "bomb", tmp_path / "out"
    # Without the size in its head, so that only unpacking tells.
    compressor = zstandard.ZstdCompressor(write_content_size=False).compressobj()
    bomb.write_bytes(compressor.compress(b"\0" * (64 << 20)) + compressor.flush())
    with out.open("wb") as into, pytest.raises(FrameRefused):
        unpack(bomb, into=into, most_bytes=1 << 16)
    assert out.stat().st_size <= 1 << 16


# -- hostile sites at the hub ------------------------------------------------------------------------------------------


def rewritten(change: Callable[[Weights], Weights]) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(save(change(load_file(path)))) and None


def put(name: str, value: float) -> Callable[[Weights], Weights]:
    def change(tensors: Weights) -> Weights:
        changed = tensors[name].copy()
        changed.reshape(-1)[-1] = value
        return {**tensors, name: changed}

    return change


HOSTILE: dict[str, tuple[str, Callable[[Path], None]]] = {
    "nan": ("fp16", rewritten(put("body", np.nan))),
    "wrong shape": ("fp16", rewritten(lambda w: {**w, "body": w["body"][:2].copy()})),
    "extra keys": ("int8", rewritten(lambda w: {**w, "more": np.ones(3, dtype=np.float32)})),
    "missing scale": ("int8", rewritten(lambda w: {name: w[name] for name in w if name != "scale.body"})),
    "infinite scale": ("int8", rewritten(put("scale.body", np.inf))),
    "place out of range": ("top-k", rewritten(put("index.body", 2**32 - 1))),
    "another base": ("int8", rewritten(put("base.body", 3.0))),
    "truncated": ("int8", lambda path: path.write_bytes(path.read_bytes()[:-9]) and None),
    "a pickle": ("none", lambda path: path.write_bytes(b"\x80\x04\x95\x20cos\nsystem\n") and None),
    "a pickle in a frame": (
        "zstd",
        lambda path: path.write_bytes(zstandard.compress(b"\x80\x04\x95\x20cos\nsystem\n")) and None,
    ),
    "a bomb": ("zstd", lambda path: path.write_bytes(zstandard.compress(b"\0" * (8 << 20))) and None),
    "two frames": ("all", lambda path: path.write_bytes(path.read_bytes() * 2) and None),
    "too large": ("none", lambda path: path.write_bytes(path.read_bytes() + b"\0" * (1 << 20)) and None),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_update_takes_its_site_out_and_nobody_else(tmp_path: Path, what: str) -> None:
    chain, spoil = HOSTILE[what]
    made = federation(tmp_path, chain=chain)
    made.sites[0].spoil = spoil
    found = made.close(made.collect())
    assert found.unfit == ("site-0",)
    assert found.reasons["site-0"] is Reason.UPDATE_REFUSED
    assert made.merged[0].name == MODEL
    assert made.model is not None
    assert miss(read_weights(made.model)) < 1


def test_a_site_far_off_is_refused_where_the_job_says_so(tmp_path: Path) -> None:
    made = federation(tmp_path, "fedsgd", sites=5, refuse_beyond="10", server_rate="1")
    made.sites[3].step = lambda weights, number: {**weights, "body": weights["body"] - 50 * CENTRE}
    found = made.close(made.collect())
    assert dict(found.reasons) == {"site-3": Reason.UPDATE_OUTLIER}


def test_a_site_much_longer_than_the_running_median_is_refused_where_the_job_says_so(tmp_path: Path) -> None:
    made = federation(tmp_path, "fedsgd", sites=5, refuse_longer="3", server_rate="1")
    made.sites[3].step = lambda weights, number: {**weights, "body": weights["body"] - 50 * CENTRE}
    found = made.close(made.collect())
    assert dict(found.reasons) == {"site-3": Reason.UPDATE_OUTLIER}


def test_a_free_rider_is_refused_where_the_job_says_so(tmp_path: Path) -> None:
    made = federation(tmp_path, "fedsgd", refuse_unchanged=True)
    made.sites[1].step = lambda weights, number: weights
    found = made.close(made.collect())
    assert dict(found.reasons) == {"site-1": Reason.UPDATE_UNCHANGED}


def test_the_people_of_a_site_read_which_filters_are_in_place() -> None:
    said = " ".join(warnings(manifest(filters=CHAINS["all"])))
    assert "share, clip-norm, top-k, int8, zstd" in said
    assert "Not in place: noise (differential privacy)" in said
    assert "Not in place: clipping" in " ".join(warnings(manifest(filters=CHAINS["int8"])))


# -- with agents, a gate, an outbox and a hub --------------------------------------------------------------------------


@dataclass
class FilteringRunner(FakeRunner):
    """Computes in this process, and filters what comes of it as a node does."""

    def run(self, task: RoundTask) -> list[Product]:
        into = task.folder / "update.safetensors"
        task.folder.mkdir(parents=True, exist_ok=True)

        def train(model: Path | None, to: Path) -> None:
            weights = load_file(model) if model is not None else first()
            plain = to.with_name("made")
            write_weights(pull(CENTRE)(weights, task.round), plain)
            annotate(plain, {"n_train": 10}, to=to)

        training = Training(train, lambda to: write_weights(first(), to) and None)
        left = filtered_round(task, training, folder=task.folder.parent, into=into)
        return [Product("update", left.path, form=left.form, encoded=left.encoded, packed=left.packed)]


def test_a_job_with_filters_passes_gate_and_hub(start: Callable[..., Fed]) -> None:
    fed = start("east", "north")
    for site in fed.sites.values():
        site.runner = FilteringRunner()
        site.restart()
    elements = tuple(Element(name=name, options=options) for name, options in CHAINS["all"])
    job = fed.run(rounds=2, training=Asked(filters=elements), aggregator=Element(name="fedsgd"))
    assert fed.state(job) == "completed"
    model = load_file(blobs.path_of(fed.hub, fed.model(job)))
    assert set(model) == set(first()) - {"head.weight"}
    assert miss(model) < 0.7
    with reading(fed.hub.engine) as session:
        bodies = [Path(row.path).read_bytes() for row in session.scalars(select(UpdateRow))]
    assert len(bodies) == 4
    assert all(body.startswith(MAGIC) for body in bodies)
