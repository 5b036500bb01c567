"""A folder in, a folder out: every file accounted for, series whole or absent, resumed after any end."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from tests.deid.conftest import as_file, ct_dataset, uid
from tests.deid.running.conftest import Bench, put_series

from fairbank.deid.errors import (
    AnotherMethod,
    FolderInUse,
    FoldersNested,
    NoIdentityStore,
    NotARunFolder,
    NotInAFolder,
    StoreNotWritable,
    UidsTangled,
    UnsafeIdentityStore,
)
from fairbank.deid.method import Method
from fairbank.deid.outcomes import Reason, Refused
from fairbank.deid.policies import FacePolicy, PixelTrust
from fairbank.deid.profiles import Profile
from fairbank.deid.reports.folder import folder_summary
from fairbank.deid.running import committing, series_work
from fairbank.deid.running.folder_run import run_folder
from fairbank.deid.running.place import Place, not_writable
from fairbank.deid.running.workers import Here, Processes
from fairbank.deid.verification.output import Output
from fairbank.deid.verification.uid_graph import Links


def told(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def burned_in(instance: int = 1, patient: str = "PATIENT-9") -> bytes:
    dataset = ct_dataset(patient, 1, 1, instance)
    dataset.BurnedInAnnotation = "YES"
    return as_file(dataset)


def test_outputs_have_pseudonyms_for_names(bench: Bench) -> None:
    put_series(bench)
    ended = bench.run()
    assert (ended.complete, ended.files, ended.failed) == (True, 12, 0)
    outputs = bench.outputs()
    assert len(outputs) == 12
    for name in outputs:
        dataset = pydicom.dcmread(bench.target / name)
        parts = (dataset.PatientID, dataset.StudyInstanceUID, dataset.SeriesInstanceUID)
        assert name == "/".join((*parts, f"{dataset.SOPInstanceUID}.dcm"))
    assert len({name.split("/")[0] for name in outputs}) == 2


def test_the_account_names_every_input_by_its_digest(bench: Bench) -> None:
    put_series(bench, patients=1)
    bench.put("notes.txt", b"Ottilie Quarzfeld came on Monday")
    bench.put("empty.dcm", b"")
    bench.put("screen.dcm", burned_in())
    bench.run()
    expected = {told(path.read_bytes()) for path in bench.source.rglob("*") if path.is_file()}
    files = bench.files()
    assert set(files) == expected
    assert files[told(b"")] == {"output": None, "state": "error", "reasons": ["empty"]}
    assert files[told(burned_in())]["reasons"] == ["burned-in-annotation"]
    clean = [one for one in files.values() if one["state"] == "ok"]
    assert {one["output"] for one in clean} == set(bench.outputs())


def test_every_entry_of_the_folder_is_accounted_for_once(bench: Bench) -> None:
    put_series(bench, patients=1, series=1, instances=1)
    first = bench.source / "doe_0/0/0.dcm"
    bench.put("copy.dcm", first.read_bytes())
    (bench.source / "link").symlink_to(first)
    (bench.source / "away").symlink_to(bench.source.parent)
    os.mkfifo(bench.source / "pipe")
    ended = bench.run()
    assert ended.left == {"link": 2, "special-file": 1}
    assert sum(ended.by_reason.values()) == ended.files == 2
    assert bench.files()[told(first.read_bytes())]["copies"] == 2
    assert len(bench.outputs()) == 1


def test_what_is_held_is_copied_under_neutral_names_that_only_the_owner_reads(bench: Bench) -> None:
    bench.put("doe_jane/screen.dcm", burned_in())
    bench.put("doe_jane/notes.txt", b"not an image")
    bench.run()
    held = bench.held()
    assert sorted(name.partition("/")[0] for name in held) == ["burned-in-annotation", "not-dicom"]
    assert sorted(name.partition("/")[2] for name in held) == ["q-000001", "q-000002"]
    assert set(held.values()) == {burned_in(), b"not an image"}
    for folder in (bench.target / "quarantine", bench.target / ".fairbank", bench.target / ".staging"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in (bench.target / "quarantine").rglob("q-*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_second_run_does_nothing_and_says_the_same(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    put_series(bench)
    bench.put("screen.dcm", burned_in())
    bench.run()
    before, files = (bench.outputs(), bench.held()), bench.files()

    def never(*args: object, **kwargs: object) -> None:
        raise AssertionError("a file was cleaned again")

    monkeypatch.setattr(series_work, "clean_file", never)
    bench.run()
    assert (bench.outputs(), bench.held()) == before
    assert bench.files() == files


def test_new_slices_come_into_the_series_that_is_there(bench: Bench) -> None:
    put_series(bench, patients=1, series=1, instances=2)
    bench.run()
    before = bench.outputs()
    put_series(bench, patients=1, series=1, instances=4)
    bench.run()
    after = bench.outputs()
    assert len(after) == 4 and before.items() <= after.items()
    assert len({name.rpartition("/")[0] for name in after}) == 1


def test_a_lost_output_is_made_again_with_the_same_bytes(bench: Bench) -> None:
    put_series(bench)
    bench.run()
    before = bench.outputs()
    (bench.target / next(iter(before))).unlink()
    bench.run()
    assert bench.outputs() == before


def test_one_and_two_processes_make_the_same_bytes(bench: Bench, tmp_path: Path) -> None:
    put_series(bench, patients=2)
    bench.put("screen.dcm", burned_in())
    bench.put("notes.txt", b"not an image")
    bench.run()
    pool = Processes(2)
    bench.run(target=tmp_path / "two", workers=pool)
    pool.close()
    one, two = bench.target, tmp_path / "two"
    assert contents(one) == contents(two)


def contents(root: Path) -> dict[str, bytes]:
    """Return all that a run leaves, but its journal and what tells the time."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and ".fairbank" not in path.parts
    }


