"""Numbers and codes that name a person: with or without what separates their parts, and leading zeros."""

from __future__ import annotations

import re
from collections.abc import Iterator

LEAST_DIGITS = 4
# From here on a number is found by its digits alone, whatever stands between them.
LONG = 7
_RUNS = re.compile(rb"(?<![0-9.])[0-9]+(?:[-/_ ][0-9]+)*(?!\.?[0-9])")
_NO_CODE = re.compile(r"[^0-9a-z]+")
_GAPS = b"-/_ "


def digits_of(text: str) -> str:
    """Return the digits of a text that is a number with separators, without leading zeros; empty if it is none.

    >>> digits_of("00-4711/8"), digits_of("PAT-4711")
    ('47118', '')
    """
    bare = re.sub(r"[-./ _()+]", "", text)
    return bare.lstrip("0") if bare.isascii() and bare.isdigit() else ""


def code_of(text: str) -> str:
    """Return the letters and digits of an id, in lower case.

    >>> code_of("PAT-47.11")
    'pat4711'
    """
    return _NO_CODE.sub("", text.lower())


def numbers_in(text: bytes) -> Iterator[str]:
    """Yield the whole numbers of a text without leading zeros, each run of digits and runs that belong together.

    >>> sorted(numbers_in(b"id 047-11, 3.25 mm"))
    ['11', '47', '4711']
    """
    for match in _RUNS.finditer(text):
        run = match[0]
        if run.isdigit():
            yield run.decode("ascii").lstrip("0")
            continue
        yield run.translate(None, _GAPS).decode("ascii").lstrip("0")
        for part in re.split(rb"[-/_ ]", run):
            yield part.decode("ascii").lstrip("0")
