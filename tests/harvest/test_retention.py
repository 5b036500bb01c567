"""After the last day of its use nothing of a project is used, and it can be deleted; before that it cannot."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from sqlalchemy import func, select
from tests.harvest.test_consent_gate import ADA, BEN, archive, counted, fetch, given_by, say

from fairbank.audit import NodeAudit, verify
from fairbank.database import reading
from fairbank.deid.store import FactRow
from fairbank.deid.store import ItemRow as DeidItem
from fairbank.federated_jobs.node.retention import apply, foresee
from fairbank.harvest.consent import LegalBasis
from fairbank.harvest.consent_counts import project_consent
from fairbank.harvest.datasets import describe_dataset
from fairbank.harvest.errors import (
    BadDefinition,
    NothingRecorded,
    NothingToPublish,
    RetentionHolds,
    RetentionOver,
)
from fairbank.harvest.index import index_store
from fairbank.harvest.legal_basis import record_basis
from fairbank.harvest.publishing import publish
from fairbank.harvest.records import build
from fairbank.harvest.retention import record_retention, remove_retention, retentions
from fairbank.harvest.states import GoneReason
from fairbank.harvest.store import ItemRow, SeriesRow
from fairbank.ontology.stewardship import Stewardship
from fairbank.release.node import Node

__all__ = ["archive"]


@pytest.fixture
def filled(archive: Node) -> Node:
    say(archive, *given_by(ADA, BEN))
    fetch(archive)
    index_store(archive, "lungs")
    assert counted(archive) == 2
    return archive


def today(node: Node) -> date:
    return node.clock.now().date()


def keep_until(node: Node, last_day: date) -> None:
    record_retention(node, "lung", last_day=last_day, note="Protocol 4.2", by="curator")


def test_on_the_last_day_images_are_used_and_on_the_next_they_are_not(filled: Node) -> None:
    keep_until(filled, today(filled))
    assert counted(filled) == 2
    filled.clock.advance(86_400)  # type: ignore[attr-defined]  # the clock of tests
    assert counted(filled) == 0
    with pytest.raises(NothingToPublish):
        publish(filled, "lungs")


def test_nothing_is_taken_in_or_indexed_any_more(filled: Node) -> None:
    keep_until(filled, today(filled) - timedelta(days=1))
    for act in (fetch, lambda node: index_store(node, "lungs")):
        with pytest.raises(RetentionOver):
            act(filled)


def test_a_day_that_is_past_empties_the_index_at_once_whatever_the_legal_basis(filled: Node) -> None:
    record_basis(filled, "lung", LegalBasis.ANONYMOUS_DATA, note="public", by="curator")
    keep_until(filled, today(filled) - timedelta(days=1))
    with reading(filled.engine) as session:
        rows = session.scalars(select(SeriesRow)).all()
    assert {(row.subject, row.directory, row.gone) for row in rows} == {
        ("", "", GoneReason.RETENTION_OVER.value)
    }
    assert project_consent(filled, "lung").counted == 0


def test_the_last_year_of_a_description_counts_as_well_and_the_earliest_wins(filled: Node) -> None:
    year = today(filled).year
    describe_dataset(filled, "lungs", Stewardship(retained_until=year + 1))
    keep_until(filled, date(year + 5, 1, 1))
    told = [(one.last_day, one.said_by, one.over, one.series) for one in retentions(filled)]
    assert told == [(date(year + 1, 12, 31), "lungs", False, 4), (date(year + 5, 1, 1), "site", False, 4)]
    describe_dataset(filled, "lungs", Stewardship(retained_until=year - 1))
    assert counted(filled) == 0
    describe_dataset(filled, "lungs", Stewardship())
    assert [one.said_by for one in retentions(filled)] == ["site"]


def test_a_record_says_the_legal_basis_and_the_last_year_that_the_node_has(filled: Node) -> None:
    keep_until(filled, date(today(filled).year + 9, 6, 30))
    with reading(filled.engine) as session:
        said = build(session, filled, "lungs").stewardship
    assert said is not None and said.retained_until == today(filled).year + 9
    assert [each.rpartition("#")[2] for each in said.legal_bases] == ["A6-1-a", "A9-2-a"]


def test_what_the_curator_says_of_the_law_stays_as_it_is(filled: Node) -> None:
    own = Stewardship(legal_bases=("https://law.test/own",), retained_until=2090)
    describe_dataset(filled, "lungs", own)
    with reading(filled.engine) as session:
        assert build(session, filled, "lungs").stewardship == own


def test_deleting_takes_files_index_and_facts_and_leaves_the_audit_log_whole(filled: Node) -> None:
    keep_until(filled, today(filled) - timedelta(days=1))
    gone = apply(filled, "lung", by="curator")
    assert (gone.gone["files of the research store"], gone.datasets) == (8, ("lungs",))
    assert not list(filled.settings.store_path.rglob("*.dcm"))
    with reading(filled.engine) as session:
        for table in (DeidItem, FactRow, ItemRow):
            assert session.scalar(select(func.count()).select_from(table)) == 0
        assert session.scalar(select(func.count()).where(SeriesRow.subject != "")) == 0
        last = session.scalars(select(NodeAudit).order_by(NodeAudit.seq.desc())).first()
        assert last is not None and (last.act, last.target, last.actor) == (
            "retention.apply",
            "lung",
            "curator",
        )
        verify(session, NodeAudit)
    assert apply(filled, "lung", by="curator").gone["files of the research store"] == 0


def test_what_would_go_can_be_seen_first(filled: Node) -> None:
    keep_until(filled, today(filled) - timedelta(days=1))
    assert foresee(filled, "lung").gone["files of the research store"] == 8
    assert list(filled.settings.store_path.rglob("*.dcm"))


def test_nothing_is_deleted_before_its_time(filled: Node) -> None:
    with pytest.raises(RetentionHolds, match="not deleted"):
        apply(filled, "lung", by="curator")
    keep_until(filled, today(filled))
    for act in (foresee, lambda node, project: apply(node, project, by="curator")):
        with pytest.raises(RetentionHolds):
            act(filled, "lung")
    assert counted(filled) == 2


def test_a_last_day_needs_a_note_and_can_be_removed(filled: Node) -> None:
    with pytest.raises(BadDefinition):
        record_retention(filled, "lung", last_day=today(filled), note=" ", by="curator")
    keep_until(filled, today(filled))
    remove_retention(filled, "lung")
    assert retentions(filled) == []
    with pytest.raises(NothingRecorded):
        remove_retention(filled, "lung")
