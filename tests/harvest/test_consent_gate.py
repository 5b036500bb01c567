"""Who has not consented is nowhere: not in the store, the index, a record, a cohort, or any byte the node keeps."""

from __future__ import annotations

import dataclasses
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, select
from tests.deid.conftest import as_file, ct_dataset
from tests.harvest.fakes import FakeSource, filled

from fairbank.audit import NodeAudit, verify
from fairbank.clock import FixedClock
from fairbank.database import reading, writing
from fairbank.deid.store import FactRow
from fairbank.deid.store import ItemRow as DeidItem
from fairbank.errors import Sensitive
from fairbank.federated_jobs.errors import CohortInsufficient
from fairbank.federated_jobs.node.cohort import draw, harvest_index
from fairbank.harvest.consent import ConsentStatus, LegalBasis, Standing, Statement, admits, newest, standing
from fairbank.harvest.consent_counts import patient_standings, project_consent
from fairbank.harvest.consent_import import ConsentImport, import_consents
from fairbank.harvest.consent_store import ConsentRow, StandingRow
from fairbank.harvest.consent_table import Reading, read_consents
from fairbank.harvest.consents import NONE, Gate, day_of, gate, identity_of, standings
from fairbank.harvest.datasets import Description, define_dataset
from fairbank.harvest.errors import NoLegalBasis, NothingRecorded, NothingToPublish, SourceFailed
from fairbank.harvest.header_harvest import HarvestOrder, harvest_from
from fairbank.harvest.index import index_store, publishable_series
from fairbank.harvest.legal_basis import record_basis, remove_basis
from fairbank.harvest.publishing import publish
from fairbank.harvest.records import build
from fairbank.harvest.reports import RunReport
from fairbank.harvest.runs import PullOrder, pull, pull_from
from fairbank.harvest.sources.opening import add_source
from fairbank.harvest.sources.protocol import Capability, SourceKind
from fairbank.harvest.states import GoneReason, State
from fairbank.harvest.store import SeriesRow
from fairbank.ontology.record import CollectionKind
from fairbank.ontology.signed_objects import Selector
from fairbank.release.node import Node

ADA, BEN, CLEO, DAN = NUMBERS = ("HN-8843201", "HN-8843202", "HN-8843203", "HN-8843204")
WITHDRAWN = GoneReason.CONSENT_WITHDRAWN.value
HEAD = "patient;status;scope;valid until;recorded\n"
ABOUT = Description("Lungs", "Made for the tests.", CollectionKind.TEST, data_use=("DUO:0000042",))


@pytest.fixture
def archive(bare_node: Node, tmp_path: Path) -> Node:
    """A node with an archive of four patients, two series each, and a dataset, but no ground to use it."""
    root = tmp_path / "clinic"
    for patient in NUMBERS:
        for series in (1, 2):
            place = root / "LUNG" / f"{patient}-{series}"
            place.mkdir(parents=True)
            for number in (1, 2):
                content = as_file(ct_dataset(patient, 1, series, number))
                (place / f"{number}.dcm").write_bytes(content)
    add_source(bare_node, "clinic", kind=SourceKind.FOLDER, location=str(root))
    define_dataset(bare_node, "lungs", project="lung", description=ABOUT)
    return bare_node


def fetch(node: Node) -> RunReport:
    return pull(node, PullOrder("clinic", "LUNG", "lung", "curator"))


def say(node: Node, *rows: str, dry_run: bool = False, page: int = 5000) -> ConsentImport:
    today = day_of(node.clock.now())
    lines = read_consents(HEAD + "".join(f"{row}\n" for row in rows), Reading(), today=today)
    return import_consents(node, lines, by="curator", dry_run=dry_run, page=page)


def given_by(*patients: str) -> Iterable[str]:
    return (f"{patient};given;lung;;2025-12-01" for patient in patients)


def counted(node: Node) -> int:
    """Return how many subjects are counted, after seeing that record, cohort and index agree."""
    with reading(node.engine) as session:
        rows = publishable_series(session, "lungs", at=node.clock.now())
        subjects = {row.subject for row in rows}
        try:
            cohort = draw(node, session, harvest_index, {"lungs": Selector()}, at_least=1)
            assert {member.subject for member in cohort.members} == subjects
        except CohortInsufficient:
            assert not subjects
        try:
            assert build(session, node, "lungs").totals.subjects.value == len(subjects)
        except NothingToPublish:
            assert not subjects
    return len(subjects)


