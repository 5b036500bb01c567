"""Harvesting headers: what an archive describes comes into the index, once, under pseudonyms."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select as sql_select
from tests.harvest.fakes import FakeArchive, FakeSource, filled, series_of

from fairbank.clock import FixedClock
from fairbank.database import reading
from fairbank.deid.identity import IdentityStore
from fairbank.deid.outcomes import Status
from fairbank.harvest.datasets import Description, define_dataset
from fairbank.harvest.errors import (
    AnotherWay,
    NotDescribable,
    NotInSource,
    RunUnderWay,
    SourceFailed,
    SourceForbidden,
    SourceGivenUp,
    SourceUnreachable,
)
from fairbank.harvest.header_harvest import HarvestOrder, harvest, harvest_from, rehearse_from
from fairbank.harvest.index import index_store
from fairbank.harvest.publishing import preview
from fairbank.harvest.reports import Progress, RunReport, RunState, Tally
from fairbank.harvest.rows import without_marks
from fairbank.harvest.run_lock import alone
from fairbank.harvest.runs import PullOrder, pull
from fairbank.harvest.selection import select
from fairbank.harvest.sources.opening import add_source
from fairbank.harvest.sources.protocol import Capability, SourceKind
from fairbank.harvest.status import remove_source
from fairbank.harvest.store import ItemRow, RunRow, SeriesRow
from fairbank.harvest.verdicts import Verdict, admit_all
from fairbank.ontology.record import CollectionKind
from fairbank.ontology.signed_objects import Selector
from fairbank.release.node import Node

ORDER = HarvestOrder("archive", "LUNG", "lung", "curator")
DESCRIPTION = Description("Lungs", "Described images.", CollectionKind.TEST, data_use=("DUO:0000042",))


def small_pages(node: Node, size: int = 3) -> Node:
    return dataclasses.replace(node, settings=dataclasses.replace(node.settings, harvest_page_items=size))


def series_rows(node: Node) -> dict[str, SeriesRow]:
    with reading(node.engine) as session:
        return {row.series_uid: row for row in session.scalars(sql_select(SeriesRow))}


def item_rows(node: Node) -> dict[str, ItemRow]:
    with reading(node.engine) as session:
        return {row.local_id: row for row in session.scalars(sql_select(ItemRow))}


def tally(report: RunReport) -> Tally:
    assert report.tally is not None
    return report.tally


def test_every_series_comes_into_the_index_under_pseudonyms(node: Node) -> None:
    archive = filled("LUNG", 10)
    report = harvest_from(small_pages(node), ORDER, FakeSource(archive))
    assert (tally(report).added, report.items, report.complete) == (10, {"ok": 10}, True)
    rows = series_rows(node)
    assert len(rows) == 10
    assert {row.state for row in rows.values()} == {"live"}
    assert {row.source for row in rows.values()} == {"archive"}
    assert {row.directory for row in rows.values()} == {""}
    assert len({row.subject for row in rows.values()}) == 2
    assert len({row.study_uid for row in rows.values()}) == 4
    with IdentityStoreOf(node) as identity:
        subject = identity.subject("lung", "\x1fPAT1")
        expected = {subject.uid(f"1.2.3.{number}") for number in range(6, 10)}
    assert {uid for uid, row in rows.items() if row.subject == subject.subject} == expected


class IdentityStoreOf:
    def __init__(self, node: Node) -> None:
        self._store = IdentityStore(node.settings.home / "identity.db")

    def __enter__(self) -> IdentityStore:
        return self._store

    def __exit__(self, *_: object) -> None:
        self._store.close()


def test_facts_of_the_sheet_come_into_the_row(node: Node) -> None:
    harvest_from(node, ORDER, FakeSource(filled("LUNG", 1)))
    (row,) = series_rows(node).values()
    assert (row.sex, row.age_band, row.acquisition_year) == ("F", "60-64", 2020)
    assert (row.modality, row.body_part, row.manufacturer) == ("CT", "CHEST", "Siemens")
    assert (row.slice_thickness, row.instances) == ("1-1.5", 1)


def test_no_day_of_a_study_is_the_true_one(node: Node) -> None:
    from datetime import date

    harvest_from(node, ORDER, FakeSource(filled("LUNG", 1)))
    (row,) = series_rows(node).values()
    true = date(2020, 3, 10).toordinal()
    assert row.study_day is not None
    assert true - 3650 <= row.study_day < true


def test_nothing_of_the_archive_identifies_in_the_index(node: Node) -> None:
    harvest_from(node, ORDER, FakeSource(filled("LUNG", 6)))
    for row in series_rows(node).values():
        said = repr({column: getattr(row, column.name) for column in SeriesRow.__table__.columns})
        assert "PAT0" not in said
        assert "1.2.3." not in said


def test_a_second_harvest_describes_nothing_and_changes_nothing(node: Node) -> None:
    archive = filled("LUNG", 10)
    harvest_from(node, ORDER, FakeSource(archive))
    before = {uid: row.run for uid, row in series_rows(node).items()}
    asked = archive.asked["describe"]
    report = harvest_from(node, ORDER, FakeSource(archive))
    assert (tally(report).unchanged, report.items) == (10, {"notneeded": 10})
    assert archive.asked["describe"] == asked
    assert {uid: row.run for uid, row in series_rows(node).items()} == before


def test_only_what_is_new_or_changed_is_described(node: Node) -> None:
    archive = filled("LUNG", 10)
    harvest_from(node, ORDER, FakeSource(archive))
    archive.change("LUNG", "s004", modality="MR")
    archive.put("LUNG", "s010", series_of(10))
    archive.asked.clear()
    report = harvest_from(node, ORDER, FakeSource(archive))
    assert archive.asked["describe"] == 2
    assert (tally(report).added, tally(report).updated, tally(report).unchanged) == (1, 1, 9)
    assert sorted(row.modality for row in series_rows(node).values()) == ["CT"] * 10 + ["MR"]


def test_a_new_version_of_the_same_content_changes_no_series(node: Node) -> None:
    archive = filled("LUNG", 3)
    harvest_from(node, ORDER, FakeSource(archive))
    before = {uid: row.run for uid, row in series_rows(node).items()}
    archive.change("LUNG", "s001")
    report = harvest_from(node, ORDER, FakeSource(archive))
    assert (tally(report).updated, tally(report).unchanged) == (0, 3)
    assert {uid: row.run for uid, row in series_rows(node).items()} == before


def test_a_series_that_becomes_another_one_leaves_no_ghost(node: Node) -> None:
    archive = filled("LUNG", 2)
    harvest_from(node, ORDER, FakeSource(archive))
    archive.change("LUNG", "s001", uid="1.2.3.99")
    harvest_from(node, ORDER, FakeSource(archive))
    states = sorted(row.state for row in series_rows(node).values())
    assert states == ["live", "live", "tombstoned"]


def test_one_bad_item_does_not_stop_the_rest_and_is_tried_again(node: Node) -> None:
    archive = filled("LUNG", 7)
    archive.broken["s003"] = SourceFailed("bad")
    report = harvest_from(small_pages(node), ORDER, FakeSource(archive))
    assert report.items == {"ok": 6, "error": 1}
    assert [(one.reference, one.error) for one in report.results] == [("series #4", "FB-HARV-006")]
    archive.broken.clear()
    assert tally(harvest_from(node, ORDER, FakeSource(archive))).added == 1
    assert len(series_rows(node)) == 7


def test_a_source_that_raises_in_the_middle_of_a_page_costs_one_item(node: Node) -> None:
    archive = filled("LUNG", 7)
    archive.stops["s002"] = SourceFailed("bad")
    report = harvest_from(small_pages(node, 5), ORDER, FakeSource(archive))
    assert report.items == {"ok": 6, "error": 1}


def test_a_source_that_only_raises_stops_the_run(node: Node) -> None:
    archive = filled("LUNG", 20)
    archive.stops |= {f"s{number:03}": SourceForbidden("no") for number in range(4, 20)}
    with pytest.raises(SourceForbidden):
        harvest_from(small_pages(node, 10), ORDER, FakeSource(archive))
    assert archive.asked["describe"] < 12
    assert len(series_rows(node)) == 4
    with reading(node.engine) as session:
        assert session.scalars(sql_select(RunRow.state)).all() == [RunState.FAILED.value]


@pytest.mark.parametrize("error", [SourceUnreachable("gone"), SourceGivenUp("left alone"), ValueError("bug")])
def test_what_was_described_before_the_archive_went_away_stays(node: Node, error: Exception) -> None:
    archive = filled("LUNG", 10)
    archive.stops["s007"] = error
    with pytest.raises(type(error)):
        harvest_from(small_pages(node), ORDER, FakeSource(archive))
    done = len(series_rows(node))
    assert done == 7 if isinstance(error, SourceUnreachable) else done == 6
    archive.stops.clear()
    archive.asked.clear()
    report = harvest_from(node, ORDER, FakeSource(archive))
    assert archive.asked["describe"] == 10 - done
    assert (tally(report).added, len(series_rows(node))) == (10 - done, 10)


def test_a_source_that_leaves_items_out_of_its_answer_has_them_in_error(node: Node) -> None:
    class Silent(FakeSource):
        def describe(self, container, items):  # type: ignore[no-untyped-def]
            return (one for one in super().describe(container, items) if one.item.local_id != "s001")

    report = harvest_from(node, ORDER, Silent(filled("LUNG", 4)))
    assert report.items == {"ok": 3, "error": 1}


@pytest.mark.parametrize("name", ["bad\udcff", "bad\0"])
def test_an_item_whose_id_cannot_be_kept_costs_one_item(node: Node, name: str) -> None:
    archive = filled("LUNG", 4)
    archive.put("LUNG", name, series_of(9))
    report = harvest_from(node, ORDER, FakeSource(archive))
    assert report.items == {"ok": 4, "error": 1}


def test_a_container_that_never_was_there_is_refused(node: Node) -> None:
    with pytest.raises(NotInSource):
        harvest_from(node, ORDER, FakeSource(FakeArchive()))


def test_an_item_that_two_containers_share_is_one_series(node: Node) -> None:
    archive = filled("LUNG", 3)
    archive.put("HEART", "s001", series_of(1))
    harvest_from(node, ORDER, FakeSource(archive))
    shared = dataclasses.replace(ORDER, container="HEART")
    report = harvest_from(node, shared, FakeSource(archive))
    assert (tally(report).added, len(series_rows(node))) == (1, 3)
    again = harvest_from(node, dataclasses.replace(ORDER, full=True), FakeSource(archive))
    assert (tally(again).shared, tally(again).unchanged, tally(again).updated) == (1, 2, 0)


def test_a_withdrawn_subject_is_not_taken_in(node: Node) -> None:
    archive = filled("LUNG", 12)
    harvest_from(node, ORDER, FakeSource(archive))
    with IdentityStoreOf(node) as identity:
        pseudonym = identity.subject("lung", "\x1fPAT1").subject
        identity.forget("\x1fPAT1", clock=node.clock)
    report = harvest_from(node, dataclasses.replace(ORDER, full=True), FakeSource(archive))
    assert tally(report).left_out == 6
    rows = series_rows(node).values()
    assert sorted(row.state for row in rows) == ["live"] * 6 + ["tombstoned"] * 6
    assert {row.gone for row in rows} == {None, "consent_withdrawn"}
    assert pseudonym not in {row.subject for row in rows}


def test_a_judge_leaves_out_and_holds(node: Node) -> None:
    def judge(descriptions, *, project, archive):  # type: ignore[no-untyped-def]
        return [
            Verdict(left_out="no-consent") if "PAT0" in one.subject.reveal() else Verdict(held="not-verified")
            for one in descriptions
        ]

    archive = filled("LUNG", 9)
    report = harvest_from(node, ORDER, FakeSource(archive), judge=judge)
    assert (tally(report).left_out, tally(report).added) == (6, 3)
    assert {row.held for row in series_rows(node).values()} == {"not-verified"}
    assert {row.reason for row in item_rows(node).values()} == {"no-consent", None}
    # Consent that has come is seen by the next run, without the archive having changed.
    report = harvest_from(node, ORDER, FakeSource(archive))
    assert (tally(report).added, len(series_rows(node))) == (6, 9)


def test_progress_tells_of_each_item(node: Node) -> None:
    seen: list[Progress] = []
    harvest_from(small_pages(node), ORDER, FakeSource(filled("LUNG", 7)), progress=seen.append)
    assert [(one.done, one.total) for one in seen] == [(number, 7) for number in range(1, 8)]
    assert {one.result.status for one in seen if one.result} == {Status.OK}


def test_a_rehearsal_writes_nothing(node: Node) -> None:
    archive = filled("LUNG", 5)
    found = rehearse_from(node, ORDER, FakeSource(archive))
    assert (found.new, found.changed, found.complete) == (5, 0, True)
    assert "describe" not in archive.asked
    with reading(node.engine) as session:
        assert session.scalars(sql_select(RunRow)).all() == []
    assert (series_rows(node), item_rows(node)) == ({}, {})


def said(row: SeriesRow) -> dict[str, Any]:
    """Return what a row says; only files tell their transfer syntax, and the fake's own ids are none of DICOM."""
    left_out = ("run", "content_digest", "acquisition")
    found = {
        name: getattr(row, name)
        for name in (column.name for column in SeriesRow.__table__.columns)
        if name not in left_out
    }
    values = {name: value for name, value in row.acquisition["values"].items() if name != "TransferSyntaxUID"}
    quality = {aspect: known for aspect, known in row.quality.items() if aspect != "implausible-values"}
    return found | {"acquisition": values, "quality": quality}


