"""Merge the model updates of one round: unpack and decode what filters made of them, judge each, and aggregate.

Each update is brought back to full weights in a file of its own, one tensor in memory at a time. What cannot be brought
back takes its site out and nobody else.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from fairbank.federated_jobs.aggregation import check_update
from fairbank.federated_jobs.aggregators.geometry import Flag, deviations, flags_of, geometry_of
from fairbank.federated_jobs.aggregators.merge import Merged, Merging, merge_updates
from fairbank.federated_jobs.aggregators.rules import Rule, rule_of
from fairbank.federated_jobs.aggregators.stack import SiteUpdate, Stack
from fairbank.federated_jobs.algorithms.errors import UpdateUnfit
from fairbank.federated_jobs.axes.aggregators import AggregatorOptions
from fairbank.federated_jobs.axes.rules import Mix
from fairbank.federated_jobs.axes.validator import mix_of
from fairbank.federated_jobs.code import UPDATE
from fairbank.federated_jobs.encrypted_jobs import opens
from fairbank.federated_jobs.errors import NotesUnreadable
from fairbank.federated_jobs.filters.chain import Chain, chain_of_mix, check_wire, decode_file, plain_form
from fairbank.federated_jobs.hub.merging_encrypted import add_up, examine_encrypted
from fairbank.federated_jobs.reasons import Reason
from fairbank.federated_jobs.tensor_files import (
    Form,
    TensorFile,
    copy_tensors,
    form_of,
    pieces,
    unfit,
)
from fairbank.federated_jobs.tensor_prefixes import BASE
from fairbank.federated_jobs.update_notes import N_TRAIN, notes_of
from fairbank.zstd_frames import FrameRefused, unpack

if TYPE_CHECKING:
    from fairbank.federated_jobs.hub.merging import Closing

MOST_SAMPLES = 10**9
_FEWEST_TO_JUDGE = 3
T = TypeVar("T", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Opened:
    """The updates of a round as full weights.

    Attributes:
        files: full weights by node, of one form; in sorted order.
        notes: the numbers that each brings.
        unfit: nodes whose update could not be opened, or differs from that of most.
        form: the form of all files.
        base: the model that the round started from; None if the hub does not have it.
        bases: the model that a node's update started from, where that is another.
    """

    files: Mapping[str, Path]
    notes: Mapping[str, Mapping[str, float]]
    unfit: tuple[str, ...] = ()
    form: Form | None = None
    base: Path | None = None
    bases: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MergedRound:
    """The updates of a round merged: by which aggregator, and what the sites told."""

    made: Merged
    aggregator: str
    notes: Mapping[str, Mapping[str, float]]


def examine_updates(
    closing: Closing, base: Path | None, *, values: bool = False, scratch: Path | None = None
) -> tuple[dict[str, Reason], Form | None]:
    """Return the sites whose update cannot be merged, with the word for each, and the form of all others.

    Arguments are those of `merging.examine`.
    """
    mix = mix_of(closing.manifest.plan, closing.manifest.training)
    chain = chain_of_mix(mix)
    if chain.encrypts and not opens(closing.manifest, closing.round):
        return examine_encrypted(closing, values=values)
    if chain.encrypts:
        # The sites have opened the model: whole weights, and what they were made of nobody here can read.
        chain, base = Chain(), None
    place = (
        nullcontext("")
        if chain.changes_nothing
        else tempfile.TemporaryDirectory(dir=scratch, prefix="opened-")
    )
    with place as folder:
        opened = _open(closing, chain, base, Path(folder), values=values)
        reasons = dict.fromkeys(opened.unfit, Reason.UPDATE_REFUSED) or _refused(closing, opened, mix)
    return reasons, opened.form


def merge_round(closing: Closing, folder: Path, *, into: Path) -> MergedRound:
    """Merge the updates of a round into a file, by the aggregator of the plan.

    Where a site does not tell its number of samples, all sites weigh the same.

    Args:
        folder: for what has to be unpacked meanwhile, and for what the aggregator keeps.

    Raises:
        UpdateUnfit: if one cannot be opened, or the result is not finite.
        UpdateError: if the aggregator lacks updates or numbers.
    """
    mix = mix_of(closing.manifest.plan, closing.manifest.training)
    chain = chain_of_mix(mix)
    if chain.encrypts and not opens(closing.manifest, closing.round):
        made, told = add_up(closing, into=into)
        return MergedRound(made, mix.aggregator[0].name, told)
    chain, base = (Chain(), None) if chain.encrypts else (chain, closing.base)
    opened = _open(closing, chain, base, folder, checked=closing.form)
    if opened.unfit:
        raise unfit(f"{len(opened.unfit)} updates cannot be opened.")
    rule = _rule(mix)
    how = Merging(
        form=opened.form or (),
        base=opened.base,
        state=closing.state,
        round=closing.round,
        sites=len(closing.manifest.datasets),
        previous=closing.previous,
    )
    return MergedRound(
        merge_updates(rule, _updates(closing, opened), how, into=into), rule.name, opened.notes
    )


def _rule(mix: Mix) -> Rule:
    choice, options = mix.aggregator
    return rule_of(choice.name, options)


def _updates(closing: Closing, opened: Opened) -> list[SiteUpdate]:
    samples = {node: min(int(note.get(N_TRAIN, 0)), MOST_SAMPLES) for node, note in opened.notes.items()}
    if any(count < 1 for count in samples.values()):
        samples = dict.fromkeys(opened.notes, 1)
    return [
        SiteUpdate(
            node,
            path,
            samples[node],
            base=opened.bases.get(node),
            notes=opened.notes[node],
            staleness=closing.staleness.get(node, 0),
            repeated=node in closing.repeated,
        )
        for node, path in opened.files.items()
    ]


def _refused(closing: Closing, opened: Opened, mix: Mix) -> dict[str, Reason]:
    """Return the sites whose update is odder than the job allows, with the word for it."""
    options = mix.aggregator[1]
    assert isinstance(options, AggregatorOptions)
    if options.refuse_beyond is None and options.refuse_longer is None and not options.refuse_unchanged:
        return {}
    bases = opened.bases
    updates = [SiteUpdate(node, path, 1, base=bases.get(node)) for node, path in opened.files.items()]
    with Stack(updates, opened.form or (), opened.base, closing.previous) as stack:
        lie = geometry_of(stack, about_middle=True)
    found: dict[str, Reason] = {}
    if options.refuse_longer is not None and len(updates) >= _FEWEST_TO_JUDGE:
        # Lengths of earlier rounds are to their bases; without a base this round is judged by itself.
        known = [*lie.lengths, *(closing.lengths if lie.to_base else ())]
        far = lie.lengths > float(options.refuse_longer) * float(np.median(known))
        found |= {u.site: Reason.UPDATE_OUTLIER for u, is_far in zip(updates, far, strict=True) if is_far}
    if options.refuse_beyond is not None and len(updates) >= _FEWEST_TO_JUDGE:
        far = deviations(lie.norms) > float(options.refuse_beyond)
        found |= {u.site: Reason.UPDATE_OUTLIER for u, is_far in zip(updates, far, strict=True) if is_far}
    if options.refuse_unchanged:
        for update, flags in zip(updates, flags_of(lie), strict=True):
            if flags & {Flag.UNCHANGED, Flag.NOISE, Flag.REPLAY} or update.site in closing.repeated:
                found[update.site] = Reason.UPDATE_UNCHANGED
    return found


def _open(
    closing: Closing,
    chain: Chain,
    base: Path | None,
    folder: Path,
    *,
    values: bool = False,
    checked: Form | None = None,
) -> Opened:
    """Bring all updates back to full weights.

    Args:
        checked: the form that all were just found to have, where nothing has to be decoded.
    """
    arrived = closing.outputs(UPDATE)
    if chain.changes_nothing and checked is not None:
        notes = {node: notes_of(path) for node, path in arrived.items()}
        return Opened(arrived, notes, form=checked, base=base, bases=closing.bases)
    limit = next(each.maximum_bytes for each in closing.manifest.outputs if each.name == UPDATE)
    unpacked: dict[str, tuple[Path, Form, dict[str, float]]] = {}
    for node, path in arrived.items():
        try:
            wire = path
            if chain.pack_level is not None:
                wire = folder / f"unpacked-{node}"
                with wire.open("wb") as into:
                    unpack(path, into=into, most_bytes=limit)
            form = check_update(wire, max_bytes=limit, values=values and not chain.steps)
            unpacked[node] = wire, form, notes_of(wire)
        except (UpdateUnfit, NotesUnreadable, FrameRefused):
            continue
    started = base
    lost = [node for node in arrived if node not in unpacked]
    if base is None and chain.wants_base:
        started, other = _carried_base(unpacked, folder / "base.safetensors")
        lost += other
        unpacked = {node: each for node, each in unpacked.items() if node not in other}
    bases = dict(closing.bases)
    plain: dict[str, tuple[Path, Form]] = {}
    for node, (wire, form, _) in unpacked.items():
        carries = chain.wants_base and any(tensor.name.startswith(BASE) for tensor in form)
        try:
            if carries and base is not None and node not in bases:
                # It was computed for the first round and comes late, from the model of the job's seed.
                bases[node] = _write_base(wire, folder / f"base-{node}")
            from_model = bases.get(node, started)
            plain[node] = _plain(chain, (wire, form), from_model, carries, folder / f"plain-{node}")
        except UpdateUnfit:
            lost.append(node)
    usual = _most([form for _, form in plain.values()])
    lost += [node for node, (_, form) in plain.items() if form != usual]
    kept = {node: plain[node][0] for node in arrived if node not in lost}
    return Opened(
        files=kept,
        notes={node: unpacked[node][2] for node in kept},
        unfit=tuple(sorted(lost)),
        form=usual,
        base=started,
        bases=bases,
    )


def _plain(
    chain: Chain, came: tuple[Path, Form], base: Path | None, carries: bool, into: Path
) -> tuple[Path, Form]:
    """Return the full weights of an update and their form.

    Args:
        base: the model that it started from; None if the hub does not have it and does not need it.
        carries: the base came with the update.
    """
    wire, form = came
    if base is None:
        return wire, form
    plain = plain_form(form, form_of(base))
    check_wire(chain, form, plain, with_base=carries)
    if chain.steps:
        decode_file(chain, wire, plain=plain, base=base, into=into)
        return into, plain
    return wire, plain


def _carried_base(
    came: Mapping[str, tuple[Path, Form, dict[str, float]]], into: Path
) -> tuple[Path | None, list[str]]:
    """Write the base that most sites started from; return it with the nodes that name another or none.

    Every site makes it from the seed of the job, so another one means another version of the code, or worse.
    """
    digests: dict[str, str] = {}
    for node, (wire, _, _) in came.items():
        with TensorFile(wire) as opened:
            if any(tensor.name.startswith(BASE) for tensor in opened.form):
                digests[node] = _digest(opened)
    if not digests:
        return None, list(came)
    usual = _most(list(digests.values()))
    chosen = next(node for node, digest in digests.items() if digest == usual)
    return _write_base(came[chosen][0], into), [node for node in came if digests.get(node) != usual]


def _write_base(wire: Path, into: Path) -> Path:
    """Write the base that came with an update into a file of its own."""
    copy_tensors(wire, into, lambda name: name.removeprefix(BASE) if name.startswith(BASE) else None)
    return into


def _digest(opened: TensorFile) -> str:
    digest = hashlib.sha256()
    for tensor in opened.form:
        if tensor.name.startswith(BASE):
            digest.update(f"{tensor.name} {tensor.dtype} {tensor.shape}\n".encode())
            for start, stop in pieces(tensor.size):
                digest.update(opened.piece(tensor.name, start, stop).tobytes())
    return digest.hexdigest()


def _most(items: Sequence[T]) -> T | None:
    """Return the most frequent item, of equally frequent ones the first; sites come in sorted order."""
    # `most_common` keeps the order of first sight among equals.
    return Counter(items).most_common(1)[0][0] if items else None
