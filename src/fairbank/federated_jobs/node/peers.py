"""Keys of peers: this node's own key for a job, and which keys of other sites count here.

A peer's key for a job is sealed with that peer's identity key. Which identity key is a peer's this node has from its
policy file, where the site's people pin them; where none is pinned, from the hub's directory: then the site trusts the
hub not to put itself in a peer's place. In one job a peer's key never changes, whatever the hub says later.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank.clock import iso, parse_iso
from fairbank.errors import FairbankError
from fairbank.federated_jobs.axes.plans import PLANS
from fairbank.federated_jobs.encrypted_jobs import is_encrypted
from fairbank.federated_jobs.manifest import nodes_of
from fairbank.federated_jobs.node.judging import enrolment_of
from fairbank.federated_jobs.node.policy_file import standing
from fairbank.federated_jobs.node.store import ApprovalRow, ReviewRow, WorkRow
from fairbank.federated_jobs.protocol import Peer, SealingKeyReport
from fairbank.federated_jobs.training_errors import PeersUnknown
from fairbank.ontology.parcels import SealingKey
from fairbank.ontology.signed_objects import Manifest, SiteApproval
from fairbank.release.node import Node
from fairbank.release.outbox import Outbox
from fairbank.signing import KeyFileError, write_new

log = logging.getLogger(__name__)

_FOLDER = "sealing"


@dataclass(frozen=True, slots=True)
class KnownPeer:
    """A peer whose keys count here.

    Attributes:
        identity: the key that signs its parcels.
        sealing: its key for the job.
        receives: whether what is made now is sealed to it.
    """

    identity: str
    sealing: str
    receives: bool


def is_sealed(manifest: Manifest) -> bool:
    """Tell whether the sites of a job send their models to each other, sealed."""
    choice = PLANS.get(manifest.plan.name.value)
    return choice is not None and choice.sealed


def tell_key(node: Node, outbox: Outbox, row: ReviewRow, approval: ApprovalRow) -> None:
    """Tell the hub with which key peers seal to this site, if the job is one of peers; before its approval is told.

    Raises:
        HubUnreachable: if the hub does not answer.
        RemoteError: if it refuses.
    """
    manifest, _ = Manifest.open(row.manifest, trusted=None)
    if not is_sealed(manifest) and not is_encrypted(manifest):
        return
    until = SiteApproval.open(approval.envelope, trusted=[approval.site_key])[0].expires
    envelope = _statement(node, row.job, expires=until)
    said, sealed = SealingKey.open(envelope, trusted=None)
    report = SealingKeyReport(
        key=said.key,
        created=said.created,
        expires=said.expires,
        signer=sealed.signer,
        signature=json.loads(envelope)["signatures"][0]["sig"],
    )
    outbox.control("PUT", f"/v1/jobs/{row.job}/sites/{node.name}/sealing-key", report)


def private_key(node: Node, job: str) -> bytes:
    """Return the 32 bytes of this node's private key for a job, made at the first use.

    Raises:
        KeyFileError: if others can read the file, or it is damaged.
    """
    path = _folder(node) / f"{job}.key"
    if not path.exists():
        from fairbank.federated_jobs.parcels import new_key

        write_new(path, new_key())
    raw = path.read_bytes()
    if len(raw) != 32 or path.stat().st_mode & 0o077:
        raise KeyFileError(
            f"The key file {path.name} cannot be used.",
            why="It is damaged, or others can read it.",
            todo="Restore it from its backup, with mode 0600; without it this site drops out of the job.",
        )
    return raw


def shared_key_file(node: Node, job: str) -> Path:
    """Return where the key that the sites of an encrypted job share is kept."""
    return _folder(node) / f"{job}.shared"


def forget_key(node: Node, job: str) -> None:
    """Delete this node's key for a job that is over: what was sealed to it can be opened by nobody any more."""
    for name in (f"{job}.key", f"{job}.json", f"{job}.shared"):
        (node.settings.keys_path / _FOLDER / name).unlink(missing_ok=True)


def pinned(session: Session, node: Node) -> dict[str, str] | None:
    """Return the identity keys that the site's people pinned, by node; None if there are none.

    Pins count as soon as they stand in the file, also before somebody has signed it: they only take away.

    Raises:
        PeersUnknown: if there is a policy that cannot be read.
    """
    found = standing(session, node)
    if found.policy is None and found.problem is not None:
        raise PeersUnknown(
            "This site cannot tell whose models it may take.",
            why=f"Its policy may pin keys of peers and cannot be read: {found.problem.why}",
            todo="Correct the file: 'fairbank node policy show' reads it again.",
        )
    peers = found.policy.peer if found.policy is not None else ()
    return {one.node: one.key for one in peers} or None


def known_peers(
    session: Session, node: Node, manifest: Manifest, told: Sequence[Peer], *, number: int
) -> dict[str, KnownPeer]:
    """Return the peers of a round whose keys count here, by node; the others are left out.

    Args:
        told: the peers as the hub names them.
        number: of the round.

    Raises:
        PeersUnknown: if the site's policy cannot be read.
    """
    pins = pinned(session, node)
    of_job = set(nodes_of(manifest, enrolment_of(node).public_base_iri)) - {node.name}
    before = _told_before(session, manifest.id, number)
    peers: dict[str, KnownPeer] = {}
    for peer in told:
        wrong = pins is not None and pins.get(peer.node) != peer.key
        if peer.node not in of_job or wrong or before.get(peer.node, peer.statement) != peer.statement:
            log.warning("a key of the peer %s for job %s does not count here", peer.node, manifest.id)
            continue
        try:
            said, _ = SealingKey.open(peer.statement.encode(), trusted=[peer.key])
        except FairbankError as err:
            log.warning("a key of the peer %s for job %s: %s", peer.node, manifest.id, err.code)
            continue
        named = (said.job, said.node) == (manifest.id, peer.node)
        if named and node.clock.now() < parse_iso(said.expires):
            peers[peer.node] = KnownPeer(peer.key, said.key, peer.receives)
    return peers


def _told_before(session: Session, job: str, number: int) -> dict[str, str]:
    """Return what the hub said first of each peer's key in this job."""
    query = (
        select(WorkRow.mail)
        .where(WorkRow.job == job, WorkRow.round < number, WorkRow.mail.is_not(None))
        .order_by(WorkRow.round.desc())
    )
    told: dict[str, Any] = {}
    for mail in session.scalars(query):
        told.update({peer["node"]: peer["statement"] for peer in (mail or {}).get("peers", ())})
    return told


def _statement(node: Node, job: str, *, expires: str) -> bytes:
    from fairbank.federated_jobs.parcels import public_key

    path = _folder(node) / f"{job}.json"
    key = public_key(private_key(node, job))
    if not path.exists():
        said = SealingKey(job=job, node=node.name, key=key, created=iso(node.clock.now()), expires=expires)
        write_new(path, said.seal(node.key))
    return path.read_bytes()


def _folder(node: Node) -> Path:
    folder = node.settings.keys_path / _FOLDER
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder
