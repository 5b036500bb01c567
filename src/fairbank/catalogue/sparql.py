"""The SPARQL 1.1 Protocol, queries only (https://www.w3.org/TR/sparql11-protocol/)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs

from fairbank.catalogue import negotiation
from fairbank.catalogue.errors import NotAcceptable, QueryForbidden, QueryMalformed
from fairbank.catalogue.query_pool import Answer, QueryPool, Question
from fairbank.catalogue.query_text import LONGEST_QUERY

FORM = "application/x-www-form-urlencoded"
QUERY = "application/sparql-query"
UPDATE = "application/sparql-update"
_MOST_FIELDS = 2_000
# A text in one of these is the same text in UTF-8.
_CHARACTER_SETS = frozenset({"", "utf-8", "utf8", "us-ascii"})


@dataclass(frozen=True, slots=True)
class Asking:
    """One request of the protocol: the query and the graphs its parameters name."""

    query: str
    default_graphs: tuple[str, ...] = ()
    named_graphs: tuple[str, ...] = ()


def ask(
    pool: QueryPool,
    asking: Asking,
    *,
    visible: Sequence[str],
    accept: str | None,
    default_is_union: bool = True,
    caller: str = "",
) -> Answer:
    """Answer a query over the graphs that the caller may see.

    Args:
        visible: the names of these graphs.
        default_is_union: whether their union is the default graph where nobody names one.
        accept: the value of the Accept header; None where there was none.
        caller: who asks; each caller has a share of the workers only.

    Raises:
        QueryForbidden, QueryMalformed, NotAcceptable: if it cannot be answered as it is.
        QueryTimeout, QueryTooBig, QueryOutOfMemory, QueryBusy, QueryNotIsolated: as the pool says.
    """
    if len(asking.query) > LONGEST_QUERY:
        raise QueryMalformed(
            f"The query has {len(asking.query)} characters.",
            why=f"At most {LONGEST_QUERY} are read.",
            todo="Shorten it.",
        )
    row_format, graph_format = negotiation.row_format(accept), negotiation.graph_format(accept)
    if row_format is None and graph_format is None:
        raise NotAcceptable(
            "None of the formats that you accept is offered.",
            why="Rows come as JSON, XML, CSV or TSV; graphs as Turtle, N-Triples, JSON-LD or RDF/XML.",
            todo="Accept one of these.",
        )
    # Graphs named by the protocol win over those in the text (SPARQL 1.1 Protocol, section 2.1.4).
    by_protocol = bool(asking.default_graphs or asking.named_graphs)
    return pool.ask(
        Question(
            query=asking.query,
            visible=visible,
            default_graphs=asking.default_graphs if by_protocol else None,
            named_graphs=asking.named_graphs if by_protocol else None,
            default_is_union=default_is_union,
            row_format=row_format,
            graph_format=graph_format,
        ),
        caller=caller,
    )


def from_get(query_string: bytes) -> Asking:
    """Read a GET request's parameters."""
    return _asking(_fields(query_string))


def from_post(query_string: bytes, content_type: str, body: bytes) -> Asking:
    """Read a POST request: a form, or the query itself; the address may add graphs to either."""
    media_type, _, parameters = content_type.partition(";")
    media_type = media_type.strip().lower()
    if media_type == UPDATE:
        raise _no_updates()
    if media_type not in (FORM, QUERY):
        raise QueryMalformed(
            f"A query cannot be sent as {media_type or 'a body without a media type'}.",
            why="The SPARQL 1.1 Protocol knows two ways to POST a query.",
            todo=f"Send it as {QUERY}, or as the field 'query' of a form ({FORM}).",
        )
    if _character_set(parameters) not in _CHARACTER_SETS:
        raise _not_utf8()
    sent = _fields(body) if media_type == FORM else {"query": [_utf8(body)]}
    fields = _fields(query_string)
    # Joined, not overwritten: a query in the address and another in the body are two.
    return _asking({name: [*fields.get(name, []), *sent.get(name, [])] for name in (*fields, *sent)})


def _character_set(parameters: str) -> str:
    named = (part.strip().lower() for part in parameters.split(";"))
    found = next((part for part in named if part.startswith("charset=")), "")
    return found.removeprefix("charset=").strip('"')


def _asking(fields: Mapping[str, list[str]]) -> Asking:
    if "update" in fields:
        raise _no_updates()
    queries = fields.get("query", [])
    if len(queries) != 1 or not queries[0].strip():
        raise QueryMalformed(
            "There is no query." if not any(queries) else "There is more than one query.",
            why="A request asks exactly one.",
            todo="Send it in the parameter 'query'.",
        )
    return Asking(
        queries[0], tuple(fields.get("default-graph-uri", [])), tuple(fields.get("named-graph-uri", []))
    )


def _fields(encoded: bytes) -> dict[str, list[str]]:
    try:
        return parse_qs(
            encoded.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS
        )
    except UnicodeDecodeError as err:
        raise _not_utf8() from err
    except ValueError as err:
        raise QueryMalformed(
            "The request has too many parameters.",
            why=f"At most {_MOST_FIELDS} are read.",
            todo="Name fewer graphs.",
        ) from err


def _utf8(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as err:
        raise _not_utf8() from err


def _not_utf8() -> QueryMalformed:
    return QueryMalformed("The query is not UTF-8.", why="SPARQL is Unicode.", todo="Send it as UTF-8.")


def _no_updates() -> QueryForbidden:
    return QueryForbidden(
        "This endpoint takes no updates.",
        why="The RDF view is made from the records that nodes publish; nobody writes to it directly.",
        todo="Publish a new version of the record at its node.",
    )
