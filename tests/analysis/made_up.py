"""DICOM series made by the tests: any grey values, any geometry, one file per slice or one for all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian

INTERCEPT = -1024


def write_series(
    folder: Path,
    voxels: NDArray[Any],
    *,
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0),
    orientation: Sequence[float] = (1, 0, 0, 0, 1, 0),
    places_mm: Sequence[float] | None = None,
    shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0),
    **attributes: object,
) -> tuple[Path, ...]:
    """Write voxels, (slices, rows, columns) in HU, as one CT file per slice.

    Args:
        places_mm: where the slices lie along the normal; evenly by default.
        shift_mm: by how much each slice is moved against the one before, besides.
        attributes: of every file; None removes one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    normal = np.cross(orientation[:3], orientation[3:])
    files = []
    for number, frame in enumerate(voxels):
        place = number * spacing_mm[0] if places_mm is None else places_mm[number]
        image = _image(frame.shape, CTImageStorage, f"1.2.3.{number + 1}")
        image.SliceThickness = spacing_mm[0]
        image.PixelSpacing = [spacing_mm[1], spacing_mm[2]]
        image.ImageOrientationPatient = list(orientation)
        image.ImagePositionPatient = list(np.round(normal * place + np.array(shift_mm) * number, 6))
        image.RescaleSlope, image.RescaleIntercept = 1, INTERCEPT
        files.append(_saved(image, frame - INTERCEPT, folder / f"{number:06d}.dcm", attributes))
    return tuple(files)


def write_enhanced(folder: Path, voxels: NDArray[Any], *, spacing_mm: tuple[float, float, float]) -> Path:
    """Write voxels, (slices, rows, columns) in HU, as one multi-frame file, the last slice first."""
    folder.mkdir(parents=True, exist_ok=True)
    image = _image(voxels.shape[1:], EnhancedCTImageStorage, "1.2.3.1")
    image.NumberOfFrames = len(voxels)
    measures, plane, values = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing = list(spacing_mm[1:])
    measures.SliceThickness = spacing_mm[0]
    plane.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    values.RescaleSlope, values.RescaleIntercept, values.RescaleType = 1, INTERCEPT, "HU"
    shared = Dataset()
    shared.PixelMeasuresSequence = Items([measures])
    shared.PlaneOrientationSequence = Items([plane])
    shared.PixelValueTransformationSequence = Items([values])
    image.SharedFunctionalGroupsSequence = Items([shared])
    frames = []
    for number in reversed(range(len(voxels))):
        position, frame = Dataset(), Dataset()
        position.ImagePositionPatient = [0, 0, number * spacing_mm[0]]
        frame.PlanePositionSequence = Items([position])
        frames.append(frame)
    image.PerFrameFunctionalGroupsSequence = Items(frames)
    return _saved(image, voxels[::-1] - INTERCEPT, folder / "000001.dcm", {})


def _image(shape: tuple[int, ...], kind: str, uid: str) -> Dataset:
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID = kind
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID = uid
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.Modality = "CT"
    image.Rows, image.Columns = shape
    image.SamplesPerPixel = 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit = 15
    image.PixelRepresentation = 1
    return image


def _saved(image: Dataset, stored: NDArray[Any], file: Path, attributes: dict[str, object]) -> Path:
    for name, value in attributes.items():
        if value is None:
            delattr(image, name)
        else:
            setattr(image, name, value)
    image.PixelData = np.round(stored).astype("<i2").tobytes()
    image.save_as(file, enforce_file_format=True)
    return file
