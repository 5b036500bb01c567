"""A defacer of the site's own: called with NIfTI in and NIfTI out; what it changed is taken out of the DICOM files.

The program runs without a shell, in a folder that only this user can read, with a time limit. Nothing that it writes
becomes part of the output but the answer to one question: which voxels it changed.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fairbank.deid.faces.geometry import Floats, Stack
from fairbank.deid.faces.volume import Mask, Values, stored_frames

TIMEOUT_S = 1800.0
_INPUT, _OUTPUT = "{input}", "{output}"
# DICOM's x and y grow to the left and the back, NIfTI's to the right and the front.
_TO_NIFTI = np.diag([-1.0, -1.0, 1.0, 1.0])
_SAME_PLACE_MM = 1e-3
_REGULAR_MM = 0.05
# A program that changes more than this has not only taken a face away.
_MOST_CHANGED = 0.6


class DefacerFailed(Exception):
    """The program failed, took too long, or did not answer with a volume of the same geometry."""


@dataclass(frozen=True)
class StackMask:
    """Voxels of one stack, asked for by their places in the patient.

    Attributes:
        stack: regular slices.
        mask: (n_slices, rows, columns) bool.
    """

    stack: Stack
    mask: Mask = field(repr=False)

    def beyond(self, points: Floats) -> Mask:
        """Return which points lie in a voxel of the mask, (…, 3) mm → (…) bool."""
        one, places = self.stack.slices[0], self.stack.places_mm
        rel = points - np.array(one.position)
        number = np.rint(np.interp(points @ one.normal, places, np.arange(len(places)))).astype(int)
        row = np.rint(rel @ one.along_rows / one.spacing[0]).astype(int)
        column = np.rint(rel @ one.along_columns / one.spacing[1]).astype(int)
        inside = (row >= 0) & (row < one.shape[0]) & (column >= 0) & (column < one.shape[1])
        within = np.abs(points @ one.normal - places[number]) <= self.stack.step_mm
        found: Mask = inside & within
        found[found] = self.mask[number[found], row[found], column[found]]
        return found


def changed_by(
    command: str, paths: Sequence[Path], stack: Stack, *, timeout_s: float = TIMEOUT_S
) -> StackMask:
    """Return the voxels of a stack that the site's program changes.

    Args:
        command: program and arguments; `{input}` and `{output}` stand for the files, which else come last.
        paths: the files of the series.

    Raises:
        DefacerFailed: if the program fails, or its answer cannot be used.
    """
    from nibabel.nifti1 import Nifti1Image

    values = _values(paths, stack)
    affine = _affine(stack)
    with tempfile.TemporaryDirectory(prefix="fairbank-face-") as name:
        folder = Path(name)  # of mode 0700
        source, target = folder / "in.nii.gz", folder / "out.nii.gz"
        Nifti1Image(values.transpose(2, 1, 0), affine).to_filename(source)  # type: ignore[no-untyped-call]  # nibabel has none
        _run(arguments(command, source, target), folder, timeout_s)
        try:
            answer = Nifti1Image.from_filename(target)
            after = np.asarray(answer.dataobj, dtype=np.float32)
            place = answer.affine
        except Exception as err:
            raise DefacerFailed from err
    if after.shape != values.shape[::-1] or not np.allclose(place, affine, atol=_SAME_PLACE_MM):
        raise DefacerFailed
    after = after.transpose(2, 1, 0)
    tolerance = 1e-4 * float(np.ptp(values)) + 1e-6
    changed = ~(np.abs(after - values) <= tolerance)
    if not 0 < changed.mean() <= _MOST_CHANGED:
        raise DefacerFailed
    return StackMask(stack, changed)


def arguments(command: str, source: Path, target: Path) -> list[str]:
    """Return a command as the list of its words, the files in their places.

    >>> arguments("pydeface {input} --outfile {output}", Path("a"), Path("b"))
    ['pydeface', 'a', '--outfile', 'b']
    """
    words = shlex.split(command)
    if not any(_INPUT in word for word in words):
        words = [*words, _INPUT, _OUTPUT]
    return [word.replace(_INPUT, str(source)).replace(_OUTPUT, str(target)) for word in words]


def _run(words: list[str], folder: Path, timeout_s: float) -> None:
    # The node's own settings may hold secrets; the program gets the rest, which names its own installation.
    env = {name: value for name, value in os.environ.items() if not name.startswith("FAIRBANK_")}
    env |= {"TMPDIR": str(folder)}
    quiet = subprocess.DEVNULL
    try:
        process = subprocess.Popen(
            words, cwd=folder, env=env, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True
        )
    except OSError as err:
        raise DefacerFailed from err
    try:
        if process.wait(timeout_s) != 0:
            raise DefacerFailed
    except subprocess.TimeoutExpired as err:
        raise DefacerFailed from err
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _values(paths: Sequence[Path], stack: Stack) -> Values:
    planes = []
    for one in stack.slices:
        frame = next(stored_frames(paths[one.file], [one.frame]))
        planes.append(frame.astype(np.float32) * one.slope + one.intercept)
    return np.stack(planes).astype(np.float32)


def _affine(stack: Stack) -> Floats:
    """Return the NIfTI affine of (column, row, slice) indices.

    Raises:
        DefacerFailed: if the slices are not of one distance, or do not stand upright on each other.
    """
    first, last = stack.slices[0], stack.slices[-1]
    starts = np.array([one.position for one in stack.slices])
    count = len(starts)
    regular = starts[0] + np.arange(count)[:, None] * (starts[-1] - starts[0]) / (count - 1)
    step = (np.array(last.position) - np.array(first.position)) / (count - 1)
    upright = np.abs(step - first.normal * (step @ first.normal)).max() <= _REGULAR_MM
    if np.abs(starts - regular).max() > _REGULAR_MM or not upright:
        raise DefacerFailed
    affine = np.eye(4)
    affine[:3, 0] = first.along_columns * first.spacing[1]
    affine[:3, 1] = first.along_rows * first.spacing[0]
    affine[:3, 2] = step
    affine[:3, 3] = first.position
    result: Floats = _TO_NIFTI @ affine
    return result
