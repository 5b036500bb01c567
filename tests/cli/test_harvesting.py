"""Harvesting as it is typed: sources, dry runs, runs, status, deletions that are held."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.deid.conftest import as_file
from tests.harvest.fakes import header, series_of

Run = Callable[..., Any]
TARGET = ("archive", "LUNG", "--project", "lung")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A folder with thirty series in one project."""
    root = tmp_path / "dicom"
    (root / "LUNG").mkdir(parents=True)
    for number in range(30):
        (root / "LUNG" / f"{number:02}.dcm").write_bytes(as_file(header(series_of(number))))
    return root


@pytest.fixture
def node(fairbank: Run, archive: Path) -> Run:
    fairbank("node", "init", "--name", "biobank-a").ok()
    fairbank("node", "source", "add", "archive", archive, "--kind", "folder").ok()
    fairbank("node", "consent", "basis", "lung", "anonymous-data", "--note", "made up").ok()
    return fairbank


def fields(shown: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(shown.out)
    return found


def test_a_dry_run_says_what_a_run_then_does(node: Run) -> None:
    rehearsed = fields(node("harvest", "run", *TARGET, "--dry-run", "--format", "json").ok())
    assert (rehearsed["new"], rehearsed["complete"]) == (30, True)
    assert node("harvest", "status").ok().err == "Nothing was harvested yet.\n"
    report = fields(node("harvest", "run", *TARGET, "--format", "json").ok())
    assert (report["added"], report["series ok"], report["missing since last time"]) == (30, 30, 0)
    again = fields(node("harvest", "run", *TARGET, "--format", "json").ok())
    assert (again["unchanged"], again["series notneeded"]) == (30, 30)


def test_the_status_tells_how_each_container_stands(node: Run, archive: Path) -> None:
    node("harvest", "run", *TARGET).ok()
    (archive / "LUNG" / "07.dcm").unlink()
    node("harvest", "run", *TARGET).ok()
    (found,) = json.loads(node("harvest", "status", "--format", "json").ok().out)
    assert (found["live"], found["missing"], found["deletions held"], found["way"]) == (29, 1, 0, "harvest")
    node("harvest", "run", *TARGET).ok()
    (found,) = json.loads(node("harvest", "status", "--format", "json").ok().out)
    assert (found["missing"], found["gone"]) == (0, {"deleted": 1})


def test_deletions_that_are_held_wait_for_a_word(node: Run, archive: Path) -> None:
    node("harvest", "run", *TARGET).ok()
    node("harvest", "approve-deletions", *TARGET).refused("FB-HARV-024")
    for number in range(10):
        (archive / "LUNG" / f"{number:02}.dcm").unlink()
    node("harvest", "run", *TARGET).ok()
    held = node("harvest", "run", *TARGET).ok()
    assert "approve-deletions" in held.err
    node("harvest", "approve-deletions", *TARGET).ok()
    assert fields(node("harvest", "run", *TARGET, "--format", "json").ok())["gone, deleted"] == 10


def test_a_container_that_is_no_longer_shown_is_told_of(node: Run, archive: Path) -> None:
    node("harvest", "run", *TARGET).ok()
    shutil.rmtree(archive / "LUNG")
    lost = node("harvest", "run", *TARGET)
    assert (lost.code, "Nothing was deleted" in lost.err) == (1, True)


def test_a_pull_can_be_rehearsed(node: Run) -> None:
    rehearsed = fields(node("harvest", "pull", *TARGET, "--dry-run", "--format", "json").ok())
    assert rehearsed["new"] == 30
    assert node("harvest", "status").ok().err == "Nothing was harvested yet.\n"


def test_sources_are_listed_tried_and_forgotten(node: Run, archive: Path) -> None:
    (listed,) = json.loads(node("node", "source", "list", "--format", "json").ok().out)
    assert (listed["name"], listed["kind"], listed["options"]) == ("archive", "folder", {})
    assert json.loads(node("node", "source", "check", "archive", "--format", "json").ok().out) == [
        {"project": "LUNG", "title": "LUNG"}
    ]
    node("harvest", "run", *TARGET).ok()
    assert "30 series" in node("node", "source", "remove", "archive").ok().err
    node("node", "source", "check", "archive").refused("FB-HARV-008")


def test_kinds_are_listed_with_their_options(node: Run) -> None:
    rows = json.loads(node("node", "source", "list", "--kinds", "--format", "json").ok().out)
    assert {"xnat", "folder"} <= {row["kind"] for row in rows}
    assert all(row["meaning"] for row in rows)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--kind", "attic"), "'attic' is not one of"),
        (("--kind", "folder", "--option", "colour"), "is not NAME=VALUE"),
        (("--kind", "folder", "--option", "a=1", "--option", "a=2"), "given twice"),
        (("--kind", "folder", "--option", "colour=red"), "has no option 'colour'"),
    ],
)
def test_what_a_kind_does_not_take_is_refused(
    node: Run, archive: Path, words: tuple[str, ...], said: str
) -> None:
    node("node", "source", "add", "other", archive, *words).refused(said, code=2)


def test_full_and_changes_only_exclude_each_other(node: Run) -> None:
    node("harvest", "run", *TARGET, "--full", "--changes-only").refused("exclude each other", code=2)
