"""`fairbank node overlap`: how many subjects this site and another have in common, with neither shown the other's."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairbank.cli.output import Format, FormatOption, say, show_rows
from fairbank.cli.persons import As, PhraseFile, signer
from fairbank.cli.session import node

if TYPE_CHECKING:
    from fairbank.federated_jobs.node.overlaps import OverlapDesk
    from fairbank.release.node import Node

app = typer.Typer(no_args_is_help=True, help="Count how many subjects this site and another have in common.")
_OVERLAP = typer.Argument(help="Id of the overlap.")
_DATASET = typer.Option(help="This site's dataset.")
_PROJECT = typer.Option(help="The name of the project, as both sites have agreed on it.")
CAVEAT = (
    "Both sites learn how large the other's set is, and the count. It holds while the other site keeps to the "
    "protocol: one that puts in people whom it does not have learns how many of them are here."
)


@app.command()
def ask(
    ctx: typer.Context,
    peer: Annotated[str, typer.Argument(help="Name of the other node.")],
    dataset: Annotated[str, _DATASET],
    peer_dataset: Annotated[str, typer.Option(help="The other site's dataset.")],
    project: Annotated[str, _PROJECT],
    as_: As = "",
    passphrase_file: PhraseFile = None,
) -> None:
    """Ask another site to count with this one; nothing of either set leaves before a person at each says so.

    Example: fairbank node overlap ask south --dataset ct --peer-dataset chest --project lung-2026
    """
    opened = node(ctx)
    overlap = _desk(opened).ask(
        peer,
        dataset=dataset,
        peer_dataset=peer_dataset,
        project=project,
        by=getpass.getuser(),
        signer=signer(opened, as_, passphrase_file),
    )
    say(f"Asked: {overlap}. When the other site has answered, answer it here as well.")


@app.command()
def answer(
    ctx: typer.Context,
    overlap: Annotated[str, _OVERLAP],
    dataset: Annotated[str, _DATASET],
    project: Annotated[str, _PROJECT],
    identifiers: Annotated[
        Path,
        typer.Option(help="CSV with the columns subject (pseudonym here) and identifier; it is not kept."),
    ],
    as_: As = "",
    passphrase_file: PhraseFile = None,
) -> None:
    """Let this site's blinded set leave, sealed to the other site; once for two datasets and a project.

    Example: fairbank node overlap answer 01a1fdee-cff5-7f63-b5f0-d16d1d20c888 --dataset ct --project lung-2026
    --identifiers numbers.csv
    """
    from fairbank.federated_jobs.overlaps.identifiers import read_identifiers

    opened, found = node(ctx), read_identifiers(identifiers)
    say(CAVEAT)
    desk = _desk(opened)
    desk.poll()
    told = desk.answer(
        overlap,
        found,
        dataset=dataset,
        project=project,
        by=getpass.getuser(),
        signer=signer(opened, as_, passphrase_file),
    )
    say(f"{told} subjects are in the set; {len(found) - told} lines of the table are left out.")


@app.command()
def decline(
    ctx: typer.Context, overlap: Annotated[str, _OVERLAP], as_: As = "", passphrase_file: PhraseFile = None
) -> None:
    """Say no; nothing of this site's set leaves.

    Example: fairbank node overlap decline 01a1fdee-cff5-7f63-b5f0-d16d1d20c888
    """
    opened = node(ctx)
    _desk(opened).decline(overlap, by=getpass.getuser(), signer=signer(opened, as_, passphrase_file))
    say("Declined.")


@app.command("list")
def list_(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """Fetch what other sites sent, and list all overlaps with what came of them.

    Example: fairbank node overlap list
    """
    from fairbank.errors import FairbankError
    from fairbank.federated_jobs.node.overlaps import count_of, overlaps_here

    opened = node(ctx)
    try:
        _desk(opened).poll()
    except FairbankError as err:
        say(f"Only what is known here: {err.what}")
    rows = [
        {
            "overlap": row.id,
            "with": row.peer,
            "asked by": "this site" if row.asked_here else row.peer,
            "dataset": row.dataset or "",
            "state": row.state,
            "subjects in common": count.words() if (count := count_of(row)) is not None else "",
        }
        for row in overlaps_here(opened)
    ]
    columns = ("overlap", "with", "asked by", "dataset", "state", "subjects in common")
    show_rows(rows, columns=columns, format=format, empty="No overlap was asked for yet.")


def _desk(opened: Node) -> OverlapDesk:
    from fairbank.federated_jobs.node.overlaps import OverlapDesk
    from fairbank.release.hub_client import HubClient
    from fairbank.release.outbox import Outbox

    return OverlapDesk(opened, Outbox(opened, HubClient.of(opened)))
