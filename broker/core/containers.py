"""Recognisers of audio and video in containers: RIFF, IFF, Ogg, ISO media, QuickTime and EBML.

Rules of this module
- The signature of a container is not sufficient: the structure behind it must be that of the format.
- A recogniser takes the first bytes of a file and the size of the file.
"""

import re
from typing import Final, Literal

from .magic import is_text

_CHUNKS_MAX: Final = 64
"""Maximum number of chunks, boxes or pages that are followed."""

_CHANNELS_MAX: Final = 1024
_RATE_MAX: Final = 10_000_000
"""Maximum number of channels, and of samples a second, of a plausible WAV."""

_CHUNK_ID: Final = re.compile(rb"[A-Za-z0-9 _()]{3}[A-Za-z0-9 _()\0]")
_BOX_TYPE: Final = re.compile(rb"[A-Za-z0-9 \xa9_-]{4}")

IMAGE_BRANDS: Final = frozenset(
    b"heic heix heim heis hevc hevx hevm hevs mif1 mif2 msf1 miaf avif avis avio avci avcs jpeg jpgs "
    b"j2is j2ki MA1A MA1B 1pic vvic evic".split()
) | {b"jp2 ", b"jpx ", b"jpm ", b"mjp2", b"jxl ", b"jxs ", b"jxsc", b"crx "}
"""Brands of ISO media files that are pictures (mp4ra.org/registered-types/brands)."""

AVIF_BRANDS: Final = frozenset((b"avif", b"avis"))
_IN_MOOV: Final = frozenset((b"mvhd", b"cmov", b"rmra", b"iods", b"udta", b"meta", b"trak", b"mvex", b"free", b"prfl"))
_QUICKTIME_FIRST: Final = frozenset((b"moov", b"mdat", b"free", b"wide", b"skip", b"pnot"))

# Codecs in the first packet of a stream (wiki.xiph.org/MIMETypesCodecs); fishead is the index of the streams.
_OGG_AUDIO: Final = (b"\x01vorbis", b"OpusHead", b"Speex   ", b"\x7fFLAC", b"CELT    ", b"PCM     ")
_OGG_VIDEO: Final = (b"\x80theora", b"BBCD\0", b"OVP80", b"\x01video", b"\x80daala", b"YUV4MPEG")

# Matroska is accepted only as browsers record it: with a codec that WebM does not have.
_RECORDERS: Final = re.compile(rb"[\x4d\x57][\x80\x41].{1,2}?(?:Chrome|WebKit|QTmuxing)", re.DOTALL)
_CODEC: Final = re.compile(rb"\x86[\x80-\xa0]([AVS]_[A-Z0-9/_.]+)")
_RECORDED_PCM: Final = frozenset((b"A_PCM/FLOAT/IEEE", b"A_PCM/INT/LIT"))
_SEGMENT: Final = b"\x18\x53\x80\x67"
_VOID: Final = b"\xec"
_IN_SEGMENT: Final = (  # SeekHead, Info, Tracks, Cluster, Cues, Tags, Void, CRC-32 (RFC 9559)
    b"\x11\x4d\x9b\x74",
    b"\x15\x49\xa9\x66",
    b"\x16\x54\xae\x6b",
    b"\x1f\x43\xb6\x75",
    b"\x1c\x53\xbb\x6b",
    b"\x12\x54\xc3\x67",
    b"\xec",
    b"\xbf",
)


def is_wav(data: bytes, size: int) -> bool:
    """Recognise WAV, RF64 and BW64: a chunk ``fmt`` with channels and a rate, then another chunk (EBU Tech 3306)."""
    if not data.startswith((b"RIFF", b"RF64", b"BW64")) or data[8:12] != b"WAVE":
        return False
    at = _chunk_offset(data, size, "little", b"fmt ")
    if at is None or at + 24 > len(data):
        return at is not None and at + 24 <= size
    length = int.from_bytes(data[at + 4 : at + 8], "little")
    channels, rate = (
        int.from_bytes(data[at + 10 : at + 12], "little"),
        int.from_bytes(data[at + 12 : at + 16], "little"),
    )
    if not (14 <= length <= size and 1 <= channels <= _CHANNELS_MAX and 1 <= rate <= _RATE_MAX):
        return False
    following = at + 8 + length
    return (
        bool(_CHUNK_ID.match(data, following) or _CHUNK_ID.match(data, following + 1)) or len(data) <= following < size
    )


def is_aiff(data: bytes, size: int) -> bool:
    """Recognise AIFF and AIFF-C: a form with a chunk ``COMM``."""
    if not data.startswith(b"FORM") or data[8:12] not in (b"AIFF", b"AIFC"):
        return False
    at = _chunk_offset(data, size, "big", b"COMM")
    return at is not None and at + 26 <= size


def _chunk_offset(data: bytes, size: int, order: Literal["little", "big"], wanted: bytes) -> int | None:
    """Return the offset of a chunk, or of the first chunk beyond ``data``; ``None`` if the chunks are not valid."""
    at = 12
    for _ in range(_CHUNKS_MAX):
        if at + 8 > len(data):
            return at
        name, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], order)
        if name == wanted:
            return at
        if not _CHUNK_ID.match(name) or at + 8 + length > size:
            return None
        at += 8 + length + (length & 1 and data[at + 8 + length : at + 9 + length] in (b"", b"\0"))
    return None


