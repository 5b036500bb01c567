"""The end of what a process writes to standard error: read all the time, so that it never blocks; the rest is lost.

It stays at the node: what a job's code prints may quote what is in a file.
"""

from __future__ import annotations

from collections import deque
from threading import Thread
from typing import IO, Final

KEPT_BYTES: Final = 64 * 1024
_BLOCK_BYTES: Final = 8192


class ErrorTail:
    """Reads a stream to its end in a thread of its own, and keeps the last of it."""

    def __init__(self, stream: IO[bytes], *, name: str) -> None:
        self._stream = stream
        self._blocks: deque[bytes] = deque()
        self._thread = Thread(target=self._read, name=name, daemon=True)
        self._thread.start()

    def join(self, *, timeout_s: float) -> None:
        """Wait until the stream has ended."""
        self._thread.join(timeout=timeout_s)

    def content(self) -> bytes:
        """Return what is kept."""
        return b"".join(self._blocks)

    def _read(self) -> None:
        with self._stream as stream:
            while block := stream.read1(_BLOCK_BYTES):  # type: ignore[attr-defined]  # a BufferedReader, typed as IO
                self._blocks.append(block)
                while sum(map(len, self._blocks)) - len(self._blocks[0]) > KEPT_BYTES:
                    self._blocks.popleft()
