"""Rounding of published counts to a base: after suppression, every number to the nearest multiple.

The smallest count becomes a multiple of the base too. So no count is rounded to below it, and two counts that differ by
it or more still do when they are rounded. Totals are rounded by themselves: rounded parts need not add up to them.
"""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel

from fairbank.ontology.counts import Count, CountKind
from fairbank.ontology.record import DatasetRecord

_Part = TypeVar("_Part", bound=BaseModel)


def smallest_count(k: int, base: int) -> int:
    """Return the smallest count that may leave where counts are rounded to a base.

    >>> smallest_count(10, 1), smallest_count(10, 5), smallest_count(7, 5)
    (10, 10, 10)
    """
    return -(-k // base) * base


def rounded(value: int, base: int) -> int:
    """Return a value rounded to the nearest multiple of a base, halves up.

    >>> rounded(12, 5), rounded(13, 5), rounded(15, 10), rounded(12, 1)
    (10, 15, 20, 12)
    """
    return (value + base // 2) // base * base


def round_record(record: DatasetRecord, base: int) -> DatasetRecord:
    """Return a record in which every exact count is rounded; with base 1 it stays as it is."""
    if base == 1:
        return record
    return _rounded(record, base).model_copy(update={"rounded_to": base})


def _rounded(part: _Part, base: int) -> _Part:
    changes: dict[str, Any] = {}
    for name in type(part).model_fields:
        value = getattr(part, name)
        if isinstance(value, Count):
            if value.kind is CountKind.EXACT and value.value is not None:
                changes[name] = Count.exact(rounded(value.value, base))
        elif isinstance(value, BaseModel):
            changes[name] = _rounded(value, base)
        elif isinstance(value, tuple) and any(isinstance(item, BaseModel) for item in value):
            changes[name] = tuple(
                _rounded(item, base) if isinstance(item, BaseModel) else item for item in value
            )
    return part.model_copy(update=changes) if changes else part
