"""Exact counts of a collection: how many series, studies and subjects in each cell, and subjects by each attribute."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from fairbank.catalogue.idc.rows import codes_of

if TYPE_CHECKING:
    import pyarrow as pa

# The axes of the imaging cube that the index knows; it has no slice thickness.
AXES: Final = ("modality", "body_part", "manufacturer")
ATTRIBUTES: Final = {
    "sex": "sex",
    "age_band": "age-band",
    "model": "manufacturer-model",
    "licence": "licence",
    "doi": "source-doi",
}

Codes = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of the cube, by modality, body part and manufacturer."""

    axes: tuple[str, str, str]
    series: int
    studies: int
    subjects: int


@dataclass(frozen=True, slots=True)
class Counts:
    """What is counted of a collection.

    Attributes:
        subjects_by: by the attribute's name, subjects with each value; one subject may have several.
        releases: the first and the last release of the IDC that brought or changed series; None if the index has none.
    """

    series: int
    studies: int
    subjects: int
    instances: int
    cells: tuple[Cell, ...]
    subjects_by: dict[str, dict[str, int]]
    releases: tuple[int, int] | None


def count(table: pa.Table) -> Counts:
    """Count the rows of a collection; there is at least one."""
    subjects, studies = codes_of(table, "subject")[0], codes_of(table, "study")[0]
    return Counts(
        series=table.num_rows,
        studies=len(np.unique(studies)),
        subjects=len(np.unique(subjects)),
        instances=int(table.column("instances").to_numpy().astype(np.int64).sum()),
        cells=_cells(table, studies, subjects),
        subjects_by={name: _by(table, column, subjects) for column, name in ATTRIBUTES.items()},
        releases=_releases(table),
    )


def _cells(table: pa.Table, studies: Codes, subjects: Codes) -> tuple[Cell, ...]:
    axes = [codes_of(table, axis) for axis in AXES]
    joined = np.zeros(table.num_rows, dtype=np.int64)
    for codes, names in axes:
        joined = joined * len(names) + codes
    _, rows, places = np.unique(joined, return_index=True, return_inverse=True)
    series = np.bincount(places)
    in_studies, in_subjects = _different(places, studies), _different(places, subjects)
    return tuple(
        sorted(
            (
                Cell(
                    _at(axes, int(row)),
                    int(series[place]),
                    int(in_studies[place]),
                    int(in_subjects[place]),
                )
                for place, row in enumerate(rows)
            ),
            key=lambda cell: cell.axes,
        )
    )


def _at(axes: list[tuple[Codes, pa.Array]], row: int) -> tuple[str, str, str]:
    modality, body_part, manufacturer = (names[int(codes[row])].as_py() for codes, names in axes)
    return modality, body_part, manufacturer


def _by(table: pa.Table, column: str, subjects: Codes) -> dict[str, int]:
    codes, names = codes_of(table, column)
    found = _different(codes, subjects)
    return {names[code].as_py(): int(number) for code, number in enumerate(found) if number}


def _different(groups: Codes, members: Codes) -> Codes:
    """Return how many different members each group has, `(n_groups,) int64`."""
    width = int(members.max()) + 1
    pairs = np.unique(groups * width + members)
    return np.bincount(pairs // width)


def _releases(table: pa.Table) -> tuple[int, int] | None:
    found = [table.column(name).drop_null().to_numpy() for name in ("first_release", "last_release")]
    if not all(len(each) for each in found):
        return None
    first, last = int(found[0].min()), int(max(each.max() for each in found))
    return first, last
