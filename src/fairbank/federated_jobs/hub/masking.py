"""Secure aggregation at the hub: which step is due, what sites answered, and the sum.

A round goes through five steps: keys, shares, masked updates, survivors, unmasking. For the leases each step is like a
round: each site that is asked gets one, answers, and rests; when all have, or the deadline has passed, the next step
begins. All of it is in the database, and what stands here is worked out from it anew each time, so a hub that starts
anew goes on where it was. The sites do not trust the hub: what is checked here protects the run.

While nobody has been asked to unmask, an attempt with too few sites begins anew, with fresh keys. From the masked
updates on it does not: a masked update of a site leaves once.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank.catalogue import nodes
from fairbank.catalogue.context import Hub
from fairbank.errors import FairbankError
from fairbank.federated_jobs.code import UPDATE
from fairbank.federated_jobs.errors import RoundClosed
from fairbank.federated_jobs.hub.dispatch import not_found
from fairbank.federated_jobs.hub.merging import METRICS, RECORD, Arrived, Closing, MergedFile
from fairbank.federated_jobs.hub.progress import (
    active,
    close_leases,
    end_job,
    ended,
    fail_site,
    manifest_of,
    move_site,
    sites_of,
)
from fairbank.federated_jobs.hub.store import (
    JobRow,
    MaskingMessageRow,
    MaskingRow,
    RoundRow,
    SiteRow,
    UpdateRow,
)
from fairbank.federated_jobs.masking_protocol import MaskingOrder, MaskingReport, MaskingSite, MaskingStep
from fairbank.federated_jobs.reasons import Reason
from fairbank.federated_jobs.secagg.errors import MessageUnfit, TooFewSites
from fairbank.federated_jobs.secagg.limits import MOST_ATTEMPTS, bound_of, fewest_survivors
from fairbank.federated_jobs.states import WORKING_SITES, JobEvent, RoundState, SiteEvent, SiteState
from fairbank.signing import KeyId

if TYPE_CHECKING:
    from fairbank.federated_jobs.secagg.collecting import Collecting
    from fairbank.federated_jobs.secagg.messages import Context, OfSite

# A site that has trained answers a step in seconds; so long it may be away.
_STEP_S = 900
_STEPS = tuple(MaskingStep)


def order_for(session: Session, job: JobRow, current: RoundRow | None) -> MaskingOrder | None:
    """Return which step a site takes now; None where updates are not masked."""
    row = session.get(MaskingRow, (job.id, current.round)) if current is not None else None
    if row is None:
        return None
    step = MaskingStep(row.step)
    before = {
        MaskingStep.SHARES: MaskingStep.KEYS,
        MaskingStep.MASKED: MaskingStep.SHARES,
        MaskingStep.UNMASKING: MaskingStep.SURVIVORS,
    }.get(step)
    messages = _messages(session, row, before) if before is not None else {}
    survivors = _updates(session, row) if step is MaskingStep.SURVIVORS else {}
    return MaskingOrder(
        attempt=row.attempt,
        step=step,
        roster=tuple(MaskingSite(node=node, key=key) for node, key in sorted(row.roster.items())),
        messages=tuple(envelope.decode() for _, envelope in sorted(messages.items())),
        survivors=tuple(sorted(survivors)),
    )


def check_takes(session: Session, job: JobRow, node: str, number: int) -> None:
    """Refuse a masked update that is not due.

    Raises:
        RoundClosed: saying so; the node keeps it.
    """
    row = session.get(MaskingRow, (job.id, number))
    if row is not None and (row.step != MaskingStep.MASKED.value or node not in row.sites):
        raise _not_due()


def take_report(hub: Hub, session: Session, job_id: str, *, node: str, message: MaskingReport) -> None:
    """Keep what a site answers to the step that is due; telling it again changes nothing.

    Raises:
        JobNotFound: if this node has no part in such a round.
        RoundClosed: if another step or attempt is due, or the site is not asked.
    """
    job, site = session.get(JobRow, job_id), session.get(SiteRow, (job_id, node))
    row = session.get(MaskingRow, (job_id, message.round))
    if job is None or site is None or row is None:
        raise not_found()
    current = session.get_one(RoundRow, (job_id, message.round))
    due = (row.attempt, row.step) == (message.attempt, message.step.value)
    if ended(job) or current.state != RoundState.OPEN.value or not due or node not in row.sites:
        raise _not_due()
    place = (job_id, message.round, row.attempt, row.step, node)
    if session.get(MaskingMessageRow, place) is None:
        session.add(
            MaskingMessageRow(
                job=job_id,
                round=message.round,
                attempt=row.attempt,
                step=row.step,
                node=node,
                envelope=None if message.lost else _envelope(session, row, node, message),
            )
        )
    if SiteState(site.state) in WORKING_SITES:
        move_site(hub, job, site, SiteEvent.RELEASE)


def advance(hub: Hub, session: Session, job: JobRow, number: int, *, at_least: int) -> bool:
    """Close the step that is due and ask for the next; return whether the sum can be opened now.

    Args:
        at_least: of how many sites the plan wants a round to be.
    """
    row = session.get_one(MaskingRow, (job.id, number))
    step = MaskingStep(row.step)
    if step is MaskingStep.KEYS:
        _agree(session, row, session.get_one(RoundRow, (job.id, number)))
    collecting, unfit = _replayed(session, job, row)
    for node in unfit:
        _forget(session, row, node)
        site = session.get_one(SiteRow, (job.id, node))
        if not ended(job) and site in active(sites_of(session, job.id)):
            fail_site(hub, session, job, site, reason=Reason.UPDATE_REFUSED)
    if ended(job):
        return False
    answered = _updates(session, row) if step is MaskingStep.MASKED else _messages(session, row, step)
    least = fewest_survivors(len(row.roster))
    if step is MaskingStep.MASKED:
        # Whoever wants more sites in a round says so before anything is opened.
        least = max(least, at_least)
    if len(answered) < least and step is not MaskingStep.UNMASKING and step is not MaskingStep.SURVIVORS:
        _again(hub, session, job, row)
        return False
    try:
        if collecting is None:
            raise _not_due()
        close(collecting, step)
    except (TooFewSites, MessageUnfit):
        _fail(hub, session, job)
        return False
    if step is MaskingStep.UNMASKING:
        _rest(hub, session, job, row)
        return True
    row.step = _STEPS[_STEPS.index(step) + 1].value
    row.sites = sorted(answered)
    _ask(hub, session, job, row)
    return False


def opened_sum(
    session: Session, closing: Closing, folder: Path
) -> tuple[Closing, dict[str, dict[str, float]]]:
    """Open the sum of a round; return what is merged in place of single updates, and what each site told.

    Raises:
        TooFewSites, SharesUnfit: if what sites gave opens nothing.
        NumbersUnfit: if the sum is of another model.
    """
    from fairbank.federated_jobs.secagg.updates import read_masked, write_mean
    from fairbank.federated_jobs.tensor_prefixes import BASE

    job = session.get_one(JobRow, closing.manifest.id)
    row = session.get_one(MaskingRow, (job.id, closing.round))
    collecting, _ = _replayed(session, job, row)
    assert collecting is not None
    total = collecting.total()
    paths = _updates(session, row)
    told = {node: dict(read_masked(path).notes) for node, path in sorted(paths.items())}
    carried = closing.base is None
    if closing.base is not None:
        from fairbank.federated_jobs.algorithms.weights import read_weights

        base = read_weights(closing.base)
    else:
        first = read_masked(next(path for _, path in sorted(paths.items())))
        base = {name.removeprefix(BASE): values for name, values in first.base.items()}
    into = folder / "sum.safetensors"
    write_mean(total, base, bound=bound_of(closing.manifest), carried=carried, into=into)
    return replace(closing, arrived=(Arrived("sum", UPDATE, "", into),), form=None), told


def with_notes(files: Sequence[MergedFile], told: Mapping[str, Mapping[str, float]]) -> None:
    """Write into the metrics of a round what each site told, and nothing that would be of a single update."""
    path = next(file.path for file in files if file.name == METRICS)
    body = json.loads(path.read_bytes())
    body["sites"] = {node: dict(notes) for node, notes in told.items()}
    body.pop(RECORD, None)
    body["masked"] = {"sites": len(told)}
    path.write_text(json.dumps(body, sort_keys=True))


def close(collecting: Collecting, step: MaskingStep) -> None:
    """Close a step; the last is closed by whoever opens the sum.

    Raises:
        TooFewSites: if there are fewer than a sum may be made of.
    """
    match step:
        case MaskingStep.KEYS:
            collecting.close_keys()
        case MaskingStep.SHARES:
            collecting.close_shares()
        case MaskingStep.MASKED:
            collecting.close_masked()
        case MaskingStep.SURVIVORS:
            collecting.close_survivors()
        case MaskingStep.UNMASKING:
            collecting.check_unmasking()


def _replayed(session: Session, job: JobRow, row: MaskingRow) -> tuple[Collecting | None, list[str]]:
    """Return the attempt as it stands, with the step that is due open, and the sites whose answer to it is refused."""
    from fairbank.federated_jobs.secagg.collecting import Collecting
    from fairbank.federated_jobs.secagg.updates import read_masked, ring

    if row.base is None or row.length is None:
        return None, []
    roster = {node: KeyId(key) for node, key in row.roster.items()}
    collecting = Collecting(_context(job, row), roster, ring(bound_of(manifest_of(job))))
    due = MaskingStep(row.step)
    unfit: list[str] = []
    for step in _STEPS[: _STEPS.index(due) + 1]:
        paths = _updates(session, row) if step is MaskingStep.MASKED else {}
        messages = _messages(session, row, step)
        for node in sorted({*paths, *messages}):
            try:
                match step:
                    case MaskingStep.KEYS:
                        collecting.add_keys(messages[node])
                    case MaskingStep.SHARES:
                        collecting.add_shares(messages[node])
                    case MaskingStep.MASKED:
                        came = read_masked(paths[node])
                        collecting.add_masked(came.envelope, came.whole)
                        _check_base(row, came.base)
                    case MaskingStep.SURVIVORS:
                        collecting.add_survivors(messages[node])
                    case MaskingStep.UNMASKING:
                        collecting.add_unmasking(messages[node])
            except MessageUnfit:
                unfit.append(node)
        if step is not due:
            close(collecting, step)
    return collecting, unfit


def _check_base(row: MaskingRow, base: Mapping[str, object]) -> None:
    from fairbank.federated_jobs.secagg.errors import Fault, refused
    from fairbank.federated_jobs.secagg.updates import base_digest

    # In later rounds nobody sends a base.
    if base and base_digest(base) != row.base:  # type: ignore[arg-type]  # arrays by name
        raise refused(Fault.OTHER_CONTEXT)


def _context(job: JobRow, row: MaskingRow) -> Context:
    from fairbank.federated_jobs.secagg.updates import context_of

    assert row.base is not None and row.length is not None
    roster = {node: KeyId(key) for node, key in row.roster.items()}
    return context_of(
        job.id,
        (row.round, row.attempt),
        base=row.base,
        plan=job.manifest_digest,
        roster=roster,
        length=row.length,
    )


def _agree(session: Session, row: MaskingRow, current: RoundRow) -> None:
    """Note which base and length most sites' keys are bound to; who names others is refused with its message."""
    from fairbank.federated_jobs.secagg.messages import Keys

    said: Counter[tuple[str, int]] = Counter()
    for _, envelope in sorted(_messages(session, row, MaskingStep.KEYS).items()):
        try:
            context = Keys.open(envelope, trusted=None)[0].context
        except FairbankError:
            continue
        if current.global_digest in (None, context.base):
            said[context.base, context.length] += 1
    if said:
        (row.base, row.length), _ = said.most_common(1)[0]


