"""Questions to the identity store's tables about many subjects at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import TypeVar

_AT_ONCE = 500
T = TypeVar("T")


def subject_rows(
    connection: sqlite3.Connection, lookups: list[bytes]
) -> dict[bytes, tuple[int, bytes | None]]:
    """Return epoch and salt of those of some subjects that have a row, by lookup; a forgotten one has no salt."""
    found: dict[bytes, tuple[int, bytes | None]] = {}
    for part in _parts(lookups):
        marks = ",".join("?" * len(part))
        query = f"SELECT lookup, epoch, salt FROM subject WHERE lookup IN ({marks})"  # noqa: S608  only marks
        found |= {bytes(row[0]): (int(row[1]), row[2]) for row in connection.execute(query, part)}
    return found


def known_among(connection: sqlite3.Connection, project: str, pseudonyms: list[str]) -> set[str]:
    """Return those of some pseudonyms that a project knows."""
    found: set[str] = set()
    for part in _parts(pseudonyms):
        marks = ",".join("?" * len(part))
        query = f"SELECT pseudonym FROM pseudonym WHERE project = ? AND pseudonym IN ({marks})"  # noqa: S608
        found |= {str(row[0]) for row in connection.execute(query, (project, *part))}
    return found


def _parts(values: list[T]) -> Iterator[list[T]]:
    """Cut a list into parts that one statement may name: SQLite's least limit is 999 values."""
    for start in range(0, len(values), _AT_ONCE):
        yield values[start : start + _AT_ONCE]
