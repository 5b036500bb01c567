"""Reading many files at once: in processes of its own, because decoding headers is work for a processor.

Threads would wait for each other's lock on the interpreter, and pydicom's warnings, which quote what they complain
about, can be kept quiet for a whole process only.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Final, TypeVar

Given = TypeVar("Given")
Result = TypeVar("Result")

# Starting a process takes about as long as reading this many headers.
WORTH_A_PROCESS: Final = 1500
_BATCH: Final = 200
_WAITING_PER_WORKER: Final = 4


def in_batches(
    read: Callable[[Sequence[Given]], list[Result]], given: Sequence[Given], *, workers: int
) -> Iterator[Result]:
    """Yield what `read` makes of all that is given, in order; it is called with a batch at a time.

    Args:
        read: a function of a module, so that another process can find it.
        given: paths, or lists of them.
        workers: processes at most; 1, or little to read, reads in this one.
    """
    useful = min(workers, len(given) // WORTH_A_PROCESS + 1)
    batches = deque(given[start : start + _BATCH] for start in range(0, len(given), _BATCH))
    if useful > 1:
        yield from _spread(read, batches, useful)
    # All of it, or what a process that died has left.
    while batches:
        yield from read(batches.popleft())


def _spread(
    read: Callable[[Sequence[Given]], list[Result]], batches: deque[Sequence[Given]], workers: int
) -> Iterator[Result]:
    """Yield results, and take from `batches` what is done; a process that dies leaves the rest there."""
    waiting: deque[Future[list[Result]]] = deque()
    sent = 0
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        try:
            while batches:
                while sent < len(batches) and sent < workers * _WAITING_PER_WORKER:
                    waiting.append(pool.submit(read, batches[sent]))
                    sent += 1
                results = waiting.popleft().result()
                batches.popleft()
                sent -= 1
                yield from results
        except BrokenProcessPool:
            return
        finally:
            for future in waiting:
                future.cancel()
