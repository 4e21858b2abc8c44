"""``broker.core.disposition``: an accepted name is clean, and every reader reads the same name from its header.

The first byte of an input selects the disposition; the rest is the name in UTF-8, with invalid bytes as lone
surrogates.
"""

import re
import unicodedata
from email.message import Message
from urllib.parse import unquote_to_bytes

from broker.core.disposition import FILENAME_MAX, Disposition, clean_name, content_disposition

# RFC 6266 section 4.1 and RFC 8187 section 3.2.1, narrowed to the forms that the broker writes
HEADER = re.compile(
    r'(inline|attachment); filename="([^"\\%]*)"; filename\*=UTF-8\'\'((?:[\w!#$&+.^`|~-]|%[0-9A-F]{2})*)'
)
KINDS: tuple[Disposition, ...] = ("inline", "attachment")
REFUSED = {"Cc", "Cs", "Zl", "Zp"}

SEEDS = [
    bytes([kind]) + name.encode()
    for kind in (0, 1)
    for name in (
        "song.mp3",
        "My söng.mp3",
        "C:\\fakepath\\a.mp3",
        "../../etc/passwd",
        'a"; filename="b',
        "a\r\nX: y",
        "100%25.mp3",
        "song\u202egpj.exe",
        "Cafe\u0301 \u1100\u1161\u11a8.flac",
        "👩‍👩‍👧.png",
        "\U0001d160\u0958\ufb2c\u0344",
        "'*'~!#$&+-.^_`|;,= .wav",
        "\u200b. \u3000.",
        "x" * 255,
        "\U0001d160" * 255,
    )
]
WORDS = [
    *(b'"', b"\\", b"%", b"%0d%0a", b"\r\n", b"; ", b"filename*=UTF-8''", b"''", b"..", b"/", b"\x7f", b"\x00"),
    *(mark.encode() for mark in ("\u2028", "\u202e", "\u200b", "\ufeff", "\u0301", "\U0001d160", "\ufb2c", "\x85")),
]


def check(data: bytes) -> None:
    """Check the rules for any file name."""
    kind = KINDS[data[0] % 2] if data else "inline"
    name = data[1:].decode("utf-8", "surrogateescape")
    try:
        kept = clean_name(name)
    except ValueError as error:
        assert str(error).startswith("must "), error
        return
    _check_name(kept)
    _check_header(content_disposition(kind, kept), kind, kept)


def _check_name(kept: str) -> None:
    assert clean_name(kept) == kept
    assert 1 <= len(kept) <= FILENAME_MAX
    assert unicodedata.is_normalized("NFC", kept)
    assert not REFUSED & {unicodedata.category(character) for character in kept}
    assert not set("/\\\u202e\u2066\u200b\ufeff") & set(kept)
    assert kept.strip(". ")
    kept.encode()


def _check_header(header: str, kind: Disposition, name: str) -> None:
    assert header.isascii()
    assert header.isprintable()
    match = HEADER.fullmatch(header)
    assert match, header
    assert match[1] == kind
    assert len(match[2]) == len(name)
    assert unquote_to_bytes(match[3]).decode() == name
    assert _read(f'{kind}; filename="{match[2]}"').get_param("filename", header="Content-Disposition") == match[2]
    exact = _read(f"{kind}; filename*=UTF-8''{match[3]}")
    assert (exact.get_content_disposition(), exact.get_filename()) == (kind, name)


def _read(header: str) -> Message:
    """Parse the header with the standard library, which needs one spelling of the name at a time."""
    message = Message()
    message["Content-Disposition"] = header
    return message
