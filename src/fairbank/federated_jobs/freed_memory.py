"""Keep some of the memory that was just freed, and no more: model updates come and go every round, and fetching their
pages anew costs more than averaging them.

By default the C library gives a freed block of some hundred kilobytes or more back to the kernel at once, and the next
block of that size starts from pages that the kernel has to find and clear one by one. Told to keep such blocks, it also
keeps all free space between blocks in use, in each of up to eight arenas for each processor: of a hub's 225 MB that was
once 68.

Source: mallopt(3), M_MMAP_THRESHOLD, M_TRIM_THRESHOLD and M_ARENA_MAX; malloc_trim(3) and mallinfo(3).
"""

from __future__ import annotations

import ctypes
import sys
from threading import Event
from typing import Any, ClassVar

# From <malloc.h> of the GNU C library.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
# Larger blocks are still given back at once; of smaller ones each arena keeps so much.
LARGEST_KEPT_BYTES = 4 << 20
KEPT_BYTES = 6 << 20
ARENAS = 2
# Free space between blocks beyond which it is given back.
MOST_FREE_BYTES = 12 << 20


class _MallInfo(ctypes.Structure):
    # `struct mallinfo2` of <malloc.h>, since 2.33; `fordblks` are the bytes that are free and not given back.
    _fields_: ClassVar = [
        *((name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks")),
        *((name, ctypes.c_size_t) for name in ("fsmblks", "uordblks", "fordblks", "keepcost")),
    ]


# Set where a process is a hub's own: in one that does other work beside it, looking at all that is free costs more.
_GIVES_BACK = Event()


def keep_freed_memory(*, gives_back: bool = False) -> bool:
    """Tell the C library of this process to keep freed memory, up to 12 MB in all; return whether it took that in.

    An arena that a thread has stays, so a process says it before it starts threads.

    Args:
        gives_back: have `give_back_now_and_then` work in this process.
    """
    if gives_back:
        _GIVES_BACK.set()
    mallopt = _function("mallopt")
    if mallopt is None:
        return False
    wanted = ((_MMAP_THRESHOLD, LARGEST_KEPT_BYTES), (_TRIM_THRESHOLD, KEPT_BYTES), (_ARENA_MAX, ARENAS))
    return all(mallopt(setting, value) == 1 for setting, value in wanted)


def give_back_what_is_too_much(most_free_bytes: int = MOST_FREE_BYTES) -> bool:
    """Give free pages back to the kernel where more than so many bytes are free; return whether there were.

    The C library does so by itself only at the end of an arena. Pages that were given back are fetched anew when they
    are needed, and each arena is locked meanwhile, so what is below the bound stays.
    """
    look, trim = _function("mallinfo2"), _function("malloc_trim")
    if look is None or trim is None:
        return False
    look.restype = _MallInfo
    if look().fordblks <= most_free_bytes:
        return False
    return bool(trim(ctypes.c_size_t(0)))


def give_back_now_and_then() -> bool:
    """Give back what is too much in a process that was told to."""
    return _GIVES_BACK.is_set() and give_back_what_is_too_much()


def _function(name: str) -> Any:
    """Return a function of the C library; None where it has none, such as musl, and works without."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        return getattr(ctypes.CDLL(None), name)
    except (OSError, AttributeError):
        return None
