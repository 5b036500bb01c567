"""Faces are found, removed and looked for again, on made-up heads; what is not removed well does not pass."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest

from fairbank.deid.decisions import NO_DECISIONS, DecisionTable, Verdict
from fairbank.deid.faces import check
from fairbank.deid.faces.geometry import slices_of, stacks_of
from fairbank.deid.faces.heads import look
from fairbank.deid.faces.removal import points_of, remove
from fairbank.deid.faces.stage import FaceWork, treat_series
from fairbank.deid.faces.volume import volume_of
from fairbank.deid.method import Method
from fairbank.deid.outcomes import Reason, Refused
from fairbank.deid.policies import FacePolicy

from .phantom import AXIAL, CORONAL, CT, OBLIQUE, SAGITTAL, T2, Head, Scan, write_series

HOLD = Method(faces=FacePolicy.HOLD)
DEFACE = Method(faces=FacePolicy.DEFACE)
IN_SITU = Method(faces=FacePolicy.IN_SITU)
ADULT = Head()
COARSE = {"pixel_mm": 2.5, "slice_mm": 3.0}

SCANS = {
    "mr-sagittal": (Scan(orientation=SAGITTAL, **COARSE), {}),
    "mr-axial": (Scan(orientation=AXIAL, **COARSE), {}),
    "mr-coronal-t2": (Scan(values=T2, orientation=CORONAL, **COARSE), {}),
    "mr-oblique": (Scan(orientation=OBLIQUE, **COARSE), {}),
    "ct-axial-5mm": (Scan("CT", CT, AXIAL, 1.5, 5.0), {}),
    "ct-gantry-tilt": (Scan("CT", CT, AXIAL, 2.0, 4.0, tilt_mm=-0.6), {}),
    "mr-enhanced": (Scan(**COARSE), {"enhanced": True}),
    "mr-two-echoes": (Scan(**COARSE), {"volumes": 2}),
    "ct-compressed": (Scan("CT", CT, AXIAL, 2.5, 4.0), {"compressed": True}),
}


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    """Return a function that copies a scan's files, each scan made once."""
    made: dict[object, Path] = {}

    def copy(scan: Scan, head: Head = ADULT, **how) -> list[Path]:
        key = (scan.modality, scan.orientation, scan.pixel_mm, scan.slice_mm, scan.tilt_mm, scan.low, scan.high,
               scan.body_part, scan.seed, float(scan.values[4]), head, tuple(sorted(how.items())))  # fmt: skip
        if key not in made:
            made[key] = tmp_path_factory.mktemp("made")
            write_series(made[key], head, scan, **how)
        target = tmp_path_factory.mktemp("copy") / "series"
        shutil.copytree(made[key], target)
        return sorted(target.iterdir(), key=lambda path: int(path.stem))

    return copy


def pixels_of(paths: list[Path]) -> np.ndarray:
    arrays = [pydicom.dcmread(path).pixel_array for path in paths]
    return np.concatenate([array if array.ndim == 3 else array[None] for array in arrays])


def refused(paths: list[Path], method: Method, decisions=NO_DECISIONS) -> Refused:
    with pytest.raises(Refused) as caught:
        treat_series(paths, method=method, decisions=decisions)
    return caught.value


QUICK = ("mr-sagittal", "ct-gantry-tilt", "mr-enhanced", "mr-two-echoes")


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.long) for name in SCANS]
)
def test_a_face_is_removed_and_everything_else_stays_bit_for_bit(series, name):
    scan, how = SCANS[name]
    paths = series(scan, **how)
    before = pixels_of(paths)
    work = treat_series(paths, method=DEFACE, decisions=NO_DECISIONS)
    assert (work.head, work.defaced, work.in_situ) == (True, True, False)
    after = pixels_of(paths)
    _, slices = slices_of(paths)
    changed = before != after
    background = 24 if scan.modality == "CT" else 0
    assert (after[changed] == background).all()
    brain = np.stack([Head().brain(points_of(one)) for one in slices])
    assert work.brain_kept == 1.0
    assert not (changed & brain & (np.stack([points_of(one)[..., 2] for one in slices]) > -66)).any()
    assert 0.05 < changed.mean() < 0.5


