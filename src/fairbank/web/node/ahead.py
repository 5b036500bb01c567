"""Work that is done while somebody reads: pictures of the files that come next, so that no page waits for them.

One thread does it, the newest first. What it makes is kept where the functions that make it keep it; nothing is shown
by it, and so nothing is written into the audit log.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Condition, Thread, get_native_id
from typing import Final

from fairbank.errors import FairbankError

_MOST: Final = 100
_NICE: Final = 10


@dataclass(slots=True)
class Ahead:
    """What is still to be made, by name."""

    _wanted: dict[str, Callable[[], object]] = field(default_factory=dict)
    _changed: Condition = field(default_factory=Condition)
    _thread: Thread | None = None

    def make(self, wanted: Mapping[str, Callable[[], object]]) -> None:
        """Have some things made soon, in their order, before what was asked for earlier."""
        with self._changed:
            left = {name: do for name, do in self._wanted.items() if name not in wanted}
            self._wanted = dict(list({**wanted, **left}.items())[:_MOST])
            if self._thread is None:
                self._thread = Thread(target=self._work, name="ahead", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _work(self) -> None:
        # On Linux each thread has a nice value of its own: what somebody waits for goes first.
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, get_native_id(), _NICE)
        while True:
            with self._changed:
                while not self._wanted:
                    self._changed.wait()
                name = next(iter(self._wanted))
                do = self._wanted.pop(name)
            # Whoever asks for it by herself is told what is wrong with it.
            with suppress(FairbankError, OSError, ValueError, ArithmeticError):
                do()