def test_headers_are_read_from_files_where_an_archive_describes_nothing(node: Node) -> None:
    files = frozenset({Capability.FILES})
    described, fetched = filled("LUNG", 6), filled("LUNG", 6)
    # The files bear a name and a birth date, the descriptions of the fake do not.
    harvest_from(node, ORDER, FakeSource(described), judge=admit_all)
    before = {uid: said(row) for uid, row in series_rows(node).items()}
    again = dataclasses.replace(ORDER, full=True)
    report = harvest_from(node, again, FakeSource(fetched, capabilities=files), judge=admit_all)
    assert (tally(report).added, fetched.asked["fetch"]) == (0, 6)
    assert {uid: said(row) for uid, row in series_rows(node).items()} == before
    assert list((node.settings.home / "incoming").iterdir()) == []


def test_a_source_that_can_neither_describe_nor_give_files_is_refused(node: Node) -> None:
    with pytest.raises(NotDescribable):
        harvest_from(node, ORDER, FakeSource(filled("LUNG", 1), capabilities=frozenset()))


def test_a_folder_is_harvested_like_any_archive(node: Node, dicom_root: Path) -> None:
    (dicom_root / "LIVER" / "broken.dcm").write_bytes(b"not an image")
    add_source(node, "archive", kind=SourceKind.FOLDER, location=str(dicom_root))
    report = harvest(node, dataclasses.replace(ORDER, container="LIVER"))
    assert report.items == {"ok": 4, "error": 1}
    assert sorted(row.instances for row in series_rows(node).values()) == [1, 1, 4, 5]


