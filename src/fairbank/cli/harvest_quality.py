"""`fairbank harvest series` and `harvest quality`: a curator looks at series, measures them, says what was found."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairbank.cli.output import Format, FormatOption, say, show_fields, show_rows
from fairbank.cli.session import node

if TYPE_CHECKING:
    from fairbank.harvest.series_view import SeriesView

_COLUMNS = ("series", "subject", "modality", "body_part", "instances", "affected")
_OF_ONE = ("series", "subject", "modality", "body_part", "instances", "details", "how_known", "since")


app = typer.Typer(
    no_args_is_help=True, help="What people found when they looked at series, and what is measured."
)


def series(
    ctx: typer.Context,
    dataset: Annotated[str, typer.Argument(help="Name of the dataset.")],
    affected: Annotated[
        str | None, typer.Option(help="Only series that this aspect affects, such as missing-slices.")
    ] = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """List a dataset's series by their pseudonyms, with what is known of their quality; it stays at the node.

    Example: fairbank harvest series northfield-ct --affected missing-slices
    """
    from fairbank.harvest.aspects import Aspect
    from fairbank.harvest.series_view import series_of

    words = [aspect.value for aspect in Aspect]
    if affected is not None and affected not in words:
        raise typer.BadParameter(f"{affected!r} is not one of {', '.join(words)}")
    aspect = Aspect(affected) if affected else None
    views = series_of(node(ctx), dataset, affected=aspect)
    if aspect is not None:
        rows = [_of_one(view, aspect.value) for view in views]
    else:
        rows = [_row(view, whole=format is Format.JSON) for view in views]
    columns = _OF_ONE if aspect else (*_COLUMNS, "quality") if format is Format.JSON else _COLUMNS
    show_rows(
        rows,
        columns=columns,
        format=format,
        empty="No such series; harvest held lists those that may not leave.",
    )


@app.command("import")
def import_(
    ctx: typer.Context,
    project: Annotated[str, typer.Argument(help="Project of the research store.")],
    file: Annotated[Path, typer.Argument(help="CSV with the columns series, aspect, value, rater, date.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Look only; take nothing.")] = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Take what people found when they looked at series; it comes before what was worked out.

    Example: fairbank harvest quality import thorax findings.csv --dry-run
    """
    from fairbank.harvest.quality_words import import_quality as take

    report = take(node(ctx), project, file, dry_run=dry_run)
    for fault in report.faults:
        say(f"row {fault.row}: {fault.why}")
    show_fields(
        {
            "rows that would be taken" if dry_run else "rows taken": report.taken,
            "series": report.series,
            "rows not taken": len(report.faults),
        },
        format=format,
    )
    if report.faults:
        raise typer.Exit(1)


@app.command()
def measure(
    ctx: typer.Context,
    dataset: Annotated[str, typer.Argument(help="Name of the dataset.")],
    again: Annotated[bool, typer.Option("--again", help="Also series that were measured before.")] = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Measure noise, clipping and blank slices in the pixels of a dataset's series; the next record tells shares of it.

    Only series that are new, or have changed, are measured; a run that was stopped goes on where it was.

    Example: fairbank harvest quality measure northfield-ct
    """
    from fairbank.cli.progress import counting
    from fairbank.federated_jobs.node.quality_measuring import measure_quality

    with counting("Measuring") as move:
        done = measure_quality(node(ctx), dataset, again=again, progress=move)
    fields: dict[str, object] = {f"series {word}": count for word, count in sorted(done.statuses.items())}
    fields |= {f"because of {word}": count for word, count in sorted(done.reasons.items())}
    fields |= {"measured before": done.current}
    if done.elsewhere:
        fields |= {"without files here": done.elsewhere}
    if done.changed:
        fields |= {"changed meanwhile": done.changed}
    show_fields(fields, format=format)
    say(f"See which series are affected with: fairbank harvest series {dataset} --affected clipped-values")
    if done.statuses.get("error"):
        raise typer.Exit(1)


def _row(view: SeriesView, *, whole: bool) -> dict[str, object]:
    from fairbank.harvest.judging import as_kept

    row = _head(view) | {"affected": [aspect.value for aspect in view.affected]}
    if whole:
        row["quality"] = {aspect.value: as_kept(known) for aspect, known in view.known.items()}
    return row


def _of_one(view: SeriesView, aspect: str) -> dict[str, object]:
    known = next(each for name, each in view.known.items() if name.value == aspect)
    return _head(view) | {
        "details": known.assessment.details,
        "how_known": known.assessment.how_known,
        "since": known.at,
    }


def _head(view: SeriesView) -> dict[str, object]:
    return {
        "series": view.series_uid,
        "subject": view.subject,
        "modality": view.modality,
        "body_part": view.body_part,
        "instances": view.instances,
    }
