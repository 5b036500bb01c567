"""One round of secure aggregation at a site: each step that the hub asks for, answered once.

Training comes first, with the keys of the attempt. The attempt's secrets are in memory alone: a node that is killed
loses the attempt and tells so, and trains again if another begins. What is lasting is that this site has answered in a
round. The gate judges the update as it was trained; what leaves instead is its masked form.

Sites and identity keys of an attempt are the hub's word, within limits: only sites that the sealed manifest names, at
least as many as its quorum, and where the site's people pinned keys, those. Without pins a hub that lies could put
itself in the place of other sites.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.exc import IntegrityError

from fairbank.database import reading, writing
from fairbank.errors import FairbankError, RemoteError
from fairbank.federated_jobs.code import UPDATE
from fairbank.federated_jobs.errors import JobPausedHere, RoundClosed, SiteRefusal
from fairbank.federated_jobs.manifest import nodes_of
from fairbank.federated_jobs.masking_protocol import MaskingOrder, MaskingReport, MaskingStep
from fairbank.federated_jobs.node import rounds
from fairbank.federated_jobs.node.approval import check_may_leave
from fairbank.federated_jobs.node.errors import WorkerCancelled
from fairbank.federated_jobs.node.judging import enrolment_of
from fairbank.federated_jobs.node.pausing import check_goes_on
from fairbank.federated_jobs.node.peers import pinned
from fairbank.federated_jobs.node.rounds import GIVEN_UP, STAGED, Computed, Site, Work
from fairbank.federated_jobs.node.runner import Product
from fairbank.federated_jobs.node.store import UnmaskedRow
from fairbank.federated_jobs.secagg.errors import Fault, MessageUnfit, TooFewSites, refused
from fairbank.federated_jobs.secagg.limits import bound_of
from fairbank.federated_jobs.secagg.messages import Keys, OfSite, Shares, Unmasking
from fairbank.federated_jobs.secagg.site import Site as Attempt
from fairbank.federated_jobs.secagg.site import too_few
from fairbank.federated_jobs.states import SiteState
from fairbank.ontology.signed_objects import Manifest
from fairbank.release.candidates import Sealer
from fairbank.release.errors import HubUnreachable, NodeSuspendedHere
from fairbank.release.node import Node
from fairbank.signing import KeyId

log = logging.getLogger(__name__)


@dataclass(slots=True)
class InHand:
    """A round under way: what was trained, and the attempt that is answered.

    Attributes:
        sent: what was answered, to be told again if the hub did not hear it.
    """

    made: Computed
    number: int = 0
    attempt: Attempt | None = None
    sent: dict[MaskingStep, MaskingReport] = field(default_factory=dict)


class _Answered:
    """In which rounds this site has helped to unmask a sum, in the node's database."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def first(self, job: str, number: int) -> bool:
        """Note a round; tell whether it was not noted before. What is noted is on the disk when this returns."""
        try:
            with writing(self._node.engine) as session:
                session.add(UnmaskedRow(job=job, round=number, at=self._node.clock.now()))
        except IntegrityError:
            return False
        return True


def work(
    site: Site, job: str, number: int, order: MaskingOrder | None, *, model: bytes | None = None
) -> SiteState:
    """Answer the step that is due and return the site's state after it.

    Args:
        order: None where updates are not masked; the round is then worked as `rounds.work` does.
        model: the global model, where it came with the lease.

    Raises:
        HubUnreachable: if the hub does not answer; the step is asked for again.
        WorkerCancelled: if the job was stopped meanwhile.
        NodeSuspendedHere, JobPausedHere: if the node or the job is paused.
        RemoteError: if the hub refuses in a way that may pass.
    """
    if order is None:
        return rounds.work(site, job, number, model=model)
    with site.node.engine.connect() as connection:
        row = rounds.written_down(connection, job, number)
    if row.state == GIVEN_UP:
        return SiteState.FAILED
    try:
        with reading(site.node.engine) as session:
            check_goes_on(session, job)
            if order.step is not MaskingStep.KEYS:
                check_may_leave(site.node, session, job)
        return _answer(site, row, order, model)
    except SiteRefusal as err:
        return rounds.refused_here(site, row, err)
    except (HubUnreachable, WorkerCancelled, NodeSuspendedHere, JobPausedHere):
        raise
    except (MessageUnfit, TooFewSites) as err:
        log.warning("round %d of job %s, attempt %d: %s", number, job, order.attempt, err.why)
        return _lost(site, row, order)
    except RemoteError as err:
        if err.remote_code != RoundClosed.code:
            raise
        log.warning("round %d of job %s goes on without this answer", number, job)
        return SiteState.RELEASED
    except FairbankError as err:
        _drop(site, job, number)
        return rounds.give_up(site, job, number, err)


