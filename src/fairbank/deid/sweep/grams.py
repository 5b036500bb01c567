"""Many byte strings sought at once, at a cost that does not grow with their number.

Four bytes are hashed into a table of 65,536 marks; only where a mark is set are strings compared. Bit 0x20 is set in
each byte first, which makes ASCII letters lower case; what else it confuses is told apart by the comparison.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fairbank.deid.sweep.walk import Buffer

_GRAM = 4
_ALIGNED_LEAST = 7
_TABLE = 1 << 16
_LOWER = np.uint32(0x20202020)
# Knuth's multiplicative hash (The Art of Computer Programming, vol. 3, section 6.4).
_SPREAD = np.uint32(2654435761)
_HIGH = np.uint32(16)
_CHUNK = 1 << 24
_TOO_MANY = 4096


@dataclass(frozen=True)
class Stretch:
    """Bytes in which several sets are sought one after the other: what all of them need is worked out once."""

    body: Buffer
    start: int

    @property
    def is_empty(self) -> bool:
        """Return whether nothing can be in it."""
        return len(self.body) - self.start < _GRAM

    @cached_property
    def windows(self) -> list[_Window]:
        """Return the words of the whole stretch, if it is short enough to keep them."""
        return [_window(self.body, self.start, len(self.body))]

    def chunks(self, overlap: int) -> Iterator[tuple[int, int, _Window | None]]:
        """Yield the parts in which to look, from where to where, and their words where they are kept."""
        stop = len(self.body)
        if stop - self.start <= _CHUNK:
            yield self.start, stop, self.windows[0]
            return
        for place in range(self.start, stop, _CHUNK):
            yield place, min(stop, place + _CHUNK + overlap), None


# The four-byte words from a place on, bit 0x20 set in each byte, and what they hash to.
_Window = tuple[NDArray[np.uint32], NDArray[np.uint32]]


class Grams:
    """A set of byte strings, ASCII letters in lower case, to be found in bytes in whatever case.

    Args:
        tokens: the strings; of 4 bytes and more, or of 7 and more if only whole words of the memory are looked at.
        aligned: look at every fourth place only, which is four times as fast and serves for pixels.
    """

    def __init__(self, tokens: Iterable[bytes], *, aligned: bool = False) -> None:
        least = _ALIGNED_LEAST if aligned else _GRAM
        self.tokens = tuple(sorted({token for token in tokens if len(token) >= least}))
        self._aligned = aligned
        self._by_gram: dict[int, list[tuple[bytes, int]]] = {}
        for token in self.tokens:
            for offset in range(_GRAM if aligned else 1):
                gram = int.from_bytes(token[offset : offset + _GRAM], "little") | int(_LOWER)
                self._by_gram.setdefault(gram, []).append((token, offset))
        self._table: NDArray[np.bool_] = np.zeros(_TABLE, dtype=np.bool_)
        if self._by_gram:
            self._table[_hashed(np.array(list(self._by_gram), dtype="<u4"))] = True

    def found_in(self, body: Buffer, start: int = 0, end: int | None = None) -> bool:
        """Return whether one of the strings occurs in `body[start:end]`."""
        stop = len(body) if end is None else end
        if not self.tokens or stop - start < _GRAM:
            return False
        longest = max(map(len, self.tokens))
        return any(
            self._in_chunk(body, place, min(stop, place + _CHUNK + longest))
            for place in range(start, stop, _CHUNK)
        )

    def _in_chunk(self, body: Buffer, start: int, end: int) -> bool:
        shifts = (0,) if self._aligned else range(_GRAM)
        return any(
            self._in_window(body, start + shift, start, end, _window(body, start + shift, end))
            for shift in shifts
            if end - start - shift >= _GRAM
        )

    def _in_window(self, body: Buffer, place: int, start: int, end: int, window: _Window) -> bool:
        return self._is_confirmed(body, place, start, end, *_marked(self._table, window))

    def _is_confirmed(
        self, body: Buffer, place: int, start: int, end: int, indices: list[int], grams: list[int]
    ) -> bool:
        by_gram = self._by_gram
        hits = [
            (index, by_gram[gram]) for index, gram in zip(indices, grams, strict=True) if gram in by_gram
        ]  # fmt: skip
        if len(hits) > _TOO_MANY:
            lower = body[start:end].lower()
            return any(token in lower for token in self.tokens)
        return any(self._is_there(body, place + _GRAM * index, known, start, end) for index, known in hits)

    @staticmethod
    def _is_there(body: Buffer, place: int, known: list[tuple[bytes, int]], start: int, end: int) -> bool:
        for token, offset in known:
            first = place - offset
            last = first + len(token)
            if first >= start and last <= end and body[first:last].lower() == token:
                return True
        return False


def any_found(sets: Iterable[Grams], stretch: Stretch) -> bool:
    """Return whether a string of one of several sets, which look at every fourth place, occurs in a stretch.

    The tables of all are laid over each other, so that the stretch is gone through once.
    """
    sought = [one for one in sets if one.tokens]
    if not sought or stretch.is_empty:
        return False
    table = np.logical_or.reduce([one._table for one in sought])
    longest = max(len(token) for one in sought for token in one.tokens)
    for start, end, window in stretch.chunks(longest):
        marked = _marked(table, window or _window(stretch.body, start, end))
        if any(one._is_confirmed(stretch.body, start, start, end, *marked) for one in sought):
            return True
    return False


def _marked(table: NDArray[np.bool_], window: _Window) -> tuple[list[int], list[int]]:
    """Return the places whose words are marked in a table, and these words."""
    words, hashed = window
    # Every hash is a place of the table: "wrap" only spares the check, which takes most of the time.
    indices = np.flatnonzero(table.take(hashed, mode="wrap"))
    return indices.tolist(), words[indices].tolist()


def _window(body: Buffer, place: int, end: int) -> _Window:
    words = np.frombuffer(body, dtype="<u4", count=(end - place) // _GRAM, offset=place) | _LOWER
    return words, _hashed(words)


def _hashed(words: NDArray[np.uint32]) -> NDArray[np.uint32]:
    hashed = words * _SPREAD
    hashed >>= _HIGH
    return hashed
