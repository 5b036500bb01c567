"""What every chart is: one picture with a title, a description and the table of its numbers, in three outputs.

- `Figure.inline` for pages: the picture and its table as one `<figure>`. It has classes only: no style, no script, so
  that it passes a content policy without `unsafe-inline`. The page links `chart.css` (or a stylesheet that has it).
- `Figure.svg` is that picture alone.
- `Figure.alone` is a file that somebody opens by itself: the same picture with its stylesheet inside.

The contract with a page: it has the rules of `chart.css` (`stylesheet()`), whose classes begin with `c-`, and it leaves
those names to charts. Colours are the variables `--c-…` of the root; `--c-ground` is what a page has behind them. The
page may choose light or dark for its reader by `data-theme="light"` or `"dark"` at the root; without, the reader's
system decides. Paper is light. `name` tells figures of one page apart, because their ids begin with it.

Texts have one of four sizes, by class, and the width that `text_width` gives; colours are never the only difference.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from html import escape
from pathlib import Path
from typing import Final

from fairbank.charts.text_width import fitted, shown, wrapped
from fairbank.charts.words import say

WIDTH: Final = 720
# Font sizes in pixels, by class: as `chart.css` has them.
TITLE_SIZE, TEXT_SIZE, NOTE_SIZE = 15, 13, 12
TITLE_LINES, NOTE_LINES = 2, 4
# The classes of series: each has a colour and, for lines, a dash of its own.
SERIES: Final = 6
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,40}")
_VARIABLE: Final = re.compile(r"var\((--c-[a-z0-9]+)\)")


@dataclass(frozen=True, slots=True)
class Table:
    """The numbers of a picture as text: every cell says something.

    Attributes:
        numbers: places of the columns that are set to the right.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: frozenset[int] = frozenset()

    def html(self, caption: str) -> str:
        """Return it as an HTML table, its first column naming the rows."""
        top = "".join(
            f'<th scope="col"{self._right(at)}>{escape(each)}</th>' for at, each in enumerate(self.head)
        )
        body = "".join(f"<tr>{self._row(row)}</tr>" for row in self.rows)
        return (
            f'<table class="c-table"><caption>{escape(shown(caption))}</caption><thead><tr>{top}</tr></thead>'
            f"<tbody>{body}</tbody></table>"
        )

    def _row(self, row: Sequence[str]) -> str:
        first, *others = (escape(shown(cell)) for cell in row)
        return f'<th scope="row">{first}</th>' + "".join(
            f"<td{self._right(at)}>{cell}</td>" for at, cell in enumerate(others, 1)
        )

    def _right(self, at: int) -> str:
        return ' class="c-n"' if at in self.numbers else ""


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawn chart: the same values give the same text.

    Attributes:
        name: begins the ids (lower-case letters, digits, hyphens).
        said: the description, as one or a few sentences.
        body: the marks and texts.
    """

    name: str
    title: str
    said: str
    height: int
    body: str
    table: Table

    def __post_init__(self) -> None:
        """Refuse a name that is no id.

        Raises:
            ValueError: if it is none.
        """
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"a figure's name is lower-case letters, digits and hyphens, not {self.name!r}")

    def svg(self) -> str:
        """Return the picture for a page that has `chart.css`."""
        return self._svg("", "")

    def inline(self) -> str:
        """Return the picture and, folded, its table, for a page that has `chart.css`."""
        return f'<figure class="c-figure">{self.svg()}{self.details()}</figure>\n'

    def __html__(self) -> str:
        """Return what a template puts in: every text in it is escaped already."""
        return self.inline()

    def details(self) -> str:
        """Return the table, folded, for a page that frames the picture itself."""
        table = self.table.html(self.title)
        summary = escape(say("The numbers as a table"))
        return f'<details class="c-details"><summary>{summary}</summary>{table}</details>'

    def alone(self) -> str:
        """Return the picture as a file of its own."""
        return self._svg(
            f' xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{self.height}"',
            f"<style>{stylesheet_of_files()}</style>\n",
        )

    def _svg(self, more: str, style: str) -> str:
        return (
            f'<svg{more} class="c-chart" viewBox="0 0 {WIDTH} {self.height}" role="img" '
            f'aria-labelledby="{self.name}-t {self.name}-d">\n'
            f'<title id="{self.name}-t">{escape(shown(self.title))}</title>\n'
            f'<desc id="{self.name}-d">{escape(shown(self.said))}</desc>\n{style}{self.body}</svg>\n'
        )


@dataclass(slots=True)
class Drawing:
    """Collects the parts of a picture from above to below; `y` is where the next one begins."""

    parts: list[str] = field(default_factory=list)
    y: float = 0.0

    @classmethod
    def headed(cls, title: str) -> Drawing:
        """Return a picture that has its title and nothing else."""
        drawing = cls()
        lines = wrapped(title, WIDTH, TITLE_SIZE, lines=TITLE_LINES, bold=True)
        for line in lines:
            drawing.y += 20
            drawing.parts.append(text(0, drawing.y - 3, line, "c-title"))
        drawing.y += 12
        return drawing

    def note(self, *sentences: str) -> None:
        """Add sentences below, each on its own line or lines."""
        for sentence in sentences:
            for line in wrapped(sentence, WIDTH, NOTE_SIZE, lines=NOTE_LINES):
                self.y += 17
                self.parts.append(text(0, self.y - 4, line, "c-note"))

    def add(self, *parts: str) -> None:
        """Add marks or texts."""
        self.parts += [part for part in parts if part]

    def figure(self, name: str, title: str, said: str, table: Table) -> Figure:
        """Return what was drawn."""
        return Figure(name, title, said, round(self.y + 8), "\n".join(self.parts) + "\n", table)


def text(x: float, y: float, words: str, classes: str = "") -> str:
    """Return one line of text that starts at `x`; a class `c-e` or `c-m` sets it to the left of it or around it."""
    named = f' class="{classes}"' if classes else ""
    return f'<text x="{short(x)}" y="{short(y)}"{named}>{escape(words)}</text>'


def fitting_text(x: float, y: float, words: str, room: float, classes: str = "") -> str:
    """Return one line of text in the usual size, cut to its room."""
    return text(x, y, fitted(words, room, TEXT_SIZE), classes)


def group(classes: str, parts: Iterable[str]) -> str:
    """Return parts that share classes, nothing if there are none."""
    inside = "".join(parts)
    return f'<g class="{classes}">{inside}</g>' if inside else ""


def path(d: str, classes: str) -> str:
    """Return a path, nothing if it is empty."""
    return f'<path class="{classes}" d="{d}"/>' if d else ""


def box(x: float, y: float, width: float, height: float) -> str:
    """Return the outline of a rectangle as a part of a path."""
    return f"M{short(x)} {short(y)}h{short(width)}v{short(height)}h{short(-width)}z"


def place(x: float, y: float, join: str = "L") -> str:
    """Return one point of a path."""
    return f"{join}{short(x)} {short(y)}"


@cache
def stylesheet() -> str:
    """Return the rules of `chart.css`, which a page has."""
    return (Path(__file__).parent / "chart.css").read_text(encoding="utf-8")


@cache
def palette(*, dark: bool) -> dict[str, str]:
    """Return the colours by variable, as `chart.css` states them."""
    blocks = re.findall(r"(?s):root[^{}]*\{([^{}]*)\}", stylesheet())
    found = dict(re.findall(r"(--c-[a-z0-9]+):\s*(#[0-9a-f]{6})", blocks[0]))
    return {**found, **dict(re.findall(r"(--c-[a-z0-9]+):\s*(#[0-9a-f]{6})", blocks[1]))} if dark else found


@cache
def stylesheet_of_files() -> str:
    """Return the rules for a file of its own: colours written out, because not every viewer knows variables."""
    rules = re.search(r"(?s)/\* rules \*/(.*?)/\* tables \*/", stylesheet())
    assert rules is not None
    plain = re.sub(r"\s*\n\s*", "", re.sub(r"(?s)/\*.*?\*/", "", rules[1]))
    light, dark = (_resolved(plain, palette(dark=mode)) for mode in (False, True))
    light = f".c-chart{{background:{palette(dark=False)['--c-ground']}}}{light}"
    dark = f".c-chart{{background:{palette(dark=True)['--c-ground']}}}{dark}"
    coloured = "".join(re.findall(r"[^{}]+\{[^{}]*#[^{}]*\}", dark))
    return f"{light}@media screen and (prefers-color-scheme:dark){{{coloured}}}"


def _resolved(rules: str, colours: dict[str, str]) -> str:
    return _VARIABLE.sub(lambda found: colours[found[1]], rules)


def short(value: float) -> str:
    """Return a length in pixels with one digit at most."""
    return f"{value:.1f}".removesuffix(".0") if value else "0"