def test_two_patients_in_one_series_hold_all_of_it(bench: Bench) -> None:
    other = ct_dataset("PATIENT-B", 1, 1, 7)
    first = ct_dataset("PATIENT-A", 1, 1, 1)
    other.SeriesInstanceUID, other.StudyInstanceUID = first.SeriesInstanceUID, first.StudyInstanceUID
    bench.put("a.dcm", as_file(first))
    bench.put("b.dcm", as_file(other))
    bench.put("c.dcm", as_file(ct_dataset("PATIENT-C")))
    bench.run()
    assert len(bench.outputs()) == 1
    assert sorted(bench.held()) == ["mixed-subjects/q-000001", "mixed-subjects/q-000002"]


def test_a_series_that_turns_out_mixed_is_taken_back(bench: Bench) -> None:
    first = ct_dataset("PATIENT-A", 1, 1, 1)
    bench.put("a.dcm", as_file(first))
    bench.run()
    assert len(bench.outputs()) == 1
    other = ct_dataset("PATIENT-B", 1, 1, 7)
    other.SeriesInstanceUID = first.SeriesInstanceUID
    bench.put("b.dcm", as_file(other))
    bench.run()
    assert bench.outputs() == {}
    assert {one["state"] for one in bench.files().values()} == {"impossible"}


def test_an_instance_uid_with_two_contents_comes_out_once(bench: Bench) -> None:
    for name, number in (("a.dcm", 1), ("b.dcm", 99)):
        dataset = ct_dataset()
        dataset.InstanceNumber = number
        bench.put(name, as_file(dataset))
    elsewhere = ct_dataset()
    elsewhere.SeriesInstanceUID = uid("another series")
    bench.put("c.dcm", as_file(elsewhere))
    bench.run()
    assert len(bench.outputs()) == 1
    assert [one["reasons"] for one in bench.files().values()].count(["duplicate-instance"]) == 2


def test_our_own_outputs_are_left_out_and_others_marks_are_not_believed(bench: Bench, tmp_path: Path) -> None:
    put_series(bench, patients=1, series=1, instances=1)
    bench.run()
    (output,) = bench.outputs().values()
    marked = ct_dataset("PATIENT-M")
    marked.PatientIdentityRemoved, marked.DeidentificationMethod = "YES", "fairbank"
    bench.put("own.dcm", output)
    bench.put("marked.dcm", as_file(marked))
    bench.run(target=tmp_path / "again")
    bench.target = tmp_path / "again"
    files = bench.files()
    assert files[told(output)] == {"output": None, "state": "notneeded", "reasons": ["already-deidentified"]}
    assert files[told(as_file(marked))]["state"] == "ok"
    assert output not in bench.held().values()