def test_a_container_comes_in_one_way_only(node: Node, dicom_root: Path) -> None:
    add_source(node, "archive", kind=SourceKind.FOLDER, location=str(dicom_root))
    harvest(node, HarvestOrder("archive", "LIVER", "liver", "curator"))
    with pytest.raises(AnotherWay):
        pull(node, PullOrder("archive", "LIVER", "liver", "curator"))
    pull(node, PullOrder("archive", "LIVER", "other", "curator"))
    with pytest.raises(AnotherWay):
        harvest(node, HarvestOrder("archive", "LIVER", "other", "curator"))
    # A source that was forgotten may come back in the other way.
    remove_source(node, "archive")
    add_source(node, "archive", kind=SourceKind.FOLDER, location=str(dicom_root))
    pull(node, PullOrder("archive", "LIVER", "liver", "curator"))


def test_described_series_are_counted_and_no_job_gets_them(node: Node) -> None:
    define_dataset(node, "lungs", project="lung", description=DESCRIPTION)
    harvest_from(node, ORDER, FakeSource(filled("LUNG", 24)))
    record = preview(node, "lungs").record
    assert (record.totals.series.value, record.totals.subjects.value) == (24, 4)
    assert [activity.tool for activity in record.provenance] == ["XNAT", "fairbank harvest"]
    with reading(node.engine) as session:
        assert select(session, "lungs", Selector(), at=node.clock.now()) == []


