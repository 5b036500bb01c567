"""`fairbank deid key` and `fairbank deid suppressions`: make and rotate keys, keep the list of who withdrew."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fairbank.cli.output import Format, FormatOption, say, show_fields, show_rows
from fairbank.cli.prompts import password, read_patient_id
from fairbank.cli.session import CLOCK, node

if TYPE_CHECKING:
    from fairbank.release.node import Node

app = typer.Typer(no_args_is_help=True, help="Make, rotate and list the keys of pseudonyms; never show one.")
suppressions = typer.Typer(no_args_is_help=True, help="Keep the list of who withdrew, apart from the keys.")
_FILE = typer.Argument(help="The file.")
_PASSPHRASE = typer.Option(help="File of mode 0600 with the passphrase; asked for by default.")


@app.command("new")
def new_key(
    file: Annotated[Path, typer.Argument(help="File to write the key to; it must not exist.")],
) -> None:
    """Write a new random key to a file that only its owner may read, for de-identifying folders without a node.

    Example: fairbank deid key new thorax.key
    """
    from fairbank.deid.key_file import KeyFile

    say(
        f"Made {KeyFile.create(file).key_id}. Keep a copy apart from the files: what it made cannot be made without it."
    )


@app.command()
def rotate(ctx: typer.Context) -> None:
    """Give this node a new master key for subjects to come; those it knows keep their pseudonyms.

    Example: fairbank deid key rotate
    """
    from fairbank.harvest.consents import identity_of

    opened = node(ctx)
    with identity_of(opened) as identity:
        epoch = identity.rotate(clock=CLOCK)
        key_id = identity.master_keys()[-1].key_id
    _record(opened, "key.rotate", key_id, {"epoch": epoch})
    say(f"New subjects get {key_id} of epoch {epoch}. Back up identity.db now, apart from everything else.")


@app.command("list")
def list_keys(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """List this node's master keys by their ids: since when, and for how many subjects.

    Example: fairbank deid key list
    """
    from fairbank.harvest.consents import identity_of

    with identity_of(node(ctx)) as identity:
        rows = [
            {"epoch": one.epoch, "key": one.key_id, "made": one.made_at, "subjects": one.subjects}
            for one in identity.master_keys()
        ]
    show_rows(rows, columns=("epoch", "key", "made", "subjects"), format=format)


@suppressions.command()
def show(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """Count who is on the list, and who would have to be withdrawn again.

    Example: fairbank deid suppressions show
    """
    from fairbank.harvest.consents import identity_of

    with identity_of(node(ctx)) as identity:
        show_fields(
            {
                "entries": identity.suppressions.count(),
                "keys": len(identity.suppressions.rings()),
                "known here all the same": len(identity.returned()),
                "withdrawals cut off": len(identity.departures()),
            },
            format=format,
        )


@suppressions.command("export")
def export_list(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="File to write; it must not exist.")],
    passphrase_file: Annotated[Path | None, _PASSPHRASE] = None,
) -> None:
    """Write the list, encrypted under a passphrase, for a node that is built anew.

    Example: fairbank deid suppressions export withdrawn.json
    """
    from fairbank.deid.key_file import write_private
    from fairbank.harvest.consents import identity_of
    from fairbank.signing import sha256_digest

    opened = node(ctx)
    with identity_of(opened) as identity:
        phrase = password(passphrase_file, confirm=True)
        if not phrase:
            raise typer.BadParameter("the passphrase is empty")
        content = identity.suppressions.exported(phrase)
        count = identity.suppressions.count()
    write_private(file, content)
    _record(opened, "suppressions.export", sha256_digest(content), {"entries": count})
    say(f"Wrote {count} entries. Keep the passphrase apart from the file.")


@suppressions.command("import")
def import_list(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="File that `export` wrote.", exists=True)],
    passphrase_file: Annotated[Path | None, _PASSPHRASE] = None,
) -> None:
    """Add a list that was exported before, here or by the node that this one replaces.

    Example: fairbank deid suppressions import withdrawn.json
    """
    from fairbank.harvest.consents import identity_of
    from fairbank.signing import sha256_digest

    opened, content = node(ctx), file.read_bytes()
    with identity_of(opened) as identity:
        new = identity.suppressions.take_in(content, password(passphrase_file))
        waiting = len(identity.returned())
    _record(opened, "suppressions.import", sha256_digest(content), {"new": new})
    say(f"New entries: {new}.")
    if waiting:
        say(
            f"{waiting} subjects known here withdrew: remove them with `fairbank node withdraw --unfinished`."
        )


@suppressions.command()
def add(
    key_file: Annotated[Path, typer.Option(help="The key file; the list is beside it.", exists=True)],
    patient_id_file: Annotated[
        str, typer.Option(help="File with the patient's id as the archive has it, or - for standard input.")
    ] = "-",
    issuer: Annotated[str, typer.Option(help="Issuer of the id, where the files name one.")] = "",
) -> None:
    """Keep a patient out of folders that are de-identified with a key file; a node uses `fairbank node withdraw`.

    Example: fairbank deid suppressions add --key-file thorax.key
    """
    from fairbank.clock import iso
    from fairbank.deid.key_file import KeyFile, list_beside
    from fairbank.deid.pseudonyms import subject_value

    patient_id = read_patient_id(patient_id_file)
    key = KeyFile.read(key_file)
    key.suppress(subject_value(patient_id, issuer), key_file, at=iso(CLOCK.now()))
    say(
        f"On the list in {list_beside(key_file).name}. Files of the patient that were made before stay; delete them."
    )


def _record(opened: Node, act: str, target: str, detail: dict[str, Any]) -> None:
    from fairbank import audit
    from fairbank.database import writing

    with writing(opened.engine) as session:
        audit.record(
            session,
            audit.NodeAudit,
            clock=opened.clock,
            actor=opened.key.key_id,
            act=act,
            target=target,
            detail=detail,
        )
