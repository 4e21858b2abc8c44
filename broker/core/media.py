"""The accepted media types: canonical names, aliases, key extensions and signatures of file formats.

Rules of this module
- A format has one canonical name. Other names that browsers and phones send for it are aliases.
- The first bytes of a file must match its declared type, so that an object is served as the type it has.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

SNIFF_BYTES = 512
"""Number of bytes at the start of a file that are compared with its type."""


@dataclass(frozen=True, slots=True)
class MediaType:
    """One accepted format. ``matches`` returns whether the first bytes of a file are of this format."""

    name: str
    extension: str
    matches: Callable[[bytes], bool]
    aliases: tuple[str, ...] = ()


def _starting(*magic: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(magic)


def _container(outer: tuple[bytes, ...], inner: tuple[bytes, ...]) -> Callable[[bytes], bool]:
    """Match a RIFF or IFF container: a chunk ID, four bytes of length, the form type."""
    return lambda head: head.startswith(outer) and head[8:12] in inner


def _iso_media(head: bytes) -> bool:
    """Match an ISO base media file: four bytes of length, then the box type ``ftyp`` (ISO 14496-12)."""
    return head[4:8] == b"ftyp"


def _mpeg_audio(head: bytes) -> bool:
    """Match an ID3v2 tag or an MPEG audio frame of layer III (ISO 11172-3 section 2.4.1.3).

    A frame begins with eleven sync bits, a version and a bit rate that are not reserved, and the layer bits 01.
    """
    return head.startswith(b"ID3") or (
        len(head) >= 3
        and head[0] == 0xFF
        and head[1] & 0xE6 == 0xE2
        and head[1] & 0x18 != 0x08
        and head[2] & 0xF0 != 0xF0
    )


def _adts(head: bytes) -> bool:
    """Match an ID3v2 tag or an ADTS frame: twelve sync bits and the layer bits 00 (ISO 13818-7 section 6.2)."""
    return head.startswith(b"ID3") or (len(head) >= 2 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0)


_EBML = b"\x1a\x45\xdf\xa3"

MEDIA_TYPES = (
    MediaType("audio/mpeg", "mp3", _mpeg_audio, ("audio/mp3", "audio/x-mp3", "audio/x-mpeg")),
    MediaType(
        "audio/wav",
        "wav",
        _container((b"RIFF", b"RF64", b"BW64"), (b"WAVE",)),
        ("audio/x-wav", "audio/wave", "audio/vnd.wave"),
    ),
    MediaType("audio/ogg", "ogg", _starting(b"OggS"), ("audio/opus",)),
    MediaType("audio/flac", "flac", _starting(b"fLaC", b"ID3"), ("audio/x-flac",)),
    MediaType("audio/mp4", "m4a", _iso_media, ("audio/x-m4a", "audio/m4a")),
    MediaType("audio/aac", "aac", _adts, ("audio/x-aac", "audio/aacp")),
    MediaType("audio/aiff", "aiff", _container((b"FORM",), (b"AIFF", b"AIFC")), ("audio/x-aiff",)),
    MediaType("audio/webm", "weba", _starting(_EBML)),
    MediaType("video/mp4", "mp4", _iso_media),
    MediaType("video/webm", "webm", _starting(_EBML)),
    MediaType("image/jpeg", "jpg", _starting(b"\xff\xd8\xff"), ("image/jpg", "image/pjpeg")),
    MediaType("image/png", "png", _starting(b"\x89PNG\r\n\x1a\n"), ("image/x-png",)),
    MediaType("image/gif", "gif", _starting(b"GIF87a", b"GIF89a")),
    MediaType("image/webp", "webp", _container((b"RIFF",), (b"WEBP",))),
)

MEDIA_TYPE_BY_NAME: Final[Mapping[str, MediaType]] = MappingProxyType({media.name: media for media in MEDIA_TYPES})
"""The accepted types by their canonical names. Aliases are not among them."""

_BY_ANY_NAME = {name: media for media in MEDIA_TYPES for name in (media.name, *media.aliases)}
_EXTENSIONS = frozenset(media.extension for media in MEDIA_TYPES)

# RFC 9110 section 8.3.1, with one accepted parameter: the ``codecs`` that MediaRecorder adds (RFC 6381).
_MEDIA_TYPE = re.compile(
    r"([a-z]+/[a-z0-9.+-]{1,64})(?:[ \t]*;[ \t]*codecs=(?:[\w.,+-]{1,64}|\"[\w., +-]{1,64}\"))?", re.ASCII
)


def parse_media_type(declared: str) -> MediaType | None:
    """Return the accepted type that a client declared, in any case and by any alias; ``None`` for other texts."""
    if declared in _BY_ANY_NAME:
        return _BY_ANY_NAME[declared]
    if len(declared) > 160:
        return None
    match = _MEDIA_TYPE.fullmatch(declared.strip(" \t").lower())
    return _BY_ANY_NAME.get(match[1]) if match else None


def is_media_extension(extension: str) -> bool:
    """Return whether the extension of a key belongs to an accepted media type."""
    return extension in _EXTENSIONS
