"""`fairbank deid risk`: how many subjects share what is known of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairbank.cli.output import Format, FormatOption, say, show_fields, show_rows
from fairbank.cli.prompts import write_bytes
from fairbank.cli.session import node, settings

if TYPE_CHECKING:
    from fairbank.deid.risk import Risk

_BY = "age-band,sex,body-region,modality,manufacturer,model,study-year"


def add_to(app: typer.Typer) -> None:
    """Add the verb to the noun `deid`."""
    app.command()(risk)


def risk(
    ctx: typer.Context,
    project: Annotated[str, typer.Argument(help="Project of the research store.")] = "",
    folder: Annotated[
        Path | None, typer.Option(help="A folder of de-identified files instead of a project.", exists=True)
    ] = None,
    by: Annotated[str, typer.Option(help="What somebody may know of a person, with commas between.")] = _BY,
    k: Annotated[
        int,
        typer.Option(
            help="Smallest class that is safe; by default the setting release_minimum_count.", min=0
        ),
    ] = 0,
    sensitive: Annotated[
        str, typer.Option(help="A property or clinical variable that must differ within a class.")
    ] = "",
    diversity: Annotated[int, typer.Option("--l", help="How many words of it a class must have.", min=2)] = 2,
    limit: Annotated[int, typer.Option(help="How many of the smallest classes to show.", min=1)] = 20,
    chart: Annotated[
        Path | None, typer.Option(help="File for a chart (SVG) of what each generalisation would leave.")
    ] = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Assess k-anonymity of a collection, and what would lift it. What this prints is for this site only.

    Example: fairbank deid risk thorax --by age-band,sex,modality,study-year
    """
    from fairbank.deid.risk import assess

    if bool(project) == (folder is not None):
        raise typer.BadParameter("name a project, or a folder with --folder")
    names = _checked(by)
    if folder is not None:
        from fairbank.deid.risk_rows import rows_of_folder

        rows = list(rows_of_folder(folder))
    else:
        from fairbank.harvest.risk_rows import rows_of_project

        rows = rows_of_project(node(ctx), project)
    threshold = k or settings(ctx).release_minimum_count
    found = assess(rows, names, k=threshold, sensitive=sensitive or None, diversity=diversity)
    _show(found, limit, diversity, format)
    if chart is not None:
        write_bytes(_drawn(found).encode(), chart)


def _checked(by: str) -> list[str]:
    from fairbank.deid.risk import PROPERTIES

    names = [name.strip() for name in by.split(",") if name.strip()]
    unknown = [name for name in names if name not in PROPERTIES]
    if unknown:
        raise typer.BadParameter(f"{', '.join(unknown)}: not one of {', '.join(PROPERTIES)}")
    return list(dict.fromkeys(names))


def _drawn(found: Risk) -> str:
    from fairbank.charts.bars import bar_chart, counted

    # The node's own exact numbers: this is for its people, before anything leaves.
    bars = [counted("as it is", found.below), *(counted(step.what, step.below) for step in found.each)]
    title = f"Subjects in classes of fewer than {found.k}, of {found.subjects}"
    return bar_chart(bars, title=title, name="risk", head=("Generalisation", "Subjects")).alone()


def _show(found: Risk, limit: int, diversity: int, format: Format) -> None:
    fields: dict[str, object] = {
        "k": found.k,
        "subjects": found.subjects,
        "classes": len(found.classes),
        "subjects in classes below k": found.below,
    }
    if found.uniform is not None:
        fields[f"subjects in classes with fewer than {diversity} sensitive words"] = found.uniform
    smallest = [
        dict(zip(found.by, one.words, strict=True))
        | {"subjects": f"<{found.k}" if one.subjects < found.k else str(one.subjects)}
        for one in found.classes[:limit]
    ]
    each = [{"generalisation": one.what, "subjects_below_k": one.below} for one in found.each]
    path = [{"generalisation": one.what, "subjects_below_k": one.below} for one in found.path]
    if format is Format.JSON:
        show_fields(fields | {"smallest": smallest, "each": each, "path": path}, format=format)
        return
    show_fields(fields, format=format)
    say("Smallest classes:")
    show_rows(smallest, columns=(*found.by, "subjects"), format=format)
    say("One generalisation alone:")
    show_rows(each, columns=("generalisation", "subjects_below_k"), format=format)
    if path:
        say("One after the other:")
        show_rows(path, columns=("generalisation", "subjects_below_k"), format=format)
