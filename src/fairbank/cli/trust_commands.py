"""`fairbank node source`: accept an archive's own de-identification, see where it is accepted, take it back."""

from __future__ import annotations

import getpass
from typing import Annotated

import typer

from fairbank.cli.output import Format, FormatOption, say, show_rows
from fairbank.cli.session import node

_SOURCE = typer.Argument(help="Name of the source.")
_CONTAINER = typer.Argument(help="Project of the archive, as the archive names it.")


def add_to(app: typer.Typer) -> None:
    """Add these verbs to a group of commands."""
    app.command()(trust)
    app.command()(distrust)
    app.command()(trusted)


def trust(
    ctx: typer.Context,
    source: Annotated[str, _SOURCE],
    container: Annotated[str, _CONTAINER],
    reason: Annotated[str, typer.Option(help="Who has checked what.")],
) -> None:
    """Accept how an archive de-identifies a project where its headers do not say; never what they show.

    Example: fairbank node source trust archive THORAX --reason "XNAT script v6 checked on 50 studies, 2026-11-20"
    """
    from fairbank.harvest.trusts import trust as accept

    accept(node(ctx), source, container, reason=reason, by=getpass.getuser())
    say("Accepted. Harvest the project again to judge its series anew.")


def distrust(
    ctx: typer.Context, source: Annotated[str, _SOURCE], container: Annotated[str, _CONTAINER]
) -> None:
    """Take that back: the project's described series are held until they are judged anew.

    Example: fairbank node source distrust archive THORAX
    """
    from fairbank.harvest.trusts import distrust as revoke

    held = revoke(node(ctx), source, container)
    say(f"Taken back; {held} series are held. Harvest the project again to judge them anew.")


def trusted(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """List where an archive's own de-identification is accepted, by whom and why.

    Example: fairbank node source trusted
    """
    from fairbank.harvest.trusts import trusts

    columns = ("source", "container", "reason", "accepted_by", "accepted")
    rows = [{column: getattr(row, column) for column in columns} for row in trusts(node(ctx))]
    show_rows(rows, columns=columns, format=format, empty="No archive's own de-identification is accepted.")
