"""What a page is: its address, what it shows, who may see it, and which formats of its address are another route's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.responses import Response

from fairbank.catalogue import negotiation, permissions
from fairbank.catalogue.accounts import Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.permissions import Action
from fairbank.web.pages.visits import Visit

# What a route that stands at the address of a page answers in place of the page.
GRAPHS: Final = negotiation.GRAPH_FORMATS
JSON_AND_GRAPHS: Final = (negotiation.JSON, *GRAPHS)


class Once(str):
    """A token that a form of a page carries and that works once; it is in no JSON and in no ETag."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Menu:
    """The place of a page in the menu: the least comes first.

    Attributes:
        foremost: for whom it comes after the first page at once, because she has little else to do here.
    """

    text: str
    place: int
    foremost: Role | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the hub.

    Attributes:
        name: names its template, `NAME.html`.
        path: as the route writes it. Who may see it is what `permissions.ROUTES` says of it, and nothing else.
        context: the frozen dataclass that the template gets as `page`.
        show: puts the context together. Not found and not allowed it says by raising: any error of kind NOT_FOUND or
            FORBIDDEN becomes the same page.
        acts: what the forms of the page do, by the word in their field `act`; each returns an answer (usually
            `visits.to(address)`), or a context, which is shown at this address.
        parts: ids of the pieces that are given alone; a piece is the template's block `part_ID`.
        elsewhere: media types that a route standing at this address answers; without JSON among them, the page has a
            twin of its own in JSON, made of its context.
        menu: where it is in the menu, if it is.
        takes_files: whether its forms may carry a file, which `Visit.file` then has.
        development: whether it is served only where the setting `hub_development` is on.
    """

    name: str
    path: str
    context: type
    show: Callable[[Hub, Visit], Any]
    acts: Mapping[str, Callable[[Hub, Visit], Response | Any]] = field(default_factory=dict)
    parts: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    menu: Menu | None = None
    development: bool = False
    takes_files: bool = False

    @property
    def action(self) -> Action | None:
        """Return what one does by looking at it; the table of permissions says who may."""
        return permissions.action_of("GET", self.path)

    @property
    def has_own_twin(self) -> bool:
        """Tell whether its JSON is made of its context."""
        return negotiation.JSON not in self.elsewhere
