"""`fairbank config`: each setting and where it came from."""

from __future__ import annotations

from dataclasses import asdict

import typer

from fairbank.cli.output import Format, FormatOption, show_rows
from fairbank.cli.session import explained

app = typer.Typer(help="Show each setting and where it came from.", no_args_is_help=True)


@app.callback()
def config() -> None:
    """Show each setting and where it came from."""


@app.command()
def show(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """Print each setting, its value and where it came from.

    Example: fairbank config show --format json
    """
    _, rows = explained(ctx)
    show_rows(
        [asdict(row) for row in rows], columns=("name", "value", "unit", "origin", "help"), format=format
    )
