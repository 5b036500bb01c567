"""Finding collections: words, eight facets, what was found page by page, and a basket; the address is the state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

from sqlalchemy.orm import Session

from fairbank.catalogue import search
from fairbank.catalogue.context import Hub
from fairbank.catalogue.criteria import Criteria, Sort
from fairbank.catalogue.search_parameters import read_criteria
from fairbank.charts.bars import Bar, bar_chart
from fairbank.charts.figure import Figure
from fairbank.clock import parse_iso
from fairbank.database import reading
from fairbank.errors import FairbankError
from fairbank.ontology.counts import Count
from fairbank.web import collection_words as words
from fairbank.web.languages import PARAMETER, Tongue, mark
from fairbank.web.pages.page import Menu, Page
from fairbank.web.pages.visits import THEME_PARAMETER, Visit

PATH: Final = "/collections"
TICK: Final = "c"
PAGE_SIZE: Final = 20
# Values of a facet that are shown at once; the others are folded.
_SHOWN: Final = 6
_MOST: Final = 30
_OPEN: Final = 4
_MOST_PAIRS: Final = 60
_NO_FILTERS: Final = frozenset({"sort", "limit", "offset", "exact", "min_subjects", "min_sites"})


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter that is set: what it is, and the address without it; `found` where nothing matches all filters."""

    facet: str
    value: str
    label: str
    without: str
    found: int | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """A value that may be chosen, and how many collections have it."""

    value: str
    label: str
    collections: int
    chosen: bool


@dataclass(frozen=True, slots=True)
class Facet:
    """The values of a facet: those shown at once and those folded."""

    name: str
    title: str
    choices: tuple[Choice, ...]
    more: tuple[Choice, ...]
    open: bool


@dataclass(frozen=True, slots=True)
class Card:
    """A collection in a few lines; `id` is empty where nobody can be asked for it."""

    id: str
    address: str
    title: str
    node: str
    modalities: tuple[str, ...]
    body_parts: tuple[str, ...]
    subjects: Count | None
    access: str
    updated: datetime
    ticked: bool


@dataclass(frozen=True, slots=True)
class Collections:
    """`collections.html`.

    Attributes:
        count: how many match, on all pages together.
        ignored: names of parameters that could not be used.
        elsewhere: ticked collections that are not on this page.
        others: parameters that have no field on the page.
        instead: the words that were looked for, where nothing has those that were asked.
        command: the same search for the command line.
    """

    query: str
    count: int
    first: int
    last: int
    cards: tuple[Card, ...]
    chips: tuple[Chip, ...]
    facets: tuple[Facet, ...]
    sort: Sort
    sorts: tuple[tuple[Sort, str], ...]
    ignored: tuple[str, ...]
    ticked: tuple[str, ...]
    elsewhere: tuple[str, ...]
    others: tuple[tuple[str, str], ...]
    previous: str
    following: str
    cleared: str
    unticked: str
    instead: str
    export: str
    command: str
    ages: Figure | None


def show(hub: Hub, visit: Visit) -> Collections:
    """Put the page together; what an address says that cannot be used is left out, and named."""
    pairs, ignored = usable(visit)
    criteria = read_criteria(pairs)
    limit = min(criteria.limit, 100) if any(name == "limit" for name, _ in pairs) else PAGE_SIZE
    criteria = replace(criteria, limit=limit or PAGE_SIZE)
    with reading(hub.engine) as session:
        found = search.search(session, criteria, visit.who)
        if not found["datasets"] and found["count"]:
            last = (found["count"] - 1) // criteria.limit * criteria.limit
            criteria = replace(criteria, offset=last)
            found = search.search(session, criteria, visit.who)
        ticks = visit.asked.every(TICK)
        axes = search.axes_of(session, [each["iri"] for each in found["datasets"]])
        chips = _chips(session, visit, pairs, ticks, nothing=not found["count"])
        cards = tuple(_card(hub, visit.tongue, row, axes, ticks) for row in found["datasets"])
    return _page(visit, criteria, found, pairs, ignored=ignored, cards=cards, chips=chips)


def _page(
    visit: Visit,
    criteria: Criteria,
    found: Mapping[str, Any],
    pairs: Sequence[tuple[str, str]],
    *,
    ignored: tuple[str, ...],
    cards: tuple[Card, ...],
    chips: tuple[Chip, ...],
) -> Collections:
    ticks, say = visit.asked.every(TICK), visit.tongue.say
    here = {card.id for card in cards}
    rest = tuple((TICK, each) for each in ticks)
    paged = [pair for pair in pairs if pair[0] != "offset"]
    plain = tuple(pair for pair in paged if pair[0] != "limit")
    end = criteria.offset + len(cards)
    before = max(criteria.offset - criteria.limit, 0) if criteria.offset else None
    previous, following = (
        "" if at is None else address([*paged, ("offset", str(at)), *rest])
        for at in (before, end if end < found["count"] else None)
    )
    named = tuple(pair for pair in plain if pair[0] not in words.FACETS and pair[0] not in ("q", "sort"))
    return Collections(
        query=criteria.words,
        count=found["count"],
        first=criteria.offset + 1 if cards else 0,
        last=end if cards else 0,
        cards=cards,
        chips=chips,
        facets=_facets(visit.tongue, criteria, found["facets"]),
        sort=criteria.sort,
        sorts=tuple((each, say(text)) for each, text in words.SORTS.items()),
        ignored=ignored,
        ticked=ticks,
        elsewhere=tuple(each for each in ticks if each not in here),
        others=named,
        previous=previous,
        following=following,
        cleared=address(rest),
        unticked=address(plain),
        instead=str((found.get("spelling") or {}).get("showing", "")),
        export="/search?" + urlencode([*plain, ("limit", str(search.LARGEST_PAGE))]),
        command=command(plain),
        ages=_ages(found["facets"], say),
    )


