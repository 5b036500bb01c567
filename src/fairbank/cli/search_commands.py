"""`fairbank search`: find datasets by words and facets."""

from __future__ import annotations

from typing import Annotated

import typer

from fairbank.cli import saved_searches
from fairbank.cli.output import Format, FormatOption, say, show_rows
from fairbank.cli.session import api, settings

app = typer.Typer()
_MANY = "May be repeated."


@app.command()
def search(
    ctx: typer.Context,
    words: Annotated[str, typer.Argument(help="Words of title, description or keywords.")] = "",
    modality: Annotated[list[str] | None, typer.Option(help=f"DICOM modality, such as CT. {_MANY}")] = None,
    body_part: Annotated[list[str] | None, typer.Option(help=f"Body part. {_MANY}")] = None,
    manufacturer: Annotated[list[str] | None, typer.Option(help=f"Manufacturer. {_MANY}")] = None,
    slice_thickness: Annotated[
        list[str] | None, typer.Option(help=f"Half-open band in mm, such as 1-1.5. {_MANY}")
    ] = None,
    node: Annotated[list[str] | None, typer.Option(help=f"Biobank. {_MANY}")] = None,
    licence: Annotated[list[str] | None, typer.Option(help=f"Licence. {_MANY}")] = None,
    data_use: Annotated[
        list[str] | None, typer.Option(help=f"Data-use code, such as DUO:0000042. {_MANY}")
    ] = None,
    collection_kind: Annotated[
        list[str] | None, typer.Option(help=f"How it came to be, such as trial. {_MANY}")
    ] = None,
    access_rights: Annotated[
        list[str] | None, typer.Option(help=f"PUBLIC, RESTRICTED or NON_PUBLIC. {_MANY}")
    ] = None,
    quality: Annotated[
        list[str] | None, typer.Option(help=f"Quality aspect that was assessed, such as motion. {_MANY}")
    ] = None,
    condition: Annotated[
        list[str] | None,
        typer.Option(help=f"Condition: a word such as lung-cancer, a name or a MONDO id. {_MANY}"),
    ] = None,
    holds: Annotated[
        list[str] | None, typer.Option(help=f"What a distribution lists, such as sex=F. {_MANY}")
    ] = None,
    exact: Annotated[
        bool,
        typer.Option(
            "--exact", help="Take a body part and a condition for themselves, without parts and kinds."
        ),
    ] = False,
    min_subjects: Annotated[
        int, typer.Option(min=0, help="Say whether this many matching subjects are certain.")
    ] = 0,
    min_sites: Annotated[int, typer.Option(min=0, help="Say whether this many biobanks match.")] = 0,
    save: Annotated[str | None, typer.Option(help="Keep this search under a name.", metavar="NAME")] = None,
    saved: Annotated[
        str | None,
        typer.Option(help="Ask a kept search again; what else is given replaces its own.", metavar="NAME"),
    ] = None,
    forget: Annotated[str | None, typer.Option(help="Keep a search no longer.", metavar="NAME")] = None,
    facets: Annotated[
        bool, typer.Option("--facets", help="Show what can be chosen instead of the datasets.")
    ] = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Find datasets in the catalogue.

    Example: fairbank search lung --modality CT --slice-thickness 1-1.5
    """
    home = settings(ctx).home
    if forget is not None:
        saved_searches.forget(home, forget)
        say(f"The search {forget} is kept no longer.")
        return
    given = {
        "q": words,
        "modality": modality,
        "body_part": body_part,
        "manufacturer": manufacturer,
        "slice_thickness": slice_thickness,
        "node": node,
        "licence": licence,
        "data_use": data_use,
        "collection_kind": collection_kind,
        "access_rights": access_rights,
        "quality": quality,
        "condition": condition,
        "holds": holds,
        "exact": exact,
        "min_subjects": min_subjects,
        "min_sites": min_sites,
    }
    kept = saved_searches.saved(home, saved) if saved is not None else {}
    question = {**kept, **{key: value for key, value in given.items() if value}}
    if save is not None:
        saved_searches.save(home, save, question)
        say(f"This search is kept as {save}: fairbank search --saved {save}")
    answer = api(ctx).get("/search", **question)
    if facets:
        rows = [{"facet": name, **value} for name, values in answer["facets"].items() for value in values]
        show_rows(rows, columns=("facet", "value", "label", "datasets"), format=format)
        return
    rows = [
        {**one, **one["totals"], "conditions": [each["label"] for each in one["conditions"]]}
        for one in answer["datasets"]
    ]
    columns = ("iri", "title", "conditions", "subjects", "studies", "series")
    show_rows(rows, columns=columns, format=format, empty="Nothing found.")
    for name, total in answer["totals"].items():
        say(f"{name}: {total['text']}")
    if "feasibility" in answer:
        say(f"enough: {answer['feasibility']['enough']}: {answer['feasibility']['why']}")
