"""Distributions that tell about some cells only, or about the same subjects, undo no suppression of each other's."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairbank.ontology.counts import Count, CountKind
from fairbank.ontology.follow_up import follow_up, time_points
from fairbank.ontology.record import (
    CollectionKind,
    DatasetRecord,
    Distribution,
    HowKnown,
    Stratum,
    Totals,
)
from fairbank.ontology.wire import moment
from fairbank.release.disclosure import faults, suppress_record

# A series: subject, day of study, modality, maker, model, field strength. An archive: a list of them.
Series = tuple[int, int, str, str, str, str]
MODELS = {"Siemens": ("SOMATOM Force", "MAGNETOM Aera"), "GE": ("Signa HDxt",), "Philips": ("Ingenia", "iCT")}
DAYS = (730_000, 730_100, 730_500, 731_200, 733_000)


@st.composite
def series(draw: st.DrawFn) -> Series:
    maker = draw(st.sampled_from(sorted(MODELS)))
    return (
        draw(st.integers(0, 45)),
        draw(st.sampled_from(DAYS)),
        draw(st.sampled_from(("CT", "MR"))),
        maker,
        draw(st.sampled_from(MODELS[maker])),
        draw(st.sampled_from(("1.5", "3"))),
    )


ARCHIVES = st.lists(series(), min_size=1, max_size=150)


def people(chosen: list[Series]) -> set[int]:
    return {each[0] for each in chosen}


def rows_of(archive: list[Series]) -> dict[tuple[str, str], set[int]]:
    rows: dict[tuple[str, str], set[int]] = defaultdict(set)
    days: dict[int, set[int]] = defaultdict(set)
    for subject, day, modality, _, model, strength in archive:
        rows["model", model].add(subject)
        if modality == "MR":
            rows["field-strength", strength].add(subject)
        days[subject].add(day)
    for subject, of_subject in days.items():
        rows["time-points", time_points(of_subject)].add(subject)
        rows["follow-up", follow_up(of_subject)].add(subject)
    return rows


def counted(archive: list[Series]) -> DatasetRecord:
    cells: dict[tuple[str, str], list[Series]] = defaultdict(list)
    for each in archive:
        cells[each[2], each[3]].append(each)

    def numbers(chosen: list[Series]) -> dict[str, Count]:
        return {
            "series": Count.exact(len(chosen)),
            "studies": Count.exact(len({each[:2] for each in chosen})),
            "subjects": Count.exact(len(people(chosen))),
        }

    return DatasetRecord(
        node="a", dataset="d", version=1, title="t", description="d", publisher="p",
        collection_kind=CollectionKind.TEST, minimum_count=1,
        totals=Totals(**numbers(archive), instances=Count.exact(9 * len(archive))),
        cube=tuple(
            Stratum(
                modality=modality, body_part="CHEST", manufacturer=maker, slice_thickness="<1", **numbers(chosen)
            )
            for (modality, maker), chosen in sorted(cells.items())
        ),
        distributions=tuple(
            Distribution(
                attribute=attribute, value=value, how_known=HowKnown.HEADER, subjects=Count.exact(len(who))
            )
            for (attribute, value), who in sorted(rows_of(archive).items())
        ),
        provenance=(), created=moment(datetime(2026, 1, 1, tzinfo=UTC)),
    )  # fmt: skip


def shown(record: DatasetRecord) -> dict[tuple[str, str], int | None]:
    return {(row.attribute, row.value): row.subjects.value for row in record.distributions}


@given(ARCHIVES, st.integers(1, 12))
def test_a_suppressed_record_passes_the_gate_s_own_check(archive: list[Series], k: int) -> None:
    kept = suppress_record(counted(archive), k)
    assert faults(kept, k) == []
    assert suppress_record(kept, k) == kept


@given(ARCHIVES, st.integers(2, 12))
def test_one_day_and_no_follow_up_are_withheld_together(archive: list[Series], k: int) -> None:
    rows = shown(suppress_record(counted(archive), k))
    assert rows.get(("time-points", "1")) == rows.get(("follow-up", "none"))


@given(ARCHIVES, st.integers(2, 12), st.sampled_from(["time-points", "follow-up"]))
def test_what_is_left_of_the_total_is_about_k_subjects_or_more(
    archive: list[Series], k: int, attribute: str
) -> None:
    kept = suppress_record(counted(archive), k)
    rows = [count for (name, _), count in shown(kept).items() if name == attribute]
    if kept.totals.subjects.value is None or None not in rows:
        return
    assert kept.totals.subjects.value - sum(count or 0 for count in rows) >= k
    assert rows.count(None) > 1 or len(rows) == 1


@given(ARCHIVES, st.integers(2, 12))
def test_rows_about_some_cells_tell_of_withheld_ones_only_what_is_about_k_subjects(
    archive: list[Series], k: int
) -> None:
    kept = suppress_record(counted(archive), k)
    scopes = {("field-strength", strength): (2, "MR") for strength in ("1.5", "3")}
    scopes |= {("model", model): (3, maker) for maker, models in MODELS.items() for model in models}
    for row, (place, word) in scopes.items():
        if shown(kept).get(row) is None:
            continue
        hidden = {
            (cell.modality, cell.manufacturer)
            for cell in kept.cube
            if word in (cell.modality, cell.manufacturer) and cell.subjects.kind is CountKind.BELOW_K
        }
        behind = people([each for each in archive if each[place] == word and each[2:4] in hidden])
        assert not hidden or (len(hidden) > 1 and len(behind) >= k)


def tampered(record: DatasetRecord, row: tuple[str, str], count: Count) -> DatasetRecord:
    rows = tuple(
        each.model_copy(update={"subjects": count}) if (each.attribute, each.value) == row else each
        for each in record.distributions
    )
    return record.model_copy(update={"distributions": rows})


def many(
    number: int, first: int = 0, *, day: int = DAYS[0], of: tuple[str, str, str] = ("CT", "GE", "Signa HDxt")
) -> list[Series]:
    return [(first + each, day, *of, "3") for each in range(number)]


@pytest.mark.parametrize("row", [("time-points", "1"), ("follow-up", "none")])
def test_the_gate_finds_a_withheld_row_that_another_distribution_tells(row: tuple[str, str]) -> None:
    kept = suppress_record(counted(many(30) + many(15, day=DAYS[1]) + many(11, first=40)), 10)
    assert faults(kept, 10) == []
    other = next(each for each in shown(kept) if each[0] == row[0] and each != row)
    below = Count.below(10)
    assert any(
        "told by another distribution" in each
        for each in faults(tampered(tampered(kept, row, below), other, below), 10)
    )


def test_one_day_is_not_told_by_no_follow_up() -> None:
    """The three who came thrice would be: all 65, minus 50 who came twice, minus 12 who have no follow-up."""
    archive = many(12)
    archive += [*many(50, first=12), *many(50, first=12, day=DAYS[1])]
    archive += [each for day in (0, 50, 100) for each in many(3, first=62, day=DAYS[0] + day)]
    rows = shown(suppress_record(counted(archive), 10))
    assert rows["time-points", "2"] == 50
    hidden = {("time-points", "1"), ("time-points", "3-5"), ("follow-up", "none"), ("follow-up", "<1y")}
    assert {row for row, count in rows.items() if count is None} == hidden


def test_the_gate_finds_a_distribution_that_tells_a_lone_withheld_cell() -> None:
    archive = many(30) + many(5, first=30, of=("MR", "GE", "Signa HDxt"))
    archive += many(12, first=35, of=("CT", "Siemens", "SOMATOM Force"))
    kept = suppress_record(counted(archive), 10)
    assert (shown(kept)["field-strength", "3"], shown(kept)["model", "SOMATOM Force"]) == (None, None)
    told = tampered(kept, ("model", "SOMATOM Force"), Count.exact(12))
    assert "A withheld cell of the record is told by the distribution 'model'." in faults(told, 10)
