"""What is asked of a page that is open in a browser, whoever serves it."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from fairbank.web.languages import messages_of

NARROW = {"width": 320, "height": 800}
WIDE = {"width": 1280, "height": 900}
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
_PARTS_OF_A_DATE = 4
OF_COLOURS = {"runOnly": ["color-contrast"]}
# A selector that nobody reads is made for no element.
_TOLD = {"resultTypes": ["violations"], "selectors": False}


@lru_cache(maxsize=1)
def _axe() -> str:
    import axe_playwright_python

    return (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")


def violations(tab: Any, options: dict[str, Any]) -> list[tuple[str, str]]:
    """Return which rules of axe a page breaks, each with the first element that does."""
    if not tab.evaluate("typeof window.axe === 'object'"):
        tab.evaluate(_axe())
    found = tab.evaluate(
        "(options) => axe.run(document, {...options, resultTypes: ['violations'], selectors: false})", options
    )
    return [(each["id"], each["nodes"][0]["html"][:200]) for each in found["violations"]]


def small_targets(tab: Any) -> list[str]:
    """Return what is smaller than 24 px; links in a sentence may be (WCAG 2.5.8)."""
    found: list[str] = tab.evaluate(_SMALL_TARGETS)
    return found


@lru_cache(maxsize=1)
def _words_of_charts() -> tuple[str, ...]:
    """Return what charts say in English, without what is put in; short words may be somebody's data."""
    said = [str(message.id) for name, message in messages_of("de") if name == "charts"]
    pieces = (piece.strip(" .,:;()") for text in said for piece in re.split(r"%\(\w+\)s", text))
    return tuple(sorted({piece for piece in pieces if " " in piece and len(piece) > 8}))


def untranslated_in_charts(tab: Any) -> list[str]:
    """Return what charts of a page in the long language say in English."""
    charts = tab.locator(".c-figure").all_text_contents()
    found = [words for words in _words_of_charts() for text in charts if words in " ".join(text.split())]
    return found + [text[:80] for text in charts if "[" not in text]


def badly_focused(tab: Any) -> list[str]:
    """Return what gets the focus by Tab and cannot be seen then: without a ring, or under something (2.4.11)."""
    # From here on the browser shows who has the focus, as it does for somebody at the keyboard.
    tab.keyboard.press("Tab")
    found: list[str] = tab.evaluate(_BADLY_FOCUSED)
    return found


def tab_through(tab: Any, most: int = 400) -> list[str]:
    """Press Tab until the page is left again, and return what had the focus.

    Raises:
        AssertionError: if something holds the focus.
    """
    tab.evaluate("document.activeElement && document.activeElement.blur()")
    seen: list[str] = []
    held = 0
    for _ in range(most):
        tab.keyboard.press("Tab")
        at = tab.evaluate(_FOCUSED)
        if at == "":
            return seen
        # A field for a date has a part each for day, month, year and the calendar.
        held = held + 1 if seen and at == seen[-1] else 0
        assert held < (_PARTS_OF_A_DATE if 'type="date"' in at else 1), f"Tab does not leave {at}"
        if seen and at == seen[0]:
            return seen
        seen.append(at)
    raise AssertionError(f"after {most} times Tab the page is not left; the last: {seen[-3:]}")


def badly_printed(tab: Any) -> list[str]:
    """Return what paper would lack of a page that is made to be printed: its head, folded parts, addresses."""
    tab.emulate_media(media="print")
    found: list[str] = tab.evaluate(_BADLY_PRINTED)
    return found


def shown_on_paper(tab: Any) -> list[str]:
    """Return the elements of a page that paper would show."""
    tab.emulate_media(media="print")
    found: list[str] = tab.evaluate(
        "[...document.body.querySelectorAll('*')].filter((each) => each.checkVisibility())"
        ".map((each) => each.outerHTML.slice(0, 80))"
    )
    return found


