"""The biobanks that take part: when each was last heard of and last published."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from fairbank.catalogue import latest, nodes
from fairbank.catalogue.context import Hub
from fairbank.catalogue.negotiation import JSON
from fairbank.catalogue.nodes import NodeEntry
from fairbank.database import reading
from fairbank.web.languages import mark
from fairbank.web.pages.page import Menu, Page
from fairbank.web.pages.visits import Visit
from fairbank.web.silence import SILENT_AFTER


@dataclass(frozen=True, slots=True)
class Biobank:
    """A node in a line; `published` is None where nothing of it can be seen."""

    name: str
    title: str
    country: str
    collections: int
    last_seen: datetime
    silent: bool
    suspended: bool
    published: datetime | None


@dataclass(frozen=True, slots=True)
class Nodes:
    """`nodes.html`."""

    nodes: tuple[Biobank, ...]


def show(hub: Hub, visit: Visit) -> Nodes:
    """Put the page together."""
    with reading(hub.engine) as session:
        found = []
        for node in nodes.listing(session):
            newest = latest.latest_of(session, node.name, visit.who, limit=1)
            found.append(biobank(node, visit.now, newest[0]["received"] if newest else None))
    return Nodes(tuple(found))


def biobank(node: NodeEntry, now: datetime, published: datetime | None) -> Biobank:
    """Return a node in a line."""
    return Biobank(
        name=node.name,
        title=node.title or node.name,
        country=node.country or "",
        collections=node.datasets,
        last_seen=node.last_seen,
        silent=now - node.last_seen > SILENT_AFTER,
        suspended=node.suspended is not None,
        published=published,
    )


PAGE = Page(
    name="nodes", path="/nodes", context=Nodes, show=show, elsewhere=(JSON,), menu=Menu(mark("Biobanks"), 30)
)
