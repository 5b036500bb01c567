"""Rules of what is granted: it never exceeds what was asked for, and a later version concerns only what it changes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import reduce
from typing import TypeVar

from fairbank.catalogue.errors import DecisionRefused
from fairbank.catalogue.governance.terms import Terms
from fairbank.clock import parse_iso
from fairbank.ontology.outputs import OutputClass
from fairbank.ontology.signed_objects import GrantedDataset, Request, narrows

T = TypeVar("T", str, OutputClass)

# What changes nothing for a dataset: names of the version itself, its title, what else is asked for, and her key,
# which the hub has registered for the same person. `until` and `output_classes` are compared by themselves.
_INDIFFERENT = frozenset(
    {
        "id",
        "version",
        "amends",
        "title",
        "datasets",
        "minimum_datasets",
        "created",
        "requester_key",
        "until",
        "output_classes",
    }
)


def concerns(before: Request, after: Request) -> bool:
    """Tell whether a later version has to be decided about again; one that asks for less, or the same, has not."""
    kept = {key for key in Request.model_fields if key not in _INDIFFERENT}
    if any(getattr(before, key) != getattr(after, key) for key in kept):
        return True
    more = set(after.output_classes) - set(before.output_classes)
    return bool(more) or parse_iso(after.until) > parse_iso(before.until)


def check_terms(terms: Terms, request: Request, *, now: datetime) -> None:
    """Refuse terms that end too soon or too late, or give more than was asked for.

    Raises:
        DecisionRefused: saying which.
    """
    if not now < parse_iso(terms.until) <= parse_iso(request.until):
        raise DecisionRefused(
            "The approval's end is past, or later than was asked for.",
            why="A grant ends by itself, and never gives more than the requester asked for.",
            todo=f"Name an end after now and not after {request.until}.",
        )
    if set(terms.output_classes) - set(request.output_classes):
        raise DecisionRefused(
            "The terms name an output class that was not asked for.",
            why="A grant never gives more than the requester asked for.",
            todo="Name only: " + ", ".join(each.value for each in request.output_classes) + ".",
        )


def cut(terms: Terms, request: Request) -> Terms:
    """Return terms with whatever exceeds a request taken away."""
    asked = request.output_classes
    classes = tuple(each for each in terms.output_classes if each in asked) if terms.output_classes else ()
    until = min(terms.until, request.until, key=parse_iso)
    return terms.model_copy(update={"until": until, "output_classes": classes or asked})


def combined(decided: Iterable[Terms]) -> Terms:
    """Return the terms of several stages as one: what all of them allow, and the conditions of each.

    Raises:
        DecisionRefused: if nothing is allowed by all of them.
    """
    return reduce(_both, decided)


def granted_dataset(iri: str, terms: Terms, request: Request) -> GrantedDataset:
    """Return what a visa says of a dataset."""
    within = cut(terms, request)
    return GrantedDataset(
        iri=iri,
        selector=within.selector,
        output_classes=within.output_classes,
        tool_digests=within.tool_digests,
        tool_families=within.tool_families,
        conditions=within.conditions,
        maximum_runs=within.maximum_runs,
        expires=within.until,
    )


def _both(one: Terms, other: Terms) -> Terms:
    # An empty list stands for everything, so one that becomes empty must not.
    if one.agreement is not None and other.agreement not in (None, one.agreement):
        # One document is countersigned by one person: the earlier stage's would silently be left out.
        raise _nothing_left("agreement")
    narrower = other.selector if narrows(other.selector, one.selector) else one.selector
    if not narrows(narrower, other.selector):
        raise _nothing_left("selection")
    return other.model_copy(
        update={
            "until": min(one.until, other.until, key=parse_iso),
            "maximum_runs": min(one.maximum_runs, other.maximum_runs),
            "selector": narrower,
            "output_classes": _shared(one.output_classes, other.output_classes, "output class"),
            "tool_digests": _shared(one.tool_digests, other.tool_digests, "tool"),
            "tool_families": _shared(one.tool_families, other.tool_families, "family of tools"),
            "conditions": (
                *one.conditions,
                *(each for each in other.conditions if each not in one.conditions),
            ),
            "agreement": other.agreement or one.agreement,
        }
    )


def _shared(one: tuple[T, ...], other: tuple[T, ...], what: str) -> tuple[T, ...]:
    if not one or not other:
        return one or other
    both = tuple(each for each in one if each in other)
    if not both:
        raise _nothing_left(what)
    return both


def _nothing_left(what: str) -> DecisionRefused:
    return DecisionRefused(
        f"The stages of the review allow no {what} in common.",
        why="What one stage allows and another does not is not granted.",
        todo="Propose terms that lie within those of the stage before.",
    )
