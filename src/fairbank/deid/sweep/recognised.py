"""Text that was recognised in pixels, compared with a subject's own, letters that look alike taken for one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from fairbank.deid.sweep.spellings import plain

# Confusions of Tesseract on sans-serif type of 10 to 20 pixels: 0/O, 1/I/l/|, 5/S, 8/B, 6/G, 2/Z, 4/A, rn/m, vv/w.
_ALIKE = str.maketrans("0o1il|!5s8b6g2z4a9q7tyvu", "oo" + "lllll" + "ssbbggzzaaqqtt" + "vvv")
_PAIRS = (("rn", "m"), ("vv", "w"), ("cl", "d"))
_WORD = re.compile(r"[0-9a-z|!]+")
_SHORTEST, _FREE, _ONE_OFF, _TWO_OFF = 3, 5, 6, 10


@dataclass(frozen=True)
class Recognisable:
    """A subject's own words and numbers, as recognition may read them."""

    codes: frozenset[str]

    @classmethod
    def of(cls, seen: Iterable[str]) -> Recognisable:
        """Return what letters and digits of identifiers look like."""
        return cls(frozenset(code for one in seen if len(code := look(one)) >= _SHORTEST))

    def is_in(self, text: str) -> bool:
        """Return whether a recognised text holds one of them, up to an error per six characters."""
        words = [look(word) for word in _WORD.findall(plain(text))]
        whole = "".join(words)
        if any(len(code) >= _FREE and code in whole for code in self.codes):
            return True
        tried = set(words) | {one + two for one, two in pairwise(words)}
        return any(_is_like(word, code) for word in tried for code in self.codes)


@lru_cache(maxsize=1024)
def look(text: str) -> str:
    """Return the letters and digits of a text with those that look alike made one.

    >>> look("Quarzfe1d") == look("QUARZFEID"), look("OO8O1") == look("0080l")
    (True, True)
    """
    lower = plain(text)
    for pair, one in _PAIRS:
        lower = lower.replace(pair, one)
    return re.sub("[^a-z]", "", lower.translate(_ALIKE))


def _is_like(word: str, code: str) -> bool:
    length = len(code)
    allowed = 2 if length >= _TWO_OFF else 1 if length >= _ONE_OFF else 0
    if allowed == 0:
        return word == code
    return abs(len(word) - length) <= allowed and _distance(word, code, allowed) <= allowed


def _distance(one: str, two: str, most: int) -> int:
    """Return the edit distance, or more than `most` once it is clear that it is greater."""
    row = list(range(len(two) + 1))
    for place, letter in enumerate(one, 1):
        last, row[0] = row[0], place
        for column, other in enumerate(two, 1):
            last, row[column] = (
                row[column],
                min(row[column] + 1, row[column - 1] + 1, last + (letter != other)),
            )
        if min(row) > most:
            return most + 1
    return row[-1]
