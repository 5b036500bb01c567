"""Orthanc and dcmqrscp, loaded with the DICOM that pydicom ships: we see what they themselves say they hold.

All tests of this file run in one process: they share the servers, and change nothing in them.
"""

from __future__ import annotations

import logging
import subprocess
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import data_store
import pydicom
import pytest
from pydicom.dataset import Dataset
from sqlalchemy import select
from tests.harvest.conftest import bundled
from tests.harvest.servers import (
    DCMTK_AE,
    MOVE_AE,
    ORTHANC_AE,
    PASSWORD,
    USER,
    Dcmtk,
    Orthanc,
    free_ports,
    program,
    running_dcmtk,
    running_orthanc,
)

from fairbank.clock import FixedClock
from fairbank.database import reading
from fairbank.deid.facts import Recorder
from fairbank.deid.part10 import quiet_pydicom
from fairbank.errors import Sensitive
from fairbank.harvest.described import describe_datasets
from fairbank.harvest.errors import (
    AssociationRefused,
    HarvestError,
    NotInSource,
    ReceiverNotOpened,
    UnreadableHeader,
)
from fairbank.harvest.header_harvest import HarvestOrder, harvest_from
from fairbank.harvest.runs import PullOrder, pull
from fairbank.harvest.sources.archive_questions import Filter
from fairbank.harvest.sources.dicomweb import DicomwebSource
from fairbank.harvest.sources.dimse import DimseSource
from fairbank.harvest.sources.opening import add_source, open_source
from fairbank.harvest.sources.orthanc import OrthancSource
from fairbank.harvest.sources.pace import Politeness
from fairbank.harvest.sources.protocol import Item, Source, SourceKind
from fairbank.harvest.store import SeriesRow
from fairbank.release.node import Node

pytestmark = [pytest.mark.orthanc, pytest.mark.dcmtk]
FAST = Politeness(requests_per_s=10_000)
Series = dict[tuple[str, str], int]


@dataclass(frozen=True)
class Loaded:
    orthanc: Orthanc
    files: list[Path]
    taken: list[Path]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    folders = [bundled("."), bundled("../charset_files"), Path(data_store.__file__).parent]
    files = sorted(path for folder in folders for path in folder.rglob("*") if _is_small_dicom(path))
    with running_orthanc(tmp_path_factory.mktemp("loaded")) as server:
        yield Loaded(server, files, server.load(files))


def _is_small_dicom(path: Path) -> bool:
    """Leave out the few large images: they take most of the time, and show nothing that small ones do not."""
    return path.is_file() and path.suffix in ("", ".dcm") and path.stat().st_size < 600_000


@pytest.fixture(scope="module")
def move_port() -> int:
    return free_ports(1)[0]


@pytest.fixture(scope="module")
def dcmtk(tmp_path_factory: pytest.TempPathFactory, move_port: int) -> Iterator[Dcmtk]:
    names = ["CT_small.dcm", "MR_small.dcm", "rtplan.dcm", "chrH32.dcm", "JPEG2000.dcm"]
    series = [f"dicomdirtests/98892001/CT5N/{name}" for name in ("2062", "2392", "2693", "3023", "3353")]
    with running_dcmtk(tmp_path_factory.mktemp("dcmtk"), move_port=move_port) as server:
        server.load([_bundled_anywhere(name) for name in (*names, *series)])
        yield server


def _bundled_anywhere(name: str) -> Path:
    places = [bundled(name), bundled("../charset_files") / name]
    return next(place for place in places if place.exists())


def web(server: Orthanc, wanted: str = "") -> DicomwebSource:
    secret = Sensitive(PASSWORD, reference="password")
    return DicomwebSource(server.dicomweb, USER, secret, wanted=Filter.parse(wanted), manners=FAST)


def dimse(port: int, title: str, **options: str) -> DimseSource:
    return DimseSource.of_options(
        f"127.0.0.1:{port}", {"called_ae": title, **options}, name="pacs", timeout_s=30, requests_per_s=10_000
    )


