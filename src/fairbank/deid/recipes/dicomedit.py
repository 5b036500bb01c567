"""DicomEdit 6, the language of XNAT's anonymisation scripts, as far as it says what becomes of which elements.

Nothing is run: a script is read to be explained. A line that is not understood is named, never passed over.

Source: DicomEdit 6 language reference (wiki.xnat.org).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

from fairbank.deid.errors import BadScript

_LARGEST_BYTES = 1 << 20
_HEX = "[0-9A-Fa-fXx@#]"
_TAG = rf"\(({_HEX}{{4}}) ?, ?(?:({_HEX}{{4}})|\{{([^}}]*)\}}({_HEX}{{2}}))\)"
_SEGMENT = re.compile(rf"([*+.?])|{_TAG}(?:\[(\d+|%)\])?")
_PATH = rf"(?:(?:[*+.?]|{_TAG}(?:\[(?:\d+|%)\])?)/)*{_TAG}"
_WHOLE_PATH = re.compile(_PATH)
_ASSIGNMENT = re.compile(rf"({_PATH})\s*(:=|\?=)\s*(.+)", re.DOTALL)
_VARIABLE = re.compile(r"([A-Za-z_]\w*)\s*(?::=|\?=)\s*(.+)", re.DOTALL)
_DELETION = re.compile(rf"-\s*({_PATH})")
_CALL = re.compile(r"([A-Za-z_]\w*)\s*(?:\[(.*)\])?", re.DOTALL)
_WORD = re.compile(r"(version|describe|export|echo|project|subject|session)\b.*", re.DOTALL)
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_CONDITION = re.compile(r"(?:!=|!~|=|~)")
_UID_FUNCTIONS = frozenset({"hashuid", "mapuid", "newuid", "mapreferenceduids"})
_DATE_FUNCTIONS = frozenset(
    {"shiftdatebyincrement", "shiftdatetimebyincrement", "shiftdatetimesequencebyincrement"}
)
_TEXT_FUNCTIONS = frozenset(
    [
        "concatenate",
        "substring",
        "replace",
        "uppercase",
        "lowercase",
        "format",
        "match",
        "urlencode",
        "geturl",
        "lookup",
    ]
)
_LABELS = frozenset({"project", "subject", "session", "scan", "modality"})


class Effect(StrEnum):
    """What a statement leaves of an element's value."""

    REMOVED = "removed"
    BLANKED = "blanked"
    CONSTANT = "constant"
    LABEL = "archive's label"
    NEW_UID = "new uid"
    SHIFTED = "date shifted"
    DERIVED = "made of the original"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class TagPath:
    """Where a statement works.

    Attributes:
        parents: what stands before the element: wildcards (`*`, `+`, `.`, `?`) and sequences (`sequence`).
        digits: the element's eight digits, `X` for any, `@` for an even and `#` for an odd one.
        creator: the private creator, if one is named; then `digits` has `XX` for the block.
    """

    parents: tuple[str, ...]
    digits: str
    creator: str | None = None

    @property
    def reaches_top(self) -> bool:
        """Tell whether the top level of a file is meant."""
        return all(parent in ("*", "?") for parent in self.parents)

    @property
    def reaches_every_depth(self) -> bool:
        """Tell whether items of sequences are meant, at any depth."""
        return bool(self.parents) and all(parent in ("*", "+") for parent in self.parents)

    def matches(self, tag: str) -> bool:
        """Return whether an element is meant, given as eight hexadecimal digits."""
        return _digits(self.digits).fullmatch(tag) is not None


@dataclass(frozen=True, slots=True)
class Statement:
    """What one statement does to one place."""

    line: int
    path: TagPath
    effect: Effect
    conditional: bool


@dataclass
class Script:
    """A script, read.

    Attributes:
        statements: what it does, in its order.
        removes_private: numbers of the lines that remove all private elements, whatever a condition says.
        retained_private: the private elements that it keeps from being removed.
        alters_pixels: numbers of the lines that blank areas of the image.
        not_understood: numbers of the lines that could not be read.
    """

    statements: list[Statement] = field(default_factory=list)
    removes_private: list[int] = field(default_factory=list)
    retained_private: list[TagPath] = field(default_factory=list)
    alters_pixels: list[int] = field(default_factory=list)
    not_understood: list[int] = field(default_factory=list)


def read_script(path: Path) -> Script:
    """Return the script in a file.

    Raises:
        BadScript: if the file cannot be read as text, or is too large to be a script.
    """
    try:
        content = path.read_bytes()
        text = content.decode("utf-8")
    except (OSError, UnicodeDecodeError) as err:
        raise _unreadable("It is missing, unreadable or not UTF-8 text.") from err
    if len(content) > _LARGEST_BYTES:
        raise _unreadable("It is larger than a megabyte.")
    return parsed(text)


def parsed(text: str) -> Script:
    r"""Return what a script's text says.

    >>> [str(one.effect) for one in parsed('-(0010,4000)\n(0010,0010) := "X"').statements]
    ['removed', 'constant']
    """
    reader = _Reader()
    pending, first = "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        bare = _without_comment(line).strip()
        if not bare and not pending:
            continue
        first = first or number
        pending = f"{pending} {bare}".strip()
        if _is_open(pending):
            continue
        reader.read(first, pending)
        pending, first = "", 0
    if pending:
        reader.script.not_understood.append(first)
    return reader.script


@lru_cache(maxsize=4096)
def _digits(digits: str) -> re.Pattern[str]:
    forms = {"X": "[0-9A-F]", "@": "[02468ACE]", "#": "[13579BDF]"}
    return re.compile("".join(forms.get(one, one) for one in digits))


