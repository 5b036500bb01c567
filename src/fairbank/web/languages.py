"""The language of a page: which one, its texts, and how it writes numbers, days and spans of time.

English is what the code and the templates say; every other language is a folder of `texts/` with files in the format of
gettext, read when they are first needed. `xx` is no language: it lengthens every text by two fifths and marks its ends,
so that one sees what does not fit and what was never meant to be translated.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from starlette.requests import Request

TEXTS: Final = Path(__file__).with_name("texts")
SOURCE: Final = "en"
PSEUDO: Final = "xx"
# What people choose from; the pseudo-language is there for who asks for it by name.
LANGUAGES: Final[dict[str, str]] = {"en": "English", "de": "Deutsch"}
PARAMETER: Final = "lang"
COOKIE: Final = "fairbank-lang"
_PLACEHOLDER: Final = re.compile(r"%\(\w+\)[sd]|<[^>]*>|&\w+;")
_ACCENTED: Final = str.maketrans("aeiouAEIOUcnsz", "àéîöûÀÉÎÖÛçñšž")
_LONGER: Final = 0.4


def mark(text: str) -> str:
    """Return a text as it is: it is said here, and translated where it is shown."""
    return text


_NO_TIME: Final = mark("less than a minute")


@dataclass(frozen=True, slots=True)
class Tongue:
    """A language, for one viewer.

    Attributes:
        code: `en`, `de` or `xx`.
    """

    code: str = SOURCE

    @property
    def locale(self) -> str:
        """Return the locale that numbers and days are written by."""
        return SOURCE if self.code == PSEUDO else self.code

    @property
    def separators(self) -> tuple[str, str]:
        """Return what stands between thousands, and before decimals.

        >>> Tongue("de").separators
        ('.', ',')
        """
        return _separators(self.locale)

    def say(self, text: str, **parts: object) -> str:
        """Return a whole sentence with its parts put in.

        >>> Tongue().say("%(count)s collections", count=3)
        '3 collections'
        """
        said = texts_of(self.code).gettext(text)
        return said % parts if parts else said

    def say_many(self, one: str, many: str, number: int, **parts: object) -> str:
        """Return the sentence for a number of things; `%(number)s` in it is the number as the language writes it.

        >>> Tongue().say_many("%(number)s node", "%(number)s nodes", 2)
        '2 nodes'
        """
        said = texts_of(self.code).ngettext(one, many, number)
        return said % {"number": self.number(number), **parts}

    def number(self, value: float) -> str:
        """Return a number.

        >>> Tongue("de").number(1234567)
        '1.234.567'
        """
        return _number(value, self.locale)

    def day(self, moment: date | datetime) -> str:
        """Return a day, in UTC."""
        return _day(moment.date() if isinstance(moment, datetime) else moment, self.locale)

    def moment(self, moment: datetime) -> str:
        """Return a moment to the minute, in UTC."""
        from babel.dates import UTC, format_date

        there = moment.astimezone(UTC)
        # Of 24 hours in every language, so that no letter beside them can be overlooked.
        return f"{format_date(there, format='medium', locale=self.locale)}, {there:%H:%M} UTC"

    def span(self, length: timedelta) -> str:
        """Return how long something lasts, in its largest unit; nobody counts seconds.

        >>> Tongue().span(timedelta(days=3, hours=5)), Tongue().span(timedelta(seconds=3))
        ('3 days', 'less than a minute')
        """
        from babel.dates import format_timedelta

        if is_just_now(length):
            return self.say(_NO_TIME)
        return str(
            format_timedelta(length, locale=self.locale, threshold=1.0 if length < timedelta(1) else 2)
        )


@lru_cache(maxsize=8)
def _separators(locale: str) -> tuple[str, str]:
    from babel.numbers import get_decimal_symbol, get_group_symbol

    return str(get_group_symbol(locale)), str(get_decimal_symbol(locale))


# A list says the same few numbers and days again and again, and Babel reads a pattern for each.
@lru_cache(maxsize=4_096)
def _number(value: float, locale: str) -> str:
    from babel.numbers import format_decimal

    return str(format_decimal(value, locale=locale))


@lru_cache(maxsize=1_024)
def _day(day: date, locale: str) -> str:
    from babel.dates import format_date

    return str(format_date(day, format="long", locale=locale))


def is_just_now(length: timedelta) -> bool:
    """Tell whether so little time has passed that a page says "just now".

    >>> is_just_now(timedelta(seconds=59)), is_just_now(timedelta(minutes=1))
    (True, False)
    """
    return length < timedelta(minutes=1)


@lru_cache(maxsize=8)
def texts_of(code: str) -> NullTranslations:
    """Return the texts of a language; what one lacks stands in English."""
    if code == PSEUDO:
        return _Pseudo()
    folder = TEXTS / code
    if code == SOURCE or not folder.is_dir():
        return NullTranslations()
    from babel.messages.catalog import Catalog
    from babel.messages.mofile import write_mo

    whole, written = Catalog(locale=code), BytesIO()
    for _, message in messages_of(code):
        whole[message.id] = message
    write_mo(written, whole)
    written.seek(0)
    return GNUTranslations(written)


def messages_of(code: str) -> list[tuple[str, Any]]:
    """Return the messages of all files of a language, as Babel reads them, each with the name of its file."""
    from babel.messages.pofile import read_po

    found = []
    for path in sorted((TEXTS / code).glob("*.po")):
        with path.open("rb") as file:
            found += [(path.stem, message) for message in read_po(file, locale=code) if message.id]
    return found


def pseudo(text: str) -> str:
    """Return a text with other letters, two fifths longer, its ends marked and its placeholders whole.

    >>> pseudo("Sign in")
    '[Sîgñ îñ ~~~]'
    """
    kept = _PLACEHOLDER.findall(text)
    pieces = [piece.translate(_ACCENTED) for piece in _PLACEHOLDER.split(text)]
    joined = "".join(piece + mark_ for piece, mark_ in zip(pieces, [*kept, ""], strict=True))
    longer = max(1, round(len(text) * _LONGER))
    # In words, as a longer language would have them: they break where a line ends.
    words = " ".join("~" * min(7, longer - at) for at in range(0, longer, 8))
    return f"[{joined} {words}]"


def chosen(request: Request) -> Tongue:
    """Return the language of a request: `?lang=`, then the cookie, then what the browser prefers, then English."""
    known = {*LANGUAGES, PSEUDO}
    for said in (request.query_params.get(PARAMETER), request.cookies.get(COOKIE)):
        if said in known:
            return Tongue(str(said))
    from fairbank.catalogue import negotiation

    wish = request.headers.get("accept-language", "")
    # A region is of its language: `de-AT` is read as `de`.
    plain = re.sub(r"(?i)\b([a-z]{2,3})-[a-z0-9-]+", r"\1", wish)
    liked = negotiation.choose(plain, tuple(LANGUAGES)) if plain else None
    return Tongue(liked or SOURCE)


class _Pseudo(NullTranslations):
    def gettext(self, message: str) -> str:
        return pseudo(message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return pseudo(msgid1 if n == 1 else msgid2)
