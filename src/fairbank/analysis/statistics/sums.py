"""The sums that a site tells: cells over groups, each with the number of its subjects, and the rules that they meet.

    {"schema": "statistic/1", "statistic": "describe", "round": 1, "parameters": 2, "subjects": 41,
     "withheld": false, "cells": [{"group": ["F"], "subjects": 41, "values": {"sum": [1.5], "squares": [2.25]}}]}

Every value is a sum over the subjects of its cell, so that the values of two sites may be added.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fairbank.analysis.errors import StatisticWithheld, SumsUnreadable
from fairbank.analysis.statistics.question import Question
from fairbank.analysis.statistics.site_table import Numbers

SCHEMA = "statistic/1"
Group = tuple[str, ...]
Values = Mapping[str, Numbers]
Places = NDArray[np.int64]


class Limits(Protocol):
    """What a site asks of every sum that it tells; the rules themselves are those of the release gate."""

    @property
    def k(self) -> int:
        """Return the smallest count of subjects."""
        ...

    @property
    def base(self) -> int:
        """Return what counts are multiples of; sums other than counts are exact."""
        ...

    def told(self, count: int) -> int:
        """Return a count as it may be told."""
        ...

    def least(self, fitted: int) -> int:
        """Return how many subjects a sum needs in which so many parameters are fitted."""
        ...

    def withheld_cells(self, counts: NDArray[np.int64], *, least: int) -> NDArray[np.bool_]:
        """Return which cells of a table of subjects must be withheld if each needs so many."""
        ...

    def dominated(self, contributions: Numbers) -> bool:
        """Tell whether few contributions, (n_subjects,), make up too much of their sum."""
        ...


@dataclass(frozen=True, slots=True)
class Cell:
    """The sums of one group.

    Args:
        values: arrays by name.
        members: the subjects that they rest on, as places in the site's table; they stay at the site.
    """

    group: Group
    subjects: int
    values: Values
    members: Places


@dataclass(frozen=True, slots=True)
class SiteSums:
    """What a site tells in one round: the told cells, and whether others were withheld.

    Args:
        everybody: the subjects of all cells, told and withheld; they stay at the site.
        table: how many subjects each cell has, told and withheld; it stays at the site.
    """

    cells: tuple[Cell, ...]
    withheld: bool
    everybody: Places
    table: Mapping[Group, int]

    def to_json(self, question: Question, number: int, limits: Limits) -> bytes:
        """Return the bytes that leave."""
        cells = [
            {
                "group": list(cell.group),
                "subjects": limits.told(cell.subjects),
                "values": {name: values.tolist() for name, values in sorted(cell.values.items())},
            }
            for cell in self.cells
        ]
        told = {
            "schema": SCHEMA,
            "statistic": question.statistic.value,
            "round": number,
            "parameters": question.fitted,
            "subjects": limits.told(self.everybody.size),
            "withheld": self.withheld,
            "cells": cells,
        }
        return json.dumps(told, allow_nan=False, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Told:
    """What the hub reads of one site.

    Args:
        subjects: of all cells, told and withheld.
        cells: subjects and values by group.
    """

    subjects: int
    cells: Mapping[Group, tuple[int, Values]]
    withheld: bool


def added_up(sites: Mapping[str, Told]) -> dict[Group, tuple[int, dict[str, Numbers]]]:
    """Return the sums of all sites by group, in the order of their names; a site that withholds one adds nothing."""
    total: dict[Group, tuple[int, dict[str, Numbers]]] = {}
    for name in sorted(sites):
        for group, (subjects, values) in sites[name].cells.items():
            before, sums = total.get(group, (0, {}))
            fresh = {key: sums[key] + each if key in sums else each for key, each in values.items()}
            total[group] = (before + subjects, fresh)
    return dict(sorted(total.items()))


def read_sums(raw: bytes, question: Question, shapes: Mapping[str, tuple[int, ...]]) -> Told:
    """Return what one site told.

    Raises:
        SumsUnreadable: if it is not what the question asks for.
    """
    try:
        told = json.loads(raw)
        if (told["schema"], told["statistic"]) != (SCHEMA, question.statistic.value):
            raise ValueError("another statistic")
        cells = {tuple(map(str, cell["group"])): _read_cell(cell, shapes) for cell in told["cells"]}
        if len(cells) != len(told["cells"]) or any(len(group) != question.axes for group in cells):
            raise ValueError("groups")
        subjects = sum(number for number, _ in cells.values())
        if type(told["subjects"]) is not int or told["subjects"] < subjects or not cells:
            raise ValueError("subjects")
        return Told(told["subjects"], cells, bool(told["withheld"]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as err:
        raise SumsUnreadable(
            "The sums of a site are not those of the statistic.",
            why=f"They are of another form ({type(err).__name__}).",
            todo="The site and the hub must use the same version of fairbank.",
        ) from err


def check_whole(question: Question, members: Places, limits: Limits) -> None:
    """Refuse a sum over too few subjects.

    Raises:
        StatisticWithheld: naming the smallest number, never the number that there is.
    """
    least = limits.least(question.fitted)
    if members.size < least:
        raise withheld(
            f"fewer than {least} subjects have a value of everything that is named",
            f"A model with {question.fitted} parameters needs {least} subjects at each site.",
        )


def check_columns(names: Sequence[str], columns: Numbers, limits: Limits, *, products: bool) -> None:
    """Refuse columns of which sums would tell about few subjects.

    Args:
        names: of the columns.
        columns: (n_subjects, n_columns) as they go into sums and sums of squares.
        products: whether sums of products of two columns are told too.

    Raises:
        StatisticWithheld: if few subjects have one value of an indicator or of two, or few make up a sum. That nobody
            has it may be told, as a table tells it of a cell that is not there.
    """
    indicators = [bool(np.isin(columns[:, place], (0.0, 1.0)).all()) for place in range(len(names))]
    for place, name in enumerate(names):
        values = columns[:, place]
        if indicators[place]:
            _check_counts(name, values, limits)
        else:
            _check_sum(name, values, limits)
            _check_sum(name, values**2, limits)
        for other in range(place if products else 0):
            if indicators[place] and indicators[other]:
                _check_pair((names[other], name), columns[:, [other, place]], limits)
            else:
                _check_sum(f"{names[other]} × {name}", columns[:, other] * values, limits)


def withheld(what: str, why: str) -> StatisticWithheld:
    """Return the refusal of a statistic whose sums would tell about few subjects."""
    return StatisticWithheld(
        f"The statistic is withheld: {what}.",
        why=why,
        todo="Ask for fewer parameters or groups, wider bins, or more subjects.",
    )


def _check_sum(name: str, contributions: Numbers, limits: Limits) -> None:
    if 0 < int(np.count_nonzero(contributions)) < limits.k or limits.dominated(contributions):
        raise withheld(
            f"few subjects make up the sum of {name!r}", "Their values could be worked out from the sum."
        )


def _check_counts(name: str, values: Numbers, limits: Limits) -> None:
    ones = int(values.sum())
    if 0 < min(ones, values.size - ones) < limits.k:
        raise withheld(
            f"fewer than {limits.k} subjects have one of the two values of {name!r}",
            "A sum over 0 and 1 is a count.",
        )


def _check_pair(names: tuple[str, str], values: Numbers, limits: Limits) -> None:
    one, two = values[:, 0] == 1.0, values[:, 1] == 1.0
    counts = [int((a & b).sum()) for a in (one, ~one) for b in (two, ~two)]
    if any(0 < count < limits.k for count in counts):
        raise withheld(
            f"few subjects have a combination of {names[0]!r} and {names[1]!r}",
            "A sum of products of 0 and 1 is a count.",
        )


def _read_cell(cell: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, Values]:
    values = {name: np.asarray(each, dtype=np.float64) for name, each in cell["values"].items()}
    if {name: each.shape for name, each in values.items()} != dict(shapes):
        raise ValueError("shapes")
    if not all(bool(np.isfinite(each).all()) for each in values.values()):
        raise ValueError("not finite")
    subjects = cell["subjects"]
    if type(subjects) is not int or subjects < 1:
        raise ValueError("subjects")
    return subjects, values