def _answer(site: Site, row: Work, order: MaskingOrder, model: bytes | None) -> SiteState:
    hand = site.masking.get((row.job, row.round))
    step = order.step
    if step is MaskingStep.KEYS:
        if row.state == STAGED:
            # A masked update leaves once in a round.
            return _lost(site, row, order)
        return _tell(site, row, _keys(site, row, order, model))
    if hand is None or hand.attempt is None or hand.number != order.attempt:
        return _lost(site, row, order)
    if step in hand.sent:
        return _tell(site, row, hand.sent[step])
    messages = [one.encode() for one in order.messages]
    if step is MaskingStep.SHARES:
        report = _report(row, order, hand.attempt.share(messages), Shares)
    elif step is MaskingStep.MASKED:
        return _mask(site, row, hand, messages)
    elif step is MaskingStep.SURVIVORS:
        report = _report(row, order, hand.attempt.confirm(order.survivors), OfSite)
    else:
        report = _report(row, order, hand.attempt.unmask(messages), Unmasking)
    hand.sent[step] = report
    return _tell(site, row, report)


def _keys(site: Site, row: Work, order: MaskingOrder, model: bytes | None) -> MaskingReport:
    """Train, unless that was done, and return the keys of a new attempt."""
    from fairbank.federated_jobs.secagg.updates import context_of, digest_of_base, numbers_of

    for old in [key for key in site.masking if key[0] == row.job and key[1] != row.round]:
        _drop(site, *old)
    hand: InHand | None = site.masking.get((row.job, row.round))
    if hand is not None and hand.number == order.attempt and MaskingStep.KEYS in hand.sent:
        return hand.sent[MaskingStep.KEYS]
    if hand is None or not all(product.path.exists() for product in hand.made.products):
        made = None
        # Each new try has a smaller cohort, so this ends.
        while made is None:
            made = rounds.compute(site, row, model, masked=True)
        hand = InHand(made)
        site.masking[row.job, row.round] = hand
    chain = hand.made.authorised.chain
    roster = _roster(site, chain.manifest, order)
    numbers = numbers_of(_update(hand), bound=bound_of(chain.manifest))
    context = context_of(
        row.job,
        (row.round, order.attempt),
        base=digest_of_base(row.global_digest, numbers.base),
        plan=chain.sealed_manifest.digest,
        roster=roster,
        length=int(numbers.whole.size),
    )
    if hand.attempt is not None:
        hand.attempt.forget()
    node = site.node
    hand.attempt = Attempt(context, roster, node=node.name, key=node.key, answers=_Answered(node))
    hand.number = order.attempt
    hand.sent = {MaskingStep.KEYS: _report(row, order, hand.attempt.advertise(), Keys)}
    return hand.sent[MaskingStep.KEYS]


