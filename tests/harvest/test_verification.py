"""Only what is proven free of identifiers is counted in what leaves; the rest is held, with a reason."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select, update
from tests.deid.conftest import as_file, ct_dataset
from tests.harvest.fakes import FakeArchive, FakeSource, described, filled

from fairbank.audit import NodeAudit
from fairbank.database import reading, writing
from fairbank.deid.facts import Recorder
from fairbank.deid.store import CleanedFile
from fairbank.deid.store import ItemRow as DeidItem
from fairbank.harvest import gatekeeper
from fairbank.harvest.bookkeeping import Route
from fairbank.harvest.consents import identity_of
from fairbank.harvest.datasets import Description, define_dataset
from fairbank.harvest.described import DeidMark, describe_datasets, mark_of
from fairbank.harvest.errors import BadDefinition, NothingRecorded, UnknownSource
from fairbank.harvest.header_harvest import HarvestOrder, harvest_from
from fairbank.harvest.held import held_counts, held_series
from fairbank.harvest.index import index_store, publishable_series
from fairbank.harvest.runs import PullOrder, pull
from fairbank.harvest.sources.opening import add_source
from fairbank.harvest.sources.protocol import ArchiveDeid, SourceKind
from fairbank.harvest.trusts import distrust, trust, trusts
from fairbank.harvest.verification import Hold, judge_described, judge_stored
from fairbank.ontology.record import CollectionKind
from fairbank.release.node import Node

ABOUT = Description("Lungs", "Made for the tests.", CollectionKind.TEST, data_use=("DUO:0000042",))
CLEANED = {"a.dcm": CleanedFile("k1", "research", "fairbank 1"), "b.dcm": CleanedFile("k2", "basic", "x")}
ORDER = HarvestOrder("archive", "LUNG", "lung", "curator")
GOOD = DeidMark("YES", ("script",), "NO")


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        ({"a.dcm": "k1", "b.dcm": "k2"}, None),
        ({"a.dcm": None, "b.dcm": None}, None),
        ({}, Hold.NOT_VERIFIED),
        ({"a.dcm": "k1", "c.dcm": "k2"}, Hold.NOT_VERIFIED),
        ({"a.dcm": "k2"}, Hold.CHANGED),
        ({"a.dcm": "changed", "c.dcm": None}, Hold.NOT_VERIFIED),
    ],
)
def test_a_stored_series_is_proven_by_what_this_node_wrote(
    found: dict[str, str | None], verdict: Hold | None
) -> None:
    assert judge_stored(found, CLEANED) is verdict


@pytest.mark.parametrize("wrong", [CleanedFile("k", "none", "x"), CleanedFile("k", "basic", "")])
def test_a_file_without_a_known_profile_and_tool_proves_nothing(wrong: CleanedFile) -> None:
    assert judge_stored({"a.dcm": "k"}, {"a.dcm": wrong}) is Hold.NOT_VERIFIED


@pytest.mark.parametrize(
    ("mark", "plain", "trusted"),
    [
        (GOOD, None, None),
        (DeidMark("YES", ("script",)), None, None),
        (DeidMark(), Hold.NOT_STATED, None),
        (DeidMark("YES"), Hold.NO_METHOD, None),
        (DeidMark("NO", ("script",)), Hold.NOT_STATED, Hold.NOT_STATED),
        (DeidMark("MIXED", ("script",)), Hold.NOT_STATED, Hold.NOT_STATED),
        (replace(GOOD, burned_in="YES"), Hold.BURNED_IN, Hold.BURNED_IN),
        (replace(GOOD, burned_in="MIXED"), Hold.BURNED_IN, Hold.BURNED_IN),
        (replace(GOOD, identifying=("OperatorsName",)), Hold.IDENTIFYING, Hold.IDENTIFYING),
    ],
)
def test_trust_lifts_what_is_unsaid_and_never_what_is_seen(
    mark: DeidMark, plain: Hold | None, trusted: Hold | None
) -> None:
    assert (judge_described(mark), judge_described(mark, trusted=True)) == (plain, trusted)


@pytest.mark.parametrize(
    ("name", "identifying"),
    [
        ("Quarzfeld^Ottilie", True),
        ("DOE JANE", True),
        ("Müller^Änne^^Dr.", True),
        ("", False),
        ("SUBJ-0042", False),
        ("Anonymous^Patient", False),
        ("ANON", False),
        ("K7Q2M4X6B3N5P8R1", False),
        ("PROJ^0001", False),
    ],
)
def test_a_name_that_looks_like_a_person_s_is_an_identifying_element(name: str, identifying: bool) -> None:
    dataset = ct_dataset()
    dataset.PatientName = name
    assert ("PatientName" in mark_of([dataset]).identifying) is identifying


def test_the_name_that_is_the_pseudonym_too_names_nobody() -> None:
    dataset = ct_dataset("Blue Whale")
    dataset.PatientName = "Blue Whale"
    assert "PatientName" not in mark_of([dataset]).identifying


@pytest.fixture
def stored(node: Node, tmp_path: Path) -> Node:
    """A node with two series of two patients in its store, indexed."""
    root = tmp_path / "clinic"
    for patient in ("P1", "P2"):
        (root / "LUNG" / patient).mkdir(parents=True)
        for number in (1, 2):
            content = as_file(ct_dataset(patient, 1, 1, number))
            (root / "LUNG" / patient / f"{number}.dcm").write_bytes(content)
    add_source(node, "clinic", kind=SourceKind.FOLDER, location=str(root))
    define_dataset(node, "lungs", project="lung", description=ABOUT)
    pull(node, PullOrder("clinic", "LUNG", "lung", "curator"))
    assert index_store(node, "lungs").files == {"ok": 4}
    return node


def publishable(node: Node) -> int:
    with reading(node.engine) as session:
        return len(publishable_series(session, "lungs", at=node.clock.now()))


def test_what_was_pulled_is_verified(stored: Node) -> None:
    assert (publishable(stored), held_series(stored, "lungs")) == (2, [])


def test_a_file_that_somebody_put_there_holds_its_series(stored: Node) -> None:
    path = next(stored.settings.store_path.rglob("*.dcm"))
    shutil.copyfile(path, path.with_name("2.25.1.dcm"))
    assert index_store(stored, "lungs").files == {"not-verified": 3, "unchanged": 2}
    (found,) = held_series(stored, "lungs")
    assert (found.reason, found.source, publishable(stored)) == (Hold.NOT_VERIFIED, "research store", 1)
    path.with_name("2.25.1.dcm").unlink()
    index_store(stored, "lungs")
    assert (publishable(stored), held_series(stored, "lungs")) == (2, [])


def test_a_whole_series_that_was_never_cleaned_is_held(stored: Node) -> None:
    place = stored.settings.store_path / "lung" / "NOBODY" / "1.2" / "1.2.3"
    place.mkdir(parents=True)
    (place / "1.dcm").write_bytes(as_file(ct_dataset("P3")))
    index_store(stored, "lungs")
    assert held_counts(held_series(stored, "lungs")) == {Hold.NOT_VERIFIED: 1}
    assert publishable(stored) == 2


def test_a_file_that_was_changed_holds_its_series_until_it_is_as_written(stored: Node) -> None:
    path = next(stored.settings.store_path.rglob("*.dcm"))
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"\x55")
    index_store(stored, "lungs")
    assert held_counts(held_series(stored, "lungs")) == {Hold.CHANGED: 1}
    path.write_bytes(content)
    os.utime(path, (1, 1))
    index_store(stored, "lungs")
    assert held_series(stored, "lungs") == []


def test_a_series_whose_proof_has_gone_is_held_although_its_files_have_not_changed(stored: Node) -> None:
    with writing(stored.engine) as session:
        path = session.scalars(select(DeidItem.path)).first()
        session.execute(update(DeidItem).where(DeidItem.path == path).values(status="impossible"))
    index_store(stored, "lungs")
    assert held_counts(held_series(stored, "lungs")) == {Hold.NOT_VERIFIED: 1}


# Series that stay in their archive.


@pytest.fixture
def archive(node: Node, monkeypatch: pytest.MonkeyPatch) -> tuple[Node, FakeArchive]:
    """A node, and an archive of four series whose headers say nothing of their de-identification."""
    add_source(node, "archive", kind=SourceKind.FOLDER, location=str(node.settings.home))
    define_dataset(node, "lungs", project="lung", description=ABOUT)
    monkeypatch.setattr(
        "tests.harvest.fakes.described", lambda series: replace(described(series), mark=DeidMark())
    )
    return node, filled("LUNG", 4)


def test_described_series_without_a_mark_are_listed_and_not_counted(
    archive: tuple[Node, FakeArchive],
) -> None:
    node, source = archive
    harvest_from(node, ORDER, FakeSource(source))
    assert held_counts(held_series(node, "lungs")) == {Hold.NOT_STATED: 4}
    assert {one.source for one in held_series(node, "lungs")} == {"archive"}
    assert publishable(node) == 0


def test_a_curator_s_trust_lets_them_through_and_its_end_holds_them_at_once(
    archive: tuple[Node, FakeArchive],
) -> None:
    node, source = archive
    harvest_from(node, ORDER, FakeSource(source))
    trust(node, "archive", "LUNG", reason="script checked", by="curator")
    assert [(row.source, row.container, row.reason) for row in trusts(node)] == [
        ("archive", "LUNG", "script checked")
    ]
    harvest_from(node, ORDER, FakeSource(source))
    assert (publishable(node), held_series(node, "lungs")) == (4, [])
    assert distrust(node, "archive", "LUNG") == 4
    assert publishable(node) == 0
    harvest_from(node, ORDER, FakeSource(source))
    assert (publishable(node), trusts(node)) == (0, [])
    with reading(node.engine) as session:
        acts = session.scalars(select(NodeAudit.act).order_by(NodeAudit.seq)).all()
    assert [act for act in acts if act.startswith("trust")] == ["trust.accept", "trust.revoke"]


def test_trust_in_another_container_changes_nothing(archive: tuple[Node, FakeArchive]) -> None:
    node, source = archive
    trust(node, "archive", "LIVER", reason="script checked", by="curator")
    harvest_from(node, ORDER, FakeSource(source))
    assert publishable(node) == 0


def test_what_an_archive_says_of_itself_is_no_proof(node: Node) -> None:
    script = ArchiveDeid("XNAT anonymisation script", "6.1", "sha256:" + "0" * 64, enabled=True)
    said = describe_datasets([ct_dataset()], recorder=Recorder("c", node.clock.now(), "t"))
    with identity_of(node) as identity:
        judge = gatekeeper.Gatekeeper(node, Route("archive", "LUNG", "lung"), identity)
        (verdict,) = judge([replace(said, mark=DeidMark())], project="lung", archive=script)
    assert verdict.held == Hold.NOT_STATED.value


def test_trust_needs_a_source_and_a_reason_and_is_taken_back_once(node: Node) -> None:
    with pytest.raises(UnknownSource):
        trust(node, "nowhere", "LUNG", reason="checked", by="curator")
    with pytest.raises(BadDefinition):
        trust(node, "nowhere", "LUNG", reason=" ", by="curator")
    with pytest.raises(NothingRecorded):
        distrust(node, "nowhere", "LUNG")
