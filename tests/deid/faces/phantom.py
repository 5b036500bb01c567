"""A made-up head: skull, brain, sinuses, and a face whose nose, eyes and chin have sizes of their own.

Coordinates are DICOM's patient: x to the left, y to the back, z to the head, in mm, the origin amid the brain. Sizes
follow an adult's: head 150 × 185 mm, nose 50 mm long and 20 mm high.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

AXIAL = (1, 0, 0, 0, 1, 0)
SAGITTAL = (0, 1, 0, 0, 0, -1)
CORONAL = (1, 0, 0, 0, 0, -1)
# Turned by 20 degrees about x, then by 10 about z.
OBLIQUE = tuple(np.round(np.array([
    [np.cos(.17), -np.sin(.17), 0], [np.sin(.17), np.cos(.17), 0], [0, 0, 1]]
    ) @ np.array([[1, 0, 0], [0, np.cos(.35), np.sin(.35)]]).T, 9).T.ravel())  # fmt: skip

AIR, SKIN, FAT, BONE, FLUID, BRAIN, MUSCLE = range(7)
CT = np.array([-1000, 40, -90, 900, 8, 34, 55], dtype=np.float32)
T1 = np.array([6, 330, 360, 25, 60, 210, 150], dtype=np.float32)
# With fat saturated, as most are.
T2 = np.array([6, 120, 60, 20, 420, 190, 90], dtype=np.float32)


@dataclass(frozen=True)
class Head:
    """A head by its parts; what is None is missing."""

    nose_mm: float = 22.0
    eyes: bool = True
    chin: bool = True
    scale: float = 1.0
    nod_degrees: float = 0.0

    def tissue(self, points: np.ndarray) -> np.ndarray:
        """Return the tissue at each point, (…, 3) mm → (…) uint8."""
        p = np.asarray(points, dtype=np.float32) / np.float32(self.scale)
        if self.nod_degrees:
            a = np.float32(np.radians(self.nod_degrees))
            y, z = p[..., 1], p[..., 2]
            p = np.stack([p[..., 0], np.cos(a) * y - np.sin(a) * z, np.sin(a) * y + np.cos(a) * z], axis=-1)
        found = np.full(p.shape[:-1], AIR, dtype=np.uint8)

        def ball(centre, radii):
            q = (p - np.array(centre, np.float32)) / np.array(radii, np.float32)
            return np.einsum("...i,...i->...", q, q) < 1

        z = p[..., 2]
        neck = ((p[..., 0] / 58) ** 2 + ((p[..., 1] - 18) / 58) ** 2 < 1) & (z < -60)
        face = ball((0, -38, -72), (60, 56, 72))
        found[neck] = MUSCLE
        found[face] = SKIN
        found[ball((0, -38, -72), (54, 50, 66))] = MUSCLE
        if self.chin:
            found[ball((0, -78, -130), (22, 20, 18))] = SKIN
        if self.nose_mm:
            found[ball((0, -90, -74), (15, self.nose_mm, 26)) & (z > -94)] = SKIN
        found[ball((0, 0, 0), (76, 94, 86))] = SKIN
        found[ball((0, 0, 0), (73, 91, 83))] = FAT
        found[ball((0, 0, 0), (70, 88, 80))] = BONE
        found[ball((0, -58, -120), (40, 30, 9))] = BONE  # the lower jaw
        found[ball((0, 0, 0), (64, 82, 74))] = FLUID
        # The floor of the front of the skull lies high: below it are orbits and nose, no fluid.
        front = ball((0, 0, 0), (70, 88, 80)) & (p[..., 1] < -15)
        found[front & (z < -41)] = BONE
        found[front & (z < -46)] = FAT
        found[self._brain(p)] = BRAIN
        for side in (-1, 1):
            found[ball((side * 26, -58, -78), (15, 17, 19))] = AIR  # maxillary sinus
            if self.eyes:
                found[ball((side * 33, -96, -48), (17, 13, 13))] = AIR  # eye socket
                found[ball((side * 33, -86, -48), (12, 12, 12))] = FLUID
        found[ball((0, -62, -78), (7, 32, 14))] = AIR  # nasal cavity
        return found

    def brain(self, points: np.ndarray) -> np.ndarray:
        """Return whether each point is brain, (…) bool."""
        return self.tissue(points) == BRAIN

    @staticmethod
    def _brain(p: np.ndarray) -> np.ndarray:
        q = p / np.array((61, 79, 71), np.float32)
        inside = np.einsum("...i,...i->...", q, q) < 1
        # The skull's base: the frontal lobes lie higher than the cerebellum.
        base = np.where(p[..., 1] < -15, -38, np.where(p[..., 1] < 20, -50, -64))
        stem = (np.hypot(p[..., 0], p[..., 1] - 15) < 10) & (p[..., 2] < -40) & (p[..., 2] > -85)
        return (inside & (p[..., 2] > base)) | stem


@dataclass(frozen=True)
class Scan:
    """How a head is scanned; every array that results is integer and the same for the same seed."""

    modality: str = "MR"
    values: np.ndarray = field(default_factory=lambda: T1)
    orientation: tuple[float, ...] = SAGITTAL
    pixel_mm: float = 2.0
    slice_mm: float = 2.0
    # Lower and upper corner of what is scanned, in the patient.
    low: tuple[float, float, float] = (-90, -125, -150)
    high: tuple[float, float, float] = (90, 110, 96)
    noise: float = 2.0
    tilt_mm: float = 0.0
    seed: int = 7
    body_part: str = "HEAD"

    def geometry(self) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
        """Return the slices' positions (n, 3), the six cosines, and (rows, columns)."""
        turned = np.array(self.orientation, dtype=float)
        u, v = turned[:3], turned[3:]
        n = np.cross(u, v)
        corners = np.array([[x, y, z] for x in (self.low[0], self.high[0])
                            for y in (self.low[1], self.high[1]) for z in (self.low[2], self.high[2])])  # fmt: skip
        lows, highs = zip(
            *[((corners @ axis).min(), (corners @ axis).max()) for axis in (u, v, n)], strict=True
        )
        count = int((highs[2] - lows[2]) / self.slice_mm) + 1
        start = u * lows[0] + v * lows[1] + n * lows[2]
        steps = np.arange(count)[:, None] * (n * self.slice_mm + v * self.tilt_mm)
        size = tuple(int((highs[axis] - lows[axis]) / self.pixel_mm) + 1 for axis in (1, 0))
        return start + steps, turned, size

    def points(self, number: int) -> np.ndarray:
        """Return where the voxels of a slice lie, (rows, columns, 3) mm."""
        positions, turned, (rows, columns) = self.geometry()
        across = np.arange(columns)[None, :, None] * turned[:3] * self.pixel_mm
        down = np.arange(rows)[:, None, None] * turned[3:] * self.pixel_mm
        return positions[number] + across + down

    def frames(self, head: Head) -> np.ndarray:
        """Return the stored values, (slices, rows, columns) int16."""
        random = np.random.default_rng(self.seed)
        return np.stack([self._frame(head, number, random) for number in range(len(self.geometry()[0]))])

    def _frame(self, head: Head, number: int, random: np.random.Generator) -> np.ndarray:
        real = self.values[head.tissue(self.points(number))]
        noisy = real + random.normal(0, self.noise, real.shape)
        if self.modality == "CT":
            return (np.round(noisy) + 1024).astype(np.int16)
        return np.clip(np.round(noisy), 0, 4000).astype(np.int16)


