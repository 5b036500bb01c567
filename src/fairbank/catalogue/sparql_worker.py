"""One SPARQL worker: a process that answers queries from a read-only snapshot and may be killed at any moment.

It is started as a script in isolated mode and imports nothing of fairbank but the reader of texts, so it is small and
starts fast. It has no network (a namespace of its own, and no call that opens a socket), a memory limit, and an alarm
that ends it should its parent be gone. It gets and sends frames over an inherited socket: JSON, and after a result the
result's bytes.

The engine has no time or memory limit of its own (pyoxigraph 0.5), hence the process.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import resource
import signal
import struct
import sys
from multiprocessing.connection import Connection
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pyoxigraph as ox

_NEW_NETWORK, _NEW_USER = 0x40000000, 0x10000000  # linux/sched.h
_NO_NEW_PRIVILEGES, _SET_SECCOMP = 38, 22  # linux/prctl.h
# The name that linux/audit.h has for the machine, and its number of socket(2); io_uring_setup(2) is 425 on both.
_MACHINES: Final = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
_IO_URING_SETUP: Final = 425
_GRACE_S: Final = 2.0


class TooManyRows(Exception):
    """An answer has more rows than permitted."""


class TooManyBytes(Exception):
    """An answer is longer than permitted."""


class NotForXml(Exception):
    """An answer holds what XML 1.0 cannot write."""


def main() -> None:
    """Answer queries until the parent closes the socket."""
    handle, memory_bytes, snapshot = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    connection = Connection(handle)
    isolated = _leave_network()
    _be_the_first_to_go()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Before anybody waits for it.
    store, graphs = _opened(snapshot)
    query_text = _beside("query_text")
    query_text.check("ASK {}")
    connection.send_bytes(json.dumps({"ready": True, "isolated": isolated}).encode())
    while True:
        try:
            question = json.loads(connection.recv_bytes())
        except EOFError:
            return
        signal.setitimer(signal.ITIMER_REAL, question["timeout_s"] + _GRACE_S)
        if question["snapshot"] != snapshot or store is None:
            snapshot = question["snapshot"]
            store, graphs = _opened(snapshot)
        # Counted from here: what the engine takes to open a store is no query's.
        resource.setrlimit(resource.RLIMIT_AS, (_virtual_bytes() + memory_bytes, resource.RLIM_INFINITY))
        head: dict[str, Any]
        head, content = {"status": "no-snapshot"}, b""
        if store is not None:
            head, content = _answer(store, question, graphs, query_text)
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
        connection.send_bytes(json.dumps(head).encode())
        connection.send_bytes(content)
        signal.setitimer(signal.ITIMER_REAL, 0)


def _opened(snapshot: str) -> tuple[ox.Store | None, frozenset[str]]:
    import pyoxigraph as ox

    try:
        store = ox.Store.read_only(snapshot)
    except (OSError, RuntimeError):
        return None, frozenset()
    names = (graph for graph in store.named_graphs() if isinstance(graph, ox.NamedNode))
    return store, frozenset(graph.value for graph in names)


def _beside(name: str) -> ModuleType:
    """Load a module of this folder alone: its package, and all that imports, stays outside."""
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location(name, os.path.join(os.path.dirname(__file__), f"{name}.py"))  # noqa: PTH118, PTH120
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _answer(
    store: ox.Store, question: dict[str, Any], graphs: frozenset[str], query_text: ModuleType
) -> tuple[dict[str, Any], bytes]:
    try:
        asked = query_text.check(question["query"])
    except query_text.Refused as refused:
        status = "forbidden" if isinstance(refused, query_text.Forbidden) else "malformed"
        return {"status": status, "what": refused.what, "why": refused.why, "todo": refused.todo}, b""
    if question["default_graphs"] is None and question["named_graphs"] is None:
        question |= {"default_graphs": asked.default_graphs, "named_graphs": asked.named_graphs}
    try:
        result = store.query(question["query"], prefixes=question["prefixes"], **_dataset(question, graphs))
        return _serialised(result, question)
    except SyntaxError as err:
        return {"status": "malformed", "why": str(err.msg or err)[:2000]}, b""
    except TooManyRows:
        return {"status": "too-many-rows"}, b""
    except TooManyBytes:
        return {"status": "too-many-bytes"}, b""
    except NotForXml:
        return {"status": "not-for-xml"}, b""
    except ValueError as err:
        return {"status": "malformed", "why": str(err)[:2000]}, b""
    except OSError:
        # Of the disk, and so with paths in its words; those are nobody's business.
        return {"status": "no-snapshot"}, b""


def _dataset(question: dict[str, Any], graphs: frozenset[str]) -> dict[str, Any]:
    import pyoxigraph as ox

    visible = graphs.intersection(question["visible"])
    default, named = question["default_graphs"], question["named_graphs"]
    if default is None and named is None:
        if not question["default_is_union"]:
            return {}
        if visible == graphs:
            # Graphs are disjoint, so the union counts no triple twice; it is faster than a list of graphs.
            return {"use_default_graph_as_union": True}
        default = named = list(visible)
    # An empty list would mean "no restriction" to nobody here: a graph that does not exist stands for it.
    nothing = [ox.NamedNode("urn:fairbank:no-graph")]
    return {
        "default_graph": [ox.NamedNode(iri) for iri in sorted(visible.intersection(default or ()))]
        or nothing,
        "named_graphs": [ox.NamedNode(iri) for iri in sorted(visible.intersection(named or ()))] or nothing,
    }


def _serialised(result: Any, question: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    import pyoxigraph as ox

    if isinstance(result, ox.QueryTriples):
        media_type = question["graph_format"]
        if media_type is None:
            return {"status": "not-acceptable"}, b""
        triples = _capped(result, question["maximum_rows"])
        form = ox.RdfFormat.from_media_type(media_type)
        prefixes = question["prefixes"] if media_type == "text/turtle" else None
        content = ox.serialize(triples, format=form, prefixes=prefixes)
        content = _checked(content or b"", media_type, question["maximum_bytes"])
        return {"status": "ok", "media_type": media_type, "rows": len(triples)}, content
    media_type = question["row_format"]
    if media_type is None:
        return {"status": "not-acceptable"}, b""
    if isinstance(result, ox.QueryBoolean):
        return {"status": "ok", "media_type": media_type, "rows": 1}, _truth(bool(result), media_type)
    variables = [variable.value for variable in result.variables]
    rows = _capped(result, question["maximum_rows"])
    content = _checked(_ROWS[media_type](variables, rows), media_type, question["maximum_bytes"])
    return {"status": "ok", "media_type": media_type, "rows": len(rows)}, content


def _checked(content: bytes, media_type: str, maximum_bytes: int) -> bytes:
    if len(content) > maximum_bytes:
        raise TooManyBytes
    if not media_type.endswith("+xml"):
        return content
    import re

    # Control characters (XML 1.0, section 2.2), and a predicate that ends in no XML name, for which the engine
    # writes an element without one.
    if re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]|<oxprefix: ", content):
        raise NotForXml
    # A reader takes a bare carriage return for the end of a line (section 2.11).
    return content.replace(b"\r", b"&#13;")


def _truth(value: object, media_type: str) -> bytes:
    word = str(value).lower()
    if media_type == "application/sparql-results+json":
        return f'{{"head":{{}},"boolean":{word}}}'.encode()
    if media_type == "application/sparql-results+xml":
        head = '<?xml version="1.0"?><sparql xmlns="http://www.w3.org/2005/sparql-results#"><head/>'
        return f"{head}<boolean>{word}</boolean></sparql>".encode()
    # SPARQL 1.1 CSV and TSV say nothing about ASK; the plain word is what other servers send.
    return word.encode()


def _capped(result: Any, maximum: int) -> list[Any]:
    rows: list[Any] = []
    for row in result:
        if len(rows) == maximum:
            raise TooManyRows
        rows.append(row)
    return rows


def _json(variables: list[str], rows: list[Any]) -> bytes:
    # SPARQL 1.1 Query Results JSON Format, https://www.w3.org/TR/sparql11-results-json/
    bindings = [
        {name: _json_term(term) for name, term in zip(variables, row, strict=True) if term is not None}
        for row in rows
    ]
    document = {"head": {"vars": variables}, "results": {"bindings": bindings}}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _json_term(term: Any) -> dict[str, Any]:
    kind = type(term).__name__
    if kind == "NamedNode":
        return {"type": "uri", "value": term.value}
    if kind == "BlankNode":
        return {"type": "bnode", "value": term.value}
    if kind == "Triple":
        parts = {"subject": term.subject, "predicate": term.predicate, "object": term.object}
        return {"type": "triple", "value": {name: _json_term(part) for name, part in parts.items()}}
    if term.language:
        return {"type": "literal", "value": term.value, "xml:lang": term.language}
    datatype = term.datatype.value
    if datatype == "http://www.w3.org/2001/XMLSchema#string":
        return {"type": "literal", "value": term.value}
    return {"type": "literal", "value": term.value, "datatype": datatype}


def _xml(variables: list[str], rows: list[Any]) -> bytes:
    # SPARQL Query Results XML Format, https://www.w3.org/TR/rdf-sparql-XMLres/
    from xml.sax.saxutils import quoteattr

    lines = ['<?xml version="1.0"?>', '<sparql xmlns="http://www.w3.org/2005/sparql-results#"><head>']
    lines += [f"<variable name={quoteattr(name)}/>" for name in variables]
    lines.append("</head><results>")
    for row in rows:
        bound = [(name, term) for name, term in zip(variables, row, strict=True) if term is not None]
        cells = "".join(
            f"<binding name={quoteattr(name)}>{_xml_term(term)}</binding>" for name, term in bound
        )
        lines.append(f"<result>{cells}</result>")
    lines.append("</results></sparql>")
    return "\n".join(lines).encode()


def _xml_term(term: Any) -> str:
    from xml.sax.saxutils import escape, quoteattr

    kind = type(term).__name__
    if kind == "Triple":
        parts = (("subject", term.subject), ("predicate", term.predicate), ("object", term.object))
        return (
            "<triple>" + "".join(f"<{name}>{_xml_term(part)}</{name}>" for name, part in parts) + "</triple>"
        )
    value = escape(term.value)
    if kind == "NamedNode":
        return f"<uri>{value}</uri>"
    if kind == "BlankNode":
        return f"<bnode>{value}</bnode>"
    if term.language:
        return f"<literal xml:lang={quoteattr(term.language)}>{value}</literal>"
    datatype = term.datatype.value
    if datatype == "http://www.w3.org/2001/XMLSchema#string":
        return f"<literal>{value}</literal>"
    return f"<literal datatype={quoteattr(datatype)}>{value}</literal>"


def _csv(variables: list[str], rows: list[Any]) -> bytes:
    # SPARQL 1.1 CSV, https://www.w3.org/TR/sparql11-results-csv-tsv/
    import csv
    import io

    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(variables)
    for row in rows:
        writer.writerow(["" if term is None else _csv_term(term) for term in row])
    return text.getvalue().encode()


def _csv_term(term: Any) -> str:
    kind = type(term).__name__
    if kind == "BlankNode":
        return f"_:{term.value}"
    return str(term) if kind == "Triple" else str(term.value)


def _tsv(variables: list[str], rows: list[Any]) -> bytes:
    lines = ["\t".join(f"?{name}" for name in variables)]
    lines += ["\t".join("" if term is None else _tsv_term(term) for term in row) for row in rows]
    return ("\n".join(lines) + "\n").encode()


def _tsv_term(term: Any) -> str:
    # N-Triples syntax escapes line ends and quotes; a tab inside a literal has to be escaped here.
    return str(term).replace("\t", "\\t")


_ROWS = {
    "application/sparql-results+json": _json,
    "application/sparql-results+xml": _xml,
    "text/csv": _csv,
    "text/tab-separated-values": _tsv,
}


def _leave_network() -> bool:
    """Give up the network in every way that the machine permits; tell whether one of them worked."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    in_a_namespace = libc.unshare(_NEW_NETWORK) == 0 or libc.unshare(_NEW_USER | _NEW_NETWORK) == 0
    return _open_no_sockets(libc) or bool(in_a_namespace)


