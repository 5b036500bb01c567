"""One conformance suite, run against every kind of source."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pydicom.data
import pytest
from tests.harvest.servers import ORTHANC_AE, PASSWORD, USER, Orthanc

from fairbank.errors import Sensitive
from fairbank.harvest.errors import NotInSource
from fairbank.harvest.sources.dicomweb import DicomwebSource
from fairbank.harvest.sources.folder import FolderSource
from fairbank.harvest.sources.orthanc import OrthancSource
from fairbank.harvest.sources.pace import Politeness
from fairbank.harvest.sources.protocol import Instance, Snapshot, Source
from fairbank.harvest.sources.xnat import XnatSource
from fairbank.harvest.xnat_standin.app import create_app


def _nothing() -> None:
    """A source that reads the folder itself needs no telling."""


@dataclass
class Subject:
    """A source, the folder that it should show, and how it is told that the folder has changed.

    `container` is that of the folder's LIVER. `exact` says whether files come as they lie; DIMSE has only datasets.
    """

    source: Source
    root: Path
    container: str = "LIVER"
    containers: tuple[str, ...] = ("BRAIN", "LIVER")
    tell: Callable[[], None] = _nothing
    exact: bool = True


def _archive(kind: str, orthanc: Orthanc) -> Source:
    login = (USER, Sensitive(PASSWORD, reference="password"))
    manners = Politeness(requests_per_s=10_000)
    if kind == "dicomweb":
        return DicomwebSource(orthanc.dicomweb, *login, manners=manners)
    if kind == "orthanc":
        return OrthancSource(orthanc.dicomweb, *login, manners=manners)
    from fairbank.harvest.sources.dimse import DimseSource

    address = f"127.0.0.1:{orthanc.dicom_port}"
    return DimseSource.of_options(
        address, {"called_ae": ORTHANC_AE}, name="archive", timeout_s=30, requests_per_s=10_000
    )


def _told(orthanc: Orthanc, folder: Path) -> None:
    """Let an archive hold what a folder holds; what it holds already stays untouched."""
    files = sorted(folder.rglob("*.dcm"))
    assert orthanc.load(files) == files
    wanted = {str(pydicom.dcmread(path, stop_before_pixels=True).SeriesInstanceUID) for path in files}
    for series in orthanc.get("/series?expand"):
        if (uid := series["MainDicomTags"]["SeriesInstanceUID"]) not in wanted:
            orthanc.delete_series(uid)


_SERVED = [pytest.param(kind, marks=pytest.mark.orthanc) for kind in ("dicomweb", "orthanc", "dimse")]


@pytest.fixture(params=["xnat", "folder", *_SERVED])
def subject(
    request: pytest.FixtureRequest, dicom_root: Path, serve: Callable[[object], AbstractContextManager[str]]
) -> Iterator[Subject]:
    if request.param == "folder":
        yield Subject(FolderSource(dicom_root), dicom_root)
        return
    if request.param in ("dicomweb", "orthanc", "dimse"):
        orthanc: Orthanc = request.getfixturevalue("orthanc")
        orthanc.clear()
        _told(orthanc, dicom_root / "LIVER")
        served = _archive(request.param, orthanc)
        yield Subject(
            served,
            dicom_root,
            container=".",
            containers=(".",),
            tell=lambda: _told(orthanc, dicom_root / "LIVER"),
            exact=request.param != "dimse",
        )
        served.close()
        return
    with serve(create_app(dicom_root, recheck_s=0)) as url:
        source = XnatSource(url, "reader", Sensitive("reader", reference="password"), requests_per_s=1000)
        yield Subject(source, dicom_root)
        source.close()


def _fetched(subject: Subject, snapshot: Snapshot, into: Path) -> dict[str, list[bytes]]:
    contents: dict[str, list[bytes]] = {}
    for number, item in enumerate(snapshot.items):
        folder = into / str(number)
        folder.mkdir(parents=True)
        instances = subject.source.fetch(snapshot.container, item, folder)
        contents[item.local_id] = sorted(
            _content(instance.path, exact=subject.exact) for instance in instances
        )
    return contents


def _in_folder(subject: Subject, container: str) -> list[list[bytes]]:
    series: dict[str, list[bytes]] = {}
    project = "LIVER" if container == subject.container else container
    for path in (subject.root / project).rglob("*.dcm"):
        uid = str(pydicom.dcmread(path, stop_before_pixels=True).SeriesInstanceUID)
        series.setdefault(uid, []).append(_content(path, exact=subject.exact))
    return sorted(sorted(files) for files in series.values())


def _content(path: Path, *, exact: bool) -> bytes:
    """Return a file, or all its elements without what stands before and after them."""
    if exact:
        return path.read_bytes()
    dataset = pydicom.dcmread(path)
    # Padding is no part of what an image says; dcmtk does not send it.
    dataset.pop("DataSetTrailingPadding", None)
    return dataset.to_json().encode()


def test_check_counts_the_containers(subject: Subject) -> None:
    assert subject.source.check().containers == len(subject.containers)


def test_containers_are_the_projects(subject: Subject) -> None:
    assert [container.id for container in subject.source.list_containers()] == list(subject.containers)


def test_every_file_of_every_series_is_fetched_byte_for_byte(subject: Subject, tmp_path: Path) -> None:
    for number, container in enumerate(subject.containers):
        snapshot = subject.source.snapshot(container)
        fetched = _fetched(subject, snapshot, tmp_path / str(number))
        assert snapshot.complete
        assert sorted(fetched.values()) == _in_folder(subject, container)


def test_items_are_sorted_and_count_their_files(subject: Subject) -> None:
    items = subject.source.snapshot(subject.container).items
    assert list(items) == sorted(items, key=lambda item: item.local_id)
    assert sorted(item.files or 0 for item in items) == [1, 1, 4, 5]


def test_two_snapshots_of_an_unchanged_container_are_the_same(subject: Subject) -> None:
    assert subject.source.snapshot(subject.container) == subject.source.snapshot(subject.container)


def test_a_new_file_changes_the_version_of_its_series_only(subject: Subject) -> None:
    before = {item.local_id: item.version for item in subject.source.snapshot(subject.container).items}
    twin = pydicom.dcmread(subject.root / "LIVER" / "in0" / "0.dcm")
    twin.SOPInstanceUID = twin.file_meta.MediaStorageSOPInstanceUID = "2.25.4711"
    twin.save_as(subject.root / "LIVER" / "in0" / "twin.dcm")
    subject.tell()
    after = {item.local_id: item.version for item in subject.source.snapshot(subject.container).items}
    changed = [local_id for local_id in before if before[local_id] != after[local_id]]
    assert len(changed) == 1
    assert before.keys() == after.keys()


def test_a_deleted_series_leaves_the_snapshot_and_cannot_be_fetched(subject: Subject, tmp_path: Path) -> None:
    before = subject.source.snapshot(subject.container).items
    shutil.rmtree(subject.root / "LIVER" / "in0")
    subject.tell()
    after = subject.source.snapshot(subject.container).items
    gone = [item for item in before if item.local_id not in [left.local_id for left in after]]
    assert len(gone) == 1
    with pytest.raises(NotInSource):
        list(subject.source.fetch(subject.container, gone[0], tmp_path))


def test_an_unknown_container_is_said_to_be_missing(subject: Subject) -> None:
    with pytest.raises(NotInSource):
        subject.source.snapshot("NOSUCH")


def test_the_name_of_an_instance_is_not_printed(subject: Subject, tmp_path: Path) -> None:
    item = subject.source.snapshot(subject.container).items[0]
    instances: list[Instance] = list(subject.source.fetch(subject.container, item, tmp_path))
    assert str(instances[0].name) == "a file"


def test_a_closed_source_can_be_closed_again(subject: Subject) -> None:
    subject.source.list_containers()
    subject.source.close()
    subject.source.close()


def test_listing_a_folder_prints_nothing_of_what_a_header_says(tmp_path: Path) -> None:
    (tmp_path / "A").mkdir()
    dataset = pydicom.dcmread(pydicom.data.get_testdata_file("CT_small.dcm", download=False))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.SeriesInstanceUID = "not-a-uid-but-a-NAME"
        dataset.save_as(tmp_path / "A" / "1.dcm")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        snapshot = FolderSource(tmp_path).snapshot("A")
    assert [item.local_id for item in snapshot.items] == ["not-a-uid-but-a-NAME"]
    assert [str(one.message) for one in said] == []
