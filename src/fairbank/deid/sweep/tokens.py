"""From names and ids as a file states them to the words that are sought."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import permutations

from fairbank.deid.sweep.charsets import written
from fairbank.deid.sweep.numbers import LEAST_DIGITS, LONG, code_of, digits_of
from fairbank.deid.sweep.spellings import cased, plain, spellings
from fairbank.deid.sweep.vocabulary import terms

SHORTEST_WORD = 3
# From here on a word is found inside others, too.
FREE_WORD = 5
FREE_CODE = 6
_LEAST_ORDER = 5
_MOST_WORDS = 12
_COMPONENTS = 3
_BETWEEN = re.compile(r"[\s,;:()\[\]{}_./\\|<>\"*?!0-9-]+")
_JOINTS = re.compile(r"['’`\u00b4-]")
_LETTER = re.compile(r"[^\W\d_]")
_DIGITS = re.compile(r"\d{6,}")
_YEAR = re.compile(r"(19|20)\d\d")
_MIXED = re.compile(r"(?=.*\d)(?=.*[a-z])")


@dataclass(slots=True)
class Tokens:
    """What is sought, and where.

    Attributes:
        raw: byte strings sought in every byte before the pixels, ASCII letters in lower case.
        squeezed: byte strings sought in text without what separates words.
        short: words sought as whole words of a text.
        pairs: words sought as neighbours in a text.
        numbers: whole numbers without leading zeros.
        own: words to mask in a descriptor.
        seen: letters and digits of each identifier, for text that was recognised in pixels.
    """

    raw: set[bytes] = field(default_factory=set)
    squeezed: set[bytes] = field(default_factory=set)
    short: set[bytes] = field(default_factory=set)
    pairs: set[tuple[bytes, bytes]] = field(default_factory=set)
    numbers: set[str] = field(default_factory=set)
    own: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)

    def add_name(self, name: str) -> None:
        """Add a person's name (PN): each group, each component, each word, and how they are put together."""
        for group in name.split("\\"):
            for form in group.split("="):
                self._add_form([component.strip() for component in form.split("^")])

    def add_text(self, text: str) -> None:
        """Add the words of an address, and e-mail addresses."""
        for address in re.findall(r"[\w.+-]+@[\w.-]+", text):
            self._free(code_of(address))
            self._add_word(address.partition("@")[0], inside=False)
        for word in words_of(text):
            if len(word) > FREE_WORD:
                self._add_word(word)

    def add_id(self, stated: str, *, least: int = LEAST_DIGITS) -> None:
        """Add an id: a number, a code of letters and digits, or a word."""
        for one in stated.split("\\"):
            self._add_id(one.strip(), least)

    def add_phone(self, stated: str) -> None:
        """Add a telephone number, with and without what stands before the last eight digits."""
        for one in stated.split("\\"):
            digits = re.sub(r"\D", "", one).lstrip("0")
            if len(digits) >= LONG:
                self.numbers |= {digits, digits[-8:].lstrip("0")}
                self.squeezed |= {digits.encode(), digits[-8:].encode()}

    def _add_form(self, components: list[str]) -> None:
        listed = [words_of(component) for component in components[:_COMPONENTS]]
        words = [word for component in listed for word in component][:_MOST_WORDS]
        for word in words:
            self._add_word(word)
        joined = ["".join(component) for component in listed if component]
        for component, parts in zip(joined, (part for part in listed if part), strict=True):
            if len(parts) > 1 and not _all_terms(parts):
                self._free(plain(component))
        self._add_pairs([word for word in dict.fromkeys(words) if not _is_initial(word)])
        if len(joined) > 1:
            self._add_orders(joined, listed)

    def _add_orders(self, joined: list[str], listed: list[list[str]]) -> None:
        if _all_terms([word for component in listed for word in component]):
            return
        for order in permutations(joined):
            whole = "".join(order)
            if whole.isascii():
                self._free(whole.lower())
            elif not _is_latin(whole):
                self.raw |= {form for form in written(whole) if len(form) >= 4}
        family, given = plain(joined[0]), plain(joined[1])
        if SHORTEST_WORD <= len(family) < FREE_WORD and given.isascii():
            self.short |= {
                form.encode() for form in (given[0] + family, family + given[0]) if form not in terms()
            }

    def _add_pairs(self, words: list[str]) -> None:
        for one, two in permutations(words[: _COMPONENTS * 2], 2):
            if _all_terms([one, two]):
                continue
            for first in _plain_forms(one):
                for second in _plain_forms(two):
                    self._free(first + second)
                    self.pairs.add((first.encode(), second.encode()))

    def _add_word(self, word: str, *, inside: bool = True) -> None:
        forms = spellings(word)
        letters = len(_LETTER.findall(word))
        self.own |= {form for form in forms if len(form) > 1}
        if not _is_sought(word):
            return
        self.seen |= {plain(form) for form in forms}
        if _is_latin(word) and letters < FREE_WORD:
            self._add_short(forms)
            return
        if not inside:
            self.short |= {form.encode() for form in forms}
            return
        self.raw |= {encoded for encoded in written(word) if len(encoded) >= 4}
        for form in forms:
            self.squeezed |= {plain(form).encode()} if len(plain(form).encode()) >= FREE_WORD else set()
            for case in cased(form) if not form.isascii() else (form,):
                self.raw |= {encoded for encoded in written(case) if len(encoded) >= 4}

    def _add_short(self, forms: Iterable[str]) -> None:
        for form in forms:
            if form in terms():
                continue
            for case in cased(form):
                for encoded in written(case):
                    (self.raw if b"\0" in encoded else self.short).add(encoded)

    def _free(self, code: str) -> None:
        if len(code) >= FREE_CODE:
            self.squeezed.add(code.encode())
        elif len(code) >= LEAST_DIGITS and code not in terms():
            self.short.add(code.encode())

    def _add_id(self, stated: str, least: int) -> None:
        number, code = digits_of(stated), code_of(stated)
        self.own |= {stated.lower()} if len(stated) >= SHORTEST_WORD else set()
        if number:
            self._add_number(number, least)
        elif _MIXED.match(code):
            self._add_code(stated, code, least)
        else:
            for word in words_of(stated):
                self._add_word(word, inside=len(word) > FREE_CODE)

    def _add_number(self, number: str, least: int) -> None:
        if len(number) < least or (_YEAR.fullmatch(number) and len(number) == LEAST_DIGITS):
            return
        self.numbers.add(number)
        self.seen.add(number)
        if len(number) >= LONG:
            self.squeezed.add(number.encode())
            self.raw |= {form for form in written(number) if b"\0" in form}

    def _add_code(self, stated: str, code: str, least: int) -> None:
        if len(code) < least:
            return
        self.own |= {code, *(part for part in re.split(r"[^0-9a-z]+", stated.lower()) if _MIXED.match(part))}
        self.seen.add(code)
        self._free(code)
        if len(stated) >= FREE_CODE:
            self.raw |= {form for form in written(stated.lower()) if len(form) >= FREE_CODE}
        for digits in _DIGITS.findall(stated):
            self._add_number(digits.lstrip("0"), least)


