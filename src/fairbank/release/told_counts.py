"""Live counts: what a count may tell beside all counts of its dataset that were told before it.

A count is of a set of subjects. Beside the counts and records before it, it must not be about few: with the smallest
count k, neither the count nor what follows from it and one other may differ by fewer than k subjects from anything that
was told. What follows are the union with a told set that it does not meet, and the rest of a told set that it lies in,
or that lies in it. The same selection asked again has the same answer while it differs by fewer than k.

The rule of `differencing` for records, for sets that a question makes. Sets of three questions and more are not
combined; how many different counts a month brings is bounded instead.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank.release.rounding import rounded, smallest_count
from fairbank.release.store import ToldCountRow

MONTH: Final = timedelta(days=30)
# Rows of `told_sums`, by how their selector begins: the sets that sums were over, and the selections of such jobs. Live
# counts are compared with the selections, not with the sets that had a value.
OF_SUMS: Final = "sum:"
OF_COHORTS: Final = "cohort:"


@dataclass(frozen=True, slots=True)
class Rules:
    """What a site asks of live counts.

    Attributes:
        k: smallest count of subjects.
        base: what counts are multiples of.
        most: how many different counts of a dataset may be told in 30 days.
    """

    k: int
    base: int
    most: int


@dataclass(frozen=True, slots=True)
class Telling:
    """What may be told: the rounded value, or that it is below `k`, or neither because enough was told."""

    k: int
    value: int | None = None
    spent: bool = False


def judge(
    session: Session,
    dataset: str,
    selector: str,
    subjects: frozenset[str],
    *,
    published: Iterable[frozenset[str]],
    rules: Rules,
    at: datetime,
) -> Telling:
    """Return what may be told of a set of subjects, and remember it if it is told, in the caller's transaction.

    Args:
        selector: what was asked, by its digest.
        subjects: pseudonyms of those who match.
        published: the sets of subjects that records of the dataset told counts of.
        rules: the site's own.
        at: now.
    """
    k = smallest_count(rules.k, rules.base)
    if len(subjects) < k:
        return Telling(k)
    rows = session.scalars(
        select(ToldCountRow)
        .where(ToldCountRow.dataset == dataset, ToldCountRow.selector.not_like(f"{OF_SUMS}%"))
        .order_by(ToldCountRow.at, ToldCountRow.id)
    ).all()
    earlier = [(row, members_of(row)) for row in rows]
    for row, told in reversed(earlier):
        if row.selector == selector and len(told ^ subjects) < k:
            return Telling(k, row.value)
    counts = [row for row in rows if not row.selector.startswith(OF_COHORTS)]
    if sum(row.at > at - MONTH for row in counts) >= rules.most:
        return Telling(k, spent=True)
    if tells_few(subjects, [told for _, told in earlier], published, k):
        return Telling(k)
    value = rounded(len(subjects), rules.base)
    session.add(
        ToldCountRow(dataset=dataset, selector=selector, value=value, members=packed(subjects), at=at)
    )
    session.flush()
    return Telling(k, value)


def tells_few(
    subjects: frozenset[str],
    told: Sequence[frozenset[str]],
    published: Iterable[frozenset[str]],
    k: int,
) -> bool:
    """Tell whether a count would, beside what is known, be about fewer than k subjects.

    >>> whole = frozenset("abcdefgh")
    >>> tells_few(whole - {"a"}, [], [whole], 3), tells_few(whole - set("abc"), [], [whole], 3)
    (True, False)
    """
    bits: dict[str, int] = {}
    mine = _mask(subjects, bits)
    before = {_mask(each, bits) for each in told}
    known = before | {mask for each in published if len(each) >= k and (mask := _mask(each, bits))}
    return follows_few(mine, known, k)


def follows_few(mine: int, known: Collection[int], k: int) -> bool:
    """Tell whether a set, or what follows from it and one that is known, differs by few from what is known.

    Args:
        mine, known: sets as `mask_of` makes them.
    """
    follows = {mine}
    for other in known:
        if not mine & other:
            follows.add(mine | other)
        elif mine & ~other == 0 or other & ~mine == 0:
            follows.add(mine ^ other)
    return any(0 < (one ^ other).bit_count() < k for one in follows for other in (0, *known))


def mask_of(places: Collection[int]) -> int:
    """Return a set of places as one whole number: hundreds of thousands of subjects are compared in microseconds.

    >>> mask_of([0, 2]), mask_of([])
    (5, 0)
    """
    raw = bytearray(max(places, default=-1) // 8 + 1)
    for place in places:
        raw[place // 8] |= 1 << place % 8
    return int.from_bytes(raw, "little")


def rename(session: Session, datasets: Iterable[str], subject: str, name: str) -> None:
    """Call a subject who was withdrawn by a name that nobody can make again, without a change to any told count."""
    for row in session.scalars(select(ToldCountRow).where(ToldCountRow.dataset.in_(list(datasets)))):
        members = members_of(row)
        if subject in members:
            row.members = packed(members - {subject} | {name})


def packed(subjects: frozenset[str]) -> bytes:
    """Return a set of pseudonyms as a row keeps it."""
    return zlib.compress(json.dumps(sorted(subjects)).encode())


def members_of(row: ToldCountRow) -> frozenset[str]:
    """Return the set of pseudonyms that a row keeps."""
    return frozenset(json.loads(zlib.decompress(row.members)))


def _mask(subjects: frozenset[str], bits: dict[str, int]) -> int:
    return mask_of([bits.setdefault(subject, len(bits)) for subject in subjects])
