"""After a withdrawal nothing of the subject is found at the node, however it was cut off, whatever ran meanwhile."""

from __future__ import annotations

import dataclasses
import io
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select
from tests.conftest import Ran
from tests.deid.conftest import MemoryInstance, as_file, ct_dataset
from tests.federated_jobs.test_subject_withdrawal import ADA, BEN, ORDER, counted, node
from tests.harvest.fakes import FakeSource, filled

from fairbank import audit, database
from fairbank.database import reading, writing
from fairbank.deid.admitted import EVERYBODY
from fairbank.deid.cleaning import Order
from fairbank.deid.errors import UnknownSubject
from fairbank.deid.identity import IdentityStore
from fairbank.deid.method import Method
from fairbank.deid.outcomes import Reason
from fairbank.deid.pipeline import Site, deidentify
from fairbank.deid.profiles import Profile
from fairbank.deid.pseudonyms import subject_value
from fairbank.deid.research_store import ResearchStore
from fairbank.errors import Sensitive
from fairbank.federated_jobs.node import withdrawn_subjects
from fairbank.federated_jobs.node.progress import job_folder
from fairbank.federated_jobs.node.store import CohortRow, ReviewRow
from fairbank.federated_jobs.node.withdrawn_subjects import Named, finish, foresee, withdraw
from fairbank.harvest.consent import LegalBasis
from fairbank.harvest.consents import identity_of
from fairbank.harvest.header_harvest import HarvestOrder, harvest_from
from fairbank.harvest.legal_basis import record_basis
from fairbank.harvest.publishing import publish
from fairbank.harvest.runs import INCOMING, pull
from fairbank.harvest.sources.opening import add_source
from fairbank.harvest.sources.protocol import SourceKind
from fairbank.harvest.store import PublishedRow, SeriesRow
from fairbank.release.contributions import Contributions
from fairbank.release.node import Node, open_node

__all__ = ["node"]
JOB = "01a1fdee-cff5-7f63-b5f0-d16d1d20c888"
STEPS = (
    "note_withdrawal",
    "forget_in_harvest",
    "_record",
    "_clear",
    "forget_in_jobs",
    "forget",
    "clear_incoming",
    "compact",
)


@pytest.fixture
def full(node: Node) -> tuple[Node, str]:
    """A node that keeps something of a patient in every place there is; and the patient's pseudonym."""
    with identity_of(node) as identity:
        gone = identity.find("lung", subject_value(ADA))
        assert gone is not None
        identity.keep_links("lung", clock=node.clock)
        identity.subject("lung", subject_value(ADA))
        where = Sensitive(f"/clinic/{ADA}/broken.dcm", reference="file #9")
        identity.keep_reference("lung", "q-000009", where, subject=subject_value(ADA))
    publish(node, "lungs")
    _give_to_a_job(node, gone)
    home = node.settings.home
    staging = node.settings.store_path / ".staging" / "run" / "1" / "out" / gone
    for place in (home / "review" / "lung" / gone, home / INCOMING / "left", staging):
        place.mkdir(parents=True)
        (place / "a.dcm").write_bytes(f"{ADA} {gone}".encode())
    (home / "review" / "lung" / f"{gone}.png").write_bytes(b"thumbnail")
    assert traces(node, gone), "the test would find nothing"
    return node, gone


def _give_to_a_job(node: Node, pseudonym: str) -> None:
    now = node.clock.now()
    with writing(node.engine) as session:
        session.add(
            ReviewRow(
                job=JOB,
                title="Sizes of nodules",
                tool="intensity-geometry",
                requester_key="",
                request=b"",
                visa=b"",
                manifest=b"",
                state="approved",
                reason="none",
                received=now,
            )
        )
        session.flush()
        session.add(
            CohortRow(job=JOB, dataset="lungs", series_uid="2.25.1", subject=pseudonym, content_digest="")
        )
    inputs = job_folder(node, JOB) / "worker" / "inputs"
    inputs.mkdir(parents=True)
    (inputs / "1.npy").write_bytes(pseudonym.encode())


def traces(node: Node, pseudonym: str) -> list[str]:
    """Return the files below the node's home whose name or content has the pseudonym or the id."""
    words = [word.encode() for word in (pseudonym, ADA)]
    return sorted(
        path.relative_to(node.settings.home).as_posix()
        for path in node.settings.home.rglob("*")
        if any(word in path.as_posix().encode() for word in words)
        or (path.is_file() and any(word in path.read_bytes() for word in words))
    )


def by_id() -> Named:
    return Named.by_id(Sensitive(ADA, reference="the patient"))


def test_nothing_of_the_subject_is_left_anywhere(full: tuple[Node, str]) -> None:
    node, gone = full
    done = withdraw(node, by_id())
    assert traces(node, gone) == []
    assert done.compacted
    assert done.gone == {
        "series of the index": 1,
        "outputs that had not left": 1,
        "files of the research store": 1,
        "entries of de-identification": 1,
        "files and folders that runs were working on": 1,
        "other files and folders named after the subject": 2,
        "files left by runs that were killed": 1,
    }
    assert [(one.job, one.tool, one.left) for one in done.jobs] == [(JOB, "intensity-geometry", 0)]
    assert counted(node) == 1


