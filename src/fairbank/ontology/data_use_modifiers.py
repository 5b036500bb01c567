"""Each modifier of the Data Use Ontology, judged by the facts that a request signs; a sentence why, always.

Names of projects and institutions that differ by a letter may mean the same, so that a difference goes to a person;
accounts and country codes are exact, so that a difference is one.
"""

from __future__ import annotations

import calendar
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from fairbank.ontology import duo
from fairbank.ontology.data_use_facts import Asked, Verdict
from fairbank.ontology.data_use_limits import DataUseLimits, in_countries
from fairbank.ontology.duo import TERMS, TermKind, named, within
from fairbank.ontology.outputs import OutputClass
from fairbank.ontology.signed_objects import EvidenceKind, OrganisationKind

Judged = tuple[Verdict, str]
OK, REVIEW, NO = Verdict.COMPATIBLE, Verdict.NEEDS_REVIEW, Verdict.INCOMPATIBLE
_KINDS: Final = {
    OrganisationKind.PUBLIC: "a public organisation",
    OrganisationKind.NOT_FOR_PROFIT: "a not-for-profit organisation",
    OrganisationKind.FOR_PROFIT: "a for-profit organisation",
}


def wanted(asked: Asked) -> list[str]:
    """Return the codes of a request that say what for: permissions, kinds of investigation, and codes not known."""
    return [code for code in asked.codes if code not in TERMS or TERMS[code].kind is not TermKind.MODIFIER]


def judge(code: str, asked: Asked, limits: DataUseLimits) -> Judged:
    """Return how one modifier judges a request, and why."""
    return _JUDGES[code](asked, limits)


def clinical_care(asked: Asked, codes: Sequence[str]) -> Judged:
    """Return whether use in clinical care, which a request asks for, is permitted."""
    if duo.CC in codes or duo.NRES in codes:
        return OK, "The dataset permits use in clinical care."
    return NO, "The request asks for use in clinical care, which the dataset does not permit."


def _not_for_profit(asked: Asked, limits: DataUseLimits) -> Judged:
    kind = asked.organisation_kind
    if kind is None:
        return REVIEW, "The request does not say what kind of organisation asks."
    if kind is OrganisationKind.FOR_PROFIT:
        return NO, f"{_KINDS[kind].capitalize()} asks; only public and not-for-profit ones may."
    return OK, f"{_KINDS[kind].capitalize()} asks."


def _not_commercial(asked: Asked, limits: DataUseLimits) -> Judged:
    if asked.commercial is None:
        return REVIEW, "The request does not say whether its use is commercial."
    if asked.commercial:
        return NO, "The request says that its use is commercial."
    if asked.organisation_kind is OrganisationKind.FOR_PROFIT:
        return (
            REVIEW,
            "A for-profit organisation says that its use is not commercial; a person has to see that.",
        )
    return OK, "The request says that its use is not commercial."


def _neither(asked: Asked, limits: DataUseLimits) -> Judged:
    found = (_not_for_profit(asked, limits), _not_commercial(asked, limits))
    worst = max(verdict for verdict, _ in found)
    return worst, " ".join(reason for verdict, reason in found if verdict is worst)


def _no_ancestry(asked: Asked, limits: DataUseLimits) -> Judged:
    return _forbids(each for each in wanted(asked) if within(each, duo.POA) or each == duo.POPULATION)


def _no_methods(asked: Asked, limits: DataUseLimits) -> Judged:
    verdict, reason = _forbids(each for each in wanted(asked) if each == duo.METHODS)
    if verdict is OK and OutputClass.MODEL_UPDATE in asked.output_classes:
        return (
            REVIEW,
            "The request would train a model; a person has to say whether that is method development.",
        )
    return verdict, reason


def _genetic(asked: Asked, limits: DataUseLimits) -> Judged:
    if duo.GENETIC in wanted(asked):
        return OK, "The request is for genetic research."
    return NO, "The request is not for genetic research."


