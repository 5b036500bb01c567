"""How else a name is written: without marks, with the digraphs that stand for them, in Latin letters."""
# ruff: noqa: RUF001 - letters that look like Latin ones are what this is about

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from fairbank.deid.sweep.alphabets import (
    BACK,
    CYRILLIC,
    CYRILLIC_ICAO,
    CYRILLIC_PLAIN,
    DIGRAPHS,
    FINALS,
    GREEK,
    GREEK_PAIRS,
    INITIALS,
    KANA,
    SINGLES,
    SMALL_KANA,
    VOWELS,
)

_FIRST_SYLLABLE, _LAST_SYLLABLE = 0xAC00, 0xD7A3


@lru_cache(maxsize=1024)
def spellings(word: str) -> frozenset[str]:
    """Return the lower-case spellings of a word, itself among them.

    >>> sorted(spellings("Müller"))
    ['mueller', 'muller', 'müller']
    >>> "mueller" in spellings("MUELLER") and "müller" in spellings("Mueller")
    True
    >>> sorted(spellings("Łukasz")), "ivanov" in spellings("Иванов")
    (['lukasz', 'łukasz'], True)
    """
    lower = unicodedata.normalize("NFC", word.replace("İ", "I")).lower()
    forms = {lower, plain(lower), _replaced(lower, DIGRAPHS), *_latin(lower)}
    for pairs in BACK:
        back = lower
        for pair, letter in pairs:
            back = back.replace(pair, letter)
        forms |= {back, plain(back)}
    return frozenset(form for form in forms if form)


def plain(text: str) -> str:
    """Return a text in lower case without marks on its letters.

    >>> plain("Ñandú Ørsted")
    'nandu orsted'
    """
    lower = text.lower()
    if lower.isascii():
        return lower
    bare = unicodedata.normalize("NFKD", _replaced(lower, SINGLES))
    return "".join(letter for letter in bare if not unicodedata.combining(letter))


def cased(lower: str) -> frozenset[str]:
    """Return a lower-case spelling in the cases in which it is written: lower, upper, first letter upper."""
    return frozenset({lower, lower.upper(), lower.title(), lower.capitalize()})


def _latin(lower: str) -> set[str]:
    found = set()
    if re.search("[а-џґ]", lower):
        found |= {_replaced(lower, table) for table in (CYRILLIC, CYRILLIC_ICAO, CYRILLIC_PLAIN)}
    if re.search("[α-ώ]", lower):
        bare = plain(lower)
        found.add(_replaced(bare, GREEK))
        for pair, letters in GREEK_PAIRS:
            bare = bare.replace(pair, letters)
        found.add(_replaced(bare, GREEK))
    if re.search("[ぁ-ヶ]", lower):
        found.add(_from_kana(lower))
    if any(_FIRST_SYLLABLE <= ord(letter) <= _LAST_SYLLABLE for letter in lower):
        found.add("".join(_from_hangul(letter) for letter in lower))
    return {form for form in found if form.isascii()}


def _from_kana(text: str) -> str:
    hiragana = "".join(chr(ord(one) - 0x60) if "ァ" <= one <= "ヶ" else one for one in text)
    latin = _replaced(hiragana, KANA)
    latin = re.sub("([a-z]*)i([ゃゅょ])", lambda m: _with_small(m[1], SMALL_KANA[m[2]]), latin)
    return re.sub("っ(.)", r"\1\1", latin).replace("ー", "")


def _with_small(consonant: str, small: str) -> str:
    return consonant + (small[1:] if consonant.endswith(("sh", "ch", "j")) else small)


def _from_hangul(letter: str) -> str:
    place = ord(letter) - _FIRST_SYLLABLE
    if not 0 <= place <= _LAST_SYLLABLE - _FIRST_SYLLABLE:
        return letter
    return INITIALS[place // 588] + VOWELS[place % 588 // 28] + FINALS[place % 28]


def _replaced(text: str, letters: dict[str, str]) -> str:
    return "".join(letters.get(letter, letter) for letter in text)
