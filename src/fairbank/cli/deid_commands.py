"""`fairbank deid`: de-identify files, look at what was cleaned and what is held."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

import typer

from fairbank.cli import (
    deid_faces,
    deid_keys,
    deid_recipes,
    deid_reidentify,
    deid_review,
    deid_risk,
    deid_runs,
)
from fairbank.cli.deid_push import push
from fairbank.cli.deid_verify import verify
from fairbank.cli.output import Format, FormatOption, show_rows
from fairbank.cli.session import node

app = typer.Typer(
    no_args_is_help=True, help="De-identify collections; see what was cleaned and what is held."
)
app.command("push")(push)
deid_runs.add_to(app)
deid_recipes.add_to(app)
app.add_typer(deid_review.app, name="review")
deid_recipes.add_to(app)
app.command()(verify)
app.add_typer(deid_faces.app, name="faces")
_PROJECT = typer.Argument(help="Project of the research store.")


@app.command()
def status(
    ctx: typer.Context, project: Annotated[str, _PROJECT], format: FormatOption = Format.TABLE
) -> None:
    """Count a project's files by what became of them.

    Example: fairbank deid status thorax
    """
    from sqlalchemy import select

    from fairbank.database import reading
    from fairbank.deid.store import ItemRow

    with reading(node(ctx).engine) as session:
        items = session.execute(
            select(ItemRow.status, ItemRow.reason, ItemRow.profile).where(ItemRow.project == project)
        )
        counted = Counter((row.status, row.reason, row.profile) for row in items)
    rows = [
        {"status": status, "reason": reason, "profile": profile, "files": count}
        for (status, reason, profile), count in sorted(counted.items(), key=lambda item: -item[1])
    ]
    show_rows(
        rows,
        columns=("status", "reason", "profile", "files"),
        format=format,
        empty="Nothing was cleaned yet.",
    )


@app.command()
def quarantine(
    ctx: typer.Context, project: Annotated[str, _PROJECT], format: FormatOption = Format.TABLE
) -> None:
    """List what is held, and why; names are neutral.

    Example: fairbank deid quarantine thorax
    """
    from fairbank.database import reading
    from fairbank.deid.store import quarantined

    with reading(node(ctx).engine) as session:
        rows = [
            {"name": row.quarantine, "status": row.status, "reason": row.reason, "at": row.finished_at}
            for row in quarantined(session, project)
        ]
    show_rows(rows, columns=("name", "status", "reason", "at"), format=format, empty="Nothing is held.")


@app.command()
def facts(ctx: typer.Context, project: Annotated[str, _PROJECT], format: FormatOption = Format.TABLE) -> None:
    """Show the coded facts taken before cleaning; they stay at this node.

    Example: fairbank deid facts thorax --format csv
    """
    from dataclasses import asdict

    from fairbank.database import reading
    from fairbank.deid.store import facts_of

    with reading(node(ctx).engine) as session:
        rows = [asdict(sheet) for sheet in facts_of(session, project).values()]
    columns = ("series_uid", "modality", "sex", "age_band", "contrast", "kernel_class", "acquisition_year")
    show_rows(rows, columns=columns, format=format, empty="No facts yet.")


app.add_typer(deid_keys.app, name="key")
app.add_typer(deid_keys.suppressions, name="suppressions")
app.add_typer(deid_reidentify.links, name="links")
app.add_typer(deid_reidentify.persons, name="person")
app.add_typer(deid_reidentify.app, name="reidentify", cls=deid_reidentify.AskByDefault)
deid_risk.add_to(app)