def seen(source: Source) -> Series:
    snapshot = source.snapshot(".")
    assert snapshot.complete
    source.close()
    return {
        (item.local_id.split("/")[0], item.local_id.split("/")[1]): item.files or 0 for item in snapshot.items
    }


def as_orthanc_says(server: Orthanc) -> Series:
    """Return what Orthanc's own REST interface lists; two of its series may share their UIDs."""
    studies = {
        study["ID"]: study["MainDicomTags"]["StudyInstanceUID"] for study in server.get("/studies?expand")
    }
    found: Counter[tuple[str, str]] = Counter()
    for series in server.get("/series?expand"):
        uids = (studies[series["ParentStudy"]], series["MainDicomTags"]["SeriesInstanceUID"])
        found[uids] += len(series["Instances"])
    return dict(found)


def as_findscu_says(port: int, title: str, folder: Path, *studies: str) -> Series:
    """Return what dcmtk's findscu is told about the series of some studies, or of all where an archive allows that."""
    found: Counter[tuple[str, str]] = Counter()
    for number, study in enumerate(studies or [""]):
        keys = (f"StudyInstanceUID={study}", "SeriesInstanceUID=", "NumberOfSeriesRelatedInstances=")
        with quiet_pydicom():
            for row in _findscu(port, title, folder / str(number), "SERIES", *keys):
                uids = (str(row.StudyInstanceUID), str(row.SeriesInstanceUID))
                found[uids] += int(row.get("NumberOfSeriesRelatedInstances") or 0)
    return dict(found)


def _findscu(port: int, title: str, folder: Path, level: str, *keys: str) -> list[Dataset]:
    folder.mkdir(parents=True, exist_ok=True)
    tool = program("findscu")
    assert tool
    words = [word for key in (f"QueryRetrieveLevel={level}", *keys) for word in ("-k", key)]
    subprocess.run(
        [tool, "-S", "-X", "-od", folder, "-aec", title, *words, "127.0.0.1", str(port)],
        check=True,
        capture_output=True,
        env={"TCP_NODELAY": "1"},
    )
    return [pydicom.dcmread(path, force=True) for path in folder.glob("rsp*.dcm")]


def fetched(source: Source, items: list[Item], into: Path) -> tuple[dict[str, list[Path]], list[str]]:
    """Return the files of each item, and the error codes of those that failed."""
    files: dict[str, list[Path]] = {}
    errors = []
    for number, item in enumerate(items):
        folder = into / str(number)
        folder.mkdir(parents=True)
        try:
            files[item.local_id] = [instance.path for instance in source.fetch(".", item, folder)]
        except HarvestError as err:
            errors.append(err.code)
    source.close()
    return files, errors


def sop_uids(paths: list[Path]) -> Counter[str]:
    with quiet_pydicom():
        headers = [pydicom.dcmread(path, force=True, stop_before_pixels=True) for path in paths]
        return Counter(str(header.SOPInstanceUID) for header in headers)


def test_what_we_list_is_what_orthanc_and_findscu_list(loaded: Loaded, tmp_path: Path) -> None:
    server = loaded.orthanc
    truth = as_orthanc_says(server)
    assert len(truth) > 40
    assert len(loaded.taken) < len(loaded.files), "the dirty files are no longer among them"
    assert sum(truth.values()) == server.get("/statistics")["CountInstances"]
    assert seen(web(server)) == truth
    assert seen(dimse(server.dicom_port, ORTHANC_AE)) == truth
    assert as_findscu_says(server.dicom_port, ORTHANC_AE, tmp_path) == truth


def test_with_its_stamps_orthanc_lists_the_same(loaded: Loaded) -> None:
    secret = Sensitive(PASSWORD, reference="password")
    source = OrthancSource(loaded.orthanc.dicomweb, USER, secret, manners=FAST)
    assert source.check().version == loaded.orthanc.get("/system")["Version"]
    assert seen(source) == as_orthanc_says(loaded.orthanc)


