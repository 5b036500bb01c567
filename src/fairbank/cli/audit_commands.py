"""`fairbank audit`: show and verify the audit log of the hub or node in the home folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from fairbank.cli.output import Format, FormatOption, show_fields, show_rows
from fairbank.cli.session import hub, node, settings

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from fairbank.audit import HubAudit, NodeAudit

app = typer.Typer(
    no_args_is_help=True, help="Show and verify the audit log of the hub or node in the home folder."
)


@app.command()
def show(
    ctx: typer.Context,
    last: Annotated[int, typer.Option(help="How many entries.", min=1)] = 50,
    format: FormatOption = Format.TABLE,
) -> None:
    """Show the newest entries.

    Example: fairbank audit show --last 20
    """
    from sqlalchemy import select

    from fairbank.database import reading

    engine, table = _log(ctx)
    with reading(engine) as session:
        found = list(session.scalars(select(table).order_by(table.seq.desc()).limit(last)))
    columns = ("seq", "at", "actor", "act", "target", "detail")
    rows = [{column: getattr(entry, column) for column in columns} for entry in reversed(found)]
    show_rows(rows, columns=columns, format=format, empty="The log is empty.")


@app.command()
def verify(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """Recompute the whole chain; fails at the first entry that was changed.

    Example: fairbank audit verify
    """
    from fairbank import audit
    from fairbank.database import reading

    engine, table = _log(ctx)
    with reading(engine) as session:
        head = audit.verify(session, table)
    show_fields({"entries": head.seq, "head": head.hash, "verified": True}, format=format)


def _log(ctx: typer.Context) -> tuple[Engine, type[HubAudit] | type[NodeAudit]]:
    from fairbank.audit import HubAudit, NodeAudit

    if (settings(ctx).keys_path / "hub.pem").exists():
        return hub(ctx).engine, HubAudit
    return node(ctx).engine, NodeAudit
