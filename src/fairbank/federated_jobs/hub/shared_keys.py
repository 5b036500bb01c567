"""The key that the sites of an encrypted job share, as the hub keeps it: sealed to them by the site that made it.

The first one counts, and is never replaced: sites that held different keys could not add anything up.
"""

from __future__ import annotations

import base64
import binascii

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.catalogue.context import Hub
from fairbank.federated_jobs.encrypted_jobs import is_encrypted
from fairbank.federated_jobs.filters.errors import SharedKeyRefused
from fairbank.federated_jobs.hub.dispatch import not_found
from fairbank.federated_jobs.hub.progress import ended, manifest_of
from fairbank.federated_jobs.hub.store import JobRow, SealingKeyRow, SharedKeyRow, SiteRow
from fairbank.federated_jobs.protocol import Peer, SharedKeyAnswer, SharedKeyReport
from fairbank.federated_jobs.states import ACTIVE_SITES, SiteState
from fairbank.signing import sha256_digest


def take_or_tell(
    hub: Hub, session: Session, job_id: str, *, node: str, message: SharedKeyReport
) -> SharedKeyAnswer:
    """Keep a key that a site made if there is none yet; return the one that counts, and the sites to seal to.

    Raises:
        JobNotFound: if this node has no part in such a job that goes on.
        SharedKeyRefused: if what it hands over is no text of bytes.
    """
    job, site = session.get(JobRow, job_id), session.get(SiteRow, (job_id, node))
    if job is None or site is None or ended(job) or SiteState(site.state) not in ACTIVE_SITES:
        raise not_found()
    if not is_encrypted(manifest_of(job)):
        raise not_found()
    known = session.get(SharedKeyRow, job_id)
    if known is None and message.parcel is not None:
        known = SharedKeyRow(job=job_id, node=node, parcel=_bytes(message.parcel), told=hub.clock.now())
        session.add(known)
        session.flush()
        audit.record(
            session,
            audit.HubAudit,
            clock=hub.clock,
            actor=node,
            act="site.shared-key",
            target=job_id,
            detail={"parcel": sha256_digest(known.parcel)},
        )
    keys = session.scalars(
        select(SealingKeyRow).where(SealingKeyRow.job == job_id).order_by(SealingKeyRow.node)
    )
    return SharedKeyAnswer(
        peers=tuple(
            Peer(node=row.node, key=row.signer, statement=row.envelope.decode())
            for row in keys
            if row.node != node
        ),
        parcel=base64.b64encode(known.parcel).decode() if known is not None else None,
    )


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as err:
        raise SharedKeyRefused(
            "A shared key cannot be read.", why="It is no base64 text.", todo="Update the node."
        ) from err
