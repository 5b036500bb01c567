"""How much each caller has asked lately: token buckets in memory, of one process, bounded in number.

A bucket holds what is allowed in a minute and fills evenly. Failed log-ins and tokens are counted by address in a
bucket of their own: an address that has used it up is heard only with tokens that have worked before.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

MOST_BUCKETS: Final = 20_000
# Where in a request's scope stands what says that its token, session or signature was checked and holds.
PROVEN: Final = "fairbank.proven"
FAILURES_PER_MINUTE: Final = 300
_MINUTE_S: Final = 60.0


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float
    has_worked: bool = False


def note_proven(scope: MutableMapping[str, Any]) -> None:
    """Note that a request's token, session or signature was checked and holds."""
    scope.get(PROVEN, set()).add(True)


class Meters:
    """The buckets of one hub.

    Args:
        now: seconds that only ever grow.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic, *, most: int = MOST_BUCKETS) -> None:
        self._now, self._most = now, most
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, name: str, per_minute: int) -> float:
        """Take one from a bucket; return 0, or after how many seconds there is one again.

        Args:
            per_minute: what fits into the bucket, and comes into it in a minute; 0: no limit.
        """
        if per_minute == 0:
            return 0.0
        with self._lock:
            bucket = self._filled(name, per_minute)
            if bucket.left >= 1.0:
                bucket.left -= 1.0
                return 0.0
            return (1.0 - bucket.left) * _MINUTE_S / per_minute

    def is_empty(self, name: str, per_minute: int = FAILURES_PER_MINUTE) -> bool:
        """Tell whether a bucket has nothing left at the moment; one that nobody took from is full."""
        with self._lock:
            return name in self._buckets and self._filled(name, per_minute).left < 1.0

    def worked(self, name: str) -> None:
        """Note that a caller's token was accepted."""
        with self._lock:
            bucket = self._buckets.get(name)
            if bucket is not None:
                bucket.has_worked = True

    def failed(self, name: str) -> None:
        """Note that a caller's token was refused."""
        with self._lock:
            bucket = self._buckets.get(name)
            if bucket is not None:
                bucket.has_worked = False

    def has_worked(self, name: str) -> bool:
        """Tell whether a caller's token was accepted lately."""
        with self._lock:
            bucket = self._buckets.get(name)
            return bucket is not None and bucket.has_worked

    def __len__(self) -> int:
        return len(self._buckets)

    def _filled(self, name: str, size: int) -> _Bucket:
        now = self._now()
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = _Bucket(float(size), now)
            # The one that was asked for longest ago is the one most likely to be full.
            while len(self._buckets) > self._most:
                self._buckets.popitem(last=False)
            return bucket
        self._buckets.move_to_end(name)
        bucket.left = min(float(size), bucket.left + (now - bucket.at) * size / _MINUTE_S)
        bucket.at = now
        return bucket
