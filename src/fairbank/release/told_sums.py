"""Sums at the gate: what a statistic may tell, by its bytes, and beside all sums of the dataset that left before.

By its bytes: cells over groups whose words the approved code lists, arrays of the declared shapes, finite, each cell on
at least max(k, 3p) subjects, small cells and what protects them left out (`tables`).

Beside what left before: two sums over nearly the same subjects differ by what a few of them add. So the sets behind two
sums must be equal, or whatever follows from both must be about k subjects and more (`told_counts`). Against counts, the
whole selection is compared: that a few of it had no value is no secret, since which ones is not told. Each round is
charged, and a site bounds how many it answers in 30 days.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from typing import Any, Final

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank.release.rounding import smallest_count
from fairbank.release.store import ToldCountRow
from fairbank.release.tables import TableRules
from fairbank.release.told_counts import MONTH, OF_COHORTS, OF_SUMS, members_of, packed, tells_few

SCHEMA: Final = "statistic/1"
_PARTS: Final = {"schema", "statistic", "round", "parameters", "subjects", "withheld", "cells"}
_CELL: Final = {"group", "subjects", "values"}
_MOST_CELLS: Final = 100_000

Group = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sums:
    """What the node knows of a statistic that asks to leave; none of it leaves.

    Attributes:
        statistic: its name.
        fitted: p, the number of parameters that are fitted.
        axes: for each word of a group, the words that may stand there.
        shapes: of the arrays of a cell, by name.
        table: how many subjects each cell has, told and withheld.
        told: pseudonyms of the subjects behind each cell that is told.
        everybody: of all cells.
        cohort: of the whole selection, with or without a value.
        datasets: whose subjects they are.
        published: the sets of subjects that records of these datasets told counts of.
        asked: names the round of the job, another one for each round.
    """

    statistic: str
    fitted: int
    axes: tuple[tuple[str, ...], ...]
    shapes: Mapping[str, tuple[int, ...]]
    table: Mapping[Group, int]
    told: Mapping[Group, frozenset[str]]
    everybody: frozenset[str]
    cohort: frozenset[str]
    datasets: tuple[str, ...]
    asked: str
    published: tuple[frozenset[str], ...] = ()


def faults(
    parsed: Any,
    sums: Sums,
    rules: TableRules,
    *,
    number: int,
    is_word: Callable[[Any], bool],
) -> list[str]:
    """Return what in a statistic may not leave; nothing if it may.

    Args:
        parsed: the output, as JSON.
        rules: the site's own, with the smallest count that the manifest asks for if that is larger.
        number: round of the job.
        is_word: tells whether a value is a short word that looks like no identifier, date or path.
    """
    if not isinstance(parsed, dict) or set(parsed) != _PARTS or parsed["schema"] != SCHEMA:
        return ["The output is not a statistic."]
    if (parsed["statistic"], parsed["round"], parsed["parameters"]) != (sums.statistic, number, sums.fitted):
        return ["The output is another statistic, or of another round, than was computed."]
    cells = parsed["cells"]
    if not isinstance(cells, list) or not 0 < len(cells) <= _MOST_CELLS:
        return ["The output has no cells, or too many."]
    if rules.base > 1 and sums.shapes:
        return ["This site rounds its counts, so exact sums do not leave."]
    if type(parsed["subjects"]) is not int or type(parsed["withheld"]) is not bool:
        return ["The output does not say on how many subjects it rests."]
    hidden = sum(sums.table.values()) > sum(map(len, sums.told.values()))
    if parsed["subjects"] != rules.told(len(sums.everybody)) or parsed["withheld"] != hidden:
        return ["The output rests on other subjects than were computed with."]
    seen: set[Group] = set()
    for place, cell in enumerate(cells, start=1):
        fault = _fault_of_cell(cell, sums, rules, is_word)
        if fault:
            return [f"Cell {place} {fault}"]
        seen.add(tuple(cell["group"]))
    if len(seen) != len(cells) or seen != set(sums.told):
        return ["The output has other cells than were computed."]
    return _small_cells(sums, rules)


def judge(session: Session, sums: Sums, *, k: int, base: int, most: int, at: datetime) -> list[str]:
    """Return why a statistic may not leave beside what left before; nothing if it may.

    Args:
        k: the site's smallest count.
        base: what counts are multiples of.
        most: how many sums of a dataset a site tells in 30 days.
    """
    least = smallest_count(k, base)
    rows = _rows(session, sums.datasets)
    fresh = [row for row in rows if row.selector.startswith(OF_SUMS) and row.at > at - MONTH]
    charged = {(row.dataset, row.selector) for row in fresh}
    for dataset in sums.datasets:
        if sum(of == dataset for of, _ in charged) >= most:
            return ["This site has told as many statistics of the dataset as it does in 30 days."]
    summed = {members_of(row) for row in rows if row.selector.startswith(OF_SUMS)} - {frozenset()}
    counted = {members_of(row) for row in rows if not row.selector.startswith(OF_SUMS)}
    own = {sums.everybody, *sums.told.values()}
    if any(tells_few(each, sorted_sets(summed | own), (), least) for each in own - summed):
        return ["The difference to a statistic that left before would be about few subjects."]
    if sums.cohort not in counted and tells_few(sums.cohort, sorted_sets(counted), sums.published, least):
        return ["The difference to a count that left before would be about few subjects."]
    return []


def charge(session: Session, sums: Sums, *, at: datetime) -> None:
    """Remember what a statistic was of, in the caller's transaction: every round is charged, every set is kept once."""
    rows = _rows(session, sums.datasets)
    for dataset in sums.datasets:
        kept = {
            members_of(row) for row in rows if row.dataset == dataset and row.selector.startswith(OF_SUMS)
        }
        fresh = {sums.everybody, *sums.told.values()} - kept
        # A round over sets that are there already leaves an empty one, to be counted.
        for each in sorted_sets(fresh) or [frozenset[str]()]:
            session.add(_row(dataset, OF_SUMS + sums.asked, each, at))
        if all(members_of(row) != sums.cohort for row in rows if row.selector.startswith(OF_COHORTS)):
            session.add(_row(dataset, OF_COHORTS + sums.asked, sums.cohort, at))
    session.flush()


