"""`kill -9` in the middle of a harvest: run again, the index and what a hub exports are the same to the byte."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select as sql_select
from tests.harvest.fakes import FEED, FakeSource
from tests.harvest.killed_harvest import (
    ORDER,
    OTHER,
    archive_at,
    begin,
    moment,
    settings_of,
    third_run,
)

from fairbank.catalogue import export, records
from fairbank.catalogue.context import init_hub
from fairbank.catalogue.negotiation import ExportFormat
from fairbank.catalogue.store import NodeRow
from fairbank.clock import FixedClock
from fairbank.database import reading, writing
from fairbank.harvest.header_harvest import harvest_from
from fairbank.harvest.index_dump import index_dump
from fairbank.harvest.publishing import preview
from fairbank.harvest.reports import RunState
from fairbank.harvest.store import RunRow
from fairbank.ontology.record import DatasetRecord
from fairbank.release.node import Node, open_node
from fairbank.settings import Settings
from fairbank.signing import seal

REPOSITORY = Path(__file__).resolve().parents[2]
_TIMES = frozenset({"created", "started", "ended", "at"})
_MOMENT = "2026-01-01T00:00:00.000Z"


def exported(node: Node, folder: Path) -> bytes:
    """Return the canonical export of a new hub that has the node's record; all its moments are one."""
    said = _at_one_moment(preview(node, "lungs").record.payload())
    envelope = seal(DatasetRecord.kind, said, node.key)
    record, sealed = DatasetRecord.open(envelope, trusted=[node.key.key_id])
    hub = init_hub(Settings(home=folder), FixedClock(), public_base_iri="http://hub.test")
    with writing(hub.engine) as session:
        now = hub.clock.now()
        session.add(NodeRow(name=node.name, key_id=node.key.key_id, title="", enrolled=now, last_seen=now))
        session.flush()
        records.publish(session, hub, record, sealed)
    with reading(hub.engine) as session:
        quads = export.canonical(export.published_quads(session, hub.base_iri), hub.base_iri)
        content = export.written(quads, ExportFormat.NQUADS)
    hub.queries.close()
    hub.engine.dispose()
    return content


def _at_one_moment(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _MOMENT if key in _TIMES else _at_one_moment(inner) for key, inner in value.items()}
    return [_at_one_moment(one) for one in value] if isinstance(value, list) else value


def finish(home: Path, seed: int) -> Node:
    """Run again what was killed, as a schedule would; what had come to its end is not run twice."""
    node = open_node(settings_of(home), FixedClock(moment(seed) + timedelta(hours=1)))
    for order in (ORDER, OTHER):
        with reading(node.engine) as session:
            query = sql_select(RunRow.state).where(
                RunRow.container == order.container, RunRow.started >= moment(seed)
            )
            states = session.scalars(query).all()
        if RunState.FINISHED.value not in states:
            harvest_from(node, order, FakeSource(archive_at(seed, 2), capabilities=FEED))
    return node


def kill_at(home: Path, seed: int, step: int, *, tried: int = 0) -> None:
    """Start the third harvest in a process of its own, which kills itself at a step."""
    command = [
        sys.executable,
        "-m",
        "tests.harvest.killed_harvest",
        str(home),
        str(seed),
        str(step),
        str(tried),
    ]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, timeout=120)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()[-2000:]


def kill_and_compare(tmp_path: Path, seed: int, kills: int) -> None:
    begin(tmp_path / "base", seed)
    shutil.copytree(tmp_path / "base", tmp_path / "whole")
    steps = [0]

    def count() -> None:
        steps[0] += 1

    third_run(tmp_path / "whole", seed, moment(seed), count)
    whole = open_node(settings_of(tmp_path / "whole"), FixedClock(moment(seed)))
    expected, expected_export = index_dump(whole, "lung"), exported(whole, tmp_path / "hub")
    assert b"seriesCount" in expected_export
    chance = random.Random(seed)
    for number in range(kills):
        home = tmp_path / f"killed-{number}"
        shutil.copytree(tmp_path / "base", home)
        # Each part of the run has its turn.
        step = chance.randrange(steps[0] * number // kills, steps[0] * (number + 1) // kills)
        kill_at(home, seed, step)
        node = finish(home, seed)
        assert index_dump(node, "lung") == expected, f"seed {seed}, step {step} of {steps[0]}"
        seen = exported(node, tmp_path / f"hub-{number}")
        assert seen == expected_export, f"seed {seed}, step {step} of {steps[0]}"
        node.engine.dispose()


# An even seed has everything described again, an odd one only what changed.
@pytest.mark.parametrize(("seed", "kills"), [(0, 3), (1, 2)])
def test_a_killed_harvest_that_is_run_again_ends_the_same(tmp_path: Path, seed: int, kills: int) -> None:
    kill_and_compare(tmp_path, seed, kills)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 12))
def test_fifty_killed_harvests_end_the_same(tmp_path: Path, seed: int) -> None:
    kill_and_compare(tmp_path, seed, kills=5)


@pytest.mark.long
def test_a_run_killed_several_times_in_a_row_still_ends_the_same(tmp_path: Path) -> None:
    seed = 100
    begin(tmp_path / "base", seed)
    shutil.copytree(tmp_path / "base", tmp_path / "killed")
    third_run(tmp_path / "base", seed, moment(seed))
    expected = index_dump(open_node(settings_of(tmp_path / "base"), FixedClock(moment(seed))), "lung")
    for tried, step in enumerate((40, 90, 150)):
        kill_at(tmp_path / "killed", seed, step, tried=tried)
    assert index_dump(finish(tmp_path / "killed", seed), "lung") == expected