def write_series(
    folder: Path,
    head: Head,
    scan: Scan,
    *,
    volumes: int = 1,
    enhanced: bool = False,
    compressed: bool = False,
) -> list[Path]:
    """Write a scan as DICOM files as they look after cleaning; return the files."""
    frames = np.concatenate([scan.frames(head)] * volumes)
    return write_frames(folder, frames, scan, enhanced=enhanced, compressed=compressed)


def write_frames(
    folder: Path, frames: np.ndarray, scan: Scan, *, enhanced: bool = False, compressed: bool = False
) -> list[Path]:
    """Write stored values (slices × volumes, rows, columns) as DICOM files."""
    folder.mkdir(parents=True, exist_ok=True)
    positions, turned, _ = scan.geometry()
    where = np.concatenate([positions] * (len(frames) // len(positions)))
    if enhanced:
        return [_written(folder / "0.dcm", _enhanced(frames, where, turned, scan), frames, compressed)]
    files = []
    for number, (frame, position) in enumerate(zip(frames, where, strict=True)):
        dataset = _header(scan, number)
        dataset.ImagePositionPatient = [f"{value:.6f}" for value in position]
        dataset.ImageOrientationPatient = [f"{value:.9f}" for value in turned]
        dataset.PixelSpacing = [scan.pixel_mm, scan.pixel_mm]
        dataset.SliceThickness = scan.slice_mm
        if scan.modality == "CT":
            dataset.RescaleSlope, dataset.RescaleIntercept = 1, -1024
        files.append(_written(folder / f"{number}.dcm", dataset, frame[None], compressed))
    return files


def _header(scan: Scan, number: int) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    classes = {"CT": "1.2.840.10008.5.1.4.1.1.2", "MR": "1.2.840.10008.5.1.4.1.1.4",
               "PT": "1.2.840.10008.5.1.4.1.1.128"}  # fmt: skip
    dataset.SOPClassUID = classes[scan.modality]
    dataset.SOPInstanceUID = f"2.25.{1000 + number}"
    dataset.Modality = scan.modality
    dataset.Manufacturer, dataset.ManufacturerModelName = "ACME", "Tube 1"
    dataset.PatientName = dataset.PatientID = "A2B3C4"
    dataset.PatientIdentityRemoved = "YES"
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator = "113100", "DCM"
    code.CodeMeaning = "Basic Application Confidentiality Profile"
    dataset.DeidentificationMethodCodeSequence = Sequence([code])
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "2.25.1", "2.25.2"
    dataset.FrameOfReferenceUID = "2.25.3"
    dataset.InstanceNumber = number + 1
    if scan.body_part:
        dataset.BodyPartExamined = scan.body_part
    return dataset


def _enhanced(frames: np.ndarray, where: np.ndarray, turned: np.ndarray, scan: Scan) -> Dataset:
    dataset = _header(scan, 0)
    dataset.SOPClassUID = {"MR": "1.2.840.10008.5.1.4.1.1.4.1", "CT": "1.2.840.10008.5.1.4.1.1.2.1"}[
        scan.modality
    ]
    dataset.NumberOfFrames = len(frames)
    shared, measures, plane, real = Dataset(), Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [scan.pixel_mm] * 2, scan.slice_mm
    plane.ImageOrientationPatient = [f"{value:.9f}" for value in turned]
    real.RescaleSlope, real.RescaleIntercept = 1, -1024 if scan.modality == "CT" else 0
    real.RescaleType = "US"
    shared.PixelMeasuresSequence = Sequence([measures])
    shared.PlaneOrientationSequence = Sequence([plane])
    shared.PixelValueTransformationSequence = Sequence([real])
    dataset.SharedFunctionalGroupsSequence = Sequence([shared])
    groups = []
    for position in where:
        group, place = Dataset(), Dataset()
        place.ImagePositionPatient = [f"{value:.6f}" for value in position]
        group.PlanePositionSequence = Sequence([place])
        groups.append(group)
    dataset.PerFrameFunctionalGroupsSequence = Sequence(groups)
    return dataset


def _written(path: Path, dataset: Dataset, frames: np.ndarray, compressed: bool) -> Path:
    dataset.Rows, dataset.Columns = frames.shape[1:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 1
    dataset.PixelData = frames.astype("<i2").tobytes()
    dataset["PixelData"].VR = "OW"
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if compressed:
        dataset.compress(RLELossless, generate_instance_uid=False)
    dataset.save_as(path, enforce_file_format=True)
    return path