def _open_no_sockets(libc: ctypes.CDLL) -> bool:
    """Have the kernel refuse new sockets to this process (seccomp(2), filter mode)."""
    if os.uname().machine not in _MACHINES:
        return False
    architecture, opens_socket = _MACHINES[os.uname().machine]
    load, is_equal, is_at_least, answer = 0x20, 0x15, 0x35, 0x06  # linux/bpf_common.h
    allow, refuse = 0x7FFF0000, 0x00050000 | errno.EPERM  # linux/seccomp.h
    # Code, steps to go on if true and if false, operand. A call of another architecture is refused whatever it is;
    # x32 numbers calls of its own from 2**30.
    program = (
        (load, 0, 0, 4),
        (is_equal, 0, 5, architecture),
        (load, 0, 0, 0),
        (is_at_least, 3, 0, 2**30),
        (is_equal, 2, 0, opens_socket),
        (is_equal, 1, 0, _IO_URING_SETUP),
        (answer, 0, 0, allow),
        (answer, 0, 0, refuse),
    )
    steps = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in program))
    filter_ = struct.pack("@HP", len(program), ctypes.addressof(steps))
    return bool(libc.prctl(_SET_SECCOMP, 2, ctypes.c_char_p(filter_), 0, 0) == 0)


def _be_the_first_to_go() -> None:
    """Ask the kernel to end this process, not the hub, should the machine run out of memory."""
    try:
        with open("/proc/self/oom_score_adj", "w") as opened:  # noqa: PTH123  # a pseudo-file
            opened.write("1000")
    except OSError:
        pass


def _virtual_bytes() -> int:
    with open("/proc/self/statm") as opened:  # noqa: PTH123  # a pseudo-file, and pathlib is not loaded here
        return int(opened.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
