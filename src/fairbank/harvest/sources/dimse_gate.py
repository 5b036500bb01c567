"""Keeping pynetdicom from losing answers: its background loop may take one from under the question that waits for it.

Before each question pynetdicom 3.0 asks its loop to pause, but takes a loop that is just leaving the last pause for one
that has paused; the loop then reads the answer and throws it away (pydicom/pynetdicom issue 875). A lost answer to
C-FIND looks like a series that is not there. Here the loop says in one step that it has paused, or that it goes on.
"""

from __future__ import annotations

import threading

from pynetdicom.association import Association

_LOOK_AGAIN_S = 0.2


class Gate(threading.Event):
    """Takes the place of the event that an association's loop waits for: `clear` returns when the loop stands at it."""

    def __init__(self, loop: threading.Thread) -> None:
        super().__init__()
        self._loop = loop
        self._changed = threading.Condition()
        self._is_open = True
        self._stands = False

    def is_set(self) -> bool:
        """Tell whether the loop may go on."""
        return self._is_open

    def set(self) -> None:
        """Let the loop go on."""
        with self._changed:
            self._is_open = True
            self._changed.notify_all()

    def clear(self) -> None:
        """Stop the loop, and return when it has stopped; one that has ended, or that itself asks, is not waited for."""
        with self._changed:
            self._is_open = False
            while not self._stands and self._loop.is_alive() and self._loop is not threading.current_thread():
                self._changed.wait(_LOOK_AGAIN_S)

    def wait(self, timeout: float | None = None) -> bool:
        """Stand here until the loop may go on; called by the loop."""
        with self._changed:
            self._stands = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._is_open, timeout)
            # Still under the lock: nobody can see it standing here after it has gone on.
            self._stands = False
            return self._is_open


def guard(link: Association) -> Association:
    """Put the gate into an association that has just been made."""
    link._reactor_checkpoint = Gate(link)
    return link
