"""The hub as the mailbox of peers: it keeps what sites seal to each other, and hands it to whom the plan names.

It can read who sent a parcel for which round to whom, its size, and the counts and metrics that go with every update;
of the model inside it can read nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.catalogue import nodes
from fairbank.catalogue.context import Hub
from fairbank.errors import FairbankError
from fairbank.federated_jobs.code import UPDATE
from fairbank.federated_jobs.hub.dispatch import not_found
from fairbank.federated_jobs.hub.merging import METRICS, Closing, Examined, MergedFile
from fairbank.federated_jobs.hub.progress import ended
from fairbank.federated_jobs.hub.steps import step_of
from fairbank.federated_jobs.hub.store import (
    JobRow,
    LeftOutRow,
    RoundRow,
    SealingKeyRow,
    SiteRow,
    UpdateRow,
)
from fairbank.federated_jobs.protocol import (
    LeftOutReport,
    MailOrder,
    ParcelOffer,
    Peer,
    SealingKeyReport,
)
from fairbank.federated_jobs.states import ACTIVE_SITES
from fairbank.federated_jobs.training_errors import ParcelRefused, SealingKeyRefused
from fairbank.ontology.parcels import ParcelHead, SealingKey

_ACTIVE = [state.value for state in ACTIVE_SITES]


def take_key(hub: Hub, session: Session, job_id: str, *, node: str, message: SealingKeyReport) -> None:
    """Keep the key that a node tells for a job; telling the same again changes nothing.

    Raises:
        JobNotFound: if this node has no part in the job.
        SealingKeyRefused: if the node did not sign it, or has told another one.
    """
    if session.get(SiteRow, (job_id, node)) is None:
        raise not_found()
    said = SealingKey(
        job=job_id, node=node, key=message.key, created=message.created, expires=message.expires
    )
    envelope = said.envelope_of(message.signer, message.signature)
    try:
        _, sealed = SealingKey.open(envelope, trusted=[*nodes.keys_of(session, node)])
    except FairbankError as err:
        raise _refused("It is not signed with a key of this node.") from err
    known = session.get(SealingKeyRow, (job_id, node))
    if known is not None:
        if known.envelope != envelope:
            raise _refused("The node has told another key for this job.")
        return
    session.add(
        SealingKeyRow(job=job_id, node=node, signer=sealed.signer, envelope=envelope, told=hub.clock.now())
    )
    audit.record(
        session,
        audit.HubAudit,
        clock=hub.clock,
        actor=node,
        act="site.sealing-key",
        target=job_id,
        detail={"statement": sealed.digest},
    )


def take_left_out(hub: Hub, session: Session, job_id: str, *, node: str, message: LeftOutReport) -> None:
    """Keep which parcels a site left out of a round; telling it again changes nothing.

    Raises:
        JobNotFound: if this node has no part in such a round.
    """
    job, current = session.get(JobRow, job_id), session.get(RoundRow, (job_id, message.round))
    if job is None or current is None or session.get(SiteRow, (job_id, node)) is None:
        raise not_found()
    offered = {one.digest for one in offers(session, job, current, node)}
    for one in message.parcels:
        # What the hub did not offer says nothing that could be looked up.
        if one.parcel in offered and not ended(job):
            session.merge(
                LeftOutRow(
                    job=job_id, round=message.round, node=node, parcel=one.parcel, fault=one.fault.value
                )
            )


def order_for(session: Session, job: JobRow, current: RoundRow, node: str) -> MailOrder | None:
    """Return what a site does with the models of its peers in a round; None where the plan is no such one."""
    mail = step_of(session, job, current).mail
    if mail is None:
        return None
    parcels = offers(session, job, current, node)
    there = set(
        session.scalars(select(SiteRow.node).where(SiteRow.job == job.id, SiteRow.state.in_(_ACTIVE)))
    )
    senders = {one.sender for one in parcels}
    keys = session.scalars(
        select(SealingKeyRow).where(SealingKeyRow.job == job.id).order_by(SealingKeyRow.node)
    )
    return MailOrder(
        parcels=parcels,
        peers=tuple(
            Peer(node=row.node, key=row.signer, statement=row.envelope.decode(), receives=row.node in there)
            for row in keys
            if row.node != node and row.node in there | senders
        ),
        first_only=mail.first_only,
        plain=mail.plain,
        trains=mail.trains,
    )


def offers(session: Session, job: JobRow, current: RoundRow, node: str) -> tuple[ParcelOffer, ...]:
    """Return the parcels that a site takes in a round, in the plan's order; only those may it fetch."""
    mail = step_of(session, job, current).mail
    wanted = mail.takes.get(node, ()) if mail is not None else ()
    found = {}
    for one in wanted:
        row = session.get(UpdateRow, (job.id, one.round, one.sender, UPDATE))
        if row is not None:
            found[one] = ParcelOffer(
                sender=one.sender, round=one.round, digest=row.digest, size_bytes=row.size_bytes
            )
    return tuple(found[one] for one in wanted if one in found)


