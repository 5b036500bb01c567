"""From an archive to a record that may leave: pull, index, build, publish."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from sqlalchemy import select as sql_select
from starlette.requests import Request
from starlette.responses import Response

from fairbank.clock import FixedClock
from fairbank.database import reading
from fairbank.deid.outcomes import Status
from fairbank.harvest.datasets import Description, define_dataset, describe_dataset
from fairbank.harvest.errors import (
    BadDefinition,
    NothingToPublish,
    NotInSource,
    UnknownDataset,
    UnknownSource,
    UnsafeSecret,
)
from fairbank.harvest.index import index_store, live_series
from fairbank.harvest.publishing import preview, publish
from fairbank.harvest.records import build
from fairbank.harvest.reports import Progress
from fairbank.harvest.runs import PullOrder, pull
from fairbank.harvest.selection import select
from fairbank.harvest.sources.opening import add_source
from fairbank.harvest.sources.protocol import SourceKind
from fairbank.harvest.store import SeriesRow
from fairbank.harvest.xnat_standin.app import create_app
from fairbank.ontology.counts import CountKind
from fairbank.ontology.record import ActivityKind, CollectionKind, DatasetRecord
from fairbank.ontology.signed_objects import Pick, Selector, Unit
from fairbank.ontology.stewardship import Organisation, Stewardship
from fairbank.release.errors import GateRefused
from fairbank.release.node import Node
from fairbank.release.outbox_review import Decision, decide

Serve = Callable[[object], AbstractContextManager[str]]
ORDER = PullOrder("archive", "LIVER", "liver", "curator")
DESCRIPTION = Description(
    "Liver CT", "Bundled test images.", CollectionKind.TEST, data_use=("DUO:0000042",), keywords=("liver",)
)


@pytest.fixture
def pulled(node: Node, dicom_root: Path) -> Node:
    add_source(node, "archive", kind=SourceKind.FOLDER, location=str(dicom_root))
    pull(node, ORDER)
    define_dataset(node, "liver-ct", project="liver", description=DESCRIPTION)
    index_store(node, "liver-ct")
    return node


def _record(node: Node) -> DatasetRecord:
    with reading(node.engine) as session:
        return build(session, node, "liver-ct")


def test_the_same_series_arrive_from_an_xnat_and_from_a_folder(
    node: Node, dicom_root: Path, archive_url: str, secret_file: Path
) -> None:
    add_source(
        node, "archive", kind=SourceKind.XNAT, location=archive_url, user="reader", secret_file=secret_file
    )
    report = pull(node, ORDER)
    define_dataset(node, "liver-ct", project="liver", description=DESCRIPTION)
    index_store(node, "liver-ct")
    assert report.items == {"ok": 4}
    assert report.files == {"ok": 11}
    totals = _record(node).totals
    assert (totals.subjects.value, totals.series.value, totals.instances.value) == (3, 4, 11)


def test_the_totals_are_those_of_the_source(pulled: Node, dicom_root: Path) -> None:
    headers = [
        pydicom.dcmread(path, stop_before_pixels=True) for path in (dicom_root / "LIVER").rglob("*.dcm")
    ]
    totals = _record(pulled).totals
    assert totals.subjects.value == len({header.PatientID for header in headers})
    assert totals.studies.value == len({header.StudyInstanceUID for header in headers})
    assert totals.series.value == len({header.SeriesInstanceUID for header in headers})
    assert totals.instances.value == len(headers)


def test_the_cube_has_one_cell_per_combination(pulled: Node) -> None:
    cells = {(cell.modality, cell.manufacturer, cell.slice_thickness): cell for cell in _record(pulled).cube}
    assert sum(cell.series.value or 0 for cell in cells.values()) == 4
    assert {modality for modality, _, _ in cells} == {"CT", "CR"}


def test_no_original_identifier_is_in_the_sealed_record(pulled: Node, dicom_root: Path) -> None:
    publication = publish(pulled, "liver-ct")
    for path in (dicom_root / "LIVER").rglob("*.dcm"):
        header = pydicom.dcmread(path, stop_before_pixels=True)
        for value in (
            header.PatientID,
            header.PatientName,
            header.StudyInstanceUID,
            header.SeriesInstanceUID,
        ):
            assert str(value).encode() not in publication.envelope


def test_nothing_below_k_is_left_exact(pulled: Node) -> None:
    record = preview(pulled, "liver-ct").record
    counts = [count for cell in record.cube for count in (cell.series, cell.studies, cell.subjects)]
    counts += [row.subjects for row in record.distributions]
    assert counts
    assert all(count.kind is CountKind.BELOW_K or (count.value or 0) >= 2 for count in counts)


def test_the_default_k_of_ten_withholds_everything_of_three_subjects(pulled: Node) -> None:
    strict = replace(pulled, settings=replace(pulled.settings, release_minimum_count=10))
    record = preview(strict, "liver-ct").record
    assert record.totals.subjects.kind is CountKind.BELOW_K
    assert all(cell.series.kind is CountKind.BELOW_K for cell in record.cube)
    assert record.acquired_from is None


def test_publishing_stages_a_record_sealed_by_the_node_without_enrolment(pulled: Node) -> None:
    publication = publish(pulled, "liver-ct")
    opened, _ = DatasetRecord.open(publication.envelope, trusted=[pulled.key.key_id])
    assert opened == publication.record
    assert publication.release is not None
    assert publication.release.output == "record-liver-ct"
    assert opened.version == 1


def test_publishing_again_makes_the_next_version(pulled: Node) -> None:
    release = publish(pulled, "liver-ct").release
    assert release is not None and isinstance(pulled.clock, FixedClock)
    decide(pulled, release, Decision.APPROVE, by="curator", why="looked at")
    pulled.clock.advance(30 * 86_400)
    assert publish(pulled, "liver-ct").record.version == 2


def test_the_record_tells_where_the_images_come_from(pulled: Node) -> None:
    activities = {activity.kind: activity for activity in _record(pulled).provenance}
    assert set(activities) == set(ActivityKind)
    assert activities[ActivityKind.ACQUISITION].source_system == "folder of DICOM files"
    deidentified = activities[ActivityKind.DEIDENTIFICATION]
    assert deidentified.profile_digest is not None
    assert "research" in (deidentified.profile or "")


def test_what_was_not_assessed_says_so(pulled: Node) -> None:
    quality = {each.aspect: each for each in _record(pulled).quality}
    assert not quality["motion"].assessed
    assert quality["motion"].series_affected is None
    assert quality["missing-slices"].assessed


def test_a_second_pull_fetches_nothing(pulled: Node) -> None:
    report = pull(pulled, ORDER)
    assert report.items == {"notneeded": 4}
    assert report.files == {"unchanged": 11}


def test_a_second_indexing_changes_nothing(pulled: Node) -> None:
    with reading(pulled.engine) as session:
        before = [(row.id, row.content_digest) for row in live_series(session, "liver-ct")]
    report = index_store(pulled, "liver-ct")
    with reading(pulled.engine) as session:
        after = [(row.id, row.content_digest) for row in live_series(session, "liver-ct")]
    assert report.items == {"notneeded": 4}
    assert before == after


def test_one_broken_file_does_not_stop_the_rest(node: Node, dicom_root: Path) -> None:
    (dicom_root / "LIVER" / "broken.dcm").write_bytes(b"not an image")
    whole = (dicom_root / "LIVER" / "in0" / "0.dcm").read_bytes()
    (dicom_root / "LIVER" / "in0" / "0.dcm").write_bytes(whole[: len(whole) // 2])
    add_source(node, "archive", kind=SourceKind.FOLDER, location=str(dicom_root))
    report = pull(node, ORDER)
    assert report.items == {"error": 2, "ok": 3}
    assert report.files["ok"] == 10


def test_an_item_in_error_is_tried_again(node: Node, dicom_root: Path) -> None:
    path = dicom_root / "LIVER" / "in0" / "0.dcm"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    add_source(node, "archive", kind=SourceKind.FOLDER, location=str(dicom_root))
    pull(node, ORDER)
    path.write_bytes(whole)
    assert pull(node, ORDER).items == {"notneeded": 3, "ok": 1}


def test_a_series_that_has_gone_from_the_archive_is_reported_missing(pulled: Node, dicom_root: Path) -> None:
    shutil.rmtree(dicom_root / "LIVER" / "in0")
    assert pull(pulled, ORDER).missing == 1
    assert pull(pulled, ORDER).missing == 0


def test_a_series_that_has_gone_from_the_store_leaves_every_cohort(pulled: Node) -> None:
    with reading(pulled.engine) as session:
        first = select(session, "liver-ct", Selector(), at=pulled.clock.now())[0]
    shutil.rmtree(first.directory)
    assert index_store(pulled, "liver-ct").missing == 1
    with reading(pulled.engine) as session:
        assert first.series_uid not in [
            one.series_uid for one in select(session, "liver-ct", Selector(), at=pulled.clock.now())
        ]
        states = session.scalars(sql_select(SeriesRow.state)).all()
    assert sorted(states) == ["live", "live", "live", "missing"]


def test_nothing_that_was_fetched_stays_behind(node: Node, archive_url: str, secret_file: Path) -> None:
    add_source(
        node, "archive", kind=SourceKind.XNAT, location=archive_url, user="reader", secret_file=secret_file
    )
    pull(node, ORDER)
    assert list((node.settings.home / "incoming").iterdir()) == []


def test_a_broken_download_costs_one_series_and_is_tried_again(
    node: Node, dicom_root: Path, secret_file: Path, serve: Serve
) -> None:
    left = [1]

    def cut_off(request: Request) -> Response | None:
        if request.url.path.endswith("/files") and left:
            left.pop()
            return Response(b"PK cut off", media_type="application/zip")
        return None

    with serve(create_app(dicom_root, interrupt=cut_off)) as url:
        add_source(
            node, "archive", kind=SourceKind.XNAT, location=url, user="reader", secret_file=secret_file
        )
        first, second = pull(node, ORDER), pull(node, ORDER)
    assert first.items == {"error": 1, "ok": 3}
    assert [result.error for result in first.results if result.error] == ["FB-HARV-006"]
    assert second.items == {"notneeded": 3, "ok": 1}


def test_a_pull_that_was_cut_off_goes_on_where_it_stopped(node: Node, dicom_root: Path) -> None:
    class CutOff(BaseException):
        pass

    def cut_off(progress: Progress) -> None:
        if progress.done == 2:
            raise CutOff

    add_source(node, "archive", kind=SourceKind.FOLDER, location=str(dicom_root))
    with pytest.raises(CutOff):
        pull(node, ORDER, progress=cut_off)
    assert pull(node, ORDER).items == {"notneeded": 2, "ok": 2}


def test_several_workers_give_the_same_store(node: Node, dicom_root: Path, tmp_path: Path) -> None:
    add_source(node, "archive", kind=SourceKind.FOLDER, location=str(dicom_root))
    pull(node, ORDER)
    alone = {path.name: path.read_bytes() for path in node.settings.store_path.rglob("*.dcm")}
    other = replace(node, settings=replace(node.settings, node_store=str(tmp_path / "other"), deid_workers=2))
    report = pull(other, replace(ORDER, again=True))
    together = {path.name: path.read_bytes() for path in (tmp_path / "other").rglob("*.dcm")}
    assert report.items == {"ok": 4}
    assert together == alone


def test_files_lost_from_the_store_are_fetched_again_when_asked(pulled: Node) -> None:
    next(pulled.settings.store_path.rglob("*.dcm")).unlink()
    assert pull(pulled, ORDER).items == {"notneeded": 4}
    assert pull(pulled, replace(ORDER, again=True)).files == {"already-done": 10, "ok": 1}


def test_a_store_that_is_not_mounted_is_no_withdrawal(pulled: Node) -> None:
    pulled.settings.store_path.rename(pulled.settings.store_path.with_name("elsewhere"))
    with pytest.raises(NotInSource):
        index_store(pulled, "liver-ct")
    with reading(pulled.engine) as session:
        assert len(live_series(session, "liver-ct")) == 4


def test_a_selector_takes_modalities_and_large_series(pulled: Node) -> None:
    with reading(pulled.engine) as session:
        ct = select(session, "liver-ct", Selector(modality=("CT",)), at=pulled.clock.now())
        large = select(session, "liver-ct", Selector(minimum_instances=5), at=pulled.clock.now())
    assert len(ct) == 3
    assert [one.instances for one in large] == [5]
    assert all(one.directory.is_dir() for one in ct)


def test_the_largest_series_of_each_subject_is_picked(pulled: Node) -> None:
    selector = Selector(unit=Unit.SUBJECT, pick=Pick.MOST_INSTANCES)
    with reading(pulled.engine) as session:
        picked = select(session, "liver-ct", selector, at=pulled.clock.now())
    assert sorted(one.instances for one in picked) == [1, 4, 5]
    assert len({one.subject for one in picked}) == 3


def test_progress_counts_to_the_end(node: Node, dicom_root: Path) -> None:
    add_source(node, "archive", kind=SourceKind.FOLDER, location=str(dicom_root))
    seen: list[Progress] = []
    pull(node, ORDER, progress=seen.append)
    assert [one.done for one in seen] == [1, 2, 3, 4]
    assert all(one.result is not None and one.result.status is Status.OK for one in seen)


def test_the_password_is_in_no_byte_of_the_database(node: Node, archive_url: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("canary-4711")
    secret.chmod(0o600)
    add_source(node, "archive", kind=SourceKind.XNAT, location=archive_url, user="reader", secret_file=secret)
    stored = b"".join(path.read_bytes() for path in node.settings.home.glob("node.db*"))
    assert b"canary-4711" not in stored


def test_a_password_file_that_others_can_read_is_refused(node: Node, secret_file: Path) -> None:
    secret_file.chmod(0o644)
    with pytest.raises(UnsafeSecret):
        add_source(
            node, "x", kind=SourceKind.XNAT, location="https://x.test", user="reader", secret_file=secret_file
        )


def test_an_unknown_source_names_those_that_there_are(node: Node, dicom_root: Path) -> None:
    add_source(node, "archive", kind=SourceKind.FOLDER, location=str(dicom_root))
    with pytest.raises(UnknownSource, match="archive"):
        pull(node, PullOrder("other", "LIVER", "liver", "curator"))


def test_an_unknown_dataset_is_refused(node: Node) -> None:
    with pytest.raises(UnknownDataset):
        index_store(node, "nothing")


def test_a_dataset_without_series_is_not_published(node: Node) -> None:
    define_dataset(node, "empty", project="empty", description=DESCRIPTION)
    with pytest.raises(NothingToPublish):
        publish(node, "empty")


def test_a_wrong_data_use_code_is_refused_when_the_dataset_is_defined(node: Node) -> None:
    wrong = Description("A title", "A text.", CollectionKind.TEST, data_use=("DUO:42",))
    with pytest.raises(BadDefinition, match="data_use"):
        define_dataset(node, "wrong", project="wrong", description=wrong)


def test_what_the_curator_says_for_the_profiles_leaves_with_the_record(pulled: Node) -> None:
    said = Stewardship(
        contact_email="data@biobank.example",
        hdab=Organisation(name="Access body", email="access@body.example"),
        purposes=("https://w3id.org/dpv#ResearchAndDevelopment",),
        retained_until=2040,
    )
    assert _record(pulled).stewardship is None
    describe_dataset(pulled, "liver-ct", said)
    define_dataset(pulled, "liver-ct", project="liver", description=DESCRIPTION)
    assert _record(pulled).stewardship == said
    sent = DatasetRecord.open(publish(pulled, "liver-ct").envelope, trusted=[pulled.key.key_id])[0]
    assert sent.stewardship == said


def test_what_the_curator_says_for_the_profiles_is_refused_if_it_identifies(pulled: Node) -> None:
    describe_dataset(pulled, "liver-ct", Stewardship(population_coverage="Born on 1958-04-12."))
    with pytest.raises(GateRefused):
        publish(pulled, "liver-ct")


def test_only_a_dataset_that_is_defined_is_described(node: Node) -> None:
    with pytest.raises(UnknownDataset):
        describe_dataset(node, "none", Stewardship())
