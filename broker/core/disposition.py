"""File names, and the Content-Disposition header field that carries them (RFC 6266, RFC 8187).

A file name is for people, and is never a part of a key. In object metadata and in ``filename*`` it is percent-encoded.
"""

import unicodedata
from typing import Literal
from urllib.parse import quote

from broker.error_texts import Rule

Disposition = Literal["inline", "attachment"]

FILENAME_MAX = 255
"""Maximum length of a file name in characters."""

# The attr-char of RFC 8187 section 3.2.1, without the characters that quote() never encodes.
_ATTR_CHARS = "!#$&+^`|"
# Characters that reorder or hide a part of a name: bidi controls and zero width characters (Unicode TR 36 section 2.5).
_INVISIBLE = dict.fromkeys(
    [0x061C, 0x200B, 0x200E, 0x200F, *range(0x202A, 0x202F), 0x2060, *range(0x2066, 0x206A), 0xFEFF]
)
_FORBIDDEN = {
    "Cc": Rule.FILENAME_CONTROLS,
    "Cs": Rule.SURROGATES,
    "Zl": Rule.FILENAME_SEPARATORS,
    "Zp": Rule.FILENAME_SEPARATORS,
}


def clean_name(name: str) -> str:
    """Return the last path segment of ``name`` in NFC, without invisible and bidi control characters.

    Raises ``ValueError`` with the broken rule.
    """
    if len(name) > FILENAME_MAX:
        raise ValueError(Rule.FILENAME_LENGTH.format(limit=FILENAME_MAX))
    last = name.replace("\\", "/").rpartition("/")[2]
    is_plain = name.isascii() and name.isprintable()
    cleaned = (last if is_plain else _normalized(name, last)).strip()
    if not cleaned.replace(".", "").strip():
        raise ValueError(Rule.FILENAME_EMPTY)
    if len(cleaned) > FILENAME_MAX:  # NFC expands some characters to three, U+1D160 for example
        raise ValueError(Rule.FILENAME_NFC_LENGTH.format(limit=FILENAME_MAX))
    return cleaned


def _normalized(name: str, last: str) -> str:
    for character in name:
        if rule := _FORBIDDEN.get(unicodedata.category(character)):
            raise ValueError(rule)
    return unicodedata.normalize("NFC", last.translate(_INVISIBLE))


def content_disposition(disposition: Disposition, name: str | None) -> str:
    """Return the value of Content-Disposition: ``filename`` in ASCII for old clients, ``filename*`` exactly."""
    if name is None:
        return disposition
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in name)
    return f"{disposition}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe=_ATTR_CHARS)}"
