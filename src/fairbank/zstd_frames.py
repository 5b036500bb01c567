"""A file as one zstd frame, and its way back within a bound: what unpacks to more than is allowed is refused early.

Source: RFC 8878.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO

MAGIC = b"\x28\xb5\x2f\xfd"
_LARGEST_HEAD_BYTES = 18
_CHUNK = 1 << 14
# Frames that ask for more memory than this are refused; level 19 asks for so much (RFC 8878, section 3.1.1.1.2).
_LARGEST_WINDOW = 1 << 23


class FrameRefused(ValueError):
    """A file is not exactly one sound frame of an allowed size."""


def pack(file: Path, *, level: int, to: Path) -> Path:
    """Compress a file into one frame that names its size; equal files give equal frames."""
    import zstandard

    compressor = zstandard.ZstdCompressor(level=level, write_content_size=True, write_checksum=True)
    with file.open("rb") as source, to.open("wb") as target:
        compressor.copy_stream(source, target, size=file.stat().st_size)
    return to


def unpack(file: Path, *, into: IO[bytes], most_bytes: int) -> None:
    """Write what a frame holds.

    Args:
        into: where it is written to.
        most_bytes: it may take no more; a frame that says or holds more is refused as soon as that is seen.

    Raises:
        FrameRefused: if it is not exactly one sound frame, or holds too much.
    """
    import zstandard

    with file.open("rb") as source:
        told = _parameters(source.read(_LARGEST_HEAD_BYTES))
        if told.content_size > most_bytes or told.window_size > _LARGEST_WINDOW or told.dict_id:
            raise FrameRefused(f"It unpacks to more than the {most_bytes} bytes that are allowed.")
        source.seek(0)
        frame = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW).decompressobj()
        left = most_bytes
        try:
            while chunk := source.read(_CHUNK):
                if frame.eof:
                    raise FrameRefused("Something follows the frame.")
                body = frame.decompress(chunk)
                left -= len(body)
                if left < 0:
                    raise FrameRefused(f"It unpacks to more than the {most_bytes} bytes that are allowed.")
                into.write(body)
        except zstandard.ZstdError as err:
            raise FrameRefused("It cannot be unpacked.") from err
        if not frame.eof or frame.unused_data:
            raise FrameRefused("It is not exactly one frame.")


def reader(source: IO[bytes]) -> Callable[[int], bytes]:
    """Return what reads the next bytes of an open file, out of its frame if it is one.

    Raises:
        FrameRefused: if it is a frame that asks for too much memory; also when reading finds it broken.
    """
    head = source.read(_LARGEST_HEAD_BYTES)
    source.seek(0)
    if not head.startswith(MAGIC):
        return source.read
    import zstandard

    if _parameters(head).window_size > _LARGEST_WINDOW:
        raise FrameRefused("It asks for too much memory.")
    stream = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW).stream_reader(source)

    def read(size: int) -> bytes:
        try:
            return stream.read(size)
        except zstandard.ZstdError as err:
            raise FrameRefused("It cannot be unpacked.") from err

    return read


def _parameters(head: bytes):  # type: ignore[no-untyped-def]  # the library's type, which is loaded where it is used
    import zstandard

    if not head.startswith(MAGIC):
        raise FrameRefused("It is not a frame.")
    try:
        return zstandard.get_frame_parameters(head)
    except zstandard.ZstdError as err:
        raise FrameRefused("It is not a frame.") from err
