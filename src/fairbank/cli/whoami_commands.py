"""`fairbank whoami`: who the hub takes you for, and the key you sign with."""

from __future__ import annotations

import typer

from fairbank.cli.output import Format, FormatOption, show_fields
from fairbank.cli.session import api

app = typer.Typer()


@app.command()
def whoami(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """Show your account, your roles, and the fingerprint of your signing key.

    Example: fairbank whoami
    """
    client = api(ctx)
    answer = client.whoami()
    fields = {key: value for key, value in answer.items() if key != "schema"}
    show_fields({**fields, "fingerprint here": client.key().public.fingerprint}, format=format)
