"""Files as devices write them, of the kinds that research collects: every value is what really stands there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian
from tests.deid.corpus.people import Patient, identify
from tests.deid.corpus.values import Values

from fairbank.deid.part10 import quiet_pydicom

_STORAGE = "1.2.840.10008.5.1.4.1.1."


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file: its SOP class, what makes it, and sequences around an item that its IOD allows."""

    sop_class: str
    fill: Callable[[Dataset, Values], None]
    chains: tuple[tuple[int, int, int, int], ...]


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """Return an item of a code sequence."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def dataset_of(kind: str, who: Patient, values: Values, **uids: str) -> Dataset:
    """Return a file of a kind of a patient."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.SOPClassUID = f"{_STORAGE}{KINDS[kind].sop_class}"
    identify(dataset, who, values, **uids)
    dataset.SeriesNumber, dataset.InstanceNumber = values.rng.randrange(1, 20), values.rng.randrange(1, 200)
    KINDS[kind].fill(dataset, values)
    return dataset


def as_file(
    dataset: Dataset,
    syntax: str = ExplicitVRLittleEndian,
    *,
    preamble: bytes = b"\0" * 128,
    tail: bytes = b"",
    meta: FileMetaDataset | None = None,
) -> bytes:
    """Return a dataset as a file, without any check that a careful writer makes."""
    meta = meta or FileMetaDataset()
    meta.FileMetaInformationGroupLength = 0
    meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID", "1.2")
    if "MediaStorageSOPInstanceUID" not in meta:
        meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID", "1.2")
    meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
    meta.ImplementationClassUID = "1.2.276.0.7230010.3.0.3.6.7"
    head, body = DicomBytesIO(), DicomBytesIO()
    body.is_implicit_VR = meta.TransferSyntaxUID.is_implicit_VR
    body.is_little_endian = meta.TransferSyntaxUID.is_little_endian
    with quiet_pydicom():
        write_file_meta_info(head, meta, enforce_standard=False)
        write_dataset(body, dataset)
    content = body.getvalue()
    if meta.TransferSyntaxUID.is_deflated:
        import zlib

        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        content = packer.compress(content) + packer.flush()
        content += b"\0" * (len(content) % 2)
    return preamble + b"DICM" + head.getvalue() + content + tail


def grey(dataset: Dataset, pixels: np.ndarray, *, signed: bool = False) -> None:
    """Put grey pixels, (rows, columns) or (frames, rows, columns), uint8 or uint16, into a dataset."""
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    dataset.BitsAllocated = dataset.BitsStored = pixels.dtype.itemsize * 8
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(signed)
    if pixels.ndim == 3:
        dataset.NumberOfFrames = len(pixels)
    content = pixels.tobytes()
    content += b"\0" * (len(content) % 2)
    dataset.add_new(0x7FE00010, "OB" if pixels.dtype.itemsize == 1 else "OW", content)


def anatomy(values: Values, rows: int, columns: int, *, top: int = 255) -> np.ndarray:
    """Return (rows, columns) float64 of soft blobs and noise, 0 to `top`."""
    y, x = np.mgrid[0:rows, 0:columns]
    rng = np.random.default_rng(values.rng.randrange(2**32))
    field = np.zeros((rows, columns))
    for _ in range(7):
        cy, cx, size = (
            rng.uniform(0.2, 0.8) * rows,
            rng.uniform(0.2, 0.8) * columns,
            rng.uniform(0.08, 0.3) * rows,
        )
        field += rng.uniform(0.3, 1) * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * size**2))
    field = field / field.max() + rng.normal(0, 0.02, field.shape)
    return np.clip(field, 0, 1) * top


def _small(values: Values) -> np.ndarray:
    return np.round(anatomy(values, 16, 16, top=1200)).astype("uint16")


