"""The help page: whom to ask, how things are done here, and what every state means."""

from __future__ import annotations

from dataclasses import dataclass

from fairbank.catalogue.context import Hub
from fairbank.web.languages import mark
from fairbank.web.pages.page import Page
from fairbank.web.pages.visits import Visit
from fairbank.web.state_table import STATES
from fairbank.web.state_words import StateWords

# What the machines are called, in the order of a project.
MACHINES = {
    "request": mark("A request for access"),
    "leg": mark("One collection of a request"),
    "job": mark("A job"),
    "site": mark("A job at one biobank"),
    "round": mark("A round of a training"),
    "output": mark("A result at a biobank, before it leaves"),
    "ledger": mark("A line of what left a biobank"),
    "model": mark("A model"),
    "tool": mark("A tool"),
    "count": mark("A live count at a biobank"),
    "overlap": mark("A count of subjects that two biobanks share"),
    "described": mark("A description that people wrote here"),
    "harvest": mark("A reading of an archive"),
    "item": mark("An item of an archive"),
}


@dataclass(frozen=True, slots=True)
class Machine:
    """The states of one kind of thing."""

    key: str
    name: str
    states: tuple[StateWords, ...]


@dataclass(frozen=True, slots=True)
class Help:
    """`help.html`."""

    contact: str
    base_iri: str
    machines: tuple[Machine, ...]


def show(hub: Hub, visit: Visit) -> Help:
    """Put the page together."""
    machines = tuple(Machine(key, name, tuple(STATES[key].values())) for key, name in MACHINES.items())
    return Help(hub.settings.hub_contact, hub.base_iri, machines)


PAGE = Page(name="help", path="/help", context=Help, show=show)
