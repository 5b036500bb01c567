"""`fairbank sparql`: ask the catalogue a SPARQL query; see questions that are ready; serve RDF files."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairbank.cli.listening import listen
from fairbank.cli.output import Format, FormatOption, say, show_rows
from fairbank.cli.prompts import read_text
from fairbank.cli.session import api, settings

if TYPE_CHECKING:
    from fairbank.catalogue.rdf_files import RdfFile

app = typer.Typer(
    no_args_is_help=True, help="Ask in SPARQL, or serve RDF files; 'ask' is meant where no verb is named."
)
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


@app.command()
def serve(
    ctx: typer.Context,
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE", help="RDF files; their triples go to the default graph."),
    ] = None,
    graph: Annotated[
        list[str] | None,
        typer.Option(
            metavar="IRI=FILE", help="A file whose triples go to a graph of this name. May be repeated."
        ),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on this machine; 0 takes any.")] = 8471,
) -> None:
    """Serve RDF files read-only at /sparql on this machine, until interrupted; needs no hub.

    Example: fairbank sparql serve terms.ttl --graph https://example.org/lungs=lungs.nt --port 8471
    """
    import signal
    import tempfile

    import uvicorn

    from fairbank.catalogue import rdf_files
    from fairbank.catalogue.query_pool import QueryPool
    from fairbank.web.sparql_app import HOST, create_sparql_app

    named = [*_in_default_graph(files or []), *map(_in_graph, graph or [])]
    if not named:
        raise typer.BadParameter("name at least one file, or --graph IRI=FILE")
    todo = "Stop the other process, or choose another port: fairbank sparql serve FILE --port PORT."
    listener = listen(HOST, port, who="The endpoint", todo=todo)
    # The server ends by the signal it was sent; the folder has to be gone then.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    with tempfile.TemporaryDirectory(prefix="fairbank-") as folder, listener:
        loaded = rdf_files.load(named, Path(folder))
        pool = QueryPool(settings(ctx), Path(folder))
        at = listener.getsockname()[1]
        app = create_sparql_app(pool, graphs=loaded.graphs, port=at)
        say(f"{loaded.statements} statements, {len(loaded.graphs)} named graphs: http://{HOST}:{at}/sparql")
        try:
            uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run(sockets=[listener])
        finally:
            pool.close()


def _in_default_graph(paths: list[Path]) -> list[RdfFile]:
    from fairbank.catalogue.rdf_files import RdfFile

    return [RdfFile(path) for path in paths]


def _in_graph(pair: str) -> RdfFile:
    from fairbank.catalogue.rdf_files import RdfFile

    iri, equals, path = pair.rpartition("=")
    if not (iri and equals and path):
        raise typer.BadParameter(f"{pair!r} is not IRI=FILE")
    return RdfFile(Path(path), iri)


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
