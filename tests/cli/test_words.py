"""What is typed: help, mistakes of the person who types, settings and where they come from, formats."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer

from fairbank.cli.main import NOUNS

Run = Callable[..., Any]


@cache
def verbs(noun: str) -> tuple[str, ...]:
    """Return the verbs of a noun; none if the noun is a command itself."""
    top = typer.main.get_command(import_module(NOUNS[noun].module).app)
    return tuple(getattr(top, "commands", ()))


def commands(command: Any, *words: str) -> Iterator[tuple[str, ...]]:
    """Yield every command below one; some verbs have verbs of their own."""
    below = getattr(command, "commands", {})
    for verb, one in below.items():
        yield from commands(one, *words, verb)
    if not below:
        yield words


COMMANDS = [
    words
    for noun in NOUNS
    for words in commands(typer.main.get_command(import_module(NOUNS[noun].module).app), noun)
]


def test_help_lists_every_noun(fairbank: Run) -> None:
    shown = fairbank("--help").ok().out
    assert [noun for noun in NOUNS if noun not in shown] == []


@pytest.mark.parametrize("noun", sorted(noun for noun in NOUNS if verbs(noun)))
def test_help_of_a_noun_lists_every_verb(fairbank: Run, noun: str) -> None:
    shown = fairbank(noun, "--help").ok().out
    assert [verb for verb in verbs(noun) if verb not in shown] == []


@pytest.mark.parametrize("command", sorted(COMMANDS), ids=" ".join)
def test_help_of_a_command_shows_an_example(fairbank: Run, command: tuple[str, ...]) -> None:
    shown = fairbank(*command, "--help").ok().out
    assert "Example: fairbank " in shown
    assert " ".join(command) in " ".join(shown.split("Example: ")[1].split())


def test_the_version_is_told(fairbank: Run) -> None:
    assert fairbank("--version").ok().out.startswith("fairbank ")


# -- mistakes ------------------------------------------------------------------------------------------------------


def test_an_unknown_noun_is_refused(fairbank: Run) -> None:
    fairbank("frobnicate").refused("No such command 'frobnicate'", "fairbank --help", code=2)


@pytest.mark.parametrize("noun", sorted(noun for noun in NOUNS if verbs(noun)))
def test_an_unknown_verb_is_refused(fairbank: Run, noun: str) -> None:
    fairbank(noun, "frobnicate").refused("No such command 'frobnicate'", f"fairbank {noun} --help", code=2)


@pytest.mark.parametrize("command", sorted(COMMANDS), ids=" ".join)
def test_an_unknown_option_is_refused(fairbank: Run, command: tuple[str, ...]) -> None:
    fairbank(*command, "--frobnicate").refused("No such option: --frobnicate", "--help", code=2)


def test_a_setting_that_does_not_exist_is_refused(fairbank: Run) -> None:
    fairbank("--set", "hub_prot=1", "config", "show").refused(
        "FB-CORE-001", "There is no setting 'hub_prot'", "Did you mean hub_port?", code=2
    )


def test_a_setting_without_a_value_is_refused(fairbank: Run) -> None:
    fairbank("--set", "hub_port", "config", "show").refused("is not NAME=VALUE", code=2)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("hub_port=x", "must be a whole number"),
        ("release_minimum_count=0", "must be 1 or more"),
        ("sandbox_mode=lax", "must be one of strict, permissive"),
    ],
)
def test_a_setting_out_of_its_range_is_refused(fairbank: Run, given: str, why: str) -> None:
    fairbank("--set", given, "config", "show").refused("FB-CORE-001", why, code=2)


def test_a_format_that_does_not_exist_is_refused(fairbank: Run) -> None:
    fairbank("tool", "list", "--format", "xml").refused("'xml'", "'table', 'json', 'csv'", code=2)


def test_a_date_that_is_none_is_refused(fairbank: Run) -> None:
    fairbank("review", "approve", "x", "--until", "tomorrow").refused("'tomorrow'", "%Y-%m-%d", code=2)


def test_a_query_is_given_once(fairbank: Run) -> None:
    fairbank("sparql").refused("give either a query or --file", code=2)


def test_a_parameter_without_a_value_is_refused() -> None:
    from fairbank.web.acts import UnknownParameterForm, parameters_from

    with pytest.raises(UnknownParameterForm, match="is not NAME=VALUE"):
        parameters_from(["width"])


def test_a_tool_that_does_not_exist_is_refused_with_those_that_do(fairbank: Run) -> None:
    fairbank("tool", "show", "crystal-ball").refused("FB-JOBS-014", "slice-autoencoder")


def test_a_settings_file_with_a_mistake_names_its_line(fairbank: Run, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "fairbank.toml").write_text("[hub\n")
    fairbank("config", "show").refused("FB-CORE-001", "line 1", code=2)


# -- settings ------------------------------------------------------------------------------------------------------


def test_each_setting_says_where_it_came_from(
    fairbank: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "fairbank.toml").write_text('[hub]\nhost = "0.0.0.0"\nport = 1\n')
    monkeypatch.setenv("FAIRBANK_HUB_PORT", "2")
    monkeypatch.setenv("FAIRBANK_SPARQL_WORKERS", "3")
    shown = fairbank("--set", "sparql_workers=4", "config", "show", "--format", "json").ok().out
    rows = {row["name"]: (row["value"], row["origin"]) for row in json.loads(shown)}
    assert rows["hub_url"][1] == "default"
    assert rows["hub_host"] == ("0.0.0.0", "file fairbank.toml")
    assert rows["hub_port"] == ("2", "environment FAIRBANK_HUB_PORT")
    assert rows["sparql_workers"] == ("4", "flag")
    assert rows["home"] == (str(tmp_path / "home"), "flag")


def test_the_table_the_json_and_the_csv_say_the_same(fairbank: Run) -> None:
    parsed = json.loads(fairbank("config", "show", "--format", "json").ok().out)
    rows = list(csv.DictReader(io.StringIO(fairbank("config", "show", "--format", "csv").ok().out)))
    assert rows == [{key: str(value) for key, value in row.items()} for row in parsed]
    table = fairbank("config", "show").ok().out
    assert all(row["name"] in table for row in parsed)


@pytest.mark.parametrize("format", ["json", "csv"])
def test_tools_are_listed_for_programs(fairbank: Run, format: str) -> None:
    out = fairbank("tool", "list", "--format", format).ok().out
    rows = json.loads(out) if format == "json" else list(csv.DictReader(io.StringIO(out)))
    assert {"intensity-geometry", "slice-autoencoder"} <= {row["name"] for row in rows}


# -- the process ---------------------------------------------------------------------------------------------------


def test_the_reader_of_the_output_may_stop_reading() -> None:
    shown = subprocess.run(
        f"{sys.executable} -m fairbank config show --format csv | head -1",
        shell=True, capture_output=True, text=True, executable="/bin/bash",
    )  # fmt: skip
    assert shown.stdout.startswith("name,value") and "Traceback" not in shown.stderr
