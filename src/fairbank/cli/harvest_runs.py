"""The runs of `fairbank harvest`: describe an archive, see how each container stands, let go what has vanished."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Annotated

import typer

from fairbank.cli.output import Format, FormatOption, say, show_fields, show_rows
from fairbank.cli.progress import bar
from fairbank.cli.session import node

if TYPE_CHECKING:
    from fairbank.harvest.looks import Forecast
    from fairbank.harvest.reports import RunReport

_SOURCE = typer.Argument(help="Name of the source.")
_CONTAINER = typer.Argument(help="Project of the archive, or subfolder.")
_PROJECT = typer.Option(help="Project whose index it comes into; the same name by default.")


def add_to(app: typer.Typer) -> None:
    """Add these verbs to the noun `harvest`."""
    app.command()(run)
    app.command()(status)
    app.command("approve-deletions")(approve_deletions)


def run(
    ctx: typer.Context,
    source: Annotated[str, _SOURCE],
    container: Annotated[str, _CONTAINER],
    project: Annotated[str | None, _PROJECT] = None,
    full: Annotated[bool, typer.Option("--full", help="Describe everything again, changed or not.")] = False,
    changes_only: Annotated[
        bool,
        typer.Option(
            "--changes-only", help="Look only at what the archive says has changed; nothing is found missing."
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done; write nothing.")
    ] = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Describe in the index what an archive holds that is de-identified already; no image is copied.

    Example: fairbank harvest run archive THORAX --project thorax --dry-run
    """
    from fairbank.harvest.header_harvest import HarvestOrder, harvest, rehearse

    if full and changes_only:
        raise typer.BadParameter("--full and --changes-only exclude each other")
    order = HarvestOrder(
        source,
        container,
        project or container.lower(),
        getpass.getuser(),
        full=full,
        changes_only=changes_only,
    )
    if dry_run:
        show_forecast(rehearse(node(ctx), order), format)
        return
    with bar(f"Describing {container}") as progress:
        report = harvest(node(ctx), order, progress=progress)
    show_report(report, format)


def status(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """Show for each container what is there, missing, gone or held, and when it was last looked at.

    Example: fairbank harvest status --format json
    """
    from fairbank.harvest.status import statuses

    rows = [
        {
            "source": found.route.source,
            "container": found.route.container,
            "project": found.route.project,
            "way": found.way,
            "live": found.live,
            "missing": found.missing,
            "left out": found.left_out,
            "gone": found.tombstoned,
            "deletions held": found.held,
            "approved": found.approved,
            "last run": found.last_run,
            "last full look": found.last_full,
        }
        for found in statuses(node(ctx))
    ]
    columns = (
        *(
            "source",
            "container",
            "project",
            "way",
            "live",
            "missing",
            "left out",
            "gone",
            "deletions held",
            "approved",
        ),
        *("last run", "last full look"),
    )
    show_rows(rows, columns=columns, format=format, empty="Nothing was harvested yet.")


def approve_deletions(
    ctx: typer.Context,
    source: Annotated[str, _SOURCE],
    container: Annotated[str, _CONTAINER],
    project: Annotated[str | None, _PROJECT] = None,
) -> None:
    """Let the next run take the series for gone whose vanishing was held, because they were so many.

    Example: fairbank harvest approve-deletions archive THORAX --project thorax
    """
    from fairbank.harvest.bookkeeping import Route
    from fairbank.harvest.status import approve_deletions as approve

    count = approve(node(ctx), Route(source, container, project or container.lower()))
    say(f"Approved: {count} series are gone with the next run, unless they are back by then.")


def show_report(report: RunReport, format: Format) -> None:
    """Print what came of a run; exit 1 if an item failed or the archive no longer shows the container."""
    fields: dict[str, object] = {"run": report.id}
    fields |= {f"series {status}": count for status, count in report.items.items()}
    fields |= {f"files {word}": count for word, count in report.files.items()}
    tally = report.tally
    if tally is not None:
        words = ("added", "updated", "unchanged", "shared", "returned", "left_out", "errors")
        fields |= {word.replace("_", " "): count for word in words if (count := getattr(tally, word))}
        fields |= {f"gone, {reason}": count for reason, count in tally.tombstoned.items()}
        fields["deletions held"] = tally.held
    fields["missing since last time"] = report.missing
    fields["complete"] = report.complete
    show_fields(fields, format=format)
    if tally is not None and tally.held:
        say(
            f"{tally.held} series have vanished, which is so many that they are kept until you say "
            "'fairbank harvest approve-deletions'."
        )
    if tally is not None and tally.lost:
        say(
            f"The archive no longer shows this container with its {tally.lost} series. Nothing was deleted; "
            "after a second look without it they are no longer published."
        )
    if report.failed or (tally is not None and tally.lost):
        raise typer.Exit(1)


def show_forecast(forecast: Forecast, format: Format) -> None:
    """Print what a run would do."""
    show_fields(
        {
            "look": forecast.look.value,
            "new": forecast.new,
            "changed": forecast.changed,
            "unchanged": forecast.unchanged,
            "returned": forecast.returned,
            "missing": forecast.missing,
            "gone": forecast.tombstoned,
            "deletions held": forecast.held,
            "complete": forecast.complete,
            "container shown": not forecast.lost,
        },
        format=format,
    )
