"""What differs between two versions of a request, and which of its datasets that concerns.

Asking for more, or for something else, has to be decided again; asking for less, for other datasets or under another
title has not. This is pure: the two sealed requests are all that is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from fairbank.ontology.signed_objects import Evidence, Person, Request


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that differs.

    Attributes:
        field: its name in the request.
        before, after: what the versions say, as lines for people.
        asks_more: whether committees have to decide about it again.
    """

    field: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    asks_more: bool


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs between two versions.

    Attributes:
        overall: what holds for every dataset.
        added, removed: datasets that only the newer, or only the older version names.
        kept: datasets that both name.
    """

    overall: tuple[Change, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    kept: tuple[str, ...]

    @property
    def nothing(self) -> bool:
        """Tell whether the two say the same."""
        return not (self.overall or self.added or self.removed)

    @property
    def concerned(self) -> frozenset[str]:
        """Return the datasets about which a committee has to decide: the added ones, and all if more is asked."""
        again = self.kept if any(change.asks_more for change in self.overall) else ()
        return frozenset((*self.added, *again))


def compare(old: Request, new: Request) -> Changes:
    """Return what differs between two versions of one request."""
    before, after = set(old.datasets), set(new.datasets)
    return Changes(
        overall=tuple(_overall(old, new)),
        added=tuple(sorted(after - before)),
        removed=tuple(sorted(before - after)),
        kept=tuple(sorted(before & after)),
    )


def sentences(changes: Changes) -> list[str]:
    """Return the difference as lines for people, what asks for more first."""
    told = [f"asks also for {iri}" for iri in changes.added]
    for change in sorted(changes.overall, key=lambda each: (not each.asks_more, each.field)):
        told.append(f"{change.field}: {_line(change.before)} → {_line(change.after)}")
    return told + [f"asks no longer for {iri}" for iri in changes.removed]


def _overall(old: Request, new: Request) -> Iterable[Change]:
    for name, lines, asks_more in _FIELDS:
        before, after = lines(old), lines(new)
        if before != after:
            yield Change(name, before, after, asks_more(before, after))


def _line(lines: tuple[str, ...]) -> str:
    return "; ".join(lines) or "nothing"


def _always(before: tuple[str, ...], after: tuple[str, ...]) -> bool:
    return True


def _never(before: tuple[str, ...], after: tuple[str, ...]) -> bool:
    return False


def _more(before: tuple[str, ...], after: tuple[str, ...]) -> bool:
    return bool(set(after) - set(before))


def _later(before: tuple[str, ...], after: tuple[str, ...]) -> bool:
    # Moments are written so that their texts sort as they do.
    return after > before


def _document(evidence: Evidence) -> str:
    where = ", ".join(part for part in (evidence.reference, evidence.digest) if part)
    until = f", valid until {evidence.valid_until}" if evidence.valid_until else ""
    return f"{evidence.kind.value}: {evidence.title} ({where}{until})"


def _person(person: Person) -> str:
    account = f", account {person.account}" if person.account else ""
    return f"{person.name}, {person.organisation}, {person.role}{account}"


def _said(value: str | None) -> tuple[str, ...]:
    return () if value is None else (value,)


_Lines = Callable[[Request], tuple[str, ...]]
_Judge = Callable[[tuple[str, ...], tuple[str, ...]], bool]
# Field, what a version says of it, and when that has to be decided again. Less counts as something else where a
# committee may have relied on it: a document, a person, a source of money.
_FIELDS: tuple[tuple[str, _Lines, _Judge], ...] = (
    ("title", lambda it: (it.title,), _never),
    ("requester_key", lambda it: (it.requester_key,), _never),
    ("key_kept_by", lambda it: _said(it.key_kept_by.value if it.key_kept_by else None), _never),
    ("minimum_datasets", lambda it: (str(it.minimum_datasets),), _never),
    ("output_classes", lambda it: tuple(sorted({each.value for each in it.output_classes})), _more),
    ("until", lambda it: (it.until,), _later),
    ("requester_account", lambda it: (it.requester_account,), _always),
    ("organisation", lambda it: (it.organisation,), _always),
    (
        "organisation_kind",
        lambda it: _said(it.organisation_kind.value if it.organisation_kind else None),
        _always,
    ),
    ("country", lambda it: _said(it.country), _always),
    ("project", lambda it: _said(it.project), _always),
    ("data_use", lambda it: it.purpose.data_use, _always),
    ("diseases", lambda it: it.purpose.diseases, _always),
    ("commercial", lambda it: (str(it.purpose.commercial).lower(),), _always),
    ("statement", lambda it: (it.purpose.statement,), _always),
    ("people", lambda it: tuple(map(_person, it.people)), _always),
    ("evidence", lambda it: tuple(map(_document, it.evidence)), _always),
    ("funding", lambda it: it.funding, _always),
    ("publication_plan", lambda it: _said(it.publication_plan), _always),
)
