"""Small-count suppression: the one place where exact counts become counts that may leave.

Rules, for a smallest count k (subjects):

1. A cell of the cube with fewer than k subjects, studies or series is withheld whole: `<k` for all three.
2. Series add up over the cells, so a total minus the published cells tells about the withheld ones together. Therefore
   there are never one, and always a large one among the withheld: the smallest cell of at least k subjects is withheld
   too, so that what can be worked out is about k subjects or more. If there is none, the totals are withheld.
3. The rows of a distribution are treated likewise, by their sum.
4. A row that is the same number as one cell, or as a row of another attribute, is withheld exactly when that is.
5. Rows that tell about some cells only (the field strengths of MR, the models of a maker) are a total of these cells.
   They are withheld whole unless the withheld ones among these cells protect each other as in rule 2.
6. A total below k withholds everything.
7. A clinical variable is withheld if fewer than k subjects have a value, or if fewer than k have none.
8. Nobody counts as somebody: a count of 0 is published as `<k`, since "none of them" can say as much about a person as
   "one of them". Cells without a series do not occur at all.

`<k` stands for both what is small and what is withheld to protect it, so a reader cannot tell which.

Source: rules 2 and 3 are secondary cell suppression, Hundepool et al., Statistical Disclosure Control (2012),
section 4.4.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import Final

from fairbank.ontology.attributes import ATTRIBUTES, SAME_SUBJECTS
from fairbank.ontology.counts import Count, CountKind
from fairbank.ontology.equipment import makers_of
from fairbank.ontology.record import DatasetRecord, Distribution, Quality, Stratum, Totals
from fairbank.ontology.variables import Variable
from fairbank.release.contributions import Key
from fairbank.release.published_counts import cell_key, quality_key, row_key, variable_key

# Distributions over an axis of the cube, by the names that records use.
_AXES: Final = {
    "modality": "modality",
    "body-part": "body_part",
    "manufacturer": "manufacturer",
    "slice-thickness": "slice_thickness",
}


def suppress_count(value: int, k: int) -> Count:
    """Return one count that stands alone: exact from k on.

    >>> str(suppress_count(10, 10)), str(suppress_count(9, 10)), str(suppress_count(0, 10))
    ('10', '<10', '<10')
    """
    return Count.exact(value) if value >= k else Count.below(k)


def withheld_rows(values: Sequence[int], *, k: int, withheld: frozenset[int] = frozenset()) -> frozenset[int]:
    """Return which rows of a list must be withheld when the sum of the list is known.

    Args:
        values: exact counts.
        k: smallest count that may leave.
        withheld: rows that are withheld for another reason.

    >>> sorted(withheld_rows([50, 12, 3], k=10)), sorted(withheld_rows([50, 12, 10], k=10))
    ([1, 2], [])
    """
    hidden = {index for index, value in enumerate(values) if value < k} | withheld
    shown = sorted((value, index) for index, value in enumerate(values) if index not in hidden)
    while hidden and shown and (len(hidden) < 2 or sum(values[index] for index in hidden) < k):
        hidden.add(shown.pop(0)[1])
    return frozenset(hidden)


def suppress_record(
    record: DatasetRecord, k: int, *, withheld: Collection[Key] = frozenset()
) -> DatasetRecord:
    """Return a record in which every count may leave; one that was suppressed for this k already stays as it is.

    Args:
        record: a record with exact counts.
        k: smallest count of subjects that may leave.
        withheld: keys of counts to withhold for another reason, with all that protects them.
    """
    if any(count.kind is CountKind.BELOW_K for count in _counts(record)) and not faults(record, k):
        return record
    if _value(record.totals.subjects) < k:
        return _all_withheld(record, k)
    cells, rows = _withheld(record, k, withheld)
    hides_totals = bool(cells) and not _protected(record, cells, k)
    totals = _totals(record.totals, k, hide=hides_totals)
    return record.model_copy(
        update={
            "minimum_count": k,
            "totals": totals,
            "cube": tuple(
                _cell_below(cell, k) if index in cells else cell for index, cell in enumerate(record.cube)
            ),
            "distributions": tuple(
                row.model_copy(update={"subjects": _below(row.subjects, k)}) if index in rows else row
                for index, row in enumerate(record.distributions)
            ),
            "quality": tuple(
                _quality(each, _value(record.totals.series), k, withhold=quality_key(each.aspect) in withheld)
                for each in record.quality
            ),
            "variables": tuple(
                _variable(
                    each, _value(record.totals.subjects), k, withhold=variable_key(each.name) in withheld
                )
                for each in record.variables
            ),
        }
    )


def faults(record: DatasetRecord, k: int) -> list[str]:
    """Return what in a record that was suppressed breaks the rules; nothing if it may leave.

    This judges by what is published alone, as a reader of the record could.
    """
    found: list[str] = []
    if record.minimum_count < k:
        found.append(f"The record was made for a smallest count of {record.minimum_count}, below the node's.")
    if any(count.kind is CountKind.EXACT and _value(count) < k for count in _counts(record)):
        found.append("The record holds an exact count below the smallest that may leave.")
    partly = [cell for cell in record.cube if 0 < sum(map(_is_exact, _numbers(cell))) < 3]
    if partly:
        found.append("A cell of the record is withheld only in part.")
    found += _lone_cell(record, k) + _lone_rows(record) + _small_rests(record, k) + _undone(record)
    return found


def _withheld(
    record: DatasetRecord, k: int, withheld: Collection[Key]
) -> tuple[frozenset[int], frozenset[int]]:
    cells = frozenset(
        index for index, cell in enumerate(record.cube) if any(key in withheld for key in _cell_keys(cell))
    )
    rows = frozenset(
        index
        for index, row in enumerate(record.distributions)
        if row_key(row.attribute, row.value) in withheld
    )
    while True:
        more_cells = _withheld_cells(record.cube, k, cells)
        more_rows = _withheld_distributions(record.distributions, k, rows)
        for row, cell in _twins(record):
            if (row in more_rows) != (cell in more_cells):
                more_rows |= {row}
                more_cells |= {cell}
        for row, same in _twin_rows(record):
            if (row in more_rows) != (same in more_rows):
                more_rows |= {row, same}
        for row, told_of in _partial_totals(record):
            hidden = more_cells & told_of
            if hidden and not _protect_each_other(record.cube, hidden, k):
                more_rows |= {row}
        if (more_cells, more_rows) == (cells, rows):
            return cells, rows
        cells, rows = more_cells, more_rows


def _withheld_cells(cube: Sequence[Stratum], k: int, withheld: frozenset[int]) -> frozenset[int]:
    small = {index for index, cell in enumerate(cube) if any(_is_small(each, k) for each in _numbers(cell))}
    hidden = small | withheld | {i for i, cell in enumerate(cube) if not all(map(_is_exact, _numbers(cell)))}
    shown = sorted(
        (index for index in range(len(cube)) if index not in hidden),
        key=lambda index: (_value(cube[index].subjects), _value(cube[index].series), index),
    )
    while hidden and shown and (len(hidden) < 2 or not any(_is_large(cube[index], k) for index in hidden)):
        hidden.add(shown.pop(0))
    return frozenset(hidden)


def _withheld_distributions(rows: Sequence[Distribution], k: int, withheld: frozenset[int]) -> frozenset[int]:
    groups: dict[str, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        groups[row.attribute].append(index)
    hidden: set[int] = set()
    for members in groups.values():
        values = [_value(rows[index].subjects) for index in members]
        already = frozenset(place for place, index in enumerate(members) if index in withheld)
        hidden |= {members[place] for place in withheld_rows(values, k=k, withheld=already)}
    return frozenset(hidden)


def _twins(record: DatasetRecord) -> Iterator[tuple[int, int]]:
    """Yield (row, cell) where a distribution's row and the only cell of its value are the same number."""
    for index, row in enumerate(record.distributions):
        axis = _AXES.get(row.attribute)
        if axis is None:
            continue
        cells = [place for place, cell in enumerate(record.cube) if getattr(cell, axis) == row.value]
        if len(cells) == 1:
            yield index, cells[0]


