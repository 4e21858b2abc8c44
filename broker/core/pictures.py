"""Recognisers of pictures: JPEG, PNG, GIF and WebP.

A recogniser takes the first bytes of a file and the size of the file. The structure behind a signature must be valid.
"""

import re
from typing import Final
from zlib import crc32

_SEGMENTS_MAX: Final = 64
"""Maximum number of segments of a JPEG that are followed."""

_GARBAGE_MAX: Final = 64
"""Bytes that are skipped behind a segment whose length is not correct."""

_MARKER: Final = re.compile(rb"\xff[\xc0-\xcf\xda-\xfe]")
_CHUNK_TYPE: Final = re.compile(rb"[A-Za-z]{4}")
_IDENTIFIER: Final = re.compile(rb"[ -~]{2,60}\0")  # of an APPn segment, such as Exif
_GIF_EXTENSION: Final = re.compile(rb"!(?:\xf9\x04|\xff\x0b|\x01\x0c|\xfe.)", re.DOTALL)
_LZW_SIZES: Final = frozenset(bytes((size,)) for size in range(1, 12))
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_FRAME_HEADERS: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_NO_SEGMENTS: Final = frozenset((0, 0xD8, 0xD9))
_NO_LENGTH: Final = frozenset((0x01, *range(0xD0, 0xD8)))
"""Markers without a length: TEM and RSTn."""


def is_jpeg(data: bytes, size: int) -> bool:
    """Recognise JPEG: segments that lead to a frame header (ITU-T T.81 annex B)."""
    if not data.startswith(b"\xff\xd8\xff"):
        return False
    at = 2
    for _ in range(_SEGMENTS_MAX):
        at = _marker_offset(data, at)
        if at + 4 > len(data):
            return at + 4 <= size
        if data[at + 1] in _FRAME_HEADERS:
            return _is_frame_header(data, at)
        at = _segment_end(data, size, at)
        if not at:
            return False
    return False


def _marker_offset(data: bytes, at: int) -> int:
    """Return the offset of the marker behind fill bytes, or behind the few bytes that decoders skip after a fault."""
    while data.startswith(b"\xff\xff", at):
        at += 1
    match = None if at == 2 or data.startswith(b"\xff", at) else _MARKER.search(data, at, at + _GARBAGE_MAX)
    return match.start() if match else at


def _segment_end(data: bytes, size: int, at: int) -> int:
    """Return the offset behind a segment; 0 if it is not valid."""
    marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
    if data[at] != 0xFF or marker in _NO_SEGMENTS:
        return 0
    if marker in _NO_LENGTH:
        return at + 2
    end = at + 2 + length
    is_valid = length >= 2 and end <= size and (end <= len(data) or _is_long_segment(data, at))
    return end if is_valid else 0


def _is_frame_header(data: bytes, at: int) -> bool:
    """Return whether a segment has a precision, and one to four components as its length says."""
    segment = data[at : at + 10]
    return (
        len(segment) == 10 and segment[4] in (8, 12, 16) and segment[3] == 8 + 3 * segment[9] and 1 <= segment[9] <= 4
    )


def _is_long_segment(data: bytes, at: int) -> bool:
    """Return whether a segment that ends beyond ``data`` is an APPn with an identifier, or a later comment."""
    if data[at + 1] == 0xFE:
        return at > 2
    return 0xE0 <= data[at + 1] <= 0xEF and _IDENTIFIER.match(data, at + 4) is not None


def is_png(data: bytes, size: int) -> bool:
    """Recognise PNG: a valid header chunk, then another chunk (ISO 15948); ``CgBI`` is Apple's variant."""
    if not data.startswith(_PNG):
        return False
    at = 8
    if data[12:16] == b"CgBI":
        at += 12 + int.from_bytes(data[8:12], "big")
    header = data[at : at + 25]
    if len(header) < 25 or header[:8] != b"\0\0\0\x0dIHDR" or crc32(header[4:21]) != int.from_bytes(header[21:], "big"):
        return False
    following = data[at + 25 : at + 33]
    return _CHUNK_TYPE.match(following, 4) is not None and at + 37 <= size


def is_gif(data: bytes, size: int) -> bool:
    """Recognise GIF: behind the global colour table an image or an extension follows (GIF89a section 20-26)."""
    if not data.startswith((b"GIF87a", b"GIF89a")) or len(data) < 13:
        return False
    at = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    if data.startswith(b",", at):
        flags = data[at + 9] if at + 9 < len(data) else 0
        code = at + 10 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
        return code + 2 <= size and data[code : code + 1] in _LZW_SIZES
    return _GIF_EXTENSION.match(data, at) is not None


def is_webp(data: bytes, _size: int) -> bool:
    """Recognise WebP by its first chunk (RFC 9649): a key frame of VP8, VP8L, or the extended header."""
    if not data.startswith(b"RIFF") or data[8:12] != b"WEBP" or len(data) < 30:
        return False
    kind, chunk = data[12:16], data[20:30]
    if kind == b"VP8 ":
        return not chunk[0] & 1 and chunk[3:6] == b"\x9d\x01\x2a"
    if kind == b"VP8L":
        return chunk[0] == 0x2F and not chunk[4] & 0xE0
    return kind == b"VP8X" and data[16:20] == b"\x0a\0\0\0" and not chunk[0] & 0xC1