def _envelope(session: Session, row: MaskingRow, node: str, message: MaskingReport) -> bytes:
    """Return the envelope of a report, put together from its words; what fits together nowhere is refused later."""
    said = _said(session, row, node, message)
    return said.envelope_of(message.signer or "", message.signature or "")


def _said(session: Session, row: MaskingRow, node: str, message: MaskingReport) -> OfSite:
    from fairbank.federated_jobs.secagg.messages import Box, Keys, Shares, Survivors, Unmasking
    from fairbank.federated_jobs.secagg.updates import context_of

    job = session.get_one(JobRow, row.job)
    if message.step is MaskingStep.KEYS:
        if message.base is None or message.length < 1 or len(message.keys) != 2:
            raise _not_due()
        context = context_of(
            job.id,
            (row.round, row.attempt),
            base=message.base,
            plan=job.manifest_digest,
            roster={name: KeyId(key) for name, key in row.roster.items()},
            length=message.length,
        )
        return Keys(context=context, node=node, sealing=message.keys[0], masking=message.keys[1])
    context = _context(job, row)
    in_keys = sorted(_messages(session, row, MaskingStep.KEYS))
    if message.step is MaskingStep.SHARES:
        others = [name for name in in_keys if name != node]
        if len(others) != len(message.boxes):
            raise _not_due()
        boxes = tuple(Box(to=to, sealed=sealed) for to, sealed in zip(others, message.boxes, strict=True))
        return Shares(context=context, node=node, boxes=boxes)
    survivors = sorted(_updates(session, row))
    if message.step is MaskingStep.SURVIVORS:
        return Survivors(context=context, node=node, survivors=tuple(survivors))
    lost = sorted(set(_messages(session, row, MaskingStep.SHARES)) - set(survivors))
    if (len(message.seeds), len(message.secrets)) != (len(survivors), len(lost)):
        raise _not_due()
    return Unmasking(
        context=context,
        node=node,
        seeds=dict(zip(survivors, message.seeds, strict=True)),
        keys=dict(zip(lost, message.secrets, strict=True)),
    )


