"""The withdrawal of a subject, whole: at once everywhere at the node, on record, and possible to do again."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.deid.conftest import as_file, ct_dataset

from fairbank import migrations
from fairbank.audit import NodeAudit, verify
from fairbank.clock import FixedClock
from fairbank.database import reading
from fairbank.deid.store import FactRow
from fairbank.deid.store import ItemRow as DeidItem
from fairbank.errors import Sensitive
from fairbank.federated_jobs.errors import CohortInsufficient
from fairbank.federated_jobs.node.cohort import draw, harvest_index
from fairbank.federated_jobs.node.withdrawn_subjects import Named, SubjectWithdrawn, withdraw
from fairbank.harvest.consent import ConsentStatus, LegalBasis
from fairbank.harvest.consent_store import ConsentRow
from fairbank.harvest.consents import identity_of
from fairbank.harvest.datasets import Description, define_dataset
from fairbank.harvest.index import index_store, publishable_series
from fairbank.harvest.legal_basis import record_basis
from fairbank.harvest.runs import PullOrder, pull
from fairbank.harvest.sources.opening import add_source
from fairbank.harvest.sources.protocol import SourceKind
from fairbank.harvest.store import SeriesRow
from fairbank.harvest.subject_withdrawal import subject_tables
from fairbank.ontology.record import CollectionKind
from fairbank.ontology.signed_objects import Selector
from fairbank.release.node import Node, init_node
from fairbank.settings import Settings

ADA, BEN = "HN-8843201", "HN-8843202"
ORDER = PullOrder("clinic", "LUNG", "lung", "curator")


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """A node that has pulled one series of each of two patients, on another basis than consent."""
    made = init_node(dataclasses.replace(Settings(), home=tmp_path / "home"), FixedClock(), name="east")
    for patient in (ADA, BEN):
        place = tmp_path / "clinic" / "LUNG" / patient
        place.mkdir(parents=True)
        (place / "1.dcm").write_bytes(as_file(ct_dataset(patient)))
    add_source(made, "clinic", kind=SourceKind.FOLDER, location=str(tmp_path / "clinic"))
    record_basis(made, "lung", LegalBasis.SCIENTIFIC_RESEARCH, note="law", by="curator")
    about = Description("Lungs", "Made for the tests.", CollectionKind.TEST)
    define_dataset(made, "lungs", project="lung", description=about)
    pull(made, ORDER)
    index_store(made, "lungs")
    assert counted(made) == 2
    return made


def withdraw_patient(node: Node, patient: str) -> SubjectWithdrawn:
    return withdraw(node, Named.by_id(Sensitive(patient, reference="the patient")))


def withdraw_subject(node: Node, project: str, pseudonym: str) -> SubjectWithdrawn:
    return withdraw(node, Named(project=project, pseudonym=pseudonym))


def counted(node: Node) -> int:
    with reading(node.engine) as session:
        rows = publishable_series(session, "lungs", at=node.clock.now())
        subjects = {row.subject for row in rows}
        try:
            cohort = draw(node, session, harvest_index, {"lungs": Selector()}, at_least=1)
            assert {member.subject for member in cohort.members} == subjects
        except CohortInsufficient:
            assert not subjects
    return len(subjects)


def pseudonyms(node: Node) -> list[str]:
    with identity_of(node) as identity:
        return sorted(one.pseudonym for one in identity.known_subjects("lung"))


def test_a_withdrawal_acts_everywhere_at_once_without_a_new_index(node: Node) -> None:
    gone, other = pseudonyms(node)
    done = withdraw_subject(node, "lung", gone)
    assert (done.projects, done.jobs, done.compacted) == (("lung",), (), True)
    assert [count for count in done.gone.values() if count] == [1, 1, 1]
    assert (counted(node), pseudonyms(node)) == (1, [other])
    assert [path.name for path in (node.settings.store_path / "lung").iterdir()] == [other]
    with reading(node.engine) as session:
        for table in (DeidItem, FactRow, SeriesRow):
            assert gone not in session.scalars(select(table.subject)).all()
        for tabled in subject_tables():
            assert gone not in session.scalars(select(tabled.c.subject)).all(), tabled.name
        statuses = session.scalars(select(ConsentRow.status)).all()
    assert statuses == [ConsentStatus.WITHDRAWN.value]


def test_who_withdrew_is_not_taken_in_again_whatever_the_basis(node: Node) -> None:
    withdraw_patient(node, ADA)
    for basis in (LegalBasis.SCIENTIFIC_RESEARCH, LegalBasis.ANONYMOUS_DATA):
        record_basis(node, "lung", basis, note="law", by="curator")
        report = pull(node, dataclasses.replace(ORDER, again=True))
        assert report.files == {"already-done": 1, "withdrawn": 1}
        index_store(node, "lungs")
        assert counted(node) == 1


def test_a_patient_who_was_never_seen_can_withdraw_beforehand(node: Node, tmp_path: Path) -> None:
    done = withdraw_patient(node, "HN-8843209")
    assert (done.projects, set(done.gone.values())) == ((), {0})
    place = tmp_path / "clinic" / "LUNG" / "new"
    place.mkdir()
    (place / "1.dcm").write_bytes(as_file(ct_dataset("HN-8843209")))
    assert pull(node, ORDER).files["withdrawn"] == 1
    assert len(pseudonyms(node)) == 2


def test_the_audit_log_names_a_commitment_and_nobody(node: Node) -> None:
    gone = pseudonyms(node)[0]
    with identity_of(node) as identity:
        before = identity.commitment_of("lung", gone)
        assert identity.commitment_of("lung", gone) == before
    withdraw_subject(node, "lung", gone)
    with reading(node.engine) as session:
        verify(session, NodeAudit)
        (entry,) = session.scalars(select(NodeAudit).where(NodeAudit.act == "subject.withdraw"))
    assert (entry.target, entry.detail) == (before, {"projects": ["lung"], "series": 1, "jobs": []})
    with identity_of(node) as identity:
        # The salt is gone, so nobody can make the commitment again, not even from the patient's number.
        assert before not in [identity.commitment(f"\x1f{patient}") for patient in (ADA, BEN)]


def test_every_table_of_harvest_that_knows_subjects_is_emptied_of_them() -> None:
    tables = migrations.metadata("node").tables
    named = {name for name, table in tables.items() if name.startswith("harvest_") and "subject" in table.c}
    assert named == {SeriesRow.__tablename__, *(table.name for table in subject_tables())}
    assert "harvest_standings" in named