@lru_cache(maxsize=1024)
def words_of(text: str) -> list[str]:
    """Return the words of a text; joints such as a hyphen or an apostrophe part it and hold it together.

    >>> words_of("O'Brien-Smith, J.")
    ["O'Brien", 'Smith', 'J', 'OBrien', 'O', 'Brien']
    """
    words = [word for word in _BETWEEN.split(text) if _LETTER.search(word)]
    more = []
    for word in words:
        if _JOINTS.search(word):
            more += [_JOINTS.sub("", word), *(part for part in _JOINTS.split(word) if part)]
    return [word for word in words if not _JOINTS.fullmatch(word)] + more


def order_least() -> int:
    """Return how many digits the number of an order must have to be sought: they count up from one everywhere."""
    return _LEAST_ORDER


def _is_sought(word: str) -> bool:
    if not _is_latin(word):
        return len(word) > 1
    return len(word) >= SHORTEST_WORD and not (spellings(word) & terms())


def _is_initial(word: str) -> bool:
    return _is_latin(word) and len(word) < 2


def _all_terms(words: Iterable[str]) -> bool:
    return all(_is_latin(word) and (len(word) < 2 or plain(word) in terms()) for word in words)


def _is_latin(word: str) -> bool:
    return all(ord(letter) < 0x250 or 0x1E00 <= ord(letter) < 0x1F00 for letter in word)


def _plain_forms(word: str) -> Iterator[str]:
    return iter(sorted({plain(form) for form in spellings(word)}))
