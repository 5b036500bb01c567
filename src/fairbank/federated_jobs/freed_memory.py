"""Keep memory that was just freed: model updates come and go every round, and fetching their pages anew costs more than
averaging them.

By default the C library gives a freed block of some hundred kilobytes or more back to the kernel at once, and the next
block of that size starts from pages that the kernel has to find and clear one by one.

Source: mallopt(3), M_MMAP_THRESHOLD, M_TRIM_THRESHOLD and M_ARENA_MAX.
"""

from __future__ import annotations

import ctypes
import sys

# From <malloc.h> of the GNU C library.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
# Larger blocks are still given back at once; of smaller ones each arena keeps so much.
LARGEST_KEPT_BYTES = 4 << 20
KEPT_BYTES = 12 << 20
ARENAS = 2


def keep_freed_memory() -> bool:
    """Tell the C library of this process to keep freed memory, up to 24 MB in all; return whether it took that in."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        # Another C library, such as musl, has no such setting, and works without.
        return False
    wanted = ((_MMAP_THRESHOLD, LARGEST_KEPT_BYTES), (_TRIM_THRESHOLD, KEPT_BYTES), (_ARENA_MAX, ARENAS))
    return all(mallopt(setting, value) == 1 for setting, value in wanted)
