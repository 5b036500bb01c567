"""A site's own defacer gets NIfTI and gives NIfTI; only which voxels it changed is used, and its face check is ours."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pydicom
import pytest

from fairbank.deid.decisions import NO_DECISIONS
from fairbank.deid.faces import command
from fairbank.deid.faces.command import DefacerFailed, changed_by
from fairbank.deid.faces.geometry import slices_of, stacks_of
from fairbank.deid.faces.stage import treat_series
from fairbank.deid.method import Method
from fairbank.deid.outcomes import Reason, Refused
from fairbank.deid.policies import FacePolicy

from .phantom import AXIAL, CT, OBLIQUE, SAGITTAL, Head, Scan, write_series

COARSE = {"pixel_mm": 4.0, "slice_mm": 4.0}

# A defacer as a site may have one: it works in NIfTI's own coordinates (x right, y front, z up).
SHEAR = """
import sys, numpy as np, nibabel
image = nibabel.load(sys.argv[1])
values = np.asarray(image.dataobj).copy()
at = np.stack(np.meshgrid(*map(np.arange, values.shape), indexing="ij"), -1)
place = at @ image.affine[:3, :3].T + image.affine[:3, 3]
values[0.59 * place[..., 1] - 0.81 * place[..., 2] > 76] = {fill}
nibabel.save(nibabel.Nifti1Image(values, image.affine{shift}), sys.argv[2])
"""


def script(folder: Path, text: str) -> str:
    path = folder / "defacer.py"
    path.write_text(text)
    return f"{sys.executable} {path}"


def treated(paths: list[Path], program: str):
    method = Method(faces=FacePolicy.DEFACE, deface_command=program)
    return treat_series(paths, method=method, decisions=NO_DECISIONS)


@pytest.mark.parametrize(
    "scan",
    [Scan(orientation=SAGITTAL, **COARSE), Scan(orientation=OBLIQUE, **COARSE), Scan("CT", CT, AXIAL, 3.0, 4.0)],
    ids=["sagittal", "oblique", "ct"],
)  # fmt: skip
def test_what_the_program_took_away_is_taken_out_of_the_files(tmp_path, scan):
    paths = write_series(tmp_path / "s", Head(), scan)
    before = [pydicom.dcmread(path).pixel_array for path in paths]
    program = script(tmp_path, SHEAR.format(fill="-1000" if scan.modality == "CT" else "0", shift=""))
    assert treated(paths, program).defaced
    _, slices = slices_of(paths)
    background = 24 if scan.modality == "CT" else 0
    for one, path, was in zip(slices, paths, before, strict=True):
        now = pydicom.dcmread(path).pixel_array
        changed = now != was
        assert (now[changed] == background).all()
        middle = one.position[2] if scan.orientation == AXIAL else None
        assert middle is None or middle < 0 or not changed[now.shape[0] // 2 :].any()
    assert pydicom.dcmread(paths[0]).RecognizableVisualFeatures == "NO"


BAD = {
    "fails": "raise SystemExit(1)",
    "writes nothing": "",
    "writes something else": "import sys; open(sys.argv[2], 'w').write('x')",
    "changes nothing": SHEAR.format(fill="values[0, 0, 0]", shift="").replace("> 76", "> 9999"),
    "moves the volume": SHEAR.format(fill="0", shift=" + np.diag([0, 0, 0.5, 0])"),
    "takes the whole head": SHEAR.format(fill="0", shift="").replace("> 76", "> -999"),
    "takes too little": SHEAR.format(fill="0", shift="").replace("> 76", "> 110"),
}


# The others in the long run.
QUICK = ("fails", "writes nothing", "changes nothing", "takes too little")


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.long) for name in BAD]
)
def test_a_program_that_did_not_do_it_holds_the_series(tmp_path, name):
    paths = write_series(tmp_path / "s", Head(), Scan(**COARSE))
    with pytest.raises(Refused) as caught:
        treated(paths, script(tmp_path, BAD[name]))
    assert caught.value.reason is Reason.FACE_REMAINS


def test_a_program_that_is_not_there_holds_the_series(tmp_path):
    paths = write_series(tmp_path / "s", Head(), Scan(**COARSE))
    with pytest.raises(Refused):
        treated(paths, "/no/such/program")


def test_a_program_that_hangs_is_ended_with_its_children(tmp_path):
    paths = write_series(tmp_path / "s", Head(), Scan(**COARSE))
    _, slices = slices_of(paths)
    text = (
        "import subprocess, time, pathlib\n"
        f"child = subprocess.Popen(['sleep', '60'])\n"
        f"pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(child.pid))\n"
        "time.sleep(60)\n"
    )
    start = time.monotonic()
    with pytest.raises(DefacerFailed):
        changed_by(script(tmp_path, text), paths, stacks_of(slices)[0], timeout_s=5.0)
    assert time.monotonic() - start < 30
    child = int((tmp_path / "pid").read_text())
    state = Path(f"/proc/{child}/stat")
    for _ in range(50):
        if not state.exists() or state.read_text().split()[2] == "Z":
            return
        time.sleep(0.1)
    pytest.fail("the child still runs")


def test_a_program_sees_no_secret_and_no_shell(tmp_path, monkeypatch):
    monkeypatch.setenv("FAIRBANK_SECRET", "hush")
    monkeypatch.setenv("FSLDIR", "/opt/fsl")
    text = f"import os, pathlib, sys; pathlib.Path({str(tmp_path / 'seen')!r}).write_text(repr((dict(os.environ), sys.argv, oct(os.stat('.').st_mode & 0o777))))"  # noqa: E501
    paths = write_series(tmp_path / "s", Head(), Scan(**COARSE))
    _, slices = slices_of(paths)
    with pytest.raises(DefacerFailed):
        changed_by(f"{script(tmp_path, text)} '; touch x' {{input}} {{output}}", paths, stacks_of(slices)[0])
    seen = (tmp_path / "seen").read_text()
    assert "hush" not in seen and "/opt/fsl" in seen
    assert "'; touch x'" in seen and "0o700" in seen


def test_slices_that_are_not_of_one_distance_are_no_volume_for_a_program(tmp_path):
    paths = write_series(tmp_path / "s", Head(), Scan(**COARSE))
    del paths[20]
    _, slices = slices_of(paths)
    with pytest.raises(DefacerFailed):
        changed_by("true", paths, stacks_of(slices)[0])


def test_the_time_limit_is_long_enough_for_registration():
    assert command.TIMEOUT_S >= 600 and os.name == "posix"