def _unreadable(why: str) -> BadScript:
    return BadScript(
        "The script cannot be read.", why=why, todo="Give the path of a DicomEdit script or of a recipe."
    )


def _without_comment(line: str) -> str:
    hidden = _QUOTED.sub(lambda quoted: "\0" * len(quoted[0]), line)
    place = hidden.find("//")
    return line if place < 0 else line[:place]


def _is_open(text: str) -> bool:
    bare = _QUOTED.sub("", text)
    return bare.count("[") > bare.count("]")


class _Reader:
    def __init__(self) -> None:
        self.script = Script()
        self._variables: dict[str, Effect] = {}

    def read(self, number: int, text: str) -> None:
        condition, actions = _split_condition(text)
        understood = all(self._action(number, action, conditional=condition) for action in actions)
        if not understood:
            self.script.not_understood.append(number)

    def _action(self, number: int, text: str, *, conditional: bool) -> bool:
        deletion = _DELETION.fullmatch(text)
        if deletion is not None:
            return self._add(number, deletion[1], Effect.REMOVED, conditional=conditional)
        assignment = _ASSIGNMENT.fullmatch(text)
        if assignment is not None:
            path, _, value = text.partition(":=" if ":=" in _QUOTED.sub("", text) else "?=")
            effect = self._effect(value.strip(), path.strip())
            return effect is not None and self._add(number, path.strip(), effect, conditional=conditional)
        variable = _VARIABLE.fullmatch(text)
        if variable is not None:
            effect = self._effect(variable[2].strip(), "")
            if effect is not None:
                self._variables[variable[1]] = effect
            return effect is not None
        return self._call(number, text, conditional=conditional) or _WORD.fullmatch(text) is not None

    def _add(self, number: int, path: str, effect: Effect, *, conditional: bool) -> bool:
        self.script.statements.append(Statement(number, _path(path), effect, conditional))
        return True

    def _call(self, number: int, text: str, *, conditional: bool) -> bool:
        match = _CALL.fullmatch(text)
        if match is None:
            return False
        name, arguments = match[1].lower(), match[2] or ""
        paths = [found[0] for found in _WHOLE_PATH.finditer(arguments)]
        if name == "removeallprivatetags":
            if not conditional:
                self.script.removes_private.append(number)
            return True
        if name == "retainprivatetags":
            self.script.removes_private += [] if conditional else [number]
            self.script.retained_private += [_path(path) for path in paths]
            return bool(paths)
        if name == "alterpixels":
            self.script.alters_pixels.append(number)
            return True
        effects = {
            "delete": Effect.REMOVED,
            "blankvalues": Effect.BLANKED,
            **dict.fromkeys(_DATE_FUNCTIONS, Effect.SHIFTED),
        }
        effects |= dict.fromkeys(_UID_FUNCTIONS, Effect.NEW_UID)
        if name not in effects or not paths:
            return False
        for path in paths:
            self._add(number, path, effects[name], conditional=conditional)
        return True

    def _effect(self, value: str, target: str) -> Effect | None:
        """Return what a value leaves of the original; None if the expression is not understood."""
        if _QUOTED.fullmatch(value):
            return Effect.BLANKED if value == '""' else Effect.CONSTANT
        if re.fullmatch(r"-?\d+(\.\d+)?", value):
            return Effect.CONSTANT
        if _WHOLE_PATH.fullmatch(value):
            return Effect.KEPT if value == target else Effect.DERIVED
        match = _CALL.fullmatch(value)
        if match is None:
            return None
        name = match[1].lower()
        if match[2] is None:
            return Effect.LABEL if name in _LABELS else self._variables.get(match[1])
        if name in _UID_FUNCTIONS:
            return Effect.NEW_UID
        if name in _DATE_FUNCTIONS:
            return Effect.SHIFTED
        if name not in _TEXT_FUNCTIONS:
            return None
        parts = [self._effect(part, "") for part in _arguments(match[2])]
        if None in parts or Effect.DERIVED in parts or Effect.KEPT in parts:
            return Effect.DERIVED
        return Effect.LABEL if Effect.LABEL in parts else Effect.CONSTANT


def _split_condition(text: str) -> tuple[bool, list[str]]:
    """Return whether a statement hangs on a condition, and what it may do."""
    hidden = _QUOTED.sub(lambda quoted: "\0" * len(quoted[0]), text)
    match = re.search(r"\s\?\s", hidden)
    if match is None or (
        _CONDITION.search(hidden[: match.start()]) is None and "[" not in hidden[: match.start()]
    ):
        return False, [text]
    rest, hidden_rest = text[match.end() :], hidden[match.end() :]
    other = re.search(r"\s:\s", hidden_rest)
    if other is None:
        return True, [rest.strip()]
    return True, [rest[: other.start()].strip(), rest[other.end() :].strip()]


def _path(text: str) -> TagPath:
    found = list(_SEGMENT.finditer(text))
    last = found[-1]
    parents = tuple(segment[1] or "sequence" for segment in found[:-1])
    if last[4] is not None:
        return TagPath(parents, f"{last[2]}XX{last[5]}".upper(), last[4])
    return TagPath(parents, f"{last[2]}{last[3]}".upper())


def _arguments(text: str) -> list[str]:
    """Return the arguments of a function: what commas separate outside brackets and quotes."""
    parts, depth, start = [], 0, 0
    hidden = _QUOTED.sub(lambda quoted: "\0" * len(quoted[0]), text)
    for place, character in enumerate(hidden):
        depth += (character in "[(") - (character in "])")
        if character == "," and depth == 0:
            parts.append(text[start:place].strip())
            start = place + 1
    return [*parts, text[start:].strip()]
