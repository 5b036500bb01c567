"""Compressed frames lose what no decoder needs, and not a pixel."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_files
from pydicom.encaps import encapsulate, encapsulate_extended, generate_frames
from pydicom.pixels import get_decoder
from pydicom.uid import UID, JPEG2000Lossless, JPEGBaseline8Bit, RLELossless
from tests.deid.conftest import Clean, as_file, ct_dataset

from fairbank.deid import codestreams, fragments, part10
from fairbank.deid.admission import trim_pixels
from fairbank.deid.outcomes import Reason, Refused

SECRET = b"Quarzfeld^Ottilie"
COMMENT = b"\xff\xfe" + (len(SECRET) + 2).to_bytes(2, "big") + SECRET
EXIF = b"\xff\xe1" + (len(SECRET) + 8).to_bytes(2, "big") + b"Exif\0\0" + SECRET
J2K_COMMENT = b"\xff\x64" + (len(SECRET) + 4).to_bytes(2, "big") + b"\0\1" + SECRET
# pydicom reads it, and cannot write it again: its elements are of another encoding than it says.
NOT_WRITABLE = {"emri_small_jpeg_2k_lossless_too_short.dcm"}
# 12-bit JPEG, and one that is damaged on purpose: no decoder of ours reads them.
NOT_DECODABLE = {"JPEG-lossy.dcm", "JPEG2000-embedded-sequence-delimiter.dcm", "JPGExtended.dcm"}
LARGEST = 400_000


def bundled() -> Iterator[Path]:
    """Give pydicom's own compressed files that can be decoded here."""
    for name in sorted(get_testdata_files("*.dcm")):
        path = Path(name)
        if path.name in NOT_WRITABLE | NOT_DECODABLE or path.stat().st_size > LARGEST:
            continue
        try:
            with part10.quiet_pydicom():
                dataset = part10.read(path.read_bytes())
        except Refused:
            continue
        if UID(dataset.file_meta.TransferSyntaxUID).is_encapsulated and 0x7FE00010 in dataset:
            yield path


FILES = [pytest.param(path, id=path.name) for path in bundled()]


def frames_of(path: Path) -> tuple[pydicom.Dataset, list[bytes]]:
    dataset = pydicom.dcmread(path)
    return dataset, list(
        generate_frames(dataset.PixelData, number_of_frames=int(dataset.get("NumberOfFrames", 1)))
    )


def with_pixels(path: Path, value: bytes) -> bytes:
    """Return a file with other encapsulated pixel data."""
    dataset = pydicom.dcmread(path)
    dataset.PixelData = value
    dataset["PixelData"].is_undefined_length = True
    buffer = BytesIO()
    dataset.save_as(buffer)
    return buffer.getvalue()


def trimmed(content: bytes) -> bytes:
    """Return the encapsulated value that cleaning leaves."""
    with part10.quiet_pydicom():
        dataset = part10.read(content)
        trim_pixels(dataset)
        return bytes(dataset.get_item(0x7FE00010).value)


@pytest.mark.parametrize("path", FILES)
def test_pixels_of_bundled_files_decode_to_the_same(path: Path) -> None:
    before = pydicom.dcmread(path).pixel_array
    value = trimmed(path.read_bytes())
    assert len(value) % 2 == 0
    after = pydicom.dcmread(BytesIO(with_pixels(path, value))).pixel_array
    assert np.array_equal(before, after)


