"""The archives that a node reads: added under names of its own, and opened by their kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.audit import NodeAudit
from fairbank.database import reading, writing
from fairbank.errors import Sensitive
from fairbank.harvest.errors import BadDefinition, BadMapping, UnknownSource
from fairbank.harvest.sources.folder import FolderSource
from fairbank.harvest.sources.pace import Politeness
from fairbank.harvest.sources.protocol import Source, SourceKind
from fairbank.harvest.sources.secret_files import read_secret
from fairbank.harvest.sources.xnat import Marks, SubjectName, XnatSource, option_of
from fairbank.harvest.store import SourceRow
from fairbank.release.node import Node
from fairbank.settings import Settings


@dataclass(frozen=True, slots=True)
class Place:
    """Where a source is and how it is read, as its kind's opener takes it.

    Attributes:
        location: address or path.
        password: the user's password or token; None where no password file is named.
        options: what else the kind asks for, by name.
    """

    name: str
    location: str
    user: str
    password: Sensitive[str] | None
    options: Mapping[str, str]
    settings: Settings


@dataclass(frozen=True, slots=True)
class _Kind:
    """How sources of one kind are added and opened.

    Attributes:
        schemes: what a location starts with; empty for a path on this machine.
        needs_login: whether it needs a user and a password file.
        names_a_port: whether a location is `host:port`.
        options: the options that it takes, each with what it means.
    """

    open: Callable[[Place], Source]
    schemes: tuple[str, ...] = ()
    needs_login: bool = False
    names_a_port: bool = False
    options: Mapping[str, str] = field(default_factory=dict)


def _folder(place: Place) -> Source:
    return FolderSource(Path(place.location), name=place.name, workers=place.settings.harvest_workers)


def _xnat(place: Place) -> Source:
    assert place.password is not None
    return XnatSource(
        place.location,
        place.user,
        place.password,
        name=place.name,
        timeout_s=place.settings.harvest_timeout_s,
        requests_per_s=place.settings.harvest_requests_per_s,
        subject=option_of(SubjectName, "subject", place.options.get("subject", SubjectName.PATIENT_ID.value)),
        marks=option_of(Marks, "marks", place.options.get("marks", Marks.ITEM.value)),
    )


def _table(place: Place) -> Source:
    from fairbank.harvest.sources.tables import TableSource, read_table_mapping

    table = Path(place.location)
    # Relative to the table, so that both can be moved together.
    mapping = table.parent / place.options.get("mapping", f"{table.stem}.toml")
    try:
        text = mapping.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as err:
        raise BadMapping(
            f"The mapping file of the table {place.name} cannot be read.",
            why="Without it nobody knows which column is what.",
            todo="Write one, and name it with the option 'mapping'.",
        ) from err
    return TableSource(table, read_table_mapping(text), name=place.name)


def _bids(place: Place) -> Source:
    from fairbank.harvest.sources.bids import BidsSource

    return BidsSource(Path(place.location), name=place.name, issuer=place.options.get("issuer", ""))


def _fhir(place: Place) -> Source:
    from fairbank.harvest.sources.fhir import FhirSource
    from fairbank.harvest.sources.fhir_server import FhirServer

    manners = Politeness(
        requests_per_s=place.settings.harvest_requests_per_s, timeout_s=place.settings.harvest_timeout_s
    )
    server = FhirServer(
        place.location, name=place.name, user=place.user, secret=place.password, manners=manners
    )
    return FhirSource(
        server,
        name=place.name,
        identifier_system=place.options.get("identifier-system", ""),
        tags=[tag.strip() for tag in place.options.get("tags", "").split(",") if tag.strip()],
        issuer=place.options.get("issuer", ""),
    )


def _dicomweb(place: Place) -> Source:
    from fairbank.harvest.sources.archive_questions import Filter, says_all_dated
    from fairbank.harvest.sources.dicomweb import DicomwebSource
    from fairbank.harvest.sources.orthanc import OrthancSource

    settings = place.settings
    manners = Politeness(requests_per_s=settings.harvest_requests_per_s, timeout_s=settings.harvest_timeout_s)
    wanted = Filter.parse(place.options.get("filter", ""))
    if rest_path := place.options.get("orthanc"):
        return OrthancSource(
            place.location,
            place.user,
            place.password,
            rest_path=rest_path,
            name=place.name,
            wanted=wanted,
            manners=manners,
        )
    return DicomwebSource(
        place.location,
        place.user,
        place.password,
        name=place.name,
        wanted=wanted,
        all_dated=says_all_dated(place.options),
        manners=manners,
    )


def _dimse(place: Place) -> Source:
    # pynetdicom is not loaded by commands that need no archive.
    from fairbank.harvest.sources.dimse import DimseSource

    return DimseSource.of_options(
        place.location,
        place.options,
        name=place.name,
        timeout_s=place.settings.harvest_timeout_s,
        requests_per_s=place.settings.harvest_requests_per_s,
    )


_ISSUER = "Issuer of Patient ID (0010,0021) that the images of the same patients have"
_KINDS: Final[dict[SourceKind, _Kind]] = {
    SourceKind.XNAT: _Kind(
        _xnat,
        schemes=("https://", "http://"),
        needs_login=True,
        options={
            "subject": "what names a subject: patient-id (as in the files), or label (as the archive calls it)",
            "marks": "where de-identification is looked up: item, or header (one more request per changed series)",
        },
    ),
    SourceKind.FOLDER: _Kind(_folder),
    SourceKind.TABLE: _Kind(_table, options={"mapping": "the mapping file, beside the table"}),
    SourceKind.BIDS: _Kind(_bids, options={"issuer": _ISSUER}),
    SourceKind.FHIR: _Kind(
        _fhir,
        schemes=("https://", "http://"),
        options={
            "identifier-system": "system of the hospital number among the identifiers of a patient",
            "tags": "values of meta.tag, with commas between them, each of which makes a container",
            "issuer": _ISSUER,
        },
    ),
    SourceKind.DICOMWEB: _Kind(
        _dicomweb,
        schemes=("https://", "http://"),
        options={
            "filter": "which part is read, as Keyword=value&…, with * and ? as wildcards",
            "undated": "'none' if every study has a date",
            "orthanc": "path of Orthanc's own REST interface on the same server, such as /",
        },
    ),
    SourceKind.DIMSE: _Kind(
        _dimse,
        names_a_port=True,
        options={
            "called_ae": "the archive's application entity title (default ANY-SCP)",
            "calling_ae": "this node's title (default FAIRBANK)",
            "filter": "which part is read, as Keyword=value&…, with * and ? as wildcards",
            "undated": "'none' if every study has a date",
            "move_to": "this node's title as a destination of C-MOVE; without it images come by C-GET",
            "receive_at": "address:port of this machine where they arrive, with move_to",
            "tls": "'yes' to encrypt the connection",
            "tls_ca": "file with the authority that signed the archive's certificate",
            "tls_certificate": "file with this node's certificate and key, if the archive asks for one",
        },
    ),
}


def add_source(
    node: Node,
    name: str,
    *,
    kind: SourceKind,
    location: str,
    user: str = "",
    secret_file: Path | None = None,
    options: Mapping[str, str] | None = None,
) -> None:
    """Remember an archive under a name of the node's own; a source of the same name is replaced.

    Args:
        node: the node.
        name: what messages and reports call the archive.
        kind: what it is.
        location: its address, or the path of a folder or file.
        user: the archive's user, where it has one.
        secret_file: file of mode 0600 with that user's password or token.
        options: what else this kind of source takes.

    Raises:
        BadDefinition: if something is missing for this kind, or an option is not one of it.
        UnsafeSecret: if the password file is missing, empty, or readable by others.
    """
    if kind not in _KINDS:
        raise BadDefinition(
            f"A {kind.words} cannot be added.",
            why=f"What can be added: {', '.join(one.value for one in known_kinds())}.",
            todo="Choose one of these.",
        )
    known = _KINDS[kind]
    given = dict(options or {})
    if known.schemes and not location.startswith(known.schemes):
        raise BadDefinition(
            f"The {kind.words} {name!r} is not completely described.",
            why=f"Its address starts with {' or '.join(known.schemes)}.",
            todo="Give its whole address.",
        )
    if known.needs_login and (not user or secret_file is None):
        raise BadDefinition(
            f"The {kind.words} {name!r} is not completely described.",
            why="It needs an address (https://…), a user, and a file with that user's password.",
            todo="Give all three; the password file has mode 0600.",
        )
    if unknown := sorted(set(given) - set(known.options)):
        words = "; ".join(f"{option}: {text}" for option, text in known.options.items()) or "none"
        raise BadDefinition(
            f"A {kind.words} has no option {unknown[0][:80]!r}.",
            why=f"Its options are: {words}.",
            todo="Leave it out, or correct its name.",
        )
    password = read_secret(secret_file) if secret_file is not None else None
    # Opening connects to nothing yet, but sees whether the options have a meaning.
    known.open(Place(name, location, user, password, given, node.settings)).close()
    row = SourceRow(
        name=name,
        kind=kind.value,
        location=location if known.schemes or known.names_a_port else str(Path(location).absolute()),
        user=user,
        secret_file=str(secret_file.absolute()) if secret_file else "",
        options=given,
        created=node.clock.now(),
    )
    with writing(node.engine) as session:
        session.merge(row)
        _audit(node, session, "source.add", name)


def sources(node: Node) -> list[SourceRow]:
    """Return all sources of the node, sorted by name."""
    with reading(node.engine) as session:
        return list(session.scalars(select(SourceRow).order_by(SourceRow.name)))


def open_source(node: Node, name: str) -> Source:
    """Return a source, ready to be read; close it after use.

    Raises:
        UnknownSource: if none has this name.
        UnsafeSecret: if its password file can no longer be used.
    """
    row = source_row(node, name)
    place = Place(
        name=row.name,
        location=row.location,
        user=row.user,
        password=read_secret(Path(row.secret_file)) if row.secret_file else None,
        options=row.options,
        settings=node.settings,
    )
    return _KINDS[SourceKind(row.kind)].open(place)


def source_row(node: Node, name: str) -> SourceRow:
    """Return what the node remembers of a source.

    Raises:
        UnknownSource: if none has this name.
    """
    with reading(node.engine) as session:
        row = session.get(SourceRow, name)
    if row is None:
        known = ", ".join(source.name for source in sources(node)) or "none"
        raise UnknownSource(
            f"This node has no source {name[:80]!r}.",
            why=f"Its sources are: {known}.",
            todo="Check the spelling, or add the source first.",
        )
    return row


def options_of(kind: SourceKind) -> Mapping[str, str]:
    """Return the options that sources of a kind take, each with what it means."""
    return _KINDS[kind].options if kind in _KINDS else {}


def known_kinds() -> list[SourceKind]:
    """Return the kinds of source that can be added."""
    return [kind for kind in SourceKind if kind in _KINDS]


def _audit(node: Node, session: Session, act: str, target: str) -> None:
    audit.record(session, NodeAudit, clock=node.clock, actor=node.key.key_id, act=act, target=target)
