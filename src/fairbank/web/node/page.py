"""What a page of a node is, and the visit of one."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from starlette.responses import Response

from fairbank.web.languages import Tongue
from fairbank.web.node.desk import Desk, Sitting
from fairbank.web.pages.page import Menu
from fairbank.web.pages.visits import Fields, Theme


@dataclass(frozen=True, slots=True)
class Visit:
    """A visit of a page of a node; the fields are those of a visit of the hub.

    Attributes:
        account: the session.
        given: the parameters in the path.
        asked: those behind the `?`.
        typed: what to put back into the fields of a form.
    """

    account: Sitting
    tongue: Tongue
    now: datetime
    path: str
    theme: Theme = Theme.AUTO
    given: Mapping[str, str] = field(default_factory=dict)
    asked: Fields = field(default_factory=Fields)
    form: Fields = field(default_factory=Fields)
    typed: Fields = field(default_factory=Fields)


@dataclass(frozen=True, slots=True)
class NodePage:
    """A page of a node; who sits at the desk may see it.

    Attributes:
        name: names its template, `NAME.html`.
        context: the frozen dataclass that the template gets as `page`.
        show: puts the context together, or answers by itself (a picture).
        acts: what its forms do, by the word in their field `act`.
    """

    name: str
    path: str
    context: type
    show: Callable[[Desk, Visit], Any]
    acts: Mapping[str, Callable[[Desk, Visit], Response | Any]] = field(default_factory=dict)
    menu: Menu | None = None


@lru_cache(maxsize=1)
def pages() -> tuple[NodePage, ...]:
    """Return all pages of a node: of every module of `pages` its `PAGE` or `PAGES`; plain addresses first."""
    found: list[NodePage] = []
    for module in pkgutil.iter_modules([str(Path(__file__).parent / "pages")]):
        named = importlib.import_module(f"fairbank.web.node.pages.{module.name}")
        found += [named.PAGE] if hasattr(named, "PAGE") else []
        found += getattr(named, "PAGES", ())
    return tuple(sorted(found, key=lambda page: (page.path.count("{"), page.path)))


def menu() -> list[tuple[str, str]]:
    """Return address and text of what stands in the menu."""
    standing = sorted((page.menu.place, page.path, page.menu.text) for page in pages() if page.menu)
    return [(path, text) for _, path, text in standing]