@pytest.mark.parametrize(
    "method", [Method(Profile.BASIC), Method(trust=PixelTrust.REVIEWED)], ids=["profile", "trust"]
)
def test_another_method_into_the_same_folder_is_refused(bench: Bench, method: Method) -> None:
    put_series(bench, patients=1, series=1)
    bench.run()
    before = bench.outputs()
    with pytest.raises(AnotherMethod, match="method"):
        bench.run(method)
    assert bench.outputs() == before


def test_another_key_into_the_same_folder_is_refused(bench: Bench) -> None:
    put_series(bench, patients=1, series=1)
    bench.run()
    bench.key = bench.key.with_name("another.key")
    bench.key.write_bytes(bytes(40))
    bench.key.chmod(0o600)
    with pytest.raises(AnotherMethod, match="key"):
        bench.run()


def test_nested_folders_are_refused(bench: Bench) -> None:
    put_series(bench, patients=1, series=1)
    for target in (bench.source, bench.source / "clean", bench.source.parent):
        with pytest.raises(FoldersNested):
            bench.run(target=target)
    bench.target = bench.source.parent / "elsewhere"
    order = bench.order()
    with pytest.raises(FoldersNested):
        run_folder(replace(order, report=bench.source / "report"), clock=bench.clock, workers=Here())
    assert not list(bench.source.rglob("report"))


def test_a_folder_with_other_files_is_refused(bench: Bench) -> None:
    put_series(bench, patients=1, series=1)
    bench.target.mkdir()
    (bench.target / "thesis.doc").write_bytes(b"mine")
    with pytest.raises(NotARunFolder):
        bench.run()
    assert [path.name for path in bench.target.iterdir()] == ["thesis.doc"]


def test_two_runs_into_one_folder_do_not_meet(bench: Bench) -> None:
    put_series(bench, patients=1, series=1)
    place = Place(bench.target)
    place.prepare()
    with place.alone(), pytest.raises(FolderInUse):
        bench.run()


def test_without_a_safe_key_nothing_begins(bench: Bench) -> None:
    put_series(bench, patients=1, series=1)
    bench.key.chmod(0o644)
    with pytest.raises(UnsafeIdentityStore):
        bench.run()
    bench.key.unlink()
    with pytest.raises(NoIdentityStore):
        bench.run()
    assert not bench.target.exists()


