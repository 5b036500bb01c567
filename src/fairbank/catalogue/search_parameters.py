"""The parameters of a search as they stand in an address: read strictly, so that no choice is silently left out."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from fairbank.catalogue.criteria import (
    AXES,
    FACETS,
    OF_DATASETS,
    OF_DISTRIBUTIONS,
    Criteria,
    OfDataset,
    Sort,
    bands_within,
    held,
)
from fairbank.catalogue.errors import ParameterRefused, SearchRefused
from fairbank.catalogue.parameters import LARGEST_NUMBER, whole_number
from fairbank.catalogue.search import LARGEST_PAGE

LONGEST_WORDS = 500
_USUAL_PAGE = 50
_SEVERAL = {facet.name: facet.help for facet in FACETS} | {
    "holds": "attribute=value that a distribution lists, such as acquisition-year=2019."
}
_ONE = {
    "q": "Words of title, description, keywords or facets, by their beginnings.",
    "slice_thickness_max": "Bound in mm: stands for the bands of slice_thickness that lie wholly within it.",
    "exact": "true: a body part and a condition stand for themselves only, without parts and kinds.",
    "min_subjects": "Say whether this many matching subjects are certain.",
    "min_sites": "Say whether this many nodes match.",
    "limit": f"How many datasets to list, at most {LARGEST_PAGE}.",
    "offset": "How many datasets to pass over first.",
    "sort": "best (by the words, then by title), title, subjects (the most first) or updated (the newest first).",
}
_WORDS_OF_BOOL = {"true": True, "1": True, "yes": True, "on": True}
_WORDS_OF_BOOL |= {"false": False, "0": False, "no": False, "off": False}
_MILLIMETRES = re.compile(r"[0-9]{1,4}(\.[0-9]{1,4})?")


def read_criteria(given: Iterable[tuple[str, str]]) -> Criteria:
    """Return what is looked for, from the names and values of an address.

    Raises:
        ParameterRefused: if a value of `holds` is no attribute and value.
        SearchRefused: if a name is not known, or a value cannot be used; a value that nothing has is merely not found.

    >>> read_criteria([("sex", "F"), ("holds", "acquisition-year=2019"), ("min_sites", "2")]).holds
    {'acquisition-year': ('2019',), 'sex': ('F',)}
    """
    several: dict[str, tuple[str, ...]] = defaultdict(tuple)
    one: dict[str, str] = {}
    for name, value in given:
        if name in _SEVERAL:
            several[name] = (*several[name], value)
        elif name not in _ONE:
            raise SearchRefused(
                f"A search has no parameter {name[:40]!r}.",
                why=f"It has {', '.join((*_ONE, *_SEVERAL))}.",
                todo="Correct the name; what no parameter names may be in 'holds'.",
            )
        elif name in one:
            raise _unusable(name, value, "It can be given once only.")
        else:
            one[name] = value
    return _criteria(several, one)


def described() -> list[dict[str, Any]]:
    """Return the parameters as OpenAPI describes them."""
    text: dict[str, Any] = {"type": "string"}
    many = [
        {"name": name, "in": "query", "description": help, "schema": {"type": "array", "items": text}}
        for name, help in _SEVERAL.items()
    ]
    return [
        {"name": name, "in": "query", "description": help, "schema": text} for name, help in _ONE.items()
    ] + many


def _criteria(several: Mapping[str, tuple[str, ...]], one: Mapping[str, str]) -> Criteria:
    words = one.get("q", "")
    if len(words) > LONGEST_WORDS:
        raise _unusable("q", words, f"It may have {LONGEST_WORDS} characters.")
    holds = held(several.get("holds", ()))
    for facet in OF_DISTRIBUTIONS:
        if facet.name in several:
            holds[facet.attribute] = (*several[facet.name], *holds.get(facet.attribute, ()))
    axes = {axis: several.get(axis, ()) for axis in AXES}
    if "slice_thickness_max" in one:
        within = bands_within(_millimetres("slice_thickness_max", one["slice_thickness_max"]))
        axes["slice_thickness"] = tuple(dict.fromkeys((*axes["slice_thickness"], *within)))
    return Criteria(
        words=words,
        axes=axes,
        facets={facet.name: _meant(facet, several.get(facet.name, ())) for facet in OF_DATASETS},
        holds=holds,
        exact=_truth("exact", one.get("exact", "false")),
        min_subjects=_number("min_subjects", one, usual=0),
        min_sites=_number("min_sites", one, usual=0),
        limit=_number("limit", one, usual=_USUAL_PAGE, most=LARGEST_PAGE),
        offset=_number("offset", one, usual=0),
        sort=_sort(one.get("sort", Sort.BEST.value)),
    )


def _meant(facet: OfDataset, values: tuple[str, ...]) -> tuple[str, ...]:
    return values if facet.word is None else tuple(map(facet.word, values))


def _number(name: str, one: Mapping[str, str], *, usual: int, most: int = LARGEST_NUMBER) -> int:
    if name not in one:
        return usual
    try:
        return whole_number(one[name], name=name, least=0, most=most)
    except ParameterRefused as err:
        raise SearchRefused(err.what, why=err.why, todo=err.todo) from err


def _truth(name: str, value: str) -> bool:
    try:
        return _WORDS_OF_BOOL[value.lower()]
    except KeyError as err:
        raise _unusable(name, value, "It is true or false.") from err


def _sort(value: str) -> Sort:
    try:
        return Sort(value)
    except ValueError as err:
        raise _unusable("sort", value, f"It is one of {', '.join(Sort)}.") from err


def _millimetres(name: str, value: str) -> float:
    if not _MILLIMETRES.fullmatch(value):
        raise _unusable(name, value, "It is a number of millimetres, such as 1.5.")
    return float(value)


def _unusable(name: str, value: str, why: str) -> SearchRefused:
    todo = "Correct the address, or leave the parameter out."
    return SearchRefused(f"{name}={value[:40]!r} cannot be used.", why=why, todo=todo)
