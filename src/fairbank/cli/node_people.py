"""`fairbank node person`: who decides at this node, each with a key under a passphrase of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fairbank.cli.output import Format, FormatOption, say, show_rows
from fairbank.cli.persons import As, needed_signer
from fairbank.cli.prompts import password
from fairbank.cli.session import node

app = typer.Typer(no_args_is_help=True, help="Name the persons who decide at this node.")
_NAME = typer.Argument(help="The person's name.")
_OWN_FILE = typer.Option(help="File of mode 0600 with this person's passphrase; asked for by default.")
_AS_FILE = typer.Option(help="File of mode 0600 with the passphrase of the person given with --as.")


@app.command()
def add(
    ctx: typer.Context,
    name: Annotated[str, _NAME],
    role: Annotated[
        list[str] | None, typer.Option(help="curator or privacy; may be repeated; both by default.")
    ] = None,
    as_: As = "",
    passphrase_file: Annotated[Path | None, _OWN_FILE] = None,
    as_passphrase_file: Annotated[Path | None, _AS_FILE] = None,
    recover: Annotated[
        bool, typer.Option("--recover", help="Nobody here can sign any more; the audit log says so.")
    ] = False,
) -> None:
    """Make a key for a person; the new person types a passphrase that nobody else knows.

    Example: fairbank node person add ben --role curator --as ada
    """
    from fairbank.ontology.person_objects import PersonRole
    from fairbank.release.people import ALL_ROLES, add_person

    opened = node(ctx)
    words = [one.value for one in PersonRole]
    for word in role or []:
        if word not in words:
            raise typer.BadParameter(f"{word!r} is not a role; the roles are {', '.join(words)}")
    by = needed_signer(opened, as_, as_passphrase_file) if as_ else None
    say(f"A passphrase for {name}.")
    phrase = password(passphrase_file, confirm=True)
    roles = [PersonRole(word) for word in role] if role else ALL_ROLES
    made = add_person(opened, name, phrase, roles=roles, by=by, recover=recover)
    say(f"{made.name} decides here from now on; every decision at this node is signed by a person.")


@app.command("list")
def list_(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """List the persons of this node, those who retired too.

    Example: fairbank node person list
    """
    from fairbank.database import reading
    from fairbank.release.people import people

    opened = node(ctx)
    with reading(opened.engine) as session:
        rows = [
            {
                "name": one.name,
                "roles": sorted(role.value for role in one.roles),
                "brought in by": one.brought_in_by,
                "since": one.added,
                "retired": one.retired,
                "key": one.key_id,
            }
            for one in people(session, opened)
        ]
    columns = ("name", "roles", "brought in by", "since", "retired", "key")
    show_rows(
        rows, columns=columns, format=format, empty="Nobody: whoever has the home folder decides unsigned."
    )


@app.command()
def passphrase(
    ctx: typer.Context,
    name: Annotated[str, _NAME],
    passphrase_file: Annotated[Path | None, typer.Option(help="File with the present passphrase.")] = None,
    new_passphrase_file: Annotated[Path | None, typer.Option(help="File with the new passphrase.")] = None,
) -> None:
    """Put a person's key under another passphrase.

    Example: fairbank node person passphrase ada
    """
    from fairbank.release.people import change_passphrase

    opened = node(ctx)
    say("The present passphrase.")
    old = password(passphrase_file)
    say("The new passphrase.")
    change_passphrase(opened, name, old=old, new=password(new_passphrase_file, confirm=True))
    say("Changed. Copies of the old key file still open with the old passphrase: destroy them.")


@app.command()
def retire(
    ctx: typer.Context,
    name: Annotated[str, _NAME],
    as_: As,
    passphrase_file: Annotated[Path | None, _AS_FILE] = None,
) -> None:
    """End a person's say: what was signed stays good, the rules pinned by the person end, nothing new is signed.

    Example: fairbank node person retire ben --as ada
    """
    from fairbank.release.people import retire as end

    opened = node(ctx)
    end(opened, name, by=needed_signer(opened, as_, passphrase_file))
    say(f"{name} has retired.")
