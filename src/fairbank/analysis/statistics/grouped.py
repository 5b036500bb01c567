"""Subjects by group: which groups a site may tell sums of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from fairbank.analysis.statistics.question import Question
from fairbank.analysis.statistics.site_table import Numbers, SiteTable, complete
from fairbank.analysis.statistics.sums import Cell, Group, Limits, Places, SiteSums, Values, withheld


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of a table: the place of each subject on it, and a name for each place."""

    places: NDArray[np.int64]
    names: tuple[str, ...]


def group_axes(question: Question, table: SiteTable) -> list[Axis]:
    """Return an axis for each grouping column."""
    return [Axis(table.codes(name), table.known_words[name]) for name in question.groups]


def told_groups(
    axes: Sequence[Axis], rows: Places, limits: Limits, *, least: int
) -> tuple[list[tuple[Group, Places]], dict[Group, int]]:
    """Return the groups that may be told, each with its subjects, and how many each group has, told or withheld.

    Args:
        axes: without any, all subjects are one group.
        rows: the subjects that count.
        least: smallest group.

    Raises:
        StatisticWithheld: if no group may be told.
    """
    shape = tuple(len(axis.names) for axis in axes)
    at = np.stack([axis.places[rows] for axis in axes]) if axes else np.zeros((0, rows.size), dtype=np.int64)
    flat = np.ravel_multi_index(tuple(at), shape) if axes else np.zeros(rows.size, dtype=np.int64)
    counts = np.bincount(flat, minlength=int(np.prod(shape, dtype=np.int64))).reshape(shape or (1,))
    hidden = limits.withheld_cells(counts.astype(np.int64), least=least)
    names = {
        index: tuple(axis.names[place] for axis, place in zip(axes, index, strict=False))
        for index in np.ndindex(counts.shape)
        if counts[index]
    }
    told = [
        (names[index], rows[flat == number])
        for number, index in enumerate(np.ndindex(counts.shape))
        if index in names and not hidden[index]
    ]
    if not told:
        raise withheld(
            f"no group of {least} subjects and more is left", "Small groups and what protects them stay here."
        )
    return told, {name: int(counts[index]) for index, name in names.items()}


def summed(
    axes: Sequence[Axis], rows: Places, sums: Callable[[Places], Values], limits: Limits, *, fitted: int
) -> SiteSums:
    """Return the sums of every group that may be told."""
    groups, table = told_groups(axes, rows, limits, least=limits.least(fitted))
    cells = tuple(Cell(group, members.size, sums(members), members) for group, members in groups)
    return SiteSums(cells, len(cells) < len(table), rows, table)


def used(question: Question, table: SiteTable) -> tuple[list[Numbers], Places]:
    """Return the numeric columns of a question, and the subjects that have a value of everything it names."""
    columns = [table.variable(name) for name in question.columns]
    codes = [table.codes(name) for name in question.groups]
    return columns, complete(columns, codes, table.subjects)


def bin_axis(values: Numbers, edges: Numbers) -> Axis:
    """Return the axis of bins [edge, next edge), with one below the first edge and one from the last on."""
    places = np.where(np.isfinite(values), np.searchsorted(edges, values, side="right"), -1)
    return Axis(places.astype(np.int64), tuple(bin_names(edges)))


def bin_names(edges: Numbers) -> Iterator[str]:
    """Yield a name for each bin.

    >>> list(bin_names(np.array([0.0, 2.5])))
    ['below 0', '0 to 2.5', 'from 2.5']
    """
    yield f"below {edges[0]:g}"
    yield from (f"{low:g} to {high:g}" for low, high in pairwise(edges))
    yield f"from {edges[-1]:g}"
