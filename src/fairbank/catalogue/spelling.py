"""Which word was probably meant, by the trigrams that two words share; the same measure as PostgreSQL's pg_trgm.

Source: Angell, Freund, Willett 1983, Automatic spelling correction using a trigram similarity measure, section 2;
PostgreSQL, F.35 pg_trgm: padding with two blanks before and one after, shared trigrams over all trigrams.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

# Shorter words share too few trigrams to tell a slip from another word.
SHORTEST = 4
# A word of eight letters keeps half of them when a letter is wrong, and three eighths when two have changed places.
ALIKE = 0.35
_WORD = re.compile(r"\w+", re.UNICODE)


def words_of(text: str) -> list[str]:
    """Return the words of a text.

    >>> words_of("Lung-CT, 2019")
    ['Lung', 'CT', '2019']
    """
    return _WORD.findall(text)


def can_be_misspelt(word: str) -> bool:
    """Tell whether a word is worth a second try: long enough, and of letters only."""
    return len(word) >= SHORTEST and word.isalpha()


def nearest(word: str, texts: Iterable[str]) -> str | None:
    """Return the word of some texts that is most like another; of several, the one that is in more texts.

    Args:
        texts: in small letters.

    >>> nearest("manufcturer", ["made by one manufacturer", "manual"]), nearest("kidney", ["lung"])
    ('manufacturer', None)
    """
    uses = Counter(found for text in texts for found in set(words_of(text)))
    alike = [
        (likeness(word, found), number, found)
        for found, number in uses.items()
        # A word that shares enough trigrams cannot be much longer or shorter.
        if ALIKE * len(word) - 1 <= len(found) <= len(word) / ALIKE + 1 and can_be_misspelt(found)
    ]
    best = max(alike, default=(0.0, 0, ""))
    return best[2] if best[0] >= ALIKE else None


def likeness(one: str, other: str) -> float:
    """Return how many of the trigrams of two words are shared, from 0 to 1.

    >>> likeness("lung", "lung"), likeness("lung", "lungs"), likeness("lung", "heart")
    (1.0, 0.5714285714285714, 0.0)
    """
    ours, theirs = _trigrams(one), _trigrams(other)
    shared = len(ours & theirs)
    return shared / (len(ours) + len(theirs) - shared)


@lru_cache(maxsize=4_096)
def _trigrams(word: str) -> frozenset[str]:
    padded = f"  {word} "
    return frozenset(padded[place : place + 3] for place in range(len(padded) - 2))
