"""Workers that are ready before their job comes: given to one job, with its folder and its limits, or not at all."""

from __future__ import annotations

import resource
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file

from fairbank.analysis.tool import tool_digest
from fairbank.federated_jobs.node import idle_workers, runner, worker
from fairbank.federated_jobs.node.errors import WorkerCodeFailed
from fairbank.federated_jobs.node.idle_workers import IdleWorkers, available_bytes, wanted
from fairbank.federated_jobs.node.runner import ConfinedRunner
from fairbank.federated_jobs.node.sandbox_policy import MIB, JobFolder, SandboxPolicy
from fairbank.federated_jobs.node.sandbox_resources import sandbox_policy
from fairbank.federated_jobs.node.worker_client import JobWorker
from fairbank.federated_jobs.node.worker_protocol import JobKind
from fairbank.ontology.signed_objects import Resources

TOOL = "intensity-geometry"
GIB = 1 << 30


@pytest.fixture
def site(start, tmp_path, monkeypatch):
    """A site that keeps a worker for analyses ready, with a real image for each series."""
    monkeypatch.setattr(runner, "REST_S", 0.0)
    monkeypatch.setattr(idle_workers, "_NEEDS", {JobKind.ANALYSIS: ("numpy",)})
    made = start().add("east", jobs_idle_workers="yes")
    series = made.index.series["collection"]
    for place, one in enumerate(series):
        target = tmp_path / "images" / one.series_uid
        target.mkdir(parents=True)
        (target / "1.dcm").write_bytes(Path(get_testdata_file("CT_small.dcm")).read_bytes())
        series[place] = type(one)(one.series_uid, one.subject, one.content_digest, target)
    made.runner = ConfinedRunner(made.node)
    made.restart()
    yield made
    made.runner.close()


@pytest.fixture
def started(monkeypatch) -> list[JobFolder]:
    """The folders that workers are started in."""
    folders: list[JobFolder] = []
    start = JobWorker.start.__func__

    def counted(cls, sandbox, folder, **options):
        folders.append(folder)
        return start(cls, sandbox, folder, **options)

    monkeypatch.setattr(JobWorker, "start", classmethod(counted))
    return folders


def table(fed, job: str) -> bytes:
    files = fed.get(f"/v1/jobs/{job}/results").json()["files"]
    digest = next(file["digest"] for file in files if file["name"] == "table.csv")
    return fed.get(f"/v1/blobs/{digest}").content


@pytest.mark.sandbox
def test_a_job_takes_the_worker_that_is_ready_and_measures_what_a_new_one_does(site, started):
    fed = site.fed
    site.runner.rest()
    site.runner.rest()
    assert len(started) == 1, "one is kept, not one each time"
    idle = site.node.settings.home / idle_workers.FOLDER
    assert [path.name for path in idle.iterdir()] == [started[0].root.name]
    job = fed.run(TOOL)
    assert fed.state(job) == "completed"
    assert len(started) == 1 and list(idle.iterdir()) == []
    again = fed.run(TOOL)
    assert len(started) == 2, "a worker has one job"
    assert sorted(table(fed, job).splitlines()[0]) == sorted(table(fed, again).splitlines()[0])
    assert len(table(fed, job).splitlines()) == len(table(fed, again).splitlines())


@pytest.mark.sandbox
def test_a_worker_that_is_given_to_a_job_has_its_folder_and_its_limits(site, tmp_path):
    site.runner.rest()
    wish = Resources(memory_bytes=512 * MIB, processes=40, wall_s=60, gpus=0)
    policy = sandbox_policy(site.node.settings, wish)
    folder = JobFolder(tmp_path / "job" / "worker")
    taken = site.runner._idle.take(JobKind.ANALYSIS, policy, folder)
    assert taken is not None
    with taken:
        assert folder.inputs.is_dir() and list(folder.inputs.iterdir()) == []
        sandboxed = taken._sandboxed
        assert (sandboxed.plan.folder, sandboxed.plan.policy) == (folder, policy)
        group = sandboxed.group
        if group.pids is not None:
            assert int((group.pids / "pids.max").read_text()) == 40 + 2
        if group.memory is not None:
            limit = next(
                file
                for name in ("memory.max", "memory.limit_in_bytes")
                if (file := group.memory / name).exists()
            )
            assert int(limit.read_text()) == 512 * MIB
        # It has nothing to give to a second job.
        taken.prepare_analysis(TOOL, digest=tool_digest(TOOL), parameters={})
        with pytest.raises(WorkerCodeFailed):
            taken.belong_to(JobFolder(tmp_path / "second"), policy)
    assert site.runner._idle.take(JobKind.ANALYSIS, policy, JobFolder(tmp_path / "other")) is None