def _twin_rows(record: DatasetRecord) -> Iterator[tuple[int, int]]:
    """Yield two rows of different attributes that count the same subjects by what they mean."""
    places = {(row.attribute, row.value): index for index, row in enumerate(record.distributions)}
    for one, other in SAME_SUBJECTS:
        if one in places and other in places:
            yield places[one], places[other]


def _partial_totals(record: DatasetRecord) -> Iterator[tuple[int, frozenset[int]]]:
    """Yield (row, cells) where a row tells about some cells of the cube only."""
    for index, row in enumerate(record.distributions):
        if row.attribute == "model":
            axis, values = "manufacturer", makers_of(row.value)
        else:
            known = ATTRIBUTES.get(row.attribute)
            axis, values = "modality", known.modalities if known else ()
        if values:
            cells = (place for place, cell in enumerate(record.cube) if getattr(cell, axis) in values)
            yield index, frozenset(cells)


def _protect_each_other(cube: Sequence[Stratum], hidden: frozenset[int], k: int) -> bool:
    return len(hidden) > 1 and any(_is_large(cube[index], k) for index in hidden)


def _protected(record: DatasetRecord, cells: frozenset[int], k: int) -> bool:
    """Tell whether the total may stand beside withheld cells: together they are about k subjects or more."""
    if len(cells) < 2:
        return False
    return len(cells) == len(record.cube) or any(_is_large(record.cube[index], k) for index in cells)


