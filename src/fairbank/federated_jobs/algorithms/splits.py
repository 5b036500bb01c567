"""Which subjects are held out for the metrics: the same in every job over the same cohort."""

from __future__ import annotations

import hashlib
from collections.abc import Collection


def held_out(keys: Collection[str], percent: int) -> set[str]:
    """Return the keys whose places, when sorted, have the smallest hashes; none of a single key.

    A job's pseudonyms sort in the order of its cohort, so every job over the same cohort holds out the same subjects.

    Args:
        keys: pseudonyms of subjects.
        percent: the share to hold out; at least one is, and at least one is left. 0 holds none out.
    """
    count = count_held_out(len(keys), percent)
    ranked = sorted(enumerate(sorted(keys)), key=lambda one: hashlib.sha256(str(one[0]).encode()).digest())
    return {key for _, key in ranked[:count]}


def count_held_out(keys: int, percent: int) -> int:
    """Return how many of so many keys are held out."""
    return min(keys - 1, max(1, round(keys * percent / 100))) if percent and keys else 0
