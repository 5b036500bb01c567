"""What a search looks at, as arrays: which dataset has which value, and the cells of each dataset's cube.

A facet and a value are one label, a small number. A dataset and a label that it has openly are a pair, each once; a
cell of a cube points at the pairs of its four values. So a facet is counted by looking at each pair once, whatever was
chosen. Nothing here opens a session, and an index never changes: another one takes its place.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairbank.catalogue.criteria import AXES
from fairbank.ontology.body_part_tree import broader

MEASURES = ("subjects", "studies", "series")
WITHHELD = -1
# Larger than any collection; so that a sum of what records say never leaves 64 bits.
_MOST = 2**40

Places = NDArray[np.int32]
Numbers = NDArray[np.int64]
Flags = NDArray[np.bool_]
Key = tuple[str, int, str]


def held(attribute: str) -> str:
    """Return the facet of what a distribution lists."""
    return f"holds:{attribute}"


def with_broader(facet: str) -> str:
    """Return the facet that has, beside each value, what it is a part or a kind of."""
    return f"{facet} and broader"


class Labels:
    """The number of each facet and value: given when it is first met, never taken back."""

    def __init__(self) -> None:
        self.names: list[tuple[str, str]] = []
        self._numbers: dict[tuple[str, str], int] = {}

    def number(self, facet: str, value: str) -> int:
        """Return the number of a value, a new one if it was never met."""
        try:
            return self._numbers[facet, value]
        except KeyError:
            self.names.append((facet, value))
            return self._numbers.setdefault((facet, value), len(self.names) - 1)

    def met(self, facet: str, values: Iterable[str]) -> list[int]:
        """Return the numbers of those values that some dataset has or had."""
        numbers = (self._numbers.get((facet, value)) for value in values)
        return [number for number in numbers if number is not None]


class Cell(NamedTuple):
    """A cell of a cube: its value on each axis, and its numbers, None where one is withheld.

    Attributes:
        numbers: of subjects, studies and series.
        below: which of them are said to be below k.
    """

    values: tuple[str, ...]
    numbers: tuple[int | None, ...]
    below: tuple[bool, ...]


class Listed(NamedTuple):
    """A row of a distribution; `openly` says whether the record tells that there is anybody."""

    attribute: str
    value: str
    subjects: int | None
    openly: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """One version of a dataset, as arrays.

    Attributes:
        labels: what it has openly, each once.
        cells: (n_cells, n_axes) places in `labels`.
        with_parts: (n, 2) a cell, and the place in `labels` of a body part that the cell's is, or is part of.
        cell_numbers: (n_cells, 3) by `MEASURES`, `WITHHELD` where there is none.
        cell_below: (n_cells, 3) whether the number is said to be below k.
        rows: labels of the rows of its distributions, also of those that tell nothing.
        row_subjects: the number of subjects of each row, or `WITHHELD`.
        totals: (3,) by `MEASURES`, or `WITHHELD`.
        totals_below: (3,) whether the total is said to be below k.
        published: when this version was published, in seconds since 1970.
    """

    node: str
    labels: Places
    cells: Places
    with_parts: Places
    cell_numbers: Numbers
    cell_below: Flags
    rows: Places
    row_subjects: Numbers
    totals: Numbers
    totals_below: Flags
    published: float


def entry(
    labels: Labels,
    *,
    values: Mapping[str, Sequence[str]],
    totals: dict[str, Any],
    cells: Sequence[Cell],
    distributions: Sequence[Listed],
    published: datetime,
) -> Entry:
    """Return one dataset as arrays.

    Args:
        values: by facet of the whole dataset; without a `node` it is one that people described.
        totals: its published totals, in wire form.
    """
    has = [labels.number(facet, value) for facet, several in values.items() for value in several]
    has += [labels.number(held(row.attribute), row.value) for row in distributions if row.openly]
    by_axis = [
        [labels.number(axis, value) for axis, value in zip(AXES, cell.values, strict=True)] for cell in cells
    ]
    parts = AXES.index("body_part")
    wide = [
        (number, labels.number(with_broader("body_part"), term))
        for number, cell in enumerate(cells)
        for term in (cell.values[parts], *broader(cell.values[parts]))
    ]
    each = dict.fromkeys((*has, *chain.from_iterable(by_axis), *(label for _, label in wide)))
    place = {label: number for number, label in enumerate(each)}
    counts = [totals.get(measure, {}) for measure in MEASURES]
    return Entry(
        node=next(iter(values.get("node", ())), ""),
        labels=np.array(list(each), np.int32),
        cells=np.array([[place[label] for label in cell] for cell in by_axis], np.int32).reshape(
            -1, len(AXES)
        ),
        with_parts=np.array([(number, place[label]) for number, label in wide], np.int32).reshape(-1, 2),
        cell_numbers=_numbers(number for cell in cells for number in cell.numbers).reshape(-1, len(MEASURES)),
        cell_below=np.array([cell.below for cell in cells], np.bool_).reshape(-1, len(MEASURES)),
        rows=np.array([labels.number(held(row.attribute), row.value) for row in distributions], np.int32),
        row_subjects=_numbers(row.subjects for row in distributions),
        totals=_numbers(count.get("value") for count in counts),
        totals_below=np.array(["k" in count for count in counts], np.bool_),
        published=published.timestamp(),
    )


@dataclass(frozen=True, slots=True)
class FacetIndex:
    """All datasets as arrays, in the order of their titles.

    Attributes:
        keys: what each dataset was read from: IRI, version and digest.
        nodes: the node of each.
        place_of: the place of each by its IRI.
        pair_dataset, pair_label: which dataset has which label.
        cell_dataset: the dataset of each cell.
        cell_pair, cell_label: by axis, the pair and the label of each cell.
        wide_cell, wide_pair: the cells again, with each body part that theirs is or is part of.
        published: (n_datasets,) when each was published, in seconds since 1970.
    """

    labels: Labels
    keys: tuple[Key, ...]
    nodes: tuple[str, ...]
    place_of: dict[str, int] = field(repr=False)
    pair_dataset: Places
    pair_label: Places
    cell_dataset: Places
    cell_pair: tuple[Places, ...]
    cell_label: tuple[Places, ...]
    wide_cell: Places
    wide_pair: Places
    cell_numbers: Numbers
    cell_below: Flags
    row_dataset: Places
    row_label: Places
    row_subjects: Numbers
    totals: Numbers
    totals_below: Flags
    published: NDArray[np.float64]

    def having(self, facet: str, values: Iterable[str]) -> Flags:
        """Return which datasets have one of some values."""
        found = np.zeros(len(self.keys), np.bool_)
        found[self.pair_dataset[self._among(self.pair_label, facet, values)]] = True
        return found

    def cells_with(self, axis: str, values: Iterable[str]) -> Flags:
        """Return which cells have one of some values on an axis."""
        return self._among(self.cell_label[AXES.index(axis)], axis, values)

    def rows_with(self, attribute: str, values: Iterable[str]) -> Flags:
        """Return which rows of distributions list one of some values, also those that tell no number."""
        return self._among(self.row_label, held(attribute), values)

    def of_cells(self, cells: Flags) -> Flags:
        """Return which datasets some cells belong to."""
        found = np.zeros(len(self.keys), np.bool_)
        found[self.cell_dataset[cells]] = True
        return found

    def counts(self, datasets: Flags) -> dict[str, dict[str, int]]:
        """Return how many of some datasets have each value, by facet."""
        return self._by_facet(self.pair_label[datasets[self.pair_dataset]])

    def counts_on(self, axis: str, cells: Flags, datasets: Flags, *, with_parts: bool) -> dict[str, int]:
        """Return how many of some datasets have each value of an axis in one of some cells.

        Args:
            with_parts: whether a dataset is counted for each body part that its own is part of, too.
        """
        hit = np.zeros(len(self.pair_label), np.bool_)
        if with_parts:
            hit[self.wide_pair[cells[self.wide_cell]]] = True
        else:
            hit[self.cell_pair[AXES.index(axis)][cells]] = True
        hit &= datasets[self.pair_dataset]
        return self._by_facet(self.pair_label[hit]).get(with_broader(axis) if with_parts else axis, {})

    def _among(self, numbers: Places, facet: str, values: Iterable[str]) -> Flags:
        wanted = np.zeros(len(self.labels.names), np.bool_)
        wanted[self.labels.met(facet, values)] = True
        return wanted[numbers]

    def _by_facet(self, numbers: Places) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = defaultdict(dict)
        counts = np.bincount(numbers)
        met = np.flatnonzero(counts)
        for number, count in zip(met.tolist(), counts[met].tolist(), strict=True):
            facet, value = self.labels.names[number]
            found[facet][value] = count
        return found


def put_together(labels: Labels, entries: dict[Key, Entry]) -> FacetIndex:
    """Return the index of some datasets, in their order."""
    each = list(entries.values())
    of_pairs, of_cells = [len(one.labels) for one in each], [len(one.cells) for one in each]
    first_pair, first_cell = _starts(of_pairs), _starts(of_cells)
    of_wide = [len(one.with_parts) for one in each]
    pair_label = _joined([one.labels for one in each], np.int32)
    cells = _joined([one.cells for one in each], np.int32, len(AXES))
    pairs = cells + np.repeat(first_pair, of_cells)[:, np.newaxis]
    by_axis = tuple(np.ascontiguousarray(pairs[:, axis]) for axis in range(len(AXES)))
    wide = _joined([one.with_parts for one in each], np.int32, 2)
    return FacetIndex(
        labels=labels,
        keys=tuple(entries),
        nodes=tuple(one.node for one in each),
        place_of={iri: place for place, (iri, _, _) in enumerate(entries)},
        pair_dataset=_owners(of_pairs),
        pair_label=pair_label,
        cell_dataset=_owners(of_cells),
        cell_pair=by_axis,
        cell_label=tuple(pair_label[axis] for axis in by_axis),
        wide_cell=wide[:, 0] + np.repeat(first_cell, of_wide),
        wide_pair=wide[:, 1] + np.repeat(first_pair, of_wide),
        cell_numbers=_joined([one.cell_numbers for one in each], np.int64, len(MEASURES)),
        cell_below=_joined([one.cell_below for one in each], np.bool_, len(MEASURES)),
        row_dataset=_owners([len(one.rows) for one in each]),
        row_label=_joined([one.rows for one in each], np.int32),
        row_subjects=_joined([one.row_subjects for one in each], np.int64),
        totals=_joined([one.totals for one in each], np.int64).reshape(-1, len(MEASURES)),
        totals_below=_joined([one.totals_below for one in each], np.bool_).reshape(-1, len(MEASURES)),
        published=np.array([one.published for one in each], np.float64),
    )


def _numbers(numbers: Iterable[int | None]) -> Numbers:
    return np.array([WITHHELD if number is None else min(number, _MOST) for number in numbers], np.int64)


def _starts(lengths: Sequence[int]) -> Places:
    return np.cumsum([0, *lengths[:-1]], dtype=np.int32)[: len(lengths)]


def _owners(lengths: Sequence[int]) -> Places:
    return np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)


def _joined(arrays: Sequence[NDArray[Any]], kind: type[np.generic], *width: int) -> NDArray[Any]:
    return np.concatenate([np.empty((0, *width), kind), *arrays])
