"""Progress of long work, on stderr, only where a person is looking."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fairbank.harvest.reports import Progress


@contextmanager
def bar(title: str) -> Iterator[Callable[[Progress], None]]:
    """Show a bar that moves with the callback it yields."""
    with counting(title) as move:
        yield lambda progress: move(progress.done, progress.total)


@contextmanager
def counting(title: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar that moves with the callback it yields, which takes how many of how many are done."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bars(*columns, console=console, disable=not console.is_terminal) as bars:
        task = bars.add_task(title, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)
