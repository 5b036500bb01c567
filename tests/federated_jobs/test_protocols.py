"""The protocols of bench/ with a few tiny images in one process, and what is made of their results."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra 'train'")

BENCH = Path(__file__).resolve().parent.parent.parent / "bench"


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of the data sets, with enough for tiny splits."""
    # Last: a module of bench/ has the name of a library.
    monkeypatch.setattr(sys, "path", [*sys.path, str(BENCH)])
    from parts import protocol_data

    monkeypatch.setattr(protocol_data, "LEAST_IMAGES", 20)
    monkeypatch.setattr(protocol_data, "LEAST_OF_CLASS", 5)
    return protocol_data


def images(data: Any, count: int, *, seed: int) -> Any:
    """Bright on the left or on the right, in noise."""
    chance = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    found = chance.integers(0, 120, (count, 8, 8))
    found[labels == 0, :, :4] += 60
    found[labels == 1, :, 4:] += 60
    return data.Labelled(found.astype(np.uint8), labels.astype(np.int64), ("normal", "pneumonia"))


def tiny(data: Any, split: str = "iid") -> Any:
    from parts.protocol_plans import PARAMETERS, Trial

    parameters = {**PARAMETERS, "image_size": 8, "network": "linear", "learning_rate": "0.05"}
    whole, test = images(data, 120, seed=1), images(data, 60, seed=2)
    return Trial.of(whole, test, split=split, seed="1", passes=4, parameters=parameters)


def test_every_plan_trains_with_the_same_passes_over_each_site_and_beats_chance(data: Any) -> None:
    from parts.protocol_plans import plans, run_trial

    found = run_trial(tiny(data), told=lambda line: None)
    rows = found["rows"]
    assert set(rows) == {"local-only", "ensemble", "pooled", *plans(4)}
    assert all(row["auroc"] > 0.75 for row in rows.values()), {
        name: row["auroc"] for name, row in rows.items()
    }
    for name in ("CWT", "IIL", "CIIL", "FedAvg"):
        assert set(rows[name]["passes"].values()) == {4}
    # One at a time is drawn, so not each site as often; all together as often.
    assert sum(rows["P2P"]["passes"].values()) == 12
    # A merged model belongs to no site; one that went round was at one last.
    assert "bias_to_last" not in rows["FedAvg"] and "bias_to_last" in rows["CWT"]


def test_models_that_travel_are_counted(data: Any, tmp_path: Path) -> None:
    from parts.protocol_in_process import InProcess, manifest_of
    from parts.protocol_plans import plans

    trial = tiny(data)
    manifest = manifest_of(plans(4)["FedAvg"], trial.parameters, tuple(sorted(trial.trained)), "1")
    run = InProcess(manifest, trial.sites(), tmp_path).run()
    size = run.models["model"].stat().st_size
    # Three sites and four rounds up and down, without the first way down; notes in headers differ by some bytes.
    assert run.sent_bytes == pytest.approx(21 * size, rel=0.2)


def test_who_waits_for_a_slow_site_needs_longer(data: Any) -> None:
    from parts.protocol_waiting import modes, run_modes

    chosen = modes(rounds=6, versions=40)
    found = run_modes(tiny(data), target=0.9, chosen=chosen, told=lambda line: None)["modes"]
    assert all(mode["reached"] for mode in found.values())
    # One round of all takes as long as the slow site's.
    assert found["synchronous"]["time"] == pytest.approx(10.0 * found["synchronous"]["versions"])
    assert found["buffered, 2 updates"]["time"] < found["synchronous"]["time"]
    # Of an update that may be three versions old nothing of the slow site is used, of thirty it is.
    assert found["bounded, 3 versions"]["passes"]["west"] == 0


def test_a_split_by_a_dirichlet_distribution_hands_out_each_image_once(data: Any) -> None:
    whole = images(data, 200, seed=3)
    parts = data.dirichlet(whole, seed=4)
    assert sum(len(part) for part in parts.values()) == len(whole)
    together = data.pooled(parts)
    assert sorted(image.tobytes() for image in together.images) == sorted(
        image.tobytes() for image in whole.images
    )
    shares = [part.counts()["normal"] / len(part) for part in parts.values()]
    assert max(shares) - min(shares) > 0.1
    assert all(data.dirichlet(whole, seed=4)[site].counts() == part.counts() for site, part in parts.items())


def test_a_run_in_one_place_goes_on_from_its_last_round_to_the_same_bits(data: Any, tmp_path: Path) -> None:
    from parts.protocol_training import alone, classifier

    trial = tiny(data)

    def run(rounds: int, kept: str) -> Any:
        algorithm = classifier(
            data.pooled(trial.trained),
            data.pooled(trial.heldout),
            trial.parameters,
            site="pooled",
            seed="1",
            rounds=4,
        )
        return alone(algorithm, rounds=rounds, kept=tmp_path / kept, told=lambda line: None)

    whole = run(4, "whole")
    run(2, "stopped")
    gone_on = run(4, "stopped")
    assert gone_on.curve == whole.curve and len(whole.curve) == 4
    models = [(tmp_path / name / "model-0.safetensors").read_bytes() for name in ("whole", "stopped")]
    assert models[0] == models[1]


def test_what_is_finished_is_not_missing_and_goals_are_judged(data: Any, tmp_path: Path) -> None:
    from parts.protocol_goals import outcome
    from parts.protocol_results import Results

    results = Results(tmp_path / "results", tmp_path / "work")
    curve = [{"pass": 1, "accuracy": 0.98}, {"pass": 2, "accuracy": 0.99}]
    costs = {"orchestration_s_mean": 0.3}
    results.keep("mnist-centralised", {"protocol": "mnist", "plan": "", "passes": 2, "curve": curve})
    results.keep(
        "mnist-sequential",
        {"protocol": "mnist", "plan": "cyclic", "passes": 1, "final": {"accuracy": 0.975}, "costs": costs},
    )
    assert results.missing("mnist-centralised", "mnist-fedavg") == ["mnist-fedavg"]
    assert Results(tmp_path / "results", again=True).missing("mnist-centralised") == ["mnist-centralised"]
    found = outcome(results.all())
    # Compared after as many passes, not with the end of a longer run.
    assert found["figures"]["mnist-sequential.points_below"] == pytest.approx(0.5)
    assert found["met"] == {
        "mnist-sequential.points_below": False,
        "mnist-sequential.orchestration_s": True,
    }
    assert json.loads((tmp_path / "results" / "mnist-sequential.json").read_text())["environment"]["packages"]


def test_a_site_that_holds_nobody_out_trains_on_all_and_tells_no_metric(tmp_path: Path) -> None:
    from tests.federated_jobs.training_sites import QUICK, images

    from fairbank.federated_jobs.algorithms.registry import algorithm_digest
    from fairbank.federated_jobs.algorithms.session import TrainingSession

    job = images(tmp_path, ["yes", "no"] * 4)
    session = TrainingSession.open(
        name="classification",
        digest=algorithm_digest("classification"),
        parameters={**QUICK, "label": "clinical_finding", "classes": ["no", "yes"], "held_out_percent": 0},
        job_seed="1",
        site="east",
        inputs=job.inputs,
        scratch=job.scratch,
    )
    told = session.train(1, None, previous=0)
    assert (told.n_train, told.n_heldout, told.subjects) == (8, 0, (8, 0))
    assert told.before == told.after == {}
