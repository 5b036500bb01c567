"""`fairbank sparql`: ask the catalogue a SPARQL query; see questions that are ready to ask."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer

from fairbank.cli.output import Format, FormatOption, show_rows
from fairbank.cli.prompts import read_text
from fairbank.cli.session import api

app = typer.Typer(no_args_is_help=True, help="Ask in SPARQL; 'ask' is meant where no verb is named.")
_ROWS = "application/sparql-results+json"
_GRAPHS = {Format.TABLE: "text/turtle", Format.JSON: "application/ld+json"}


@app.command()
def ask(
    ctx: typer.Context,
    query: Annotated[str | None, typer.Argument(help="The query, or - for standard input.")] = None,
    file: Annotated[str | None, typer.Option(help="File with the query, or - for standard input.")] = None,
    example: Annotated[
        str | None, typer.Option(metavar="NAME", help="A question that is ready; see 'sparql examples'.")
    ] = None,
    accept: Annotated[
        str | None, typer.Option(help="Media type to print as it comes, such as text/turtle.")
    ] = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Ask the catalogue; a graph (CONSTRUCT, DESCRIBE) is printed as Turtle, or with --format json as JSON-LD.

    Example: fairbank sparql ask "SELECT ?title WHERE { ?dataset a dcat:Dataset ; dct:title ?title }"
    """
    text = _text(query, file, example)
    if accept is not None:
        sys.stdout.buffer.write(api(ctx).sparql(text, accept=accept))
        return
    graphs = f", {_GRAPHS[format]};q=0.5" if format in _GRAPHS else ""
    answer = api(ctx).sparql_answer(text, accept=_ROWS + graphs)
    if answer.media_type != _ROWS:
        sys.stdout.buffer.write(answer.content)
        return
    found = json.loads(answer.content)
    if "boolean" in found:
        show_rows([{"answer": found["boolean"]}], columns=("answer",), format=format)
        return
    rows = [{name: cell["value"] for name, cell in row.items()} for row in found["results"]["bindings"]]
    show_rows(rows, columns=found["head"]["vars"], format=format, empty="No rows.")


@app.command()
def examples(
    name: Annotated[str | None, typer.Argument(help="Print the query of this one only.")] = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """List questions that are ready to ask, or print the query of one, to begin from.

    Example: fairbank sparql examples thin-chest-ct
    """
    from fairbank.catalogue.query_examples import EXAMPLES

    if name is not None:
        sys.stdout.write(_example(name) + "\n")
        return
    columns = ("name", "question") if format is Format.TABLE else ("name", "question", "query")
    show_rows([asdict(one) for one in EXAMPLES], columns=columns, format=format)


def _text(query: str | None, file: str | None, example: str | None) -> str:
    if [query, file, example].count(None) != 2:  # one of three is named
        raise typer.BadParameter("give either a query or --file or --example")
    if example is not None:
        return _example(example)
    if file is not None or query == "-":
        return read_text(file or "-")
    return str(query)


def _example(name: str) -> str:
    from fairbank.catalogue import query_examples

    found = query_examples.find(name)
    if found is None:
        known = ", ".join(one.name for one in query_examples.EXAMPLES)
        raise typer.BadParameter(f"there is no example {name!r}; there are {known}")
    return found.query
