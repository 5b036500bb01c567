"""Recipes read from files: the text format of the `deid` library, without anything that would run code.

The whole file is read before anything of it is used; a line that is not understood refuses all of it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from pydicom.datadict import dictionary_has_tag, dictionary_VR

from fairbank.deid.errors import BadRecipe, RecipeWouldLeak
from fairbank.deid.recipes.filter_lines import lines_of, pixel_rules
from fairbank.deid.recipes.limits import MARKS, PSEUDONYMS, options_that_retain, says_nothing
from fairbank.deid.recipes.pixel_rules import PixelRule
from fairbank.deid.recipes.recipe import Action, Recipe, Statement, ValueRule
from fairbank.deid.recipes.selectors import Selector, selector
from fairbank.deid.safe_private import SAFE

_SECTIONS = frozenset({"header", "labels", "filter", "fields", "values"})
_PIECES = re.compile(r"""(?:[^\s"']+|"(?:\\.|[^"])*"|'(?:\\.|[^'])*')+""")
_TEXT_VRS = frozenset({"CS", "LO", "SH", "ST", "LT", "UT", "UC", "DA", "DT", "TM", "AS", "DS", "IS"})
# Functions of the `deid` library for which the engine has its own, keyed and consistent ones.
_UID_FUNCTIONS = frozenset({"pydicom_uid", "suffix_uid", "basic_uuid", "dicom_uuid"})
_DATE_FUNCTIONS = frozenset({"jitter"})
_TODO = "Mend the line; docs/how-to/recipes.md lists what a recipe may say."


def read_recipe(path: Path) -> Recipe:
    """Return the recipe in a file.

    Raises:
        BadRecipe: if a line is not understood; it names the line.
        RecipeWouldLeak: if a line would let something out that no option retains, or runs code; it names the line.
    """
    return _Reader(lines_of(path)).recipe(path)


@dataclass
class _Reader:
    lines: list[tuple[int, str]]
    section: str = ""
    group: str = ""
    fields: dict[str, list[Selector]] = field(default_factory=dict)
    values: dict[str, list[tuple[Selector, str | None]]] = field(default_factory=dict)
    statements: list[Statement] = field(default_factory=list)
    value_rules: list[ValueRule] = field(default_factory=list)
    pixel_rules: list[PixelRule] = field(default_factory=list)
    pending: list[tuple[int, str]] = field(default_factory=list)
    header: list[tuple[int, str]] = field(default_factory=list)

    def recipe(self, path: Path) -> Recipe:
        for number, line in self.lines:
            self._line(number, line)
        self._end_filter()
        for number, line in self.header:
            self._statement(number, line)
        text = "\n".join(line for _, line in self.lines)
        digest = "sha256:" + hashlib.sha256(text.encode()).hexdigest()
        return Recipe(
            path.stem or "recipe",
            digest,
            tuple(self.statements),
            tuple(self.value_rules),
            tuple(self.pixel_rules),
        )

    def _line(self, number: int, line: str) -> None:
        if line.upper().startswith("FORMAT"):
            if line.split()[1:] != ["dicom"]:
                _refuse(number, "the only format is dicom")
        elif line.startswith("%"):
            self._begin(number, line)
        elif self.section == "filter":
            self.pending.append((number, line))
        elif self.section in ("fields", "values"):
            self._group_line(number, line)
        elif self.section == "header":
            self.header.append((number, line))
        elif self.section != "labels":
            _refuse(number, "it stands before the first section")

    def _begin(self, number: int, line: str) -> None:
        self._end_filter()
        words = line[1:].split()
        self.section = words[0].lower() if words else ""
        self.group = words[1] if len(words) > 1 else ""
        if self.section not in _SECTIONS:
            _refuse(number, "there is no such section")
        if self.section in ("filter", "fields", "values") and not self.group:
            _refuse(number, "the section needs a name")
        if self.section == "fields":
            self.fields.setdefault(self.group, [])
        if self.section == "values":
            self.values.setdefault(self.group, [])

    def _end_filter(self) -> None:
        self.pixel_rules += pixel_rules(self.group, self.pending)
        self.pending = []

    def _group_line(self, number: int, line: str) -> None:
        words = _PIECES.findall(line)
        word = words[0].upper()
        if word not in ("FIELD", "SPLIT") or len(words) < 2 or (word == "SPLIT" and self.section == "fields"):
            _refuse(number, "a group of fields has FIELD lines, a group of values FIELD and SPLIT lines")
        meant = _selector(number, words[1])
        if self.section == "fields":
            self.fields[self.group].append(meant)
        else:
            by = (
                dict(part.split("=", 1) for part in words[2:] if "=" in part).get("by", "^")
                if word == "SPLIT"
                else None
            )
            self.values[self.group].append((meant, (by or "").strip("\"'") or None))

    def _statement(self, number: int, line: str) -> None:
        words = _PIECES.findall(line)
        if words[0].upper() not in set(Action):
            _refuse(number, "it does not begin with ADD, BLANK, JITTER, KEEP, REMOVE or REPLACE")
        action = Action(words[0].upper())
        value = " ".join(words[2:]).strip().strip("\"'") or None
        if len(words) < 2:
            _refuse(number, "it names no field")
        if words[1].startswith("values:"):
            self._value_rule(number, action, words[1].partition(":")[2])
            return
        selectors = self._selectors(number, words[1])
        _check_value(number, action, value)
        for one in selectors:
            _check(number, action, one, value)
        kept = value if action in (Action.ADD, Action.REPLACE) and not _is_own_value(value) else None
        # Pseudonyms, mapped UIDs and moved dates are the engine's, whatever the recipe calls them.
        self.statements.append(Statement(number, action, selectors, kept))

    def _value_rule(self, number: int, action: Action, group: str) -> None:
        if group not in self.values:
            _refuse(number, "there is no such group of values")
        if action in (Action.KEEP, Action.ADD, Action.JITTER):
            _refuse(number, "what repeats other fields can be removed, blanked or replaced")
        chosen = self.values[group]
        # To replace is to remove: the constant would only tell where something stood.
        kind = Action.BLANK if action is Action.BLANK else Action.REMOVE
        fields, splits = tuple(one for one, _ in chosen), tuple(split for _, split in chosen)
        self.value_rules.append(ValueRule(number, kind, fields, splits))

    def _selectors(self, number: int, text: str) -> tuple[Selector, ...]:
        if not text.startswith("fields:"):
            return (_selector(number, text),)
        group = text.partition(":")[2]
        if group not in self.fields:
            _refuse(number, "there is no such group of fields")
        return tuple(self.fields[group])


def _selector(number: int, text: str) -> Selector:
    meant = selector(text)
    if meant is None:
        _refuse(number, "it names a field or an expander that is not known")
    return meant


def _check_value(number: int, action: Action, value: str | None) -> None:
    if action in (Action.ADD, Action.REPLACE, Action.JITTER) and value is None:
        _refuse(number, f"{action} needs a value")
    if action in (Action.KEEP, Action.BLANK) and value is not None:
        _refuse(number, f"{action} takes no value")
    if value is not None and value.startswith("func:"):
        _leaks(number, "func: runs code of whoever wrote it, which nothing here can vouch for")
    if action is Action.REMOVE and value is not None:
        _leaks(number, "a condition on REMOVE would keep what does not meet it")


def _check(number: int, action: Action, meant: Selector, value: str | None) -> None:
    if meant.private is not None:
        _check_private(number, action, meant)
    elif action is Action.KEEP and meant.tag is not None and options_that_retain(meant.tag) == frozenset():
        _leaks(number, "no option of the standard retains this element")
    elif action is Action.JITTER:
        _check_jitter(number, meant)
    elif action in (Action.ADD, Action.REPLACE):
        _check_written(number, action, meant, value or "")


def _check_private(number: int, action: Action, meant: Selector) -> None:
    element = meant.private
    if element is None or action in (Action.REMOVE, Action.BLANK):
        return
    if action is not Action.KEEP:
        _leaks(number, "private elements can be kept or removed, not written")
    if (element.creator, element.group, element.element) not in SAFE:
        _leaks(number, "the element is not on the standard's list of safe private elements")


def _check_jitter(number: int, meant: Selector) -> None:
    if meant.tag is not None and (
        not dictionary_has_tag(meant.tag) or dictionary_VR(meant.tag) not in ("DA", "DT")
    ):
        _refuse(number, "only dates (DA, DT) can be moved")


def _check_written(number: int, action: Action, meant: Selector, value: str) -> None:
    if meant.tag is not None and meant.tag in MARKS:
        return
    if value.startswith("var:"):
        if meant.tag not in PSEUDONYMS:
            _leaks(
                number,
                "var: takes a value from outside; only names and ids get one, and that is the pseudonym",
            )
        return
    if value.startswith("deid_func:"):
        _check_function(number, meant, value.partition(":")[2].split()[0])
        return
    if meant.tag is None:
        _refuse(number, f"{action} names one element, not an expander")
    if meant.tag in PSEUDONYMS:
        _leaks(number, "name and id become the subject's pseudonym, nothing else")
    if not dictionary_has_tag(meant.tag) or dictionary_VR(meant.tag) not in _TEXT_VRS:
        _refuse(number, "a constant can be written into elements that hold text only")
    if not says_nothing(value):
        _leaks(
            number,
            "the constant could say who or where somebody is; it may be made of clinical words, or REMOVED",
        )


def _check_function(number: int, meant: Selector, name: str) -> None:
    vr = dictionary_VR(meant.tag) if meant.tag is not None and dictionary_has_tag(meant.tag) else ""
    if name in _UID_FUNCTIONS and vr in ("UI", ""):
        return
    if name in _DATE_FUNCTIONS and vr in ("DA", "DT"):
        return
    _leaks(number, "the function is not one that the engine has its own for")


def _is_own_value(value: str | None) -> bool:
    return value is None or value.startswith(("var:", "deid_func:"))


def _refuse(number: int, why: str) -> NoReturn:
    raise BadRecipe(f"Line {number} of the recipe is not understood.", why=f"Reason: {why}.", todo=_TODO)


def _leaks(number: int, why: str) -> NoReturn:
    raise RecipeWouldLeak(
        f"Line {number} of the recipe would let something out.", why=f"Reason: {why}.", todo=_TODO
    )
