"""`fairbank committee`: who sits on the access committee of the hub in the home folder."""

from __future__ import annotations

import typer

from fairbank.cli.output import Format, FormatOption, show_rows
from fairbank.cli.session import hub

app = typer.Typer(no_args_is_help=True, help="See who sits on the access committee.")


@app.callback()
def committee() -> None:
    """See who sits on the access committee."""


@app.command()
def members(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """List the members; an account becomes one by its role (hub add-account NAME --role committee).

    Example: fairbank committee members
    """
    from fairbank.catalogue.accounts import Role, accounts
    from fairbank.database import reading

    with reading(hub(ctx).engine) as session:
        rows = [
            {"name": one.name, "organisation": one.organisation}
            for one in accounts(session)
            if one.has(Role.COMMITTEE)
        ]
    show_rows(rows, columns=("name", "organisation"), format=format, empty="Nobody yet.")
