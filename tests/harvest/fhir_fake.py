"""A small FHIR server that does what real ones do: versions, pages linked to another host, histories, 410, outcomes.

Paging is HAPI's (`_getpages` below the base address), an unknown parameter is refused as its strict handling does, and
what went wrong is said with words of the data, as real servers say it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

CANARY = "CANARYSMITH"
_SEARCHED = {"_count", "_id", "_lastUpdated", "_tag", "_include", "_sort", "code", "patient", "subject"}


@dataclass
class FhirFake:
    """What the server holds, and how it behaves.

    Attributes:
        versions: each version of each resource with the moment it came; None where it was deleted.
        page: most entries of a page, whatever is asked for.
        asked: the path and parameters of every request.
    """

    fhir_version: str = "4.3.0"
    page: int = 2
    histories: bool = True
    circle: bool = False
    login: str = ""
    versions: dict[tuple[str, str], list[tuple[str, dict[str, Any] | None]]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    pages: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def put(self, resource: dict[str, Any], *, at: str = "2026-01-01T00:00:00Z") -> None:
        versions = self.versions.setdefault((resource["resourceType"], resource["id"]), [])
        meta = {**resource.get("meta", {}), "versionId": str(len(versions) + 1), "lastUpdated": at}
        versions.append((at, {**resource, "meta": meta}))

    def delete(self, kind: str, local_id: str) -> None:
        self.versions[kind, local_id].append((now(), None))

    def current(self, kind: str) -> Iterator[dict[str, Any]]:
        for (of, _), versions in sorted(self.versions.items()):
            if of == kind and versions[-1][1] is not None:
                yield versions[-1][1]

    def app(self) -> FastAPI:
        app = FastAPI()
        tokens = itertools.count()

        @app.middleware("http")
        async def noted(request: Request, go_on: Any) -> Response:
            self.asked.append((request.url.path, dict(request.query_params)))
            if self.login and request.headers.get("authorization") != self.login:
                return outcome(401, "who are you")
            answer: Response = await go_on(request)
            return answer

        def bundle(entries: list[dict[str, Any]], token: str | None = None, offset: int = 0) -> JSONResponse:
            if token is None:
                token = str(next(tokens))
                self.pages[token] = entries
            after = 0 if self.circle else offset + self.page
            links = [{"relation": "self", "url": f"https://inside.{CANARY}.test/fhir"}]
            if after < len(entries):
                url = f"https://inside.{CANARY}.test/fhir?_getpages={token}&_getpagesoffset={after}"
                links.append({"relation": "next", "url": url})
            body = {
                "resourceType": "Bundle",
                "type": "searchset",
                "link": links,
                "entry": entries[offset : offset + self.page],
            }
            return JSONResponse(body, media_type="application/fhir+json")

        @app.get("/fhir/metadata")
        def metadata() -> JSONResponse:
            return JSONResponse({"resourceType": "CapabilityStatement", "fhirVersion": self.fhir_version})

        @app.get("/fhir")
        def page(request: Request) -> Response:
            token = request.query_params["_getpages"]
            return bundle(self.pages[token], token, int(request.query_params["_getpagesoffset"]))

        @app.get("/fhir/{kind}/_history")
        def history_of_all(kind: str, request: Request) -> Response:
            if not self.histories:
                return outcome(501, f"no history of {CANARY}")
            since = request.query_params.get("_since", "")
            return bundle(
                [one for one in self._history(kind, None) if one["response"]["lastModified"] >= since]
            )

        @app.get("/fhir/{kind}/{local_id}/_history")
        def history_of_one(kind: str, local_id: str) -> Response:
            return bundle(self._history(kind, local_id)) if self.histories else outcome(501, CANARY)

        @app.get("/fhir/{kind}/{local_id}")
        def read(kind: str, local_id: str) -> Response:
            versions = self.versions.get((kind, local_id))
            if versions is None:
                return outcome(404, f"{kind}/{local_id} {CANARY} is not known")
            resource = versions[-1][1]
            return (
                outcome(410, f"{local_id} {CANARY} was deleted")
                if resource is None
                else JSONResponse(resource)
            )

        @app.get("/fhir/{kind}")
        def search(kind: str, request: Request) -> Response:
            unknown = set(request.query_params) - _SEARCHED
            if unknown:
                return outcome(400, f"unknown parameter {unknown} {CANARY}")
            found = [one for one in self.current(kind) if matches(one, request.query_params.multi_items())]
            entries = [{"resource": one, "search": {"mode": "match"}} for one in found]
            if "_include" in request.query_params:
                wanted = {one["subject"]["reference"] for one in found if "subject" in one}
                entries += [
                    {"resource": one, "search": {"mode": "include"}}
                    for one in self.current("Patient")
                    if f"Patient/{one['id']}" in wanted
                ]
            hint = {
                "resourceType": "OperationOutcome",
                "issue": [{"severity": "warning", "diagnostics": CANARY}],
            }
            return bundle([*entries, {"resource": hint, "search": {"mode": "outcome"}}])

        return app

    def _history(self, kind: str, local_id: str | None) -> list[dict[str, Any]]:
        entries = []
        for (of, one), versions in self.versions.items():
            for at, resource in versions:
                if of == kind and local_id in (None, one):
                    entry: dict[str, Any] = {"response": {"lastModified": at}}
                    entry["request"] = {"method": "PUT" if resource else "DELETE", "url": f"{kind}/{one}"}
                    entries.append(entry | ({"resource": resource} if resource else {}))
        return sorted(entries, key=lambda entry: entry["response"]["lastModified"], reverse=True)


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def outcome(status: int, words: str) -> JSONResponse:
    issue = [{"severity": "error", "code": "processing", "diagnostics": words}]
    return JSONResponse({"resourceType": "OperationOutcome", "issue": issue}, status_code=status)


def matches(resource: dict[str, Any], params: list[tuple[str, str]]) -> bool:
    for name, value in params:
        if name == "_lastUpdated" and not resource["meta"]["lastUpdated"] >= value.removeprefix("ge"):
            return False
        if name == "_id" and resource["id"] not in value.split(","):
            return False
        if name == "_tag" and value not in [tag["code"] for tag in resource["meta"].get("tag", [])]:
            return False
        if name in ("patient", "subject"):
            reference = resource.get("subject", {}).get("reference", "")
            if reference.removeprefix("Patient/") not in value.split(","):
                return False
        if name == "code":
            codings = [(one["system"], one["code"]) for one in resource["code"]["coding"]]
            wanted = [tuple(token.split("|", 1)) for token in value.split(",")]
            if not any(
                system == of and code in ("", of_code) for system, code in wanted for of, of_code in codings
            ):
                return False
    return True
