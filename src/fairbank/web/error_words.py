"""What errors say in the language of a page: translated where it knows the sentence, else English and marked so.

Errors are written in English where they are raised. A sentence is known as it stands there, or by the text that
`errors.told` keeps of one with parts. Of an error whose first sentence no language knows a page says by its kind what
has happened, and shows the English below.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

from fairbank.errors import FairbankError, Kind, Told
from fairbank.web.languages import LANGUAGES, SOURCE, Tongue, mark, messages_of

_BY_KIND: Final[dict[Kind, str]] = {
    Kind.MISUSE: mark("This was not understood"),
    Kind.UNAUTHENTICATED: mark("It is not known who you are"),
    Kind.FORBIDDEN: mark("This is not allowed to you"),
    Kind.NOT_FOUND: mark("This is not there, or not visible to you"),
    Kind.NOT_ACCEPTABLE: mark("There is no answer in the form that was asked for"),
    Kind.CONFLICT: mark("This does not go with how things stand now"),
    Kind.GONE: mark("This is not there any more"),
    Kind.PRECONDITION: mark("Something that this needs is missing or has changed"),
    Kind.TOO_LARGE: mark("This is too large"),
    Kind.UNSUPPORTED: mark("What was sent has a form that is not taken"),
    Kind.REFUSED: mark("This was not accepted"),
    Kind.TOO_MANY: mark("This was asked for too often"),
    Kind.FAILED: mark("This failed"),
    Kind.UNAVAILABLE: mark("This cannot be done at the moment"),
    Kind.TIMEOUT: mark("This took too long"),
}


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence and its language, empty where it is that of the page."""

    text: str
    lang: str = ""


@dataclass(frozen=True, slots=True)
class ErrorWords:
    """What happened, as a heading; what is said below it; what to do."""

    what: Sentence
    why: tuple[Sentence, ...]
    todo: Sentence


def error_words(error: FairbankError, tongue: Tongue) -> ErrorWords:
    """Return what a page says of an error."""
    what, why, todo = (sentence(each, tongue) for each in (error.what, error.why, error.todo))
    if what.lang:
        return ErrorWords(Sentence(tongue.say(_BY_KIND[error.kind])), (what, why), todo)
    return ErrorWords(what, (why,), todo)


def sentence(text: str, tongue: Tongue) -> Sentence:
    """Return a sentence of an error in the language of a page, or as it is and marked as English.

    >>> from fairbank.errors import told
    >>> sentence(told("Wait %(count)s minutes, then try again.", count=5), Tongue("de")).text
    'Warten Sie 5 Minuten und versuchen Sie es dann noch einmal.'
    """
    if tongue.code == SOURCE or not text:
        return Sentence(text)
    if isinstance(text, Told) and text.text in _known():
        parts = {name: _part(each, tongue) for name, each in text.parts.items()}
        return Sentence(tongue.say(text.text, **parts))
    return Sentence(tongue.say(text)) if text in _known() else Sentence(text, SOURCE)


def _part(part: object, tongue: Tongue) -> object:
    return tongue.say(part) if isinstance(part, str) and part in _known() else part


@cache
def _known() -> frozenset[str]:
    """Return every text that some language has."""
    others = set(LANGUAGES) - {SOURCE}
    return frozenset(str(message.id) for code in others for _, message in messages_of(code))
