"""Where the rows of a mapping come from: a file that is named, or the server that the mapping names."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from pathlib import Path

from fairbank.errors import Sensitive
from fairbank.harvest.clinical.archive_rows import ArchiveRows, KeepsVariables
from fairbank.harvest.clinical.fhir_rows import FhirRows
from fairbank.harvest.clinical.importing import since
from fairbank.harvest.clinical.mapping import ArchiveSection, FhirSection, Mapping
from fairbank.harvest.clinical.redcap_rows import RedcapRows
from fairbank.harvest.clinical.rows import Rows
from fairbank.harvest.clinical.table_rows import TableRows
from fairbank.harvest.errors import BadDefinition, BadMapping
from fairbank.harvest.sources.fhir_server import FhirServer
from fairbank.harvest.sources.opening import open_source
from fairbank.harvest.sources.pace import Politeness
from fairbank.harvest.sources.secret_files import read_secret
from fairbank.release.hub_client import on_this_machine
from fairbank.release.node import Node


def open_rows(
    node: Node, project: str, mapping: Mapping, *, file: Path | None, beside: Path, again: bool = False
) -> Rows:
    """Return the rows that a mapping is about.

    Args:
        file: the table, where rows come from one.
        beside: the folder that names of password files in the mapping are relative to.
        again: ask a server for everything, and not only for what changed since the import before.

    Raises:
        BadMapping: if it is not clear where rows come from.
        BadTable, IdentifyingColumn, SourceUnreachable, SourceLoginRefused: as the kind of source says.
    """
    named = [each for each in (file, mapping.redcap, mapping.fhir, mapping.archive) if each is not None]
    if len(named) != 1:
        raise BadMapping(
            "It is not said where the variables come from."
            if not named
            else "It is said twice where the variables come from.",
            why="It is one of a table, [redcap], [fhir] and a source of the node ([archive]).",
            todo="Name the table's file, or have one of the sections in the mapping.",
        )
    if file is not None:
        return TableRows(file, mapping)
    if mapping.archive is not None:
        return _of_archive(node, mapping, mapping.archive)
    cursor = "" if again else since(node, project, mapping)
    if mapping.redcap is not None:
        token = read_secret(beside / mapping.redcap.token_file)
        changed: datetime | None = None
        with suppress(ValueError):
            changed = datetime.fromisoformat(cursor)
        timeout_s = node.settings.harvest_timeout_s
        return RedcapRows(
            mapping.redcap.url, token, mapping, clock=node.clock, since=changed, timeout_s=timeout_s
        )
    assert mapping.fhir is not None
    server = _server(node, mapping.fhir, mapping.source, beside)
    return FhirRows(server, mapping, identifier_system=mapping.fhir.identifier_system, since=cursor)


def _of_archive(node: Node, mapping: Mapping, archive: ArchiveSection) -> ArchiveRows:
    source = open_source(node, archive.name)
    if not isinstance(source, KeepsVariables):
        source.close()
        raise BadMapping(
            f"The source {archive.name} keeps no variables of its subjects.",
            why=f"It is of the kind {source.kind.value}; an XNAT does.",
            todo="Read them from a table, a REDCap project or a FHIR server.",
        )
    return ArchiveRows(source, source, archive.container, mapping)


def _server(node: Node, section: FhirSection, name: str, beside: Path) -> FhirServer:
    secret: Sensitive[str] | None = None
    if section.password_file is not None:
        secret = read_secret(beside / section.password_file)
    is_safe = section.url.startswith("https://") or on_this_machine(section.url)
    if not section.url.startswith(("https://", "http://")) or (secret is not None and not is_safe):
        raise BadDefinition(
            "The address of the FHIR server cannot be used.",
            why="It starts with https://, because the password travels with each request.",
            todo="Correct 'url' in the mapping.",
        )
    settings = node.settings
    manners = Politeness(requests_per_s=settings.harvest_requests_per_s, timeout_s=settings.harvest_timeout_s)
    return FhirServer(section.url, name=name, user=section.user, secret=secret, manners=manners)
