"""`fairbank harvest variables`: clinical variables of the subjects, from tables, REDCap and FHIR."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fairbank.cli.output import Format, FormatOption, say, show_fields, show_rows
from fairbank.cli.session import node

app = typer.Typer(no_args_is_help=True, help="What is known of subjects beside their images, as codes.")
_PROJECT = typer.Argument(help="Project of the research store.")


@app.command()
def template() -> None:
    """Print a mapping file to fill in: which column is which variable.

    Example: fairbank harvest variables template > registry.toml
    """
    from fairbank.harvest.clinical.template import TEMPLATE

    typer.echo(TEMPLATE, nl=False)


@app.command("import")
def import_(
    ctx: typer.Context,
    project: Annotated[str, _PROJECT],
    file: Annotated[
        Path | None,
        typer.Argument(help="CSV or Excel file; leave it out for a REDCap project or FHIR server."),
    ] = None,
    mapping: Annotated[Path, typer.Option(help="The mapping file.")] = Path("mapping.toml"),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Keep nothing; say what would be kept.")] = False,
    take_in: Annotated[
        bool,
        typer.Option("--take-in", help="Keep also what is said of subjects whose images are not here yet."),
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Ask a server for everything, not only for what changed.")
    ] = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Read clinical variables of a project's subjects; what does not fit is listed by row and column.

    Example: fairbank harvest variables import thorax registry.csv --mapping registry.toml --dry-run
    """
    from fairbank.cli.prompts import read_text
    from fairbank.harvest.clinical.importing import import_variables
    from fairbank.harvest.clinical.mapping import read_mapping
    from fairbank.harvest.clinical.opening import open_rows

    opened = node(ctx)
    read = read_mapping(read_text(str(mapping)))
    rows = open_rows(opened, project, read, file=file, beside=mapping.parent, again=again)
    report = import_variables(opened, project, read, rows, dry_run=dry_run, take_in=take_in)
    for problem in report.problems[:50]:
        say(f"row {problem.row}, column {problem.column}: {problem.fault.value}")
    if (total := sum(report.left_out.values())) > 50:
        say(f"… and {total - 50} more.")
    if report.ignored:
        say(f"Columns that no variable uses: {', '.join(map(str, report.ignored))}.")
    fields: dict[str, object] = {"run": report.run} | report.counts()
    show_fields(fields | {"dry run": report.dry_run}, format=format)
    if report.left_out:
        raise typer.Exit(1)


@app.command("list")
def list_(ctx: typer.Context, project: Annotated[str, _PROJECT], format: FormatOption = Format.TABLE) -> None:
    """List the variables of a project, with the number of subjects at this node; it does not leave like this.

    Example: fairbank harvest variables list thorax
    """
    from fairbank.database import reading
    from fairbank.harvest.clinical import store

    with reading(node(ctx).engine) as session:
        known = store.totals(session, project)
        rows = [
            {
                "variable": row.name,
                "label": row.definition["label"],
                "code": f"{row.definition['system']}:{row.definition['code']}",
                "kind": row.definition["kind"],
                "source": row.source,
                "subjects": known.get(row.name, 0),
            }
            for row in store.definitions(session, project)
        ]
    columns = ("variable", "label", "code", "kind", "source", "subjects")
    show_rows(rows, columns=columns, format=format, empty="No variable yet: harvest variables import.")
