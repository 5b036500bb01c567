"""CT images as scanners write them: 512 x 512, 313 elements, 532 kB; each with its own patient, series and instance."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

ELEMENTS = 313
# Replaced by numbers of the same length, so that a file is made by copying.
_PATIENT, _SERIES, _INSTANCE = b"PATIENT000000000", b".1234500000000000", b".6789000000000000"
FILES_PER_SERIES, SERIES_PER_PATIENT = 100, 2


def ct_files(count: int) -> Iterator[bytes]:
    """Yield as many images, a hundred to a series and two series to a patient."""
    content = _template()
    for number in range(count):
        series = number // FILES_PER_SERIES
        patient = series // SERIES_PER_PATIENT
        yield (
            content.replace(_PATIENT, b"PATIENT%09d" % (patient + 1))
            .replace(_SERIES, b".12345%011d" % (series + 1))
            .replace(_INSTANCE, b".67890%011d" % (number + 1))
        )


def _template() -> bytes:
    dataset = _image()
    _private(dataset)
    _fill(dataset)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    content = buffer.getvalue()
    read = pydicom.dcmread(BytesIO(content))
    assert len(list(read.iterall())) == ELEMENTS, len(list(read.iterall()))
    return content


def _image() -> Dataset:
    root = "1.3.12.2.1107.5.1.4.73"
    dataset = Dataset()
    dataset.SpecificCharacterSet, dataset.ImageType = (
        "ISO_IR 100",
        ["ORIGINAL", "PRIMARY", "AXIAL", "CT_SOM5 SPI"],
    )
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, root + _INSTANCE.decode()
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = "20190412"
    dataset.StudyTime = dataset.SeriesTime = dataset.AcquisitionTime = dataset.ContentTime = "101500.125000"
    dataset.AccessionNumber, dataset.Modality, dataset.Manufacturer = "ACC4711099", "CT", "SIEMENS"
    dataset.InstitutionName, dataset.InstitutionAddress = "Klinik am Berg", "Bergstr. 7, 12345 Beispielstadt"
    dataset.ReferringPhysicianName, dataset.StationName = "Wiesengrund^Karla", "CTAWP73"
    dataset.StudyDescription, dataset.SeriesDescription = "CT CHEST ROUTINE", "THORAX 3.0 B31f"
    dataset.ManufacturerModelName, dataset.PatientName = "SOMATOM Definition AS+", "Quarzfeld^Ottilie"
    dataset.PatientID, dataset.PatientBirthDate = _PATIENT.decode(), "19420228"
    dataset.PatientSex, dataset.PatientAge, dataset.PatientWeight = "F", "077Y", "71"
    dataset.BodyPartExamined, dataset.SliceThickness, dataset.KVP = "CHEST", "3", "120"
    dataset.DataCollectionDiameter, dataset.ReconstructionDiameter = "500", "380"
    dataset.DeviceSerialNumber, dataset.SoftwareVersions, dataset.ProtocolName = (
        "73412",
        "syngo CT 2012B",
        "Thorax",
    )
    dataset.GantryDetectorTilt, dataset.TableHeight, dataset.RotationDirection = "0", "151", "CW"
    dataset.ExposureTime, dataset.XRayTubeCurrent, dataset.Exposure = "500", "210", "70"
    dataset.FilterType, dataset.ConvolutionKernel, dataset.PatientPosition = "FLAT", "B31f", "HFS"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = (
        f"{root}.1{_SERIES.decode()}",
        root + _SERIES.decode(),
    )
    dataset.FrameOfReferenceUID, dataset.StudyID = f"{root}.2{_SERIES.decode()}", "4711"
    dataset.SeriesNumber, dataset.AcquisitionNumber, dataset.InstanceNumber = 4, 2, 17
    dataset.ImagePositionPatient = ["-189.62890625", "-346.62890625", "-511.5"]
    dataset.ImageOrientationPatient, dataset.SliceLocation = ["1", "0", "0", "0", "1", "0"], "-511.5"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows = dataset.Columns = 512
    dataset.PixelSpacing, dataset.BitsAllocated, dataset.BitsStored = ["0.7421875", "0.7421875"], 16, 12
    dataset.HighBit, dataset.PixelRepresentation = 11, 0
    dataset.WindowCenter, dataset.WindowWidth = ["40", "-600"], ["400", "1200"]
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = "-1024", "1", "HU"
    dataset.PixelData = _pixels().tobytes()
    return dataset


def _pixels() -> np.ndarray:
    """Return (512, 512) uint16: a body with lungs, and noise."""
    y, x = np.mgrid[0:512, 0:512]
    values = np.full((512, 512), 24.0)
    values[((x - 256) / 200) ** 2 + ((y - 256) / 150) ** 2 < 1] = 1064
    for centre in (170, 342):
        values[((x - centre) / 65) ** 2 + ((y - 250) / 95) ** 2 < 1] = 200
    return np.clip(values + np.random.default_rng(1).normal(0, 12, values.shape), 0, 4095).astype("uint16")


def _private(dataset: Dataset) -> None:
    """Private blocks as a scanner fills them: numbers, texts, and a few kilobytes of the maker's own."""
    for group, creator in (
        (0x0019, "SIEMENS CT VA0  COAD"),
        (0x0021, "SIEMENS MED"),
        (0x0029, "SIEMENS CSA HEADER"),
    ):
        block = dataset.private_block(group, creator, create=True)
        for low in range(40):
            block.add_new(low, "LO" if low % 2 else "DS", f"VALUE {low}" if low % 2 else str(low))
    dataset.private_block(0x0029, "SIEMENS CSA HEADER").add_new(0x50, "OB", bytes(range(256)) * 16)


def _fill(dataset: Dataset) -> None:
    """Sequences with items until the file has as many elements as the ones of the scanner."""
    items: list[Dataset] = []
    dataset.ReferencedImageSequence = Sequence(items)
    while len(list(dataset.iterall())) + 4 < ELEMENTS + 1:
        item = Dataset()
        item.ReferencedSOPClassUID = CTImageStorage
        item.ReferencedSOPInstanceUID = f"1.3.12.2.1107.5.1.4.73.99.{len(items)}"
        items.append(item)
        dataset.ReferencedImageSequence = Sequence(items)
    for tag in (0x00081090 + 0, 0x00180022, 0x00181120 + 20, 0x00189345):
        if len(list(dataset.iterall())) < ELEMENTS and tag not in dataset:
            vr, value = {0x00180022: ("CS", "HELICAL MODE"), 0x00181134: ("CS", "STEP")}.get(
                tag, ("FD", 6.75)
            )
            dataset.add_new(tag, vr, value)
