"""`fairbank deid reidentify`, `person` and `links`: two named persons, one id, once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from fairbank.cli.output import Format, FormatOption, say, show_rows
from fairbank.cli.persons import As, PhraseFile, own_key, signer
from fairbank.cli.prompts import password, read_text
from fairbank.cli.session import CLOCK, node

if TYPE_CHECKING:
    from fairbank.deid.reidentification import Office


class AskByDefault(TyperGroup):
    """A group whose `ask` is meant where no verb is named: `reidentify PROJECT PSEUDONYM …`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Resolve the words to a verb."""
        return super().resolve_command(ctx, args if args[0] in self.commands else ["ask", *args])


app = typer.Typer(
    no_args_is_help=True, help="Find out whose pseudonym it is: one asks, another countersigns."
)
persons = typer.Typer(no_args_is_help=True, help="Name the persons who may ask and countersign.")
links = typer.Typer(
    no_args_is_help=True, help="Keep original ids of a project's subjects, encrypted, or not."
)
_PROJECT = typer.Argument(help="Project of the research store.")
_REQUEST = typer.Argument(help="The request's id.")
_KEY = typer.Option("--key", help="Your own key file, made with `fairbank deid person key`.", exists=True)
_PASSPHRASE = typer.Option(help="File of mode 0600 with the key's passphrase; asked for by default.")


@persons.command("key")
def make_key(
    file: Annotated[
        Path, typer.Argument(help="File to write; it must not exist. Keep it where only you are.")
    ],
    passphrase_file: Annotated[Path | None, _PASSPHRASE] = None,
) -> None:
    """Make a key of your own under a passphrase, and print its id, by which you are named at the node.

    Example: fairbank deid person key ada.pem
    """
    from fairbank.signing import SigningKey

    phrase = password(passphrase_file, confirm=True)
    if not phrase:
        raise typer.BadParameter("the passphrase is empty")
    key = SigningKey.generate()
    key.save(file, passphrase=phrase)
    sys.stdout.write(f"{key.key_id}\n")


@persons.command("add")
def add_person(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of the person's account.")],
    key_id: Annotated[str, typer.Argument(help="The id of the person's key.")],
    as_: As = "",
    passphrase_file: PhraseFile = None,
) -> None:
    """Name a person who keeps the key elsewhere, and may ask for and countersign re-identifications.

    Example: fairbank deid person add ada ed25519:9D3rQ1o2bX0S6cYd3m4kq7yPz1vT5uW8aB2cE4fG6hI
    """
    from fairbank.deid.reidentification import name_person

    with _office(ctx) as office:
        person = name_person(office, name, key_id, by=signer(node(ctx), as_, passphrase_file))
    say(f"{person.name} may ask and countersign from now on.")


@persons.command("remove")
def remove_person(
    ctx: typer.Context, name: Annotated[str, typer.Argument(help="The person's name.")]
) -> None:
    """Let a person ask and countersign no more; what the person signed and is still open no longer counts.

    Example: fairbank deid person remove ada
    """
    from fairbank.deid.reidentification import remove_person as remove

    with _office(ctx) as office:
        remove(office, name)
    say("Removed.")


@persons.command("list")
def list_people(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """List the persons who may, or could once, ask and countersign.

    Example: fairbank deid person list
    """
    with _office(ctx) as office:
        rows = [
            {"name": one.name, "key": one.key_id, "named": one.named_at, "removed": one.removed_at}
            for one in office.identity.desk.people()
        ]
    show_rows(rows, columns=("name", "key", "named", "removed"), format=format, empty="Nobody is named.")


@links.command()
def enable(ctx: typer.Context, project: Annotated[str, _PROJECT]) -> None:
    """Keep original ids of a project's subjects from now on: encrypted, and erased when a subject withdraws.

    Example: fairbank deid links enable thorax
    """
    with _office(ctx) as office:
        office.identity.keep_links(project, clock=CLOCK)
        _record(office, "links.enable", project)
    say("Links are kept of every subject that the project meets from now on, known ones too.")


@links.command()
def disable(ctx: typer.Context, project: Annotated[str, _PROJECT]) -> None:
    """Keep no original ids of a project's subjects any more, and erase those there are.

    Example: fairbank deid links disable thorax
    """
    with _office(ctx) as office:
        erased = office.identity.drop_links(project)
        _record(office, "links.disable", project)
    say(f"Erased {erased} links.")


@app.command()
def ask(
    ctx: typer.Context,
    project: Annotated[str, _PROJECT],
    pseudonym: Annotated[str, typer.Argument(help="The pseudonym.")],
    reason: Annotated[
        str, typer.Option(help="incidental-finding, recontact, withdrawal, correction or legal-duty.")
    ],
    key: Annotated[Path | None, _KEY] = None,
    as_: As = "",
    passphrase_file: PhraseFile = None,
) -> None:
    """Ask whose pseudonym it is; prints the id of the request, which another person has to countersign.

    Example: fairbank deid reidentify ask thorax K7Q2M4X6B3N5P8R1 --reason incidental-finding --as ada
    """
    from fairbank.deid.reidentification import Cause
    from fairbank.deid.reidentification import ask as ask_for

    words = [one.value for one in Cause]
    if reason not in words:
        raise typer.BadParameter(f"{reason!r} is not one of {', '.join(words)}")
    with _office(ctx) as office:
        asked = ask_for(
            office, project, pseudonym, Cause(reason), key=own_key(node(ctx), as_, key, passphrase_file)
        )
    sys.stdout.write(f"{asked.id}\n")
    say(f"Another named person has to countersign before {asked.expires}.")


@app.command()
def approve(
    ctx: typer.Context,
    request: Annotated[str, _REQUEST],
    key: Annotated[Path | None, _KEY] = None,
    as_: As = "",
    passphrase_file: PhraseFile = None,
) -> None:
    """Countersign another person's request.

    Example: fairbank deid reidentify approve 01a1fdee-cff5-7f63-b5f0-d16d1d20c888 --as ben
    """
    from fairbank.deid.reidentification import approve as countersign

    with _office(ctx) as office:
        countersign(office, request, key=own_key(node(ctx), as_, key, passphrase_file))
    say("Countersigned. The person who asked can see the answer, once.")


@app.command()
def show(
    ctx: typer.Context,
    request: Annotated[str, _REQUEST],
    key: Annotated[Path | None, _KEY] = None,
    as_: As = "",
    candidates: Annotated[
        str,
        typer.Option(help="File with ids of whom it may be one, one per line, or -; where no link is kept."),
    ] = "",
    issuer: Annotated[
        str, typer.Option(help="Issuer of the candidates' ids, where the files name one.")
    ] = "",
    passphrase_file: Annotated[Path | None, _PASSPHRASE] = None,
) -> None:
    """Show the original id to the person who asked, at a terminal, once.

    Example: fairbank deid reidentify show 01a1fdee-cff5-7f63-b5f0-d16d1d20c888 --as ada
    """
    from fairbank.deid.errors import NotATerminal
    from fairbank.deid.pseudonyms import subject_value
    from fairbank.deid.reidentification import show as show_to

    if not _at_a_terminal():
        raise NotATerminal(
            "An original id is shown at a terminal only.",
            why="In a file or a pipe it would stay, and others could read it.",
            todo="Give the command at a terminal, without redirecting its output.",
        )
    lines = read_text(candidates).splitlines() if candidates else []
    values = [subject_value(line, issuer) for line in lines if line.strip()]
    with _office(ctx) as office:
        found = show_to(office, request, key=own_key(node(ctx), as_, key, passphrase_file), candidates=values)
    named_by, _, patient_id = found.reveal().partition("\x1f")
    if named_by == "study":
        sys.stdout.write(f"{patient_id} (the files name no patient; this is the study's UID)\n")
    else:
        sys.stdout.write(f"{patient_id}{f' (issuer {named_by})' if named_by else ''}\n")


@app.command("list")
def list_requests(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """List the requests: who asked, why, who countersigned, and how they stand.

    Example: fairbank deid reidentify list
    """
    from dataclasses import asdict

    from fairbank.deid.reidentification import requests

    with _office(ctx) as office:
        rows = [asdict(one) for one in requests(office)]
    columns = ("id", "project", "pseudonym", "cause", "asked_by", "approved_by", "expires", "state")
    show_rows(rows, columns=columns, format=format, empty="Nobody asked.")


@contextmanager
def _office(ctx: typer.Context) -> Iterator[Office]:
    from fairbank.database import reading
    from fairbank.deid.reidentification import Office
    from fairbank.harvest.consents import identity_of
    from fairbank.release.people import people

    opened = node(ctx)
    with identity_of(opened) as identity:
        with reading(opened.engine) as session:
            named = tuple(people(session, opened))
        yield Office(identity, opened.engine, opened.clock, opened.key.key_id, named)


def _at_a_terminal() -> bool:
    return sys.stdout.isatty()


def _record(office: Office, act: str, project: str) -> None:
    from fairbank import audit
    from fairbank.database import writing

    with writing(office.database) as session:
        audit.record(
            session, audit.NodeAudit, clock=office.clock, actor=office.actor, act=act, target=project
        )
