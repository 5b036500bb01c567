"""Folders as they come: media with a directory, files that are no image, files that are broken, many of them."""

from __future__ import annotations

import logging
import shutil
import warnings
from pathlib import Path

import pydicom
import pytest
from data_store import __file__ as data_store_file
from tests.harvest.conftest import bundled

from fairbank.clock import FixedClock
from fairbank.deid.annotators import KnownAs
from fairbank.harvest import parallel
from fairbank.harvest.aspects import Aspect
from fairbank.harvest.errors import ListedFileMissing, NotInSource, UnreadableHeader
from fairbank.harvest.parallel import in_batches
from fairbank.harvest.sources.folder import FolderSource, series_of_files
from fairbank.harvest.sources.media_directory import listed_files
from fairbank.harvest.sources.protocol import Described, DescribesSeries

MEDIUM = bundled("dicomdirtests")


@pytest.fixture
def medium(tmp_path: Path) -> Path:
    root = tmp_path / "media"
    shutil.copytree(MEDIUM, root / "DISC", ignore=shutil.ignore_patterns("TINY_ALPHA", "DICOMDIR-*"))
    return root


def described(source: FolderSource, container: str) -> dict[str, Described]:
    items = source.snapshot(container).items
    found = {each.item.local_id: each for each in source.describe(container, items)}
    assert list(found) == [item.local_id for item in items]
    return found


def test_a_whole_medium_is_its_series_and_nothing_else(medium: Path) -> None:
    items = FolderSource(medium).snapshot("DISC").items
    # README.txt is no image; the directory is none either, and counts as nothing.
    assert [item.local_id for item in items if ":" in item.local_id] == ["unreadable:DISC/README.txt"]
    assert sum(item.files or 0 for item in items) == 1 + 31


def test_a_file_that_the_directory_lists_and_that_is_missing_is_reported(
    medium: Path, tmp_path: Path
) -> None:
    (medium / "DISC" / "98892001" / "CT5N" / "2392").unlink()
    source = FolderSource(medium)
    snapshot = source.snapshot("DISC")
    (missing,) = [item for item in snapshot.items if item.local_id.startswith("listed:")]
    with pytest.raises(ListedFileMissing) as caught:
        list(source.fetch("DISC", missing, tmp_path))
    assert "2392" not in str(caught.value)
    found = described(source, "DISC")
    assert isinstance(found[missing.local_id].error, ListedFileMissing)
    (hint,) = [
        each.description.facts.quality[Aspect.POSSIBLY_INCOMPLETE].details
        for each in found.values()
        if each.description and each.description.expected_instances == 5
    ]
    assert "1 fewer than stated" in hint


def test_a_file_that_the_directory_does_not_list_is_found(medium: Path) -> None:
    shutil.copyfile(bundled("CT_small.dcm"), medium / "DISC" / "extra")
    files = sum(item.files or 0 for item in FolderSource(medium).snapshot("DISC").items)
    assert files == 1 + 31 + 1


def test_a_medium_in_lower_case_is_whole(medium: Path) -> None:
    (medium / "DISC" / "DICOMDIR").rename(medium / "DISC" / "dicomdir")
    for folder in sorted((medium / "DISC").rglob("*"), reverse=True):
        if folder.is_dir():
            folder.rename(folder.with_name(folder.name.lower()))
    assert not any(
        item.local_id.startswith("listed:") for item in FolderSource(medium).snapshot("DISC").items
    )


@pytest.mark.parametrize("name", ["DICOMDIR", "DICOMDIR-bigEnd", "DICOMDIR-implicit", "DICOMDIR-reordered"])
def test_each_encoding_of_a_directory_lists_the_same(name: str) -> None:
    listed = listed_files(MEDIUM / name)
    assert listed is not None
    assert sorted(listed, key=str) == sorted(listed_files(MEDIUM / "DICOMDIR") or [], key=str)
    for file in listed:
        image = pydicom.dcmread(MEDIUM.joinpath(*file.path), stop_before_pixels=True)
        assert image.SeriesInstanceUID == file.series_uid


def test_a_directory_that_cannot_be_read_is_an_item_of_its_own(medium: Path) -> None:
    (medium / "DISC" / "DICOMDIR").write_bytes(b"no directory")
    found = described(FolderSource(medium), "DISC")
    assert isinstance(found["unreadable:DISC/DICOMDIR"].error, UnreadableHeader)


