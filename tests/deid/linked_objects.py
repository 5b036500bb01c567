"""DICOM objects that refer to each other, made with pydicom as the tools of a clinic make them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydicom.dataset import Dataset
from tests.deid.conftest import ct_dataset, uid

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
STRUCTURES = "1.2.840.10008.5.1.4.1.1.481.3"
REGISTRATION = "1.2.840.10008.5.1.4.1.1.66.1"
PRESENTATION = "1.2.840.10008.5.1.4.1.1.11.1"
REPORT = "1.2.840.10008.5.1.4.1.1.88.33"
UID_TAGS = frozenset({0x0020000D, 0x0020000E, 0x00080018, 0x00081155, 0x00200052, 0x30060024})
CT_CLASS = "1.2.840.10008.5.1.4.1.1.2"


def object_on(images: Sequence[Dataset], sop_class: str) -> Dataset:
    """Return an object of a class that refers to images of one series, in the ways that its standard knows."""
    first = images[0]
    made = ct_dataset(str(first.PatientID))
    for tag in (0x7FE00010, 0x00280100, 0x00280101, 0x00280102):
        if tag in made and sop_class != SEGMENTATION:
            del made[tag]
    made.SOPClassUID = sop_class
    made.StudyInstanceUID = first.StudyInstanceUID
    made.SeriesInstanceUID = uid(first.SeriesInstanceUID, sop_class)
    made.SOPInstanceUID = uid(first.SOPInstanceUID, sop_class)
    made.FrameOfReferenceUID = first.FrameOfReferenceUID
    _MAKERS[sop_class](made, images)
    return made


def uids_in(dataset: Dataset, tags: frozenset[int] = UID_TAGS) -> Iterator[tuple[int, str]]:
    """Yield tag and value of each UID that names an instance, series, study or frame of reference, at any depth."""
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                yield from uids_in(item, tags)
        elif int(element.tag) in tags:
            yield int(element.tag), str(element.value)


def _segmentation(made: Dataset, images: Sequence[Dataset]) -> None:
    made.Modality = "SEG"
    made.BitsAllocated = made.BitsStored = 1
    made.HighBit = 0
    made.NumberOfFrames = len(images)
    made.SegmentationType = "BINARY"
    made.ReferencedSeriesSequence = [_series(images, "ReferencedInstanceSequence")]
    frames = []
    for image in images:
        source, derivation, frame = _reference(image), Dataset(), Dataset()
        source.ReferencedFrameNumber = 1
        derivation.SourceImageSequence = [source]
        frame.DerivationImageSequence = [derivation]
        frames.append(frame)
    made.PerFrameFunctionalGroupsSequence = frames
    bits = made.Rows * made.Columns * len(images)
    made.add_new(0x7FE00010, "OB", b"\1" * ((bits + 15) // 16 * 2))


def _structures(made: Dataset, images: Sequence[Dataset]) -> None:
    made.Modality = "RTSTRUCT"
    made.StructureSetLabel = "PLAN"
    series, study, frame = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID = images[0].SeriesInstanceUID
    series.ContourImageSequence = [_reference(image) for image in images]
    study.ReferencedSOPClassUID = "1.2.840.10008.3.1.2.3.1"
    study.ReferencedSOPInstanceUID = images[0].StudyInstanceUID
    study.RTReferencedSeriesSequence = [series]
    frame.FrameOfReferenceUID = images[0].FrameOfReferenceUID
    frame.RTReferencedStudySequence = [study]
    made.ReferencedFrameOfReferenceSequence = [frame]
    region, contour, outline = Dataset(), Dataset(), Dataset()
    region.ROINumber = 1
    region.ReferencedFrameOfReferenceUID = images[0].FrameOfReferenceUID
    made.StructureSetROISequence = [region]
    outline.ContourImageSequence = [_reference(images[-1])]
    outline.ContourGeometricType = "POINT"
    outline.NumberOfContourPoints = 1
    outline.ContourData = [0, 0, 0]
    contour.ReferencedROINumber = 1
    contour.ContourSequence = [outline]
    made.ROIContourSequence = [contour]


def _registration(made: Dataset, images: Sequence[Dataset]) -> None:
    made.Modality = "REG"
    item = Dataset()
    item.FrameOfReferenceUID = images[0].FrameOfReferenceUID
    item.ReferencedImageSequence = [_reference(image) for image in images]
    made.RegistrationSequence = [item]


def _presentation(made: Dataset, images: Sequence[Dataset]) -> None:
    made.Modality = "PR"
    made.ReferencedSeriesSequence = [_series(images, "ReferencedImageSequence")]


def _report(made: Dataset, images: Sequence[Dataset]) -> None:
    made.Modality = "SR"
    made.ValueType = "CONTAINER"
    study, content = Dataset(), Dataset()
    study.StudyInstanceUID = images[0].StudyInstanceUID
    study.ReferencedSeriesSequence = [_series(images, "ReferencedSOPSequence")]
    made.CurrentRequestedProcedureEvidenceSequence = [study]
    content.RelationshipType, content.ValueType = "CONTAINS", "IMAGE"
    content.ReferencedSOPSequence = [_reference(images[0])]
    made.ContentSequence = [content]


def _series(images: Sequence[Dataset], keyword: str) -> Dataset:
    series = Dataset()
    series.SeriesInstanceUID = images[0].SeriesInstanceUID
    setattr(series, keyword, [_reference(image) for image in images])
    return series


def _reference(image: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = CT_CLASS
    item.ReferencedSOPInstanceUID = image.SOPInstanceUID
    return item


_MAKERS = {
    SEGMENTATION: _segmentation,
    STRUCTURES: _structures,
    REGISTRATION: _registration,
    PRESENTATION: _presentation,
    REPORT: _report,
}
