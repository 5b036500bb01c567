"""What a session that only reads may ask once: a list would otherwise ask the same for each of its lines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy.orm import Session

T = TypeVar("T")
_MEMORY = "committees"


def only_reads(session: Session) -> None:
    """Let a session that changes nothing remember what it was told."""
    session.info[_MEMORY] = {}


def remembered(session: Session, key: tuple[str, ...], ask: Callable[[], T]) -> T:
    """Return what was told before, or ask; a session that may change something asks each time."""
    memory: dict[tuple[str, ...], Any] | None = session.info.get(_MEMORY)
    if memory is None:
        return ask()
    if key not in memory:
        memory[key] = ask()
    found: T = memory[key]
    return found


def tell(session: Session, told: dict[tuple[str, ...], object]) -> None:
    """Put in what was asked for many lines at once; for a session that remembers."""
    session.info[_MEMORY].update(told)
