"""How wide text is, at most, so that labels neither leave a picture nor meet.

Source: the advance widths of DejaVu Sans 2.37 (table `hmtx`), in thousandths of the font size, rounded up. Verdana is
alike; Arial and what systems take for it are narrower.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Final

ELLIPSIS: Final = "\N{HORIZONTAL ELLIPSIS}"
REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
# From the space to the tilde.
_ASCII: Final = (
    318, 401, 460, 838, 637, 951, 780, 275, 391, 391, 500, 838, 318, 361, 318, 337, 637, 637, 637, 637, 637, 637, 637,
    637, 637, 637, 337, 337, 838, 838, 838, 531, 1000, 685, 687, 699, 771, 632, 576, 775, 752, 295, 295, 656, 558, 863,
    749, 788, 604, 788, 695, 635, 611, 732, 685, 989, 686, 611, 686, 391, 337, 391, 838, 500, 500, 613, 635, 550, 635,
    616, 353, 635, 634, 278, 278, 580, 278, 975, 634, 612, 635, 635, 412, 521, 393, 634, 592, 818, 592, 592, 525, 637,
    337, 637, 838,
)  # fmt: skip
# Latin, Greek and Cyrillic letters, and the widest that any other letter of the font is.
_LETTER, _WIDEST = 1200, 1750
_LAST_LETTER: Final = "\u052f"
# Bold letters are up to a seventh wider.
_BOLD = 1.15


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Return how wide a line is at most, in the unit of its font size.

    >>> text_width("Ä", 10) == text_width("A", 10) > text_width("i", 10)
    True
    """
    return sum(map(_width, text)) * size / 1000 * (_BOLD if bold else 1.0)


def shown(text: str) -> str:
    """Return text as it can stand in XML and on one line: what cannot be shown becomes a replacement character."""
    return "".join(_shown(letter) for letter in text)


def fitted(text: str, room: float, size: float, *, bold: bool = False) -> str:
    """Return text on one line, cut with an ellipsis where it is wider than its room.

    >>> fitted("Universitätsklinikum", 60, 13)
    'Univer…'
    """
    line = shown(text)
    if text_width(line, size, bold=bold) <= room:
        return line
    factor = size / 1000 * (_BOLD if bold else 1.0)
    left, kept = room - _width(ELLIPSIS) * factor, 0
    for letter in line:
        left -= _width(letter) * factor
        if left < 0:
            break
        kept += 1
    return line[:kept].rstrip() + ELLIPSIS


def wrapped(text: str, room: float, size: float, *, lines: int, bold: bool = False) -> list[str]:
    """Return text on at most some lines, broken between words; the last is cut where it is too long.

    >>> wrapped("fewer than ten subjects", 90, 13, lines=2)
    ['fewer than', 'ten subjects']
    """
    words, found = shown(text).split(), [""]
    for place, word in enumerate(words):
        longer = f"{found[-1]} {word}".lstrip()
        if not found[-1] or text_width(longer, size, bold=bold) <= room:
            found[-1] = longer
        elif len(found) == lines:
            found[-1] = " ".join([found[-1], *words[place:]])
            break
        else:
            found.append(word)
    return [fitted(line, room, size, bold=bold) for line in found]


@lru_cache(maxsize=4096)
def _width(letter: str) -> int:
    if " " <= letter <= "~":
        return _ASCII[ord(letter) - 32]
    if letter == ELLIPSIS:
        return 1000
    if unicodedata.combining(letter):
        return 0
    base = unicodedata.normalize("NFD", letter)[0]
    if base != letter and " " <= base <= "~":
        return _ASCII[ord(base) - 32]
    return _LETTER if letter <= _LAST_LETTER else _WIDEST


def _shown(letter: str) -> str:
    if letter in "\t\n\r":
        return " "
    return REPLACEMENT if unicodedata.category(letter) in ("Cc", "Cs", "Cn", "Co") else letter
