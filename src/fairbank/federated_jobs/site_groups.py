"""Which sites hold alike images, by what they have published: a help to decide who trains together.

Only published counts are looked at. Sites are merged by average linkage on the distance of their shares, from 0 (the
same mix) to 1 (nothing in common), until all that is left is further apart than a limit.

Sources: Sokal & Michener 1958 (average linkage); total variation distance of two distributions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

# Half of the images are of another kind.
LIMIT = 0.5
_AXES = ("modality", "manufacturer", "slice_thickness")
Mix = Mapping[str, float]


def mix_of(cells: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Return the shares of a dataset's published series by modality, manufacturer and slice thickness; summing to 1.

    Cells that are withheld are left out, so that the shares are of what is told.
    """
    counted: dict[str, int] = {}
    for cell in cells:
        series = cell["series"]
        if series.get("kind") == "exact" and series.get("value"):
            name = ", ".join(str(cell[axis]) for axis in _AXES)
            counted[name] = counted.get(name, 0) + int(series["value"])
    total = sum(counted.values())
    return {name: count / total for name, count in sorted(counted.items())}


def distance(one: Mix, other: Mix) -> float:
    """Return the total variation distance of two mixes.

    >>> distance({"CT": 1.0}, {"CT": 0.5, "MR": 0.5})
    0.5
    """
    return sum(abs(one.get(name, 0.0) - other.get(name, 0.0)) for name in {*one, *other}) / 2


def groups(mixes: Mapping[str, Mix], *, limit: float = LIMIT) -> list[list[str]]:
    """Return sites in groups of alike images, the largest first; sites that told nothing are a group of their own.

    >>> groups({"a": {"CT": 1.0}, "b": {"CT": 0.9, "MR": 0.1}, "c": {"MR": 1.0}})
    [['a', 'b'], ['c']]
    """
    silent = sorted(name for name, mix in mixes.items() if not mix)
    found = [[name] for name in sorted(mixes) if mixes[name]]
    while len(found) > 1:
        pairs = combinations(range(len(found)), 2)
        nearest = min(pairs, key=lambda pair: _between(found[pair[0]], found[pair[1]], mixes))
        if _between(found[nearest[0]], found[nearest[1]], mixes) > limit:
            break
        found[nearest[0]] = sorted(found[nearest[0]] + found.pop(nearest[1]))
    ordered = sorted(found, key=lambda group: (-len(group), group))
    return [*ordered, silent] if silent else ordered


def _between(one: Sequence[str], other: Sequence[str], mixes: Mapping[str, Mix]) -> float:
    return sum(distance(mixes[a], mixes[b]) for a in one for b in other) / (len(one) * len(other))