def bytes_of(folder: Path) -> bytes:
    return b"\n".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_without_any_ground_nothing_is_fetched_or_indexed(archive: Node) -> None:
    with pytest.raises(NoLegalBasis):
        fetch(archive)
    with pytest.raises(NoLegalBasis):
        index_store(archive, "lungs")
    assert not archive.settings.store_path.exists()


def test_only_who_consented_is_taken_in_and_nothing_is_noted_of_the_others(archive: Node) -> None:
    say(archive, *given_by(ADA), f"{BEN};refused;*;;2025-12-01", f"{CLEO};given;liver;;2025-12-01")
    report = fetch(archive)
    assert report.files == {"no-consent": 12, "ok": 4}
    assert report.items == {"ok": 2, "impossible": 6}
    with identity_of(archive) as identity, reading(archive.engine) as session:
        (known,) = identity.known_subjects("lung")
        for row in (DeidItem, FactRow):
            assert set(session.scalars(select(row.subject))) == {known.pseudonym}
    index_store(archive, "lungs")
    assert counted(archive) == 1


def test_several_workers_turn_away_the_same(archive: Node) -> None:
    say(archive, *given_by(ADA))
    node = dataclasses.replace(archive, settings=dataclasses.replace(archive.settings, deid_workers=2))
    assert fetch(node).files == {"no-consent": 12, "ok": 4}


def test_who_consents_later_is_taken_in_by_the_next_pull(archive: Node) -> None:
    say(archive, *given_by(ADA))
    fetch(archive)
    say(archive, *given_by(BEN))
    assert fetch(archive).files == {"no-consent": 8, "ok": 4, "unchanged": 4}
    index_store(archive, "lungs")
    assert counted(archive) == 2


@pytest.fixture
def full(archive: Node) -> Node:
    """The archive with all four patients consented, pulled and indexed."""
    say(archive, *given_by(*NUMBERS))
    fetch(archive)
    index_store(archive, "lungs")
    assert counted(archive) == 4
    return archive


@pytest.mark.parametrize("word", ["refused", "withdrawn"])
def test_who_objects_leaves_index_record_and_cohort_at_once(full: Node, word: str) -> None:
    done = say(full, f"{ADA};{word};*;;2025-12-02", f"{BEN};{word};liver;;2025-12-02")
    assert (done.series_out, done.here, done.elsewhere) == (2, 2, 0)
    assert counted(full) == 3
    with reading(full.engine) as session:
        gone = session.scalars(select(SeriesRow).where(SeriesRow.state == State.TOMBSTONED.value)).all()
    assert {(row.gone, row.subject, row.study_uid, row.directory, row.modality) for row in gone} == {
        (WITHDRAWN, "", "", "", "unknown")
    }
    assert {(row.instances, row.sex, row.acquisition_year) for row in gone} == {(0, "unknown", None)}
    report = index_store(full, "lungs")
    assert (report.files["no-consent"], report.missing) == (4, 0)
    assert counted(full) == 3


def test_consent_that_comes_back_brings_the_series_back(full: Node) -> None:
    say(full, f"{ADA};withdrawn;*;;2025-12-02")
    say(full, f"{ADA};given;lung;;2025-12-03")
    index_store(full, "lungs")
    assert counted(full) == 4
    with reading(full.engine) as session:
        assert set(session.scalars(select(SeriesRow.gone))) == {None}


def test_the_order_of_imports_changes_nothing(full: Node) -> None:
    say(full, f"{ADA};given;lung;;2025-12-03")
    say(full, f"{ADA};withdrawn;*;;2025-12-02")
    assert counted(full) == 4


def test_consent_runs_out_although_nobody_indexes_again(full: Node) -> None:
    say(full, f"{ADA};given;lung;2026-02-01;2025-12-02")
    assert counted(full) == 4
    assert isinstance(full.clock, FixedClock)
    full.clock.advance(31 * 86_400)
    assert counted(full) == 3
    publish(full, "lungs")
    index_store(full, "lungs")
    with reading(full.engine) as session:
        query = select(func.count()).where(SeriesRow.gone == WITHDRAWN)
        assert session.scalar(query.select_from(SeriesRow)) == 2