@pytest.mark.parametrize("name", ["mr-sagittal", "mr-enhanced", "ct-compressed"])
def test_a_defaced_file_says_so_and_keeps_its_geometry(series, name):
    scan, how = SCANS[name]
    paths = series(scan, **how)
    before = [pydicom.dcmread(path, stop_before_pixels=True) for path in paths]
    treat_series(paths, method=DEFACE, decisions=NO_DECISIONS)
    for was, path in zip(before, paths, strict=True):
        now = pydicom.dcmread(path)
        assert now.RecognizableVisualFeatures == "NO"
        assert [item.CodeValue for item in now.DeidentificationMethodCodeSequence] == ["113100", "113102"]
        assert not now.file_meta.TransferSyntaxUID.is_encapsulated
        del now.RecognizableVisualFeatures, now.DeidentificationMethodCodeSequence, now.PixelData
        del was.DeidentificationMethodCodeSequence
        assert was == now
    assert not list(paths[0].parent.glob("*.part"))


@pytest.mark.long
def test_every_echo_loses_the_same_voxels(series):
    scan, how = SCANS["mr-two-echoes"]
    paths = series(scan, **how)
    before = pixels_of(paths)
    treat_series(paths, method=DEFACE, decisions=NO_DECISIONS)
    gone = (pixels_of(paths) == 0) & (before != 0)
    first, second = np.split(gone, 2)
    assert (
        first.any() and (first == second)[(np.split(before, 2)[0] != 0) & (np.split(before, 2)[1] != 0)].all()
    )


def test_a_head_is_held_under_a_group_that_names_device_and_sign(series):
    held = refused(series(SCANS["mr-sagittal"][0]), HOLD)
    assert held.reason is Reason.FACE
    assert held.group == "face|MR|ACME|Tube 1|99x95|header"


def test_a_curator_says_that_such_series_show_no_face(series):
    paths = series(SCANS["mr-sagittal"][0])
    before = [path.read_bytes() for path in paths]
    group = "face|MR|ACME|Tube 1|99x95|header"
    table = DecisionTable({group: Verdict.RELEASE})
    assert treat_series(paths, method=HOLD, decisions=table) == FaceWork(group=group)
    assert [path.read_bytes() for path in paths] == before


def test_in_situ_leaves_the_pixels_and_claims_nothing(series):
    paths = series(SCANS["mr-sagittal"][0])
    before = pixels_of(paths)
    work = treat_series(paths, method=IN_SITU, decisions=NO_DECISIONS)
    assert work == FaceWork(head=True, in_situ=True)
    assert (pixels_of(paths) == before).all()
    for path in paths:
        now = pydicom.dcmread(path)
        assert now.RecognizableVisualFeatures == "YES"
        assert [item.CodeValue for item in now.DeidentificationMethodCodeSequence] == ["113100"]


@pytest.mark.long
def test_defacing_again_changes_nothing(series):
    paths = series(SCANS["mr-sagittal"][0])
    treat_series(paths, method=DEFACE, decisions=NO_DECISIONS)
    once = [path.read_bytes() for path in paths]
    treat_series(paths, method=DEFACE, decisions=NO_DECISIONS)
    assert [path.read_bytes() for path in paths] == once


def test_a_face_that_the_field_cuts_cannot_be_checked_and_is_held(series):
    scan = Scan(low=(-90, -88, -150), **COARSE)
    assert refused(series(scan), DEFACE).reason is Reason.FACE_REMAINS


def test_a_series_with_slices_of_unknown_place_is_held(series):
    paths = series(SCANS["mr-sagittal"][0])
    lost = pydicom.dcmread(paths[3])
    del lost.ImagePositionPatient
    lost.save_as(paths[3])
    assert refused(paths, DEFACE).reason is Reason.FACE_REMAINS


