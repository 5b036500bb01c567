"""Training inside a site: determinism, checkpoints, a real improvement, and the yardstick."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pydicom
import pytest

from fairbank.federated_jobs.aggregation import FedAvg
from fairbank.federated_jobs.aggregators.stack import SiteUpdate
from fairbank.federated_jobs.algorithms.errors import (
    AlgorithmDigestMismatch,
    AlgorithmParametersRefused,
    AlgorithmUnknown,
    CheckpointMissing,
    NothingToTrainOn,
    TrainingDiverged,
)
from fairbank.federated_jobs.algorithms.registry import (
    algorithm_digest,
    algorithm_names,
    algorithm_parameters,
    require_algorithm,
)
from fairbank.federated_jobs.algorithms.seeds import derive_seed
from fairbank.federated_jobs.algorithms.weights import digest_of_file, read_weights
from fairbank.federated_jobs.code import tool_named
from fairbank.federated_jobs.node.errors import WorkerError
from fairbank.federated_jobs.node.sandbox import Sandbox
from fairbank.federated_jobs.node.sandbox_policy import MIB, JobFolder, SandboxPolicy
from fairbank.federated_jobs.node.sandbox_staging import SeriesToStage, stage_series
from fairbank.federated_jobs.node.worker_client import JobWorker
from fairbank.federated_jobs.node.worker_protocol import JobKind
from fairbank.federated_jobs.release_check import Wish

session_module = pytest.importorskip(
    "fairbank.federated_jobs.algorithms.session", reason="needs the extra 'train'"
)
TrainingSession = session_module.TrainingSession

FILES = Path(pydicom.__file__).parent / "data/test_files"
GREY = ("CT_small.dcm", "MR_small.dcm", "rtdose.dcm", "examples_overlay.dcm", "image_dfl.dcm")
AUTOENCODER = "slice-autoencoder"
QUICK = {
    "image_size": 32,
    "width": 4,
    "levels": 2,
    "batch_size": 4,
    "local_epochs": 4,
    "learning_rate": "0.01",
}
KEEP = {**QUICK, "optimizer_state": "keep"}


def staged(folder: JobFolder, names: tuple[str, ...] = GREY) -> JobFolder:
    stage_series([SeriesToStage(f"u{i}", f"s{i}", (FILES / name,)) for i, name in enumerate(names)], folder)
    return folder


def opened(
    folder: JobFolder, parameters: dict[str, object], *, name: str = AUTOENCODER, site: str = "a"
) -> object:
    return TrainingSession.open(
        name=name,
        digest=algorithm_digest(name),
        parameters=parameters,
        job_seed="42",
        site=site,
        inputs=folder.inputs,
        scratch=folder.scratch,
    )


def trained(folder: JobFolder, parameters: dict[str, object], rounds: int) -> list[object]:
    """Run rounds of one site on its own updates."""
    session, results, weights = opened(folder, parameters), [], None
    for number in range(1, rounds + 1):
        results.append(session.train(number, weights, previous=number - 1))
        weights = folder.scratch / results[-1].file
    return results


class TestSeeds:
    def test_every_part_of_a_seed_matters(self) -> None:
        seeds = {
            derive_seed("1", site="a", round_number=1),
            derive_seed("2", site="a", round_number=1),
            derive_seed("1", site="b", round_number=1),
            derive_seed("1", site="a", round_number=2),
            derive_seed("1", site="a", round_number=1, purpose="initial"),
            derive_seed("1", site="a1", round_number=1),
            derive_seed("1", site="a", round_number=11),
        }
        assert len(seeds) == 7
        assert all(0 <= seed < 2**63 for seed in seeds)

    def test_a_seed_never_changes_between_versions(self) -> None:
        assert derive_seed("42", site="site-a", round_number=3) == 4886965627523375172


class TestRegistry:
    def test_all_algorithms_have_a_digest_and_a_schema(self) -> None:
        for name in algorithm_names():
            assert algorithm_digest(name).startswith("sha256:")
            assert algorithm_parameters(name, tool_named(name).example) is not None

    def test_an_unknown_algorithm_lists_the_known_ones(self) -> None:
        with pytest.raises(AlgorithmUnknown, match="slice-autoencoder"):
            require_algorithm("resnet", "sha256:0")

    def test_other_code_than_approved_is_refused(self) -> None:
        with pytest.raises(AlgorithmDigestMismatch):
            require_algorithm(AUTOENCODER, "sha256:0")

    @pytest.mark.parametrize(
        "values",
        [
            {"colour": 1},
            {"width": 0},
            {"width": "8"},
            {"learning_rate": "2"},
            {"image_size": 33},
            {"optimizer": "lbfgs"},
            {"held_out_percent": 0},
            {"noise_sd": "-0.1"},
        ],
        ids=lambda values: next(iter(values)),
    )
    def test_a_parameter_that_is_unknown_or_out_of_range_is_refused(self, values: dict[str, object]) -> None:
        with pytest.raises(AlgorithmParametersRefused, match=next(iter(values))):
            algorithm_parameters(AUTOENCODER, values)


class TestRounds:
    def test_training_improves_the_metric(self, tmp_path: Path) -> None:
        results = trained(staged(JobFolder(tmp_path / "job")), QUICK, 4)
        first, last = results[0].before["psnr_db"], results[-1].after["psnr_db"]
        assert last > first + 6.0
        assert results[-1].after["mse"] < results[0].before["mse"] / 4

    def test_a_round_says_how_far_it_is_after_each_local_epoch(self, tmp_path: Path) -> None:
        told: list[float] = []
        opened(staged(JobFolder(tmp_path / "job")), QUICK).train(1, None, previous=0, say=told.append)
        assert told == [0, 0.25, 0.5, 0.75]

    def test_counts_are_those_of_the_split(self, tmp_path: Path) -> None:
        result = trained(staged(JobFolder(tmp_path / "job")), QUICK, 1)[0]
        # Four single slices and fifteen frames of five subjects; one subject is held out.
        assert result.n_train + result.n_heldout == 19
        assert result.n_heldout in (1, 15)

    @pytest.mark.parametrize("parameters", [QUICK, KEEP], ids=["reset", "keep"])
    def test_two_runs_give_the_same_bits(self, tmp_path: Path, parameters: dict[str, object]) -> None:
        once = trained(staged(JobFolder(tmp_path / "1")), parameters, 3)
        again = trained(staged(JobFolder(tmp_path / "2")), parameters, 3)
        assert [r.digest for r in once] == [r.digest for r in again]

    def test_an_optimizer_that_is_kept_makes_a_difference(self, tmp_path: Path) -> None:
        reset = trained(staged(JobFolder(tmp_path / "1")), QUICK, 2)
        keep = trained(staged(JobFolder(tmp_path / "2")), KEEP, 2)
        assert reset[0].digest == keep[0].digest
        assert reset[1].digest != keep[1].digest

    def test_sites_start_from_the_same_model_and_train_differently(self, tmp_path: Path) -> None:
        a = opened(staged(JobFolder(tmp_path / "a")), QUICK, site="a")
        b = opened(staged(JobFolder(tmp_path / "b")), QUICK, site="b")
        assert a.initial() == b.initial()
        first, second = (session.train(1, None, previous=0) for session in (a, b))
        assert first.base_digest == second.base_digest == a.initial().digest
        assert first.digest != second.digest

    def test_a_round_that_is_repeated_gives_the_same_bits(self, tmp_path: Path) -> None:
        folder = staged(JobFolder(tmp_path / "job"))
        session = opened(folder, KEEP)
        first = session.train(1, None, previous=0)
        weights = tmp_path / "global"
        weights.write_bytes((folder.scratch / first.file).read_bytes())
        once, again = (session.train(2, weights, previous=1) for _ in range(2))
        assert once.digest == again.digest

    def test_state_of_two_rounds_is_kept(self, tmp_path: Path) -> None:
        folder = staged(JobFolder(tmp_path / "job"))
        trained(folder, KEEP, 4)
        assert opened(folder, KEEP).checkpoints() == [3, 4]

    def test_a_lost_checkpoint_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(CheckpointMissing):
            opened(staged(JobFolder(tmp_path / "job")), KEEP).train(3, None, previous=2)

    def test_a_site_that_joins_late_starts_without_state(self, tmp_path: Path) -> None:
        session = opened(staged(JobFolder(tmp_path / "job")), KEEP)
        assert session.train(3, None, previous=0).n_train > 0

    def test_a_model_that_blows_up_is_never_released(self, tmp_path: Path) -> None:
        wild = {**QUICK, "learning_rate": "1", "optimizer": "sgd", "local_epochs": 50}
        folder = staged(JobFolder(tmp_path / "job"))
        session = opened(folder, wild)
        broken = {k: np.full_like(v, 1e30) for k, v in session._algorithm.initial_weights().items()}
        session_module.write_weights(broken, tmp_path / "global")
        with pytest.raises(TrainingDiverged):
            session.train(1, tmp_path / "global", previous=0)
        assert not list(folder.scratch.glob("update-*"))

    def test_series_without_grey_images_are_left_out(self, tmp_path: Path) -> None:
        folder = staged(JobFolder(tmp_path / "job"), (*GREY, "reportsi.dcm", "SC_rgb_small_odd.dcm"))
        assert opened(folder, QUICK).n_series == len(GREY)

    def test_nothing_to_train_on_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(NothingToTrainOn):
            opened(staged(JobFolder(tmp_path / "job"), ("reportsi.dcm",)), QUICK)

    def test_slices_of_one_subject_are_never_on_both_sides(self, tmp_path: Path) -> None:
        from fairbank.analysis.staged import read_staged
        from fairbank.federated_jobs.algorithms.slices import read_stacks

        files = [FILES / name for name in GREY]
        folder = JobFolder(tmp_path / "job")
        stage_series([SeriesToStage(f"u{i}", f"s{i // 2}", (file,)) for i, file in enumerate(files)], folder)
        stacks = read_stacks(read_staged(folder.inputs), algorithm_parameters(AUTOENCODER, QUICK))
        assert stacks.split_by == "subject"
        assert len(stacks.heldout) in (1, 2, 16)
        stage_series([SeriesToStage("u0", "s0", (FILES / "rtdose.dcm",))], folder)
        alone = read_stacks(read_staged(folder.inputs), algorithm_parameters(AUTOENCODER, QUICK))
        assert (alone.split_by, len(alone.heldout)) == ("slice", 3)

    def test_noop_adds_a_hundredth_to_a_model_of_1_7_megabytes(self, tmp_path: Path) -> None:
        folder = staged(JobFolder(tmp_path / "job"), GREY[:1])
        session = opened(folder, {}, name="noop")
        result = session.train(1, None, previous=0)
        start = session._algorithm.initial_weights()["weights"]
        np.testing.assert_array_equal(
            read_weights(folder.scratch / result.file)["weights"], start + np.float32(0.01)
        )
        assert result.bytes == pytest.approx(1.7e6, rel=0.02)


class TestFederation:
    def test_three_sites_come_close_to_pooled_training(self, tmp_path: Path) -> None:
        from fairbank.federated_jobs.algorithms.centralised import centralised, evaluate_pooled

        folders = {
            site: staged(JobFolder(tmp_path / site), names)
            for site, names in {"a": GREY[:2], "b": GREY[1:4], "c": GREY[2:]}.items()
        }
        sessions = {site: opened(folder, QUICK, site=site) for site, folder in folders.items()}
        weights = None
        for number in range(1, 5):
            results = {site: s.train(number, weights, previous=number - 1) for site, s in sessions.items()}
            updates = [SiteUpdate(s, folders[s].scratch / r.file, r.n_train) for s, r in results.items()]
            weights = FedAvg().reduce(updates, into=tmp_path / "global", max_bytes=MIB).file
        inputs = {site: folder.inputs for site, folder in folders.items()}
        pooled = centralised(QUICK, inputs, job_seed="42", rounds=4)
        federated = evaluate_pooled(QUICK, inputs, job_seed="42", weights=weights)
        assert len(pooled.metrics_by_round) == 5
        assert pooled.final["psnr_db"] > pooled.metrics_by_round[0]["psnr_db"] + 6.0
        assert federated["psnr_db"] > pooled.metrics_by_round[0]["psnr_db"] + 6.0


@pytest.mark.sandbox
@pytest.mark.skipif(not Path("/usr/bin/bwrap").exists(), reason="bubblewrap is not installed")
class TestInTheSandbox:
    SLOW = {**KEEP, "image_size": 64, "local_epochs": 50}

    @pytest.mark.long
    def test_a_worker_killed_in_round_2_goes_on_to_the_same_bits(self, tmp_path: Path) -> None:
        undisturbed = trained(staged(JobFolder(tmp_path / "undisturbed")), self.SLOW, 2)
        folder = staged(JobFolder(tmp_path / "job"))
        global_1 = tmp_path / "global-1"
        with self._worker(tmp_path, folder) as worker:
            worker.fetch_initial(tmp_path / "initial", max_bytes=MIB)
            assert digest_of_file(tmp_path / "initial") == undisturbed[0].base_digest
            assert worker.initial().digest == undisturbed[0].base_digest
            first = worker.train_round(1, None, to=global_1, max_bytes=MIB, timeout_s=120)
            assert first.digest == undisturbed[0].digest
            self._kill_in_round_2(worker, global_1, tmp_path)
        with self._worker(tmp_path, folder) as worker:
            assert worker.checkpoints()[0] == 1
            second = worker.train_round(2, global_1, to=tmp_path / "u2", max_bytes=MIB, timeout_s=120)
            measured = worker.evaluate(second.file, timeout_s=60, release_check=Wish(8, 2))
        assert second.digest == undisturbed[1].digest == digest_of_file(second.file)
        assert second.base_digest == first.digest
        assert measured.metrics == second.after == undisturbed[1].after

    def _worker(self, tmp_path: Path, folder: JobFolder) -> JobWorker:
        key = tmp_path / "node.key"
        key.write_text("secret")
        worker = JobWorker.start(Sandbox(SandboxPolicy(), node_key=key), folder, kind=JobKind.TRAINING)
        digest = algorithm_digest(AUTOENCODER)
        worker.prepare_training(AUTOENCODER, digest=digest, parameters=self.SLOW, job_seed="42", site="a")
        return worker

    def _kill_in_round_2(self, worker: JobWorker, weights: Path, tmp_path: Path) -> None:
        failures: list[WorkerError] = []

        def run() -> None:
            try:
                worker.train_round(2, weights, to=tmp_path / "never", max_bytes=MIB, timeout_s=120)
            except WorkerError as err:
                failures.append(err)

        thread = threading.Thread(target=run)
        thread.start()
        time.sleep(0.1)
        os.kill(worker.pid, signal.SIGKILL)
        thread.join(timeout=60)
        assert [failure.code for failure in failures] == ["FB-JOBS-111"]
        assert not (tmp_path / "never").exists()


def test_parameters_survive_a_signed_object_without_floats() -> None:
    values = json.loads(algorithm_parameters(AUTOENCODER, QUICK).model_dump_json())
    assert values["learning_rate"] == "0.01"
    assert not any(isinstance(value, float) for value in values.values())
    assert algorithm_parameters(AUTOENCODER, values) == algorithm_parameters(AUTOENCODER, QUICK)