@pytest.mark.sandbox
def test_what_cannot_be_given_afterwards_gets_a_worker_of_its_own(site, tmp_path, started):
    had = sandbox_policy(site.node.settings)
    for unlike in (
        replace(had, gpus=(0,)),
        replace(had, cpu_s=100),
        replace(had, memory_bytes=had.memory_bytes + 1),
        replace(had, max_processes=had.max_processes + 1),
        replace(had, cpu_threads=had.cpu_threads + 1),
        replace(had, memory_bytes=64 * MIB),
    ):
        site.runner._idle = ready = IdleWorkers(site.node, site.runner._sandbox)
        monkey = _Ready(ready, had, tmp_path)
        folder = JobFolder(tmp_path / "job")
        assert ready.take(JobKind.ANALYSIS, unlike, folder) is None
        assert monkey.closed and not folder.root.exists()


class _Ready:
    """A worker that is ready, as far as choosing goes."""

    alive, closed = True, False

    def __init__(self, idle: IdleWorkers, policy: SandboxPolicy, folder: Path) -> None:
        self.since = 0.0
        place = idle_workers._Idle(self, policy, JobFolder(folder / "idle"), idle_workers.time.monotonic())
        idle._ready[JobKind.ANALYSIS] = place

    def belong_to(self, folder: JobFolder, policy: SandboxPolicy) -> bool:
        # As the sandbox says where more memory is in use than the job may have.
        return policy.memory_bytes > 64 * MIB

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("state", ["dead", "old", "job has been here"])
def test_a_worker_that_has_died_or_grown_old_is_not_given_away(site, tmp_path, monkeypatch, state):
    had, idle = sandbox_policy(site.node.settings), IdleWorkers(site.node, site.runner._sandbox)
    ready, folder = _Ready(idle, had, tmp_path), JobFolder(tmp_path / "job")
    if state == "dead":
        ready.alive = False
    elif state == "old":
        monkeypatch.setattr(idle_workers, "OLDEST_S", -1.0)
    else:
        folder.create()
    assert idle.take(JobKind.ANALYSIS, had, folder) is None
    assert ready.closed


def test_a_job_that_comes_while_its_worker_is_made_ready_waits_for_it(site, tmp_path, monkeypatch):
    had, idle = sandbox_policy(site.node.settings), site.runner._idle_workers()
    monkeypatch.setattr(idle, "_keep", _slowly(idle, had, tmp_path))
    making = threading.Thread(target=idle.make_ready)
    making.start()
    idle.began.wait(10)
    # Nothing of another kind is being made.
    assert idle.take(JobKind.TRAINING, had, JobFolder(tmp_path / "job")) is None
    taken = []
    job = threading.Thread(
        target=lambda: taken.append(idle.take(JobKind.ANALYSIS, had, JobFolder(tmp_path / "job")))
    )
    job.start()
    job.join(0.05)
    assert taken == []
    idle.go_on.set()
    job.join(10)
    making.join(10)
    assert taken == [idle.made]


def _slowly(idle: IdleWorkers, policy: SandboxPolicy, folder: Path):
    idle.began, idle.go_on = threading.Event(), threading.Event()

    def keep(kind: JobKind) -> None:
        with idle._lock:
            idle._making = kind
        idle.began.set()
        idle.go_on.wait(10)
        idle.made = _Ready(idle, policy, folder)

    return keep


def test_a_worker_whose_sources_have_changed_since_is_not_used(monkeypatch):
    limits: list[tuple[int, tuple[int, int]]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda which, limit: limits.append((which, limit)))
    ours = worker.Worker()
    ours._trusted = True
    assert ours.answer({"op": "belong", "processes": 9, "memory": None})["ok"] is False
    assert ours.answer({"op": "imported"})["ok"] is True
    assert ours.answer({"op": "belong", "processes": 9, "memory": 5 * GIB})["unchanged"] is True
    assert limits == [(resource.RLIMIT_NPROC, (9, 9)), (resource.RLIMIT_DATA, (5 * GIB, 5 * GIB))]
    ours._code_digest = "sha256:another"
    assert ours.answer({"op": "belong", "processes": 9, "memory": None})["unchanged"] is False


def test_nothing_is_kept_ready_where_nobody_wants_it_or_work_is_under_way(site, monkeypatch):
    monkeypatch.setattr(IdleWorkers, "make_ready", lambda self: pytest.fail("it was"))
    with site.runner._at_work():
        site.runner.rest()
    monkeypatch.setattr(runner, "REST_S", 1000.0)
    site.runner.rest()
    monkeypatch.setattr(runner, "REST_S", 0.0)
    site.runner._node = replace(site.node, settings=replace(site.node.settings, jobs_idle_workers="no"))
    site.runner.rest()


def test_auto_asks_for_memory_and_processors(monkeypatch, tmp_path):
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 99 kB\nMemAvailable:   16777216 kB\n")
    assert available_bytes(meminfo) == 16 * GIB
    assert available_bytes(tmp_path / "none") == 0
    assert wanted("yes") and not wanted("no")
    for memory, processors, expected in ((8 * GIB, 4, True), (8 * GIB - 1, 4, False), (8 * GIB, 3, False)):
        monkeypatch.setattr(idle_workers, "available_bytes", lambda memory=memory: memory)
        monkeypatch.setattr(idle_workers.os, "sched_getaffinity", lambda _, n=processors: set(range(n)))
        assert wanted("auto") is expected
