"""`fairbank node retention`: until when images of a project may be used, and deleting them after that."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Annotated

import typer

from fairbank.cli.output import Format, FormatOption, say, show_rows
from fairbank.cli.session import node

if TYPE_CHECKING:
    from datetime import date

    from fairbank.federated_jobs.node.retention import ProjectDeleted

app = typer.Typer(no_args_is_help=True, help="See until when images may be used; delete them after that.")
_PROJECT = typer.Argument(help="Project of the research store.")


@app.command("list")
def list_retentions(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """List until when the images of projects may be used, the earliest first.

    Example: fairbank node retention list
    """
    from fairbank.harvest.retention import retentions

    rows = [
        {
            "project": one.project,
            "last_day": one.last_day.isoformat(),
            "over": one.over,
            "said_by": one.said_by,
            "series": one.series,
            "note": one.note,
        }
        for one in retentions(node(ctx))
    ]
    columns = ("project", "last_day", "over", "said_by", "series", "note")
    show_rows(rows, columns=columns, format=format, empty="No project has an end of retention.")


@app.command("set")
def set_retention(
    ctx: typer.Context,
    project: Annotated[str, _PROJECT],
    last_day: Annotated[str, typer.Argument(help="Last day on which the images may be used, YYYY-MM-DD.")],
    note: Annotated[str, typer.Option(help="On which law, consent or protocol it rests.")],
) -> None:
    """Record until when the images of a project may be used; from the day after nobody uses them any more.

    Example: fairbank node retention set thorax 2036-12-31 --note "Protocol 4.2, ten years after the last scan"
    """
    from fairbank.harvest.retention import record_retention

    record_retention(node(ctx), project, last_day=_day(last_day), note=note, by=getpass.getuser())
    say(f"The images of {project} may be used until {last_day}.")


@app.command()
def remove(ctx: typer.Context, project: Annotated[str, _PROJECT]) -> None:
    """Remove the last day that was recorded for a project; what descriptions of its datasets say stays.

    Example: fairbank node retention remove thorax
    """
    from fairbank.harvest.retention import remove_retention

    remove_retention(node(ctx), project)
    say(f"No last day is recorded for {project} any more.")


@app.command("apply")
def apply_retention(
    ctx: typer.Context,
    project: Annotated[str, _PROJECT],
    confirm: Annotated[
        str, typer.Option(help="The project's name once more; without it nothing is deleted.")
    ] = "",
    format: FormatOption = Format.TABLE,
) -> None:
    """Delete the images of a project whose time is over, and what is known of them. This cannot be undone.

    Example: fairbank node retention apply thorax --confirm thorax
    """
    from fairbank.federated_jobs.node import retention

    opened = node(ctx)
    if confirm != project:
        _show(retention.foresee(opened, project), format=format)
        say(f"Nothing was deleted. To delete it: --confirm {project}")
        return
    gone = retention.apply(opened, project, by=getpass.getuser())
    _show(gone, format=format)
    for dataset in gone.datasets:
        say(f"In the catalogue still: fairbank dataset withdraw {dataset} --reason retention_over")
    if not gone.compacted:
        say("The node's database was in use and could not be rewritten. Do this again when nothing runs.")


def _show(gone: ProjectDeleted, *, format: Format) -> None:
    rows: list[dict[str, object]] = [{"what": what, "count": count} for what, count in gone.gone.items()]
    rows.append({"what": "jobs that used them", "count": len(gone.jobs)})
    show_rows(rows, columns=("what", "count"), format=format)


def _day(text: str) -> date:
    from datetime import date

    try:
        return date.fromisoformat(text)
    except ValueError as err:
        raise typer.BadParameter("a day is YYYY-MM-DD") from err
