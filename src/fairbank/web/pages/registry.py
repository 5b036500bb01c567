"""All pages of the hub: every module beside this one that has a `PAGE`. A new page needs no line anywhere else."""

from __future__ import annotations

import importlib
import pkgutil
from functools import lru_cache
from pathlib import Path

from fairbank.catalogue.accounts import Account
from fairbank.catalogue.permissions import Action, allow
from fairbank.web.pages.page import Menu, Page

# Behind the home page.
_FOREMOST = 15


@lru_cache(maxsize=1)
def pages() -> tuple[Page, ...]:
    """Return all pages, those without parameters in their address first: an address is compared with one after another.

    Raises:
        ValueError: if two have one name or address.
    """
    found: list[Page] = []
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        page = getattr(importlib.import_module(f"fairbank.web.pages.{module.name}"), "PAGE", None)
        if isinstance(page, Page):
            found.append(page)
    for names in ([page.name for page in found], [page.path for page in found]):
        if len(set(names)) != len(names):
            raise ValueError(f"two pages have one name or address: {sorted(names)}")
    return tuple(sorted(found, key=lambda page: (page.path.count("{"), page.path)))


def menu(who: Account | None) -> list[tuple[str, str]]:
    """Return address and text of what stands in somebody's menu: what she may look at."""
    standing = [(page.path, page.menu, page.action) for page in pages() if page.menu is not None]
    shown = [
        (_place(item, who), path, item.text)
        for path, item, action in standing
        if action is not None and (action is Action.PUBLIC or allow(who, action))
    ]
    return [(path, text) for _, path, text in sorted(shown)]


def _place(item: Menu, who: Account | None) -> int:
    return _FOREMOST if who is not None and item.foremost in who.roles else item.place
