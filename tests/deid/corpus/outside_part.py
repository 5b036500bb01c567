"""What lies outside the dataset: preamble, file meta, names of files, bytes behind the end, comments of JPEG."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from io import BytesIO

import numpy as np
from PIL import Image
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit
from tests.deid.corpus.images import anatomy, as_file, dataset_of, grey
from tests.deid.corpus.people import identity_key, patient
from tests.deid.corpus.planted import CorpusFile, Expect, Planted
from tests.deid.corpus.values import Values

_META = (
    (0x00020016, "AE"), (0x00020017, "AE"), (0x00020018, "AE"), (0x00020026, "UR"), (0x00020027, "UR"),
    (0x00020028, "UR"), (0x00020013, "SH"), (0x00020099, "LO"), (0x00020035, "LO"),
)  # fmt: skip


def outside(seed: int) -> Iterator[CorpusFile]:
    """Yield files with a name in each place outside the dataset."""
    yield from _meta_files(seed)
    for place, tail in (("#preamble", 0), ("#tail", 0), ("#tail", 1), ("#surplus", 0)):
        values = Values(seed, f"outside/{place}/{tail}")
        who = patient(values)
        dataset = dataset_of(values.rng.choice(("ct", "mr")), who, values)
        word = f"{values.surname()}{values.digits(6)}"
        raw = word.encode()
        preamble = b"\0" * 128
        behind = b""
        if place == "#preamble":
            preamble = b"II*\0" + raw.ljust(124, b"\0")
        elif place == "#tail":
            behind = (b"" if tail else b"\0\0") + raw + b" "
        else:
            dataset[0x7FE00010] = DataElement(0x7FE00010, "OW", dataset.PixelData + raw.ljust(40, b"\0"))
        content = as_file(dataset, preamble=preamble, tail=behind)
        key = (*identity_key(dataset), Planted(place, word, Expect.REMOVE, Expect.REMOVE, (raw,)))
        yield CorpusFile(f"outside/{place[1:]}-{tail}.dcm", "outside", content, who.number, key)
    yield from _names(seed)
    yield from _jpegs(seed)


def _meta_files(seed: int) -> Iterator[CorpusFile]:
    for tag, vr in _META:
        values = Values(seed, f"meta/{tag:08x}")
        who = patient(values)
        dataset = dataset_of("ct", who, values)
        word = values.surname()[:14]
        meta = FileMetaDataset()
        meta[tag] = DataElement(tag, vr, word)
        key = (*identity_key(dataset), _meta(tag, word))
        yield CorpusFile(f"outside/{tag:08X}.dcm", "outside", as_file(dataset, meta=meta), who.number, key)
    values = Values(seed, "meta/private")
    who = patient(values)
    dataset = dataset_of("ct", who, values)
    word = f"{values.surname()}{values.digits(6)}"
    meta = FileMetaDataset()
    meta.PrivateInformationCreatorUID = values.uid()
    meta.PrivateInformation = word.encode() + b"!" * (len(word) % 2)
    key = (
        *identity_key(dataset),
        _meta(0x00020102, word),
        Planted(
            "#meta/00020100",
            meta.PrivateInformationCreatorUID,
            *(Expect.REMOVE,) * 2,
            (meta.PrivateInformationCreatorUID.encode(),),
        ),
    )
    yield CorpusFile("outside/00020102.dcm", "outside", as_file(dataset, meta=meta), who.number, key)


def _meta(tag: int, word: str) -> Planted:
    return Planted(f"#meta/{tag:08X}", word, Expect.REMOVE, Expect.REMOVE, (word.encode(),))


def _names(seed: int) -> Iterator[CorpusFile]:
    """Paths that say who it is, as exports of archives do."""
    for number in range(4):
        values = Values(seed, f"names/{number}")
        who = patient(values)
        dataset = dataset_of("ct", who, values)
        spoken = f"{who.family}_{who.given}_{who.number}"
        name = (
            f"outside/{spoken}/{who.study_date}/image.dcm",
            f"outside/{spoken}.dcm",
            f"outside/{who.number}/{who.accession}/{values.surname()}",
            f"outside/export for Dr {values.surname()}/IM0001",
        )[number]
        parts = [part for part in name.split("/")[1:] if part not in ("image.dcm", "IM0001")]
        key = [
            Planted("#name", part, Expect.REMOVE, Expect.REMOVE, (part.removesuffix(".dcm").encode(),))
            for part in parts
        ]
        yield CorpusFile(name, "outside", as_file(dataset), who.number, (*identity_key(dataset), *key))


def _jpegs(seed: int) -> Iterator[CorpusFile]:
    """Comments and application segments of JPEG and JPEG 2000, and bytes between and behind fragments."""
    for way in ("COM", "APP1", "after-EOI", "J2K-COM", "offset-table"):
        values = Values(seed, f"jpeg/{way}")
        who = patient(values)
        dataset = dataset_of("dx", who, values)
        word = f"{values.surname()}{values.digits(6)}"
        pixels = anatomy(values, 64, 64).astype("uint8")
        is_2000 = way == "J2K-COM"
        stream = jpeg(pixels) if not is_2000 else _jpeg_2000(pixels)
        raw = word.encode()
        segment = struct.pack(">H", len(raw) + 2) + raw
        if way in ("COM", "APP1"):
            stream = stream[:2] + (b"\xff\xfe" if way == "COM" else b"\xff\xe1") + segment + stream[2:]
        elif way == "after-EOI":
            stream += raw
        elif is_2000:
            start = stream.index(b"\xff\x52")  # COD: comments go into the main header
            stream = stream[:start] + b"\xff\x64" + struct.pack(">HH", len(raw) + 4, 1) + raw + stream[start:]
        encapsulated(dataset, pixels, [stream], lossy=not is_2000)
        if way == "offset-table":
            content = encapsulate([stream], has_bot=False)
            table = raw.ljust(len(raw) + -len(raw) % 4, b"\0")
            dataset.PixelData = b"\xfe\xff\0\xe0" + struct.pack("<L", len(table)) + table + content[8:]
        syntax = JPEG2000Lossless if is_2000 else JPEGBaseline8Bit
        key = (*identity_key(dataset), Planted(f"#{way}", word, Expect.REMOVE, Expect.REMOVE, (raw,)))
        yield CorpusFile(f"outside/{way}.dcm", "outside", as_file(dataset, syntax), who.number, key)


def jpeg(pixels: np.ndarray, quality: int = 92) -> bytes:
    """Return (rows, columns) or (rows, columns, 3) uint8 as a JPEG baseline stream."""
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _jpeg_2000(pixels: np.ndarray) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG2000", irreversible=False, no_jp2=True)
    return buffer.getvalue()


def encapsulated(dataset: Dataset, pixels: np.ndarray, streams: list[bytes], *, lossy: bool) -> None:
    """Put compressed frames into a dataset; `pixels` as for `images.grey`."""
    grey(dataset, pixels)
    element = DataElement(0x7FE00010, "OB", encapsulate(streams), is_undefined_length=True)
    dataset[0x7FE00010] = element
    if lossy:
        dataset.LossyImageCompression, dataset.LossyImageCompressionMethod = "01", "ISO_10918_1"
        dataset.LossyImageCompressionRatio = "8"
