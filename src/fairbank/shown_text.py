r"""Texts of others where a program would take them for more: in a terminal, or in a table that an office program opens.

Pages need none of this: there everything is escaped by the templates.
"""

from __future__ import annotations

import re
from typing import Final

# Control characters but tab and line end, and what turns the direction of writing (Unicode 15, section 23.2).
_UNSEEN: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
# What office programs begin a formula with (OWASP, "CSV Injection"); a number may have a sign.
_FORMULA: Final = re.compile(r"^[=+\-@\t\r]")
_NUMBER: Final = re.compile(r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")


def for_terminal(text: str) -> str:
    r"""Return a text in which no character moves the cursor, changes colours or turns the line.

    >>> for_terminal("a\x1b[2Jb")
    'a\\x1b[2Jb'
    """
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def for_spreadsheet(text: str) -> str:
    r"""Return a cell that no office program computes: a formula gets an apostrophe before it.

    >>> for_spreadsheet("=1+1"), for_spreadsheet("-1.5"), for_spreadsheet("CT")
    ("'=1+1", '-1.5', 'CT')
    """
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.match(text) else text
