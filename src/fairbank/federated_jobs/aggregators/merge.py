"""Merge the updates of a round into a file, piece by piece: at any time a piece of each update is in memory, no more.

A rule that asks how the updates lie to each other reads them twice; all others once. The same updates give the
same bits in whatever order they came.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairbank.federated_jobs.aggregators.geometry import (
    Flag,
    Geometry,
    GeometrySum,
    flags_of,
    geometry_of,
    ratios,
)
from fairbank.federated_jobs.aggregators.robust import shortened
from fairbank.federated_jobs.aggregators.rules import Rule
from fairbank.federated_jobs.aggregators.stack import SiteUpdate, Stack
from fairbank.federated_jobs.aggregators.weighing import Seen, Weights
from fairbank.federated_jobs.algorithms.errors import NothingToAggregate
from fairbank.federated_jobs.tensor_files import Form, TensorFile, TensorShape, TensorWriter, pieces, unfit
from fairbank.federated_jobs.tensor_roles import Role, role_of

# Names in the file of a server's state: moments of weights, and one number for each site.
_MOMENT, _NUMBER = "moment.", "number."
# Digits of the numbers in a record.
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Merging:
    """What a round is merged from, beside its updates.

    Attributes:
        form: the form of all updates.
        base: the model that the round started from; None if the hub does not have it.
        state: what the rule has kept from the round before.
        round: the number of the round.
        sites: how many sites the job has, present or not; as many as updates by default.
        previous: the model that the round before started from, to tell who sends its last step once more.
    """

    form: Form
    base: Path | None = None
    state: Path | None = None
    round: int = 1
    sites: int | None = None
    previous: Path | None = None


@dataclass(frozen=True, slots=True)
class Merged:
    """The merged model, what the rule keeps, and what each site had to do with it.

    Attributes:
        state: file and digest of what the rule keeps; None if it keeps nothing.
        record: by site: `weight` (None where each weight is merged by itself), `norm`, `norm_ratio`, `cosine`,
            `distance`, `flags`, and `shortened_to` where only a part of its difference counts.
    """

    file: Path
    digest: str
    bytes: int
    sites: tuple[str, ...]
    n_samples: int
    state: tuple[Path, str] | None = None
    record: Mapping[str, Mapping[str, object]] = field(default_factory=dict)


def in_order(updates: Sequence[SiteUpdate]) -> list[SiteUpdate]:
    """Return updates in the sorted order of their sites.

    Raises:
        NothingToAggregate: if there is none.
        UpdateUnfit: if a site has sent two, or names no samples.
    """
    if not updates:
        raise NothingToAggregate(
            "There is no update to merge.",
            why="No site finished the round.",
            todo="Wait for the quorum, or lower it in the next job.",
        )
    ordered = sorted(updates, key=lambda update: update.site)
    if len({update.site for update in ordered}) != len(ordered):
        raise unfit("One site sent two updates for the same round.")
    if any(update.n_samples < 1 for update in ordered):
        raise unfit("A site names no training samples.")
    return ordered


def merge_updates(
    rule: Rule, updates: Sequence[SiteUpdate], how: Merging, *, into: Path, state_into: Path | None = None
) -> Merged:
    """Merge updates of one form into a file; who keeps it flushes it to the disk.

    Args:
        into: the merged model.
        state_into: what a stateful rule keeps; by default beside the model.

    Raises:
        NothingToAggregate: if there is none.
        TooFewUpdates: if the rule needs more.
        NotesMissing: if the updates lack numbers that it needs.
        UpdateUnfit: if a site has sent two, there is no base and the rule needs one, or the result is not finite.
    """
    ordered = in_order(updates)
    if rule.needs_base and how.base is None:
        raise unfit("There is no model that the differences could be added to.")
    files = into, state_into or into.with_name("server-state.safetensors")
    with Stack(ordered, how.form, how.base, how.previous) as stack:
        known = _sound(geometry_of(stack)) if rule.asks_geometry else None
        weights = rule.weigh(_seen(ordered, how, known))
        written = _written(rule, weights, stack, how, known, files)
        lie = written.lie
        # How long updates are is known once they were read; only where one is too long they are read once more.
        if (parts := _shortened(rule, lie)) is not None:
            weights = _with_parts(weights, parts)
            written = _written(rule, weights, stack, how, lie, files)
    return Merged(
        file=into,
        digest=written.digest,
        bytes=written.bytes,
        sites=tuple(update.site for update in ordered),
        n_samples=sum(update.n_samples for update in ordered),
        state=written.state,
        record=_record(ordered, weights, lie, parts, by_coordinate=rule.by_coordinate is not None),
    )


@dataclass(frozen=True, slots=True)
class _Written:
    digest: str
    bytes: int
    state: tuple[Path, str] | None
    lie: Geometry


def _written(
    rule: Rule, weights: Weights, stack: Stack, how: Merging, known: Geometry | None, files: tuple[Path, Path]
) -> _Written:
    """Write the merged model and what the rule keeps; how updates lie to each other is found on the way."""
    keep = _Keep(rule, how, stack, files[1])
    with keep, TensorWriter(files[0], how.form) as writer:
        summed = GeometrySum(stack, about_middle=rule.clip_beyond is not None)
        for tensor in how.form:
            _merge_tensor(
                _Job(rule, weights, stack, how, keep, summed, known=known is not None), tensor, writer
            )
        lie = known or _sound(summed.done())
        digest, size = writer.finish()
        return _Written(digest, size, keep.finish(weights.state), lie)


def _shortened(rule: Rule, lie: Geometry) -> NDArray[np.float64] | None:
    """Return which part of each difference counts, (n_sites,) up to 1; None where all count whole."""
    if rule.clip_beyond is None or (times := ratios(lie.lengths)) is None:
        return None
    return shortened(times, rule.clip_beyond) if bool((times > rule.clip_beyond).any()) else None


def _with_parts(weights: Weights, counts: NDArray[np.float64]) -> Weights:
    """Return weights of which a part counts; statistics and counters are taken of those that count whole."""
    whole = weights.shares * (counts >= 1)
    shares = whole / whole.sum() if whole.sum() > 0 else weights.shares
    return replace(weights, parts=weights.parts * counts, shares=shares, about_base=True)


def _sound(lie: Geometry) -> Geometry:
    """Return a geometry; a rule that leaves values out would else merge what is not finite without a word."""
    if not bool(np.isfinite(lie.gram).all()):
        raise unfit("An update holds a value that is not a finite number.")
    return lie


@dataclass(frozen=True, slots=True)
class _Job:
    rule: Rule
    weights: Weights
    stack: Stack
    how: Merging
    keep: _Keep
    summed: GeometrySum
    known: bool = False


def _merge_tensor(job: _Job, tensor: TensorShape, writer: TensorWriter) -> None:
    role = role_of(tensor)
    for start, stop in pieces(tensor.size):
        if role is Role.TRUTH:
            heaviest = int(np.argmax(job.weights.shares))
            writer.write(tensor.name, start, job.stack.raw(heaviest, tensor, start, stop))
            continue
        merged = _merged_piece(job, tensor, role, (start, stop))
        # Whatever is no finite number at one site makes the sum so.
        with np.errstate(over="ignore"):
            if tensor.is_float and not bool(np.isfinite(merged.astype(tensor.numpy)).all()):
                raise unfit("The mean holds a value that is not a finite number.")
        writer.write(tensor.name, start, np.rint(merged) if role is Role.WHOLE else merged)


def _merged_piece(job: _Job, tensor: TensorShape, role: Role, at: tuple[int, int]) -> NDArray[np.float64]:
    values, weights = job.stack.values(tensor, *at), job.weights
    if role is Role.CONTROL:
        base = job.stack.base(tensor, *at)
        sites = max(job.how.sites or 0, len(values))
        return np.asarray(base + (values - base).sum(axis=0) / sites, dtype=np.float64)
    if role is Role.OPTIMIZER:
        samples = [float(update.n_samples) for update in job.stack.updates]
        return _sum(np.array(samples), values) / sum(samples)
    with np.errstate(over="ignore", invalid="ignore"):
        if role is Role.WEIGHT:
            return _merged_weights(job, tensor, values, at)
        if job.rule.by_coordinate is not None:
            return job.rule.by_coordinate(values)
        # Normalised once more: shares that add up to nearly 1 would shrink what a single site sent.
        return _sum(weights.shares, values) / float(weights.shares.sum())


def _merged_weights(
    job: _Job, tensor: TensorShape, values: NDArray[np.float64], at: tuple[int, int]
) -> NDArray[np.float64]:
    weights = job.weights
    base = job.stack.base(tensor, *at)
    if not job.known:
        job.summed.add(values, base, job.stack.moved(tensor, *at))
    if job.rule.by_coordinate is not None:
        return job.rule.by_coordinate(values)
    if not weights.about_base and job.rule.server is None:
        return _sum(weights.parts, values) / weights.whole
    if not job.stack.has_base:
        # Without a base, differences that are too long are shortened about the median of each weight.
        base = np.median(values, axis=0)
    change = _sum(weights.parts, values - base) / weights.whole
    if job.rule.server is None:
        return base + change
    step, moments = job.rule.server.step(change, job.keep.moments(tensor, *at))
    job.keep.put(tensor, at[0], moments)
    return base + step


def _sum(parts: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weighted sum, in the order of sites whatever the library does with a product of matrices."""
    total: NDArray[np.float64] = np.zeros(values.shape[1], dtype=np.float64)
    for part, row in zip(parts, values, strict=True):
        if part != 0:
            total += part * row
    return total


