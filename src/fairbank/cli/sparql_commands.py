"""`fairbank sparql`: ask the catalogue a SPARQL query."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from fairbank.cli.output import Format, FormatOption, show_rows
from fairbank.cli.prompts import read_text
from fairbank.cli.session import api

app = typer.Typer()


@app.command()
def sparql(
    ctx: typer.Context,
    query: Annotated[str | None, typer.Argument(help="The query.")] = None,
    file: Annotated[str | None, typer.Option(help="File with the query, or - for standard input.")] = None,
    accept: Annotated[
        str | None, typer.Option(help="Media type to print as it comes, such as text/turtle.")
    ] = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Ask a SPARQL 1.1 query; CONSTRUCT needs --accept.

    Example: fairbank sparql "SELECT ?d WHERE { ?d a <http://www.w3.org/ns/dcat#Dataset> }"
    """
    if (query is None) == (file is None):
        raise typer.BadParameter("give either a query or --file")
    text = query if query is not None else read_text(str(file))
    if accept is not None:
        sys.stdout.buffer.write(api(ctx).sparql(text, accept=accept))
        return
    answer = json.loads(api(ctx).sparql(text))
    if "boolean" in answer:
        show_rows([{"answer": answer["boolean"]}], columns=("answer",), format=format)
        return
    columns = answer["head"]["vars"]
    rows = [{name: cell["value"] for name, cell in row.items()} for row in answer["results"]["bindings"]]
    show_rows(rows, columns=columns, format=format, empty="No rows.")