def _totals(totals: Totals, k: int, *, hide: bool) -> Totals:
    named = {name: getattr(totals, name) for name in ("subjects", "studies", "series", "instances")}
    hidden = {
        name: _below(count, k)
        for name, count in named.items()
        if _is_small(count, k) or (hide and name != "subjects")
    }
    return totals.model_copy(update=hidden)


def _quality(quality: Quality, series: int, k: int, *, withhold: bool) -> Quality:
    affected = quality.series_affected
    if affected is None or not _is_exact(affected):
        return quality
    rest = series - _value(affected)
    if not withhold and _value(affected) >= k and not 0 < rest < k:
        return quality
    return quality.model_copy(update={"series_affected": Count.below(k)})


def _variable(variable: Variable, subjects: int, k: int, *, withhold: bool) -> Variable:
    known = _value(variable.subjects)
    if not _is_exact(variable.subjects) or (not withhold and known >= k and not 0 < subjects - known < k):
        return variable
    return variable.model_copy(update={"subjects": Count.below(k)})


def _all_withheld(record: DatasetRecord, k: int) -> DatasetRecord:
    totals = {name: _below(getattr(record.totals, name), k) for name in Totals.model_fields}
    return record.model_copy(
        update={
            "minimum_count": k,
            "totals": record.totals.model_copy(update=totals),
            "cube": tuple(_cell_below(cell, k) for cell in record.cube),
            "distributions": tuple(
                row.model_copy(update={"subjects": _below(row.subjects, k)}) for row in record.distributions
            ),
            "quality": tuple(
                each.model_copy(update={"series_affected": _below(each.series_affected, k)})
                if each.series_affected is not None
                else each
                for each in record.quality
            ),
            "variables": tuple(
                each.model_copy(update={"subjects": _below(each.subjects, k)}) for each in record.variables
            ),
        }
    )


def _lone_cell(record: DatasetRecord, k: int) -> list[str]:
    hidden = [cell for cell in record.cube if not _is_exact(cell.series)]
    if not hidden or not _is_exact(record.totals.series):
        return []
    rest = _value(record.totals.series) - sum(_value(cell.series) for cell in record.cube)
    shown = len(record.cube) - len(hidden)
    if len(hidden) == 1 or rest + _error(record, shown + 1) < k:
        return ["A withheld cell of the record can be worked out from the totals."]
    return []


def _lone_rows(record: DatasetRecord) -> list[str]:
    shown: dict[str, list[bool]] = defaultdict(list)
    for row in record.distributions:
        shown[row.attribute].append(_is_exact(row.subjects))
    lone = [name for name, exact in shown.items() if exact.count(False) == 1 and len(exact) > 1]
    if lone and _is_exact(record.totals.subjects):
        return [f"A withheld row of the distribution {lone[0]!r} can be worked out from the total."]
    return []


