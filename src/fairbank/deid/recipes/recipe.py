"""A site's recipe, compiled: what is to be done with which elements, and with which areas of images."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field
from enum import StrEnum

from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from fairbank.deid.elements import items_of, made, raw_bytes
from fairbank.deid.errors import RecipeWouldLeak
from fairbank.deid.recipes.limits import ESSENTIAL, MARKS, PSEUDONYMS, is_retained, options_that_retain
from fairbank.deid.recipes.pixel_rules import PixelRule
from fairbank.deid.recipes.selectors import PrivateElement, Selector, every_tag
from fairbank.deid.rules import Option

_SHORTEST_VALUE = 3


class Action(StrEnum):
    """What a recipe may do with an element, in the format's own words."""

    KEEP = "KEEP"
    ADD = "ADD"
    REPLACE = "REPLACE"
    JITTER = "JITTER"
    REMOVE = "REMOVE"
    BLANK = "BLANK"


# Which action counts where several name the same element (the `deid` library, DicomParser).
PRECEDENCE = (Action.KEEP, Action.ADD, Action.REPLACE, Action.JITTER, Action.REMOVE, Action.BLANK)


@dataclass(frozen=True, slots=True)
class Statement:
    """One line.

    Attributes:
        line: its number.
        action: what is done.
        selectors: the elements that it is done to.
        value: the constant that is written; None where the engine's own value takes its place.
    """

    line: int
    action: Action
    selectors: tuple[Selector, ...]
    value: str | None = None

    def matches(self, tag: int) -> bool:
        """Return whether a public element is meant."""
        return any(selector.matches(tag) for selector in self.selectors)


@dataclass(frozen=True, slots=True)
class ValueRule:
    """Elements that repeat what some fields of the same file say.

    Attributes:
        line: the number of the line.
        action: REMOVE or BLANK.
        fields: the fields whose values are looked for.
        splits: at which character each field's value falls into parts; None for the whole.
    """

    line: int
    action: Action
    fields: tuple[Selector, ...]
    splits: tuple[str | None, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Recipe:
    """A recipe that was read and found good.

    Attributes:
        name: what people call it; no path.
        digest: `sha256:…` of its text, which goes into the method's digest.
        statements: what is done to elements.
        value_rules: what is done to elements that repeat others.
        pixel_rules: the areas of `%filter` sections.
    """

    name: str
    digest: str
    statements: tuple[Statement, ...] = field(default=(), repr=False)
    value_rules: tuple[ValueRule, ...] = field(default=(), repr=False)
    pixel_rules: tuple[PixelRule, ...] = field(default=(), repr=False)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recipe) and other.digest == self.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def statement_on(self, tag: int) -> Statement | None:
        """Return the statement that counts for a public element; None if the profile alone decides.

        What a file cannot be without, the pseudonyms and the marks are the engine's.
        """
        if tag in ESSENTIAL | PSEUDONYMS | MARKS:
            return None
        named = [statement for statement in self.statements if statement.matches(tag)]
        return min(named, key=lambda one: PRECEDENCE.index(one.action), default=None)

    def removes_private(self, element: PrivateElement) -> bool:
        """Return whether a private element that the profile would keep goes."""
        named = [
            statement.action
            for statement in self.statements
            if any(selector.matches_private(element) for selector in statement.selectors)
        ]
        return bool(named) and min(named, key=PRECEDENCE.index) is not Action.KEEP

    def check(self, options: Set[Option]) -> None:
        """Check that the recipe keeps nothing but what the options that run retain.

        Raises:
            RecipeWouldLeak: naming the line, and the option that would be needed.
        """
        for statement in self.statements:
            if statement.action not in (Action.KEEP, Action.JITTER):
                continue
            for selector in statement.selectors:
                _check_kept(statement, selector, options)

    def add_to(self, dataset: Dataset) -> None:
        """Write the constants of ADD lines into the top level of a cleaned dataset."""
        for statement in self.statements:
            if statement.action is not Action.ADD or statement.value is None:
                continue
            for selector in statement.selectors:
                tag = selector.tag
                if tag is not None and tag not in ESSENTIAL | PSEUDONYMS | MARKS:
                    dataset[BaseTag(tag)] = made(tag, dictionary_VR(tag), statement.value, like=dataset)

    def apply_values(self, dataset: Dataset) -> None:
        """Remove or empty, at every depth, the elements that repeat the values of the fields of `%values` groups."""
        for rule in self.value_rules:
            words = _words(dataset, rule)
            if words:
                _strike(dataset, words, rule)


def _check_kept(statement: Statement, selector: Selector, options: Set[Option]) -> None:
    tags = [selector.tag] if selector.tag is not None else [t for t in every_tag() if selector.matches(t)]
    lost = [tag for tag in tags if tag not in ESSENTIAL | MARKS and not is_retained(tag, options)]
    if not lost:
        return
    names = sorted({option.value for tag in lost for option in options_that_retain(tag) or ()})
    needed = f"the option that retains it is {' or '.join(names)}" if names else "no option retains it"
    number = f"({lost[0] >> 16:04X},{lost[0] & 0xFFFF:04X})"
    raise RecipeWouldLeak(
        f"Line {statement.line} of the recipe keeps {number}, which the profile does not.",
        why=f"{len(lost)} elements are concerned; for this one, {needed}.",
        todo="Remove the line, or run the option as well, so that the files say so.",
    )


def _words(dataset: Dataset, rule: ValueRule) -> frozenset[bytes]:
    found: set[bytes] = set()
    for selector, split in zip(rule.fields, rule.splits, strict=True):
        for tag in list(dataset.keys()):
            if not selector.matches(int(tag)):
                continue
            value = raw_bytes(dataset.get_item(tag))
            parts = value.split(split.encode()) if split else [value]
            found |= {part.strip(b" \0^\\").lower() for part in parts}
    return frozenset(word for word in found if len(word) >= _SHORTEST_VALUE)


def _strike(level: Dataset, words: frozenset[bytes], rule: ValueRule) -> None:
    for tag in list(level.keys()):
        element = level.get_item(tag)
        if element is None or int(tag) in ESSENTIAL | PSEUDONYMS:
            continue
        if element.VR == "SQ" or isinstance(element.value, Sequence):
            for item in items_of(level, int(tag)):
                _strike(item, words, rule)
            continue
        value = raw_bytes(element).lower()
        if not any(word in value for word in words):
            continue
        if rule.action is Action.BLANK and isinstance(element, RawDataElement) and element.VR is not None:
            level[tag] = element._replace(value=b"", length=0)
        else:
            del level[tag]
