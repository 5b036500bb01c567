"""The commands of a folder run, as a person gives them: in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file
from tests.deid.conftest import as_file, ct_dataset
from tests.deid.running.conftest import KEY

# Bundled with pydicom: whole, compressed, truncated, without meta, a report, a segmentation, a screen, a DICOMDIR.
BUNDLED = [
    "CT_small.dcm",
    "MR_small.dcm",
    "MR_small_RLE.dcm",
    "MR_truncated.dcm",
    "no_meta.dcm",
    "reportsi.dcm",
    "liver_1frame.dcm",
    "examples_overlay.dcm",
    "SC_rgb_small_odd.dcm",
    "waveform_ecg.dcm",
    "rtplan.dcm",
    "DICOMDIR",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with an `incoming` folder and a key in it."""
    (tmp_path / "incoming").mkdir()
    (tmp_path / "study.key").write_bytes(KEY)
    (tmp_path / "study.key").chmod(0o600)
    return tmp_path


def fairbank(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fairbank", "--home", str(folder / "home"), "deid", *words],
        cwd=folder, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip


def test_a_real_mixed_folder_goes_through_plan_run_review_and_report(folder: Path) -> None:
    for name in BUNDLED:
        content = Path(str(get_testdata_file(name))).read_bytes()
        (folder / "incoming" / name).write_bytes(content)
    plan = fairbank(folder, "plan", "incoming", "clean", "--format", "json")
    assert plan.returncode == 0, plan.stderr
    foretold = json.loads(plan.stdout)
    assert foretold["files"] == len(BUNDLED)
    run = fairbank(folder, "run", "incoming", "clean", "--key-file", "study.key", "--format", "json")
    assert run.returncode == 1, "some files are damaged"
    told = json.loads(run.stdout)
    assert told["files"] == len(BUNDLED) and told["ok"] >= 5
    held = {word.partition(": ")[2]: count for word, count in told.items() if ": " in word}
    assert held == foretold["will_be_held"]
    files = json.loads((folder / "clean/report/files.json").read_text())
    assert len(files) == len(BUNDLED)
    for one in files.values():
        assert (one["output"] is None) == (one["state"] != "ok")
        assert one["output"] is None or (folder / "clean" / one["output"]).is_file()
    listed = json.loads(fairbank(folder, "review", "list", "--folder", "clean", "--format", "json").stdout)
    assert sum(row["files"] for row in listed) == len(BUNDLED) - told["ok"]
    (group,) = [row["group"] for row in listed if "release" in row["may"]]
    shown = fairbank(folder, "review", "show", group, "--folder", "clean", "--into", "views")
    assert shown.returncode == 0 and list((folder / "views").glob("*.png")), shown.stderr
    decided = fairbank(
        folder, "review", "decide", group, "release", "--reason", "no text", "--folder", "clean"
    )
    assert decided.returncode == 0, decided.stderr
    again = fairbank(folder, "run", "incoming", "clean", "--key-file", "study.key", "--format", "json")
    assert json.loads(again.stdout)["ok"] == told["ok"] + 1
    sample = fairbank(folder, "review", "sample", "--folder", "clean", "--format", "json")
    assert len(json.loads(sample.stdout)) == told["ok"] + 1
    assert fairbank(folder, "review", "record", "--folder", "clean", "--clean").returncode == 0
    report = fairbank(folder, "report", "clean")
    assert report.returncode == 0, report.stderr
    page = (folder / "clean/report/report.html").read_text()
    assert "of them were looked at" in page and "<td>release</td><td>no text</td>" in page
    assert {path.name for path in (folder / "clean/report").iterdir()} == {
        "files.json", "report.json", "report.html", "provenance.json",
    }  # fmt: skip


@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_finishes_the_series_in_hand_and_says_how_to_go_on(
    folder: Path, asked: signal.Signals
) -> None:
    for series in range(60):
        for instance in range(3):
            content = as_file(ct_dataset(f"PAT-{series}", 1, 1, instance + 1))
            (folder / "incoming" / f"{series}-{instance}.dcm").write_bytes(content)
    words = ["--home", str(folder / "home"), "deid", "run", "incoming", "clean", "--key-file", "study.key"]
    running = subprocess.Popen(
        [sys.executable, "-m", "fairbank", *words], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    until = time.monotonic() + 100
    while time.monotonic() < until:
        # What is being written may be moved into its place while one looks.
        with suppress(FileNotFoundError):
            if list((folder / "clean").glob("*/*/*/*.dcm")):
                break
        time.sleep(0.01)
    running.send_signal(asked)
    _, said = running.communicate(timeout=100)
    outputs = list((folder / "clean").glob("*/*/*/*.dcm"))
    assert outputs and len(outputs) % 3 == 0
    if running.returncode != 0:  # else it was done before the signal came
        assert running.returncode == 130, said
        assert b"it goes on from here" in said
        assert (folder / "clean/report/files.json").is_file()
    assert fairbank(folder, "run", "incoming", "clean", "--key-file", "study.key").returncode == 0
    assert len(list((folder / "clean").glob("*/*/*/*.dcm"))) == 180


@pytest.mark.parametrize(
    "words",
    [
        ("run", "incoming", "clean"),
        ("run", "incoming"),
        ("run", "incoming", "clean", "--key-file", "study.key", "--nonsense"),
        ("run", "incoming", "clean", "--key-file", "study.key", "--profile", "lenient"),
        ("run", "incoming", "clean", "--key-file", "study.key", "--option", "keep_all"),
        ("run", "incoming", "incoming/clean", "--key-file", "study.key"),
        ("run", "nowhere", "clean", "--key-file", "study.key"),
        ("report",),
        ("review", "list"),
    ],
)
def test_misuse_is_refused_and_nothing_is_written(folder: Path, words: tuple[str, ...]) -> None:
    (folder / "incoming" / "a.dcm").write_bytes(as_file(ct_dataset()))
    done = fairbank(folder, *words)
    assert done.returncode in (1, 2) and done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "clean").exists() and not (folder / "incoming" / "clean").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small disk")
def test_a_disk_that_is_full_is_said_and_the_run_goes_on_once_there_is_room(folder: Path) -> None:
    for series in range(12):
        dataset = ct_dataset(f"PAT-{series}")
        dataset.Rows = dataset.Columns = 256
        dataset.PixelData = bytes(256 * 256 * 2)
        (folder / "incoming" / f"{series}.dcm").write_bytes(as_file(dataset))
    disk = folder / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        words = ("run", "incoming", "disk/clean", "--key-file", "study.key", "--report", "report")
        done = fairbank(folder, *words)
        assert done.returncode == 1 and "The disk is full" in done.stderr
        assert "Traceback" not in done.stderr
        some = list((disk / "clean").glob("*/*/*/*.dcm"))
        assert 0 < len(some) < 12
        assert all(path.stat().st_size > 256 * 256 * 2 for path in some)
        subprocess.run(["mount", "-o", "remount,size=16m", str(disk)], check=True)
        assert fairbank(folder, *words).returncode == 0
        assert len(list((disk / "clean").glob("*/*/*/*.dcm"))) == 12
    finally:
        subprocess.run(["umount", str(disk)], check=True)
