"""What a site does with the models of its peers: fetch, open, check, put together; and seal its own to them.

A parcel that cannot be used is left out, and the hub is told which and why in one word. All of it happens in the node's
own process: the worker sees the model that comes of it, as it sees any model that a round starts from.
"""

from __future__ import annotations

import logging
import math
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank.database import reading
from fairbank.errors import FairbankError, Kind, RemoteError
from fairbank.federated_jobs.axes.elements import checked_options
from fairbank.federated_jobs.axes.plan_options import PeerOptions, Topology
from fairbank.federated_jobs.axes.plans import PLANS
from fairbank.federated_jobs.checks import Check
from fairbank.federated_jobs.code import UPDATE
from fairbank.federated_jobs.errors import RoundRefused
from fairbank.federated_jobs.node.peers import KnownPeer, known_peers, private_key
from fairbank.federated_jobs.node.progress import job_folder
from fairbank.federated_jobs.node.runner import Product
from fairbank.federated_jobs.parcel_faults import ParcelFault
from fairbank.federated_jobs.plans.peer_to_peer import is_plain, is_walk, last_round
from fairbank.federated_jobs.protocol import LeftOut, LeftOutReport, MailOrder, ParcelOffer
from fairbank.federated_jobs.training_errors import ParcelRefused, PeerModelsMissing
from fairbank.federated_jobs.update_notes import N_TRAIN, annotate, notes_of, words_of
from fairbank.ontology.parcels import seal_bytes
from fairbank.ontology.signed_objects import Manifest
from fairbank.release.candidates import Sealer
from fairbank.release.errors import DownloadDamaged
from fairbank.release.hub_client import HubClient
from fairbank.release.node import Node
from fairbank.release.outbox import Outbox
from fairbank.release.outbox_files import stored
from fairbank.release.releases import ReleaseState
from fairbank.release.store import ReleaseRow

if TYPE_CHECKING:
    from fairbank.federated_jobs.tensor_files import TensorShape

log = logging.getLogger(__name__)

_FOLDER = "mail"
MOST_SAMPLES = 10**9


@dataclass(frozen=True, slots=True)
class Desk:
    """What of the node is needed to deal with mail."""

    node: Node
    client: HubClient
    outbox: Outbox


@dataclass(frozen=True, slots=True)
class Letter:
    """One round of one job, with what the hub says of the models of peers."""

    manifest: Manifest
    round: int
    order: MailOrder


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of the models of peers.

    Attributes:
        model: to start from; None where nobody has one yet.
        models: of how many sites it is made.
        samples: how many training samples they tell together.
        peers: those whose keys count.
    """

    model: Path | None
    models: int
    samples: int
    peers: Mapping[str, KnownPeer]


def check_order(node: Node, session: Session, letter: Letter, *, previous: int, base: str | None) -> None:
    """Refuse mail that the sealed plan does not have.

    Args:
        previous: the last round that this site has staged, 0 for none.
        base: the model of the hub's that the round is said to start from.

    Raises:
        RoundRefused: saying what is wrong.
    """
    manifest, order, number = letter.manifest, letter.order, letter.round
    options, rounds = _options(manifest), manifest.plan.rounds
    if not 1 <= number <= last_round(rounds) or previous >= rounds:
        raise not_in_plan(f"A site's model comes in the open once, in round {rounds} or soon after.")
    if order.plain is not is_plain(rounds, number):
        raise not_in_plan(f"Models are sealed to peers until round {rounds}, whose model comes in the open.")
    if order.first_only is not is_walk(options.who):
        raise not_in_plan(f"That is not how models go by {options.topology!r}.")
    if order.trains is not (options.who is not Topology.ALL_TO_ALL or not order.plain):
        raise not_in_plan("Every model is trained but the one that is put together at the end of all to all.")
    if not order.parcels:
        initial = manifest.training.initial_model if manifest.training else None
        # What came too late nobody has.
        if base != initial or _own_newest(session, node, manifest.id) is not None:
            raise not_in_plan("Only a site that has no model yet starts without those of its peers.")
        return
    senders = [one.sender for one in order.parcels]
    if base is not None or any(one.round >= number for one in order.parcels):
        raise not_in_plan("A round starts from models of earlier rounds, and from no other.")
    if not order.first_only and len(set(senders)) != len(senders):
        raise not_in_plan("Each site's model counts once.")


def collect(desk: Desk, letter: Letter) -> Taken:
    """Return the model that a site starts a round from, made of those of its peers and its own.

    What cannot be used is left out, and the hub is told. `clear` removes the files.

    Raises:
        HubUnreachable: if the hub does not answer.
        PeerModelsMissing: if too few can be used.
        PeersUnknown: if the site's policy cannot be read.
    """
    node, order = desk.node, letter.order
    with reading(node.engine) as session:
        peers = known_peers(session, node, letter.manifest, order.peers, number=letter.round)
        own = _own_newest(session, node, letter.manifest.id)
    if not order.parcels:
        return Taken(None, 0, 0, peers)
    clear(node, letter.manifest.id)
    folder = job_folder(node, letter.manifest.id) / _FOLDER
    folder.mkdir(parents=True, mode=0o700)
    opened, faults = _opened(desk, letter, peers, folder, own=own)
    if faults:
        _tell(desk, letter, faults)
    least = letter.manifest.plan.quorum if not order.trains else 1
    if len(opened) < least:
        raise PeerModelsMissing(
            f"Of the models that this round is made of {len(opened)} can be used, and {least} are needed.",
            why="Those of the peers are missing, or are not what they should be; the job's record says why.",
            todo="The site drops out of the job. Ask the peers, and the hub's administrator.",
        ).at(Check.PLAN)
    samples = _samples(opened)
    if order.first_only:
        ((model,), total) = opened.values(), sum(samples.values())
        return Taken(model, 1, total, peers)
    return Taken(_mean(letter, opened, samples, folder), len(opened), sum(samples.values()), peers)


def put_together(taken: Taken, folder: Path) -> Product:
    """Return the mean of all sites' models as this site's output, without training it."""
    assert taken.model is not None
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    target = folder / f"{UPDATE}.safetensors"
    return Product(UPDATE, annotate(taken.model, {N_TRAIN: max(taken.samples, 1)}, to=target))


def sealer(node: Node, letter: Letter, peers: Mapping[str, KnownPeer]) -> Sealer | None:
    """Return what seals this site's model to its peers; None in the round whose model comes in the open."""
    if letter.order.plain:
        return None
    from fairbank.federated_jobs.parcels import MEDIA_TYPE, Address, seal_parcel

    recipients = {name: peer.sealing for name, peer in peers.items() if peer.receives}
    address = Address(letter.manifest.id, letter.round, node.name)

    def seal(plain: Path, into: Path) -> None:
        seal_parcel(
            plain, into=into, address=address, recipients=recipients, notes=words_of(plain), key=node.key
        )

    return Sealer(MEDIA_TYPE, seal)


