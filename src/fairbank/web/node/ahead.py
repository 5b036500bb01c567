"""Work that is done while somebody reads: pictures of the files that come next, so that no page waits for them.

One thread does it, the newest first. What it makes is kept where the functions that make it keep it; nothing is shown
by it, and so nothing is written into the audit log.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Condition, Thread
from typing import Final

from fairbank.errors import FairbankError

_MOST: Final = 100


@dataclass(slots=True)
class Ahead:
    """What is still to be made, by name."""

    _wanted: dict[str, Callable[[], object]] = field(default_factory=dict)
    _changed: Condition = field(default_factory=Condition)
    _thread: Thread | None = None

    def make(self, wanted: dict[str, Callable[[], object]]) -> None:
        """Have some things made soon, in their order, before what was asked for earlier."""
        with self._changed:
            left = {name: do for name, do in self._wanted.items() if name not in wanted}
            self._wanted = dict(list({**wanted, **left}.items())[:_MOST])
            if self._thread is None:
                self._thread = Thread(target=self._work, name="ahead", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._wanted:
                    self._changed.wait()
                name = next(iter(self._wanted))
                do = self._wanted.pop(name)
            # Whoever asks for it by herself is told what is wrong with it.
            with suppress(FairbankError, OSError, ValueError, ArithmeticError):
                do()
