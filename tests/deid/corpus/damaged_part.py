"""Files that are damaged, wrong, unusual, or de-identified already; and whole series of the patients of a study."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEGExtended12Bit,
    RLELossless,
)
from tests.deid.corpus.images import KINDS, anatomy, as_file, code, dataset_of, grey
from tests.deid.corpus.people import identity_key, patient
from tests.deid.corpus.planted import CorpusFile, Expect, Planted
from tests.deid.corpus.values import Values

_GONE = (Expect.REMOVE, Expect.REMOVE)
_CLEAN = ("ct", "mr", "pt", "us", "dx", "seg", "rtstruct", "rtdose", "rtplan", "enhanced-mr", "enhanced-ct")
# Elements of clean files that identify nobody and stay under both profiles: what the image is, its geometry, how it was
# made.
_STAYS = (
    "Modality", "Manufacturer", "SliceThickness", "PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient",
    "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel",
    "PhotometricInterpretation", "RescaleIntercept", "RescaleSlope", "RescaleType", "WindowCenter", "WindowWidth",
    "KVP", "XRayTubeCurrent", "ExposureTime", "Exposure", "RepetitionTime", "EchoTime", "InversionTime", "FlipAngle",
    "MagneticFieldStrength", "EchoTrainLength", "ImageType", "BodyPartExamined", "ConvolutionKernel", "SOPClassUID",
    "PatientPosition", "ScanningSequence", "SequenceVariant", "MRAcquisitionType", "SpacingBetweenSlices",
    "ImagedNucleus", "AcquisitionMatrix", "InPlanePhaseEncodingDirection", "Units", "CountsSource", "DecayCorrection",
    "SeriesType", "CorrectedImage", "NumberOfSlices", "ImageIndex", "FrameReferenceTime", "ActualFrameDuration",
    "ViewPosition", "ImageLaterality", "PresentationIntentType", "PixelIntensityRelationship", "ImagerPixelSpacing",
    "PresentationLUTShape", "InstanceNumber", "SeriesNumber", "NumberOfFrames", "SegmentationType", "DoseUnits",
    "DoseType", "DoseSummationType", "DoseGridScaling", "GridFrameOffsetVector", "RTPlanGeometry",
    "LossyImageCompression",
    "DataCollectionDiameter", "ReconstructionDiameter", "GantryDetectorTilt", "RotationDirection", "FocalSpots",
    "SpiralPitchFactor", "CTDIvol", "FilterType", "ManufacturerModelName", "BurnedInAnnotation", "VolumetricProperties",
)  # fmt: skip
_STAYS_IN_RESEARCH = (
    "PatientSex", "PatientAge", "PatientSize", "PatientWeight", "StudyDescription", "SeriesDescription", "ProtocolName",
)  # fmt: skip


def clean_controls(seed: int, count: int = 33) -> Iterator[CorpusFile]:
    """Yield files of every kind with nothing wrong: their values stay, and none may be held."""
    for number in range(count):
        kind = _CLEAN[number % len(_CLEAN)]
        values = Values(seed, f"clean/{number}")
        who = patient(values)
        dataset = dataset_of(kind, who, values)
        syntax = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99")[
            number // len(_CLEAN) % 3
        ]
        yield CorpusFile(
            f"clean/{number:03d}-{kind}.dcm", "clean", as_file(dataset, syntax), who.number,
            (*identity_key(dataset), *_kept(dataset)), clean=True,
        )  # fmt: skip


def _kept(dataset: Dataset) -> Iterator[Planted]:
    for keywords, basic in ((_STAYS, Expect.KEEP), (_STAYS_IN_RESEARCH, Expect.REMOVE)):
        for keyword in keywords:
            element = dataset.get(Tag(_tag(keyword)))
            if element is not None and not element.is_empty:
                text = "\\".join(str(v) for v in element.value) if element.VM > 1 else str(element.value)
                wanted = Expect.MAY_STAY if basic is Expect.REMOVE else basic
                yield Planted(f"{int(element.tag):08X}", text, wanted, Expect.KEEP)
    yield from _kept_items(dataset)


def _kept_items(dataset: Dataset) -> Iterator[Planted]:
    """Codes of published schemes, and what sets of structures and segments are measured by."""
    for element in dataset:
        if element.VR != "SQ":
            continue
        for number, item in enumerate(element.value):
            if "CodeValue" in item and "CodingSchemeDesignator" in item:
                place = f"{int(element.tag):08X}.{number}/"
                yield Planted(f"{place}00080100", item.CodeValue, Expect.KEEP, Expect.KEEP)
                yield Planted(f"{place}00080102", item.CodingSchemeDesignator, Expect.KEEP, Expect.KEEP)


def _tag(keyword: str) -> int:
    from pydicom.datadict import tag_for_keyword

    tag = tag_for_keyword(keyword)
    assert tag is not None, keyword
    return tag


def already_clean(seed: int) -> Iterator[CorpusFile]:
    """Yield files that somebody de-identified before, of which none may be held."""
    for number, kind in enumerate(("ct", "mr", "pt", "seg")):
        values = Values(seed, f"already/{number}")
        who = replace(
            patient(values),
            family="Anonymous",
            given="",
            number=f"ANON{number:04d}",
            birth_date="",
            accession="",
        )
        dataset = dataset_of(kind, who, values)
        dataset.PatientName, dataset.ReferringPhysicianName, dataset.InstitutionName = (
            f"ANON{number:04d}",
            "",
            "",
        )
        dataset.PatientIdentityRemoved, dataset.DeidentificationMethod = (
            "YES",
            "Basic Application Confidentiality Profile",
        )
        dataset.DeidentificationMethodCodeSequence = Sequence(
            [code("113100", "DCM", "Basic Application Confidentiality Profile")]
        )
        yield CorpusFile(f"already/{number}-{kind}.dcm", "already", as_file(dataset), who.number, clean=True)


def damaged(seed: int) -> Iterator[CorpusFile]:
    """Yield files that devices and disks have spoilt, each with a name to look for."""
    for way in _DAMAGES:
        values = Values(seed, f"damaged/{way}")
        who = patient(values)
        dataset = dataset_of("enhanced-mr" if way.startswith("enhanced") else "ct", who, values)
        word = f"{values.surname()}{values.digits(5)}"
        key = (*identity_key(dataset), Planted(f"#{way}", word, *_GONE, (word.encode(),)))
        content = _DAMAGES[way](dataset, word, values)
        yield CorpusFile(f"damaged/{way}.dcm", "damaged", content, who.number, key)


def _truncated(dataset: Dataset, word: str, values: Values) -> bytes:
    dataset.SeriesDescription = word
    return as_file(dataset)[:-60]


def _cut_in_header(dataset: Dataset, word: str, values: Values) -> bytes:
    dataset.SeriesDescription = word
    content = as_file(dataset)
    return content[: content.index(word.encode()) + 6]


def _misdeclared(tag: int, vr: str):
    def make(dataset: Dataset, word: str, values: Values) -> bytes:
        raw = word.encode() + b" " * (-len(word) % 4)
        dataset[tag] = RawDataElement(Tag(tag), vr, len(raw), raw, 0, False, True)
        return as_file(dataset)

    return make


def _wrong_charset(dataset: Dataset, word: str, values: Values) -> bytes:
    dataset.SpecificCharacterSet = "ISO_IR 192"
    raw = b"\xff\xfe " + word.encode() + b" \xe4"
    raw += b" " * (len(raw) % 2)
    dataset[0x0008103E] = RawDataElement(Tag(0x0008103E), "LO", len(raw), raw, 0, False, True)
    return as_file(dataset)


def _unknown_charset(dataset: Dataset, word: str, values: Values) -> bytes:
    dataset.SeriesDescription = word
    dataset.SpecificCharacterSet = "ISO_IR 999"
    return as_file(dataset)


def _un_private(dataset: Dataset, word: str, values: Values) -> bytes:
    raw = word.encode() + b" " * (len(word) % 2)
    element = b"\x10\0\x10\0" + len(raw).to_bytes(4, "little") + raw
    items = b"\xfe\xff\0\xe0" + len(element).to_bytes(4, "little") + element
    dataset[0x00290010] = DataElement(0x00290010, "LO", "SIEMENS CSA HEADER")
    dataset[0x00291010] = RawDataElement(Tag(0x00291010), "UN", len(items), items, 0, False, True)
    dataset[0x00291020] = DataElement(0x00291020, "UN", b"SV10\4\3\2\1" + raw)
    return as_file(dataset)


def _un_public(dataset: Dataset, word: str, values: Values) -> bytes:
    raw = word.encode() + b" " * (len(word) % 2)
    element = b"\x08\0\x80\0" + len(raw).to_bytes(4, "little") + raw
    items = b"\xfe\xff\0\xe0" + len(element).to_bytes(4, "little") + element
    dataset[0x00082218] = RawDataElement(Tag(0x00082218), "UN", len(items), items, 0, False, True)
    return as_file(dataset)


def _jpeg_12_bit(dataset: Dataset, word: str, values: Values) -> bytes:
    frame = struct.pack(">BHHBBBB", 12, 16, 16, 1, 1, 0x11, 0)
    raw = word.encode()
    stream = (
        b"\xff\xd8\xff\xfe"
        + struct.pack(">H", len(raw) + 2)
        + raw
        + b"\xff\xc1"
        + struct.pack(">H", len(frame) + 2)
    )
    stream += (
        frame
        + b"\xff\xda\0\x08\1\1\0\0\x3f\0"
        + values.rng.randbytes(40).replace(b"\xff", b"\0")
        + b"\xff\xd9"
    )
    dataset[0x7FE00010] = DataElement(0x7FE00010, "OB", encapsulate([stream]), is_undefined_length=True)
    return as_file(dataset, JPEGExtended12Bit)


def _rle(dataset: Dataset, word: str, values: Values) -> bytes:
    from tests.deid.corpus.pixels_part import _meta

    dataset.ManufacturerModelName = word
    dataset.file_meta = _meta()
    dataset.compress(RLELossless, generate_instance_uid=False)
    del dataset.file_meta
    return as_file(dataset, RLELossless)


def _frames(dataset: Dataset, word: str, values: Values) -> bytes:
    dataset.SeriesDescription = word
    grey(dataset, np.stack([anatomy(values, 32, 32, top=900).astype("uint16") for _ in range(20)]))
    return as_file(dataset)


def _enhanced(dataset: Dataset, word: str, values: Values) -> bytes:
    for group in dataset.PerFrameFunctionalGroupsSequence:
        group.FrameContentSequence[0].FrameComments = word
        group.FrameContentSequence[0].FrameLabel = word
    return as_file(dataset)


def _document(sop_class: str, kind: str, content: bytes):
    def make(dataset: Dataset, word: str, values: Values) -> bytes:
        dataset.SOPClassUID = f"1.2.840.10008.5.1.4.1.1.104.{sop_class}"
        dataset.Modality, dataset.MIMETypeOfEncapsulatedDocument = "DOC", kind
        dataset.DocumentTitle = word
        dataset.EncapsulatedDocument = content.replace(b"NAME", word.encode()).ljust(400)
        del dataset.PixelData
        return as_file(dataset)

    return make


def _unknown_class(dataset: Dataset, word: str, values: Values) -> bytes:
    dataset.SOPClassUID, dataset.SeriesDescription = "1.2.840.113619.4.26", word
    return as_file(dataset)


def _in_syntax(syntax: str):
    def make(dataset: Dataset, word: str, values: Values) -> bytes:
        dataset.SeriesDescription = dataset.ManufacturerModelName = word
        return as_file(dataset, syntax)

    return make


def _no_preamble(dataset: Dataset, word: str, values: Values) -> bytes:
    dataset.SeriesDescription = word
    return as_file(dataset)[132:]


def _no_dicom(dataset: Dataset, word: str, values: Values) -> bytes:
    return f"patient;{word}\nborn;1957\n".encode()


def _long_values(dataset: Dataset, word: str, values: Values) -> bytes:
    dataset.SeriesDescription = (word + " ") * 900
    dataset.ProtocolName = word + "\0\0hidden" + word
    return as_file(dataset)


def _undefined_lengths(dataset: Dataset, word: str, values: Values) -> bytes:
    item = code("10200004", "SCT", word)
    item.is_undefined_length_sequence_item = True
    dataset[0x00082218] = DataElement(0x00082218, "SQ", Sequence([item]), is_undefined_length=True)
    return as_file(dataset)


def _length_too_long(dataset: Dataset, word: str, values: Values) -> bytes:
    dataset.SeriesDescription = word
    content = as_file(dataset)
    at = content.index(word.encode()) - 2
    return content[:at] + b"\xf0\xff" + content[at + 2 :]


def _own_marks(dataset: Dataset, word: str, values: Values) -> bytes:
    """A file that says that it is de-identified, and is not."""
    dataset.PatientIdentityRemoved, dataset.DeidentificationMethod = "YES", f"by {word}"
    dataset.SeriesDescription = word
    return as_file(dataset)


_DAMAGES = {
    "truncated": _truncated,
    "cut-in-header": _cut_in_header,
    "text-as-number": _misdeclared(0x00180050, "LO"),
    "name-as-uid": _misdeclared(0x00080018, "UI"),
    "date-with-name": _misdeclared(0x00080020, "DA"),
    "text-as-code": _misdeclared(0x00180015, "LO"),
    "text-as-bytes": _misdeclared(0x00181030, "OB"),
    "wrong-charset": _wrong_charset,
    "unknown-charset": _unknown_charset,
    "private-in-un": _un_private,
    "sequence-in-un": _un_public,
    "jpeg-12-bit": _jpeg_12_bit,
    "rle": _rle,
    "multi-frame": _frames,
    "enhanced": _enhanced,
    "pdf": _document("1", "application/pdf", b"%PDF-1.4 (NAME) Tj"),
    "cda": _document("2", "text/XML", b"<ClinicalDocument><name>NAME</name></ClinicalDocument>"),
    "unknown-class": _unknown_class,
    "big-endian": _in_syntax(ExplicitVRBigEndian),
    "implicit": _in_syntax(ImplicitVRLittleEndian),
    "deflated": _in_syntax(DeflatedExplicitVRLittleEndian),
    "no-preamble": _no_preamble,
    "no-dicom": _no_dicom,
    "long-values": _long_values,
    "undefined-lengths": _undefined_lengths,
    "length-too-long": _length_too_long,
    "claims-to-be-clean": _own_marks,
}


def series_of_studies(seed: int, patients: int = 4, images: int = 3) -> Iterator[CorpusFile]:
    """Yield patients with two studies of two series, segmentations of them, and one series of two patients."""
    for number in range(patients):
        values = Values(seed, f"series/{number}")
        first = patient(values)
        second = replace(first, study_uid=values.uid(), frame_uid=values.uid(), accession=f"A{values.digits(9)}",
                         study_date=_later(first.study_date))  # fmt: skip
        for turn, who in enumerate((first, second)):
            for kind in ("ct", "mr"):
                series, made = values.uid(), []
                for image in range(images):
                    dataset = dataset_of(kind, who, values, series=series)
                    made.append(dataset)
                    yield _member(f"{number}-{turn}-{kind}-{image}", dataset, who.number)
                reference = dataset_of("seg", who, values)
                listed = Dataset()
                listed.SeriesInstanceUID = series
                listed.ReferencedInstanceSequence = Sequence([_reference(each) for each in made])
                reference.ReferencedSeriesSequence = Sequence([listed])
                yield _member(f"{number}-{turn}-{kind}-seg", reference, who.number)
    values = Values(seed, "series/mixed")
    series = values.uid()
    for number in range(2):
        who = patient(values)
        yield _member(f"mixed-{number}", dataset_of("ct", who, values, series=series), who.number)


def _member(name: str, dataset: Dataset, subject: str) -> CorpusFile:
    return CorpusFile(
        f"series/{name}.dcm",
        "series",
        as_file(dataset),
        subject,
        identity_key(dataset),
        clean="mixed" not in name,
    )


def _reference(dataset: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    return item


def _later(text: str) -> str:
    from datetime import date, timedelta

    return f"{date(int(text[:4]), int(text[4:6]), int(text[6:])) + timedelta(days=122):%Y%m%d}"


assert set(_CLEAN) <= set(KINDS)