def _cross_section(dataset: Dataset, values: Values, modality: str, maker: str, model: str) -> None:
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.Modality, dataset.Manufacturer, dataset.ManufacturerModelName = modality, maker, model
    dataset.PatientPosition, dataset.PatientSize, dataset.PatientWeight = "HFS", "1.72", "71.5"
    dataset.SliceThickness, dataset.PixelSpacing = "3", ["0.78125", "0.78125"]
    dataset.ImagePositionPatient = ["-199.609", "-386.609", f"-{values.rng.randrange(10, 900)}.5"]
    dataset.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    dataset.PositionReferenceIndicator = ""
    dataset.WindowCenter, dataset.WindowWidth = "40", "400"
    grey(dataset, _small(values))


def _ct(dataset: Dataset, values: Values) -> None:
    _cross_section(dataset, values, "CT", "SIEMENS", "SOMATOM Definition AS+")
    dataset.StudyDescription = "CT CHEST ROUTINE"
    dataset.SeriesDescription = "THORAX 3.0 B31f"
    dataset.BodyPartExamined, dataset.ProtocolName = "CHEST", "CHEST ROUTINE"
    dataset.KVP, dataset.XRayTubeCurrent, dataset.ExposureTime, dataset.Exposure = "120", "200", "500", "100"
    dataset.ConvolutionKernel, dataset.FilterType, dataset.GantryDetectorTilt = "B31f", "FLAT", "0"
    dataset.DataCollectionDiameter = dataset.ReconstructionDiameter = "500"
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = "-1024", "1", "HU"
    dataset.TableHeight, dataset.RotationDirection, dataset.FocalSpots = "151", "CW", "1.2"
    dataset.AcquisitionNumber, dataset.SpiralPitchFactor, dataset.CTDIvol = "2", 1.2, 6.75


def _mr(dataset: Dataset, values: Values) -> None:
    _cross_section(dataset, values, "MR", "Philips Medical Systems", "Ingenia")
    dataset.StudyDescription = "MRI BRAIN WITHOUT CONTRAST"
    dataset.SeriesDescription = "AX FLAIR"
    dataset.BodyPartExamined, dataset.ScanningSequence, dataset.SequenceVariant = "BRAIN", ["SE", "IR"], "SK"
    dataset.ScanOptions, dataset.MRAcquisitionType = "FS", "2D"
    dataset.RepetitionTime, dataset.EchoTime, dataset.InversionTime = "9000", "125", "2500"
    dataset.NumberOfAverages, dataset.ImagingFrequency, dataset.ImagedNucleus = "1", "63.89", "1H"
    dataset.EchoNumbers, dataset.MagneticFieldStrength, dataset.SpacingBetweenSlices = "1", "1.5", "3.3"
    dataset.EchoTrainLength, dataset.FlipAngle, dataset.PercentSampling = "19", "90", "100"
    dataset.AcquisitionMatrix = [0, 256, 192, 0]
    dataset.InPlanePhaseEncodingDirection, dataset.SAR = "ROW", "0.42"


def _pt(dataset: Dataset, values: Values) -> None:
    _cross_section(dataset, values, "PT", "GE MEDICAL SYSTEMS", "Discovery 690")
    dataset.SeriesDescription, dataset.StudyDescription = "PET AC", "PET CT WHOLEBODY"
    dataset.Units, dataset.CountsSource, dataset.DecayCorrection = "BQML", "EMISSION", "START"
    dataset.SeriesType, dataset.CorrectedImage = ["WHOLE BODY", "IMAGE"], ["DECY", "ATTN", "SCAT", "NORM"]
    dataset.NumberOfSlices, dataset.ImageIndex, dataset.RescaleIntercept, dataset.RescaleSlope = (
        90,
        12,
        "0",
        "1.7",
    )
    dataset.FrameReferenceTime, dataset.ActualFrameDuration, dataset.DecayFactor = "151501", "120000", "1.02"
    item = Dataset()
    item.RadiopharmaceuticalStartTime, item.RadionuclideTotalDose = "092100", "370000000"
    item.RadionuclideHalfLife, item.RadionuclidePositronFraction = "6586.2", "0.9673"
    item.RadionuclideCodeSequence = Sequence([code("C-111A1", "SRT", "^18^Fluorine")])
    dataset.RadiopharmaceuticalInformationSequence = Sequence([item])


