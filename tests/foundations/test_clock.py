"""The clock: UTC always, ids that sort by time, and a clock that a test can move."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairbank.clock import Clock, FixedClock, SystemClock, iso, parse_iso


def test_the_system_clock_knows_its_zone() -> None:
    assert SystemClock().now().tzinfo is UTC


@pytest.mark.parametrize("clock", [SystemClock(), FixedClock()], ids=["system", "fixed"])
def test_ids_are_version_seven_uuids_of_the_rfc_variant(clock: Clock) -> None:
    for _ in range(100):
        made = UUID(clock.new_id())
        assert made.version == 7
        assert made.variant == "specified in RFC 4122"


def test_an_id_holds_the_millisecond_of_its_making() -> None:
    at = datetime(2026, 3, 4, 5, 6, 7, 891_000, tzinfo=UTC)
    assert UUID(FixedClock(at).new_id()).int >> 80 == int(at.timestamp() * 1000)


def test_ids_are_all_different() -> None:
    clock = SystemClock()
    assert len({clock.new_id() for _ in range(10_000)}) == 10_000


def test_ids_of_later_milliseconds_sort_later() -> None:
    clock = FixedClock()
    ids = []
    for _ in range(50):
        ids.append(clock.new_id())
        clock.advance(0.001)
    assert ids == sorted(ids)


def test_a_fixed_clock_stands_still_until_moved() -> None:
    clock = FixedClock()
    before = clock.now()
    assert clock.now() == before
    clock.advance(-3600)
    assert clock.now() == before - timedelta(hours=1)


def test_two_fixed_clocks_make_the_same_ids() -> None:
    one, other = FixedClock(), FixedClock()
    assert [one.new_id() for _ in range(5)] == [other.new_id() for _ in range(5)]


@given(st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC)))
def test_a_moment_survives_being_written_to_the_millisecond(moment: datetime) -> None:
    cut = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    assert parse_iso(iso(cut)) == cut
    assert iso(parse_iso(iso(moment))) == iso(moment)


def test_a_moment_of_another_zone_is_written_in_utc() -> None:
    moment = datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=2)))
    assert iso(moment) == "2025-12-31T23:00:00.000Z"


@pytest.mark.parametrize("text", ["2026-01-01T00:00:00", "yesterday", ""])
def test_text_that_is_no_moment_with_a_zone_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_iso(text)
