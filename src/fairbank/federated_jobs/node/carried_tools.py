"""Sealed tool manifests that the hub brought with jobs: kept apart from those that people of the site put here.

A manifest counts by its publisher's seal, so it does not matter who brought it; what the hub says of a review is shown
as the hub's word and decides nothing.
"""

from __future__ import annotations

import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path

from fairbank.database import reading
from fairbank.errors import FairbankError
from fairbank.federated_jobs.node.store import ReviewRow
from fairbank.federated_jobs.protocol import Lease
from fairbank.federated_jobs.tool_review import ToolState
from fairbank.ontology.signed_objects import Code, Manifest
from fairbank.ontology.tools import ToolManifest
from fairbank.release.node import Node

log = logging.getLogger(__name__)

FOLDER = "tool-manifests-of-the-hub"
# As large as a hub takes them, and more than a registry has: a hub that makes some up fills no disk.
_MOST_BYTES = 1 << 18
MOST_KEPT = 500


@dataclass(frozen=True, slots=True)
class Carried:
    """A manifest that was verified when it came, and what the hub said of it then."""

    manifest: ToolManifest
    envelope: bytes
    state: str


@dataclass(frozen=True, slots=True)
class Told:
    """What came with a job about its tool, in words.

    Attributes:
        publisher: who sealed it. Whose key that is a site has to find out: anybody can seal under any name.
        review: where it stands in the hub's registry, by the hub's word.
        tests: what the publisher says of tests.
    """

    publisher: str
    review: str
    tests: tuple[str, ...]


def keep(node: Node, lease: Lease) -> None:
    """Keep the manifest that came with a job; what does not verify, or is one too many, is not, and stops no job."""
    if lease.tool_manifest is None or len(lease.tool_manifest.encode()) > _MOST_BYTES:
        return
    try:
        _, seal = ToolManifest.open_own(lease.tool_manifest.encode())
    except FairbankError:
        return
    folder = node.settings.home / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    target = folder / f"{seal.digest.removeprefix('sha256:')}.json"
    if not target.exists() and sum(1 for _ in folder.glob("*.json")) >= MOST_KEPT:
        log.warning("no more than %d tool manifests of the hub are kept", MOST_KEPT)
        return
    _write(target, lease.tool_manifest, lease.tool_state or "not told")


def note_revoked(node: Node, job: str) -> None:
    """Show the tool of a job as revoked from now on, by the hub's word; what its publisher sealed is kept as it is."""
    with reading(node.engine) as session:
        row = session.get(ReviewRow, job)
    try:
        code = None if row is None else Manifest.open(row.manifest, trusted=None)[0].code
    except FairbankError:
        # A job that was refused because nobody can read it ends all the same.
        return
    for path in _kept(node):
        found = _read(path)
        if found is not None and found.manifest.code == code:
            _write(path, found.envelope.decode(), ToolState.REVOKED.value)


def carried(node: Node) -> list[Carried]:
    """Return what was kept, each verified anew."""
    return [found for path in _kept(node) if (found := _read(path)) is not None]


def told_of(node: Node, code: Code) -> Told | None:
    """Return what came with jobs about a tool; None if nothing did."""
    for one in carried(node):
        if one.manifest.code == code:
            said = one.manifest
            return Told(
                f"{said.publisher}, {said.publisher_key} ({said.legal_status.value}); compare the key",
                f"{one.state}, as the hub said when the job came",
                tuple(f"{each.data}: {each.measure} {each.value}" for each in said.validation),
            )
    return None


def _kept(node: Node) -> list[Path]:
    folder = node.settings.home / FOLDER
    return sorted(folder.glob("*.json")) if folder.is_dir() else []


def _read(path: Path) -> Carried | None:
    try:
        kept = json.loads(path.read_bytes())
        envelope, state = str(kept["envelope"]).encode(), str(kept["state"])
        return Carried(ToolManifest.open_own(envelope)[0], envelope, state)
    except (OSError, ValueError, KeyError, TypeError, FairbankError):
        # Somebody changed it here; a job is judged without it then.
        return None


def _write(target: Path, envelope: str, state: str) -> None:
    part = target.with_suffix(".part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as opened:
        opened.write(json.dumps({"envelope": envelope, "state": state}))
    part.replace(target)
