"""Identifiers that two sites share, such as a national number: read from a table, brought to one form, and blinded.

Nothing of them is kept. No message quotes one.
"""

from __future__ import annotations

import csv
import hashlib
import hmac
import unicodedata
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from fairbank.federated_jobs.overlaps.errors import IdentifiersRefused

COLUMNS: Final = ("subject", "identifier")
# Shorter ones can all be tried by whoever has the pepper.
SHORTEST: Final = 6
_MOST_LINES: Final = 1_000_000
_LEFT_OUT: Final = frozenset(" \t-./")


def normalised(identifier: str) -> str:
    """Return an identifier in the form in which both sites compare it.

    >>> normalised(" 12-34.56 ab")
    '123456ab'
    """
    plain = unicodedata.normalize("NFKC", identifier).casefold()
    return "".join(each for each in plain if each not in _LEFT_OUT)


def blinded(identifiers: Collection[str], pepper: bytes) -> list[str]:
    """Return the items of a set: a keyed digest of each identifier, which tells nothing without the pepper."""
    return sorted(
        hmac.new(pepper, b"fairbank overlap v1" + each.encode(), hashlib.sha256).hexdigest()
        for each in set(identifiers)
    )


def read_identifiers(table: Path) -> dict[str, str]:
    """Return the identifier of each subject (pseudonym) in a CSV file with the columns `subject` and `identifier`.

    Raises:
        IdentifiersRefused: if the file is no such table, names a subject twice, or holds an identifier that is too
            short.
    """
    found: dict[str, str] = {}
    try:
        with table.open(encoding="utf-8-sig", newline="") as opened:
            rows = csv.DictReader(opened)
            if rows.fieldnames is None or not set(COLUMNS) <= set(rows.fieldnames):
                raise _refused("Its first line does not name the columns 'subject' and 'identifier'.")
            for line, row in enumerate(rows, 2):
                subject, identifier = row["subject"], normalised(row["identifier"] or "")
                if not subject or subject in found or line > _MOST_LINES:
                    raise _refused(f"Line {line} names no subject, or one a second time.")
                if len(identifier) < SHORTEST:
                    raise _refused(f"The identifier in line {line} has fewer than {SHORTEST} signs.")
                found[subject] = identifier
    except (OSError, UnicodeDecodeError, csv.Error) as err:
        raise _refused(f"It cannot be read ({type(err).__name__}).") from err
    return found


def items_of(identifiers: Mapping[str, str], subjects: Collection[str]) -> frozenset[str]:
    """Return the identifiers of those subjects who may be counted; the others are left out."""
    return frozenset(identifiers[each] for each in subjects if each in identifiers)


def _refused(why: str) -> IdentifiersRefused:
    return IdentifiersRefused(
        "The table of identifiers cannot be used.",
        why=why,
        todo="Write a CSV file in UTF-8 with the columns subject (the pseudonym here) and identifier.",
    )
