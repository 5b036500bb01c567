"""Check model updates and average them: numpy only, a piece of each in memory at a time, the same bits every time.

Updates are read in sorted order of their sites and summed in float64, so the merged model does not depend on who
answered first. How updates are merged in other ways than by their mean is in `aggregators/`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fairbank.federated_jobs.aggregators.merge import Merged, Merging, in_order, merge_updates
from fairbank.federated_jobs.aggregators.rules import rule_of
from fairbank.federated_jobs.aggregators.stack import SiteUpdate
from fairbank.federated_jobs.algorithms.weights import digest_of_file
from fairbank.federated_jobs.axes.aggregators import AveragingOptions
from fairbank.federated_jobs.tensor_files import (
    Form,
    TensorFile,
    TensorShape,
    difference,
    form_of,
    pieces,
    unfit,
)

MAX_TENSORS = 100_000


@dataclass(frozen=True, slots=True)
class UpdateDescription:
    """What can be said of an update without its values.

    Args:
        digest: `sha256:…` of the file.
        bytes: size of the file.
        tensors: name, type and shape of each tensor, sorted by name.
        parameters: number of values.
        finite: whether every value is a finite number.
        largest: the largest absolute value, 0 for an empty update.
    """

    digest: str
    bytes: int
    tensors: Form
    parameters: int
    finite: bool
    largest: float


def describe_update(file: Path) -> UpdateDescription:
    """Return the description of an update, reading it piece by piece.

    Raises:
        UpdateUnfit: if the file is not safetensors or holds a type that updates may not have.
    """
    seen = _look(file)
    return UpdateDescription(
        digest_of_file(file), file.stat().st_size, seen.tensors, seen.parameters, seen.finite, seen.largest
    )


def check_update(
    file: Path,
    *,
    like: Sequence[TensorShape] | None = None,
    max_bytes: int,
    digest: str | None = None,
    values: bool = True,
) -> Form:
    """Return the form of an update that may be merged.

    Args:
        like: the tensors that it must have, such as those of the global model; None accepts any.
        max_bytes: of the file.
        digest: what the file must have been named, None if it has no name yet.
        values: look at every value too; False leaves that to the merging, which finds what is not finite but not whose.

    Raises:
        UpdateUnfit: saying what is wrong with it.
    """
    size = file.stat().st_size
    if size > max_bytes:
        raise unfit(f"It has {size} bytes, and {max_bytes} are allowed.")
    if digest is not None and digest_of_file(file) != digest:
        raise unfit("Its bytes do not have the digest that was announced.")
    form = form_of(file)
    if not form or len(form) > MAX_TENSORS:
        raise unfit(f"It holds {len(form)} tensors.")
    if values and not _look(file).finite:
        raise unfit("It holds a value that is not a finite number.")
    if like is not None and form != tuple(like):
        raise unfit(difference(form, like))
    return form


@dataclass(frozen=True, slots=True)
class FedAvg:
    """The mean of the sites' weights, weighted by their numbers of samples.

    Whole numbers (counters) are averaged and rounded, truth values taken from the site with the most samples.

    Source: McMahan et al. 2017, Communication-Efficient Learning of Deep Networks, algorithm 1.
    """

    name: str = "fedavg"

    def reduce(
        self,
        updates: Sequence[SiteUpdate],
        *,
        into: Path,
        max_bytes: int,
        checked: Sequence[TensorShape] | None = None,
    ) -> Merged:
        """Merge updates into `into`, checking each first; who keeps the file flushes it to the disk.

        Args:
            checked: the form that the caller has just found all of them to have; None checks them here.

        Raises:
            NothingToAggregate: if there is none.
            UpdateUnfit: if one is unsound, differs in form from the first, or holds a value that is not finite.
        """
        ordered = in_order(updates)
        form = tuple(checked) if checked is not None else _common_form(ordered, max_bytes)
        rule = rule_of(self.name, AveragingOptions(clip_beyond=None))
        return merge_updates(rule, ordered, Merging(form), into=into)


@dataclass(frozen=True, slots=True)
class _Seen:
    tensors: Form
    parameters: int
    finite: bool
    largest: float


def _look(file: Path) -> _Seen:
    finite, largest, parameters = True, 0.0, 0
    with TensorFile(file) as opened:
        for tensor in opened.form:
            parameters += tensor.size
            for start, stop in pieces(tensor.size) if tensor.is_float else ():
                values = opened.piece(tensor.name, start, stop)
                # Of values with a NaN both are NaN.
                peak = float(max(values.max(), -values.min()))
                finite = finite and math.isfinite(peak)
                largest = max(largest, peak) if math.isfinite(peak) else largest
        return _Seen(opened.form, parameters, finite, largest)


def _common_form(ordered: Sequence[SiteUpdate], max_bytes: int) -> Form:
    form = check_update(ordered[0].file, max_bytes=max_bytes)
    for update in ordered[1:]:
        check_update(update.file, like=form, max_bytes=max_bytes)
    return form
