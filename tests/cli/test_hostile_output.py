"""What others wrote stays a text in a terminal and in a table that an office program opens."""

from __future__ import annotations

import csv
import io
import sys

import pytest
from tests.web.hostile_texts import TEXTS

from fairbank.cli.output import Format, say, show_rows
from fairbank.federated_jobs.hub import measurement_files

ROWS = [{"title": text, "number": -1.5} for text in TEXTS]
CONTROLS = {chr(each) for each in (*range(32), *range(127, 160)) if chr(each) not in "\t\n"}


def test_a_terminal_is_sent_no_control_character(capsys: pytest.CaptureFixture[str]) -> None:
    show_rows(
        [*ROWS, {"title": "[/b] [red]x :smile:", "number": 1}],
        columns=("title", "number"),
        format=Format.TABLE,
    )
    for text in TEXTS:
        say(text)
    out, err = capsys.readouterr()
    assert not CONTROLS & set(out + err)
    assert "\\x1b[2J" in out and "[/b] [red]x :smile:" in out


def test_no_cell_of_a_table_is_a_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO(newline="")
    monkeypatch.setattr(sys, "stdout", written)
    show_rows(ROWS, columns=("title", "number"), format=Format.CSV)
    titles = [row["title"] for row in csv.DictReader(io.StringIO(written.getvalue(), newline=""))]
    assert {each[0] for each in titles} & set("=+-@\t\r") == set()
    assert [each.removeprefix("'") for each in titles] == [each.removeprefix("'") for each in TEXTS]
    assert written.getvalue().count(",-1.5\n") == len(ROWS)


def test_no_cell_of_measurements_is_a_formula() -> None:
    assert measurement_files._cell("=1+1") == "'=1+1"
    assert (measurement_files._cell("-2.5"), measurement_files._cell(-2.5)) == ("-2.5", -2.5)
