"""One collection: what is in it, who may use it and how to ask, how good it is, where it comes from, how to cite it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

from fairbank.catalogue import exports, history, records, search
from fairbank.catalogue.context import Hub
from fairbank.catalogue.store import DatasetRow
from fairbank.charts.bars import Bar, bar_chart
from fairbank.charts.figure import Figure
from fairbank.clock import parse_iso
from fairbank.database import reading
from fairbank.ontology.counts import Count, total
from fairbank.ontology.duo import TERMS
from fairbank.ontology.profiles.judging import State
from fairbank.ontology.profiles.listing import PROFILES
from fairbank.ontology.profiles.rows import Severity
from fairbank.web import collection_words as words
from fairbank.web.ages import ages
from fairbank.web.languages import Tongue, mark
from fairbank.web.pages.page import Page
from fairbank.web.pages.visits import Visit

_MOST_BARS: Final = 12
_MOST_FAILING: Final = 8
_MET: Final = State.MET.value
# What a profile only allows is not counted.
_COUNTED: Final = frozenset({Severity.VIOLATION.value.lower(), Severity.WARNING.value.lower()})


@dataclass(frozen=True, slots=True)
class Use:
    """What it may be used for: a code of the Data Use Ontology, and what the code means."""

    code: str
    label: str
    iri: str
    limit: str = ""


@dataclass(frozen=True, slots=True)
class Value:
    """How many subjects have a value, and how that is known."""

    value: str
    how_known: str
    subjects: Count


@dataclass(frozen=True, slots=True)
class Spread:
    """The values of one attribute."""

    attribute: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Checked:
    """What was looked for in the images; `affected` is None where nobody looked or nobody said."""

    aspect: str
    assessed: bool
    affected: Count | None


@dataclass(frozen=True, slots=True)
class Scored:
    """How many of the properties that a profile asks for are there, and which are not."""

    profile: str
    title: str
    met: int
    asked: int
    failing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """How it came about: what was done, with what, and when."""

    what: str
    tool: str
    profile: str
    source: str
    ended: datetime


@dataclass(frozen=True, slots=True)
class Version:
    """A version of the record."""

    version: int
    received: datetime
    digest: str
    address: str


@dataclass(frozen=True, slots=True)
class Collection:
    """`collection.html`.

    Attributes:
        id: as the basket names it, `NODE/DATASET`.
        scores: how completely each profile that is for it finds it described.
    """

    id: str
    iri: str
    title: str
    version: int
    published: datetime
    node: str
    publisher: str
    contact: str
    description: str
    keywords: tuple[str, ...]
    conditions: tuple[str, ...]
    kind: str
    acquired: str
    access: str
    access_rule: str
    ask: str
    licence: str
    uses: tuple[Use, ...]
    totals: tuple[tuple[str, Count], ...]
    smallest: int
    figures: tuple[Figure, ...]
    spreads: tuple[Spread, ...]
    scores: tuple[Scored, ...]
    checked: tuple[Checked, ...]
    steps: tuple[Step, ...]
    versions: tuple[Version, ...]
    signed_by: str
    digest: str
    citation: str
    downloads: tuple[tuple[str, str], ...]
    command: str
    query: str
    query_address: str


def show(hub: Hub, visit: Visit) -> Collection:
    """Put the page together; a collection that was withdrawn is answered by what is left of it: when, and why."""
    iri = records.dataset_iri(hub, visit.given["node"], visit.given["dataset"])
    with reading(hub.engine) as session:
        row = search.find(session, iri, visit.who)
        full = search.in_full(history.newest_edition(session, row))
        versions = history.versions(session, row)
        cards = exports.quality(session, hub, row, profile=None)["profiles"]
        return _told(hub, visit.tongue, row, full, versions=versions, cards=cards)


def _told(
    hub: Hub,
    tongue: Tongue,
    row: DatasetRow,
    full: Mapping[str, Any],
    *,
    versions: Sequence[Mapping[str, Any]],
    cards: Sequence[Mapping[str, Any]],
) -> Collection:
    name, iri = f"{row.node}/{row.dataset}", row.iri
    access, rule = words.access_word(tongue, row.access_rights)
    query = _query(iri)
    years = [str(year) for year in (row.acquired_from, row.acquired_to) if year is not None]
    return Collection(
        id=name,
        iri=iri,
        title=row.title,
        version=row.version,
        published=row.published,
        node=row.node,
        publisher=row.publisher,
        contact=row.contact or "",
        description=row.description,
        keywords=tuple(row.keywords),
        conditions=tuple(each["label"] for each in full["conditions"]),
        kind=row.collection_kind,
        acquired="–".join(dict.fromkeys(years)),
        access=access,
        access_rule=rule,
        ask=f"/requests/new?{urlencode({'c': name})}",
        licence=row.licence or "",
        uses=_uses(full),
        totals=_totals(tongue, full["totals"]),
        smallest=row.minimum_count,
        figures=_figures(tongue, full),
        spreads=_spreads(full["distributions"]),
        scores=tuple(_scored(each) for each in cards if each["applies"]),
        checked=tuple(map(_checked, full["quality"])),
        steps=tuple(_step(tongue, each) for each in full["provenance"]),
        versions=tuple(_version(hub, each) for each in versions),
        signed_by=full["signed_by"],
        digest=row.digest,
        citation=f"{row.publisher or row.node}. {row.title}. Version {row.version}, {row.published:%Y}. {iri}",
        downloads=tuple((each, f"/datasets/{name}?profile={each}") for each in PROFILES),
        command=f"fairbank dataset show {name}",
        query=query,
        query_address=f"/sparql?{urlencode({'query': query})}",
    )


def _scored(card: Mapping[str, Any]) -> Scored:
    properties = card["properties"]
    failing = [each for each in properties if each["state"] != _MET and each["severity"] in _COUNTED]
    asked = sum(each["severity"] in _COUNTED for each in properties)
    named = dict.fromkeys(str(each["field"] or each["property"]) for each in failing)
    return Scored(card["profile"], card["title"], asked - len(failing), asked, tuple(named)[:_MOST_FAILING])


def _uses(full: Mapping[str, Any]) -> tuple[Use, ...]:
    limits: dict[str, list[str]] = {}
    for each in full.get("data_use_limits") or ():
        limits.setdefault(each["code"], []).append(each["value"])
    return tuple(
        Use(
            code,
            words.use_word(code),
            TERMS[code].iri if code in TERMS else "",
            ", ".join(limits.get(code, ())),
        )
        for code in full["data_use"]
    )


def _totals(tongue: Tongue, totals: Mapping[str, Any]) -> tuple[tuple[str, Count], ...]:
    return tuple(
        (tongue.say(text), Count.model_validate(totals[measure]))
        for measure, text in words.MEASURES.items()
        if totals.get(measure)
    )


def _figures(tongue: Tongue, full: Mapping[str, Any]) -> tuple[Figure, ...]:
    say, found = tongue.say, []
    by_modality: dict[str, list[Count]] = {}
    for cell in full["cube"]:
        by_modality.setdefault(cell["modality"], []).append(Count.model_validate(cell["series"]))
    if by_modality:
        # A series is in one cell of the cube, so series add up; subjects would not.
        bars = [Bar(name, total(counts)) for name, counts in sorted(by_modality.items())]
        title, head = say(mark("Series by modality")), (say(mark("Modality")), say(mark("Series")))
        found.append(bar_chart(bars[:_MOST_BARS], title=title, name="modalities", head=head))
    by_attribute = {each.attribute: each.values for each in _spreads(full["distributions"])}
    if sexes := by_attribute.get("sex"):
        bars = [Bar(words.value_word(tongue, "sex", each.value), each.subjects) for each in sexes]
        title, head = say(mark("Subjects by sex")), (say(mark("Sex")), say(mark("Subjects")))
        found.append(bar_chart(bars, title=title, name="sexes", head=head))
    if by_age := ages(tongue, ((each.value, each.subjects) for each in by_attribute.get("age-band", ()))):
        found.append(by_age)
    return tuple(found)


def _spreads(rows: Sequence[Mapping[str, Any]]) -> tuple[Spread, ...]:
    found: dict[str, list[Value]] = {}
    for row in rows:
        value = Value(row["value"], row["how_known"], Count.model_validate(row["subjects"]))
        found.setdefault(row["attribute"], []).append(value)
    return tuple(Spread(name, tuple(values)) for name, values in found.items())


def _checked(row: Mapping[str, Any]) -> Checked:
    affected = row.get("series_affected")
    return Checked(row["aspect"], bool(row["assessed"]), Count.model_validate(affected) if affected else None)


def _step(tongue: Tongue, row: Mapping[str, Any]) -> Step:
    return Step(
        what=tongue.say(words.ACTIVITIES.get(row["kind"], row["kind"])),
        tool=f"{row['tool']} {row['tool_version']}",
        profile=row["profile"] or "",
        source=row["source_system"] or "",
        ended=parse_iso(row["ended"]),
    )


def _version(hub: Hub, row: Mapping[str, Any]) -> Version:
    address = str(row["iri"]).removeprefix(hub.base_iri)
    return Version(row["version"], parse_iso(row["received"]), row["digest"], address)


def _query(iri: str) -> str:
    return f"SELECT ?property ?value WHERE {{\n  <{iri}> ?property ?value .\n}} ORDER BY ?property"


PAGE = Page(name="collection", path="/collections/{node}/{dataset}", context=Collection, show=show)
