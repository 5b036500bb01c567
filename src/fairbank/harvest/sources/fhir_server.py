"""Asking a FHIR server: searches page by page, histories with what was deleted, and single resources.

Source: HL7 FHIR R4B and R5, "RESTful API": search (3.2.1), paging, history, and 410 for what was deleted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from fairbank.clock import iso
from fairbank.errors import Sensitive
from fairbank.harvest.errors import SourceFailed
from fairbank.harvest.sources.pace import Machine, Politeness
from fairbank.harvest.sources.polite import PoliteClient

PAGE: Final = 200
# What changed while a look was under way is seen again at the next one.
OVERLAP: Final = timedelta(minutes=5)
_MOST_PAGES: Final = 100_000
_HEADERS: Final = {"Accept": "application/fhir+json"}
_VERSION: Final = re.compile(r"[0-9A-Za-z._-]{1,40}")
_ID: Final = re.compile(r"[A-Za-z0-9.-]{1,64}")

Resource = dict[str, Any]


class FhirServer:
    """A FHIR server, read as one user: with user and password, with a bearer token, or with neither."""

    def __init__(
        self,
        url: str,
        *,
        name: str,
        user: str = "",
        secret: Sensitive[str] | None = None,
        manners: Politeness | None = None,
        machine: Machine | None = None,
    ) -> None:
        self._name = name
        self._machine = machine or Machine()
        parts = urlsplit(url)
        self._base = parts.path.rstrip("/")
        self._host = f"{parts.scheme}://{parts.netloc}"
        bearer = secret is not None and not user
        headers = dict(_HEADERS)
        if bearer and secret is not None:
            headers["Authorization"] = f"Bearer {secret.reveal()}"
        self._client = PoliteClient(
            url,
            name=name,
            manners=manners,
            machine=self._machine,
            headers=headers,
            auth=(user, secret.reveal()) if user and secret is not None else None,
        )

    def version(self) -> str:
        """Return the version of FHIR that the server says it speaks, `unknown` if it says none."""
        said = self._object("/metadata", {}).get("fhirVersion")
        # It becomes part of a published record; a server could write anything there.
        return said if isinstance(said, str) and _VERSION.fullmatch(said) else "unknown"

    @property
    def clock_offset_s(self) -> float | None:
        """Return how far the server's clock is ahead, in seconds, if it has told."""
        return self._client.clock_offset_s

    def now(self) -> str:
        """Return from when to ask for changes the next time: the server's time, some minutes ago."""
        self._object("/metadata", {})
        ahead = timedelta(seconds=self._client.clock_offset_s or 0)
        return iso(self._machine.clock.now() + ahead - OVERLAP)

    def search(self, kind: str, params: Mapping[str, str]) -> Iterator[Resource]:
        """Yield the resources that a search finds, with those that it includes.

        Raises:
            SourceFailed: if a page is no bundle, says an error, or leads back to one that was read.
        """
        for entry in self._entries(f"/{kind}", {**params, "_count": str(PAGE)}):
            resource = entry.get("resource")
            if isinstance(resource, dict):
                yield resource

    def history(self, path: str, *, since: str | None = None) -> Iterator[Resource]:
        """Yield the entries of a history, newest first; what was deleted has no resource and says DELETE."""
        params = {"_count": str(PAGE)} | ({"_since": since} if since else {})
        yield from self._entries(f"/{path}/_history", params)

    def read(self, kind: str, local_id: str) -> Resource:
        """Return one resource.

        Raises:
            NotInSource: if it is not there, or was deleted (410).
        """
        if not _ID.fullmatch(local_id):
            raise self._failed("it uses an id that FHIR does not allow")
        return self._object(f"/{kind}/{local_id}", {})

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _entries(self, path: str, params: Mapping[str, str]) -> Iterator[Resource]:
        seen = set()
        for _ in range(_MOST_PAGES):
            bundle = self._object(path, params)
            if bundle.get("resourceType") != "Bundle":
                raise self._failed("it answered a search with something else than a bundle")
            for entry in dicts(bundle.get("entry")):
                resource = entry.get("resource")
                if isinstance(resource, dict) and resource.get("resourceType") == "OperationOutcome":
                    if any(one.get("severity") in ("error", "fatal") for one in dicts(resource.get("issue"))):
                        raise self._failed("it says that a part of the search went wrong")
                    continue
                yield entry
            link = next(
                (one.get("url") for one in dicts(bundle.get("link")) if one.get("relation") == "next"), None
            )
            if link is None:
                return
            if link in seen:
                raise self._failed("its pages go round in a circle")
            seen.add(link)
            path, params = self._followed(str(link))
        raise self._failed("its pages never end")

    def _followed(self, link: str) -> tuple[str, dict[str, str]]:
        """Return address and parameters of a link, at the server's own host: no password goes elsewhere."""
        parts = urlsplit(link)
        path = parts.path.rstrip("/")
        if parts.scheme and not path.startswith(self._base):
            raise self._failed("its next page lies outside of its own address")
        # The whole address: a path alone would get a slash at its end, which some servers do not know.
        whole = path if path.startswith(self._base) else f"{self._base}/{path.lstrip('/')}"
        return self._host + whole, dict(parse_qsl(parts.query, keep_blank_values=True))

    def _object(self, path: str, params: Mapping[str, str]) -> Resource:
        said = self._client.json(path, params=params, headers=_HEADERS)
        if not isinstance(said, dict):
            raise self._failed("it answered with something else than a resource")
        return said

    def _failed(self, reason: str) -> SourceFailed:
        return SourceFailed(
            f"The FHIR server {self._name} failed: {reason}.",
            why="Nothing of this answer was used.",
            todo="Look at the server's own log, and run again.",
        )


def dicts(value: Any) -> list[dict[str, Any]]:
    """Return the objects of a list, none if it is no list."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def codings(value: Any) -> list[tuple[str, str, str]]:
    """Return (system, code, display) of a Coding, CodeableConcept or CodeableReference, which R4B and R5 mix.

    >>> codings({"concept": {"coding": [{"system": "s", "code": "c"}]}}), codings({"code": "CT"})
    ([('s', 'c', '')], [('', 'CT', '')])
    """
    if not isinstance(value, dict):
        return []
    if isinstance(value.get("concept"), dict):
        value = value["concept"]
    listed = dicts(value.get("coding")) if "coding" in value else [value]
    return [(_text(one, "system"), _text(one, "code"), _text(one, "display")) for one in listed]


def reference_id(value: Any, kind: str) -> str | None:
    """Return the id that a reference names, relative or absolute; None if it names none of this kind."""
    text = value.get("reference") if isinstance(value, dict) else None
    if not isinstance(text, str):
        return None
    parts = text.split("/_history/")[0].rstrip("/").split("/")
    return parts[-1] if len(parts) >= 2 and parts[-2] == kind and _ID.fullmatch(parts[-1]) else None


def hospital_number(patient: Resource, system: str) -> str | None:
    """Return what names a patient at this site: the identifier of a system, of the type MR, or the resource's own id.

    Source: HL7 table 0203, "MR" medical record number. With a system given, nothing else will do.
    """
    identifiers = dicts(patient.get("identifier"))
    if system:
        return next(
            (_text(one, "value") or None for one in identifiers if _text(one, "system") == system), None
        )
    for one in identifiers:
        if any(code == "MR" for _, code, _ in codings(one.get("type"))) and _text(one, "value"):
            return _text(one, "value")
    return _text(patient, "id") or None


def _text(value: Mapping[str, Any], name: str) -> str:
    found = value.get(name)
    return found.strip() if isinstance(found, str) else ""
