"""How the demo tells its story: one line per step on stderr, with a spinner where a person is looking."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Teller:
    """Numbers the steps, shows what is going on, and says what came of it."""

    def __init__(self, *, quiet: bool = False) -> None:
        from rich.console import Console

        self._console = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=not sys.stderr.isatty())
        self._number = 0
        self.started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Return the seconds since the demo began."""
        return time.monotonic() - self.started

    @contextmanager
    def step(self, title: str) -> Iterator[Callable[[str], None]]:
        """Tell one step; the callback adds lines under it as they become known."""
        self._number += 1
        begun = time.monotonic()
        lines: list[str] = []
        with self._console.status(f"{self._number}. {title}"):
            yield lines.append
        self._console.print(
            f"[bold]{self._number}. {title}[/bold] [dim]({time.monotonic() - begun:.1f} s)[/dim]"
        )
        for line in lines:
            self._console.print(f"   {line}", markup=False)

    def say(self, text: str) -> None:
        """Say something outside of the steps."""
        self._console.print(text, markup=False)