def test_a_full_disk_is_said_and_nothing_half_written_is_left(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_series(bench)
    wrote = Path.write_bytes
    count = 0

    def full(path: Path, content: bytes) -> int:
        nonlocal count
        count += 1
        if count > 4:
            wrote(path, content[:100])
            raise OSError(errno.ENOSPC, "No space left on device")
        return wrote(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StoreNotWritable, match="disk is full"):
        bench.run()
    monkeypatch.undo()
    assert len(bench.outputs()) == 3, "the series that was done is whole, the next is absent"
    bench.run()
    complete = bench.outputs()
    assert len(complete) == 12
    assert all(pydicom.dcmread(bench.target / name).PixelData for name in complete)


def test_a_rename_that_fails_is_done_by_the_next_run(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    put_series(bench)

    def full(self: object, moves: object) -> None:
        raise not_writable(errno.ENOSPC)

    monkeypatch.setattr(committing.Committer, "_move", full)
    with pytest.raises(StoreNotWritable):
        bench.run()
    monkeypatch.undo()
    assert bench.outputs() == {}
    bench.run()
    assert len(bench.outputs()) == 12
    assert not list((bench.target / ".staging").iterdir())


def test_a_run_that_is_stopped_goes_on_from_there(bench: Bench) -> None:
    put_series(bench)
    asked = 0

    def stop_after_three() -> bool:
        nonlocal asked
        asked += 1
        return asked > 3

    ended = bench.run(stopped=stop_after_three)
    assert not ended.complete
    some = len(bench.outputs())
    assert 0 < some < 12 and some % 3 == 0
    assert bench.run().complete
    assert len(bench.outputs()) == 12


def test_a_run_that_is_stopped_early_does_not_forget_what_is_known(bench: Bench) -> None:
    put_series(bench)
    bench.put("screen.dcm", burned_in())
    bench.put("copy.dcm", burned_in())
    bench.run()
    files = bench.files()
    asked = 0

    def stop_after_two() -> bool:
        nonlocal asked
        asked += 1
        return asked > 2

    assert not bench.run(stopped=stop_after_two).complete
    assert bench.files() == files


def test_heads_do_not_stay_recognisable_in_a_folder(bench: Bench) -> None:
    put_series(bench, patients=1, series=1)
    with pytest.raises(NotInAFolder):
        bench.run(Method(faces=FacePolicy.IN_SITU))
    assert not bench.target.exists()


def test_a_series_with_a_face_is_held_whole(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    put_series(bench, patients=1, series=2)

    def hold(files: list[Path], **kwargs: object) -> None:
        assert len(files) == 3
        raise Refused(Reason.PIXELS_UNVERIFIED, group="face|CT")

    monkeypatch.setattr(series_work, "treat_series", hold)
    bench.run()
    assert bench.outputs() == {}
    assert len(bench.held()) == 6
    assert {name.partition("/")[0] for name in bench.held()} == {"pixels-unverified"}


def test_the_face_is_judged_by_slices_of_earlier_runs_too(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_series(bench, patients=1, series=1, instances=2)
    bench.run()
    for path in list(bench.source.rglob("*.dcm")):
        path.unlink()
    bench.put("late.dcm", as_file(ct_dataset("PATIENT-0", 1, 0, 3)))
    seen: list[int] = []
    real = series_work.treat_series

    def count(files: list[Path], **kwargs: object) -> object:
        seen.append(len(files))
        return real(files, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(series_work, "treat_series", count)
    bench.run()
    assert seen == [3]
    assert len(bench.outputs()) == 3


def test_nothing_that_is_left_names_a_subject(bench: Bench) -> None:
    put_series(bench, patients=1)
    bench.put("quarzfeld/screen.dcm", burned_in())
    bench.run()
    secrets = (b"PATIENT-", b"Quarzfeld", b"ACC99817", b"doe_0", b"quarzfeld", b"1.2.826.0.1.3680043.9.")
    for path in bench.target.rglob("*"):
        if not path.is_file() or "quarantine" in path.parts:
            continue
        content = path.read_bytes()
        assert [secret for secret in secrets if secret in content] == [], path.name
        assert not any(secret.decode() in path.relative_to(bench.target).as_posix() for secret in secrets)


def test_a_worker_that_dies_takes_only_its_own_task_with_it() -> None:
    pool = Processes(2)
    tasks = ["1 + 1", "2 + 1", "__import__('os')._exit(9)", "3 + 1"]
    try:
        results = list(pool.in_order(eval, tasks, lost=lambda task: -1, stopped=lambda: False))
    finally:
        pool.close()
    assert results == [2, 3, -1, 4]


def test_how_uids_hang_together_is_told_in_the_report(bench: Bench) -> None:
    put_series(bench, patients=1, series=1, instances=2)
    source = ct_dataset("PATIENT-0", 1, 0, 1)
    referring = ct_dataset("PATIENT-0", 1, 5, 1)
    image = Dataset()
    image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = source.SOPClassUID, source.SOPInstanceUID
    referring.ReferencedImageSequence = [image]
    bench.put("doe/referring.dcm", as_file(referring))
    ended = bench.run()
    # A study, two series, three instances, a frame of reference.
    assert ended.uids == {"files": 3, "uids": 7, "references": 1, "references within the run": 1}
    with closing(bench.journal()) as journal:
        summary = folder_summary(Place(bench.target), journal, bench.target / "report")
    assert summary.runs[-1]["told"]["uids"] == ended.uids
    assert bench.run().uids["files"] == 0  # nothing was cleaned, so nothing is told


def test_two_originals_that_became_one_are_an_error_at_the_end(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def links(original: Output, output: Output, **kwargs: object) -> Links:
        before = original.text(0x00080018).encode()
        pairs = ((before, b"one for all"),)
        return Links(pairs, (before, output.text(0x00080018).encode()), frozenset(), frozenset())

    put_series(bench, patients=1, series=1, instances=2)
    monkeypatch.setattr(series_work, "links_of", links)
    with pytest.raises(UidsTangled):
        bench.run()
    assert len(bench.files()) == 2
    with closing(bench.journal()) as journal:
        assert journal.runs()[-1]["told"]["uids"]["two-instances-became-one"] == 1
