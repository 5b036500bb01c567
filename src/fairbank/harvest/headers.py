"""Reading headers: what the index needs of one file, without its pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.multival import MultiValue

from fairbank.deid.annotations import Annotations, annotations_of
from fairbank.deid.facts import study_day
from fairbank.deid.part10 import quiet_pydicom
from fairbank.harvest.errors import UnreadableHeader

_TAGS = [
    "SOPInstanceUID",
    "SOPClassUID",
    "SeriesInstanceUID",
    "StudyInstanceUID",
    "PatientID",
    "Modality",
    "BodyPartExamined",
    "Manufacturer",
    "ManufacturerModelName",
    "MagneticFieldStrength",
    "Laterality",
    "ImageLaterality",
    "StudyDate",
    "LongitudinalTemporalInformationModified",
    "SegmentSequence",
    "StructureSetROISequence",
    "RTROIObservationsSequence",
    "SliceThickness",
    "SpacingBetweenSlices",
    "PixelSpacing",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "InstanceNumber",
    "EchoTime",
    "AcquisitionTime",
    "AcquisitionNumber",
    "TemporalPositionIdentifier",
    "TriggerTime",
    "DiffusionBValue",
    "ImageType",
    "ConvolutionKernel",
    "BurnedInAnnotation",
    "LossyImageCompression",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
]
# What may tell two images at one place apart (rule 3 of quality.py).
_VARIANTS = (
    "EchoTime",
    "AcquisitionTime",
    "AcquisitionNumber",
    "TemporalPositionIdentifier",
    "TriggerTime",
    "DiffusionBValue",
    "ImageType",
    "ConvolutionKernel",
)

Vector = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class InstanceHeader:
    """What the header of one file says; lengths in millimetres, None where it says nothing usable.

    Attributes:
        path: the file, if the header was read from one.
        study_day: the day of the study as the file has it, counted from the year 1; in the research store it is moved
            by the subject's own number of days, so that only distances are true.
    """

    path: Path | None
    sop_uid: str
    sop_class: str
    series_uid: str
    study_uid: str
    subject: str
    modality: str
    body_part: str
    manufacturer: str
    slice_thickness: float | None
    spacing_between: float | None
    pixel_spacing: Vector
    rows: int | None
    columns: int | None
    frames: int
    orientation: Vector
    position: Vector
    variant: str
    instance_number: int | None
    burned_in: str
    lossy: str
    model: str
    field_strength: float | None
    kernel: str
    laterality: str
    study_day: int | None
    annotations: Annotations

    @property
    def is_multiframe(self) -> bool:
        """Tell whether one file holds several frames, so that its geometry is not in the top level."""
        return self.frames > 1


def read_header(path: Path) -> InstanceHeader:
    """Read the header of a file, up to its pixels.

    Raises:
        UnreadableHeader: if it is not DICOM, cut off in its header, or without its UIDs.
    """
    try:
        with quiet_pydicom():
            dataset = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=_TAGS)
            header = header_of(dataset, path)
    except (InvalidDicomError, OSError, ValueError, TypeError, AttributeError, KeyError, EOFError) as err:
        raise _unreadable() from err
    if not (header.sop_uid and header.series_uid and header.study_uid):
        raise _unreadable()
    return header


def header_of(dataset: Dataset, path: Path | None = None) -> InstanceHeader:
    """Return what the index needs of a header, where `path` is the file that it was read from, if any."""
    measures = _measures(dataset)
    thickness = _number(dataset.get("SliceThickness"))
    return InstanceHeader(
        path=path,
        sop_uid=_text(dataset, "SOPInstanceUID"),
        sop_class=_text(dataset, "SOPClassUID"),
        series_uid=_text(dataset, "SeriesInstanceUID"),
        study_uid=_text(dataset, "StudyInstanceUID"),
        subject=_text(dataset, "PatientID"),
        modality=_text(dataset, "Modality"),
        body_part=_text(dataset, "BodyPartExamined"),
        manufacturer=_text(dataset, "Manufacturer"),
        slice_thickness=thickness if thickness is not None else _number(measures.get("SliceThickness")),
        spacing_between=_number(dataset.get("SpacingBetweenSlices")),
        pixel_spacing=_vector(dataset.get("PixelSpacing") or measures.get("PixelSpacing"), 2),
        rows=_whole(dataset.get("Rows")),
        columns=_whole(dataset.get("Columns")),
        frames=_whole(dataset.get("NumberOfFrames")) or 1,
        orientation=_vector(dataset.get("ImageOrientationPatient"), 6),
        position=_vector(dataset.get("ImagePositionPatient"), 3),
        variant="|".join(_text(dataset, keyword) for keyword in _VARIANTS),
        instance_number=_whole(dataset.get("InstanceNumber")),
        burned_in=_text(dataset, "BurnedInAnnotation").upper(),
        lossy=_text(dataset, "LossyImageCompression"),
        model=_text(dataset, "ManufacturerModelName"),
        field_strength=_number(dataset.get("MagneticFieldStrength")),
        kernel=_kernel(dataset),
        laterality=_laterality(dataset),
        study_day=study_day(dataset, shift_days=0),
        annotations=annotations_of(dataset),
    )


def _measures(dataset: Dataset) -> Dataset:
    """Return the pixel measures of an enhanced multi-frame image (DICOM PS3.3, C.7.6.16.2.1), or an empty dataset."""
    return _functional_group(dataset, "PixelMeasuresSequence")


def _kernel(dataset: Dataset) -> str:
    """Return the kernel; of an enhanced CT image that of its frames (DICOM PS3.3, C.8.15.3.7)."""
    own = _values(dataset, "ConvolutionKernel")
    return own or _values(_functional_group(dataset, "CTReconstructionSequence"), "ConvolutionKernel")


def _laterality(dataset: Dataset) -> str:
    """Return the side of an image, of its series, or of its first frame (DICOM PS3.3, C.7.6.16.2.8)."""
    for keyword in ("ImageLaterality", "Laterality"):
        if said := _text(dataset, keyword).upper():
            return said
    return _text(_functional_group(dataset, "FrameAnatomySequence"), "FrameLaterality").upper()


def _functional_group(dataset: Dataset, keyword: str) -> Dataset:
    """Return what an enhanced multi-frame image says of all frames or of the first, or an empty dataset."""
    for place in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        groups = dataset.get(place) or []
        if groups and (said := groups[0].get(keyword)):
            found: Dataset = said[0]
            return found
    return Dataset()


def _values(dataset: Dataset, keyword: str) -> str:
    """Return a text as the file has it: several values with backslashes between them."""
    value = dataset.get(keyword)
    return "\\".join(map(str, value)) if isinstance(value, MultiValue) else _text(dataset, keyword)


def _text(dataset: Dataset, keyword: str) -> str:
    value = dataset.get(keyword)
    return "" if value is None else str(value).strip()


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _whole(value: Any) -> int | None:
    number = _number(value)
    return int(number) if number is not None else None


def _vector(value: Any, length: int) -> Vector:
    """Return a vector of the wanted length, or an empty one if any part is missing."""
    try:
        parts = [_number(part) for part in value]
    except TypeError:
        return ()
    usable = tuple(part for part in parts if part is not None)
    return usable if len(usable) == len(parts) == length else ()


def _unreadable() -> UnreadableHeader:
    return UnreadableHeader(
        "The header of a file cannot be read.",
        why="It is not DICOM, it is cut off, or it lacks its identifiers.",
        todo="Look at the file by its reference; the other files are not affected.",
    )
