"""`fairbank login`: log in to the hub and keep a token in the home folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fairbank.cli import prompts
from fairbank.cli.output import Format, FormatOption, say, show_fields
from fairbank.cli.session import api

app = typer.Typer()


@app.command()
def login(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of your account.")],
    password_file: Annotated[Path | None, typer.Option(help="File of mode 0600 with the password.")] = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Log in to the hub, keep the token, and register your signing key.

    Example: fairbank --hub https://hub.example.org login ada
    """
    client = api(ctx)
    answer = client.login(name, prompts.password(password_file))
    key_id = client.register_key()
    say(f"Logged in to {client.base_url}.")
    show_fields(
        {
            "account": answer["account"],
            "roles": answer["roles"],
            "token until": answer["expires"],
            "key": key_id,
        },
        format=format,
    )