def _mask(site: Site, row: Work, hand: InHand, messages: list[bytes]) -> SiteState:
    """Bring the update before the gate, and its masked form into the outbox and out."""
    from fairbank.federated_jobs.secagg.updates import MEDIA_TYPE, numbers_of, write_masked

    if row.state == STAGED:
        return rounds.deliver(site, row.job, row.round)
    attempt = hand.attempt
    assert attempt is not None
    bound = bound_of(hand.made.authorised.chain.manifest)

    def masked(product: Product) -> Sealer | None:
        return Sealer(MEDIA_TYPE, seal) if product.output == UPDATE else None

    def seal(plain: Path, into: Path) -> None:
        numbers = numbers_of(plain, bound=bound).whole
        envelope = attempt.mask(messages, numbers)
        write_masked(plain, numbers, envelope, into=into)

    staged = rounds.stage(site, row, hand.made, masked=masked)
    if staged is None:
        # Fewer subjects than were trained on: nothing of it may leave.
        _drop(site, row.job, row.round)
        raise refused(Fault.OUT_OF_TURN)
    return rounds.send(site, row, staged)


def _roster(site: Site, manifest: Manifest, order: MaskingOrder) -> Mapping[str, KeyId]:
    """Return the sites of an attempt and their keys, as far as they count here.

    Raises:
        MessageUnfit: if one is not of the job, or has another key than the site's people pinned.
        TooFewSites: if they are fewer than the manifest's quorum.
        PeersUnknown: if the site's policy cannot be read.
    """
    node = site.node
    roster = {one.node: KeyId(one.key) for one in order.roster}
    of_job = set(nodes_of(manifest, enrolment_of(node).public_base_iri))
    with reading(node.engine) as session:
        pins = pinned(session, node)
    others = {name: key for name, key in roster.items() if name != node.name}
    if not set(roster) <= of_job or (
        pins is not None and any(pins.get(name) != key for name, key in others.items())
    ):
        raise refused(Fault.UNKNOWN_SITE)
    if len(roster) < manifest.plan.quorum:
        raise too_few(len(roster), manifest.plan.quorum)
    return roster


def _report(row: Work, order: MaskingOrder, envelope: bytes, kind: type[OfSite]) -> MaskingReport:
    """Return what is told of an envelope that this site has just sealed."""
    signed = json.loads(envelope)["signatures"][0]
    report = MaskingReport(
        round=row.round,
        attempt=order.attempt,
        step=order.step,
        signer=signed["keyid"],
        signature=signed["sig"],
    )
    if kind is OfSite:
        return report
    said, _ = kind.open(envelope, trusted=None)
    told: dict[str, object] = {}
    match said:
        case Keys():
            told = {
                "base": said.context.base,
                "length": said.context.length,
                "keys": (said.sealing, said.masking),
            }
        case Shares():
            told = {"boxes": tuple(box.sealed for box in sorted(said.boxes, key=lambda box: box.to))}
        case Unmasking():
            told = {
                "seeds": tuple(said.seeds[name] for name in sorted(said.seeds)),
                "secrets": tuple(said.keys[name] for name in sorted(said.keys)),
            }
    return report.model_copy(update=told)


def _tell(site: Site, row: Work, report: MaskingReport) -> SiteState:
    site.outbox.control("POST", f"/v1/jobs/{row.job}/sites/{site.node.name}/masking", report)
    return SiteState.RELEASED


def _lost(site: Site, row: Work, order: MaskingOrder) -> SiteState:
    """Tell that this site cannot go on with the attempt."""
    hand = site.masking.get((row.job, row.round))
    if hand is not None and hand.attempt is not None:
        hand.attempt.forget()
        hand.attempt = None
    report = MaskingReport(round=row.round, attempt=order.attempt, step=order.step, lost=True)
    try:
        return _tell(site, row, report)
    except RemoteError as err:
        if err.remote_code != RoundClosed.code:
            raise
    return SiteState.RELEASED


def _drop(site: Site, job: str, number: int) -> None:
    """Forget a round: its secrets are overwritten, and what was trained is removed."""
    hand = site.masking.pop((job, number), None)
    if hand is None:
        return
    if hand.attempt is not None:
        hand.attempt.forget()
    for product in hand.made.products:
        product.path.unlink(missing_ok=True)


def _update(hand: InHand) -> Path:
    return next(product.path for product in hand.made.products if product.output == UPDATE)
