"""How many subjects share what is known of them: k-anonymity and l-diversity of a collection, and what would lift it.

A class is a combination of quasi-identifiers that series have; its size is the number of different subjects with such
a series. A subject is as exposed as its smallest class: who knows one examination of a person (prosecutor's model)
narrows the collection to that class. Pure: rows come in, numbers go out.

Sources: Sweeney 2002 (k-anonymity), doi:10.1142/S0218488502001648; Machanavajjhala et al. 2007 (distinct
l-diversity), doi:10.1145/1217299.1217302.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from fairbank.deid.errors import NothingToAssess
from fairbank.deid.risk_counts import Coded

ANY = "*"
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Row:
    """What is known of one series: its subject's pseudonym, and a word per property."""

    subject: str
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Class:
    """A combination of words, in the order of the properties, and how many subjects have it.

    `sensitive` counts the different words of the sensitive property in it, None if none was asked for.
    """

    words: tuple[str, ...]
    subjects: int
    sensitive: int | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A generalisation, and how many subjects are in classes below k if it is made."""

    what: str
    below: int


@dataclass(frozen=True, slots=True)
class Risk:
    """The assessment.

    Attributes:
        by: the properties.
        k: the threshold, in subjects.
        subjects: subjects in all.
        classes: all classes, smallest first.
        below: subjects in a class of fewer than k.
        uniform: subjects in a class with fewer than l sensitive words, None if none was asked for.
        each: every single generalisation, the one that helps most first.
        path: generalisations one after the other, the best at each step, until nobody is below k or none helps more.
    """

    by: tuple[str, ...]
    k: int
    subjects: int
    classes: tuple[Class, ...]
    below: int
    uniform: int | None
    each: tuple[Step, ...]
    path: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Generalisation:
    """A property made coarser."""

    what: str
    of: str
    coarser: Callable[[str], str]


def age_bands(years: int) -> Callable[[str], str]:
    """Return what turns a five-year band into one of `years`, a multiple of five.

    >>> age_bands(20)("65-69"), age_bands(20)("90+"), age_bands(20)("unknown")
    ('60-79', '80+', 'unknown')
    """

    def coarser(band: str) -> str:
        low_text = band.rstrip("+").partition("-")[0]
        if not low_text.isdecimal():
            return band
        low = int(low_text) // years * years
        # The topmost band is open.
        return f"{low}+" if low + years > _OPEN_FROM else f"{low}-{low + years - 1}"

    return coarser


def year_bands(years: int) -> Callable[[str], str]:
    """Return what turns a year into a band of `years`.

    >>> year_bands(5)("2019"), year_bands(5)("unknown")
    ('2015-2019', 'unknown')
    """

    def coarser(year: str) -> str:
        if not year.isdecimal():
            return year
        low = int(year) // years * years
        return f"{low}-{low + years - 1}"

    return coarser


def _year_of_month(month: str) -> str:
    return month.partition("-")[0]


def _any(word: str) -> str:
    return ANY


_OPEN_FROM = 90
_LADDERS: dict[str, tuple[tuple[str, Callable[[str], str]], ...]] = {
    "age-band": (("age in bands of 10 years", age_bands(10)), ("age in bands of 20 years", age_bands(20))),
    "study-year": (("study year in bands of 5", year_bands(5)),),
    "study-month": (("study year instead of month", _year_of_month),),
}
PROPERTIES = (
    "age-band",
    "sex",
    "body-region",
    "modality",
    "manufacturer",
    "model",
    "study-year",
    "study-month",
    "site",
)


def generalisations(by: Sequence[str]) -> list[Generalisation]:
    """Return what can be made coarser of some properties: their ladders, and leaving each out."""
    found = []
    for name in by:
        found += [Generalisation(what, name, coarser) for what, coarser in _LADDERS.get(name, ())]
        found.append(Generalisation(f"without {name}", name, _any))
    return found


def assess(
    rows: Iterable[Row], by: Sequence[str], *, k: int, sensitive: str | None = None, diversity: int = 2
) -> Risk:
    """Return how exposed the subjects of a collection are.

    Args:
        rows: one per series; a property that a row lacks is unknown.
        by: names of the properties that somebody may know of a person.
        k: smallest size of a class that is held to be safe, subjects.
        sensitive: a property that must differ within a class.
        diversity: smallest number of different words of it in a class (l).

    Raises:
        NothingToAssess: if there are no rows or no properties.
    """
    chosen = _reduced(rows, by, sensitive)
    if not chosen or not by:
        raise NothingToAssess(
            "There is nothing to assess.",
            why="The collection has no series with a subject, or no property was named.",
            todo=f"Clean files first; properties are {', '.join(PROPERTIES)}.",
        )
    coded = Coded.of((words, subject) for words, subject, _ in chosen)
    classes = _classes(chosen, with_sensitive=sensitive is not None)
    below = coded.below(k)
    each = sorted(
        (Step(step.what, _made(coded, by, step).below(k)) for step in generalisations(by)),
        key=lambda step: step.below,
    )
    return Risk(
        by=tuple(by),
        k=k,
        subjects=coded.people,
        classes=tuple(classes),
        below=below,
        uniform=None if sensitive is None else _uniform(chosen, classes, diversity),
        each=tuple(each),
        path=tuple(_path(coded, by, k)),
    )


# A series as it is assessed: its words in the order of the properties, its subject, its sensitive word.
_Series = tuple[tuple[str, ...], str, str]


def _reduced(rows: Iterable[Row], by: Sequence[str], sensitive: str | None) -> set[_Series]:
    return {
        (
            tuple(row.values.get(name) or UNKNOWN for name in by),
            row.subject,
            (row.values.get(sensitive) or UNKNOWN) if sensitive else "",
        )
        for row in rows
    }


def _members(chosen: set[_Series]) -> dict[tuple[str, ...], set[str]]:
    members: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for words, subject, _ in chosen:
        members[words].add(subject)
    return members


def _classes(chosen: set[_Series], *, with_sensitive: bool) -> list[Class]:
    different: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for words, _, sensitive in chosen:
        different[words].add(sensitive)
    found = [
        Class(words, len(subjects), len(different[words]) if with_sensitive else None)
        for words, subjects in _members(chosen).items()
    ]
    return sorted(found, key=lambda one: (one.subjects, one.words))


def _uniform(chosen: set[_Series], classes: Sequence[Class], diversity: int) -> int:
    few = {one.words for one in classes if (one.sensitive or 0) < diversity}
    return len({subject for words, subject, _ in chosen if words in few})


def _made(coded: Coded, by: Sequence[str], step: Generalisation) -> Coded:
    return coded.coarsened(list(by).index(step.of), step.coarser)


def _path(coded: Coded, by: Sequence[str], k: int) -> list[Step]:
    """Return the best generalisation, made, then the next best, and so on."""
    taken: list[Step] = []
    left, untouched = generalisations(by), coded.below(k)
    below = untouched
    while below and left:
        # A step may help only together with the next, so one that lifts nobody is taken as well. Of two that
        # help alike the first is taken: each property's gentler steps come first.
        below, number = min((_made(coded, by, step).below(k), number) for number, step in enumerate(left))
        step = left.pop(number)
        coded = _made(coded, by, step)
        taken.append(Step(step.what, below))
    return _without_idle_end(taken, untouched)


def _without_idle_end(taken: list[Step], below: int) -> list[Step]:
    """Return the steps without the last ones, which lift nobody more."""
    kept = list(taken)
    while kept and kept[-1].below == (kept[-2].below if len(kept) > 1 else below):
        kept.pop()
    return kept
