"""What the hub says of its routes by machine: bodies, formats, who may use them, and that every error is a problem.

The framework reads methods, addresses and parameters from the routes; this adds what they cannot say by themselves,
because bodies are read once and checked by their own schema, and answers come in the format that a caller likes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from fairbank.catalogue import permissions
from fairbank.catalogue.permissions import Action
from fairbank.ontology.wire import Wire
from fairbank.web.openapi_bodies import bodies
from fairbank.web.problems import PROBLEM_JSON

_JSON, _HTML = "application/json", "text/html"
_GRAPHS: Final = ("text/turtle", "application/n-triples", "application/ld+json", "application/rdf+xml")
_TABLES: Final = (
    "application/sparql-results+json", "application/sparql-results+xml", "text/csv", "text/tab-separated-values",
)  # fmt: skip
_ENVELOPE: Final[dict[str, Any]] = {
    "type": "object",
    "description": "A signed envelope (DSSE).",
    "required": ["payload", "payloadType", "signatures"],
    "properties": {
        "payload": {"type": "string"},
        "payloadType": {"type": "string"},
        "signatures": {"type": "array", "items": {"type": "object"}},
    },
}
_PROBLEM: Final[dict[str, Any]] = {
    "type": "object",
    "description": "What happened, why, and what to do (RFC 9457).",
    "required": ["type", "title", "status", "code"],
    "properties": {
        "type": {"type": "string", "pattern": "^urn:fairbank:error:FB-"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "pattern": "^FB-[A-Z]+-[0-9]{3}$"},
        "why": {"type": "string"},
        "todo": {"type": "string"},
    },
}
# The formats of what is answered, by address; the first line that fits. Everything else is JSON.
_ANSWERS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    (r"/sparql", (*_TABLES, *_GRAPHS, _JSON)),
    (r"/(requests|grants|audit)(/.*)?", (_HTML,)),
    (r"/(catalog|dataset|distribution)/\{resource\}/meta(/state)?", (_JSON,)),
    (r"/(meta|catalog/\{node\}/meta|datasets/\{node\}/\{dataset\}/meta)", (_JSON,)),
    (r"/datasets/\{node\}/\{dataset\}/(versions|quality)", (_JSON,)),
    (
        r"/(datasets?|catalog|distribution|profile|spec|expanded|ontology|fdp)(/.*)?",
        (_JSON, *_GRAPHS, _HTML, "application/vnd.fairbank.record.v1+json"),
    ),
    (r"/v1/(blobs|releases|nodes/\{node\}/claim).*", ("application/octet-stream", _JSON)),
    (r"/v1/measurements/export", ("text/csv", "application/vnd.apache.parquet")),
    (r"/v1/requests/\{request_id\}/documents/\{digest\}", ("application/octet-stream", _JSON)),
    (
        r"/v1/(committees/\{committee\}/packet|reviews/\{leg\}/letter)",
        (_JSON, _HTML, "text/markdown", "text/plain"),
    ),
)
_REDIRECTED_OR_KNOWN: Final = ("202", "204", "206", "303", "304", "307", "308")


def describe(app: FastAPI, *, cookie: str) -> Callable[[], dict[str, Any]]:
    """Return what gives the application's description; it is put together once.

    Args:
        cookie: what the cookie of a session is called.
    """
    kept: dict[str, Any] = {}

    def description() -> dict[str, Any]:
        if not kept:
            whole = get_openapi(title=app.title, version=app.version, routes=app.routes)
            kept.update(_completed(whole, cookie))
        return kept

    return description


def _completed(described: dict[str, Any], cookie: str) -> dict[str, Any]:
    parts = described.setdefault("components", {})
    schemas = parts.setdefault("schemas", {})
    schemas["Problem"] = _PROBLEM
    schemas["Envelope"] = _ENVELOPE
    parts["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer"},
        "signature": {
            "type": "apiKey",
            "in": "header",
            "name": "Signature-Input",
            "description": "An enrolled node's signature (RFC 9421), as docs/reference/job-protocol.md says.",
        },
        "session": {"type": "apiKey", "in": "cookie", "name": cookie},
    }
    known = bodies()
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            _answers(operation, path)
            _security(operation, method, path)
            wish = known.get((method.upper(), path))
            if wish is not None and "requestBody" not in operation:
                operation["requestBody"] = {"required": True, "content": _content(wish, schemas)}
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    return described


def _answers(operation: dict[str, Any], path: str) -> None:
    answers = operation["responses"]
    answers.pop("422", None)
    formats = next((found for shape, found in _ANSWERS if re.fullmatch(shape, path)), (_JSON,))
    for status, answer in answers.items():
        schema = answer.get("content", {}).get(_JSON, {}).get("schema", {})
        if status != "204":
            answer["content"] = {each: {"schema": schema if each == _JSON else {}} for each in formats}
    for status in _REDIRECTED_OR_KNOWN:
        extra: dict[str, Any] = {"description": "As RFC 9110 says."}
        if status in ("202", "206"):
            extra["content"] = {each: {"schema": {}} for each in formats}
        answers.setdefault(status, extra)
    problem = {
        "description": "A problem; `code` names it.",
        "content": {
            PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}},
            **(
                {}
                if path.startswith("/v1/")
                else {_HTML: {"schema": {}}, **{each: {"schema": {}} for each in _GRAPHS}}
            ),
        },
    }
    answers["4XX"] = problem
    answers["5XX"] = problem


def _security(operation: dict[str, Any], method: str, path: str) -> None:
    action = permissions.action_of(method.upper(), path.replace("{resource}", "{resource:uuid}"))
    if action is Action.PUBLIC:
        operation["security"] = [{}, {"token": []}, {"session": []}]
    elif action is Action.NODE:
        operation["security"] = [{"signature": []}]
    elif action is not None:
        operation["security"] = [{"token": []}, {"session": []}]


def _content(wish: type[Wire] | str, schemas: dict[str, Any]) -> dict[str, Any]:
    if isinstance(wish, str):
        if wish == "envelope":
            return {_JSON: {"schema": {"$ref": "#/components/schemas/Envelope"}}}
        return {each: {"schema": {"type": "string"}} for each in wish.split()}
    said = wish.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(said.pop("$defs", {}))
    said["properties"] = {"schema": {"const": wish.schema_name}, **said.get("properties", {})}
    said["required"] = ["schema", *said.get("required", [])]
    return {_JSON: {"schema": said}}