def _us(dataset: Dataset, values: Values) -> None:
    dataset.ImageType, dataset.Modality = ["ORIGINAL", "PRIMARY", "ABDOMINAL"], "US"
    dataset.Manufacturer, dataset.ManufacturerModelName = "ACME ULTRASOUND", "V5"
    dataset.BurnedInAnnotation, dataset.StudyDescription = "NO", "US ABDOMEN"
    dataset.LossyImageCompression, dataset.TransducerData = "00", "C5-1"
    region = Dataset()
    region.RegionSpatialFormat, region.RegionDataType, region.RegionFlags = 1, 1, 0
    region.RegionLocationMinX0 = region.RegionLocationMinY0 = 0
    region.RegionLocationMaxX1 = region.RegionLocationMaxY1 = 15
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX = region.PhysicalDeltaY = 0.04
    dataset.SequenceOfUltrasoundRegions = Sequence([region])
    grey(dataset, (_small(values) // 8).astype("uint8"))


def _dx(dataset: Dataset, values: Values) -> None:
    dataset.ImageType, dataset.Modality = ["ORIGINAL", "PRIMARY", ""], "DX"
    dataset.Manufacturer, dataset.BodyPartExamined, dataset.ViewPosition = "Carestream Health", "CHEST", "PA"
    dataset.StudyDescription, dataset.BurnedInAnnotation, dataset.ImageLaterality = (
        "CHEST PA AND LATERAL",
        "NO",
        "U",
    )
    dataset.PresentationIntentType, dataset.PixelIntensityRelationship = "FOR PRESENTATION", "LOG"
    dataset.PixelIntensityRelationshipSign, dataset.KVP, dataset.Exposure = -1, "120", "3"
    dataset.ImagerPixelSpacing, dataset.PresentationLUTShape = ["0.139", "0.139"], "IDENTITY"
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = "0", "1", "US"
    dataset.AnatomicRegionSequence = Sequence([code("51185008", "SCT", "Thorax")])
    dataset.WindowCenter, dataset.WindowWidth = "2048", "4096"
    grey(dataset, _small(values))


def _functional_groups(dataset: Dataset, values: Values, frames: int) -> None:
    shared, groups = Dataset(), []
    measures, plane = Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = ["0.9", "0.9"], "3"
    plane.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = Sequence([measures]), Sequence([plane])
    for number in range(frames):
        group, content, position = Dataset(), Dataset(), Dataset()
        content.DimensionIndexValues, content.StackID, content.InStackPositionNumber = (
            [1, number + 1],
            "1",
            number + 1,
        )
        position.ImagePositionPatient = ["-110", "-120", str(3 * number)]
        group.FrameContentSequence, group.PlanePositionSequence = Sequence([content]), Sequence([position])
        groups.append(group)
    dataset.SharedFunctionalGroupsSequence = Sequence([shared])
    dataset.PerFrameFunctionalGroupsSequence = Sequence(groups)
    dataset.NumberOfFrames = frames


def _enhanced(modality: str) -> Callable[[Dataset, Values], None]:
    def fill(dataset: Dataset, values: Values) -> None:
        dataset.ImageType, dataset.Modality = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"], modality
        dataset.Manufacturer, dataset.ManufacturerModelName = "Philips", "Achieva"
        dataset.SeriesDescription, dataset.BurnedInAnnotation = "T1 3D", "NO"
        dataset.ContentQualification, dataset.VolumetricProperties = "RESEARCH", "VOLUME"
        dataset.PixelPresentation, dataset.LossyImageCompression = "MONOCHROME", "00"
        _functional_groups(dataset, values, 3)
        grey(dataset, np.stack([_small(values) for _ in range(3)]))

    return fill


def _seg(dataset: Dataset, values: Values) -> None:
    dataset.ImageType, dataset.Modality = ["DERIVED", "PRIMARY"], "SEG"
    dataset.Manufacturer, dataset.ContentLabel = "QIICR", "SEGMENTATION"
    dataset.SeriesDescription, dataset.SegmentationType = "LIVER SEGMENTATION", "BINARY"
    segment = Dataset()
    segment.SegmentNumber, segment.SegmentLabel, segment.SegmentAlgorithmType = 1, "Liver", "MANUAL"
    segment.SegmentedPropertyCategoryCodeSequence = Sequence(
        [code("123037004", "SCT", "Anatomical Structure")]
    )
    segment.SegmentedPropertyTypeCodeSequence = Sequence([code("10200004", "SCT", "Liver")])
    segment.RecommendedDisplayCIELabValue = [34885, 53485, 50171]
    dataset.SegmentSequence = Sequence([segment])
    _functional_groups(dataset, values, 2)
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows = dataset.Columns = 16
    dataset.BitsAllocated = dataset.BitsStored = 1
    dataset.HighBit = dataset.PixelRepresentation = 0
    dataset.LossyImageCompression = "00"
    dataset.add_new(0x7FE00010, "OB", values.rng.randbytes(64))


def _rtstruct(dataset: Dataset, values: Values) -> None:
    dataset.Modality, dataset.Manufacturer = "RTSTRUCT", "Varian Medical Systems"
    dataset.StructureSetLabel, dataset.StructureSetDate, dataset.StructureSetTime = (
        "PLAN",
        "20200102",
        "101010",
    )
    contour, roi, seen = Dataset(), Dataset(), Dataset()
    roi.ROINumber, roi.ROIName, roi.ROIGenerationAlgorithm = 1, "LUNG LEFT", "MANUAL"
    roi.ReferencedFrameOfReferenceUID = dataset.FrameOfReferenceUID
    line = Dataset()
    line.ContourGeometricType, line.NumberOfContourPoints = "CLOSED_PLANAR", 3
    line.ContourData = ["1", "2", "3.5", "4", "5", "3.5", "7", "1", "3.5"]
    contour.ReferencedROINumber, contour.ROIDisplayColor = 1, [255, 0, 0]
    contour.ContourSequence = Sequence([line])
    seen.ObservationNumber, seen.ReferencedROINumber, seen.RTROIInterpretedType = 1, 1, "ORGAN"
    seen.ROIInterpreter = ""
    dataset.StructureSetROISequence, dataset.ROIContourSequence = Sequence([roi]), Sequence([contour])
    dataset.RTROIObservationsSequence = Sequence([seen])


def _rtdose(dataset: Dataset, values: Values) -> None:
    _cross_section(dataset, values, "RTDOSE", "Varian Medical Systems", "ARIA RadOnc")
    dataset.DoseUnits, dataset.DoseType, dataset.DoseSummationType = "GY", "PHYSICAL", "PLAN"
    dataset.DoseGridScaling, dataset.NumberOfFrames = "0.0001", 1
    dataset.GridFrameOffsetVector = ["0"]
    dataset.FrameIncrementPointer = 0x3004000C


def _rtplan(dataset: Dataset, values: Values) -> None:
    dataset.Modality, dataset.Manufacturer = "RTPLAN", "Elekta"
    dataset.RTPlanLabel, dataset.RTPlanDate, dataset.RTPlanTime, dataset.RTPlanGeometry = (
        "PLAN",
        "20200103",
        "101010",
        "PATIENT",
    )
    beam, point = Dataset(), Dataset()
    beam.BeamNumber, beam.BeamName, beam.BeamType, beam.RadiationType = 1, "FIELD 1", "STATIC", "PHOTON"
    beam.TreatmentDeliveryType, beam.NumberOfWedges, beam.NumberOfControlPoints = "TREATMENT", 0, 1
    point.ControlPointIndex, point.NominalBeamEnergy, point.GantryAngle = 0, "6", "180"
    beam.ControlPointSequence = Sequence([point])
    dataset.BeamSequence = Sequence([beam])


def _sr(dataset: Dataset, values: Values) -> None:
    dataset.Modality, dataset.Manufacturer = "SR", "fairbank corpus"
    dataset.CompletionFlag, dataset.VerificationFlag, dataset.ValueType = (
        "COMPLETE",
        "UNVERIFIED",
        "CONTAINER",
    )
    dataset.ConceptNameCodeSequence = Sequence([code("126000", "DCM", "Imaging Measurement Report")])
    dataset.ContinuityOfContent = "SEPARATE"
    number, unit = Dataset(), Dataset()
    unit.NumericValue = "12.5"
    unit.MeasurementUnitsCodeSequence = Sequence([code("mm", "UCUM", "millimeter")])
    number.RelationshipType, number.ValueType = "CONTAINS", "NUM"
    number.ConceptNameCodeSequence = Sequence([code("103339001", "SCT", "Long Axis")])
    number.MeasuredValueSequence = Sequence([unit])
    dataset.ContentSequence = Sequence([number])


def _pr(dataset: Dataset, values: Values) -> None:
    dataset.Modality, dataset.Manufacturer, dataset.ContentLabel = "PR", "ACME PACS", "ANNOTATIONS"
    dataset.PresentationCreationDate, dataset.PresentationCreationTime = "20200104", "101010"
    dataset.PresentationLUTShape = "IDENTITY"
    area = Dataset()
    area.DisplayedAreaTopLeftHandCorner, area.DisplayedAreaBottomRightHandCorner = [1, 1], [16, 16]
    area.PresentationSizeMode, area.PresentationPixelSpacing = "SCALE TO FIT", ["1", "1"]
    dataset.DisplayedAreaSelectionSequence = Sequence([area])


_REGION, _MODIFIER, _EQUIVALENT, _PURPOSE = 0x00082218, 0x00082220, 0x00080121, 0x0040A170
_ANATOMY = (_REGION, _MODIFIER, _EQUIVALENT, _EQUIVALENT)
_SOURCES = (0x00082112, _PURPOSE, _EQUIVALENT, _EQUIVALENT)
_RELATED = (0x00081250, _PURPOSE, _EQUIVALENT, _EQUIVALENT)
_DERIVED = (0x52009230, 0x00089124, 0x00082112, _PURPOSE)
_FRAME_ANATOMY = (0x52009229, 0x00209071, _REGION, _MODIFIER)
_CONTRAST = (0x00180012, 0x00180014, _EQUIVALENT, _EQUIVALENT)

KINDS: dict[str, Kind] = {
    "ct": Kind("2", _ct, (_ANATOMY, _SOURCES, _CONTRAST)),
    "mr": Kind("4", _mr, (_ANATOMY, _SOURCES, _RELATED)),
    "pt": Kind("128", _pt, ((0x00540016, 0x00540300, _EQUIVALENT, _EQUIVALENT), _ANATOMY)),
    "us": Kind("6.1", _us, (_ANATOMY, _SOURCES)),
    "dx": Kind("1.1", _dx, (_ANATOMY, (0x00540220, 0x00540222, _EQUIVALENT, _EQUIVALENT))),
    "enhanced-ct": Kind("2.1", _enhanced("CT"), (_FRAME_ANATOMY, _DERIVED)),
    "enhanced-mr": Kind("4.1", _enhanced("MR"), (_FRAME_ANATOMY, _DERIVED)),
    "seg": Kind("66.4", _seg, ((0x00620002, 0x0062000F, 0x00620011, _EQUIVALENT), _DERIVED)),
    "rtstruct": Kind("481.3", _rtstruct, ((0x30060010, 0x30060012, 0x30060014, 0x30060016),)),
    "rtdose": Kind("481.2", _rtdose, ((0x300C0002, 0x300C0004, _EQUIVALENT, _EQUIVALENT), _SOURCES)),
    "rtplan": Kind("481.5", _rtplan, ((0x300A00B0, 0x300A0111, 0x300C0050, _EQUIVALENT),)),
    "sr": Kind("88.33", _sr, ((0x0040A730, 0x0040A730, 0x0040A730, 0x0040A730),)),
    "pr": Kind("11.1", _pr, ((0x00700001, 0x00700008, _EQUIVALENT, _EQUIVALENT),)),
}
# What research collects as images, for parts of the corpus that go round the kinds.
IMAGES = ("ct", "mr", "pt", "us", "dx", "enhanced-ct", "enhanced-mr")
