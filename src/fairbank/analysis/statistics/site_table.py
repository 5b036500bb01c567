"""The table that a statistic is worked out on at a site: one row per subject; it never leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairbank.analysis.errors import StatisticRefused

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SiteTable:
    """Columns of one site, a value or nothing for each subject.

    Args:
        numbers: by name, (n_subjects,) float64, NaN where nothing is known.
        words: by name, n_subjects words, None where nothing is known.
        known_words: by name, all words that the column can have, in their order.
        subjects: how many there are.
    """

    numbers: Mapping[str, Numbers]
    words: Mapping[str, Sequence[str | None]]
    known_words: Mapping[str, tuple[str, ...]]
    subjects: int

    def variable(self, name: str) -> Numbers:
        """Return a numeric column, or for `column=word` 1 and 0; NaN where nothing is known.

        Raises:
            StatisticRefused: if there is no such column or word.
        """
        column, _, word = name.partition("=")
        if not word:
            if column not in self.numbers:
                raise _unknown("numeric column", column, self.numbers)
            return self.numbers[column]
        self._require_word(column, word)
        values = [np.nan if each is None else float(each == word) for each in self.words[column]]
        return np.array(values, dtype=np.float64)

    def codes(self, name: str) -> NDArray[np.int64]:
        """Return the place of each subject's word among all words of a column, -1 where none is known.

        Raises:
            StatisticRefused: if there is no such column.
        """
        if name not in self.words:
            raise _unknown("column of words", name, self.words)
        places = {word: place for place, word in enumerate(self.known_words[name])}
        return np.array([-1 if each is None else places[each] for each in self.words[name]], dtype=np.int64)

    def _require_word(self, column: str, word: str) -> None:
        if column not in self.words:
            raise _unknown("column of words", column, self.words)
        if word not in self.known_words[column]:
            raise _unknown(f"word of {column!r}", word, self.known_words[column])


def complete(
    columns: Sequence[Numbers], codes: Sequence[NDArray[np.int64]], subjects: int
) -> NDArray[np.int64]:
    """Return which subjects have a value in every column, as places in the table."""
    whole = np.ones(subjects, dtype=np.bool_)
    for values in columns:
        whole &= np.isfinite(values)
    for places in codes:
        whole &= places >= 0
    return np.flatnonzero(whole)


def _unknown(what: str, name: str, known: Sequence[str] | Mapping[str, object]) -> StatisticRefused:
    return StatisticRefused(
        f"There is no {what} {name!r}.",
        why=f"There are: {', '.join(sorted(known)) or 'none'}.",
        todo="Name one of these.",
    )
