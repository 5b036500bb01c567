"""Fill the tables of docs/reference/training.md from the tables of the axes of training.

    .venv/bin/python tools/build_training_page.py

What stands between `<!-- table: NAME -->` and `<!-- end -->` is generated; all else is written by hand. A test compares
the page with what this would write.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from pathlib import Path

from pydantic.fields import FieldInfo

from fairbank.federated_jobs.axes.aggregators import AGGREGATORS, AggregatorOptions
from fairbank.federated_jobs.axes.elements import Choice, Options
from fairbank.federated_jobs.axes.filters import FILTERS

TARGET = Path(__file__).resolve().parent.parent / "docs" / "reference" / "training.md"
_REGION = re.compile(r"(<!-- table: ([a-z-]+) -->\n).*?(<!-- end -->)", re.S)
_ATTRIBUTE = re.compile(r"^ {8}(\w+): (.+(?:\n {12,}.+)*)", re.M)


def training_page() -> str:
    """Return the Markdown of the page with its tables filled in."""
    return _REGION.sub(
        lambda found: found[1] + _TABLES[found[2]]() + found[3], TARGET.read_text(encoding="utf-8")
    )


def _aggregators() -> str:
    rows = (
        (
            f"`{each.name}`",
            _cell(each.formula),
            ", ".join(_needs(each)) or "–",
            "yes" if each.robust else "no",
            "yes" if each.weighs_staleness else "no",
            each.source,
        )
        for each in AGGREGATORS.values()
    )
    return _table(
        ("aggregator", "the model x' after a round", "needs", "robust", "weighs by age", "source"), rows
    )


def _needs(each: object) -> Iterator[str]:
    needed = AGGREGATORS[each.name]  # type: ignore[attr-defined]
    if needed.minimum_sites > 1:
        yield f"{needed.minimum_sites} updates"
    if needed.needs_base:
        yield "the base"
    if needed.stateful:
        yield "its state"
    yield from (f"`{note}`" for note in needed.notes)


def _filters() -> str:
    rows = (
        (
            f"`{each.name}`",
            each.title,
            str(each.place),
            "yes" if each.linear else "no",
            each.bound,
            each.source,
        )
        for each in FILTERS.values()
    )
    return _table(
        ("filter", "what it does", "place", "linear", "how far off is what the hub gets", "source"), rows
    )


def _options(table: Iterable[Choice], common: type[Options]) -> str:
    rows = []
    for choice in table:
        told = _told(choice.options)
        for name, field in choice.options.model_fields.items():
            if name not in common.model_fields:
                rows.append((f"`{choice.name}`", f"`{name}`", _default(field), told[name]))
    return _table(("of", "option", "default", "meaning"), _merged(rows))


def _common() -> str:
    told = _told(AggregatorOptions)
    rows = ((f"`{name}`", _default(f), told[name]) for name, f in AggregatorOptions.model_fields.items())
    return _table(("option", "default", "meaning"), rows)


def _merged(rows: list[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    """Put rows that say the same of several choices into one."""
    same: dict[tuple[str, ...], list[str]] = {}
    for of, *rest in rows:
        same.setdefault(tuple(rest), []).append(of)
    for rest, of in same.items():
        yield ", ".join(of), *rest


def _told(options: type[Options]) -> dict[str, str]:
    """Return what the docstrings of a class of options and of its bases say of each attribute."""
    found: dict[str, str] = {}
    for cls in reversed(options.__mro__):
        for name, text in _ATTRIBUTE.findall(cls.__doc__ or ""):
            found[name] = _cell(" ".join(text.split()))
    return found


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be given"
    value = field.default
    if value is None or value == ():
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f'`"{value}"`' if isinstance(value, Decimal | str) else f"`{value}`"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


_TABLES: dict[str, Callable[[], str]] = {
    "aggregators": _aggregators,
    "aggregator-options": lambda: _options(AGGREGATORS.values(), AggregatorOptions),
    "options-of-every-aggregator": _common,
    "filters": _filters,
    "filter-options": lambda: _options(FILTERS.values(), Options),
}


if __name__ == "__main__":
    TARGET.write_text(training_page(), encoding="utf-8")