def _kind_of_research(asked: Asked, limits: DataUseLimits) -> Judged:
    if not limits.research_types:
        return REVIEW, "The dataset does not say by code which research is permitted; its biobank has to."
    kinds = [each for each in wanted(asked) if each in TERMS and TERMS[each].kind is TermKind.INVESTIGATION]
    if not kinds:
        return REVIEW, f"The request names no kind of research; {named(limits.research_types)} is permitted."
    outside = [each for each in kinds if not any(within(each, one) for one in limits.research_types)]
    if outside:
        return NO, f"It is for {named(outside)}; only {named(limits.research_types)} is permitted."
    return OK, f"It is for {named(kinds)}, which is permitted."


def _published(asked: Asked, limits: DataUseLimits) -> Judged:
    if duo.PUB in asked.codes:
        return OK, "The requester agrees to publish the results."
    plans = any(each.kind is EvidenceKind.PUBLICATION_PLAN for each in asked.evidence)
    if asked.has_publication_plan or plans:
        return OK, "The request has a publication plan."
    return REVIEW, "The request neither agrees to publish the results nor has a publication plan."


def _returned(asked: Asked, limits: DataUseLimits) -> Judged:
    if duo.RTN in asked.codes:
        return OK, "The requester agrees to return derived data to the biobank."
    return REVIEW, f"The requester has yet to agree to return derived data (it would name {duo.RTN})."


def _collaboration(asked: Asked, limits: DataUseLimits) -> Judged:
    if not limits.collaborators:
        return REVIEW, "The dataset does not say with whom; collaboration with its biobank has to be agreed."
    keys = {_plain(each) for each in limits.collaborators}
    together = [each for each in asked.people if keys & {_plain(each.name), _plain(each.organisation)}]
    if together:
        return OK, f"Of the people named, {len(together)} are of those whom the dataset names."
    return REVIEW, f"Nobody of {_any(limits.collaborators)} is among the people named; it has to be agreed."


def _ethics(asked: Asked, limits: DataUseLimits) -> Judged:
    shown = [each for each in asked.evidence if each.kind is EvidenceKind.ETHICS_APPROVAL]
    if not shown:
        return REVIEW, "No ethics approval comes with the request."
    ends = [each.valid_until for each in shown if each.valid_until is not None]
    last = max(ends, default=None)
    if last is not None and asked.until is not None and last >= asked.until:
        return (
            OK,
            f"An ethics approval is valid until {_day(last)}, the data are wanted until {_day(asked.until)}.",
        )
    if len(ends) < len(shown) or last is None:
        return (
            REVIEW,
            "An ethics approval comes with the request; a person has to see until when it is valid.",
        )
    if last <= asked.now:
        return NO, f"The ethics approval ended on {_day(last)}."
    if asked.until is None:
        return REVIEW, f"The ethics approval ends on {_day(last)}; the request names no end."
    return REVIEW, f"The ethics approval ends on {_day(last)}, the data are wanted until {_day(asked.until)}."


def _geography(asked: Asked, limits: DataUseLimits) -> Judged:
    if not limits.countries:
        return REVIEW, "The dataset does not say which countries; its biobank has to."
    if asked.country is None:
        return REVIEW, f"The request names no country; {_any(limits.countries)} is permitted."
    if in_countries(asked.country, limits.countries):
        return OK, f"The requester is in {asked.country}; {_any(limits.countries)} is permitted."
    return NO, f"The requester is in {asked.country}; only {_any(limits.countries)} is permitted."


def _moratorium(asked: Asked, limits: DataUseLimits) -> Judged:
    month = limits.no_publication_before
    if month is None:
        return REVIEW, "The dataset does not say before when nothing may be published; its biobank has to."
    begins = datetime(int(month[:4]), int(month[5:]), 1, tzinfo=UTC)
    if asked.now >= begins:
        return OK, f"Results may be published since {month}."
    if duo.MOR in asked.codes:
        return OK, f"The requester agrees to publish nothing before {month}."
    return REVIEW, f"The requester has yet to agree to publish nothing before {month}."


