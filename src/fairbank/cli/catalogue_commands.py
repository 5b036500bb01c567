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
    show_fields({**fields, "datasets": found["count"], **found["totals"]}, format=format)


@app.command()
def rebuild(ctx: typer.Context) -> None:
    """Make the RDF view of the hub in the home folder anew from its database.

    Example: fairbank --home /srv/hub catalogue rebuild
    """
    from fairbank.catalogue.projector import rebuild as make_anew

    make_anew(hub(ctx))
    say("The RDF view was made anew.")