def is_ogg(data: bytes, size: int) -> bool:
    """Recognise Ogg with audio (RFC 3533): pages that begin streams, of which one has a known codec of audio."""
    at, has_audio = 0, False
    for _ in range(_CHUNKS_MAX):
        header = data[at : at + 27]
        if len(header) < 27 or not header.startswith(b"OggS\0") or header[5] > 7:
            return False
        if not header[5] & 2:  # the first page that does not begin a stream
            return has_audio
        lacing = data[at + 27 : at + 27 + header[26]]
        packet = at + 27 + header[26]
        if data.startswith(_OGG_VIDEO, packet):
            return False
        has_audio = has_audio or data.startswith(_OGG_AUDIO, packet)
        at = packet + sum(lacing)
        if at >= len(data):
            return has_audio and at < size
    return False


def is_iso_media(data: bytes, size: int) -> bool:
    """Recognise audio and video in ISO media (ISO 14496-12): ``ftyp`` without a brand of pictures, then media."""
    end = _file_type_end(data, size)
    return bool(end) and data[8:12] not in IMAGE_BRANDS and _has_media(data, size, end)


def is_quicktime(data: bytes, size: int) -> bool:
    """Recognise QuickTime, which may begin without ``ftyp`` (QuickTime File Format, "Atoms")."""
    if data[4:8] in _QUICKTIME_FIRST:
        return _has_media(data, size, 0)
    return is_iso_media(data, size)


def is_avif(data: bytes, size: int) -> bool:
    """Recognise a picture or a sequence in AVIF by its brands (AV1 Image File Format, section 6)."""
    end = _file_type_end(data, size)
    if not end or data[8:12] not in IMAGE_BRANDS:
        return False
    brands = {data[at : at + 4] for at in (8, *range(16, end, 4))}
    return bool(brands & AVIF_BRANDS) and (data[end + 4 : end + 8] in (b"meta", b"free") or _has_media(data, size, end))


def _file_type_end(data: bytes, size: int) -> int:
    """Return the length of the first box if it is a valid ``ftyp``; else 0."""
    length = int.from_bytes(data[:4], "big")
    is_valid = data[4:8] == b"ftyp" and 16 <= length <= min(4096, size) and length % 4 == 0
    return length if is_valid and _BOX_TYPE.match(data, 8) else 0


def _has_media(data: bytes, size: int, at: int) -> bool:
    """Return whether the boxes from an offset lead to ``moov``, or out of ``data`` within the file."""
    for _ in range(_CHUNKS_MAX):
        header = data[at : at + 16]
        if len(header) < 8:
            return len(data) <= at < size
        length, name = int.from_bytes(header[:4], "big"), header[4:8]
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        if length < 8 or at + length > size or not _BOX_TYPE.match(name):
            return False
        if name == b"moov":
            return data[at + 12 : at + 16] in _IN_MOOV
        if name == b"mdat" and is_text(data[at + 8 : at + 64]):
            return False
        at += length
    return False


def is_webm(data: bytes, size: int) -> bool:
    """Recognise WebM (RFC 8794), and Matroska as browsers record it: ``DocType``, then a segment."""
    length, width = _vint(data, 4)
    body = 4 + width
    end = body + length
    if not data.startswith(b"\x1a\x45\xdf\xa3") or not width or end >= size:
        return False
    doc_type = _doc_type(data[body:end])
    if end < len(data) and not _is_segment(data, end):
        return False
    return doc_type == b"webm" or (doc_type == b"matroska" and _is_recorded(data))


def _is_segment(data: bytes, at: int) -> bool:
    """Return whether a segment with a known first element, or padding before it, is at an offset."""
    if data.startswith(_VOID, at):
        return True
    _, width = _vint(data, at + 4)
    return data.startswith(_SEGMENT, at) and width > 0 and data.startswith(_IN_SEGMENT, at + 4 + width)


def _doc_type(header: bytes) -> bytes:
    """Return the value of ``DocType`` in the body of an EBML header."""
    at = header.find(b"\x42\x82")
    length, width = _vint(header, at + 2) if at >= 0 else (0, 0)
    return header[at + 2 + width : at + 2 + width + length].rstrip(b"\0")


def _vint(data: bytes, at: int) -> tuple[int, int]:
    """Return the value and the width of a variable-size integer (RFC 8794 section 4); the width 0 if there is none."""
    first = data[at] if at < len(data) else 0
    width = 9 - first.bit_length()
    encoded = data[at : at + width]
    if not first or len(encoded) < width:
        return 0, 0
    return int.from_bytes(encoded, "big") & ((1 << 7 * width) - 1), width


def _is_recorded(data: bytes) -> bool:
    """Return whether a browser wrote the file, or all its codecs are those that only browsers record."""
    codecs = set(_CODEC.findall(data))
    return _RECORDERS.search(data) is not None or (bool(codecs) and codecs <= _RECORDED_PCM)
