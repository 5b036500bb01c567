"""Time and ids, injected: nothing else in fairbank asks the machine what time it is."""

from __future__ import annotations

import os
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID


class Clock(Protocol):
    """Tells the time (UTC) and mints ids."""

    def now(self) -> datetime:
        """Return the present moment, timezone-aware UTC."""
        ...

    def new_id(self) -> str:
        """Return a new UUIDv7 as lower-case text (RFC 9562, section 5.7)."""
        ...


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """Return the present moment, timezone-aware UTC."""
        return datetime.now(UTC)

    def new_id(self) -> str:
        """Return a new UUIDv7; ids from one process sort in the order of their making."""
        return str(_uuid7(time.time_ns() // 1_000_000, os.urandom(10)))


class FixedClock:
    """A clock for tests: stands still until told to move; its ids count upwards."""

    def __init__(self, at: datetime | None = None) -> None:
        self._now = at or datetime(2026, 1, 1, tzinfo=UTC)
        self._count = 0
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """Return the moment that this clock stands at."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move the clock by `seconds`, backwards if negative."""
        self._now += timedelta(seconds=seconds)

    def new_id(self) -> str:
        """Return the next id of a repeatable sequence."""
        with self._lock:
            self._count += 1
            count = self._count
        return str(_uuid7(int(self._now.timestamp() * 1000), count.to_bytes(10, "big")))


def iso(moment: datetime) -> str:
    """Return a moment as RFC 3339 UTC text with milliseconds and `Z`.

    >>> iso(datetime(2026, 1, 1, tzinfo=UTC))
    '2026-01-01T00:00:00.000Z'
    """
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_iso(text: str) -> datetime:
    """Return the moment that RFC 3339 text names; text without a zone is refused.

    Raises:
        ValueError: if it is not a moment with a zone.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} names no time zone")
    return moment.astimezone(UTC)


def _uuid7(unix_ms: int, random10: bytes) -> UUID:
    value = (unix_ms & 0xFFFFFFFFFFFF) << 80
    value |= int.from_bytes(random10, "big")
    value &= ~(0xF << 76) & ~(0x3 << 62)
    value |= (0x7 << 76) | (0x2 << 62)
    return UUID(int=value)
