"""What a filter is: a pure change of the trained weights of an update, its form, and the way back.

A filter works on weights only; running statistics, counters and what a local step exchanges pass by it. It knows one
tensor by one name: what it makes of a tensor keeps that name, and what has to travel beside it gets a prefix.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

from fairbank.federated_jobs.tensor_files import TensorShape

if TYPE_CHECKING:
    # At a hub, which draws nothing, the module is 2 MB that nobody needs.
    from numpy.random import Generator

Arrays = dict[str, NDArray[Any]]
Get = Callable[[str], NDArray[Any]]
# Gives a generator for a purpose; of the same job, site, round and purpose always the same numbers.
Random = Callable[[str], "Generator"]


class UpdateFilter(Protocol):
    """One step of a chain. To add one: a class with these methods, its options and its line in `axes/filters.py`.

    Whether it is linear, keeps names, needs the base or must see plain numbers is said in that line, and the validator
    judges by it. One that only works on a sum (masks) is linear, and `restore` is then called on the sum.
    """

    @property
    def lossy(self) -> bool:
        """Tell whether it loses something that can be fed back in the next round."""
        ...

    def form(self, tensor: TensorShape) -> tuple[TensorShape, ...]:
        """Return what a tensor becomes: itself under the same name first, then what travels beside it."""
        ...

    def apply(self, weights: Arrays, random: Random) -> tuple[Arrays, Arrays]:
        """Return all weights after this step, and what travels beside them."""
        ...

    def restore(self, tensor: TensorShape, get: Get) -> NDArray[Any]:
        """Return a tensor as it was before this step, as near as that can be.

        Args:
            tensor: its form before this step.
            get: returns what this step made, by name.

        Raises:
            UpdateUnfit: if that was made by no such step.
        """
        ...
