"""The smallest valid files of the accepted types, built by code, and the structures that they consist of.

They have the structure that the recognisers read. ``tests/media.py`` encodes files that play.
"""

import struct
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Literal
from zlib import crc32

FRAME: Final = b"\xff\xf3\x14\xc4"
"""Header of a frame of 24 bytes: MPEG-2, layer III, 8 kbit/s, 24 kHz, mono."""

FRAME_BYTES: Final = 24


def mp3(size: int = 100) -> bytes:
    """Return MPEG audio of ``size`` bytes, of which the last frame may be cut."""
    return (FRAME.ljust(FRAME_BYTES, b"\xaa") * (size // FRAME_BYTES + 1))[:size]


def id3(size: int, *, version: int = 4, footer: bool = False) -> bytes:
    """Return an ID3v2 tag with ``size`` bytes of padding."""
    length = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    flags = bytes((0x10 if footer else 0,))
    end = b"3DI" + bytes((version, 0)) + flags + length if footer else b""
    return b"ID3" + bytes((version, 0)) + flags + length + bytes(size) + end


def adts(frames: int = 3, length: int = 40) -> bytes:
    """Return AAC-LC of 44.1 kHz in frames of ``length`` bytes."""
    header = bytes((0xFF, 0xF1, 0x50, 0x80 | length >> 11, length >> 3 & 0xFF, (length & 7) << 5 | 0x1F, 0xFC))
    return header.ljust(length, b"\xaa") * frames


def flac(*blocks: bytes) -> bytes:
    """Return native FLAC with STREAMINFO, other blocks of metadata, and a frame header."""
    info = struct.pack(">HH", 4096, 4096) + bytes(6) + bytes.fromhex("0ac442f000000000") + bytes(16)
    return (
        b"fLaC"
        + (b"\0" if blocks else b"\x80")
        + b"\0\0\x22"
        + info
        + b"".join(blocks)
        + b"\xff\xf8\xc9\x18"
        + bytes(40)
    )


def chunk(name: bytes, body: bytes, order: Literal["<", ">"] = "<") -> bytes:
    """Return a chunk of RIFF, or of IFF by the order of its bytes."""
    return name + struct.pack(f"{order}I", len(body)) + body + b"\0" * (len(body) % 2)


def wav(*before: bytes, form: bytes = b"RIFF") -> bytes:
    """Return WAV with chunks before ``fmt``."""
    fmt = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 2, 44_100, 176_400, 4, 16))
    body = b"WAVE" + b"".join(before) + fmt + chunk(b"data", bytes(64))
    return form + struct.pack("<I", len(body)) + body


def aiff(*before: bytes, form: bytes = b"AIFF") -> bytes:
    """Return AIFF with chunks before ``COMM``."""
    common = chunk(b"COMM", struct.pack(">HIH", 2, 16, 16) + bytes.fromhex("400eac44000000000000"), ">")
    body = form + b"".join(before) + common + chunk(b"SSND", bytes(72), ">")
    return b"FORM" + struct.pack(">I", len(body)) + body


def page(packet: bytes, *, flags: int = 0, serial: int = 1) -> bytes:
    """Return a page of Ogg with one packet of less than 255 bytes."""
    return b"OggS\0" + bytes((flags,)) + bytes(8) + struct.pack("<III", serial, 0, 0) + bytes((1, len(packet))) + packet


def ogg(*firsts: bytes) -> bytes:
    """Return Ogg whose streams begin with these packets; an Opus stream by default."""
    starts = [page(first, flags=2, serial=n) for n, first in enumerate(firsts or (b"OpusHead".ljust(19, b"\1"),))]
    return b"".join(starts) + page(b"OpusTags".ljust(32, b"\0")) + page(bytes(60))


def box(name: bytes, body: bytes) -> bytes:
    """Return a box of ISO media."""
    return struct.pack(">I", len(body) + 8) + name + body


def ftyp(brand: bytes, *compatible: bytes) -> bytes:
    """Return the file type box of ISO media."""
    return box(b"ftyp", brand + bytes(4) + b"".join(compatible or (brand,)))


MOOV: Final = box(b"moov", box(b"mvhd", bytes(100)))


def iso_media(brand: bytes = b"mp42", *compatible: bytes) -> bytes:
    """Return ISO media with its description before its data."""
    return ftyp(brand, *compatible) + MOOV + box(b"mdat", bytes(64))


def webm(doc_type: bytes = b"webm", *, after: bytes = b"") -> bytes:
    """Return WebM with a segment of unknown length."""
    body = b"\x42\x86\x81\x01\x42\x82" + bytes((0x80 | len(doc_type),)) + doc_type
    header = b"\x1a\x45\xdf\xa3" + bytes((0x80 | len(body),)) + body
    return header + b"\x18\x53\x80\x67\x01" + b"\xff" * 7 + b"\x15\x49\xa9\x66" + after + bytes(60)


def segment(marker: int, body: bytes) -> bytes:
    """Return a segment of JPEG."""
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


SOF: Final = segment(0xC0, b"\x08\0\x10\0\x10\x01\x01\x11\0")


def jpeg(*segments: bytes) -> bytes:
    """Return JPEG with segments before its frame header."""
    before = segments or (segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0"),)
    return b"\xff\xd8" + b"".join(before) + SOF + segment(0xDA, bytes(6)) + bytes(20) + b"\xff\xd9"


def png_chunk(name: bytes, body: bytes) -> bytes:
    """Return a chunk of PNG."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", crc32(name + body))


IHDR: Final = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))


def png(*before: bytes) -> bytes:
    """Return PNG with chunks before its header."""
    return b"\x89PNG\r\n\x1a\n" + b"".join(before) + IHDR + png_chunk(b"IDAT", bytes(12)) + png_chunk(b"IEND", b"")


def gif(block: bytes = b",\0\0\0\0\1\0\1\0\0\2", *, table: bool = False) -> bytes:
    """Return GIF with a block behind the screen descriptor and the global colour table."""
    return b"GIF89a\1\0\1\0" + (b"\x80\0\0" + bytes(6) if table else bytes(3)) + block + b"\2\x44\1\0;"


def webp(chunks: bytes = b"") -> bytes:
    """Return WebP with a key frame of VP8."""
    body = b"WEBP" + (chunks or chunk(b"VP8 ", b"\x10\0\0\x9d\x01\x2a\1\0\1\0" + bytes(20)))
    return b"RIFF" + struct.pack("<I", len(body)) + body


def avif(brand: bytes = b"avif", *compatible: bytes) -> bytes:
    """Return a picture in AVIF."""
    return ftyp(brand, *compatible) + box(b"meta", bytes(40)) + box(b"mdat", bytes(40))


SMALL_FILES: Final[Mapping[str, Callable[[], bytes]]] = MappingProxyType(
    {
        "audio/mpeg": mp3,
        "audio/wav": wav,
        "audio/ogg": ogg,
        "audio/flac": flac,
        "audio/mp4": lambda: iso_media(b"M4A "),
        "audio/aac": adts,
        "audio/aiff": aiff,
        "audio/webm": webm,
        "video/mp4": iso_media,
        "video/webm": webm,
        "video/quicktime": lambda: iso_media(b"qt  "),
        "image/jpeg": jpeg,
        "image/png": png,
        "image/gif": gif,
        "image/webp": webp,
        "image/avif": avif,
    }
)
"""The maker of a small file for each accepted type."""
