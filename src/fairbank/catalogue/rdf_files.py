"""RDF files made into a snapshot that the query workers can open, without a hub.

A file's triples go to the default graph, or to the graph that is named for it; quads keep their own graph. Nothing is
fetched, and files are only read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.parsers import expat

import pyoxigraph as ox

from fairbank.catalogue.errors import RdfFileRefused
from fairbank.catalogue.query_pool import CURRENT

_FORMATS: Final = {
    ".ttl": ox.RdfFormat.TURTLE,
    ".nt": ox.RdfFormat.N_TRIPLES,
    ".nq": ox.RdfFormat.N_QUADS,
    ".trig": ox.RdfFormat.TRIG,
    ".jsonld": ox.RdfFormat.JSON_LD,
    ".rdf": ox.RdfFormat.RDF_XML,
    ".owl": ox.RdfFormat.RDF_XML,
    ".xml": ox.RdfFormat.RDF_XML,
}
_ONLY: Final = "one"


@dataclass(frozen=True, slots=True)
class RdfFile:
    """A file to read, and the graph that its triples go to; None is the default graph."""

    path: Path
    graph: str | None = None


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was read: how many statements, and the names of the graphs they are in."""

    statements: int
    graphs: tuple[str, ...]


def load(files: Sequence[RdfFile], folder: Path) -> Loaded:
    """Read files into a new snapshot in a folder, where a `QueryPool` finds it.

    Raises:
        RdfFileRefused: if a file is not there, its format is not known, it cannot be parsed, or its graph is no IRI.
    """
    for file in files:
        _format(file.path)
        _graph(file.graph)
    place = folder / "snapshots" / _ONLY
    place.parent.mkdir(parents=True)
    store = ox.Store(str(place))
    for file in files:
        store.bulk_extend(quads(file))
    store.flush()
    graphs = tuple(sorted(graph.value for graph in store.named_graphs() if isinstance(graph, ox.NamedNode)))
    loaded = Loaded(statements=len(store), graphs=graphs)
    # Closed before anybody else opens it.
    del store
    (folder / CURRENT).symlink_to(place.relative_to(folder))
    return loaded


def quads(file: RdfFile) -> Iterator[ox.Quad]:
    """Yield the statements of a file.

    Raises:
        RdfFileRefused: if it is not there, its format is not known, or it cannot be parsed.
    """
    base = file.path.resolve().as_uri()
    graph = _graph(file.graph)
    form = _format(file.path)
    try:
        # Blank nodes of two files are never the same, even if they have the same label.
        for quad in ox.parse(path=str(file.path), format=form, base_iri=base, rename_blank_nodes=True):
            if quad.graph_name == ox.DefaultGraph():
                yield ox.Quad(quad.subject, quad.predicate, quad.object, graph)
            else:
                yield quad
    except SyntaxError as err:
        raise _unparsable(file.path, err) from err
    except OSError as err:
        raise RdfFileRefused(
            f"The file {file.path} cannot be read.",
            why=f"{err.strerror or err}.",
            todo="Check its name and its mode.",
        ) from err


def _format(path: Path) -> ox.RdfFormat:
    form = _FORMATS.get(path.suffix.lower())
    if form is None:
        raise RdfFileRefused(
            f"The format of {path} is not known.",
            why=f"A file's format is told by its ending, one of {' '.join(_FORMATS)}.",
            todo="Rename it, or convert it.",
        )
    return form


def _graph(iri: str | None) -> ox.NamedNode | ox.DefaultGraph:
    if iri is None:
        return ox.DefaultGraph()
    try:
        return ox.NamedNode(iri)
    except ValueError as err:
        raise RdfFileRefused(
            f"{iri!r} cannot name a graph.",
            why=f"A graph is named by an absolute IRI: {err}.",
            todo="Write --graph IRI=FILE, such as --graph https://example.org/lungs=lungs.ttl.",
        ) from err


def _unparsable(path: Path, err: SyntaxError) -> RdfFileRefused:
    message = (err.msg or "").removeprefix("Parser error at ").rstrip(".")
    if "LoadDocumentCallback" in message:
        message = "it names a context at another address, and nothing is fetched"
    elif err.lineno is None and (line := _xml_line(path)):
        message = f"line {line}: {message}"
    return RdfFileRefused(
        f"The file {path} is not the {_format(path).name} that its ending says.",
        why=f"At {message}." if message.startswith("line") else f"The reader says: {message}.",
        todo="Correct it there, or give it the ending of its format.",
    )


def _xml_line(path: Path) -> int | None:
    # The engine's reader of RDF/XML does not tell the place.
    if _format(path) != ox.RdfFormat.RDF_XML:
        return None
    try:
        expat.ParserCreate().Parse(path.read_bytes(), True)
    except expat.ExpatError as err:
        return err.lineno
    return None
