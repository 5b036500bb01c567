"""Reading headers: what the index needs of one file, without its pixels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

from fairbank.deid.annotations import Annotations, annotations_of
from fairbank.deid.annotators import ANNOTATION_KEYWORDS, AS_IT_IS, KnownAs
from fairbank.deid.facts import day_number
from fairbank.deid.part10 import quiet_pydicom
from fairbank.harvest.errors import UnreadableHeader
from fairbank.harvest.frames import Plane, Vector, group_of, planes_of, vector
from fairbank.harvest.header_texts import Wanted, parts, said_of
from fairbank.ontology.vocabulary import DERIVED_MODALITIES

# What may tell two images at one place apart (rule 3 of geometry.py).
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
# How an image was acquired and made: numbers, coded words, and names that a device gives, never a person.
ACQUISITION = (
    "SOPClassUID",
    "ImageType",
    "SoftwareVersions",
    "MagneticFieldStrength",
    "KVP",
    "ExposureTime",
    "XRayTubeCurrent",
    "Exposure",
    "CTDIvol",
    "ConvolutionKernel",
    "FilterType",
    "GantryDetectorTilt",
    "SliceThickness",
    "SpacingBetweenSlices",
    "PixelSpacing",
    "ImagerPixelSpacing",
    "Rows",
    "Columns",
    "RepetitionTime",
    "EchoTime",
    "InversionTime",
    "FlipAngle",
    "SequenceName",
    "ScanningSequence",
    "SequenceVariant",
    "AcquisitionContrast",
    "DiffusionBValue",
    "Laterality",
    "ImageLaterality",
    "ViewPosition",
    "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
)
# What is looked at for its plausibility, beside the above.
_CHECKED = ("StudyDate", "SeriesDate", "AcquisitionDate", "PatientAge", "PatientSex")
_MARKS = (
    "BurnedInAnnotation",
    "RecognizableVisualFeatures",
    "LossyImageCompression",
    "PatientIdentityRemoved",
    "LongitudinalTemporalInformationModified",
)
_COUNTS = ("NumberOfSeriesRelatedInstances", "ImagesInAcquisition")
_IDS = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "PatientID")
_KINDS = ("Modality", "BodyPartExamined", "Manufacturer", "ManufacturerModelName")
_PLACES = ("NumberOfFrames", "ImageOrientationPatient", "ImagePositionPatient", "InstanceNumber")
_TEXTS = dict.fromkeys((*_IDS, *_KINDS, *_VARIANTS, *ACQUISITION, *_CHECKED, *_MARKS, *_COUNTS, *_PLACES))
_SEQUENCES = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
_WANTED = Wanted((*_TEXTS, *_SEQUENCES))
# All that is read of a file for the index.
TAGS = [*_WANTED.tags, *Wanted(word for word in ANNOTATION_KEYWORDS if word not in _TEXTS).tags]
_MEASURES = 0x00289110
_RECONSTRUCTION = 0x00189314
_ANATOMY = 0x00209071
_IN_GROUPS = Wanted(
    ("SliceThickness", "PixelSpacing", "SpacingBetweenSlices", "ConvolutionKernel", "FrameLaterality")
)


@dataclass(frozen=True, slots=True)
class InstanceHeader:
    """What the header of one file says; lengths in millimetres, None where it says nothing usable.

    Attributes:
        path: the file, if the header was read from one.
        study_day: the day of the study as the file has it, counted from the year 1; in the research store it is moved
            by the subject's own number of days, so that only distances are true.
        planes: where each frame lies, if one file holds several and says so.
        said: all texts of the header by keyword, ids too; it stays in memory.
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
    planes: tuple[Plane, ...] = ()
    said: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def is_multiframe(self) -> bool:
        """Tell whether one file holds several frames, so that its geometry is not in the top level."""
        return self.frames > 1

    @property
    def slices(self) -> tuple[Plane, ...]:
        """Return where its slices lie: one, or one per frame; none where that is not known."""
        if self.planes or self.is_multiframe:
            return self.planes
        if not self.orientation or not self.position:
            return ()
        return (Plane(self.orientation, self.position, self.variant),)


def read_header(path: Path) -> InstanceHeader:
    """Read the header of a file of the research store, up to its pixels.

    Raises:
        UnreadableHeader: if it is not DICOM, cut off in its header, or without its UIDs.
    """
    with quiet_pydicom():
        return _read(path)