def test_dicomweb_client_lists_the_same_page_by_page(loaded: Loaded) -> None:
    from dicomweb_client import DICOMwebClient
    from requests import Session

    session = Session()
    session.auth = (USER, PASSWORD)
    session.trust_env = False
    client = DICOMwebClient(loaded.orthanc.dicomweb, session=session)
    rows = client.search_for_series(limit=7, get_remaining=True)
    found: Counter[tuple[str, str]] = Counter()
    for row in rows:
        study, series = (row[tag]["Value"][0] for tag in ("0020000D", "0020000E"))
        found[study, series] += row["00201209"]["Value"][0]
    assert seen(web(loaded.orthanc)) == dict(found)


def test_wado_gives_every_file_as_it_lies(loaded: Loaded, tmp_path: Path) -> None:
    source = web(loaded.orthanc)
    items = list(source.snapshot(".").items)
    files, errors = fetched(source, items, tmp_path)
    # One series has its UIDs in common with another, and Orthanc itself says 404 when it is asked for.
    shared = [item for item in items if item.local_id not in files]
    assert len(errors) == len(shared) == 1
    originals = {path.read_bytes() for path in loaded.taken}
    came = [path.read_bytes() for of_series in files.values() for path in of_series]
    assert set(came) <= originals
    assert len(came) == sum(item.files or 0 for item in items) - (shared[0].files or 0)


def test_c_get_gives_the_same_instances(loaded: Loaded, tmp_path: Path) -> None:
    source = web(loaded.orthanc)
    items = list(source.snapshot(".").items)
    by_web, _ = fetched(source, items, tmp_path / "web")
    by_dimse, errors = fetched(dimse(loaded.orthanc.dicom_port, ORTHANC_AE), items, tmp_path / "dimse")
    # Besides the series that shares its UIDs, one whose SOP class is damaged, so that no context can be agreed on.
    assert len(errors) == 2
    assert set(by_dimse) < set(by_web)
    for local_id, paths in by_dimse.items():
        assert sop_uids(paths) == sop_uids(by_web[local_id])


def test_what_the_archive_says_of_headers_is_what_the_files_say(loaded: Loaded, tmp_path: Path) -> None:
    clock = FixedClock()
    secret = Sensitive(PASSWORD, reference="password")
    source = DicomwebSource(loaded.orthanc.dicomweb, USER, secret, manners=FAST, clock=clock)
    items = source.snapshot(".").items
    described = {one.item.local_id: one for one in source.describe(".", items)}
    assert list(described) == [item.local_id for item in items]
    files, _ = fetched(source, list(items), tmp_path)
    agent = Recorder("harvest", clock.now(), "fairbank 0.1.0")
    compared = 0
    for item in items:
        said = described[item.local_id]
        if said.description is None:
            # Without a patient id, or one that shares its UIDs with another.
            assert isinstance(said.error, UnreadableHeader | NotInSource)
            continue
        with quiet_pydicom():
            datasets = [pydicom.dcmread(path, force=True) for path in files[item.local_id]]
            own = describe_datasets(datasets, recorder=agent, expected_instances=item.files)
        tool = own.sheet.tool
        for one in (own, said.description):
            # An archive may send a file in another transfer syntax than it says.
            one.facts.acquisition.pop("TransferSyntaxUID", None)
        if "¥" in str(said.description.facts.acquisition):
            # In ISO-IR 13 a backslash is a yen sign, and Orthanc says so also where it parts values.
            continue
        assert replace(said.description, sheet=replace(said.description.sheet, tool=tool)) == own
        compared += 1
    assert compared > 30


