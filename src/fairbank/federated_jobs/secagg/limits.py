"""Limits of secure aggregation, for whoever judges a job before it begins; importing this costs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from fairbank.ontology.signed_objects import Manifest

FEWEST: Final = 3
# A site that has trained on more samples counts as one with so many.
MOST_SAMPLES: Final = 1_000_000
MOST_SITES: Final = 1_000
# So many sites of so many samples, with 20 bits behind the point, stay below 2^63.
MOST_BOUND: Final = 4_096
# Weights change by far less in a round: the usual learning rates move one by 0.01 to 1. What breaks down is cut off.
USUAL_BOUND: Final = "8"
# Running statistics are no differences; what is beyond this is cut off.
MOST_STATISTIC: Final = 4_096
MOST_ATTEMPTS: Final = 5
_HEAD_BYTES: Final = 1 << 20


def threshold(sites: int) -> int:
    """Return how many shares open a secret: more than two thirds.

    Two sets of so many sites have more than a third in common. So a hub with less than a third of the sites on its side
    cannot have both secrets of one site opened, each by another set.

    >>> [threshold(sites) for sites in (3, 4, 5, 6)]
    [3, 3, 4, 5]
    """
    return 2 * sites // 3 + 1


def fewest_survivors(sites: int) -> int:
    """Return of how many sites a sum is made at least."""
    return max(threshold(sites), FEWEST)


def masked_bytes(plain: int) -> int:
    """Return how long the masked form of an update may be: eight bytes for each two at least, and a base."""
    return 5 * plain + _HEAD_BYTES


def is_masked(manifest: Manifest) -> bool:
    """Tell whether the sites of a job mask their updates."""
    return manifest.training is not None and manifest.training.secure_aggregation is not None


def bound_of(manifest: Manifest) -> float:
    """Return where the masked updates of a job are cut off."""
    assert manifest.training is not None and manifest.training.secure_aggregation is not None
    return float(manifest.training.secure_aggregation.bound)
