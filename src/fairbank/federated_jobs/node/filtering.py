"""Filter the update of a round at its site, outside the job's code, and give the job the model that it starts from.

    filters/kept-000002.safetensors    what stays here after round 2: private layers, and what compression has lost

Both sides of training pass through here. On the way in, layers that stay at this site join the model that came from the
hub. On the way out, the update is judged as the job's code wrote it, private layers are taken out, and the chain of
filters of the manifest is applied. What stays is on disk before the update can be released, so that a node which is
killed repeats the round to the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from fairbank.federated_jobs.update_notes import annotate, notes_of
from fairbank.release.errors import GateRefused
from fairbank.release.gate import Verdict
from fairbank.release.tensors import TensorShape as ReleasedShape
from fairbank.release.tensors import form_of as released_form
from fairbank.release.tensors import problems
from fairbank.zstd_frames import pack

if TYPE_CHECKING:
    from numpy.random import Generator

    from fairbank.federated_jobs.algorithms.weights import Weights
    from fairbank.federated_jobs.filters.chain import Chain
    from fairbank.federated_jobs.node.runner import RoundTask

FOLDER = "filters"
_STATES_KEPT = 2
_PRIVATE, _LEFT_OVER = "private.", "left."
_INITIAL = "initial.safetensors"


@dataclass(frozen=True, slots=True)
class Filtered:
    """An update as it leaves, and what the gate is to find in it.

    Attributes:
        form: its tensors by name; None where only names and types can be judged.
        encoded: filters made it of weights.
        packed: it is compressed.
    """

    path: Path
    form: Mapping[str, ReleasedShape] | None = None
    encoded: bool = False
    packed: bool = False


@dataclass(frozen=True, slots=True)
class Training:
    """The job's code, as this module asks for it.

    Attributes:
        train: trains from a model (None: the initial one) and writes the update into a file, with its notes.
        initial: writes the initial model into a file.
    """

    train: Callable[[Path | None, Path], None]
    initial: Callable[[Path], None] = field(default=lambda path: None)


def filtered_round(task: RoundTask, training: Training, *, folder: Path, into: Path) -> Filtered:
    """Train one round and return its update as it leaves.

    Args:
        folder: the job's folder; private layers and what was lost are kept below it.
        into: the file that leaves.

    Raises:
        GateRefused: if what the job's code wrote is no update of the model.
        FilterRefused: if a filter cannot do on this model what the job asks.
    """
    from fairbank.federated_jobs.filters.chain import chain_of

    chain = chain_of(task.manifest)
    if chain.changes_nothing:
        training.train(task.global_model, into)
        return Filtered(into, _expected(into, task.global_model))
    kept = folder / FOLDER
    kept.mkdir(parents=True, exist_ok=True, mode=0o700)
    if chain.encrypts:
        return _encrypted_round(task, training, kept, into)
    site = _Site(task, chain, kept, training)
    started = site.model()
    raw = into.with_name(f"raw-{into.name}")
    try:
        training.train(started if site.is_given else None, raw)
        return site.leaves(raw, started, into)
    finally:
        raw.unlink(missing_ok=True)


def _encrypted_round(task: RoundTask, training: Training, kept: Path, into: Path) -> Filtered:
    """Train one round of an encrypted job, or open its model in the last one."""
    from fairbank.federated_jobs.encrypted_jobs import opens
    from fairbank.federated_jobs.node.encrypting import opened_model, sealed_update, shown_model

    first = _initial_model(training, kept)
    # Ciphertexts are opened here and nowhere else: the job's code gets the weights, never the key.
    started = opened_model(task, first, kept / "model.safetensors")
    if opens(task.manifest, task.round):
        return Filtered(shown_model(task, started, into, kept), released_form(first))
    raw = into.with_name(f"raw-{into.name}")
    try:
        training.train(started if task.global_model is not None else None, raw)
        _refuse(problems(raw, _expected(raw, started)))
        return Filtered(*sealed_update(task, raw, into, kept), encoded=True)
    finally:
        raw.unlink(missing_ok=True)
        (kept / "model.safetensors").unlink(missing_ok=True)


class _Site:
    """One round of one job with filters."""

    def __init__(self, task: RoundTask, chain: Chain, kept: Path, training: Training) -> None:
        self._task, self._chain, self._kept, self._training = task, chain, kept, training
        self._state = _read(kept / _name(task.previous_round)) if task.previous_round else {}

    @property
    def is_given(self) -> bool:
        """Tell whether the model to start from has come from the hub."""
        return self._task.global_model is not None

    def model(self) -> Path:
        """Return the whole model that this round starts from: what came, with the layers that stayed here."""
        from fairbank.federated_jobs.algorithms.weights import read_weights, write_weights
        from fairbank.federated_jobs.filters.sharing import merged_with_private

        if self._task.global_model is None:
            return self._initial()
        if self._chain.sharing is None:
            return self._task.global_model
        private = _part(self._state, _PRIVATE)
        shared = read_weights(self._task.global_model)
        if not private:
            # Before its first round a site has the private layers of the initial model, if they did not come along.
            first = read_weights(self._initial())
            private = {name: first[name] for name in first if name not in shared}
        whole = self._kept / "model.safetensors"
        write_weights(merged_with_private(shared, private), whole, durable=False)
        return whole

    def leaves(self, raw: Path, started: Path, into: Path) -> Filtered:
        """Return what leaves of an update, and keep what stays."""
        from fairbank.federated_jobs.algorithms.weights import read_weights, write_weights

        _refuse(problems(raw, _expected(raw, started)))
        update, base, notes = read_weights(raw), read_weights(started), notes_of(raw)
        sharing = self._chain.sharing
        private = sharing.private(update) if sharing is not None else frozenset()
        shared = {name: values for name, values in update.items() if name not in private}
        left = _part(self._state, _LEFT_OVER)
        encoded = self._chain.encode(shared, base, left, self._random)
        with_base = self._chain.wants_base and not self.is_given
        tensors = dict(encoded.tensors)
        if with_base:
            tensors |= {_base_name(name): base[name] for name in shared if name in base and _in_model(name)}
        stays = {_PRIVATE + name: update[name] for name in private}
        stays |= {_LEFT_OVER + name: values for name, values in encoded.left_over.items()}
        # State first: once the update exists it may be released, and then this round is never run again.
        write_weights(stays, self._kept / _name(self._task.round))
        self._forget_old_rounds()
        plain = into.with_name(f"plain-{into.name}")
        try:
            write_weights(tensors, plain, durable=False)
            annotate(plain, {name: _whole(value) for name, value in notes.items()}, to=into)
        finally:
            plain.unlink(missing_ok=True)
        form = self._form(shared, with_base=with_base)
        if self._chain.pack_level is None:
            return Filtered(into, form, encoded=True)
        return Filtered(self._packed(into, self._chain.pack_level), form, encoded=True, packed=True)

    def _form(self, shared: Weights, *, with_base: bool) -> dict[str, ReleasedShape]:
        from fairbank.federated_jobs.tensor_files import form_of_array

        plain = [form_of_array(name, shared[name]) for name in sorted(shared)]
        wire = self._chain.wire_form(plain, with_base=with_base)
        return {tensor.name: ReleasedShape(tensor.dtype, tensor.shape) for tensor in wire}

    def _packed(self, file: Path, level: int) -> Path:
        packed = file.with_name(f"packed-{file.name}")
        pack(file, level=level, to=packed)
        packed.replace(file)
        return file

    def _initial(self) -> Path:
        return _initial_model(self._training, self._kept)

    def _random(self, purpose: str) -> Generator:
        from numpy.random import default_rng

        from fairbank.federated_jobs.algorithms.seeds import derive_seed

        task = self._task
        return default_rng(
            derive_seed(task.manifest.seed, site=task.site, round_number=task.round, purpose=purpose)
        )

    def _forget_old_rounds(self) -> None:
        for old in sorted(self._kept.glob("kept-*.safetensors"))[:-_STATES_KEPT]:
            old.unlink()


def _initial_model(training: Training, kept: Path) -> Path:
    path = kept / _INITIAL
    if not path.exists():
        fresh = path.with_suffix(".part")
        training.initial(fresh)
        fresh.replace(path)
    return path


def _expected(raw: Path, started: Path | None) -> dict[str, ReleasedShape] | None:
    """Return the tensors that an update must have: the model's, and in the first round what is exchanged beside it."""
    if started is None:
        return None
    from fairbank.federated_jobs.tensor_roles import is_extra

    model = released_form(started)
    if any(is_extra(name) for name in model):
        return model
    return model | {name: shape for name, shape in released_form(raw).items() if is_extra(name)}


def _refuse(found: list[str]) -> None:
    if found:
        raise GateRefused(
            "The job's code wrote no update of the model.",
            verdict=Verdict(tuple(found), ("content:update",)),
            why=" ".join(found),
            todo="Nothing was sent. Correct what made the output.",
        )


def _read(path: Path) -> Weights:
    from fairbank.federated_jobs.algorithms.errors import CheckpointMissing
    from fairbank.federated_jobs.algorithms.weights import read_weights

    if not path.exists():
        raise CheckpointMissing(
            "What filters kept after the last round is not there.",
            why="The job's folder at this site was lost or cleaned up.",
            todo="Start the job anew; a round cannot be repeated from another state.",
        )
    return read_weights(path)


def _part(state: Weights, prefix: str) -> Weights:
    return {name.removeprefix(prefix): state[name] for name in state if name.startswith(prefix)}


def _base_name(name: str) -> str:
    from fairbank.federated_jobs.tensor_prefixes import BASE

    return BASE + name


def _in_model(name: str) -> bool:
    from fairbank.federated_jobs.tensor_roles import is_extra

    return not is_extra(name)


def _whole(number: float) -> int | float:
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _name(number: int) -> str:
    return f"kept-{number:06d}.safetensors"