def test_a_filter_leaves_the_series_that_it_names(loaded: Loaded) -> None:
    truth = as_orthanc_says(loaded.orthanc)
    wanted = list(seen(web(loaded.orthanc, "PatientID=9889*")))
    assert 0 < len(wanted) < len(truth)
    by_dimse = seen(dimse(loaded.orthanc.dicom_port, ORTHANC_AE, filter="PatientID=9889*"))
    assert sorted(wanted) == sorted(by_dimse)


def test_dcmqrscp_lists_and_gives_what_it_holds(dcmtk: Dcmtk, tmp_path: Path) -> None:
    source = dimse(dcmtk.port, DCMTK_AE)
    assert source.check().version.startswith("OFFIS_DCMTK_")
    items = list(source.snapshot(".").items)
    studies = _findscu(dcmtk.port, DCMTK_AE, tmp_path / "studies", "STUDY", "StudyInstanceUID=")
    uids = sorted({str(row.StudyInstanceUID) for row in studies})
    told = as_findscu_says(dcmtk.port, DCMTK_AE, tmp_path / "told", *uids)
    assert {tuple(item.local_id.split("/")) for item in items} == set(told)
    files, errors = fetched(source, items, tmp_path / "files")
    # It holds one compressed image, and by default it offers compressed syntaxes to nobody.
    assert len(errors) == 1
    stored = sop_uids([path for path in dcmtk.folder.glob("*.dcm") if not _is_compressed(path)])
    assert sop_uids([path for of_series in files.values() for path in of_series]) == stored


def _is_compressed(path: Path) -> bool:
    syntax = pydicom.dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID
    return bool(syntax.is_compressed)


@pytest.mark.parametrize("archive", ["orthanc", "dcmqrscp"])
def test_c_move_brings_the_images_to_our_receiver(
    loaded: Loaded, dcmtk: Dcmtk, move_port: int, archive: str, tmp_path: Path
) -> None:
    port, title, receive = (
        (loaded.orthanc.dicom_port, ORTHANC_AE, loaded.orthanc.move_port)
        if archive == "orthanc"
        else (dcmtk.port, DCMTK_AE, move_port)
    )
    moving = {"move_to": MOVE_AE, "receive_at": f"127.0.0.1:{receive}"}
    source = dimse(port, title, **moving)
    items = [item for item in source.snapshot(".").items if (item.files or 0) in (4, 5)]
    assert items
    moved, errors = fetched(source, items, tmp_path / "moved")
    got, _ = fetched(dimse(port, title), items, tmp_path / "got")
    assert errors == []
    assert {key: sop_uids(paths) for key, paths in moved.items()} == {
        key: sop_uids(paths) for key, paths in got.items()
    }


def test_a_receiver_that_cannot_listen_is_a_clear_error(loaded: Loaded, tmp_path: Path) -> None:
    taken = loaded.orthanc.dicom_port
    source = dimse(taken, ORTHANC_AE, move_to=MOVE_AE, receive_at=f"127.0.0.1:{taken}")
    item = source.snapshot(".").items[0]
    with pytest.raises(ReceiverNotOpened):
        list(source.fetch(".", item, tmp_path))
    source.close()


def test_a_wrong_title_is_refused_and_said(loaded: Loaded) -> None:
    with pytest.raises(AssociationRefused, match="Called AE title not recognised"):
        dimse(loaded.orthanc.dicom_port, "ELSEWHERE").check()


def test_the_series_of_every_character_set_are_described(loaded: Loaded) -> None:
    names = sorted(path.name for path in loaded.taken if path.name.startswith("chr"))
    assert len(names) > 10
    series = {
        str(pydicom.dcmread(path, stop_before_pixels=True).SeriesInstanceUID)
        for path in loaded.taken
        if path.name in names
    }
    source = web(loaded.orthanc)
    listed = {item.local_id.split("/")[1]: item for item in source.snapshot(".").items}
    assert series <= set(listed)
    described = list(source.describe(".", [listed[uid] for uid in sorted(series)]))
    source.close()
    assert len(described) == len(series)
    assert all(one.description is not None for one in described)