def _time(asked: Asked, limits: DataUseLimits) -> Judged:
    if limits.months is None:
        return REVIEW, "The dataset does not say how long it may be used; its biobank has to."
    if asked.until is None:
        return REVIEW, f"The request names no end; {limits.months} months are permitted."
    latest = months_after(asked.now, limits.months)
    if asked.until <= latest:
        return OK, f"The data are wanted until {_day(asked.until)}; until {_day(latest)} is permitted."
    return NO, f"The data are wanted until {_day(asked.until)}; only until {_day(latest)} is permitted."


def _users(asked: Asked, limits: DataUseLimits) -> Judged:
    if not limits.users:
        return REVIEW, "The dataset does not say which users; its biobank has to."
    if asked.account is None:
        return REVIEW, "The request names no account that could be compared with the approved users."
    named_accounts = [asked.account, *(each.account for each in asked.people if each.account)]
    outside = [each for each in dict.fromkeys(named_accounts) if each not in limits.users]
    if outside:
        return NO, f"{_any(outside)} is not among the approved users."
    unknown = [each for each in asked.people if each.account is None]
    if unknown:
        return (
            REVIEW,
            f"{len(unknown)} of the people named have no account to compare with the approved users.",
        )
    return OK, "All who are named are approved users."


def _project(asked: Asked, limits: DataUseLimits) -> Judged:
    return _by_name(asked.project, limits.projects, what="project")


def _institution(asked: Asked, limits: DataUseLimits) -> Judged:
    verdict, reason = _by_name(asked.institution, limits.institutions, what="institution")
    others = [each for each in asked.people if _plain(each.organisation) not in _plains(limits.institutions)]
    if verdict is OK and others:
        return REVIEW, f"{reason} {len(others)} of the people named are of another institution."
    return verdict, reason


def _by_name(asked: str | None, allowed: Sequence[str], *, what: str) -> Judged:
    if not allowed:
        return REVIEW, f"The dataset does not say which {what}; its biobank has to."
    if asked is None:
        return REVIEW, f"The request names no {what}; {_any(allowed)} is permitted."
    if _plain(asked) in _plains(allowed):
        return OK, f"The {what} {asked} is permitted."
    return REVIEW, f"A person has to compare the {what} {asked} with {_any(allowed)}."


def _care(asked: Asked, limits: DataUseLimits) -> Judged:
    return OK, "It widens what is permitted: the data may be used in clinical care as well."


_JUDGES: Final[dict[str, Callable[[Asked, DataUseLimits], Judged]]] = {
    duo.NPU: _not_for_profit,
    duo.NCU: _not_commercial,
    duo.NPUNCU: _neither,
    duo.NPOA: _no_ancestry,
    duo.NMDS: _no_methods,
    duo.GSO: _genetic,
    duo.RS: _kind_of_research,
    duo.PUB: _published,
    duo.RTN: _returned,
    duo.COL: _collaboration,
    duo.IRB: _ethics,
    duo.GS: _geography,
    duo.MOR: _moratorium,
    duo.TS: _time,
    duo.US: _users,
    duo.PS: _project,
    duo.IS: _institution,
    duo.CC: _care,
}


def months_after(moment: datetime, months: int) -> datetime:
    """Return the same day some months later, or the last of that month.

    >>> months_after(datetime(2026, 1, 31, tzinfo=UTC), 1).date().isoformat()
    '2026-02-28'
    """
    years, month = divmod(moment.month - 1 + months, 12)
    year = moment.year + years
    day = min(moment.day, calendar.monthrange(year, month + 1)[1])
    return moment.replace(year=year, month=month + 1, day=day)


def _forbids(asked: Iterable[str]) -> Judged:
    found = list(asked)
    if found:
        return NO, f"It forbids {named(found)}, which the request asks for."
    return OK, "The request does not ask for what it forbids."


def _plains(names: Iterable[str]) -> frozenset[str]:
    return frozenset(_plain(each) for each in names)


def _plain(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def _any(names: Iterable[str]) -> str:
    return " or ".join(names)


def _day(moment: datetime) -> str:
    return moment.astimezone(UTC).date().isoformat()