def test_indexing_the_store_leaves_described_series_alone(node: Node) -> None:
    define_dataset(node, "lungs", project="lung", description=DESCRIPTION)
    harvest_from(node, ORDER, FakeSource(filled("LUNG", 3)))
    assert index_store(node, "lungs").missing == 0
    assert {row.state for row in series_rows(node).values()} == {"live"}


def test_a_page_is_few_statements_however_many_series_it_has(node: Node) -> None:
    from sqlalchemy import event

    def statements(count: int, project: str) -> int:
        seen: list[str] = []

        def note(*args: object) -> None:
            seen.append(str(args[2]))

        event.listen(node.engine, "before_cursor_execute", note)
        try:
            order = HarvestOrder("archive", project, project.lower(), "curator")
            harvest_from(node, order, FakeSource(filled(project, count)))
        finally:
            event.remove(node.engine, "before_cursor_execute", note)
        return len(seen)

    assert statements(5, "A") == statements(150, "B")


def test_a_container_is_harvested_by_one_process_at_a_time(node: Node) -> None:
    with alone(node, ORDER.route), pytest.raises(RunUnderWay):
        harvest_from(node, ORDER, FakeSource(filled("LUNG", 1)))
    assert tally(harvest_from(node, ORDER, FakeSource(filled("LUNG", 1)))).added == 1


def test_when_and_by_what_a_fact_was_found_out_is_no_change() -> None:
    said = {
        "quality": {"motion": {"assessed": True, "at": "1", "tool": "a"}},
        "kernels": [{"at": "1", "name": "b"}],
    }
    assert without_marks(said) == {
        "quality": {"motion": {"assessed": True}},
        "kernels": [{"at": "1", "name": "b"}],
    }


def test_a_full_look_at_another_time_finds_nothing_changed(node: Node) -> None:
    archive = filled("LUNG", 3)
    harvest_from(node, ORDER, FakeSource(archive))
    assert isinstance(node.clock, FixedClock)
    node.clock.advance(86_400)
    again = harvest_from(node, dataclasses.replace(ORDER, full=True), FakeSource(archive))
    assert (tally(again).unchanged, tally(again).updated) == (3, 0)
