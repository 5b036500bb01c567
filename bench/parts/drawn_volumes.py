"""Volumes with a drawn structure as DICOM: MR series, and a segmentation of each that refers to it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels.utils import pack_bits
from pydicom.sequence import Sequence as Items
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, SegmentationStorage, generate_uid

GREY_VALUES = 4095
_SEED = "fairbank bench"
# DICOM PS3.16, CID 7140; and the category Anatomical Structure, CID 7150.
HIPPOCAMPUS = ("SCT", "5366008", "Hippocampus")
_CATEGORY = ("SCT", "123037004", "Anatomical Structure")


@dataclass(frozen=True, slots=True)
class Drawn:
    """One volume.

    Attributes:
        voxels: (slices, rows, columns) float64; slices grow to the head, rows to the back, columns to the left.
        mask: of the same form, bool.
        spacing_mm: of slices, rows, columns.
    """

    subject: str
    voxels: NDArray[np.float64]
    mask: NDArray[np.bool_]
    spacing_mm: tuple[float, float, float]


def read_nifti(image: Path, labels: Path) -> Drawn:
    """Return a volume whose axes lie along those of the body, and all that is drawn on it as one structure."""
    from nibabel.funcs import as_closest_canonical
    from nibabel.loadsave import load

    arrays, spacing = [], (1.0, 1.0, 1.0)
    for file in (image, labels):
        stored: Any = as_closest_canonical(load(file))  # type: ignore[no-untyped-call]  # has no types
        # From (right, front, head) to (head, back, left), as DICOM counts.
        arrays.append(np.asarray(stored.dataobj, np.float64)[::-1, ::-1, :].transpose(2, 1, 0))
        x, y, z = (float(value) for value in stored.header.get_zooms()[:3])
        spacing = (z, y, x)
    return Drawn(image.name.partition(".")[0], arrays[0], arrays[1] > 0, spacing)


def write_drawn(one: Drawn, folder: Path) -> tuple[tuple[Path, ...], Path]:
    """Write a volume and its segmentation; return the files of the images, and that of the segmentation."""
    images, segmentation = folder / one.subject, folder / f"{one.subject}-seg"
    images.mkdir(parents=True)
    segmentation.mkdir()
    low, high = float(one.voxels.min()), float(one.voxels.max())
    stored = np.round((one.voxels - low) / (high - low) * GREY_VALUES).astype("<u2")
    files, references = [], []
    for number, frame in enumerate(stored):
        image = _empty(one, MRImageStorage, f"image-{number}", series="images", modality="MR")
        image.InstanceNumber, image.SeriesNumber = number + 1, 1
        image.ImageType, image.BurnedInAnnotation = ["ORIGINAL", "PRIMARY"], "NO"
        image.ScanningSequence, image.SequenceVariant, image.MRAcquisitionType = "GR", "NONE", "3D"
        image.SliceThickness, image.PixelSpacing = one.spacing_mm[0], list(one.spacing_mm[1:])
        image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        image.ImagePositionPatient = [0, 0, number * one.spacing_mm[0]]
        image.Rows, image.Columns = frame.shape
        image.SamplesPerPixel, image.PhotometricInterpretation, image.PixelRepresentation = (
            1,
            "MONOCHROME2",
            0,
        )
        image.BitsAllocated, image.BitsStored, image.HighBit = 16, 12, 11
        image.PixelData = frame.tobytes()
        file = images / f"{number:03d}.dcm"
        image.save_as(file, enforce_file_format=True)
        files.append(file)
        references.append((image.SOPClassUID, image.SOPInstanceUID))
    drawn = segmentation / "segmentation.dcm"
    _segmentation(one, references).save_as(drawn, enforce_file_format=True)
    return tuple(files), drawn


def _segmentation(one: Drawn, references: list[tuple[str, str]]) -> Dataset:
    """Return the mask as a binary segmentation without its empty frames (DICOM PS3.3, A.51)."""
    found = _empty(one, SegmentationStorage, "segmentation", series="segmentation", modality="SEG")
    found.SeriesNumber, found.InstanceNumber = 2, 1
    found.ImageType, found.SegmentationType = ["DERIVED", "PRIMARY"], "BINARY"
    found.ContentLabel, found.BurnedInAnnotation = "SEGMENTATION", "NO"
    segment = Dataset()
    segment.SegmentNumber, segment.SegmentLabel, segment.SegmentAlgorithmType = 1, HIPPOCAMPUS[2], "MANUAL"
    segment.SegmentedPropertyCategoryCodeSequence = Items([_code(*_CATEGORY)])
    segment.SegmentedPropertyTypeCodeSequence = Items([_code(*HIPPOCAMPUS)])
    found.SegmentSequence = Items([segment])
    series = Dataset()
    series.SeriesInstanceUID = _uid(one.subject, "images")
    series.ReferencedInstanceSequence = Items([_reference(*each) for each in references])
    found.ReferencedSeriesSequence = Items([series])
    shared, measures, plane = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = list(one.spacing_mm[1:]), one.spacing_mm[0]
    plane.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = Items([measures]), Items([plane])
    found.SharedFunctionalGroupsSequence = Items([shared])
    places = np.flatnonzero(one.mask.any(axis=(1, 2)))
    groups = []
    for place in places.tolist():
        item, position, identity = Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = [0, 0, place * one.spacing_mm[0]]
        identity.ReferencedSegmentNumber = 1
        item.PlanePositionSequence, item.SegmentIdentificationSequence = Items([position]), Items([identity])
        groups.append(item)
    found.PerFrameFunctionalGroupsSequence = Items(groups)
    frames = one.mask[places]
    found.NumberOfFrames, found.Rows, found.Columns = frames.shape
    found.SamplesPerPixel, found.PhotometricInterpretation, found.PixelRepresentation = 1, "MONOCHROME2", 0
    found.BitsAllocated, found.BitsStored, found.HighBit = 1, 1, 0
    found.PixelData = pack_bits(frames.astype(np.uint8))
    return found


def _empty(one: Drawn, kind: str, name: str, *, series: str, modality: str) -> Dataset:
    found = Dataset()
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    found.file_meta.MediaStorageSOPClassUID = found.SOPClassUID = kind
    found.file_meta.MediaStorageSOPInstanceUID = found.SOPInstanceUID = _uid(one.subject, name)
    found.StudyInstanceUID = _uid(one.subject, "study")
    found.SeriesInstanceUID = _uid(one.subject, series)
    found.FrameOfReferenceUID = _uid(one.subject, "frame")
    found.PatientID = found.PatientName = one.subject
    found.Modality, found.Manufacturer = modality, "SIEMENS"
    found.StudyDate, found.StudyTime = "20200101", "120000"
    return found


def _uid(subject: str, kind: str) -> str:
    return str(generate_uid(entropy_srcs=[_SEED, subject, kind]))


def _reference(kind: str, uid: str) -> Dataset:
    found = Dataset()
    found.ReferencedSOPClassUID, found.ReferencedSOPInstanceUID = kind, uid
    return found


def _code(scheme: str, value: str, meaning: str) -> Dataset:
    found = Dataset()
    found.CodingSchemeDesignator, found.CodeValue, found.CodeMeaning = scheme, value, meaning
    return found
