"""Two versions of code compared line by line, for people who decide whether the new one may run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum
from typing import Final

# Lines before and after a change that are shown with it.
CONTEXT: Final = 3
# More lines than that nobody compares; the digests say that they differ.
MOST_LINES: Final = 4_000


class LineChange(StrEnum):
    """What became of a line."""

    SAME = "same"
    ADDED = "added"
    REMOVED = "removed"


class FileChange(StrEnum):
    """What became of a file."""

    CHANGED = "changed"
    ADDED = "added"
    REMOVED = "removed"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Part:
    """One file of code; `text` is None where it is binary or too large."""

    name: str
    digest: str
    size_bytes: int
    text: str | None


@dataclass(frozen=True, slots=True)
class Line:
    """One line, with its number in the version before and after."""

    state: LineChange
    before: int | None
    after: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Block:
    """Lines that stand together; `is_folded` for a long piece in which nothing changed."""

    lines: tuple[Line, ...]
    is_folded: bool


@dataclass(frozen=True, slots=True)
class FileDifference:
    """How one file differs.

    Attributes:
        before, after: its digests; None where it is not there.
        blocks: its lines; empty where it cannot be shown line by line.
    """

    name: str
    state: FileChange
    before: str | None
    after: str | None
    added: int
    removed: int
    blocks: tuple[Block, ...]


def differences(before: Sequence[Part], after: Sequence[Part]) -> tuple[FileDifference, ...]:
    """Return the files that differ, by name; one that is the same is not among them.

    >>> old = [Part("a", "1", 2, "x\\ny")]
    >>> (one,) = differences(old, [Part("a", "2", 2, "x\\nz")])
    >>> [(line.state.value, line.before, line.after, line.text) for line in one.blocks[0].lines]
    [('same', 1, 1, 'x'), ('removed', 2, None, 'y'), ('added', None, 2, 'z')]
    """
    old, new = ({one.name: one for one in parts} for parts in (before, after))
    return tuple(
        _difference(name, old.get(name), new.get(name))
        for name in sorted(old.keys() | new.keys())
        if _digest(old, name) != _digest(new, name)
    )


def _digest(parts: Mapping[str, Part], name: str) -> str | None:
    return parts[name].digest if name in parts else None


def _difference(name: str, old: Part | None, new: Part | None) -> FileDifference:
    texts = [part.text if part is not None else "" for part in (old, new)]
    digests = (old.digest if old else None, new.digest if new else None)
    was, now = ([] if text is None else text.splitlines() for text in texts)
    if None in texts or max(len(was), len(now)) > MOST_LINES:
        return FileDifference(name, FileChange.UNREADABLE, *digests, 0, 0, ())
    lines = tuple(_lines(was, now))
    state = FileChange.ADDED if old is None else FileChange.REMOVED if new is None else FileChange.CHANGED
    added, removed = (
        sum(one.state is each for one in lines) for each in (LineChange.ADDED, LineChange.REMOVED)
    )
    return FileDifference(name, state, *digests, added, removed, tuple(_blocks(lines)))


def _lines(was: Sequence[str], now: Sequence[str]) -> Iterator[Line]:
    for what, a, b, c, d in SequenceMatcher(None, was, now, autojunk=False).get_opcodes():
        if what == "equal":
            for old, new in zip(range(a, b), range(c, d), strict=True):
                yield Line(LineChange.SAME, old + 1, new + 1, was[old])
            continue
        for old in range(a, b):
            yield Line(LineChange.REMOVED, old + 1, None, was[old])
        for new in range(c, d):
            yield Line(LineChange.ADDED, None, new + 1, now[new])


def _blocks(lines: Sequence[Line]) -> Iterator[Block]:
    changed = [place for place, line in enumerate(lines) if line.state is not LineChange.SAME]
    near = {
        place for at in changed for place in range(max(0, at - CONTEXT), min(len(lines), at + CONTEXT + 1))
    }
    begun = 0
    while begun < len(lines):
        shown = begun in near
        ends = begun
        while ends < len(lines) and (ends in near) is shown:
            ends += 1
        # A line or two are not worth a fold.
        yield Block(tuple(lines[begun:ends]), is_folded=not shown and ends - begun > 2)
        begun = ends
