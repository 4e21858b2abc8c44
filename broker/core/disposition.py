"""Content-Disposition by RFC 6266, its file name by RFC 8187, and the rules of a file's name.

A name is what a person sees, never a part of a key. It travels percent-encoded: in metadata and in ``filename*``.
"""

import unicodedata
from typing import Literal
from urllib.parse import quote

from broker.error_texts import Rule

Disposition = Literal["inline", "attachment"]

NAME_MAX = 255
"""Characters a file's name may have."""

# RFC 8187 section 3.2.1: attr-char, less what quote() keeps anyway.
_ATTR_CHARS = "!#$&+^`|"
# What reorders or hides a part of a name (Unicode TR 36 section 2.5): bidi controls, zero width space and its kin.
_DECEPTIVE = dict.fromkeys(
    [0x061C, 0x200B, 0x200E, 0x200F, *range(0x202A, 0x202F), 0x2060, *range(0x2066, 0x206A), 0xFEFF]
)
_REFUSED = {
    "Cc": Rule.FILENAME_CONTROLS,
    "Cs": Rule.SURROGATES,
    "Zl": Rule.FILENAME_SEPARATORS,
    "Zp": Rule.FILENAME_SEPARATORS,
}


def clean_name(name: str) -> str:
    """The name as it is kept: NFC, the last segment of a path, without what deceives the eye.

    Raises ``ValueError`` naming the rule.
    """
    if len(name) > NAME_MAX:
        raise ValueError(Rule.FILENAME_LENGTH.format(limit=NAME_MAX))
    last = name.replace("\\", "/").rpartition("/")[2]
    is_plain = name.isascii() and name.isprintable()
    kept = last.strip() if is_plain else _honest(name, last).strip()
    if not kept.replace(".", "").strip():
        raise ValueError(Rule.FILENAME_EMPTY)
    if len(kept) > NAME_MAX:  # NFC makes three characters of some
        raise ValueError(Rule.FILENAME_NFC_LENGTH.format(limit=NAME_MAX))
    return kept


def _honest(name: str, last: str) -> str:
    for character in name:
        if rule := _REFUSED.get(unicodedata.category(character)):
            raise ValueError(rule)
    return unicodedata.normalize("NFC", last.translate(_DECEPTIVE))


def content_disposition(disposition: Disposition, name: str | None) -> str:
    """The header's value. The plain ``filename`` is ASCII for old clients, ``filename*`` is exact."""
    if name is None:
        return disposition
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in name)
    return f"{disposition}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe=_ATTR_CHARS)}"
