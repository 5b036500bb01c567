"""Short texts (LO, SH) that name equipment and techniques: what has the form or the words of such a name stays.

A text that nobody listed never passes: unknown words are masked, and where no known word is left the text goes.
"""

from __future__ import annotations

import re
from collections.abc import Set

from pydicom.datadict import tag_for_keyword

from fairbank.deid import descriptor_words
from fairbank.deid.descriptors import MASK
from fairbank.deid.standard import makers
from fairbank.deid.standard.terms import known_words, terms_of

_SEPARATORS = re.compile(r"([\s^_,;:/()\[\]{}\\|+=<>\"'&@#-]+)")
# A model, a version, a number of a part: few letters, few digits, and what binds them.
_TOKEN = re.compile(r"(?=.{1,8}$)[A-Z]{0,2}\d{1,4}([A-Z]{1,2}\d{1,3}){0,2}[A-Z]{0,2}")
_PIECES = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_DIMENSION_LABEL = 0x00209421
_DIGITS = re.compile(r"\d+")
_LONGEST_NUMBER = 4
_LONG_WORD = 4
_MOST_DIGITS = 7
_YEARS = range(1880, 2101)
_SHORTHAND = re.compile(r"[A-Z]?\d{0,3}[A-Z]?")
_LISTED_NUMBER = re.compile(r"[+-]?\d{1,3}(\.\d{1,3})?")
# Siemens writes *fl3d1, #tse2d1_11 or ep2d_b50; others letters and digits (Siemens conformance statements).
_SEQUENCE = re.compile(
    r"[*#]{0,2}(a?fl|at?fi|c|csi|ep|epfid|epse|fid|fisp|fl|gr|h|ir|m|me|q|qfl|re|rm|s|se|sp|spc|spcir|spcR?|svs|swi|t|tfi|"
    r"tfl|tgse|tir|tirB|tse|tseR|ts|WE|uTE|pc|psif|de|mprage|space|haste|trufi|b)_?[23]?[dD]?\d{0,3}(t\d{1,2})?"
    r"([_#](\d{1,4}|ns|we|fs|fse|rr|b\d{1,4}|t\d|r\d|rst|tb|ir)){0,4}",
)
# Siemens letters with a sharpness, Canon FC, GE words, Philips letters (see `facts.kernel_class`).
_KERNEL = re.compile(
    r"[A-Z]{1,2}[a-z]?\d{2}[a-z]{0,2}|FC\d{2}[A-Z]?|FL\d{2}|[A-Z]{1,2}|\d{1,2}|"
    r"(STANDARD|SOFT|BONE|LUNG|DETAIL|EDGE|BONEPLUS|CHEST|ULTRA|SMOOTH|SHARP|STD|HD|BRAIN|HEAD|BODY)"
    r"( ?(PLUS|\+|HD|STD))?",
)
_ION = re.compile(r"\d{0,3}[A-Z][a-z]?\d{0,3}")
_FORMS = {0x00180024: _SEQUENCE, 0x00189005: _SEQUENCE, 0x00181210: _KERNEL, 0x00180085: _ION}
# Names of machines, programs and their parts: here stand model numbers and versions.
_EQUIPMENT = frozenset(
    {
        0x00080070, 0x00081090, 0x00181006, 0x00181016, 0x00181018, 0x00181019, 0x00181020, 0x00181022, 0x00181023,
        0x00181160, 0x00181161, 0x00181180, 0x00181250, 0x00181251, 0x00181260, 0x00181401, 0x00185010, 0x0018702A,
        0x0018702B, 0x00189041, 0x00189047, 0x00189050, 0x00189320, 0x00189524, 0x00189525, 0x00189526, 0x00240202,
        0x00541103, 0x00620009, 0x00660031, 0x00660036, 0x300A0216, 0x300A0238, 0x300A0298, 0x3010001A,
    }
)  # fmt: skip


def cleaned(tag: int, text: str, own_words: Set[str]) -> str | None:
    r"""Return a text with what nobody listed masked; None if nothing that says something is left.

    Args:
        tag: the attribute.
        text: its values, separated by backslashes.
        own_words: lower-case parts of the subject's own names and numbers; they never pass.

    >>> cleaned(0x00081090, "SOMATOM Definition AS+", set()), cleaned(0x00181020, r"syngo CT VA48A\2.6.3", set())
    ('SOMATOM Definition AS+', 'syngo CT VA48A\\2.6.3')
    >>> cleaned(0x00181210, "B30f", set()), cleaned(0x00181210, "QUARZFELD", set())
    ('B30f', None)
    >>> cleaned(0x00081090, "Avanto of Dr Quarzfeld", set())
    'Avanto of Dr *'
    """
    values = text.split("\\")
    done = [_value(tag, value, own_words) for value in values]
    if all(new is None or not new.strip() for new in done):
        return None if text.strip() else text
    return "\\".join(MASK if new is None else new for new in done)


