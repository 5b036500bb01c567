"""One biobank: whether it answers, what it published when, and which key it signs with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from fairbank.catalogue import latest, nodes
from fairbank.catalogue.context import Hub
from fairbank.database import reading
from fairbank.web.pages.nodes import Biobank, biobank
from fairbank.web.pages.page import Page
from fairbank.web.pages.visits import Visit
from fairbank.web.problems import NoSuchPage

_MOST: Final = 50


@dataclass(frozen=True, slots=True)
class Publication:
    """A version of a collection that came from the node; `before` is None where the collection was new."""

    address: str
    title: str
    version: int
    before: int | None
    received: datetime


@dataclass(frozen=True, slots=True)
class Node:
    """`node.html`."""

    node: Biobank
    now: datetime
    enrolled: datetime
    key: str
    published: tuple[Publication, ...]


def show(hub: Hub, visit: Visit) -> Node:
    """Put the page together."""
    name = visit.given["node"]
    with reading(hub.engine) as session:
        entry = next((each for each in nodes.listing(session) if each.name == name), None)
        if entry is None:
            raise NoSuchPage("There is no such node.", why="None has this name.", todo="See /nodes.")
        rows = latest.latest_of(session, name, visit.who, limit=_MOST)
    published = tuple(
        Publication(
            f"/collections/{name}/{row['dataset']}",
            row["title"],
            row["version"],
            row["before"],
            row["received"],
        )
        for row in rows
    )
    newest = published[0].received if published else None
    return Node(biobank(entry, visit.now, newest), visit.now, entry.enrolled, entry.key_id, published)


PAGE = Page(name="node", path="/nodes/{node}", context=Node, show=show)
