"""Text burned into pixels: flagged or not, on black or on anatomy, in one frame only, compressed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)
from tests.deid.corpus.drawing import drawn
from tests.deid.corpus.images import anatomy, as_file, dataset_of, grey
from tests.deid.corpus.outside_part import encapsulated, jpeg
from tests.deid.corpus.people import Patient, identity_key, patient
from tests.deid.corpus.planted import Box, CorpusFile
from tests.deid.corpus.values import Values

_ROWS, _COLUMNS = 240, 320
_CAPTURES = {
    "sc": "7",
    "us": "6.1",
    "us-frames": "3.1",
    "xa": "12.1",
    "cr": "1",
    "dx": "1.1",
    "mg": "1.2",
    "ct": "2",
}
_SYNTAXES = (
    ExplicitVRLittleEndian, JPEGBaseline8Bit, RLELossless, JPEG2000Lossless, ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
)  # fmt: skip


def burned_in(seed: int, count: int = 24) -> Iterator[CorpusFile]:
    """Yield images that show a patient's name, number or date of birth."""
    kinds = list(_CAPTURES)
    for number in range(count):
        values = Values(seed, f"burned/{number}")
        who = patient(values)
        kind = kinds[number % len(kinds)]
        dataset = _capture(kind, who, values)
        flag = ("YES", None, "YES", "NO" if kind in ("sc", "us") else None)[number // len(kinds) % 4]
        if flag is None:
            dataset.pop("BurnedInAnnotation", None)
        else:
            dataset.BurnedInAnnotation = flag
        frames = 6 if kind == "us-frames" else 1
        pixels = np.stack([anatomy(values, _ROWS, _COLUMNS, top=190) for _ in range(frames)]).astype("uint8")
        if number % 3 == 0:
            pixels[:, : _ROWS // 4] = 0  # a black margin, as most devices have
        box = _draw(pixels, who, values, number)
        syntax = _SYNTAXES[number % len(_SYNTAXES)]
        _put(dataset, pixels, syntax)
        yield CorpusFile(
            f"burned/{number:03d}-{kind}.dcm",
            "burned",
            as_file(dataset, syntax),
            who.number,
            identity_key(dataset),
            (box,),
        )


def _capture(kind: str, who: Patient, values: Values) -> Dataset:
    dataset = dataset_of({"dx": "dx", "ct": "ct"}.get(kind, "us"), who, values)
    dataset.SOPClassUID = f"1.2.840.10008.5.1.4.1.1.{_CAPTURES[kind]}"
    dataset.Modality = {"sc": "OT", "us-frames": "US"}.get(kind, kind.upper())
    if kind == "sc":
        dataset.ConversionType = "WSD"
        dataset.ImageType = ["DERIVED", "SECONDARY", "SCREEN SAVE"]
    if not kind.startswith("us"):
        dataset.pop("SequenceOfUltrasoundRegions", None)
    else:
        region = dataset.SequenceOfUltrasoundRegions[0]
        region.RegionLocationMaxX1, region.RegionLocationMaxY1 = _COLUMNS - 1, _ROWS - 1
        dataset.SequenceOfUltrasoundRegions = Sequence([region])
    return dataset


def _draw(pixels: np.ndarray, who: Patient, values: Values, number: int) -> Box:
    text = values.rng.choice(
        (f"{who.family}, {who.given[:6]}", who.number, f"DOB {who.birth_date}", f"{who.family} {who.number}")
    )
    size = values.rng.choice((12, 14, 18, 24))
    shape = drawn(text, size, font=values.rng.randrange(8))[: _ROWS - 20, : _COLUMNS - 8]
    frame = values.rng.randrange(len(pixels))
    top = 6 if number % 3 == 0 else values.rng.randrange(4, _ROWS - shape.shape[0] - 4)
    left = values.rng.randrange(2, _COLUMNS - shape.shape[1] - 2)
    area = pixels[frame, top : top + shape.shape[0], left : left + shape.shape[1]]
    area[shape] = 255 if number % 3 == 0 else values.rng.choice((235, 255, 0))
    return Box(frame, top, left, *shape.shape, text)


def _put(dataset: Dataset, pixels: np.ndarray, syntax: str) -> None:
    frames = pixels if len(pixels) > 1 else pixels[0]
    grey(dataset, frames)
    if syntax == JPEGBaseline8Bit:
        encapsulated(dataset, frames, [jpeg(each) for each in pixels], lossy=True)
    elif syntax in (RLELossless, JPEG2000Lossless):
        identifiers = dataset.SOPInstanceUID
        dataset.file_meta = _meta()
        dataset.compress(syntax, generate_instance_uid=False)
        assert dataset.SOPInstanceUID == identifiers
        del dataset.file_meta
    elif syntax == ExplicitVRBigEndian:
        dataset[0x7FE00010].VR = "OB"


def _meta():
    from pydicom.dataset import FileMetaDataset

    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return meta
