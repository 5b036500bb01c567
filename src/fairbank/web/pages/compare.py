"""Up to six collections side by side: what differs, and which kinds of images and data each has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from sqlalchemy.orm import Session

from fairbank.catalogue import history, records, search
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import DatasetNotFound, DatasetWithdrawn
from fairbank.charts.figure import Figure
from fairbank.charts.upset import NamedSet, Together, upset_chart
from fairbank.database import reading
from fairbank.ontology.counts import Count
from fairbank.web import collection_words as words
from fairbank.web.languages import Tongue, mark
from fairbank.web.pages.page import Page
from fairbank.web.pages.visits import Visit

PATH: Final = "/compare"
MOST: Final = 6
_LISTED: Final = 12


@dataclass(frozen=True, slots=True)
class Column:
    """A collection that is compared; `without` is the address of the page without it."""

    id: str
    title: str
    address: str
    without: str


@dataclass(frozen=True, slots=True)
class Line:
    """What all collections say of one thing: a text or a count each, an empty text where one says nothing."""

    name: str
    cells: tuple[str | Count, ...]
    differs: bool


@dataclass(frozen=True, slots=True)
class Compare:
    """`compare.html`.

    Attributes:
        gone: those asked for that are not there, or not for the reader.
        over: how many were left out because six are the most.
        switched: the address that shows the other lines as well, or does not.
    """

    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    alike: int
    everything: bool
    switched: str
    gone: tuple[str, ...]
    over: int
    ask: str
    together: Figure | None


def show(hub: Hub, visit: Visit) -> Compare:
    """Put the page together; a collection that is gone is named, and the others are compared."""
    asked = tuple(dict.fromkeys(visit.asked.every("c")))
    everything = visit.asked.get("all") == "yes"
    found: dict[str, dict[str, Any]] = {}
    gone = []
    with reading(hub.engine) as session:
        for name in asked[:MOST]:
            try:
                found[name] = _one(hub, session, visit, name)
            except (DatasetNotFound, DatasetWithdrawn):
                gone.append(name[:80])
    lines = _lines(visit.tongue, list(found.values())) if found else ()
    shown = tuple(each for each in lines if everything or each.differs or len(found) < 2)
    return Compare(
        columns=tuple(
            Column(name, full["title"], f"/collections/{name}", _address([x for x in found if x != name]))
            for name, full in found.items()
        ),
        lines=shown,
        alike=sum(not each.differs for each in lines),
        everything=everything,
        switched=_address(list(found), () if everything else (("all", "yes"),)),
        gone=tuple(gone),
        over=max(len(asked) - MOST, 0),
        ask=f"/requests/new?{urlencode([('c', name) for name in found])}",
        together=_together(visit.tongue, list(found.values())) if len(found) > 1 else None,
    )


def _one(hub: Hub, session: Session, visit: Visit, name: str) -> dict[str, Any]:
    node, _, dataset = name.partition("/")
    row = search.find(session, records.dataset_iri(hub, node, dataset), visit.who)
    return search.in_full(history.newest_edition(session, row))


def _lines(tongue: Tongue, found: Sequence[Mapping[str, Any]]) -> tuple[Line, ...]:
    say = tongue.say
    texts: list[tuple[str, list[str | Count]]] = [
        (say(mark("Biobank")), [_holder(each) for each in found]),
        (say(mark("Access")), [words.access_word(tongue, each["access_rights"])[0] for each in found]),
        (say(mark("Licence")), [each["licence"] or "" for each in found]),
        (say(mark("May be used for")), [_listed(map(words.use_word, each["data_use"])) for each in found]),
    ]
    for measure, text in words.MEASURES.items():
        texts.append((say(text), [_count(each["totals"].get(measure)) for each in found]))
    for axis in ("modality", "body_part", "manufacturer", "slice_thickness"):
        values = [_listed(cell[axis] for cell in each["cube"]) for each in found]
        texts.append((words.facet_word(tongue, axis), list(values)))
    texts += [
        (say(mark("Conditions")), [_listed(one["label"] for one in each["conditions"]) for each in found]),
        (say(mark("Years of acquisition")), [_years(each) for each in found]),
        (say(mark("Kind of collection")), [each["collection_kind"] for each in found]),
        (say(mark("Numbers are told from")), [str(each["minimum_count"]) for each in found]),
        (say(mark("Version")), [str(each["version"]) for each in found]),
        (say(mark("Published")), [str(each["published"])[:10] for each in found]),
    ]
    return tuple(Line(name, tuple(cells), len(set(cells)) > 1) for name, cells in texts)


def _holder(full: Mapping[str, Any]) -> str:
    return f"{full['publisher']} ({full['node']})" if full["publisher"] else str(full["node"])


def _count(told: Mapping[str, Any] | None) -> str | Count:
    return Count.model_validate(told) if told else ""


def _listed(values: Any) -> str:
    unique = sorted({str(value) for value in values if value})
    return ", ".join(unique[:_LISTED]) + (", …" if len(unique) > _LISTED else "")


def _years(full: Mapping[str, Any]) -> str:
    years = [str(full[name]) for name in ("acquired_from", "acquired_to") if full[name] is not None]
    return "–".join(dict.fromkeys(years))


def _together(tongue: Tongue, found: Sequence[Mapping[str, Any]]) -> Figure | None:
    """Return which modalities and kinds of data the collections have together; collections are counted, not people."""
    has = [_attributes(tongue, each) for each in found]
    sizes = Counter(name for each in has for name in each)
    if not sizes:
        return None
    rows = Counter(has)
    return upset_chart(
        [
            NamedSet(name, Count.exact(number))
            for name, number in sorted(sizes.items(), key=lambda x: (-x[1], x[0]))
        ],
        [Together(members, Count.exact(number)) for members, number in rows.items()],
        title=tongue.say(mark("What the collections have")),
        name="together",
        what=tongue.say(mark("Collections")),
    )


def _attributes(tongue: Tongue, full: Mapping[str, Any]) -> frozenset[str]:
    said = {
        mark("Clinical variables"): full["variables"],
        mark("Omics"): full.get("omics_held"),
        mark("Health records"): full.get("health_records_held"),
    }
    others = [tongue.say(text) for text, value in said.items() if value]
    return frozenset([*(cell["modality"] for cell in full["cube"]), *others])


def _address(names: Sequence[str], more: Sequence[tuple[str, str]] = ()) -> str:
    pairs = [*(("c", name) for name in names), *more]
    return f"{PATH}?{urlencode(pairs)}" if pairs else PATH


PAGE = Page(name="compare", path=PATH, context=Compare, show=show)
