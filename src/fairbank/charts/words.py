"""The language that charts speak: English, or that of the reader for whom they are drawn.

Reports are read by many and drawn for nobody in particular: they stay English. A page says `with spoken(tongue)` around
what draws for its reader. What a chart is given, such as its title, is said by whoever gives it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from functools import reduce

from fairbank.ontology.counts import Total
from fairbank.ontology.speaking import ENGLISH, Speaker

_SPEAKER: ContextVar[Speaker] = ContextVar("fairbank-charts-speaker", default=ENGLISH)


@contextmanager
def spoken(by: Speaker) -> Iterator[None]:
    """Let charts that are drawn inside speak a language."""
    before = _SPEAKER.set(by)
    try:
        yield
    finally:
        _SPEAKER.reset(before)


def speaker() -> Speaker:
    """Return the language that charts speak now."""
    return _SPEAKER.get()


def say(text: str, **parts: object) -> str:
    """Return an English sentence in the language of the reader, with its parts put in.

    >>> say("%(count)s more in the table", count=3)
    '3 more in the table'
    """
    return speaker().say(text, **parts)


def mark(text: str) -> str:
    """Return a text as it is: it is said where it is drawn."""
    return text


def count_words(count: Total, now: datetime | None = None) -> str:
    """Return what people read for a count, without the reason."""
    return count.words(now, speaker())


def count_in_full(count: Total, now: datetime | None = None) -> str:
    """Return what people read for a count, with the reason."""
    return count.in_full(now, speaker())


def all_of(parts: Sequence[str]) -> str:
    """Return parts, one at least, as one phrase.

    >>> all_of(["CT", "MR", "PET"])
    'CT and MR and PET'
    """
    return reduce(lambda one, other: say("%(one)s and %(other)s", one=one, other=other), parts)
