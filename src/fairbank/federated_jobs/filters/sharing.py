"""Partial sharing: which layers of a model leave a site, and how those that stay join the model that comes back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from numpy.typing import NDArray

from fairbank.federated_jobs.axes.filters import ShareOptions
from fairbank.federated_jobs.filters.errors import FilterRefused
from fairbank.federated_jobs.tensor_roles import is_extra, is_statistic, model_name, normalising

# What heads and encoders are usually called; who calls them otherwise names them.
HEADS = ("head*", "*.head.*", "fc*", "*.fc.*", "classifier*", "*.classifier.*", "class_layers*", "output*", "out.*",
         "final*", "*.final.*", "last*")  # fmt: skip
ENCODERS = ("encode*", "*.encode*", "down*", "*.down*")


@dataclass(frozen=True, slots=True)
class Sharing:
    """Which layers leave a site."""

    options: ShareOptions

    def private(self, names: Collection[str]) -> frozenset[str]:
        """Return the tensors of an update that stay at the site, with all that is exchanged for them.

        Args:
            names: all tensors of the update.

        Raises:
            FilterRefused: if none would stay although some should, or none would leave.
        """
        model = frozenset(name for name in names if not is_extra(name))
        stays = self._not_included(model) | self._excluded(model) | self._normalising(model)
        if self.options.statistics == "local":
            stays |= {name for name in model if is_statistic(name)}
        if stays == model:
            raise _refused("No layer of the model would leave the site.", "There would be nothing to merge.")
        extras = {name for name in names if is_extra(name) and _belongs(model_name(name), stays)}
        return stays | extras

    def _not_included(self, names: frozenset[str]) -> frozenset[str]:
        patterns = self.options.include or (ENCODERS if self.options.preset == "fedmri" else ())
        if not patterns:
            return frozenset()
        return names - _fitting(names, patterns, "share only the layers")

    def _excluded(self, names: frozenset[str]) -> frozenset[str]:
        patterns = self.options.exclude or (HEADS if self.options.preset == "flop" else ())
        return _fitting(names, patterns, "keep the layers") if patterns else frozenset()

    def _normalising(self, names: frozenset[str]) -> frozenset[str]:
        if self.options.preset != "fedbn":
            return frozenset()
        found = normalising(names)
        if not found:
            raise _refused(
                "The model has no layer that is known to normalise.",
                "The preset 'fedbn' would share every layer, against what it promises.",
            )
        return found


def merged_with_private(
    shared: Mapping[str, NDArray[Any]], private: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """Return a whole model: what came from the hub, and the layers that this site has kept to itself.

    >>> sorted(merged_with_private({"body": 1}, {"head": 2}))
    ['body', 'head']
    """
    return {**shared, **private}


def _fitting(names: frozenset[str], patterns: Collection[str], what: str) -> frozenset[str]:
    found = frozenset(name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns))
    if not found:
        raise _refused(
            f"No layer of the model fits {', '.join(sorted(patterns))}.",
            f"The job asks to {what} that fit, and there are none: it would share more or less than it says.",
        )
    return found


def _belongs(name: str, stays: Collection[str]) -> bool:
    # What is exchanged for a layer has the layer's name with more before or after it.
    return any(name == each or name.startswith(f"{each}.") or name.endswith(f".{each}") for each in stays)


def _refused(what: str, why: str) -> FilterRefused:
    return FilterRefused(
        what,
        why=why,
        todo="Name the layers by 'include' or 'exclude' of the filter 'share', as the algorithm calls them.",
    )
