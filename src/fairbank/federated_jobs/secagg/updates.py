"""Updates as numbers that can be added: which tensors, in which order, and the files in which masked ones travel.

    masked     uint64, all numbers of an update times its number of samples, and that number, masked
    base.NAME  in a first round whose model nobody sent: what the job's seed made, the same at every site

Every site multiplies its update by its own number of samples, so that no site and no hub can say what another weighs.
The sum divided by the sum of samples is the mean. It differs from that of plain numbers by at most n / 2^21, and by
less the more samples there are. Whole numbers, as batch normalisation counts its batches, stay as in the base.

Source: Bonawitz et al. 2017, section 4 (sums in a ring).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from fairbank.federated_jobs.algorithms.weights import read_weights, write_weights
from fairbank.federated_jobs.secagg.errors import Fault, NumbersUnfit, refused
from fairbank.federated_jobs.secagg.fixed_point import Ring, Whole
from fairbank.federated_jobs.secagg.limits import MOST_BOUND, MOST_SAMPLES, MOST_SITES, MOST_STATISTIC
from fairbank.federated_jobs.secagg.messages import Context, roster_digest
from fairbank.federated_jobs.tensor_files import TensorShape, form_of_array
from fairbank.federated_jobs.tensor_prefixes import BASE
from fairbank.federated_jobs.tensor_roles import Role, role_of
from fairbank.federated_jobs.update_notes import N_TRAIN, annotate, notes_of, words_of
from fairbank.signing import KeyId, sha256_digest

if TYPE_CHECKING:
    from fairbank.federated_jobs.algorithms.weights import Weights

MEDIA_TYPE: Final = "application/vnd.fairbank.masked-update"
_MASKED, _ENVELOPE = "masked", "secagg"


def ring(bound: float) -> Ring:
    """Return the ring of a job whose updates are cut off at a bound; the same for any number of sites."""
    return Ring(64, max(bound, float(MOST_BOUND)) * MOST_SAMPLES, MOST_SITES)


@dataclass(frozen=True, slots=True)
class Numbers:
    """An update in the ring.

    Attributes:
        base: digest of the model that it started from; None if that model is not in the file.
    """

    whole: Whole
    base: str | None


def numbers_of(update: Path, *, bound: float) -> Numbers:
    """Return the numbers of an update of differences, flat and in the order of names, with its samples at the end.

    Raises:
        NumbersUnfit: if one is not finite, or the update does not tell on how many samples it was trained.
    """
    samples = int(min(notes_of(update).get(N_TRAIN, 0), MOST_SAMPLES))
    if samples < 1:
        raise NumbersUnfit(
            "An update does not tell on how many samples it was trained.",
            why="Masked updates are weighed by their samples, at the site.",
            todo="Use a tool that tells n_train.",
        )
    tensors = read_weights(update)
    writes = ring(bound)
    parts = []
    for tensor in _summed(tensors):
        most = bound if role_of(tensor) is Role.WEIGHT else MOST_STATISTIC
        values = tensors[tensor.name].astype(np.float64).reshape(-1)
        if not np.isfinite(values).all():
            # Says what is wrong in the words that fit.
            writes.encoded(values)
        parts.append(writes.encoded(np.clip(values, -most, most) * samples))
    parts.append(writes.encoded(np.array([float(samples)])))
    return Numbers(np.concatenate(parts), base_digest(tensors))


def base_digest(tensors: Weights) -> str | None:
    """Return the digest of the base that came with an update; None if none did."""
    digest, found = hashlib.sha256(b"fairbank base v1"), False
    for name in sorted(name for name in tensors if name.startswith(BASE)):
        found = True
        shape = form_of_array(name, tensors[name])
        digest.update(f"{shape.name} {shape.dtype} {shape.shape}\n".encode())
        digest.update(np.ascontiguousarray(tensors[name]).tobytes())
    return f"sha256:{digest.hexdigest()}" if found else None


def write_masked(update: Path, whole: Whole, envelope: bytes, *, into: Path) -> None:
    """Write the masked form of an update: its masked numbers, its notes, and its base if it brought one."""
    from safetensors.numpy import save_file

    tensors = {name: values for name, values in read_weights(update).items() if name.startswith(BASE)}
    words = words_of(update) | {_ENVELOPE: envelope.decode()}
    save_file({**tensors, _MASKED: whole}, into, metadata=words)


@dataclass(frozen=True, slots=True)
class MaskedUpdate:
    """What came of a site: what it signed, the masked numbers, what it told beside them, and the base."""

    envelope: bytes
    whole: Whole
    notes: Mapping[str, float]
    base: Weights


def read_masked(path: Path) -> MaskedUpdate:
    """Return a masked update as it came.

    Raises:
        MessageUnfit: if it is none.
    """
    from fairbank.errors import FairbankError

    try:
        tensors, words = read_weights(path), words_of(path)
        whole = tensors.pop(_MASKED)
        envelope = words[_ENVELOPE].encode()
        notes = notes_of(path)
    except (FairbankError, KeyError, ValueError, OSError) as err:
        raise refused(Fault.DAMAGED) from err
    if (
        whole.dtype != np.dtype("<u8")
        or whole.ndim != 1
        or any(not name.startswith(BASE) for name in tensors)
    ):
        raise refused(Fault.DAMAGED)
    return MaskedUpdate(envelope, whole, notes, tensors)


def write_mean(total: Whole, base: Weights, *, bound: float, carried: bool, into: Path) -> int:
    """Write the mean of a sum as an update of differences, and return of how many samples it is.

    Args:
        total: without masks.
        base: the model that all started from.
        carried: it came with the updates, so it goes with the mean.

    Raises:
        NumbersUnfit: if the sum is of another model, or of no samples.
    """
    real = ring(bound).decoded(total)
    form = _summed(base)
    samples = round(float(real[-1])) if real.size else 0
    if real.size != sum(tensor.size for tensor in form) + 1 or samples < 1:
        raise NumbersUnfit(
            "The sum of the sites' updates is no sum of updates of the model.",
            why="A site masked something else than the others.",
            todo="Begin a new job; leave out one site after the other if it happens again.",
        )
    made: Weights = dict(base)
    start = 0
    for tensor in form:
        values = real[start : start + tensor.size] / samples
        made[tensor.name] = values.astype(base[tensor.name].dtype).reshape(tensor.shape)
        start += tensor.size
    if carried:
        made |= {BASE + name: values for name, values in base.items()}
    plain = into.with_name(f"plain-{into.name}")
    write_weights(made, plain, durable=False)
    annotate(plain, {N_TRAIN: samples}, to=into)
    plain.unlink()
    return samples


def context_of(
    job: str,
    round_attempt: tuple[int, int],
    *,
    base: str,
    plan: str,
    roster: Mapping[str, KeyId],
    length: int,
) -> Context:
    """Return the context of an attempt.

    Args:
        round_attempt: number of the round, and of the attempt in it.
        plan: digest of the manifest.
    """
    number, attempt = round_attempt
    return Context(
        job=job,
        round=number,
        attempt=attempt,
        base=base,
        plan=plan,
        roster=roster_digest(roster),
        length=length,
    )


def digest_of_base(given: str | None, carried: str | None) -> str:
    """Return what stands for the base in the context: the digest of the model that came, or of what the seed made."""
    return given or carried or sha256_digest(b"")


def _summed(tensors: Weights) -> Sequence[TensorShape]:
    """Return the tensors whose numbers are added, in the order of their names."""
    form = [form_of_array(name, tensors[name]) for name in sorted(tensors) if not name.startswith(BASE)]
    return [tensor for tensor in form if tensor.is_float]