def test_a_basis_counts_who_said_nothing_but_not_who_objected(archive: Node) -> None:
    say(archive, f"{BEN};refused;lung;;2025-12-01")
    record_basis(archive, "lung", LegalBasis.SCIENTIFIC_RESEARCH, note="law", by="curator")
    fetch(archive)
    index_store(archive, "lungs")
    assert counted(archive) == 3
    remove_basis(archive, "lung")
    assert counted(archive) == 0
    with pytest.raises(NothingRecorded):
        remove_basis(archive, "lung")
    with reading(archive.engine) as session:
        verify(session, NodeAudit)
        acts = session.scalars(select(NodeAudit.act).order_by(NodeAudit.seq)).all()
    assert [act for act in acts if act.startswith(("basis", "consent"))] == [
        "consent.import",
        "basis.record",
        "basis.remove",
    ]


def test_the_curator_sees_how_many_stand_how_and_who_by_line(full: Node) -> None:
    say(full, f"{ADA};given;lung;2026-01-20;2025-12-02", f"{BEN};withdrawn;*;;2025-12-02")
    found = project_consent(full, "lung")
    assert (found.subjects, found.counted, found.expiring) == (4, 3, 1)
    assert found.standings == {Standing.CONSENTED: 3, Standing.WITHDRAWN: 1}
    asked = [Sensitive(one, reference="line") for one in (ADA, BEN, "HN-1")]
    assert patient_standings(full, asked, "lung") == [
        (Standing.CONSENTED, True),
        (Standing.WITHDRAWN, False),
        (Standing.NOTHING_SAID, False),
    ]


def test_a_rehearsal_writes_nothing_and_a_repetition_adds_nothing(full: Node) -> None:
    rehearsed = say(full, f"{ADA};withdrawn;*;;2025-12-02", dry_run=True)
    assert (rehearsed.new, rehearsed.known, counted(full)) == (1, 0, 4)
    first = say(full, f"{ADA};withdrawn;*;;2025-12-02", f"{ADA};withdrawn;*;;2025-12-02")
    again = say(full, f"{ADA};withdrawn;*;;2025-12-02")
    assert [(one.new, one.known) for one in (first, again)] == [(1, 0), (0, 1)]


