"""What the descriptions of collections lack, for their curators: worst fields first, and how each is mended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from fairbank.catalogue import curation
from fairbank.catalogue.context import Hub
from fairbank.catalogue.curation import Judged, Lack, Mend
from fairbank.database import reading
from fairbank.ontology.profiles.rows import NodeKind, Severity
from fairbank.ontology.stewardship import Stewardship
from fairbank.web.languages import mark
from fairbank.web.pages.page import Menu, Page
from fairbank.web.pages.visits import Visit

PATH: Final = "/quality"
_NAMED: Final = 12
_MENDS_ORDER: Final = tuple(Mend)
RULES: Final[dict[tuple[Severity, NodeKind], str]] = {
    (Severity.VIOLATION, NodeKind.IRI): mark("It has to be given, as an address."),
    (Severity.VIOLATION, NodeKind.LITERAL): mark("It has to be given, as a text or number."),
    (Severity.VIOLATION, NodeKind.EITHER): mark("It has to be given."),
    (Severity.WARNING, NodeKind.IRI): mark("It should be given, as an address."),
    (Severity.WARNING, NodeKind.LITERAL): mark("It should be given, as a text or number."),
    (Severity.WARNING, NodeKind.EITHER): mark("It should be given."),
}
MENDS: Final[dict[Mend, str]] = {
    Mend.CURATOR: mark("Say it in the file that describes the collection, and publish again."),
    Mend.SOURCE: mark(
        "It is read from the images or from XNAT: mend it there, then harvest and publish again."
    ),
    Mend.COMPUTED: mark("The node works it out: harvest and publish again with the newest version."),
    Mend.CONSTANT: mark("The hub writes it itself: tell the hub’s operator."),
    Mend.NOBODY: mark("The number is there and too small to be told: nothing is to be done."),
}


@dataclass(frozen=True, slots=True)
class Place:
    """A collection that lacks a field."""

    id: str
    title: str
    address: str


@dataclass(frozen=True, slots=True)
class Field:
    """A field that collections lack, once for all profiles that ask for it.

    Attributes:
        about: what the field is, in English, as the template of the curator's file says it.
        notes: what is wrong with values, in English.
        others: how many more collections lack it than are named.
    """

    name: str
    about: str
    properties: tuple[str, ...]
    required: bool
    rule: str
    most: int | None
    mend: str
    by_curator: bool
    notes: tuple[str, ...]
    profiles: tuple[str, ...]
    places: tuple[Place, ...]
    others: int


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection and how many fields it lacks; `mended` are those that it lacked a week ago."""

    id: str
    title: str
    address: str
    only: str
    version: int
    published: datetime
    required: int
    recommended: int
    mended: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Broken:
    """A record that no rule can be tried on, and why."""

    id: str
    version: int
    fault: str


@dataclass(frozen=True, slots=True)
class Quality:
    """`quality.html`.

    Attributes:
        only: the collection that the page is narrowed to; empty for all.
        waiting: collections that are judged when the page is asked for again.
        more: collections beyond what the page looks at.
    """

    now: datetime
    only: str
    commands: tuple[str, ...]
    collections: tuple[Collection, ...]
    fields: tuple[Field, ...]
    broken: tuple[Broken, ...]
    mended: int
    waiting: int
    more: int


def show(hub: Hub, visit: Visit) -> Quality:
    """Put the page together, of all collections that the reader looks after or of one of them."""
    with reading(hub.engine) as session:
        found = curation.review(session, hub, visit.account, now=visit.now)
    only = visit.asked.get("c", "")
    judged = [each for each in found.judged if only in ("", each.id)]
    whole = [each for each in judged if not each.fault]
    name = judged[0].dataset if judged else "NAME"
    return Quality(
        now=visit.now,
        only=only if judged else "",
        commands=(
            "fairbank dataset describe --template > description.toml",
            f"fairbank dataset describe {name} --from description.toml",
            f"fairbank harvest publish {name}",
        ),
        collections=tuple(sorted(map(_collection, whole), key=lambda x: (-x.required, -x.recommended, x.id))),
        fields=_fields(whole),
        broken=tuple(Broken(each.id, each.version, each.fault) for each in judged if each.fault),
        mended=sum(len(each.mended) for each in whole),
        waiting=found.waiting,
        more=found.more,
    )


def _collection(judged: Judged) -> Collection:
    return Collection(
        id=judged.id,
        title=judged.title,
        address=f"/collections/{judged.id}",
        only=f"{PATH}?{urlencode({'c': judged.id})}",
        version=judged.version,
        published=judged.published,
        required=judged.left(Severity.VIOLATION),
        recommended=judged.left(Severity.WARNING),
        mended=tuple(" ".join(part for part in reversed(key) if part) for key in judged.mended),
    )


def _fields(judged: Sequence[Judged]) -> tuple[Field, ...]:
    """Return the fields that are lacked: required before recommended, in each those that most collections lack."""
    lacks: dict[tuple[str, str], list[tuple[Judged, Lack]]] = {}
    for each in judged:
        for lack in each.lacks:
            lacks.setdefault(lack.key, []).append((each, lack))
    made = [_field(of) for of in lacks.values()]
    return tuple(
        sorted(made, key=lambda each: (not each.required, -len(each.places) - each.others, each.name))
    )


def _field(of: Sequence[tuple[Judged, Lack]]) -> Field:
    lacks = sorted((lack for _, lack in of), key=_rank)
    worst = lacks[0]
    where = {each.id: each for each, _ in of}
    described = (Stewardship.model_fields.get(name) for name in worst.field.split(", "))
    about = next((each.description for each in described if each is not None and each.description), "")
    return Field(
        name=worst.field or worst.path,
        about=about,
        properties=tuple(sorted({f"{lack.resource}: {lack.path}" for lack in lacks})),
        required=worst.severity is Severity.VIOLATION,
        rule=RULES[worst.severity, worst.kind],
        most=worst.most,
        mend=MENDS[worst.mend],
        by_curator=worst.mend is Mend.CURATOR,
        notes=tuple(sorted({lack.note for lack in lacks if lack.note})),
        profiles=tuple(sorted({lack.profile for lack in lacks})),
        places=tuple(
            Place(name, where[name].title, f"/collections/{name}") for name in sorted(where)[:_NAMED]
        ),
        others=max(0, len(where) - _NAMED),
    )


def _rank(lack: Lack) -> tuple[bool, int, str, str]:
    return lack.severity is not Severity.VIOLATION, _MENDS_ORDER.index(lack.mend), lack.profile, lack.path


PAGE = Page(name="quality", path=PATH, context=Quality, show=show, menu=Menu(mark("Quality"), 60))