def test_pixels_that_cannot_be_decoded_are_held(series):
    paths = series(*[SCANS["ct-compressed"][0]], compressed=True)
    broken = pydicom.dcmread(paths[10])
    broken.PixelData = broken.PixelData[: len(broken.PixelData) // 2]
    broken.save_as(paths[10])
    assert refused(paths, DEFACE).reason is Reason.FACE_REMAINS
    assert refused(paths, HOLD).reason is Reason.FACE


# What a bad defacer might leave: each takes points (…, 3) mm and tells which are removed.
MUTANTS = {
    "nothing": lambda p: np.zeros(p.shape[:-1], dtype=bool),
    "half of the face": lambda p: good(p) & (p[..., 0] > 0),
    "30 mm too far forward": lambda p: good(p + np.array([0, 30, 0])),
    "25 mm too low": lambda p: good(p + np.array([0, 0, 25])),
    "front and back confused": lambda p: good(p * np.array([1, -1, 1])),
    "head and feet confused": lambda p: good(p * np.array([1, 1, -1])),
    "left and front confused": lambda p: good(p[..., [1, 0, 2]]),
    "only the nose": lambda p: (np.abs(p[..., 0]) < 18) & (p[..., 1] < -75) & (np.abs(p[..., 2] + 72) < 30),
    "only the eyes": lambda p: (np.abs(p[..., 2] + 46) < 16) & (p[..., 1] < -60),
    "every other slice": lambda p: good(p) & (np.floor(p[..., 2] / 8) % 2 == 0),
    "skin peeled by 10 mm": lambda p: peeled(p, 10.0),
}  # fmt: skip


def good(p: np.ndarray) -> np.ndarray:
    return -0.56 * p[..., 1] - 0.83 * p[..., 2] > 76.0


def peeled(p: np.ndarray, depth_mm: float) -> np.ndarray:
    """Remove what is less than so deep behind the face's skin."""
    air = np.zeros(p.shape[:-1], dtype=bool)
    for step in np.arange(0.0, depth_mm, 2.0):
        air |= Head().tissue(p - np.array([0, step, 0])) == 0
    return air & (p[..., 2] < -10) & (p[..., 1] < -20)


def checked(paths: list[Path], beyond) -> check.FaceCheck:
    _, slices = slices_of(paths)
    stack = stacks_of(slices)[0]
    was, level = check.skin_of(volume_of(paths, stack, step_mm=check.STEP_MM), "MR")
    remove(paths, slices, beyond)
    now, _ = check.skin_of(volume_of(paths, stack, step_mm=check.STEP_MM), "MR", level=level)
    return check.check_face(was, now, check.STEP_MM)


def test_the_check_passes_a_good_removal(series):
    assert checked(series(SCANS["mr-sagittal"][0]), good).passed


@pytest.mark.parametrize("name", MUTANTS)
def test_the_check_fails_a_bad_removal(series, name):
    found = checked(series(SCANS["mr-sagittal"][0]), MUTANTS[name])
    assert found.face_found and not found.passed


def test_what_has_no_nose_cannot_pass(series):
    found = checked(series(SCANS["mr-sagittal"][0], Head(nose_mm=0, chin=False)), good)
    assert not found.face_found and not found.passed


@pytest.mark.long
@pytest.mark.parametrize(
    "head",
    [Head(nose_mm=15), Head(nose_mm=30), Head(scale=0.7), Head(scale=1.1), Head(nod_degrees=12), Head(eyes=False)],
    ids=str,
)  # fmt: skip
def test_heads_of_other_sizes_and_postures_are_defaced(series, head):
    scan = Scan(low=(-100, -150, -170), high=(100, 130, 110), **COARSE)
    paths = series(scan, head)
    assert look(paths).head
    work = treat_series(paths, method=DEFACE, decisions=NO_DECISIONS)
    assert work.defaced and work.brain_kept == 1.0
