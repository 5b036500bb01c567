"""What a site does in a round of an encrypted job: open the model that came, encrypt the update that leaves.

All of it happens in the node's own process, with a key that the worker never sees.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fairbank.federated_jobs.filters.errors import SharedKeyRefused
from fairbank.federated_jobs.manifest import site_count
from fairbank.federated_jobs.update_notes import N_TRAIN, annotate, notes_of
from fairbank.release.tensors import TensorShape as ReleasedShape

if TYPE_CHECKING:
    from fairbank.federated_jobs.node.runner import RoundTask


# How many samples the last update of this site was trained on.
_SAMPLES = "samples"


def opened_model(task: RoundTask, first: Path, into: Path) -> Path:
    """Return the model that a round starts from, in the open.

    Args:
        first: the model that the job's seed makes.
        into: where one that came encrypted is opened.

    Raises:
        EncryptionUnfit: if it is of another form, of too few updates, or made with another key.
    """
    from fairbank.federated_jobs.algorithms.weights import read_weights, write_weights
    from fairbank.federated_jobs.filters import encrypting

    if task.global_model is None:
        return first
    training = task.manifest.training
    if task.round == 1 and training is not None and training.initial_model is not None:
        return task.global_model
    mean = encrypting.decrypt(
        task.global_model, like=read_weights(first), key=_key(task), at_least=task.manifest.plan.quorum
    )
    write_weights(mean, into, durable=False)
    return into


def sealed_update(
    task: RoundTask, raw: Path, into: Path, kept: Path
) -> tuple[Path, dict[str, ReleasedShape]]:
    """Write an update encrypted, with its counts and metrics in the open; return its file and its form.

    Args:
        kept: the folder where the number of its samples is kept for the round in which the model is opened.

    Raises:
        EncryptionUnfit: if a weight is not finite, or too large for a sum.
    """
    from fairbank.federated_jobs.algorithms.weights import read_weights, write_weights
    from fairbank.federated_jobs.filters import encrypting

    notes = notes_of(raw)
    samples = max(int(notes.get(N_TRAIN, 0)), 1)
    (kept / _SAMPLES).write_text(str(samples))
    tensors = encrypting.encrypt(
        read_weights(raw),
        samples=samples,
        sites=site_count(task.manifest.datasets),
        key=_key(task),
    )
    plain = into.with_name(f"plain-{into.name}")
    try:
        write_weights(tensors, plain, durable=False)
        annotate(plain, {name: _whole(value) for name, value in notes.items()}, to=into)
    finally:
        plain.unlink(missing_ok=True)
    form = {name: ReleasedShape("U8", values.shape) for name, values in tensors.items()}
    return into, form


def shown_model(task: RoundTask, opened: Path, into: Path, kept: Path) -> Path:
    """Write the opened model of a job as it leaves in the last round, with this site's samples; nothing is trained."""
    from fairbank.federated_jobs.algorithms.weights import read_weights, write_weights
    from fairbank.federated_jobs.filters import encrypting

    shown = encrypting.blurred(read_weights(opened), _key(task), job=task.manifest.id)
    plain = into.with_name(f"plain-{into.name}")
    try:
        write_weights(shown, plain, durable=False)
        told = kept / _SAMPLES
        return annotate(plain, {N_TRAIN: int(told.read_text())} if told.exists() else {}, to=into)
    finally:
        plain.unlink(missing_ok=True)


def _key(task: RoundTask) -> bytes:
    if task.shared_key is None:
        raise SharedKeyRefused(
            "This site has no key for the encrypted job.",
            why="The sites share one key, and this site was not given it.",
            todo="The site drops out of the job; see the node's log.",
        )
    return task.shared_key


def _whole(number: float) -> int | float:
    return int(number) if number.is_integer() and abs(number) < 2**53 else number
