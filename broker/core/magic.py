"""Names of formats by their first bytes, for texts of errors, and to distinguish remnants of audio from files.

Rules of this module
- It never decides that a file is accepted: the recognisers of the accepted types do.
"""

import re
from typing import Final

_BY_MAGIC: Final = (
    (b"PK", "ZIP"),
    (b"MZ", "an EXE"),
    (b"\x7fELF", "ELF"),
    (b"\xcf\xfa\xed\xfe", "Mach-O"),
    (b"\xca\xfe\xba\xbe", "Java"),
    (b"\0asm", "WebAssembly"),
    (b"%PDF", "PDF"),
    (b"%!PS", "PostScript"),
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ", "xz"),
    (b"7z\xbc\xaf", "7-Zip"),
    (b"Rar!", "RAR"),
    (b"SQLite", "SQLite"),
    (b"wOFF", "WOFF"),
    (b"\x89PNG", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF8", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"\0\0\0\x0cJXL ", "JPEG-XL"),
    (b"\xff\x0a", "JPEG-XL"),
    (b"\0\0\1\0", "an icon"),
    (b"8BPS", "Photoshop"),
    (b"OggS", "Ogg"),
    (b"fLaC", "FLAC"),
    (b"caff", "CAF"),
    (b"MThd", "MIDI"),
    (b"MAC ", "APE"),
    (b"wvpk", "WavPack"),
    (b"MPCK", "Musepack"),
    (b"MP+", "Musepack"),
    (b"TTA1", "TTA"),
    (b"#!AMR", "AMR"),
    (b".snd", "AU"),
    (b"DSD ", "DSF"),
    (b"ADIF", "ADIF"),
    (b"\x0b\x77", "AC-3"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "WMA or WMV"),
    (b"\x1a\x45\xdf\xa3", "Matroska"),
    (b"FLV\1", "FLV"),
    (b"\0\0\1\xba", "MPEG video"),
    (b"\0\0\1\xb3", "MPEG video"),
    (b".RMF", "RealMedia"),
    (b"#!", "a script"),
)
"""Formats that begin with fixed bytes, the first that matches."""

_PREFIXES: Final = tuple(magic for magic, _ in _BY_MAGIC)
_FORMS: Final = {b"WAVE": "WAV", b"WEBP": "WebP", b"AVI ": "AVI", b"RMID": "MIDI", b"AIFF": "AIFF", b"AIFC": "AIFF"}
_CONTAINERS: Final = (b"RIFF", b"RIFX", b"RF64", b"BW64", b"FORM")
_BRANDS: Final = {
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"), "HEIC"),
    **dict.fromkeys((b"jp2 ", b"jpx ", b"jpm ", b"mjp2"), "JPEG-2000"),
    b"crx ": "CR3",
    b"qt  ": "QuickTime",
    b"jxl ": "JPEG-XL",
}
_MARKUP: Final = re.compile(rb"<(?:!doctype|!--|\?|/?[a-z])", re.IGNORECASE)
_ANYWHERE: Final = re.compile(rb"<(?:!doctype|html|head|body|script|iframe|svg|\?xml|\?php)", re.IGNORECASE)
_TEXT: Final = re.compile(rb"(?:\xef\xbb\xbf)?[\t\n\r\x0c -~]{12}")
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
_STREAM: Final = re.compile(rb"ICY [0-9]|.?StreamTitle=", re.DOTALL)  # what recorders of radio streams save


def is_other_format(data: bytes) -> bool:
    """Return whether bytes are text, hold markup, or begin another format than frames of audio."""
    if data.startswith((*_PREFIXES, *_CONTAINERS)) or data[4:8] in (b"ftyp", b"moov", b"mdat"):
        return True
    return (is_text(data) and not _STREAM.match(data)) or _ANYWHERE.search(data) is not None


def is_text(data: bytes) -> bool:
    """Return whether bytes begin with text in ASCII or UTF-16, or with markup."""
    start = data.lstrip(b"\xef\xbb\xbf \t\r\n")
    return bool(_TEXT.match(data) or _MARKUP.match(start)) or data.startswith(_UTF_16)


def format_name(data: bytes) -> str:
    """Return the name of the format that bytes begin with; an empty string if it is unknown."""
    if data.startswith(_CONTAINERS):
        return _FORMS.get(data[8:12], "")
    if data[4:8] == b"ftyp":
        return _BRANDS.get(data[8:12], "MP4")
    found = next((name for magic, name in _BY_MAGIC if data.startswith(magic)), "")
    return found or _name_of_text(data)


def _name_of_text(data: bytes) -> str:
    if _MARKUP.match(data.lstrip(b"\xef\xbb\xbf \t\r\n")):
        return "HTML or XML"
    return "text" if is_text(data) else ""
