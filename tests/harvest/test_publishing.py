"""What is published when: the first record, the schedule, descriptions in between, and what is kept back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import delete, insert, select

from fairbank.clock import FixedClock
from fairbank.database import reading, writing
from fairbank.harvest.consent import LegalBasis
from fairbank.harvest.datasets import Description, define_dataset
from fairbank.harvest.errors import NotYetDue, RecordWaits
from fairbank.harvest.explaining import FEW, PROTECTS, ROUNDED, STAYS, WAITS, explained
from fairbank.harvest.legal_basis import record_basis
from fairbank.harvest.provenance import provenance
from fairbank.harvest.publishing import Publication, preview, publish
from fairbank.harvest.series import Aspect
from fairbank.harvest.store import PublishedRow, RunRow, SeriesRow
from fairbank.ontology.counts import Count
from fairbank.ontology.record import UNKNOWN, ActivityKind, CollectionKind
from fairbank.release.node import Node
from fairbank.release.outbox_review import Decision, compare, decide
from fairbank.release.releases import ReleaseState

DAY_S = 86_400
K = 5


@pytest.fixture
def site(node: Node) -> Node:
    node = replace(node, settings=replace(node.settings, release_minimum_count=K))
    record_basis(node, "lungs", LegalBasis.ANONYMOUS_DATA, note="made up", by="tests")
    describe(node, "Lungs")
    now = node.clock.now()
    words = ("id", "source", "source_version", "container", "software", "profile")
    with writing(node.engine) as session:
        session.add(
            RunRow(
                **dict.fromkeys(words, "-"), kind="index", source_kind="research-store", project="lungs",
                state="finished", started=now, ended=now, counts={},
            )
        )  # fmt: skip
    return node


def describe(node: Node, title: str) -> None:
    said = Description(title, "Chest images.", CollectionKind.TEST)
    define_dataset(node, "lungs", project="lungs", description=said)


def scan(node: Node, modality: str, people: Sequence[int]) -> None:
    rows: list[dict[str, Any]] = [
        {
            "project": "lungs", "series_uid": f"{modality}-{person}", "study_uid": f"study-{modality}-{person}",
            "subject": f"{modality}-{person}", "state": "live", "source": "", "held": None, "gone": None,
            "directory": "", "stat_token": "", "content_digest": "", "modality": modality,
            "body_part": "CHEST", "body_part_known": None, "manufacturer": "GE", "manufacturer_raw": "",
            "slice_thickness_mm": None, "slice_thickness": "<1", "spacing_mm": None,
            "slice_spacing": UNKNOWN, "model": UNKNOWN, "field_strength": UNKNOWN, "kernel": UNKNOWN,
            "laterality": UNKNOWN, "rows": None, "columns": None, "instances": 10, "frames": 1, "sex": "F",
            "age_band": "40-44", "contrast": UNKNOWN, "acquisition_year": 2020, "study_day": None,
            "annotations": {}, "run": "-", "seen": node.clock.now(),
            "quality": {aspect.value: {"assessed": False, "affected": False} for aspect in Aspect},
        }
        for person in people
    ]  # fmt: skip
    with writing(node.engine) as session:
        session.execute(insert(SeriesRow), rows)


def withdraw(node: Node, modality: str, people: Sequence[int]) -> None:
    gone = [f"{modality}-{person}" for person in people]
    with writing(node.engine) as session:
        session.execute(delete(SeriesRow).where(SeriesRow.subject.in_(gone)))


def approved(node: Node, made: Publication) -> Publication:
    assert made.release is not None
    decide(node, made.release, Decision.APPROVE, by="curator", why="looked at")
    return made


def later(node: Node, days: int) -> None:
    assert isinstance(node.clock, FixedClock)
    node.clock.advance(days * DAY_S)


def subjects(made: Publication) -> list[str]:
    return [str(made.record.totals.subjects), *(str(cell.subjects) for cell in made.record.cube)]


def test_the_first_record_waits_for_the_curator_and_holds_up_the_next(site: Node) -> None:
    scan(site, "CT", range(30))
    made = publish(site, "lungs")
    assert made.release is not None and made.release.state is ReleaseState.HELD
    describe(site, "Lungs and more")
    with pytest.raises(RecordWaits):
        publish(site, "lungs")
    approved(site, made)
    assert publish(site, "lungs").record.title == "Lungs and more"


def test_counts_are_refused_before_they_are_due_and_published_after(site: Node) -> None:
    scan(site, "CT", range(30))
    approved(site, publish(site, "lungs"))
    scan(site, "CT", range(30, 60))
    later(site, 29)
    with pytest.raises(NotYetDue, match="again from"):
        publish(site, "lungs")
    later(site, 1)
    made = publish(site, "lungs")
    assert subjects(made) == ["60", "60"]
    assert made.put_off == 0


def test_a_description_is_published_at_once_with_the_counts_of_the_last_record(site: Node) -> None:
    scan(site, "CT", range(30))
    first = approved(site, publish(site, "lungs"))
    scan(site, "CT", range(30, 60))
    describe(site, "Lungs of Northfield")
    made = approved(site, publish(site, "lungs"))
    assert (made.record.title, made.record.version) == ("Lungs of Northfield", 2)
    assert made.counts_stay
    assert made.record.totals == first.record.totals
    later(site, 30)
    assert subjects(publish(site, "lungs")) == ["60", "60"]


def test_one_withdrawal_acts_at_the_node_and_shows_in_no_record(site: Node) -> None:
    scan(site, "CT", range(30))
    approved(site, publish(site, "lungs"))
    withdraw(site, "CT", [3])
    later(site, 30)
    made = approved(site, publish(site, "lungs"))
    assert subjects(made) == ["30", "30"]
    assert made.exact is not None and made.exact.totals.subjects == Count.exact(29)
    assert (made.put_off, made.counts_stay) == (1, True)
    withdraw(site, "CT", range(4, 8))
    later(site, 30)
    assert subjects(publish(site, "lungs")) == ["25", "25"]


def test_a_record_that_was_kept_back_is_as_if_it_had_never_been(site: Node) -> None:
    scan(site, "CT", range(30))
    approved(site, publish(site, "lungs"))
    scan(site, "CT", range(30, 40))
    later(site, 30)
    wrong = publish(site, "lungs")
    assert wrong.release is not None
    decide(site, wrong.release, Decision.WITHHOLD, by="curator", why="the wrong project")
    withdraw(site, "CT", range(30, 34))
    scan(site, "MR", range(3))
    made = publish(site, "lungs")
    assert (made.record.version, subjects(made)) == (3, ["36", "36"])


def test_the_state_of_a_record_is_kept_until_the_next_has_taken_its_place(site: Node) -> None:
    scan(site, "CT", range(30))
    for day in range(3):
        approved(site, publish(site, "lungs"))
        scan(site, "CT", range(1000 * (day + 1), 1000 * (day + 1) + 20))
        later(site, 30)
    with reading(site.engine) as session:
        assert session.scalars(select(PublishedRow.version).order_by(PublishedRow.version)).all() == [2, 3]


def test_a_dataset_that_was_published_without_a_state_changes_at_once_or_not_at_all(site: Node) -> None:
    scan(site, "CT", range(30))
    approved(site, publish(site, "lungs"))
    with writing(site.engine) as session:
        session.execute(delete(PublishedRow))
    withdraw(site, "CT", [0])
    scan(site, "MR", range(20))
    later(site, 30)
    made = approved(site, publish(site, "lungs"))
    assert made.counts_stay
    scan(site, "CT", range(30, 51))
    assert subjects(publish(site, "lungs")) == ["70", "50", "20"]


def test_what_waits_and_what_is_withheld_is_explained(site: Node) -> None:
    scan(site, "CT", range(30))
    scan(site, "MR", range(9))
    scan(site, "PT", range(7))
    scan(site, "US", range(2))
    first = {one.what: one.why for one in explained(preview(site, "lungs"))}
    assert first["subjects of US · CHEST · GE · <1"] == FEW
    assert first["subjects of PT · CHEST · GE · <1"] == PROTECTS
    approved(site, publish(site, "lungs"))
    scan(site, "CT", range(30, 50))
    scan(site, "MR", range(9, 11))
    rows = {one.what: one for one in explained(preview(site, "lungs"))}
    waits = rows["subjects of MR · CHEST · GE · <1"]
    assert (waits.here, waits.told, waits.why) == (11, "9", WAITS)
    withdraw(site, "CT", range(20, 50))
    scan(site, "CT", range(20, 31))
    stays = {one.what: one.why for one in explained(preview(site, "lungs"))}
    assert stays["subjects of CT · CHEST · GE · <1"] == STAYS


def test_counts_are_rounded_where_the_site_asks_for_it(site: Node) -> None:
    rounding = replace(
        site, settings=replace(site.settings, release_rounding_base=5, release_minimum_count=8)
    )
    scan(site, "CT", range(33))
    scan(site, "MR", range(21))
    made = approved(rounding, publish(rounding, "lungs"))
    assert subjects(made) == ["55", "35", "20"]
    assert (made.record.rounded_to, made.record.minimum_count) == (5, 10)
    assert {one.why for one in explained(preview(rounding, "lungs"))} >= {ROUNDED}
    scan(site, "CT", range(33, 60))
    later(site, 30)
    assert subjects(publish(rounding, "lungs")) == ["80", "60", "20"]


def test_the_curator_sees_what_is_new(site: Node) -> None:
    scan(site, "CT", range(30))
    first = publish(site, "lungs")
    assert first.release is not None
    compared = compare(site, first.release)
    assert compared is not None and compared.before is None
    approved(site, first)
    scan(site, "MR", range(20))
    describe(site, "Chest")
    later(site, 30)
    second = publish(site, "lungs")
    assert second.release is not None
    compared = compare(site, second.release)
    assert compared is not None and (compared.version, compared.before) == (2, 1)
    changes = {one.what: (one.before, one.after) for one in compared.changes}
    assert changes["title"] == ("Lungs", "Chest")
    assert changes["subjects in all"] == ("30", "50")
    assert changes["series of MR · CHEST · GE · <1"] == (None, "20")
    assert not any("CT" in what for what in changes)


def test_how_an_archive_de_identifies_is_part_of_the_provenance() -> None:
    begun = FixedClock().now()

    def run(kind: str, **said: Any) -> RunRow:
        return RunRow(
            id="-", kind=kind, source="archive", source_kind="xnat", source_version="1.9", container="P",
            project="lungs", state="finished", software="fairbank 1", profile="", started=begun, ended=begun,
            counts={}, **said,
        )  # fmt: skip

    rules = {"tool": "XNAT anonymisation script", "version": "6.1", "digest": "sha256:" + "a" * 64}
    steps = provenance(
        [run("harvest", archive_deid=rules), run("harvest", archive_deid=rules)], agent="Biobank"
    )
    assert [step.kind for step in steps] == [
        ActivityKind.ACQUISITION,
        ActivityKind.DEIDENTIFICATION,
        ActivityKind.HARVEST,
    ]
    told = steps[1]
    assert (told.tool, told.tool_version, told.profile_digest) == tuple(rules.values())
    assert (told.agent, told.profile) == ("Biobank", None)
    assert [step.kind for step in provenance([run("harvest")], agent="Biobank")] == [
        ActivityKind.ACQUISITION,
        ActivityKind.HARVEST,
    ]
