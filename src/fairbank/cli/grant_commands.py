"""`fairbank grant`: what was granted, until when, and taking it back."""

from __future__ import annotations

from typing import Annotated

import typer

from fairbank.cli.output import Format, FormatOption, say, show_fields, show_rows
from fairbank.cli.session import api

app = typer.Typer(no_args_is_help=True, help="List, show and revoke what was granted.")
_GRANT = typer.Argument(help="Id of the grant.")


@app.command("list")
def list_grants(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """List your grants, or all of them if you sit on the committee.

    Example: fairbank grant list
    """
    rows = api(ctx).get("/v1/grants", signed_in=True)["grants"]
    show_rows(
        rows, columns=("id", "request", "account", "state", "expires"), format=format, empty="No grant."
    )


@app.command()
def show(ctx: typer.Context, grant: Annotated[str, _GRANT], format: FormatOption = Format.TABLE) -> None:
    """Show what a grant allows, after checking the visa with the hub's key.

    Example: fairbank grant show 01a1fdee-cff5-7f63-b5f0-d16d1d20c888
    """
    from fairbank.web.acts import grant as find

    sealed = find(api(ctx), grant)
    show_fields({"digest": sealed.digest, **sealed.payload}, format=format)


@app.command()
def revoke(
    ctx: typer.Context,
    grant: Annotated[str, _GRANT],
    reason: Annotated[str, typer.Option(help="Why.")],
) -> None:
    """Take a grant back; its jobs stop.

    Example: fairbank grant revoke 01a1fdee-cff5-7f63-b5f0-d16d1d20c888 --reason "The project has ended."
    """
    answer = api(ctx).post(
        f"/v1/grants/{grant}/revoke", {"schema": "revocation/1", "reason": reason}, signed_in=True
    )
    say(f"The grant is {answer['state']}.")
