"""Taking the parts of a body of several parts apart: `multipart/related` (RFC 2046, section 5.1; DICOM PS3.18, section
8.6.1.2) and `multipart/form-data` (RFC 7578).
"""

from __future__ import annotations

import email
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
    found = parts(packed, boundary, into=into)
    return [path for _, path in found] if found is not None else None


def parts(
    packed: Path, boundary: bytes, *, into: Callable[[int], Path], most: int | None = None
) -> list[tuple[email.message.Message, Path]] | None:
    """Write each part of a file to a file of its own, and return these with their headers; None if the end is missing.

    Args:
        packed: the whole body.
        boundary: what parts its parts.
        into: gives the path of each part, counted from 0.
        most: of how many parts at most; with more there is no end either.
    """
    delimiter = b"\r\n--" + boundary
    found: list[tuple[email.message.Message, Path]] = []
    with packed.open("rb") as source:
        reader = _Reader(source)
        # The first delimiter may stand at the very start, without the line end before it.
        if not reader.start(delimiter):
            return None
        while (line := reader.line()) is not None and not line.startswith(b"--"):
            headers = reader.headers()
            if headers is None or (most is not None and len(found) >= most):
                return None
            found.append((headers, into(len(found))))
            with found[-1][1].open("wb") as part:
                if not reader.copy_until(delimiter, part):
                    return None
        return found if line is not None else None


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

    def headers(self) -> email.message.Message | None:
        """Return the headers of a part, None if they do not end."""
        lines: list[bytes] = []
        while (line := self.line()) is not None:
            if not line:
                # Browsers write names as UTF-8 (RFC 7578, section 5.1.3).
                return email.message_from_string(b"\r\n".join([*lines, b"", b""]).decode("utf-8", "replace"))
            lines.append(line)
            if sum(len(each) for each in lines) > _MOST_HEADER_BYTES:
                return None
        return None

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