def _messages(session: Session, row: MaskingRow, step: MaskingStep) -> dict[str, bytes]:
    found = session.execute(
        select(MaskingMessageRow.node, MaskingMessageRow.envelope).where(
            MaskingMessageRow.job == row.job,
            MaskingMessageRow.round == row.round,
            MaskingMessageRow.attempt == row.attempt,
            MaskingMessageRow.step == step.value,
            MaskingMessageRow.envelope.is_not(None),
        )
    )
    return {node: envelope for node, envelope in found if envelope is not None}


def _updates(session: Session, row: MaskingRow) -> dict[str, Path]:
    """Return the masked updates that are in the sum, by site."""
    found = session.execute(
        select(UpdateRow.node, UpdateRow.path).where(
            UpdateRow.job == row.job, UpdateRow.round == row.round, UpdateRow.output == UPDATE
        )
    )
    return {node: Path(path) for node, path in found}


def _forget(session: Session, row: MaskingRow, node: str) -> None:
    """Take an answer that is refused out of the step that is due."""
    if row.step == MaskingStep.MASKED.value:
        held = session.get(UpdateRow, (row.job, row.round, node, UPDATE))
    else:
        place = (row.job, row.round, row.attempt, row.step, node)
        held = session.get(MaskingMessageRow, place)  # type: ignore[assignment]  # either row is deleted
    if held is not None:
        session.delete(held)
    session.flush()