class _Keep:
    """What a stateful rule has kept and keeps: one file, read and written in pieces."""

    def __init__(self, rule: Rule, how: Merging, stack: Stack, path: Path) -> None:
        self._names = rule.server.moments if rule.server is not None else {}
        self._old = TensorFile(how.state) if how.state is not None and rule.stateful else None
        self._path, self._stateful = path, rule.stateful
        self._form = [
            TensorShape(f"{_MOMENT}{name}.{tensor.name}", "F32", tensor.shape)
            for tensor in stack.weights()
            for name in self._names
        ]
        self._writer = TensorWriter(path, self._form) if self._form else None

    def moments(self, tensor: TensorShape, start: int, stop: int) -> dict[str, NDArray[np.float64]]:
        """Return a piece of each moment of a tensor."""
        return {name: self._moment(name, tensor, start, stop) for name in self._names}

    def put(self, tensor: TensorShape, start: int, moments: Mapping[str, NDArray[np.float64]]) -> None:
        """Keep a piece of each moment of a tensor."""
        for name, values in moments.items():
            assert self._writer is not None
            self._writer.write(f"{_MOMENT}{name}.{tensor.name}", start, values)

    def finish(self, numbers: Mapping[str, float]) -> tuple[Path, str] | None:
        """Finish the file; return it with its digest."""
        if not self._stateful:
            return None
        if self._writer is not None:
            return self._path, self._writer.finish()[0]
        form = [TensorShape(_NUMBER + name, "F64", (1,)) for name in numbers]
        with TensorWriter(self._path, form) as writer:
            for name, number in numbers.items():
                writer.write(_NUMBER + name, 0, np.array([number]))
            return self._path, writer.finish()[0]

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.drop()
        if self._old is not None:
            self._old.close()

    def _moment(self, name: str, tensor: TensorShape, start: int, stop: int) -> NDArray[np.float64]:
        stored = f"{_MOMENT}{name}.{tensor.name}"
        if self._old is None or stored not in self._old.named:
            return np.full(stop - start, self._names[name])
        return self._old.piece(stored, start, stop).astype(np.float64)


