"""Segmentations and structure sets made by the tests, for series made by `made_up`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels.utils import pack_bits
from pydicom.sequence import Sequence as Items
from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage, SegmentationStorage

FRAME = "1.2.3.99"
LUNG, NODULE = ("SCT", "39607008"), ("SCT", "27925004")


def write_segmentation(
    file: Path,
    masks: Mapping[int, NDArray[Any]],
    *,
    spacing_mm: tuple[float, float, float],
    codes: Mapping[int, tuple[str, str]] | None = None,
    origin_mm: Sequence[float] = (0.0, 0.0, 0.0),
    orientation: Sequence[float] = (1, 0, 0, 0, 1, 0),
    kind: str = "BINARY",
    whole: int = 200,
    references: str | None = None,
    **attributes: object,
) -> Path:
    """Write masks, each (slices, rows, columns), as one segmentation without its empty frames.

    Args:
        masks: by number of the segment; parts of 1 if `kind` is FRACTIONAL.
        codes: what each segment shows.
        whole: what stands for all of a pixel in a fractional one.
        references: UID of the series that it was made from.
    """
    data = _empty(SegmentationStorage, "1.2.3.200")
    data.Modality, data.SegmentationType = "SEG", kind
    data.SegmentSequence = Items([_segment(number, (codes or {}).get(number)) for number in masks])
    normal = np.cross(orientation[:3], orientation[3:])
    frames, items = [], []
    for number, mask in masks.items():
        for place, frame in enumerate(mask):
            if not frame.any():
                continue
            item, position, identity = Dataset(), Dataset(), Dataset()
            position.ImagePositionPatient = list(np.array(origin_mm) + normal * place * spacing_mm[0])
            identity.ReferencedSegmentNumber = number
            item.PlanePositionSequence = Items([position])
            item.SegmentIdentificationSequence = Items([identity])
            items.append(item)
            frames.append(frame)
    shared, measures, plane = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = list(spacing_mm[1:]), spacing_mm[0]
    plane.ImageOrientationPatient = list(orientation)
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = Items([measures]), Items([plane])
    data.SharedFunctionalGroupsSequence = Items([shared])
    data.PerFrameFunctionalGroupsSequence = Items(items)
    stack = np.array(frames)
    data.NumberOfFrames, data.Rows, data.Columns = stack.shape
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PixelRepresentation = 1, "MONOCHROME2", 0
    if kind == "BINARY":
        data.BitsAllocated, data.BitsStored, data.HighBit = 1, 1, 0
        data.PixelData = pack_bits(stack.astype(np.uint8))
    else:
        data.BitsAllocated, data.BitsStored, data.HighBit = 8, 8, 7
        data.SegmentationFractionalType, data.MaximumFractionalValue = "OCCUPANCY", whole
        pixels = np.round(stack * whole).astype(np.uint8).tobytes()
        data.PixelData = pixels + b"\0" * (len(pixels) % 2)
    return _saved(data, file, references, attributes)


def write_structures(
    file: Path,
    contours: Mapping[int, Sequence[NDArray[Any]]],
    *,
    names: Mapping[int, str] | None = None,
    codes: Mapping[int, tuple[str, str]] | None = None,
    geometric_type: str = "CLOSED_PLANAR",
    references: str | None = None,
    **attributes: object,
) -> Path:
    """Write contours, each (n, 3) in mm, by the number of their region, as one structure set."""
    data = _empty(RTStructureSetStorage, "1.2.3.300")
    data.Modality = "RTSTRUCT"
    frame = str(attributes.pop("FrameOfReferenceUID", FRAME))
    del data.FrameOfReferenceUID
    regions, drawn, observed = [], [], []
    for number, lines in contours.items():
        region, contour, seen = Dataset(), Dataset(), Dataset()
        region.ROINumber, region.ROIName = number, (names or {}).get(number, "")
        region.ReferencedFrameOfReferenceUID = frame
        contour.ReferencedROINumber = seen.ReferencedROINumber = number
        contour.ContourSequence = Items([_contour(line, geometric_type) for line in lines])
        if codes and number in codes:
            seen.RTROIIdentificationCodeSequence = Items([_code(*codes[number])])
        regions.append(region)
        drawn.append(contour)
        observed.append(seen)
    data.StructureSetROISequence, data.ROIContourSequence = Items(regions), Items(drawn)
    data.RTROIObservationsSequence = Items(observed)
    if references is not None:
        series, study, of_frame = Dataset(), Dataset(), Dataset()
        series.SeriesInstanceUID = references
        study.RTReferencedSeriesSequence = Items([series])
        of_frame.FrameOfReferenceUID, of_frame.RTReferencedStudySequence = frame, Items([study])
        data.ReferencedFrameOfReferenceSequence = Items([of_frame])
    return _saved(data, file, None, attributes)


def square(place_mm: float, low: Sequence[float], high: Sequence[float]) -> NDArray[np.float64]:
    """Return a contour in an axial plane from its (x, y) corners in mm."""
    (x0, y0), (x1, y1) = low, high
    return np.array([[x0, y0, place_mm], [x1, y0, place_mm], [x1, y1, place_mm], [x0, y1, place_mm]])


def _empty(kind: str, uid: str) -> Dataset:
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = kind
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = uid
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.FrameOfReferenceUID = FRAME
    return data


def _segment(number: int, code: tuple[str, str] | None) -> Dataset:
    segment = Dataset()
    segment.SegmentNumber, segment.SegmentLabel = number, f"typed {number}"
    if code:
        segment.SegmentedPropertyTypeCodeSequence = Items([_code(*code)])
    return segment


def _code(scheme: str, value: str) -> Dataset:
    code = Dataset()
    code.CodingSchemeDesignator, code.CodeValue, code.CodeMeaning = scheme, value, "of a test"
    return code


def _contour(line: NDArray[Any], geometric_type: str) -> Dataset:
    contour = Dataset()
    contour.ContourGeometricType, contour.NumberOfContourPoints = geometric_type, len(line)
    contour.ContourData = [f"{value:g}" for value in np.asarray(line).ravel()]
    return contour


def _saved(data: Dataset, file: Path, references: str | None, attributes: Mapping[str, object]) -> Path:
    if references is not None:
        series = Dataset()
        series.SeriesInstanceUID = references
        data.ReferencedSeriesSequence = Items([series])
    for name, value in attributes.items():
        if value is None:
            delattr(data, name)
        else:
            setattr(data, name, value)
    file.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(file, enforce_file_format=True)
    return file
