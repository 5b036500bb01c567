"""The mean of many real heads, which `pydeface` carries: its face goes, its brain stays, a bad removal does not pass.

pip install --no-deps pydeface
"""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest

from fairbank.deid.decisions import NO_DECISIONS
from fairbank.deid.faces import check
from fairbank.deid.faces.brain import brain_of
from fairbank.deid.faces.geometry import slices_of, stacks_of
from fairbank.deid.faces.removal import remove
from fairbank.deid.faces.shear import plane_under
from fairbank.deid.faces.stage import treat_series
from fairbank.deid.faces.volume import volume_of
from fairbank.deid.method import Method
from fairbank.deid.policies import FacePolicy

from .phantom import Scan, write_frames

_PYDEFACE = importlib.util.find_spec("pydeface")
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        _PYDEFACE is None, reason="needs the data of pydeface (pip install --no-deps pydeface)"
    ),
]


class _Template(Scan):
    """Sagittal slices of the volume, columns to the front, rows downwards."""

    def geometry(self):
        affine, shape = _volume()
        turned = np.concatenate([_unit(affine[:3, 1]), -_unit(affine[:3, 2])])
        top = affine[:3, 3] + (shape[2] - 1) * affine[:3, 2]
        return np.array([top + n * affine[:3, 0] for n in range(shape[0])]), turned, (shape[2], shape[1])


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def _volume():
    image = nibabel.load(Path(_PYDEFACE.submodule_search_locations[0]) / "data" / "mean_reg2mean.nii.gz")
    return np.diag([-1, -1, 1, 1]) @ image.affine, image.shape


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> list[Path]:
    folder = Path(_PYDEFACE.submodule_search_locations[0]) / "data"
    values = np.asarray(nibabel.load(folder / "mean_reg2mean.nii.gz").dataobj)
    frames = np.round(values[:, :, ::-1].transpose(0, 2, 1)).astype(np.int16)
    return write_frames(tmp_path_factory.mktemp("made"), frames, _Template(pixel_mm=0.9765625, slice_mm=1.0))


@pytest.fixture
def paths(made, tmp_path) -> list[Path]:
    shutil.copytree(made[0].parent, tmp_path / "series")
    return sorted((tmp_path / "series").iterdir())


def test_the_face_goes_and_the_brain_stays(paths):
    work = treat_series(paths, method=Method(faces=FacePolicy.DEFACE), decisions=NO_DECISIONS)
    assert work.defaced and work.brain_kept == 1.0


MUTANTS = {
    "nothing": lambda g, p: np.zeros(p.shape[:-1], dtype=bool),
    "half of the face": lambda g, p: g(p) & (p[..., 0] > 0),
    "30 mm too far forward": lambda g, p: g(p + np.array([0, 30, 0])),
    "25 mm too low": lambda g, p: g(p + np.array([0, 0, 25])),
    "front and back confused": lambda g, p: g(p * np.array([1, -1, 1])),
    "head and feet confused": lambda g, p: g(p * np.array([1, 1, -1])),
    "left and front confused": lambda g, p: g(p[..., [1, 0, 2]]),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_bad_removal_does_not_pass(paths, name):
    _, slices = slices_of(paths)
    stack = stacks_of(slices)[0]
    volume = volume_of(paths, stack, step_mm=3.0)
    brain = brain_of(volume, "MR")
    assert brain is not None
    good = plane_under(brain, volume).beyond
    was, level = check.skin_of(volume_of(paths, stack, step_mm=check.STEP_MM), "MR")
    remove(paths, slices, lambda points: MUTANTS[name](good, points))
    now, _ = check.skin_of(volume_of(paths, stack, step_mm=check.STEP_MM), "MR", level=level)
    found = check.check_face(was, now, check.STEP_MM)
    assert found.face_found and not found.passed
