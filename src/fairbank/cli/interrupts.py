"""Ctrl-C is heard wherever it falls.

Python drops an exception that is raised inside a weak reference's callback or a finaliser, an interrupt too: the
command would simply go on. Such an interrupt is sent again a moment later.
"""

from __future__ import annotations

import signal
import sys
from typing import Any

_AGAIN_AFTER_S = 0.02
_others = sys.unraisablehook


def hear_every_interrupt() -> None:
    """Send an interrupt that was dropped again, until it falls where it ends the command."""
    global _others
    if sys.unraisablehook is _repeat or not hasattr(signal, "setitimer"):
        return
    _others, sys.unraisablehook = sys.unraisablehook, _repeat


def _repeat(dropped: Any) -> None:
    if not issubclass(dropped.exc_type, KeyboardInterrupt):
        _others(dropped)
        return
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    # Not at once: it would be raised in this hook, and dropped again.
    signal.setitimer(signal.ITIMER_REAL, _AGAIN_AFTER_S)
