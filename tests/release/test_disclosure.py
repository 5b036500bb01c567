from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairbank.ontology.counts import Count, CountKind
from fairbank.ontology.record import (
    CollectionKind,
    DatasetRecord,
    Distribution,
    HowKnown,
    Quality,
    Stratum,
    Totals,
)
from fairbank.ontology.wire import moment
from fairbank.release.disclosure import faults, suppress_count, suppress_record, withheld_rows

Make = Callable[..., DatasetRecord]
BELOW = CountKind.BELOW_K


def kinds(record: DatasetRecord) -> list[str]:
    return [str(cell.subjects) for cell in record.cube]


def test_a_cell_below_k_is_withheld_whole(make_record: Make) -> None:
    record = make_record(
        [("CT", "CHEST", 90, 40, 30), ("MR", "BRAIN", 50, 30, 20), ("PT", "CHEST", 70, 40, 9)], subjects=40
    )
    kept = suppress_record(record, 10)
    pet = kept.cube[2]
    assert {pet.series.kind, pet.studies.kind, pet.subjects.kind} == {BELOW}


def test_a_lone_withheld_cell_takes_the_smallest_other_with_it(make_record: Make) -> None:
    record = make_record(
        [("CT", "CHEST", 90, 40, 30), ("MR", "BRAIN", 50, 30, 20), ("PT", "CHEST", 70, 40, 9)], subjects=40
    )
    assert kinds(suppress_record(record, 10)) == ["30", "<10", "<10"]


def test_two_small_cells_do_not_protect_each_other(make_record: Make) -> None:
    record = make_record(
        [("CT", "CHEST", 90, 40, 30), ("MR", "BRAIN", 2, 2, 1), ("PT", "CHEST", 3, 2, 2)], subjects=33
    )
    assert kinds(suppress_record(record, 10)) == ["<10", "<10", "<10"]


def test_nothing_is_withheld_when_everything_is_large(make_record: Make) -> None:
    record = make_record([("CT", "CHEST", 90, 40, 30), ("MR", "BRAIN", 50, 30, 10)], subjects=40)
    kept = suppress_record(record, 10)
    assert kinds(kept) == ["30", "10"]
    assert str(kept.totals.series) == "140"


def test_a_dataset_below_k_shows_no_number_at_all(make_record: Make) -> None:
    record = make_record([("CT", "CHEST", 90, 40, 9)], subjects=9, sex={"F": 5, "M": 4})
    kept = suppress_record(record, 10)
    counts = [
        kept.totals.subjects,
        kept.totals.instances,
        kept.cube[0].series,
        kept.distributions[0].subjects,
    ]
    assert {count.kind for count in counts} == {BELOW}


def test_k_is_ten_unless_the_site_says_otherwise() -> None:
    from fairbank.settings import Settings

    assert Settings().release_minimum_count == 10
    assert str(suppress_count(9, Settings().release_minimum_count)) == "<10"


def test_nobody_counts_as_somebody() -> None:
    assert suppress_count(0, 10) == Count.below(10)


@pytest.mark.parametrize(
    ("values", "withheld"),
    [
        ([50, 12, 3], {1, 2}),
        ([50, 12, 10], set()),
        ([12, 3], {0, 1}),
        ([20, 6, 7], {1, 2}),
        ([50, 4, 5], {0, 1, 2}),
    ],
)
def test_rows_of_a_distribution_protect_each_other(values: list[int], withheld: set[int]) -> None:
    assert withheld_rows(values, k=10) == withheld


def test_a_row_that_equals_one_cell_is_withheld_with_it(make_record: Make) -> None:
    record = make_record(
        [("CT", "CHEST", 90, 40, 30), ("MR", "BRAIN", 50, 30, 20), ("PT", "CHEST", 70, 40, 9)], subjects=59
    ).model_copy(
        update={
            "distributions": tuple(
                Distribution(
                    attribute="modality", value=value, how_known=HowKnown.HEADER, subjects=Count.exact(people)
                )
                for value, people in {"CT": 30, "MR": 20, "PT": 9}.items()
            )
        }
    )
    kept = suppress_record(record, 10)
    assert [str(row.subjects) for row in kept.distributions] == kinds(kept) == ["30", "<10", "<10"]


@pytest.mark.parametrize(
    ("affected", "shown"), [(0, "<10"), (9, "<10"), (10, "10"), (95, "<10"), (100, "100")]
)
def test_series_with_a_fault_are_not_counted_when_few_are_or_few_are_not(
    make_record: Make, affected: int, shown: str
) -> None:
    quality = Quality(aspect="gaps", assessed=True, series_affected=Count.exact(affected))
    record = make_record([("CT", "CHEST", 100, 40, 30)], subjects=30, quality=(quality,))
    assert str(suppress_record(record, 10).quality[0].series_affected) == shown


def test_the_gate_finds_a_lone_withheld_cell(make_record: Make) -> None:
    record = make_record([("CT", "CHEST", 90, 40, 30), ("MR", "BRAIN", 50, 30, 20)], subjects=40)
    below = Count.below(10)
    lone = record.cube[0].model_copy(update={"series": below, "studies": below, "subjects": below})
    tampered = record.model_copy(update={"minimum_count": 10, "cube": (lone, record.cube[1])})
    assert faults(tampered, 10) == ["A withheld cell of the record can be worked out from the totals."]