def sorted_sets(sets: Iterable[frozenset[str]]) -> list[frozenset[str]]:
    """Return sets in an order that is always the same."""
    return sorted(sets, key=lambda each: (len(each), sorted(each)))


def _fault_of_cell(cell: Any, sums: Sums, rules: TableRules, is_word: Callable[[Any], bool]) -> str:
    if not isinstance(cell, dict) or set(cell) != _CELL or not isinstance(cell["group"], list):
        return "is not a group, its subjects and its sums."
    group = cell["group"]
    if len(group) != len(sums.axes) or not all(
        is_word(word) and word in axis for word, axis in zip(group, sums.axes, strict=True)
    ):
        return "names its group by other words than the approved code lists."
    members = sums.told.get(tuple(group))
    if members is None or type(cell["subjects"]) is not int:
        return "was not computed."
    if cell["subjects"] != rules.told(len(members)):
        return "rests on another number of subjects than it was computed with."
    values = cell["values"]
    if not isinstance(values, dict) or set(values) != set(sums.shapes):
        return "holds other sums than the approved code declares."
    if not all(_has_shape(values[name], shape) for name, shape in sums.shapes.items()):
        return "holds a sum of another shape, or one that is not finite."
    return ""


def _small_cells(sums: Sums, rules: TableRules) -> list[str]:
    least = max(smallest_count(rules.k, rules.base), rules.least(sums.fitted))
    if any(len(members) < least for members in sums.told.values()):
        return [f"A cell rests on fewer than {least} subjects."]
    counts = np.zeros(tuple(len(axis) for axis in sums.axes) or (1,), dtype=np.int64)
    names = list(product(*sums.axes)) if sums.axes else [()]
    for place, name in zip(np.ndindex(counts.shape), names, strict=True):
        counts[place] = sums.table.get(name, 0)
    hidden = rules.withheld_cells(counts, least=least)
    told = np.array([name in sums.told for name in names]).reshape(counts.shape)
    if bool((told & hidden).any()):
        return ["A cell is told that a withheld one could be worked out from."]
    return []


def _has_shape(value: Any, shape: tuple[int, ...]) -> bool:
    if not shape:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return (
        isinstance(value, list)
        and len(value) == shape[0]
        and all(_has_shape(each, shape[1:]) for each in value)
    )


def _rows(session: Session, datasets: tuple[str, ...]) -> list[ToldCountRow]:
    wanted = select(ToldCountRow).where(ToldCountRow.dataset.in_(datasets)).order_by(ToldCountRow.id)
    return list(session.scalars(wanted))


def _row(dataset: str, selector: str, members: frozenset[str], at: datetime) -> ToldCountRow:
    return ToldCountRow(
        dataset=dataset, selector=selector, value=len(members), members=packed(members), at=at
    )
