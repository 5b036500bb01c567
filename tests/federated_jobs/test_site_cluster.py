"""A cluster of the site that measures for its jobs: its settings become a script for the queue, or a refusal."""

from __future__ import annotations

import socket
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydicom.data import get_testdata_file

from fairbank.errors import MissingExtra
from fairbank.federated_jobs.errors import ClusterRefused, ClusterUnusable
from fairbank.federated_jobs.node import site_cluster
from fairbank.federated_jobs.node.runner import ConfinedRunner
from fairbank.federated_jobs.node.sandbox import Sandbox
from fairbank.federated_jobs.node.sandbox_policy import SandboxMode, SandboxPolicy
from fairbank.federated_jobs.node.site_cluster import QUEUES, check_cluster, cluster_arguments, cluster_of
from fairbank.settings import Settings

LOGS = Path("/shared/logs")
DESCRIBED = replace(
    Settings(),
    sandbox_mode="permissive",
    analysis_cluster_cores=4,
    analysis_cluster_memory_bytes=8 << 30,
    analysis_cluster_wall_s=5430,
    analysis_cluster_queue="short",
    analysis_cluster_account="lung",
    analysis_cluster_options="--constraint=fast; --exclusive",
    analysis_cluster_folder="/local",
)
WITHOUT_NAMES = {"analysis_cluster_queue": "", "analysis_cluster_account": ""}


def described(queue: str, **changes: object) -> Settings:
    if queue == "htcondor":
        changes = {**WITHOUT_NAMES, "analysis_cluster_options": "Requirements = fast; nice = True", **changes}
    return replace(DESCRIBED, analysis_cluster=queue, **changes)  # type: ignore[arg-type]


def script(settings: Settings) -> str:
    """Return what dask-jobqueue itself would put into the queue."""
    jobqueue = pytest.importorskip("dask_jobqueue", reason="needs the extra 'cluster'")
    arguments = cluster_arguments(settings, logs=LOGS)
    # LSF asks the machine for its unit of memory, and there is none here.
    if settings.analysis_cluster == "lsf":
        arguments |= {"lsf_units": "mb", "use_stdin": True}
    job = getattr(jobqueue, QUEUES[settings.analysis_cluster].cluster).job_cls
    return str(job(scheduler="tcp://10.0.0.1:8786", name="worker", **arguments).job_script())


@pytest.mark.parametrize(
    ("queue", "lines"),
    [
        ("slurm", ["#SBATCH -p short", "#SBATCH -A lung", "#SBATCH --cpus-per-task=4", "#SBATCH --mem=8G",
                   "#SBATCH -t 01:30:30", "#SBATCH --constraint=fast", "#SBATCH --exclusive"]),
        ("pbs", ["#PBS -q short", "#PBS -A lung", "#PBS -l select=1:ncpus=4:mem=8192MB",
                 "#PBS -l walltime=01:30:30", "#PBS --exclusive"]),
        ("sge", ["#$ -q short", "#$ -P lung", "#$ -l h_rt=01:30:30", "#$ --exclusive"]),
        ("lsf", ["#BSUB -q short", '#BSUB -P "lung"', "#BSUB -n 4", "#BSUB -W 01:31", "#BSUB --exclusive"]),
        ("htcondor", ["MY.DaskWorkerCores = 4", "MY.DaskWorkerMemory = 8589934592", "Requirements = fast"]),
    ],
)  # fmt: skip
def test_settings_become_the_script_of_each_queue(queue: str, lines: list[str]) -> None:
    written = script(described(queue))
    missing = [line for line in lines if line not in written.splitlines()]
    assert not missing, written
    # Each process measures one item at a time, with the node's own Python.
    assert f"{sys.executable} -m distributed.cli.dask_worker tcp://10.0.0.1:8786" in written
    assert "--nthreads 1 " in written and "--nworkers 4 " in written
    assert "--local-directory /local" in written and str(LOGS) in written


def test_what_a_site_leaves_open_is_left_to_its_queue() -> None:
    plain = replace(Settings(), sandbox_mode="permissive", analysis_cluster="slurm")
    assert {"queue", "account", "interface", "local_directory"}.isdisjoint(
        cluster_arguments(plain, logs=LOGS)
    )


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (described("slurm", sandbox_mode="strict"), "no network"),
        (replace(Settings(), analysis_scheduler="tcp://10.0.0.1:8786"), "no network"),
        (described("pbs", analysis_scheduler="tcp://10.0.0.1:8786"), "a batch queue"),
        (described("slurm", analysis_cluster_options="--x\n#SBATCH --y"), "line break"),
        (described("sge", analysis_cluster_queue="short\nrm -r /"), "line break"),
        (described("htcondor", analysis_cluster_queue="short"), "no queues"),
        (described("htcondor", analysis_cluster_options="exclusive"), "NAME=VALUE"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings: Settings, words: str) -> None:
    with pytest.raises(ClusterRefused, match=words):
        check_cluster(settings)


