"""Items spread over processes: the same rows, whoever dies; and nothing is measured twice that was finished."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.analysis.odd_tools import Interrupted, Killing, Noting

from fairbank.analysis.contract import Row
from fairbank.analysis.errors import SchedulerUnreachable, ToolDigestMismatch
from fairbank.analysis.execution import Task, Workers, _measured_by, spread
from fairbank.analysis.journal import Journal
from fairbank.analysis.staged import StagedSeries
from fairbank.analysis.tool import ToolParameters, tool_digest

HERE = Workers()
ITEMS = [StagedSeries(f"u{number}", "p", ()) for number in range(5)]


def made(tool: type[Noting], folder: Path) -> Any:
    (folder / "notes").mkdir()
    return tool(folder / "notes")


def run(tool: Noting, folder: Path, *, workers: Workers = HERE, told: list[float] | None = None) -> list[Row]:
    parameters = ToolParameters()
    task = Task(tool, parameters, folder, folder)
    with Journal(folder / "journal", of="sha256:1") as journal:
        rows = spread(
            task, ITEMS, journal=journal, workers=workers, say=(told if told is not None else []).append
        )
    tool.contract(parameters).check(rows)
    return rows


def expected(*, crashed: str = "") -> list[Row]:
    good = {"status": "ok", "reason": None, "value": 2}
    bad = {"status": "error", "reason": "crashed", "value": None}
    return [{"row": item.unit, **(bad if item.unit == crashed else good)} for item in ITEMS]


def test_one_after_the_other_tells_how_far_it_is(tmp_path: Path) -> None:
    told: list[float] = []
    tool = made(Noting, tmp_path)
    assert run(tool, tmp_path, told=told) == expected()
    assert told[0] == 0.0 and told[-1] == 1.0 and told == sorted(told) and 0.1 in told
    assert set(tool.measured().values()) == {1}


def test_an_item_that_kills_its_process_costs_one_row_and_the_others_are_measured(tmp_path: Path) -> None:
    tool = made(Killing, tmp_path)
    assert run(tool, tmp_path, workers=Workers(2)) == expected(crashed="u1")
    assert tool.measured()["u1"] == 2


def test_a_run_that_was_broken_off_measures_nothing_again_that_was_finished(tmp_path: Path) -> None:
    tool = made(Interrupted, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run(tool, tmp_path)
    assert tool.measured() == {"u0": 1, "u1": 1, "u2": 1}
    assert run(tool, tmp_path) == expected()
    assert tool.measured() == {"u0": 1, "u1": 1, "u2": 2, "u3": 1, "u4": 1}


def test_an_item_that_killed_the_whole_run_is_tried_again_alone(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal", of="sha256:1") as journal:
        journal.begin("u1")
    assert run(made(Killing, tmp_path), tmp_path) == expected(crashed="u1")


def test_a_cluster_measures_the_same(tmp_path: Path) -> None:
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=1, processes=False, protocol="tcp", host="127.0.0.1", dashboard_address=":0"
    ) as cluster:
        workers = Workers(scheduler=cluster.scheduler_address)
        assert run(made(Noting, tmp_path), tmp_path, workers=workers) == expected()


def test_a_worker_with_other_code_that_joins_later_measures_nothing(tmp_path: Path) -> None:
    tool = made(Noting, tmp_path)
    task = Task(tool, ToolParameters(), tmp_path, tmp_path)
    assert _measured_by(task, tool_digest(tool.name), ITEMS[0])
    with pytest.raises(ToolDigestMismatch):
        _measured_by(task, "sha256:" + "0" * 64, ITEMS[0])


def test_a_scheduler_that_does_not_answer_is_said(tmp_path: Path, free_port: int, monkeypatch: Any) -> None:
    monkeypatch.setattr("fairbank.analysis.execution.CONNECT_S", 0.2)
    with pytest.raises(SchedulerUnreachable, match="does not answer"):
        run(made(Noting, tmp_path), tmp_path, workers=Workers(scheduler=f"tcp://127.0.0.1:{free_port}"))


ROWS: list[Row] = [{"row": "u0", "status": "ok", "value": 1.5}]


def test_a_journal_is_taken_up_where_a_kill_left_it(tmp_path: Path) -> None:
    file = tmp_path / "journal"
    with Journal(file, of="sha256:1") as first:
        first.begin("u0")
        first.finish("u0", ROWS)
        first.begin("u1")
    sound = file.read_bytes()
    file.write_bytes(sound + b'{"done":"u1","ro')
    with Journal(file, of="sha256:1") as second:
        assert (second.rows, second.begun) == ({"u0": ROWS}, {"u1"})
        second.finish("u1", [])
    with Journal(file, of="sha256:1") as third:
        assert (third.rows, third.begun) == ({"u0": ROWS, "u1": []}, set())


@pytest.mark.parametrize("spoilt", [b"", b"\xff\xfe\n", b'{"schema":"journal/1","of":"sha256:2"}\n', b"[]\n"])
def test_a_journal_of_something_else_is_begun_anew(tmp_path: Path, spoilt: bytes) -> None:
    file = tmp_path / "journal"
    file.write_bytes(spoilt + b'{"done":"u0","rows":[]}\n')
    with Journal(file, of="sha256:1") as journal:
        assert journal.rows == {}
        journal.finish("u0", ROWS)
    with Journal(file, of="sha256:1") as again:
        assert again.rows == {"u0": ROWS}


def test_lines_that_make_no_sense_end_what_is_believed(tmp_path: Path) -> None:
    file = tmp_path / "journal"
    for nonsense in (b"7\n", b'"u1"\n', b'{"done":"u1"}\n', b'{"done":"u1","rows":7}\n', b"\x00\n"):
        with Journal(tmp_path / "journal", of="sha256:1") as journal:
            journal.finish("u0", ROWS)
        file.write_bytes(file.read_bytes() + nonsense + b'{"done":"u2","rows":[]}\n')
        with Journal(file, of="sha256:1") as again:
            assert again.rows == {"u0": ROWS}
        file.unlink()