def test_what_records_told_stays_under_a_name_that_nobody_can_make(full: tuple[Node, str]) -> None:
    node, gone = full

    def told() -> Contributions:
        # Packed, so that a search of the files would not find a pseudonym in it.
        with reading(node.engine) as session:
            return Contributions.from_bytes(session.scalars(select(PublishedRow.contributions)).one())

    before = told()
    assert gone in before.subjects()
    withdraw(node, by_id())
    after = told()
    assert gone not in after.subjects()
    assert (len(after.subjects()), after.totals()) == (len(before.subjects()), before.totals())
    assert len([one for one in after.subjects() if one.startswith("gone-")]) == 1


def test_a_dry_run_says_the_same_and_changes_nothing(full: tuple[Node, str]) -> None:
    node, gone = full
    before, found = traces(node, gone), foresee(node, by_id())
    assert (traces(node, gone), counted(node)) == (before, 2)
    done = withdraw(node, by_id())
    assert (found.projects, found.jobs) == (done.projects, done.jobs)
    assert found.gone.items() <= done.gone.items()


def test_the_subject_stays_out_when_the_archive_is_read_again(full: tuple[Node, str]) -> None:
    node, gone = full
    withdraw(node, by_id())
    report = pull(node, dataclasses.replace(ORDER, again=True))
    assert report.files == {"already-done": 1, "withdrawn": 1}
    assert traces(node, gone) == []


def test_a_second_withdrawal_changes_nothing_and_a_slip_withdraws_nobody(full: tuple[Node, str]) -> None:
    node, gone = full
    withdraw(node, by_id())
    assert set(withdraw(node, by_id()).gone.values()) == {0}
    with pytest.raises(UnknownSubject):
        withdraw(node, Named(project="lung", pseudonym=gone))
    slip = Named.by_id(Sensitive("HN-0000000", reference="the patient"), project="lung")
    with pytest.raises(UnknownSubject):
        withdraw(node, slip)
    with identity_of(node) as identity:
        assert not identity.is_forgotten(subject_value("HN-0000000"))


_KILLED = """
import dataclasses, os, signal, sys
from fairbank.clock import SystemClock
from fairbank.errors import Sensitive
from fairbank.federated_jobs.node import withdrawn_subjects as subjects
from fairbank.release.node import open_node
from fairbank.settings import Settings
from pathlib import Path
home, step, when, patient = sys.argv[1:]
whole = getattr(subjects, step)
def killed(*args, **kwargs):
    if when == "after":
        whole(*args, **kwargs)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(subjects, step, killed)
node = open_node(dataclasses.replace(Settings(), home=Path(home)), SystemClock())
subjects.withdraw(node, subjects.Named.by_id(Sensitive(patient, reference="the patient")))
"""


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_withdrawal_that_is_killed_is_finished_by_doing_it_again(
    step: str, when: str, full: tuple[Node, str], tmp_path: Path
) -> None:
    node, gone = full
    ran = subprocess.run(
        [sys.executable, "-c", _KILLED, str(node.settings.home), step, when, ADA],
        env=dict(os.environ),
        timeout=120,
        check=False,
    )
    assert ran.returncode == -signal.SIGKILL
    with identity_of(node) as identity:
        assert identity.is_forgotten(subject_value(ADA))
        assert not identity.is_known("lung", gone)
    # By pseudonym, which only the note of the departure still knows.
    done = withdraw(node, Named(project="lung", pseudonym=gone))
    assert traces(node, gone) == []
    assert [one.job for one in done.jobs] == [JOB]
    with reading(node.engine) as session:
        acts = select(func.count()).where(audit.NodeAudit.act == "subject.withdraw")
        assert session.execute(acts).scalar_one() == 1
        audit.verify(session, audit.NodeAudit)
    assert finish(node) == []


def test_an_unfinished_withdrawal_is_finished_without_naming_anybody(full: tuple[Node, str]) -> None:
    node, gone = full
    with identity_of(node) as identity:
        identity.leave(subject_value(ADA), clock=node.clock)
    assert len(finish(node)) == 1
    assert traces(node, gone) == []


