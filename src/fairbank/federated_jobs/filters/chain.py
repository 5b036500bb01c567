"""The chain of filters of a job: what leaves a site, in which form, and how the hub gets weights back from it.

A chain is a pure function of an update, its base, what was left over from the round before, and its options. Its form
is known before there is an update, so that the gate at the site and the hub judge each file exactly:

    share        names of the layers that leave
    base.NAME    the model that the update started from; only where the hub does not have it (the first round)
    NAME         the weights, or what the filters made of their difference to the base
    scale.NAME, index.NAME    what some filters need beside it
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairbank.federated_jobs.axes.elements import Options
from fairbank.federated_jobs.axes.filters import (
    CKKS,
    SHARE,
    ZSTD,
    ClipOptions,
    Int8Options,
    LossyOptions,
    ShareOptions,
    TopKOptions,
    ZstdOptions,
)
from fairbank.federated_jobs.axes.rules import Mix
from fairbank.federated_jobs.axes.validator import mix_of
from fairbank.federated_jobs.filters.interface import Arrays, Get, Random, UpdateFilter
from fairbank.federated_jobs.filters.lengths import ClipNorm, Difference
from fairbank.federated_jobs.filters.quantising import HalfPrecision, Int8, Sign
from fairbank.federated_jobs.filters.sharing import Sharing
from fairbank.federated_jobs.filters.sparsifying import TopK
from fairbank.federated_jobs.tensor_files import (
    Form,
    TensorFile,
    TensorShape,
    TensorWriter,
    difference,
    form_of_array,
    pieces,
    unfit,
)
from fairbank.federated_jobs.tensor_prefixes import BASE
from fairbank.federated_jobs.tensor_roles import Role, is_extra, role_of
from fairbank.ontology.signed_objects import Manifest

RESERVED = (BASE, "scale.", "index.")


@dataclass(frozen=True, slots=True)
class Encoded:
    """What leaves, and what of it was lost on the way and is added in the next round."""

    tensors: Arrays
    left_over: Arrays


@dataclass(frozen=True, slots=True)
class Chain:
    """The filters of a job, in order.

    Attributes:
        sharing: which layers leave; None for all.
        steps: what is done to the weights of those.
        pack_level: how hard the file is compressed; None if it is not.
        feeds_back: whether what was lost is added in the next round.
        wants_base: whether the hub needs the model that an update started from.
        encrypts: whether the hub adds up what it cannot read (`filters/encrypting.py`); then there is no other step.
    """

    sharing: Sharing | None = None
    steps: tuple[UpdateFilter, ...] = ()
    pack_level: int | None = None
    feeds_back: bool = False
    wants_base: bool = False
    encrypts: bool = False

    @property
    def changes_nothing(self) -> bool:
        """Tell whether an update leaves as the algorithm made it."""
        changed = self.steps or self.sharing is not None or self.pack_level is not None
        return not changed and not self.wants_base and not self.encrypts

    def wire_form(self, plain: Sequence[TensorShape], *, with_base: bool = False) -> Form:
        """Return the form of what leaves.

        Args:
            plain: the form of the shared part of an update.
            with_base: the base travels along.
        """
        formed = [part for tensor in plain for part in self._formed(tensor)[-1]]
        carried = [TensorShape(BASE + t.name, t.dtype, t.shape) for t in plain if not is_extra(t.name)]
        wire = sorted(formed + (carried if with_base else []), key=lambda tensor: tensor.name)
        if len({tensor.name for tensor in wire}) != len(wire) or any(
            tensor.name.startswith(RESERVED) for tensor in plain
        ):
            raise unfit("A layer has a name that filters use.")
        return tuple(wire)

    def encode(
        self,
        update: Mapping[str, NDArray[Any]],
        base: Mapping[str, NDArray[Any]],
        left: Arrays,
        random: Random,
    ) -> Encoded:
        """Return what leaves of the shared part of an update.

        Args:
            update: full weights.
            base: the weights that it started from.
            left: what the round before has left over.
            random: generators for what is drawn by chance.
        """
        roles = {name: role_of(form_of_array(name, values)) for name, values in update.items()}
        weights = {name: update[name] for name, role in roles.items() if role is Role.WEIGHT}
        passing = {name: update[name] for name in update if name not in weights}
        if not self.steps:
            return Encoded(dict(update), {})
        weights = {name: _less(values, base, left, name) for name, values in weights.items()}
        beside: Arrays = {}
        # What is lost is counted from the last step that loses nothing: a norm that was clipped stays clipped.
        kept = weights
        for step in self.steps:
            weights, more = step.apply(weights, random)
            beside |= more
            kept = kept if step.lossy else weights
        sent = {**weights, **beside}
        lost: Arrays = {}
        if self.feeds_back:
            for name, values in kept.items():
                back = self._restored(form_of_array(name, values), sent.__getitem__, lossy_only=True)
                lost[name] = values - back
        return Encoded({**passing, **sent}, lost)

    def told(self, tensor: TensorShape, get: Get) -> NDArray[Any]:
        """Return what came of a weight: its difference to the base, or the weight where no step makes one.

        Args:
            tensor: its form in the plain update.
            get: returns what came, by name.

        Raises:
            UpdateUnfit: if what came was made by no such chain.
        """
        if role_of(tensor) is not Role.WEIGHT:
            return get(tensor.name)
        with np.errstate(over="ignore", invalid="ignore"):
            return self._restored(tensor, get)

    def _formed(self, tensor: TensorShape) -> list[list[TensorShape]]:
        """Return the forms of a tensor before each step and after the last; first the tensor itself."""
        stages = [[tensor]]
        for step in self.steps if role_of(tensor) is Role.WEIGHT else ():
            own, *beside = step.form(stages[-1][0])
            stages.append([own, *beside, *stages[-1][1:]])
        return stages

    def _restored(self, tensor: TensorShape, get: Get, *, lossy_only: bool = False) -> NDArray[Any]:
        stages = self._formed(tensor)
        values = get(tensor.name)
        for step, before in zip(reversed(self.steps), reversed(stages[:-1]), strict=True):
            if lossy_only and not step.lossy:
                continue
            values = step.restore(before[0], _with(get, tensor.name, values))
        return values


def chain_of(manifest: Manifest) -> Chain:
    """Return the chain of a training job.

    Raises:
        PlanRefused, OptionRefused: if the manifest names a filter or an option that there is not.
    """
    return chain_of_mix(mix_of(manifest.plan, manifest.training))


def chain_of_mix(mix: Mix) -> Chain:
    """Return the chain of checked choices."""
    named = {choice.name: options for choice, options in mix.filters}
    share, zstd = named.get(SHARE), named.get(ZSTD)
    steps = tuple(_MADE[choice.name](options) for choice, options in mix.filters if choice.name in _MADE)
    if mix.training.secure_aggregation is not None and not steps:
        # Sums are of differences to the model that a round started from.
        steps = (_MADE["difference"](Options()),)
    return Chain(
        sharing=Sharing(share) if isinstance(share, ShareOptions) else None,
        steps=steps,
        pack_level=zstd.level if isinstance(zstd, ZstdOptions) else None,
        feeds_back=any(isinstance(each, LossyOptions) and each.error_feedback for each in named.values()),
        wants_base=bool(steps) or mix.aggregator[0].needs_base,
        encrypts=CKKS in named,
    )


def decode_file(chain: Chain, wire: Path, *, plain: Form, base: Path | None, into: Path) -> Path:
    """Write the full weights that a filtered update stands for, one tensor in memory at a time.

    Args:
        wire: what came, unpacked, of the form that the chain gives `plain`.
        base: the model that it started from; None takes the one that came along.

    Raises:
        UpdateUnfit: if what came was made by no such chain, or is not finite.
    """
    with TensorFile(wire) as came, TensorFile(base or wire) as started, TensorWriter(into, plain) as writer:
        prefix = BASE if base is None else ""
        for tensor in plain:
            told = chain.told(tensor, came.whole).reshape(-1)
            is_apart = bool(chain.steps) and role_of(tensor) is Role.WEIGHT
            for start, stop in pieces(tensor.size):
                values = told[start:stop]
                if is_apart:
                    values = _sum(started.piece(prefix + tensor.name, start, stop), values)
                writer.write(tensor.name, start, values)
        writer.finish()
    return into


def plain_form(wire: Sequence[TensorShape], model: Sequence[TensorShape]) -> Form:
    """Return the form of the update that a wire form stands for: the model's, and what is exchanged beside it.

    Args:
        model: the form of the model that it started from.
    """
    known = {tensor.name: tensor for tensor in model}
    # The model of the first round does not have yet what is exchanged beside it; each later one does.
    new = not any(is_extra(name) for name in known)
    beside = {t.name: t for t in wire if new and is_extra(t.name) and t.is_float}
    return tuple(sorted((known | beside).values(), key=lambda tensor: tensor.name))


def check_wire(chain: Chain, wire: Form, plain: Form, *, with_base: bool) -> None:
    """Refuse a wire form that the chain does not give the plain form.

    Raises:
        UpdateUnfit: saying how it differs.
    """
    expected = chain.wire_form(plain, with_base=with_base)
    if wire != expected:
        raise unfit(difference(wire, expected))


def _less(values: NDArray[Any], base: Mapping[str, NDArray[Any]], left: Arrays, name: str) -> NDArray[Any]:
    apart = values.astype(np.float64) - base[name]
    less: NDArray[Any] = (apart + left[name] if name in left else apart).astype(values.dtype)
    return less


def _sum(base: NDArray[Any], apart: NDArray[Any]) -> NDArray[Any]:
    with np.errstate(over="ignore", invalid="ignore"):
        whole: NDArray[Any] = (base.astype(np.float64) + apart).astype(base.dtype)
    if not bool(np.isfinite(whole).all()):
        raise unfit("It holds a value that is not a finite number.")
    return whole


def _with(get: Get, name: str, values: NDArray[Any]) -> Get:
    return lambda asked: values if asked == name else get(asked)


def _clip(options: Options) -> UpdateFilter:
    assert isinstance(options, ClipOptions)
    return ClipNorm(bound=float(options.bound))


def _int8(options: Options) -> UpdateFilter:
    assert isinstance(options, Int8Options)
    return Int8(block=options.block, stochastic=options.rounding == "stochastic")


def _top_k(options: Options) -> UpdateFilter:
    assert isinstance(options, TopKOptions)
    return TopK(fraction=options.fraction)


_MADE: Mapping[str, Callable[[Options], UpdateFilter]] = {
    "difference": lambda _: Difference(),
    "clip-norm": _clip,
    "top-k": _top_k,
    "fp16": lambda _: HalfPrecision(),
    "int8": _int8,
    "sign": lambda _: Sign(),
}
