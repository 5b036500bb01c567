"""The elements of a page without its texts: two pages with the same are made of the same markup."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

# Texts in pictures break by their width, so there only the kinds of elements and attributes count.
_SKELETONS = """(texts) => texts.map((text) => {
  const found = new DOMParser().parseFromString(text, 'text/html');
  const named = (each) => `${each.tagName}[${each.getAttributeNames().sort()}]`;
  const lines = [], drawn = new Set();
  for (const each of found.querySelectorAll('*')) {
    const of = each.closest('svg');
    if (of && of !== each) drawn.add(named(each)); else lines.push(named(each));
  }
  const values = [...found.querySelectorAll('input, [title], [aria-label], [alt], [content]')]
    .flatMap((each) => each.getAttributeNames().map((name) => each.getAttribute(name)));
  return {lines: [...lines, ...[...drawn].sort()], said: found.documentElement.textContent + ' ' + values.join(' ')};
})"""


def skeletons(tab: Any, pages: Sequence[str]) -> list[tuple[list[str], str]]:
    """Return of each page its elements with the names of their attributes, and all that it says.

    Args:
        tab: shows no page of ours: a policy of Trusted Types would forbid to parse.
    """
    found = tab.evaluate(_SKELETONS, list(pages))
    return [(each["lines"], each["said"]) for each in found]


def difference(one: list[str], other: list[str]) -> str:
    """Return where two skeletons part, empty if they do not."""
    if one == other:
        return ""
    at = next((at for at, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), -1)
    return f"{len(one)} and {len(other)} elements; at {at}: {one[at : at + 4]} and {other[at : at + 4]}"
