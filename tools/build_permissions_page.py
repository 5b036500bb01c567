"""Write docs/reference/permissions.md from the table of who may do what at a hub.

    .venv/bin/python tools/build_permissions_page.py

A test compares the page with what this would write.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fairbank.catalogue.permissions import ROUTES, RULES, Action

TARGET = Path(__file__).resolve().parent.parent / "docs" / "reference" / "permissions.md"

_HEAD = """\
# Permissions

Generated from the code by `tools/build_permissions_page.py`; change `catalogue/permissions.py` instead.

What is not in these tables nobody may, and a hub does not begin with a route that none of them is about. What belongs
to somebody is narrowed further by whose it is: a request by the parts that people have in it, a job by its owner.

## Who may do what

*Token*: what a limited token must be good for. Tokens never reach further than their account.

| Action | Roles | Token |
|---|---|---|
"""
_ROUTES = """
## What one does by which address

The first line that fits counts. Methods and addresses are regular expressions; an address is written as its route
writes it, and of a route of commands with the command in its place.

| Methods | Address | Action |
|---|---|---|
"""


def page() -> str:
    """Return the page."""
    return _HEAD + "".join(_rules()) + _ROUTES + "".join(_routes())


def _rules() -> Iterator[str]:
    for action in Action:
        if action is Action.PUBLIC:
            yield f"| `{action}` | everybody | – |\n"
        elif action is Action.NODE:
            yield f"| `{action}` | no account: an enrolled node, by its signature | – |\n"
        else:
            rule = RULES[action]
            roles = "any account" if rule.roles is None else ", ".join(sorted(rule.roles))
            of_node = "".join(f", {role} of the node" for role in sorted(rule.at_node))
            yield f"| `{action}` | {roles}{of_node} | `{rule.token}` |\n"


def _routes() -> Iterator[str]:
    for methods, address, action in ROUTES:
        yield f"| {_code(methods)} | {_code(address)} | `{action}` |\n"


def _code(pattern: str) -> str:
    return "`" + pattern.replace("|", "\\|") + "`"


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")
