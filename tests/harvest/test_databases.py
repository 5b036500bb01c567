"""The same harvests on SQLite and PostgreSQL: upserts, the order of ids, tombstones, access lost and back."""

from __future__ import annotations

import dataclasses
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import select as sql_select
from tests.harvest.fakes import FakeArchive, FakeSource, series_of

from fairbank.clock import FixedClock
from fairbank.database import reading
from fairbank.harvest.bookkeeping import Route, known_items
from fairbank.harvest.consent import LegalBasis
from fairbank.harvest.consent_import import ConsentImport, import_consents
from fairbank.harvest.consent_table import Reading, read_consents
from fairbank.harvest.header_harvest import HarvestOrder, harvest_from
from fairbank.harvest.index import publishable
from fairbank.harvest.legal_basis import record_basis
from fairbank.harvest.reports import Tally
from fairbank.harvest.sources.opening import add_source
from fairbank.harvest.sources.protocol import SourceKind
from fairbank.harvest.status import approve_deletions, remove_source, statuses
from fairbank.harvest.store import SeriesRow
from fairbank.release.node import Node, init_node
from fairbank.settings import Settings

ORDER = HarvestOrder("archive", "LUNG", "lung", "curator")
ROUTE = Route("archive", "LUNG", "lung")
# A database that sorts as a dictionary of a language does would put these otherwise.
IDS = ("B", "a", "_", "é", "Z", "-", "aa", "A", "ä", "\U0001f980", "z 1", "z1", "10", "9", "ﬀ")


@pytest.fixture
def node(tmp_path: Path, database_url: str) -> Node:
    chosen = dataclasses.replace(
        Settings(), home=tmp_path / "home", node_database=database_url, harvest_page_items=4
    )
    made = init_node(chosen, FixedClock(), name="biobank-a")
    say(made, *(f"PAT{number};given" for number in range(3)), day="2025-12-01")
    return made


def say(node: Node, *rows: str, day: str) -> ConsentImport:
    """Import what subjects say of the project on a day."""
    text = "patient;status\n" + "".join(f"{row}\n" for row in rows)
    recorded = date.fromisoformat(day)
    lines = read_consents(text, Reading(scope="lung", recorded=recorded), today=recorded)
    return import_consents(node, lines, by="tests", page=2)


def run(node: Node, archive: FakeArchive, **more: object) -> Tally:
    report = harvest_from(node, dataclasses.replace(ORDER, **more), FakeSource(archive))  # type: ignore[arg-type]
    assert report.tally is not None
    return report.tally


def states(node: Node) -> list[str]:
    with reading(node.engine) as session:
        return sorted(session.scalars(sql_select(SeriesRow.state)))


def test_a_collection_is_harvested_through_its_life(node: Node) -> None:
    archive = FakeArchive()
    for number, local_id in enumerate(IDS):
        archive.put("LUNG", local_id, series_of(number))
    add_source(node, "archive", kind=SourceKind.FOLDER, location="/nowhere")
    assert run(node, archive).added == len(IDS)
    assert run(node, archive).unchanged == len(IDS)
    with reading(node.engine) as session:
        assert [known.local_id for known in known_items(session, ROUTE)] == sorted(IDS)
    archive.change("LUNG", "é", modality="MR")
    archive.put("HEART", "Z", archive.remove("LUNG", "Z"))
    assert (run(node, archive).updated, run(node, archive, container="HEART").added) == (1, 1)
    assert run(node, archive).tombstoned == {"moved": 1}
    for local_id in ("a", "A", "_"):
        archive.remove("LUNG", local_id)
    assert (run(node, archive).missing, run(node, archive).held) == (3, 3)
    assert approve_deletions(node, ROUTE) == 3
    assert run(node, archive).tombstoned == {"deleted": 3}
    assert states(node) == ["live"] * 12 + ["tombstoned"] * 3
    archive.private.add("LUNG")
    assert [run(node, archive).lost for _ in range(3)] == [11, 11, 0]
    assert states(node) == ["live"] + ["missing"] * 11 + ["tombstoned"] * 3
    archive.private.clear()
    assert run(node, archive).returned == 11
    assert run(node, archive, full=True).unchanged == 11
    assert [(one.live, one.tombstoned) for one in statuses(node)] == [
        (1, {}),
        (11, {"deleted": 3, "moved": 1}),
    ]
    done = say(node, "PAT1;withdrawn", "PAT2;refused", day="2025-12-02")
    assert (done.new, done.known, done.here, done.series_out) == (2, 0, 2, 8)
    assert (say(node, "PAT1;withdrawn", day="2025-12-02").new, states(node).count("live")) == (0, 4)
    assert publishable_here(node) == 4
    record_basis(node, "lung", LegalBasis.CONSENT_WAIVED, note="waived", by="tests")
    assert (run(node, archive).left_out, publishable_here(node)) == (8, 4)
    assert remove_source(node, "archive") == 4


def publishable_here(node: Node) -> int:
    with reading(node.engine) as session:
        chosen = publishable(session, "lung", at=node.clock.now())
        return len(session.scalars(sql_select(SeriesRow.series_uid).where(chosen)).all())
