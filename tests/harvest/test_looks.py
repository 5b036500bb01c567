"""What looks find over time: missing, gone, held, moved, lost and back; feeds, high-water marks and full looks."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy import select as sql_select
from tests.harvest.fakes import (
    EPOCH,
    FEED,
    SINCE,
    WHOLE_FEED,
    FakeArchive,
    FakeSource,
    filled,
    later,
    series_of,
)

from fairbank.clock import FixedClock
from fairbank.database import reading
from fairbank.harvest.bookkeeping import Route, progress_of
from fairbank.harvest.errors import NothingHeld, SourceFailed, SourceForbidden, UnknownSource
from fairbank.harvest.header_harvest import HarvestOrder, harvest_from, rehearse_from
from fairbank.harvest.reports import RunReport, Tally
from fairbank.harvest.runs import PullOrder, pull_from
from fairbank.harvest.sources.opening import add_source
from fairbank.harvest.sources.protocol import Capability, SourceKind
from fairbank.harvest.status import ContainerStatus, approve_deletions, remove_source, statuses
from fairbank.harvest.store import ItemRow, ProgressRow, RunRow, SeriesRow
from fairbank.release.node import Node

ORDER = HarvestOrder("archive", "LUNG", "lung", "curator")
ROUTE = Route("archive", "LUNG", "lung")


def run(node: Node, archive: FakeArchive, container: str = "LUNG", **more: object) -> RunReport:
    capabilities = more.pop("capabilities", None)
    order = dataclasses.replace(ORDER, container=container, **more)  # type: ignore[arg-type]
    source = FakeSource(archive)
    if capabilities is not None:
        source = FakeSource(archive, capabilities=capabilities)  # type: ignore[arg-type]
    return harvest_from(node, order, source)


def tally(report: RunReport) -> Tally:
    assert report.tally is not None
    return report.tally


def states(node: Node) -> dict[str, int]:
    found: dict[str, int] = {}
    with reading(node.engine) as session:
        for row in session.scalars(sql_select(SeriesRow)):
            found[row.state] = found.get(row.state, 0) + 1
    return found


def item(node: Node, local_id: str, container: str = "LUNG") -> ItemRow:
    with reading(node.engine) as session:
        return session.get_one(ItemRow, ("archive", container, "lung", local_id))


def the_series(node: Node, local_id: str, container: str = "LUNG") -> SeriesRow:
    uid = item(node, local_id, container).series_uid
    with reading(node.engine) as session:
        return session.scalars(sql_select(SeriesRow).where(SeriesRow.series_uid == uid)).one()


def status(node: Node, container: str = "LUNG") -> ContainerStatus:
    (found,) = [one for one in statuses(node) if one.route.container == container]
    return found


def advance(node: Node, *, days: float) -> None:
    assert isinstance(node.clock, FixedClock)
    node.clock.advance(days * 86_400)


def test_an_item_is_gone_after_two_complete_looks_without_it(node: Node) -> None:
    archive = filled("LUNG", 30)
    run(node, archive)
    archive.remove("LUNG", "s007")
    assert (run(node, archive).missing, states(node)) == (1, {"live": 30})
    assert item(node, "s007").state == "missing"
    report = run(node, archive)
    assert (tally(report).tombstoned, report.missing) == ({"deleted": 1}, 0)
    assert states(node) == {"live": 29, "tombstoned": 1}
    assert tally(run(node, archive)).tombstoned == {}


def test_a_tombstone_keeps_id_time_and_reason_and_nothing_else(node: Node) -> None:
    archive = filled("LUNG", 30)
    run(node, archive)
    uid = item(node, "s007").series_uid
    archive.remove("LUNG", "s007")
    run(node, archive)
    advance(node, days=1)
    run(node, archive)
    row, noted = the_series(node, "s007"), item(node, "s007")
    assert (noted.series_uid, noted.reason, noted.gone) == (uid, "deleted", node.clock.now())
    assert (noted.version, noted.digest, noted.results) == ("", "", {})
    assert (row.state, row.gone, row.series_uid) == ("tombstoned", "deleted", uid)
    assert (row.subject, row.study_uid, row.content_digest, row.manufacturer_raw) == ("", "", "", "")
    assert {row.modality, row.body_part, row.sex, row.age_band, row.manufacturer} == {"unknown"}
    assert (row.acquisition_year, row.study_day, row.instances, row.quality) == (None, None, 0, {})


def test_an_incomplete_look_finds_nothing_missing(node: Node) -> None:
    archive = filled("LUNG", 30)
    run(node, archive)
    archive.truncated.add("LUNG")
    for _ in range(3):
        report = run(node, archive)
        assert (report.complete, report.missing, tally(report).tombstoned) == (False, 0, {})
    assert states(node) == {"live": 30}


def test_an_incomplete_look_between_two_complete_ones_does_not_count(node: Node) -> None:
    archive = filled("LUNG", 30)
    run(node, archive)
    archive.remove("LUNG", "s001")
    run(node, archive)
    archive.truncated.add("LUNG")
    assert tally(run(node, archive)).tombstoned == {}
    archive.truncated.clear()
    assert tally(run(node, archive)).tombstoned == {"deleted": 1}


def test_an_incomplete_look_still_takes_in_what_is_new(node: Node) -> None:
    archive = filled("LUNG", 4)
    run(node, archive)
    archive.put("LUNG", "a-new-one", series_of(50))
    archive.truncated.add("LUNG")
    assert tally(run(node, archive)).added == 1


def test_what_comes_back_before_it_is_gone_was_never_missing(node: Node) -> None:
    archive = filled("LUNG", 30)
    run(node, archive)
    held = archive.remove("LUNG", "s001")
    run(node, archive)
    archive.put("LUNG", "s001", held)
    archive.asked.clear()
    assert tally(run(node, archive)).returned == 1
    assert "describe" not in archive.asked
    assert (item(node, "s001").state, item(node, "s001").misses) == ("live", 0)
    archive.remove("LUNG", "s001")
    assert tally(run(node, archive)).tombstoned == {}


def test_what_comes_back_after_it_was_gone_is_described_anew(node: Node) -> None:
    archive = filled("LUNG", 30)
    run(node, archive)
    before = the_series(node, "s001")
    held = archive.remove("LUNG", "s001")
    run(node, archive)
    run(node, archive)
    archive.put("LUNG", "s001", held)
    assert tally(run(node, archive)).returned == 1
    after = the_series(node, "s001")
    assert (after.state, after.gone, after.content_digest) == ("live", None, before.content_digest)
    assert (item(node, "s001").reason, item(node, "s001").gone) == (None, None)


@pytest.mark.parametrize("harvested_first", ["LUNG", "HEART"])
def test_what_turns_up_in_another_container_has_moved(node: Node, harvested_first: str) -> None:
    archive = filled("LUNG", 30)
    archive.put("HEART", "t0", series_of(100))
    containers = sorted(("LUNG", "HEART"), key=lambda name: name != harvested_first)
    for container in containers:
        run(node, archive, container)
    archive.put("HEART", "s003", archive.remove("LUNG", "s003"))
    for _ in range(2):
        for container in containers:
            run(node, archive, container)
    assert (item(node, "s003").state, item(node, "s003").reason) == ("tombstoned", "moved")
    assert the_series(node, "s003", "HEART").state == "live"
    assert states(node) == {"live": 31}


def test_a_move_is_recognised_after_the_tombstone_was_made(node: Node) -> None:
    archive = filled("LUNG", 30)
    archive.put("HEART", "t0", series_of(100))
    run(node, archive)
    held = archive.remove("LUNG", "s003")
    run(node, archive)
    run(node, archive)
    assert item(node, "s003").reason == "deleted"
    archive.put("HEART", "s003", held)
    run(node, archive, "HEART")
    assert item(node, "s003").reason == "moved"
    assert the_series(node, "s003", "HEART").state == "live"


@pytest.mark.parametrize("way", ["private", "hidden"])
def test_a_container_that_is_no_longer_shown_has_lost_access_and_deletes_nothing(
    node: Node, way: str
) -> None:
    archive = filled("LUNG", 30)
    run(node, archive)
    before = the_series(node, "s001").content_digest
    getattr(archive, way).add("LUNG")
    report = run(node, archive)
    assert (tally(report).lost, report.complete, states(node)) == (30, False, {"live": 30})
    report = run(node, archive)
    assert (tally(report).lost, states(node)) == (30, {"missing": 30})
    row = the_series(node, "s001")
    assert (row.gone, row.content_digest) == ("access_lost", before)
    assert status(node).tombstoned == {"access_lost": 30}
    assert tally(run(node, archive)).lost == 0


def test_access_that_is_given_back_publishes_again_without_describing(node: Node) -> None:
    archive = filled("LUNG", 30)
    run(node, archive)
    archive.private.add("LUNG")
    run(node, archive)
    run(node, archive)
    archive.private.clear()
    archive.remove("LUNG", "s003")
    archive.asked.clear()
    report = run(node, archive)
    assert (tally(report).returned, report.missing) == (29, 1)
    assert "describe" not in archive.asked
    assert states(node) == {"live": 29, "missing": 1}
    run(node, archive)
    # One item that vanishes of thirty is no reason to ask.
    assert (item(node, "s003").state, item(node, "s003").reason) == ("tombstoned", "deleted")


def test_one_look_without_the_container_is_forgotten(node: Node) -> None:
    archive = filled("LUNG", 30)
    run(node, archive)
    for _ in range(3):
        archive.hidden.add("LUNG")
        run(node, archive)
        archive.hidden.clear()
        run(node, archive)
    assert states(node) == {"live": 30}


def test_a_container_made_private_in_the_middle_of_a_run_loses_nothing(node: Node) -> None:
    archive = filled("LUNG", 30)
    run(node, archive)
    for number in range(10, 30):
        archive.change("LUNG", f"s{number:03}")

    class MadePrivate(FakeSource):
        def snapshot(self, container):  # type: ignore[no-untyped-def]
            found = super().snapshot(container)
            self.archive.private.add(container)
            return found

    with pytest.raises(SourceForbidden):
        harvest_from(node, ORDER, MadePrivate(archive))
    assert states(node) == {"live": 30}
    run(node, archive)
    assert states(node) == {"live": 30}
    run(node, archive)
    assert states(node) == {"missing": 30}


def test_a_container_that_vanishes_while_it_is_listed_shows_no_deletions(node: Node) -> None:
    archive = filled("LUNG", 30)
    run(node, archive)

    class Emptied(FakeSource):
        def snapshot(self, container):  # type: ignore[no-untyped-def]
            found = super().snapshot(container)
            self.archive.private.add(container)
            return dataclasses.replace(found, items=found.items[:5])

    report = harvest_from(node, ORDER, Emptied(archive))
    assert (report.complete, report.missing) == (False, 0)


def test_a_mass_vanishing_is_held_until_a_curator_says_so(node: Node) -> None:
    archive = filled("LUNG", 300)
    add_source(node, "archive", kind=SourceKind.FOLDER, location="/nowhere")
    run(node, archive)
    for number in range(21):
        archive.remove("LUNG", f"s{number:03}")
    assert run(node, archive).missing == 21
    for _ in range(2):
        report = run(node, archive)
        assert (tally(report).held, tally(report).tombstoned) == (21, {})
    assert (status(node).held, status(node).missing, states(node)) == (21, 21, {"live": 300})
    assert approve_deletions(node, ROUTE) == 21
    assert status(node).approved
    report = run(node, archive)
    assert (tally(report).held, tally(report).tombstoned) == (0, {"deleted": 21})
    assert (status(node).held, status(node).approved) == (0, False)
    with pytest.raises(NothingHeld):
        approve_deletions(node, ROUTE)


@pytest.mark.parametrize(("gone", "of", "held"), [(20, 300, 0), (21, 300, 21), (3, 30, 0), (4, 30, 4)])
def test_more_than_twenty_or_more_than_a_tenth_is_held(node: Node, gone: int, of: int, held: int) -> None:
    archive = filled("LUNG", of)
    run(node, archive)
    for number in range(gone):
        archive.remove("LUNG", f"s{number:03}")
    run(node, archive)
    assert tally(run(node, archive)).held == held


def test_an_approval_covers_nothing_that_vanishes_later(node: Node) -> None:
    archive = filled("LUNG", 300)
    add_source(node, "archive", kind=SourceKind.FOLDER, location="/nowhere")
    run(node, archive)
    for number in range(30):
        archive.remove("LUNG", f"s{number:03}")
    run(node, archive)
    run(node, archive)
    approve_deletions(node, ROUTE)
    for number in range(30, 90):
        archive.remove("LUNG", f"s{number:03}")
    report = run(node, archive)
    assert (tally(report).tombstoned, report.missing) == ({"deleted": 30}, 60)
    assert (tally(run(node, archive)).held, states(node)["live"]) == (60, 270)


def test_what_was_held_and_comes_back_needs_no_word(node: Node) -> None:
    archive = filled("LUNG", 30)
    run(node, archive)
    held = {f"s{number:03}": archive.remove("LUNG", f"s{number:03}") for number in range(30)}
    run(node, archive)
    assert tally(run(node, archive)).held == 30
    for local_id, series in held.items():
        archive.put("LUNG", local_id, series)
    assert (tally(run(node, archive)).returned, status(node).held) == (30, 0)
    assert states(node) == {"live": 30}


def test_a_rehearsal_says_what_would_be_gone_and_writes_nothing(node: Node) -> None:
    archive = filled("LUNG", 40)
    run(node, archive)
    archive.remove("LUNG", "s001")
    run(node, archive)
    archive.remove("LUNG", "s002")
    archive.change("LUNG", "s003")
    with reading(node.engine) as session:
        before = [dict(row) for row in session.execute(sql_select(ItemRow.__table__)).mappings()]
        runs = len(session.scalars(sql_select(RunRow)).all())
    found = rehearse_from(node, ORDER, FakeSource(archive))
    assert (found.missing, found.tombstoned, found.changed, found.unchanged) == (1, 1, 1, 37)
    with reading(node.engine) as session:
        assert [dict(row) for row in session.execute(sql_select(ItemRow.__table__)).mappings()] == before
        assert len(session.scalars(sql_select(RunRow)).all()) == runs


# Full looks.


def test_a_change_that_no_version_tells_is_found_by_the_next_full_look(node: Node) -> None:
    archive = filled("LUNG", 10)
    run(node, archive)
    archive.change_silently("LUNG", "s004", modality="MR")
    advance(node, days=6.9)
    assert tally(run(node, archive)).updated == 0
    advance(node, days=0.2)
    archive.asked.clear()
    report = run(node, archive)
    assert (tally(report).updated, tally(report).unchanged) == (1, 9)
    assert archive.asked["describe"] == 10
    archive.asked.clear()
    run(node, archive)
    assert "describe" not in archive.asked


def test_a_full_look_that_was_broken_off_goes_on_where_it_stopped(node: Node) -> None:
    node = dataclasses.replace(node, settings=dataclasses.replace(node.settings, harvest_page_items=2))
    archive = filled("LUNG", 10)
    run(node, archive)
    advance(node, days=8)
    archive.stops["s006"] = ValueError("bug")
    with pytest.raises(ValueError, match="bug"):
        run(node, archive)
    archive.stops.clear()
    archive.asked.clear()
    advance(node, days=1)
    run(node, archive)
    assert archive.asked["describe"] == 4


# Feeds.


def test_a_feed_that_names_deletions_stands_for_a_listing(node: Node) -> None:
    archive = filled("LUNG", 30)
    run(node, archive, capabilities=WHOLE_FEED)
    archive.change("LUNG", "s001", modality="MR")
    archive.put("LUNG", "s900", series_of(90))
    archive.asked.clear()
    report = run(node, archive, capabilities=WHOLE_FEED)
    assert (tally(report).updated, tally(report).added) == (1, 1)
    assert (archive.asked.get("snapshot"), archive.asked["describe"]) == (None, 2)


def test_a_deletion_that_a_feed_names_is_confirmed_by_a_listing(node: Node) -> None:
    archive = filled("LUNG", 30)
    run(node, archive, capabilities=WHOLE_FEED)
    archive.remove("LUNG", "s001")
    archive.asked.clear()
    assert run(node, archive, capabilities=WHOLE_FEED).missing == 1
    assert "snapshot" not in archive.asked
    assert tally(run(node, archive, capabilities=WHOLE_FEED)).tombstoned == {"deleted": 1}
    assert archive.asked["snapshot"] == 1


def test_a_feed_without_deletions_is_asked_besides_the_listing(node: Node) -> None:
    archive = filled("LUNG", 30)
    run(node, archive, capabilities=FEED)
    # The feed tells what no version does.
    archive.change_silently("LUNG", "s001", modality="MR")
    archive.changes.append(("LUNG", "s001", False))
    archive.remove("LUNG", "s002")
    report = run(node, archive, capabilities=FEED)
    assert (tally(report).updated, report.missing) == (1, 1)
    assert tally(run(node, archive, capabilities=FEED)).tombstoned == {"deleted": 1}


def test_a_feed_that_has_forgotten_is_replaced_by_a_listing(node: Node) -> None:
    archive = filled("LUNG", 5)
    run(node, archive, capabilities=WHOLE_FEED)
    archive.change("LUNG", "s001", modality="MR")
    archive.feed_from = len(archive.changes) + 1
    archive.asked.clear()
    report = run(node, archive, capabilities=WHOLE_FEED)
    assert (tally(report).updated, archive.asked["snapshot"]) == (1, 1)


def test_an_item_in_error_is_tried_again_although_no_feed_names_it(node: Node) -> None:
    archive = filled("LUNG", 5)
    archive.broken["s003"] = SourceFailed("bad")
    run(node, archive, capabilities=WHOLE_FEED)
    archive.broken.clear()
    report = run(node, archive, capabilities=WHOLE_FEED)
    assert (tally(report).added, tally(report).errors) == (1, 0)


def test_changes_only_asks_for_no_listing(node: Node) -> None:
    archive = filled("LUNG", 5)
    run(node, archive, capabilities=FEED)
    archive.change("LUNG", "s001", modality="MR")
    archive.remove("LUNG", "s002")
    archive.asked.clear()
    report = run(node, archive, capabilities=FEED, changes_only=True)
    assert (tally(report).updated, report.missing, archive.asked.get("snapshot")) == (1, 0, None)


def test_what_was_modified_is_asked_for_with_overlap_and_never_from_now(node: Node) -> None:
    archive = FakeArchive()
    for number in range(5):
        archive.put("LUNG", f"s{number}", series_of(number, modified=later(number)))
    asked: list[object] = []

    class Noting(FakeSource):
        def modified_since(self, container, moment):  # type: ignore[no-untyped-def]
            asked.append(moment)
            return super().modified_since(container, moment)

    def again() -> RunReport:
        return harvest_from(node, ORDER, Noting(archive, capabilities=SINCE, clock_offset_s=-3600.0))

    advance(node, days=20)
    again()
    with reading(node.engine) as session:
        assert progress_of(session, ROUTE).high_water == later(4)
    archive.put("LUNG", "s9", series_of(9, modified=later(3.5)))
    assert tally(again()).added == 1
    assert asked == [later(4) - timedelta(hours=48, seconds=3600)]


def test_an_archive_whose_clock_runs_ahead_does_not_move_the_mark_past_its_present(node: Node) -> None:
    archive = filled("LUNG", 3)
    archive.change("LUNG", "s001", modified=later(400))
    source = FakeSource(archive, capabilities=SINCE, clock_offset_s=60.0)
    harvest_from(node, ORDER, source)
    with reading(node.engine) as session:
        mark = session.scalars(sql_select(ProgressRow.high_water)).one()
    assert mark == EPOCH + timedelta(seconds=120)


# The same for what is pulled.


def test_a_pull_makes_tombstones_like_a_harvest(node: Node) -> None:
    archive = filled("LUNG", 12)
    order = PullOrder("archive", "LUNG", "lung", "curator")

    def again() -> RunReport:
        return pull_from(node, order, FakeSource(archive, capabilities=frozenset({Capability.FILES})))

    assert tally(again()).added == 12
    archive.remove("LUNG", "s001")
    assert again().missing == 1
    assert tally(again()).tombstoned == {"deleted": 1}
    archive.truncated.add("LUNG")
    assert again().missing == 0
    archive.truncated.clear()
    archive.private.add("LUNG")
    assert [tally(again()).lost for _ in range(3)] == [11, 11, 0]
    archive.private.clear()
    archive.asked.clear()
    assert (tally(again()).returned, archive.asked.get("fetch")) == (11, None)


# Cost.


def test_no_statement_of_a_page_walks_through_a_whole_table(node: Node) -> None:
    seen: dict[str, Any] = {}

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        first = parameters[0] if isinstance(parameters, list) else parameters
        seen.setdefault(statement, first)

    archive = filled("LUNG", 40)
    archive.put("HEART", "t0", series_of(100))
    event.listen(node.engine, "before_cursor_execute", note)
    run(node, archive, "HEART")
    run(node, archive)
    archive.change("LUNG", "s004", uid="1.2.3.99")
    archive.put("HEART", "s001", archive.remove("LUNG", "s001"))
    for _ in range(2):
        run(node, archive)
        run(node, archive, "HEART")
    archive.hidden.add("LUNG")
    run(node, archive)
    run(node, archive)
    archive.hidden.clear()
    run(node, archive)
    event.remove(node.engine, "before_cursor_execute", note)
    of_many = [one for one in seen if "harvest_series" in one and " IN (" in one and "SELECT" not in one[10:]]
    with node.engine.connect() as connection:
        for statement in of_many:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", seen[statement]).all()
            told = " ".join(str(row[3]) for row in plan)
            assert "project=? AND series_uid=?" in told, statement
    assert len(of_many) >= 3


# Sources.


def test_a_source_that_is_removed_is_no_longer_published_and_comes_back_whole(node: Node) -> None:
    archive = filled("LUNG", 4)
    add_source(node, "archive", kind=SourceKind.FOLDER, location="/nowhere")
    run(node, archive)
    assert remove_source(node, "archive") == 4
    assert (states(node), statuses(node)[0].live) == ({"missing": 4}, 0)
    with pytest.raises(UnknownSource):
        remove_source(node, "archive")
    add_source(node, "archive", kind=SourceKind.FOLDER, location="/nowhere")
    assert tally(run(node, archive)).added == 4
    assert states(node) == {"live": 4}