def usable(visit: Visit) -> tuple[list[tuple[str, str]], tuple[str, ...]]:
    """Return the parameters of a visit that a search knows, and the names of those that it cannot use."""
    kept: list[tuple[str, str]] = []
    ignored: list[str] = []
    asked = visit.asked.pairs(without=(TICK, PARAMETER, THEME_PARAMETER))
    for place, (name, value) in enumerate(asked):
        if not value.strip():
            continue
        try:
            if place >= _MOST_PAIRS:
                raise ValueError
            read_criteria([*kept, (name, value)])
        except (FairbankError, ValueError):
            ignored.append(name[:40])
        else:
            kept.append((name, value))
    return kept, tuple(dict.fromkeys(ignored))


def address(pairs: Sequence[tuple[str, str]]) -> str:
    """Return the address of the page with parameters."""
    return f"{PATH}?{urlencode(pairs)}" if pairs else PATH


def command(pairs: Sequence[tuple[str, str]]) -> str:
    """Return the same search for the command line.

    >>> command([("q", "lung screening"), ("body_part", "CHEST")])
    "fairbank search 'lung screening' --body-part CHEST"
    """
    from shlex import quote

    said = ["fairbank search", *(quote(value) for name, value in pairs if name == "q")]
    options = [pair for pair in pairs if pair[0] not in ("q", "sort")]
    return " ".join([*said, *(f"--{name.replace('_', '-')} {quote(value)}" for name, value in options)])


def tick_of(hub: Hub, iri: str) -> str:
    """Return how the basket names a dataset: `NODE/DATASET`."""
    return iri.removeprefix(f"{hub.base_iri}/datasets/")


def _chips(
    session: Session, visit: Visit, pairs: Sequence[tuple[str, str]], ticks: Sequence[str], *, nothing: bool
) -> tuple[Chip, ...]:
    """Return a chip for each value that is set; where nothing matches, one for each facet, what gives most first.

    Values of a facet are alternatives: dropping one of them never finds more, dropping the facet does.
    """
    kept = [pair for pair in pairs if pair[0] not in ("offset", "limit")]
    filters = [pair for pair in kept if pair[0] not in _NO_FILTERS]
    dropped = [[pair] for pair in filters]
    if nothing:
        dropped = [
            [pair for pair in filters if pair[0] == name] for name in dict.fromkeys(x for x, _ in filters)
        ]
    chips = []
    for group in dropped:
        name = group[0][0]
        rest = [pair for pair in kept if pair not in group]
        left = search.number_found(session, read_criteria(rest), visit.who) if nothing else None
        label = " / ".join(words.value_word(visit.tongue, name, value) for _, value in group)
        without = address([*rest, *((TICK, each) for each in ticks)])
        chips.append(Chip(words.facet_word(visit.tongue, name), group[0][1], label, without, left))
    return tuple(sorted(chips, key=lambda chip: -(chip.found or 0)))


def _facets(
    tongue: Tongue, criteria: Criteria, counted: Mapping[str, list[dict[str, Any]]]
) -> tuple[Facet, ...]:
    facets = []
    for place, name in enumerate(words.FACETS):
        chosen = criteria.axes.get(name) or criteria.facets.get(name) or criteria.holds.get(name) or ()
        there = {each["value"]: int(each["datasets"]) for each in counted.get(name, ())}
        # What was chosen stays on offer, also where nothing has it.
        values = [*there, *(each for each in chosen if each not in there)]
        choices = [
            Choice(each, words.value_word(tongue, name, each), there.get(each, 0), each in chosen)
            for each in values
        ]
        shown = [each for at, each in enumerate(choices) if at < _SHOWN or each.chosen]
        more = [each for each in choices if each not in shown][:_MOST]
        title = words.facet_word(tongue, name)
        facets.append(Facet(name, title, tuple(shown), tuple(more), place < _OPEN or bool(chosen)))
    return tuple(facets)


def _card(
    hub: Hub, tongue: Tongue, row: dict[str, Any], axes: Mapping[str, Any], ticks: Sequence[str]
) -> Card:
    # What people described without a node has an address of its own, and nobody to ask here.
    of_node = not row.get("described_only")
    name = tick_of(hub, row["iri"]) if of_node else ""
    counted = row["totals"].get("subjects")
    has = axes.get(row["iri"], {})
    return Card(
        id=name,
        address=f"{PATH}/{name}" if of_node else str(row["iri"]).removeprefix(hub.base_iri),
        title=str(row["title"]),
        node=str(row["publisher"] or row["node"]),
        modalities=has.get("modality", ()),
        body_parts=has.get("body_part", ()),
        subjects=Count.model_validate(counted) if counted else None,
        access=words.access_word(tongue, row["access_rights"])[0],
        updated=parse_iso(str(row["published"])),
        ticked=bool(name) and name in ticks,
    )


def _ages(counted: Mapping[str, list[dict[str, Any]]], say: Any) -> Figure | None:
    bands = sorted(counted.get("age_band", ()), key=lambda each: _low(each["value"]))
    if len(bands) < 2:
        return None
    return bar_chart(
        [Bar(each["value"], Count.exact(int(each["datasets"]))) for each in bands],
        title=say(mark("Collections by the ages that they tell of")),
        name="ages",
        head=(say(mark("Age in years")), say(mark("Collections"))),
    )


def _low(band: str) -> int:
    digits = "".join(letter if letter.isdigit() else " " for letter in band).split()
    return int(digits[0]) if digits else 10**6


PAGE = Page(
    name="collections",
    path=PATH,
    context=Collections,
    show=show,
    parts=("found",),
    menu=Menu(mark("Collections"), 20),
)
