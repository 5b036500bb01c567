"""Who says the words of counts and charts: English, or the language of a reader, with its separators of numbers."""

from __future__ import annotations

from typing import Final, Protocol


class Speaker(Protocol):
    """A language."""

    @property
    def separators(self) -> tuple[str, str]:
        """Return what stands between thousands, and before decimals."""
        ...

    def say(self, text: str, **parts: object) -> str:
        """Return an English sentence in this language, with its parts put in (`%(name)s`)."""
        ...


class English:
    """What code says, as it is.

    >>> ENGLISH.say("fewer than %(k)s", k=10)
    'fewer than 10'
    """

    separators: tuple[str, str] = (",", ".")

    def say(self, text: str, **parts: object) -> str:
        """Return a sentence with its parts put in."""
        return text % parts if parts else text


ENGLISH: Final[Speaker] = English()


def separated(number: str, by: Speaker) -> str:
    """Return a number that is written in English as a language writes it.

    >>> separated("1,200.5", ENGLISH)
    '1,200.5'
    """
    group, decimal = by.separators
    return number.translate({ord(","): group, ord("."): decimal})
