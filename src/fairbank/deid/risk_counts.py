"""Counts of classes over many series: words as numbers, so that many generalisations of a collection are quick."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_Numbers = NDArray[np.int64]
# Codes of classes are renumbered before they could grow beyond 63 bits.
_LARGEST = 2**62


@dataclass(frozen=True, slots=True)
class Coded:
    """Series as numbers.

    Attributes:
        columns: one array per property, shape (n_series,) int64: places in its words.
        words: the words of each property.
        subjects: shape (n_series,) int64, subjects numbered from 0.
        people: how many subjects there are.
    """

    columns: tuple[_Numbers, ...]
    words: tuple[tuple[str, ...], ...]
    subjects: _Numbers
    people: int

    @classmethod
    def of(cls, series: Iterable[tuple[Sequence[str], str]]) -> Coded:
        """Return series, each its words and its subject, as numbers; there is at least one."""
        listed = list(series)
        width = len(listed[0][0])
        found = [_numbered([words[place] for words, _ in listed]) for place in range(width)]
        subjects, names = _numbered([subject for _, subject in listed])
        return cls(tuple(each[0] for each in found), tuple(each[1] for each in found), subjects, len(names))

    def coarsened(self, place: int, coarser: Callable[[str], str]) -> Coded:
        """Return the series with the words of one property made coarser."""
        mapped, words = _numbered([coarser(word) for word in self.words[place]])
        columns = (*self.columns[:place], mapped[self.columns[place]], *self.columns[place + 1 :])
        return Coded(
            columns, (*self.words[:place], words, *self.words[place + 1 :]), self.subjects, self.people
        )

    def below(self, k: int) -> int:
        """Return how many subjects are in a class of fewer than `k`."""
        pairs = np.unique(self._classes() * self.people + self.subjects)
        classes, subjects = np.divmod(pairs, self.people)
        small = np.bincount(classes)[classes] < k
        return int(np.unique(subjects[small]).size)

    def _classes(self) -> _Numbers:
        """Return the class of each series, numbered from 0 without gaps."""
        code, size = np.zeros_like(self.subjects), 1
        for column, words in zip(self.columns, self.words, strict=True):
            if size * len(words) > _LARGEST:
                code = np.unique(code, return_inverse=True)[1].astype(np.int64)
                size = int(code.max()) + 1
            code = code * len(words) + column
            size *= len(words)
        return np.unique(code, return_inverse=True)[1].astype(np.int64)


def _numbered(words: Sequence[str]) -> tuple[_Numbers, tuple[str, ...]]:
    numbers: dict[str, int] = {}
    coded = [numbers.setdefault(word, len(numbers)) for word in words]
    return np.array(coded, dtype=np.int64), tuple(numbers)