def clear(node: Node, job: str) -> None:
    """Remove what was opened of peers' models."""
    shutil.rmtree(job_folder(node, job) / _FOLDER, ignore_errors=True)


def not_in_plan(why: str) -> RoundRefused:
    """Return the error for a round that the sealed plan does not have."""
    return RoundRefused(
        "The hub asks for a round that the approved plan does not have.",
        why=why,
        todo="Nothing was computed. Ask the hub's administrator where this round comes from.",
    ).at(Check.PLAN)


def _options(manifest: Manifest) -> PeerOptions:
    options = checked_options("plan", PLANS[manifest.plan.name.value], manifest.plan.options)
    assert isinstance(options, PeerOptions)
    return options


@dataclass(frozen=True, slots=True)
class _Seen:
    path: Path
    form: tuple[TensorShape, ...]
    norm: float


def _opened(
    desk: Desk, letter: Letter, peers: Mapping[str, KnownPeer], folder: Path, *, own: Path | None
) -> tuple[dict[str, Path], list[LeftOut]]:
    """Return the models that can be used, by site, and what is wrong with the others."""
    seen: dict[str, _Seen] = {}
    faults: list[LeftOut] = []
    offers = {one.sender: one for one in letter.order.parcels}
    reference = _looked(own) if own is not None else None
    for offer in letter.order.parcels:
        try:
            found = _looked(_one(desk, letter, offer, peers, folder))
            if letter.order.first_only:
                _check_like(found, reference, letter)
                return {offer.sender: found.path}, faults
        except ParcelRefused as err:
            faults.append(LeftOut(parcel=offer.digest, fault=err.fault))
            continue
        seen[offer.sender] = found
    if reference is None and seen:
        # A site without a model of its own goes by what most of its peers have, as the hub does in a first round.
        form = Counter(seen[name].form for name in sorted(seen)).most_common(1)[0][0]
        reference = _Seen(folder, form, math.inf)
    for sender in sorted(seen):
        try:
            _check_like(seen[sender], reference, letter)
        except ParcelRefused as err:
            faults.append(LeftOut(parcel=offers[sender].digest, fault=err.fault))
            del seen[sender]
    return {sender: seen[sender].path for sender in sorted(seen)}, faults


def _one(
    desk: Desk, letter: Letter, offer: ParcelOffer, peers: Mapping[str, KnownPeer], folder: Path
) -> Path:
    """Return the opened model of one offer."""
    from fairbank.federated_jobs.parcels import Address, open_parcel, refused

    node, job = desk.node, letter.manifest.id
    if offer.sender == node.name:
        with reading(node.engine) as session:
            mine = _own(session, node, job, offer)
        if mine is None:
            raise refused(ParcelFault.MISSING)
        return mine
    peer = peers.get(offer.sender)
    if peer is None:
        raise refused(ParcelFault.UNTRUSTED)
    longest = next(one.maximum_bytes for one in letter.manifest.outputs if one.name == UPDATE)
    name = f"{offer.sender}-{offer.round}"
    parcel, into = folder / f"{name}.parcel", folder / f"{name}.safetensors"
    try:
        desk.client.download(offer.digest, parcel, durable=False, maximum_bytes=longest + seal_bytes(longest))
    except DownloadDamaged as err:
        raise refused(ParcelFault.DAMAGED) from err
    except RemoteError as err:
        if err.status != Kind.NOT_FOUND.http_status:
            raise
        raise refused(ParcelFault.MISSING) from err
    try:
        open_parcel(
            parcel,
            into=into,
            address=Address(job, offer.round, offer.sender),
            node=node.name,
            private=private_key(node, job),
            trusted=[peer.identity],
        )
    finally:
        parcel.unlink(missing_ok=True)
    return into


