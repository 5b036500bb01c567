"""What the documentation says of commands is what the commands are."""

from __future__ import annotations

import importlib.util
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from fairbank.cli.main import NOUNS

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"
# A command in a page stands between backticks, or at the head of an indented line, up to a pipe outside quotes.
_INLINE = re.compile(r"`((?:\w+=\S+ )*fairbank [^`]+)`")
_LINE = re.compile(r"^(?: {4,}\$? ?|\$ )(fairbank (?:\"[^\"\n]*\"|[^|>\"\n])*)", re.M)
_GLOBAL = {"--home": 1, "--hub": 1, "--set": 1, "--version": 0, "--help": 0}


@cache
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("cli_page", REPOSITORY / "tools" / "build_cli_page.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    # Its dataclass looks its module up by name.
    import sys

    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@cache
def verbs() -> dict[str, Any]:
    return {verb.name: verb for verb in tool().verbs()}


@cache
def commands() -> dict[str, list[str]]:
    return {name: tool().options(verb.command) for name, verb in verbs().items()}


def test_the_page_of_commands_is_what_the_code_says() -> None:
    written = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")
    assert written == tool().cli_page(), "run: make docs"


def test_each_command_stands_in_the_table_of_acts_once() -> None:
    listed = [command for _, _, command in tool().ACTS]
    assert sorted(listed) == sorted(commands())


def test_each_act_is_somebody_s() -> None:
    for act, roles, _ in tool().ACTS:
        assert roles and set(roles) <= set(tool().ROLES), act


@pytest.mark.parametrize("name", sorted(commands()))
def test_each_command_has_an_example_that_it_understands(name: str) -> None:
    example = tool().example(verbs()[name].command)
    assert mistake(example) is None
    assert f"fairbank {name}" in without_global_options(example)


@pytest.mark.parametrize(
    "page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.relative_to(DOCS).as_posix()
)
def test_each_command_in_a_page_exists_with_its_options(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    mistakes = [found for line in written(text) if (found := mistake(line))]
    assert mistakes == []


def test_each_command_that_an_error_advises_exists() -> None:
    advised = re.compile(r"(?:'|: |with |at once: |, )(fairbank [a-z-]+(?: [a-z-]+){0,2})(?=['\". ])")
    mistakes = []
    for path in (REPOSITORY / "src").rglob("*.py"):
        for line in path.read_text(encoding="utf-8").splitlines():
            for command in advised.findall(line):
                if "Example:" not in line and (found := mistake(command)):
                    mistakes.append(f"{path.name}: {found}")
    assert mistakes == []


def written(text: str) -> Iterator[str]:
    """Yield the commands of a page, continued lines joined."""
    text = text.replace("\\\n", " ")
    yield from _INLINE.findall(text)
    yield from _LINE.findall(text)


def without_global_options(command: str) -> str:
    words = shlex.split(command)[1:]
    while words and words[0] in _GLOBAL:
        words = words[1 + _GLOBAL[words[0]] :]
    return " ".join(["fairbank", *words])


def mistake(command: str) -> str | None:
    """Return what is wrong with a command of a page, or None."""
    try:
        words = without_global_options(command.partition(" # ")[0]).split()[1:]
    except ValueError as err:
        return f"{command}: {err}"
    words = [word.rstrip(".,;:)") for word in words]
    if not words or not re.fullmatch(r"[a-z-]+", words[0]):
        return None
    nouns = {name.split()[0] for name in commands()}
    if words[0] not in nouns:
        return f"{command}: no such noun"
    verbs = {name.partition(" ")[2] for name in commands() if name.startswith(f"{words[0]} ")}
    words = [words[0], *NOUNS[words[0]].named(words[1:], verbs)]
    # The longest that is a command: some verbs have verbs of their own.
    name = next(
        (known for end in (3, 2, 1) if (known := " ".join(words[:end])) in commands()), " ".join(words[:2])
    )
    if len(words) == 1 and name not in commands():
        return None
    if any(known.startswith(f"{' '.join(words)} ") for known in commands()):
        return None
    if name not in commands() and words[1] not in ("--help", "…"):
        return f"{command}: no such verb"
    known = {*commands().get(name, ()), "--help"}
    unknown = [word.partition("=")[0] for word in words if word.startswith("--")]
    wrong = [word for word in unknown if word not in known]
    return f"{command}: no option {', '.join(wrong)}" if wrong else None
