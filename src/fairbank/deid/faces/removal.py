"""Taking voxels out of DICOM files: what is to go becomes background, the rest stays bit for bit."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom import dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import UID, ExplicitVRLittleEndian

from fairbank.deid import part10
from fairbank.deid.elements import made
from fairbank.deid.faces.geometry import Floats, Slice
from fairbank.deid.faces.volume import Mask, stored_frames

CLEAN_VISUAL_FEATURES = ("113102", "Clean Recognizable Visual Features Option")
_PIXELS = {0x7FE00010: None, 0x7FE00008: "<f4", 0x7FE00009: "<f8"}
_AIR_HU = -1000.0
_RECOGNIZABLE = 0x00280302
_METHOD_CODES = 0x00120064

Beyond = Callable[[Floats], Mask]


@dataclass(frozen=True, slots=True)
class Removed:
    """How much was taken away.

    Attributes:
        voxels: how many became background.
        of_voxels: how many there are.
    """

    voxels: int
    of_voxels: int


def remove(paths: Sequence[Path], slices: Sequence[Slice], beyond: Beyond) -> Removed:
    """Set all voxels that are beyond something to background, and rewrite the files one by one, each whole.

    Compressed pixels are written uncompressed: nothing is lost twice. The headers' geometry is not touched.

    Args:
        paths: the files of the series.
        slices: every frame of these files, with its place.
        beyond: tells of points in the patient, (rows, columns, 3) mm, which are taken away.

    Raises:
        ValueError: if a file has frames without a place, or pixels that are not of one sample.
        Exception: whatever pydicom raises for pixels that cannot be decoded.
    """
    taken, total = 0, 0
    for number, path in enumerate(paths):
        own = sorted((one for one in slices if one.file == number), key=lambda one: one.frame)
        dataset = dcmread(path)
        frames = _frames_of(path, dataset)
        if [one.frame for one in own] != list(range(len(frames))):
            raise ValueError("a frame's place is not known")
        for one, frame in zip(own, frames, strict=True):
            away = beyond(points_of(one))
            frame[away] = _background(dataset, one, frame.dtype)
            taken, total = taken + int(away.sum()), total + frame.size
        _put_frames(dataset, frames)
        rewrite(path, dataset)
    return Removed(taken, total)


def points_of(one: Slice) -> Floats:
    """Return where the voxels of a slice lie, (rows, columns, 3) float64 mm."""
    rows, columns = one.shape
    across = np.arange(columns)[None, :, None] * one.along_columns * one.spacing[1]
    down = np.arange(rows)[:, None, None] * one.along_rows * one.spacing[0]
    points: Floats = np.array(one.position) + across + down
    return points


def mark(paths: Sequence[Path], *, recognizable: bool, cleaned: bool = False) -> None:
    """Say in each file whether a face can be recognised (0028,0302), and that it was cleaned if it was (113102)."""
    for path in paths:
        dataset = dcmread(path)
        dataset[_RECOGNIZABLE] = made(_RECOGNIZABLE, "CS", "YES" if recognizable else "NO", like=dataset)
        if cleaned:
            _claim(dataset)
        rewrite(path, dataset)


def are_cleaned(paths: Sequence[Path]) -> bool:
    """Return whether every file says that it was cleaned of recognisable features."""
    for path in paths:
        header = dcmread(path, stop_before_pixels=True)
        items = header[_METHOD_CODES].value if _METHOD_CODES in header else []
        if not any(str(item.get("CodeValue")) == CLEAN_VISUAL_FEATURES[0] for item in items):
            return False
    return True


def rewrite(path: Path, dataset: Dataset) -> None:
    """Replace a file by a dataset, whole or not at all."""
    partial = path.with_suffix(".part")
    try:
        with partial.open("wb") as file:
            file.write(part10.write(dataset).content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _claim(dataset: Dataset) -> None:
    items = list(dataset[_METHOD_CODES].value) if _METHOD_CODES in dataset else []
    if any(str(item.get("CodeValue")) == CLEAN_VISUAL_FEATURES[0] for item in items):
        return
    item = Dataset()
    value, meaning = CLEAN_VISUAL_FEATURES
    for tag, vr, text in ((0x00080100, "SH", value), (0x00080102, "SH", "DCM"), (0x00080104, "LO", meaning)):
        item[tag] = made(tag, vr, text, like=item)
    ordered = sorted([*items, item], key=lambda one: str(one.get("CodeValue")))
    dataset[_METHOD_CODES] = DataElement(_METHOD_CODES, "SQ", Items(ordered))


def _frames_of(path: Path, dataset: Dataset) -> npt.NDArray[np.generic]:
    """Return all frames as they are stored, (frames, rows, columns), to be changed in place."""
    count = int(dataset.get("NumberOfFrames") or 1)
    shape = (count, int(dataset.Rows), int(dataset.Columns))
    if UID(dataset.file_meta.TransferSyntaxUID).is_encapsulated:
        return np.stack(list(stored_frames(path, range(count))))
    if int(dataset.SamplesPerPixel) != 1:
        raise ValueError("several samples per pixel")
    tag, kind = next((tag, kind) for tag, kind in _PIXELS.items() if tag in dataset)
    if kind is None:
        signed = "i" if int(dataset.PixelRepresentation) else "u"
        kind = f"<{signed}{int(dataset.BitsAllocated) // 8}"
    little = UID(dataset.file_meta.TransferSyntaxUID).is_little_endian
    stored = np.dtype(kind) if little else np.dtype(kind).newbyteorder(">")
    flat = np.frombuffer(dataset[tag].value, dtype=stored, count=int(np.prod(shape)))
    return flat.reshape(shape).copy()


def _put_frames(dataset: Dataset, frames: npt.NDArray[np.generic]) -> None:
    encapsulated = UID(dataset.file_meta.TransferSyntaxUID).is_encapsulated
    tag = next(tag for tag in _PIXELS if tag in dataset)
    content = frames.tobytes()
    if encapsulated:
        content = frames.astype(frames.dtype.newbyteorder("<")).tobytes()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    vr = {0x7FE00008: "OF", 0x7FE00009: "OD"}.get(tag, "OW" if frames.dtype.itemsize > 1 else "OB")
    dataset[tag] = DataElement(tag, vr, content + b"\0" * (len(content) % 2))
    if tag == 0x7FE00010:
        for name, value in (
            ("SmallestImagePixelValue", frames.min()),
            ("LargestImagePixelValue", frames.max()),
        ):
            if name in dataset:
                dataset[name].value = int(value)


def _background(dataset: Dataset, one: Slice, kind: np.dtype[np.generic]) -> float | int:
    """Return the stored value of air: the declared padding, else -1000 HU in CT, else a real value of 0."""
    padding = dataset.get("PixelPaddingValue")
    if kind.kind == "f":
        return float(
            dataset.get("FloatPixelPaddingValue") or dataset.get("DoubleFloatPixelPaddingValue") or 0.0
        )
    bits = int(dataset.BitsStored)
    least, most = (-(1 << bits - 1), (1 << bits - 1) - 1) if kind.kind == "i" else (0, (1 << bits) - 1)
    if padding is not None:
        return int(np.clip(int(padding), least, most))
    real = _AIR_HU if str(dataset.get("Modality")) == "CT" else 0.0
    return int(np.clip(round((real - one.intercept) / (one.slope or 1.0)), least, most))