def test_a_restored_backup_of_the_identity_store_does_not_bring_the_subject_back(
    full: tuple[Node, str],
) -> None:
    node, gone = full
    backup = (node.settings.home / "identity.db").read_bytes()
    withdraw(node, by_id())
    (node.settings.home / "identity.db").write_bytes(backup)
    report = pull(node, dataclasses.replace(ORDER, again=True))
    assert report.files == {"already-done": 1, "withdrawn": 1}
    assert len(finish(node)) == 1
    assert traces(node, gone) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_a_withdrawal_while_a_run_is_going_on_leaves_nothing(
    workers: int, full: tuple[Node, str], tmp_path: Path
) -> None:
    node, gone = full
    contents = [as_file(ct_dataset(patient, instance=n)) for n in range(2, 8) for patient in (ADA, BEN)]

    def sources():  # type: ignore[no-untyped-def]
        for number, content in enumerate(contents, 1):
            if number == 9:
                withdraw(node, by_id())
            yield MemoryInstance(content, number)

    with identity_of(node) as identity:
        site = Site(identity, ResearchStore(node.settings.store_path), node.engine, node.clock)
        order = Order("lung", Method(Profile.RESEARCH))
        outcomes = list(
            deidentify(sources(), order, site=site, agent="c", admitted=EVERYBODY, workers=workers)
        )
    # The source of these files is in memory; its references are paths that name nobody of this test.
    assert outcomes[-2].reason is Reason.WITHDRAWN
    assert outcomes[-1].reason is None
    assert traces(node, gone) == []


def test_a_file_stored_at_the_very_moment_of_the_withdrawal_is_cleared(
    full: tuple[Node, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    node, gone = full
    put = ResearchStore.put_series

    def put_late(*args, **kwargs):  # type: ignore[no-untyped-def]
        # The whole withdrawal falls between the run's look at the identity store and the writing of the file.
        withdraw(node, by_id())
        return put(*args, **kwargs)

    monkeypatch.setattr(ResearchStore, "put_series", put_late)
    with identity_of(node) as identity:
        site = Site(identity, ResearchStore(node.settings.store_path), node.engine, node.clock)
        source = MemoryInstance(as_file(ct_dataset(ADA, instance=5)))
        order = Order("lung", Method(Profile.RESEARCH))
        (outcome,) = deidentify([source], order, site=site, agent="c", admitted=EVERYBODY)
    assert outcome.reason is Reason.WITHDRAWN
    assert traces(node, gone) == []


def test_a_withdrawal_while_an_archive_is_described_leaves_nothing(
    full: tuple[Node, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    node, _ = full
    # The one basis under which the index asks for nobody's consent.
    record_basis(node, "lung", LegalBasis.ANONYMOUS_DATA, note="law", by="curator")
    given = IdentityStore.subjects
    pseudonyms_of: dict[str, str] = {}

    def subjects(store, project, values):  # type: ignore[no-untyped-def]
        found = given(store, project, values)
        if not pseudonyms_of:
            pseudonyms_of.update({value: one.subject for value, one in found.items()})
            # Pseudonyms have been asked for, rows have not been written.
            withdraw(node, Named.by_id(Sensitive("PAT1", reference="the patient")))
        return found

    monkeypatch.setattr(IdentityStore, "subjects", subjects)
    order = HarvestOrder("fake", "LUNG", "lung", "curator")
    add_source(node, "fake", kind=SourceKind.FOLDER, location=str(node.settings.home))
    harvest_from(node, order, FakeSource(filled("LUNG", 12)))
    gone = pseudonyms_of.pop(subject_value("PAT1"))
    with reading(node.engine) as session:
        listed = set(session.scalars(select(SeriesRow.subject)))
    assert pseudonyms_of and set(pseudonyms_of.values()) <= listed
    assert gone not in listed
    # Of ADA, who is still there, there are traces; they are the same without the other's pseudonym.
    assert traces(node, gone) == traces(node, ADA)


def test_a_withdrawal_that_could_not_rewrite_the_database_stays_open(
    full: tuple[Node, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    node, gone = full
    with monkeypatch.context() as patched:
        patched.setattr(withdrawn_subjects, "compact", lambda engine: False)
        assert not withdraw(node, by_id()).compacted
    assert len(finish(node)) == 1 and finish(node) == []
    assert traces(node, gone) == []


def test_the_command_takes_the_number_from_standard_input(
    full: tuple[Node, str], fairbank: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    node, gone = full
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{ADA}\n"))
    dry = fairbank("node", "withdraw", "lung", "--dry-run").ok()
    assert "Nothing was changed" in dry.err and counted(node) == 2
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{ADA}\n"))
    ran = fairbank("node", "withdraw", "lung").ok()
    assert "cannot be called back" in ran.err
    assert JOB in ran.out and "intensity-geometry" in ran.out
    assert ADA not in ran.out + ran.err and gone not in ran.out + ran.err
    assert traces(node, gone) == []
    assert "Finished: 0" in fairbank("node", "withdraw", "--unfinished").ok().err


def test_a_database_that_somebody_reads_is_rewritten_later(
    full: tuple[Node, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    node, gone = full
    other = sqlite3.connect(node.settings.home / "node.db", isolation_level=None)
    other.execute("BEGIN")
    other.execute("SELECT count(*) FROM harvest_series").fetchone()
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 1)
    impatient = open_node(node.settings, node.clock)
    done = withdraw(impatient, by_id())
    other.execute("COMMIT")
    other.close()
    assert not done.compacted
    assert [one.compacted for one in finish(impatient)] == [True]
    assert traces(node, gone) == []
