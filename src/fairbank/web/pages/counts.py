"""Live counts: how many subjects the biobanks have now for some criteria; each answers for itself.

The page puts the question into words, says what is published about it already, and shows the answers as they come. A
question is sealed: with the key that the hub keeps for who asks, opened by her passphrase, or else by the command that
the page shows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from sqlalchemy.orm import Session
from starlette.responses import Response

from fairbank.catalogue import permissions, search
from fairbank.catalogue.context import Hub
from fairbank.catalogue.idc.mirror import is_mirrored
from fairbank.catalogue.permissions import Action
from fairbank.catalogue.search_parameters import read_criteria
from fairbank.charts.bars import Bar, bar_chart
from fairbank.charts.figure import Figure
from fairbank.clock import parse_iso
from fairbank.database import reading
from fairbank.errors import FairbankError, Kind, told
from fairbank.federated_jobs.count_protocol import Counts as Answers
from fairbank.federated_jobs.hub import asking, counts
from fairbank.ontology.counts import Count, CountReason
from fairbank.ontology.signed_objects import VisaDataset
from fairbank.web import collection_words as words
from fairbank.web import once, page_signing
from fairbank.web.ages import ages
from fairbank.web.languages import PARAMETER, Tongue, mark
from fairbank.web.once import Bound
from fairbank.web.page_signing import Signing
from fairbank.web.pages.collections import TICK, command, tick_of
from fairbank.web.pages.page import Menu, Once, Page
from fairbank.web.pages.visits import THEME_PARAMETER, Visit
from fairbank.web.selections import OF_THE_CATALOGUE, searched

PATH: Final = "/counts"
_MOST: Final = 20
# What a question can ask of images; the page offers the values that are published.
CRITERIA: Final = ("modality", "body_part", "manufacturer", "sex", "age_band")
# What the address of a list of collections says besides.
_OTHERS: Final = ("id", "sort", "limit", "offset", TICK, PARAMETER, THEME_PARAMETER)
# How soon an open page asks again, s: by how long the question has waited, s.
_PACES: Final = ((120, 1), (1_200, 5))
_SLOWEST_S: Final = 30
_SINGLE: Final = frozenset({"q", "exact", "slice_thickness_max", "min_subjects", "min_sites"})
REASONS: Final[dict[CountReason, str]] = {
    CountReason.SITE_NOT_REACHED: mark(
        "The biobank’s node has not fetched the question yet; usually within a minute."
    ),
    CountReason.SITE_DECIDES: mark("The biobank’s people decide about it; usually within days."),
    CountReason.SITE_DECLINED: mark("The biobank’s people said no."),
    CountReason.NO_LIVE_COUNTS: mark("This biobank answers no live counts."),
    CountReason.NOT_GRANTED: mark("No grant that holds at the biobank covers it."),
    CountReason.TOO_MANY_COUNTS: mark("Enough counts of this collection were told this month."),
    CountReason.NOT_HERE: mark("The biobank has no such collection."),
    CountReason.NODE_FAULT: mark("The biobank’s node could not work it out."),
}


class NothingToAsk(FairbankError):
    """A question for live counts has no criteria, or no collection that could be asked, or too many."""

    code = "FB-WEB-056"
    kind = Kind.REFUSED


@dataclass(frozen=True, slots=True)
class Criterion:
    """A criterion that may be chosen, with its values: value, what it is called, whether it is chosen."""

    name: str
    title: str
    values: tuple[tuple[str, str, bool], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What one biobank says of one collection; `since` is when it began to wait or was declined."""

    collection: str
    node: str
    subjects: Count
    why: str
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Shown:
    """A question and its answers so far.

    Attributes:
        at_most: None where nobody knows.
        pace_s: how soon an open page asks again.
    """

    id: str
    words: str
    created: datetime
    complete: bool
    pace_s: int
    answers: tuple[Answer, ...]
    at_least: Count
    at_most: Count | None
    figure: Figure | None


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that was asked before."""

    id: str
    words: str
    created: datetime
    collections: int


@dataclass(frozen=True, slots=True)
class LiveCounts:
    """`counts.html`.

    Attributes:
        said: the criteria in words.
        not_asked: those of them that choose collections and are asked of no image.
        others: parameters that have no field on the page.
        collections: how many of those that match can be asked.
        published: what is certain already, by what is published; None without criteria.
        ages: the subjects of the collections that match, by age, as published.
        question: the parameters of the question, for the address of its form.
        ignored: names of parameters that could not be used.
    """

    criteria: tuple[Criterion, ...]
    said: tuple[str, ...]
    not_asked: tuple[str, ...]
    others: tuple[tuple[str, str], ...]
    collections: int
    most: int
    question: str
    may_ask: bool
    signing: Signing
    published: Count | None
    ages: Figure | None
    command: str
    shown: Shown | None
    asked: tuple[Asked, ...]
    ignored: tuple[str, ...]
    now: datetime
    once: Once


def show(hub: Hub, visit: Visit) -> LiveCounts:
    """Put the page together."""
    tongue = visit.tongue
    pairs, ignored = _usable(visit)
    ticks = tuple((TICK, each) for each in visit.asked.every(TICK)[: asking.MOST_DATASETS])
    listed = search.LARGEST_PAGE if pairs else 0
    with reading(hub.engine) as session:
        found = search.search(session, read_criteria([*pairs, ("limit", str(listed))]), visit.who)
        earlier = counts.asked(session, visit.account.name, limit=_MOST)
        shown = _shown(hub, session, visit, earlier) if "id" in visit.asked else None
        signing = page_signing.may_sign(hub, session, visit)
        held = _held(hub, visit, found["datasets"])
        spread = search.spread_of(session, held, "age-band") if len(held) <= asking.MOST_DATASETS else []
    return LiveCounts(
        criteria=_criteria(tongue, pairs, found["facets"]),
        said=tuple(
            f"{words.facet_word(tongue, name)}: {' / '.join(values)}"
            for name, values in _chosen(tongue, pairs).items()
        ),
        not_asked=tuple(words.facet_word(tongue, name) for name in _not_asked(pairs)),
        others=(*(pair for pair in pairs if pair[0] not in CRITERIA), *ticks),
        collections=len(held),
        most=asking.MOST_DATASETS,
        question=urlencode([*pairs, *ticks]),
        may_ask=permissions.allow(visit.who, Action.JOB_SUBMIT),
        signing=signing,
        published=Count.exact(found["totals"]["subjects"]["at_least"]) if pairs else None,
        ages=ages(
            tongue,
            spread,
            note=tongue.say(mark("By what is published of these collections, whatever else is asked.")),
        ),
        command=f"{command(pairs)} --live",
        shown=shown,
        asked=tuple(Asked(each.id, each.words, each.created, len(each.datasets)) for each in earlier),
        ignored=ignored,
        now=visit.now,
        once=once.token(hub, visit, _of_question(visit)),
    )


def ask(hub: Hub, visit: Visit) -> Response:
    """Seal the question that the address puts, with the key that the hub keeps, and ask it."""
    pairs, _ = _usable(visit)
    with reading(hub.engine) as session:
        found = search.search(
            session, read_criteria([*pairs, ("limit", str(search.LARGEST_PAGE))]), visit.who
        )
    held = _held(hub, visit, found["datasets"])
    if not pairs or not 0 < len(held) <= asking.MOST_DATASETS:
        raise NothingToAsk(
            "The question was not asked." if pairs else "The question was not asked: it has no criteria.",
            why=told(
                "It names 1 to %(most)s collections, and %(found)s match that a biobank holds.",
                most=asking.MOST_DATASETS,
                found=len(held),
            ),
            todo="Choose other criteria.",
        )
    selector, _ = searched(_as_search(pairs))
    datasets = [VisaDataset(iri=iri, selector=selector) for iri in held]

    def do() -> str:
        asked = asking.ask(hub, visit.account, page_signing.opened(hub, visit), datasets)
        return f"{PATH}?{urlencode([*pairs, ('id', asked)])}"

    return once.act(hub, visit, _of_question(visit), do)


def _of_question(visit: Visit) -> Bound:
    pairs, _ = _usable(visit)
    ticks = [(TICK, each) for each in visit.asked.every(TICK)]
    return Bound(f"counts {urlencode([*pairs, *ticks])}", "")


def _held(hub: Hub, visit: Visit, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the IRIs of what was found and a biobank holds; where some were chosen in a list, of those only."""
    ticks = visit.asked.every(TICK)
    held = [str(row["iri"]) for row in rows if row.get("node") and not is_mirrored(hub, str(row["iri"]))]
    return [iri for iri in held if not ticks or tick_of(hub, iri) in ticks]


