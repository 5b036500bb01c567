"""`fairbank measurements`: what analyses have measured in the datasets that one has a grant for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from fairbank.cli.output import Format, FormatOption, say, show_rows
from fairbank.cli.session import api

app = typer.Typer(
    no_args_is_help=True, help="See what jobs measured in the datasets that you hold a grant for."
)
_DATASET = typer.Option(help="IRI of a dataset; all by default.")
_TOOL = typer.Option(help="Name of a tool; all by default.")
_BIOMARKER = typer.Option(help="Code of a biomarker, such as DCM:112181; all by default.")
_JOB = typer.Option(help="Id of a job; all by default.")


@app.command()
def query(
    ctx: typer.Context,
    dataset: Annotated[str | None, _DATASET] = None,
    tool: Annotated[str | None, _TOOL] = None,
    biomarker: Annotated[str | None, _BIOMARKER] = None,
    job: Annotated[str | None, _JOB] = None,
    limit: Annotated[int, typer.Option(help="Rows of a page.", min=1, max=1000)] = 100,
    after: Annotated[str | None, typer.Option(help="Mark that the page before ended with.")] = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Show measurements, one value a line, as the sites released them; who has asked is written down.

    Only what a visa of yours covers now: the dataset, the tool, the part of the dataset, and measurements. The table
    shortens names; --format json and csv write them in full.

    Example: fairbank measurements query --biomarker DCM:112181 --limit 20
    """
    asked: dict[str, Any] = {
        "dataset": dataset,
        "tool": tool,
        "biomarker": biomarker,
        "job": job,
        "after": after,
    }
    found = api(ctx).get("/v1/measurements", signed_in=True, limit=limit, **asked)
    lines = [
        {**row, "dataset": " ".join(row["datasets"]), **value}
        for row in found["measurements"]
        for value in row["values"] or [{"column": "", "biomarker": "", "unit": "", "value": None}]
    ]
    columns: tuple[str, ...] = (
        *("dataset", "job", "tool", "row", "status", "reason", "column", "biomarker", "unit", "value"),
        "subject_withdrawn",
    )
    if format is Format.TABLE:
        # A person reads what was measured; whole names are for programs.
        columns = ("dataset", "row", "status", "column", "value", "unit", "biomarker", "job")
        lines = [_short(line) for line in lines]
    show_rows(lines, columns=columns, format=format, empty="Nothing that a grant of yours covers now.")
    if found["next"] is not None:
        say(f"There is more: --after {found['next']}")


@app.command()
def export(
    ctx: typer.Context,
    to: Annotated[Path, typer.Option(help="File to write: .csv, or .parquet if the hub can.")],
    dataset: Annotated[str | None, _DATASET] = None,
    tool: Annotated[str | None, _TOOL] = None,
    biomarker: Annotated[str | None, _BIOMARKER] = None,
    job: Annotated[str | None, _JOB] = None,
) -> None:
    """Write all measurements that a visa of yours covers now to a file; the export is written down.

    Example: fairbank measurements export --biomarker DCM:112181 --to lungs.csv
    """
    if to.suffix not in (".csv", ".parquet"):
        raise typer.BadParameter(f"{to.name} ends neither in .csv nor in .parquet", param_hint="--to")
    format = to.suffix.removeprefix(".")
    asked = {"dataset": dataset, "tool": tool, "biomarker": biomarker, "job": job, "format": format}
    file = api(ctx).save("/v1/measurements/export", to, **asked)
    if format == "parquet":
        say(f"Written: {file}")
        return
    with file.open(encoding="utf-8") as opened:
        values = sum(1 for _ in opened) - 1
    say(
        f"Written: {file} ({values} values)"
        if values
        else f"Nothing that a grant of yours covers now; {file} is empty."
    )


def _short(line: dict[str, Any]) -> dict[str, Any]:
    """Return a line with names that fit a screen: of a dataset its node and name, of a row its place."""
    datasets = (iri.rpartition("/datasets/")[2] for iri in line["datasets"])
    value = "" if line["value"] is None else line["value"]
    missing = f"{line['status']}: {line['reason']}" if line["reason"] else line["status"]
    return {
        **line,
        "dataset": " ".join(datasets),
        "row": str(line["row"]).partition("-")[0],
        "value": value,
        "status": missing,
    }