def _small_rests(record: DatasetRecord, k: int) -> list[str]:
    """Return what the difference to a total tells about few: series without a flaw, or subjects in hidden rows."""
    found = []
    series, subjects = record.totals.series, record.totals.subjects
    affected = [each.series_affected for each in record.quality if each.series_affected is not None]
    if _is_exact(series) and any(
        _is_exact(each) and _is_few(_value(series) - _value(each), _error(record, 2), k) for each in affected
    ):
        found.append("A quality aspect of the record tells that few series are without it.")
    if _is_exact(subjects) and any(
        _is_exact(each.subjects) and _is_few(_value(subjects) - _value(each.subjects), _error(record, 2), k)
        for each in record.variables
    ):
        found.append("A clinical variable of the record tells that few subjects are without it.")
    # Subjects have one sex, and may have several ages and years: only there do the rows add up to the total.
    for attribute in (name for name, known in ATTRIBUTES.items() if known.one_per_subject):
        rows = [row.subjects for row in record.distributions if row.attribute == attribute]
        rest = _value(subjects) - sum(_value(each) for each in rows)
        error = _error(record, 1 + sum(map(_is_exact, rows)))
        if _is_exact(subjects) and not all(map(_is_exact, rows)) and _is_few(rest, error, k):
            found.append(
                f"The withheld rows of the distribution {attribute!r} are together about fewer than may leave."
            )
    return found


def _undone(record: DatasetRecord) -> list[str]:
    """Return which rows tell what is withheld elsewhere: as the same number, or as the total of one withheld cell."""
    shown = [_is_exact(row.subjects) for row in record.distributions]
    found = []
    for row, same in _twin_rows(record):
        if shown[row] != shown[same]:
            name = record.distributions[row if shown[same] else same].attribute
            found.append(f"A withheld row of the distribution {name!r} is told by another distribution.")
    for row, cells in _partial_totals(record):
        if shown[row] and sum(not _is_exact(record.cube[cell].subjects) for cell in cells) == 1:
            name = record.distributions[row].attribute
            found.append(f"A withheld cell of the record is told by the distribution {name!r}.")
    return list(dict.fromkeys(found))


def _counts(record: DatasetRecord) -> Iterator[Count]:
    yield from (getattr(record.totals, name) for name in Totals.model_fields)
    for cell in record.cube:
        yield from _numbers(cell)
    yield from (row.subjects for row in record.distributions)
    yield from (each.series_affected for each in record.quality if each.series_affected is not None)
    yield from (each.subjects for each in record.variables)


def _cell_keys(cell: Stratum) -> list[Key]:
    axes = (cell.modality, cell.body_part, cell.manufacturer, cell.slice_thickness)
    return [cell_key(axes, name) for name in ("series", "studies", "subjects")]


def _numbers(cell: Stratum) -> tuple[Count, Count, Count]:
    return cell.series, cell.studies, cell.subjects


def _error(record: DatasetRecord, numbers: int) -> int:
    """Return by how much a sum of so many numbers of a record may differ from the truth, because of rounding."""
    return numbers * ((record.rounded_to or 1) // 2)


def _is_few(value: int, error: int, k: int) -> bool:
    return value - error > 0 and value + error < k


def _is_exact(count: Count) -> bool:
    return count.kind is CountKind.EXACT


def _is_small(count: Count, k: int) -> bool:
    return _is_exact(count) and _value(count) < k


def _is_large(cell: Stratum, k: int) -> bool:
    return all(_is_exact(count) and _value(count) >= k for count in _numbers(cell))


def _value(count: Count) -> int:
    return count.value or 0


def _below(count: Count, k: int) -> Count:
    return Count.below(k) if _is_exact(count) else count


def _cell_below(cell: Stratum, k: int) -> Stratum:
    numbers = {name: _below(getattr(cell, name), k) for name in ("series", "studies", "subjects")}
    return cell.model_copy(update=numbers)
