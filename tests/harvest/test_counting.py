"""Counting in one pass says exactly what counting row by row says: the plain way is written out here."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import delete, insert, select

from fairbank.clock import iso
from fairbank.database import reading, writing
from fairbank.deid.annotations import Annotations
from fairbank.harvest.aspects import Aspect
from fairbank.harvest.consent import LegalBasis
from fairbank.harvest.counting import count_series
from fairbank.harvest.datasets import Description, define_dataset
from fairbank.harvest.errors import NothingToPublish
from fairbank.harvest.legal_basis import record_basis
from fairbank.harvest.records import build
from fairbank.harvest.store import RunRow, SeriesRow
from fairbank.ontology import follow_up
from fairbank.ontology.attributes import ATTRIBUTES
from fairbank.ontology.counts import Count
from fairbank.ontology.record import (
    UNKNOWN,
    CollectionKind,
    DatasetRecord,
    Distribution,
    HowKnown,
    Quality,
    Stratum,
    Totals,
)
from fairbank.ontology.vocabulary import DERIVED_MODALITIES
from fairbank.release.contributions import Contributions
from fairbank.release.node import Node

DESCRIPTION = Description("Made up", "Rows.", CollectionKind.TEST)
VALUES: dict[str, Callable[[SeriesRow], str]] = {
    "sex": lambda row: row.sex,
    "age-band": lambda row: row.age_band,
    "acquisition-year": lambda row: str(row.acquisition_year or UNKNOWN),
    "model": lambda row: row.model,
    "field-strength": lambda row: row.field_strength,
    "kernel": lambda row: row.kernel,
    "slice-spacing": lambda row: row.slice_spacing,
    "contrast": lambda row: row.contrast,
    "laterality": lambda row: row.laterality,
}
ALWAYS = ("sex", "age-band", "acquisition-year")


@pytest.fixture
def made_up(node: Node) -> Node:
    define_dataset(node, "made-up", project="made-up", description=DESCRIPTION)
    record_basis(node, "made-up", LegalBasis.ANONYMOUS_DATA, note="made up", by="tests")
    now = node.clock.now()
    words = ("id", "source", "source_version", "container", "software", "profile")
    run = RunRow(
        **dict.fromkeys(words, "-"),
        kind="index",
        source_kind="research-store",
        project="made-up",
        state="finished",
        started=now,
        ended=now,
        counts={},
    )
    with writing(node.engine) as session:
        session.add(run)
    return node


def test_one_pass_counts_what_counting_row_by_row_counts(made_up: Node) -> None:
    for seed, number in enumerate((1, 3, 40, 40, 300, 300)):
        with writing(made_up.engine) as session:
            session.execute(delete(SeriesRow))
        rng = random.Random(seed)
        put(made_up, [row(rng, place) for place in range(number)], rng)
        check(made_up)


def check(node: Node) -> None:
    with reading(node.engine) as session:
        record = build(session, node, "made-up")
        rows = session.scalars(select(SeriesRow).where(SeriesRow.held.is_(None), SeriesRow.state == "live"))
        series = sorted(rows, key=lambda one: one.series_uid)
    assert record.totals == totals(series)
    assert record.cube == cube(series)
    assert record.distributions == tuple(distributions(series))
    assert (record.acquired_from, record.acquired_to) == years(series, node.settings.release_minimum_count)
    assert record.quality == tuple(quality(series, node))


def test_a_held_or_missing_series_is_not_counted(made_up: Node) -> None:
    rng = random.Random(0)
    rows = [row(rng, number) for number in range(3)]
    rows[0]["held"], rows[1]["state"] = "no-consent", "missing"
    rows[2]["source"] = "archive"
    put(made_up, rows, None)
    assert built(made_up).totals.series == Count.exact(1)


def test_a_dataset_of_held_series_only_is_not_published(made_up: Node) -> None:
    put(made_up, [{**row(random.Random(0), 0), "held": "not-verified"}], None)
    with pytest.raises(NothingToPublish):
        built(made_up)


def test_contributions_are_kept_and_read_again(made_up: Node) -> None:
    rng = random.Random(1)
    put(made_up, [row(rng, number) for number in range(50)], rng)
    with reading(made_up.engine) as session:
        counted = count_series(session, "made-up", at=made_up.clock.now()).contributions
    again = Contributions.from_bytes(counted.to_bytes())
    assert again.keys == counted.keys
    assert again.subjects() == counted.subjects()
    assert all(again.of(subject) == counted.of(subject) for subject in counted.subjects())


def test_what_changed_is_told_by_subject(made_up: Node) -> None:
    rng = random.Random(2)
    rows = [row(rng, number) for number in range(60)]
    put(made_up, rows, None)
    with reading(made_up.engine) as session:
        before = count_series(session, "made-up", at=made_up.clock.now()).contributions
    with writing(made_up.engine) as session:
        session.execute(delete(SeriesRow).where(SeriesRow.subject == rows[0]["subject"]))
    with reading(made_up.engine) as session:
        after = count_series(session, "made-up", at=made_up.clock.now(), keys=before.keys).contributions
    changes = dict(before.changes(after))
    gone = before.of(rows[0]["subject"])
    assert changes == {rows[0]["subject"]: {number: -amount for number, amount in gone.items()}}
    assert before.taken_over(after, frozenset(changes)).totals() == after.totals()
    assert before.taken_over(after, frozenset()).totals() == before.totals()


def built(node: Node) -> DatasetRecord:
    with reading(node.engine) as session:
        return build(session, node, "made-up")


def put(node: Node, rows: list[dict[str, Any]], rng: random.Random | None) -> None:
    for each in rows[1:]:
        if rng is not None and rng.random() < 0.1:
            each |= rng.choice(({"held": "no-consent"}, {"state": "missing"}, {"source": "archive"}))
    with writing(node.engine) as session:
        session.execute(insert(SeriesRow), rows)


def row(rng: random.Random, number: int) -> dict[str, Any]:
    subject = rng.randrange(25)
    modality = rng.choice(("CT", "MR", "SEG", "RTSTRUCT", "SR"))
    words = rng.sample(ATTRIBUTES["annotation-label"].words, 3)
    day = rng.choice((None, 730_000, 730_000 + rng.randrange(2_000)))
    return {
        "project": "made-up",
        "series_uid": f"2.25.{rng.randrange(10**9)}{number}",
        "study_uid": f"2.25.{subject}{rng.randrange(3)}",
        "subject": f"s{subject}",
        "state": "live",
        "source": "",
        "held": None,
        "gone": None,
        "directory": f"/store/{number}",
        "stat_token": "",
        "content_digest": f"sha256:{number}",
        "modality": modality,
        "body_part": rng.choice(("CHEST", "HEAD", UNKNOWN)),
        "body_part_known": None,
        "manufacturer": rng.choice(("SIEMENS", "GE", UNKNOWN)),
        "manufacturer_raw": "",
        "slice_thickness_mm": None,
        "slice_thickness": rng.choice(("<1", "3-5", UNKNOWN)),
        "spacing_mm": None,
        "slice_spacing": rng.choice(("<1", UNKNOWN)),
        "model": rng.choice(("Aquilion", "other", UNKNOWN)),
        "field_strength": rng.choice(("1.5", UNKNOWN)) if modality == "MR" else UNKNOWN,
        "kernel": rng.choice(("sharp", UNKNOWN)) if modality == "CT" else UNKNOWN,
        "laterality": UNKNOWN,
        "rows": None,
        "columns": None,
        "instances": rng.choice((0, 1, 250)),
        "frames": 1,
        "sex": "FM"[subject % 2],
        "age_band": rng.choice(("40-44", "45-49", UNKNOWN)),
        "contrast": rng.choice(("yes", UNKNOWN)),
        "acquisition_year": rng.choice((None, 2019, 2020, 2021)),
        "study_day": day,
        "annotations": annotated(rng, words) if rng.random() < 0.5 else {},
        "quality": {aspect.value: judged(rng) for aspect in Aspect},
        "run": "1",
        "seen": datetime(2026, 1, 1, tzinfo=UTC),
    }


def annotated(rng: random.Random, words: list[str]) -> dict[str, Any]:
    return {
        "coded": words[:1],
        "named": words[1 : rng.randrange(1, 4)],
        "methods": rng.choice(([], ["manual"], ["automatic", "manual"])),
        "raters": rng.choice(([], ["a"], ["b"], ["a", "b"])),
        "referenced": rng.choice(([], ["2.25.7"], ["2.25.7", "2.25.8"])),
    }


def judged(rng: random.Random) -> dict[str, Any]:
    assessed = rng.random() < 0.4
    return {
        "assessed": assessed,
        "affected": assessed and rng.random() < 0.5,
        "how_known": rng.choice(("computed", "header")) if assessed else None,
        "at": f"2026-0{rng.randrange(1, 4)}-01T00:00:00.000Z",
        "tool": "fairbank",
    }


# -- the plain way: all rows, one question after the other -------------------------------------------------------


def different(rows: Sequence[SeriesRow], column: str) -> Count:
    return Count.exact(len({getattr(one, column) for one in rows}))


def totals(series: Sequence[SeriesRow]) -> Totals:
    return Totals(
        subjects=different(series, "subject"),
        studies=different(series, "study_uid"),
        series=Count.exact(len(series)),
        instances=Count.exact(sum(one.instances for one in series)),
    )


def cube(series: Sequence[SeriesRow]) -> tuple[Stratum, ...]:
    cells: dict[tuple[str, str, str, str], list[SeriesRow]] = defaultdict(list)
    for one in series:
        cells[one.modality, one.body_part, one.manufacturer, one.slice_thickness].append(one)
    return tuple(
        Stratum(
            modality=axes[0],
            body_part=axes[1],
            manufacturer=axes[2],
            slice_thickness=axes[3],
            series=Count.exact(len(rows)),
            studies=different(rows, "study_uid"),
            subjects=different(rows, "subject"),
        )
        for axes, rows in sorted(cells.items())
    )


def years(series: Sequence[SeriesRow], k: int) -> tuple[int | None, int | None]:
    subjects: dict[int, set[str]] = defaultdict(set)
    for one in series:
        if one.acquisition_year is not None:
            subjects[one.acquisition_year].add(one.subject)
    enough = [year for year, of_year in subjects.items() if len(of_year) >= k]
    return (min(enough), max(enough)) if enough else (None, None)


def distributions(series: Sequence[SeriesRow]) -> list[Distribution]:
    images = [one for one in series if one.modality not in DERIVED_MODALITIES]
    found: list[Distribution] = []
    for attribute, value_of in VALUES.items():
        modalities = ATTRIBUTES[attribute].modalities
        counted = [one for one in series if one.modality in modalities] if modalities else images
        pairs = [(value_of(one), one.subject) for one in (series if attribute in ALWAYS else counted)]
        if attribute in ALWAYS or {value for value, _ in pairs} - {UNKNOWN}:
            computed = attribute == "slice-spacing"
            found += listed(attribute, pairs, {value for value, _ in pairs} if computed else set())
    kept = [
        (Annotations.from_json(one.annotations), one.subject)
        for one in series
        if one.modality in ("SEG", "RTSTRUCT")
    ]
    named = {label for annotations, _ in kept for label in annotations.named}
    pairs = [(label, subject) for annotations, subject in kept for label in annotations.labels or {UNKNOWN}]
    if {value for value, _ in pairs} - {UNKNOWN}:
        found += listed("annotation-label", pairs, named)
    pairs = [
        (method, subject) for annotations, subject in kept for method in annotations.methods or {UNKNOWN}
    ]
    if {value for value, _ in pairs} - {UNKNOWN}:
        found += listed("annotation-method", pairs, set())
    return found + raters(series) + times(series, images)


def raters(series: Sequence[SeriesRow]) -> list[Distribution]:
    of_series: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for one in series:
        if one.modality in ATTRIBUTES["annotation-raters"].modalities:
            annotations = Annotations.from_json(one.annotations)
            for referenced in annotations.referenced or {one.series_uid}:
                of_series[one.subject][referenced] |= annotations.raters
    most = {subject: max(map(len, found.values())) for subject, found in of_series.items()}
    if not any(most.values()):
        return []
    pairs = [({0: UNKNOWN, 1: "one"}.get(count, "several"), subject) for subject, count in most.items()]
    return listed("annotation-raters", pairs, {value for value, _ in pairs})


def times(series: Sequence[SeriesRow], images: Sequence[SeriesRow]) -> list[Distribution]:
    days: dict[str, set[int | None]] = {one.subject: set() for one in series}
    for one in images:
        days[one.subject].add(one.study_day)
    if not any(day is not None for of_subject in days.values() for day in of_subject):
        return []
    known = {
        subject: [] if None in of_subject else [day for day in of_subject if day is not None]
        for subject, of_subject in days.items()
    }
    found: list[Distribution] = []
    for attribute, value_of in (
        ("time-points", follow_up.time_points),
        ("follow-up", follow_up.follow_up),
    ):
        pairs = [(value_of(of_subject), subject) for subject, of_subject in known.items()]
        found += listed(attribute, pairs, {value for value, _ in pairs})
    return found


def listed(attribute: str, pairs: Sequence[tuple[str, str]], computed: set[str]) -> list[Distribution]:
    held: dict[str, set[str]] = defaultdict(set)
    for value, subject in pairs:
        held[value].add(subject)
    words = list(ATTRIBUTES[attribute].words)
    ordered = sorted(held, key=lambda value: (words.index(value) if value in words else len(words), value))
    return [
        Distribution(
            attribute=attribute,
            value=value,
            how_known=HowKnown.COMPUTED if value in computed else HowKnown.HEADER,
            subjects=Count.exact(len(held[value])),
        )
        for value in ordered
    ]


def quality(series: Sequence[SeriesRow], node: Node) -> list[Quality]:
    k, found = node.settings.release_minimum_count, []
    for aspect in Aspect:
        known = [(one.quality[aspect.value], one.subject) for one in series]
        if aspect is Aspect.ORPHAN_REFERENCES:
            # None of the series that are referred to is there.
            orphan = {
                "assessed": True,
                "affected": True,
                "how_known": "computed",
                "at": iso(node.clock.now()),
            }
            known = [
                (orphan if one.annotations.get("referenced") else each[0], one.subject)
                for one, each in zip(series, known, strict=True)
            ]
        assessed = [each for each in known if each[0]["assessed"]]
        if not assessed:
            found.append(Quality(aspect=aspect.value, assessed=False))
            continue
        affected = {subject for each, subject in assessed if each["affected"]}
        without = {subject for each, subject in assessed if not each["affected"]}
        few = affected and (len(affected) < k or 0 < len(without) < k)
        words = {each["how_known"] for each, _ in assessed}
        found.append(
            Quality(
                aspect=aspect.value,
                assessed=True,
                how_known=HowKnown("header" if "header" in words else "computed"),
                at=max(each["at"] for each, _ in assessed),
                series_affected=Count.below(k)
                if few
                else Count.exact(sum(each["affected"] for each, _ in assessed)),
            )
        )
    return found
