"""Taking the parts of a `multipart/related` answer apart (RFC 2046, section 5.1; DICOM PS3.18, section 8.6.1.2)."""

from __future__ import annotations

import email.message
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final

_PIECE_BYTES: Final = 1 << 20
_MOST_HEADER_BYTES: Final = 64 * 1024


def boundary_of(content_type: str) -> bytes | None:
    """Return the boundary that a content type names, None if it is not of several parts.

    >>> boundary_of('multipart/related; type="application/dicom"; boundary="x y"')
    b'x y'
    """
    message = email.message.Message()
    message["Content-Type"] = content_type
    if message.get_content_maintype() != "multipart":
        return None
    boundary = message.get_boundary()
    return boundary.encode("ascii", "replace") if boundary else None


def split(packed: Path, boundary: bytes, *, into: Callable[[int], Path]) -> list[Path] | None:
    """Write each part of a file to a file of its own, and return these; None if the end is missing.

    Args:
        packed: the whole answer.
        boundary: what parts its parts.
        into: gives the path of each part, counted from 0.
    """
    delimiter = b"\r\n--" + boundary
    paths: list[Path] = []
    with packed.open("rb") as source:
        reader = _Reader(source)
        # The first delimiter may stand at the very start, without the line end before it.
        if not reader.start(delimiter):
            return None
        while (line := reader.line()) is not None and not line.startswith(b"--"):
            if not reader.skip_headers():
                return None
            paths.append(into(len(paths)))
            with paths[-1].open("wb") as part:
                if not reader.copy_until(delimiter, part):
                    return None
        return paths if line is not None else None


class _Reader:
    """A file read in pieces, in which a delimiter may lie across two of them."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._held = b""

    def start(self, delimiter: bytes) -> bool:
        self._more()
        self._held = b"\r\n" + self._held
        return self.copy_until(delimiter, None)

    def line(self) -> bytes | None:
        """Return what follows up to the end of the line, None if there is no more."""
        while (end := self._held.find(b"\r\n")) < 0:
            if self._held.startswith(b"--"):
                return self._held
            if len(self._held) > _MOST_HEADER_BYTES or not self._more():
                return None
        line, self._held = self._held[:end], self._held[end + 2 :]
        return line

    def skip_headers(self) -> bool:
        while (line := self.line()) is not None:
            if not line:
                return True
        return False

    def copy_until(self, delimiter: bytes, to: BinaryIO | None) -> bool:
        """Copy up to a delimiter, step behind it, and tell whether there is one."""
        while (at := self._held.find(delimiter)) < 0:
            safe = max(0, len(self._held) - len(delimiter) + 1)
            if to is not None:
                to.write(self._held[:safe])
            self._held = self._held[safe:]
            if not self._more():
                return False
        if to is not None:
            to.write(self._held[:at])
        self._held = self._held[at + len(delimiter) :]
        return True

    def _more(self) -> bool:
        piece = self._source.read(_PIECE_BYTES)
        self._held += piece
        return bool(piece)
