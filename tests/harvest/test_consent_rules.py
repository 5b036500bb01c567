"""Which statement counts, what it means at a day, and how a table of statements is read."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.deid.conftest import ct_dataset

from fairbank.deid.cleaning import subject_of
from fairbank.harvest.consent import (
    ConsentStatus,
    LegalBasis,
    Standing,
    Statement,
    admits,
    newest,
    standing,
)
from fairbank.harvest.consent_table import Column, ConsentLine, Fault, Reading, RowFault, read_consents
from fairbank.harvest.errors import BadConsentFile

TODAY = date(2026, 6, 15)
NUMBER = "HN-8843201"
HEAD = "patient id;issuer;status;scope;valid from;valid until;form;recorded on\n"
ROW = f"{NUMBER};;given;thorax;2026-01-01;2027-01-01;broad 2.1;2026-01-01\n"

days = st.dates(min_value=date(2026, 1, 1), max_value=date(2026, 3, 1))
statements = st.builds(
    Statement,
    project=st.sampled_from(["thorax", "liver", "*"]),
    status=st.sampled_from(ConsentStatus),
    valid_from=st.none() | days,
    valid_until=st.none() | days,
    recorded=days,
)


@given(st.lists(statements, max_size=6), st.randoms(use_true_random=False), days)
def test_the_order_of_statements_changes_nothing(said: list[Statement], random: object, day: date) -> None:
    shuffled = list(said)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # Hypothesis's Random
    assert standing(newest(shuffled, "thorax"), day) is standing(newest(said, "thorax"), day)


@given(st.lists(statements, min_size=1, max_size=6), days)
def test_a_statement_newer_than_all_others_decides(said: list[Statement], day: date) -> None:
    last = Statement("*", ConsentStatus.WITHDRAWN, None, None, date(2026, 3, 2))
    assert standing(newest([*said, last], "thorax"), day) is Standing.WITHDRAWN


@given(st.lists(statements, max_size=6), days)
def test_on_one_day_the_statement_that_allows_least_counts(said: list[Statement], day: date) -> None:
    same_day = [Statement(one.project, one.status, None, None, day) for one in said]
    here = [one for one in same_day if one.covers("thorax")]
    expected = (
        Standing.CONSENTED
        if here and all(one.status is ConsentStatus.GIVEN for one in here)
        else Standing.NOTHING_SAID
    )
    found = standing(newest(same_day, "thorax"), day)
    assert admits(None, found) == (expected is Standing.CONSENTED)


def test_consent_holds_from_its_first_day_until_the_day_before_its_end() -> None:
    one = Statement("*", ConsentStatus.GIVEN, date(2026, 2, 1), date(2026, 3, 1), date(2026, 1, 1))
    found = [
        one.at(day) for day in (date(2026, 1, 31), date(2026, 2, 1), date(2026, 2, 28), date(2026, 3, 1))
    ]
    assert found == [Standing.NOT_YET, Standing.CONSENTED, Standing.CONSENTED, Standing.EXPIRED]


@pytest.mark.parametrize("basis", [one for one in LegalBasis if one is not LegalBasis.ANONYMOUS_DATA])
@pytest.mark.parametrize("found", list(Standing))
def test_who_objects_stays_out_whatever_the_basis(basis: LegalBasis, found: Standing) -> None:
    assert admits(basis, found) is (found not in (Standing.REFUSED, Standing.WITHDRAWN))


def test_nobody_can_object_to_the_use_of_data_that_is_nobody_s() -> None:
    assert all(admits(LegalBasis.ANONYMOUS_DATA, found) for found in Standing)


def read(text: str, how: Reading | None = None) -> list[ConsentLine | RowFault]:
    return list(read_consents(text, how or Reading(), today=TODAY))


def test_a_row_is_one_statement_per_project_that_it_names() -> None:
    text = HEAD + f"{NUMBER};KLINIK;yes;thorax, liver DUO:0000042;;31.12.2026;broad 2.1;20260101\n"
    (line,) = read("\ufeff" + text)
    assert isinstance(line, ConsentLine)
    assert [one.project for one in line.statements] == ["liver", "thorax"]
    assert {(one.status, one.valid_until, one.recorded) for one in line.statements} == {
        (ConsentStatus.GIVEN, date(2026, 12, 31), date(2026, 1, 1))
    }
    assert (line.data_use, line.form, line.row) == (("DUO:0000042",), "broad 2.1", 2)
    assert line.subject.reveal() == f"KLINIK\x1f{NUMBER}"


@pytest.mark.parametrize("issuer", ["", "KLINIK"])
def test_a_row_and_an_image_name_the_same_subject(issuer: str) -> None:
    image = ct_dataset(f" {NUMBER} ")
    image.IssuerOfPatientID = issuer
    (line,) = read(HEAD + ROW.replace(";;given", f";{issuer};given"))
    assert isinstance(line, ConsentLine)
    assert line.subject.reveal() == subject_of(image)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_cells_may_be_divided_in_three_ways(delimiter: str) -> None:
    (line,) = read((HEAD + ROW).replace(";", delimiter))
    assert isinstance(line, ConsentLine)


def test_headings_and_words_may_be_the_site_s_own() -> None:
    how = Reading(
        columns={Column.PATIENT: "Pat.-Nr.", Column.STATUS: "Einwilligung", Column.RECORDED: "vom"},
        words={"ja": ConsentStatus.GIVEN},
        scope="*",
        issuer="KLINIK",
    )
    (line,) = read(f"Pat.-Nr.,Einwilligung,vom\n{NUMBER},Ja,2026-01-01\n", how)
    assert isinstance(line, ConsentLine)
    assert line.subject.reveal() == f"KLINIK\x1f{NUMBER}"


@pytest.mark.parametrize(
    ("row", "column", "fault"),
    [
        (ROW.replace(NUMBER, ""), Column.PATIENT, Fault.MISSING),
        (ROW.replace(NUMBER, "4711.0"), Column.PATIENT, Fault.MANGLED_NUMBER),
        (ROW.replace(NUMBER, "8,8E+10"), Column.PATIENT, Fault.MANGLED_NUMBER),
        (ROW.replace(NUMBER, "9" * 65), Column.PATIENT, Fault.MANGLED_NUMBER),
        (ROW.replace("given", ""), Column.STATUS, Fault.MISSING),
        (ROW.replace("given", "perhaps"), Column.STATUS, Fault.UNKNOWN_STATUS),
        (ROW.replace("2027-01-01", "01/02/2027"), Column.VALID_UNTIL, Fault.AMBIGUOUS_DATE),
        (ROW.replace("2027-01-01", "46000"), Column.VALID_UNTIL, Fault.BAD_DATE),
        (ROW.replace("2027-01-01", "2027-02-30"), Column.VALID_UNTIL, Fault.BAD_DATE),
        (ROW.replace("2027-01-01", "2025-01-01"), Column.VALID_UNTIL, Fault.ENDS_TOO_EARLY),
        (ROW.replace("2.1;2026-01-01", "2.1;2026-06-17"), Column.RECORDED, Fault.IN_THE_FUTURE),
        (ROW.replace("2.1;2026-01-01", "2.1;"), Column.RECORDED, Fault.MISSING),
        (ROW.replace("thorax", ""), Column.SCOPE, Fault.NO_PROJECT),
        (ROW.replace("thorax", "../x"), Column.SCOPE, Fault.BAD_PROJECT),
        (ROW.replace("thorax", "thorax DUO:9999999"), Column.SCOPE, Fault.UNKNOWN_CODE),
        (ROW.replace("broad 2.1", "<b>"), Column.FORM, Fault.BAD_FORM),
        (ROW.replace("broad 2.1", f"form of {NUMBER}"), None, Fault.PATIENT_ELSEWHERE),
        (ROW.replace("thorax", NUMBER), None, Fault.PATIENT_ELSEWHERE),
        (ROW.replace("\n", ";;more\n"), None, Fault.TOO_MANY_CELLS),
    ],
)
def test_a_row_with_a_fault_is_named_by_number_and_the_others_are_taken(
    row: str, column: Column | None, fault: Fault
) -> None:
    found = read(HEAD + ROW + "\n" + row + ROW)
    assert [type(one) for one in found] == [ConsentLine, RowFault, ConsentLine]
    assert found[1] == RowFault(4, column, fault)
    assert NUMBER not in repr(found)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("\n\n", "empty"),
        ("status;scope;recorded\n", "patient"),
        ("patient;status;recorded\n", "scope"),
        ("mrn;patient;status;scope;recorded\n", "Two headings"),
        (HEAD + f'{NUMBER};"given\n' + "x" * 200_000, "row 2"),
    ],
)
def test_what_is_no_table_of_consents_is_refused_without_saying_what_is_in_it(text: str, why: str) -> None:
    with pytest.raises(BadConsentFile, match=why) as refused:
        read(text)
    assert NUMBER not in str(refused.value) + repr(refused.value)


def test_a_heading_that_is_named_but_not_there_is_refused() -> None:
    with pytest.raises(BadConsentFile, match="patient"):
        read(HEAD + ROW, Reading(columns={Column.PATIENT: "PID"}))


def test_east_of_greenwich_it_may_be_tomorrow() -> None:
    row = ROW.replace("2.1;2026-01-01", f"2.1;{TODAY + timedelta(days=1)}")
    (line,) = read(HEAD + row)
    assert isinstance(line, ConsentLine)