def test_a_machine_without_the_queue_or_the_extra_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = SimpleNamespace(settings=described("slurm"))
    monkeypatch.setattr(site_cluster, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="cluster"), cluster_of(node, logs=tmp_path / "logs"):  # type: ignore[arg-type]
        pass
    monkeypatch.setattr(site_cluster, "find_spec", lambda name: object())
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ClusterUnusable, match="sbatch"), cluster_of(node, logs=tmp_path / "logs"):  # type: ignore[arg-type]
        pass


def test_without_a_queue_the_address_is_the_scheduler_s(tmp_path: Path) -> None:
    for settings, address in (
        (replace(Settings(), sandbox_mode="permissive", analysis_scheduler="tcp://1:2"), "tcp://1:2"),
        (Settings(), ""),
    ):
        with cluster_of(SimpleNamespace(settings=settings), logs=tmp_path / "logs") as given:  # type: ignore[arg-type]
            assert given == address
    assert not (tmp_path / "logs").exists()


def test_a_queue_measures_as_long_as_the_analysis_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a queue that takes work and never begins it: a program of its name in the path."""
    pytest.importorskip("dask_jobqueue", reason="needs the extra 'cluster'")
    taken = tmp_path / "taken"
    _queue(tmp_path, monkeypatch, f'cat "$1" >> {taken}', f"echo ended >> {taken}")
    node = SimpleNamespace(settings=described("slurm", analysis_cluster_jobs=1))
    with cluster_of(node, logs=tmp_path / "logs") as address:  # type: ignore[arg-type]
        assert address.startswith("tcp://")
        host, port = address.removeprefix("tcp://").rsplit(":", 1)
        _until(lambda: taken.exists() and "dask_worker" in taken.read_text())
        assert address in taken.read_text()
    assert "ended" in taken.read_text()
    assert not _answers(host, int(port))


@pytest.mark.parametrize(
    ("mode", "confine", "used"),
    [
        (SandboxMode.PERMISSIVE, False, False),
        (SandboxMode.STRICT, False, True),
        (SandboxMode.PERMISSIVE, True, True),
    ],
)
def test_bubblewrap_is_left_out_for_a_cluster_in_permissive_mode_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: SandboxMode, confine: bool, used: bool
) -> None:
    monkeypatch.setattr("fairbank.federated_jobs.node.sandbox.require_sandbox_programs", lambda: None)
    monkeypatch.setattr("fairbank.federated_jobs.node.sandbox._try_bubblewrap", lambda: None)
    sandbox = Sandbox(SandboxPolicy(mode=mode), node_key=tmp_path / "key", confine=confine)
    assert sandbox._can_confine() is used


@pytest.mark.long
@pytest.mark.sandbox
def test_a_job_is_measured_by_the_machines_of_the_queue(start, tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """With a queue that begins what it is given at once, on this machine."""
    pytest.importorskip("dask_jobqueue", reason="needs the extra 'cluster'")
    pids, script = tmp_path / "pids", tmp_path / "script"
    # What was submitted is removed as soon as the queue has it.
    begin = f'cat "$1" > {script}; setsid sh {script} >{tmp_path}/printed 2>&1 & echo $! >> {pids}'
    _queue(tmp_path, monkeypatch, begin.replace("; setsid", "\nsetsid"), f"xargs kill < {pids}")
    fed = start()
    settings = {"sandbox_mode": "permissive", "analysis_cluster": "slurm", "analysis_cluster_jobs": 1}
    site = fed.add("east", subjects=4, analysis_cluster_interface="lo", **settings)
    for place, one in enumerate(site.index.series["collection"]):
        target = tmp_path / "images" / one.series_uid
        target.mkdir(parents=True)
        (target / "1.dcm").write_bytes(Path(get_testdata_file("CT_small.dcm")).read_bytes())
        site.index.series["collection"][place] = type(one)(
            one.series_uid, one.subject, one.content_digest, target
        )
    site.runner = ConfinedRunner(site.node)
    site.restart()
    job = fed.run("intensity-geometry")
    site.runner.close()
    assert fed.state(job) == "completed", fed.site_state(job, "east")
    assert pids.read_text(), "nothing was put into the queue"


def _queue(folder: Path, monkeypatch: pytest.MonkeyPatch, taking: str, ending: str) -> None:
    """Put programs of Slurm's names into the path."""
    programs = folder / "bin"
    programs.mkdir()
    for name, does in (("sbatch", f"{taking}\necho Submitted batch job 1"), ("scancel", ending)):
        (programs / name).write_text(f"#!/bin/sh\n{does}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")


def _until(condition) -> None:  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def _answers(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex((host, port)) == 0
