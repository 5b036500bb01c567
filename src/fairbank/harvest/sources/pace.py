"""How fast an archive may be asked, when to ask again, and when to stop asking: rules without any I/O."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from fairbank.clock import Clock, SystemClock

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 60.0
# What an archive means by these is "not now" (RFC 9110, section 15; RFC 6585, section 4; RFC 8470, section 5.2).
BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Politeness:
    """How an archive is treated.

    Attributes:
        requests_per_s: most requests in a second, all threads together.
        concurrency: most requests under way at once.
        timeout_s: longest silence of the archive during an answer.
        connect_timeout_s: longest wait for a connection.
        tries: how often one request is sent before it has failed.
        failures_in_a_row: failed requests in a row after which nothing more is asked.
        longest_wait_s: the longest pause that an archive may ask for by Retry-After.
        slowest_bytes_per_s: an answer that comes slower than this for longer than `timeout_s` has failed.
    """

    requests_per_s: float = 20
    concurrency: int = 2
    timeout_s: float = 120
    connect_timeout_s: float = 10
    tries: int = 4
    failures_in_a_row: int = 5
    longest_wait_s: float = 300
    slowest_bytes_per_s: float = 1000


@dataclass(frozen=True, slots=True)
class Machine:
    """What politeness needs of the machine: tests give a clock that nobody waits for.

    Attributes:
        monotonic: seconds that only ever go forward.
    """

    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic
    clock: Clock = field(default_factory=SystemClock)
    random: random.Random = field(default_factory=random.SystemRandom)


class TokenBucket:
    """Says how long to wait before the next request; threads may share it."""

    def __init__(self, per_s: float, monotonic: Callable[[], float]) -> None:
        self._step_s = 1 / per_s
        self._monotonic = monotonic
        self._next = float("-inf")
        self._lock = threading.Lock()

    def wait_s(self) -> float:
        """Take the next place in the row, and return how long it is until then."""
        with self._lock:
            now = self._monotonic()
            mine = max(now, self._next)
            self._next = mine + self._step_s
            return mine - now


class CircuitBreaker:
    """Counts failures in a row; threads may share it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._failed = 0
        self._lock = threading.Lock()

    @property
    def is_open(self) -> bool:
        """Tell whether there were so many that nothing more should be asked."""
        with self._lock:
            return self._failed >= self._most

    def failed(self) -> None:
        """Count a failure."""
        with self._lock:
            self._failed += 1

    def worked(self) -> None:
        """Forget the failures so far."""
        with self._lock:
            self._failed = 0


def back_off_s(attempt: int, chance: random.Random) -> float:
    """Return the pause after a failed attempt (1 is the first): doubling, with jitter, at most a minute.

    Jitter keeps the nodes of a federation from coming back in step.
    Source: Brooker 2015, Exponential Backoff And Jitter (AWS Architecture Blog), "equal jitter".
    """
    pause: float = min(FIRST_PAUSE_S * 2**attempt, LONGEST_PAUSE_S)
    return pause / 2 + chance.uniform(0, pause / 2)


def retry_after_s(text: str, *, now: datetime) -> float | None:
    """Return the seconds that a Retry-After header asks for, None if it says nothing usable.

    Args:
        text: seconds or an HTTP date (RFC 9110, section 10.2.3).
        now: the archive's own present moment where it tells, else this machine's.

    >>> retry_after_s("120", now=datetime(2026, 1, 1, tzinfo=UTC))
    120.0
    >>> retry_after_s("Thu, 01 Jan 2026 00:00:30 GMT", now=datetime(2026, 1, 1, tzinfo=UTC))
    30.0
    """
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    moment = http_date(text)
    return None if moment is None else max(0.0, (moment - now).total_seconds())


def http_date(text: str) -> datetime | None:
    """Return the moment that an HTTP date names, None if it is none."""
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
