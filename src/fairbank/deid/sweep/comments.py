"""Segments of compressed frames that hold no image: comments and application data.

Sources: ITU-T T.81, Annex B (JPEG), T.87 (JPEG-LS, same markers), T.800, Annex A (JPEG 2000).
"""

from __future__ import annotations

from collections.abc import Iterator

_JPEG, _JPEG_2000 = b"\xff\xd8", b"\xff\x4f"
_SCAN = {0xDA, 0xD9}
_TILE = 0x90
_COMMENT_2000 = 0x64
_APPLICATION = range(0xE0, 0xF0)
_COMMENT = 0xFE


def comments_in(fragment: bytes) -> Iterator[bytes]:
    r"""Yield the content of each comment or application segment of a compressed frame.

    >>> list(comments_in(b"\xff\xd8\xff\xfe\x00\x05abc\xff\xda"))
    [b'abc']
    """
    start = fragment[:2]
    if start == _JPEG:
        for marker, content in _segments(fragment, last=_SCAN):
            if marker == _COMMENT or marker in _APPLICATION:
                yield content
    elif start == _JPEG_2000:
        for marker, content in _segments(fragment, last={_TILE}):
            if marker == _COMMENT_2000:
                yield content


def _segments(fragment: bytes, *, last: set[int]) -> Iterator[tuple[int, bytes]]:
    place = 2
    while place + 4 <= len(fragment) and fragment[place] == 0xFF:
        marker = fragment[place + 1]
        if marker == 0xFF:
            place += 1
            continue
        if marker in last:
            return
        length = int.from_bytes(fragment[place + 2 : place + 4], "big")
        yield marker, fragment[place + 4 : place + 2 + length]
        place += 2 + max(2, length)
