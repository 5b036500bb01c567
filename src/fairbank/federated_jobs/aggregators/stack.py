"""The updates of one round side by side, read piece by piece in the sorted order of their sites.

Every update is seen as full weights. One that started from an older model than the round's base is seen as that base
and its difference to the model that it did start from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fairbank.federated_jobs.tensor_files import Form, TensorFile, TensorShape
from fairbank.federated_jobs.tensor_roles import Role, role_of


@dataclass(frozen=True, slots=True)
class SiteUpdate:
    """One site's update.

    Args:
        site: the site's id; updates are merged in its sorted order.
        file: full weights as safetensors.
        n_samples: number of training samples, >= 1.
        base: the model that it started from, where that is not the base of the round.
        notes: the numbers that it brings.
        staleness: how many rounds its base is old.
        repeated: it is, to the byte, what the same site has sent before.
    """

    site: str
    file: Path
    n_samples: int
    base: Path | None = None
    notes: Mapping[str, float] = field(default_factory=dict)
    staleness: int = 0
    repeated: bool = False


class Stack:
    """Open updates of one form.

    Args:
        updates: in the sorted order of their sites.
        form: what all of them have.
        base: the model that the round started from; None if there is none.
        previous: the model that the round before started from; None if there is none.
    """

    def __init__(
        self, updates: Sequence[SiteUpdate], form: Form, base: Path | None, previous: Path | None = None
    ) -> None:
        self.updates, self.form = tuple(updates), form
        self._opened = ExitStack()
        try:
            self._files = [self._open(update.file) for update in updates]
            self._base = self._open(base) if base is not None else None
            self._previous = self._open(previous) if base is not None and previous is not None else None
            self._older = [self._open(u.base) if u.base is not None else None for u in updates]
        except BaseException:
            self._opened.close()
            raise

    @property
    def has_base(self) -> bool:
        """Tell whether there is a model that the round started from."""
        return self._base is not None

    def weights(self) -> list[TensorShape]:
        """Return the trained weights of the form."""
        return [tensor for tensor in self.form if role_of(tensor) is Role.WEIGHT]

    def values(self, tensor: TensorShape, start: int, stop: int) -> NDArray[np.float64]:
        """Return a piece of a tensor at all sites, (n_sites, stop - start) float64."""
        rows = np.empty((len(self._files), stop - start), dtype=np.float64)
        for row, file, older in zip(rows, self._files, self._older, strict=True):
            row[:] = file.piece(tensor.name, start, stop)
            if older is not None and tensor.name in older.named:
                row -= older.piece(tensor.name, start, stop)
                row += self.base(tensor, start, stop)
        return rows

    def raw(self, place: int, tensor: TensorShape, start: int, stop: int) -> NDArray[Any]:
        """Return a piece of one site's tensor as it came."""
        return self._files[place].piece(tensor.name, start, stop)

    def base(self, tensor: TensorShape, start: int, stop: int) -> NDArray[np.float64]:
        """Return a piece of the base, zeros where it does not have the tensor; (stop - start,) float64."""
        if self._base is None or tensor.name not in self._base.named:
            return np.zeros(stop - start, dtype=np.float64)
        return self._base.piece(tensor.name, start, stop).astype(np.float64)

    def moved(self, tensor: TensorShape, start: int, stop: int) -> NDArray[np.float64] | None:
        """Return a piece of the last step of the model itself, (stop - start,) float64; None if it is not known."""
        if self._previous is None or tensor.name not in self._previous.named:
            return None
        before = self._previous.piece(tensor.name, start, stop).astype(np.float64)
        return self.base(tensor, start, stop) - before

    def close(self) -> None:
        """Close all files."""
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self, path: Path) -> TensorFile:
        return self._opened.enter_context(TensorFile(path))
