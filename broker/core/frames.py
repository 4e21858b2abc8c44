"""Recognisers of formats that are a sequence of frames: MPEG audio, AAC in ADTS, native FLAC.

Rules of this module
- Tags of ID3v2, ID3v1 and APEv2 before the first frame are skipped by their length, and zeros too.
- A frame counts only if it leads to another one: a sync word alone occurs in any data.
- Some recorders and editors leave a part of a frame or of a stream's metadata before the first frame. It is skipped
  only if it is not text and not the start of another format.
- A recogniser takes the bytes from some offset of a file and the number of bytes that the file has from there.
"""

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from .magic import is_other_format

CONTENT_MIN: Final = 4096
"""Bytes that are needed behind tags: two frames of MPEG audio have at most 2882 bytes."""

_TAGS_MAX: Final = 16
"""Maximum number of tags and runs of zeros that are skipped."""

_FRAME_MIN: Final = 24
"""Bytes of the shortest frame of layer III: 8 kbit/s at 24 kHz."""

_CANDIDATES_MAX: Final = 64
"""Maximum number of sync words that are tried."""

_KILOBITS: Final = {
    3: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Bit rates of layer III by version, in kbit/s; MPEG-2.5 has those of MPEG-2 (ISO 11172-3 section 2.4.2.3)."""

_RATES: Final = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
"""Sampling frequencies by the two bits of the version: MPEG-1, MPEG-2 and MPEG-2.5."""

_FREE: Final = -1
"""Length of a frame of free format, which its header does not state."""

_MPEG_SYNC: Final = re.compile(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb]")
_ADTS_SYNC: Final = re.compile(rb"\xff[\xf0\xf1\xf8\xf9]")
_FLAC_SYNC: Final = re.compile(rb"\xff[\xf8\xf9]")
_TAGS_BEHIND: Final = (b"TAG", b"APETAGEX", b"LYRICSBEGIN", b"3DI")


def _mpeg_lengths() -> dict[int, int]:
    """Return the length of a frame of layer III by the second and third byte of its header, in bytes."""
    lengths = {}
    for version, rates in _RATES.items():
        for index, rate in enumerate(rates):
            for number, kilobits in enumerate((0, *_KILOBITS[version or 2])):
                for low in range(8):  # protection, padding and private bits
                    header = (0xE2 | version << 3 | low & 1) << 8 | number << 4 | index << 2 | low & 2 | low >> 2
                    length = (144_000 if version == 3 else 72_000) * kilobits // rate + (low >> 1 & 1)
                    lengths[header] = length if kilobits else _FREE
    return lengths


_MPEG_LENGTHS: Final = _mpeg_lengths()


def behind_tags(data: bytes) -> int:
    """Return the offset of the first byte behind leading tags and zeros; it may be beyond the end of ``data``."""
    at = 0
    for _ in range(_TAGS_MAX):
        length = _tag_length(data, at)
        if not length:
            break
        at += length
    return at


def content_beyond(data: bytes, size: int) -> int:
    """Return the offset of the content if too little of it is in ``data``, the first bytes of a file; else 0."""
    if len(data) >= size or data[:1] not in (b"I", b"T", b"A", b"\0"):
        return 0
    at = behind_tags(data)
    return at if len(data) - CONTENT_MIN < at < size else 0


def _tag_length(data: bytes, at: int) -> int:
    """Return the length of a tag, or of the zeros, at an offset; 0 if there is neither."""
    if data.startswith(b"ID3", at):
        return _id3_length(data[at : at + 10])
    if data.startswith(b"\0", at):
        return len(data) - at - len(data[at:].lstrip(b"\0"))
    if data.startswith(b"APETAGEX", at):  # wiki.hydrogenaud.io/index.php?title=APE_Tags_Header
        return 32 + int.from_bytes(data[at + 12 : at + 16], "little")
    return 128 if data.startswith(b"TAG", at) else 0


def _id3_length(header: bytes) -> int:
    """Return the length of an ID3v2 tag (id3.org/id3v2.4.0-structure section 3.1); 0 if the header is not valid."""
    if len(header) < 10 or header[3] not in (2, 3, 4) or header[4] == 0xFF or header[5] & 0x0F:
        return 0
    a, b, c, d = header[6:]
    if (a | b | c | d) & 0x80:
        return 0
    footer = 10 if header[3] == 4 and header[5] & 0x10 else 0
    return 10 + footer + (a << 21 | b << 14 | c << 7 | d)


class _Frames(NamedTuple):
    """The frames of a format: their sync words, their length, and the bits of the third byte that a stream keeps."""

    sync: re.Pattern[bytes]
    length: Callable[[bytes, int], int]
    kept: int


def is_mpeg_audio(data: bytes, size: int) -> bool:
    """Recognise MPEG audio of layer III (ISO 11172-3 section 2.4.1, ISO 13818-3); other layers play in no browser."""
    at = behind_tags(data)
    if _mpeg_length(data, at) == _FREE:
        return _is_free_format(data, at)
    return _has_frames(data, at, size, _MPEG)


def is_adts(data: bytes, size: int) -> bool:
    """Recognise AAC in ADTS frames (ISO 13818-7 section 6.2)."""
    return _has_frames(data, behind_tags(data), size, _ADTS)


def is_flac(data: bytes, size: int) -> bool:
    """Recognise native FLAC: ``fLaC``, the block STREAMINFO, then another block or a frame (RFC 9639 section 8)."""
    at = behind_tags(data)
    info = data[at + 8 : at + 42]
    if data[at : at + 4] != b"fLaC" or data[at + 4 : at + 5] not in (b"\0", b"\x80") or len(info) < 34:
        return False
    block_min, block_max = int.from_bytes(info[:2], "big"), int.from_bytes(info[2:4], "big")
    has_rate = info[10] or info[11] or info[12] & 0xF0
    if data[at + 5 : at + 8] != b"\0\0\x22" or not (1 <= block_min <= block_max) or not has_rate:
        return False
    if data[at + 4]:  # the last block of metadata
        return _FLAC_SYNC.search(data, at + 42) is not None
    following, length = data[at + 42 : at + 46], int.from_bytes(data[at + 43 : at + 46], "big")
    return len(following) == 4 and 1 <= following[0] & 0x7F <= 6 and length <= size


def _mpeg_length(data: bytes, at: int) -> int:
    """Return the length of the frame at an offset; 0 if there is no valid header."""
    header = data[at : at + 4]
    if len(header) < 4 or header[0] != 0xFF or header[3] & 3 == 2:  # a reserved emphasis
        return 0
    return _MPEG_LENGTHS.get(header[1] << 8 | header[2], 0)


def _is_free_format(data: bytes, at: int) -> bool:
    """Return whether frames of free format begin at an offset: three headers at equal distances."""
    first = data[at : at + 3]
    pattern = re.compile(re.escape(first[:2]) + b"[" + re.escape(bytes({first[2] ^ bit for bit in range(4)})) + b"]")
    for found in list(pattern.finditer(data, at + _FRAME_MIN))[:_CANDIDATES_MAX]:
        second = found.start()
        length = second - at - (first[2] >> 1 & 1)
        third = second + length + (data[second + 2] >> 1 & 1)
        if pattern.match(data, third):
            return True
    return False


def _adts_length(data: bytes, at: int) -> int:
    """Return the length of the frame at an offset; 0 if there is no valid header."""
    header = data[at : at + 7]
    if len(header) < 7 or header[0] != 0xFF or header[1] & 0xF6 != 0xF0 or header[2] >> 2 & 15 > 12:
        return 0
    length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    return length if length >= 7 else 0


_MPEG: Final = _Frames(_MPEG_SYNC, _mpeg_length, 0x0C)
_ADTS: Final = _Frames(_ADTS_SYNC, _adts_length, 0xFC)


def _has_frames(data: bytes, at: int, size: int, frames: _Frames) -> bool:
    """Return whether linked frames begin at ``at``, or more of them behind the remnant of an earlier frame."""
    if _leads(data, at, size, frames, links=1):
        return True
    return _follows_remnant(data, at, frames.sync) and any(
        _leads(data, found, size, frames, links=2) for found in _candidates(data, at, frames.sync)
    )


def _leads(data: bytes, at: int, size: int, frames: _Frames, *, links: int) -> bool:
    """Return whether the frame at an offset leads to ``links`` frames of the same stream, or to the end of the file."""
    stream = None
    for _ in range(links + 1):
        length = frames.length(data, at)
        if length < 1 or stream not in (None, (data[at + 1] & 0xFE, data[at + 2] & frames.kept)):
            return False
        stream = data[at + 1] & 0xFE, data[at + 2] & frames.kept
        at += length
        if at == size or data.startswith(_TAGS_BEHIND, at):
            return True
    return True


def _follows_remnant(data: bytes, at: int, sync: re.Pattern[bytes]) -> bool:
    """Return whether the bytes at an offset may be the remnant of a frame, which a decoder skips."""
    if sync.search(data, at) is None or is_other_format(data[at:]):
        return False
    return not data.startswith(b"\0") or not is_other_format(data[:64])  # formats that begin with zeros


def _candidates(data: bytes, at: int, sync: re.Pattern[bytes]) -> list[int]:
    """Return the offsets of the first sync words."""
    found = []
    for match in sync.finditer(data, at):
        found.append(match.start())
        if len(found) == _CANDIDATES_MAX:
            break
    return found
