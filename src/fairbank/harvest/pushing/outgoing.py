"""The series of the research store, each with its files, and whether it may leave.

A file may leave only as this node wrote it: its bytes are those that passed the check when it was cleaned. What lies in
the store besides, or was changed since, keeps its series at the node.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Engine, select

from fairbank.database import reading
from fairbank.deid.identity import IdentityStore, checked_project
from fairbank.deid.outcomes import Status
from fairbank.deid.research_store import ResearchStore
from fairbank.deid.store import ItemRow

_PIECE_BYTES = 1 << 20
# Whether a series may leave the node as files: project and pseudonymous series UID.
MayLeave = Callable[[str, str], bool]


@dataclass(frozen=True, slots=True)
class OutgoingFile:
    """One file of the store, with the keyed digest that it had when it was cleaned."""

    path: Path = field(repr=False)
    sop_uid: str
    digest: str


@dataclass(frozen=True, slots=True)
class OutgoingSeries:
    """One series of the store; all its names are pseudonyms.

    Attributes:
        strays: how many files lie in its folder that no cleaning is on record for.
    """

    project: str
    subject: str
    study_uid: str
    series_uid: str
    files: tuple[OutgoingFile, ...]
    strays: int


def outgoing(engine: Engine, store: ResearchStore, project: str) -> list[OutgoingSeries]:
    """Return the series of a project in the order of their UIDs."""
    columns = (
        ItemRow.subject,
        ItemRow.study_uid,
        ItemRow.series_uid,
        ItemRow.sop_uid,
        ItemRow.path,
        ItemRow.output_key,
    )
    with reading(engine) as session:
        rows = session.execute(
            select(*columns).where(
                ItemRow.project == checked_project(project),
                ItemRow.status == Status.OK.value,
                ItemRow.path.is_not(None),
            )
        ).all()
    found: dict[tuple[str, str, str], dict[str, OutgoingFile]] = {}
    for subject, study, series, sop, path, digest in rows:
        # Two files that came in may have led to one that went out: it is one file.
        of_series = found.setdefault((subject or "", study or "", series or ""), {})
        of_series[str(path)] = OutgoingFile(store.root / str(path), sop or "", digest or "")
    return [
        OutgoingSeries(project, *key, tuple(files[path] for path in sorted(files)), _strays(store, files))
        for key, files in sorted(found.items(), key=lambda item: item[0][2])
    ]


def is_as_cleaned(series: OutgoingSeries, identity: IdentityStore) -> bool:
    """Return whether each file of a series is there as it was when it was cleaned, and no other lies beside them."""
    return series.strays == 0 and all(_is_as_cleaned(file, identity) for file in series.files)


def _is_as_cleaned(file: OutgoingFile, identity: IdentityStore) -> bool:
    try:
        digest = hashlib.sha256()
        for piece in pieces(file.path):
            digest.update(piece)
    except OSError:
        return False
    return identity.item_key(digest.digest()) == file.digest


def pieces(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file, a little at a time."""
    with path.open("rb") as opened:
        while piece := opened.read(_PIECE_BYTES):
            yield piece


def _strays(store: ResearchStore, files: dict[str, OutgoingFile]) -> int:
    known = {file.path for file in files.values()}
    folders = {path.parent for path in known}
    return sum(1 for folder in folders for path in folder.glob("*.dcm") if path not in known)


def size_bytes(files: Sequence[OutgoingFile]) -> int:
    """Return how much files take."""
    return sum(file.path.stat().st_size for file in files)
