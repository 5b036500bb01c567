"""However the demo ends, no process of it lives on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from typing import Any

import psutil
import pytest

from fairbank.demo.processes import Processes

PATIENCE_S = 120


@pytest.fixture(autouse=True)
def interrupts_are_heard() -> Iterator[None]:
    """A shell that starts the tests in the background has them ignore Ctrl-C, and so would all that they start."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_the_demo_leaves_no_process_behind(told: Any) -> None:
    """It stops the demo: nothing of this folder's session may come after it."""
    running = told.descendants()
    names = told.federation.processes.names()
    assert len(names) == 7, "a hub, three archives, three nodes"
    told.run.__exit__(None, None, None)
    _, alive = psutil.wait_procs(running, timeout=20)
    assert alive == []


@contextmanager
def started(home: Path) -> Iterator[subprocess.Popen[str]]:
    """Start the demo as a person does, and see that nothing of it is left whatever a test says."""
    demo = subprocess.Popen(
        [sys.executable, "-m", "fairbank", "demo", "--home", str(home)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    below: list[psutil.Process] = []
    try:
        yield demo
        below = psutil.Process(demo.pid).children(recursive=True) if demo.poll() is None else []
    finally:
        for process in below:
            process.kill()
        demo.kill()
        demo.communicate()


@pytest.mark.parametrize(
    "sign",
    [
        pytest.param(signal.SIGINT, id="ctrl-c"),
        pytest.param(signal.SIGTERM, id="terminated", marks=pytest.mark.long),
    ],
)
def test_an_interrupted_demo_stops_all_its_processes(tmp_path: Path, sign: signal.Signals) -> None:
    with started(tmp_path / "home") as demo:
        nodes = [
            tmp_path / "home" / "logs" / f"node-{name}.log" for name in ("northfield", "harbour", "southvale")
        ]
        deadline = time.monotonic() + PATIENCE_S
        while not all(log.exists() and "works for" in log.read_text() for log in nodes):
            assert demo.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        children = psutil.Process(demo.pid).children(recursive=True)
        assert len(children) >= 7
        demo.send_signal(sign)
        _, err = demo.communicate(timeout=60)
        _, alive = psutil.wait_procs(children, timeout=5)
        assert alive == []
        # A shell sees 130 either way: where an import was interrupted, Python ends by the signal itself.
        assert demo.returncode in (130, -signal.SIGINT)
        assert err.strip().endswith("Interrupted.") and "Traceback" not in err


def test_a_process_that_does_not_heed_is_ended_at_the_second_ctrl_c(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deaf.py").write_text(
        "import signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('deaf', flush=True)\n"
        "time.sleep(600)\n"
    )
    monkeypatch.setattr("fairbank.demo.processes.STOP_TIMEOUT_S", 600.0)
    processes = Processes(tmp_path / "logs")
    processes.start("deaf", ["deaf"], environ={"PYTHONPATH": str(tmp_path)})
    processes.wait_until("deaf", lambda: "deaf" in processes.log_end("deaf"))
    process = psutil.Process(processes.pid("deaf"))
    Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        processes.stop_all()
    assert not process.is_running()


def test_an_interrupted_demo_without_a_home_leaves_no_folder(
    fairbank: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(run: Any) -> None:
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("fairbank.demo.run.DemoRun.tell", interrupted)
    ran = fairbank("demo")
    signal.signal(signal.SIGTERM, before)
    assert (ran.code, ran.err) == (130, "Interrupted.\n")
    assert list(tmp_path.glob("fairbank-demo-*")) == []


def test_a_report_that_has_no_place_is_refused_before_anything_begins(fairbank: Any, tmp_path: Path) -> None:
    fairbank("demo", "--report", tmp_path / "none" / "report.json").refused("there is no folder", code=2)


def test_a_second_start_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "hub.db").touch()
    with started(tmp_path / "home") as demo:
        out, err = demo.communicate(timeout=60)
    assert demo.returncode == 1 and out == ""
    assert "FB-DEMO-001" in err and "is not empty" in err and "Name another folder" in err
    assert "Traceback" not in err
