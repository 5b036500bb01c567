"""Files that do not belong into memory go through a run like any other, and tell no more than any other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian
from tests.deid.conftest import as_file, ct_dataset
from tests.deid.running.conftest import Bench, put_series
from tests.deid.test_large_files import MEBIBYTE, anonymous_bytes

from fairbank.deid import large_files, part10
from fairbank.deid.elements import raw_bytes
from fairbank.deid.pixels import frames
from fairbank.deid.pixels.work import Box
from fairbank.deid.running import series_work


def put_angiogram(bench: Bench, count: int) -> Path:
    """Put a multi-frame file of some MiB into the source folder, whose pixels are a hole; return it."""
    dataset = ct_dataset()
    dataset.SOPClassUID, dataset.Modality = "1.2.840.10008.5.1.4.1.1.12.1", "XA"
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = count, 1024, 1024
    del dataset.PixelData
    path = bench.put("doe/run.dcm", as_file(dataset))
    length = count * 2 * MEBIBYTE
    with path.open("ab") as file:
        file.write(b"\xe0\x7f\x10\x00OW\0\0" + length.to_bytes(4, "little"))
        file.truncate(file.tell() + length)
    return path


@contextmanager
def watched() -> Iterator[list[int]]:
    """Note, a hundred times a second, how much memory is used that no file stands behind."""
    seen, done = [anonymous_bytes()], threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            seen.append(anonymous_bytes())

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield seen
    finally:
        done.set()
        watching.join()


@pytest.mark.parametrize("count", [76, pytest.param(1020, marks=pytest.mark.long)])
def test_a_large_file_is_cleaned_in_bounded_memory(bench: Bench, count: int) -> None:
    put_series(bench, patients=1, series=1)
    bench.run(target=bench.target.parent / "first")  # what is imported counts for nobody
    path = put_angiogram(bench, count)
    with watched() as seen:
        ended = bench.run()
    assert ended.by_reason == {("ok", None): 4}
    assert max(seen) - seen[0] < 96 * MEBIBYTE
    sizes = [one.stat().st_size for one in bench.target.rglob("*.dcm")]
    assert abs(max(sizes) - path.stat().st_size) < 4096
    assert bench.run().by_reason == {("ok", None): 4}


def test_a_large_file_comes_out_as_it_does_in_memory(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    put_series(bench)
    assert bench.run().uids["files"] == 12
    monkeypatch.setattr(series_work, "LARGE_BYTES", 100)
    other = bench.target.parent / "other"
    assert bench.run(target=other).uids["files"] == 12
    assert bench.outputs(other) == bench.outputs()
    again = bench.target.parent / "again"
    bench.source = other
    assert bench.run(target=again).by_reason["notneeded", "already-deidentified"] == 12


def test_of_bad_files_the_same_is_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = as_file(ct_dataset())
    for name, content in {
        "a": b"%PDF" * 100,
        "b": whole[:-7],
        "c": whole[:300],
        "d": whole + b"tail",
    }.items():
        bench.put(name, content)
    bench.put("e", as_file(ct_dataset(instance=3)).replace(b"5.1.4.1.1.2", b"5.1.4.1.1.9"))
    small = bench.run().by_reason
    assert small["ok", None] == 1 and len(small) >= 4
    monkeypatch.setattr(series_work, "LARGE_BYTES", 50)
    other = bench.target.parent / "other"
    assert bench.run(target=other).by_reason == small
    assert bench.outputs(other) == bench.outputs()
    assert list(other.rglob("large-*")) == []


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_frames_of_a_mapped_file_are_blanked_in_a_copy_on_disk(
    bench: Bench, syntax: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "IN_MEMORY_BYTES", 10)
    content = as_file(ct_dataset(), syntax)
    path = bench.put("a", content)
    made = []
    with part10.quiet_pydicom(), large_files.opened(path) as mapped:
        for dataset in (part10.read(content), mapped):
            found = frames.frames_of(dataset)
            found.blank(0, [Box(0, 0, 2, 3)])
            found.put_back(dataset)
            made.append(bytes(raw_bytes(dataset.get_item(0x7FE00010))))
    assert made[0] == made[1] != bytes(range(32))
    assert path.read_bytes() == content


def test_times_of_what_is_written_tell_nothing(bench: Bench) -> None:
    put_series(bench)
    bench.put("doe/held.dcm", b"no image of Jane Doe")
    bench.run()
    written = list(bench.target.rglob("*.dcm"))
    held = list((bench.target / "quarantine").rglob("q-*"))
    assert len(written) == 12 and len(held) == 1
    assert {path.stat().st_mtime_ns for path in written + held} == {946_684_800 * 10**9}
