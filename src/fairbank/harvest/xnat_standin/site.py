"""How the whole stand-in behaves: its users and their rights, its script, how it pages, and what was asked of it."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from fairbank.clock import Clock, SystemClock
from fairbank.harvest.xnat_standin.about import Accessibility, Script
from fairbank.harvest.xnat_standin.model import Project

_FIRST_PAGE = 100


@dataclass(frozen=True, slots=True)
class User:
    """Somebody with a login.

    Attributes:
        projects: what this user is a member of; None for everything.
        hidden_types: session types that the user's role does not show, such as `xnat:mrSessionData`.
        stores: whether the user may import into the projects.
    """

    name: str
    password: str
    projects: frozenset[str] | None = None
    hidden_types: frozenset[str] = frozenset()
    stores: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that came in."""

    method: str
    path: str
    query: str
    at: datetime


@dataclass(slots=True)
class Site:
    """What is true of the archive as a whole.

    Attributes:
        users: who may log in.
        zone: the time zone in which stamps are written, without saying so.
        clock: tells when a session ends, and when a request came.
        seed: rows of each answer come in an order that this seed shuffles anew per request; None keeps them sorted.
        star: whether `limit=*` is understood.
        page_cap: the most rows of one page, whatever is asked for.
        always_pages: whether rows come in pages also where none were asked for.
        guests: whether a request without a login is answered as a guest's, who sees what is public.
        hidden_status: what a project answers that the user may not read: 404 or 403.
        anonymisation: the site's script.
        log: every request, in order.
    """

    users: tuple[User, ...]
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("Europe/Berlin"))
    clock: Clock = field(default_factory=SystemClock)
    seed: int | None = None
    star: bool = True
    page_cap: int | None = None
    always_pages: bool = False
    guests: bool = False
    hidden_status: int = 404
    anonymisation: Script = field(default_factory=Script)
    log: list[Asked] = field(default_factory=list)
    _closed: set[str] = field(default_factory=set)
    _requests: int = 0

    def make_private(self, project: str) -> None:
        """Take a project away from all but its owner, who is nobody here: as its curator can at any time."""
        self._closed.add(project)

    def open_again(self, project: str) -> None:
        """Give a project back to its members."""
        self._closed.discard(project)

    def reads(self, user: User, project: Project) -> bool:
        """Tell whether a user may read what is in a project."""
        if project.id in self._closed:
            return False
        member = user.projects is None or project.id in user.projects
        return member or project.about.accessibility is Accessibility.PUBLIC

    def sees(self, user: User, project: Project) -> bool:
        """Tell whether a user is told that a project is there: also if it is protected."""
        if project.id in self._closed:
            return False
        return self.reads(user, project) or project.about.accessibility is Accessibility.PROTECTED

    def order(self) -> random.Random | None:
        """Return what shuffles the rows of one answer, None if they stay sorted."""
        self._requests += 1
        return random.Random(self.seed * 1_000_003 + self._requests) if self.seed is not None else None  # noqa: S311

    def window(self, limit: str | None, offset: str | None) -> slice | None:
        """Return which rows a query's page holds, None for all.

        Raises:
            ValueError: if the page is asked for in a way that is not understood.
        """
        if limit is None and offset is None and not self.always_pages:
            return None
        if limit == "*":
            if not self.star:
                raise ValueError(limit)
            return None
        start, length = int(offset or 0), int(limit or _FIRST_PAGE)
        return slice(start, start + (length if self.page_cap is None else min(length, self.page_cap)))
