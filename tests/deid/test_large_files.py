"""Files that do not fit into memory are cleaned in bounded memory, to the same bytes as any other."""

from __future__ import annotations

import hashlib
import os
import tracemalloc
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
)
from tests.deid.conftest import as_file, ct_dataset

from fairbank.deid import fragments, large_files, part10
from fairbank.deid.admission import refusal, trim_pixels
from fairbank.deid.engine import Engine
from fairbank.deid.identity import IdentityStore
from fairbank.deid.method import Method
from fairbank.deid.outcomes import Refused

MEBIBYTE = 1 << 20


def cleaned(dataset: Dataset, identity: IdentityStore) -> Dataset:
    assert refusal(dataset) is None
    trim_pixels(dataset)
    Engine(Method(), identity.subject("lung", "a subject"), frozenset(), "a tool").clean(dataset)
    return dataset


def sparse_file(path: Path, frames: int, rows: int) -> int:
    """Write a multi-frame file whose pixels are a hole; return their length."""
    source = ct_dataset()
    source.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2.1"
    source.NumberOfFrames, source.Rows, source.Columns = frames, rows, rows
    del source.PixelData
    length = frames * rows * rows * 2
    content = as_file(source)
    with path.open("wb") as file:
        file.write(content + b"\xe0\x7f\x10\x00OW\0\0" + length.to_bytes(4, "little"))
        file.truncate(file.tell() + length)
    return length


@pytest.mark.parametrize(
    "syntax",
    [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian],
)
def test_a_streamed_file_is_the_file_that_memory_makes(
    syntax: str, tmp_path: Path, identity: IdentityStore
) -> None:
    is_deflated = syntax == DeflatedExplicitVRLittleEndian
    content = deflated(ct_dataset()) if is_deflated else as_file(ct_dataset(), syntax)
    path, seen = tmp_path / "in.dcm", list[bytes]()
    path.write_bytes(content + (b"" if is_deflated else b"tail of Ottilie"))
    with part10.quiet_pydicom():
        expected = part10.write(cleaned(part10.read(content), identity))
        with large_files.opened(path) as dataset, (tmp_path / "out.dcm").open("wb") as target:
            done = large_files.write_to(cleaned(dataset, identity), target, look=seen.append)
    written = (tmp_path / "out.dcm").read_bytes()
    assert written == expected.content
    assert done.sha256 == hashlib.sha256(written).hexdigest() and done.size == len(written)
    if not is_deflated:
        assert b"".join(seen) == bytes(range(32)) and done.pixel_bytes == 32
        assert bytes(range(32)) not in done.body


def deflated(dataset: Dataset) -> bytes:
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    buffer = BytesIO()
    pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def test_compressed_frames_are_stripped_on_the_way(
    tmp_path: Path, identity: IdentityStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fragments, "IN_MEMORY_BYTES", 100)  # put the new items on disk
    frame = b"\xff\xd8\xff\xfe\0\x0bQuarzfeld" + b"\xff\xda\0\2" + bytes(range(200)) * 3 + b"\xff\xd9"
    source = ct_dataset()
    source.NumberOfFrames = 2
    source.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2.1"
    source.add_new(0x7FE00010, "OB", encapsulate([frame, frame]))
    source["PixelData"].is_undefined_length = True
    path = tmp_path / "in.dcm"
    path.write_bytes(as_file(source, JPEGBaseline8Bit))
    with (
        part10.quiet_pydicom(),
        large_files.opened(path) as dataset,
        (tmp_path / "out.dcm").open("wb") as target,
    ):
        large_files.write_to(cleaned(dataset, identity), target)
    written = (tmp_path / "out.dcm").read_bytes()
    assert b"Quarzfeld" not in written
    frames = list(
        pydicom.encaps.generate_frames(pydicom.dcmread(BytesIO(written)).PixelData, number_of_frames=2)
    )
    assert [len(one) for one in frames] == [len(frame) - 13] * 2  # the comment is gone


def test_memory_does_not_grow_with_the_pixels(tmp_path: Path, identity: IdentityStore) -> None:
    length = sparse_file(tmp_path / "in.dcm", frames=64, rows=1024)
    tracemalloc.start()
    try:
        with (
            part10.quiet_pydicom(),
            large_files.opened(tmp_path / "in.dcm") as dataset,
            (tmp_path / "out.dcm").open("wb") as target,
        ):
            done = large_files.write_to(cleaned(dataset, identity), target, look=lambda piece: None)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert done.pixel_bytes == length == 128 * MEBIBYTE
    assert peak < 40 * MEBIBYTE


@pytest.mark.long
def test_two_gibibytes_are_cleaned_in_64_mebibytes(tmp_path: Path, identity: IdentityStore) -> None:
    length = sparse_file(tmp_path / "in.dcm", frames=1024, rows=1024)
    before = anonymous_bytes()
    highest = before

    def look(piece: bytes) -> None:
        nonlocal highest
        highest = max(highest, anonymous_bytes())

    with (
        part10.quiet_pydicom(),
        large_files.opened(tmp_path / "in.dcm") as dataset,
        Path(os.devnull).open("wb") as target,
    ):
        done = large_files.write_to(cleaned(dataset, identity), target, look=look)
    assert done.pixel_bytes == length == 2048 * MEBIBYTE
    assert highest - before < 64 * MEBIBYTE


def anonymous_bytes() -> int:
    """Return how much memory of this process no file stands behind."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    pytest.skip("the system does not say")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"%PDF" * 100,
        as_file(ct_dataset())[:-7],
        as_file(ct_dataset())[:300],
        as_file(ct_dataset())[:-40],
    ],
    ids=["empty", "no DICOM", "cut in the pixels", "cut in the meta", "cut at the pixels"],
)
def test_bad_files_get_the_reasons_that_memory_gives(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "in.dcm"
    path.write_bytes(content)
    found, expected = [], []
    with part10.quiet_pydicom():
        try:
            with large_files.opened(path) as dataset:
                found.append(refusal(dataset))
        except Refused as refused:
            found.append(refused.reason)
        try:
            expected.append(refusal(part10.read(content)))
        except Refused as refused:
            expected.append(refused.reason)
    assert found == expected and expected != [None]


def test_a_real_compressed_file_comes_out_alike_either_way(tmp_path: Path, identity: IdentityStore) -> None:
    path = Path(str(get_testdata_file("JPEG2000.dcm")))
    with part10.quiet_pydicom():
        expected = part10.write(cleaned(part10.read(path.read_bytes()), identity)).content
        with large_files.opened(path) as dataset, (tmp_path / "out.dcm").open("wb") as target:
            large_files.write_to(cleaned(dataset, identity), target)
    assert (tmp_path / "out.dcm").read_bytes() == expected
