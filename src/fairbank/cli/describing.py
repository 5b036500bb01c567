"""The questions of `fairbank dataset describe`: one field after the other, each answer checked at once."""

from __future__ import annotations

import sys
from typing import Any, Final

import typer

from fairbank.cli.errors import NoTerminal
from fairbank.cli.output import say
from fairbank.errors import FairbankError
from fairbank.harvest.datasets import describe_dataset, stewardship_of
from fairbank.ontology.profiles import asking
from fairbank.ontology.profiles.asking import Question
from fairbank.ontology.profiles.curator_file import checked
from fairbank.ontology.profiles.listing import PROFILES, profile_named
from fairbank.release.node import Node

_NOTHING: Final = "-"


def ask(node: Node, name: str, *, profile: str, optional: bool) -> None:
    """Ask the curator, and keep the answers; also those that were given before Ctrl-C.

    Raises:
        UnknownDataset: if there is no such dataset.
        UnknownProfile: if there is no such profile.
        NoTerminal: if nobody can answer.
    """
    said = stewardship_of(node, name).model_dump(mode="json")
    profiles = [profile_named(profile)] if profile else list(PROFILES.values())
    if not sys.stdin.isatty():
        raise NoTerminal(
            "Nobody can be asked, because this is not a terminal.",
            why="Without a file, 'fairbank dataset describe' asks for one field after the other.",
            todo="Fill in a file: --template prints one, --from FILE reads it.",
        )
    questions = asking.questions(profiles, optional=optional)
    say(f"{len(questions)} questions. Enter keeps what is in brackets, '{_NOTHING}' empties it, Ctrl-C ends.")
    try:
        for number, question in enumerate(questions, start=1):
            form = f" ({question.form})" if question.form else ""
            say(f"\n{number}/{len(questions)} {question.text}{form}\n   {question.wanted}")
            _ask_one(question, said)
    except (KeyboardInterrupt, typer.Abort):
        say("\nWhat was answered so far is kept.")
    describe_dataset(node, name, checked(said))


def _ask_one(question: Question, said: dict[str, Any]) -> None:
    while True:
        before = said.get(question.field)
        try:
            if question.parts:
                old = before or {}
                given = {part: _prompt(f"{question.field}.{part}", old.get(part)) for part in question.parts}
                answer: str | dict[str, str] = {
                    part: text for part, text in given.items() if text not in ("", _NOTHING)
                }
            else:
                text = _prompt(question.field, before)
                answer = "" if text == _NOTHING else text
            if answer:
                said[question.field] = asking.understood(question, answer)
            else:
                said.pop(question.field, None)
        except FairbankError as err:
            say(f"{err.code} {err}")
            continue
        return


def _prompt(name: str, before: Any) -> str:
    default = asking.as_answer(before)
    answer: str = typer.prompt(name, default=default, show_default=bool(default))
    return answer.strip()