def may_read(session: Session, node: str, digest: str) -> bool:
    """Tell whether a blob is a parcel that a node takes in the round that it is asked for now."""
    jobs = (
        select(UpdateRow.job)
        .join(SiteRow, SiteRow.job == UpdateRow.job)
        .where(UpdateRow.digest == digest, SiteRow.node == node, SiteRow.state.in_(_ACTIVE))
        .distinct()
    )
    for job_id in session.scalars(jobs).all():
        job = session.get_one(JobRow, job_id)
        current = session.get(RoundRow, (job_id, job.round))
        if current is not None and digest in {one.digest for one in offers(session, job, current, node)}:
            return True
    return False


def examine_sealed(closing: Closing, keys: Mapping[str, list[str]]) -> Examined:
    """Return the sites that sent something else than a parcel of theirs for this round.

    Args:
        keys: the identity keys of each site.
    """
    unfit = []
    for node, path in closing.outputs(UPDATE).items():
        try:
            head = _head(path, keys.get(node, []))
        except ParcelRefused:
            unfit.append(node)
            continue
        if (head.job, head.round, head.sender) != (closing.manifest.id, closing.round, node):
            unfit.append(node)
    return Examined(tuple(unfit))


def identity_keys(session: Session, closing: Closing) -> dict[str, list[str]]:
    """Return the identity keys of the sites whose outputs a round has."""
    return {item.node: [*nodes.keys_of(session, item.node)] for item in closing.arrived}


def keep_sealed(closing: Closing, folder: Path) -> list[MergedFile]:
    """Return what the sites of a round told beside their parcels; the parcels are merged by who takes them."""
    told = _notes(closing)
    if not any(told.values()):
        return []
    metrics = folder / "metrics.json"
    body = {"schema": "round-metrics/1", "round": closing.round, "sites": told}
    metrics.write_text(json.dumps(body, sort_keys=True))
    return [MergedFile(METRICS, "application/json", metrics)]


def _notes(closing: Closing) -> dict[str, dict[str, float]]:
    """Return the counts and metrics that go with the parcels of a round, by site."""
    return {
        node: {name: float(word) for name, word in _head(path, None).notes.items()}
        for node, path in closing.outputs(UPDATE).items()
    }


def left_out(session: Session, job: str, number: int) -> list[dict[str, str | int]]:
    """Return, for the record of a round, which parcels sites left out of it, and why."""
    query = (
        select(LeftOutRow.node, LeftOutRow.fault, UpdateRow.node, UpdateRow.round)
        .join(UpdateRow, (UpdateRow.job == LeftOutRow.job) & (UpdateRow.digest == LeftOutRow.parcel))
        .where(LeftOutRow.job == job, LeftOutRow.round == number)
        .order_by(LeftOutRow.node, UpdateRow.node, UpdateRow.round)
    )
    return [
        {"by": by, "sender": sender, "round": of, "fault": fault}
        for by, fault, sender, of in session.execute(query)
    ]


def _head(path: Path, trusted: list[str] | None) -> ParcelHead:
    from fairbank.federated_jobs.parcels import head_of

    return head_of(path, trusted=trusted)


def _refused(why: str) -> SealingKeyRefused:
    return SealingKeyRefused(
        "The key that this node tells for a job is not taken.",
        why=why,
        todo="Peers go on with the key that was told first. Begin a new job if that key is lost.",
    )
