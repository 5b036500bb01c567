"""The worker of a job in its real sandbox, and what happens when it misbehaves."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest

from fairbank.analysis.errors import ToolDigestMismatch, ToolParametersRefused
from fairbank.analysis.tool import tool_digest
from fairbank.federated_jobs.node import sandbox as sandbox_module
from fairbank.federated_jobs.node import worker_client
from fairbank.federated_jobs.node.errors import (
    ProbeFailed,
    SandboxUnusable,
    StagingRefused,
    WorkerCancelled,
    WorkerCodeFailed,
    WorkerCrashed,
    WorkerError,
    WorkerOutOfMemory,
    WorkerProtocolBroken,
    WorkerTimedOut,
)
from fairbank.federated_jobs.node.sandbox import Sandbox
from fairbank.federated_jobs.node.sandbox_argv import Interpreter
from fairbank.federated_jobs.node.sandbox_cgroup import CgroupTree
from fairbank.federated_jobs.node.sandbox_policy import MIB, JobFolder, Protection, SandboxMode, SandboxPolicy
from fairbank.federated_jobs.node.sandbox_staging import SeriesToStage, stage_series
from fairbank.federated_jobs.node.worker_client import JobWorker, read_rows
from fairbank.federated_jobs.node.worker_protocol import JobKind

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(not Path("/usr/bin/bwrap").exists(), reason="bubblewrap is not installed"),
]

FILES = Path(pydicom.__file__).parent / "data/test_files"
TOOL = "intensity-geometry"
NO_CGROUPS = CgroupTree("", "")
Start = Callable[..., JobWorker]


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    folder = JobFolder(tmp_path / "job")
    names = ("CT_small.dcm", "MR_small.dcm", "reportsi.dcm")
    stage_series([SeriesToStage(f"u{i}", f"s{i}", (FILES / name,)) for i, name in enumerate(names)], folder)
    return folder


@pytest.fixture
def start(tmp_path: Path, folder: JobFolder) -> Iterator[Start]:
    key = tmp_path / "node.key"
    key.write_text("secret")
    key.chmod(0o600)
    running: list[JobWorker] = []

    def started(policy: SandboxPolicy = SandboxPolicy(), **options: object) -> JobWorker:  # noqa: B008 - frozen
        sandbox = Sandbox(policy, node_key=key, hidden=[tmp_path], **options)  # type: ignore[arg-type]
        running.append(JobWorker.start(sandbox, folder, kind=JobKind.ANALYSIS))
        return running[-1]

    yield started
    for worker in running:
        worker.close()


@pytest.fixture
def misbehaving(monkeypatch: pytest.MonkeyPatch, start: Start) -> Start:
    """Start a real worker whose analysis is replaced by a line of code."""

    def started(line: str, policy: SandboxPolicy | None = None, **options: object) -> JobWorker:
        code = (
            "import os, sys, time, fairbank.federated_jobs.node.worker as w\n"
            f"def bad(self, message):\n    {line}\n    return dict(file='rows.json', digest='', statuses={{}})\n"
            "w.Worker._analyse = bad\nw.main()\n"
        )
        monkeypatch.setattr(
            sandbox_module, "python_argv", lambda python, _: [str(python.executable), "-s", "-P", "-c", code]
        )
        return start(policy or SandboxPolicy(), **options)

    return started


def analyse(worker: JobWorker, tmp_path: Path, *, timeout_s: float = 60.0) -> Path:
    return worker.analyse(to=tmp_path / "rows.json", max_bytes=MIB, timeout_s=timeout_s).file


def test_a_tool_runs_over_the_staged_series(start: Start, tmp_path: Path) -> None:
    worker = start()
    worker.prepare_analysis(TOOL, digest=tool_digest(TOOL), parameters={})
    outcome = worker.analyse(to=tmp_path / "rows.json", max_bytes=MIB, timeout_s=60)
    rows = read_rows(outcome.file)
    assert [(row["row"], row["modality"]) for row in rows[:2]] == [("u0", "CT"), ("u1", "MR")]
    assert outcome.statuses == {"ok": 2, "impossible": 1, "error": 0}
    assert 1 <= outcome.subjects <= 2
    assert outcome.file.stat().st_mode & 0o077 == 0


def test_the_report_of_a_sound_sandbox_passes(start: Start) -> None:
    assert start().report.passed


def test_two_workers_at_once_have_different_uids(start: Start, tmp_path: Path) -> None:
    first, second = start(), start()
    uids = {worker._sandboxed.plan.uid for worker in (first, second)}
    assert len(uids) == 2 or uids == {None}


def test_strict_mode_refuses_to_run_and_names_the_failed_assertions(start: Start) -> None:
    with pytest.raises(ProbeFailed) as refused:
        start(without=frozenset({Protection.NETWORK}))
    assert "no_host_loopback" in refused.value.failed
    assert "no_host_loopback" in refused.value.what


def test_permissive_mode_runs_and_reports(start: Start) -> None:
    policy = SandboxPolicy(mode=SandboxMode.PERMISSIVE)
    worker = start(policy, without=frozenset({Protection.NETWORK}))
    assert "no_host_loopback" in worker.report.failed
    worker.prepare_analysis(TOOL, digest=tool_digest(TOOL), parameters={})


def test_permissive_mode_without_bubblewrap_still_measures(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox_module, "BWRAP", str(tmp_path / "no-bwrap"))
    worker = start(SandboxPolicy(mode=SandboxMode.PERMISSIVE))
    assert not worker.report.passed
    worker.prepare_analysis(TOOL, digest=tool_digest(TOOL), parameters={})
    assert len(read_rows(analyse(worker, tmp_path))) == 3


def test_code_that_was_not_approved_is_refused(start: Start) -> None:
    with pytest.raises(ToolDigestMismatch):
        start().prepare_analysis(TOOL, digest="sha256:" + "0" * 64, parameters={})


def test_an_unknown_parameter_is_refused_and_the_worker_lives_on(start: Start) -> None:
    worker = start()
    with pytest.raises(ToolParametersRefused, match="colour"):
        worker.prepare_analysis(TOOL, digest=tool_digest(TOOL), parameters={"colour": 1})
    worker.prepare_analysis(TOOL, digest=tool_digest(TOOL), parameters={})


def test_what_libraries_print_does_not_disturb_the_protocol(misbehaving: Start, tmp_path: Path) -> None:
    worker = misbehaving(
        "print('noise ' * 1000, flush=True); os.write(1, b'\\x00\\x00\\x00\\x05hello' * 100)"
    )
    with pytest.raises(StagingRefused):
        analyse(worker, tmp_path)
    worker.prepare_analysis(TOOL, digest=tool_digest(TOOL), parameters={})
    worker.close()
    assert "noise" in worker.stderr_tail()


def test_an_error_of_the_job_leaves_only_its_kind(misbehaving: Start, tmp_path: Path) -> None:
    worker = misbehaving("raise ValueError('DOE^JANE')")
    with pytest.raises(WorkerCodeFailed) as failed:
        analyse(worker, tmp_path)
    assert "ValueError" in str(failed.value)
    assert "DOE" not in str(failed.value)
    worker.close()
    assert "DOE^JANE" in worker.stderr_tail()


def test_a_crash_is_told(misbehaving: Start, tmp_path: Path) -> None:
    with pytest.raises(WorkerCrashed):
        analyse(misbehaving("os.kill(os.getpid(), 9)"), tmp_path)


def test_a_worker_that_takes_too_long_is_ended(misbehaving: Start, tmp_path: Path) -> None:
    worker = misbehaving("time.sleep(600)")
    with pytest.raises(WorkerTimedOut):
        analyse(worker, tmp_path, timeout_s=0.3)
    assert worker._sandboxed.process.poll() is not None


@pytest.mark.parametrize("cgroups", [None, NO_CGROUPS], ids=["control group", "rlimit"])
def test_a_job_that_wants_too_much_memory_is_told_so(
    misbehaving: Start, tmp_path: Path, cgroups: CgroupTree | None
) -> None:
    policy = SandboxPolicy(memory_bytes=400 * MIB)
    worker = misbehaving("hoard = [bytearray(64 << 20) for _ in range(20)]", policy, cgroups=cgroups)
    with pytest.raises(WorkerOutOfMemory):
        analyse(worker, tmp_path)


def test_a_cancelled_job_ends_at_once(misbehaving: Start, tmp_path: Path) -> None:
    worker = misbehaving("print('running', flush=True); time.sleep(600)")
    failures: list[BaseException] = []

    def run() -> None:
        try:
            analyse(worker, tmp_path, timeout_s=600)
        except WorkerError as err:
            failures.append(err)

    thread = threading.Thread(target=run)
    thread.start()
    _until(lambda: "running" in worker.stderr_tail())
    worker.cancel()
    thread.join(timeout=30)
    assert isinstance(failures[0], WorkerCancelled)


def test_an_answer_that_does_not_match_its_file_is_refused(misbehaving: Start, tmp_path: Path) -> None:
    worker = misbehaving("(self._scratch / 'rows.json').write_text('{}')")
    with pytest.raises(WorkerProtocolBroken):
        analyse(worker, tmp_path)


def test_a_broken_frame_ends_the_worker(misbehaving: Start, tmp_path: Path) -> None:
    worker = misbehaving(
        "[os.write(fd, b'\\xff' * 8) for fd in range(3, 9) if os.path.exists(f'/proc/self/fd/{fd}')]"
    )
    with pytest.raises(WorkerError):
        analyse(worker, tmp_path, timeout_s=20)


def test_a_sandbox_that_cannot_start_says_why(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = Interpreter(Path("/usr/bin/no-python"), (), Interpreter.of_this_process().source)
    monkeypatch.setattr(Interpreter, "of_this_process", classmethod(lambda cls: nowhere))
    with pytest.raises(SandboxUnusable, match="no-python"):
        start()


def test_a_worker_started_from_a_thread_that_ended_lives_on(start: Start, tmp_path: Path) -> None:
    started: list[JobWorker] = []
    thread = threading.Thread(target=lambda: started.append(start()))
    thread.start()
    thread.join()
    started[0].prepare_analysis(TOOL, digest=tool_digest(TOOL), parameters={})
    assert len(read_rows(analyse(started[0], tmp_path))) == 3


def test_the_sandbox_dies_with_its_node(tmp_path: Path, folder: JobFolder) -> None:
    (tmp_path / "node.key").write_text("secret")
    code = (
        "import sys, time\nfrom pathlib import Path\n"
        "from fairbank.federated_jobs.node.sandbox import Sandbox\n"
        "from fairbank.federated_jobs.node.sandbox_policy import JobFolder, SandboxPolicy\n"
        "from fairbank.federated_jobs.node.worker_client import JobWorker, JobKind\n"
        f"key, job = Path({str(tmp_path / 'node.key')!r}), JobFolder(Path({str(folder.root)!r}))\n"
        "worker = JobWorker.start(Sandbox(SandboxPolicy(), node_key=key), job, kind=JobKind.ANALYSIS)\n"
        "print(worker.pid, flush=True)\ntime.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as node:
        assert node.stdout is not None
        sandbox = int(node.stdout.readline())
        family = _descendants(sandbox)
        assert len(family) >= 2
        node.send_signal(signal.SIGKILL)
    _until(lambda: not any(_alive(pid) for pid in family))


def test_limits_of_processes_hold_for_the_whole_job(misbehaving: Start, tmp_path: Path) -> None:
    line = "import subprocess as s; [s.Popen(['/bin/sleep', '60']) for _ in range(40)]"
    with pytest.raises(WorkerCodeFailed, match="BlockingIOError"):
        analyse(misbehaving(line, replace(SandboxPolicy(), max_processes=20)), tmp_path)


def test_nothing_is_left_behind_when_a_worker_closes(start: Start) -> None:
    worker = start()
    folders = worker._sandboxed.group.folders
    worker.close()
    worker.close()
    assert not any(folder.exists() for folder in folders)


def test_the_probe_report_is_json(start: Start) -> None:
    report = start().report
    assert json.loads(json.dumps(report.to_json()))["passed"] is True
    assert worker_client.ProbeReport.from_json(report.to_json()) == report


def _descendants(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(grandchild for child in children for grandchild in _descendants(int(child)))]


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def test_two_processes_in_the_sandbox_measure_what_one_measures_and_tell_how_far_they_are(
    start: Start, tmp_path: Path
) -> None:
    worker, told = start(), list[int]()
    worker.prepare_analysis(TOOL, digest=tool_digest(TOOL), parameters={})
    alone = worker.analyse(to=tmp_path / "one.json", max_bytes=MIB, timeout_s=60)
    both = worker.analyse(
        to=tmp_path / "two.json", max_bytes=MIB, timeout_s=240, workers=2, on_progress=told.append
    )
    assert both.digest == alone.digest
    assert told == sorted(set(told)) and told[0] == 0 and told[-1] == 100


def test_a_worker_that_tells_progress_without_end_is_ended(misbehaving: Start, tmp_path: Path) -> None:
    worker = misbehaving("[self._say({'id': message['id'], 'percent': 7}) for _ in range(10**6)]")
    with pytest.raises(WorkerProtocolBroken):
        analyse(worker, tmp_path)
