"""What a site's script or recipe leaves of each row of DICOM PS3.15, Table E.1-1."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from fairbank.deid.method import Method
from fairbank.deid.plans import plan_for
from fairbank.deid.recipes.dicomedit import Effect, Script, Statement
from fairbank.deid.rules import RULES, Rule
from fairbank.deid.safe_private import SAFE

_COVERING = frozenset({Effect.REMOVED, Effect.BLANKED, Effect.CONSTANT, Effect.LABEL, Effect.NEW_UID})
# What stands for the patterns of the table: each of them has to be covered.
_EXAMPLES = {
    "50xxxxxx": ("50000010", "50002500", "501E3000"),
    "60xx3000": ("60003000", "60023000", "601E3000"),
    "60xx4000": ("60004000", "60024000", "601E4000"),
    "PRIVATE": ("00090010", "00091001", "00291010", "7FE11001"),
}


class Left(StrEnum):
    """What is left of the values that a row is about."""

    NOTHING = "nothing"
    NESTED = "in sequences"
    SOMETIMES = "where a condition is not met"
    MOVED = "moved dates"
    ALL = "everything"


@dataclass(frozen=True, slots=True)
class Covered:
    """One row of the table under a script.

    Attributes:
        tag: the row's tag, with x for any digit.
        name: the attribute's name.
        basic: the action of the Basic Profile.
        top: what the script does at the top level; empty if nothing.
        nested: what it does in sequences of any depth; empty if nothing.
        left: what is left.
        lines: the numbers of the lines that say so.
    """

    tag: str
    name: str
    basic: str
    top: str
    nested: str
    left: Left
    lines: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Explained:
    """One row of the table under a recipe: what the profile does, and what it does with the recipe."""

    tag: str
    name: str
    basic: str
    profile: str
    with_recipe: str
    line: int | None


def covered_by(script: Script) -> tuple[Covered, ...]:
    """Return what a DicomEdit script leaves of each row of the table, in the order of the table."""
    return tuple(_covered(rule, script) for rule in RULES)


def summary(rows: Iterable[Covered]) -> dict[str, int]:
    """Return how many rows are covered, and how many are left how far."""
    counted = Counter(row.left for row in rows)
    return {f"rows of which {left.value} is left": counted[left] for left in Left}


def unsafe_retained(script: Script) -> int:
    """Return how many of the private elements that a script retains are not on the standard's list of safe ones."""
    return sum(
        (path.creator or "", int(path.digits[:4], 16), int(path.digits[6:], 16)) not in SAFE
        if all(one in "0123456789ABCDEF" for one in path.digits[:4] + path.digits[6:])
        else True
        for path in script.retained_private
    )


def explained(method: Method) -> tuple[Explained, ...]:
    """Return what a method with a recipe does to each row of the table, beside what its profile does alone."""
    plain = Method(method.profile, method.more)
    rows = []
    for rule in RULES:
        tag = int(_examples(rule)[0], 16)
        statement = None if method.recipe is None else method.recipe.statement_on(tag)
        before, after = plan_for(tag, None, plain).step, plan_for(tag, None, method).step
        line = None if statement is None else statement.line
        rows.append(Explained(rule.tag, rule.name, rule.basic, before.value, after.value, line))
    return tuple(rows)


def _covered(rule: Rule, script: Script) -> Covered:
    if rule.tag == "PRIVATE":
        return _covered_private(rule, script)
    examples = _examples(rule)
    named = [one for one in script.statements if all(one.path.matches(tag) for tag in examples)]
    top = _last(one for one in named if one.path.reaches_top)
    nested = _last(one for one in named if one.path.reaches_every_depth)
    said = tuple(sorted({one.line for one in named}))
    top_effect, nested_effect = (one.effect.value if one is not None else "" for one in (top, nested))
    return Covered(
        rule.tag, rule.name, rule.basic, top_effect, nested_effect, _left(top, nested, named), said
    )


def _covered_private(rule: Rule, script: Script) -> Covered:
    if not script.removes_private:
        return Covered(rule.tag, rule.name, rule.basic, "", "", Left.ALL, ())
    word = Effect.REMOVED.value if not script.retained_private else "removed but what is retained"
    left = Left.NOTHING if not unsafe_retained(script) else Left.SOMETIMES
    return Covered(rule.tag, rule.name, rule.basic, word, word, left, tuple(script.removes_private))


def _left(top: Statement | None, nested: Statement | None, named: list[Statement]) -> Left:
    if top is None:
        return Left.SOMETIMES if any(one.conditional for one in named) else Left.ALL
    if top.effect is Effect.SHIFTED:
        return Left.MOVED
    if top.effect not in _COVERING:
        return Left.ALL
    if nested is None or nested.effect not in _COVERING:
        return Left.NESTED
    return Left.NOTHING


def _last(statements: Iterable[Statement]) -> Statement | None:
    """Return the statement that counts: the last that hangs on no condition."""
    certain = [one for one in statements if not one.conditional]
    return certain[-1] if certain else None


def _examples(rule: Rule) -> tuple[str, ...]:
    return _EXAMPLES.get(rule.tag, (rule.tag,))