def _as_search(pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Return parameters as a search on the command line has them."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        found[name] = value if name in _SINGLE else [*found.get(name, []), value]
    return found


def _not_asked(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """Return the names of what chooses collections and is asked of no image."""
    _, left_out = searched(_as_search(pairs))
    names = dict.fromkeys(name for name, _ in pairs)
    return [name for name in names if name in left_out or (name not in CRITERIA and name in OF_THE_CATALOGUE)]


def _usable(visit: Visit) -> tuple[list[tuple[str, str]], tuple[str, ...]]:
    kept: list[tuple[str, str]] = []
    ignored: list[str] = []
    for name, value in visit.asked.pairs(without=_OTHERS)[:_MOST]:
        if not value.strip():
            continue
        try:
            read_criteria([*kept, (name, value)])
            searched(_as_search([*kept, (name, value)]))
        except (FairbankError, ValueError):
            ignored.append(name[:40])
        else:
            kept.append((name, value))
    return kept, tuple(dict.fromkeys(ignored))


def _chosen(tongue: Tongue, pairs: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(words.value_word(tongue, name, value))
    return found


def _criteria(
    tongue: Tongue, pairs: Sequence[tuple[str, str]], facets: Mapping[str, list[dict[str, Any]]]
) -> tuple[Criterion, ...]:
    found = []
    for name in CRITERIA:
        chosen = [value for each, value in pairs if each == name]
        there = sorted({*(each["value"] for each in facets.get(name, ())), *chosen})
        values = tuple((each, words.value_word(tongue, name, each), each in chosen) for each in there)
        found.append(Criterion(name, words.facet_word(tongue, name), values))
    return tuple(found)


def _shown(hub: Hub, session: Session, visit: Visit, earlier: Sequence[counts.AskedQuestion]) -> Shown:
    told = counts.counts(session, visit.asked["id"], visit.account.name)
    question = next((each for each in earlier if each.id == told.id), None)
    answers = tuple(
        Answer(
            collection=tick_of(hub, each.dataset),
            node=each.node,
            subjects=each.subjects,
            why=visit.tongue.say(REASONS[each.subjects.why]) if each.subjects.why else "",
            since=parse_iso(each.subjects.since) if each.subjects.since else None,
        )
        for each in told.answers
    )
    least, most = _range(told)
    return Shown(
        id=told.id,
        words=question.words if question else "",
        created=parse_iso(told.created),
        complete=told.complete,
        pace_s=_pace_s(visit.now - parse_iso(told.created)),
        answers=answers,
        at_least=least,
        at_most=most,
        figure=_figure(visit, answers),
    )


def _pace_s(waited: timedelta) -> int:
    return next((pace for until, pace in _PACES if waited.total_seconds() < until), _SLOWEST_S)


def _range(told: Answers) -> tuple[Count, Count | None]:
    """Return the bounds of how many subjects there are in all: somebody may be in several of the collections."""
    known = [each.subjects.at_least for each in told.answers]
    whole = all(each.subjects.is_exact for each in told.answers)
    return Count.exact(max(known, default=0)), Count.exact(sum(known)) if whole else None


def _figure(visit: Visit, answers: Sequence[Answer]) -> Figure | None:
    if not any(each.subjects.is_exact for each in answers):
        return None
    say = visit.tongue.say
    return bar_chart(
        [Bar(each.collection, each.subjects) for each in answers],
        title=say(mark("Subjects by collection")),
        name="answers",
        head=(say(mark("Collection")), say(mark("Subjects"))),
        now=visit.now,
    )


PAGE = Page(
    name="counts",
    path=PATH,
    context=LiveCounts,
    show=show,
    acts={"ask": ask},
    parts=("answers",),
    menu=Menu(mark("Live counts"), 35),
)
