"""The filter `zstd`: the file of an update as one compressed frame, and its way back within a bound.

Source: RFC 8878.
"""

from __future__ import annotations

from pathlib import Path

from fairbank.federated_jobs.tensor_files import unfit

MAGIC = b"\x28\xb5\x2f\xfd"
_CHUNK = 1 << 20
# Frames that ask for more memory than this are refused.
_LARGEST_WINDOW = 1 << 27


def pack(file: Path, *, level: int, to: Path) -> Path:
    """Compress a file into one frame that names its size; equal files give equal frames."""
    import zstandard

    compressor = zstandard.ZstdCompressor(level=level, write_content_size=True, write_checksum=True)
    with file.open("rb") as source, to.open("wb") as target:
        compressor.copy_stream(source, target, size=file.stat().st_size)
    return to


def unpack(file: Path, *, to: Path, most_bytes: int) -> Path:
    """Take a file out of its frame.

    Args:
        most_bytes: it may take no more; a frame that holds more is refused as soon as that is seen.

    Raises:
        UpdateUnfit: if it is not exactly one sound frame, or holds too much.
    """
    import zstandard

    with file.open("rb") as source:
        head = source.read(18)
    if not head.startswith(MAGIC):
        raise unfit("It is not a compressed file.")
    try:
        told = zstandard.get_frame_parameters(head)
    except zstandard.ZstdError as err:
        raise unfit("It is not a compressed file.") from err
    if told.content_size > most_bytes or told.window_size > _LARGEST_WINDOW:
        raise unfit(f"It unpacks to more than the {most_bytes} bytes that are allowed.")
    decompressor = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW).decompressobj()
    left = most_bytes
    try:
        with file.open("rb") as source, to.open("wb") as target:
            while chunk := source.read(_CHUNK >> 6):
                if decompressor.eof:
                    raise unfit("Something follows the compressed file.")
                body = decompressor.decompress(chunk)
                left -= len(body)
                if left < 0:
                    raise unfit(f"It unpacks to more than the {most_bytes} bytes that are allowed.")
                target.write(body)
    except zstandard.ZstdError as err:
        raise unfit("It cannot be unpacked.") from err
    if not decompressor.eof or decompressor.unused_data:
        raise unfit("It is not exactly one compressed file.")
    return to