def _looked(path: Path) -> _Seen:
    """Return form and norm of a model, reading one tensor at a time.

    Raises:
        ParcelRefused: if it is no model, or holds a value that is not finite.
    """
    import numpy as np
    from safetensors import safe_open

    from fairbank.federated_jobs.algorithms.errors import UpdateUnfit
    from fairbank.federated_jobs.errors import NotesUnreadable
    from fairbank.federated_jobs.parcels import refused
    from fairbank.federated_jobs.tensor_files import form_of

    try:
        form = form_of(path)
        notes_of(path)
    except (UpdateUnfit, NotesUnreadable) as err:
        raise refused(ParcelFault.OTHER_FORM) from err
    total = 0.0
    with safe_open(path, framework="np") as opened:
        for tensor in form:
            values = opened.get_tensor(tensor.name).reshape(-1)
            if values.dtype.kind == "f" and values.size:
                total += float(np.square(values, dtype=np.float64).sum())
    if not math.isfinite(total):
        raise refused(ParcelFault.NOT_FINITE)
    return _Seen(path, form, math.sqrt(total))


def _check_like(found: _Seen, reference: _Seen | None, letter: Letter) -> None:
    from fairbank.federated_jobs.parcels import refused

    if reference is None:
        return
    if found.form != reference.form:
        raise refused(ParcelFault.OTHER_FORM)
    most = float(Fraction(_options(letter.manifest).most_times_norm)) * reference.norm
    # A model of nothing but zeros has no norm that another could be measured by.
    if reference.norm > 0 and found.norm > most:
        raise refused(ParcelFault.TOO_LARGE)


def _samples(opened: Mapping[str, Path]) -> dict[str, int]:
    """Return the weight of each site's model: its samples; where one does not tell them all weigh the same."""
    counts = {name: int(notes_of(path).get(N_TRAIN, 0)) for name, path in opened.items()}
    if any(not 0 < count <= MOST_SAMPLES for count in counts.values()):
        return dict.fromkeys(opened, 1)
    return counts


def _mean(letter: Letter, opened: Mapping[str, Path], samples: Mapping[str, int], folder: Path) -> Path:
    from fairbank.federated_jobs.aggregation import FedAvg
    from fairbank.federated_jobs.aggregators.stack import SiteUpdate

    parts = [SiteUpdate(name, path, samples[name]) for name, path in sorted(opened.items())]
    longest = next(one.maximum_bytes for one in letter.manifest.outputs if one.name == UPDATE)
    target = folder / "model.safetensors"
    FedAvg().reduce(parts, into=target, max_bytes=longest)
    return target


def _tell(desk: Desk, letter: Letter, faults: list[LeftOut]) -> None:
    for one in faults:
        log.warning("a peer's model is left out of job %s: %s", letter.manifest.id, one.fault.value)
    report = LeftOutReport(round=letter.round, parcels=tuple(faults))
    try:
        desk.outbox.control("POST", f"/v1/jobs/{letter.manifest.id}/sites/{desk.node.name}/left-out", report)
    except RemoteError as err:
        # The job goes on without its record saying so; this site's own log does.
        log.warning("the hub does not take what was left out: %s", err.remote_code)


def _own(session: Session, node: Node, job: str, offer: ParcelOffer) -> Path | None:
    """Return this site's own model of an earlier round, if it is what the hub says that it got."""
    row = session.scalar(
        select(ReleaseRow).where(
            ReleaseRow.job == job, ReleaseRow.round == offer.round, ReleaseRow.output == UPDATE
        )
    )
    if row is None or row.digest != offer.digest or row.plain_digest is None:
        return None
    return _kept(node, row.plain_digest)


def _own_newest(session: Session, node: Node, job: str) -> Path | None:
    digest = session.scalar(
        select(ReleaseRow.plain_digest)
        .where(
            ReleaseRow.job == job,
            ReleaseRow.output == UPDATE,
            ReleaseRow.state == ReleaseState.SENT.value,
            ReleaseRow.plain_digest.is_not(None),
        )
        .order_by(ReleaseRow.round.desc())
        .limit(1)
    )
    return _kept(node, digest) if digest is not None else None


def _kept(node: Node, digest: str) -> Path | None:
    try:
        return stored(node.outbox_path, digest)
    except FairbankError:
        return None
