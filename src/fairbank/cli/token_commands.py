"""`fairbank token`: tokens for programs, each good for little and not for long."""

from __future__ import annotations

from typing import Annotated

import typer

from fairbank.cli.output import Format, FormatOption, say, show_fields, show_rows
from fairbank.cli.session import api

app = typer.Typer(no_args_is_help=True, help="Make, list and revoke tokens for programs.")


@app.command()
def new(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="What the token is for, in your words.")],
    scope: Annotated[
        list[str],
        typer.Option(
            help="What it is good for: read, requests, review, jobs, describe, admin; may be repeated."
        ),
    ],
    days: Annotated[int, typer.Option(help="How long it works.")] = 90,
    format: FormatOption = Format.TABLE,
) -> None:
    """Make a token; it is shown once, and never may more than you.

    Example: fairbank token new "nightly report" --scope read --days 30
    """
    body = {"schema": "new-token/1", "name": name, "scopes": scope, "days": days}
    made = api(ctx).post("/v1/account/tokens", body, signed_in=True)
    fields = ("id", "name", "scopes", "expires", "token")
    show_fields({field: made[field] for field in fields}, format=format)


@app.command("list")
def listing(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """List your tokens, and when each was last used.

    Example: fairbank token list
    """
    found = api(ctx).get("/v1/account/tokens", signed_in=True)["tokens"]
    show_rows(found, columns=("id", "name", "scopes", "expires", "last_used"), format=format)


@app.command()
def revoke(ctx: typer.Context, token: Annotated[str, typer.Argument(help="Id of the token.")]) -> None:
    """End a token at once.

    Example: fairbank token revoke 019abf2e-7c31-7a54-9d0c-0f2f6d1f3a77
    """
    api(ctx).delete(f"/v1/account/tokens/{token}")
    say("The token works no longer.")
