"""Live counts: how many subjects the biobanks have now for some criteria; each answers for itself.

Who asks seals the question with a key that no browser has. So the page puts the question into words and into a
command, says what is published about it already, and shows the answers as they come.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy.orm import Session

from fairbank.catalogue import search
from fairbank.catalogue.context import Hub
from fairbank.catalogue.search_parameters import read_criteria
from fairbank.charts.bars import Bar, bar_chart
from fairbank.charts.figure import Figure
from fairbank.clock import parse_iso
from fairbank.database import reading
from fairbank.errors import FairbankError
from fairbank.federated_jobs.count_protocol import Counts as Answers
from fairbank.federated_jobs.hub import counts
from fairbank.ontology.counts import Count, CountReason
from fairbank.web import collection_words as words
from fairbank.web.languages import PARAMETER, Tongue, mark
from fairbank.web.pages.collections import command, tick_of
from fairbank.web.pages.page import Menu, Page
from fairbank.web.pages.visits import THEME_PARAMETER, Visit

PATH: Final = "/counts"
_MOST: Final = 20
# What a question can ask of images; the page offers the values that are published.
CRITERIA: Final = ("modality", "body_part", "manufacturer", "sex", "age_band")
_OTHERS: Final = ("id", PARAMETER, THEME_PARAMETER)
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
    """A question and its answers so far; `at_most` is None where nobody knows."""

    id: str
    words: str
    created: datetime
    complete: bool
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
        published: what is certain already, by what is published; None without criteria.
        ignored: names of parameters that could not be used.
    """

    criteria: tuple[Criterion, ...]
    said: tuple[str, ...]
    collections: int
    published: Count | None
    command: str
    shown: Shown | None
    asked: tuple[Asked, ...]
    ignored: tuple[str, ...]
    now: datetime


def show(hub: Hub, visit: Visit) -> LiveCounts:
    """Put the page together."""
    tongue = visit.tongue
    pairs, ignored = _usable(visit)
    with reading(hub.engine) as session:
        found = search.search(session, read_criteria([*pairs, ("limit", "0")]), visit.who)
        earlier = counts.asked(session, visit.account.name, limit=_MOST)
        shown = _shown(hub, session, visit, earlier) if "id" in visit.asked else None
    said = tuple(
        f"{words.facet_word(tongue, name)}: {' / '.join(values)}"
        for name, values in _chosen(tongue, pairs).items()
    )
    return LiveCounts(
        criteria=_criteria(tongue, pairs, found["facets"]),
        said=said,
        collections=found["count"],
        published=Count.exact(found["totals"]["subjects"]["at_least"]) if pairs else None,
        command=f"{command(pairs)} --live",
        shown=shown,
        asked=tuple(Asked(each.id, each.words, each.created, len(each.datasets)) for each in earlier),
        ignored=ignored,
        now=visit.now,
    )


def _usable(visit: Visit) -> tuple[list[tuple[str, str]], tuple[str, ...]]:
    kept: list[tuple[str, str]] = []
    ignored: list[str] = []
    for name, value in visit.asked.pairs(without=_OTHERS)[:_MOST]:
        if not value.strip():
            continue
        try:
            if name not in CRITERIA:
                raise ValueError
            read_criteria([*kept, (name, value)])
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
        answers=answers,
        at_least=least,
        at_most=most,
        figure=_figure(visit, answers),
    )


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
    parts=("answers",),
    menu=Menu(mark("Live counts"), 35),
)