@pytest.mark.parametrize("archive", ["orthanc", "dcmqrscp", "dicomweb"])
def test_what_a_pacs_holds_is_pulled_into_the_research_store(
    loaded: Loaded, dcmtk: Dcmtk, archive: str, node: Node, secret_file: Path
) -> None:
    port, title = (dcmtk.port, DCMTK_AE) if archive == "dcmqrscp" else (loaded.orthanc.dicom_port, ORTHANC_AE)
    wanted = {"filter": "PatientID=98890234"}
    if archive == "dicomweb":
        secret_file.write_text(PASSWORD)
        add_source(
            node, "pacs", kind=SourceKind.DICOMWEB, location=loaded.orthanc.dicomweb, user=USER,
            secret_file=secret_file, options={"orthanc": "/", **wanted},
        )  # fmt: skip
    else:
        options = {"called_ae": title, **wanted}
        add_source(node, "pacs", kind=SourceKind.DIMSE, location=f"127.0.0.1:{port}", options=options)
    report = pull(node, PullOrder("pacs", ".", "thorax", "curator"))
    assert report.complete
    assert set(report.files) == {"ok"}, report.files
    stored = list(node.settings.store_path.rglob("*.dcm"))
    assert len(stored) == report.files["ok"] >= 5
    assert not [path for path in stored if pydicom.dcmread(path).PatientID == "98890234"]
    again = pull(node, PullOrder("pacs", ".", "thorax", "curator"))
    assert set(again.files) == {"unchanged"}


def test_titles_are_changed_by_adding_the_source_again(loaded: Loaded, node: Node) -> None:
    location = f"127.0.0.1:{loaded.orthanc.dicom_port}"
    add_source(node, "pacs", kind=SourceKind.DIMSE, location=location, options={"called_ae": "ELSEWHERE"})
    with closing(open_source(node, "pacs")) as source, pytest.raises(AssociationRefused):
        source.check()
    add_source(node, "pacs", kind=SourceKind.DIMSE, location=location, options={"called_ae": ORTHANC_AE})
    with closing(open_source(node, "pacs")) as source:
        assert source.check().containers == 1


@pytest.mark.parametrize("kind", ["orthanc", "dimse"])
def test_what_is_deleted_in_orthanc_becomes_a_tombstone_after_two_looks(
    orthanc: Orthanc, node: Node, kind: str, tmp_path: Path
) -> None:
    orthanc.clear()
    orthanc.load([_small(tmp_path, number) for number in range(3)])
    # Of three series one is more than a tenth, which would wait for a curator.
    node = replace(node, settings=replace(node.settings, harvest_hold_percent=100))
    order = HarvestOrder("archive", ".", "lung", "curator")

    def run() -> tuple[int, int, Mapping[str, int]]:
        source: Source
        if kind == "dimse":
            source = dimse(orthanc.dicom_port, ORTHANC_AE)
        else:
            secret = Sensitive(PASSWORD, reference="password")
            source = OrthancSource(orthanc.dicomweb, USER, secret, manners=FAST)
        with closing(source):
            report = harvest_from(node, order, source)
        assert report.complete
        assert report.tally is not None
        return report.tally.added, report.missing, report.tally.tombstoned

    assert run() == (3, 0, {})
    orthanc.delete_series("1.2.826.1.3.1")
    assert run() == (0, 1, {})
    assert run() == (0, 0, {"deleted": 1})
    orthanc.load([_small(tmp_path, 1)])
    assert run()[1:] == (0, {})
    with reading(node.engine) as session:
        assert {row.state for row in session.scalars(select(SeriesRow))} == {"live"}