def names_subject(text: str, own_words: Set[str]) -> bool:
    """Return whether a text is one of the subject's own words, or contains a long one."""
    lower = text.lower()
    return lower in own_words or any(len(word) >= _LONG_WORD and word in lower for word in own_words)


def _value(tag: int, value: str, own_words: Set[str]) -> str | None:
    stripped = value.strip(" \0")
    form = _FORMS.get(tag)
    if names_subject(stripped, own_words):
        return None
    if stripped.upper() in terms_of(tag) or (form is not None and form.fullmatch(stripped)):
        return value
    pieces = _SEPARATORS.split(value)
    words = pieces[0::2]
    passed = [_word(tag, word, own_words) for word in words]
    if _looks_dated(words) or _is_long_number(words):
        passed = [ok and not any(c.isdigit() for c in word) for ok, word in zip(passed, words, strict=True)]
    if not all(passed):  # among unknown words, a number could be a year of birth
        passed = [
            ok and not (word.isdigit() and len(word) >= _LONGEST_NUMBER)
            for ok, word in zip(passed, words, strict=True)
        ]
    says_something = any(
        ok and (len(words) == 1 or len(word) > 1) for ok, word in zip(passed, words, strict=True) if word
    )
    if not says_something:
        return None if stripped else value
    pieces[0::2] = [word if ok else MASK for ok, word in zip(passed, words, strict=True)]
    return "".join(pieces)


def _word(tag: int, word: str, own_words: Set[str]) -> bool:
    bare = word.strip(".!*\0")
    lower, upper = bare.lower(), bare.upper()
    if lower in own_words:
        return False
    if len(bare) <= 1 or _is_known(bare, own_words):
        return True
    if _LISTED_NUMBER.fullmatch(bare):
        return True
    if "." in bare:
        parts = [part for part in bare.split(".") if part]
        return (
            len(parts) <= 5
            and not _looks_dated(parts)
            and sum(character.isdigit() for character in bare) <= _MOST_DIGITS
            and all(_word(tag, part, own_words) for part in parts)
        )
    if tag == _DIMENSION_LABEL and tag_for_keyword(bare) is not None:
        return True
    shape = _TOKEN if tag in _EQUIPMENT else _SHORTHAND
    return shape.fullmatch(upper) is not None or (tag in _EQUIPMENT and _is_glued(bare, own_words))


def _is_glued(word: str, own_words: Set[str]) -> bool:
    """Return whether a word is put together of known ones and short numbers, such as LightSpeedApps14."""
    pieces = _PIECES.findall(word)
    if len(pieces) < 2 or "".join(pieces) != word:
        return False
    return all(
        len(piece) <= _LONGEST_NUMBER if piece.isdigit() else len(piece) == 1 or _is_known(piece, own_words)
        for piece in pieces
    )


def _is_known(word: str, own_words: Set[str]) -> bool:
    lower = word.lower()
    return lower not in own_words and (
        lower in descriptor_words.WORDS or lower in makers.WORDS or word.upper() in known_words()
    )


def _is_long_number(words: list[str]) -> bool:
    """Return whether numbers that follow each other make a long one, as in a telephone number."""
    digits, run = 0, 0
    for word in words:
        is_number = word.isdigit()
        digits, run = (digits + len(word), run + 1) if is_number else (0, 0)
        if run > 1 and digits >= _MOST_DIGITS:
            return True
    return False


def _looks_dated(parts: list[str]) -> bool:
    """Return whether numbers among words could be a date: a year with other numbers, or three in a row."""
    numbers = [part.strip(".") for part in parts]
    digits = [
        int(number) for number in numbers if _DIGITS.fullmatch(number) and len(number) <= _LONGEST_NUMBER
    ]
    days = [number for number in digits if 1 <= number <= 31]
    if any(number in _YEARS for number in digits) and len(days) >= 2:
        return True
    pairs = [len(number) == 2 and number.isdecimal() and int(number) > 0 for number in numbers]
    return any(all(pairs[place : place + 3]) for place in range(len(pairs) - 2))
