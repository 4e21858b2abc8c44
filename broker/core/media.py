"""The accepted media types: canonical names, aliases, extensions and recognisers. The one table of the project.

Rules of this module
- A format has one canonical name. Other names that browsers, phones and libraries send for it are aliases. They come
  from IANA, mime-db, shared-mime-info, Apache's mime.types, Chromium, Gecko, Windows, Android and Apple.
- The declared type decides; its parameters are ignored. Where it names no format, the extension of the file decides.
- The first bytes of a file must match its type, so that an object is served as the type it has.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeAlias

from .containers import is_aiff, is_avif, is_iso_media, is_ogg, is_quicktime, is_wav, is_webm
from .frames import behind_tags, content_beyond, is_adts, is_flac, is_mpeg_audio
from .magic import format_name
from .pictures import is_gif, is_jpeg, is_png, is_webp
from .refused_formats import is_refused_type

SNIFF_BYTES: Final = 16 * 1024
"""Number of bytes of a file that are compared with its type: at its start, or behind a longer tag."""

DECLARED_MAX: Final = 255
"""Maximum number of characters of a declared type with its parameters."""

_LABELS: Final = {
    "ogg": "Ogg",
    "m4a": "MP4",
    "weba": "WebM",
    "webm": "WebM",
    "mov": "QuickTime",
    "jpg": "JPEG",
    "webp": "WebP",
}
"""Names of formats that are not those of their extensions, in capital letters."""

Recogniser: TypeAlias = Callable[[bytes, int], bool]
"""Returns whether a file has a format, from its first bytes and its size in bytes."""


@dataclass(frozen=True, slots=True)
class MediaType:
    """One accepted format.

    ``extension`` is that of keys. File names may also end in one of ``extensions``. ``has_tags``: a tag of any length
    may precede the content.
    """

    name: str
    extension: str
    matches: Recogniser
    aliases: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()
    has_tags: bool = False

    @property
    def label(self) -> str:
        """The name of the format for people."""
        return _LABELS.get(self.extension, self.extension.upper())

    def content_beyond(self, first_bytes: bytes, size: int) -> int:
        """Return the offset of the content if the first bytes of a file of ``size`` bytes lack it; else 0."""
        return content_beyond(first_bytes, size) if self.has_tags else 0


def _of(kind: str, names: str) -> tuple[str, ...]:
    """Return names of a table row with their top-level type."""
    return tuple(name if "/" in name else f"{kind}/{name}" for name in names.split())


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


MEDIA_TYPES: Final = (
    MediaType(
        "audio/mpeg",
        "mp3",
        is_mpeg_audio,
        _of(
            "audio",
            "mp3 x-mp3 x-mpeg mpeg3 x-mpeg3 mpeg-3 x-mpeg-3 mpg x-mpg mpega x-mpega mpegaudio x-mpegaudio mpeg-audio "
            "x-mpeg-audio mpa mpa-robust mpeg-layer3 x-mpeg-layer3 mp x-mp mp3a application/x-mp3 application/mp3",
        ),
        _words("mpga mpega mpa"),
        has_tags=True,
    ),
    MediaType(
        "audio/wav",
        "wav",
        is_wav,
        _of("audio", "x-wav wave x-wave vnd.wave vnd.wav x-pn-wav x-pn-wave bwf x-bwf rf64 x-rf64 bw64 s-wav"),
        _words("wave bwf rf64 bw64"),
    ),
    MediaType(
        "audio/ogg",
        "ogg",
        is_ogg,
        _of(
            "audio",
            "opus x-ogg oga x-oga vorbis x-vorbis vorbis+ogg x-vorbis+ogg x-opus opus+ogg x-opus+ogg speex x-speex "
            "x-speex+ogg x-flac+ogg flac+ogg x-oggflac x-oggvorbis application/ogg application/x-ogg",
        ),
        _words("oga opus spx ogx"),
    ),
    MediaType(
        "audio/flac",
        "flac",
        is_flac,
        _of("audio", "x-flac fla x-fla application/flac application/x-flac"),
        ("fla",),
        has_tags=True,
    ),
    MediaType(
        "audio/mp4",
        "m4a",
        is_iso_media,
        _of(
            "audio",
            "x-m4a m4a x-mp4 mp4a x-mp4a mpeg4 x-mpeg4 m4b x-m4b m4r x-m4r mp4a-latm alac x-alac f4a x-f4a "
            "3gpp 3gp x-3gp 3gpp2 3g2 x-3gpp",
        ),
        _words("m4b m4r mp4a f4a f4b 3ga"),
    ),
    MediaType(
        "audio/aac",
        "aac",
        is_adts,
        _of(
            "audio",
            "x-aac aacp x-aacp adts x-adts aac-adts x-aac-adts x-hx-aac-adts vnd.dlna.adts "
            "vnd.dolby.heaac.1 vnd.dolby.heaac.2",
        ),
        _words("adts adt"),
        has_tags=True,
    ),
    MediaType(
        "audio/aiff",
        "aiff",
        is_aiff,
        _of("audio", "x-aiff aif x-aif aifc x-aifc aiffc x-aiffc x-pn-aiff vnd.aiff"),
        _words("aif aifc aiffc aff"),
    ),
    MediaType("audio/webm", "weba", is_webm, _of("audio", "x-webm weba")),
    MediaType(
        "video/mp4",
        "mp4",
        is_iso_media,
        _of(
            "video",
            "x-m4v m4v x-mp4 mpeg4 x-mpeg4 mp4v mp4v-es x-mp4v-es f4v x-f4v application/mp4 application/x-mp4 "
            "3gpp 3gp x-3gp 3gpp2 3gp2 3g2 x-3gpp",
        ),
        _words("m4v mp4v mpg4 f4v lrv 3gp 3gpp 3g2 3gp2 3gpp2"),
    ),
    MediaType("video/webm", "webm", is_webm, _of("video", "x-webm")),
    MediaType(
        "video/quicktime",
        "mov",
        is_quicktime,
        _of("video", "x-quicktime mov x-mov qt x-qt"),
        _words("qt moov"),
    ),
    MediaType(
        "image/jpeg",
        "jpg",
        is_jpeg,
        _of("image", "jpg pjpeg pjpg x-jpeg x-jpg jpe jfif x-jfif pipeg x-citrix-jpeg x-citrix-jpg"),
        _words("jpeg jpe jfif jfi jif pjpeg pjp"),
    ),
    MediaType(
        "image/png",
        "png",
        is_png,
        _of("image", "x-png apng x-apng vnd.mozilla.apng x-citrix-png"),
        ("apng",),
    ),
    MediaType("image/gif", "gif", is_gif, _of("image", "x-gif x-citrix-gif")),
    MediaType("image/webp", "webp", is_webp, _of("image", "x-webp")),
    MediaType("image/avif", "avif", is_avif, _of("image", "avif-sequence x-avif"), ("avifs",)),
)

MEDIA_TYPE_BY_NAME: Final[Mapping[str, MediaType]] = MappingProxyType({media.name: media for media in MEDIA_TYPES})
"""The accepted types by their canonical names. Aliases are not among them."""

ALL_TYPES: Final = frozenset(MEDIA_TYPE_BY_NAME)
"""The canonical names of all types."""

_BY_ANY_NAME: Final = {name: media for media in MEDIA_TYPES for name in (media.name, *media.aliases)}
_EXTENSIONS: Final = frozenset(media.extension for media in MEDIA_TYPES)

_CHOICES: Final = {
    "audio/mp4a-latm": ("audio/aac", "audio/mp4"),  # Android: AAC; Apache's mime.types: .m4a
    "application/mp4": ("audio/mp4", "video/mp4"),
    "application/x-mp4": ("audio/mp4", "video/mp4"),
    "video/ogg": ("audio/ogg",),  # Firefox before version 60, and Windows, for every .ogg
    "video/x-ogg": ("audio/ogg",),
}
"""Types with several meanings: the extension chooses one of these types; without it the alias counts, if it is one."""

_SHARED: Final = {
    "webm": ("video/webm", "audio/webm"),
    **dict.fromkeys(("mp4", "mpg4", "3gp", "3gpp", "3g2", "3gp2", "3gpp2"), ("video/mp4", "audio/mp4")),
}
"""Extensions of audio and of video: the first type that the deployment accepts counts."""

_BY_EXTENSION: Final = {
    **{extension: (media.name,) for media in MEDIA_TYPES for extension in (media.extension, *media.extensions)},
    **_SHARED,
}

_TCHAR: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]"
_QUOTED: Final = r'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"'
# RFC 9110 sections 5.6.6 and 8.3.1; a parameter may be empty. A blank matches in one place only, so the time is linear.
# Possessive quantifiers match too much before Python 3.11.5: https://github.com/python/cpython/issues/106052
_DECLARED: Final = re.compile(
    rf"[ \t]*({_TCHAR}{{1,127}}/{_TCHAR}{{1,127}})[ \t]*(?:;[ \t]*(?:{_TCHAR}+=(?:{_TCHAR}+|{_QUOTED})[ \t]*)?)*"
)


def essence_of(declared: str) -> str | None:
    """Return a declared media type in lower case without its parameters; ``None`` if it is not well formed."""
    match = _DECLARED.fullmatch(declared) if len(declared) <= DECLARED_MAX else None
    return match[1].lower() if match else None


def parse_media_type(declared: str) -> MediaType | None:
    """Return the accepted type that a client declared, in any case and by any alias; ``None`` for other texts."""
    if declared in _BY_ANY_NAME:
        return _BY_ANY_NAME[declared]
    essence = essence_of(declared)
    return _BY_ANY_NAME.get(essence) if essence else None


def resolve_media_type(declared: str, filename: str, accepted: Collection[str] = ALL_TYPES) -> MediaType | None:
    """Return the type of a file by its declared type, or by its extension if that names no known format.

    ``accepted`` are the canonical names that count. The result is ``None`` for a malformed or refused type.
    """
    media = None
    if declared in _BY_ANY_NAME and declared not in _CHOICES:
        media = _BY_ANY_NAME[declared]
    else:
        essence = essence_of(declared) if declared.strip(" \t") else ""
        if essence is not None and not is_refused_type(essence):
            media = _by_essence(essence, filename, accepted)
    return media if media and media.name in accepted else None


def _by_essence(essence: str, filename: str, accepted: Collection[str]) -> MediaType | None:
    by_extension = _BY_EXTENSION.get(extension_of(filename), ())
    media = _BY_ANY_NAME.get(essence)
    if essence in _CHOICES:
        by_extension = tuple(name for name in by_extension if name in _CHOICES[essence])
    elif media:
        return media
    found = next((name for name in by_extension if name in accepted), None)
    return MEDIA_TYPE_BY_NAME[found] if found else media


def extension_of(filename: str) -> str:
    """Return the extension of a file name in lower case without its dot; an empty string if there is none."""
    return filename.rpartition(".")[2].lower() if "." in filename else ""


def types_of(pattern: str) -> frozenset[str]:
    """Return the canonical names that ``audio/*``, or the name or alias of a type, stands for."""
    kind, _, subtype = pattern.strip().lower().partition("/")
    if subtype == "*":
        return frozenset(name for name in ALL_TYPES if name.startswith(f"{kind}/"))
    media = parse_media_type(pattern)
    return frozenset((media.name,)) if media else frozenset()


def grouped(names: Collection[str]) -> str:
    """Return canonical names as a short text in the order of the table: ``audio/{mpeg,wav}, image/png``."""
    kinds: dict[str, list[str]] = {}
    for media in MEDIA_TYPES:
        if media.name in names:
            kind, _, subtype = media.name.partition("/")
            kinds.setdefault(kind, []).append(subtype)
    return ", ".join(
        f"{kind}/{{{','.join(found)}}}" if found[1:] else f"{kind}/{found[0]}" for kind, found in kinds.items()
    )


def format_of(first_bytes: bytes, size: int) -> str:
    """Return the name of the format that the first bytes of a file look like; an empty string if it is unknown."""
    found = next((media for media in MEDIA_TYPES if media.matches(first_bytes, size)), None)
    if found:
        return found.label
    return format_name(first_bytes) or format_name(first_bytes[behind_tags(first_bytes) :])


def is_media_extension(extension: str) -> bool:
    """Return whether the extension of a key belongs to an accepted media type."""
    return extension in _EXTENSIONS