def test_the_gate_finds_a_lone_withheld_row(make_record: Make) -> None:
    record = make_record([("CT", "CHEST", 90, 40, 30)], subjects=30, sex={"F": 20, "M": 10})
    rows = (record.distributions[0], record.distributions[1].model_copy(update={"subjects": Count.below(10)}))
    tampered = record.model_copy(update={"minimum_count": 10, "distributions": rows})
    assert faults(tampered, 10) == [
        "A withheld row of the distribution 'sex' can be worked out from the total."
    ]


def test_the_gate_finds_an_exact_count_below_k(make_record: Make) -> None:
    record = make_record([("CT", "CHEST", 90, 40, 9)], subjects=30).model_copy(update={"minimum_count": 10})
    assert "The record holds an exact count below the smallest that may leave." in faults(record, 10)


def test_the_gate_refuses_a_record_made_for_a_smaller_k(make_record: Make) -> None:
    record = suppress_record(make_record([("CT", "CHEST", 90, 40, 30)], subjects=30), 2)
    assert faults(record, 10) == ["The record was made for a smallest count of 2, below the node's."]


# -- properties: records counted from made-up series, judged with knowledge that no reader has -------------------

SERIES = st.tuples(
    st.integers(0, 40),  # subject
    st.integers(0, 2),  # study of that subject
    st.sampled_from(["CT", "MR", "PT", "MG"]),
    st.sampled_from(["CHEST", "BRAIN", "BREAST"]),
)
ARCHIVES = st.lists(SERIES, min_size=1, max_size=120)


def counted(series: list[tuple[int, int, str, str]]) -> DatasetRecord:
    cells = sorted({(modality, part) for _, _, modality, part in series})

    def numbers(chosen: list[tuple[int, int, str, str]]) -> dict[str, Count]:
        return {
            "series": Count.exact(len(chosen)),
            "studies": Count.exact(len({each[:2] for each in chosen})),
            "subjects": Count.exact(len({each[0] for each in chosen})),
        }

    people = {each[0] for each in series}
    sexes = {value: sum(1 for person in people if person % 3 == place) for place, value in enumerate("FMO")}
    modalities = {
        word: len({each[0] for each in series if each[2] == word}) for word in ("CT", "MR", "PT", "MG")
    }
    rows = [("sex", value, count) for value, count in sexes.items() if count]
    rows += [("modality", value, count) for value, count in modalities.items() if count]
    return DatasetRecord(
        node="a", dataset="d", version=1, title="t", description="d", publisher="p",
        collection_kind=CollectionKind.TEST, minimum_count=1,
        totals=Totals(**numbers(series), instances=Count.exact(7 * len(series))),
        cube=tuple(
            Stratum(
                modality=modality, body_part=part, manufacturer="GE", slice_thickness="<1",
                **numbers([each for each in series if each[2:] == (modality, part)]),
            )
            for modality, part in cells
        ),
        distributions=tuple(
            Distribution(attribute=name, value=value, how_known=HowKnown.HEADER, subjects=Count.exact(count))
            for name, value, count in rows
        ),
        provenance=(), created=moment(datetime(2026, 1, 1, tzinfo=UTC)),
    )  # fmt: skip


def every_count(record: DatasetRecord) -> list[Count]:
    found = [getattr(record.totals, name) for name in Totals.model_fields]
    for cell in record.cube:
        found += [cell.series, cell.studies, cell.subjects]
    return found + [row.subjects for row in record.distributions]


@given(ARCHIVES, st.integers(1, 12))
def test_no_exact_count_below_k_leaves(series: list[tuple[int, int, str, str]], k: int) -> None:
    kept = suppress_record(counted(series), k)
    assert all(count.value >= k for count in every_count(kept) if count.value is not None)


@given(ARCHIVES, st.integers(1, 12))
def test_a_suppressed_record_passes_the_gate_s_own_check(
    series: list[tuple[int, int, str, str]], k: int
) -> None:
    assert faults(suppress_record(counted(series), k), k) == []


@given(ARCHIVES, st.integers(2, 12))
def test_what_the_totals_tell_about_withheld_cells_is_about_k_subjects_or_more(
    series: list[tuple[int, int, str, str]], k: int
) -> None:
    kept = suppress_record(counted(series), k)
    if kept.totals.series.kind is not CountKind.EXACT:
        return
    hidden = {(cell.modality, cell.body_part) for cell in kept.cube if cell.series.kind is BELOW}
    together = {subject for subject, _, modality, part in series if (modality, part) in hidden}
    assert len(hidden) != 1
    assert not hidden or len(together) >= k


@given(ARCHIVES, st.integers(2, 12))
def test_no_withheld_row_of_sex_can_be_subtracted_out(
    series: list[tuple[int, int, str, str]], k: int
) -> None:
    kept = suppress_record(counted(series), k)
    rows = [row for row in kept.distributions if row.attribute == "sex"]
    hidden = [row for row in rows if row.subjects.kind is BELOW]
    if kept.totals.subjects.value is None or not hidden:
        return
    rest = kept.totals.subjects.value - sum(row.subjects.at_least for row in rows)
    assert rest >= k
    assert len(hidden) > 1 or len(rows) == 1


@given(ARCHIVES, st.integers(1, 12))
@settings(max_examples=50)
def test_suppressing_twice_changes_nothing(series: list[tuple[int, int, str, str]], k: int) -> None:
    once = suppress_record(counted(series), k)
    assert suppress_record(once, k) == once


@given(ARCHIVES)
def test_with_k_one_nothing_is_withheld(series: list[tuple[int, int, str, str]]) -> None:
    record = counted(series)
    assert suppress_record(record, 1) == record
