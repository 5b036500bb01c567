"""The counts of a record by what they are of, and which of them add up to which: the ground of all rules over versions.

A key is the path to a count in the record, with the words that tell one item of a list from the others, such as
`("cube", "CT", "CHEST", "SIEMENS", "1-1.5", "series")`. Counts that are added to the record are found here by
themselves; only what adds up to a total has to be said in `partitions`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel

from fairbank.ontology.attributes import ATTRIBUTES
from fairbank.ontology.counts import Count, CountKind
from fairbank.ontology.record import DatasetRecord, HowKnown
from fairbank.release.contributions import Key

# Words of an item that say how or when something is known, and not what is counted.
_NOT_OF_IDENTITY: Final = frozenset({"how_known", "at"})
# Items that have a name of their own; the other words in them may be said otherwise from record to record.
_NAMED: Final = frozenset({"variables"})


@dataclass(frozen=True, slots=True)
class Partition:
    """Counts that add up to a total.

    Attributes:
        name: what is parted, the same in every record.
        total: key of the total.
        parts: keys of the parts that the record lists; of each there is at least one series or subject.
        open: whether something belongs to the total that no part is about.
    """

    name: Key
    total: Key
    parts: tuple[Key, ...]
    open: bool = False


def total_key(name: str) -> Key:
    """Return the key of a total: `subjects`, `studies`, `series` or `instances`."""
    return ("totals", name)


def cell_key(axes: tuple[str, str, str, str], name: str) -> Key:
    """Return the key of a number of a cell: `series`, `studies` or `subjects`."""
    return ("cube", *axes, name)


def row_key(attribute: str, value: str) -> Key:
    """Return the key of a row of a distribution."""
    return ("distributions", attribute, value, "subjects")


def quality_key(aspect: str) -> Key:
    """Return the key of the number of series that a quality aspect affects."""
    return ("quality", aspect, "series_affected")


def counts_of(record: DatasetRecord) -> dict[Key, Count]:
    """Return every count of a record.

    Raises:
        ValueError: if two counts cannot be told apart.
    """
    found: dict[Key, Count] = {}
    for key, count in _counts_in((), record):
        if key in found:
            raise ValueError("two counts of the record have the same name")
        found[key] = count
    return found


def exact_counts(record: DatasetRecord) -> dict[Key, int]:
    """Return the counts of a record that are known."""
    return {
        key: count.value
        for key, count in counts_of(record).items()
        if count.kind is CountKind.EXACT and count.value is not None
    }


def partitions(record: DatasetRecord) -> list[Partition]:
    """Return which counts of a record add up to a total.

    Series add up over cells. Subjects add up over an attribute of which each has one value. The series that a quality
    aspect affects leave those that it does not, and the subjects of whom a clinical variable is known those of whom it
    is not.
    """
    cells = tuple(
        cell_key((cell.modality, cell.body_part, cell.manufacturer, cell.slice_thickness), "series")
        for cell in record.cube
    )
    found = [Partition(("cube",), total_key("series"), cells)]
    rows: dict[str, list[Key]] = defaultdict(list)
    for row in record.distributions:
        rows[row.attribute].append(row_key(row.attribute, row.value))
    for attribute, keys in rows.items():
        known = ATTRIBUTES.get(attribute)
        if known is not None and known.one_per_subject:
            found.append(Partition(("distributions", attribute), total_key("subjects"), tuple(keys)))
    found += [
        Partition(("quality", each.aspect), total_key("series"), (quality_key(each.aspect),), open=True)
        for each in record.quality
        if each.series_affected is not None
    ]
    found += [
        Partition(key[:-1], total_key("subjects"), (key,), open=True)
        for key in counts_of(record)
        if key[0] in _NAMED
    ]
    return found


def variable_key(name: str) -> Key:
    """Return the key of the number of subjects of whom a clinical variable is known."""
    return ("variables", name, "subjects")


def words_of(key: Key) -> str:
    """Return a key as people read it.

    >>> words_of(("cube", "CT", "CHEST", "SIEMENS", "1-1.5", "series")), words_of(("totals", "subjects"))
    ('series of CT · CHEST · SIEMENS · 1-1.5', 'subjects in all')
    """
    kind, *words, name = key
    if kind == "totals":
        return f"{name} in all"
    if kind == "quality":
        return f"series with {words[0]}"
    return f"{name.replace('_', ' ')} of {' · '.join(words)}"


def _counts_in(path: Key, part: BaseModel) -> Iterator[tuple[Key, Count]]:
    for name in type(part).model_fields:
        value = getattr(part, name)
        if isinstance(value, Count):
            yield (*path, name), value
        elif isinstance(value, BaseModel):
            yield from _counts_in((*path, name), value)
        elif isinstance(value, tuple):
            for item in value:
                if isinstance(item, BaseModel):
                    named = (str(getattr(item, "name", "")),) if name in _NAMED else _identity(item)
                    yield from _counts_in((*path, name, *named), item)


def _identity(item: BaseModel) -> Key:
    return tuple(
        value
        for name in type(item).model_fields
        if name not in _NOT_OF_IDENTITY
        and isinstance(value := getattr(item, name), str)
        and not isinstance(value, HowKnown)
    )