def _again(hub: Hub, session: Session, job: JobRow, row: MaskingRow) -> None:
    """Begin anew with fresh keys at all sites that still take part; fail where that cannot help."""
    there = {site.node for site in active(sites_of(session, job.id))} & set(row.roster)
    nobody_masked = row.step == MaskingStep.SHARES.value
    if not nobody_masked or row.attempt >= MOST_ATTEMPTS or len(there) < max(job.quorum, 1):
        _fail(hub, session, job)
        return
    keys = {node: nodes.key_of(session, node) for node in there}
    row.roster = {node: str(key) for node, key in sorted(keys.items()) if key is not None}
    row.sites = sorted(row.roster)
    row.attempt, row.step = row.attempt + 1, MaskingStep.KEYS.value
    row.base = row.length = None
    _ask(hub, session, job, row)


def _ask(hub: Hub, session: Session, job: JobRow, row: MaskingRow) -> None:
    """Hand the step that is due to those who are asked; all others of the attempt rest until the next round."""
    _rest(hub, session, job, row)
    current = session.get_one(RoundRow, (job.id, row.round))
    whole_s = manifest_of(job).plan.round_deadline_s
    trains_or_leaves = row.step in (MaskingStep.KEYS.value, MaskingStep.MASKED.value)
    seconds = whole_s if trains_or_leaves else min(whole_s, _STEP_S)
    current.deadline = min(hub.clock.now() + timedelta(seconds=seconds), job.expires)
    for site in active(sites_of(session, job.id)):
        if site.node in row.sites:
            move_site(hub, job, site, SiteEvent.QUEUE)
            site.round = row.round


def _rest(hub: Hub, session: Session, job: JobRow, row: MaskingRow) -> None:
    close_leases(session, job.id)
    for site in active(sites_of(session, job.id)):
        if site.node in row.roster and SiteState(site.state) in WORKING_SITES:
            move_site(hub, job, site, SiteEvent.RELEASE)


def _fail(hub: Hub, session: Session, job: JobRow) -> None:
    if not ended(job):
        end_job(hub, session, job, JobEvent.FAIL, reason=Reason.QUORUM_NOT_MET)


def _not_due() -> RoundClosed:
    return RoundClosed(
        "This step of secure aggregation is not due at this site.",
        why="Another one is, or the round goes on without this site.",
        todo="The node drops the attempt and goes on with what it is asked for next.",
    )