def _small(folder: Path, number: int) -> Path:
    dataset = pydicom.dcmread(bundled("CT_small.dcm"))
    dataset.PatientID, dataset.StudyInstanceUID = f"P{number}", f"1.2.826.1.2.{number}"
    dataset.SeriesInstanceUID, dataset.SOPInstanceUID = f"1.2.826.1.3.{number}", f"1.2.826.1.4.{number}"
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.save_as(folder / f"{number}.dcm")
    return folder / f"{number}.dcm"


def test_the_feed_of_orthanc_tells_what_has_become_stable(orthanc: Orthanc, tmp_path: Path) -> None:
    orthanc.clear()
    secret = Sensitive(PASSWORD, reference="password")
    with closing(OrthancSource(orthanc.dicomweb, USER, secret, manners=FAST)) as source:
        cursor = source.changes(".", "").cursor
        orthanc.load([_small(tmp_path, number) for number in range(2)])
        deadline = time.monotonic() + 30
        items: set[Item] = set()
        while len(items) < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
            told = source.changes(".", cursor)
            assert told.complete and told.gone == ()
            items |= set(told.items)
        # The versions are those of a snapshot, so that what the feed brought is not described again.
        assert items == set(source.snapshot(".").items)
        assert source.changes(".", told.cursor).items == ()
        # Of a deletion it says nothing.
        orthanc.delete_series("1.2.826.1.3.1")
        assert source.changes(".", told.cursor).items == source.changes(".", told.cursor).gone == ()


CANARIES = {
    "PatientName": "Canary^Ada",
    "PatientID": "CANARYID4711",
    "PatientBirthDate": "19310203",
    "PatientComments": "canary comment",
    "OperatorsName": "Canary^Operator",
    "ReferringPhysicianName": "Canary^Doctor",
    "StudyDescription": "canary study",
    "SeriesDescription": "canary series",
    "AccessionNumber": "CANARY-ACC",
    "InstitutionName": "Canary Hospital",
}
# The zeros make them invalid, so that pydicom would like to print them.
CANARY_UIDS = ("1.2.826.004711.1", "1.2.826.004711.2", "1.2.826.004711.3")


def _canary(folder: Path) -> Path:
    with quiet_pydicom():
        dataset = pydicom.dcmread(bundled("CT_small.dcm"))
        for keyword, value in CANARIES.items():
            setattr(dataset, keyword, value)
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID = CANARY_UIDS
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.save_as(folder / "canary.dcm")
    return folder / "canary.dcm"


@pytest.mark.parametrize("kind", ["dicomweb", "orthanc", "dimse"])
def test_nothing_that_identifies_is_logged_printed_or_in_an_error(
    orthanc: Orthanc,
    kind: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    orthanc.clear()
    orthanc.load([_canary(tmp_path)])
    secret = Sensitive(PASSWORD, reference="password")
    source: Source
    if kind == "dimse":
        source = dimse(orthanc.dicom_port, ORTHANC_AE)
    else:
        source = (DicomwebSource if kind == "dicomweb" else OrthancSource)(
            orthanc.dicomweb, USER, secret, manners=FAST
        )
    said: list[str] = []
    with caplog.at_level(logging.DEBUG), warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        source.check()
        items = source.snapshot(".").items
        (tmp_path / "files").mkdir()
        said += [repr(one) for one in source.fetch(".", items[0], tmp_path / "files")]
        if isinstance(source, DicomwebSource):
            said += [repr(one.error) for one in source.describe(".", items)]
        orthanc.clear()
        with pytest.raises(HarvestError) as caught:
            list(source.fetch(".", items[0], tmp_path))
    source.close()
    printed = capfd.readouterr()
    said += [str(one.message) for one in warned]
    said += [caplog.text, printed.out, printed.err]
    said += [repr(source), repr(caught.value), str(caught.value.todo)]
    words = [*CANARIES.values(), *CANARY_UIDS, "Canary", "127.0.0.1", PASSWORD * 2]
    leaks = [word for word in words for text in said if word in text.replace(str(tmp_path), "")]
    assert leaks == []