def test_a_path_that_leads_out_of_the_folder_is_a_missing_file(medium: Path, tmp_path: Path) -> None:
    directory = pydicom.dcmread(medium / "DISC" / "DICOMDIR")
    record = next(one for one in directory.DirectoryRecordSequence if "ReferencedFileID" in one)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        record.ReferencedFileID = ["..", "..", "secret"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        directory.save_as(medium / "DISC" / "DICOMDIR")
    (tmp_path / "secret").write_bytes(bundled("CT_small.dcm").read_bytes())
    items = FolderSource(medium).snapshot("DISC").items
    assert sum(item.local_id.startswith("listed:") for item in items) == 1


def test_every_dirty_file_is_described_or_reported_and_nothing_is_printed(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    bundle = bundled("CT_small.dcm").parent
    extra = Path(data_store_file).parent / "data"
    good, bad = [], []
    with warnings.catch_warnings(record=True) as warned, caplog.at_level(logging.DEBUG, "pydicom"):
        warnings.simplefilter("always")
        for folder in (bundle, bundle.parent / "charset_files", extra):
            source = FolderSource(folder.parent, clock=FixedClock())
            found = described(source, folder.name).values()
            good += [each.description for each in found if each.description]
            bad += [each.error for each in found if each.error]
    assert len(good) >= 60 and len(bad) >= 20
    for error in bad:
        text = f"{error} {error!r}"
        assert not any(name in text for name in ("pydicom", "data", ".dcm", "1.3.", "1.2."))
    for description in good:
        assert str(description.series_uid) == "a series"
        assert set(description.facts.quality) == set(Aspect)
    assert [str(one.message) for one in warned] == []
    assert caplog.text == "" and "".join(capfd.readouterr()) == ""


def test_what_is_described_holds_no_id_but_as_secrets(dicom_root: Path) -> None:
    source = FolderSource(dicom_root, clock=FixedClock())
    assert isinstance(source, DescribesSeries)
    for each in described(source, "LIVER").values():
        assert each.description is not None
        text = repr(each.description)
        uid = each.description.series_uid.reveal()
        assert uid == each.item.local_id and uid not in text
        assert each.description.subject.reveal() not in text


def test_an_annotation_is_described_under_pseudonyms_only(tmp_path: Path) -> None:
    (tmp_path / "A").mkdir()
    dataset = pydicom.dcmread(bundled("rtstruct.dcm"), force=True)
    dataset.OperatorsName = "Quarzfeld^Jane"
    dataset.PatientID = "4711"
    dataset.save_as(tmp_path / "A" / "1.dcm", enforce_file_format=True)
    (each,) = described(FolderSource(tmp_path, clock=FixedClock()), "A").values()
    assert each.description is not None and each.description.annotated is not None
    plain = each.description.facts.annotations
    assert (plain.raters, plain.referenced, plain.counts) == (set(), set(), set())
    known = each.description.annotated(
        KnownAs(uid=lambda uid: f"p{len(uid)}", person=lambda name: name[::-1])
    )
    assert known.raters == {"enaj dlefzrauq"}
    assert len(known.referenced) == 1 and all(uid.startswith("p") for uid in known.referenced)
    assert "Quarzfeld" not in repr(each.description) and "uarzfeld" not in repr(each.description).lower()


def test_several_processes_read_the_same_in_the_same_order(
    monkeypatch: pytest.MonkeyPatch, dicom_root: Path
) -> None:
    monkeypatch.setattr(parallel, "WORTH_A_PROCESS", 4)
    monkeypatch.setattr(parallel, "_BATCH", 3)
    paths = sorted(dicom_root.rglob("*.dcm"))
    assert list(in_batches(series_of_files, paths, workers=2)) == series_of_files(paths)


def test_an_item_that_has_gone_stops_no_other(dicom_root: Path) -> None:
    source = FolderSource(dicom_root, clock=FixedClock())
    items = source.snapshot("LIVER").items
    shutil.rmtree(dicom_root / "LIVER" / "in0")
    errors = [each.error for each in source.describe("LIVER", items)]
    assert [type(error) for error in errors if error] == [NotInSource]
