"""Dates move by one amount per patient; intervals stay; the original is nowhere."""

from __future__ import annotations

from datetime import date

from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from tests.deid.conftest import Clean, ct_dataset

from fairbank.deid.dates import cap_age, parse_da, shift_da, shift_dt
from fairbank.deid.profiles import Profile

DAYS = st.integers(1, 3650)
DATES = st.dates(date(1900, 1, 1), date(2100, 1, 1))


def text(day: date) -> str:
    return day.strftime("%Y%m%d")


@given(DATES, DATES, DAYS)
def test_intervals_are_kept_exactly(first: date, second: date, days: int) -> None:
    moved = [parse_da(shift_da(text(day), days) or "") for day in (first, second)]
    assert moved[0] is not None and moved[1] is not None
    assert moved[1] - moved[0] == second - first
    assert moved[0] < first


@given(DATES, DAYS, st.sampled_from(["", "10", "101530", "101530.25", "101530.25+0100", "1015-0500"]))
def test_time_and_zone_of_a_datetime_stay(day: date, days: int, rest: str) -> None:
    moved = shift_dt(text(day) + rest, days)
    assert moved is not None
    assert moved[8:] == rest
    assert moved[:8] == shift_da(text(day), days)


def test_values_are_moved_one_by_one_and_nonsense_is_refused() -> None:
    assert shift_da("20200102\\20200103 ", 1) == "20200101\\20200102"
    assert shift_da("2020.01.02", 1) == "20200101"
    assert shift_da("20201301", 1) is None
    assert shift_da("00010101", 4000) is None
    assert cap_age("999M") == "999M"  # 83 years
    assert cap_age("090Y\\031D") == "090Y\\031D"


def test_one_patient_moves_by_one_amount_and_two_by_different_ones(clean: Clean) -> None:
    def moved(patient: str, day: str, study: int) -> date:
        source = ct_dataset(patient, study)
        source.StudyDate = day
        found = parse_da(clean(source)[1].StudyDate)
        assert found is not None
        return found

    early, late = moved("A1-PATIENT", "20190412", 1), moved("A1-PATIENT", "20190812", 2)
    assert (late - early).days == 122
    others = {moved(f"B{number}-PATIENT", "20190412", 1) for number in range(8)}
    assert len(others | {early}) == 9
    assert 1 <= (date(2019, 4, 12) - early).days <= 3650


def test_dates_move_at_every_depth_and_the_original_is_nowhere(clean: Clean) -> None:
    source, inner, outer = ct_dataset(), Dataset(), Dataset()
    inner.AcquisitionDateTime = "20190412101530.5+0200"
    inner.ContentDate = "20190412"
    outer[0x00082220] = DataElement(0x00082220, "SQ", Sequence([inner]))
    source[0x00082218] = DataElement(0x00082218, "SQ", Sequence([outer]))
    source.SeriesDate = source.AcquisitionDate = "20190412"
    content, dataset = clean(source)
    deep = dataset[0x00082218].value[0][0x00082220].value[0]
    assert b"20190412" not in content
    assert deep.ContentDate == dataset.StudyDate == dataset.SeriesDate
    assert deep.AcquisitionDateTime == f"{dataset.StudyDate}101530.5+0200"


def test_basic_profile_keeps_no_date_or_time(clean: Clean) -> None:
    source = ct_dataset()
    source.SeriesDate, source.SeriesTime = "20190412", "101501"
    content, dataset = clean(source, Profile.BASIC)
    assert b"20190412" not in content and b"10150" not in content
    values = {str(element.value) for element in dataset.iterall() if element.VR in ("DA", "TM", "DT")}
    assert values <= {"", "19000101", "000000", "19000101000000"}


def test_partial_and_malformed_dates_do_not_pass(clean: Clean) -> None:
    source = ct_dataset()
    source.StudyDate = "spring 2019"
    source[0x0008002A] = DataElement(0x0008002A, "DT", "2019")
    content, dataset = clean(source)
    assert b"2019" not in content
    assert dataset.StudyDate == ""
