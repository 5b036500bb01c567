"""The archives of a node, opened to be written to; they are added as sources are, with a login that may store."""

from __future__ import annotations

from pathlib import Path

from fairbank.harvest.errors import BadDefinition, CannotReceive
from fairbank.harvest.pushing.destination import Destination
from fairbank.harvest.pushing.stow import DicomwebDestination
from fairbank.harvest.pushing.xnat import XnatDestination
from fairbank.harvest.sources.opening import source_row
from fairbank.harvest.sources.pace import Politeness
from fairbank.harvest.sources.protocol import SourceKind
from fairbank.harvest.sources.secret_files import read_secret
from fairbank.release.node import Node


def open_destination(node: Node, name: str, *, into: str) -> Destination:
    """Return an archive, ready to be written to; close it after use.

    Args:
        node: the node that knows the archive.
        name: the archive's name at the node.
        into: the research project of an XNAT; empty for a DICOMweb archive.

    Raises:
        UnknownSource: if the node knows no archive of this name.
        CannotReceive: if archives of its kind are only read.
        BadDefinition: if the project is missing, or none is wanted.
        UnsafeSecret: if its password file can no longer be used.
    """
    row = source_row(node, name)
    kind = SourceKind(row.kind)
    password = read_secret(Path(row.secret_file)) if row.secret_file else None
    settings = node.settings
    manners = Politeness(requests_per_s=settings.harvest_requests_per_s, timeout_s=settings.harvest_timeout_s)
    if kind is SourceKind.DICOMWEB and not into:
        return DicomwebDestination(row.location, row.user, password, name=name, manners=manners)
    if kind is SourceKind.XNAT and into and password is not None:
        return XnatDestination(row.location, row.user, password, project=into, name=name, manners=manners)
    if kind in (SourceKind.DICOMWEB, SourceKind.XNAT):
        raise BadDefinition(
            f"It is not clear where in {name} the series are to go.",
            why="An XNAT takes them into one of its projects; a DICOMweb archive has none.",
            todo="Name the project with --into for an XNAT, and leave it out for a DICOMweb archive.",
        )
    raise CannotReceive(
        f"Nothing can be sent to {name}: it is a {kind.words}.",
        why="Series are sent to an XNAT or a DICOMweb archive.",
        todo="Add one with `fairbank node source add`, with a user who may store.",
    )
