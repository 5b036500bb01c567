"""Compressed frames: what a decoder needs stays, comments, application data and bytes behind the image go.

A codestream is walked segment by segment, never decoded, so pixels cannot change. What cannot be walked is refused.
Sources: ISO/IEC 10918-1 Annex B (JPEG), 14495-1 Annex C (JPEG-LS), 15444-1 Annex A (JPEG 2000); DICOM PS3.5, Annex G.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable

from fairbank.deid.outcomes import Reason, Refused

_SOI, _EOI, _SOS, _COM = 0xD8, 0xD9, 0xDA, 0xFE
_APP0, _APP8, _APP14, _APP15 = 0xE0, 0xE8, 0xEE, 0xEF
# Where coded data ends: any marker but a restart. JPEG-LS stuffs a bit, so a byte below 0x80 behind 0xFF is data.
_MARKER = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]")
_JFIF_BYTES, _ADOBE_BYTES, _COLOUR_TRANSFORM_BYTES = 14, 12, 5
_SOC, _SOT, _SOD, _EOC = b"\xff\x4f", b"\xff\x90", b"\xff\x93", b"\xff\xd9"
_J2K_COMMENT, _J2K_LENGTHS = 0x64, 0x55
_SOT_BYTES = 12
_RLE_HEADER = struct.Struct("<16L")
_VIDEO = re.compile(r"1\.2\.840\.10008\.1\.2\.4\.10[0-8](\.1)?")
_JPEG = re.compile(r"1\.2\.840\.10008\.1\.2\.4\.([5-7]\d|8[01])")
_JPEG2000 = re.compile(r"1\.2\.840\.10008\.1\.2\.4\.(9[0-3]|20[1-3])")
_JPEG_XL = re.compile(r"1\.2\.840\.10008\.1\.2\.4\.11[0-2]")
_RLE = "1.2.840.10008.1.2.5"
_DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"


def stripper_of(syntax: str, frame_bytes: int) -> Callable[[bytes], bytes] | None:
    """Return what strips a frame of a transfer syntax; None for video, whose stream holds all frames.

    Args:
        syntax: the UID of an encapsulated transfer syntax.
        frame_bytes: length of one plane of samples of one byte, rows times columns; 0 if the header does not say.

    Raises:
        Refused: if nothing here can walk its frames.
    """
    if _VIDEO.fullmatch(syntax):
        return None
    if _JPEG.fullmatch(syntax):
        return stripped_jpeg
    if _JPEG2000.fullmatch(syntax):
        return stripped_jpeg2000
    if _JPEG_XL.fullmatch(syntax):
        return _bare_jpeg_xl
    if syntax == _RLE:
        return lambda frame: stripped_rle(frame, frame_bytes)
    if syntax == _DEFLATED_FRAMES:
        return _stripped_deflate
    raise Refused(Reason.UNDECODABLE)


def stripped_jpeg(frame: bytes) -> bytes:
    """Return a JPEG or JPEG-LS stream without comments, application data and what stands behind its end.

    The JFIF header without its thumbnail, Adobe's and HP's word on the colour transform stay: decoders ask for them.

    Raises:
        Refused: if it does not begin like one, or a segment is cut off.
    """
    if frame[:2] != b"\xff\xd8":
        raise Refused(Reason.UNDECODABLE)
    kept, place = [frame[:2]], 2
    while place < len(frame):
        while frame[place : place + 2] == b"\xff\xff":  # fill bytes
            place += 1
        if place + 2 > len(frame) or frame[place] != 0xFF:
            break
        marker = frame[place + 1]
        if marker == _EOI:
            kept.append(frame[place : place + 2])
            break
        end = place + 2 + int.from_bytes(frame[place + 2 : place + 4], "big")
        if end > len(frame) or end < place + 4:
            raise Refused(Reason.UNDECODABLE)
        kept.append(_kept_segment(marker, frame[place:end]))
        place = end
        if marker == _SOS:
            found = _MARKER.search(frame, place)
            coded_end = found.start() if found else len(frame)
            kept.append(frame[place:coded_end])
            place = coded_end
    return b"".join(kept)


def stripped_jpeg2000(frame: bytes) -> bytes:
    """Return a JPEG 2000 codestream without comments and what stands behind its end.

    Lengths of tile-parts are corrected. Of a whole JP2 file only the codestream is taken (DICOM PS3.5, section 8.2.4).

    Raises:
        Refused: if it is neither, or a segment is cut off.
    """
    if frame[4:8] == b"jP  ":
        frame = _box(frame, b"jp2c")
    if frame[:2] != _SOC:
        raise Refused(Reason.UNDECODABLE)
    header, place = _j2k_header(frame, 2, _SOT)
    parts, shortened = [], False
    while frame[place : place + 2] == _SOT:
        part, place, shorter = _tile_part(frame, place)
        parts.append(part)
        shortened = shortened or shorter
    kept = [segment for segment in header if not (shortened and segment[1] == _J2K_LENGTHS)]
    tail = _EOC if frame[place : place + 2] == _EOC else b""
    return b"".join([_SOC, *kept, *parts, tail])


def stripped_rle(frame: bytes, plane_bytes: int) -> bytes:
    """Return an RLE frame whose segments end where their last sample does, one behind the other.

    Raises:
        Refused: if the header is none, or a segment ends before its last sample.
    """
    if len(frame) < _RLE_HEADER.size:
        raise Refused(Reason.UNDECODABLE)
    count, *offsets = _RLE_HEADER.unpack_from(frame)
    if not 1 <= count <= 15 or any(not _RLE_HEADER.size <= start < len(frame) for start in offsets[:count]):
        raise Refused(Reason.UNDECODABLE)
    segments = []
    for start in offsets[:count]:
        segment = frame[start : _rle_end(frame, start, plane_bytes)]
        segments.append(segment + b"\0" * (len(segment) % 2))
    starts, place = [], _RLE_HEADER.size
    for segment in segments:
        starts.append(place)
        place += len(segment)
    return _RLE_HEADER.pack(count, *starts, *[0] * (15 - count)) + b"".join(segments)


def _kept_segment(marker: int, segment: bytes) -> bytes:
    """Return a JPEG segment as it may stay; nothing for comments and application data."""
    if marker == _COM:
        return b""
    if not _APP0 <= marker <= _APP15:
        return segment
    content = segment[4:]
    if marker == _APP0 and content[:5] == b"JFIF\0" and len(content) >= _JFIF_BYTES:
        return segment[:2] + (_JFIF_BYTES + 2).to_bytes(2, "big") + content[:12] + b"\0\0"
    if marker == _APP14 and content[:5] == b"Adobe" and len(content) >= _ADOBE_BYTES:
        return segment[:2] + (_ADOBE_BYTES + 2).to_bytes(2, "big") + content[:_ADOBE_BYTES]
    if marker == _APP8 and content[:4] == b"mrfx" and len(content) >= _COLOUR_TRANSFORM_BYTES:
        return (
            segment[:2] + (_COLOUR_TRANSFORM_BYTES + 2).to_bytes(2, "big") + content[:_COLOUR_TRANSFORM_BYTES]
        )
    return b""


def _j2k_header(frame: bytes, place: int, until: bytes) -> tuple[list[bytes], int]:
    """Return the segments of a header but its comments, and where the header ends."""
    kept = []
    while frame[place : place + 2] != until:
        end = place + 2 + int.from_bytes(frame[place + 2 : place + 4], "big")
        if frame[place : place + 1] != b"\xff" or end > len(frame) or end < place + 4:
            raise Refused(Reason.UNDECODABLE)
        if frame[place + 1] != _J2K_COMMENT:
            kept.append(frame[place:end])
        place = end
    return kept, place


def _tile_part(frame: bytes, start: int) -> tuple[bytes, int, bool]:
    """Return a tile-part without comments, where the next one starts, and whether this one is shorter than it was."""
    stated = int.from_bytes(frame[start + 6 : start + 10], "big")
    if stated:
        end = min(start + stated, len(frame))
    else:
        found = frame.rfind(_EOC, start)
        end = found if found > 0 else len(frame)
    header, data = _j2k_header(frame, start + _SOT_BYTES, _SOD)
    if data > end:
        raise Refused(Reason.UNDECODABLE)
    kept = sum(len(segment) for segment in header)
    removed = data - (start + _SOT_BYTES) - kept
    length = (stated - removed if stated else 0).to_bytes(4, "big")
    sot = frame[start : start + 6] + length + frame[start + 10 : start + _SOT_BYTES]
    return b"".join([sot, *header, frame[data:end]]), end, removed > 0


def _box(content: bytes, kind: bytes) -> bytes:
    """Return the content of a box of a JP2 file (ISO/IEC 15444-1, Annex I)."""
    place = 0
    while place + 8 <= len(content):
        size, head = int.from_bytes(content[place : place + 4], "big"), 8
        if size == 1:
            size, head = int.from_bytes(content[place + 8 : place + 16], "big"), 16
        size = size or len(content) - place
        if size < head:
            break
        if content[place + 4 : place + 8] == kind:
            return content[place + head : place + size]
        place += size
    raise Refused(Reason.UNDECODABLE)


def _rle_end(frame: bytes, start: int, samples: int) -> int:
    """Return where a PackBits segment has given its last sample."""
    place, given, length = start, 0, len(frame)
    while given < samples:
        if place >= length:
            raise Refused(Reason.UNDECODABLE)
        head = frame[place]
        if head < 128:
            given += head + 1
            place += head + 2
        elif head > 128:
            given += 257 - head
            place += 2
        else:
            place += 1
    return min(place, length)


def _bare_jpeg_xl(frame: bytes) -> bytes:
    if frame[:2] != b"\xff\x0a":  # a container has boxes for metadata
        raise Refused(Reason.UNDECODABLE)
    return frame


def _stripped_deflate(frame: bytes) -> bytes:
    unpacker = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    try:
        unpacker.decompress(frame)
    except zlib.error as err:
        raise Refused(Reason.UNDECODABLE) from err
    return frame[: len(frame) - len(unpacker.unused_data)]