def read_headers(paths: Iterable[Path]) -> list[InstanceHeader | None]:
    """Read the headers of several files of the research store; None for each that cannot be read."""
    found: list[InstanceHeader | None] = []
    with quiet_pydicom():
        for path in paths:
            try:
                found.append(_read(path))
            except UnreadableHeader:
                found.append(None)
    return found


def header_of(
    dataset: Dataset, path: Path | None = None, *, known_as: KnownAs | None = None
) -> InstanceHeader:
    """Return what the index needs of a header.

    Args:
        dataset: the header.
        path: the file that it was read from, if any.
        known_as: how the ids in annotations are written down; without it they are left out.
    """
    said = _WANTED.texts(dataset)
    get = said.get
    frames = _whole(get("NumberOfFrames")) or 1
    thickness, spacing = _number(get("SliceThickness")), get("PixelSpacing")
    between, kernel = _number(get("SpacingBetweenSlices")), get("ConvolutionKernel", "")
    side = (get("ImageLaterality") or get("Laterality") or "").upper()
    planes: tuple[Plane, ...] = ()
    if "SharedFunctionalGroupsSequence" in said or "PerFrameFunctionalGroupsSequence" in said:
        measures = _IN_GROUPS.texts(group_of(dataset, _MEASURES))
        thickness = thickness if thickness is not None else _number(measures.get("SliceThickness"))
        between = between if between is not None else _number(measures.get("SpacingBetweenSlices"))
        spacing = spacing or measures.get("PixelSpacing")
        # Of an enhanced CT image the kernel, and the side of its first frame (DICOM PS3.3, C.8.15.3.7, C.7.6.16.2.8).
        kernel = kernel or said_of(_IN_GROUPS.texts(group_of(dataset, _RECONSTRUCTION)), "ConvolutionKernel")
        side = side or said_of(_IN_GROUPS.texts(group_of(dataset, _ANATOMY)), "FrameLaterality").upper()
        planes = planes_of(dataset)
    if syntax := getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", None):
        said["TransferSyntaxUID"] = str(syntax)
    modality = get("Modality", "")
    annotated = modality in DERIVED_MODALITIES or "SegmentSequence" in said
    return InstanceHeader(
        path=path,
        sop_uid=get("SOPInstanceUID", ""),
        sop_class=get("SOPClassUID", ""),
        series_uid=get("SeriesInstanceUID", ""),
        study_uid=get("StudyInstanceUID", ""),
        subject=get("PatientID", ""),
        modality=modality,
        body_part=get("BodyPartExamined", ""),
        manufacturer=get("Manufacturer", ""),
        slice_thickness=thickness,
        spacing_between=between,
        pixel_spacing=vector(parts(spacing or ""), 2),
        rows=_whole(get("Rows")),
        columns=_whole(get("Columns")),
        frames=frames,
        orientation=vector(parts(get("ImageOrientationPatient", "")), 6),
        position=vector(parts(get("ImagePositionPatient", "")), 3),
        variant="|".join([get(keyword, "") for keyword in _VARIANTS]),
        instance_number=_whole(get("InstanceNumber")),
        burned_in=get("BurnedInAnnotation", "").upper(),
        lossy=get("LossyImageCompression", ""),
        model=get("ManufacturerModelName", ""),
        field_strength=_number(get("MagneticFieldStrength")),
        kernel=kernel,
        laterality=side,
        study_day=day_number(
            get("StudyDate", ""),
            get("LongitudinalTemporalInformationModified", "").upper(),
            shift_days=0,
        ),
        annotations=annotations_of(dataset, known_as) if annotated else _NO_ANNOTATIONS,
        planes=planes,
        said=said,
    )


_NO_ANNOTATIONS = Annotations()


def _read(path: Path) -> InstanceHeader:
    try:
        dataset = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=TAGS)
        header = header_of(dataset, path, known_as=AS_IT_IS)
    except Exception as err:
        raise _unreadable() from err
    if not (header.sop_uid and header.series_uid and header.study_uid):
        raise _unreadable()
    return header


def _number(text: str | None) -> float | None:
    if not text:
        return None
    try:
        number = float(text.split("\\", 1)[0])
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _whole(text: str | None) -> int | None:
    number = _number(text)
    return int(number) if number is not None else None


def _unreadable() -> UnreadableHeader:
    return UnreadableHeader(
        "The header of a file cannot be read.",
        why="It is not DICOM, it is cut off, or it lacks its identifiers.",
        todo="Look at the file by its reference; the other files are not affected.",
    )