def planted(frame: bytes) -> bytes:
    """Return a frame with a name in each place that a decoder skips."""
    if frame[:2] == b"\xff\xd8":
        return frame[:2] + COMMENT + EXIF + frame[2:].rstrip(b"\0") + SECRET
    if frame[:2] == b"\xff\x4f":
        size = int.from_bytes(frame[4:6], "big")
        return frame[: 4 + size] + J2K_COMMENT + frame[4 + size :] + SECRET
    return frame + SECRET + b"\0"


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("path", FILES)
def test_names_planted_in_frames_are_gone(path: Path, extended: bool) -> None:
    dataset, frames = frames_of(path)
    before = dataset.pixel_array
    dirty = [planted(frame) for frame in frames]
    if extended:
        value, dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths = encapsulate_extended(dirty)
    else:
        value = encapsulate(dirty)
    dataset.PixelData = value
    buffer = BytesIO()
    dataset.save_as(buffer)
    assert SECRET in buffer.getvalue()
    with part10.quiet_pydicom():
        read = part10.read(buffer.getvalue())
        trim_pixels(read)
        cleaned = bytes(read.get_item(0x7FE00010).value)
    assert SECRET not in cleaned
    dataset.PixelData = cleaned
    if extended:
        dataset.ExtendedOffsetTable = read.get_item(0x7FE00001).value
        dataset.ExtendedOffsetTableLengths = read.get_item(0x7FE00002).value
    buffer = BytesIO()
    dataset.save_as(buffer)
    after = pydicom.dcmread(BytesIO(buffer.getvalue()))
    assert np.array_equal(before, after.pixel_array)
    for index in range(len(frames)):  # offset tables lead to the frames
        decoder = get_decoder(after.file_meta.TransferSyntaxUID)
        assert np.array_equal(
            decoder.as_array(after, index=index)[0].ravel()[:8], frame_of(before, index, len(frames))
        )


def frame_of(pixels: np.ndarray, index: int, count: int) -> np.ndarray:
    one = pixels[index] if count > 1 else pixels
    return one.ravel()[:8]


def test_a_frame_with_nothing_to_strip_is_not_touched() -> None:
    path = Path(next(name for name in get_testdata_files("SC_rgb_rle*.dcm") if "2frame" in name))
    assert trimmed(path.read_bytes()) == bytes(pydicom.dcmread(path).PixelData)


def test_decoders_still_get_what_colours_mean() -> None:
    adobe = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\1"
    thumbnail = b"\xff\xe0" + (16 + 3).to_bytes(2, "big") + b"JFIF\0\1\1\0\0\1\0\1\1\1" + b"abc"
    frame = b"\xff\xd8" + thumbnail + adobe + COMMENT + b"\xff\xd9"
    new = codestreams.stripped_jpeg(frame)
    assert adobe in new and b"JFIF" in new
    assert b"abc" not in new and SECRET not in new


def test_comments_of_tile_parts_go_and_lengths_follow() -> None:
    data = b"\x01\x02\x03\x04"
    size = b"\xff\x51" + (4).to_bytes(2, "big") + b"\0\0"
    lengths = b"\xff\x55" + (4).to_bytes(2, "big") + b"\0\0"
    stated = 12 + len(J2K_COMMENT) + 2 + len(data)
    tile = b"\xff\x90\0\x0a\0\0" + struct.pack(">LBB", stated, 0, 1) + J2K_COMMENT + b"\xff\x93" + data
    new = codestreams.stripped_jpeg2000(b"\xff\x4f" + size + lengths + tile + b"\xff\xd9" + SECRET)
    assert SECRET not in new and b"\xff\x55" not in new
    place = new.index(b"\xff\x90")
    assert struct.unpack_from(">L", new, place + 6)[0] == 12 + 2 + len(data)
    assert new.endswith(b"\xff\x93" + data + b"\xff\xd9")


@pytest.mark.parametrize(
    "frame", [b"", b"\xff\xd8\xff\xe0\xff\xff", b"no image at all", b"\xff\x4f\xff\x51\0\1"]
)
@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEG2000Lossless, RLELossless])
def test_a_frame_that_cannot_be_walked_is_refused(frame: bytes, syntax: str) -> None:
    stripper = codestreams.stripper_of(syntax, 16)
    assert stripper is not None
    with pytest.raises(Refused):
        stripper(frame)


def test_frames_that_cannot_be_told_apart_are_refused(clean: Clean) -> None:
    source = ct_dataset()
    source.NumberOfFrames = 3
    value = encapsulate([b"\xff\xd8\xff\xd9"], has_bot=False) + b"\xfe\xff\x00\xe0\x02\0\0\0ab" * 3
    source.add_new(0x7FE00010, "OB", value)
    source["PixelData"].is_undefined_length = True
    with part10.quiet_pydicom():
        dataset = part10.read(as_file(source, JPEGBaseline8Bit))
        with pytest.raises(Refused) as refused:
            fragments.strip_frames(dataset)
    assert refused.value.reason is Reason.UNDECODABLE