# Of each element its place in the page, so that two that look the same are two.
_FOCUSED = """() => {
  const at = document.activeElement;
  if (!at || at === document.body || at === document.documentElement) return '';
  return [...document.querySelectorAll('*')].indexOf(at) + ' ' + at.outerHTML.slice(0, 80);
}"""

# Buttons, fields and links that stand alone are 24 px high at least; links in a sentence may be smaller (WCAG 2.5.8).
_SMALL_TARGETS = """() => {
  const all = 'button, input:not([type=hidden]), select, textarea, summary, nav a, footer a, .button';
  const alone = (each) => each.getClientRects().length && !each.closest('.unseen, .skip');
  const box = (each) => (each.closest('label') || each).getBoundingClientRect();
  return [...document.querySelectorAll(all)].filter(alone)
    .filter((each) => box(each).height < 24 || box(each).width < 24)
    .map((each) => each.outerHTML.slice(0, 80));
}"""

_BADLY_FOCUSED = """() => {
  const wrong = [];
  const all = 'a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex="0"]';
  const within = (value, most) => Math.min(Math.max(value, 1), most - 2);
  for (const each of document.querySelectorAll(all)) {
    if (each.disabled || !each.checkVisibility({visibilityProperty: true})) continue;
    each.focus();
    if (document.activeElement !== each) continue;
    // As the browser does for Tab, but at once.
    each.scrollIntoView({block: 'nearest', inline: 'nearest', behavior: 'instant'});
    const say = (what) => wrong.push(what + ': ' + each.outerHTML.slice(0, 100));
    if (!each.matches(':focus-visible')) { say('not shown as focused'); continue; }
    const look = getComputedStyle(each);
    const ring = look.outlineStyle !== 'none' && parseFloat(look.outlineWidth) >= 2;
    if (!ring && look.boxShadow === 'none') say('no ring');
    const boxes = [...each.getClientRects()].filter((one) => one.width > 2 && one.height > 2
      && one.bottom > 0 && one.top < innerHeight && one.right > 0 && one.left < innerWidth);
    if (!boxes.length) { say('out of sight'); continue; }
    const labels = [...(each.labels || [])];
    const seen = (one, x, y) => {
      const there = document.elementFromPoint(
        within(one.left + one.width * x, innerWidth), within(one.top + one.height * y, innerHeight));
      return there && (each.contains(there) || there.contains(each) || labels.some((label) => label.contains(there)));
    };
    const spots = [[.5, .5], [.1, .2], [.9, .8]];
    if (!boxes.some((one) => spots.some(([x, y]) => seen(one, x, y)))) say('covered');
  }
  return wrong;
}"""

_BADLY_PRINTED = """() => {
  const wrong = [], say = (what, each) => wrong.push(what + ': ' + each.outerHTML.slice(0, 100));
  const head = document.querySelector('.printed');
  const {backgroundColor: ground, color: ink} = getComputedStyle(document.body);
  if (ground !== 'rgb(255, 255, 255)' || ink !== 'rgb(0, 0, 0)') wrong.push(`not black on white: ${ink} on ${ground}`);
  if (!head || !head.checkVisibility()) wrong.push('no head');
  for (const each of document.querySelectorAll('header.top, footer.bottom, form, button')) {
    if (each.checkVisibility()) say('of no use on paper', each);
  }
  for (const each of document.querySelectorAll('main details')) {
    if (!each.checkVisibility()) continue;
    const within = [...each.children].find((one) => one.tagName !== 'SUMMARY' && one.tagName !== 'FORM');
    if (within && !within.getBoundingClientRect().height) say('folded', each);
  }
  for (const each of document.querySelectorAll('main a[href^="http"]')) {
    if (!each.checkVisibility()) continue;
    if (!getComputedStyle(each, '::after').content.includes(each.getAttribute('href'))) say('no address', each);
  }
  return wrong;
}"""
