"""`fairbank catalogue`: the state of the hub's catalogue, and its RDF view."""

from __future__ import annotations

import typer

from fairbank.cli.output import Format, FormatOption, say, show_fields
from fairbank.cli.session import api, hub

app = typer.Typer(no_args_is_help=True, help="See the state of the catalogue; rebuild its RDF view.")


@app.command()
def status(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """Show what the catalogue holds.

    Example: fairbank catalogue status
    """
    client = api(ctx)
    found = client.get("/search", limit=0)
    about = client.get("/v1/hub")
    fields = {"hub": about["base_iri"], "version": about["version"], "key": about["fingerprint"]}
    show_fields(
        {
            **fields,
            "datasets": found["count"],
            **{name: total["text"] for name, total in found["totals"].items()},
        },
        format=format,
    )


@app.command()
def rebuild(ctx: typer.Context) -> None:
    """Make the RDF view of the hub in the home folder anew from its database.

    Example: fairbank --home /srv/hub catalogue rebuild
    """
    from fairbank.catalogue.projector import Projector
    from fairbank.cli.errors import CliError

    projector = Projector(hub(ctx))
    if not projector.open():
        raise CliError(
            "Another process is writing the RDF view.",
            why="Only one may, and a running hub does.",
            todo="Stop the hub, rebuild, start it again.",
        )
    try:
        projector.rebuild()
    finally:
        projector.close()
    say("The RDF view was made anew.")