def test_no_patient_number_is_in_any_byte_that_the_node_keeps_or_says(
    full: Node, fairbank: Callable[..., object], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = tmp_path / "consents.csv"
    table.write_text(
        HEAD
        + f"{ADA};refused;*;;2025-12-02\n{BEN};given;{BEN};;2025-12-02\n{CLEO};{CLEO};*;;2025-12-02\n"
        + f"{DAN};given;*;{DAN};2025-12-02\n"
    )
    patients = tmp_path / "patients.txt"
    patients.write_text("\n".join(NUMBERS))
    broken = tmp_path / "broken.csv"
    broken.write_text(f"{ADA};{BEN}\n{CLEO};{DAN}\n")
    said = [
        fairbank("node", "consent", "import", table),
        fairbank("node", "consent", "import", table, "--dry-run"),
        fairbank("node", "consent", "import", broken),
        fairbank("node", "consent", "check", patients, "--project", "lung"),
        fairbank("node", "consent", "list"),
        fairbank("node", "consent", "show", "lung", "--format", "json"),
        fairbank("harvest", "index", "lungs"),
        fairbank("harvest", "held", "lungs"),
        fairbank("audit", "show", "--format", "json"),
    ]
    publish(full, "lungs")
    kept = bytes_of(full.settings.home) + repr(said).encode() + caplog.text.encode()
    assert [number for number in NUMBERS if number.encode() in kept] == []
    assert [row for row in ("row 3", "row 4", "row 5, column valid-until") if row not in repr(said[0])] == []


STANDINGS = st.lists(
    st.tuples(
        st.sampled_from([*(one.value for one in ConsentStatus), NONE]),
        st.dates(date(2026, 1, 1), date(2026, 1, 6)),
        st.none() | st.dates(date(2026, 1, 1), date(2026, 1, 6)),
    ),
    max_size=5,
)


@given(STANDINGS, st.dates(date(2026, 1, 1), date(2026, 1, 6)), st.none() | st.sampled_from(LegalBasis))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_the_condition_in_the_database_is_the_rule(
    full: Node, rows: list[tuple[str, date, date | None]], day: date, basis: LegalBasis | None
) -> None:
    with reading(full.engine) as session:
        series = session.scalars(select(SeriesRow).where(SeriesRow.project == "lung")).all()
    subjects = sorted({row.subject for row in series})
    expected = set()
    with writing(full.engine) as session:
        session.query(StandingRow).delete()
        for subject, (status, begin, end) in zip(subjects, rows, strict=False):
            session.add(
                StandingRow(project="lung", subject=subject, status=status, valid_from=begin, valid_until=end)
            )
            said = None if status == NONE else Statement("*", ConsentStatus(status), begin, end, begin)
            if admits(basis, standing(said, day)):
                expected.add(subject)
        if basis is LegalBasis.ANONYMOUS_DATA:
            expected = set(subjects)
        session.flush()
        condition = Gate("lung", day, basis).admits_row()
        assert set(session.scalars(select(SeriesRow.subject).where(condition))) == expected


SAID = st.lists(
    st.tuples(
        st.sampled_from(NUMBERS),
        st.sampled_from(ConsentStatus),
        st.sampled_from(["lung", "liver", "*", "lung liver"]),
        st.sampled_from(["", "2025-12-20", "2026-02-01"]),
        st.integers(1, 9),
    ),
    min_size=1,
    max_size=6,
)


def test_after_any_history_of_statements_exactly_those_are_counted_whose_newest_says_so(full: Node) -> None:
    history: dict[str, list[Statement]] = {
        one: [Statement("lung", ConsentStatus.GIVEN, None, None, date(2025, 12, 1))] for one in NUMBERS
    }

    @given(SAID, st.booleans())
    @settings(max_examples=12, deadline=None, derandomize=True, database=None)
    def live(rows: list[tuple[str, ConsentStatus, str, str, int]], again: bool) -> None:
        for patient, status, scope, until, day in rows:
            end = date.fromisoformat(until) if until else None
            recorded = date(2025, 12, day)
            history[patient] += [Statement(one, status, None, end, recorded) for one in scope.split()]
        say(
            full,
            *(f"{one};{status};{scope};{until};2025-12-0{day}" for one, status, scope, until, day in rows),
        )
        today = day_of(full.clock.now())
        stand = {one: standing(newest(said, "lung"), today) for one, said in history.items()}
        agreed = {one for one, found in stand.items() if found is Standing.CONSENTED}
        if again:
            index_store(full, "lungs")
            assert counted(full) == len(agreed)
        with identity_of(full) as identity, reading(full.engine) as session:
            key_of = {known.pseudonym: known.consent_key for known in identity.known_subjects("lung")}
            allowed = {identity.consent_key(f"\x1f{one}") for one in agreed}
            rows_left = session.scalars(select(SeriesRow.subject).where(SeriesRow.subject != "")).all()
        # Nobody else is left in any row, indexed again or not.
        assert {key_of[one] for one in rows_left} <= allowed
        assert counted(full) <= len(agreed)

    live()


def test_an_upgraded_node_publishes_nothing_and_loses_nothing_until_a_ground_is_recorded(full: Node) -> None:
    with writing(full.engine) as session:
        for table in (ConsentRow, StandingRow):
            session.execute(delete(table))
    assert counted(full) == 0
    for act in (fetch, lambda node: index_store(node, "lungs")):
        with pytest.raises(NoLegalBasis):
            act(full)
    with pytest.raises(NothingToPublish):
        publish(full, "lungs")
    record_basis(full, "lung", LegalBasis.CONSENT_WAIVED, note="waived", by="curator")
    assert counted(full) == 4


# Imports a file of consents page by page, and dies after the pages it is told.
VICTIM = """
import os, signal, sys
from datetime import date
from pathlib import Path
from fairbank.clock import SystemClock
from fairbank.harvest.consent_import import import_consents
from fairbank.harvest.consent_table import Reading, read_consents
from fairbank.release.node import open_node
from fairbank.settings import Settings

home, table, last = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
node = open_node(Settings(home=home), SystemClock())
def died(rows):
    if rows >= last:
        os.kill(os.getpid(), signal.SIGKILL)
lines = read_consents(table.read_text(), Reading(), today=date(2026, 6, 1))
import_consents(node, lines, by="victim", page=10, progress=died)
"""


def test_an_import_that_is_killed_leaves_whole_pages_and_can_be_repeated(
    bare_node: Node, tmp_path: Path
) -> None:
    table = tmp_path / "consents.csv"
    table.write_text(HEAD + "".join(f"HN-{n};given;lung;;2026-01-01\n" for n in range(95)))
    home = bare_node.settings.home
    died = subprocess.run([sys.executable, "-c", VICTIM, home, table, "40"], timeout=120)
    assert died.returncode == -signal.SIGKILL
    assert statements(bare_node) == 40
    finished = subprocess.run([sys.executable, "-c", VICTIM, home, table, "999"], timeout=120)
    assert finished.returncode == 0
    assert statements(bare_node) == 95


def statements(node: Node) -> int:
    with reading(node.engine) as session:
        return session.scalar(select(func.count()).select_from(ConsentRow)) or 0


@pytest.mark.long
def test_a_hundred_thousand_rows_are_imported_and_looked_up_quickly(bare_node: Node) -> None:
    with identity_of(bare_node) as identity:
        identity.subjects("lung", [f"\x1fHN-{number:06}" for number in range(100_000)])
    rows = [f"HN-{number:06};given;lung;;2025-12-01" for number in range(100_000)]
    # Time of the processor, because the machine may be busy with something else.
    began = time.process_time()
    done = say(bare_node, *rows)
    assert (done.new, done.here) == (100_000, 100_000)
    assert time.process_time() - began < 40
    with identity_of(bare_node) as identity, reading(bare_node.engine) as session:
        opened = gate(session, "lung", at=bare_node.clock.now())
        began = time.process_time()
        assert len(standings(session, identity, opened)) == 100_000
        assert time.process_time() - began < 4


def test_nothing_is_fetched_of_whom_the_archive_names_and_nobody_admits(bare_node: Node) -> None:
    say(bare_node, "PAT0;given;lung;;2025-12-01")
    archive = filled("LUNG", 12)
    order = PullOrder("archive", "LUNG", "lung", "curator")
    both = frozenset({Capability.FILES, Capability.DESCRIBES})
    report = pull_from(bare_node, order, FakeSource(archive, capabilities=both))
    assert (report.files, archive.asked["fetch"]) == ({"no-consent": 6, "ok": 6}, 6)
    say(bare_node, "PAT1;given;lung;;2025-12-01")
    report = pull_from(bare_node, order, FakeSource(archive, capabilities=both))
    assert (report.files["ok"], archive.asked["fetch"]) == (6, 12)


def test_an_archive_that_cannot_tell_is_asked_for_the_files(bare_node: Node) -> None:
    say(bare_node, "PAT0;given;lung;;2025-12-01")
    archive = filled("LUNG", 12)
    archive.stops["s003"] = SourceFailed("It stumbles.")
    order = PullOrder("archive", "LUNG", "lung", "curator")
    both = frozenset({Capability.FILES, Capability.DESCRIBES})
    report = pull_from(bare_node, order, FakeSource(archive, capabilities=both))
    assert (report.files, archive.asked["fetch"]) == ({"no-consent": 6, "ok": 6}, 12)


def test_the_harvest_of_headers_asks_the_same_gate(bare_node: Node) -> None:
    order = HarvestOrder("archive", "LUNG", "lung", "curator")
    archive = filled("LUNG", 12)
    define_dataset(bare_node, "lungs", project="lung", description=ABOUT)
    with pytest.raises(NoLegalBasis):
        harvest_from(bare_node, order, FakeSource(archive))
    assert archive.asked == {}
    say(bare_node, "PAT0;given;lung;;2025-12-01")
    report = harvest_from(bare_node, order, FakeSource(archive))
    assert report.tally is not None and (report.tally.added, report.tally.left_out) == (6, 6)
    with identity_of(bare_node) as identity:
        assert len(identity.known_subjects("lung")) == 1
    assert described_here(bare_node) == 6
    say(bare_node, "PAT0;withdrawn;*;;2025-12-02", "PAT1;given;lung;;2025-12-01")
    assert described_here(bare_node) == 0
    harvest_from(bare_node, order, FakeSource(archive))
    assert described_here(bare_node) == 6
    say(bare_node, "PAT0;given;*;;2025-12-03")
    harvest_from(bare_node, order, FakeSource(archive))
    assert described_here(bare_node) == 12


def test_what_went_for_another_reason_keeps_it(bare_node: Node) -> None:
    order = HarvestOrder("archive", "LUNG", "lung", "curator")
    archive = filled("LUNG", 12)
    say(bare_node, "PAT0;given;lung;;2025-12-01", "PAT1;given;lung;;2025-12-01")
    harvest_from(bare_node, order, FakeSource(archive))
    archive.remove("LUNG", "s000")
    for _ in range(2):
        harvest_from(bare_node, order, FakeSource(archive))
    say(bare_node, "PAT1;refused;lung;;2025-12-02")
    with reading(bare_node.engine) as session:
        gone = session.scalars(select(SeriesRow.gone).where(SeriesRow.gone.is_not(None))).all()
    assert sorted(gone) == [WITHDRAWN] * 6 + [GoneReason.DELETED.value]


def described_here(node: Node) -> int:
    with reading(node.engine) as session:
        return len(publishable_series(session, "lungs", at=node.clock.now()))