def _seen(ordered: Sequence[SiteUpdate], how: Merging, geometry: Geometry | None) -> Seen:
    return Seen(
        sites=tuple(update.site for update in ordered),
        samples=np.array([float(update.n_samples) for update in ordered]),
        notes=tuple(update.notes for update in ordered),
        staleness=tuple(update.staleness for update in ordered),
        round=how.round,
        geometry=geometry,
        state=_numbers(how.state),
    )


def _numbers(state: Path | None) -> dict[str, float]:
    if state is None:
        return {}
    with TensorFile(state) as opened:
        names = [name for name in opened.named if name.startswith(_NUMBER)]
        return {name.removeprefix(_NUMBER): float(opened.whole(name)[0]) for name in names}


def _record(
    ordered: Sequence[SiteUpdate],
    weights: Weights,
    lie: Geometry,
    parts: NDArray[np.float64] | None,
    *,
    by_coordinate: bool,
) -> dict[str, dict[str, object]]:
    cosines, apart = lie.cosine_to(weights.shares), lie.distance_to(weights.shares)
    times = ratios(lie.lengths)
    told: dict[str, dict[str, object]] = {}
    for place, (update, flags) in enumerate(zip(ordered, flags_of(lie), strict=True)):
        told[update.site] = {
            "weight": None if by_coordinate else _short(weights.parts[place] / weights.whole),
            "norm": _short(lie.norms[place]) if lie.to_base else None,
            "norm_ratio": _short(times[place]) if times is not None else None,
            "cosine": _short(cosines[place]) if lie.to_base else None,
            "distance": _short(apart[place]),
            "flags": sorted(flag.value for flag in (flags | {Flag.REPEATED} if update.repeated else flags)),
        }
        if parts is not None and parts[place] < 1:
            told[update.site]["shortened_to"] = _short(parts[place])
        if update.staleness:
            told[update.site]["staleness"] = update.staleness
    return told


def _short(number: Any) -> float:
    return float(f"{float(number):.{_DIGITS}g}")
