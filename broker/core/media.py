"""The media types the broker takes, their canonical names and extensions, and how their files begin.

Rules of this module
- One canonical name a format; every other spelling that browsers and phones use is an alias of it.
- A file must begin as its declared type does: what is served later is what was promised.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

SNIFF_BYTES = 512
"""How many first bytes of a file are looked at."""


@dataclass(frozen=True, slots=True)
class MediaType:
    """One accepted format. ``matches`` tells whether some first bytes are those of such a file."""

    name: str
    extension: str
    matches: Callable[[bytes], bool]
    aliases: tuple[str, ...] = ()


def _starting(*magic: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(magic)


def _container(outer: tuple[bytes, ...], inner: tuple[bytes, ...]) -> Callable[[bytes], bool]:
    """RIFF and IFF alike: a chunk id, four bytes of length, the form's name."""
    return lambda head: head.startswith(outer) and head[8:12] in inner


def _iso_media(head: bytes) -> bool:
    """ISO 14496-12: the first box is ``ftyp``, after its own four bytes of length."""
    return head[4:8] == b"ftyp"


def _mpeg_audio(head: bytes) -> bool:
    """An ID3v2 tag, or a frame of layer III: eleven sync bits, a known version, layer bits 01 (ISO 11172-3 2.4.1.3)."""
    return head.startswith(b"ID3") or (
        len(head) >= 3
        and head[0] == 0xFF
        and head[1] & 0xE6 == 0xE2
        and head[1] & 0x18 != 0x08
        and head[2] & 0xF0 != 0xF0
    )


def _adts(head: bytes) -> bool:
    """ADTS: twelve sync bits and layer bits 00 (ISO 13818-7 6.2), or an ID3v2 tag before them."""
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

# RFC 9110 section 8.3.1, narrowed: the one parameter taken is the ``codecs`` that MediaRecorder adds (RFC 6381).
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
    """Whether a key's extension is one the broker itself gives out."""
    return extension in _EXTENSIONS
