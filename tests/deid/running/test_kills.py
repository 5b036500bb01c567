"""SIGKILL at any point: what is there then is whole, and the next run ends as if nothing had happened."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from pathlib import Path

import pydicom
import pytest
from tests.deid.conftest import as_file, ct_dataset
from tests.deid.running.conftest import KEY
from tests.deid.running.killed_run import POINTS

PROGRAM = Path(__file__).with_name("killed_run.py")
KILLED = -9
_FEW = [("rename", 2), ("note-renames", 2), ("renames-done", 1), ("write-staged", 5), ("account", 1)]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with three series, two files to hold, and a key beside it."""
    root = tmp_path_factory.mktemp("killed")
    folder = root / "incoming"
    folder.mkdir()
    for patient in ("PATIENT-A", "PATIENT-B", "PATIENT-C"):
        for instance in (1, 2, 3):
            (folder / f"{patient}-{instance}.dcm").write_bytes(as_file(ct_dataset(patient, 1, 1, instance)))
    screen = ct_dataset("PATIENT-A", 1, 1, 4)
    screen.BurnedInAnnotation = "YES"
    (folder / "screen.dcm").write_bytes(as_file(screen))
    (folder / "notes.txt").write_bytes(b"not an image")
    (root / "study.key").write_bytes(KEY)
    (root / "study.key").chmod(0o600)
    undisturbed = run(folder, root / "undisturbed")
    assert undisturbed == 0
    return folder


def run(source: Path, target: Path, point: str = "", count: int = 0, workers: int = 1) -> int:
    key = source.parent / "study.key"
    words = [source, target, key, workers, point, count]
    done = subprocess.run(
        [sys.executable, PROGRAM, *map(str, words)], capture_output=True, timeout=120, check=False
    )
    assert done.returncode in (0, KILLED), done.stderr.decode()[-2000:]
    return done.returncode


def left(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and ".fairbank" not in path.parts
    }


def check_whole(target: Path, whole: dict[str, bytes]) -> None:
    """Check that what is visible is part of the undisturbed result, byte for byte, and no file is a part of one."""
    for path in target.rglob("*.dcm"):
        if ".staging" in path.parts:
            continue
        name = path.relative_to(target).as_posix()
        assert path.read_bytes() == whole[name]
        assert pydicom.dcmread(path).PixelData


def check_killed(source: Path, target: Path, point: str, count: int, workers: int = 1) -> None:
    whole = left(source.parent / "undisturbed")
    assert run(source, target, point, count, workers) == KILLED, "the point was never reached"
    check_whole(target, whole)
    assert run(source, target, workers=workers) == 0
    assert left(target) == whole
    shutil.rmtree(target)


@pytest.mark.parametrize(("point", "count"), _FEW, ids=[f"{point}-{count}" for point, count in _FEW])
def test_a_killed_run_ends_as_if_it_had_not_been_killed(
    source: Path, tmp_path: Path, point: str, count: int
) -> None:
    check_killed(source, tmp_path / "clean", point, count)


def test_a_killed_run_with_two_processes_leaves_no_process_and_the_same_result(
    source: Path, tmp_path: Path
) -> None:
    check_killed(source, tmp_path / "clean", "note-renames", 2, workers=2)


@pytest.mark.long
@pytest.mark.parametrize("point", sorted(POINTS))
def test_a_run_may_be_killed_anywhere_and_again(source: Path, tmp_path: Path, point: str) -> None:
    whole = left(source.parent / "undisturbed")
    chance = random.Random(point)
    target = tmp_path / "clean"
    kills = 0
    for count in range(1, 40):
        if run(source, target, point, count) == 0:
            break
        kills += 1
        check_whole(target, whole)
        if chance.random() < 0.5:
            assert run(source, target) == 0
            assert left(target) == whole
            shutil.rmtree(target)
    assert kills
    assert run(source, target) == 0
    assert left(target) == whole
